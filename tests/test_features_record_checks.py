"""The record checks: what each column contains, and the questions about it."""

import datetime
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crm.formats.columns import ColumnFormat
from crm.formats.number_recognition import SEVERAL_CURRENCIES
from crm.project import load_project
from crm.source_tables import SourceTables
from features.record_checks.check import RecordCheck
from features.record_checks.masking import masked
from features.record_checks.registry import CHECKS, MODULES
from features.record_checks.result import CheckedColumn, RecordsCheck, RecordWarning
from features.record_checks.run import check_records, find_warnings

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
PROJECT = """
[project]
name = "acme"
[leads]
source = "leads.csv"
lead_id = "Id"
created_at = "Created"
closed_at = "Closed"
outcome = "Status"
amount = "Amount"
[learn]
won = ["Won"]
lost = ["Lost"]
[columns]
nothing = ["n/a"]
ignore = ["Note"]
"""
ACTIVITIES = (
    '[activities]\nsource = "calls.csv"\nlead_id = "Lead"\ntype = "Type"\noccurred_at = "At"\n'
)
Rows = list[dict[str, object]]
Check = Callable[..., RecordsCheck]


def private_reason(cells: pd.Series, form: ColumnFormat) -> str | None:
    reasons = {"E-mail": "e-mail addresses: personal data", "Phone": "phone numbers: personal data"}
    return reasons.get(str(cells.name))


def leads(n: int = 200, days: float = 1.0) -> Rows:
    """Make leads that raise no question."""
    first = datetime.datetime(2025, 1, 1, 9, tzinfo=datetime.UTC)
    rows: Rows = []
    for i in range(n):
        created = first + datetime.timedelta(days=days * i)
        closed = created + datetime.timedelta(days=3)
        rows.append(
            {
                "Id": f"L{i:04}",
                "Created": f"{created:%Y-%m-%d %H:%M}",
                "Closed": f"{closed:%Y-%m-%d %H:%M}" if i % 3 else "",
                "Status": ("", "Won", "Lost")[i % 3],
                "Amount": 100 + i if i % 3 == 1 else "",
                "Source": ("Web", "Fair", "Call")[i % 3],
                "Note": ("call", "write")[i % 2],
            }
        )
    return rows


@pytest.fixture
def check(tmp_path: Path) -> Check:
    def run(rows: Rows, calls: Rows | None = None, project: str = PROJECT) -> RecordsCheck:
        pd.DataFrame(rows).to_csv(tmp_path / "leads.csv", index=False)
        if calls is not None:
            pd.DataFrame(calls).to_csv(tmp_path / "calls.csv", index=False)
            project += ACTIVITIES
        (tmp_path / "leadscore.toml").write_text(project)
        return check_records(load_project(tmp_path), NOW, private_reason)

    return run


def numbers(result: RecordsCheck) -> list[str]:
    return [warning.number for warning in result.warnings]


def only(result: RecordsCheck) -> RecordWarning:
    (warning,) = result.warnings
    return warning


def column(result: RecordsCheck, name: str) -> CheckedColumn:
    return next(column for column in result.tables[0].columns if column.name == name)


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


def test_closing_before_creation_names_its_lines(check: Check) -> None:
    rows = leads()
    rows[4]["Closed"] = "2024-12-30 10:00"
    rows[7]["Closed"] = str(rows[7]["Created"])[:10]  # the same day is not before
    warning = only(check(rows))
    assert (warning.number, warning.lines, warning.unit) == ("LC101", (6,), "line")
    assert "1 of 133 closings" in warning.evidence


def test_closing_hours_before_the_creation_is_asked_about(check: Check) -> None:
    rows = leads()
    for i in (4, 7):
        rows[i]["Closed"] = f"{str(rows[i]['Created'])[:10]} {i:02}:00"  # created at 9:00
    warning = only(check(rows))
    assert (warning.number, warning.lines) == ("LC101", (6, 9))
    assert "half of them by 4 hours or more" in warning.evidence
    assert "may be in different time zones" in warning.evidence


def test_outcomes_that_begin_late_are_missing(check: Check) -> None:
    rows = leads()
    for row in rows[:90]:
        row["Closed"] = row["Status"] = row["Amount"] = ""
    warning = only(check(rows))
    assert warning.number == "LC102"
    assert "94 of 200 leads (47 %) are older than the first outcomes" in warning.evidence


