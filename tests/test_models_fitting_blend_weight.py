"""The choice of the blend's weight: which part gets more, and what does not change the choice."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import simpson
from scipy.special import expit
from sklearn.metrics import log_loss

from crm.arrays import Floats, Ints, Labels
from models.fitting.blend_weight import EVEN, WEIGHTS, choose_weight

Losses = tuple[tuple[float, float], ...]


def draw_margins(n: int, *skills: float, seed: int = 0) -> tuple[list[Floats], Labels]:
    """Draw labels, and for each skill the margins of a model that is right to this degree."""
    generator = np.random.default_rng(seed)
    label = (generator.random(n) < 0.4).astype(np.int8)
    truth = 2.0 * label - 1
    return [skill * truth + generator.normal(scale=0.5, size=n) for skill in skills], label


def choose(
    logistic: Floats,
    trees: Floats,
    label: Labels,
    weight: Floats | None = None,
    lead: Ints | None = None,
) -> tuple[float, Losses]:
    """Choose the weight; rows have equal weights and are leads of their own by default."""
    n = len(label)
    weight = np.ones(n) if weight is None else weight
    return choose_weight(logistic, trees, label, weight, np.arange(n) if lead is None else lead)


def test_identical_parts_by_hand_get_equal_weights() -> None:
    label = np.array([1, 0] * 100, dtype=np.int8)
    margin = np.where(label == 1, 2.0, -1.0)
    assert choose(margin, margin, label)[0] == EVEN
    assert choose(np.zeros(200), np.zeros(200), label)[0] == EVEN


@pytest.mark.parametrize("seed", range(20))
def test_identical_parts_get_equal_weights(seed: int) -> None:
    (margin,), label = draw_margins(300, 1.0, seed=seed)
    weight, losses_of_weights = choose(margin, margin, label)
    losses = [loss for _, loss in losses_of_weights]
    assert weight == EVEN
    assert losses == pytest.approx([losses[0]] * len(WEIGHTS), rel=1e-12)


@pytest.mark.parametrize(("n", "spread"), [(20, 0.1), (2_000, 0.06)])
def test_weights_of_equally_good_parts_are_even_on_average(n: int, spread: float) -> None:
    draws = (draw_margins(n, 0.6, 0.6, seed=seed) for seed in range(50))
    weights = [choose(logistic, trees, label)[0] for (logistic, trees), label in draws]
    assert np.mean(weights) == pytest.approx(EVEN, abs=0.02)
    assert np.std(weights) < spread


def test_much_better_part_gets_most_of_the_weight() -> None:
    (good, bad), label = draw_margins(2_000, 2.0, -1.0)
    assert choose(good, bad, label)[0] >= 0.99
    assert choose(bad, good, label)[0] <= 0.01


@pytest.mark.parametrize("n", [2, 10, 40, 2_000])
def test_weight_leaves_even_as_far_as_the_rows_are_many(n: int) -> None:
    # One part always gives the right outcome the log-odds 1, the other gives it -1. So the
    # likelihood of the weight w is expit(2w - 1)ⁿ.
    label = (np.arange(n) % 2).astype(np.int8)
    right = np.where(label == 1, 1.0, -1.0)
    weight, _ = choose(right, -right, label)
    shares = np.arange(101) / 100
    likelihood = expit(2 * shares - 1) ** n
    assert weight == pytest.approx(shares @ likelihood / likelihood.sum(), abs=0.0051)
    assert (weight - EVEN < 0.16) == (n == 2)
    assert (weight > 0.99) == (n == 2_000)


def test_weight_comes_near_to_the_best_with_many_rows() -> None:
    (better, worse), label = draw_margins(20_000, 0.6, 0.5)
    weight, losses = choose(better, worse, label)
    best = min(losses, key=lambda pair: pair[1])[0]
    assert EVEN < best < 1
    assert weight == pytest.approx(best, abs=0.015)


# -- an independent computation --------------------------------------------------------------


def integrate(logistic: Floats, trees: Floats, label: Labels, n_leads: float) -> float:
    """Integrate the posterior mean of the weight over 0 … 1, by Simpson's rule."""
    shares = np.linspace(0, 1, 2_001)
    sign = np.where(label == 1, -1.0, 1.0)
    log_likelihood = -n_leads * np.array(
        [np.log1p(np.exp(sign * (w * logistic + (1 - w) * trees))).mean() for w in shares]
    )
    density = np.exp(log_likelihood - log_likelihood.max())
    return float(simpson(density * shares, x=shares) / simpson(density, x=shares))


@pytest.mark.parametrize("n", [4, 30, 300, 3_000])
@pytest.mark.parametrize("skills", [(0.6, 0.5), (2.0, -1.0), (0.1, 1.5), (-1.0, -1.0), (3.0, 0.0)])
def test_weight_is_the_posterior_mean(n: int, skills: tuple[float, float]) -> None:
    (logistic, trees), label = draw_margins(n, *skills, seed=n)
    weight, _ = choose(logistic, trees, label)
    # The weights are hundredths, so rounding and the two ends add at most 0.01.
    assert weight == pytest.approx(integrate(logistic, trees, label, n), abs=0.0101)


