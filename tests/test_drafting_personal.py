"""Which columns are personal data, free text, or about the person."""

import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drafting.about_person import is_sensitive, sensitive_reason
from drafting.draft import draft_project
from drafting.no_outcome import no_outcome
from drafting.personal import names_of_people, personal_reason
from drafting.samples import Column
from tests.made_drafts import N_LEADS, days, draft_of, flat_leads, write_csv, yes_or_no

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
    + ["Płeć", "性別", "年龄", "Fecha de nacimiento", "Data di nascita", "État civil"]
    + ["Naissance", "Verjaardag", "Aniversário", "Geb.-Datum", "Né(e) le", "Urodziny", "生年月日"]
    + ["Faixa etária", "Rango de edad", "Fascia d'età", "Altersgruppe", "Tranche d'âge", "年齢層"]
    + ["Anzahl Kinder", "Number of children", "Nombre d'enfants", "Número de hijos", "子供の数"]
    + ["Cittadinanza", "Etnia", "Ethnie", "Godsdienst", "Wyznanie", "Niepełnosprawność", "障害"]
    + ["Gewerkschaft", "Partei", "Blutgruppe", "Medeni hal", "Семейное положение", "성별"]
    + ["gendercode", "familystatuscode", "haschildrencode", "numberofchildren", "GenderIdentity"]
    + ["marital_status", "PersonBirthdate", "Lead: Sexe", "Lead - Alter", "Alter (Jahre)"]
    + ["Political party"],
)
def test_names_about_the_person_are_sensitive_in_many_languages(name: str) -> None:
    assert is_sensitive(Column(pd.Series(["a", "b"], name=name)))


@pytest.mark.parametrize(
    "name",
    ["Alternative", "Genre de produit", "Etage", "Page", "Konto", "Viaje", "Altersvorsorge"]
    + ["Health score", "Account health", "Customer health", "Race track", "Political region"]
    + ["Company age", "Age of account", "Lead age", "Nationality of company", "Kinderbetreuung"],
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


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("telephone1", "20055501{:02d}"),
        ("WhatsApp", "559033333{:02d}"),
        ("address1_line1", "Hill {}"),
        ("Logradouro", "Flores {}"),
        ("yomifullname", "Kana {}"),
        ("担当者名", "佐藤{}"),
        ("Osoba kontaktowa", "Nowak{}"),
        ("Deal - Contact person", "Smith{}"),
        ("Codice fiscale", "RSSMRA85T10A5{:02d}S"),
        ("身份证号", "3101011990010{:04d}"),
    ],
)
def test_names_of_fields_of_crms_and_languages_are_personal(name: str, cell: str) -> None:
    cells = [cell.format(i) for i in range(60)]
    assert personal_reason(Column(pd.Series(cells, name=name))) is not None


@pytest.mark.parametrize(
    "name", ["address1_city", "primary_address_city", "Address - Country", "MailingState"]
)
def test_places_of_an_address_are_attributes(name: str) -> None:
    cells = ["Berlin", "Paris", "Rome"] * 20
    assert personal_reason(Column(pd.Series(cells, name=name))) is None


@pytest.mark.parametrize(
    "cell",
    [
        "Musterweg {}",
        "Hauptstr. {}a",
        "{} Oak Road",
        "Via Roma {}",
        "{} bis rue de Lyon, 69002 Lyon",
    ]
    + ["Rua das Flores, {}", "ul. Lipowa {}", "東京都港区芝公園4丁目{}", "北京市朝阳区建国路{}号"],
)
def test_streets_are_recognised_under_any_name(cell: str) -> None:
    cells = [cell.format(i) for i in range(1, 61)]
    reason = personal_reason(Column(pd.Series(cells, name="x1")))
    assert reason == "street addresses: personal data"


@pytest.mark.parametrize(
    "cell", ["Campaign {}", "{} users", "Spring sale {}", "2024 offer {}", "Golf {}"]
)
def test_names_with_a_number_are_not_streets(cell: str) -> None:
    cells = [cell.format(i) for i in range(1, 61)]
    assert personal_reason(Column(pd.Series(cells, name="x1"))) is None


