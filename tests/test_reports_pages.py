"""What the pages say, what they need, and what changed since the last report."""

import datetime
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.times import DAY
from reports.content import Column, Figure, Page, Section
from reports.metrics import DEFINITIONS, definitions
from reports.pages.score import unlearned_age
from reports.report import build_report
from reports.since_last import measures_of, what_changed

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SLUGS = [
    "month",
    "funnel",
    "age",
    "sources",
    "activities",
    "audience",
    "features",
    "score",
    "capacity",
    "service-levels",
]


@pytest.fixture(scope="module")
def report(simulated_crm, trained):
    project = load_project(simulated_crm)
    return build_report(project, read_records(project), NOW, trained.scorer)


def figures_of(report):
    return [(page, f) for page in report.pages for s in page.sections for f in s.figures]


def needs_of(report) -> dict[str, list[str]]:
    return {p.slug: [s.needs for s in p.sections if s.needs] for p in report.pages}


def test_pages_are_complete_and_in_order(report) -> None:
    assert [page.slug for page in report.pages] == SLUGS


def test_figure_names_are_unique_and_valid_file_names(report) -> None:
    names = [figure.name for _, figure in figures_of(report)]
    assert len(names) == len(set(names)) > 25
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def test_cells_are_numbers_texts_or_empty(report) -> None:
    for _, figure in figures_of(report):
        for row in figure.rows:
            for cell in row.values():
                assert cell is None or type(cell) in (int, float, str, bool)
                assert not (isinstance(cell, float) and not np.isfinite(cell))


def test_every_row_has_every_column(report) -> None:
    for _, figure in figures_of(report):
        keys = {column.key for column in figure.columns}
        assert all(keys <= row.keys() for row in figure.rows), figure.name


def test_every_metric_is_defined_in_the_report(report) -> None:
    defined = {each["name"] for each in report.metrics}
    used = {t.metric for page in report.pages for t in page.takeaways}
    used |= {c.metric for _, figure in figures_of(report) for c in figure.columns if c.metric}
    assert used <= defined <= set(DEFINITIONS)
    assert len(used) > 25


def test_every_column_of_numbers_has_a_definition(report) -> None:
    columns = [(f.name, c) for _, f in figures_of(report) for c in f.columns]
    numbers = [(name, c) for name, c in columns if c.form not in ("text", "prose", "time")]
    assert len(numbers) > 200
    assert [(name, c.key) for name, c in numbers if not c.metric] == []


def test_no_two_columns_of_a_table_have_the_same_heading(report) -> None:
    for _, figure in figures_of(report):
        titles = [c.title for c in figure.columns if not c.title.startswith(("from", "to"))]
        assert len(titles) == len(set(titles)), figure.name


def test_takeaways_have_numbers_and_a_figure(report) -> None:
    names = {figure.name for _, figure in figures_of(report)}
    takeaways = [t for page in report.pages for t in page.takeaways]
    assert len(takeaways) > 8
    for takeaway in takeaways:
        assert {"value", "low", "high", "n"} <= takeaway.evidence.keys()
        assert takeaway.figure in names


def test_charts_have_the_finding_as_title(report) -> None:
    charts = [figure for _, figure in figures_of(report) if figure.chart is not None]
    assert len(charts) > 20
    for figure in charts:
        assert len(json.dumps(figure.chart.to_dict())) < 60_000
        assert figure.chart.title.text


def test_report_is_plain_data(report) -> None:
    assert json.loads(json.dumps(report.about))["leads"] == 1_500
    assert report.as_of.startswith("2025-12-30")


def test_score_pages_without_a_model_state_what_they_need(simulated_crm) -> None:
    project = load_project(simulated_crm)
    found = needs_of(build_report(project, read_records(project), NOW))
    for slug in ("features", "score", "capacity"):
        assert "train one with leadscore train" in found[slug][0]


def test_model_of_new_leads_gets_advice_to_train_on_older_ones(trained) -> None:
    def said(*learned: float) -> str:
        by_age = [{"age_days": days} for days in learned]
        return unlearned_age(age, replace(trained.scorer.card, test={"by_age": by_age}))

    age = np.arange(40, 400) * DAY
    assert "it knows leads of 0 and 7" in said(0, 7)
    assert "Name more ages in [learn] moments_days" in said(0)
    assert said(0, 200) == said() == ""


