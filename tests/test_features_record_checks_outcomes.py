"""The questions about times, outcomes and amounts."""

import datetime
import re
from pathlib import Path

import pandas as pd
import pytest

from crm.project import load_project
from drafting.draft import draft_project
from features.record_checks.run import check_records
from tests.made_record_checks import NOW, PROJECT, Check, Rows, leads, numbers, only, private_reason


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


def test_words_for_nothing_in_closing_dates_raise_no_question(check: Check) -> None:
    rows = leads()
    for row in rows:
        row["Closed"] = row["Closed"] or "n/a"
    assert numbers(check(rows)) == []


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


def test_table_in_which_every_row_is_won_is_checked(check: Check, tmp_path: Path) -> None:
    rows = leads()
    won = [{"Lead": row["Id"], "Won on": row["Closed"]} for row in rows if row["Status"] == "Won"]
    won[3]["Won on"] = "2024-12-30 10:00"
    pd.DataFrame(won).to_csv(tmp_path / "won.csv", index=False)
    project = re.sub("(?m)^(closed_at|outcome|amount) = .*\n", "", PROJECT)
    outcomes = 'source = "won.csv"\nlead_id = "Lead"\nevery_row = "Won"\nclosed_at = "Won on"'
    result = check(rows, project=f"{project}[outcomes]\n{outcomes}\n")
    (warning,) = [warning for warning in result.warnings if warning.number == "LC101"]
    assert warning.lines == (5,)
    assert warning.evidence.startswith("1 of 67 closings is before the creation of the lead")


def test_deals_of_olist_begin_later_than_its_leads(public_data: Path, tmp_path: Path) -> None:
    files = [f"{public_data}/olist_funnel/{name}.csv" for name in ("mql", "closed_deals")]
    (tmp_path / "leadscore.toml").write_text(draft_project(files, tmp_path, name="olist"))
    result = check_records(load_project(tmp_path), NOW, private_reason)
    assert numbers(result) == ["LC101", "LC102"]
    assert "1,832 of 8,000 leads" in result.warnings[1].evidence


def test_negative_amounts_of_won_deals_are_asked_about(check: Check) -> None:
    rows = leads()
    rows[0]["Amount"] = -50  # not won
    assert numbers(check(rows)) == []
    rows[1]["Amount"], rows[4]["Amount"] = -50, "-7.5"
    warning = only(check(rows))
    assert (warning.number, warning.count) == ("LC129", 2)
    assert warning.question == "Why are the amounts of 2 won deals negative?"
    assert warning.evidence.startswith("2 of 67 won deals have an amount below 0")
    assert "-57.5 together" in warning.evidence


def test_activities_years_before_the_creation_are_asked_about(check: Check) -> None:
    rows = leads()
    calls = [{"Lead": row["Id"], "Type": "call", "At": row["Created"]} for row in rows]
    calls[3]["At"] = "2024-01-05 08:00"  # less than two years
    assert numbers(check(rows, calls)) == []
    calls[7]["At"] = "2015-01-05 08:00"
    warning = only(check(rows, calls))
    assert (warning.number, warning.count) == ("LC130", 1)
    assert "more than two years before the creation, the first on 2015-01-05" in warning.evidence


@pytest.mark.parametrize("column", ["Created", "Closed"])
def test_times_before_1970_are_asked_about(check: Check, column: str) -> None:
    rows = leads()
    rows[7][column] = "1901-05-05 08:00"
    (warning,) = [found for found in check(rows).warnings if found.number == "LC131"]
    assert (warning.count, warning.question) == (
        1,
        f'Is "{column}" right in 1 row with a time before 1970?',
    )
    rows[7][column] = "1900-01-01 00:00"  # LC108 asks about it
    assert "LC131" not in numbers(check(rows))
