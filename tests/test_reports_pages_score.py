"""What the page about the score says of the leads that the model had not seen."""

import datetime
from dataclasses import replace

import pytest

from crm.project import load_project
from crm.reading import read_records
from features.intervals import wilson
from reports.pages.score import score_page
from reports.rows.rows import make_rows

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def rows(simulated_crm, trained):
    project = load_project(simulated_crm)
    return make_rows(project, read_records(project), NOW, trained.scorer)


def judged(rows, *grades: dict):
    """The part about the test, for a model whose card has these grades, and what is told."""
    test = {"n": 1_000, "n_leads": 500, "how": "newest leads", "by_grade": grades}
    scorer = replace(rows.scorer, card=replace(rows.scorer.card, test=test))
    page = score_page(replace(rows, scorer=scorer))
    told = [
        t.sentence.replace("\u00a0", " ") for t in page.takeaways if t.figure == "score-test-grades"
    ]
    return page.sections[0], told


def grade(name: str, wins: int, n: int, *, n_leads: int = 0, stated: float = 0.0) -> dict:
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


def test_lead_scored_at_several_ages_counts_once(rows) -> None:
    section, told = judged(
        rows, grade("A", 300, 500, n_leads=200), grade("D", 50, 500, n_leads=300)
    )
    assert told[0].startswith(
        "Grade A converts 6.0 times as often as grade D: 60.0 % (500 scores of 200 leads, "
    )
    titles = [column.title for column in section.figures[0].columns]
    assert titles[:4] == ["Grade", "Scores", "Leads", "Before a win"]
    _, few = judged(rows, grade("A", 18, 40), grade("D", 10, 40))
    _, often = judged(rows, grade("A", 180, 400, n_leads=40), grade("D", 100, 400, n_leads=40))
    assert few == often == []


def test_filtered_report_keeps_the_test_of_all_leads(rows) -> None:
    grades = grade("A", 100, 200), grade("D", 10, 200)
    assert judged(rows, *grades)[1]
    section, told = judged(replace(rows, is_part=True), *grades)
    assert told == []
    assert "not only those that this report is of" in section.paragraphs[0]
    assert section.figures[0].about.startswith("all kinds of leads: newest leads")


def test_understated_grades_are_reported(rows) -> None:
    grades = (
        grade("A", 1_342, 2_372, stated=0.495),
        grade("B", 763, 2_357, stated=0.176),
        grade("C", 403, 3_141, stated=0.076),
        grade("D", 32, 368, stated=0.086),
    )
    assert judged(rows, *grades)[1][1] == (
        "Grade B states 17.6 %, while 32.4 % (n = 2,357, 30.5 to 34.3 %) were won; 3 of 4 grades "
        "state less than comes true: go by their order, not by the percentages; newest leads."
    )
    right = grade("A", 550, 1_000, stated=0.53), grade("D", 50, 1_000)  # 0.55 is within chance
    assert len(judged(rows, *right)[1]) == 1
