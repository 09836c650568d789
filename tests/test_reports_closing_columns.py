"""A column that is filled when a lead is closed is named with the reason, and never compared."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.errors import ConfigError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from features.groups import FEWEST_LEADS
from reports.content import Page, Report
from reports.forms.csv import csv_of
from reports.forms.json import json_of
from reports.forms.markdown import pages_of
from reports.pages.features.page import features_page
from reports.report import build_report
from reports.rows.building import make_rows
from reports.rows.scored import records_of
from tests.made_projects import project_of_tables
from tests.made_reports import page_of, without_interactions
from training.train import Trained

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PROJECT = (
    project_of_tables("outcomes")
    + """
[report]
source = "origin"
audience = ["industry", "segment", "office", "note"]
"""
)
SEGMENTS, OFFICES = ("pet", "toys", "books"), ("Panama", "Oslo")


def write_crm(folder: Path, project: str = PROJECT) -> tuple[Project, Records]:
    """Write 900 leads; `segment` is filled on winning, and `office` on closing."""
    rng = np.random.default_rng(0)
    n = 900
    created = pd.date_range("2025-01-01", periods=n, freq="8h", tz="UTC")
    state = rng.choice(["won", "lost", "open"], n, p=[0.25, 0.45, 0.3])
    pick = rng.integers(0, 6, n)
    leads = pd.DataFrame({"lead_id": range(n), "created_at": created})
    leads["industry"] = np.where(pick % 2, "Retail", "Energy")
    leads["origin"] = np.array(["Mail", "Fair", "Web"])[pick % 3]
    leads["segment"] = np.where(state == "won", np.array(SEGMENTS)[pick % 3], "")
    leads["office"] = np.where(state == "open", "", np.array(OFFICES)[pick % 2])
    leads["note"] = [f"lead{i}@acme.example" for i in range(n)]
    leads.to_csv(folder / "leads.csv", index=False)
    closed = leads[state != "open"].assign(
        outcome=state[state != "open"], closed_at=created[state != "open"] + pd.Timedelta("20D")
    )
    closed[["lead_id", "outcome", "closed_at"]].to_csv(folder / "outcomes.csv", index=False)
    (folder / "leadscore.toml").write_text(project)
    loaded = load_project(folder)
    return loaded, read_records(loaded, NOW)


def texts_of(report: Report) -> list[str]:
    figures = [f for page in report.pages for section in page.sections for f in section.figures]
    return [json_of(report, ""), *pages_of(report, {}).values(), *map(csv_of, figures)]


def reasons_on(page: Page) -> list[str]:
    return [
        paragraph
        for section in page.sections
        if section.heading == "Columns that are not compared"
        for paragraph in section.paragraphs
    ]


def test_values_that_are_filled_on_closing_are_on_no_page(tmp_path: Path) -> None:
    report = build_report(*write_crm(tmp_path), NOW)
    for text in texts_of(report):
        for value in (*SEGMENTS, *OFFICES):
            assert f"“{value}”" not in text
            assert f": {value}" not in text
    segment, office, note = reasons_on(page_of(report, "audience"))
    assert segment.startswith("“Segment” is not compared. It may be filled or changed when a lead")
    assert "LS102" in segment or "LS101" in segment
    assert "LS101" in office
    assert note.endswith("is not compared. None of its values is shared by 30 leads or more.")
    assert 'known_in_time = ["office"]' in office
    for page in report.pages:
        assert not [t for t in page.takeaways if "Office" in t.sentence or "Segm" in t.sentence]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ('known_later = ["industry"]', "The project file lists it in known_later"),
        ('ignore = ["industry"]', "The project file lists it in ignore"),
    ],
)
def test_columns_that_the_project_withholds_are_refused_by_name(
    tmp_path: Path, columns: str, reason: str
) -> None:
    report = build_report(*write_crm(tmp_path, f"{PROJECT}[columns]\n{columns}\n"), NOW)
    (industry, *_) = [text for text in reasons_on(page_of(report, "audience")) if "Indus" in text]
    assert industry.startswith(f"“Industry” is not compared. {reason}")
    for text in texts_of(report):
        assert "Retail" not in text


def test_a_column_that_a_person_vouches_for_is_compared(tmp_path: Path) -> None:
    vouched = f'{PROJECT}[columns]\nknown_in_time = ["office"]\n'
    report = build_report(*write_crm(tmp_path, vouched), NOW)
    assert not [text for text in reasons_on(page_of(report, "audience")) if "Office" in text]
    headings = [section.heading for section in page_of(report, "audience").sections]
    assert "Office" in headings


def test_a_source_that_is_filled_on_closing_is_refused_by_name(tmp_path: Path) -> None:
    project = PROJECT.replace('source = "origin"', 'source = "office"')
    report = build_report(*write_crm(tmp_path, project), NOW)
    page = page_of(report, "sources")
    assert not [figure for section in page.sections for figure in section.figures]
    assert reasons_on(page)[0].startswith("“Office” is not compared.")
    assert "reason is below" in page.sections[0].needs


def test_a_model_that_learned_from_such_a_field_is_named(
    simulated_crm: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit finds the field in the report's records, though it was fine in training."""
    project = load_project(simulated_crm)
    records = read_records(project)
    is_closed = records.leads["lead_id"].isin(records.outcomes["lead_id"])
    leads = records.leads.assign(industry=records.leads["industry"].where(is_closed))
    records = records_of(replace(records, leads=leads), np.arange(700))
    paired = without_interactions(monkeypatch)
    features = features_page(make_rows(project, records, NOW, trained.scorer))
    assert "industry" not in paired
    assert len(paired) > 5
    first, *others = [takeaway.sentence for takeaway in features.takeaways]
    assert first.startswith("The model learned from “Industry”, which may be filled")
    assert "of the same time" in first
    assert not [sentence for sentence in others if "Industry" in sentence]
    figures = [figure for section in features.sections for figure in section.figures]
    names = {figure.name: {str(row["name"]) for row in figure.rows} for figure in figures}
    assert "Industry" not in names["features-importance"]
    assert "Industry" in names["features-left-out"]
    assert not [f for f in figures if "Industry" in f.finding and f.name != "features-left-out"]


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (("segment", "pet"), "`segment` cannot be a segment. It may be filled"),
        (("lead_id", "7"), "`lead_id` cannot be a segment, because the project file uses it as"),
    ],
)
def test_a_report_about_such_a_value_is_refused(
    tmp_path: Path, segment: tuple[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        build_report(*write_crm(tmp_path), NOW, segment=segment)
    assert "Columns that can be used: `origin`, `industry`" in str(refused.value)


@pytest.mark.parametrize("columns", ["", '[columns]\nignore = ["note"]\n'])
def test_a_wrong_value_prints_no_value_of_single_leads(tmp_path: Path, columns: str) -> None:
    with pytest.raises(ConfigError, match="--segment: ") as refused:
        build_report(*write_crm(tmp_path, PROJECT + columns), NOW, segment=("note", "lead7@acme"))
    assert "acme.example" not in str(refused.value)
    assert "`origin`" in str(refused.value)
    assert f"{FEWEST_LEADS} leads" in str(refused.value) or "lists it in ignore" in str(
        refused.value
    )


def test_deals_of_the_marketplace_name_no_segment(public_data: Path, tmp_path: Path) -> None:
    folder = public_data / "olist_funnel"
    deals = pd.read_csv(folder / "closed_deals.csv")
    leads = pd.read_csv(folder / "mql.csv").merge(
        deals[["mql_id", "business_segment", "lead_type"]], how="left", on="mql_id"
    )
    leads.to_csv(tmp_path / "leads.csv", index=False)
    (tmp_path / "leadscore.toml").write_text(f"""
        project.name = "olist"
        leads = {{source = "leads.csv", lead_id = "mql_id", created_at = "first_contact_date"}}
        learn = {{won = ["won"], horizon_days = 90}}
        report.audience = ["business_segment", "lead_type", "landing_page_id"]
        [outcomes]
        source = "{folder}/closed_deals.csv"
        lead_id = "mql_id"
        closed_at = "won_date"
        every_row = "won"
    """)
    project = load_project(tmp_path)
    report = build_report(project, read_records(project, NOW), NOW)
    segment, lead_type = reasons_on(page_of(report, "audience"))
    assert "Filled for 841 of 842 leads with an outcome and 0 of 7,158 leads without one" in segment
    assert lead_type.startswith("“Lead type” is not compared.")
    for text in texts_of(report):
        assert "audio_video_electronics" not in text
