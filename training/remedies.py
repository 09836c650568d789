"""Chooses remedies for probabilities that are out of date.

Where the share of wins or the relations change, a model that learns from all mature moments alike
is late twice: old moments count as much as new ones, and the newest leads do not count at all
because their horizon is not over. Three remedies are tried at rolling cut-offs, each time with what
was known then, and are adopted only where they reduce the log loss of the leads that came after
(docs/decisions/0033).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np

from crm.arrays import Floats, Ints
from crm.errors import LearningError
from crm.project import Project
from crm.records import Records
from features.fitting import fit_pipeline
from features.moments import Moments
from models.evaluation.metrics import log_losses
from models.fitting.logistic import sample_of_leads
from models.fitting.split import Split, cut_offs, why_unusable
from training.fit import Fitted, LearningSet, fit
from training.half_life import HalfLife, declared_half_life, learning_weight
from training.newest import NewestMoments
from training.quick import MOST_ROWS, QuickModel
from training.readiness import NOTHING, Reason

N_CUT_OFFS: Final = 3
FEWEST_CUT_OFFS: Final = 2
CUT_OFF_SHARE: Final = 0.1  # of the leads, after each cut-off
HALF_LIVES: Final = (2, 4, 8)  # parts of the period of the moments, the longest first
LEAST_ERRORS: Final = 2.0  # standard errors of the change of log loss
LEAST_GAIN: Final = 0.005  # share of the log loss

NewestLoss = Callable[[HalfLife | None], float | None]

EXPECTED_LABELS: Final = "expected labels"
EARLY_WINS: Final = "early wins"
PLAIN: Final = {
    EXPECTED_LABELS: "open leads count with the outcome that is expected of them",
    EARLY_WINS: "the chances follow the first wins of the newest leads",
}


class TriedRemedy(NamedTuple):
    """A remedy that was tried at rolling cut-offs.

    Attributes
    ----------
    name : str
    change : float
        The mean log loss with the remedy minus that without it.
    error : float
        The standard error of the change; the moments of a lead count as one observation.
    by_cut_off : tuple of float
        The change at each cut-off, the latest first.
    helps : bool
        True if the log loss falls by more than chance and by at least `LEAST_GAIN` of it, rises
        as much at no cut-off, and does not rise on the newest leads.
    on_newest : float or None
        The change of the log loss of the whole model on its newest leads, for a half-life that
        would otherwise be used; None if it was not computed.
    """

    name: str
    change: float
    error: float
    by_cut_off: tuple[float, ...]
    helps: bool
    on_newest: float | None = None


@dataclass(frozen=True)
class Remedies:
    """The remedies that a procedure uses, and those that it tried.

    Attributes
    ----------
    half_life : HalfLife or None
        None if all moments count the same.
    for_newest : str
        How the moments count whose horizon is not over: `EXPECTED_LABELS`, `EARLY_WINS`, or ""
        if they do not.
    tried : tuple of TriedRemedy
        Those for the newest moments are compared with the chosen half-life.
    """

    half_life: HalfLife | None = None
    for_newest: str = ""
    tried: tuple[TriedRemedy, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that are used, such as "a half-life of 30 days"."""
        half_life = f"a half-life of {self.half_life}" if self.half_life else ""
        return tuple(filter(None, (half_life, self.for_newest)))


def in_words(remedies: Remedies) -> Reason:
    """Describe what a model does against drift, in a sentence; empty if nothing was tried.

    Examples
    --------
    >>> in_words(Remedies(HalfLife(30.0, in_days=True), EARLY_WINS)).technical
    'Against this, the model uses a half-life of 30 days and early wins.'
    >>> in_words(Remedies(HalfLife(30.0, in_days=True))).plain
    'Against this, older leads count less.'
    """
    if remedies.names:
        plain = [PLAIN.get(name, "older leads count less") for name in remedies.names]
        return Reason(
            f"Against this, {' and '.join(plain)}.",
            f"Against this, the model uses {' and '.join(remedies.names)}.",
        )
    if remedies.tried:
        return Reason(
            "Nothing that was tried against this, such as counting older leads less, helped on "
            "earlier leads.",
            "The remedies that were tried against this do not help at earlier cut-offs.",
        )
    return NOTHING


