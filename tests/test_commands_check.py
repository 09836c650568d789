"""`leadscore check`: what it prints, writes and refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    simulate(Simulation(leads=500, activities_per_lead=1, drift_at=1.0), tmp_path / "crm")
    return tmp_path / "crm"


def test_check_prints_questions_and_columns_and_writes_the_page(run: Run, crm: Path) -> None:
    code, out, _ = run("check", "--project", crm)
    assert code == 0
    assert "SIMULATED records" in out
    assert '"industry"' in out
    assert "activities activities.csv" in out
    assert f"Wrote the same as a page to {crm / 'check.html'}." in out
    page = (crm / "check.html").read_text()
    assert "LC118" in page
    assert "Simulated: made-up records" in page


def test_check_shows_errors_first_and_exits_with_1(run: Run, crm: Path) -> None:
    (crm / "outcomes.csv").unlink()
    code, out, _ = run("check", "--project", crm, "--json", "--html", crm / "other.html")
    facts = json.loads(out)
    assert code == 1
    assert "outcomes.csv" in facts["problems"][0]
    assert facts["leads"] is None
    assert [table["name"] for table in facts["tables"]] == ["leads", "activities", "stages"]
    assert facts["page"] == str(crm / "other.html")
    assert "Correct these errors first" in (crm / "other.html").read_text()


def test_check_refuses_to_replace_a_table_by_the_page(run: Run, crm: Path) -> None:
    before = (crm / "leads.csv").read_bytes()
    code, _, err = run("check", "--project", crm, "--html", crm / "leads.csv")
    assert code == 2
    assert "Expected a file that ends with .html" in err
    assert (crm / "leads.csv").read_bytes() == before


def test_check_shows_no_addresses_inside_of_cells(run: Run, crm: Path) -> None:
    leads = pd.read_csv(crm / "leads.csv", dtype=str)
    leads["Associated Contact"] = [f"Secret ({i % 9}@acme0.com)" for i in range(len(leads))]
    leads.to_csv(crm / "leads.csv", index=False)
    _, out, _ = run("check", "--project", crm)
    _, as_json, _ = run("check", "--project", crm, "--json")
    page = (crm / "check.html").read_text()
    assert "Associated Contact" in page
    for shown in (out, as_json, page):
        assert "Secret" not in shown
        assert "acme0" not in shown
