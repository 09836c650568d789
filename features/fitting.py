"""Fits a pipeline: decides the kind of each column, and learns from training moments only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints, Labels
from crm.cells import folded_words
from crm.errors import LearningError
from crm.formats.times import is_time_format
from crm.lead_ids import places
from crm.project import ColumnsKeys, Project, role_columns
from crm.records import Records
from crm.tables import TABLES
from crm.times import DAY, NOT_A_TIME, microseconds
from features.activity import fit_activities
from features.attributes.attribute import Attribute, LeftOut, UndeclaredColumn
from features.attributes.category import MANY_VALUES, CategoryAttribute
from features.attributes.kinds import KINDS
from features.attributes.number_or_category import fit_attribute
from features.attributes.target import fit_target
from features.interactions import (
    NO_INTERACTIONS,
    AttributePair,
    Interactions,
    ValueCount,
    fit_interaction,
)
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.stages import fit_stages

N_FOLDS = 5


def fit_pipeline(
    records: Records,
    moments: Moments,
    project: Project,
    known_later: Mapping[str, str] | None = None,
    interactions: Interactions = NO_INTERACTIONS,
) -> FeaturePipeline:
    """Fit a pipeline on the leads of some moments.

    Only the leads of the moments are read, and their activities and stages only up to the last
    moment of each lead. A pipeline that is fitted on training moments therefore knows nothing
    of the test leads, and nothing of what came later.

    Parameters
    ----------
    records : Records
    moments : Moments
        The moments; target encodings are learned from their labels.
    project : Project
    known_later : mapping of str to str, optional
        Columns in which the leak audit found leaks, with reasons. These columns and those in
        the project's own lists are left out.
    interactions : Interactions
        The pairs of attributes and the counts of values to add. One is skipped if a column is
        left out here, or is not a category among these leads: they were chosen on other leads.

    Returns
    -------
    FeaturePipeline

    Raises
    ------
    LearningError
        If no column is left to learn from.
    ValueError
        If an interaction names a column that the leads do not have.
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
        fitted = _fit_column(leads[column], records, moments, project)
        if isinstance(fitted, LeftOut):
            left_out.append(fitted)
        else:
            attributes.extend(fitted)
    has_activities = records.activities is not None and records.has_times
    has_stages = records.stages is not None and records.has_times
    if not attributes and not has_activities and not has_stages:
        reasons = "; ".join(f"`{left.column}`: {left.reason}" for left in left_out[:8])
        raise LearningError(
            f"No column of the leads is left to learn from. {reasons or 'There are no columns'}. "
            "Export attributes with the leads, or shorten the lists in [columns]."
        )
    activities = _seen(records, "activities", moments) if has_activities else None
    stages = _seen(records, "stages", moments) if has_stages else None
    pipeline = FeaturePipeline(
        attributes=tuple(attributes),
        left_out=tuple(left_out),
        has_times=records.has_times,
        activities=None if activities is None else fit_activities(activities),
        stages=None if stages is None else fit_stages(stages),
        age_days=_ages(records, moments) if records.has_times else None,
    )
    return replace(
        pipeline, interactions=_fit_interactions(interactions, pipeline, records, moments)
    )


def training_matrix(
    pipeline: FeaturePipeline, records: Records, moments: Moments, seed: int
) -> Floats:
    """Compute the features of the moments that the pipeline was fitted on.

    This equals `FeaturePipeline.transform`, except that attributes that learn from labels are
    refitted for each moment on other leads: the estimator must not see its own answers. So are
    interactions. Their counts are scaled to the number of all moments, so that they mean the same
    as the counts of leads that are scored, which are not among the counted ones either.

    Returns
    -------
    ndarray of float64, shape (n, n_features), Fortran order
    """
    values = pipeline.transform(records, moments.lead, moments.as_of)
    fold_of = folds(moments.label, moments.lead, seed, N_FOLDS)
    for i, attribute in enumerate(pipeline.attributes):
        if not attribute.learns_from_labels:
            continue
        column = records.leads[attribute.column].iloc[moments.lead]
        for fold in range(int(fold_of.max()) + 1):
            in_fold, in_others = fold_of == fold, fold_of != fold
            refitted = attribute.refit(
                column[in_others], moments.label[in_others], moments.weight[in_others]
            )
            values[in_fold, i] = refitted.encode_column(column[in_fold])
    _refit_interactions(values, pipeline, records, moments, fold_of)
    return values


def _refit_interactions(
    values: Floats, pipeline: FeaturePipeline, records: Records, moments: Moments, fold_of: Ints
) -> None:
    """Replace the last columns of a matrix by the interactions of the other folds."""
    words = {
        column: of_column.take(moments.lead)
        for column, of_column in pipeline.words_of_table(
            records.leads, pipeline.interaction_columns
        ).items()
    }
    end = len(pipeline.features) - sum(i.n_features for i in pipeline.interactions)
    for interaction in pipeline.interactions:
        begin, end = end, end + interaction.n_features
        for fold in range(int(fold_of.max()) + 1):
            in_fold, in_others = fold_of == fold, fold_of != fold
            refitted = fit_interaction(
                interaction.columns,
                {column: words[column].take(in_others) for column in interaction.columns},
                moments.label[in_others],
                moments.weight[in_others],
                total=float(moments.weight.sum()),
            )
            of_fold = [words[column].take(in_fold) for column in interaction.columns]
            values[in_fold, begin:end] = refitted.of_words(of_fold)


