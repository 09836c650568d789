"""Lists that are cut or filtered say how many are left out, and why."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from features.groups import Groups
from reports.charts.groups import series_chart
from reports.content import Page
from reports.pages.activities.page import activities_page
from reports.pages.age import MOST_MONTHS, age_page
from reports.pages.funnel.page import funnel_page
from reports.pages.sources.page import sources_page
from reports.rows.building import make_rows
from reports.rows.rows import ReportRows
from tests.made_projects import project_of_tables
from tests.made_reports import figure_of

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PROJECT = project_of_tables("activities", "outcomes") + 'report.source = "source"\n'
N_CONTENTS = 50
N_REASONS = 20


@pytest.fixture
def rows(tmp_path: Path) -> ReportRows:
    """Return the rows of 400 leads. A tenth of them see each of 50 contents on their first day.

    The activity "Signed" is at the closing, "Late" comes after a month, and each content of the
    second half comes once less often than the one before.
    """
    created = pd.date_range("2020-01-01", "2025-01-01", periods=400, tz="UTC").floor("s")
    leads = pd.DataFrame({"lead_id": [f"l{i}" for i in range(400)], "created_at": created})
    leads["source"] = np.where(np.arange(400) < 380, "Fair", "Mail")
    seen = [
        (f"l{i}", "View", created[i] + pd.Timedelta("1h"), f"page {k:02}")
        for k in range(N_CONTENTS)
        for i in range(k % 10, 400 - k, 10)
    ]
    won = leads[::4].assign(outcome="won", closed_at=leads["created_at"] + pd.Timedelta("20D"))
    lost = leads[1::4].assign(outcome="lost", closed_at=leads["created_at"] + pd.Timedelta("10D"))
    lost["reason"] = [f"reason {i % N_REASONS:02}" for i in range(len(lost))]
    ends = zip(won["lead_id"], won["closed_at"], strict=True)
    seen += [(lead, "Signed", at, "") for lead, at in ends]
    seen += [("l3", "Late", created[3] + pd.Timedelta("40D"), "")]
    activities = pd.DataFrame(seen, columns=["lead_id", "type", "occurred_at", "content"])
    leads.to_csv(tmp_path / "leads.csv", index=False)
    activities.sort_values("occurred_at").to_csv(tmp_path / "activities.csv", index=False)
    outcomes = pd.concat([won, lost])[["lead_id", "outcome", "closed_at", "reason"]]
    outcomes.to_csv(tmp_path / "outcomes.csv", index=False)
    (tmp_path / "leadscore.toml").write_text(PROJECT)
    project = load_project(tmp_path)
    return make_rows(project, read_records(project, NOW), NOW)


def section_text(page: Page, heading: str) -> str:
    (only,) = (section for section in page.sections if section.heading == heading)
    return " ".join(only.paragraphs)


def test_contents_that_are_not_compared_are_counted(rows: ReportRows) -> None:
    page = activities_page(rows)
    assert len(figure_of(page, "activities-1").rows) == 40
    assert section_text(page, "Contents") == (
        "The 40 most frequent of 50 contents are compared; 10 are left out."
    )


def test_activities_that_are_the_outcome_are_named(rows: ReportRows) -> None:
    page = activities_page(rows)
    assert [row["name"] for row in figure_of(page, "activities-0").rows] == ["View"]
    left_out = "Left out, because they are stages or the outcome itself: “Signed”."
    assert section_text(page, "Activities by type") == (
        "1 type of activity is not shown, because none of the compared leads had it up to 7 days "
        f"after creation. {left_out}"
    )
    assert section_text(page, "How wins are attributed") == left_out


def test_attribution_counts_the_rows_that_are_left_out(rows: ReportRows) -> None:
    page = activities_page(rows)
    contents = figure_of(page, "attribution-content")
    won = {lead for lead, is_won in enumerate(rows.won) if is_won}
    n_seen = sum(any(i in won for i in range(k % 10, 400 - k, 10)) for k in range(N_CONTENTS))
    assert n_seen == 25  # won leads have even numbers
    assert len(contents.rows) == n_seen
    assert "Not shown: 25 contents that no won lead had up to its closing." in contents.note
    assert "Not shown: 1 type that no won lead had" in figure_of(page, "attribution-type").note


def test_attribution_says_that_it_is_cut(rows: ReportRows) -> None:
    everyone = np.ones(len(rows), dtype=bool)
    closed = rows.created + 10 * 86_400_000_000
    won = replace(rows, is_won=everyone, won=everyone, closed=closed, closed_by=closed)
    contents = figure_of(activities_page(won), "attribution-content")
    assert len(contents.rows) == 40
    assert "40 of 50 rows are shown, those with the largest shares; 10 are left out." in (
        contents.note
    )
    assert "the first 16 of 40" in str(contents.chart.title.subtitle)


def test_reasons_and_months_that_are_cut_are_counted(rows: ReportRows) -> None:
    reasons = figure_of(funnel_page(rows), "funnel-reasons")
    assert len(reasons.rows) == 15
    assert reasons.note == "15 of 20 reasons are shown, the most frequent ones; 5 are left out."
    months = figure_of(age_page(rows), "age-months")
    assert len(months.rows) == MOST_MONTHS
    assert months.note == "36 of 61 months are shown, the newest ones; 25 are left out."


def test_a_source_without_old_leads_is_counted(rows: ReportRows) -> None:
    young = replace(rows, source=Groups("source", ("Fair", "Mail"), (~rows.is_mature).astype(int)))
    assert 0 < (~rows.is_mature).sum() < len(rows)
    page = sources_page(young)
    assert [row["name"] for row in figure_of(page, "sources-won").rows] == ["Fair"]
    note = "Not shown: sources without any of these leads (1)."
    assert figure_of(page, "sources-won").note == note
    assert figure_of(page, "sources-speed").note == "Not shown: sources without such a win (1)."


def test_a_list_that_is_complete_has_no_note(rows: ReportRows) -> None:
    page = sources_page(rows)
    assert (figure_of(page, "sources-won").note, figure_of(page, "sources-speed").note) == ("", "")


@pytest.mark.parametrize(("n", "words"), [(16, ""), (17, "; the first 16 of 17")])
def test_a_chart_of_series_says_that_it_is_cut(n: int, words: str) -> None:
    table = [{"name": f"row {i}", "n": None, "value": 0.5} for i in range(n)]
    chart = series_chart(table, "", "all leads", what="Share", series=[("value", "share")])
    assert str(chart.title.subtitle).endswith(f"all leads{words}")


def test_the_states_of_the_bank_are_named_as_left_out(public_data: Path) -> None:
    project = load_project(EXAMPLES / "bpic2012.toml")
    page = activities_page(make_rows(project, read_records(project, NOW), NOW))
    text = section_text(page, "Activities by type")
    shown = {row["name"] for row in figure_of(page, "activities-0").rows}
    for name in ("A_SUBMITTED", "A_APPROVED", "A_DECLINED", "O_ACCEPTED", "O_DECLINED"):
        assert f"“{name}”" in text
        assert name not in shown
    assert text.count("“") == 12
