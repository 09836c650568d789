"""`leadscore report` and `leadscore train --report`: what they print, write and refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commands.report import refused_model
from crm.errors import ArtifactError
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from models.registry import history
from reports.model_verdict import RefusedModel

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    simulate(Simulation(leads=700, activities_per_lead=2, drift_at=1.0), tmp_path / "crm")
    return tmp_path / "crm"


def test_report_prints_its_folder_and_keeps_notes_of_people(run: Run, crm: Path) -> None:
    code, out, _ = run("report", "--project", crm, "--share", "Ada")
    assert code == 0
    assert "No model was trained yet" in out
    for place in ("report/index.html", "report/README.md", "report/csv", "takeaways/"):
        assert f"{crm / place}" in out
    assert (crm / "report" / "index.html").stat().st_size < 3_000_000
    (page,) = (crm / "takeaways").glob("2*.md")
    page.write_text(page.read_text() + "We agreed.\n")
    code, out, _ = run("report", "--project", crm, "--share", "Bob", "--json")
    facts = json.loads(out)
    assert facts["takeaways"] == str(page)
    assert facts["model"] is None
    assert facts["files"]["index.html"] > 900_000
    assert page.read_text().endswith("We agreed.\n")
    assert "shared by Bob" in page.read_text()


def test_report_names_its_filters(run: Run, crm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "filtered"
    options = ("--since", "2024-06-01", "--segment", "industry=Software", "--out", folder)
    code, _, _ = run("report", "--project", crm, *options)
    assert code == 0
    assert (
        "created since 2024-06-01 whose industry is Software" in (folder / "README.md").read_text()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--segment", "industry"), "Expected a column and its value"),
        (("--segment", "industri=Software"), "the leads have no column"),
        (("--out", "."), "is not part of a report"),
        (("--share", " "), "--share is empty"),
    ],
)
def test_invalid_options_are_refused_with_a_message(
    run: Run, crm: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(crm)
    code, _, err = run("report", *options)
    assert code == 2
    assert message in err
    assert not (crm / "report").exists()


def test_training_stores_the_report_with_its_run_on_request(run: Run, crm: Path) -> None:
    from crm.project import load_project
    from models.registry.registry import Registry

    code, out, _ = run("train", "--project", crm, "--report", "--json")
    assert code == 0
    registry = Registry(load_project(crm))
    files = registry.client.list_artifacts(json.loads(out)["model"]["run_id"], "report")
    assert {"report/index.html", "report/report.json"} <= {file.path for file in files}


def test_the_newest_model_is_named_if_it_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(version: str, *failed: str) -> SimpleNamespace:
        return SimpleNamespace(what=history.REFUSED, version=version, failed=failed)

    def load(version: str) -> None:
        raise ArtifactError(f"Version {version} is damaged.")

    events = [refusal("1", "LG101 log loss"), refusal("2", "LG103 calibration", "LG105 segments")]
    monkeypatch.setattr(history, "history", lambda _: events)
    versions = [SimpleNamespace(version=number) for number in ("1", "2")]
    registry: Any = SimpleNamespace(versions=lambda: versions, load=load)
    refused = refused_model(registry)
    assert refused == RefusedModel("2", ("LG103 calibration", "LG105 segments"), None)
    versions.clear()
    assert refused_model(registry) is None
