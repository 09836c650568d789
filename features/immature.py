"""Lists moments whose horizon is not over yet, and computes their expected labels."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from crm.arrays import Bools, Floats, Ints
from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY, microseconds
from features.coverage import outcomes_from
from features.first_closings import NEVER, FirstClosings
from features.moments import Moments, possible_moments

FEWEST_DELAYS: Final = 20  # wins, and closings without a win, to know when they come


@dataclass(frozen=True)
class ImmatureMoments:
    """Moments whose horizon is not over at a time, with what is known of them by then.

    Only leads without a mature moment at that time have some, so no lead is both here and among
    the moments to learn from.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        The position of the lead in `records.leads`.
    as_of : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC.
    age : ndarray of int64, shape (n,)
        The observed part of the horizon, in microseconds.
    won : ndarray of float64, shape (n,)
        1 if the lead is won by then, 0 if it is closed without a win, nan if it is open.
    """

    lead: Ints
    as_of: Ints
    age: Ints
    won: Floats

    def __len__(self) -> int:
        return len(self.lead)

    def take(self, rows: Bools) -> "ImmatureMoments":
        """Return some of the moments."""
        return ImmatureMoments(self.lead[rows], self.as_of[rows], self.age[rows], self.won[rows])


def immature_moments(records: Records, learn: LearnKeys, at: int) -> ImmatureMoments:
    """List the moments before a time whose horizon ends after it.

    Nothing that happened after that time is read. A lead with an outcome without a date has none,
    because it is not known whether that outcome had come.

    Parameters
    ----------
    records : Records
        Records with times.
    learn : LearnKeys
    at : int
        Microseconds since 1970 UTC.

    Returns
    -------
    ImmatureMoments
        In the order of time.
    """
    created = microseconds(records.leads["created_at"])
    first = FirstClosings.of(records)
    lead, as_of = possible_moments(created, learn)
    horizon = int(learn.horizon_days * DAY)
    first_as_of = np.full(len(created), np.iinfo(np.int64).max)
    np.minimum.at(first_as_of, lead, as_of)
    is_immature = (
        (as_of < at)
        & (first_as_of[lead] + horizon > at)
        & (first.closed_at[lead] > as_of)
        & ~(first.undated_win | first.undated_loss)[lead]
        & (created[lead] >= outcomes_from(records, at))
    )
    rows = np.flatnonzero(is_immature)
    rows = rows[np.argsort(as_of[rows], kind="stable")]
    won = np.full(len(rows), np.nan)
    won[first.closed_at[lead[rows]] <= at] = 0.0
    won[first.won_at[lead[rows]] <= at] = 1.0
    return ImmatureMoments(lead[rows], as_of[rows], at - as_of[rows], won)


@dataclass(frozen=True)
class Delays:
    """How long wins and other closings take, from the moments whose horizon is over.

    Attributes
    ----------
    of_wins : ndarray of int64, shape (n_won,)
        The time from each won moment to the win, in microseconds, sorted.
    of_losses : ndarray of int64, shape (n_not_won,)
        The time from each other moment to the closing, sorted; `NEVER` if the lead was not closed.
    """

    of_wins: Ints
    of_losses: Ints

    @classmethod
    def of(cls, records: Records, moments: Moments) -> "Delays":
        """Measure the delays of mature moments; those of outcomes without a date are not known."""
        first, is_won = FirstClosings.of(records), moments.label == 1
        is_dated = ~(first.undated_win | first.undated_loss)[moments.lead]
        return cls(
            *(
                np.sort(_time_until(at[moments.lead[rows]], moments.as_of[rows]))
                for at, rows in (
                    (first.won_at, is_dated & is_won),
                    (first.closed_at, is_dated & ~is_won),
                )
            )
        )

    @property
    def are_known(self) -> bool:
        """True if there are enough wins and other moments."""
        return min(len(self.of_wins), len(self.of_losses)) >= FEWEST_DELAYS

    def shares(self, age: Ints) -> tuple[Floats, Floats]:
        """Compute the shares of wins and of other closings that come within some time.

        Parameters
        ----------
        age : ndarray of int64, shape (n,)
            Microseconds.

        Returns
        -------
        wins, losses : ndarray of float64, shape (n,)
            0 … 1. The share of losses is one of all moments that are not won, so it stays below 1
            if some of them are never closed.
        """
        wins, losses = (
            np.searchsorted(delays, age, side="right") / len(delays)
            for delays in (self.of_wins, self.of_losses)
        )
        return wins, losses


def _time_until(at: Ints, as_of: Ints) -> Ints:
    """Compute the time from each moment to an event; `NEVER` if the event did not happen.

    The difference alone would overflow for moments before 1970.
    """
    return np.where(at == NEVER, NEVER, at - np.where(at == NEVER, 0, as_of))


def expected_label(
    probability: Floats, won: Floats, share_of_wins: Floats, share_of_losses: Floats
) -> Floats:
    """Compute the probability that an immature moment will have been won when it matures.

    A lead that is still open after most wins have come is less likely to be won than at first; if
    most losses have come as well, it is not. With p the probability at first, F the share of wins
    that have come and G that of losses, it is p (1 - F) / (p (1 - F) + (1 - p) (1 - G)).

    Parameters
    ----------
    probability : ndarray of float64, shape (n,)
        The probability of a win within the horizon, at the moment.
    won : ndarray of float64, shape (n,)
        1 if the lead has been won since, 0 if it was closed without a win, nan if it is open.
    share_of_wins, share_of_losses : ndarray of float64, shape (n,)
        The shares of wins and losses that come within the age of the moment, 0 … 1.

    Returns
    -------
    ndarray of float64, shape (n,)
        `won` where it is known. Where all wins and losses have come by that age, 0.

    Notes
    -----
    This is Bayes' rule for a time to an event that is censored (Chapelle, "Modeling Delayed
    Feedback in Display Advertising", 2014, has it with exponential delays).

    Examples
    --------
    >>> expected_label(np.array([0.5, 0.5, 0.5]), np.array([np.nan, np.nan, 1.0]),
    ...                np.array([0.8, 0.8, 0.0]), np.array([0.0, 0.8, 0.0])).round(3)
    array([0.167, 0.5  , 1.   ])
    """
    still_won = probability * (1 - share_of_wins)
    still_lost = (1 - probability) * (1 - share_of_losses)
    total = still_won + still_lost
    of_open = np.divide(still_won, total, out=np.zeros_like(total), where=total > 0)
    return np.where(np.isnan(won), of_open, won)
