"""Draws the companies and the attributes of simulated leads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Bools
from crm.simulation.effects import CHOICES, FUNCTIONS, LEVELS, REGIONS, TITLES

Arrays = dict[str, NDArray[Any]]


def draw_accounts(rng: np.random.Generator, count: int) -> Arrays:
    """Draw the companies of leads: most have about three leads, some many more."""
    return {
        "industry": CHOICES["industry"].draw(rng, count),
        "employees": np.ceil(rng.lognormal(4.6, 1.5, count)).clip(1, 200_000),
        "country": CHOICES["country"].draw(rng, count),
        "region": rng.integers(len(REGIONS), size=count),
    }


def draw_traits(rng: np.random.Generator, accounts: Arrays, lead: NDArray[Any]) -> Arrays:
    """Draw the attributes that each lead has at creation; a missing number is NaN."""
    n = len(lead)
    traits = {name: choice.draw(rng, n) for name, choice in CHOICES.items()}
    traits["account"] = account = (len(accounts["region"]) * rng.random(n) ** 1.5).astype(np.int64)
    traits.update({name: values[account] for name, values in accounts.items()})
    traits["level"] = level = LEVELS.draw(rng, n)
    source, size = traits["source"], traits["employees"]
    title = level * len(FUNCTIONS.names) + FUNCTIONS.draw(rng, n)
    traits["title"] = np.where(rng.random(n) < 0.06, len(TITLES) - 1, title)
    traits["campaign"] = np.where(rng.random(n) < 0.1, 64, source + 8 * rng.integers(8, size=n))
    traits["visits"] = np.floor(rng.lognormal(0.7, 1.2, n)).clip(0, 2_000)
    # Juniors and cold leads state a budget less often. Larger companies state a larger budget.
    reserved = (level > 7) | have(traits, "source", "Cold list")
    states_budget = rng.random(n) < np.where(reserved, 0.2, 0.6)
    budget = np.ceil(rng.lognormal(np.log(9 * size**0.7), 0.8)) * 100
    traits["budget"] = np.where(states_budget, budget, np.nan)
    traits["industry"] = np.where(rng.random(n) < 0.08, 10, traits["industry"])  # 10: None
    traits["employees"] = np.where(rng.random(n) < 0.18, np.nan, size)
    return traits


def have(traits: Arrays, column: str, value: str | None) -> Bools:
    """Check which leads have a value of one of the columns of `CHOICES`."""
    return np.equal(traits[column], CHOICES[column].names.index(value))