def choose_remedies(
    records: Records,
    moments: Moments,
    project: Project,
    known_later: Mapping[str, str],
    newest_loss: NewestLoss = lambda half_life: None,
) -> Remedies:
    """Choose the remedies that reduce the log loss at rolling cut-offs.

    At each of up to `N_CUT_OFFS` cut-offs, a `QuickModel` of the moments that were known then
    predicts the `CUT_OFF_SHARE` of leads that came next, with each remedy and without.

    A short half-life makes a quick model better where trees with more rounds can tell the old
    leads from the new ones by themselves. So a half-life must also make the whole model better,
    on its newest leads.

    Parameters
    ----------
    records : Records
        Nothing after the latest `known_at` of the moments is read.
    moments : Moments
        The moments to learn from.
    project : Project
        A declared half-life is kept, and no other is tried. With `[learn] remedies = false`
        nothing is tried.
    known_later : mapping of str to str
        Columns to leave out, with the reason.
    newest_loss : callable, optional
        Return the log loss of the whole model on the newest of these moments, with a half-life or
        with None; None if it cannot be computed. Then the quick models decide alone.

    Returns
    -------
    Remedies
        Nothing is tried if the leads have no order, or if fewer than `FEWEST_CUT_OFFS` cut-offs
        have enough outcomes.

    Raises
    ------
    ConfigError
        If the project file names a half-life that does not fit the moments: see
        `declared_half_life`.
    """
    half_life = declared_half_life(project, moments)
    trials: list[_Trial] = []
    if project.learn.remedies and records.in_order:
        trials = _trials(records, moments, project, known_later)
    if len(trials) < FEWEST_CUT_OFFS:
        return Remedies(half_life)
    tried: list[TriedRemedy] = []
    if half_life is None:
        plain = [trial.losses(None) for trial in trials]
        halves = (HalfLife.of_period(moments, divisor) for divisor in HALF_LIVES)
        options = list(dict.fromkeys(halves))  # of a few days, some are the same
        for option in options:
            losses = [trial.losses(option) for trial in trials]
            tried.append(_compare(f"half-life of {option}", trials, losses, plain))
            if tried[-1].change >= 0:  # a shorter half-life would be worse still
                break
        half_life = _confirmed(tried, options, newest_loss)
    of_newest = []
    if all(trial.newest for trial in trials):
        plain = [trial.losses(half_life) for trial in trials]
        names = (EXPECTED_LABELS, EARLY_WINS)
        for name in names:
            losses = [trial.losses(half_life, name) for trial in trials]
            of_newest.append(_compare(name, trials, losses, plain))
    best = _best(of_newest)
    for_newest = "" if best is None else of_newest[best].name
    return Remedies(half_life, for_newest, (*tried, *of_newest))


def fit_with_remedies(
    learning_set: LearningSet,
    records: Records,
    project: Project,
    remedies: Remedies,
    *,
    share: float = 1.0,
    **options: Any,
) -> Fitted:
    """Fit the estimator and the calibration to a learning set, with remedies.

    Parameters
    ----------
    learning_set : LearningSet
    records : Records
        Nothing after the latest `known_at` of the learning set is read.
    project : Project
    remedies : Remedies
    share : float
        The share of its leads that the learning set has, if it is a sample.
    **options
        Those of `training.fit.fit`.

    Returns
    -------
    Fitted
    """
    half_life = remedies.half_life
    newest = NewestMoments.of(records, learning_set, project, share)
    if newest is None:
        return fit(learning_set, project, half_life=half_life, **options)
    if remedies.for_newest == EXPECTED_LABELS:
        weight = learning_weight(learning_set.moments, half_life)
        quick = QuickModel.fit(learning_set, weight, project)
        learning_set = newest.with_expected_labels(learning_set, quick.log_odds_of(newest.features))
    fitted = fit(learning_set, project, half_life=half_life, **options)
    shift = newest.shift(fitted.log_odds_of(newest.features))
    if remedies.for_newest == EARLY_WINS:
        fitted = fitted.shifted(shift)
    return replace(
        fitted,
        for_newest=remedies.for_newest,
        immature=newest.moments if remedies.for_newest else None,
        early_shift=shift,
    )


