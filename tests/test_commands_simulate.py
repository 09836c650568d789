"""`leadscore simulate`: the options that shape the simulated world."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crm.simulation.drift import Drift
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation

Run = Callable[..., tuple[int, str, str]]


def test_options_are_the_settings_of_the_simulation(run: Run, tmp_path: Path) -> None:
    options = ("--leads", 600, "--activities-per-lead", 2, "--seed", 3, "--drift-at", 1)
    window = ("--start", "2025-03-01", "--days", 200)
    drifts = ("--drift", "concept@2025-06-01", "--drift", "broken_feed@2025-07-01:0.5")
    more = ("--seasonality", 0.5, "--surge-at", "2025-05-01")
    code, out, _ = run("simulate", tmp_path / "cli", *options, *window, *drifts, *more)
    assert code == 0
    assert "Wrote a SIMULATED CRM of 600 leads" in out
    settings = Simulation(
        leads=600,
        activities_per_lead=2,
        seed=3,
        start="2025-03-01",
        days=200,
        drift_at=1,
        drifts=(Drift("concept", "2025-06-01"), Drift("broken_feed", "2025-07-01", 0.5)),
        seasonality=0.5,
        surge_at="2025-05-01",
    )
    for table, file in simulate(settings, tmp_path / "python").items():
        assert (tmp_path / "cli" / file.name).read_bytes() == file.read_bytes(), table
    created = pd.read_csv(tmp_path / "cli" / "leads.csv")["created_at"]
    assert created.min().startswith("2025-03-0")
    assert created.max().startswith("2025-09-1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--drift", "concept"), "The drift 'concept' has no day. Expected KIND@DAY"),
        (("--drift", "concpt@2024-03-01"), "Did you mean `concept`?"),
        (("--drift", "concept@2030-01-01"), "outside the window. Expected a day from 2024-01-01"),
        (("--start", "yesterday"), "`start` is 'yesterday'. Expected a day"),
        (("--days", 3), "`days` is 3. Expected a whole number from 120"),
    ],
)
def test_wrong_options_are_refused(
    run: Run, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    code, _, err = run("simulate", tmp_path / "crm", *options)
    assert code == 2
    assert message in err
    assert not (tmp_path / "crm").exists()
