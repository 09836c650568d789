"""Chooses the cut-offs of a backtest from the history, or from the options of the command."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.errors import ConfigError, LearningError
from crm.times import DAY
from features.moments import FEWEST_OUTCOMES, Moments, leads_of_rarer

KNOWN_SHARE: Final = 0.25  # of the leads with the rarer outcome, before the first cut-off
OUTCOMES_EACH: Final = 50  # leads with the rarer outcome after each cut-off
FEWEST: Final = 6  # cut-offs that are chosen from the history
MOST: Final = 12
MOST_ASKED: Final = 200  # cut-offs that options can name


@dataclass(frozen=True)
class Options:
    """The options of a backtest; what is None is chosen from the history.

    Attributes
    ----------
    every_days : int or None
        Days between two cut-offs.
    n_cut_offs : int or None
        The number of cut-offs; not together with `every_days`.
    first, last : Timestamp or None
        The first cut-off, and the last possible one, UTC.
    """

    every_days: int | None = None
    n_cut_offs: int | None = None
    first: pd.Timestamp | None = None
    last: pd.Timestamp | None = None


@dataclass(frozen=True)
class Plan:
    """The cut-offs of a backtest.

    Attributes
    ----------
    cut_offs : tuple of int
        Microseconds since 1970 UTC, at equal distances, the earliest first.
    every_days : int
        The days between two cut-offs.
    end : int
        The end of the last period: `every_days` after the last cut-off, or where the leads end.
        Leads that were created from then on are not scored.
    """

    cut_offs: tuple[int, ...]
    every_days: int
    end: int

    def period_of(self, created: Ints) -> Ints:
        """Return the number of the last cut-off before each creation; -1 if there is none.

        Parameters
        ----------
        created : ndarray of int64, shape (n,)
            Microseconds since 1970 UTC.

        Examples
        --------
        >>> Plan((0, 10 * DAY), 10, 20 * DAY).period_of(np.array([-1, 0, 10 * DAY])).tolist()
        [-1, 0, 1]
        """
        return np.searchsorted(self.cut_offs, created, side="right") - 1


def make_plan(moments: Moments, created: Ints, options: Options) -> Plan:
    """Choose the cut-offs.

    Without options, the first one is the day on which a quarter of the leads with the rarer
    outcome are known. From there to the last lead with a certain outcome there are 6 to 12
    cut-offs, at equal distances of whole days: as many as leave `OUTCOMES_EACH` leads with the
    rarer outcome after each, on average.

    Parameters
    ----------
    moments : Moments
        All mature moments.
    created : ndarray of int64, shape (n_leads,)
        The creation of each lead, in microseconds since 1970 UTC.
    options : Options

    Returns
    -------
    Plan

    Raises
    ------
    ConfigError
        If the options contradict each other or the history.
    LearningError
        If the history is too short for two cut-offs.
    """
    if options.every_days is not None and options.n_cut_offs is not None:
        raise ConfigError("--every and --cut-offs exclude each other. Name one of them.")
    newest = int(created[moments.lead].max())
    start = _midnight(_first_known(moments) if options.first is None else _time(options.first))
    stop = _midnight(newest + 1)  # every lead with a certain outcome was created before
    _check_history(start, newest, options)
    # A named last cut-off is one of them; otherwise the leads of one more interval come after it.
    is_last_named = options.last is not None
    span = ((stop if options.last is None else _time(options.last)) - start) // DAY
    every = options.every_days
    if every is None:
        n = options.n_cut_offs or _number(moments, created, start)
        every = max(1, span // max(1, n - is_last_named))
        n = min(n, span // every + is_last_named)
    elif options.first is not None and not is_last_named:
        n = -(-span // every)
    else:
        n = span // every + is_last_named
    if n > MOST_ASKED:
        raise ConfigError(
            f"--every {every} makes {n:,} cut-offs, each with a training; at most {MOST_ASKED} are "
            "possible. Name a longer interval, or a later --from."
        )
    if n < 2:
        raise LearningError(
            f"The history is too short for a backtest: from {_day(start)}, when enough outcomes "
            f"are known, to {_day(newest)}, when the last lead with a certain outcome was created, "
            "it has fewer than two cut-offs. Export a longer history, or shorten horizon_days"
            + (", or --every." if options.every_days else ".")
        )
    if options.first is None:
        start += (span - (n - is_last_named) * every) * DAY  # so that no leads remain at the end
    cut_offs = tuple(start + i * every * DAY for i in range(n))
    return Plan(cut_offs, every, min(stop, cut_offs[-1] + every * DAY))


def _first_known(moments: Moments) -> int:
    """Return the time at which a quarter of the leads with the rarer outcome are known."""
    is_won = moments.label == 1
    won, lost = (np.unique(moments.lead[rows]) for rows in (is_won, ~is_won))
    rarer = is_won if len(won) <= len(lost) else ~is_won
    _, first = np.unique(moments.lead[rarer], return_index=True)
    known = np.sort(moments.known_at[rarer][first])
    needed = max(FEWEST_OUTCOMES, int(np.ceil(KNOWN_SHARE * len(known))))
    if len(known) < needed:
        raise LearningError(
            f"Only {len(known)} leads with the rarer outcome are known at the end of the history; "
            f"a model needs at least {FEWEST_OUTCOMES}. Export a longer history, or shorten "
            "horizon_days."
        )
    return int(known[needed - 1])


def _check_history(first: int, newest: int, options: Options) -> None:
    """Raise an error if the options leave no leads after the first cut-off."""
    if first > newest and options.first is not None:
        raise ConfigError(
            f"--from is {_day(first)}, but the last lead whose outcome is certain was created on "
            f"{_day(newest)}. Name an earlier day."
        )
    if first > newest:
        raise LearningError(
            f"A quarter of the outcomes was known on {_day(first)}, but the last lead whose "
            f"outcome is certain was created on {_day(newest)}, so no later leads can be scored. "
            "Export a longer history, shorten horizon_days, or name an earlier day with --from."
        )
    if options.last is not None and _time(options.last) <= first:
        raise ConfigError(
            f"--to is {_day(_time(options.last))}, which is not after the first cut-off, "
            f"{_day(first)}. Name a later day."
        )


def _number(moments: Moments, created: Ints, start: int) -> int:
    """Return the number of cut-offs so that enough outcomes come after each."""
    later = created[moments.lead] >= start
    rarer = leads_of_rarer(moments.label[later], moments.lead[later])
    return int(np.clip(rarer // OUTCOMES_EACH, FEWEST, MOST))


def _midnight(at: int) -> int:
    """Return the first midnight UTC at a time or after it."""
    return -(-at // DAY) * DAY


def _time(day: pd.Timestamp) -> int:
    return int(day.value // 1_000)


def _day(at: int) -> str:
    return f"{pd.Timestamp(at, unit='us'):%Y-%m-%d}"
