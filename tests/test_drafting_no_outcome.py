"""The message that no column shows how leads ended."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from crm.errors import ConfigError
from drafting.draft import draft_project, draft_with_values
from drafting.no_outcome import no_outcome
from drafting.outcome_column import Declared
from drafting.samples import Column
from tests.made_drafts import days, write_csv


def column(name: str, values: Sequence[str]) -> Column:
    """Return a column of 300 cells."""
    cells = [values[row % len(values)] for row in range(300)]
    return Column(pd.Series(cells, name=name, dtype="str"))


STATES = ["WV", "MN", "NY", "VA", "OH", "AL", "TX", "OK", "CA"]
NEVER_SHOWN = [
    column("State", STATES),
    column("gender", ["Male", "Female"]),
    column("SeniorCitizen", ["0", "1"]),
    column("tenure", [str(months) for months in range(30)]),
    column("cookie_id", [f"cookie_{i}" for i in range(9)]),
    column("timestamp", [f"2024-01-{day:02} 10:00" for day in range(1, 12)]),
]
TWO_VALUES = [column(f"Option {letter}", ["No", "Yes"]) for letter in "ABCDEF"]


@pytest.mark.parametrize("name", ["Churn", "Exited", "BAD", "is_defaulted", "credit_risk", "離反"])
def test_name_of_an_outcome_is_shown_first(name: str) -> None:
    columns = [*TWO_VALUES, column("Status", ["Gold", "Iron", "Tin"]), column(name, ["0", "1"])]
    message = no_outcome("a.csv", [*columns, *TWO_VALUES])
    assert f'values: "{name}" ("0", "1"); "Status" (' in message
    assert f'--outcome "{name}" --won VALUE' in message


@pytest.mark.parametrize("name", ["contacted", "scheduled", "engaged", "app_complete_flag"])
def test_flag_is_shown_before_other_columns_of_two_values(name: str) -> None:
    others = column("City", ["x", "y", "z"])
    message = no_outcome("a.csv", [*TWO_VALUES, column(name, ["0", "1"]), others])
    assert f'values: "{name}" ("0", "1"); "Option A"' in message
    assert "--outcome COLUMN --won VALUE" in message


def test_last_column_of_two_values_is_shown_first() -> None:
    message = no_outcome("a.csv", [*TWO_VALUES, column("Kind", ["x", "y"])])
    assert 'values: "Kind" ("x", "y"); "Option A"' in message


def test_personal_columns_places_ids_times_and_counts_are_not_shown() -> None:
    message = no_outcome("a.csv", [*NEVER_SHOWN, column("Colour", ["red", "blue", "green"])])
    assert 'values: "Colour" ("red", "blue", "green"). Name' in message


def test_state_that_is_a_status_is_shown() -> None:
    values = ["Open", "Working", "Lost", "Blue", "Red", "Green", "Gold", "Iron", "Tin"]
    assert '--outcome "state"' in no_outcome("a.csv", [column("state", values)])


# --- columns that only won leads have


@pytest.mark.parametrize("name", ["Won Date", "Became a customer date", "Gewonnen am", "成約日"])
@pytest.mark.parametrize("declared", [False, True])
def test_times_of_winning_are_named_with_a_formula(
    tmp_path: Path, name: str, declared: bool
) -> None:
    won = [day if i % 4 == 0 else "" for i, day in enumerate(days(40, "2024-03-01"))]
    columns = {"lead_id": [f"L{i}" for i in range(40)], "created": days(40), name: won}
    file = write_csv(tmp_path, "leads.csv", columns)
    message = rf'"{name}" is filled for 10 of 40 leads\. If .*=IF\(C2<>"","won",""\)\.'
    with pytest.raises(ConfigError, match=message):
        draft_with_values([file], tmp_path, declared=Declared(name if declared else None))


def test_times_of_losing_and_numbers_of_orders_are_in_the_formula(tmp_path: Path) -> None:
    lost = [day if i % 4 == 1 else "" for i, day in enumerate(days(40, "2024-03-01"))]
    columns = {"lead_id": [f"L{i}" for i in range(40)], "city": ["x", "y"] * 20}
    columns["Auftragsnummer"] = [f"A-{i}" if i % 4 == 0 else "" for i in range(40)]
    columns["Verloren am"] = lost
    message = r'10 of 40 leads and "Verloren am" is .*=IF\(C2<>"","won",IF\(D2<>"","lost",""\)\)\.'
    with pytest.raises(ConfigError, match=message):
        draft_project([write_csv(tmp_path, "leads.csv", columns)], tmp_path)


# --- an outcome in another file


@pytest.fixture
def leads(tmp_path: Path) -> str:
    """Write a file of leads without an outcome."""
    columns = {"lead_id": [f"L{i}" for i in range(40)], "created": days(40)}
    return write_csv(tmp_path, "leads.csv", columns | {"plan": ["small", "large"] * 20})


def write_subscriptions(folder: Path, name: str = "current_status") -> str:
    ids = {"sub_id": [f"S{i}" for i in range(20)], "lead_id": [f"L{i}" for i in range(20)]}
    times = {"start_date": days(20, "2024-02-01")}
    return write_csv(folder, "subs.csv", ids | times | {name: ["active", "churned"] * 10})


def test_file_of_outcomes_with_unknown_words_is_refused_with_its_column(
    tmp_path: Path, leads: str
) -> None:
    sources = [f"leads={leads}", f"outcomes={write_subscriptions(tmp_path)}"]
    message = (
        r'No column of subs.csv shows .* values: "current_status" \("active", "churned"\)\. '
        r'.*--outcome "current_status" --won VALUE; or leave the file out\.'
    )
    with pytest.raises(ConfigError, match=message):
        draft_project(sources, tmp_path)
    declared = Declared("current_status", won=("active",), lost=("churned",))
    draft = draft_with_values(sources, tmp_path, declared=declared)
    assert [meaning for _, meaning in draft.values] == ["won", "lost"]


@pytest.mark.parametrize("name", ["current_status", "Stage", "churned"])
def test_column_of_another_file_that_could_be_the_outcome_is_named(
    tmp_path: Path, leads: str, name: str
) -> None:
    message = rf'outcomes=subs\.csv --outcome "{name}" --won VALUE'
    with pytest.raises(ConfigError, match=message):
        draft_project([leads, write_subscriptions(tmp_path, name)], tmp_path)


@pytest.mark.parametrize("values", [["After", "Baseline"], ["Tin", "Iron", "Gold"]])
def test_deals_with_a_status_of_unknown_words_are_not_all_won(
    tmp_path: Path, leads: str, values: list[str]
) -> None:
    deals = {"lead_id": [f"L{i}" for i in range(12)], "won_date": days(12, "2024-02-20")}
    deals["Deal Stage"] = (values * 12)[:12]
    file = write_csv(tmp_path, "deals.csv", deals)
    for sources in ([leads, file], [f"leads={leads}", f"outcomes={file}"]):
        with pytest.raises(ConfigError, match='--outcome "Deal Stage" --won VALUE'):
            draft_project(sources, tmp_path)
