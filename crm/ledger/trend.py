"""Finds whether a lead's scores rise or fall."""

from collections.abc import Iterable
from typing import Final

from crm.times import DAY

DAYS: Final = 5  # the number of newest days with a score that count
WITHIN_DAYS: Final = 30
MIN_DAYS: Final = 3
POINTS: Final = 5  # ten points are twice the odds


def trend(scores: Iterable[tuple[int, int]]) -> tuple[str, float | None]:
    """Compute how a lead's score moved in the last days.

    The last 5 days (UTC) with a score count, if they are at most 30 days older than the newest.
    The score of a day is its last one, so that many requests on a day have no more weight. A
    straight line is fitted by least squares. If it rises by 5 points or more from the first to the
    last of these days, the lead is improving. If it falls by 5 points or more, the lead is
    declining. Otherwise it is steady. With fewer than 3 days there is no result.

    Parameters
    ----------
    scores : iterable of (int, int)
        The time in microseconds since 1970 UTC and the score, 1 … 99, in the order in which the
        scores were given.

    Returns
    -------
    str
        "improving", "steady", "declining" or "too little to say".
    float or None
        The points by which the line rises from the first to the last day; None if there are too
        few days.

    Examples
    --------
    >>> trend([(0, 40), (DAY, 43), (2 * DAY, 46)])
    ('improving', 6.0)
    >>> trend([(0, 40), (60, 99), (DAY, 99)])
    ('too little to say', None)
    """
    by_day = {time // DAY: score for time, score in scores}
    days = sorted(by_day)[-DAYS:]
    days = [day for day in days if day >= days[-1] - WITHIN_DAYS]
    if len(days) < MIN_DAYS:
        return "too little to say", None
    mean_day, mean = sum(days) / len(days), sum(by_day[day] for day in days) / len(days)
    slope = sum((day - mean_day) * (by_day[day] - mean) for day in days) / sum(
        (day - mean_day) ** 2 for day in days
    )
    rise = round(slope * (days[-1] - days[0]), 1)
    direction = "improving" if rise >= POINTS else "declining" if rise <= -POINTS else "steady"
    return direction, rise
