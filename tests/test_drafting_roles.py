"""Deciding which column plays which role."""

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
    choose,
    days,
    draft,
    draft_of,
    flat_leads,
    roles_of,
    without_line_breaks,
    write_csv,
)

# --- the outcome


@pytest.mark.parametrize("name", ["Converted", "is_won", "y", "target", "deal", "Lead Status"])
def test_outcome_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    leads = {"id": range(8), "opt_in": ["yes", "no"] * 4, name: ["yes", "no"] * 4}
    project = draft_of(tmp_path, leads).project
    assert project.leads.column_of("outcome") == name


@pytest.mark.parametrize(
    "name",
    [
        "Won (Y/N)",
        "Sold?",
        "Became customer",
        "Auftrag? (ja/nein)",
        "Signé ?",
        "¿Compró?",
        "受注？",
    ],
)
def test_outcome_may_have_the_name_of_a_question(tmp_path: Path, name: str) -> None:
    leads = {"id": range(8), "opt_in": ["yes", "no"] * 4, name: ["yes", "no"] * 4}
    assert draft_of(tmp_path, leads).project.leads.column_of("outcome") == name


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
        "stage_id/display_name",
        "Stage/Display Name",
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
    assert len(ranks) == 44
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


@pytest.mark.parametrize(
    "name",
    ["Vertriebsstatus", "Estado del candidato", "Bearbeitungsstand", "Status (custom)", "Wie?"],
)
def test_values_of_a_column_come_before_a_flag_with_the_same_wins(
    tmp_path: Path, name: str
) -> None:
    leads: dict[str, Any] = {"Id": range(40), "Konvertiert": [1, 0, 0, 0] * 10}
    leads[name] = ["Gewonnen", "Verloren", "Offen", "Ganz neu hier"] * 10
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == name
    assert project.learn.lost == ["Verloren"]
    assert '10 of its leads that are not won are open in "' in without_line_breaks(text)
    assert '"Konvertiert", # Its name' in text


def test_empty_cells_beside_won_and_lost_show_open_leads_that_a_flag_hides(tmp_path: Path) -> None:
    leads: dict[str, Any] = {"Id": range(40), "Converted": [1, 0, 0, 0] * 10}
    leads["Status"] = ["Won", "Lost", None, None] * 10
    assert draft_of(tmp_path, leads).project.leads.column_of("outcome") == "Status"


def test_values_with_other_wins_do_not_replace_a_flag(tmp_path: Path) -> None:
    leads: dict[str, Any] = {"Id": range(40), "Created": days(40)}
    leads["Converted"] = [1, 0, 1, 0] * 10
    leads["Wie?"] = ["Gewonnen", "Verloren", "Offen", "Offen"] * 10
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == "Converted"
    assert 'CHECK: 10 of these leads are open in "Wie?"' in text
    del leads["Wie?"]
    leads["Newsletterstatus"] = ["Offen", "Aktiv"] * 20
    assert draft_of(tmp_path, leads).project.learn.lost == [0]


@pytest.mark.parametrize("name", ["Newsletterstatus", "Statut marketing", "配送状況"])
def test_yes_or_no_in_a_status_of_something_else_is_not_the_outcome(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigError, match="shows how leads ended"):
        draft_of(tmp_path, {"Id": range(40), name: ["yes", "no"] * 20})


def test_status_of_qualified_leads_is_an_outcome_to_check(tmp_path: Path) -> None:
    leads = {"(Do Not Modify) Lead": [f"{i:08x}-0000-4000-8000-000000000000" for i in range(30)]}
    leads["Status"] = ["Qualified", "Disqualified", "Open"] * 10
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("lead_id") == "(Do Not Modify) Lead"
    assert project.learn.won == ["Qualified"]
    assert "CHECK: no value clearly means won" in without_line_breaks(text)


