"""Steps of numbers as they score: ties, one row or many, and states that do not fit together."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.arrays import Floats
from models.estimator.steps import MANY_ROWS, MOST_CUTS, Steps, bins_of

BY_HAND = Steps(
    cuts=((-1.0, 0.5), (), (0.0,)),
    levels=((0.1, 0.2, -0.4), (0.0,), (0.0, 3.0)),
    average=(0.05, 0.0, 1.5),
)


def rows(*cells: tuple[float, float, float]) -> Floats:
    return np.array(cells, dtype=np.float64)


def test_contributions_made_by_hand() -> None:
    numbers = rows((-2, 9, -1), (-0.5, -9, 0.1), (4, 0, 4))
    expected = rows((0.1, 0, 0), (0.2, 0, 3), (-0.4, 0, 3)) - rows((0.05, 0, 1.5))
    assert BY_HAND.contributions(numbers) == pytest.approx(expected, abs=1e-15)


def test_number_equal_to_a_cut_is_above_it() -> None:
    below = np.nextafter(0.5, -np.inf)
    contributions = BY_HAND.contributions(rows((0.5, 0, 0.0), (below, 0, -0.0), (-1, 0, -5e-324)))
    assert contributions[:, 0] + 0.05 == pytest.approx([-0.4, 0.2, 0.2])
    assert (contributions[:, 2] + 1.5).tolist() == [3.0, 3.0, 0.0]  # zero has no sign


def test_column_without_cuts_adds_nothing() -> None:
    numbers = np.random.default_rng(0).normal(size=(200, 3))
    assert not BY_HAND.contributions(numbers)[:, 1].any()
    assert not BY_HAND.contributions(numbers[:1])[:, 1].any()


@pytest.mark.parametrize("n", [0, 1, MANY_ROWS - 1, MANY_ROWS, 200])
def test_model_without_numbers_has_no_contributions(n: int) -> None:
    none = Steps((), (), ())
    assert none.is_valid(0)
    assert none.numbers == ()
    assert none.contributions(np.empty((n, 0))).shape == (n, 0)


@st.composite
def made_steps(draw: st.DrawFn) -> Steps:
    """Draw steps of one to four columns, of which some have no cuts."""
    number = st.floats(-20, 20)
    cuts = draw(st.lists(st.lists(number, unique=True, max_size=10), min_size=1, max_size=4))
    levels = [draw(st.lists(number, min_size=len(c) + 1, max_size=len(c) + 1)) for c in cuts]
    return Steps(
        tuple(tuple(sorted(c)) for c in cuts),
        tuple(map(tuple, levels)),
        tuple(draw(st.lists(number, min_size=len(cuts), max_size=len(cuts)))),
    )


@given(made_steps(), st.integers(0, 1_000), st.integers(MANY_ROWS - 1, MANY_ROWS + 1))
def test_one_row_equals_the_same_row_among_many(steps: Steps, seed: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    numbers = generator.normal(scale=10, size=(n, len(steps.cuts)))
    for i, cuts in enumerate(steps.cuts):  # many of the numbers are equal to a cut
        if cuts:
            is_tie = generator.random(n) < 0.5
            numbers[is_tie, i] = generator.choice(cuts, is_tie.sum())
    together = steps.contributions(numbers)
    alone = np.concatenate([steps.contributions(row[None, :]) for row in numbers])
    assert together.tobytes() == alone.tobytes()
    in_columns = steps.contributions(np.asfortranarray(numbers))
    assert in_columns.tobytes() == together.tobytes()


@given(made_steps(), st.integers(0, 1_000))
def test_level_is_that_of_the_last_cut_reached(steps: Steps, seed: int) -> None:
    numbers = np.random.default_rng(seed).normal(scale=10, size=(3, len(steps.cuts)))
    contributions = steps.contributions(numbers)
    for row, of_row in zip(numbers, contributions, strict=True):
        for i, number in enumerate(row):
            reached = sum(number >= cut for cut in steps.cuts[i])
            assert of_row[i] == steps.levels[i][reached] - steps.average[i]


def test_bins_of_many_cuts_equal_a_search() -> None:
    cuts = np.arange(MOST_CUTS) / 10
    numbers = np.append(np.random.default_rng(0).uniform(-5, 30, 500), cuts)
    assert bins_of(numbers, cuts).tolist() == np.searchsorted(cuts, numbers, "right").tolist()
    assert bins_of(numbers, cuts).max() == MOST_CUTS


def test_numbers_are_all_numbers_of_the_state() -> None:
    assert sorted(BY_HAND.numbers) == sorted(
        [0.05, 0.0, 1.5, -1.0, 0.5, 0.0, 0.1, 0.2, -0.4, 0.0, 0.0, 3.0]
    )


ALTERED: dict[str, Callable[[Steps], Steps]] = {
    "no cuts of a column": lambda s: replace(s, cuts=s.cuts[:-1]),
    "no levels of a column": lambda s: replace(s, levels=s.levels[:-1]),
    "no average of a column": lambda s: replace(s, average=s.average[:-1]),
    "an average too many": lambda s: replace(s, average=(*s.average, 0.0)),
    "cuts out of order": lambda s: replace(s, cuts=((0.5, -1.0), *s.cuts[1:])),
    "a cut twice": lambda s: replace(s, cuts=((0.5, 0.5), *s.cuts[1:])),
    "a cut too many": lambda s: replace(s, cuts=((-1.0, 0.5, 0.7), *s.cuts[1:])),
    "a cut too few": lambda s: replace(s, cuts=((-1.0,), *s.cuts[1:])),
    "a level too few": lambda s: replace(s, levels=(s.levels[0][:-1], *s.levels[1:])),
    "a column without levels": lambda s: replace(s, levels=(*s.levels[:1], (), s.levels[2])),
    "more cuts than are counted": lambda s: replace(
        s,
        cuts=(tuple(range(MOST_CUTS + 1)), *s.cuts[1:]),
        levels=((0.0,) * (MOST_CUTS + 2), *s.levels[1:]),
    ),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_altered_state_is_not_valid(alter: Callable[[Steps], Steps]) -> None:
    assert not alter(BY_HAND).is_valid(3)


def test_state_is_valid_for_its_number_of_columns() -> None:
    most = replace(
        BY_HAND,
        cuts=(tuple(map(float, range(MOST_CUTS))), *BY_HAND.cuts[1:]),
        levels=((0.0,) * (MOST_CUTS + 1), *BY_HAND.levels[1:]),
    )
    assert BY_HAND.is_valid(3)
    assert most.is_valid(3)
    assert not BY_HAND.is_valid(2)
    assert not BY_HAND.is_valid(4)
