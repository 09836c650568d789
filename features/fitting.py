"""Fits a pipeline: decides what each column is, and learns from training moments only."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints, Labels
from crm.cells import cell_text, text_column
from crm.errors import LearningError
from crm.project import Project, role_columns
from crm.records import Records
from crm.tables import TABLES
from crm.times import MILLISECONDS, NOT_A_TIME, microseconds
from features.activity import fit_activities
from features.attributes.attribute import Attribute, CategoryAttribute, LeftOut, fit_attribute
from features.attributes.kinds import (
    NO,
    YES,
    DateAttribute,
    EmailAttribute,
    FlagAttribute,
    TargetAttribute,
    fit_target,
)
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.stages import fit_stages
from features.times import cell_time

MANY_VALUES = 25  # native categories up to here, target encoding above (docs/decisions/0007)
N_FOLDS = 5
SAMPLE = 1_000
LATE = cell_time("2050-01-01")


def fit_pipeline(
    records: Records,
    moments: Moments,
    project: Project,
    known_later: Mapping[str, str] | None = None,
) -> FeaturePipeline:
    """Learn from the leads of some moments how to turn leads into numbers.

    Only the leads that the moments name are looked at, and their activities and stages only
    up to the last moment of each; so a pipeline fitted on training moments has seen nothing
    of the test leads, and nothing of what came after.

    Parameters
    ----------
    records : Records
    moments : Moments
        With labels, which target encodings are learned from.
    project : Project
    known_later : mapping of str to str, optional
        Columns to leave out besides those that the project names, with the reason: what
        the leak audit found.

    Returns
    -------
    FeaturePipeline

    Raises
    ------
    LearningError
        If no column is left to learn from.
    """
    rows = np.unique(moments.lead)
    leads = records.leads.iloc[rows]
    excluded = {**(known_later or {}), **_excluded(project)}
    attributes: list[Attribute] = []
    left_out: list[LeftOut] = []
    for column in _attribute_columns(leads, project):
        if column in excluded:
            left_out.append(LeftOut(column, excluded[column]))
            continue
        fitted = _fit_column(leads[column], records.leads[column], moments, project)
        if isinstance(fitted, LeftOut):
            left_out.append(fitted)
        else:
            attributes.extend(fitted)
    has_activities = records.activities is not None and records.has_times
    has_stages = records.stages is not None and records.has_times
    if not attributes and not has_activities and not has_stages:
        reasons = "; ".join(f"`{left.column}`: {left.reason}" for left in left_out[:8])
        raise LearningError(
            f"No column of the leads is left to learn from. {reasons or 'There is none'}. "
            "Export attributes with the leads, or loosen [columns]."
        )
    activities = _seen(records, "activities", moments) if has_activities else None
    stages = _seen(records, "stages", moments) if has_stages else None
    return FeaturePipeline(
        attributes=tuple(attributes),
        left_out=tuple(left_out),
        has_times=records.has_times,
        activities=None if activities is None else fit_activities(activities),
        stages=None if stages is None else fit_stages(stages),
    )


def training_matrix(
    pipeline: FeaturePipeline, records: Records, moments: Moments, seed: int
) -> Floats:
    """Compute the features of the moments that the pipeline was fitted on.

    As `FeaturePipeline.transform`, but what was learned from labels is learned for each
    moment from other leads only: the estimator must not meet its own answers.

    Returns
    -------
    ndarray of float64, shape (n, n_features), Fortran order
    """
    values = pipeline.transform(records, moments)
    fold_of = folds(moments.label, moments.lead, seed, N_FOLDS)
    for i, attribute in enumerate(pipeline.attributes):
        if not isinstance(attribute, TargetAttribute):
            continue
        column = records.leads[attribute.column].iloc[moments.lead]
        for fold in range(int(fold_of.max()) + 1):
            held = fold_of == fold
            other = fit_target(
                column[~held], attribute.nothing, moments.label[~held], moments.weight[~held]
            )
            values[held, i] = other.encode_column(column[held])
    return values


def folds(label: Labels, lead: Ints, seed: int, n_folds: int) -> Ints:
    """Cut moments into folds of whole leads, with the same share of wins in each.

    Returns
    -------
    ndarray of int64, shape (n,)
        Numbers of folds from 0; fewer than `n_folds` if there are fewer leads.
    """
    leads = np.unique(lead)
    won = np.zeros(len(leads), dtype=bool)
    np.logical_or.at(won, np.searchsorted(leads, lead), label.astype(bool))
    generator = np.random.default_rng(seed)
    order = np.lexsort((generator.random(len(leads)), won))
    fold_of_lead = np.empty(len(leads), dtype=np.int64)
    fold_of_lead[order] = np.arange(len(leads)) % min(n_folds, len(leads))
    return np.asarray(fold_of_lead[np.searchsorted(leads, lead)])


def _fit_column(
    of_leads: pd.Series, of_all: pd.Series, moments: Moments, project: Project
) -> "list[Attribute] | LeftOut":
    rules, name = project.columns, str(of_leads.name)
    folded = frozenset(str(cell_text(word)).casefold() for word in rules.nothing if cell_text(word))
    declared: Literal["number", "category"] | None = (
        "number" if name in rules.number else "category" if name in rules.category else None
    )
    if declared is None:
        words = _sample(of_leads, folded)
        if len(words) and all(map(_is_date, words)):
            return [DateAttribute(name, folded, part) for part in ("age_days", "weekday", "month")]
        if len(words) and np.mean([_is_mail(word) for word in words]) >= 0.8:
            return [EmailAttribute(name, folded)]
        answers = {word.casefold() for word in words}
        if len(answers) == 2 and answers & YES - {"1"} and answers & NO - {"0"}:
            every = {str(word).casefold() for word in text_column(of_leads) if word} - folded
            if every <= YES | NO:
                return [FlagAttribute(name, folded)]
    fitted = fit_attribute(of_leads, nothing=rules.nothing, kind=declared)
    if isinstance(fitted, CategoryAttribute) and len(fitted.vocabulary) > MANY_VALUES:
        column = of_all.iloc[moments.lead]
        target = fit_target(column, folded, moments.label, moments.weight)
        return [replace(target, column=name)]
    return fitted if isinstance(fitted, LeftOut) else [fitted]


def _sample(column: pd.Series, nothing: frozenset[str]) -> list[str]:
    """Take the distinct values, at most `SAMPLE` of them, that say something."""
    words = pd.Series(text_column(column), dtype=object).dropna().drop_duplicates()
    return [word for word in words.head(SAMPLE) if word.casefold() not in nothing]


def _is_date(word: str) -> bool:
    """Tell whether a word is a date; 13 digits of a later time are a number of something else."""
    time = cell_time(word)
    return time != NOT_A_TIME and (time < LATE or not MILLISECONDS.fullmatch(word))


def _is_mail(word: str) -> bool:
    _, at, domain = word.rpartition("@")
    return bool(at) and "." in domain and " " not in word


def _seen(records: Records, name: str, moments: Moments) -> pd.DataFrame:
    """Take the events of the moments' leads, each lead's up to its last moment."""
    events: pd.DataFrame = getattr(records, name)
    at = microseconds(events["occurred_at" if name == "activities" else "entered_at"])
    ids = records.leads["lead_id"].to_numpy()[moments.lead]
    last = pd.Series(moments.as_of).groupby(ids).max()
    return events[at <= events["lead_id"].map(last)]


def _attribute_columns(leads: pd.DataFrame, project: Project) -> list[str]:
    roles = {*role_columns(project).values(), *(column.name for column in TABLES["leads"].columns)}
    return [column for column in leads.columns if column not in roles]


def _excluded(project: Project) -> dict[str, str]:
    rules = project.columns
    excluded = dict.fromkeys(rules.ignore, "the project ignores it")
    excluded |= {
        column: "it is sensitive, and the project does not allow it as a feature"
        for column in rules.sensitive
        if column not in rules.allow_sensitive
    }
    excluded |= dict.fromkeys(rules.known_later, "it is known later than the moment of scoring")
    return excluded
