"""Deciding which file is which table."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crm.errors import ConfigError
from drafting.draft import draft_project
from leadscore.command import app
from tests.made_drafts import (
    crm_tables,
    days,
    draft,
    flat_leads,
    roles_of,
    without_line_breaks,
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
    assert (learn.horizon_days, learn.moments_days) == (60, [0, 7, 30])


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


# --- files that are not about leads

N = 60
OWNERS = {"Owner ID": [f"U{i}" for i in range(8)], "Name": [f"Rep {i}" for i in range(8)]}
CAMPAIGNS = {"Campaign ID": [f"C{i}" for i in range(12)], "Budget": range(0, 12_000, 1_000)}
PRODUCTS = {"Product Code": [f"P-{10 + i}" for i in range(12)], "Price": range(12)}
ACCOUNTS = {"Account ID": [str(7_000 + i) for i in range(40)], "Industry": ["IT", "Bank"] * 20}
FIRMS = {"Firmen-ID": [f"F{i}" for i in range(12)], "Branche": ["IT", "Bank"] * 6}


def leads_with(**columns: list[str]) -> dict[str, Any]:
    leads = {"Lead ID": [f"L{1_000 + i}" for i in range(N)], "Created Date": days(N)}
    return leads | {"Status": ["Won", "Lost", "Open"] * 20} | columns


def cycle(values: Sequence[Any]) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


@pytest.mark.parametrize("name", ["leads.csv", "a.csv"])
@pytest.mark.parametrize(
    ("file", "other"),
    [
        ("users.csv", OWNERS),
        ("owners.csv", OWNERS | {"Status": ["Active"] * 8, "Created Date": days(8)}),
        ("campaigns.csv", CAMPAIGNS),
        ("products.csv", PRODUCTS),
        ("b.csv", OWNERS),
        ("accounts.csv", ACCOUNTS),
        ("Firmen.csv", FIRMS),
    ],
)
def test_file_that_leads_refer_to_is_not_used(
    tmp_path: Path, name: str, file: str, other: dict[str, Any]
) -> None:
    key = next(iter(other))
    leads = leads_with(**{key: cycle(list(other[key]))})
    files = [write_csv(tmp_path, name, leads), write_csv(tmp_path, file, other)]
    drafted = draft(tmp_path, files)
    project = drafted.project
    assert project.leads.source == name
    assert project.leads.column_of("lead_id") == "Lead ID"
    assert project.leads.column_of("outcome") == "Status"
    assert project.outcomes is project.stages is project.activities is None
    text = without_line_breaks(drafted.text)
    assert f"CHECK: {file} is not used, because it does not contain the ids of the leads" in text
    assert f'"{key}" of {name} contains the ids of its rows' in text


def test_file_that_leads_refer_to_is_not_used_beside_other_tables(tmp_path: Path) -> None:
    leads = leads_with(**{"Owner ID": cycle(OWNERS["Owner ID"])})
    del leads["Status"]
    calls = {"Lead ID": leads["Lead ID"] * 2, "Type": ["call", "mail"] * N, "Date": days(2 * N)}
    deals = {"Deal ID": range(20), "Lead ID": leads["Lead ID"][:20]}
    deals |= {"Deal Stage": ["Closed Won", "Closed Lost"] * 10, "Close Date": days(20)}
    tables = {"users": OWNERS, "calls": calls, "leads": leads, "deals": deals}
    files = [write_csv(tmp_path, f"{name}.csv", table) for name, table in tables.items()]
    project = draft(tmp_path, files).project
    assert project.leads.source == "leads.csv"
    assert project.activities is not None
    assert project.activities.source == "calls.csv"
    assert project.outcomes is not None
    assert project.outcomes.source == "deals.csv"


def test_ids_of_owners_that_are_ids_of_leads_by_chance(tmp_path: Path) -> None:
    leads = {"id": range(N), "owner_id": cycle(range(10)), "status": ["Won", "Lost", "Open"] * 20}
    users = {"id": range(10), "status": ["Won", "Lost"] * 5, "created_at": days(10)}
    files = [write_csv(tmp_path, "leads.csv", leads), write_csv(tmp_path, "users.csv", users)]
    project = draft(tmp_path, files).project
    assert project.leads.source == "leads.csv"
    assert project.outcomes is None


def test_companies_are_leads_if_no_other_file_is(tmp_path: Path) -> None:
    companies = {"Company ID": [f"K{i}" for i in range(40)], "Created": days(40)}
    deals = {"Deal ID": range(40), "Company ID": companies["Company ID"]}
    deals |= {"Deal Stage": ["Closed Won", "Closed Lost"] * 20, "Close Date": days(40)}
    files = [write_csv(tmp_path, "companies.csv", companies)]
    files.append(write_csv(tmp_path, "deals.csv", deals))
    assert draft(tmp_path, files).project.leads.source == "companies.csv"


def salesforce(number: bool = False) -> dict[str, dict[str, Any]]:
    leads, deals = [f"00Q{i:012d}" for i in range(N)], [f"006{i:012d}" for i in range(12)]
    if number:
        leads, deals = [str(i) for i in range(N)], [str(i) for i in range(12)]
    lead = {"Id": leads, "CreatedDate": days(N)}
    lead["Status"] = ["Closed - Converted", *["Closed - Not Converted"] * 2] * 20
    lead["ConvertedOpportunityId"] = [deals[i // 5] if i % 5 == 0 else None for i in range(N)]
    deal = {"Id": deals, "StageName": ["Closed Won", "Closed Lost"] * 6, "CreatedDate": days(12)}
    task = {"Id": [f"00T{i:012d}" for i in range(2 * N)], "WhoId": leads * 2}
    task |= {"Type": ["Call", "Email"] * N, "ActivityDate": days(2 * N)}
    return {"Lead": lead, "Opportunity": deal | {"CloseDate": days(12)}, "Task": task}


@pytest.mark.parametrize("tables", [["Lead", "Opportunity"], ["Lead", "Opportunity", "Task"]])
@pytest.mark.parametrize("number", [False, True])
def test_opportunities_without_ids_of_leads_are_not_used(
    tmp_path: Path, tables: list[str], number: bool
) -> None:
    made = salesforce(number)
    files = [write_csv(tmp_path, f"{table}.csv", made[table]) for table in tables]
    text, project, records = draft(tmp_path, files)
    assert project.leads.source == "Lead.csv"
    assert project.leads.column_of("outcome") == "Status"
    assert len(records.leads) == N
    assert project.outcomes is None
    assert (project.activities is not None) == ("Task" in tables)
    text = without_line_breaks(text)
    assert '"ConvertedOpportunityId" of Lead.csv contains the ids of its rows ("Id")' in text
    assert 'add the id of the lead ("Id" of Lead.csv) to each row of Opportunity.csv' in text
    assert "CHECK: How leads ended is read from Lead.csv" in text


def test_opportunities_without_ids_of_leads_are_refused_if_only_they_show_the_outcome(
    tmp_path: Path,
) -> None:
    made = salesforce()
    del made["Lead"]["Status"]
    files = [write_csv(tmp_path, f"{table}.csv", made[table]) for table in ("Lead", "Opportunity")]
    message = r"Opportunity\.csv is not used.*add the id of the lead.*No column of Lead\.csv shows"
    with pytest.raises(ConfigError, match=message):
        draft_project(files, tmp_path)


def company_deals(folder: Path, names: Sequence[str], n_deals: int = 12) -> list[str]:
    contacts = {"Record ID": [str(51_000 + i) for i in range(N)]}
    contacts["Company ID"] = cycle([str(7_000 + i) for i in range(12)])
    contacts["Lifecycle Stage"] = ["Customer", "Lead", "Marketing Qualified Lead"] * 20
    contacts["Create Date"] = list(days(N))
    deals = {"Deal ID": [str(90_000 + i) for i in range(n_deals)]}
    deals["Company ID"] = contacts["Company ID"][:n_deals]
    deals["Deal Stage"] = (["Closed Won", "Closed Lost"] * n_deals)[:n_deals]
    deals["Close Date"] = list(days(n_deals, "2024-06-01"))
    tables = zip(names, (contacts, deals), strict=True)
    return [write_csv(folder, name, table) for name, table in tables]


@pytest.mark.parametrize("n_deals", [12, 24])
def test_deals_of_companies_are_not_used(tmp_path: Path, n_deals: int) -> None:
    files = company_deals(tmp_path, ["contacts.csv", "deals.csv"], n_deals)
    text, project, records = draft(tmp_path, files)
    assert project.leads.source == "contacts.csv"
    assert project.leads.column_of("outcome") == "Lifecycle Stage"
    assert project.stages is project.outcomes is None
    assert len(records.leads) == N
    text = without_line_breaks(text)
    assert 'belong to "Company ID", which leads may share: 5 leads have "7000"' in text
    assert 'add the id of the lead ("Record ID" of contacts.csv) to each row of deals.csv' in text


def test_deals_of_companies_are_refused_if_the_names_do_not_show_the_leads(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not clear which file"):
        draft_project(company_deals(tmp_path, ["a.csv", "b.csv"]), tmp_path)


def test_terminal_names_the_files_that_are_not_used(tmp_path: Path) -> None:
    leads = leads_with(**{"Owner ID": cycle(OWNERS["Owner ID"])})
    files = [write_csv(tmp_path, "leads.csv", leads), write_csv(tmp_path, "users.csv", OWNERS)]
    result = CliRunner().invoke(app, ["init", *files, "--project", str(tmp_path)])
    assert "note: users.csv is not used" in result.output


# --- ids that do not match


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("of_leads", "of_calls"),
    [("1{:03d}", "#1{:03d}"), ("{}", "{:08d}"), ("1{:03d}", "LEAD-1{:03d}")],
)
def test_ids_in_two_forms_are_refused_with_an_example_of_each(
    tmp_path: Path, named: bool, of_leads: str, of_calls: str
) -> None:
    leads = leads_with(**{"Lead ID": [of_leads.format(i + 75) for i in range(N)]})
    calls = {"Lead ID": [of_calls.format(i + 75) for i in range(N)] * 2}
    calls |= {"Type": ["call", "mail"] * N, "Date": days(2 * N)}
    files = [write_csv(tmp_path, "leads.csv", leads), write_csv(tmp_path, "calls.csv", calls)]
    if named:
        files = [f"leads={files[0]}", f"activities={files[1]}"]
    message = (
        f'such as "{of_leads.format(75)}" in "Lead ID" of leads.csv and "{of_calls.format(75)}" '
        'in "Lead ID" of calls.csv. They may be the same ids in two forms'
    )
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        draft_project(files, tmp_path)
    assert "Name the table" not in str(error.value)


@pytest.mark.parametrize("named", [True, False])
def test_files_without_common_ids_are_refused_with_the_column_to_add(
    tmp_path: Path, named: bool
) -> None:
    files = unrelated_deals(tmp_path)
    if named:
        files = [f"leads={files[0]}", f"outcomes={files[1]}"]
    message = (
        r'such as "51000" in "Record ID" of contacts\.csv and "90000" in "Deal ID" of deals\.csv\. '
        r'Add the id of the lead \("Record ID" of contacts\.csv\) to each row of deals\.csv'
    )
    with pytest.raises(ConfigError, match=message):
        draft_project(files, tmp_path)


def unrelated_deals(folder: Path) -> list[str]:
    contacts = {"Record ID": range(51_000, 51_060), "Create Date": days(N)}
    deals = {"Deal ID": range(90_000, 90_020), "Deal Stage": ["Closed Won", "Closed Lost"] * 10}
    deals["Close Date"] = days(20, "2024-06-01")
    return [write_csv(folder, "contacts.csv", contacts), write_csv(folder, "deals.csv", deals)]


def test_associations_show_the_column_to_add(tmp_path: Path) -> None:
    files = unrelated_deals(tmp_path)
    links = {"Contact ID": range(51_000, 51_020), "Deal ID": range(90_000, 90_020)}
    files.append(write_csv(tmp_path, "associations.csv", links))
    message = (
        r'associations\.csv shows which of them belong together: add its column "Contact ID" to '
        r'deals\.csv, by "Deal ID" of deals\.csv and "Deal ID" of associations\.csv'
    )
    with pytest.raises(ConfigError, match=message):
        draft_project(files, tmp_path)


def test_file_of_further_attributes_is_refused(tmp_path: Path) -> None:
    leads = leads_with()
    details = {"Lead ID": leads["Lead ID"], "Employees": range(N)}
    files = [write_csv(tmp_path, "leads.csv", leads), write_csv(tmp_path, "more.csv", details)]
    with pytest.raises(ConfigError, match=r"Add its columns to leads\.csv, or leave more\.csv out"):
        draft_project(files, tmp_path)


def test_file_called_leads_comes_before_contacts(tmp_path: Path) -> None:
    contacts = {"Contact ID": [f"K{i}" for i in range(40)], "Created": days(40)}
    leads = leads_with(**{"Contact ID": cycle(contacts["Contact ID"])})
    files = [write_csv(tmp_path, "contacts.csv", contacts)]
    files.append(write_csv(tmp_path, "leads.csv", leads))
    text, project, _ = draft(tmp_path, files)
    assert project.leads.source == "leads.csv"
    assert "CHECK: contacts.csv is not used" in text


def test_two_files_of_leads_are_refused(tmp_path: Path) -> None:
    years = {"leads_2023.csv": "A", "leads_2024.csv": "B"}
    files = [
        write_csv(tmp_path, name, leads_with(**{"Lead ID": [f"{letter}{i}" for i in range(N)]}))
        for name, letter in years.items()
    ]
    with pytest.raises(ConfigError, match="look like leads: put all leads into one file"):
        draft_project(files, tmp_path)


def test_file_of_activities_is_not_the_table_of_leads(tmp_path: Path) -> None:
    ids = [f"D{i}" for i in range(12)]
    deals = {"deal_id": [*ids, "D3"], "stage": ["WON", "LOST", "NEW"] * 4 + ["NEW"]}
    calls = {"activity_id": ["A1", "A2", "A3"], "deal_id": ids[:3], "activity_type": ["call"] * 3}
    history = {"event_id": ["E1", "E2"], "deal_id": ids[:2], "new_stage": ["NEW"] * 2}
    history["changed_at"] = list(days(2))
    tables = {"deals.csv": deals, "activities.csv": calls, "stage_history.csv": history}
    files = [write_csv(tmp_path, name, tables[name]) for name in tables]
    with pytest.raises(ConfigError):
        draft_project(files, tmp_path)


def test_leads_without_any_outcome_in_the_sample_are_drafted(tmp_path: Path) -> None:
    leads = {"lead_id": [f"L{i}" for i in range(100)], "city": ["Bonn", "Ulm"] * 50}
    leads["created_at"] = ["", "", "", *days(97)]
    leads["status"] = ["won", "lost", "won"] + ["open"] * 97
    leads["closed_at"] = [*days(3), *[""] * 97]
    text = draft_project([write_csv(tmp_path, "leads.csv", leads)], tmp_path)
    assert 'created_at = "created_at"' in text


def history_of_fields(
    fields: list[str], names: str = "Lead ID,Field,Old Value,New Value,At"
) -> Any:
    cells = [[f"L{i // 2}" for i in range(80)], fields * (80 // len(fields)), ["Ada"] * 80]
    cells += [["Demo", "+49 30 12345"] * 40, days(80)]
    return dict(zip(names.split(","), cells, strict=True))


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ("Lead ID,Field / Event,Old Value,New Value,Edit Date", "Status"),
        ("LeadId,Field,OldValue,NewValue,CreatedDate", "StageName"),
        ("Lead-ID,Feldname,Alter Wert,Neuer Wert,Geändert am", "Status"),
        ("リードID,項目,変更前の値,変更後の値,日時", "フェーズ"),
    ],
)
def test_history_of_several_fields_is_not_used(tmp_path: Path, names: str, field: str) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(40)], "Created": days(40)}
    leads["Status"] = ["Won", "Lost", "New", "New"] * 10
    files = [write_csv(tmp_path, "leads.csv", leads)]
    history = history_of_fields([field, "Phone"], names)
    files.append(write_csv(tmp_path, "history.csv", history))
    text, project, _ = draft(tmp_path, files)
    assert project.stages is None
    assert project.activities is None
    reason = f'it contains the changes of 2 fields ("{field}", "Phone")'
    column = names.split(",")[1]
    assert f"CHECK: history.csv is not used: {reason}" in without_line_breaks(text)
    assert f'only the rows whose "{column}" is "{field}".' in without_line_breaks(text)
    write_csv(tmp_path, "history.csv", history_of_fields([field], names))
    records = draft(tmp_path, files).records
    assert records.stages is not None
    assert len(records.stages) == 80
    with pytest.raises(ConfigError, match="The table of leads is needed too"):
        draft_project([write_csv(tmp_path, "history.csv", history)], tmp_path)


def test_history_of_another_field_is_not_stages(tmp_path: Path) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(40)], "Status": ["Won", "Lost", "New", "New"] * 10}
    files = [write_csv(tmp_path, "leads.csv", leads)]
    files.append(write_csv(tmp_path, "history.csv", history_of_fields(["Owner"])))
    assert draft(tmp_path, files).project.stages is None


@pytest.mark.parametrize(
    ("file", "kind", "time", "deal"),
    [
        ("Aktivitäten", "Aktivität - Typ", "Aktivität - Hinzugefügt am", "Geschäft - ID"),
        ("Aktivitäten", "Aktivität - Typ", "Aktivität - Fälligkeitsdatum", "Deal-ID"),
        ("Activités", "Activité - Type", "Activité - Date d'échéance", "Affaire - ID"),
        ("Actividades", "Actividad - Tipo", "Actividad - Fecha de vencimiento", "Trato - ID"),
        ("Atividades", "Atividade - Tipo", "Atividade - Data de vencimento", "Negócio - ID"),
        ("Attività", "Attività - Tipo", "Attività - Data di scadenza", "Affare - ID"),
        ("Activiteiten", "Activiteit - Type", "Activiteit - Vervaldatum", "Deal - ID"),
    ],
)
def test_activities_of_pipedrive_in_other_languages(
    tmp_path: Path, file: str, kind: str, time: str, deal: str
) -> None:
    deals = {"Deal - ID": range(1, 81), "Deal - Status": ["Won", "Lost", "Open", "Open"] * 20}
    deals["Deal - Created"] = days(80)
    activities = {"ID": [4_000 + 7 * i for i in range(150)], kind: ["call", "mail"] * 75}
    activities |= {
        time: days(150),
        "Aktualisiert am": days(150),
        deal: [1 + i % 60 for i in range(150)],
    }
    files = [
        write_csv(tmp_path, f"{file}.csv", activities),
        write_csv(tmp_path, "deals.csv", deals),
    ]
    roles = roles_of(draft(tmp_path, files).project.activities)
    assert (roles["lead_id"], roles["type"], roles["occurred_at"]) == (deal, kind, time)
