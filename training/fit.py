"""Fits everything that makes a score to some moments: pipeline, estimator, calibration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Floats
from crm.errors import ConfigError, LearningError
from crm.project import Project
from crm.records import Records
from crm.suggest import nearest
from crm.times import DAY
from features.fitting import fit_pipeline, training_matrix
from features.moments import Moments
from features.pipeline import FeaturePipeline
from models.calibration import Calibration, fit_calibration
from models.estimator.blend import BaseRate, Blend
from models.fitting.blend import NEWEST_SHARE, BlendClassifier, BlendSettings, Examples
from training.split import split_newest

OnShare = Callable[[float], None]

_NOBODY = Examples(
    np.empty((0, 0)), np.empty(0, dtype=np.int8), np.empty(0), np.empty(0, dtype=np.int64)
)
UNKNOWN = (_NOBODY, _NOBODY)  # nothing to find settings on: no label was known in time


@dataclass(frozen=True)
class Fitted:
    """A pipeline, an estimator and a calibration that were fitted on the same moments.

    Attributes
    ----------
    pipeline : FeaturePipeline
    estimator : Blend or BaseRate
    calibration : Calibration
    settings : BlendSettings or None
        What was found out on the way; None for the base rate.
    """

    pipeline: FeaturePipeline
    estimator: Blend | BaseRate
    calibration: Calibration
    settings: BlendSettings | None

    def log_odds_of(self, features: Floats) -> Floats:
        """Calibrated log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        return self.calibration.log_odds_of(self.estimator.log_odds_of(features))


def fit(
    records: Records,
    moments: Moments,
    project: Project,
    known_later: Mapping[str, str],
    *,
    like: Fitted | None = None,
    tree_parameters: Mapping[str, Any] | None = None,
    on_share: OnShare = lambda share: None,
) -> Fitted:
    """Fit to moments; settings are found on their newest part, or taken from another fit.

    The newest part is judged by what older leads teach, under the same embargo as the test:
    a label that was not known yet when the newest part began teaches nothing. The pipeline
    of the older leads is theirs alone.

    Parameters
    ----------
    records : Records
    moments : Moments
    project : Project
    known_later : mapping of str to str
        Columns to leave out, with the reason.
    like : Fitted, optional
        Its settings, if it has any, are used, and nothing is found out again.
    tree_parameters : mapping, optional
        LightGBM's, in place of the defaults.
    on_share : callable, optional
        Told the share of the work that is done.

    Returns
    -------
    Fitted

    Raises
    ------
    ConfigError
        If [learn] names a half-life and there are no times.
    LearningError
        If no column is left to learn from.
    """
    seed = project.learn.seed
    weight = learning_weight(moments, project)
    pipeline = fit_pipeline(records, moments, project, known_later)
    settings = like.settings if like else None
    model = BlendClassifier(
        categorical=pipeline.categorical,
        seed=seed,
        settings=settings,
        tree_parameters=tree_parameters,
        directions=directions(pipeline, project),
        growing=pipeline.growing,
    )
    model.fit(
        training_matrix(pipeline, records, moments, seed),
        moments.label,
        weight,
        lead=moments.lead,
        choosing=None if settings else choosing(records, moments, project, known_later) or UNKNOWN,
        on_share=on_share,
    )
    calibration = Calibration(1.0, 0.0)
    if model.settings_ is not None:
        calibration = fit_calibration(model.out_of_fold_, moments.label, weight)
    return Fitted(pipeline, model.blend_, calibration, model.settings_)


def choosing(
    records: Records, moments: Moments, project: Project, known_later: Mapping[str, str]
) -> tuple[Examples, Examples] | None:
    """Part the moments' newest leads from the older ones, as the test is parted.

    Returns
    -------
    pair of Examples, or None
        Older and newer rows, both as the older leads' pipeline sees them; None where one
        side has a single outcome, or no column can be learned from.
    """
    try:
        split = split_newest(records, moments, NEWEST_SHARE, project.learn.seed)
        pipeline = fit_pipeline(records, split.train, project, known_later)
    except LearningError:
        return None
    older = training_matrix(pipeline, records, split.train, project.learn.seed)
    newer = pipeline.transform(records, split.test.lead, split.test.as_of)
    columns = (
        tuple(pipeline.categorical),
        directions(pipeline, project),
        tuple(pipeline.growing),
    )
    weight = learning_weight(split.train, project)
    return (
        Examples(older, split.train.label, weight, split.train.lead, *columns),
        Examples(newer, split.test.label, split.test.weight, split.test.lead, *columns),
    )


def learning_weight(moments: Moments, project: Project) -> Floats:
    """Weigh moments for learning: with a half-life, older ones count less; shape (n,).

    Raises
    ------
    ConfigError
        If there is a half-life and there are no times.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> day = DAY
    >>> moments = SimpleNamespace(as_of=np.array([0, 30 * day]), weight=np.ones(2), has_times=True)
    >>> project = SimpleNamespace(learn=SimpleNamespace(half_life_days=30.0))
    >>> learning_weight(moments, project)
    array([0.5, 1. ])
    """
    half_life = project.learn.half_life_days
    if half_life is None:
        return moments.weight
    if not moments.has_times:
        raise ConfigError(
            "[learn] half_life_days needs the leads' time of creation, and the project names "
            "none. Name [leads] created_at, or take half_life_days out."
        )
    age = (moments.as_of.max() - moments.as_of) / DAY
    return moments.weight * 0.5 ** (age / half_life)


def directions(pipeline: FeaturePipeline, project: Project) -> tuple[int, ...]:
    """Give each feature's direction as the project declares it: 1, -1 or 0; empty for none.

    A name that this pipeline has no number for is passed over: what older leads rarely did is
    no feature of theirs. `check_directions` asks once for all leads.
    """
    wanted = dict.fromkeys(project.learn.rising, 1) | dict.fromkeys(project.learn.falling, -1)
    if not wanted:
        return ()
    found = [0] * len(pipeline.features)
    for name, direction in wanted.items():
        places = _places(pipeline, name)
        for i in places:
            if i not in pipeline.categorical:
                found[i] = direction
    return tuple(found)


def check_directions(pipeline: FeaturePipeline, project: Project) -> None:
    """Refuse directions of what is no number to the pipeline of all leads.

    Raises
    ------
    ConfigError
        If a name is neither a feature nor a column that is left out, or is a category.
    """
    left_out = {left.column for left in pipeline.left_out}  # it cannot go the wrong way
    for name in (*project.learn.rising, *project.learn.falling):
        places = _places(pipeline, name)
        if any(i in pipeline.categorical for i in places):
            raise ConfigError(
                f"[learn] rising or falling names `{name}`, which is a category and has no "
                "direction. Expected a number."
            )
        if not places and name not in left_out:
            raise ConfigError(
                f"[learn] rising or falling names `{name}`, which is no feature. "
                f"{nearest(name, pipeline.names)}"
            )


def _places(pipeline: FeaturePipeline, name: str) -> list[int]:
    """Find the features that a name of the project file stands for."""
    return [
        i
        for i, feature in enumerate(pipeline.features)
        if name == feature.name or (feature.table, feature.column) == ("leads", name)
    ]
