from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from crm.records import Records
from crm.times import DAY, as_times
from features.moments import Moments
from models.calibration import Calibration
from models.reference import MOST_MONTHS, FeatureBins
from tests.made_monitoring import SCALE
from tests.made_runs import Work
from training.fit import Fitted
from training.reference import (
    _held_out,
    _loss_shares,
    _months,
    _win_delays,
    describe_reference,
)

HORIZON = 90


def moments_of(as_of_days: Any, label: Any = None) -> Moments:
    """Return a moment of each of several leads."""
    at = np.asarray(as_of_days, dtype=np.int64) * DAY
    n = len(at)
    labels = np.zeros(n, dtype=np.int8) if label is None else np.asarray(label, dtype=np.int8)
    return Moments(np.arange(n), at, labels, at + HORIZON * DAY, np.ones(n), {})


def records_of(closed: Any, is_won: Any) -> Records:
    """Return records whose leads were closed on some days; nan if they are open."""
    days = np.asarray(closed, dtype=np.float64)
    rows = np.flatnonzero(~np.isnan(days))
    at = as_times((days[rows] * DAY).astype(np.int64), pd.RangeIndex(len(rows)))
    n = len(days)
    start = as_times(np.zeros(n, dtype=np.int64), pd.RangeIndex(n))
    outcomes = {
        "lead_id": [f"L{i}" for i in rows],
        "outcome": np.where(np.asarray(is_won)[rows], "won", "lost"),
        "closed_at": at,
        "closed_by": at,
    }
    return Records(
        leads=pd.DataFrame({"lead_id": [f"L{i}" for i in range(n)], "created_at": start}),
        outcomes=pd.DataFrame(outcomes),
        in_order=True,
    )


def test_months_beyond_the_newest_join_the_first_one() -> None:
    """A moment on the 15th of each of 26 months."""
    months = pd.date_range("2020-01-15", periods=26, freq="MS", tz="UTC")
    days = [(month - pd.Timestamp(0, tz="UTC")).days for month in months]
    names, place = _months(moments_of(days))
    assert len(names) == MOST_MONTHS == 24
    assert (names[0], names[-1]) == ("2020-04", "2022-03")
    assert place.tolist() == [0, 0, *range(24)]


def test_delays_of_wins_are_known_from_fifty_on() -> None:
    # 49 leads of grade B and 51 of grade A are won after 1 to 100 % of 50 days.
    delay = np.arange(1, 101) / 2
    moments = moments_of([0] * 100, [1] * 100)
    grade = np.where(np.arange(100) < 49, "B", "A")
    records = records_of(delay, [True] * 100)
    delays = _win_delays(records, moments, np.full(100, 7.0), grade)
    assert sorted(delays) == ["", "7", "7 A"]
    assert len(delays[""]) == 21
    # The smallest, the middle and the largest of 0.5, 1, … 50 days.
    assert [delays[""][i] for i in (0, 10, 20)] == [0.5, 25.25, 50.0]
    assert [delays["7 A"][i] for i in (0, 20)] == [25.0, 50.0]


def test_reference_of_moments_a_week_after_the_creation(work: Work) -> None:
    """The ages are in days, and values that mean "missing" have their own bin."""
    scorer, moments = work.trained.scorer, work.trained.moments
    final = SimpleNamespace(
        pipeline=scorer.pipeline,
        estimator=scorer.estimator,
        calibration=scorer.calibration,
        log_odds_of=lambda matrix: np.zeros(len(matrix)),
        out_of_fold=None,
    )
    week = 7 * DAY
    later = replace(moments, as_of=moments.as_of + week, known_at=moments.known_at + week)
    reference = describe_reference(work.records, later, cast("Fitted", final), scorer.scale, 0)
    assert set(reference.loss_shares) == {"7"}
    grade = str(scorer.scale.grade(scorer.scale.score(np.array([0.5])))[0])
    assert set(reference.win_delays) == {"", "7", f"7 {grade}"}
    assert reference.held_out == []
    bins = {of.bins.feature: of.bins for of in reference.features}
    assert (bins["source"].missing, bins["source"].unseen) == (0.0, 1.0)
    others = scorer.pipeline.names[len(scorer.pipeline.attributes) :]
    assert others
    assert {(bins[name].missing, bins[name].unseen) for name in others} == {(None, None)}


