"""Every page of a report names the moment, and the part of the leads that it is about."""

import datetime
import json
from dataclasses import replace
from pathlib import Path

from reports.content import ChangeNote, Column, Figure, Page, Section, Takeaway
from reports.forms.folder import write_report
from tests.made_reports import made_report

AT = datetime.datetime(2026, 11, 24, 7, tzinfo=datetime.UTC)


def test_every_page_names_the_part_of_the_leads(tmp_path: Path) -> None:
    part = "Only leads created since 2026-01-01 whose industry is Software."
    report = made_report()
    write_report(report, tmp_path / "report", at=AT)
    pages = sorted((tmp_path / "report").glob("*.md"))
    assert len(pages) == len(report.pages) + 2  # the index and the definitions
    for path in pages:
        assert part in path.read_text(), path
    html = (tmp_path / "report" / "index.html").read_text()
    assert html.count(part) == len(report.pages) + 1
    assert part in (tmp_path / "report" / "service-levels.html").read_text()


def test_a_report_of_all_leads_names_no_part(tmp_path: Path) -> None:
    about = {**made_report().about, "since": None, "segment": None}
    write_report(replace(made_report(), about=about), tmp_path / "report", at=AT)
    for path in (tmp_path / "report").glob("*.*"):
        assert "Only leads" not in path.read_text(), path


def test_commands_are_code_on_pages(tmp_path: Path) -> None:
    command = "Run `leadscore monitor --json <b>` & wait."
    code = "Run <code>leadscore monitor --json &lt;b&gt;</code> &amp; wait."
    figure = Figure(
        "commands",
        command,
        command,
        (Column("name", "Name"), Column("step", "Step", "prose")),
        ({"name": command, "step": command}, {"name": "a ` b", "step": f"{'x' * 300} {command}"}),
        note=command,
    )
    evidence = {"value": None, "low": None, "high": None, "n": None}
    page = Page(
        "commands",
        "Commands",
        command,
        (Takeaway(command, evidence, "", ""),),
        (Section("Steps", (command,), (figure,)), Section("None", needs=command)),
        (ChangeNote(command),),
    )
    about = {**made_report().about, "notes": [command]}
    write_report(replace(made_report(), about=about, pages=(page,)), tmp_path / "r", at=AT)
    html = (tmp_path / "r" / "index.html").read_text()
    # The lead, the takeaway, the paragraph, what is needed, the change, the notes of the report and
    # of the figure, its finding and what it is about, and two cells.
    assert html.count(code) == 11
    assert html.count('<table class="stacked">') == 1
    assert html.count('<td class="words" data-title="Step">') == 2
    assert "<bdi>Run `leadscore monitor --json &lt;b&gt;` &amp; wait.</bdi>" in html  # a name
    assert "\\`leadscore monitor" in (tmp_path / "r" / "commands.md").read_text()


def test_a_report_of_records_without_times_shows_no_moment(tmp_path: Path) -> None:
    write_report(replace(made_report(), as_of=None), tmp_path / "report", at=AT)
    for path in (tmp_path / "report").glob("*.md"):
        text = path.read_text()
        assert "The records have no times, so this report has no date." in text
        assert "As of" not in text
    for name in ("index.html", "service-levels.html"):
        html = (tmp_path / "report" / name).read_text()
        assert "The records have no times, so this report has no date." in html
        assert "As of" not in html
    facts = json.loads((tmp_path / "report" / "report.json").read_text())
    assert facts["as_of"] is None
