"""When records of one kind arrived, and whether they have stopped."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.arrays import Ints
from crm.records import Records
from crm.text import counted
from crm.times import DAY, NOT_A_TIME, TIME_DTYPE, microseconds
from features.times import time_text
from monitoring.check import Verdict
from monitoring.sequential import ACT_DAYS, WATCH_DAYS

HISTORY_DAYS: Final = 365  # before the newest record, that show what is usual
FEWEST_EVENTS: Final = 50
FEWEST_DAYS: Final = 28  # from the first to the last record, to know what is usual
QUIET_DAYS: Final = 56  # the quietest of this length shows how many records are sure to come
MOST_CERTAIN: Final = 0.85  # that a day has a record, because exports have gaps of their own
LONGER: Final = 2.0  # times the longest gap before
BACK_DAYS: Final = 7  # at the end of the records, in which a retired name must not occur


@dataclass(frozen=True)
class Arrivals:
    """When records of one kind arrived, and whether they have stopped.

    Attributes
    ----------
    name : str
    n : int
        The records of the last `HISTORY_DAYS`.
    last : int
        The newest record, in microseconds since 1970 UTC.
    gap_days : float
        The days from the newest record to the end of the records.
    usual_gap_days : float
        The longest time without a record before.
    expected : float
        The records that would have come since, at the rate of the quietest `QUIET_DAYS` before.
    days : float
        The statistic of Shiryaev and Roberts (`monitoring.sequential`): while records still come,
        it takes on average at least this number of days until it is as large.
    """

    name: str
    n: int
    last: int
    gap_days: float
    usual_gap_days: float
    expected: float
    days: float

    @property
    def verdict(self) -> Verdict:
        """ACT if it is certain that no records come any more, and never before so long."""
        if self.gap_days < LONGER * self.usual_gap_days:
            return Verdict.FINE
        if self.days >= ACT_DAYS:
            return Verdict.ACT
        return Verdict.WATCH if self.days >= WATCH_DAYS else Verdict.FINE

    def sentence(self, what: str) -> str:
        """Describe records that have stopped."""
        return (
            f'The last {what} "{self.name}" is from {time_text(self.last)[:10]}, '
            f"{self.gap_days:.0f} days before the end of the records. About {self.expected:,.0f} "
            f"were expected since; the longest gap before was {self.usual_gap_days:.1f} days."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain data."""
        return {
            "name": self.name,
            "n": self.n,
            "last": time_text(self.last),
            "gap_days": self.gap_days,
            "usual_gap_days": self.usual_gap_days,
            "expected": self.expected,
            "verdict": str(self.verdict),
        }


def arrivals_of(name: str, at: Ints, until: int, n_tests: int = 1) -> Arrivals | None:
    """Describe when records of one kind arrived.

    A day without a record is less likely while records still come than after they have stopped,
    when it is certain. The quietest time of the year before shows how likely it is at most, so that
    a season is not taken for a stop. On a day with a record the statistic starts again from 0.

    Parameters
    ----------
    name : str
    at : ndarray of int64, shape (n,)
        Their times, in microseconds since 1970 UTC.
    until : int
        The end of the records.
    n_tests : int
        The number of kinds of which this is one. All together keep the rate of false alarms.

    Returns
    -------
    Arrivals or None
        None with fewer than `FEWEST_EVENTS` records in the last `HISTORY_DAYS`, or if they came
        within `FEWEST_DAYS`.

    Examples
    --------
    >>> arrivals = arrivals_of("email_open", np.arange(0, 200) * DAY // 4, until=60 * DAY)
    >>> str(arrivals.verdict), arrivals.gap_days, arrivals.expected
    ('act', 10.25, 41.0)
    >>> str(arrivals_of("email_open", np.arange(0, 200) * DAY // 4, until=50 * DAY).verdict)
    'fine'
    """
    recent = np.sort(at[(at != NOT_A_TIME) & (at <= until) & (at > until - HISTORY_DAYS * DAY)])
    if len(recent) < FEWEST_EVENTS or recent[-1] - recent[0] < FEWEST_DAYS * DAY:
        return None
    gap = (until - int(recent[-1])) / DAY
    by_day = np.bincount((recent - recent[0]) // DAY)[:-1]  # the last day is not over
    days_with_record = _quietest(by_day > 0)
    certain = min(days_with_record, MOST_CERTAIN)
    of_a_day = -np.log1p(-certain)
    return Arrivals(
        name=name,
        n=len(recent),
        last=int(recent[-1]),
        gap_days=gap,
        usual_gap_days=float(np.diff(recent).max()) / DAY,
        expected=round(_quietest(by_day) * gap, 1),
        days=float(np.expm1(min(of_a_day * gap, 700.0)) / certain / n_tests),
    )


def _quietest(by_day: NDArray[Any]) -> float:
    """Return the mean of the `QUIET_DAYS` days with the fewest; half a record avoids 0."""
    length = min(QUIET_DAYS, len(by_day))
    until = np.append(0, np.cumsum(by_day))
    fewest = float((until[length:] - until[:-length]).min())
    return max(fewest, 0.5) / length


def until_of(records: Records) -> int:
    """Return the end of the records, in microseconds since 1970 UTC."""
    return int(microseconds(pd.Series([records.observed_until], dtype=TIME_DTYPE))[0])


def back_again(name: str, at: Ints, until: int) -> str:
    """Return a sentence if something that is retired arrives; otherwise "".

    It arrives if it occurred in the last `BACK_DAYS` and has not stopped since.

    Parameters
    ----------
    name : str
        The name, in quotes.
    at : ndarray of int64, shape (n,)
        The times at which it occurred.
    until : int
        The end of the records.

    Examples
    --------
    >>> back_again('"fax"', np.append(np.arange(90), [200, 201]) * DAY, until=204 * DAY)
    '"fax" is retired, but occurs 2 times in the last 7 days, last on 1970-07-21.'
    >>> back_again('"fax"', np.arange(0, 400) * DAY // 4, until=104 * DAY)
    ''
    """
    at = at[(at != NOT_A_TIME) & (at <= until)]
    n = int((at > until - BACK_DAYS * DAY).sum())
    arrivals = arrivals_of(name, at, until)
    if not n or (arrivals is not None and arrivals.verdict is not Verdict.FINE):
        return ""
    return (
        f"{name} is retired, but occurs {counted(n, 'time')} in the last {BACK_DAYS} days, last on "
        f"{time_text(int(at.max()))[:10]}."
    )
