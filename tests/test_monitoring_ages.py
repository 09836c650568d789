"""Leads of all ages count as in training, however many leads come."""

import numpy as np
import pytest

from crm.arrays import Floats, Ints
from crm.times import DAY
from monitoring.ages import age_weight

SINCE = -1  # the first lead comes at 0
AGES = (0.0, 7.0, 30.0)


def stream(leads_by_day: list[int], until: int) -> tuple[Ints, Floats]:
    """Return moments at the ages 0, 7 and 30 of leads that come each day, in order."""
    created = np.repeat(np.arange(len(leads_by_day)), leads_by_day)
    age = np.repeat([0, 7, 30], len(created))
    day = np.tile(created, 3) + age
    rows = np.argsort(day, kind="stable")
    rows = rows[day[rows] <= until]
    return day[rows] * DAY, age[rows].astype(np.float64)


def shares_of_ages(as_of: Ints, age: Floats, weight: Floats, days: range) -> list[float]:
    rows = np.isin(as_of // DAY, days)
    sums = np.array([weight[rows & (age == of)].sum() for of in (0, 7, 30)])
    return (sums / sums.sum()).tolist()


def test_campaign_does_not_change_the_mix_of_ages() -> None:
    as_of, age = stream([10] * 65 + [40] * 21 + [10] * 34, until=119)
    weight = age_weight(as_of, age, SINCE, AGES)
    days = range(65, 72)  # the block in which the campaign begins
    assert shares_of_ages(as_of, age, np.ones(len(age)), days)[0] == pytest.approx(4 / 6, abs=0.01)
    assert shares_of_ages(as_of, age, weight, days) == pytest.approx([1 / 3] * 3)
    assert weight.max() == 1.0
    assert weight.min() == 0.0


def test_moments_do_not_count_after_leads_have_stopped() -> None:
    as_of, age = stream([10] * 80, until=100)
    weight = age_weight(as_of, age, SINCE, AGES)
    assert weight[as_of >= 86 * DAY].max() == 0.0
    assert weight[(as_of >= 30 * DAY) & (as_of < 79 * DAY)].min() == pytest.approx(1.0)


def test_leads_that_close_before_an_age_are_fewer_there() -> None:
    as_of, age = stream([10] * 120, until=119)
    stays = (age < 30) | (np.arange(len(age)) % 2 == 0)
    as_of, age = as_of[stays], age[stays]
    weight = age_weight(as_of, age, SINCE, AGES)
    assert shares_of_ages(as_of, age, weight, range(65, 93)) == pytest.approx(
        [0.4, 0.4, 0.2], abs=0.01
    )


def test_young_leads_of_the_first_days_do_not_count() -> None:
    as_of, age = stream([10] * 50, until=49)
    assert age_weight(as_of, age, SINCE, AGES)[as_of < 30 * DAY].max() == 0.0
    as_of, age = stream([10] * 20, until=19)
    assert age_weight(as_of, age, SINCE, AGES).tolist() == [0.0] * len(age)
