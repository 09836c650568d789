"""The cut-offs of a backtest."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.arrays import Ints
from crm.errors import ConfigError, LearningError
from crm.times import DAY
from features.moments import Moments
from tests.made_backtests import START, at_day
from training.backtest.plan import Options, Plan, make_plan


def leads(
    n: int = 1_000, *, days: float = 100, won_each: int = 4, horizon: int = 10
) -> tuple[Moments, Ints]:
    """Return one moment for each lead, at equal distances; every fourth lead is won."""
    created = at_day(0) + (np.arange(n) * days / n * DAY).astype(np.int64)
    label = (np.arange(n) % won_each == 0).astype(np.int8)
    known_at = created + horizon * DAY
    return Moments(np.arange(n), created, label, known_at, np.ones(n), {}), created


def plan(options: Options = Options(), **kind: Any) -> Plan:  # noqa: B008
    return make_plan(*leads(**kind), options)


def day(number: int) -> pd.Timestamp:
    return START + pd.Timedelta(number, "D")


def days_of(made: Plan) -> list[int]:
    return [(at - at_day(0)) // DAY for at in made.cut_offs]


def test_the_first_cut_off_is_when_a_quarter_of_the_outcomes_is_known() -> None:
    # 250 wins; the 63rd is lead 248, of day 24.8, known on day 34.8. The last lead is of day 99.9.
    made = plan()
    assert made.every_days == 10  # 65 days, at most 6 cut-offs
    assert days_of(made) == [40, 50, 60, 70, 80, 90]
    assert made.end == at_day(100)


def test_many_outcomes_make_more_cut_offs() -> None:
    # 2,500 wins, of which 1,650 come after day 34: more than 12 times 50.
    assert len(plan(n=10_000).cut_offs) == 12
    # 1,000 wins of 4,000 leads: 650 of them come after the first cut-off.
    assert len(plan(n=2_000).cut_offs) == 6
    assert len(plan(n=2_800, won_each=4).cut_offs) == 9


def test_losses_may_be_the_rarer_outcome() -> None:
    moments, created = leads(n=2_800)
    turned = Moments(*(1 - v if name == "label" else v for name, v in vars(moments).items()))
    assert make_plan(turned, created, Options()) == make_plan(moments, created, Options())


def test_a_few_outcomes_wait_until_a_model_is_possible() -> None:
    # 25 wins, a quarter is 7, but a model needs 20: the lead of day 76, known on day 86.
    made = plan(n=100)
    assert made.cut_offs[0] >= at_day(86)
    assert made.every_days == 2


def test_twenty_outcomes_are_enough() -> None:
    assert days_of(plan(n=80, horizon=0)) == [95, 96, 97, 98]  # the 20th win is of day 95


def test_the_day_of_the_last_lead_may_be_named() -> None:
    with pytest.raises(LearningError, match="fewer than two cut-offs"):
        plan(Options(first=day(99)), n=100)


def test_each_interval_may_be_named() -> None:
    made = plan(Options(every_days=20))
    assert days_of(made) == [40, 60, 80]  # back from the end, in whole intervals
    assert made.end == at_day(100)


def test_the_number_of_cut_offs_may_be_named() -> None:
    made = plan(Options(n_cut_offs=4))
    assert days_of(made) == [36, 52, 68, 84]


def test_the_first_cut_off_may_be_named() -> None:
    made = plan(Options(first=day(30), every_days=30))
    assert days_of(made) == [30, 60, 90]  # the last period is shorter
    assert made.end == at_day(100)
    made = plan(Options(first=day(30), n_cut_offs=3))
    assert days_of(made) == [30, 53, 76]
    assert made.end == at_day(99)


def test_the_last_cut_off_may_be_named() -> None:
    made = plan(Options(last=day(70), every_days=10))
    assert days_of(made) == [40, 50, 60, 70]
    assert made.end == at_day(80)
    made = plan(Options(last=day(70), n_cut_offs=3))
    assert days_of(made) == [36, 53, 70]
    assert made.end == at_day(87)


def test_both_ends_may_be_named() -> None:
    made = plan(Options(first=day(30), last=day(70), n_cut_offs=3))
    assert days_of(made) == [30, 50, 70]
    made = plan(Options(first=day(30), last=day(70), every_days=15))
    assert days_of(made) == [30, 45, 60]


def test_more_cut_offs_than_days_are_one_a_day() -> None:
    made = plan(Options(first=day(90), n_cut_offs=50))
    assert made.every_days == 1
    assert days_of(made) == [*range(90, 100)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(every_days=5, n_cut_offs=5), "--every and --cut-offs exclude each other"),
        (Options(first=day(101)), "--from is 2025-04-12, but the last lead .* on 2025-04-10"),
        (Options(first=day(50), last=day(50)), "--to is 2025-02-20, which is not after"),
        (Options(last=day(20)), "--to is 2025-01-21, which is not after the first .*2025-02-05"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(options)


def test_too_many_cut_offs_are_refused() -> None:
    assert len(plan(Options(first=day(0), every_days=1), days=200).cut_offs) == 200
    with pytest.raises(ConfigError, match="--every 1 makes 201 cut-offs"):
        plan(Options(first=day(0), every_days=1), days=201)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ({"n": 76}, Options(), "Only 19 leads with the rarer outcome are known"),
        ({"horizon": 90}, Options(), "was known on 2025-04-26, but the last lead"),
        ({}, Options(every_days=50), "fewer than two cut-offs.*or --every."),
        ({"days": 1.5, "horizon": 0}, Options(), r"fewer than two .*horizon_days\.$"),
    ],
)
def test_a_history_that_is_too_short_is_refused(
    kind: dict[str, Any], options: Options, message: str
) -> None:
    with pytest.raises(LearningError, match=message):
        plan(options, **kind)


def test_periods_begin_with_a_cut_off() -> None:
    made = Plan((0, 10 * DAY), 10, 20 * DAY)
    assert made.period_of(np.array([-1, 0, 10 * DAY - 1, 10 * DAY, 90 * DAY])).tolist() == [
        -1, 0, 0, 1, 1,
    ]  # fmt: skip
