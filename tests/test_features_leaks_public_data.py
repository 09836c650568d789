"""The leak audit on public data: it finds the known leaks, and raises no other alarm."""

import re
from pathlib import Path

import pandas as pd

from crm.project import load_project
from crm.reading import read_records
from features.leaks.audit import Audit, audit
from features.leaks.check import Verdict
from features.moments import make_moments
from tests.made_leaks import alarms, verdicts

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def audit_example(folder: Path, name: str) -> Audit:
    """Audit an example whose project file names no leak and vouches for no column."""
    text = (EXAMPLES / f"{name}.toml").read_text()
    for key in ("known_later", "known_in_time", "sensitive"):
        text = re.sub(rf"(?ms)^{key} = \[.*?\]", "", text)
    (folder / "leadscore.toml").write_text(text)
    project = load_project(folder)
    assert project.columns.known_later == []
    return audit_folder(folder)


def audit_folder(folder: Path) -> Audit:
    project = load_project(folder)
    records = read_records(project)
    return audit(records, make_moments(records, project.learn), project)


def test_every_known_leak_of_xeducation_is_found(public_data: Path, tmp_path: Path) -> None:
    known_leaks = set(load_project(EXAMPLES / "xeducation.toml").columns.known_later)
    assert len(known_leaks) == 9
    filled_during_the_sales_call = {
        "What is your current occupation",
        "What matters most to you in choosing a course",
    }
    alarms_raised = alarms(audit_example(tmp_path, "xeducation"))
    assert alarms_raised == known_leaks | filled_during_the_sales_call


def test_the_known_leak_of_bank_marketing_is_found(public_data: Path, tmp_path: Path) -> None:
    result = audit_example(tmp_path, "bank_marketing")
    assert len(result.attributes) == 20
    assert alarms(result) == {"duration"}


def test_bpic2012_raises_no_alarm(public_data: Path, tmp_path: Path) -> None:
    folder = public_data.resolve() / "bpic2012"
    (tmp_path / "leadscore.toml").write_text(f"""
        project.name = "bpic2012"
        [leads]
        source = "{folder}/leads.csv"
        lead_id = "case_id"
        created_at = "registered_at"
        [outcomes]
        source = "{folder}/outcomes.csv"
        lead_id = "case_id"
        [learn]
        won = ["approved"]
        lost = ["declined", "cancelled"]
        horizon_days = 30""")
    result = audit_folder(tmp_path)
    assert [audited.attribute for audited in result.attributes] == ["amount_requested"]
    assert alarms(result) == set()


def test_the_days_to_the_last_activity_of_bpic2012_are_found(
    public_data: Path, tmp_path: Path
) -> None:
    folder = public_data.resolve() / "bpic2012"
    leads = pd.read_csv(folder / "leads.csv")
    at = pd.read_csv(folder / "activities.csv.gz")
    at["occurred_at"] = pd.to_datetime(at["occurred_at"], utc=True, format="ISO8601")
    last = (
        at.groupby("case_id")["occurred_at"].max().reindex(leads["case_id"]).reset_index(drop=True)
    )
    created = pd.to_datetime(leads["registered_at"], utc=True, format="ISO8601")
    leads["field"] = (last - created).dt.days
    leads.to_csv(tmp_path / "leads.csv", index=False)
    (tmp_path / "leadscore.toml").write_text(f"""
        project.name = "bpic2012"
        leads = {{source = "leads.csv", lead_id = "case_id", created_at = "registered_at"}}
        outcomes = {{source = "{folder}/outcomes.csv", lead_id = "case_id"}}
        learn = {{won = ["approved"], lost = ["declined", "cancelled"], horizon_days = 30}}""")
    audited = next(a for a in audit_folder(tmp_path).attributes if a.attribute == "field")
    assert verdicts(audited)["LS113"] is Verdict.LEAK
