"""The check of the records as a page."""

from crm.left_out import LeftOutRows
from features.record_checks.result import (
    CheckedColumn,
    CheckedTable,
    RecordsCheck,
    RecordWarning,
    UnreadCells,
)
from reports.check.page import check_page, share_filled

EVIL = "<script>alert(1)</script>"
COLUMN = CheckedColumn(EVIL, "attribute", "", "number", "1.234,56", 90, 6, 4, 20, False, (EVIL,))
UNREAD = CheckedColumn(
    "Budget",
    "attribute",
    "",
    "number",
    "",
    9,
    0,
    0,
    2,
    unread=UnreadCells(2, (4, 9), "line", ("x",)),
)
PRIVATE = CheckedColumn("Phone", "left out", "personal", "text", "", 9, 0, 0, 2, is_private=True)
CHECK = RecordsCheck(
    project="acme",
    simulated=False,
    checked_at="2026-06-01T00:00:00+00:00",
    problems=(f"leads.csv: 2 problems.\n  - {EVIL}",),
    leads=None,
    won=None,
    lost=None,
    open=None,
    warnings=(RecordWarning("LC101", EVIL, "Set `a`.", "Do it.", "leads", "l.csv", (3,), 9),),
    tables=(
        CheckedTable(
            "leads",
            "leads.csv",
            100,
            (LeftOutRows("leads", "leads.csv", "a total of other rows", 1, (102,)),),
            (COLUMN, UNREAD, PRIVATE),
        ),
    ),
    notes=(EVIL, "Set `timezone`."),
)


def test_page_escapes_every_text_and_loads_nothing() -> None:
    page = check_page(CHECK)
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace('http-equiv="', "").replace("http://www.w3.org", "")


def test_page_shows_errors_before_questions_before_tables() -> None:
    page = check_page(CHECK)
    places = [page.index(f'id="{anchor}"') for anchor in ("errors", "questions", "leads")]
    assert places == sorted(places)
    assert "Cannot be used yet: 1 error" in page
    assert "Set <code>a</code>." in page
    assert "Set <code>timezone</code>." in page
    assert "l.csv, lines 3, …" in page


def test_page_shows_rows_left_out_and_cells_not_read() -> None:
    page = check_page(CHECK)
    assert "1 row is left out (line 102): a total of other rows" in page
    assert "2 cells (lines 4, 9)" in page
    assert "6 empty, 4 mean nothing" in page
    assert "not shown" in page


def test_page_without_questions_says_so() -> None:
    page = check_page(RecordsCheck("acme", True, "", (), 1, 1, 0, 0, (), (), ()))
    assert "Can be used, no questions" in page
    assert "Nothing in the tables that could be read looks wrong." in page
    assert "Simulated: made-up records" in page


def test_page_says_that_no_model_can_be_trained() -> None:
    young = RecordsCheck("acme", False, "", (), 60, 20, 20, 20, (), (), (), refusal="Too young.")
    page = check_page(young)
    assert "No model can be trained yet, no questions" in page
    assert "<p>Too young.</p>" in page


def test_share_filled_is_100_percent_only_if_every_cell_is_filled() -> None:
    nearly = CheckedColumn("a", "attribute", "", "text", "", 99_999, 1, 0, 2)
    assert share_filled(nearly, 100_000) == "99.999\u00a0%"
