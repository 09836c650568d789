"""Which file is which table, and which column plays which role."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.errors import ConfigError
from drafting.draft import draft_project
from drafting.role_names import NAMED_IDS, NO_RANK, rank
from drafting.roles import find_order
from drafting.samples import Column, Table
from tests.made_drafts import (
    N_LEADS,
    crm_tables,
    days,
    draft,
    draft_of,
    flat_leads,
    roles_of,
    without_line_breaks,
    write_csv,
)

# --- tables


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


# --- the outcome


@pytest.mark.parametrize("name", ["Converted", "is_won", "y", "target", "deal", "Lead Status"])
def test_outcome_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    leads = {"id": range(8), "opt_in": ["yes", "no"] * 4, name: ["yes", "no"] * 4}
    project = draft_of(tmp_path, leads).project
    assert project.leads.column_of("outcome") == name


@pytest.mark.parametrize("values", [["open", "lost"], ["1", "2", "3"], ["red", "green", "blue"]])
def test_status_without_a_win_is_not_an_outcome(tmp_path: Path, values: list[str]) -> None:
    leads = {"id": range(30), "status": values * (30 // len(values))}
    file = write_csv(tmp_path, "leads.csv", leads)
    with pytest.raises(ConfigError, match="shows how leads ended"):
        draft_project([file], tmp_path)


def test_leads_without_an_outcome_are_refused(tmp_path: Path) -> None:
    file = write_csv(tmp_path, "leads.csv", {"id": range(9), "city": ["x", "y", "z"] * 3})
    message = r'shows how leads ended\. These columns may show it, with .* values: "city" \("'
    with pytest.raises(ConfigError, match=message):
        draft_project([file], tmp_path)


def test_columns_that_could_be_the_outcome_are_shown_with_the_option_to_write(
    tmp_path: Path,
) -> None:
    stages = [f"Stufe {i % 40}" for i in range(N_LEADS)]
    towns = [("Bonn", "Ulm")[i % 2] for i in range(N_LEADS)]
    leads = {"id": range(N_LEADS), "city": towns, "Stufe": stages}
    message = (
        r'values: "Stufe" \("Stufe \d+", .*, …\).*"city" \(.* as in: --outcome "Stufe" --won VALUE'
    )
    with pytest.raises(ConfigError, match=message):
        draft_project([write_csv(tmp_path, "leads.csv", leads)], tmp_path)


NAMES_OF_ROLES = {
    "created_at": [
        "Deal - Deal erstellt",
        "Negócio - Negócio criado em",
        "Trato - Trato creado",
        "Affaire - Affaire créée",
        "Affare - Affare creato il",
        "Deal - Deal aangemaakt",
        "Szansa - Szansę utworzono",
        "取引 - 取引作成日",
        "Fecha de creación del negocio",
        "생성일",
    ],
    "closed_at": [
        "Deal - Deal geschlossen am",
        "Negócio - Negócio fechado em",
        "Affaire - Affaire clôturée le",
        "Szansa - Szansę zamknięto",
        "Schlusstermin",
        "Konvertierungsdatum",
        "Stängningsdatum",
        "取引の開始日",
        "完了予定日",
        "Tatsächliches Abschlussdatum",
        "Date de fermeture réelle",
        "Data real de fechamento",
        "实际结束日期",
    ],
    "outcome": [
        "Lifecycle-Phase",
        "Phase du cycle de vie",
        "Etapa del ciclo de vida",
        "Etapa do ciclo de vida",
        "Fase del ciclo di vita",
        "Levenscyclusfase",
        "ライフサイクルステージ",
        "Statusgrund",
        "Raison du statut",
        "Negócio - Status",
        "status_label",
        "Ist konvertiert",
        "Étape de la transaction",
    ],
    "lead_id": [
        "レコードID",
        "リードID",
        "客户ID",
        "Negócio - ID",
        "(Nicht ändern) Lead",
        "(Ne pas modifier) Prospect",
    ],
}
OTHER_NAMES = {
    "created_at": ["Deal - Update time", "Negócio - Atualizado em", "(Nicht ändern) Geändert am"],
    "closed_at": ["Date de fermeture estimée", "Beräknad stängningsdatum", "成約予定日"],
    "outcome": ["Zahlungsart", "Phasenverschiebung"],
    "lead_id": ["(Nicht ändern) Zeilenprüfsumme", "Paid", "Valid"],
    "amount": ["Lead amount"],
}


def test_names_of_roles_are_known_in_many_languages() -> None:
    ranks = {
        (role, name): rank(role, name) for role in NAMES_OF_ROLES for name in NAMES_OF_ROLES[role]
    }
    assert len(ranks) == 42
    assert {name: place for name, place in ranks.items() if place >= NAMED_IDS} == {}


def test_other_names_do_not_suggest_a_role() -> None:
    ranks = {(role, name): rank(role, name) for role in OTHER_NAMES for name in OTHER_NAMES[role]}
    assert set(ranks.values()) == {NO_RANK}


def test_one_file_may_contain_leads_and_outcomes(tmp_path: Path) -> None:
    close_dates = days(N_LEADS, "2024-02-01")
    leads = flat_leads(
        created_on=days(N_LEADS),
        deal_amount=[10.0 if i % 4 == 0 else None for i in range(N_LEADS)],
        close_date=[close_dates[i] if i % 2 == 0 else None for i in range(N_LEADS)],
    )
    text, project, records = draft_of(tmp_path, leads)
    assert roles_of(project.leads) == {
        "lead_id": "lead_id",
        "created_at": "created_on",
        "outcome": "converted",
        "closed_at": "close_date",
        "amount": "deal_amount",
    }
    assert records.has_times
    assert project.learn.moments_days == [0]
    assert project.learn.horizon_days == 60
    assert "100% of the wins seen came within 60 days" in text


# --- the time of creation, and the order


def test_few_leads_may_lack_a_time_of_creation(tmp_path: Path) -> None:
    _, project, records = draft_of(tmp_path, flat_leads(created=[None, *days(N_LEADS - 1)]))
    assert project.leads.column_of("created_at") == "created"
    assert len(records.leads) == N_LEADS - 1
    assert str(records.left_out[0]).endswith("1 row is left out (line 2): `created` is empty")


def test_time_with_many_gaps_or_known_later_is_not_the_creation(tmp_path: Path) -> None:
    n_gaps = N_LEADS // 4
    created = [*[None] * n_gaps, *days(N_LEADS - n_gaps)]
    times = {"created": created, "last_modified": days(N_LEADS), "dob": days(N_LEADS)}
    text, project, _ = draft_of(tmp_path, flat_leads(**times))
    assert project.leads.column_of("created_at") is None
    assert project.columns.known_later == ["last_modified"]
    assert project.columns.sensitive == ["dob"]
    assert '# created_at = "…"' in text
    assert "horizon_days" not in text


@pytest.mark.parametrize("column", [range(900, 900 - N_LEADS, -1), np.arange(N_LEADS) ** 2])
def test_number_that_grows_with_the_rows_is_the_order(tmp_path: Path, column: Any) -> None:
    text, project, records = draft_of(tmp_path, flat_leads(n=column))
    assert project.leads.column_of("order") == "n"
    assert records.in_order
    assert '# order = "rows"' not in text


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(np.arange(N_LEADS) * 0.5, id="not whole"),
        pytest.param(np.arange(N_LEADS) * 7 % N_LEADS, id="in no order"),
        pytest.param(np.arange(N_LEADS) // 2, id="repeated"),
    ],
)
def test_other_numbers_are_not_the_order(tmp_path: Path, column: Any) -> None:
    text, project, records = draft_of(tmp_path, flat_leads(n=column))
    assert project.leads.column_of("order") is None
    assert not records.in_order
    assert '# order = "rows"' in text


def test_number_in_few_rows_is_not_the_order(tmp_path: Path) -> None:
    amounts, ids = (
        Column(pd.Series([1500, 2500], name="Size")),
        Column(pd.Series([1, 2], name="id")),
    )
    assert find_order(Table(tmp_path, "leads.csv", "leads", [amounts], 2, True)) is None
    assert find_order(Table(tmp_path, "leads.csv", "leads", [amounts, ids], 2, True)) is ids


def test_amount_that_grows_is_not_the_order(tmp_path: Path) -> None:
    rows = range(200)
    amounts = Column(pd.Series([100 * row for row in rows], name="Deal__c:Amount__c"))
    sizes = Column(pd.Series([100 * row for row in rows], name="Size"))
    assert find_order(Table(tmp_path, "leads.csv", "leads", [amounts], 200, True)) is None
    assert find_order(Table(tmp_path, "leads.csv", "leads", [sizes], 200, True)) is sizes


def test_lead_number_is_the_order_of_shuffled_rows(tmp_path: Path) -> None:
    numbers = np.arange(N_LEADS) * 7 % N_LEADS
    project = draft_of(tmp_path, flat_leads(**{"Lead Number": numbers})).project
    assert project.leads.column_of("order") == "Lead Number"


def test_file_of_won_deals_needs_no_column_of_outcomes(tmp_path: Path) -> None:
    leads = write_csv(tmp_path, "mql.csv", {"mql_id": range(40), "first_contact": days(40)})
    deals = {"mql_id": range(0, 40, 4), "seller": range(10), "won_date": days(10, "2024-02-20")}
    _, project, records = draft(tmp_path, [leads, write_csv(tmp_path, "deals.csv", deals)])
    assert project.outcomes is not None
    assert project.outcomes.column_of("every_row") == "won"
    assert records.outcomes["outcome"].tolist() == ["won"] * 10
    assert len(records.leads) == 40


def test_ids_of_15_and_18_characters_match(tmp_path: Path) -> None:
    ids = [f"00Q5g000000{i:04d}" for i in range(40)]
    leads = write_csv(tmp_path, "leads.csv", {"Lead ID": ids, "Created Date": days(40)})
    outcomes = {"ConvertedLeadId": [f"{lead}EAA" for lead in ids], "Stage": ["Won", "Lost"] * 20}
    text = draft_project([leads, write_csv(tmp_path, "outcomes.csv", outcomes)], tmp_path)
    assert 'lead_id = "ConvertedLeadId"' in text


def test_column_with_known_words_comes_before_a_guess(tmp_path: Path) -> None:
    leads = {"id": range(30), "Label": ["Red", "Blue", "Blue"] * 10}
    leads["Status"] = ["Won", "Lost", "Open"] * 10
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == "Status"
    assert '"Label" may be the outcome too' in without_line_breaks(text)


def test_status_comes_before_a_flag_that_hides_open_leads(tmp_path: Path) -> None:
    leads = {"Id": range(30), "IsConverted": ["true", "false", "false"] * 10}
    leads["Status"] = ["Closed - Converted", "Open - Not Contacted", "Closed - Not Converted"] * 10
    project = draft_of(tmp_path, leads).project
    assert project.leads.column_of("outcome") == "Status"


def test_status_of_qualified_leads_is_an_outcome_to_check(tmp_path: Path) -> None:
    leads = {"(Do Not Modify) Lead": [f"{i:08x}-0000-4000-8000-000000000000" for i in range(30)]}
    leads["Status"] = ["Qualified", "Disqualified", "Open"] * 10
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("lead_id") == "(Do Not Modify) Lead"
    assert project.learn.won == ["Qualified"]
    assert "CHECK: no value clearly means won" in without_line_breaks(text)


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


def test_stages_with_unknown_ids_come_before_a_flag_that_hides_open_leads(tmp_path: Path) -> None:
    stages = ["closedwon", "closedlost", "148392811", "contractsent"] * 10
    leads: dict[str, Any] = {"hs_object_id": range(40), "dealstage": stages}
    leads["hs_is_closed_won"] = [str(stage == "closedwon").lower() for stage in stages]
    leads["hs_is_closed"] = [str(stage.startswith("closed")).lower() for stage in stages]
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == "dealstage"
    assert project.learn.open == ["contractsent", 148392811]
    assert '20 of its leads that are not won are open in "hs_is_closed"' in without_line_breaks(
        text
    )


@pytest.mark.parametrize("other", ["Quote Status", "Approval Status", "Trial Status"])
def test_status_of_something_else_comes_after_that_of_the_lead(tmp_path: Path, other: str) -> None:
    leads: dict[str, Any] = {"Id": range(30), other: ["Accepted", "Rejected", "Pending"] * 10}
    leads["Stage"] = ["Won", "Lost", "Kickoff"] * 10
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == "Stage"
    assert "of something other than the lead" in without_line_breaks(text)


def test_status_of_something_else_is_an_outcome_if_no_other_column_is(tmp_path: Path) -> None:
    leads = {"Id": range(30), "Loan Status": ["Accepted", "Rejected", "Pending"] * 10}
    assert draft_of(tmp_path, leads).project.leads.column_of("outcome") == "Loan Status"


def test_draft_asks_about_leads_with_a_reason_but_no_lost_value(tmp_path: Path) -> None:
    leads = {"Id": range(30), "Stage": ["Won", "New", "Proposition"] * 10}
    leads["Lost Reason"] = [None, "Too expensive", None] * 10
    text = without_line_breaks(draft_of(tmp_path, leads).text)
    assert 'CHECK: no value is known to mean lost. 10 leads have a "Lost Reason"' in text


@pytest.mark.parametrize("name", ["Résultat précédent", "前回の結果", "Vorheriger Status"])
def test_earlier_result_is_not_the_outcome(tmp_path: Path, name: str) -> None:
    leads = {"Id": range(30), name: ["Success", "Failure", "Won"] * 10}
    with pytest.raises(ConfigError, match="shows how leads ended"):
        draft_of(tmp_path, leads)
    leads["Souscrit"] = ["oui", "non", "non"] * 10
    assert draft_of(tmp_path, leads).project.leads.column_of("outcome") == "Souscrit"


@pytest.mark.parametrize("word", ["n/a", "0000-00-00 00:00:00", "1900-01-00", "(No value)", "-"])
def test_words_for_nothing_in_times_are_empty_cells(tmp_path: Path, word: str) -> None:
    leads = {"Id": range(40), "Created At": [*days(38), word, word], "Status": ["Won", "Lost"] * 20}
    leads["Closed At"] = [*days(30, "2024-03-01"), *[word] * 10]
    records = draft_of(tmp_path, leads).records
    assert len(records.leads) == 38
    assert any("`Created At` is empty" in str(rows) for rows in records.left_out)


def test_closing_date_is_found_by_its_cells(tmp_path: Path) -> None:
    leads: dict[str, Any] = {
        "Id": range(60),
        "Created": days(60),
        "Stage": ["Won", "Lost", ""] * 20,
    }
    dates = days(60, "2024-02-20")
    leads["Schluss"] = [day if i % 3 != 2 else None for i, day in enumerate(dates)]
    text, project, records = draft_of(tmp_path, leads)
    assert project.leads.column_of("closed_at") == "Schluss"
    assert "CHECK: its name does not mean a closing" in without_line_breaks(text)
    assert records.outcomes["closed_at"].notna().all()


@pytest.mark.parametrize(
    "dates",
    [
        days(60, "2024-02-20"),  # open leads have it too
        [
            day if i % 3 == 0 else None for i, day in enumerate(days(60, "2024-02-20"))
        ],  # won ones only
        [day if i % 3 != 2 else None for i, day in enumerate(days(60, "2020-02-20"))],  # too early
    ],
)
def test_draft_asks_for_the_closing_date_if_no_cells_show_it(
    tmp_path: Path, dates: list[Any]
) -> None:
    leads: dict[str, Any] = {
        "Id": range(60),
        "Created": days(60),
        "Stage": ["Won", "Lost", ""] * 20,
    }
    text, project, _ = draft_of(tmp_path, leads | {"Schluss": dates})
    assert project.leads.column_of("closed_at") is None
    assert "CHECK: no column of closing dates was found" in without_line_breaks(text)


@pytest.mark.parametrize("name", ["First Conversion Date", "Anticipated Close Date"])
def test_expected_closing_and_first_conversion_are_not_the_closing(
    tmp_path: Path, name: str
) -> None:
    leads: dict[str, Any] = {
        "Id": range(60),
        "Created": days(60),
        "Stage": ["Won", "Lost", ""] * 20,
    }
    project = draft_of(tmp_path, leads | {name: days(60, "2024-02-20")}).project
    assert project.leads.column_of("closed_at") is None


# --- ids of leads


def leads_and_deals(folder: Path, leads: dict[str, Any], deals: dict[str, Any]) -> list[str]:
    deals = deals | {"Stage": ["Won", "Lost"] * 20, "Close Date": days(40, "2024-03-01")}
    return [write_csv(folder, "leads.csv", leads), write_csv(folder, "deals.csv", deals)]


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


@pytest.mark.parametrize("name", ["owner_id", "Campaign ID", "Assigned To ID"])
def test_id_of_something_else_is_not_the_lead(tmp_path: Path, name: str) -> None:
    leads = {name: [f"U{i}x" for i in range(30)], "Status": ["Won", "Lost", "New"] * 10}
    assert draft_of(tmp_path, leads).project.leads.column_of("lead_id") is None
