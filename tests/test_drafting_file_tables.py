"""Deciding which file is which table."""

from pathlib import Path

import pytest

from crm.errors import ConfigError
from drafting.draft import draft_project
from tests.made_drafts import (
    crm_tables,
    days,
    draft,
    flat_leads,
    roles_of,
    write_csv,
)


@pytest.fixture
def shuffled_tables(tmp_path: Path) -> list[str]:
    """Write four tables to files whose names do not name the tables; the leads are last."""
    names = {"leads": "a", "activities": "b", "stages": "c", "outcomes": "d"}
    files = crm_tables(tmp_path, lambda kind: names[kind])
    return [files[kind] for kind in ("outcomes", "stages", "activities", "leads")]


def test_tables_do_not_depend_on_file_names(tmp_path: Path, shuffled_tables: list[str]) -> None:
    project = draft(tmp_path, shuffled_tables).project
    tables = (project.leads, project.activities, project.stages, project.outcomes)
    sources = [table.source for table in tables if table is not None]
    assert sources == ["a.csv", "b.csv", "c.csv", "d.csv"]


def test_roles_are_found_by_the_names_of_columns(
    tmp_path: Path, shuffled_tables: list[str]
) -> None:
    project = draft(tmp_path, shuffled_tables).project
    assert roles_of(project.leads) == {"lead_id": "Contact ID", "created_at": "Create Date"}
    assert roles_of(project.activities) == {
        "lead_id": "Contact ID",
        "type": "Event Type",
        "occurred_at": "Timestamp",
        "activity_id": "Event ID",
        "content": "Page URL",
        "value": "Duration",
    }
    assert roles_of(project.stages) == {
        "lead_id": "Contact ID",
        "stage": "Stage",
        "entered_at": "Entered",
    }
    assert roles_of(project.outcomes) == {
        "lead_id": "Contact ID",
        "outcome": "Result",
        "closed_at": "Close Date",
        "amount": "Deal Value",
        "reason": "Loss Reason",
    }


def test_tables_are_learned_from(tmp_path: Path, shuffled_tables: list[str]) -> None:
    learn = draft(tmp_path, shuffled_tables).project.learn
    assert (learn.won, learn.lost, learn.open) == (
        ["Closed Won"],
        ["Closed Lost"],
        ["In progress"],
    )
    assert (learn.horizon_days, learn.moments_days) == (90, [0, 7, 30])


def test_tables_are_read(tmp_path: Path, shuffled_tables: list[str]) -> None:
    records = draft(tmp_path, shuffled_tables).records
    assert records.activities is not None
    assert records.stages is not None
    assert len(records.activities) == len(records.stages) == 80
    assert records.outcomes["outcome"].tolist() == ["won", "lost"] * 10


def test_activities_may_be_absent(tmp_path: Path) -> None:
    files = crm_tables(tmp_path)
    project = draft(tmp_path, [files[kind] for kind in ("outcomes", "stages", "leads")]).project
    assert project.activities is None


def test_two_tables_that_look_alike_are_refused(tmp_path: Path) -> None:
    files = [
        write_csv(tmp_path, name, {"id": ["1", "2"], "city": ["x", "y"]})
        for name in ("a.csv", "b.csv")
    ]
    message = r"(?s)not clear which file.*a\.csv \(\"id\", \"city\"\).*activities=calls\.csv"
    with pytest.raises(ConfigError, match=message):
        draft_project(files, tmp_path)


@pytest.fixture
def leads_and_calls(tmp_path: Path) -> tuple[str, str]:
    """Write leads, and calls that could also be leads: one row for each lead."""
    ids = [f"c{i}" for i in range(20)]
    leads = write_csv(tmp_path, "x.csv", {"id": ids, "status": ["won", "lost"] * 10})
    calls = write_csv(tmp_path, "y.csv", {"id": ids, "type": ["call"] * 20, "date": days(20)})
    return leads, calls


def test_one_activity_per_lead_is_a_table_of_activities(
    tmp_path: Path, leads_and_calls: tuple[str, str]
) -> None:
    project = draft(tmp_path, leads_and_calls).project
    assert project.leads.source == "x.csv"
    assert project.activities is not None
    assert project.activities.source == "y.csv"


