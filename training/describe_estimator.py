"""Describes the estimator of a training for the model card."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from crm.project import Project
from features.moments import FEWEST_OUTCOMES
from models.estimator.blend import BaseRate
from models.evaluation.intervals import share_interval
from models.fitting.trees import TREE_PARAMETERS
from models.scale import POINTS
from training.findings import Findings
from training.fit import Fitted
from training.half_life import effective_leads
from training.remedies import EARLY_WINS, EXPECTED_LABELS
from training.tuning import best_of

WEIGHTS_SHOWN = 10  # every tenth of the weights that were tried
FEW_EFFECTIVE = 0.1  # of the leads that are learned from: with a half-life, older ones hardly count
LARGE_SHIFT = np.log(1.5)  # log-odds: the early wins of the newest leads differ much


def describe_estimator(findings: Findings, project: Project) -> dict[str, Any]:
    """Return the `estimator` of the model card: what was fitted, with which settings, and why.

    Parameters
    ----------
    findings : Findings
    project : Project

    Returns
    -------
    dict
    """
    final, settings = findings.final, findings.final.settings
    if isinstance(final.estimator, BaseRate) or settings is None:
        moments = findings.moments
        low, high = share_interval(moments.label, moments.weight, moments.lead)
        return {
            "kind": "base rate",
            "why": f"There are fewer than {FEWEST_OUTCOMES} training leads with the rarer outcome, "
            "too few for a model. So every lead gets the share of wins, which is between "
            f"{100 * low:.1f} % and {100 * high:.1f} % (95 % interval)",
            "low": low,
            "high": high,
        }
    tuning: dict[str, Any] = {}
    parameters: Mapping[str, Any] = project.learn.trees.parameters
    if findings.trials:
        best_trial = best_of(findings.trials)
        parameters = best_trial.parameters
        tuning = {
            "settings_tried": len(findings.trials),
            "log_loss_of_the_best": best_trial.log_loss,
            "log_loss_of_the_defaults": findings.trials[0].log_loss,
        }
    return {
        "kind": "a weighted average, in log-odds, of a logistic regression and bagged boosted "
        "trees, with Platt calibration out of fold",
        "why": settings.why,
        "weights_tried": [list(pair) for pair in settings.losses[::WEIGHTS_SHOWN]],
        **_chosen(final),
        "effective_leads": None
        if final.half_life is None
        else effective_leads(findings.moments, final.half_life),
        "parameters": TREE_PARAMETERS | dict(parameters) | {"seed": project.learn.seed},
        **tuning,
        **_judged(findings),
        **_newest(final),
        "remedies_tried": [
            remedy._asdict() | {"by_cut_off": list(remedy.by_cut_off)}
            for remedy in findings.remedies.tried
        ],
    }


def _chosen(fitted: Fitted) -> dict[str, Any]:
    """Return what a procedure chose; empty for a base rate."""
    settings = fitted.settings
    if settings is None:
        return {}
    return {
        "logistic_weight": settings.logistic_weight,
        "logistic_strength": settings.logistic.strength,
        "logistic_step_strength": settings.logistic.step_strength,
        "logistic_reach": settings.logistic.reach,
        "logistic_drift": settings.logistic.drift,
        "rounds": settings.rounds,
        "half_life": None if fitted.half_life is None else str(fitted.half_life),
        "newest_moments": fitted.for_newest or None,
        "early_shift": fitted.early_shift,
        "interactions": [" with ".join(i.columns) for i in fitted.pipeline.interactions],
        "calibration_slope": fitted.calibration.slope,
        "calibration_intercept": fitted.calibration.intercept,
    }


def _judged(findings: Findings) -> dict[str, Any]:
    """Return the settings of the model that the test evaluated, and how far its scores differ."""
    judged = findings.evaluated_model
    if judged is None:
        return {}
    test, final = findings.split.test, findings.final
    features = final.pipeline.transform(findings.records, test.lead, test.as_of)
    points = POINTS * np.abs(final.log_odds_of(features) - judged.margin)
    return {
        "judged": _chosen(judged.fitted),
        "points_from_judged": float(np.average(points, weights=test.weight)),
    }


def _newest(final: Fitted) -> dict[str, Any]:
    """Return how the chosen settings do on the newest leads, fitted to the older ones."""
    if final.newest is None:
        return {}
    difference, low, high = final.newest.gained
    return {
        "newest": {
            **final.newest.evaluation.to_json(),
            "less_base_rate": {"value": difference, "low": low, "high": high},
        }
    }


def short_half_life(findings: Findings, project: Project) -> list[str]:
    """Return a warning if nearly all leads are too old to count with a declared half-life.

    Parameters
    ----------
    findings : Findings
    project : Project

    Returns
    -------
    list of str
        One sentence, or none.
    """
    moments, days = findings.moments, project.learn.half_life_days
    n_leads = len(np.unique(moments.lead))
    effective = effective_leads(moments, findings.final.half_life)
    if days is None or effective >= FEW_EFFECTIVE * n_leads:
        return []
    return [
        f"[learn] half_life_days = {days:g} is very short: most of the {n_leads:,} leads hardly "
        f"count, so the model learns as if it had only {effective:,.0f} (Kish's effective sample "
        "size). Increase it, or remove it so that training chooses a half-life."
    ]


def early_wins(findings: Findings) -> list[str]:
    """Return a warning if the newest leads have other early wins than the model expects.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    list of str
        One sentence, or none.
    """
    shift, for_newest = findings.final.early_shift, findings.final.for_newest
    if shift is None or abs(shift) < LARGE_SHIFT:
        return []
    more, rose = ("more", "risen") if shift > 0 else ("fewer", "fallen")
    if for_newest == EARLY_WINS:
        then = "The scores take this into account"
    elif for_newest == EXPECTED_LABELS:
        then = "The model learned from these leads, but its scores do not contain this change"
    elif any(remedy.name in (EARLY_WINS, EXPECTED_LABELS) for remedy in findings.remedies.tried):
        then = "The scores do not take this into account, because it did not help earlier"
    else:
        then = "The scores do not take this into account"
    expected = "leads like them had before"
    if for_newest == EXPECTED_LABELS:
        expected = "the model expects"
    return [
        f"The newest leads, whose horizon is not over, have {more} early wins than {expected}: the "
        f"odds of a win seem to have {rose} by a factor of {np.exp(abs(shift)):.1f}. {then}. Train "
        "again when their horizon is over."
    ]
