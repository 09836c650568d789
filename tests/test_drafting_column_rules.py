"""`leadscore init` and `leadscore audit` run the same checks and cannot disagree on a column."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crm.project import Project, load_project
from crm.reading import read_records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from drafting import column_rules
from drafting.draft import draft_project
from features.leaks.audit import Audit, audit, audit_columns
from features.leaks.check import Verdict
from features.moments import make_moments

PUBLIC = os.environ.get("LEADSCORE_PUBLIC_DATA")
needs_public_data = pytest.mark.skipif(
    PUBLIC is None, reason="LEADSCORE_PUBLIC_DATA does not name the folder of the public sets"
)


@pytest.fixture
def audits_of_init(monkeypatch: pytest.MonkeyPatch) -> list[Audit]:
    """Collect the audits that `draft_project` runs."""
    audits: list[Audit] = []

    def recorded(*args: Any, **kwargs: Any) -> Audit:
        audits.append(audit_columns(*args, **kwargs))
        return audits[-1]

    monkeypatch.setattr(column_rules, "audit_columns", recorded)
    return audits


def drafted_project(folder: Path, sources: list[str]) -> Project:
    (folder / "leadscore.toml").write_text(draft_project(sources, folder), encoding="utf-8")
    return load_project(folder)


def audit_of_command(project: Project) -> Audit:
    """Audit the drafted project as `leadscore audit` does, before columns are set aside."""
    columns = msgspec.structs.replace(project.columns, known_later=[])
    project = replace(project, columns=columns)
    records = read_records(project)
    return audit(records, make_moments(records, project.learn), project)


def numbers(audit: Audit) -> dict[str, list[tuple[str, Verdict]]]:
    return {
        column.attribute: [(finding.number, finding.verdict) for finding in column.findings]
        for column in audit.attributes
    }


def known_later(audit: Audit) -> list[str]:
    return [column.attribute for column in audit.attributes if column.verdict is not Verdict.FINE]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_init_and_audit_agree_on_a_simulated_crm(
    tmp_path: Path, audits_of_init: list[Audit], seed: int
) -> None:
    files = simulate(Simulation(leads=2_000, seed=seed), tmp_path)
    files.pop("truth")
    project = drafted_project(tmp_path, [str(file) for file in files.values()])
    (of_init,) = audits_of_init
    assert len(of_init.attributes) > 5
    assert of_init == audit_of_command(project)
    assert project.columns.known_later == known_later(of_init) == ["contract_type"]


@needs_public_data
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("xeducation", ["Leads.csv"]),
        ("bank_marketing", ["bank-additional-full.csv.gz"]),
        ("bpic2012", ["leads.csv", "activities.csv.gz", "outcomes.csv"]),
    ],
)
def test_init_and_audit_agree_on_public_data(
    tmp_path: Path, audits_of_init: list[Audit], name: str, files: list[str]
) -> None:
    project = drafted_project(tmp_path, [f"{PUBLIC}/{name}/{file}" for file in files])
    (of_init,) = audits_of_init
    assert of_init.attributes
    assert numbers(of_init) == numbers(audit_of_command(project))
    assert project.columns.known_later == known_later(of_init)