def test_long_sales_are_not_missing_outcomes(check: Check) -> None:
    rows = leads(400)
    for row in rows:
        if row["Closed"]:
            closed = datetime.datetime.fromisoformat(str(row["Closed"]))
            row["Closed"] = f"{closed + datetime.timedelta(days=120):%Y-%m-%d %H:%M}"
    assert "LC102" not in numbers(check(rows))


def test_leads_with_several_outcomes_are_counted_once(tmp_path: Path) -> None:
    rows = [{"Id": row["Id"], "Created": row["Created"]} for row in leads(60)]
    pd.DataFrame(rows).to_csv(tmp_path / "leads.csv", index=False)
    ids = [row["Id"] for row in rows]
    deals = pd.DataFrame({"Id": ids + ids[:10], "Status": ["Lost"] * 58 + ["Won"] * 12})
    deals["Closed"] = [f"2025-04-{1 + i % 28:02}" for i in range(70)]
    deals.to_csv(tmp_path / "deals.csv", index=False)
    (tmp_path / "leadscore.toml").write_text(
        '[project]\nname = "acme"\n[leads]\nsource = "leads.csv"\nlead_id = "Id"\n'
        'created_at = "Created"\n[outcomes]\nsource = "deals.csv"\nlead_id = "Id"\n'
        'outcome = "Status"\nclosed_at = "Closed"\n[learn]\nwon = ["Won"]\nlost = ["Lost"]\n'
    )
    result = check_records(load_project(tmp_path), NOW, private_reason)
    assert (result.leads, result.won, result.lost, result.open) == (60, 12, 48, 0)
    warning = only(result)
    assert (warning.number, warning.count) == ("LC121", 20)
    assert (
        "10 of 60 leads with an outcome have two or more rows in deals.csv. 10 of them were"
        in warning.evidence
    )


def test_one_deal_that_is_most_of_the_sum(check: Check) -> None:
    rows = leads()
    rows[100]["Amount"] = 5_000_000
    warning = only(check(rows))
    assert (warning.number, warning.lines) == ("LC104", (102,))


