"""Training examples that are drawn by a known rule."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from crm.arrays import Floats


def draw(n: int, seed: int = 0) -> tuple[Floats, NDArray[np.int8]]:
    """Draw two numbers and a category, with labels. The second number has gaps and no effect."""
    generator = np.random.default_rng(seed)
    number = generator.normal(size=n)
    noise = np.where(generator.random(n) < 0.3, np.nan, generator.normal(size=n))
    code = generator.integers(2, 6, n).astype(np.float64)
    chance = expit(number + 0.8 * (code == 3) - 1.2)
    label = (generator.random(n) < chance).astype(np.int8)
    label[:2] = (0, 1)
    return np.column_stack([number, noise, code]), label
