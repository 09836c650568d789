"""The metrics: equal to scikit-learn, computed by hand, and their intervals."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    roc_auc_score,
)

from features.intervals import wilson
from models.evaluation import intervals
from models.evaluation.metrics import (
    MODEL_METRICS,
    by_grade,
    evaluate,
    gains,
    log_losses,
    measure,
    rank,
    reliability,
)


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[Any]:
    """Draw few resamples, because most tests do not look at intervals."""
    with patch.object(intervals, "N_RESAMPLES", 20):
        yield


@pytest.fixture
def all_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw as many resamples as the product does."""
    monkeypatch.setattr(intervals, "N_RESAMPLES", 300)


@st.composite
def scored_moments(draw: Any) -> Any:
    """Draw margins with many ties, labels of both classes, weights, and leads."""
    n = draw(st.integers(2, 60))
    steps = draw(st.sampled_from([1, 2, 4, 1_000]))
    margin = draw(arrays.arrays(np.int64, n, elements=st.integers(-4 * steps, 4 * steps))) / steps
    label = draw(arrays.arrays(np.int8, n, elements=st.integers(0, 1)))
    label[:2] = (0, 1)
    weight = draw(arrays.arrays(np.float64, n, elements=st.sampled_from([0.25, 1 / 3, 0.5, 1.0])))
    lead = draw(arrays.arrays(np.int64, n, elements=st.integers(2, 30)))
    lead[:2] = (0, 1)
    return margin, label, weight, lead


