"""The questions about people, ids, repeated rows, and leads that may be unwanted."""

from pathlib import Path

import pandas as pd
import pytest

from crm.project import load_project
from features.record_checks.run import check_records
from tests.made_record_checks import NOW, PROJECT, Check, Rows, leads, numbers, only, private_reason


def test_same_person_is_found_by_spelling_and_never_shown(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["E-mail"] = f"person{i}@acme.com"
        row["Phone"] = f"+49 30 {1234567 + 11 * i}"
    rows[1]["E-mail"], rows[9]["E-mail"] = "ada.b+x@gmail.com", "AdaB@googlemail.com"
    rows[2]["Phone"], rows[8]["Phone"] = "+49 (0)40/33 44 55 6", "0049-40-3344556"
    rows[8]["E-mail"] = ""
    mail, phone = check(rows).warnings
    assert (mail.number, mail.count, mail.lines) == ("LC109", 2, (3, 11))
    assert (phone.number, phone.lines) == ("LC109", (4, 10))
    assert "adab" not in str(mail).casefold()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("(415) 555-1000", "415.555.1000"),
        ("+1 415 555 1000", "1-415-555-1000 ext. 12"),
        ("+49 30 123 45 67", "030/1234567"),
        ("(0049) 30-1234567", "Tel. 030 1234567 x5"),
    ],
)
def test_phone_numbers_are_compared_however_they_are_written(
    check: Check, first: str, second: str
) -> None:
    form = "(212) 555-{}" if "415" in first else "0221/{}99"
    rows = [{**row, "Phone": form.format(1000 + i)} for i, row in enumerate(leads())]
    rows[2]["Phone"], rows[8]["Phone"] = first, second
    warning = only(check(rows))
    assert (warning.number, warning.lines) == ("LC109", (4, 10))


