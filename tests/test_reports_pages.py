"""The content of the pages, and what they need."""

import datetime
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.times import DAY
from reports.content import Figure, Report, Takeaway
from reports.metrics import DEFINITIONS, definitions
from reports.pages.score.back_test import unlearned_age
from reports.report import build_report
from training.train import Trained

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
    "changes",
    "monitoring",
]


@pytest.fixture(scope="module")
def report(simulated_crm: Path, trained: Trained) -> Report:
    project = load_project(simulated_crm)
    return build_report(project, read_records(project), NOW, trained.scorer)


def figures_of(report: Report) -> list[Figure]:
    return [
        figure for page in report.pages for section in page.sections for figure in section.figures
    ]


def takeaways_of(report: Report, slug: str) -> list[Takeaway]:
    (page,) = (page for page in report.pages if page.slug == slug)
    return list(page.takeaways)


def needs_of(report: Report) -> dict[str, list[str]]:
    return {
        page.slug: [section.needs for section in page.sections if section.needs]
        for page in report.pages
    }


def test_pages_have_their_order(report: Report) -> None:
    assert [page.slug for page in report.pages] == SLUGS


def test_figure_names_are_unique_and_valid_file_names(report: Report) -> None:
    names = [figure.name for figure in figures_of(report)]
    assert len(names) == len(set(names)) > 25
    assert all(re.fullmatch("[a-z0-9-]+", name) for name in names)


def test_cells_are_numbers_texts_or_none(report: Report) -> None:
    for figure in figures_of(report):
        for row in figure.rows:
            for cell in row.values():
                assert cell is None or type(cell) in (int, float, str, bool)
                assert not (isinstance(cell, float) and not np.isfinite(cell))


def test_rows_have_all_columns(report: Report) -> None:
    for figure in figures_of(report):
        keys = {column.key for column in figure.columns}
        assert all(keys <= row.keys() for row in figure.rows), figure.name


def test_metrics_are_defined_in_the_report(report: Report) -> None:
    defined = {metric["name"] for metric in report.metrics}
    used = {takeaway.metric for page in report.pages for takeaway in page.takeaways}
    columns = [column for figure in figures_of(report) for column in figure.columns]
    used |= {column.metric for column in columns if column.metric}
    assert used <= defined <= set(DEFINITIONS)
    assert len(used) > 25


def test_columns_of_numbers_have_a_definition(report: Report) -> None:
    numbers = [
        (figure.name, column)
        for figure in figures_of(report)
        for column in figure.columns
        if column.form not in ("text", "prose", "time")
    ]
    assert len(numbers) > 200
    assert [(figure, column.key) for figure, column in numbers if not column.metric] == []


def test_column_headings_of_a_table_differ(report: Report) -> None:
    for figure in figures_of(report):
        all_titles = [column.title for column in figure.columns]
        titles = [title for title in all_titles if not title.startswith(("from", "to"))]
        assert len(titles) == len(set(titles)), figure.name


def test_takeaways_have_numbers_and_a_figure(report: Report) -> None:
    names = {figure.name for figure in figures_of(report)}
    takeaways = [takeaway for page in report.pages for takeaway in page.takeaways]
    assert len(takeaways) > 8
    for takeaway in takeaways:
        assert {"value", "low", "high", "n"} <= takeaway.evidence.keys()
        assert takeaway.figure in names


def test_charts_have_a_specification_and_a_title(report: Report) -> None:
    with_chart = [figure for figure in figures_of(report) if figure.chart is not None]
    assert len(with_chart) > 20
    for figure in with_chart:
        assert len(json.dumps(figure.chart.to_dict())) < 60_000
        assert figure.chart.title.text


def test_about_is_plain_data(report: Report) -> None:
    assert json.loads(json.dumps(report.about))["leads"] == 1_500
    assert str(report.as_of).startswith("2025-12-30")


def test_pages_about_scores_need_a_model(simulated_crm: Path) -> None:
    project = load_project(simulated_crm)
    needs = needs_of(build_report(project, read_records(project), NOW))
    for slug in ("features", "score", "capacity"):
        assert "train one with leadscore train" in needs[slug][0]


@pytest.mark.parametrize(
    ("learned", "expected"),
    [
        ((0.0, 7.0), "leads that were 0 to 7\u00a0days old. Name more ages in [learn] moments"),
        ((0.0, 0.0), "leads at their creation only. Name more ages in [learn] moments_days"),
        ((0.0, 200.0), ""),
        (None, ""),
    ],
)
def test_leads_older_than_all_learned_ages_are_reported(
    learned: tuple[float, float] | None, expected: str
) -> None:
    sentence = unlearned_age(np.arange(40, 400) * DAY, learned)
    assert expected in sentence
    assert bool(sentence) == bool(expected)


def test_pages_without_stages_and_activities_say_what_they_need(public_data: Path) -> None:
    project = load_project(EXAMPLES / "xeducation.toml")
    report = build_report(project, read_records(project), NOW)
    needs = needs_of(report)
    assert "needs a table [stages]" in needs["funnel"][0]
    assert "needs a table [activities]" in needs["activities"][0]
    assert "time at which each lead was created" in needs["service-levels"][0]
    assert needs["sources"]
    assert not needs["audience"]


