"""The diary of both teams: one page per day; what people wrote on it is never changed."""

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crm.errors import SourceError
from reports.content import ChangeKind, ChangeNote, Report
from reports.forms.wiki_diary import END, share
from tests.made_reports import hostile_report, made_report

MORNING = datetime.datetime(2026, 11, 24, 8, 30, tzinfo=datetime.UTC)
EVENING = MORNING + datetime.timedelta(hours=9)
NEXT_WEEK = MORNING + datetime.timedelta(days=7)


def report_with_notes(*notes: ChangeNote) -> Report:
    report = made_report()
    first, *rest = report.pages
    return replace(report, pages=(replace(first, changed=notes), *rest))


def test_diary_page_lists_each_takeaway_once(tmp_path: Path) -> None:
    page = share(made_report(), tmp_path / "takeaways", "Ada", MORNING)
    assert page == tmp_path / "takeaways" / "2026-11-24.md"
    assert page.read_text().count("- Webinar leads convert 2.4× the average") == 1


def test_diary_page_names_who_shared_it_and_simulated_records(tmp_path: Path) -> None:
    text = share(made_report(), tmp_path, "Ada", MORNING).read_text()
    assert "This page was shared by Ada at 08:30 UTC." in text
    assert "Simulated: made-up records" in text


def test_diary_page_has_space_for_notes_of_both_teams(tmp_path: Path) -> None:
    text = share(made_report(), tmp_path, "Ada", MORNING).read_text()
    headings = [line for line in text.splitlines() if line.startswith("## Notes")]
    assert headings == ["## Notes of marketing", "## Notes of sales"]


def test_diary_page_lists_changes_since_the_last_report(tmp_path: Path) -> None:
    report = report_with_notes(
        ChangeNote("Webinar rose from 22.0 % to 24.1 %."),
        ChangeNote("Not compared.", ChangeKind.NOT_COMPARED),
        ChangeNote("No clear change.", ChangeKind.UNCHANGED),
    )
    text = share(report, tmp_path, "Ada", MORNING).read_text()
    changes = text.partition("## Since the last report\n\n")[2].partition("\n\n")[0]
    assert changes == "- Webinar rose from 22.0 % to 24.1 %."


def test_diary_page_without_changes_has_no_heading_for_them(tmp_path: Path) -> None:
    report = report_with_notes(ChangeNote("Not compared.", ChangeKind.NOT_COMPARED))
    assert "Since the last report" not in share(report, tmp_path, "Ada", MORNING).read_text()


@pytest.fixture
def edited_page(tmp_path: Path) -> tuple[Path, bytes, bytes]:
    """A page of the morning that people edited: its path, and their text before and after."""
    page = share(made_report(), tmp_path, "Ada", MORNING)
    part, mark, notes = page.read_bytes().partition(END)
    before = "Agenda: ünïcode\r\n\r\n".encode()
    after = notes.replace(b"## Notes of sales", b"We call A leads first. \xff\r\n## Notes of sales")
    after += b"\tno line end"
    page.write_bytes(before + part + mark + after)
    return page, before, after


def test_later_run_keeps_what_people_wrote(edited_page: tuple[Path, bytes, bytes]) -> None:
    page, before, after = edited_page
    share(made_report(), page.parent, "Bob", EVENING)
    text = page.read_bytes()
    assert text.partition(b"<!-- leadscore: begin of ")[0] == before
    assert text.partition(END)[2] == after


def test_later_run_replaces_its_own_part(edited_page: tuple[Path, bytes, bytes]) -> None:
    page, _, _ = edited_page
    share(made_report(simulated=False), page.parent, "Bob", EVENING)
    text = page.read_bytes()
    assert b"shared by Bob at 17:30 UTC" in text
    assert b"Ada" not in text
    assert b"Simulated" not in text


def test_index_lists_the_page_of_every_day_newest_first(tmp_path: Path) -> None:
    for at in (MORNING, NEXT_WEEK):
        share(made_report(), tmp_path, "Ada", at)
    index = (tmp_path / "README.md").read_text()
    assert index.index("[2026-12-01](2026-12-01.md)") < index.index("[2026-11-24](2026-11-24.md)")