def test_colleagues_who_share_a_phone_are_not_one_person(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row |= {"E-mail": f"person{i}@acme.com", "Phone": f"+49 30 {1234567 + i // 5}"}
    assert numbers(check(rows)) == []
    for row in rows:
        del row["E-mail"]
    assert only(check(rows)).question == "Are these 200 leads 40 people?"


def test_repeated_rows_are_not_several_leads_of_a_person(check: Check) -> None:
    rows = [{**row, "E-mail": f"person{i}@acme.com"} for i, row in enumerate(leads())]
    assert numbers(check([*rows, *rows[:20]])) == ["LC115"]
    rows[3]["E-mail"] = rows[7]["E-mail"]
    person, _ = check([*rows, *rows[:20]]).warnings
    assert person.question == "Are these 2 leads one person?"
    assert "2 of 200 leads" in person.evidence


def test_dates_that_cannot_be_read_are_not_phone_numbers(check: Check) -> None:
    rows = [
        {**row, "Due": f"0{1 + i % 9}/0{1 + i % 7}/2024" if i % 5 else "tbd"}
        for i, row in enumerate(leads())
    ]
    assert "LC109" not in numbers(check(rows))


def test_an_address_of_many_leads_is_not_a_person(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["E-mail"] = "info@acme.com" if i % 5 == 0 else f"person{i}@acme.com"
    assert numbers(check(rows)) == []


@pytest.mark.parametrize(
    ("name", "cell", "other"),
    [
        ("IsDeleted", "true", "false"),
        ("Deleted", "Ja", "Nein"),
        ("is_test", "1", "0"),
        ("Merged Into", "L0001", ""),
        ("MasterRecordId", "L0001", ""),
        ("deleted_at", "2025-03-01", ""),
    ],
)
def test_leads_that_a_column_marks_are_asked_about(
    check: Check, name: str, cell: str, other: str
) -> None:
    rows = [row | {name: cell if i % 50 == 3 else other} for i, row in enumerate(leads())]
    (warning,) = [found for found in check(rows).warnings if found.number == "LC125"]
    assert (warning.count, warning.lines) == (4, (5, 55, 105, 155))
    assert f'the 4 leads that "{name}" marks' in warning.question
    assert "`ignore`" in warning.to_do
    ignored = PROJECT.replace('["Note"]', f'["Note", "{name}"]')
    assert "LC125" not in numbers(check(rows, project=ignored))
    known_later = PROJECT + f'known_later = ["{name}"]\n'
    assert "LC125" in numbers(check(rows, project=known_later))
    none = [row | {name: other} for row in leads()]
    assert "LC125" not in numbers(check(none))


def test_test_leads_are_counted_once_and_never_shown(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["E-mail"] = f"ada{i}@acme.com"
        row["Contact Name"] = f"Ada {i}"
        row["Variant"] = ("test", "control")[i % 2]
    rows[2] |= {"E-mail": "TEST@acme.com", "Contact Name": "Test  Test"}
    rows[7]["Contact Name"] = "asdf"
    rows[9]["E-mail"] = "secret@example.com"
    (warning,) = [found for found in check(rows).warnings if found.number == "LC125"]
    assert (warning.count, warning.lines) == (3, (4, 9, 11))
    assert warning.question == "Are 3 leads only tests?"
    assert "secret" not in str(warning)
    for i, row in enumerate(rows):
        row |= {"E-mail": f"masked{i}@example.com", "Contact Name": "not shown"}
    assert "LC125" not in numbers(check(rows))


def test_leads_without_activities_and_activities_of_unknown_leads(check: Check) -> None:
    calls: Rows = [{"Lead": f"L{i:04}", "Type": "Call", "At": "2025-03-01"} for i in range(50)]
    calls += [{"Lead": f"X{i}", "Type": "Call", "At": "2025-03-01"} for i in range(3)]
    without, unknown = check(leads(), calls).warnings
    assert (without.number, without.count) == ("LC112", 150)
    assert (unknown.number, unknown.lines) == ("LC113", (52, 53, 54))


def test_activity_of_several_leads_belongs_to_each(check: Check) -> None:
    calls: Rows = [
        {"Lead": f"L{i:04};L{i + 1:04}", "Type": "Call", "At": "2025-03-01"}
        for i in range(0, 200, 2)
    ]
    result = check(leads(), calls)
    assert numbers(result) == []
    assert any("100 rows name several leads" in note for note in result.notes)


def test_lost_zeros_are_named(check: Check) -> None:
    rows = [{**row, "Id": f"{i:05}"} for i, row in enumerate(leads())]
    calls: Rows = [{"Lead": f"{i:05}", "Type": "Call", "At": "2025-03-01"} for i in range(150)]
    calls += [{"Lead": str(i), "Type": "Mail", "At": "2025-03-01"} for i in range(5)]
    assert "5 of these ids are known with other zeros" in only(check(rows, calls)).evidence


def test_ids_that_a_spreadsheet_cut(check: Check) -> None:
    rows = leads()
    rows[3]["Id"] = "1.23E+15"
    warning = only(check(rows))
    assert (warning.number, warning.lines) == ("LC114", (5,))


@pytest.mark.parametrize(("digits", "asks"), [("000", True), ("123", False)])
def test_long_ids_that_end_in_zeros_have_lost_digits(check: Check, digits: str, asks: bool) -> None:
    rows = [{**row, "Id": f"{1234567890123000 + i}{digits}"} for i, row in enumerate(leads())]
    assert numbers(check(rows)) == (["LC114"] if asks else [])


def test_ids_stored_as_floats_have_lost_digits(tmp_path: Path) -> None:
    rows = [{**row, "Id": 1.234567890123457e18 + 1_000 * i} for i, row in enumerate(leads())]
    pd.DataFrame(rows).assign(Amount=7).to_parquet(tmp_path / "leads.parquet")
    (tmp_path / "leadscore.toml").write_text(PROJECT.replace(".csv", ".parquet"))
    result = check_records(load_project(tmp_path), NOW, private_reason)
    (warning,) = [warning for warning in result.warnings if warning.number == "LC114"]
    assert warning.count == len(rows)


def test_repeated_rows(check: Check) -> None:
    calls: Rows = [{"Lead": f"L{i:04}", "Type": "Call", "At": "2025-03-01"} for i in range(150)]
    warning = only(check(leads(), [*calls, *calls[:20]]))
    assert (warning.number, warning.count) == ("LC115", 20)