def test_the_course_report_finds_the_best_source(public_data: Path) -> None:
    project = load_project(EXAMPLES / "xeducation.toml")
    report = build_report(project, read_records(project), NOW)
    assert takeaways_of(report, "sources")[0].sentence.startswith(
        "Leads from “Welingak Website” are won 2.6 times as often as the average"
    )


def test_definitions_for_leads_without_times_do_not_mention_time(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(
        "lead_id,won\n" + "".join(f"{i},yes\n{i}x,no\n" for i in range(40))
    )
    (tmp_path / "leadscore.toml").write_text("""
        project.name = "acme"
        leads = {source = "leads.csv", outcome = "won"}
        learn = {won = ["yes"], lost = ["no"]}
    """)
    project = load_project(tmp_path)
    report = build_report(project, read_records(project), NOW)
    (filled,) = [f for f in figures_of(report) if f.name == "features-filled"]
    assert filled.finding == "The leads have no columns beside their roles"
    in_report = report.metrics
    without_times = definitions(has_times=False)
    about_scores = [
        metric
        for metric in without_times
        if metric["name"] in ("gain", "stated_share", "grade_won_share")
    ]
    metrics = [*in_report, *without_times[:4], *about_scores]
    texts = [text for metric in metrics for text in metric.values()]
    assert len(texts) > 40
    for text in texts:
        assert not re.search(r"horizon|ago\b|creat|moment|since", text), text


def test_the_age_takeaway_at_the_horizon_omits_the_share_of_wins(report: Report) -> None:
    (waiting,) = takeaways_of(report, "age")
    assert "still open after 90 days" in waiting.sentence
    assert "are in" not in waiting.sentence


@pytest.fixture(scope="module")
def bank_report(public_data: Path) -> Report:
    project = load_project(EXAMPLES / "bpic2012.toml")
    return build_report(project, read_records(project), NOW)


def test_the_bank_report_finds_the_narrowest_step(bank_report: Report) -> None:
    first = takeaways_of(bank_report, "funnel")[0]
    assert first.sentence.startswith("The narrowest step is from “A_FINALIZED” to “won”")
    assert (first.evidence["n"], first.evidence["wins"]) == (4_338, 1_813)
    fates = (
        "Of the 2,525 leads that do not go on, 2,280 are lost, 57 are open and 188 were won after "
        "more than 30 days."
    )
    assert first.sentence.endswith(fates)
    assert takeaways_of(bank_report, "activities")


def test_the_bank_report_shows_no_trend_of_one_exceptional_month(bank_report: Report) -> None:
    (waiting,) = takeaways_of(bank_report, "age")
    assert (waiting.evidence["n"], waiting.evidence["wins"]) == (4_414, 1_714)
    assert waiting.sentence.endswith(" wins that come within 30 days of creation are in.")


def test_promises_are_compared_with_results(simulated_crm: Path, tmp_path: Path) -> None:
    text = (
        (simulated_crm / "leadscore.toml")
        .read_text()
        .replace('source = "', f'source = "{simulated_crm}/')
    )
    text += "[report.targets]\nworked_share = {all = 0.9}\nrevenue_per_week = 1\n"
    (tmp_path / "leadscore.toml").write_text(text)
    project = load_project(tmp_path)
    report = build_report(project, read_records(project), NOW)
    (rows,) = [figure.rows for figure in figures_of(report) if figure.name == "service-promises"]
    assert [(row["name"], row["kept"]) for row in rows] == [
        ("Grade all: share worked within 7 days", "no"),
        ("Revenue won a week (EUR)", "yes"),
    ]


def test_names_from_data_are_whole_in_rows_and_cut_in_sentences(tmp_path: Path) -> None:
    long_name = "<script>alert(1)</script>" + "x" * 9_975
    won = ["yes", "no", "yes", "no", "yes", "no", "no", "yes"] * 50
    leads = {"lead_id": range(400), "source": [long_name, "Mail"] * 200, "won": won}
    pd.DataFrame(leads).to_csv(tmp_path / "leads.csv", index=False)
    (tmp_path / "leadscore.toml").write_text("""
        project.name = "acme"
        leads = {source = "leads.csv", outcome = "won"}
        learn = {won = ["yes"], lost = ["no"]}
    """)
    project = load_project(tmp_path)
    report = build_report(project, read_records(project), NOW)
    (rows,) = [figure.rows for figure in figures_of(report) if figure.name == "sources-won"]
    assert long_name in {row["name"] for row in rows}
    sentences = [takeaway.sentence for takeaway in takeaways_of(report, "sources")]
    (about_long_name,) = (sentence for sentence in sentences if "<" in sentence)
    assert len(about_long_name) < 250


def test_columns_are_shown_by_their_labels(report: Report, simulated_crm: Path) -> None:
    columns = pd.read_csv(simulated_crm / "leads.csv", nrows=0).columns
    names = [name for name in columns if "_" in name]
    assert {"budget_eur", "job_title"} <= set(names)
    texts = [section.heading for page in report.pages for section in page.sections]
    texts += [takeaway.sentence for page in report.pages for takeaway in page.takeaways]
    for figure in figures_of(report):
        texts += [figure.finding, *(column.title for column in figure.columns)]
        texts += [str(row.get("name")) for row in figure.rows]
        for cell in ("direction", "first", "second"):
            texts += [str(row.get(cell)) for row in figure.rows]
    assert any("Budget (EUR)" in text for text in texts)
    assert [text for text in texts if any(name in text for name in names)] == []