@settings(deadline=None, max_examples=60)
@given(moments=scored_moments())
def test_metrics_equal_scikit_learn(moments: Any) -> None:
    margin, label, weight, lead = moments
    values = evaluate(margin, label, weight, lead, seed=0).values
    probability = expit(margin)
    expected = {
        "roc_auc": roc_auc_score(label, margin, sample_weight=weight),
        "pr_auc": average_precision_score(label, margin, sample_weight=weight),
        "log_loss": log_loss(label, probability, sample_weight=weight),
        "brier": brier_score_loss(label, probability, sample_weight=weight),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(moments=scored_moments(), seed=st.integers(0, 9))
def test_metrics_do_not_depend_on_the_order_of_moments(moments: Any, seed: int) -> None:
    margin, label, weight, _ = moments
    shuffled = np.random.default_rng(seed).permutation(len(margin))
    lead = np.arange(len(margin))
    values = evaluate(margin, label, weight, lead, seed=0).values
    reordered = evaluate(margin[shuffled], label[shuffled], weight[shuffled], lead, seed=0).values
    # The bin of the middle of a tie depends on the last bit of a sum, so "ece" is not compared.
    for name in values.keys() - {"ece"}:
        assert reordered[name] == pytest.approx(values[name], abs=1e-12)


def test_calibration_error_by_hand() -> None:
    # Two tied groups of ten: 0.8 stated and 6 won, 0.2 stated and 3 won.
    margin = np.repeat(logit([0.8, 0.2]), 10)
    label = np.array([1] * 6 + [0] * 4 + [1] * 3 + [0] * 7, dtype=np.int8)
    result = evaluate(margin, label, np.ones(20), np.arange(20), seed=0)
    assert result.values["ece"] == pytest.approx((10 * 0.2 + 10 * 0.1) / 20)
    assert result.base_rate == pytest.approx(9 / 20)
    assert (result.n, result.n_leads) == (20, 20)


def test_perfect_forecast_has_no_calibration_error() -> None:
    margin = np.repeat([40.0, -40.0], 5)
    label = np.repeat(np.array([1, 0], dtype=np.int8), 5)
    values = evaluate(margin, label, np.ones(10), np.arange(10), seed=0).values
    assert values["ece"] == pytest.approx(0.0, abs=1e-12)
    assert values["log_loss"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("margin", "won", "lift"),
    [
        # Of 20 leads the best two are worked; 4 are won in all, so random order finds 0.4.
        (np.arange(20, 0, -1.0), [0, 1, 2, 3], 2 / 0.4),
        (np.arange(20, 0, -1.0), [0, 5, 6, 7], 1 / 0.4),
        (np.arange(20, 0, -1.0), [16, 17, 18, 19], 0.0),
        # The best four are tied and two of them are won, so two of the four find one win.
        (np.array([9.0] * 4 + [1.0] * 16), [0, 3, 10, 11], 1 / 0.4),
        (np.zeros(20), [0, 1, 2, 3], 1.0),
    ],
    ids=["all on top", "one on top", "none on top", "tied top", "all tied"],
)
def test_lift_by_hand(margin: Any, won: list[int], lift: float) -> None:
    label = np.zeros(20, dtype=np.int8)
    label[won] = 1
    values = evaluate(margin, label, np.ones(20), np.arange(20), seed=0).values
    assert values["lift_at_10"] == pytest.approx(lift)


@pytest.mark.usefixtures("all_resamples")
def test_intervals_contain_the_value_and_narrow_with_leads() -> None:
    width = {}
    for n in (200, 3_200):
        generator = np.random.default_rng(7)
        margin = generator.normal(-1.5, 1.0, n)
        # The true slope is half the stated one, so that the calibration error is not near 0.
        label = (generator.random(n) < expit(0.5 * margin)).astype(np.int8)
        result = evaluate(margin, label, np.ones(n), np.arange(n), seed=0)
        for name in MODEL_METRICS:
            low, high = result.intervals[name]
            assert low <= result.values[name] <= high, name
            width[name, n] = high - low
    for name in MODEL_METRICS:
        assert 2.5 < width[name, 200] / width[name, 3_200] < 6, name  # the square root of 16 is 4


def test_bootstrap_draws_leads_instead_of_moments() -> None:
    generator = np.random.default_rng(3)
    margin = generator.normal(-1.0, 1.0, 300)
    label = (generator.random(300) < expit(margin)).astype(np.int8)
    once = evaluate(margin, label, np.ones(300), np.arange(300), seed=0)
    thrice = evaluate(
        np.repeat(margin, 3), np.repeat(label, 3), np.full(900, 1 / 3), np.arange(900) // 3, seed=0
    )
    assert (thrice.n, thrice.n_leads) == (900, 300)
    for name in set(MODEL_METRICS) - {"ece"}:  # its bins may differ
        assert thrice.values[name] == pytest.approx(once.values[name])
        assert thrice.intervals[name] == pytest.approx(once.intervals[name])


def test_same_seed_gives_the_same_intervals() -> None:
    label = np.tile(np.array([0, 1, 0], dtype=np.int8), 30)
    margin = np.linspace(-2, 1, 90)
    first, second, other_seed = (
        evaluate(margin, label, np.ones(90), np.arange(90), seed=seed) for seed in (5, 5, 6)
    )
    assert first == second
    assert first.intervals != other_seed.intervals


def test_evaluation_is_plain_data() -> None:
    label = np.array([0, 1, 0, 1], dtype=np.int8)
    state = evaluate(np.arange(4.0), label, np.ones(4), np.arange(4), seed=0).to_json()
    assert state.keys() == {
        "n",
        "n_leads",
        "base_rate",
        "ece_by_chance",
        "intervals",
        *MODEL_METRICS,
    }
    assert state["intervals"].keys() == set(MODEL_METRICS)
    assert all(isinstance(state[name], float) for name in MODEL_METRICS)


@settings(deadline=None, max_examples=60)
@given(moments=scored_moments())
def test_reliability_rows_are_the_bins_of_the_calibration_error(moments: Any) -> None:
    margin, label, weight, lead = moments
    rows = reliability(margin, label, weight)
    bins = [row["bin"] for row in rows]
    assert bins == sorted(set(bins))
    assert 1 <= len(rows) <= 10
    assert sum(row["n"] for row in rows) == pytest.approx(weight.sum())
    for row in rows:
        assert 0 <= row["low"] <= row["won"] + 1e-12
        assert row["won"] - 1e-12 <= row["high"] <= 1
    stated = [row["stated"] for row in rows]
    assert stated == sorted(stated, reverse=True)
    gap = sum(row["n"] * abs(row["stated"] - row["won"]) for row in rows) / weight.sum()
    assert gap == pytest.approx(evaluate(margin, label, weight, lead, seed=0).values["ece"])


def test_reliability_by_hand() -> None:
    margin = np.repeat(logit([0.9, 0.1]), 50)
    label = np.array([1] * 40 + [0] * 10 + [1] * 5 + [0] * 45, dtype=np.int8)
    top, bottom = reliability(margin, label, np.ones(100))
    assert (top["stated"], top["won"], top["n"]) == pytest.approx((0.9, 0.8, 50))
    assert (bottom["stated"], bottom["won"], bottom["n"]) == pytest.approx((0.1, 0.1, 50))
    assert (top["low"], top["high"]) == pytest.approx(wilson(0.8, 50))


@settings(deadline=None, max_examples=60)
@given(moments=scored_moments())
def test_gains_start_with_the_lift_and_end_at_one(moments: Any) -> None:
    margin, label, weight, lead = moments
    rows = gains(margin, label, weight)
    assert [row["share"] for row in rows] == [tenths / 10 for tenths in range(1, 11)]
    shares_of_wins = [row["gain"] for row in rows]
    assert shares_of_wins == sorted(shares_of_wins)
    assert shares_of_wins[0] >= 0
    assert shares_of_wins[-1] == pytest.approx(1.0)
    lift = evaluate(margin, label, weight, lead, seed=0).values["lift_at_10"]
    assert rows[0]["lift"] == pytest.approx(lift)


def test_gains_count_whole_wins() -> None:
    label = np.tile([0, 1, 1], 11).astype(np.int8)  # a tenth of 33 leads is not a whole number
    rows = gains(np.arange(33.0), label, np.ones(33))
    assert all(row["wins"] == round(row["gain"] * 22) for row in rows)
    assert rows[0]["gain"] * 22 != rows[0]["wins"]


def test_gains_divide_ties_evenly() -> None:
    label = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], dtype=np.int8)
    rows = gains(np.zeros(10), label, np.ones(10))
    assert [row["gain"] for row in rows] == pytest.approx([row["share"] for row in rows])