def test_x_education_report_states_what_is_missing(public_data) -> None:
    project = load_project(EXAMPLES / "xeducation.toml")
    report = build_report(project, read_records(project), NOW)
    found = needs_of(report)
    assert "needs a table [stages]" in found["funnel"][0]
    assert "needs a table [activities]" in found["activities"][0]
    assert "time at which each lead was created" in found["service-levels"][0]
    assert found["sources"]
    assert not found["audience"]
    said = [t.sentence for page in report.pages if page.slug == "sources" for t in page.takeaways]
    assert said[0].startswith("Leads from “Welingak Website” convert 2.6× the average")


def test_leads_without_times_have_a_report_without_times(tmp_path) -> None:
    (tmp_path / "leads.csv").write_text(
        "lead_id,won\n" + "".join(f"{i},yes\n{i}x,no\n" for i in range(40))
    )
    (tmp_path / "leadscore.toml").write_text("""
        project.name = "acme"
        leads = {source = "leads.csv", outcome = "won"}
        learn = {won = ["yes"], lost = ["no"]}
    """)
    project = load_project(tmp_path)
    used = build_report(project, read_records(project), NOW).metrics
    texts = [text for each in [*used, *definitions(has_times=False)[:4]] for text in each.values()]
    score = {"gain", "stated_share", "grade_won_share"}
    texts += [t for each in definitions(False) if each["name"] in score for t in each.values()]
    assert len(texts) > 40
    for text in texts:
        assert not re.search(r"horizon|ago\b|creat|moment|since", text), text


def test_note_on_late_wins_is_omitted_at_the_horizon(report) -> None:
    (waiting,) = [t for p in report.pages if p.slug == "age" for t in p.takeaways]
    assert "still open after 90 days" in waiting.sentence
    assert "are in" not in waiting.sentence


def test_bank_report_names_the_narrowest_step(public_data) -> None:
    project = load_project(EXAMPLES / "bpic2012.toml")
    report = build_report(project, read_records(project), NOW)
    pages = {page.slug: page for page in report.pages}
    first = pages["funnel"].takeaways[0]
    assert first.sentence.startswith("The narrowest step is from “A_FINALIZED” to “won”")
    assert (first.evidence["n"], first.evidence["wins"]) == (4_338, 1_813)
    fates = "The 2,525 others: 2,280 lost, 57 open, 188 won after more than 30 days."
    assert first.sentence.endswith(fates)
    (waiting,) = pages["age"].takeaways  # October alone is no trend of four months
    assert (waiting.evidence["n"], waiting.evidence["wins"]) == (4_414, 1_714)
    assert waiting.sentence.endswith("of the wins that come within 30 days of creation are in.")
    assert pages["activities"].takeaways


def test_service_levels_compare_promises_with_responses(simulated_crm, tmp_path) -> None:
    text = (
        (simulated_crm / "leadscore.toml")
        .read_text()
        .replace('source = "', f'source = "{simulated_crm}/')
    )
    text += "[report.targets]\nworked_share = {all = 0.9}\nrevenue_per_week = 1\n"
    (tmp_path / "leadscore.toml").write_text(text)
    project = load_project(tmp_path)
    report = build_report(project, read_records(project), NOW)
    (rows,) = [f.rows for _, f in figures_of(report) if f.name == "service-promises"]
    assert [(row["name"], row["kept"]) for row in rows] == [
        ("Grade all: share worked within 7 days", "no"),
        ("Revenue won a week", "yes"),
    ]


