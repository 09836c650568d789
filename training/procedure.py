"""All of a training that learns, applied twice: to the older leads, then to all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec

from crm.errors import LearningError
from crm.project import Project, TreesKeys
from crm.records import Records
from features.fitting import fit_pipeline
from features.interactions import Interactions
from features.moments import FEWEST_OUTCOMES, Moments
from training.fit import Chosen, Fitted, LearningSet
from training.half_life import HalfLife
from training.phases import OnPhase
from training.remedies import Remedies, choose_remedies, fit_with_remedies
from training.selection import NO_SELECTION_SETS, SelectionSets, selection_sets
from training.tuning import Trial, tune

Progress = Callable[[str, float], None]  # the present step, and the share of the whole, 0 … 1

REMEDIES_SHARE = 0.05  # of a procedure, to compare remedies
SELECTION_SHARE = 0.4  # of a procedure, to find interactions and settings
LEARNING = {  # the step, by phase
    "test": "Learning",
    "roll": "Learning what the champion knew",
    "fit": "Learning from all leads",
}
TUNING_SHARE = 0.7  # of a procedure that is tuned, up to the end of tuning


@dataclass(frozen=True)
class Learned:
    """The result of a procedure that learned from some moments.

    Attributes
    ----------
    learning_set : LearningSet
    fitted : Fitted
    remedies : Remedies
    interactions : Interactions
        The interactions that were selected.
    tree_parameters : mapping of str to number
        LightGBM's parameters that were declared or found by tuning.
    trials : tuple of Trial
        The settings of the trees that were tried; empty without tuning.
    """

    learning_set: LearningSet
    fitted: Fitted
    remedies: Remedies
    interactions: Interactions
    tree_parameters: Mapping[str, Any]
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Procedure:
    """All of a training that learns: remedies, interactions, settings, estimator, calibration.

    The test evaluates this procedure on the newest leads. The final model is what the same
    procedure learns from all leads, with settings from its own newest leads.

    Attributes
    ----------
    project : Project
    records : Records
    known_later : mapping of str to str
        Columns to leave out, with the reason.
    tune_minutes : float or None
        How long to search for better settings of the trees, each time.
    on_phase : callable
        Called with the name of each phase when it begins.
    """

    project: Project
    records: Records
    known_later: Mapping[str, str]
    tune_minutes: float | None = None
    on_phase: OnPhase = lambda phase: None

    def learn(
        self,
        moments: Moments,
        phase: str = "fit",
        progress: Progress = lambda what, share: None,
    ) -> Learned:
        """Learn from moments; `phase`, one of `LEARNING`, is the name of fitting them.

        Raises
        ------
        LearningError
            If no column can be learned from.
        """
        project, records = self.project, self.records
        self.on_phase("remedies")
        progress("Comparing remedies for drift", 0.0)
        selected: dict[HalfLife | None, _Selected] = {}

        def newest_loss(half_life: HalfLife | None) -> float | None:
            if half_life not in selected:
                selected[half_life] = self._select(moments, half_life)
            newest = selected[half_life].chosen.newest
            return newest.evaluation.values["log_loss"] if newest else None

        remedies = choose_remedies(records, moments, project, self.known_later, newest_loss)
        self.on_phase("select")
        progress("Choosing attributes and settings", REMEDIES_SHARE)
        parameters: Mapping[str, Any] = project.learn.trees.parameters
        trials: tuple[Trial, ...] = ()
        if self.tune_minutes is None:
            if remedies.half_life not in selected:
                selected[remedies.half_life] = self._select(moments, remedies.half_life)
            interactions, chosen = selected[remedies.half_life]
        else:
            selection = self._selection_sets(moments, remedies.half_life)
            self.on_phase("tune")
            parameters, trials = tuned_parameters(
                selection,
                project,
                self.tune_minutes,
                part_of(progress, SELECTION_SHARE, TUNING_SHARE),
            )
            chosen = Chosen.on(selection.older, selection.newer, project, parameters)
            interactions = selection.interactions
            del selection
        self.on_phase(phase)
        rest = part_of(progress, TUNING_SHARE if trials else SELECTION_SHARE, 1.0)
        pipeline = fit_pipeline(records, moments, project, self.known_later, interactions)
        learning_set = LearningSet.of(pipeline, records, moments, project)
        fitted = fit_with_remedies(
            learning_set,
            records,
            project,
            remedies,
            settings_from=chosen,
            tree_parameters=parameters,
            on_share=lambda share: rest(LEARNING[phase], share),
        )
        return Learned(learning_set, fitted, remedies, interactions, parameters, trials)

    def _select(self, moments: Moments, half_life: HalfLife | None) -> "_Selected":
        """Choose interactions and settings; the rows that they are chosen on are freed."""
        selection = self._selection_sets(moments, half_life)
        parameters = self.project.learn.trees.parameters
        chosen = Chosen.on(selection.older, selection.newer, self.project, parameters)
        return _Selected(selection.interactions, chosen)

    def _selection_sets(self, moments: Moments, half_life: HalfLife | None) -> SelectionSets:
        """Split moments to select on; a base rate has no settings, so it gets no sets."""
        if moments.rarer < FEWEST_OUTCOMES:
            return NO_SELECTION_SETS
        return selection_sets(self.records, moments, self.project, self.known_later, half_life)

    def with_trees(self, tree_parameters: Mapping[str, Any]) -> "Procedure":
        """Return the procedure with declared parameters of the trees, without a search for them.

        `tree_parameters` are those that an earlier `learn` used.
        """
        trees = TreesKeys(**tree_parameters)
        learn = msgspec.structs.replace(self.project.learn, trees=trees)
        return replace(self, project=replace(self.project, learn=learn), tune_minutes=None)

    def learn_alike(self, learned: Learned, moments: Moments, share: float = 1.0) -> Fitted:
        """Learn from other moments, with all that an earlier `learn` has chosen.

        These are the remedies, the interactions, the settings and the parameters of the trees.
        `share` is the share of the leads that these moments have, if they are a sample.

        Raises
        ------
        LearningError
            If no column can be learned from, or the earlier `learn` had too few outcomes for
            settings.
        """
        settings = learned.fitted.settings
        if settings is None:
            raise LearningError("There are too few outcomes for a model.")
        pipeline = fit_pipeline(
            self.records, moments, self.project, self.known_later, learned.interactions
        )
        return fit_with_remedies(
            LearningSet.of(pipeline, self.records, moments, self.project),
            self.records,
            self.project,
            learned.remedies,
            share=share,
            settings_from=settings,
            tree_parameters=learned.tree_parameters,
        )


class _Selected(NamedTuple):
    """The interactions and settings that were chosen with a half-life, or without."""

    interactions: Interactions
    chosen: Chosen


def tuned_parameters(
    selection: SelectionSets,
    project: Project,
    minutes: float | None,
    progress: Progress = lambda what, share: None,
) -> tuple[Mapping[str, Any], tuple[Trial, ...]]:
    """Search for better settings of the trees, if `minutes` and the selection sets allow it.

    Without a search, they are those of `[learn.trees]`.
    """
    declared = project.learn.trees.parameters
    if not minutes or selection is NO_SELECTION_SETS:
        return declared, ()
    return tune(
        selection.older,
        selection.newer,
        minutes=minutes,
        seed=project.learn.seed,
        start=declared,
        on_trial=lambda trial, share: progress(f"Tuning: setting {trial.number + 1}", share),
    )


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Return a callback for one part of the work, which takes the share of that part."""
    return lambda what, share: progress(what, start + (end - start) * share)