@pytest.mark.parametrize(
    "values",
    [
        "male|female",
        "m|f",
        "m|w|d",
        "M|V|X",
        "Homme|Femme",
        "男|女",
        "Male|Female|Prefer not to say",
    ]
    + ["Mr|Mrs|Dr", "Herr|Frau|Frau Dr.", "M.|Mme", "Sig.|Sig.ra", "Sr.|Sra.", "Dhr.|Mevr."]
    + ["Pan|Pani", "先生|女士", "様", "г-н|г-жа", "married|single", "ledig|verheiratet"]
    + ["18-24|25-34|65+", "18 - 25 ans|26 - 40 ans", "20代|30代", "under 18|18 to 29|30 to 49"],
)
def test_cells_about_the_person_are_sensitive_under_any_name(values: str) -> None:
    column = Column(pd.Series(values.split("|") * 40, name="x1"))
    assert is_sensitive(column)
    assert "about the person" in str(sensitive_reason(column))


@pytest.mark.parametrize(
    "values",
    ["S|M|L", "H|M|L", "D|W|M|Y", "Sr|Jr|Mid", "single|multi", "CEO|CTO|Dr.", "Dr.|Prof.", "MS|TX"]
    + [
        "1-10|11-50|51-200",
        "0-20|21-40",
        "10-19|20-49|50-99",
        "0-2 years|3-5 years",
        "20-49|50-99",
    ],
)
def test_similar_cells_are_not_about_the_person(values: str) -> None:
    assert not is_sensitive(Column(pd.Series(values.split("|") * 40, name="x1")))


DAYS = pd.date_range("1925-02-01", "2012-06-01", periods=300)
FIRST_LEAD = pd.Timestamp("2024-01-01", tz="UTC")


@pytest.mark.parametrize("time_format", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y年%m月%d日", "%Y"])
def test_dates_of_birth_are_recognised_by_their_days(time_format: str) -> None:
    column = Column(pd.Series(DAYS.strftime(time_format), name="cf_1234"))
    assert "of birth" in str(sensitive_reason(column, FIRST_LEAD))


def test_dates_of_birth_without_a_century_are_recognised() -> None:
    days = pd.date_range("1941-01-01", "2003-01-01", periods=300)
    column = Column(pd.Series(days.strftime("%d.%m.%y"), name="cf_1234"))
    assert "most are from 194" in str(sensitive_reason(column, FIRST_LEAD))


def test_dates_of_birth_in_milliseconds_are_recognised() -> None:
    days = DAYS.normalize().astype("int64") // (10**6 if DAYS.unit == "ns" else 10**3)
    column = Column(pd.Series(days, name="cf_1234").astype(str))
    assert "of birth" in str(sensitive_reason(column, FIRST_LEAD))


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Founded on", "1925-01-01", "2012-01-01"),  # says what it is
        ("x1", "1990-01-01", "2023-12-01"),  # up to the records
        ("x1", "2012-01-01", "2016-01-01"),  # few years
        ("x1", "2024-02-01", "2060-01-01"),  # later than the records
    ],
)
def test_other_dates_are_attributes(name: str, first: str, last: str) -> None:
    days = pd.date_range(first, last, periods=300)
    column = Column(pd.Series(days.strftime("%Y-%m-%d"), name=name))
    assert sensitive_reason(column, FIRST_LEAD) is None


def test_draft_lists_dates_of_birth_as_sensitive(tmp_path: Path) -> None:
    born = [f"{1950 + i * 7 % 55}-0{1 + i % 9}-11" for i in range(N_LEADS)]
    leads = flat_leads(created_at=days(N_LEADS), cf_1234=born)
    project = draft_of(tmp_path, leads).project
    assert project.columns.sensitive == ["cf_1234"]


def test_empty_column_is_not_personal() -> None:
    assert personal_reason(Column(pd.Series([None] * 60, name="x1", dtype=object))) is None


