"""Trains: learns from the older leads, is judged by the newest, then learns from all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from scipy.special import logit

from crm.arrays import Floats
from crm.errors import LearningError
from crm.project import Project, role_columns
from crm.records import Records
from features.fitting import fit_pipeline, training_matrix
from features.leaks.audit import Audit, audit
from features.leaks.checks import Verdict
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from models.card import NOT_PINNED
from models.estimator.blend import BaseRate
from models.evaluation.metrics import Evaluation, evaluate, loss_difference
from models.fitting.blend import FEWEST_OUTCOMES
from models.fitting.logistic import fit_logistic
from models.scale import Scale, read_grades
from models.scorer import LeadCells, LeadScorer
from training.describe import Findings, Judged, describe
from training.fit import check_directions, choosing, fit
from training.golden import golden_leads
from training.split import Split, hold_out, unjudged
from training.tuning import Trial, tune

OnShare = Callable[[str, float], None]

TUNING_SHARE = 0.6  # of the whole, on a progress bar
JUDGING_SHARE = 0.65  # of the rest, to learn from the older leads and be judged


@dataclass(frozen=True)
class Trained:
    """A new model and everything that was found out about it.

    Attributes
    ----------
    scorer : LeadScorer
        Refitted on all mature moments.
    golden_leads : list of LeadCells
        Made-up leads for the artefact.
    golden_as_of : int
        Their moment of scoring.
    judged : Judged or None
        The model fitted on the training moments only, with its figures; None where nobody
        could be held out to judge.
    audit : Audit
        What the leak audit found; the model does not look at leaks and suspects.
    moments : Moments
        All that the scorer learned from.
    split : Split
        Which of them judged, and which were learned from to be judged.
    trials : tuple of Trial
        Settings that were tried, if any were.
    """

    scorer: LeadScorer
    golden_leads: list[LeadCells]
    golden_as_of: int
    judged: Judged | None
    audit: Audit
    moments: Moments
    split: Split
    trials: tuple[Trial, ...] = ()

    @property
    def test_margin(self) -> Floats:
        """Calibrated log-odds of the test moments, from the model that never saw them."""
        return self.judged.margin if self.judged else np.empty(0)

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """What was judged, on the same moments: the model is `test`, then the baselines."""
        return {"test": self.judged.test, **self.judged.baselines} if self.judged else {}


def train(
    project: Project,
    records: Records,
    *,
    now: datetime,
    pinned: Scale | None = None,
    tune_minutes: float | None = None,
    on_share: OnShare = lambda what, share: None,
) -> Trained:
    """Train a model for a project.

    Parameters
    ----------
    project : Project
    records : Records
    now : datetime, timezone-aware
        Written into the card; nothing else depends on it.
    pinned : Scale, optional
        The scale of the champions so far; what the project file says of it goes first.
    tune_minutes : float, optional
        How long to search for better settings of the trees.
    on_share : callable, optional
        Told what is being done and the share of the whole that is done, 0 … 1.

    Returns
    -------
    Trained

    Raises
    ------
    LearningError
        If there is nothing to learn: no outcome is certain, all leads have the same, or no
        column tells two of them apart.
    SchemaError
        If an attribute cannot be read.
    ConfigError
        If the project file's directions, half-life or grades do not fit the records.
    """
    seed = project.learn.seed
    moments = make_moments(records, project.learn)
    scale, pinned_by = _scale(project, moments, pinned)
    on_share("Auditing for leaks", 0.0)
    audited = audit(records, moments, project)
    later = known_later(audited)
    if project.learn.rising or project.learn.falling:
        check_directions(fit_pipeline(records, moments, project, later), project)
    split = hold_out(records, moments, project.learn)
    parameters, trials = tuned_parameters(records, split, project, later, tune_minutes, on_share)
    untuned = _untuned(split) if tune_minutes is not None and not trials else ""
    done = TUNING_SHARE if trials else 0.0

    def told(what: str, share: float) -> None:
        on_share(what, done + (1 - done) * share)

    judged = None
    if split.is_judged:
        try:
            judged = _judge(records, split, project, later, parameters, told)
        except LearningError as error:
            split = unjudged(moments, f"From the training leads alone nothing is learned: {error}")
    began = JUDGING_SHARE if judged else 0.0
    final = fit(
        records,
        moments,
        project,
        later,
        like=judged.fitted if judged else None,
        tree_parameters=parameters,
        on_share=lambda share: told("Learning from all leads", began + (1 - began) * share),
    )
    as_of = int(moments.as_of.max())  # NOT_A_TIME where there are no times
    scorer = LeadScorer(
        pipeline=final.pipeline,
        estimator=final.estimator,
        calibration=final.calibration,
        scale=scale,
        roles=role_columns(project),
        timezone=project.leads.timezone,
        time_format=project.leads.time_format,
        card=describe(
            project,
            records,
            Findings(moments, split, audited, judged, final, trials, untuned),
            scale=scale,
            pinned_by=pinned_by,
            now=now,
        ),
    )
    told("Learning from all leads", 1.0)
    return Trained(
        scorer=scorer,
        golden_leads=golden_leads(final.pipeline, records.leads, as_of, seed),
        golden_as_of=as_of,
        judged=judged,
        audit=audited,
        moments=moments,
        split=split,
        trials=trials,
    )


def known_later(audited: Audit) -> dict[str, str]:
    """Return the columns that the audit keeps out of the model, with the evidence for each."""
    return {
        column.attribute: f"the leak audit calls it a {column.verdict}: "
        + " ".join(
            f"{finding.number} {finding.evidence}"
            for finding in column.findings
            if finding.verdict is not Verdict.FINE
        )
        for column in audited.attributes
        if column.verdict is not Verdict.FINE
    }


def _scale(project: Project, moments: Moments, pinned: Scale | None) -> tuple[Scale, str]:
    """Give the sales scale, and who or what holds it from version to version."""
    own = Scale(BaseRate.fit(moments.label, moments.weight).log_odds)
    scale, pinned_by = (pinned, "the first promotion") if pinned else (own, NOT_PINNED)
    base, grades = scale.base_log_odds, scale.grades
    if project.scale.base_rate is not None:
        base, pinned_by = float(logit(project.scale.base_rate)), "the project file"
    if project.scale.grades is not None:
        grades = read_grades(project.scale.grades)
    return Scale(base, grades), pinned_by


def tuned_parameters(
    records: Records,
    split: Split,
    project: Project,
    later: Mapping[str, str],
    minutes: float | None,
    on_share: OnShare = lambda what, share: None,
) -> tuple[Mapping[str, Any] | None, tuple[Trial, ...]]:
    """Search for better settings of the trees, on training leads only; of a base rate for none."""
    has_trees = split.train.rarer >= FEWEST_OUTCOMES
    sides = choosing(records, split.train, project, later) if minutes and has_trees else None
    if minutes is None or sides is None:
        return None, ()

    def told(trial: Trial, share: float) -> None:
        on_share(f"Tuning: setting {trial.number + 1}", TUNING_SHARE * share)

    return tune(*sides, minutes=minutes, seed=project.learn.seed, on_trial=told)


def _untuned(split: Split) -> str:
    """Say why a search that was asked for did not take place."""
    if split.train.rarer < FEWEST_OUTCOMES:
        why = (
            f"fewer than {FEWEST_OUTCOMES} leads of the rarer outcome teach the base rate, which "
            "has no settings"
        )
    else:
        why = (
            "the newest training leads and those whose outcome was known before do not both hold "
            "wins and losses, so there is nothing to compare settings by"
        )
    return f"Nothing was tuned, though it was asked for: {why}."


def _judge(
    records: Records,
    split: Split,
    project: Project,
    later: Mapping[str, str],
    parameters: Mapping[str, Any] | None,
    told: OnShare,
) -> Judged:
    """Fit to the training moments, and judge by the test moments, beside the baselines."""
    seed = project.learn.seed
    fitted = fit(
        records,
        split.train,
        project,
        later,
        tree_parameters=parameters,
        on_share=lambda share: told("Learning", 0.55 * share),
    )
    told("Judging on the newest leads", 0.55)
    features = fitted.pipeline.transform(records, split.test.lead, split.test.as_of)
    margin = fitted.log_odds_of(features)
    baselines = _baselines(records, split, fitted.pipeline, features, seed)
    judges = (split.test.label, split.test.weight, split.test.lead, seed)
    return Judged(
        fitted=fitted,
        margin=margin,
        test=evaluate(margin, *judges),
        baselines={name: evaluate(other, *judges) for name, other in baselines.items()},
        gained={name: loss_difference(margin, other, *judges) for name, other in baselines.items()},
    )


def _baselines(
    records: Records,
    split: Split,
    pipeline: FeaturePipeline,
    test_features: Floats,
    seed: int,
) -> dict[str, Floats]:
    """Give what simpler models say of the test moments."""
    label, weight = split.train.label, split.train.weight
    base_rate = BaseRate.fit(label, weight)
    matrix = training_matrix(pipeline, records, split.train, seed)
    logistic = fit_logistic(matrix, label, weight, pipeline.categorical, growing=pipeline.growing)
    return {
        "base_rate": base_rate.log_odds_of(test_features),
        "logistic": logistic.log_odds_of(test_features),
    }
