"""Fits everything that makes a score to some moments: pipeline, estimator, calibration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Floats
from crm.errors import ConfigError
from crm.project import Project
from crm.records import Records
from crm.suggest import nearest
from features.fitting import training_matrix
from features.immature import ImmatureMoments
from features.moments import Moments
from features.pipeline import FeaturePipeline
from models.calibration import Calibration, fit_calibration
from models.estimator.blend import BaseRate, Blend
from models.evaluation.metrics import Evaluation, evaluate, loss_difference
from models.fitting.blend import BlendClassifier
from models.fitting.examples import Examples
from models.fitting.settings import BlendSettings, Choice, choose_settings
from training.half_life import HalfLife, learning_weight

OnShare = Callable[[float], None]


@dataclass(frozen=True)
class LearningSet:
    """Moments to learn from, with the pipeline that was fitted on them.

    Attributes
    ----------
    moments : Moments, length n
    pipeline : FeaturePipeline
        Fitted on these moments.
    matrix : ndarray of float64, shape (n, n_features)
        The result of `training_matrix`.
    """

    moments: Moments
    pipeline: FeaturePipeline
    matrix: Floats

    @classmethod
    def of(
        cls, pipeline: FeaturePipeline, records: Records, moments: Moments, project: Project
    ) -> "LearningSet":
        """Compute the matrix of the moments that the pipeline was fitted on."""
        matrix = training_matrix(pipeline, records, moments, project.learn.seed)
        return cls(moments, pipeline, matrix)


@dataclass(frozen=True)
class NewestPart:
    """How the chosen settings do on the newest leads that a fit chose them on.

    They were fitted to the older leads, without calibration. The figures are a little too good,
    because the settings were chosen on the same leads.

    Attributes
    ----------
    evaluation : Evaluation
    gained : tuple of three floats
        The log loss minus that of the base rate of the older leads, with its interval.
    """

    evaluation: Evaluation
    gained: tuple[float, float, float]


@dataclass(frozen=True)
class Chosen:
    """Settings that were chosen on the newest leads, and how they do there.

    Attributes
    ----------
    choice : Choice
    newest : NewestPart or None
        None if there are too few outcomes to choose settings.
    """

    choice: Choice
    newest: NewestPart | None

    @classmethod
    def on(
        cls,
        older: Examples,
        newer: Examples,
        project: Project,
        tree_parameters: Mapping[str, Any] | None = None,
        on_share: OnShare = lambda share: None,
    ) -> "Chosen":
        """Choose the settings with which the older rows predict the newer rows best.

        Parameters
        ----------
        older, newer : Examples
            As `training.selection` has them; without rows the settings are left open.
        project : Project
        tree_parameters : mapping, optional
            Parameters for LightGBM, in place of the defaults.
        on_share : callable, optional
            Called with the share of the work that is done, 0 … 1.
        """
        seed = project.learn.seed
        choice = choose_settings(
            older, newer, seed=seed, tree_parameters=tree_parameters, on_share=on_share
        )
        log_odds = choice.newer_log_odds
        if log_odds is None:
            return cls(choice, None)
        base_rate = BaseRate.fit(older.label, older.weight).log_odds_of(newer.features)
        truth = (newer.label, newer.weight, newer.lead, seed)
        gained = loss_difference(log_odds, base_rate, *truth)
        return cls(choice, NewestPart(evaluate(log_odds, *truth), gained))


@dataclass(frozen=True)
class Fitted:
    """A pipeline, an estimator and a calibration that were fitted on the same moments.

    Attributes
    ----------
    pipeline : FeaturePipeline
    estimator : Blend or BaseRate
    calibration : Calibration
    settings : BlendSettings or None
        The settings of the blend; None for the base rate.
    newest : NewestPart or None
        None if the settings were given, or could not be chosen on newer leads.
    half_life : HalfLife or None
        None if all moments counted the same.
    for_newest : str
        How moments counted whose horizon was not over (`training.remedies`); "" if they did not.
    immature : ImmatureMoments or None
        These moments; None if they did not count.
    early_shift : float or None
        The change of the log-odds that the early wins of these moments suggest. None if it is
        unknown.
    out_of_fold : ndarray of float64, shape (n,), or None
        For the moments that were fitted to, the estimator's log-odds by models that had not seen
        their lead; nan outside the sample that has them. Without calibration.
    """

    pipeline: FeaturePipeline
    estimator: Blend | BaseRate
    calibration: Calibration
    settings: BlendSettings | None
    newest: NewestPart | None = None
    half_life: HalfLife | None = None
    for_newest: str = ""
    immature: ImmatureMoments | None = None
    early_shift: float | None = None
    out_of_fold: Floats | None = None

    def shifted(self, shift: float) -> "Fitted":
        """Return the same fit with all log-odds changed by `shift`."""
        slope, intercept = self.calibration.slope, self.calibration.intercept
        return replace(self, calibration=Calibration(slope, intercept + shift))

    def log_odds_of(self, features: Floats) -> Floats:
        """Compute the calibrated log-odds, shape (n,), of a feature matrix, shape (n, k)."""
        return self.calibration.log_odds_of(self.estimator.log_odds_of(features))


def fit(
    learning_set: LearningSet,
    project: Project,
    *,
    settings_from: BlendSettings | Chosen,
    half_life: HalfLife | None = None,
    tree_parameters: Mapping[str, Any] | None = None,
    on_share: OnShare = lambda share: None,
) -> Fitted:
    """Fit the estimator and the calibration to a learning set.

    Parameters
    ----------
    learning_set : LearningSet
    project : Project
    settings_from : BlendSettings or Chosen
        The settings of an earlier fit, or those that were chosen on the newest leads.
    half_life : HalfLife, optional
        Without it all moments count the same.
    tree_parameters : mapping, optional
        Parameters for LightGBM, in place of the defaults.
    on_share : callable, optional
        Called with the share of the work that is done, 0 … 1.

    Returns
    -------
    Fitted
    """
    moments, pipeline = learning_set.moments, learning_set.pipeline
    weight = learning_weight(moments, half_life)
    settings = settings_from if isinstance(settings_from, BlendSettings) else None
    chosen = settings_from if isinstance(settings_from, Chosen) else None
    model = BlendClassifier(
        categorical=pipeline.categorical,
        seed=project.learn.seed,
        settings=settings,
        tree_parameters=tree_parameters,
        directions=directions(pipeline, project),
        growing=pipeline.growing,
        trees_only=pipeline.of_interactions,
    )
    model.fit(
        learning_set.matrix,
        moments.label,
        weight,
        lead=moments.lead,
        choice=chosen.choice if chosen else None,
        on_share=on_share,
    )
    calibration = Calibration(1.0, 0.0)
    if model.settings_ is not None:
        known = ~np.isnan(model.out_of_fold_)
        calibration = fit_calibration(
            model.out_of_fold_[known], moments.label[known], weight[known]
        )
    newest = chosen.newest if chosen else None
    return Fitted(
        pipeline,
        model.blend_,
        calibration,
        model.settings_,
        newest,
        half_life,
        out_of_fold=model.out_of_fold_,
    )


def directions(pipeline: FeaturePipeline, project: Project) -> tuple[int, ...]:
    """Return each feature's direction as the project declares it: 1, -1 or 0; empty for none.

    A name that is not a number in this pipeline is ignored: an activity that is rare among
    older leads is not a feature of their pipeline. `check_directions` checks the names once,
    for all leads.
    """
    declared = dict.fromkeys(project.learn.rising, 1) | dict.fromkeys(project.learn.falling, -1)
    if not declared:
        return ()
    by_feature = [0] * len(pipeline.features)
    for name, direction in declared.items():
        for i in _positions(pipeline, name):
            if i not in pipeline.categorical:
                by_feature[i] = direction
    return tuple(by_feature)


def check_directions(pipeline: FeaturePipeline, project: Project) -> None:
    """Check that every declared direction is for a number in the pipeline of all leads.

    Raises
    ------
    ConfigError
        If a name is neither a feature nor a column that is left out, or is a category.
    """
    left_out = {left.column for left in pipeline.left_out}  # a direction has no effect on them
    for name in (*project.learn.rising, *project.learn.falling):
        positions = _positions(pipeline, name)
        if any(i in pipeline.categorical for i in positions):
            raise ConfigError(
                f"[learn] rising or falling names `{name}`, which is a category and has no "
                "direction. It must name a number."
            )
        if not positions and name not in left_out:
            raise ConfigError(
                f"[learn] rising or falling names `{name}`, which is not a feature. "
                f"{nearest(name, pipeline.names)}"
            )


def _positions(pipeline: FeaturePipeline, name: str) -> list[int]:
    """Return the positions of the features that a name in the project file refers to."""
    return [
        i
        for i, feature in enumerate(pipeline.features)
        if i not in pipeline.of_interactions
        and (name == feature.name or (feature.table, feature.column) == ("leads", name))
    ]
