"""Whether a lead's scores rise or fall."""

from collections.abc import Iterable
from typing import Final

from crm.times import DAY

DAYS: Final = 5  # so many days on which the lead was scored, the newest ones
WITHIN_DAYS: Final = 30
MIN_DAYS: Final = 3
POINTS: Final = 5  # ten points are twice the odds


def trend(scores: Iterable[tuple[int, int]]) -> tuple[str, float | None]:
    """Tell how a lead's score has moved lately.

    Looked at are the last 5 days (UTC) on which the lead was scored, if they lie within 30
    days of the newest; of a day the score that was given last counts, so that a CRM which
    asks again and again does not count more. A straight line is laid through them by least
    squares: if it rises by 5 points or more from the first to the last of these days, the
    lead is improving, if it falls by as much, declining, else steady. Fewer than 3 days are
    too little to say.

    Parameters
    ----------
    scores : iterable of (int, int)
        Moment in microseconds since 1970 UTC, and score 1 … 99, in the order they were given.

    Returns
    -------
    str
        "improving", "steady", "declining" or "too little to say".
    float or None
        How many points the line rises from the first to the last day; None if too little.

    Examples
    --------
    >>> day = DAY
    >>> trend([(0, 40), (day, 43), (2 * day, 46)])
    ('improving', 6.0)
    >>> trend([(0, 40), (60, 99), (day, 99)])
    ('too little to say', None)
    """
    by_day = {moment // DAY: score for moment, score in scores}
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