def test_names_are_whole_in_rows_and_shortened_in_sentences(tmp_path) -> None:
    evil = "<script>alert(1)</script>" + "x" * 9_975
    n = 400
    pd.DataFrame(
        {
            "lead_id": range(n),
            "source": [evil, "Mail"] * (n // 2),
            "won": ["yes", "no"] * (n // 2),
        }
    ).to_csv(tmp_path / "leads.csv", index=False)
    (tmp_path / "leadscore.toml").write_text("""
        project.name = "acme"
        leads = {source = "leads.csv", outcome = "won"}
        learn = {won = ["yes"], lost = ["no"]}
    """)
    project = load_project(tmp_path)
    report = build_report(project, read_records(project), NOW)
    (rows,) = [f.rows for _, f in figures_of(report) if f.name == "sources-won"]
    assert evil in {row["name"] for row in rows}
    (said,) = [
        t.sentence for t in report.pages[SLUGS.index("sources")].takeaways if "<" in t.sentence
    ]
    assert len(said) < 250


# -- what changed --------------------------------------------------------------------------


def page_with(wins: int, n: int) -> Page:
    columns = (Column("name", "Source"), Column("value", "Conversion", "share", "won_share"))
    row = {"name": "Fair", "n": n, "wins": wins, "value": wins / n}
    figure = Figure("sources-won", "…", "…", columns, (row,))
    return Page("sources", "Sources", "…", sections=(Section("…", figures=(figure,)),))


ABOUT = {"project": "acme", "since": None, "segment": None, "horizon_days": 90.0}


def last(wins: int, n: int, **about):
    measure = {
        "page": "sources",
        "figure": "sources-won",
        "metric": "won_share",
        "label": "Source",
        "name": "Fair",
        "wins": wins,
        "n": n,
    }
    return {"as_of": "2025-11-01T00:00:00", "about": ABOUT | about | {"measures": [measure]}}


def test_first_report_has_no_changes() -> None:
    assert what_changed([page_with(10, 100)], ABOUT, None) == {}


def test_changes_compare_new_leads_with_earlier_ones() -> None:
    said = what_changed([page_with(100 + 60, 1_000 + 200)], ABOUT, last(100, 1_000))["sources"]
    assert [text.replace("\u00a0", " ") for text in said] == [
        "Conversion, Source “Fair”: up to 30.0 % (n = 200, 24.1 to 36.7 %) of the leads that came "
        "to it since 2025-11-01, from 10.0 % of the 1,000 before."
    ]


def test_differences_within_chance_are_not_changes() -> None:
    said = what_changed([page_with(100 + 24, 1_000 + 200)], ABOUT, last(100, 1_000))["sources"]
    assert said[0].startswith("Nothing changed by more than chance since the report of 2025-11-01")


@pytest.mark.parametrize(
    "other",
    [
        {"segment": ["country", "DE"]},
        {"project": "another"},
        {"horizon_days": 30.0},
    ],
)
def test_reports_of_different_leads_are_not_compared(other) -> None:
    said = what_changed([page_with(160, 1_200)], ABOUT, last(100, 1_000, **other))["sources"]
    assert "its project, filters or horizon differ" in said[0]


def test_figures_whose_leads_change_are_not_compared() -> None:
    """A retrained model's card, grades, and windows of weeks: what they gained is not new leads."""
    (page,) = [page_with(160, 1_200)]
    (rows,) = [f.rows for s in page.sections for f in s.figures]
    for slug in ("score", "capacity", "service-levels"):
        moving = replace(page, slug=slug)
        assert measures_of([moving]) == []
        assert what_changed([moving], ABOUT, last(100, 1_000))[slug][0].startswith("Not compared")
    figure = replace(page.sections[0].figures[0], rows=({**rows[0], "name": "(other values)"},))
    assert measures_of([replace(page, sections=(Section("…", figures=(figure,)),))]) == []


def test_ages_with_the_same_leads_are_reported_once() -> None:
    columns = (Column("name", "Age"), Column("value", "Won", "share", "won_at_age"))
    rows = [{"name": name, "n": 1_200, "wins": 160} for name in ("at creation", "after 1 day")]
    figure = Figure("age-ages", "…", "…", columns, tuple(rows))
    page = Page("age", "Age", "…", sections=(Section("…", figures=(figure,)),))
    before = [row | {"wins": 100, "n": 1_000} for row in measures_of([page])]
    previous = {"as_of": "2025-11-01", "about": ABOUT | {"measures": before}}
    assert len(what_changed([page], ABOUT, previous)["age"]) == 1


@pytest.mark.parametrize(
    "previous",
    [
        {},
        {"about": 3},
        {"about": {"measures": "x"}},
        {"about": ABOUT | {"measures": [3, {"n": "x"}]}},
    ],
)
def test_damaged_last_report_is_ignored(previous) -> None:
    said = what_changed([page_with(160, 1_200)], ABOUT, previous)["sources"]
    assert len(said) == 1


def test_report_compared_with_itself_shows_no_change(report, simulated_crm) -> None:
    project = load_project(simulated_crm)
    previous = {"as_of": report.as_of, "about": report.about}
    again = build_report(project, read_records(project), NOW, previous=previous)
    assert len(again.pages[3].changed) == 1
    assert again.pages[3].changed[0].startswith("No figure here has 30 more leads")