def test_wins_after_the_horizon_have_no_delay() -> None:
    delay = np.where(np.arange(60) < 50, HORIZON, HORIZON + 0.01)
    moments = moments_of([0] * 60, [1] * 60)
    delays = _win_delays(records_of(delay, [True] * 60), moments, np.zeros(60), np.full(60, "A"))
    assert set(delays[""]) == {90.0}
    lost = moments_of([0] * 60, [0] * 60)
    assert _win_delays(records_of(delay, [True] * 60), lost, np.zeros(60), np.full(60, "A")) == {}


def test_shares_of_losses_by_part_of_the_horizon() -> None:
    # Of 100 moments of day 100, 25 are lost after 9 days (a tenth of the horizon), 25 after 45, 10
    # are won then, 10 are lost at the end of the horizon, 10 after it, and 20 are open.
    days = [109.0, 145.0, 145.0, 190.0, 191.0, np.nan]
    closed = np.repeat(days, [25, 25, 10, 10, 10, 20])
    label = np.repeat([0, 0, 1, 0, 0, 0], [25, 25, 10, 10, 10, 20])
    moments = moments_of([100] * 100, label)
    shares = _loss_shares(records_of(closed, label == 1), moments, np.zeros(100))
    (of_age,) = shares.values()
    assert list(shares) == ["0"]
    assert of_age == [0.0] * 2 + [0.25] * 8 + [0.5] * 10 + [0.6]


def test_ages_with_fewer_than_fifty_losses_are_left_out() -> None:
    closed, moments = np.full(99, 9.0), moments_of([0] * 99)
    age = np.where(np.arange(99) < 49, 0.0, 7.0)
    assert list(_loss_shares(records_of(closed, [False] * 99), moments, age)) == ["7"]


def test_held_out_months_are_those_of_the_moments_out_of_fold() -> None:
    moments = moments_of([10, 20, 20, 25, 40], [1, 1, 1, 0, 0])
    # The third moment was not in the sample of a fold, and the last two are not described. The
    # calibration doubles the log-odds.
    chances = np.array([0.5, 0.01, np.nan, 0.5, 0.2, 0.9, 0.9])
    fitted = cast(
        "Fitted", SimpleNamespace(out_of_fold=logit(chances) / 2, calibration=Calibration(2.0, 0.0))
    )
    described = np.array([True, True, True, True, True])
    january, february = _held_out(moments, fitted, described, SCALE)
    assert (january.month, january.n, january.won) == ("1970-01", 3, 2)
    assert january.expected == pytest.approx(0.5 + 0.01 + 0.5)
    # A half is four times the odds of the scale, 20 points above 50; a hundredth is far below.
    assert january.grades == {"A": 2, "D": 1}
    assert (february.month, february.n, february.won, february.grades) == (
        "1970-02",
        1,
        0,
        {"B": 1},
    )
    sampled = np.array([True, False, False, False, True])
    chosen = moments.take(sampled)
    assert [month.n for month in _held_out(chosen, fitted, sampled, SCALE)] == [1, 1]
    nothing = cast("Fitted", SimpleNamespace(out_of_fold=None))
    assert _held_out(moments, nothing, described, SCALE) == []


def test_bins_of_missing_and_unseen_values_come_first() -> None:
    bins = FeatureBins("source", [], [2.0, 4.0], missing=0.0, unseen=1.0)
    assert bins.n_bins == 5
    assert bins.count(np.array([0.0, np.nan, 1.0, 2.0, 3.0, 9.0, 4.0, 4.0])).tolist() == [
        2, 1, 1, 2, 2,
    ]  # fmt: skip
    weighted = bins.count(np.array([2.0, 2.0, 4.0]), np.array([0.5, 0.25, 1.0]))
    assert weighted.tolist() == [0, 0, 0.75, 1.0, 0]
