"""Scored moments, with what happened to their leads afterwards."""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints, Strings
from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY, TIME_DTYPE, microseconds
from features.coverage import outcomes_from
from features.first_closings import NEVER, FirstClosings

MOST_TESTED: Final = 8  # moments of a lead that tests use


@dataclass(frozen=True)
class ScoredMoments:
    """Scores of leads at moments, with the outcomes that came after them.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        The position of the lead in `records.leads`.
    as_of : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC, ascending.
    log_odds : ndarray of float64, shape (n,)
        Calibrated log-odds of a win within the horizon.
    grade : ndarray of str, shape (n,)
    version : ndarray of str, shape (n,)
        The model that scored the moment.
    label : ndarray of float64, shape (n,)
        1 if the lead was won within the horizon, 0 if not, nan while the horizon is not over.
    known_at : ndarray of int64, shape (n,)
        The end of the horizon, in microseconds since 1970 UTC.
    won_at : ndarray of int64, shape (n,)
        The first win, in microseconds since 1970 UTC; `NEVER` without one.
    """

    lead: Ints
    as_of: Ints
    log_odds: Floats
    grade: Strings
    version: Strings
    label: Floats
    known_at: Ints
    won_at: Ints

    def __len__(self) -> int:
        return len(self.lead)

    @property
    def is_mature(self) -> Bools:
        """Whether the outcome is certain, shape (n,)."""
        return ~np.isnan(self.label)

    @property
    def weight(self) -> Floats:
        """The part of its lead that each moment counts, shape (n,): each lead counts once."""
        _, of_lead, counts = np.unique(self.lead, return_inverse=True, return_counts=True)
        return np.asarray(1 / counts[of_lead])

    @property
    def even_weight(self) -> Floats:
        """How much each moment counts in shares, shape (n,): all the same, a lead at most once.

        Training counts its moments alike. By `weight`, leads that were closed early, or that are
        still young, would count more, so the shares would be those of young leads.
        """
        _, counts = np.unique(self.lead, return_counts=True)
        return np.full(len(self), 1 / counts.max(initial=1))

    @property
    def ordinal(self) -> Ints:
        """The number of earlier moments of the same lead, shape (n,)."""
        order = np.argsort(self.lead, kind="stable")  # the moments of a lead stay in order of time
        ordered = self.lead[order]
        first = np.flatnonzero(np.diff(ordered, prepend=-1))
        starts = np.repeat(first, np.diff(np.append(first, len(ordered))))
        result = np.empty(len(ordered), dtype=np.int64)
        result[order] = np.arange(len(ordered)) - starts
        return result

    @property
    def tested(self) -> "ScoredMoments":
        """The first `MOST_TESTED` moments of each lead."""
        return self.take(self.ordinal < MOST_TESTED)

    @property
    def n_leads(self) -> int:
        """The number of leads."""
        return len(np.unique(self.lead))

    def take(self, rows: Bools | Ints) -> "ScoredMoments":
        """Return some of the moments."""
        arrays: dict[str, Any] = {
            column.name: getattr(self, column.name)[rows] for column in fields(self)
        }
        return ScoredMoments(**arrays)

    @property
    def mature(self) -> "ScoredMoments":
        """The moments whose outcome is certain."""
        return self.take(self.is_mature)


@dataclass(frozen=True)
class LeadOutcomes:
    """When each lead was closed and won, and what is known of it.

    Attributes
    ----------
    closed_at, won_at : ndarray of int64, shape (n_leads,)
        Microseconds since 1970 UTC; `NEVER` without a closing or a win.
    is_known : ndarray of bool, shape (n_leads,)
        False for leads that were created before the outcomes begin, or that have an outcome
        without a date.
    until : int
        The time until which outcomes are certain.
    horizon : int
        In microseconds.
    """

    closed_at: Ints
    won_at: Ints
    is_known: Bools
    until: int
    horizon: int

    @classmethod
    def of(cls, records: Records, learn: LearnKeys) -> "LeadOutcomes":
        """Collect the outcomes of records whose leads have a time of creation."""
        first = FirstClosings.of(records)
        times = pd.Series([records.observed_until, records.outcomes_until], dtype=TIME_DTYPE)
        observed_until, until = microseconds(times)
        created = microseconds(records.leads["created_at"])
        return cls(
            closed_at=first.closed_at,
            won_at=first.won_at,
            is_known=~(first.undated_win | first.undated_loss)
            & (created >= outcomes_from(records, observed_until)),
            until=int(until),
            horizon=int(learn.horizon_days * DAY),
        )

    def is_open_at(self, lead: Ints, as_of: Ints) -> Bools:
        """Return whether leads were open, and their outcome is known, at moments, shape (n,)."""
        return self.is_known[lead] & (self.closed_at[lead] > as_of)

    def moments(
        self, lead: Ints, as_of: Ints, log_odds: Floats, grade: Strings, version: Strings
    ) -> ScoredMoments:
        """Add the outcomes to scored moments, and sort them by time.

        Parameters
        ----------
        lead, as_of, log_odds, grade, version : ndarray, shape (n,)
            As in `ScoredMoments`; the leads were open at the moments.
        """
        order = np.argsort(as_of, kind="stable")
        lead, as_of = lead[order], as_of[order]
        known_at, won_at = as_of + self.horizon, self.won_at[lead]
        won = (won_at != NEVER) & (won_at <= known_at)
        return ScoredMoments(
            lead=lead,
            as_of=as_of,
            log_odds=log_odds[order],
            grade=grade[order],
            version=version[order],
            label=np.where(known_at <= self.until, won.astype(np.float64), np.nan),
            known_at=known_at,
            won_at=won_at,
        )
