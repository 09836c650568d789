"""Rules for the attributes, and that `leadscore init` agrees with `leadscore audit`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
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
from tests.made_drafts import (
    N_LEADS,
    choose,
    days,
    draft_of,
    flat_leads,
    without_line_breaks,
    write_csv,
    yes_or_no,
)

# --- columns that are known later


def test_names_that_refer_to_later_are_known_later(tmp_path: Path) -> None:
    names = ["Last Activity", "closedBy", "lost_reason", "conversion page", "lasting", "enclosed"]
    text, project, _ = draft_of(tmp_path, flat_leads(**dict.fromkeys(names, yes_or_no())))
    assert project.leads.column_of("reason") == "lost_reason"
    assert project.columns.known_later == ["Last Activity", "closedBy", "conversion page"]
    assert '"Last Activity", # Its name contains "last". (LS107)' in text


@pytest.fixture
def leaking_leads() -> dict[str, Any]:
    """Build leads with five columns that reveal the outcome, and three that do not."""
    random = np.random.default_rng(0)
    is_won = np.arange(N_LEADS) % 4 == 0
    is_open = np.arange(N_LEADS) % 10 == 9
    noise = random.normal(size=N_LEADS)
    is_called = (random.random(N_LEADS) < choose(is_won, 0.9, 0.4)) & ~is_open
    leads = flat_leads(
        contract=choose(is_won, "signed", None),
        call=choose(is_called, "x", None),
        seconds=(is_won * 2 + noise).round(3),
        team=choose(random.random(N_LEADS) < 0.9, choose(is_won, "a", "b"), "c"),
        grade=choose(is_open, None, random.choice(["a", "b"], N_LEADS)),
        honest=(is_won * 0.7 + noise).round(3),
        code=random.integers(0, 200, N_LEADS),
        gaps=choose(random.random(N_LEADS) < 0.5, "x", None),
    )
    leads["converted"] = choose(is_open, None, choose(is_won, "yes", "no"))
    return leads


def test_columns_that_reveal_the_outcome_are_known_later(
    tmp_path: Path, leaking_leads: dict[str, Any]
) -> None:
    project = draft_of(tmp_path, leaking_leads).project
    assert project.columns.known_later == ["contract", "call", "seconds", "team", "grade"]


@pytest.mark.parametrize(
    ("column", "evidence"),
    [
        ("contract", "leads that have it filled were won"),
        ("call", "(LS103)"),
        ("seconds", "By itself it ranks"),
        ("team", "By itself it ranks"),
        ("grade", "Filled for 360 of 360 leads with an outcome and 0 of 40 leads without one"),
    ],
)
def test_evidence_is_written_next_to_the_column(
    tmp_path: Path, leaking_leads: dict[str, Any], column: str, evidence: str
) -> None:
    text = draft_of(tmp_path, leaking_leads).text
    (comment,) = re.findall(rf'(?m)^ *"{column}", # (.*)$', text)
    assert evidence in comment


def test_score_that_ceased_to_be_filled_is_known_later(tmp_path: Path) -> None:
    score = [*["a", "b"] * 100, *[None] * 200]
    text, project, _ = draft_of(tmp_path, flat_leads(score=score, created_at=days(N_LEADS)))
    assert project.columns.known_later == ["score"]
    assert "Filled for 0% of the leads in one period and 100% in another; " in text
    assert "no form asks for. (LS105)" in text


def test_question_that_a_form_ceased_to_ask_is_an_attribute(tmp_path: Path) -> None:
    course = [*["a", "b", "b", "a", "b", "a", "a", "b"] * 25, *[None] * 200]
    project = draft_of(tmp_path, flat_leads(course=course, created_at=days(N_LEADS))).project
    assert project.columns.known_later == []


def test_column_that_was_introduced_at_some_time_is_an_attribute(tmp_path: Path) -> None:
    score = [*[None] * 200, *["a", "b"] * 100]
    project = draft_of(tmp_path, flat_leads(score=score, created_at=days(N_LEADS))).project
    assert project.columns.known_later == []


def test_periods_are_not_compared_without_an_order(tmp_path: Path) -> None:
    score = choose(np.arange(N_LEADS) < 200, yes_or_no(), None)
    project = draft_of(tmp_path, flat_leads(score=score)).project
    assert project.columns.known_later == []


def test_few_outcomes_are_not_compared(tmp_path: Path) -> None:
    leads = {"id": range(40), "won": ["yes"] + ["no"] * 39, "x": ["a"] + [None] * 39}
    text, project, _ = draft_of(tmp_path, leads)
    assert project.columns.known_later == []
    assert "fewer than 10 were won, or fewer than 10 were not won" in without_line_breaks(text)


# --- columns of numbers and text


def test_many_numbers_mixed_with_text_become_a_category(tmp_path: Path) -> None:
    size = [str(i) if i % 2 else f"about {i}" for i in range(N_LEADS)]
    text, project, _ = draft_of(tmp_path, flat_leads(size=size))
    assert project.columns.category == ["size"]
    assert '"size", # CHECK: cells such as "about 0", "about 2" are not read as numbers' in text


def test_few_values_need_no_rule(tmp_path: Path) -> None:
    rooms = [str(i % 20) if i % 2 else "some" for i in range(N_LEADS)]
    assert draft_of(tmp_path, flat_leads(rooms=rooms)).project.columns.category == []


# --- the audit of `leadscore audit`


@pytest.fixture
def audits_of_init(monkeypatch: pytest.MonkeyPatch) -> list[Audit]:
    """Collect the audits that `draft_project` runs."""
    audits: list[Audit] = []

    def audit_and_record(*args: Any, **kwargs: Any) -> Audit:
        audits.append(audit_columns(*args, **kwargs))
        return audits[-1]

    monkeypatch.setattr(column_rules, "audit_columns", audit_and_record)
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


def verdicts(audit: Audit) -> dict[str, list[tuple[str, Verdict]]]:
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


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("xeducation", ["Leads.csv"]),
        ("bank_marketing", ["bank-additional-full.csv.gz"]),
        ("bpic2012", ["leads.csv", "activities.csv.gz", "outcomes.csv"]),
    ],
)
def test_init_and_audit_agree_on_public_data(
    tmp_path: Path, public_data: Path, audits_of_init: list[Audit], name: str, files: list[str]
) -> None:
    project = drafted_project(tmp_path, [f"{public_data}/{name}/{file}" for file in files])
    (of_init,) = audits_of_init
    assert of_init.attributes
    assert verdicts(of_init) == verdicts(audit_of_command(project))
    assert project.columns.known_later == known_later(of_init)


@pytest.mark.parametrize("days_to_close", [5, 80])
def test_second_column_of_outcomes_is_known_later(tmp_path: Path, days_to_close: int) -> None:
    stages = ["Won", "Lost", "Open"] * 40
    leads = {"Lead ID": range(120), "Created Date": days(120), "Outcome": stages}
    closed = pd.to_datetime(days(120)) + pd.Timedelta(days=days_to_close)
    leads["Closed Date"] = ["" if s == "Open" else d for s, d in zip(stages, closed, strict=True)]
    leads["Kind"] = [{"Won": "Sold", "Lost": "Rejected", "Open": "New"}[stage] for stage in stages]
    leads["Answer"], leads["Earlier Outcome"] = ["Yes", "No"] * 60, ["success", "failure"] * 60
    project = draft_of(tmp_path, leads).project
    assert project.leads.column_of("outcome") == "Outcome"
    assert project.columns.known_later == ["Kind"]


def test_values_are_constant_only_if_all_leads_have_them(tmp_path: Path) -> None:
    leads = {"Lead ID": range(100), "Created Date": days(100), "Status": ["Open"] * 100}
    leads["Status"][:4] = ["Won", "Lost", "Won", "Lost"]
    leads["Color"], leads["Shape"] = ["red", "blue", "red", "red"] * 25, ["round"] * 100
    text = without_line_breaks(draft_of(tmp_path, leads).text)
    assert "leaves out: \"Shape\", because it is always 'round'." in text


def test_attribute_with_the_name_of_a_role_is_ignored(tmp_path: Path) -> None:
    leads = {"opportunity_id": [f"O{i}" for i in range(90)], "lead_id": ["L1", "L2", None] * 30}
    leads |= {"created_date": days(90), "stage": ["Closed Won", "Closed Lost", "Open"] * 30}
    text, project, records = draft_of(tmp_path, leads)
    assert project.leads.column_of("lead_id") == "opportunity_id"
    assert project.columns.ignore == ["lead_id"]
    assert '"lead_id", # its name is a key of [leads], and another column is named' in text
    assert records.leads["lead_id"].tolist()[:2] == ["O0", "O1"]


def test_attribute_named_created_at_that_is_not_a_time_does_not_stop_the_draft(
    tmp_path: Path,
) -> None:
    leads = {"deal_id": [f"D{i}" for i in range(30)], "stage": ["Won", "Lost", "Open"] * 10}
    leads["created_at"] = ["2026-06-01T09:14:58+05:00", "14.06.2026 09:20"] * 15
    leads["closed_at"] = ["2026-07-01T09:14:58+05:00", "2026-07-02T09:14:58+05:00", ""] * 10
    text = draft_project([write_csv(tmp_path, "leads.csv", leads)], tmp_path)
    assert '"created_at", # CHECK: ' in text
    assert "\ncreated_at = " not in text
