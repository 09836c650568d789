"""The content of the pages, and what they need."""

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
from reports.content import Figure, Page, Report
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
]


@pytest.fixture(scope="module")
def report(simulated_crm: Path, trained: Trained) -> Report:
    project = load_project(simulated_crm)
    return build_report(project, read_records(project), NOW, trained.scorer)


def figures_of(report: Report) -> list[tuple[Page, Figure]]:
    return [(page, f) for page in report.pages for s in page.sections for f in s.figures]


def needs_of(report: Report) -> dict[str, list[str]]:
    return {p.slug: [s.needs for s in p.sections if s.needs] for p in report.pages}


def test_pages_have_their_order(report: Report) -> None:
    assert [page.slug for page in report.pages] == SLUGS


def test_figure_names_are_unique_and_valid_file_names(report: Report) -> None:
    names = [figure.name for _, figure in figures_of(report)]
    assert len(names) == len(set(names)) > 25
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


def test_cells_are_numbers_texts_or_none(report: Report) -> None:
    for _, figure in figures_of(report):
        for row in figure.rows:
            for cell in row.values():
                assert cell is None or type(cell) in (int, float, str, bool)
                assert not (isinstance(cell, float) and not np.isfinite(cell))


def test_rows_have_all_columns(report: Report) -> None:
    for _, figure in figures_of(report):
        keys = {column.key for column in figure.columns}
        assert all(keys <= row.keys() for row in figure.rows), figure.name


def test_metrics_are_defined_in_the_report(report: Report) -> None:
    defined = {each["name"] for each in report.metrics}
    used = {t.metric for page in report.pages for t in page.takeaways}
    used |= {c.metric for _, figure in figures_of(report) for c in figure.columns if c.metric}
    assert used <= defined <= set(DEFINITIONS)
    assert len(used) > 25


def test_columns_of_numbers_have_a_definition(report: Report) -> None:
    columns = [(f.name, c) for _, f in figures_of(report) for c in f.columns]
    numbers = [(name, c) for name, c in columns if c.form not in ("text", "prose", "time")]
    assert len(numbers) > 200
    assert [(name, c.key) for name, c in numbers if not c.metric] == []


def test_column_headings_of_a_table_differ(report: Report) -> None:
    for _, figure in figures_of(report):
        titles = [c.title for c in figure.columns if not c.title.startswith(("from", "to"))]
        assert len(titles) == len(set(titles)), figure.name


def test_takeaways_have_numbers_and_a_figure(report: Report) -> None:
    names = {figure.name for _, figure in figures_of(report)}
    takeaways = [t for page in report.pages for t in page.takeaways]
    assert len(takeaways) > 8
    for takeaway in takeaways:
        assert {"value", "low", "high", "n"} <= takeaway.evidence.keys()
        assert takeaway.figure in names


def test_charts_have_a_specification_and_a_title(report: Report) -> None:
    charts = [figure for _, figure in figures_of(report) if figure.chart is not None]
    assert len(charts) > 20
    for figure in charts:
        assert len(json.dumps(figure.chart.to_dict())) < 60_000
        assert figure.chart.title.text


def test_about_is_plain_data(report: Report) -> None:
    assert json.loads(json.dumps(report.about))["leads"] == 1_500
    assert report.as_of.startswith("2025-12-30")


def test_pages_about_scores_need_a_model(simulated_crm: Path) -> None:
    project = load_project(simulated_crm)
    found = needs_of(build_report(project, read_records(project), NOW))
    for slug in ("features", "score", "capacity"):
        assert "train one with leadscore train" in found[slug][0]


@pytest.mark.parametrize(
    ("learned", "expected"),
    [
        ((0.0, 7.0), "it knows leads of 0 and 7\u00a0days. Name more ages in [learn] moments_days"),
        ((0.0, 200.0), ""),
        ((), ""),
    ],
)
def test_leads_older_than_all_learned_ages_are_reported(
    trained: Trained, learned: tuple[float, ...], expected: str
) -> None:
    by_age = [{"age_days": days} for days in learned]
    age = np.arange(40, 400) * DAY
    sentence = unlearned_age(age, replace(trained.scorer.card, test={"by_age": by_age}))
    assert expected in sentence
    assert bool(sentence) == bool(expected)


def test_pages_without_stages_and_activities_say_what_they_need(public_data: Path) -> None:
    project = load_project(EXAMPLES / "xeducation.toml")
    report = build_report(project, read_records(project), NOW)
    found = needs_of(report)
    assert "needs a table [stages]" in found["funnel"][0]
    assert "needs a table [activities]" in found["activities"][0]
    assert "time at which each lead was created" in found["service-levels"][0]
    assert found["sources"]
    assert not found["audience"]
    said = [t.sentence for page in report.pages if page.slug == "sources" for t in page.takeaways]
    assert said[0].startswith(
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
    used = build_report(project, read_records(project), NOW).metrics
    texts = [text for each in [*used, *definitions(has_times=False)[:4]] for text in each.values()]
    score = {"gain", "stated_share", "grade_won_share"}
    texts += [t for each in definitions(False) if each["name"] in score for t in each.values()]
    assert len(texts) > 40
    for text in texts:
        assert not re.search(r"horizon|ago\b|creat|moment|since", text), text


def test_the_age_takeaway_at_the_horizon_omits_the_share_of_wins(report: Report) -> None:
    (waiting,) = [t for p in report.pages if p.slug == "age" for t in p.takeaways]
    assert "still open after 90 days" in waiting.sentence
    assert "are in" not in waiting.sentence


def test_the_bank_report_finds_the_narrowest_step(public_data: Path) -> None:
    project = load_project(EXAMPLES / "bpic2012.toml")
    report = build_report(project, read_records(project), NOW)
    pages = {page.slug: page for page in report.pages}
    first = pages["funnel"].takeaways[0]
    assert first.sentence.startswith("The narrowest step is from “A_FINALIZED” to “won”")
    assert (first.evidence["n"], first.evidence["wins"]) == (4_338, 1_813)
    fates = (
        "Of the 2,525 leads that do not go on, 2,280 are lost, 57 are open and 188 were won after "
        "more than 30 days."
    )
    assert first.sentence.endswith(fates)
    (waiting,) = pages["age"].takeaways  # October alone is no trend of four months
    assert (waiting.evidence["n"], waiting.evidence["wins"]) == (4_414, 1_714)
    assert waiting.sentence.endswith("of the wins that come within 30 days of creation are in.")
    assert pages["activities"].takeaways


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
    (rows,) = [f.rows for _, f in figures_of(report) if f.name == "service-promises"]
    assert [(row["name"], row["kept"]) for row in rows] == [
        ("Grade all: share worked within 7 days", "no"),
        ("Revenue won a week", "yes"),
    ]


def test_names_from_data_are_whole_in_rows_and_cut_in_sentences(tmp_path: Path) -> None:
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