def test_few_surnames_are_personal_data_too() -> None:
    cells = ["Meier", "Schmidt", "Weber", "Wolf"] * 50
    assert personal_reason(Column(pd.Series(cells, name="Nachname"))) is not None
    flags = Column(pd.Series(["yes", "no"] * 50, name="Address"))
    assert personal_reason(flags) is None


def test_dates_of_birth_of_leads_without_times_are_compared_with_today() -> None:
    column = Column(pd.Series(DAYS.strftime("%Y-%m-%d"), name="cf_1234"))
    now = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    assert "to today in 2026" in str(sensitive_reason(column, now=now))
    assert sensitive_reason(column) is None


@pytest.mark.parametrize("cells", [["9.19E+11", "9.2E+11"], ["9,19E+11", "1711234567"]])
def test_phone_numbers_that_a_spreadsheet_rounded_are_personal(cells: list[str]) -> None:
    reason = personal_reason(Column(pd.Series(cells * 30, name="Phone")))
    assert reason is not None
    assert "a spreadsheet rounded them, so some digits are lost" in reason


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Phone", ["yes", "no"]),
        ("Phone", ["0", "1", "2"]),
        ("Phone calls", ["1", "25"]),
        ("Mobile", ["iOS", "Android"]),
    ],
)
def test_counts_and_answers_about_phones_are_attributes(name: str, cells: list[str]) -> None:
    assert personal_reason(Column(pd.Series(cells * 30, name=name))) is None


def test_columns_that_repeat_the_names_of_people_are_personal() -> None:
    first, last = [f"Ab{c}" for c in "cdefghijklmn"], [f"Mel{c}" for c in "cdefghijklmn"]
    pairs = zip(first, last, strict=True)
    cells = {
        "First Name": first,
        "Last Name": last,
        "lead": [" ".join(pair) for pair in pairs],
        "referred_by": last[::-1],
        "city": [f"Town{c}" for c in "cdefghijklmn"],
    }
    columns = [Column(pd.Series(texts, name=name)) for name, texts in cells.items()]
    found = names_of_people(columns, ["First Name", "Last Name"])
    assert [*found] == ["lead", "referred_by"]


def test_names_of_people_who_referred_a_lead_are_personal() -> None:
    names = Column(pd.Series([f"Har{c}ve" for c in "abcdefghijklmnopqrstuvwx"], name="referred_by"))
    assert personal_reason(names) == "names of people: personal data"
    channels = Column(pd.Series(["Web", "Fair", "Friend"] * 20, name="referred_by"))
    assert personal_reason(channels) is None


def test_names_in_two_rows_are_personal() -> None:
    for name in ("Фамилия", "Имя", "Last Name"):
        assert personal_reason(Column(pd.Series(["Иванов", "Петров"], name=name))) is not None
    assert personal_reason(Column(pd.Series(["yes", "no"], name="Address"))) is None


def test_values_about_the_person_are_not_shown_in_a_message() -> None:
    births = Column(pd.Series(["1980-12-04", "15.06.1969"] * 9, name="Дата рождения"))
    text = no_outcome("leads.csv", [births, Column(pd.Series(["a", "b"] * 9, name="Plan"))])
    assert "Plan" in text
    assert "1980" not in text


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("David Taylor (david.taylor{}@acme.com)", "e-mail addresses"),
        ("Eva Roth <eva{}@acme.co.uk>; Max Roth <max@acme.com>", "e-mail addresses"),
        ("D. Taylor, +49 (0)30 / 123 45 {:02d}", "phone numbers"),
        ("Taylor (415) 555-10{:02d}", "phone numbers"),
        ("Taylor 415-555-10{:02d} ext. 2", "phone numbers"),
        ("Taylor 0171 12345{:02d}", "phone numbers"),
        ("Taylor, tel. 06 12 34 56 {:02d}", "phone numbers"),
    ],
)
@pytest.mark.parametrize("n", [2, 60])
def test_cells_that_contain_an_address_or_a_phone_number_are_personal(
    cell: str, kind: str, n: int
) -> None:
    cells = [cell.format(i) for i in range(n)] + [f"Item{i}" for i in range(2 * n)]
    column = Column(pd.Series(cells, name="Associated Contact"))
    assert personal_reason(column) == f"{kind} in the cells: personal data"


