"""Builds the model card of a training."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from crm.arrays import Floats
from crm.left_out import left_out_rows
from crm.project import Project
from crm.records import Records
from crm.times import DAY, microseconds
from crm.version import VERSION
from features.leaks.audit import Audit
from features.moments import FEWEST_OUTCOMES, Moments
from models.card import ModelCard, question_of
from models.estimator.blend import BaseRate
from models.evaluation.importance import rank_signals
from models.evaluation.intervals import share_interval
from models.evaluation.metrics import (
    FEWEST_TO_JUDGE,
    Evaluation,
    by_grade,
    evaluate,
    gains,
    reliability,
)
from models.fitting.split import Split
from models.fitting.trees import TREE_PARAMETERS
from models.reasons import Reasoner
from models.scale import POINTS, Scale
from training.attribute_shares import learned_shares, newest_lead_notes
from training.fit import Fitted
from training.readiness import Readiness, assess_readiness, unknown_readiness
from training.remedies import Remedies, in_words
from training.rolling import Rolling
from training.segments import evaluate_fairness, evaluate_segments
from training.tuning import Trial, best_of

PACKAGES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
WEIGHTS_SHOWN = 10  # every tenth of the weights that were tried
LARGE_SHIFT = np.log(1.5)  # log-odds: the early wins of the newest leads differ much
SELECTED = 2  # the number of best grades that sales is expected to work first


@dataclass(frozen=True)
class EvaluatedModel:
    """A model that was fitted on the training moments only, evaluated on the test moments.

    Attributes
    ----------
    fitted : Fitted
    remedies : Remedies
        Those that were chosen for it.
    margin : ndarray of float64, shape (len(split.test),)
        Calibrated log-odds of the test moments.
    test : Evaluation
    baselines : dict of str to Evaluation
        The evaluations of `base_rate` and `logistic` on the same moments.
    gained : dict of str to (float, float, float)
        The model's log loss minus the baseline's, with its interval, by baseline.
    rolling : Rolling
        The same procedure, evaluated at earlier cut-offs too.
    """

    fitted: Fitted
    remedies: Remedies
    margin: Floats
    test: Evaluation
    baselines: dict[str, Evaluation]
    gained: dict[str, tuple[float, float, float]]
    rolling: Rolling


@dataclass(frozen=True)
class Findings:
    """The results of a training that the card describes.

    Attributes
    ----------
    records : Records
    moments : Moments
        All mature moments.
    split : Split
    audited : Audit
    evaluated_model : EvaluatedModel or None
        None if no leads could be held out.
    final : Fitted
        Fitted on all moments.
    remedies : Remedies
        Those that were chosen for it.
    trials : tuple of Trial
        Settings of the trees that were tried; empty without tuning.
    untuned : str
        The reason why requested tuning was not possible; otherwise empty.
    """

    records: Records
    moments: Moments
    split: Split
    audited: Audit
    evaluated_model: EvaluatedModel | None
    final: Fitted
    remedies: Remedies
    trials: tuple[Trial, ...]
    untuned: str


def describe(
    project: Project,
    records: Records,
    findings: Findings,
    *,
    scale: Scale,
    pinned_by: str,
    now: datetime,
) -> ModelCard:
    """Build the card of a model.

    Parameters
    ----------
    project : Project
    records : Records
    findings : Findings
    scale : Scale
    pinned_by : str
        What pins the scale, such as "the first promotion".
    now : datetime, timezone-aware

    Returns
    -------
    ModelCard
    """
    seed, final, evaluated_model = project.learn.seed, findings.final, findings.evaluated_model
    pipeline = final.pipeline
    reasoner = Reasoner(pipeline.features, final.estimator, final.calibration, scale)
    explained = findings.split.test if evaluated_model else findings.moments
    return ModelCard(
        name=project.name,
        simulated=project.simulated,
        trained_at=now.isoformat(timespec="seconds"),
        learned_from=_learned_from(records, findings.moments, findings.split),
        question=question_of(project, records.has_times),
        features=pipeline.names,
        left_out=[{"column": left.column, "reason": left.reason} for left in pipeline.left_out],
        test=_test(records, findings.split, evaluated_model, scale, seed),
        baselines={name: baseline.to_json() for name, baseline in evaluated_model.baselines.items()}
        if evaluated_model
        else {},
        estimator=_estimator(findings, project),
        digests=dict(records.digests),
        versions=_versions(),
        notes=_notes(records, findings, now),
        left_out_rows=left_out_rows(records.left_out),
        readiness=_readiness(records, findings).to_json(),
        scale={
            "base_rate": float(expit(scale.base_log_odds)),
            "grades": [list(grade) for grade in scale.grades],
            "pinned_by": pinned_by,
        },
        importance=rank_signals(
            reasoner, pipeline.transform(records, explained.lead, explained.as_of), seed
        ),
        segments=_segments(records, findings.split.test, evaluated_model),
        fairness=_fairness(records, project, findings.split.test, evaluated_model, scale),
        audit=findings.audited.to_json()["fields"],
        attribute_shares=[
            asdict(share) for share in learned_shares(pipeline, records, findings.moments)
        ],
    )


def _test(
    records: Records, split: Split, evaluated_model: EvaluatedModel | None, scale: Scale, seed: int
) -> dict[str, Any]:
    if evaluated_model is None:
        return {"not_judged": split.how}
    margin, test = evaluated_model.margin, split.test
    label, weight, lead = test.label, test.weight, test.lead
    probability = expit(margin)
    grade = scale.grade(scale.score(probability))
    return {
        **evaluated_model.test.to_json(),
        "how": split.how,
        "by_age": _by_age(margin, records, test, seed),
        "by_cut_off": [cut_off.to_json() for cut_off in reversed(evaluated_model.rolling.cut_offs)],
        "cut_offs_left_out": list(evaluated_model.rolling.left_out),
        "by_grade": by_grade(probability, grade, label, weight, lead),
        "reliability": reliability(margin, label, weight, lead),
        "gains": gains(margin, label, weight, lead, seed),
    }


def _readiness(records: Records, findings: Findings) -> Readiness:
    left_out = [column.attribute for column in findings.audited.attributes if column.line]
    if findings.evaluated_model is None:
        return unknown_readiness(findings.split, left_out=left_out)
    return assess_readiness(
        findings.evaluated_model.test,
        findings.evaluated_model.baselines,
        findings.evaluated_model.gained,
        findings.split,
        in_order=records.in_order,
        left_out=left_out,
        remedies=in_words(findings.evaluated_model.remedies),
    )


def _segments(
    records: Records, test: Moments, evaluated_model: EvaluatedModel | None
) -> list[dict[str, Any]]:
    if evaluated_model is None:
        return []
    return evaluate_segments(records, evaluated_model.fitted.pipeline, test, evaluated_model.margin)


def _fairness(
    records: Records,
    project: Project,
    test: Moments,
    evaluated_model: EvaluatedModel | None,
    scale: Scale,
) -> list[dict[str, Any]]:
    if evaluated_model is None:
        return []
    grade = scale.grade(scale.score(expit(evaluated_model.margin)))
    best_grades = [letter for letter, _ in scale.grades[:SELECTED]]
    return evaluate_fairness(
        records, project, test, evaluated_model.margin, np.isin(grade, best_grades)
    )


def _estimator(findings: Findings, project: Project) -> dict[str, Any]:
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


def _by_age(margin: Floats, records: Records, moments: Moments, seed: int) -> list[dict[str, Any]]:
    """Evaluate the moments at each age of the leads; return no rows without times."""
    if not moments.has_times:
        return []
    age = moments.as_of - microseconds(records.leads["created_at"])[moments.lead]
    rows: list[dict[str, Any]] = []
    for age_of_rows in np.unique(age):
        chosen = age == age_of_rows
        label, days = moments.label[chosen], float(age_of_rows / DAY)
        rarer = int(min(label.sum(), len(label) - label.sum()))
        if rarer < FEWEST_TO_JUDGE:
            rows.append({"age_days": days, "n": len(label), "verdict": "too few to judge"})
            continue
        evaluation = evaluate(
            margin[chosen], label, moments.weight[chosen], moments.lead[chosen], seed
        )
        rows.append({"age_days": days, **evaluation.to_json()})
    return rows


def _learned_from(records: Records, moments: Moments, split: Split) -> dict[str, Any]:
    facts: dict[str, Any] = {
        **moments.counts,
        "learned_leads": len(np.unique(moments.lead)),
        "train_moments": len(split.train),
        "test_moments": len(split.test),
        "embargoed": split.embargoed,
        "base_rate": float(np.average(moments.label, weights=moments.weight)),
    }
    if moments.has_times:
        window = pd.to_datetime(moments.as_of[[0, -1]], unit="us", utc=True)
        facts["from"], facts["to"] = (moment.isoformat() for moment in window)
        if split.has_test:
            facts["test_from"] = pd.Timestamp(
                split.test.as_of.min(), unit="us", tz="UTC"
            ).isoformat()
        facts["observed_until"] = str(records.observed_until)
    return facts


def _notes(records: Records, findings: Findings, now: datetime) -> list[str]:
    notes = [*records.notes, *([findings.untuned] if findings.untuned else [])]
    if not records.has_times:
        notes.append(
            "The leads have no creation time, so nothing prevents the model from learning what "
            "became known only after the moment of scoring. If a column contains the creation "
            "time, name it in [leads] created_at."
        )
    if findings.evaluated_model and not records.in_order:
        notes.append(
            f"The test leads are the {findings.split.how}: expect worse figures for newer leads."
        )
    notes += _early_wins(findings)
    return notes + newest_lead_notes(findings.final.pipeline, records, now)


def _early_wins(findings: Findings) -> list[str]:
    """Warn if the newest leads have more or fewer early wins than the model expects."""
    shift, for_newest = findings.final.early_shift, findings.final.for_newest
    if shift is None or abs(shift) < LARGE_SHIFT:
        return []
    more, rose = ("more", "risen") if shift > 0 else ("fewer", "fallen")
    if for_newest:
        then = "The scores take this into account"
    elif findings.remedies.tried:
        then = "The scores do not take this into account, because it did not help earlier"
    else:
        then = "The scores do not take this into account"
    return [
        f"The newest leads, whose horizon is not over, have {more} early wins than leads like them "
        f"had before: the odds of a win seem to have {rose} by a factor of "
        f"{np.exp(abs(shift)):.1f}. {then}. Train again when their horizon is over."
    ]


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"leadscore": VERSION, "python": platform.python_version()} | packages
