"""Finding the columns that contain the ids of leads."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.errors import ConfigError
from drafting.draft import draft_project
from tests.made_drafts import (
    days,
    draft,
    draft_of,
    without_line_breaks,
    write_csv,
)


def leads_and_deals(folder: Path, leads: dict[str, Any], deals: dict[str, Any]) -> list[str]:
    deals = deals | {"Stage": ["Won", "Lost"] * 20, "Close Date": days(40, "2024-03-01")}
    return [write_csv(folder, "leads.csv", leads), write_csv(folder, "deals.csv", deals)]


def test_ids_of_15_and_18_characters_match(tmp_path: Path) -> None:
    ids = [f"00Q5g000000{i:04d}" for i in range(40)]
    leads = write_csv(tmp_path, "leads.csv", {"Lead ID": ids, "Created Date": days(40)})
    outcomes = {"ConvertedLeadId": [f"{lead}EAA" for lead in ids], "Stage": ["Won", "Lost"] * 20}
    text = draft_project([leads, write_csv(tmp_path, "outcomes.csv", outcomes)], tmp_path)
    assert 'lead_id = "ConvertedLeadId"' in text


def test_repeated_ids_are_refused_with_their_column(tmp_path: Path) -> None:
    leads = {
        "Lead ID": ["a", "a", "b", "c", "d"],
        "n": range(5),
        "won": ["yes", "no", "no"] + ["no"] * 2,
    }
    file = write_csv(tmp_path, "leads.csv", leads)
    message = '"Lead ID" looks like the id of a lead, but 2 of 5 rows repeat an id'
    with pytest.raises(ConfigError, match=message):
        draft_project([file], tmp_path)


@pytest.mark.parametrize(
    ("column", "of_deals"), [("Created Date", "Close Date"), ("Row", "Deal Number")]
)
def test_cells_that_match_by_chance_are_not_ids(tmp_path: Path, column: str, of_deals: str) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(40)], "Created Date": days(40, "2024-03-01")}
    files = leads_and_deals(tmp_path, leads | {"Row": range(40)}, {"Deal Number": range(40)})
    with pytest.raises(ConfigError, match='such as "L0" in "Lead ID" of leads.csv and "0" in'):
        draft_project(files, tmp_path)


def test_few_leads_among_other_ids_match_by_the_name(tmp_path: Path) -> None:
    leads = {"Id": [f"00Q{i:05d}" for i in range(40)], "CreatedDate": days(40)}
    leads["Status"] = ["Closed - Converted", "Closed - Not Converted"] * 20
    who = [f"{'00Q' if i % 4 == 0 else '003'}{i % 40:05d}" for i in range(200)]
    tasks = {"Id": [f"00T{i:05d}" for i in range(200)], "WhoId": who, "CreatedDate": days(200)}
    tasks["TaskSubtype"] = ["Call", "Email"] * 100
    files = [write_csv(tmp_path, "Lead.csv", leads), write_csv(tmp_path, "Task.csv", tasks)]
    _, project, records = draft(tmp_path, files)
    assert project.activities is not None
    assert project.activities.column_of("lead_id") == "WhoId"
    assert records.activities is not None
    assert len(records.activities) == 50


def test_code_is_an_id_before_an_email_address(tmp_path: Path) -> None:
    leads = {"name": [f"CRM-LEAD-2024-{i:05d}" for i in range(30)]}
    leads["email_id"] = [f"p{i}@example.com" for i in range(30)]
    leads["status"] = ["Converted", "Lead", "Do Not Contact"] * 10
    assert draft_of(tmp_path, leads).project.leads.column_of("lead_id") == "name"
    del leads["name"]
    assert draft_of(tmp_path, leads).project.leads.column_of("lead_id") == "email_id"


@pytest.mark.parametrize("n_repeated", [1, 30])
def test_rows_that_are_equal_in_every_cell_count_once(tmp_path: Path, n_repeated: int) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(30)], "Status": ["Won", "Lost", "New"] * 10}
    leads = {name: [*cells, *cells[:n_repeated]] for name, cells in leads.items()}
    _, project, records = draft_of(tmp_path, leads)
    assert project.leads.column_of("lead_id") == "Lead ID"
    assert len(records.leads) == 30


def test_deals_of_several_contacts_count_for_each(tmp_path: Path) -> None:
    ids = [str(51_000 + i) for i in range(60)]
    contacts = {"Record ID": ids, "Create Date": days(60), "Source": ["a", "b", "c"] * 20}
    several = [f"{a};{b}" for a, b in zip(ids[::2], ids[1::2], strict=True)]
    deals = {
        "Deal ID": [f"D{i}" for i in range(30)],
        "Associated Contact IDs": several,
        "Deal Stage": ["Closed Won", "Closed Lost"] * 15,
        "Close Date": days(30, "2024-04-01"),
    }
    files = [write_csv(tmp_path, "contacts.csv", contacts), write_csv(tmp_path, "deals.csv", deals)]
    text, project, records = draft(tmp_path, files)
    assert project.outcomes is not None
    assert project.outcomes.column_of("lead_id") == "Associated Contact IDs"
    assert len(records.outcomes) == 60
    assert records.left_out == []
    assert '30 rows name several leads in "Associated Contact IDs"' in without_line_breaks(text)


def test_column_with_the_name_of_the_key_comes_before_the_id_of_the_table(tmp_path: Path) -> None:
    contacts = {"contact_id": range(40), "Created": days(40)}
    deals = {"deal_id": range(40), "contact_id": [(i * 7) % 40 for i in range(40)]}
    files = leads_and_deals(tmp_path, contacts, deals)
    project = draft(tmp_path, files).project
    assert project.outcomes is not None
    assert project.outcomes.column_of("lead_id") == "contact_id"


def test_own_id_of_a_table_comes_last(tmp_path: Path) -> None:
    deals = {"deal_id": range(40), "customer_id": [(i * 7) % 40 for i in range(40)]}
    files = leads_and_deals(tmp_path, {"id": range(40), "Created": days(40)}, deals)
    project = draft(tmp_path, files).project
    assert project.outcomes is not None
    assert project.outcomes.column_of("lead_id") == "customer_id"


def persons_and_deals(folder: Path) -> list[str]:
    persons: dict[str, Any] = {"Person - ID": range(1, 41), "Person - Created": days(40)}
    deals: dict[str, Any] = {"Deal - ID": range(1, 41)}
    deals["Deal - Person ID"] = [(i * 7) % 40 + 1 for i in range(40)]
    deals |= {"Deal - Status": ["Won", "Lost"] * 20, "Deal - Closed": days(40, "2024-03-01")}
    return [write_csv(folder, "persons.csv", persons), write_csv(folder, "deals.csv", deals)]


def test_ids_of_deals_are_not_ids_of_people_by_chance(tmp_path: Path) -> None:
    files = persons_and_deals(tmp_path)
    project = draft(tmp_path, files).project
    assert project.outcomes is not None
    assert project.outcomes.column_of("lead_id") == "Deal - Person ID"
    calls: dict[str, Any] = {"ID": range(1, 81), "Deal - ID": [i % 40 + 1 for i in range(80)]}
    calls |= {"Type": ["call", "mail"] * 40, "Due date": days(80)}
    files.append(write_csv(tmp_path, "activities.csv", calls))
    message = r'"Deal - ID" of activities\.csv has the name of another id than "Person - ID" of'
    with pytest.raises(ConfigError, match=message):
        draft_project(files, tmp_path)
    assert draft(tmp_path, files[1:]).project.leads.source == "deals.csv"


@pytest.mark.parametrize("name", ["owner_id", "Campaign ID", "Assigned To ID"])
def test_id_of_something_else_is_not_the_lead(tmp_path: Path, name: str) -> None:
    leads = {name: [f"U{i}x" for i in range(30)], "Status": ["Won", "Lost", "New"] * 10}
    assert draft_of(tmp_path, leads).project.leads.column_of("lead_id") is None


def test_repeated_rows_with_times_count_once(tmp_path: Path) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(60)], "Status": ["Won", "Lost", "New"] * 20}
    leads |= {"Created": days(60), "Closed Date": days(60, "2024-02-01")}
    leads = {name: [*cells, *cells[:5]] for name, cells in leads.items()}
    _, project, records = draft_of(tmp_path, leads)
    assert project.leads.column_of("created_at") == "Created"
    assert len(records.leads) == 60


def test_rows_without_an_id_do_not_disturb_the_order(tmp_path: Path) -> None:
    leads = {"Lead ID": [f"L{i}" for i in range(90)], "Lead Number": [*range(7_000, 7_090)]}
    leads |= {"Status": ["Won", "Lost", "Lost"] * 30, "Size": [*range(90)]}
    leads["Lead ID"][3] = ""
    _, project, records = draft_of(tmp_path, leads)
    assert project.leads.column_of("order") == "Lead Number"
    assert len(records.leads) == 89


@pytest.mark.parametrize("n_further", [1, 2])
def test_rows_that_continue_the_lead_above_are_left_out(tmp_path: Path, n_further: int) -> None:
    rows: list[tuple[Any, ...]] = []
    for i in range(60):
        rows.append((f"L{i}", days(60)[i], ["Won", "Lost", "New"][i % 3], "A"))
        rows += [(None, None, None, product) for product in "BC"[:n_further]]
    leads = pd.DataFrame(rows, columns=["Lead ID", "Created", "Status", "Product"])
    text, project, records = draft_of(tmp_path, {str(name): leads[name] for name in leads})
    assert project.leads.column_of("lead_id") == "Lead ID"
    assert project.leads.column_of("created_at") == "Created"
    assert len(records.leads) == 60
    (left_out,) = records.left_out
    assert (left_out.count, left_out.lines[:2]) == (60 * n_further, (3, 5 if n_further == 1 else 4))
    reason = 'they have no "Lead ID" and only "Product", so they belong to the lead above them'
    assert reason in left_out.reason
    assert f"CHECK: {60 * n_further} rows are left out: {reason}" in without_line_breaks(text)


def test_notes_between_leads_do_not_continue_the_lead_above(tmp_path: Path) -> None:
    ids = [f"L{i}" if i % 10 else None for i in range(60)]
    leads = {"Lead ID": ids, "Note": [None if i % 10 else f"Note {i}" for i in range(60)]}
    leads["Created"] = [day if i % 10 else None for i, day in enumerate(days(60))]
    leads["Status"] = [["Won", "Lost", "New"][i % 3] if i % 10 else None for i in range(60)]
    text, _, records = draft_of(tmp_path, leads)
    assert len(records.leads) == 54
    assert "belong to the lead above" not in text


def test_leads_without_an_id_do_not_continue_the_lead_above(tmp_path: Path) -> None:
    ids = [f"L{i}" if i % 3 else None for i in range(60)]
    leads = {"Lead ID": ids, "Created": days(60), "Status": ["Won", "Lost", "New"] * 20}
    leads["City"] = [None if i % 3 else "Bonn" for i in range(60)]
    text, _, records = draft_of(tmp_path, leads)
    assert not records.has_ids
    assert len(records.leads) == 60
    assert "belong to the lead above" not in text


@pytest.mark.parametrize("n_equal", [20, 40])
def test_ids_that_excel_has_shortened_are_refused(tmp_path: Path, n_equal: int) -> None:
    ids = [f"555123450{i:02}" if i >= n_equal else "5.5512E+10" for i in range(40)]
    leads = {"Lead ID": ids, "Created": days(40), "Status": ["Won", "Lost"] * 20}
    message = (
        f'Excel has shortened the ids in "Lead ID", as in "5.5512E\\+10".*{n_equal} of 40 rows'
    )
    with pytest.raises(ConfigError, match=message):
        draft_of(tmp_path, leads)
    deals = {"Lead ID": ids[::-1], "Amount": range(40)}
    with pytest.raises(ConfigError, match=message):
        draft_project(leads_and_deals(tmp_path, leads, deals), tmp_path)


@pytest.mark.parametrize(
    "name", ["Nr.", "No", "#", "N°", "Nº", "Lfd. Nr.", "Reference", "Ref.", "連番"]
)
def test_number_of_rows_is_the_id_if_no_other_column_is(tmp_path: Path, name: str) -> None:
    leads = {"Created": days(40), "Status": ["Won", "Lost", "New", "New"] * 10}
    text, project, records = draft_of(tmp_path, {name: range(1, 41)} | leads)
    assert project.leads.column_of("lead_id") == name
    assert records.has_ids
    assert "CHECK: no other id was found, and this one counts the rows" in without_line_breaks(text)
    references = [f"{i * 37 % 101 + 1_000}" for i in range(40)]
    text, project, _ = draft_of(tmp_path, {name: references} | leads)
    assert project.leads.column_of("lead_id") == name
    assert "counts the rows" not in text
    ids = {"Lead ID": [f"L{i}" for i in range(40)]}
    _, project, _ = draft_of(tmp_path, {name: range(1, 41)} | ids | leads)
    assert project.leads.column_of("lead_id") == "Lead ID"
    _, project, _ = draft_of(tmp_path, {name: ["7", "8"] * 20} | leads)
    assert project.leads.column_of("lead_id") is None


@pytest.mark.parametrize(
    "name", ["Item ID (auto generated)", "レコードID - コンタクト", "Identifiant unique"]
)
def test_names_of_ids_in_crms(tmp_path: Path, name: str) -> None:
    leads = {name: range(51, 91), "Created": days(40), "Status": ["Won", "Lost"] * 20}
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("lead_id") == name
    assert "counts the rows" not in text
