"""A report about a part of the leads recomputes each statement, or does not show it."""

import datetime
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from crm.errors import ConfigError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from reports.content import Page, Report
from reports.pages.audience import audience_page
from reports.pages.capacity import capacity_page
from reports.pages.features.page import features_page
from reports.pages.score.page import score_page
from reports.pages.service_levels.page import service_page
from reports.report import build_report
from reports.rows.building import make_rows
from reports.rows.rows import ReportRows
from tests.made_reports import without_interactions
from tests.made_spellings import write_crm
from training.train import Trained

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
# The project file of the demo ends with [report].
TARGETS = """
leads_per_week = 3
[report.targets]
leads_per_week = {A = 40}
"""


@pytest.fixture(scope="module")
def simulated(simulated_crm: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the simulated project with promises."""
    folder = tmp_path_factory.mktemp("segments")
    text = (simulated_crm / "leadscore.toml").read_text()
    text = text.replace('source = "', f'source = "{simulated_crm}/')
    (folder / "leadscore.toml").write_text(text + TARGETS)
    return load_project(folder)


@pytest.fixture(scope="module")
def software(simulated: Project, trained: Trained) -> ReportRows:
    segment = ("Industry", "SOFTWARE")
    return make_rows(simulated, read_records(simulated), NOW, trained.scorer, segment=segment)


def texts_of(page: Page) -> str:
    return "\n".join(
        [
            *(takeaway.sentence for takeaway in page.takeaways),
            *(text for section in page.sections for text in section.paragraphs),
            *(figure.finding for section in page.sections for figure in section.figures),
            *(str(row) for section in page.sections for f in section.figures for row in f.rows),
        ]
    )


def test_a_segment_is_named_as_most_records_write_it(software: ReportRows) -> None:
    assert software.segment == ("industry", "Software")
    assert set(software.records.leads["industry"].str.strip().str.casefold()) == {"software"}


def test_a_constant_does_not_move_the_score(
    software: ReportRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    paired = without_interactions(monkeypatch)
    page = features_page(software)
    figures = {figure.name: figure for section in page.sections for figure in section.figures}
    signals = {row["name"] for row in figures["features-importance"].rows}
    assert "Industry" not in signals
    assert "industry" not in paired
    assert len(signals) > 5
    assert not [takeaway for takeaway in page.takeaways if "Industry" in takeaway.sentence]
    assert "the same for all leads" not in texts_of(page)
    assert sum(row["share"] for row in figures["features-importance"].rows) == pytest.approx(1)
    (left_out,) = (s for s in page.sections if s.heading.startswith("Columns that are not used"))
    assert "It covers all leads, not only those of this report." in left_out.paragraphs[0]


def test_a_column_with_one_value_is_not_compared(software: ReportRows) -> None:
    page = audience_page(software)
    assert "Industry" not in [section.heading for section in page.sections]
    assert "“Industry” is not compared. The leads with a certain outcome all have" in texts_of(page)


def test_figures_about_all_leads_are_not_shown(software: ReportRows) -> None:
    score = score_page(software)
    (test,) = (section for section in score.sections if section.heading.startswith("On leads"))
    assert test.figures == ()
    assert "about some of the leads only" in test.paragraphs[0]
    service = service_page(software)
    (promised,) = (section for section in service.sections if "promised" in section.heading)
    assert promised.figures == ()
    assert "The promises are about all leads" in promised.paragraphs[0]
    capacity = capacity_page(software)
    assert capacity.sections[0].paragraphs[0].startswith("A fifth of these leads is shown.")


def test_promises_and_capacity_are_those_of_all_leads(simulated: Project, trained: Trained) -> None:
    rows = make_rows(simulated, read_records(simulated), NOW, trained.scorer)
    (promised,) = (s for s in service_page(rows).sections if "promised" in s.heading)
    assert promised.figures[0].rows[0]["target"] == 40
    assert capacity_page(rows).sections[0].paragraphs[0].startswith("Sales can work 3 leads a week")


SINCE = datetime.datetime(2025, 10, 15, tzinfo=datetime.UTC)
ABOUT_ALL = (  # words that are about all leads, and say so
    "all leads of this report",
    "all leads of the report",
    "about all leads",
    "of all leads, not only",
    "covers all leads, not only",
    "records of all leads",
    "newest of all leads",
    "fitted again on all leads",
    "same chance for all leads",
)


@pytest.fixture(scope="module")
def newest(simulated: Project) -> Report:
    return build_report(simulated, read_records(simulated), NOW, since=SINCE)


def test_words_of_a_part_are_not_about_all_leads(
    newest: Report, software: ReportRows, simulated: Project
) -> None:
    records = read_records(simulated)
    segment = build_report(simulated, records, NOW, segment=("industry", "Software"))
    pages = [*newest.pages, *segment.pages, score_page(software), capacity_page(software)]
    texts = [texts_of(page) for page in pages]
    texts += [f.about for page in pages for section in page.sections for f in section.figures]
    texts += [str(value) for metric in newest.metrics for value in metric.values()]
    assert len(texts) > 50
    for text in texts:
        words = text.casefold()
        for allowed in ABOUT_ALL:
            words = words.replace(allowed, "")
        for wrong in ("all leads", "every lead", "whenever"):
            assert wrong not in words, words[max(words.index(wrong) - 60, 0) :][:120]


def test_wins_since_a_day_are_those_of_the_leads_since_then(
    newest: Report, simulated: Project
) -> None:
    month = newest.pages[0]
    (summary,) = (s for s in month.sections if s.heading == "All leads of this report")
    assert f"{newest.about['open']:,} of {newest.about['leads']:,} leads" in summary.paragraphs[0]
    figure = month.sections[0].figures[0]
    assert figure.about == "all leads of this report; each row names its 30 days, UTC"
    records = read_records(simulated)
    created = records.leads.set_index("lead_id")["created_at"]
    won = records.outcomes[records.outcomes["outcome"] == "won"]
    end = pd.Timestamp(str(newest.as_of))
    in_days = (won["closed_at"] > end - pd.Timedelta("30D")) & (won["closed_at"] <= end)
    of_part = won["lead_id"].map(created) >= SINCE
    wins = next(row for row in figure.rows if row["name"] == "Wins")
    assert wins["value"] == (in_days & of_part).sum() < in_days.sum()
    assert wins["counted"].startswith("leads of the report that were won")


def test_wins_before_are_not_compared_if_older_leads_are_left_out(newest: Report) -> None:
    section = newest.pages[0].sections[0]
    wins = next(row for row in section.figures[0].rows if row["name"] == "Wins")
    assert (wins["before"], wins["p"], wins["verdict"]) == (None, None, None)
    days = "in the 30 days to 2025-12-30"
    assert f"{wins['value']:,.0f} wins {days}; " in section.figures[0].finding
    assert section.figures[0].finding.endswith(" new leads in the 30 days before")
    assert (
        "Wins and revenue of the 30 days before are not shown: leads created before 2025-10-15 "
        "are left out, so fewer leads could be won in those 30 days than in the newest 30, and "
        "the two numbers cannot be compared."
    ) in section.paragraphs


def test_wins_before_are_compared_if_the_part_begins_early(simulated: Project) -> None:
    since = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    report = build_report(simulated, read_records(simulated), NOW, since=since)
    wins = next(row for row in report.pages[0].sections[0].figures[0].rows if row["name"] == "Wins")
    assert wins["before"] is not None
    assert wins["verdict"] is not None


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Records]:
    project, records = write_crm(tmp_path_factory.mktemp("segment"))
    employees = pd.Series([i % 400 + 1 for i in range(len(records.leads))])
    records.leads["employees"] = employees
    records.leads["email"] = [f"lead{i}@acme.example" for i in range(len(records.leads))]
    return project, records


def test_a_band_of_the_report_is_a_segment(crm: tuple[Project, Records]) -> None:
    whole = make_rows(*crm, NOW)
    (groups,) = (groups for groups in whole.audience if groups.column == "employees")
    band = groups.names[1]
    low, high = map(int, band.split(" to "))
    rows = make_rows(*crm, NOW, segment=("Employees", band))
    assert rows.segment == ("employees", band)
    employees = rows.records.leads["employees"]
    assert (employees.min(), employees.max()) == (low, high)
    assert len(rows) == (groups.code == 1).sum()


def test_stages_of_a_segment_are_those_of_all_leads(crm: tuple[Project, Records]) -> None:
    project, records = crm
    assert records.activities is not None
    without = records.leads["lead_id"][records.leads["employees"] == 2]
    is_offer = records.activities["type"].str.casefold() == "offer"
    kept = ~(is_offer & records.activities["lead_id"].isin(without))
    activities = records.activities[kept].reset_index(drop=True)
    records = replace(records, activities=activities)
    rows = make_rows(project, records, NOW, segment=("employees", "2"))
    assert rows.funnel is not None
    assert rows.funnel.stages == ("Demo", "Offer")
    assert rows.funnel.entered.shape == (len(rows), 2)
    assert rows.log is not None
    assert set(rows.log.lead.tolist()) == set(range(len(rows)))


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (("grade", "A"), "The model gives each lead a grade, which changes with time"),
        (("employees", "1 to 9"), "no lead has `employees` = `1 to 9`.\nDid you mean `1 to 75`"),
        (("email", "x@acme.example"), "No value of `email` is shared by 30 leads or more. Columns"),
        (("emplyees", "2"), "no column `emplyees`.\nDid you mean `employees`"),
    ],
)
def test_a_wrong_segment_names_what_can_be_used(
    crm: tuple[Project, Records], segment: tuple[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        make_rows(*crm, NOW, segment=segment)
    assert "@acme.example" not in str(refused.value).replace("x@acme.example", "")
