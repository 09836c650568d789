"""The record checks: what each column contains, what is shown, and the problems."""

import re
from pathlib import Path

import pytest

from crm.project import load_project
from crm.source_tables import SourceTables
from features.record_checks.check import RecordCheck
from features.record_checks.masking import masked
from features.record_checks.registry import CHECKS, MODULES
from features.record_checks.run import find_warnings
from tests.made_record_checks import (
    ACTIVITIES,
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


def test_registry_numbers_are_in_order_without_gaps() -> None:
    assert list(CHECKS) == [f"LC{101 + i}" for i in range(len(CHECKS))]


def test_each_check_has_a_number_of_its_own() -> None:
    declared = [
        item
        for module in MODULES
        for item in vars(module).values()
        if isinstance(item, RecordCheck)
    ]
    assert sorted(check.number for check in declared) == list(CHECKS)


def test_ordinary_records_raise_no_question(check: Check) -> None:
    calls: Rows = [{"Lead": f"L{i:04}", "Type": "Call", "At": "2025-03-01"} for i in range(150)]
    result = check(leads(), calls)
    assert result.warnings == ()
    assert result.problems == ()
    assert (result.leads, result.won, result.lost, result.open) == (200, 67, 66, 67)
    assert [table.rows for table in result.tables] == [200, 150]


def test_columns_have_kind_format_and_counts(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["Budget"] = "n/a" if i < 20 else "" if i < 30 else f"{i % 40},5"
    result = check(rows)
    budget = column(result, "Budget")
    assert (budget.kind, budget.format) == ("number", "1.234,56")
    assert (budget.filled, budget.empty, budget.nothing, budget.distinct) == (170, 10, 20, 40)
    assert (budget.smallest, budget.largest) == (0.5, 39.5)
    created = column(result, "Created")
    assert (created.use, created.kind, created.first) == (
        "created_at",
        "time",
        "2025-01-01T09:00:00+00:00",
    )
    assert column(result, "Source").examples == ("Web", "Fair", "Call")


def test_values_of_private_and_ignored_columns_are_not_in_the_result(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["E-mail"] = f"secret{i}@acme.com"
        row["Note"] = f"secret {i % 7}"
    assert "secret" not in str(check(rows).to_json())


@pytest.mark.parametrize(
    ("formats", "use"),
    [
        ("", "Training asks how to read them."),
        ('Budget = "¤1,234.56"', "adds and compares the numbers without converting them."),
        ('Budget = "$1,234.56"', "reads only those in $; the others count as missing."),
    ],
)
def test_question_about_currencies_names_how_the_amounts_are_read(
    check: Check, formats: str, use: str
) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["Budget"] = f"{'$€'[i % 2]}{i + 1000:,}.50"
    result = check(rows, project=f"{PROJECT}[leads.formats]\n{formats}\n")
    warning = next(warning for warning in result.warnings if warning.number == "LC103")
    assert warning.evidence.startswith("Its different amounts are in $ (100), EUR (100).")
    assert use in warning.evidence


def test_text_that_looks_like_numbers_is_asked_about_once(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["Budget"] = f"{1000 + i:,}.50" if i % 2 else f"{1000 + i},50"
        row["Week"] = f"2025-W{i % 50 + 1:02}"
        row["Code"] = f"A-{i:04}"
    result = check(rows)
    assert numbers(result) == ["LC123"]
    assert '"1000,50"' in only(result).evidence
    settled = PROJECT + 'category = ["Budget"]\n'
    assert numbers(check(rows, project=settled)) == []


def test_readable_tables_are_checked_if_training_refuses_the_records(
    check: Check, tmp_path: Path
) -> None:
    rows = leads()
    for row in rows:
        row["Status"] = "Maybe"
    result = check(rows, None, PROJECT + ACTIVITIES)
    assert len(result.problems) == 2
    assert "calls.csv" in result.problems[0]
    assert result.leads is None
    assert column(result, "Source").filled == 200


def test_check_explains_that_leads_are_too_young_or_wins_too_few(check: Check) -> None:
    young = check([{**row, "Created": "2026-05-20 09:00", "Closed": ""} for row in leads(60)])
    assert young.refusal.startswith("None of the 60 leads is old enough to learn from")
    few = check(leads(30, days=8))
    assert few.refusal == ""
    assert re.match(
        r"Of the leads that are old enough to learn from, only \d were won\. A model needs at",
        few.too_few,
    )
    enough = check(leads())
    assert (enough.refusal, enough.too_few) == ("", "")


def test_training_finds_the_same_questions(check: Check, tmp_path: Path) -> None:
    result = check([{**row, "Empty": ""} for row in leads()])
    project = load_project(tmp_path)
    warnings = find_warnings(project, SourceTables(project), NOW, private_reason)
    assert warnings == result.warnings


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("ask ada@acme.com", "ask (e-mail address)"),
        ("call +49 30 1234567", "call (phone number)"),
        ("(415) 555-1000", "(phone number)"),
        ("415-555-1000", "(phone number)"),
        ("0171 2345678", "(phone number)"),
    ],
)
def test_addresses_and_phone_numbers_are_masked_in_every_cell(
    check: Check, cell: str, shown: str
) -> None:
    rows = [{**row, "Size": f"{i}.5" if i % 9 else cell} for i, row in enumerate(leads())]
    rows[4]["Created"] = cell
    result = check(rows)
    column = next(column for column in result.tables[0].columns if column.name == "Size")
    assert column.unread is not None
    assert column.unread.examples == (shown,)
    assert any(shown in warning.evidence for warning in result.warnings)
    assert any(shown in rows.reason for rows in result.tables[0].left_out)
    assert cell[-8:] not in str(result)


@pytest.mark.parametrize(
    "cell",
    [
        "2025-01-31 08:15", "01/02/2024 08:15", "31.12.2024", "+1234.50", "1,234,567.89",
        "0012345678", "10.0.0.12", "L0017-0018", "1234567890123456", "+12", "20%",
        "01.02.2024 - 05.02.2024",
    ],
)  # fmt: skip
def test_other_cells_are_not_masked(cell: str) -> None:
    assert masked(cell) == cell