@pytest.mark.parametrize(
    "cell",
    [
        "2026-01-28T03:58:{:02d}.561+01:00",
        "2026-01-28 03:58:{:02d} +0000 (UTC)",
        "+1 000 - 2 0{:02d} EUR",
        "SKU-0171-12345{:02d}",
        "Campaign (20240{:02d})",
        "Size 100-200-3{:02d}",
        "Sales @ fair {}",
        "https://example.org/@team{} page",
    ],
)
def test_codes_times_and_ranges_are_not_contained_phone_numbers(cell: str) -> None:
    column = Column(pd.Series([cell.format(i) for i in range(10, 60)], name="x1"))
    assert "in the cells" not in str(personal_reason(column))


def test_few_cells_that_contain_an_address_leave_an_attribute() -> None:
    cells = [f"Fair{i}" for i in range(40)] + ["Newsletter news@acme.com"]
    assert personal_reason(Column(pd.Series(cells, name="Source"))) is None


@pytest.mark.parametrize(
    "cells",
    [
        [f"2026-01-28T03:58:{i:02d}.561Z" for i in range(60)],
        [f"2026-01-28T03:58:{i:02d}.561Z" for i in range(40)] + ["soon", "later"],
        [f"{i} k" for i in range(60)],
        [f"{i + 1:02d} Jan 2026" for i in range(28)],
    ],
)
def test_times_and_numbers_do_not_repeat_names(cells: list[str]) -> None:
    contacts = [f"T. Z. K. Jan Mel{c}" for c in "cdefghijklmn"]
    columns = [
        Column(pd.Series(contacts, name="Contact Name")),
        Column(pd.Series(cells, name="Updated on")),
    ]
    assert names_of_people(columns, ["Contact Name"]) == {}
    assert personal_reason(columns[1]) is None


@pytest.mark.parametrize(
    "cells",
    [["AQF 5 – Diploma"], ["AQF 5 – Diploma"] * 2, ["東京市場2024"], ["Max"], ["Oak Road 5"] * 2],
)
def test_one_value_is_not_evidence_for_streets_or_names(cells: list[str]) -> None:
    column = Column(pd.Series([*cells, None, None], name="Highest Qualification"))
    assert personal_reason(column) is None


PEOPLE = [
    f"{first} {last}" for first in ("Ann", "Zoë", "Raj") for last in ("Wu", "van Dyck", "Ng", "Roe")
]


@pytest.mark.parametrize("name", ["Contact", "Contacto", "Decision Maker", "Kunde", "Client Name"])
def test_repeated_names_of_contacts_are_personal(name: str) -> None:
    assert "personal data" in str(personal_reason(Column(pd.Series(PEOPLE * 9, name=name))))


@pytest.mark.parametrize("name", ["Persona - Nombre", "Pessoa - Nome", "Prénom et nom", "先方担当"])
def test_names_of_people_in_other_languages_are_personal(name: str) -> None:
    column = Column(pd.Series(PEOPLE * 9, name=name))
    assert personal_reason(column) == "names or addresses: personal data"


@pytest.mark.parametrize(
    "cells",
    [
        PEOPLE[:9] * 9,
        ["By phone", "By e-mail", "In person", "On site", "Web form", "At a fair"] * 9,
        [f"Way {i}" for i in range(20)],
        [f"{name} of the whole company" for name in PEOPLE],
        PEOPLE[:6] + [name.upper().replace(" ", "") for name in PEOPLE],
    ],
    ids=["few", "ways", "numbers", "long", "one word"],
)
def test_other_cells_of_a_contact_are_an_attribute(cells: list[str]) -> None:
    assert personal_reason(Column(pd.Series(cells * 3, name="Contact"))) is None