def test_amounts_of_several_currencies_and_few_amounts(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["Amount"] = f"{'$' if i % 2 else '€'}{i}.50" if i % 12 == 1 or i % 12 == 4 else ""
    assert numbers(check(rows)) == ["LC103"]
    for row in rows[12:]:
        row["Amount"] = ""
    assert "LC105" in numbers(check(rows))


@pytest.mark.parametrize(
    ("name", "currencies"),
    [
        ("Amount Currency", ("EUR", "USD")),
        ("Währung", ("Euro", "US-Dollar")),
        ("Code", ("EUR - Euro", "JPY - Japanese Yen")),
    ],
)
def test_currencies_in_a_column_beside_the_amount(
    check: Check, name: str, currencies: tuple[str, str]
) -> None:
    rows = [{**row, name: currencies[i % 4 == 0]} for i, row in enumerate(leads())]
    warning = only(check(rows))
    assert (warning.number, warning.count) == ("LC103", 17)
    assert warning.question == 'In which currency should the amounts of "Amount" be?'
    assert "EUR (50)" in warning.evidence


def test_one_currency_raises_no_question(check: Check) -> None:
    rows = [{**row, "Currency": ("EUR", "")[i % 2]} for i, row in enumerate(leads())]
    assert numbers(check(rows)) == []


def test_times_in_the_future_and_placeholder_dates(check: Check) -> None:
    rows = leads()
    for i, row in enumerate(rows):
        row["Seen"] = "1970-01-01" if i % 9 == 0 else "2025-02-03"
    rows[198]["Created"] = "2206-01-01 09:00"  # an open lead
    result = check(rows)
    future, placeholder = result.warnings
    assert (future.number, placeholder.number) == ("LC106", "LC108")
    assert future.lines == (200,)
    assert future.evidence == "1 of 200 times is after today: on 2206-01-01."
    assert "23 rows of 200" in placeholder.evidence


def test_expected_closing_dates_of_open_leads_raise_no_question(check: Check) -> None:
    rows = [{**row, "Closed": row["Closed"] or "2026-09-01 10:00"} for row in leads()]
    assert "LC106" not in numbers(check(rows))
    rows[1]["Closed"] = rows[2]["Closed"] = "2062-03-01 10:00"
    future = next(warning for warning in check(rows).warnings if warning.number == "LC106")
    assert future.question == 'Why is "Closed" in the future in 2 rows?'
    assert future.evidence == "2 of 133 times are after today, the last on 2062-03-01."
    assert future.lines == (3, 4)


def test_gap_without_leads(check: Check) -> None:
    rows = [row for row in leads(300) if not "2025-05-01" < str(row["Created"]) < "2025-06-15"]
    warning = only(check(rows))
    assert warning.number == "LC107"
    assert "between 2025-04-30 and 2025-06-15" in warning.question


@pytest.mark.parametrize(
    ("last", "first", "asks"),
    [("2025-12-23", "2026-01-08", False), ("2025-12-10", "2026-01-08", True)],
)
def test_christmas_breaks_are_not_gaps(check: Check, last: str, first: str, asks: bool) -> None:
    rows = leads(300, days=0.4)
    shift = datetime.timedelta(days=300)
    for row in rows:
        for name in ("Created", "Closed"):
            if row[name]:
                time = datetime.datetime.fromisoformat(str(row[name])) + shift
                row[name] = f"{time:%Y-%m-%d %H:%M}"
    rows = [row for row in rows if not last < str(row["Created"]) < first]
    assert numbers(check(rows)) == (["LC107"] if asks else [])


def test_one_record_is_in_the_singular(check: Check) -> None:
    rows = leads()
    rows[1]["Closed"] = "2024-01-01 08:00"
    assert "1 of 133 closings is before the creation" in only(check(rows)).evidence
    calls: Rows = [{"Lead": f"L{i:04}", "Type": "Call", "At": "2025-03-01"} for i in range(150)]
    warning = only(check(leads(), [*calls, {**calls[0], "Lead": "X1"}]))
    assert warning.question == "Which lead does 1 row of calls.csv belong to?"
    assert "has an id that is not in leads.csv. This row is left out" in warning.evidence
    rows = leads()
    assert only(check([*rows, rows[0]])).question == "Is 1 row of leads.csv in it twice?"


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


@pytest.mark.parametrize(
    ("undated", "what", "counts"),
    [
        ("Won", "wins", "A win without a date counts as won within 90 days, however long it took."),
        ("Lost", "losses", "A loss without a date counts as not won, however long it took."),
    ],
)
def test_outcomes_of_one_kind_without_dates_are_asked_about(
    check: Check, undated: str, what: str, counts: str
) -> None:
    rows = leads()
    for row in rows:
        if row["Status"] == undated:
            row["Closed"] = ""
    warning = only(check(rows))
    assert warning.number == "LC126"
    assert warning.question == f'Why do the {what} have no closing date in "Closed"?'
    won, lost = ("0 %", "100 %") if undated == "Won" else ("100 %", "0 %")
    shares = f"{won} of 67 wins and {lost} of 66 losses have one. "
    assert warning.evidence.startswith(shares + counts)
    assert warning.evidence.endswith("learns from it only as of its creation.")
    later = PROJECT.replace("[learn]", "[learn]\nmoments_days = [7]")
    assert "does not learn from it" in only(check(rows, project=later)).evidence
    for row in rows:
        row["Closed"] = ""
    assert "LC126" not in numbers(check(rows))


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


def test_words_for_nothing_in_closing_dates_raise_no_question(check: Check) -> None:
    rows = leads()
    for row in rows:
        row["Closed"] = row["Closed"] or "n/a"
    assert numbers(check(rows)) == []


def test_numbers_in_questions_have_no_exponent(check: Check) -> None:
    rows = [{**row, "Size": 1002.02 + i * 6270.5} for i, row in enumerate(leads())]
    for row in rows[::10]:
        row["Size"] = -1
    warning = only(check(rows))
    assert "between 7,272.52 and 1,248,832" in warning.evidence
    assert "e+" not in warning.evidence


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


def test_dates_that_a_spreadsheet_damaged_are_asked_about(check: Check) -> None:
    rows = leads()
    for row in rows:
        day = datetime.datetime.fromisoformat(str(row["Created"]))
        row["Seen On"] = (
            f"{day.month}/{day.day}/25" if day.day <= 12 else day.strftime("%d/%m/%Y 10:17")
        )
    project = PROJECT + '[leads.formats]\n"Seen On" = "%d/%m/%Y %H:%M or %m/%d/%y"\n'
    warning = only(check(rows, project=project))
    assert warning.number == "LC124"
    assert "exchanged day and month" in warning.evidence


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