def test_index_keeps_what_people_wrote(tmp_path: Path) -> None:
    share(made_report(), tmp_path, "Ada", MORNING)
    index = tmp_path / "README.md"
    index.write_text("# Our wiki\n" + index.read_text() + "See also: the handbook.\n")
    share(made_report(), tmp_path, "Ada", NEXT_WEEK)
    text = index.read_text()
    assert text.startswith("# Our wiki\n")
    assert text.endswith("See also: the handbook.\n")


def test_page_of_an_earlier_day_is_unchanged(tmp_path: Path) -> None:
    page = share(made_report(), tmp_path, "Ada", MORNING)
    before = page.read_bytes()
    share(made_report(), tmp_path, "Ada", NEXT_WEEK)
    assert page.read_bytes() == before


@pytest.fixture
def reports_of_one_day() -> list[Report]:
    """Return reports of one project, of another project, and of one segment."""
    report = made_report()
    segment = replace(report, about={**report.about, "segment": ["industry", "Retail"]})
    return [report, replace(report, name="other"), segment]


def test_other_project_or_segment_has_its_own_page(
    tmp_path: Path, reports_of_one_day: list[Report]
) -> None:
    pages = [share(report, tmp_path, "Ada", MORNING) for report in reports_of_one_day]
    assert [page.name for page in pages] == ["2026-11-24.md", "2026-11-24-2.md", "2026-11-24-3.md"]
    index = (tmp_path / "README.md").read_text()
    assert "[2026-11-24](2026-11-24.md): demo, " in index
    assert "[2026-11-24-3](2026-11-24-3.md): demo, " in index
    assert " whose industry is Retail: " in index


def test_later_run_rewrites_the_page_of_the_same_report(
    tmp_path: Path, reports_of_one_day: list[Report]
) -> None:
    pages = [share(report, tmp_path, "Ada", MORNING) for report in reports_of_one_day]
    notes = pages[1].read_bytes() + b"We call A leads first.\n"
    pages[1].write_bytes(notes)
    assert [share(report, tmp_path, "Bob", EVENING) for report in reports_of_one_day] == pages
    assert pages[1].read_bytes() == notes.replace(b"Ada at 08:30", b"Bob at 17:30")


def test_foreign_readme_gets_the_list_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    share(made_report(), tmp_path, "Ada", MORNING)
    assert (tmp_path / "README.md").read_text().startswith("# Mine\n\n<!-- leadscore: begin")


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text.replace(END, b""),
        lambda text: text[text.index(b"\n") :],
        lambda text: text + b"<!-- leadscore: begin -->",
        lambda text: END + text.replace(END, b""),
    ],
)
def test_page_without_a_marker_is_refused_unchanged(tmp_path: Path, broken: Any) -> None:
    page = share(made_report(), tmp_path, "Ada", MORNING)
    page.write_bytes(broken(page.read_bytes()))
    before = page.read_bytes()
    with pytest.raises(SourceError, match="lacks one of leadscore's marks"):
        share(made_report(), tmp_path, "Bob", EVENING)
    assert page.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-24.md", "README.md"]


def test_names_from_data_cannot_write_markers_or_markup(tmp_path: Path) -> None:
    for at in (MORNING, EVENING):
        page = share(hostile_report(), tmp_path, "<!-- leadscore: end -->", at)
    text = page.read_bytes()
    assert text.count(b"<!--") == 2
    assert text.count(b"-->") == 2
    assert b"<script" not in text
    assert b"](javascript" not in text.replace(b"\\]", b"")


def test_page_of_a_report_without_findings_says_so(tmp_path: Path) -> None:
    report = replace(made_report(), pages=())
    assert "No finding is certain yet" in share(report, tmp_path, "Ada", MORNING).read_text()


def test_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "takeaways").write_text("a file")
    with pytest.raises(SourceError, match="cannot be written to"):
        share(made_report(), tmp_path / "takeaways", "Ada", MORNING)
