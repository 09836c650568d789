"""A share in a report always has its counts beside it, and no heading has a share of few leads."""

import datetime
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.comparisons import FEWEST_LEADS, share_of
from models.evaluation.metrics import gains, reliability
from reports.content import Column, Figure, Page
from reports.forms.cells import cell_of
from reports.forms.csv import csv_of
from reports.metrics import DEFINITIONS
from reports.pages.activities.attribution import AttributionRow, _finding
from reports.pages.phrases import of_words
from reports.pages.service_levels.page import service_page
from reports.report import PAGES, _plain
from reports.rows.attribution import WAYS
from reports.rows.rows import ReportRows

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NOT_OF_LEADS = {  # shares that are not shares of counted leads
    "interval",
    "stated_share",
    "least_probability",
    "expected_share",
    "disagreement",
    "signal_share",
    "pair_share",
    "same_time",
}


@pytest.fixture(scope="module")
def pages(scored_rows: ReportRows) -> list[Page]:
    return [_plain(page(scored_rows)) for page in PAGES]


def shares(pages: list[Page]) -> Iterator[tuple[Figure, Column]]:
    for page in pages:
        for section in page.sections:
            for figure in section.figures:
                for column in figure.columns:
                    if column.form == "share" and column.metric not in NOT_OF_LEADS:
                        yield figure, column


def test_every_share_has_its_counts(pages: list[Page]) -> None:
    found = list(shares(pages))
    assert len({column.metric for _, column in found}) > 12
    for figure, column in found:
        assert column.of is not None, (figure.name, column.key)
        assert {*column.of} <= {*figure.keys}
        for row in figure.rows:
            share, (x, n) = row[column.key], (row[key] for key in column.of)
            if share is not None and n:
                assert share == pytest.approx(x / n), (figure.name, column.key)
        header = csv_of(figure).splitlines()[0].split(",")
        assert {column.key, *column.of} <= {*header}


def test_figures_of_a_test_have_their_counts() -> None:
    label = np.array([1, 0] * 50, dtype=np.int8)
    log_odds, weight = np.linspace(-2, 2, 100), np.ones(100)
    assert sum(row["wins"] for row in reliability(log_odds, label, weight)) == 50
    last = gains(log_odds, label, weight)[1]
    assert last["gain"] == pytest.approx(last["wins"] / last["all_wins"])
    assert (last["n"], last["n_all"], last["all_wins"]) == (20, 100, 50)


def test_a_share_of_few_leads_is_written_as_its_counts() -> None:
    column = Column("value", "Worked", "share", of=("wins", "n"))
    alone = Figure("weeks", "", "", (column,), ())
    counted = replace(alone, columns=(column, Column("wins", "x"), Column("n", "n")))
    few = {"value": 0.25, "wins": 1, "n": 4}
    enough = {"value": 0.25, "wins": 10, "n": 40}
    edge = {"value": 0.5, "wins": FEWEST_LEADS / 2, "n": FEWEST_LEADS}
    assert cell_of(alone, few, column) == cell_of(counted, few, column) == "1 of 4"
    assert cell_of(alone, enough, column) == "25.0\u00a0% (10 of 40)"
    assert cell_of(counted, enough, column) == "25.0\u00a0%"
    assert cell_of(counted, edge, column) == "50.0\u00a0%"
    assert cell_of(alone, {"value": None, "wins": 0, "n": 0}, column) == "–"
    assert cell_of(alone, {"value": 0.5, "wins": 20.5, "n": 41}, column).endswith("(20.5 of 41)")


def test_a_heading_of_few_leads_says_counts_and_no_share() -> None:
    assert of_words(share_of(0, 1)) == "0 of 1"
    assert of_words(share_of(15, FEWEST_LEADS)) == "50.0\u00a0% (15 of 30)"


def test_a_week_of_few_leads_shows_its_counts(scored_rows: ReportRows) -> None:
    page = service_page(scored_rows)
    (weeks,) = (f for s in page.sections for f in s.figures if f.name == "service-weeks")
    column = next(column for column in weeks.columns if column.key == "value")
    few = [row for row in weeks.rows if row["n"] and row["n"] < FEWEST_LEADS]
    assert few
    for row in few:
        assert cell_of(weeks, row, column) == f"{row['wins']} of {row['n']}"


def attributed(n: int, *shares: float) -> AttributionRow:
    return AttributionRow(name="Mail", shares=dict(zip(WAYS, shares, strict=True)), n=n)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (attributed(400, 1.0, 1.0, 1.0, 1.0), "All four ways agree: “Mail” gets 100.0 % of"),
        (attributed(400, 0.25, 0.2503, 0.25, 0.2501), "All four ways agree: “Mail” gets 25.0 %"),
        (attributed(400, 0.25, 0.5, 0.3, 0.3), "“Mail” gets 50.0 % of the 400 wins by last touch"),
        (attributed(29, 0.2, 0.5, 0.3, 0.3), "Too few won leads with an activity to compare"),
    ],
)
def test_ways_of_attribution_that_agree_have_one_share_in_the_title(
    row: AttributionRow, words: str
) -> None:
    finding = _finding(row, {way: DEFINITIONS[way].title for way in WAYS})
    assert finding.replace("\u00a0", " ").startswith(words)
    assert finding.count("%") <= len({round(share, 3) for share in row.shares.values()})
