"""The trend of a lead's scores."""

import pytest

from crm.ledger.trend import trend
from crm.times import DAY

TRENDS = {
    "none": ([], "too little to say", None),
    "two days": ([(0, 10), (DAY, 90)], "too little to say", None),
    "many scores on one day": ([(i, 10 * i) for i in range(5)], "too little to say", None),
    "up by five": ([(0, 40), (DAY, 42), (2 * DAY, 45)], "improving", 5.0),
    "down by five": ([(0, 45), (DAY, 43), (2 * DAY, 40)], "declining", -5.0),
    "nearly flat": ([(0, 40), (DAY, 42), (2 * DAY, 44)], "steady", 4.0),
    "only the last score of a day": ([(0, 99), (1, 40), (DAY, 40), (2 * DAY, 40)], "steady", 0.0),
    "only the last five days": ([(0, 1)] + [(d * DAY, 50) for d in range(1, 6)], "steady", 0.0),
    "days that are too long ago": (
        [(0, 1), (1 * DAY, 1), (40 * DAY, 50), (41 * DAY, 50)],
        "too little to say",
        None,
    ),
    "a day that is 30 days ago": (
        [(0, 40), (29 * DAY, 49), (30 * DAY, 50)],
        "improving",
        9.7,
    ),
    "a day that is 31 days ago": (
        [(0, 40), (30 * DAY, 49), (31 * DAY, 50)],
        "too little to say",
        None,
    ),
    "in any order": ([(2 * DAY, 46), (0, 40), (DAY, 43)], "improving", 6.0),
}


@pytest.mark.parametrize("case", TRENDS)
def test_trend_is_a_line_through_the_last_days(case: str) -> None:
    scores, direction, points = TRENDS[case]
    assert trend(scores) == (direction, points)
