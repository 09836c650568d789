"""Which columns are personal data, free text, or about the person."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drafting.draft import draft_project
from drafting.personal import is_sensitive, personal_reason
from drafting.samples import Column
from tests.made_drafts import N_LEADS, draft_of, flat_leads, write_csv, yes_or_no

PERSONAL: dict[str, Any] = {
    "contact": [f"p{i}@example.org" for i in range(N_LEADS)],
    "Mobile Phone": [f"0171 {i:07d}" for i in range(N_LEADS)],
    "tel": [f"+49 30 {i:07d}" for i in range(N_LEADS)],
    "LastName": [f"Meier{i}" for i in range(N_LEADS)],
    "source": [f"https://example.org/{i}" for i in range(N_LEADS)],
    "host": [f"10.0.0.{i % 250}" for i in range(N_LEADS)],
    "wish": [f"we would like to have {i} of them quite soon" for i in range(N_LEADS)],
    "Notes": [f"called {i}" for i in range(N_LEADS)],
}
NOT_PERSONAL: dict[str, Any] = {
    "email_opt_in": yes_or_no(),
    "phone_calls": [i % 30 for i in range(N_LEADS)],
    "Do Not Email": ["No"] * N_LEADS,
    "campaign_name": [f"campaign {i % 9}" for i in range(N_LEADS)],
    "website_visits": [i * 37 % 101 for i in range(N_LEADS)],
}


@pytest.mark.parametrize("column", PERSONAL)
def test_personal_data_and_free_text_are_ignored(tmp_path: Path, column: str) -> None:
    project = draft_of(tmp_path, flat_leads(**{column: PERSONAL[column]})).project
    assert project.columns.ignore == [column]
    assert project.columns.known_later == []


def test_columns_that_only_sound_personal_are_attributes(tmp_path: Path) -> None:
    project = draft_of(tmp_path, flat_leads(**NOT_PERSONAL)).project
    assert project.columns.ignore == []
    assert project.columns.known_later == []


def test_reason_to_ignore_a_column_is_written_next_to_it(tmp_path: Path) -> None:
    file = write_csv(tmp_path, "leads.csv", flat_leads(**PERSONAL))
    text = draft_project([file], tmp_path)
    assert '"contact", # e-mail addresses: personal data' in text
    assert '"wish", # free text' in text


def test_columns_about_the_person_are_sensitive(tmp_path: Path) -> None:
    names = ["age_band", "Gender", "lead_age", "pages", "language", "birthDate", "Account age"]
    project = draft_of(tmp_path, flat_leads(**dict.fromkeys(names, yes_or_no()))).project
    assert project.columns.sensitive == ["age_band", "Gender", "birthDate"]


@pytest.mark.parametrize(
    "name",
    ["Vorname", "Nachname", "Straße", "Prénom", "Apellidos", "Sobrenome", "Cognome", "Achternaam"]
    + ["Nazwisko", "姓名", "氏名", "Фамилия", "Firma", "Razón social", "Ansprechpartner"],
)
def test_names_of_people_and_companies_are_ignored_in_many_languages(name: str) -> None:
    cells = [f"Muster{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    assert personal_reason(Column(pd.Series(cells, name=name))) is not None


@pytest.mark.parametrize(
    "name",
    ["Alter", "Geschlecht", "Familienstand", "Anrede", "Sexe", "Edad", "Idade", "Età", "Leeftijd"]
    + ["Płeć", "性別", "年龄", "Fecha de nacimiento", "Data di nascita", "État civil"],
)
def test_names_about_the_person_are_sensitive_in_many_languages(name: str) -> None:
    assert is_sensitive(Column(pd.Series(["a", "b"], name=name)))


@pytest.mark.parametrize(
    "name", ["Alternative", "Genre de produit", "Etage", "Page", "Konto", "Viaje", "Altersvorsorge"]
)
def test_similar_names_are_not_sensitive(name: str) -> None:
    assert not is_sensitive(Column(pd.Series(["a", "b"], name=name)))


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("DE89 3704 0044 0532 0130 {:02d}", "bank accounts"),
        ("4111 1111 1111 11{:02d}", "credit cards"),
        ("123-45-67{:02d}", "social security numbers"),
        ("0151 15792{:02d}", "phone numbers"),
        ("06 12 34 56 {:02d}", "phone numbers"),
        ("(030) 1234{:02d}", "phone numbers"),
        ("Eva Muster{:02d}", "first names"),
    ],
)
def test_personal_cells_are_recognised_under_any_name(cell: str, kind: str) -> None:
    reason = personal_reason(Column(pd.Series([cell.format(i) for i in range(60)], name="x1")))
    assert reason is not None
    assert reason.startswith(kind)


def test_few_surnames_are_personal_data_too() -> None:
    cells = ["Meier", "Schmidt", "Weber", "Wolf"] * 50
    assert personal_reason(Column(pd.Series(cells, name="Nachname"))) is not None
    flags = Column(pd.Series(["yes", "no"] * 50, name="Address"))
    assert personal_reason(flags) is None
