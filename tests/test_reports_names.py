"""Names from data are written as most records write them, on every page and in every form."""

import datetime
import json

import pytest

from crm.project import Project
from crm.records import Records
from reports.content import Report
from reports.forms.csv import csv_of
from reports.forms.html import html_of
from reports.forms.json import json_of
from reports.forms.markdown import pages_of
from reports.report import build_report
from tests.made_spellings import NAMES, write_crm

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Records]:
    return write_crm(tmp_path_factory.mktemp("names"))


@pytest.fixture(scope="module")
def report(crm: tuple[Project, Records]) -> Report:
    return build_report(*crm, NOW)


def texts_of(report: Report) -> dict[str, str]:
    """Return the report in all of its forms."""
    figures = [f for page in report.pages for section in page.sections for f in section.figures]
    charts = [json.dumps(figure.chart.to_dict()) for figure in figures if figure.chart]
    return {
        "json": json_of(report, ""),
        "markdown": "\n".join(pages_of(report, {}).values()),
        "html": html_of(report, {}),
        "csv": "\n".join(map(csv_of, figures)),
        "charts": "\n".join(charts),
    }


def test_names_are_spelled_as_in_most_records(report: Report) -> None:
    texts = texts_of(report)
    for usual, rare in NAMES.items():
        assert usual in texts["json"], usual
        for form, text in texts.items():
            assert rare not in text, (form, rare)
