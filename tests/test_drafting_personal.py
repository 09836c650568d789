"""Which columns are personal data, free text, or about the person."""

from pathlib import Path
from typing import Any

import pytest

from drafting.draft import draft_project
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
