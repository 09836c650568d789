"""Words that mean "no value"."""

from pathlib import Path

import pandas as pd
import pytest

from drafting.draft import draft_project
from drafting.nothing_words import is_nothing, nothing_words
from drafting.samples import Column
from tests.made_drafts import draft_of, flat_leads, without_line_breaks, write_csv


@pytest.mark.parametrize(
    "text",
    [
        *["(not set)", "--None--", "-None-", r"\N", "null", "N.A.", "#N/A", "TBD", "—", "--", "?"],
        *["k. A.", "k.A.", "Keine Angabe", "keine", "#WERT!", "bitte wählen", "unbekannt"],
        *["aucun", "Non renseigné", "#VALEUR!", "ninguno", "(en blanco)", "S/D", "#¡VALOR!"],
        *["nenhum", "não informado", "nessuno", "non specificato", "geen", "n.v.t.", "#WAARDE!"],
        *[
            "brak",
            "nie dotyczy",
            "なし",
            "未設定",
            "无",
            "（空白）",
            "未知",
            "Ｎ／Ａ",
            "не указано",
        ],
    ],
)
def test_words_of_many_languages_mean_nothing(text: str) -> None:
    assert is_nothing(text)


@pytest.mark.parametrize(
    "text",
    ["N", "no", "0", "-1", "+", "++", "*", "€€", "Wert", "value", "KA", "ND", "Nina"],
)
def test_values_are_not_nothing(text: str) -> None:
    assert not is_nothing(text)


def test_words_for_nothing_that_occur_are_listed(tmp_path: Path) -> None:
    leads = flat_leads(
        city=["Select", "Bonn", "-", "select"] * 100, size=["n/a", "1", "?", "2"] * 100
    )
    project = draft_of(tmp_path, leads).project
    assert {word.casefold() for word in project.columns.nothing} == {"select", "-", "n/a", "?"}


def test_none_next_to_empty_cells_is_not_listed(tmp_path: Path) -> None:
    text, project, _ = draft_of(tmp_path, flat_leads(plan=["none", "a", None, "b"] * 100))
    assert project.columns.nothing == []
    assert 'CHECK: "none" is not in the list, because it may be a value in "plan"' in (
        without_line_breaks(text)
    )


def test_none_without_empty_cells_is_listed(tmp_path: Path) -> None:
    project = draft_of(tmp_path, flat_leads(plan=["none", "a", "c", "b"] * 100)).project
    assert project.columns.nothing == ["none"]


def test_country_code_of_namibia_is_in_doubt(tmp_path: Path) -> None:
    text, project, _ = draft_of(tmp_path, flat_leads(country=["DE", "NA", "US", "FR"] * 100))
    assert project.columns.nothing == []
    assert 'CHECK: "NA" is not in the list' in text


def test_none_in_dashes_next_to_empty_cells_is_listed(tmp_path: Path) -> None:
    project = draft_of(tmp_path, flat_leads(plan=["--None--", "a", None, "b"] * 100)).project
    assert project.columns.nothing == ["--None--"]


def words_of_column(name: str, cells: list[str]) -> tuple[list[str], list[str]]:
    found, in_doubt = nothing_words([Column(pd.Series(cells, name=name))])
    return [*found], [*in_doubt]


def test_slash_beside_paths_is_a_value() -> None:
    assert words_of_column("Page", ["/", "/eng", "/workshop"]) == ([], [])
    assert words_of_column("Size", ["/", "S", "M"]) == (["/"], [])


def test_name_of_a_town_beside_towns_is_in_doubt() -> None:
    towns = ["Bonn", "Rom", "Emden", "Aurich", "Norden", "Jever", "Varel", "Weener"]
    assert words_of_column("Ort", ["Leer", *towns]) == ([], ["leer"])
    assert words_of_column("Ort", ["leer", *towns]) == (["leer"], [])
    assert words_of_column("Ort", ["Unknown", *towns]) == (["unknown"], [])


def test_word_of_a_personal_column_is_not_listed(tmp_path: Path) -> None:
    leads = flat_leads(first_name=["Nat", "Eva", "Nil", "Max"] * 100)
    assert draft_of(tmp_path, leads).project.columns.nothing == []


def closing_leads(word: str, **columns: list[str]) -> dict[str, list[str]]:
    """Return 200 leads; every second one is open, with a word in place of its closing date."""
    days = [f"2024-{1 + i % 9:02d}-{1 + i % 28:02d}" for i in range(200)]
    return {
        "Lead ID": [f"L{i:04}" for i in range(200)],
        "Created Date": days,
        "Status": [("Won", "Open", "Lost", "Open")[i % 4] for i in range(200)],
        "Closed Date": [word if i % 2 else f"2025{day[4:]}" for i, day in enumerate(days)],
        **columns,
    }


@pytest.mark.parametrize("word", ["not closed", "never", "offen", "не закрыта", "in corso", "0"])
def test_words_for_no_time_are_proposed(tmp_path: Path, word: str) -> None:
    text, project, records = draft_of(tmp_path, closing_leads(word))
    assert project.columns.nothing == [word]
    assert f"{word!r} in the times" not in text
    assert '"Open", # 100 leads, 0% with a closing date' in text
    assert '"Won", # 50 leads, 100% with a closing date' in text
    assert len(records.outcomes) == 100


def test_word_for_no_time_that_is_a_value_elsewhere_is_in_doubt(tmp_path: Path) -> None:
    leads = closing_leads("0", Employees=[str(i % 7) for i in range(200)])
    path = write_csv(tmp_path, "leads.csv", leads)
    text = without_line_breaks(draft_project([path], tmp_path))
    assert 'CHECK: "0" is not in the list, because it may be a value in "Employees"' in text
    assert '"0" in the times of "Closed Date" cannot be read and `leadscore train` may' in text
    assert '"Open", # 100 leads, 0% with a closing date' in text


@pytest.mark.parametrize("word", ["-", "N/A", "0000-00-00 00:00:00"])
def test_words_for_nothing_are_not_closing_dates(tmp_path: Path, word: str) -> None:
    text, _, _ = draft_of(tmp_path, closing_leads(word))
    assert '"Open", # 100 leads, 0% with a closing date' in text