def test_posterior_mean_counts_leads() -> None:
    (logistic, trees), label = draw_margins(300, 0.8, 0.3)
    lead = np.arange(300) // 10
    weight, _ = choose(logistic, trees, label, lead=lead)
    assert weight == pytest.approx(integrate(logistic, trees, label, 30), abs=0.0101)
    assert abs(weight - integrate(logistic, trees, label, 300)) > 0.05


def test_leads_without_weight_add_no_certainty() -> None:
    (logistic, trees), label = draw_margins(300, 0.8, 0.3)
    has_weight = np.arange(300) < 30
    weight, _ = choose(logistic, trees, label, has_weight.astype(np.float64))
    expected, _ = choose(logistic[:30], trees[:30], label[:30])
    assert weight == expected


def test_rows_count_by_their_weights() -> None:
    (good, bad), label = draw_margins(2_000, 2.0, -1.0)
    is_first = np.arange(2_000) < 1_000
    logistic, trees = np.where(is_first, good, bad), np.where(is_first, bad, good)
    assert choose(logistic, trees, label, np.where(is_first, 1.0, 0.0))[0] >= 0.98
    assert choose(logistic, trees, label, np.where(is_first, 0.0, 1.0))[0] <= 0.02


def test_repeated_rows_of_a_lead_add_no_certainty() -> None:
    (better, worse), label = draw_margins(60, 0.6, 0.5)
    weight, losses = choose(better, worse, label)
    repeated = (np.repeat(better, 100), np.repeat(worse, 100), np.repeat(label, 100))
    lead = np.repeat(np.arange(60), 100)
    same_weight, same_losses = choose(*repeated, lead=lead)
    assert same_weight == weight
    assert dict(same_losses) == pytest.approx(dict(losses))
    as_leads, _ = choose(*repeated)  # if each row is a lead of its own
    assert as_leads - EVEN > 1.5 * (weight - EVEN) > 0


@dataclass(frozen=True)
class Newest:
    """Rows on which a weight is chosen."""

    logistic: Floats
    trees: Floats
    label: Labels
    weight: Floats
    lead: Ints

    def choose(self) -> tuple[float, Losses]:
        return choose(self.logistic, self.trees, self.label, self.weight, self.lead)


@st.composite
def newest_rows(draw: st.DrawFn) -> Newest:
    """Draw rows of parts of any skill; a lead may have several rows."""
    n, seed = draw(st.integers(2, 400)), draw(st.integers(0, 1_000))
    skills = draw(st.tuples(st.floats(-1, 3), st.floats(-1, 3)))
    (logistic, trees), label = draw_margins(n, *skills, seed=seed)
    generator = np.random.default_rng(seed)
    return Newest(logistic, trees, label, generator.uniform(0.1, 2, n), generator.integers(0, n, n))


@given(newest_rows())
def test_chosen_weight_is_one_of_the_weights(rows: Newest) -> None:
    chosen, losses = rows.choose()
    assert tuple(weight for weight, _ in losses) == WEIGHTS
    assert chosen in WEIGHTS


@given(newest_rows(), st.integers(-20, 20))
def test_scale_of_row_weights_does_not_change_the_choice(rows: Newest, power: int) -> None:
    scaled = replace(rows, weight=rows.weight * 2.0**power)
    assert scaled.choose()[0] == rows.choose()[0]


@given(newest_rows(), st.integers(0, 1_000))
def test_order_of_rows_does_not_change_the_losses(rows: Newest, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(rows.label))
    shuffled = Newest(
        rows.logistic[order],
        rows.trees[order],
        rows.label[order],
        rows.weight[order],
        rows.lead[order],
    )
    assert dict(shuffled.choose()[1]) == pytest.approx(dict(rows.choose()[1]))


@given(newest_rows())
def test_opposite_signs_and_labels_do_not_change_the_losses(rows: Newest) -> None:
    opposite = replace(
        rows,
        logistic=-rows.logistic,
        trees=-rows.trees,
        label=(1 - rows.label).astype(np.int8),
    )
    assert dict(opposite.choose()[1]) == pytest.approx(dict(rows.choose()[1]))


@given(newest_rows())
def test_exchanged_parts_get_exchanged_weights(rows: Newest) -> None:
    exchanged = replace(rows, logistic=rows.trees, trees=rows.logistic)
    chosen, losses = rows.choose()
    other, other_losses = exchanged.choose()
    assert other == pytest.approx(1 - chosen, abs=0.0101)  # half a hundredth is rounded to even
    assert [loss for _, loss in other_losses] == pytest.approx([loss for _, loss in losses[::-1]])


@given(newest_rows())
def test_chosen_weight_is_better_than_a_weight_drawn_at_random(rows: Newest) -> None:
    # The loss is convex, so that of the mean is at most the mean loss; the mean is then rounded.
    chosen, losses = rows.choose()
    of_weights = np.array([loss for _, loss in losses])
    rounding = np.abs(np.diff(of_weights)).max() / 2
    assert dict(losses)[chosen] <= of_weights.mean() + rounding + 1e-12


def test_losses_equal_scikit_learn() -> None:
    (logistic, trees), label = draw_margins(300, 1.0, 0.5)
    weight = np.random.default_rng(1).uniform(0.1, 2, 300)
    _, losses = choose(logistic, trees, label, weight)
    assert len(losses) == len(WEIGHTS) == 101
    for share, loss in losses:
        probability = expit(share * logistic + (1 - share) * trees)
        assert loss == pytest.approx(log_loss(label, probability, sample_weight=weight))
