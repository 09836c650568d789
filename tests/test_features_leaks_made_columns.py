"""The leak audit on columns that are drawn by known rules: it finds the leaks and nothing else."""

import pytest

from tests.made_leak_columns import HONEST, WORLDS, Draw, WorkedLeads, leaks_of
from tests.made_leaks import alarms

SEEDS = (20, 21)


def found(world: str, columns: dict[str, Draw], n: int, seed: int) -> set[str]:
    """Audit columns in a table with the two honest attributes; return those that are not fine.

    Names are replaced by numbers, so that the data decide.
    """
    leads = WorkedLeads(world, seed, n)
    names = {f"field {i}": name for i, name in enumerate(columns)}
    drawn = {number: columns[name](leads) for number, name in names.items()}
    leads.leads = leads.leads.assign(**drawn)
    return {names.get(name, name) for name in alarms(leads.audit())}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [800, 3_000])
@pytest.mark.parametrize("world", WORLDS)
def test_honest_columns_raise_no_alarm(world: str, n: int, seed: int) -> None:
    assert len(HONEST) > 30
    assert found(world, HONEST, n, seed) == set()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("world", WORLDS)
def test_leaks_are_found(world: str, seed: int) -> None:
    leaks = leaks_of(world)
    if world == "rare wins":  # 180 wins are too few to show what is filled in talks
        leaks = {name: draw for name, draw in leaks.items() if "in talks" not in name}
    assert len(leaks) > 6
    assert found(world, leaks, 3_000, seed) == set(leaks)
