"""Draws the companies and the attributes of simulated leads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Bools, Floats, Ints
from crm.simulation.arrivals import source_weights
from crm.simulation.effects import (
    CHOICES,
    COVARIATE_SIZE,
    FUNCTIONS,
    LEVELS,
    REGIONS,
    TITLES,
    draw_rows,
)
from crm.simulation.world import Simulation

Arrays = dict[str, NDArray[Any]]


def draw_accounts(rng: np.random.Generator, count: int) -> Arrays:
    """Draw the companies of leads: most have about three leads, some many more."""
    return {
        "industry": CHOICES["industry"].draw(rng, count),
        "employees": np.ceil(rng.lognormal(4.6, 1.5, count)).clip(1, 200_000),
        "country": CHOICES["country"].draw(rng, count),
        "region": rng.integers(len(REGIONS), size=count),
    }


def draw_traits(
    rng: np.random.Generator,
    small: np.random.Generator,
    settings: Simulation,
    accounts: Arrays,
    created: Ints,
) -> Arrays:
    """Draw the attributes that each lead has at creation; a missing number is NaN.

    Parameters
    ----------
    rng : Generator
    small : Generator
        Draws smaller companies, after a drift of kind `covariate` only.
    settings : Simulation
    accounts : dict of str to array, shape (n_accounts,)
    created : array of int64, shape (n,)
        Seconds since 1970 UTC.
    """
    n = len(created)
    traits: Arrays = {"source": draw_rows(rng, source_weights(settings, created))}
    traits |= {name: CHOICES[name].draw(rng, n) for name in CHOICES if name != "source"}
    account = _draw_account(rng, n, accounts)
    account = _smaller(small, accounts, account, settings.strength("covariate", created))
    traits["account"] = account
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


def _draw_account(rng: np.random.Generator, size: int, accounts: Arrays) -> Ints:
    return (len(accounts["region"]) * rng.random(size) ** 1.5).astype(np.int64)


def _smaller(rng: np.random.Generator, accounts: Arrays, account: Ints, strength: Floats) -> Ints:
    """Choose among the account of each lead and seven others, small ones more often.

    A lead whose strength is 0 keeps its account.
    """
    is_changed = np.flatnonzero(strength)
    others = _draw_account(rng, 7 * len(is_changed), accounts).reshape(-1, 7)
    candidates = np.column_stack([account[is_changed], others])
    exponents = COVARIATE_SIZE * strength[is_changed]
    chosen = draw_rows(rng, accounts["employees"][candidates] ** exponents[:, None])
    account = account.copy()
    account[is_changed] = candidates[np.arange(len(is_changed)), chosen]
    return account


def have(traits: Arrays, column: str, value: str | None) -> Bools:
    """Check which leads have a value of one of the columns of `CHOICES`."""
    return np.equal(traits[column], CHOICES[column].names.index(value))
