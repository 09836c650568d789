"""The page about the score: leads that the model had not seen."""

import datetime
from dataclasses import replace
from typing import Any

import pytest

from features.intervals import wilson
from reports.content import Section
from reports.pages.score.page import score_page
from reports.rows.rows import ReportRows
from tests.made_reports import figure_of

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def page_of(rows: ReportRows, *grades: dict[str, Any]) -> tuple[Section, list[str]]:
    """Return the section about the test of a model whose card has these grades, and takeaways."""
    assert rows.scorer is not None
    test = {"n": 1_000, "n_leads": 500, "how": "newest leads", "by_grade": grades}
    scorer = replace(rows.scorer, card=replace(rows.scorer.card, test=test))
    page = score_page(replace(rows, scorer=scorer))
    takeaways = [
        t.sentence.replace("\u00a0", " ") for t in page.takeaways if t.figure == "score-test-grades"
    ]
    return page.sections[1], takeaways  # the first is the verdict


def grade(name: str, wins: int, n: int, *, n_leads: int = 0, stated: float = 0.0) -> dict[str, Any]:
    n_leads = n_leads or n
    low, high = wilson(wins / n, n_leads)
    return {
        "grade": name,
        "n": n,
        "n_leads": n_leads,
        "wins": wins,
        "share": 0.5,
        "stated": stated or wins / n,
        "won": wins / n,
        "low": low,
        "high": high,
    }


def test_a_lead_scored_at_several_ages_counts_as_one_lead(scored_rows: ReportRows) -> None:
    section, takeaways = page_of(
        scored_rows, grade("A", 300, 500, n_leads=200), grade("D", 50, 500, n_leads=300)
    )
    assert takeaways[0].startswith(
        "Scores with grade A are followed by a win 6.0 times as often as scores with grade D: "
        "60.0 % (300 of 500 scores of 200 leads; between"
    )
    # 500 scores are not called leads.
    assert section.figures[0].finding.replace("\u00a0", " ") == (
        "60 % (300 of 500) of the scores with grade A were followed by a win, 10 % (50 of 500) of "
        "grade D"
    )
    titles = [column.title for column in section.figures[0].columns]
    assert titles[:4] == ["Grade", "Scores", "Leads", "Before a win"]


def test_more_scores_of_the_same_leads_are_not_more_evidence(scored_rows: ReportRows) -> None:
    _, from_one_score = page_of(scored_rows, grade("A", 18, 40), grade("D", 10, 40))
    grades = grade("A", 180, 400, n_leads=40), grade("D", 100, 400, n_leads=40)
    _, from_ten_scores = page_of(scored_rows, *grades)
    assert from_one_score == from_ten_scores == []


@pytest.mark.parametrize(("n_leads", "n_takeaways"), [(30, 1), (29, 0)])
def test_grades_of_fewer_than_30_leads_are_not_compared(
    scored_rows: ReportRows, n_leads: int, n_takeaways: int
) -> None:
    _, takeaways = page_of(scored_rows, grade("A", 25, n_leads), grade("D", 10, 300))
    assert len(takeaways) == n_takeaways


def test_a_report_of_some_leads_does_not_show_the_test(scored_rows: ReportRows) -> None:
    grades = grade("A", 100, 200), grade("D", 10, 200)
    assert page_of(scored_rows, *grades)[1]
    section, takeaways = page_of(replace(scored_rows, is_part=True), *grades)
    assert takeaways == []
    assert section.figures == ()
    assert "about some of the leads only" in section.paragraphs[0]


def test_predicted_chances_that_are_too_low_are_a_takeaway(scored_rows: ReportRows) -> None:
    grades = (
        grade("A", 1_342, 2_372, stated=0.495),
        grade("B", 763, 2_357, stated=0.176),
        grade("C", 403, 3_141, stated=0.076),
        grade("D", 32, 368, stated=0.086),
    )
    assert page_of(scored_rows, *grades)[1][1] == (
        "The predicted chances of grade B are 15 points too low: 17.6 % predicted, 32.4 % (763 "
        "of 2,357 leads; between 30.5 and 34.3 %) won. The chances of 3 of 4 grades are too low. "
        "Use the order of the leads, not the percentages. Measured on the newest leads."
    )


def test_the_only_grade_is_not_counted_as_one_of_one(scored_rows: ReportRows) -> None:
    (sentence,) = page_of(scored_rows, grade("B", 763, 2_357, stated=0.176))[1]
    assert "15 points too low" in sentence
    assert "won. Use the order of the leads" in sentence


def test_predicted_chances_that_differ_by_chance_only_are_not_a_takeaway(
    scored_rows: ReportRows,
) -> None:
    grades = grade("A", 550, 1_000, stated=0.53), grade("D", 50, 1_000)
    assert len(page_of(scored_rows, *grades)[1]) == 1


def test_months_of_grades_leave_out_leads_closed_before_their_creation(
    scored_rows: ReportRows,
) -> None:
    assert scored_rows.arrival is not None
    lead = scored_rows.arrival.lead[:2]
    closed = scored_rows.closed.copy()
    closed[lead] = scored_rows.created[lead] - 1
    page = score_page(replace(scored_rows, closed=closed))
    months = figure_of(page, "score-months-share")
    n = len(scored_rows.arrival) - 2
    assert months.about == (
        f"{n:,} leads, scored by today's model as of their creation; without 2 already won or lost "
        "when created"
    )
    assert sum(row["wins"] for row in months.rows) == n
    about = figure_of(score_page(scored_rows), "score-months-share").about
    assert about.endswith("as of their creation")
