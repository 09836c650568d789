"""Examples to learn from that are drawn by a known rule."""

import numpy as np
from scipy.special import expit


def draw(n: int, seed: int = 0):
    """Two numbers, one of them with gaps, and a category; all but the second one matter."""
    generator = np.random.default_rng(seed)
    number = generator.normal(size=n)
    noise = np.where(generator.random(n) < 0.3, np.nan, generator.normal(size=n))
    code = generator.integers(2, 6, n).astype(np.float64)
    chance = expit(number + 0.8 * (code == 3) - 1.2)
    label = (generator.random(n) < chance).astype(np.int8)
    label[:2] = (0, 1)
    return np.column_stack([number, noise, code]), label
