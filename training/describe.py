"""Builds the model card of a training."""

import importlib.metadata
import platform
from dataclasses import asdict
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
from features.moments import Moments
from models.card import ModelCard, question_of
from models.evaluation.importance import rank_signals
from models.evaluation.metrics import (
    FEWEST_TO_JUDGE,
    by_grade,
    evaluate,
    gains,
    reliability,
)
from models.fitting.split import Split
from models.reasons import Reasoner
from models.scale import Scale
from training.attribute_shares import learned_shares, newest_lead_notes
from training.describe_estimator import describe_estimator, early_wins, short_half_life
from training.findings import EvaluatedModel, Findings
from training.readiness import Readiness, assess_readiness, unknown_readiness
from training.reference import describe_reference
from training.remedies import in_words
from training.segments import evaluate_fairness, evaluate_segments

PACKAGES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
SELECTED = 2  # the number of best grades that sales is expected to work first


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
        estimator=describe_estimator(findings, project),
        digests=dict(records.digests),
        versions=_versions(),
        notes=_notes(records, findings, project, now),
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
        reference=describe_reference(
            records,
            findings.moments,
            final,
            scale,
            seed,
        ).to_json(),
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
        "by_cut_off": _by_cut_off(evaluated_model),
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


def _by_cut_off(evaluated_model: EvaluatedModel) -> list[dict[str, Any]]:
    """Return the figures of each cut-off, in the order of time.

    The last cut-off is that of the test, and has its intervals.
    """
    rows = [cut_off.to_json() for cut_off in reversed(evaluated_model.rolling.cut_offs)]
    if rows:
        intervals = evaluated_model.test.intervals
        rows[-1]["intervals"] = {name: list(intervals[name]) for name in rows[-1]["intervals"]}
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


def _notes(records: Records, findings: Findings, project: Project, now: datetime) -> list[str]:
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
    notes += short_half_life(findings, project) + early_wins(findings)
    return notes + newest_lead_notes(findings.final.pipeline, records, now)


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"leadscore": VERSION, "python": platform.python_version()} | packages