def test_stages_with_unknown_ids_come_before_a_flag_that_hides_open_leads(tmp_path: Path) -> None:
    stages = ["closedwon", "closedlost", "148392811", "contractsent"] * 10
    leads: dict[str, Any] = {"hs_object_id": range(40), "dealstage": stages}
    leads["hs_is_closed_won"] = [str(stage == "closedwon").lower() for stage in stages]
    leads["hs_is_closed"] = [str(stage.startswith("closed")).lower() for stage in stages]
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("outcome") == "dealstage"
    assert project.learn.open == ["contractsent", 148392811]
    assert (
        '20 of its leads that are not won are not closed in "hs_is_closed"'
        in without_line_breaks(text)
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


def odoo_leads() -> dict[str, Any]:
    """Return leads as Odoo exports them, where False is an empty cell, and lost leads archived."""
    dates = days(40, "2024-02-20")
    return {
        "id": range(40),
        "create_date": days(40),
        "stage_id": ["Won", "New", "New", "Proposition"] * 10,
        "lost_reason_id": ["False", "Price", "False", "False"] * 10,
        "date_closed": [date if i % 4 < 2 else "False" for i, date in enumerate(dates)],
    }


def test_false_is_an_empty_cell_of_odoo(tmp_path: Path) -> None:
    text, project, records = draft_of(tmp_path, odoo_leads())
    assert '10 leads have a "lost_reason_id"' in without_line_breaks(text)
    assert project.columns.nothing == ["False"]
    assert records.outcomes["closed_at"].notna().sum() == 10


def test_archived_leads_of_odoo_are_asked_about(tmp_path: Path) -> None:
    text, project, _ = draft_of(tmp_path, odoo_leads() | {"active": [True, False] * 20})
    asked = '20 leads that are not won are archived ("active" is no), which in Odoo means lost.'
    assert f"CHECK: no value is known to mean lost. {asked}" in without_line_breaks(text)
    assert project.columns.known_later == ["active"]
    assert project.columns.nothing == ["False"]


def test_active_leads_are_not_asked_about_if_a_value_means_lost(tmp_path: Path) -> None:
    leads = {"Id": range(40), "Stage": ["Won", "Lost"] * 20, "Active": ["Yes", "No"] * 20}
    assert "archived" not in draft_of(tmp_path, leads).text


@pytest.mark.parametrize("name", ["Résultat précédent", "前回の結果", "Vorheriger Status"])
def test_earlier_result_is_not_the_outcome(tmp_path: Path, name: str) -> None:
    leads = {"Id": range(30), name: ["Success", "Failure", "Won"] * 10}
    with pytest.raises(ConfigError, match="shows how leads ended"):
        draft_of(tmp_path, leads)
    leads["Souscrit"] = ["oui", "non", "non"] * 10
    assert draft_of(tmp_path, leads).project.leads.column_of("outcome") == "Souscrit"


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


@pytest.mark.parametrize("word", ["n/a", "0000-00-00 00:00:00", "1900-01-00", "(No value)", "-"])
def test_words_for_nothing_in_times_are_empty_cells(tmp_path: Path, word: str) -> None:
    leads = {"Id": range(40), "Created At": [*days(38), word, word], "Status": ["Won", "Lost"] * 20}
    leads["Closed At"] = [*days(30, "2024-03-01"), *[word] * 10]
    records = draft_of(tmp_path, leads).records
    assert len(records.leads) == 38
    assert any("`Created At` is empty" in str(rows) for rows in records.left_out)


# --- the closing date


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


@pytest.mark.parametrize(
    ("won", "lost"),
    [
        ("Affaire - Date de gain", "Affaire - Date de perte"),
        ("Deal - Gewonnen um", "Deal - Verloren um"),
        ("Trato - Fecha ganado", "Trato - Fecha de perdido"),
        ("Negócio - Data de ganho", "Negócio - Data de perda"),
        ("取引 - 受注日時", "取引 - 失注日時"),
    ],
)
def test_second_column_of_closing_dates_is_asked_about(tmp_path: Path, won: str, lost: str) -> None:
    dates, numbers = days(60, "2024-02-20"), np.arange(60) % 3
    leads: dict[str, Any] = {"Id": range(60), "Created": days(60)}
    leads |= {"Stage": ["Won", "Lost", "Open"] * 20}
    leads |= {won: choose(numbers == 0, dates), lost: choose(numbers == 1, dates)}
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("closed_at") == won
    assert f'CHECK: closing dates are also in "{lost}"' in without_line_breaks(text)


@pytest.mark.parametrize("name", ["Affaire conclue le", "Fin"])
def test_closing_date_of_won_and_lost_leads_is_preferred(tmp_path: Path, name: str) -> None:
    dates, numbers = days(60, "2024-02-20"), np.arange(60) % 3
    leads: dict[str, Any] = {"Id": range(60), "Created": days(60)}
    leads |= {"Stage": ["Won", "Lost", "Open"] * 20, "Date de gain": choose(numbers == 0, dates)}
    leads[name] = choose(numbers < 2, dates)
    text, project, _ = draft_of(tmp_path, leads)
    assert project.leads.column_of("closed_at") == name
    assert ("CHECK: its name does not mean a closing" in text) == (name == "Fin")


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


def leads_and_tasks(folder: Path, tasks: dict[str, Any]) -> list[str]:
    """Write 40 leads and 80 tasks, every second of which is done."""
    leads = {"Lead ID": [f"L{i}" for i in range(40)], "Created": days(40)}
    leads["Status"] = ["Won", "Lost", "New", "New"] * 10
    tasks = {"Lead ID": [f"L{i // 2}" for i in range(80)], "Type": ["call", "mail"] * 40} | tasks
    return [write_csv(folder, "leads.csv", leads), write_csv(folder, "tasks.csv", tasks)]


@pytest.mark.parametrize(
    ("due", "completed", "status", "values"),
    [
        ("Due date", "Completed at", "Task Status", ("Not started", "Completed")),
        ("ActivityDate", "CompletedDateTime", "Status", ("Deferred", "Completed")),
        ("Fällig am", "Erledigt am", "Erledigt", ("Nein", "Ja")),
        ("Date d'échéance", "Date de réalisation", "Statut", ("Planifiée", "Terminée")),
        ("Fecha de vencimiento", "Fecha de finalización", "Estado", ("No iniciada", "Completada")),
        ("Vervaldatum", "Afgerond op", "Status", ("Gepland", "Voltooid")),
        ("期日", "完了日時", "状況", ("未着手", "完了")),
    ],
)
def test_activities_happen_when_they_are_completed(
    tmp_path: Path, due: str, completed: str, status: str, values: tuple[str, str]
) -> None:
    done_at = [day if i % 2 else None for i, day in enumerate(days(80, "2024-02-01"))]
    tasks = {due: days(80), completed: done_at, status: list(values) * 40}
    text, project, records = draft(tmp_path, leads_and_tasks(tmp_path, tasks))
    assert roles_of(project.activities)["occurred_at"] == completed
    assert "the 40 rows without it are left out, as not done yet" in without_line_breaks(text)
    assert records.activities is not None
    assert len(records.activities) == 40
    (left_out,) = records.left_out
    assert left_out.reason == f"`{completed}` is empty, as in activities that are only planned"
    del tasks[completed]
    text, project, _ = draft(tmp_path, leads_and_tasks(tmp_path, tasks))
    assert roles_of(project.activities)["occurred_at"] == due
    not_done = f'CHECK: 40 of 80 rows are not done ("{values[0]}" in "{status}")'
    assert not_done in without_line_breaks(text)


def test_activities_without_a_status_are_not_planned(tmp_path: Path) -> None:
    tasks = {"Activity date": days(80), "Lead Status": ["Open", "Completed"] * 40}
    text, _, _ = draft(tmp_path, leads_and_tasks(tmp_path, tasks))
    assert "not done" not in text
    tasks = {"Activity date": days(80), "Completed at": [*days(20), *[None] * 60]}
    _, project, _ = draft(tmp_path, leads_and_tasks(tmp_path, tasks))
    assert roles_of(project.activities)["occurred_at"] == "Activity date"
