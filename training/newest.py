"""The newest moments, whose horizon is not over: what they add to a learning set."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from crm.arrays import Floats, Ints
from crm.project import Project
from crm.records import Records
from features.immature import Delays, ImmatureMoments, expected_label, immature_moments
from features.moments import Moments
from models.fitting.logistic import sample_of_leads
from training.fit import LearningSet

FEWEST_EARLY_WINS: Final = 10  # leads
MOST_SHIFT: Final = 3.0  # log-odds
BOTH_LABELS: Final = np.array([1, 0], dtype=np.int8)
SHIFT_SD: Final = 1.0  # standard deviation of shifts before the early wins are seen


@dataclass(frozen=True)
class NewestMoments:
    """The immature moments at the time of a learning set, with their features.

    Attributes
    ----------
    moments : ImmatureMoments, length n
    features : ndarray of float64, shape (n, n_features)
        From the pipeline of the learning set.
    delays : Delays
        Of the learning set.
    """

    moments: ImmatureMoments
    features: Floats
    delays: Delays

    @classmethod
    def of(
        cls, records: Records, learning_set: LearningSet, project: Project, share: float = 1.0
    ) -> "NewestMoments | None":
        """List the moments that are immature when the last label of a learning set is known.

        Parameters
        ----------
        records : Records
        learning_set : LearningSet
        project : Project
        share : float
            The share of its leads that the learning set has, if it is a sample: as large a share
            of the immature leads is drawn.

        Returns
        -------
        NewestMoments or None
            None without times, or if there are too few early wins, or too few wins or losses to
            know when they come.
        """
        moments = learning_set.moments
        if not moments.has_times:
            return None
        delays = Delays.of(records, moments)
        immature = immature_moments(records, project.learn, int(moments.known_at.max()))
        immature = immature.take(
            sample_of_leads(immature.lead, round(share * len(immature)), project.learn.seed)
        )
        n_won = len(np.unique(immature.lead[immature.won == 1]))
        if not delays.are_known or n_won < FEWEST_EARLY_WINS:
            return None
        features = learning_set.pipeline.transform(records, immature.lead, immature.as_of)
        return cls(immature, features, delays)

    def with_expected_labels(self, learning_set: LearningSet, log_odds: Floats) -> LearningSet:
        """Add the moments to a learning set, each won and not won, weighted by its expectation.

        Parameters
        ----------
        learning_set : LearningSet
        log_odds : ndarray of float64, shape (n,)
            A model's log-odds of the moments.

        Returns
        -------
        LearningSet
            Without half-life: the weights are those of the moments.
        """
        won = expected_label(expit(log_odds), self.moments.won, *self._shares)
        weight = np.column_stack([won, 1 - won]).ravel()
        used = weight > 0
        row = np.repeat(np.arange(len(won)), 2)[used]
        learned = learning_set.moments
        moments = Moments(
            lead=np.concatenate([learned.lead, self.moments.lead[row]]),
            as_of=np.concatenate([learned.as_of, self.moments.as_of[row]]),
            label=np.concatenate([learned.label, np.tile(BOTH_LABELS, len(won))[used]]),
            known_at=np.concatenate([learned.known_at, np.full(len(row), learned.known_at.max())]),
            weight=np.concatenate([learned.weight, weight[used]]),
            counts=learned.counts,
        )
        matrix = np.empty((len(moments), learning_set.matrix.shape[1]), order="F")
        matrix[: len(learned)] = learning_set.matrix
        for i in range(matrix.shape[1]):  # one by one, because all of them need much memory
            matrix[len(learned) :, i] = self.features[row, i]
        return replace(learning_set, moments=moments, matrix=matrix)

    def shift(self, log_odds: Floats) -> float:
        """Estimate by how much the log-odds of a win have changed since the learning set.

        The estimate is the most likely one, given which of the newest leads have been won so far,
        and how long wins and losses take. Before they are seen, the shift is 0 with a standard
        deviation of `SHIFT_SD`. Each lead counts once: its moments share its weight, because they
        have the same outcome.

        Parameters
        ----------
        log_odds : ndarray of float64, shape (n,)
            A model's log-odds of the moments.

        Returns
        -------
        float
            In log-odds, within `MOST_SHIFT`.
        """
        won, (of_wins, of_losses) = self.moments.won, self._shares
        is_open, weight = np.isnan(won), _weight_in_lead(self.moments.lead)

        def cost(shift: float) -> float:
            shifted = log_odds + shift
            closed = np.where(won == 1, log_expit(shifted), log_expit(-shifted))[~is_open]
            p = expit(shifted[is_open])
            still_open = p * (1 - of_wins[is_open]) + (1 - p) * (1 - of_losses[is_open])
            tiny = np.finfo(float).tiny
            likelihood = weight[~is_open] @ closed
            likelihood += weight[is_open] @ np.log(np.maximum(still_open, tiny))
            return 0.5 * (shift / SHIFT_SD) ** 2 - float(likelihood)

        found = minimize_scalar(cost, bounds=(-MOST_SHIFT, MOST_SHIFT), method="bounded")
        return float(found.x)

    @property
    def _shares(self) -> tuple[Floats, Floats]:
        return self.delays.shares(self.moments.age)


def _weight_in_lead(lead: Ints) -> Floats:
    """Compute the weight of each moment with which the moments of a lead count as one.

    Examples
    --------
    >>> _weight_in_lead(np.array([7, 3, 7]))
    array([0.5, 1. , 0.5])
    """
    _, position, n_moments = np.unique(lead, return_inverse=True, return_counts=True)
    return 1.0 / n_moments[position]
