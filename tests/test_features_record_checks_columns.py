"""The questions about columns, their values and formats."""

import datetime
from pathlib import Path

import pandas as pd
import pytest

from crm.formats.number_recognition import SEVERAL_CURRENCIES
from crm.project import load_project
from features.record_checks.run import check_records
from tests.made_record_checks import (
    NOW,
    PROJECT,
    Check,
    Rows,
    column,
    leads,
    numbers,
    only,
    private_reason,
)


def test_column_that_is_filled_only_since_a_day(check: Check) -> None:
    rows = leads(800, days=0.5)
    for i, row in enumerate(rows):
        row["Region"] = ("", "North", "South")[i % 3] if i >= 400 else ""
        row["Old"] = "yes" if i < 400 else ""
    since, until = check(rows).warnings
    assert (since.number, since.count) == ("LC110", 400)
    assert since.question.startswith('Why is "Region" filled only since 2025-07-2')
    assert until.question.startswith('Why is "Old" filled only until 2025-07-')


def test_columns_that_are_always_the_same(check: Check) -> None:
    rows = [{**row, "Empty": "", "Same": "No"} for row in leads()]
    warning = only(check(rows))
    assert (warning.number, warning.evidence) == (
        "LC111",
        'Always empty: "Empty". Always the same value: "Same".',
    )


