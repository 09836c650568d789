"""Selects what is not fitted: rows to choose settings on, and interactions of attributes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from crm.errors import LearningError
from crm.project import Project
from crm.records import Records
from features.fitting import fit_pipeline, training_matrix
from features.interactions import NO_INTERACTIONS, Interactions
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.screening import interactions_of, screen_interactions
from models.evaluation.metrics import log_losses
from models.fitting.examples import NEWEST_SHARE, Examples
from models.fitting.logistic import sample_of_leads
from models.fitting.split import split_newest
from models.fitting.trees import fit_trees
from training.fit import directions
from training.half_life import HalfLife, learning_weight

MOST_TREE_ROWS = 100_000  # of more older or newer rows, the trees that are compared use a sample
LEAST_GAIN = 0.005  # share of the trees' log loss by which interactions must reduce it, twice


class SelectionSets(NamedTuple):
    """Rows that settings are selected on, and the interactions that were selected on them.

    Attributes
    ----------
    older : Examples
        The rows that each setting is fitted on.
    newer : Examples
        The rows that each setting is evaluated on. Both have the columns of the older leads'
        pipeline.
    interactions : Interactions
        The pairs of attributes and the counts of values that the trees adopted.
    """

    older: Examples
    newer: Examples
    interactions: Interactions = NO_INTERACTIONS


_NO_ROWS = Examples(
    features=np.empty((0, 0)),
    label=np.empty(0, dtype=np.int8),
    weight=np.empty(0),
    lead=np.empty(0, dtype=np.int64),
)
NO_SELECTION_SETS = SelectionSets(_NO_ROWS, _NO_ROWS)


def selection_sets(
    records: Records,
    moments: Moments,
    project: Project,
    known_later: Mapping[str, str],
    half_life: HalfLife | None = None,
) -> SelectionSets:
    """Split moments into older and newest leads, to select settings and interactions on.

    The embargo of the test applies here too: a label that was not known when the newest part
    began is left out of the older part. The pipeline is fitted on the older part alone.

    Interactions that pass the screening are adopted if they reduce the log loss of the trees by
    `LEAST_GAIN` of it, both out of fold on the older rows and on the newer rows. Interactions that
    gain less make the model worse on many data sets, and those that gain on the newer rows alone
    follow a change that does not last. Of more than `MOST_TREE_ROWS` older or newer rows, a sample
    of leads decides.

    Parameters
    ----------
    records : Records
    moments : Moments
    project : Project
    known_later : mapping of str to str
        Columns to leave out, with the reason.
    half_life : HalfLife, optional
        For the weights of the older rows.

    Returns
    -------
    SelectionSets
        `NO_SELECTION_SETS` if one part has a single outcome, or no column can be learned from.
    """
    try:
        split = split_newest(records, moments, NEWEST_SHARE, project.learn.seed)
        pipeline = fit_pipeline(records, split.train, project, known_later)
    except LearningError:
        return NO_SELECTION_SETS
    older, newer = split.train, split.test
    plain = _sets(pipeline, records, older, newer, project, half_life)
    candidates = screen_interactions(pipeline, records, older, newer, project.learn.seed)
    if not candidates:
        return plain
    interactions = interactions_of(candidates)
    pipeline = fit_pipeline(records, older, project, known_later, interactions)
    richer = _sets(pipeline, records, older, newer, project, half_life)._replace(
        interactions=interactions
    )
    parameters = project.learn.trees.parameters
    losses = [_losses_of_trees(sets, project.learn.seed, parameters) for sets in (plain, richer)]
    is_better = all(new < (1 - LEAST_GAIN) * old for old, new in zip(*losses, strict=True))
    return richer if is_better else plain


def _sets(
    pipeline: FeaturePipeline,
    records: Records,
    older: Moments,
    newer: Moments,
    project: Project,
    half_life: HalfLife | None,
) -> SelectionSets:
    columns = (
        tuple(pipeline.categorical),
        directions(pipeline, project),
        tuple(pipeline.growing),
        tuple(pipeline.of_interactions),
    )
    return SelectionSets(
        older=Examples(
            training_matrix(pipeline, records, older, project.learn.seed),
            older.label,
            learning_weight(older, half_life),
            older.lead,
            *columns,
        ),
        newer=Examples(
            pipeline.transform(records, newer.lead, newer.as_of),
            newer.label,
            newer.weight,
            newer.lead,
            *columns,
        ),
    )


def _losses_of_trees(
    sets: SelectionSets, seed: int, parameters: Mapping[str, Any]
) -> tuple[float, float]:
    """Compute the log loss of trees, out of fold on the older rows, and on the newer rows."""
    older, newer = (
        rows.take(sample_of_leads(rows.lead, MOST_TREE_ROWS, seed))
        for rows in (sets.older, sets.newer)
    )
    fitted = fit_trees(
        *older.columns,
        list(older.categorical),
        seed=seed,
        parameters=parameters,
        directions=older.directions,
    )
    of_newer = fitted.trees.log_odds_of(newer.features)
    return (
        float(np.average(log_losses(fitted.out_of_fold, older.label), weights=older.weight)),
        float(np.average(log_losses(of_newer, newer.label), weights=newer.weight)),
    )