@dataclass(frozen=True)
class _Trial:
    """A cut-off: what was known before, and the leads that came after."""

    project: Project
    learning_set: LearningSet
    newest: NewestMoments | None
    test: Moments
    features: Floats
    models: dict[HalfLife | None, QuickModel] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        records: Records,
        split: Split,
        project: Project,
        known_later: Mapping[str, str],
        share: float,
    ) -> "_Trial":
        train, test = split.train, split.test
        pipeline = fit_pipeline(records, train, project, known_later)
        learning_set = LearningSet.of(pipeline, records, train, project)
        return cls(
            project,
            learning_set,
            NewestMoments.of(records, learning_set, project, share),
            test,
            pipeline.transform(records, test.lead, test.as_of),
        )

    def losses(self, half_life: HalfLife | None, for_newest: str = "") -> Floats:
        """Compute the log loss of each test moment."""
        log_odds = self._predict(half_life, for_newest)
        return log_losses(log_odds, self.test.label) * self.test.weight

    def _predict(self, half_life: HalfLife | None, for_newest: str) -> Floats:
        model = self._model(half_life)
        if not for_newest or self.newest is None:
            return model.log_odds_of(self.features)
        log_odds = model.log_odds_of(self.newest.features)
        if for_newest == EARLY_WINS:
            return model.log_odds_of(self.features) + self.newest.shift(log_odds)
        extended = self.newest.with_expected_labels(self.learning_set, log_odds)
        weight = learning_weight(extended.moments, half_life)
        return QuickModel.fit(extended, weight, self.project).log_odds_of(self.features)

    def _model(self, half_life: HalfLife | None) -> QuickModel:
        """Fit the model without a remedy for the newest moments, once for each half-life."""
        if half_life not in self.models:
            weight = learning_weight(self.learning_set.moments, half_life)
            self.models[half_life] = QuickModel.fit(self.learning_set, weight, self.project)
        return self.models[half_life]


def _trials(
    records: Records, moments: Moments, project: Project, known_later: Mapping[str, str]
) -> list[_Trial]:
    sampled = moments.take(sample_of_leads(moments.lead, MOST_ROWS, project.learn.seed))
    share = len(sampled) / len(moments)
    trials = []
    for split in cut_offs(sampled, CUT_OFF_SHARE, range(N_CUT_OFFS)):
        if why_unusable(split):
            continue
        try:
            trials.append(_Trial.of(records, split, project, known_later, share))
        except LearningError:  # no column can be learned from
            continue
    return trials


def _compare(
    name: str, trials: list[_Trial], losses: list[Floats], plain: list[Floats]
) -> TriedRemedy:
    """Compare the losses of the test moments at each cut-off with those without a remedy."""
    changes = [new - old for new, old in zip(losses, plain, strict=True)]
    of_trials = list(zip(changes, (trial.test for trial in trials), strict=True))
    by_cut_off = [_mean(change, test.lead, test.weight) for change, test in of_trials]
    weight = np.concatenate([test.weight for _, test in of_trials])
    change, error = _mean(
        np.concatenate(changes),
        np.concatenate([test.lead for _, test in of_trials]),
        weight,
    )
    least = LEAST_GAIN * float(np.concatenate(plain).sum() / weight.sum())
    return TriedRemedy(
        name,
        change,
        error,
        tuple(value for value, _ in by_cut_off),
        helps=change < -max(LEAST_ERRORS * error, least)
        and all(value < max(LEAST_ERRORS * of_one, least) for value, of_one in by_cut_off),
    )


def _mean(change: Floats, lead: Ints, weight: Floats) -> tuple[float, float]:
    """Compute the weighted mean of changes and its standard error; a lead is one observation."""
    of_lead, total = np.bincount(lead, change), weight.sum()
    mean = change.sum() / total
    deviation = (of_lead - mean * np.bincount(lead, weight))[np.unique(lead)]
    return float(mean), float(np.sqrt((deviation**2).sum()) / total)


def _confirmed(
    tried: list[TriedRemedy], options: list[HalfLife], newest_loss: NewestLoss
) -> HalfLife | None:
    """Return the best half-life that also helps the whole model on its newest leads, or None.

    What it finds on the newest leads is written into `tried`.
    """
    while (best := _best(tried)) is not None:
        with_it, without = newest_loss(options[best]), newest_loss(None)
        if with_it is None or without is None:
            return options[best]
        change = with_it - without
        tried[best] = tried[best]._replace(on_newest=change, helps=change < 0)
        if change < 0:
            return options[best]
    return None


def _best(tried: list[TriedRemedy]) -> int | None:
    """Return the position of the remedy with the largest certain gain; None if none helps.

    A short half-life has a large gain in some periods and a loss in others. So remedies are
    compared by the unfavourable end of the interval of their change.
    """
    helping = [i for i, remedy in enumerate(tried) if remedy.helps]
    return min(helping, key=lambda i: tried[i].change + LEAST_ERRORS * tried[i].error, default=None)
