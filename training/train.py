"""Trains: learns from the older leads, is judged by the newest, then learns from all."""

import importlib.metadata
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.project import Project
from crm.records import Records
from features.audit import Audit, Verdict, audit
from features.fitting import fit_pipeline, role_columns, training_matrix
from features.moments import MICROSECONDS_PER_DAY, Moments, make_moments, microseconds
from features.pipeline import FeaturePipeline
from models.calibration import Calibration, fit_calibration
from models.card import ModelCard
from models.estimators import (
    TREE_PARAMETERS,
    BaseRate,
    BoostedTrees,
    Logistic,
    fit_trees,
)
from models.scale import Scale
from models.scorer import LeadCells, LeadScorer
from training.evaluation import Evaluation, evaluate, gains, reliability
from training.golden import golden_leads
from training.split import Split, split_newest
from training.tuning import Trial

FEWEST_TO_JUDGE = 10  # outcomes of the rarer class
PACKAGES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy")

OnShare = Callable[[str, float], None]


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
    test : Evaluation
        Of the model fitted on the training moments only.
    baselines : dict of str to Evaluation
        `base_rate` and `logistic`, on the same moments.
    audit : Audit
        What the leak audit found; the model does not look at leaks and suspects.
    reliability, gains : list of dict
        What the plots show.
    moments : Moments
        All that the scorer learned from.
    split : Split
        Which of them judged, and which were learned from to be judged.
    test_margin : ndarray of float64, shape (len(split.test),)
        Calibrated log-odds of the test moments, from the model that never saw them.
    trials : tuple of Trial
        Settings that were tried, if any were.
    """

    scorer: LeadScorer
    golden_leads: list[LeadCells]
    golden_as_of: int
    test: Evaluation
    baselines: dict[str, Evaluation]
    audit: Audit
    reliability: list[dict[str, float]]
    gains: list[dict[str, float]]
    moments: Moments
    split: Split
    test_margin: NDArray[np.float64]
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class _Fitted:
    """A pipeline, trees and calibration that were fitted on the same moments."""

    pipeline: FeaturePipeline
    trees: BoostedTrees
    calibration: Calibration
    rounds: int

    def margin(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.calibration.margin(self.trees.margin(features))


def train(
    project: Project,
    records: Records,
    *,
    now: datetime,
    on_share: OnShare = lambda what, share: None,
) -> Trained:
    """Train a model for a project.

    Parameters
    ----------
    project : Project
    records : Records
    now : datetime, timezone-aware
        Written into the card; nothing else depends on it.
    on_share : callable, optional
        Told what is being done and the share of the whole that is done, 0 … 1.

    Returns
    -------
    Trained

    Raises
    ------
    LearningError
        If there is nothing to learn.
    SchemaError
        If an attribute cannot be read.
    """
    seed = project.learn.seed
    moments = make_moments(records, project.learn)
    on_share("Auditing for leaks", 0.0)
    audited = audit(records, moments, project)
    later = _known_later(audited)
    split = split_newest(records, moments, project.learn.test_share, seed)

    judged = _fit(
        records, split.train, project, later, lambda share: on_share("Learning", 0.45 * share)
    )
    on_share("Judging on the newest leads", 0.45)
    features = judged.pipeline.transform(records, split.test)
    margin = judged.margin(features)
    test = _evaluate(margin, split.test, seed)
    baselines = _baselines(records, split, judged.pipeline, features, seed)

    final = _fit(
        records,
        moments,
        project,
        later,
        lambda share: on_share("Learning from all leads", 0.55 + 0.45 * share),
    )
    base_rate = BaseRate.fit(moments.label, moments.weight)
    as_of = int(moments.as_of.max())  # NOT_A_TIME where there are no times
    card = ModelCard(
        name=project.name,
        simulated=project.simulated,
        trained_at=now.isoformat(timespec="seconds"),
        learned_from=_learned_from(records, moments, split),
        label={
            "won": list(map(str, project.learn.won)),
            "horizon_days": _horizon(records, project),
        },
        features=final.pipeline.names,
        left_out=[
            {"column": left.column, "reason": left.reason} for left in final.pipeline.left_out
        ],
        test={
            **test.to_json(),
            "how": split.how,
            "by_age": _by_age(margin, records, split.test, seed),
        },
        baselines={name: found.to_json() for name, found in baselines.items()},
        estimator={
            "kind": "boosted trees, Platt-calibrated out of fold",
            "rounds": final.rounds,
            "parameters": TREE_PARAMETERS | {"seed": seed},
            "calibration_slope": final.calibration.slope,
        },
        digests=dict(records.digests),
        versions=_versions(),
        notes=_notes(records, split),
    )
    scorer = LeadScorer(
        pipeline=final.pipeline,
        trees=final.trees,
        calibration=final.calibration,
        scale=Scale(base_rate.log_odds),
        roles=role_columns(project),
        timezone=project.leads.timezone,
        time_format=project.leads.time_format,
        card=card,
    )
    on_share("Learning from all leads", 1.0)
    return Trained(
        scorer=scorer,
        golden_leads=golden_leads(final.pipeline, records.leads, as_of, seed),
        golden_as_of=as_of,
        audit=audited,
        test=test,
        baselines=baselines,
        reliability=reliability(margin, split.test.label, split.test.weight),
        gains=gains(margin, split.test.label, split.test.weight),
        moments=moments,
        split=split,
        test_margin=margin,
    )


def _fit(
    records: Records,
    moments: Moments,
    project: Project,
    known_later: Mapping[str, str],
    on_share: Callable[[float], None],
) -> _Fitted:
    pipeline = fit_pipeline(records, moments, project, known_later)
    found = fit_trees(
        training_matrix(pipeline, records, moments, project.learn.seed),
        moments.label,
        moments.weight,
        moments.lead,
        pipeline.categorical,
        seed=project.learn.seed,
        on_share=on_share,
    )
    calibration = fit_calibration(found.out_of_fold, moments.label, moments.weight)
    return _Fitted(pipeline, found.trees, calibration, found.rounds)


def _known_later(audited: Audit) -> dict[str, str]:
    """Name the fields that the audit keeps out of the model, each with its evidence."""
    return {
        field.field: f"the leak audit calls it a {field.verdict}: "
        + " ".join(
            f"{check.number} {check.evidence}"
            for check in field.checks
            if check.verdict is not Verdict.FINE
        )
        for field in audited.fields
        if field.verdict is not Verdict.FINE
    }


def _baselines(
    records: Records,
    split: Split,
    pipeline: FeaturePipeline,
    test_features: NDArray[np.float64],
    seed: int,
) -> dict[str, Evaluation]:
    label, weight = split.train.label, split.train.weight
    base_rate = BaseRate.fit(label, weight)
    logistic = Logistic.fit(
        training_matrix(pipeline, records, split.train, seed), label, weight, pipeline.categorical
    )
    return {
        "base_rate": _evaluate(base_rate.margin(test_features), split.test, seed),
        "logistic": _evaluate(logistic.margin(test_features), split.test, seed),
    }


def _evaluate(margin: NDArray[np.float64], moments: Moments, seed: int) -> Evaluation:
    return evaluate(margin, moments.label, moments.weight, moments.lead, seed)


def _by_age(
    margin: NDArray[np.float64], records: Records, moments: Moments, seed: int
) -> list[dict[str, Any]]:
    """Judge moments of each age of the lead on their own; without times there is one age."""
    if not moments.has_times:
        return []
    age = moments.as_of - microseconds(records.leads["created_at"])[moments.lead]
    rows: list[dict[str, Any]] = []
    for each in np.unique(age):
        chosen = age == each
        label, days = moments.label[chosen], float(each / MICROSECONDS_PER_DAY)
        rarer = int(min(label.sum(), len(label) - label.sum()))
        if rarer < FEWEST_TO_JUDGE:
            rows.append({"age_days": days, "n": len(label), "verdict": "too few to judge"})
            continue
        found = _evaluate(margin[chosen], moments.take(chosen), seed)
        rows.append({"age_days": days, **found.to_json()})
    return rows


def _learned_from(records: Records, moments: Moments, split: Split) -> dict[str, Any]:
    facts: dict[str, Any] = {
        **moments.counts,
        "train_moments": len(split.train),
        "test_moments": len(split.test),
        "embargoed": split.embargoed,
        "base_rate": float(np.average(moments.label, weights=moments.weight)),
    }
    if moments.has_times:
        window = pd.to_datetime(moments.as_of[[0, -1]], unit="us", utc=True)
        facts["from"], facts["to"] = (moment.isoformat() for moment in window)
        facts["test_from"] = pd.Timestamp(split.test.as_of.min(), unit="us", tz="UTC").isoformat()
        facts["observed_until"] = str(records.observed_until)
    return facts


def _horizon(records: Records, project: Project) -> float | None:
    return project.learn.horizon_days if records.has_times else None


def _notes(records: Records, split: Split) -> list[str]:
    notes = list(records.notes)
    if not records.has_times:
        notes.append(
            "The leads have no time of creation: nothing protects this model from having learned "
            "what became known only after the moment of scoring. Name created_at if there is one."
        )
    if not records.in_order:
        notes.append(f"The test leads are the {split.how}: expect the newest leads to be harder.")
    return notes


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | packages
