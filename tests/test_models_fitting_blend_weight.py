"""The choice of the blend's weight: which part gets more, and what does not change the choice."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
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


@pytest.mark.parametrize("n", [20, 2_000])
def test_equally_good_parts_usually_get_equal_weights(n: int) -> None:
    draws = (draw_margins(n, 0.6, 0.6, seed=seed) for seed in range(50))
    weights = [choose(logistic, trees, label)[0] for (logistic, trees), label in draws]
    assert weights.count(EVEN) >= 45


def test_much_better_part_gets_most_of_the_weight() -> None:
    (good, bad), label = draw_margins(2_000, 2.0, -1.0)
    assert choose(good, bad, label)[0] >= 0.9
    assert choose(bad, good, label)[0] <= 0.1


def test_slightly_better_part_gets_more_weight_only_with_many_rows() -> None:
    (better, worse), label = draw_margins(20, 0.6, 0.5)
    assert choose(better, worse, label)[0] == EVEN
    (better, worse), label = draw_margins(20_000, 0.6, 0.5)
    assert EVEN < choose(better, worse, label)[0] < 1


def test_rows_count_by_their_weights() -> None:
    (good, bad), label = draw_margins(2_000, 2.0, -1.0)
    is_first = np.arange(2_000) < 1_000
    logistic, trees = np.where(is_first, good, bad), np.where(is_first, bad, good)
    assert choose(logistic, trees, label, np.where(is_first, 1.0, 0.0))[0] >= 0.9
    assert choose(logistic, trees, label, np.where(is_first, 0.0, 1.0))[0] <= 0.1


def test_repeated_rows_of_a_lead_add_no_certainty() -> None:
    (better, worse), label = draw_margins(60, 0.6, 0.5)
    weight, losses = choose(better, worse, label)
    repeated = (np.repeat(better, 100), np.repeat(worse, 100), np.repeat(label, 100))
    lead = np.repeat(np.arange(60), 100)
    same_weight, same_losses = choose(*repeated, lead=lead)
    assert same_weight == weight == EVEN
    assert dict(same_losses) == pytest.approx(dict(losses))
    assert choose(*repeated)[0] != EVEN  # if each row is a lead of its own


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
def test_chosen_weight_is_between_even_and_the_best(rows: Newest) -> None:
    chosen, losses = rows.choose()
    loss_of = dict(losses)
    best = min(loss_of, key=loss_of.__getitem__)
    assert min(best, EVEN) <= chosen <= max(best, EVEN)
    assert loss_of[chosen] <= loss_of[EVEN] + 1e-12


def test_losses_equal_scikit_learn() -> None:
    (logistic, trees), label = draw_margins(300, 1.0, 0.5)
    weight = np.random.default_rng(1).uniform(0.1, 2, 300)
    _, losses = choose(logistic, trees, label, weight)
    assert len(losses) == len(WEIGHTS) == 11
    for share, loss in losses:
        probability = expit(share * logistic + (1 - share) * trees)
        assert loss == pytest.approx(log_loss(label, probability, sample_weight=weight))
