"""The standard error of a mean over pairs that share periods."""

import numpy as np
import pytest

from models.evaluation.jackknife import pairs_error, t_quantile


def test_pairs_of_neighbours_by_hand() -> None:
    # Pairs (0, 1), (1, 2), (2, 3) with the values 1, 2 and 6. Without period 0 the mean is 4,
    # without 1 it is 6, without 2 it is 1, without 3 it is 1.5. The mean of these is 3.125.
    values = [4.0, 6.0, 1.0, 1.5]
    squares = 0.875**2 + 2.875**2 + 2.125**2 + 1.625**2
    assert pairs_error(lambda period: values[period], range(4)) == pytest.approx(
        np.sqrt(2 / 8 * squares)
    )


def test_error_covers_the_deviation_of_means_of_neighbours() -> None:
    generator = np.random.default_rng(0)
    n, errors, means = 12, [], []
    for _ in range(400):
        of_period = generator.normal(size=n + 1)
        pairs = of_period[:-1] + of_period[1:] + generator.normal(size=n)

        def without(period: int, pairs: np.ndarray = pairs) -> float:
            return float(np.mean([pairs[i] for i in range(n) if period not in (i, i + 1)]))

        errors.append(pairs_error(without, range(n + 1)))
        means.append(pairs.mean())
    # The formula for independent values would give √3 / √12 = 0.5; neighbours are alike.
    assert np.std(means) > 0.6
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(means), rel=0.25)


def test_few_values_need_a_wide_interval() -> None:
    assert [round(t_quantile(n), 3) for n in (2, 5)] == [12.706, 2.776]
