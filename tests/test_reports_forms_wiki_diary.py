"""The pages that both teams write on: dated, and never changed where people wrote."""

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crm.errors import SourceError
from reports.forms.wiki_diary import END, share
from tests.made_reports import hostile_report, made_report

MORNING = datetime.datetime(2026, 11, 24, 8, 30, tzinfo=datetime.UTC)
EVENING = MORNING + datetime.timedelta(hours=9)
NEXT_WEEK = MORNING + datetime.timedelta(days=7)


def test_diary_page_lists_takeaways_once_with_space_for_both_teams(tmp_path: Path) -> None:
    page = share(made_report(), tmp_path / "takeaways", "Ada", MORNING)
    text = page.read_text()
    assert page == tmp_path / "takeaways" / "2026-11-24.md"
    assert text.count("- Webinar leads convert 2.4× the average") == 1
    assert "shared by Ada at 08:30 UTC" in text
    assert "Simulated: made-up records" in text
    assert "- Webinar rose from 22.0 % to 24.1 %." in text
    assert [line for line in text.splitlines() if line.startswith("## Notes")] == [
        "## Notes of marketing",
        "## Notes of sales",
    ]


def test_later_run_replaces_only_its_own_part(tmp_path: Path) -> None:
    page = share(made_report(), tmp_path, "Ada", MORNING)
    ours = page.read_bytes()
    before = "Agenda: ünïcode\r\n\r\n".encode()
    after = ours.partition(END)[2]
    edited = after.replace(
        b"## Notes of sales", b"We call A leads first. \xff\r\n## Notes of sales"
    )
    page.write_bytes(before + ours.removesuffix(after) + edited + b"\tno line end")
    share(made_report(simulated=False), tmp_path, "Bob", EVENING)
    head, _, rest = page.read_bytes().partition(b"<!-- leadscore: begin of ")
    part, _, tail = rest.partition(END)
    assert head == before
    assert tail == edited + b"\tno line end"
    assert b"shared by Bob at 17:30 UTC" in part
    assert b"Ada" not in part
    assert b"Simulated" not in part


def test_every_day_has_a_page_listed_newest_first(tmp_path: Path) -> None:
    share(made_report(), tmp_path, "Ada", MORNING)
    index = tmp_path / "README.md"
    index.write_text("# Our wiki\n" + index.read_text() + "See also: the handbook.\n")
    first = (tmp_path / "2026-11-24.md").read_bytes()
    share(made_report(), tmp_path, "Ada", NEXT_WEEK)
    text = index.read_text()
    assert text.startswith("# Our wiki\n")
    assert text.endswith("See also: the handbook.\n")
    assert text.index("[2026-12-01](2026-12-01.md)") < text.index("[2026-11-24](2026-11-24.md)")
    assert (tmp_path / "2026-11-24.md").read_bytes() == first


def test_other_project_or_segment_has_its_own_page(tmp_path: Path) -> None:
    made = made_report()
    few = replace(made, about={**made.about, "segment": ["industry", "Retail"]})
    reports = (made, replace(made, name="other"), few)
    pages = [share(report, tmp_path, "Ada", MORNING) for report in reports]
    assert [page.name for page in pages] == ["2026-11-24.md", "2026-11-24-2.md", "2026-11-24-3.md"]
    notes = pages[1].read_bytes() + b"We call A leads first.\n"
    pages[1].write_bytes(notes)
    assert [share(report, tmp_path, "Bob", EVENING) for report in reports] == pages
    assert pages[1].read_bytes() == notes.replace(b"Ada at 08:30", b"Bob at 17:30")
    index = (tmp_path / "README.md").read_text()
    assert "[2026-11-24](2026-11-24.md): demo, " in index
    assert "[2026-11-24-3](2026-11-24-3.md): demo, " in index
    assert "industry = Retail: " in index


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
    there = page.read_bytes()
    with pytest.raises(SourceError, match="lacks one of leadscore's marks"):
        share(made_report(), tmp_path, "Bob", EVENING)
    assert page.read_bytes() == there
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-24.md", "README.md"]


def test_names_from_data_cannot_write_markers_or_markup(tmp_path: Path) -> None:
    for at in (MORNING, EVENING):
        page = share(hostile_report(), tmp_path, "<!-- leadscore: end -->", at)
    text = page.read_bytes()
    assert text.count(b"<!--") == 2
    assert text.count(b"-->") == 2
    assert b"<script" not in text
    assert b"](javascript" not in text.replace(b"\\]", b"")


def test_report_without_findings_states_so(tmp_path: Path) -> None:
    quiet = replace(made_report(), pages=())
    assert "No finding holds up yet" in share(quiet, tmp_path, "Ada", MORNING).read_text()


def test_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "takeaways").write_text("a file")
    with pytest.raises(SourceError, match="cannot be written to"):
        share(made_report(), tmp_path / "takeaways", "Ada", MORNING)