def in_groups(rows: Rows, name: str, values: list[str]) -> Rows:
    """Write the values of a column in the first row of each group only."""
    size = -(-len(rows) // len(values))
    return [row | {name: "" if i % size else values[i // size]} for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("name", "values", "lines"),
    [
        ("Status", ["Won", "Lost"], (2, 102)),
        ("Status", ["Won", "Lost", "Won", "Lost"], (2, 52, 102, 152)),
        ("Region", ["East", "North", "South", "West"], (2, 52, 102, 152)),
        ("Region", ["West", "East"], (2, 102)),
        ("Year", ["2023", "2024", "2025"], (2, 69, 136)),
    ],
)
def test_values_in_the_first_row_of_each_group_are_asked_about(
    check: Check, name: str, values: list[str], lines: tuple[int, ...]
) -> None:
    result = check(in_groups(leads(), name, values))
    (warning,) = [warning for warning in result.warnings if warning.number == "LC127"]
    assert warning.lines == lines
    assert f'each value of "{name}" also belong' in warning.question
    empty = "they count as open" if name == "Status" else "read as missing values"
    assert empty in warning.evidence
    assert f'another value ("{values[0]}", "{values[1]}"' in warning.evidence
    assert "Details Only" in warning.to_do


def test_groups_inside_groups_are_asked_about(check: Check) -> None:
    rows = in_groups(in_groups(leads(), "Status", ["Won", "Lost"]), "Owner", ["Ada", "Ben"] * 2)
    for i, owner in {1: "Cem", 4: "Dan", 30: "Eva", 53: "Cem", 103: "Dan", 130: "Eva"}.items():
        rows[i]["Owner"] = owner
    for i, row in enumerate(rows):
        row["Region"] = ("East", "East", "", "West", "", "", "")[i % 7]
    grouped = [found for found in check(rows).warnings if found.number == "LC127"]
    assert [found.question.split('"')[1] for found in grouped] == ["Status", "Owner"]
    assert grouped[1].count == 10


@pytest.mark.parametrize(
    "filled",
    [
        {0: "good call", 3: "asks for a price", 4: "wants a demo", 90: "no budget"},  # no runs
        {7: "East", 60: "North", 130: "West"},  # the first row is empty
        {0: "East", 60: "East", 130: "West"},  # the same value again
        {i: f"remark {(i * 7) % 12}" for i in range(0, 200, 17)},  # many values, not sorted
        {0: "12", 60: "7", 130: "9"},  # numbers, not sorted
        {0: "2025-01-01", 60: "2025-02-01", 130: "2025-03-01"},
    ],
)
def test_rarely_filled_columns_are_not_groups(check: Check, filled: dict[int, str]) -> None:
    rows = [row | {"Remark": filled.get(i, "")} for i, row in enumerate(leads())]
    assert "LC127" not in numbers(check(rows))


def test_cut_damaged_and_differing_texts(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["Text"] = f"{i % 5}{'x' * 254}"
        row["City"] = ("MÃ¼nchen", "Berlin", "berlin", "Bonn")[i % 4]
    assert numbers(check(rows)) == ["LC116", "LC117", "LC118"]


@pytest.mark.parametrize(
    ("damaged", "meant"),
    [
        ("MÃ¼nchen", "München"),
        ("KĂ¶ln", "Köln"),
        ("K√∂ln", "Köln"),
        ("K&ouml;ln", "Köln"),
        ("æ—¥æœ¬", "日本"),
        ("ä¸­æ–‡", "中文"),
        ("РњРѕСЃРєРІР°", "Москва"),
        ("Ä°stanbul", "İstanbul"),
        ("Î‘Î¸Î®Î½Î±", "Αθήνα"),
    ],
)
def test_question_about_damaged_letters_shows_the_right_ones(
    check: Check, damaged: str, meant: str
) -> None:
    rows = [{**row, "City": (damaged, "Bonn")[i % 2]} for i, row in enumerate(leads())]
    warning = only(check(rows))
    assert (warning.number, warning.count) == ("LC117", 100)
    assert f'", which may mean "{meant}"' in warning.evidence


@pytest.mark.parametrize("right", ["„groß“", "SZKÓŁA", "ПРОЁМ", "日本", "R&amp;D", "ŠKODA Ž"])
def test_right_letters_are_not_damaged(check: Check, right: str) -> None:
    rows = [{**row, "City": (right, "Bonn")[i % 2]} for i, row in enumerate(leads())]
    assert numbers(check(rows)) == []


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%Y-%m-%d"])
def test_words_among_dates_are_asked_about(check: Check, form: str) -> None:
    first = datetime.date(2025, 1, 1)
    rows = [
        {**row, "Due": (first + datetime.timedelta(days=i)).strftime(form)}
        for i, row in enumerate(leads())
    ]
    for i, row in enumerate(rows[:20]):
        row["Due"] = ("n/v", "00.00.0000", "2024", f"folgt {i}")[i % 4]
    result = check(rows)
    assert column(result, "Due").kind == "time"
    warning = only(result)
    assert (warning.number, warning.count) == ("LC119", 20)
    assert "180 cells (90 %) are times; 20 cells are not a time in this format" in warning.evidence
    assert '"00.00.0000"' in warning.evidence


def test_question_marks_in_addresses_are_not_damaged_letters(check: Check) -> None:
    rows = [
        {**row, "Page": f"/p?id={i % 4}", "Ask": f"ok? {i % 3}"} for i, row in enumerate(leads())
    ]
    assert numbers(check(rows)) == []


def test_half_numbers_and_placeholder_numbers(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["Size"] = i if i % 4 else "many"
        row["Days"] = 999 if i % 10 == 0 else i % 20
    result = check(rows)
    half, placeholder = result.warnings
    assert (half.number, half.count) == ("LC119", 50)
    assert column(result, "Size").kind == "numbers and text"
    assert "`Size` is a number in 75% and text in 25%" in result.problems[0]
    assert placeholder.number == "LC120"
    assert "between 0 and 19" in placeholder.evidence or "between 1 and 19" in placeholder.evidence


def test_placeholders_near_the_other_numbers_are_asked_about(check: Check) -> None:
    rows = [{**row, "Age": 20 + i % 50} for i, row in enumerate(leads())]
    for i, row in enumerate(rows):
        row["Age"] = 99 if i % 20 == 0 else 9_999_999 if i % 20 == 1 else row["Age"]
    questions = [warning.question for warning in check(rows).warnings]
    assert questions == [
        'Does 99 in "Age" stand for a missing value?',
        'Does 9,999,999 in "Age" stand for a missing value?',
    ]


def test_flags_and_prices_are_not_placeholders(check: Check) -> None:
    rows = [
        {**row, "Yes": (0, -1)[i % 2], "Price": (19, 29, 49, 999)[i % 4]}
        for i, row in enumerate(leads())
    ]
    assert numbers(check(rows)) == []


def test_numbers_in_questions_have_no_exponent(check: Check) -> None:
    rows = [{**row, "Size": 1002.02 + i * 6270.5} for i, row in enumerate(leads())]
    for row in rows[::10]:
        row["Size"] = -1
    warning = only(check(rows))
    assert "between 7,272.52 and 1,248,832" in warning.evidence
    assert "e+" not in warning.evidence


def test_guessed_encoding_is_asked_for(check: Check, tmp_path: Path) -> None:
    rows = [{**row, "City": ("Łódź", "Gdańsk")[i % 2]} for i, row in enumerate(leads())]
    assert numbers(check(rows)) == []
    pd.DataFrame(rows).to_csv(tmp_path / "leads.csv", index=False, encoding="cp1250")
    reported = check_records(load_project(tmp_path), NOW, private_reason)
    warning = only(reported)
    assert warning.number == "LC122"
    assert 'cp1250 (Central European, Windows) reads "Łódź", "Gdańsk"' in warning.evidence
    assert 'write `encoding = "cp1250"` under [leads]' in warning.to_do
    declared = 'source = "leads.csv"\nencoding = "{}"'
    for encoding, expected in (("cp1250", []), ("koi8_r", ["LC122"])):
        text = PROJECT.replace('source = "leads.csv"', declared.format(encoding))
        (tmp_path / "leadscore.toml").write_text(text)
        reported = check_records(load_project(tmp_path), NOW, private_reason)
        assert numbers(reported) == expected


def test_marked_formats_are_asked_about_until_the_mark_is_removed(check: Check) -> None:
    rows = [{**row, "Size": f"{1 + i % 9}.{100 + i}"} for i, row in enumerate(leads())]
    line = 'Size = "1,234.56"'
    marked = f'{line} # CHECK: "2.101" can be read in two ways'
    project = PROJECT.replace("[learn]", f"[leads.formats]\n{marked}\n[learn]")
    warning = only(check(rows, project=project))
    assert warning.number == "LC128"
    assert warning.question == 'Does "1,234.56" show how "Size" is written?'
    assert '"2.101" can be read in two ways' in warning.evidence
    assert numbers(check(rows, project=project.replace(marked, line))) == []
    currencies = f"{line} # CHECK: {SEVERAL_CURRENCIES}: EUR (2), $ (1)"  # LC103
    assert numbers(check(rows, project=project.replace(marked, currencies))) == []
    ignored = project.replace('["Note"]', '["Note", "Size"]')
    assert numbers(check(rows, project=ignored)) == []


@pytest.mark.parametrize("begin", ["[learn]", "[columns]", ""])
def test_marked_formats_anywhere_in_the_file_are_asked_about(check: Check, begin: str) -> None:
    rows = [{**row, "Size": f"{1 + i % 9}.{100 + i}"} for i, row in enumerate(leads())]
    marked = '[leads.formats]\n"Size" = "1,234.56"  # CHECK: unclear\n'
    project = PROJECT.replace(begin, marked + begin) if begin else PROJECT + marked
    assert "unclear" in only(check(rows, project=project)).evidence


def test_marked_format_in_the_section_of_its_table_is_asked_about(check: Check) -> None:
    rows = [{**row, "Size": f"{1 + i % 9}.{100 + i}"} for i, row in enumerate(leads())]
    amount = 'amount = "Amount"\n'
    marked = f'{amount}formats.Size = "1,234.56" # CHECK: unclear\n'
    assert only(check(rows, project=PROJECT.replace(amount, marked))).number == "LC128"


def test_marked_formats_of_private_columns_are_not_shown(check: Check) -> None:
    rows = [{**row, "Phone": f"{1 + i % 9}.{100 + i}"} for i, row in enumerate(leads())]
    marked = 'Phone = "1,234.56" # CHECK: "2.101" can be read in two ways'
    project = PROJECT.replace("[learn]", f"[leads.formats]\n{marked}\n[learn]")
    assert "2.101" not in only(check(rows, project=project)).evidence