def test_named_table_overrides_the_guess(tmp_path: Path, leads_and_calls: tuple[str, str]) -> None:
    leads, calls = leads_and_calls
    _, project, records = draft(tmp_path, [leads, f"activities={calls}"])
    assert project.activities is not None
    assert project.activities.source == "y.csv"
    assert records.activities is not None
    assert len(records.activities) == 20


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "no file is named"),
        (["outcomes=leads.csv"], "not clear which file"),
        (["leads=leads.csv", "leads=leads.csv"], "not clear which file"),
        (["leads.csv"] * 5, "not clear which file"),
        (
            ["leads=leads.csv", "activities=cities.csv"],
            r"cannot be the table of activities: no column looks like type, occurred_at\. "
            r"Its columns are: \"lead_id\"",
        ),
    ],
)
def test_sources_without_clear_tables_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path, "leads.csv", flat_leads())
    write_csv(tmp_path, "cities.csv", {"lead_id": ["L1", "L1"], "city": ["x", "y"]})
    with pytest.raises(ConfigError, match=message):
        draft_project(sources, tmp_path)


def test_file_of_won_deals_needs_no_column_of_outcomes(tmp_path: Path) -> None:
    leads = write_csv(tmp_path, "mql.csv", {"mql_id": range(40), "first_contact": days(40)})
    deals = {"mql_id": range(0, 40, 4), "seller": range(10), "won_date": days(10, "2024-02-20")}
    _, project, records = draft(tmp_path, [leads, write_csv(tmp_path, "deals.csv", deals)])
    assert project.outcomes is not None
    assert project.outcomes.column_of("every_row") == "won"
    assert records.outcomes["outcome"].tolist() == ["won"] * 10
    assert len(records.leads) == 40


def test_leads_with_a_status_and_a_day_are_not_stages(tmp_path: Path) -> None:
    leads = {"Lead_ID": range(40), "Lead_Date": days(40), "Lead_Status": ["New", "Hot"] * 20}
    converted = {"Lead_ID": range(40), "Converted": ["yes", "no"] * 20, "Days": range(40)}
    files = [write_csv(tmp_path, "a.csv", leads), write_csv(tmp_path, "b.csv", converted)]
    _, project, _ = draft(tmp_path, files)
    assert project.stages is None
    assert project.outcomes is not None
    assert project.outcomes.source == "b.csv"


def test_history_of_stages_is_not_a_table_of_outcomes(tmp_path: Path) -> None:
    leads = {"Id": [f"006{i:05}" for i in range(40)], "CreatedDate": days(40)}
    leads["StageName"] = ["Closed Won", "Closed Lost"] * 20
    history = {"Id": [f"008{i:05}" for i in range(80)], "OpportunityId": leads["Id"] * 2}
    history["StageName"] = ["Prospecting"] * 40 + leads["StageName"]
    history["CreatedDate"] = [*days(40), *days(40, "2024-03-01")]
    files = [write_csv(tmp_path, "Opportunity.csv", leads)]
    files.append(write_csv(tmp_path, "OpportunityHistory.csv", history))
    _, project, _ = draft(tmp_path, files)
    assert project.outcomes is None
    assert project.leads.column_of("outcome") == "StageName"
    assert project.stages is not None


def test_closing_date_is_not_the_time_of_an_activity(tmp_path: Path) -> None:
    leads = {"LeadID": range(1, 41), "Name": [f"Lead {i}" for i in range(40)]}
    leads["DateCreated"] = days(40)
    sales = {
        "SaleID": [f"{i}.00" for i in range(1, 21)],
        "LeadID": [f"{i}.00" for i in range(1, 21)],
    }
    sales["ClosingDate"] = days(20, "2024-03-01")
    sales["CampaignType"] = ["SEO", "Ads"] * 10
    files = [
        write_csv(tmp_path, "Leads_Data.csv", leads),
        write_csv(tmp_path, "Sales_Data.csv", sales),
    ]
    _, project, records = draft(tmp_path, files)
    assert project.activities is None
    assert len(records.outcomes) == 20