@pytest.mark.usefixtures("all_resamples")
def test_intervals_of_gains_and_lifts_close_at_all_leads() -> None:
    generator = np.random.default_rng(7)
    margin = generator.normal(-1.5, 1.0, 800)
    label = (generator.random(800) < expit(margin)).astype(np.int8)
    rows = gains(margin, label, np.ones(800), np.arange(800), seed=0)
    for row in rows[:-1]:
        assert row["low"] < row["gain"] < row["high"]
        assert row["lift_low"] == pytest.approx(row["low"] / row["share"])
        assert row["lift_high"] == pytest.approx(row["high"] / row["share"])
    assert (rows[-1]["low"], rows[-1]["high"]) == pytest.approx((1.0, 1.0))
    lift = evaluate(margin, label, np.ones(800), np.arange(800), seed=0).intervals["lift_at_10"]
    assert (rows[0]["lift_low"], rows[0]["lift_high"]) == pytest.approx(lift)


def test_measure_equals_evaluate() -> None:
    generator = np.random.default_rng(1)
    margin, weight = generator.normal(size=90), generator.uniform(0.5, 1, 90)
    label = (generator.random(90) < 0.3).astype(np.int8)
    evaluation = evaluate(margin, label, weight, np.arange(90), seed=0)
    assert measure(margin, label, weight) == evaluation.values


def test_roc_auc_of_many_outcomes_is_that_of_each() -> None:
    rng = np.random.default_rng(5)
    log_odds = rng.normal(size=60).round(1)
    weight = rng.uniform(0.2, 1.0, 60)
    labels = np.vstack([rng.random((4, 60)) < 0.3, np.zeros((1, 60)), np.ones((1, 60))])
    order, ranked = rank(log_odds, labels[0])
    aucs = ranked.roc_aucs(weight[order], labels[:, order])
    expected = [measure(log_odds, label, weight)["roc_auc"] for label in labels[:4]]
    assert aucs[:4].tolist() == expected
    assert np.isnan(aucs[4:]).all()


def test_grades_by_hand() -> None:
    # One of two A leads is won. None of three D leads is won; one of them has two moments.
    rows = by_grade(
        np.array([0.1, 0.5, 0.2, 0.7, 0.2, 0.1]),
        np.array(["D", "A", "D", "A", "D", "D"]),
        np.array([0, 0, 0, 1, 0, 0], dtype=np.int8),
        np.ones(6),
        np.array([0, 1, 2, 3, 2, 4]),
    )
    best, worst = rows
    assert (best["grade"], best["n"], best["n_leads"], best["wins"]) == ("A", 2, 2, 1)
    assert (best["share"], best["stated"], best["won"]) == pytest.approx((2 / 6, 0.6, 0.5))
    assert (best["low"], best["high"]) == pytest.approx(wilson(0.5, 2))
    assert (worst["grade"], worst["n"], worst["n_leads"], worst["wins"]) == ("D", 4, 3, 0)
    assert (worst["share"], worst["stated"], worst["won"]) == pytest.approx((4 / 6, 0.15, 0.0))
    assert (worst["low"], worst["high"]) == pytest.approx(wilson(0.0, 3))


def test_grades_are_sorted_from_best_to_worst() -> None:
    grade = np.array(["cold", "hot", "warm"])
    rows = by_grade(
        np.array([0.1, 0.9, 0.5]), grade, np.array([0, 1, 0], np.int8), np.ones(3), np.arange(3)
    )
    assert [row["grade"] for row in rows] == ["hot", "warm", "cold"]


def test_bin_with_few_leads_has_a_wide_interval() -> None:
    margin = np.repeat(logit([0.5, 0.1]), 100)
    label = np.tile([1] * 5 + [0] * 5, 20).astype(np.int8)
    of_100_leads, *_ = reliability(margin, label, np.ones(200))
    of_20_leads, *_ = reliability(margin, label, np.ones(200), np.arange(200) // 5)
    assert (of_100_leads["low"], of_100_leads["high"]) == pytest.approx(wilson(0.5, 100))
    assert (of_20_leads["low"], of_20_leads["high"]) == pytest.approx(wilson(0.5, 20))


@pytest.mark.parametrize(
    ("margin", "label", "loss"),
    [
        (0.0, 1, np.log(2)),
        (np.log(3), 1, -np.log(0.75)),
        (np.log(3), 0, -np.log(0.25)),
        (900.0, 0, 900.0),
        (-900.0, 0, 0.0),
    ],
)
def test_log_loss_of_a_row_by_hand(margin: float, label: int, loss: float) -> None:
    losses = log_losses(np.array([margin]), np.array([label], dtype=np.int8))
    assert losses == pytest.approx([loss])


def test_tied_moments_share_the_bin_of_the_middle_of_their_tie() -> None:
    log_odds = np.append(np.full(60, 5.0), -np.arange(40.0))
    label = (np.arange(100) % 2).astype(np.int8)
    rows = reliability(log_odds, label, np.ones(100))
    assert [(row["bin"], row["n"]) for row in rows] == [
        (3, 60),
        (7, 10),
        (8, 10),
        (9, 10),
        (10, 10),
    ]