def folds(label: Labels, lead: Ints, seed: int, n_folds: int) -> Ints:
    """Split moments into folds of whole leads, with the same share of wins in each.

    Returns
    -------
    ndarray of int64, shape (n,)
        The fold of each moment, from 0; fewer than `n_folds` folds if there are fewer leads.
    """
    leads = np.unique(lead)
    won = np.zeros(len(leads), dtype=bool)
    np.logical_or.at(won, np.searchsorted(leads, lead), label.astype(bool))
    generator = np.random.default_rng(seed)
    order = np.lexsort((generator.random(len(leads)), won))
    fold_of_lead = np.empty(len(leads), dtype=np.int64)
    fold_of_lead[order] = np.arange(len(leads)) % min(n_folds, len(leads))
    return np.asarray(fold_of_lead[np.searchsorted(leads, lead)])


def recognise_attributes(
    of_leads: pd.Series, rules: ColumnsKeys, notation: str | None, timezone: str
) -> Sequence[Attribute] | LeftOut:
    """Return the attributes that a column of the leads becomes.

    Parameters
    ----------
    of_leads : Series
        The cells, as they were read from the source.
    rules : ColumnsKeys
        The kinds that the project declares, and its words for nothing.
    notation : str or None
        The format of its numbers or times; None is the default.
    timezone : str
        The zone of times that have none.

    Returns
    -------
    sequence of Attribute, or LeftOut
        Of the kind that the project declares, or of the kind of the cells.
    """
    name, nothing = str(of_leads.name), folded_words(rules.nothing)
    declared: Literal["number", "category"] | None = None
    if name in rules.number:
        declared = "number"
    elif name in rules.category:
        declared = "category"
    else:
        column = UndeclaredColumn(of_leads, nothing, notation, timezone)
        for kind in KINDS.values():
            if attributes := kind.recognise(column):
                return attributes
    if notation is not None and is_time_format(notation):
        notation = None
    fitted = fit_attribute(of_leads, nothing=rules.nothing, kind=declared, notation=notation)
    return fitted if isinstance(fitted, LeftOut) else [fitted]


def _fit_interactions(
    interactions: Interactions, pipeline: FeaturePipeline, records: Records, moments: Moments
) -> tuple[AttributePair | ValueCount, ...]:
    """Fit the interactions whose columns are all categories in a pipeline."""
    asked = {column for columns in interactions.columns for column in columns}
    if unknown := asked - set(records.leads.columns):
        raise ValueError(f"interactions name columns that the leads do not have: {sorted(unknown)}")
    used = [
        columns
        for columns in interactions.columns
        if all(column in pipeline.word_attributes for column in columns)
    ]
    read = dict.fromkeys(column for columns in used for column in columns)
    words = {
        column: of_column.take(moments.lead)
        for column, of_column in pipeline.words_of_table(records.leads, read).items()
    }
    return tuple(fit_interaction(columns, words, moments.label, moments.weight) for columns in used)


def _ages(records: Records, moments: Moments) -> tuple[float, float]:
    """Return the ages of the youngest and the oldest lead at the moments, in days."""
    created_at = microseconds(records.leads["created_at"])[moments.lead]
    ages = (moments.as_of - created_at) / DAY
    return float(ages.min()), float(ages.max())


def _fit_column(
    of_leads: pd.Series, records: Records, moments: Moments, project: Project
) -> Sequence[Attribute] | LeftOut:
    """Fit a column; a category of many values is fitted on the labels of the moments."""
    rules, name = project.columns, str(of_leads.name)
    notation, zone = records.formats.get(name), project.leads.timezone
    fitted = recognise_attributes(of_leads, rules, notation, zone)
    if isinstance(fitted, LeftOut) or not isinstance(fitted[0], CategoryAttribute):
        return fitted
    if len(fitted[0].vocabulary) <= MANY_VALUES:
        return fitted
    column_of_moments = records.leads[name].iloc[moments.lead]
    nothing = folded_words(rules.nothing)
    target = fit_target(column_of_moments, nothing, moments.label, moments.weight)
    return [replace(target, column=name)]


def _seen(records: Records, name: str, moments: Moments) -> pd.DataFrame:
    """Return the events of the moments' leads, up to the last moment of each lead."""
    events: pd.DataFrame = getattr(records, name)
    at = microseconds(events["occurred_at" if name == "activities" else "entered_at"])
    last = np.full(len(records.leads), NOT_A_TIME)
    np.maximum.at(last, moments.lead, moments.as_of)
    place = places(events["lead_id"], records.leads["lead_id"])
    return events[(place >= 0) & (at <= last[place])]


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
