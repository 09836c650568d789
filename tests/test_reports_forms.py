"""A report in its forms: whole or not at all, every number in each, and names that stay names."""

import base64
import csv
import datetime
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from PIL import Image, ImageChops

from crm.cells import FORMULA
from crm.errors import SourceError
from reports.content import ChangeNote, Column, Figure, Page, Section
from reports.forms import folder as write
from reports.forms.cells import plain, written
from reports.forms.drawings import INHERITED, draw
from reports.forms.folder import check_folder, read_previous, write_report
from reports.forms.html import MOST_BYTES, html_of, sheet_of
from reports.forms.markdown import escaped, pages_of
from tests.fonts import only_font
from tests.made_reports import COLUMNS, HOSTILE, SOURCES, bars, hostile_report, made_report

AT = datetime.datetime(2026, 11, 24, 7, tzinfo=datetime.UTC)
FILES = {
    "index.html",
    "report.json",
    "README.md",
    "definitions.md",
    "service-levels.html",
    "month.md",
    "sources.md",
    "score.md",
    "service-levels.md",
    "csv/funnel-stages.csv",
    "csv/sources-won.csv",
    "csv/sources-table.csv",
    "csv/gains.csv",
    "csv/drivers.csv",
    "csv/service-weeks.csv",
    "pictures/funnel-stages.png",
    "pictures/sources-won.png",
    "pictures/gains.png",
    "pictures/drivers.png",
}


class Tags(HTMLParser):
    """All tags of a text, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: Any, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "report"
    write_report(made_report(), folder, at=AT)
    return folder


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacked") / "report"
    write_report(hostile_report(), folder, at=AT)
    return folder


def report_of(figure: Figure) -> Any:
    page = Page("one", "One", "", (), (Section("Part", (), (figure,)),))
    return replace(made_report(), pages=(page,))


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# The folder.


def test_report_folder_has_a_file_for_every_figure(tmp_path: Path) -> None:
    done = write_report(made_report(), tmp_path / "deep" / "report", at=AT)
    assert set(done.files) == FILES
    assert done.files == {name: len(text) for name, text in files_of(done.folder).items()}
    assert done.total_bytes == sum(done.files.values())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report"]


def test_service_levels_form_has_the_numbers_of_each_grade(made: Path) -> None:
    text = (made / "service-levels.html").read_text()
    tags = Tags(text).found
    assert "Agreed for marketing" in text
    assert "<script" not in text
    assert [attrs["href"] for tag, attrs in tags if tag == "a"] == ["csv/service-weeks.csv"]
    assert sum(tag == "tr" for tag, _ in tags) == 1 + 14
    assert sum(tag == "figure" for tag, _ in tags) == 0


def test_service_levels_sheet_has_short_tables_only() -> None:
    report = made_report()
    figures = {f.name: f for page in report.pages for s in page.sections for f in s.figures}
    short, drawn = figures["service-weeks"], figures["funnel-stages"]
    long = replace(drawn, rows=drawn.rows * 10, finding="A long one")
    section = Section("Part", (), (short, long))
    page = replace(report.pages[-1], sections=(section,), changed=(ChangeNote("It changed."),))
    text = sheet_of(report, page)
    assert sum(tag == "tr" for tag, _ in Tags(text).found) == 1 + len(short.rows)
    assert "A long one" not in text
    assert "It changed" not in text


def test_earlier_report_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(made_report(), folder, at=AT)
    fewer = replace(made_report(), pages=made_report().pages[:1])
    write_report(fewer, folder, at=AT)
    assert set(files_of(folder)) == {
        "index.html",
        "report.json",
        "README.md",
        "definitions.md",
        "month.md",
        "csv/funnel-stages.csv",
        "pictures/funnel-stages.png",
    }


@pytest.mark.parametrize("name", ["notes.md", "csv/mine.csv", ".git/config", "pictures/csv/x.png"])
def test_folder_with_foreign_files_is_refused_unchanged(tmp_path: Path, name: str) -> None:
    write_report(made_report(), tmp_path, at=AT)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    there = files_of(tmp_path)
    with pytest.raises(SourceError, match="is not part of a report"):
        write_report(made_report(), tmp_path, at=AT)
    assert files_of(tmp_path) == there


def test_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("a site of mine")
    with pytest.raises(SourceError, match=r"'index.html', which is not part of a report"):
        write_report(made_report(), tmp_path, at=AT)


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(SourceError, match="is not a folder"):
        check_folder(tmp_path / "report")


def test_failed_write_keeps_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(made_report(), folder, at=AT)
    there = files_of(folder)

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "csv_of", full)
    with pytest.raises(SourceError, match="cannot be written to .*: No space left on device"):
        write_report(made_report(), folder, at=AT)
    assert files_of(folder) == there
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_failed_rename_restores_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(made_report(), folder, at=AT)
    there = files_of(folder)
    rename = Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(SourceError, match="Permission denied"):
        write_report(made_report(), folder, at=AT)
    assert files_of(folder) == there


@pytest.mark.parametrize("name", ["../x", "a/b", "A", "", "x" * 90, "a b", "-a"])
def test_invalid_file_name_is_refused(tmp_path: Path, name: Any) -> None:
    figure = Figure(name, "f", "a", COLUMNS, ())
    with pytest.raises(ValueError, match="is not a valid file name"):
        write_report(report_of(figure), tmp_path / "report", at=AT)
    assert list(tmp_path.iterdir()) == []


# Every number in each form.


def test_next_report_reads_the_stored_record(made: Path) -> None:
    found = read_previous(made)
    assert found is not None
    assert found["as_of"] == "2026-11-24T06:00:00+00:00"
    assert found["written_at"] == "2026-11-24T07:00:00+00:00"
    takeaway = found["pages"][0]["takeaways"][0]
    assert takeaway["evidence"] == {"value": 2.4, "low": 1.9, "high": 3.0, "n": 312}
    rows = found["pages"][1]["sections"][0]["figures"][0]["rows"]
    assert rows == SOURCES


def test_first_report_has_no_comparison(tmp_path: Path) -> None:
    assert read_previous(tmp_path) is None
    (tmp_path / "report.json").write_text('{"format": "leadscore report 0"}')
    assert read_previous(tmp_path) is None


def test_damaged_record_is_reported(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read"):
        read_previous(tmp_path)


def test_csv_contains_all_rows_as_numbers(made: Path) -> None:
    text = (made / "csv" / "sources-won.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["source"] for row in rows] == [row["source"] for row in SOURCES]
    assert rows[0]["won"] == "0.241"
    assert rows[4]["days"] == ""


def test_page_links_numbers_to_definitions_and_figures_to_files(made: Path) -> None:
    tags = Tags((made / "index.html").read_text()).found
    ids = {attrs["id"] for _, attrs in tags if attrs.get("id")}
    links = [attrs["href"] for tag, attrs in tags if tag == "a"]
    assert "#metric-win_rate" in links
    assert "#fig-sources-won" in links
    for link in links:
        assert link[1:] in ids - {""} if link.startswith("#") else (made / link).is_file(), link


def test_page_states_what_a_missing_section_needs(made: Path) -> None:
    assert "it needs a column of cost" in (made / "index.html").read_text()
    assert "> Cost a lead would stand here" in (made / "sources.md").read_text()


def test_every_form_names_simulated_records(made: Path, tmp_path: Path) -> None:
    for name in ("index.html", "service-levels.html", "README.md", "sources.md"):
        assert "Simulated: made-up records" in (made / name).read_text()
    write_report(made_report(simulated=False), tmp_path / "real", at=AT)
    assert "Simulated" not in (tmp_path / "real" / "index.html").read_text()


def test_markdown_links_and_pictures_exist(made: Path) -> None:
    seen = 0
    for path in made.glob("*.md"):
        html = MarkdownIt("commonmark").enable("table").render(path.read_text())
        for tag, attrs in Tags(html).found:
            address = attrs.get("href") or attrs.get("src")
            if tag in ("a", "img") and address:
                file, _, anchor = address.partition("#")
                assert (made / file).is_file(), address
                assert not anchor or f'<a id="{anchor}">' in (made / file).read_text(), address
                seen += 1
    assert seen > 20


def test_picture_and_chart_come_from_one_drawing(made: Path) -> None:
    page = (made / "index.html").read_text()
    assert page.count('<script type="application/json">') == 4
    assert page.count("<figure ") == page.count('<svg aria-hidden="true"') == 4
    for picture in (made / "pictures").iterdir():
        assert picture.read_bytes().startswith(b"\x89PNG")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


DRAW = """
import base64, json
from reports.forms.drawings import draw
from tests.made_reports import made_report
drawings = draw(made_report())
print(json.dumps({k: [d.svg, base64.b64encode(d.png).decode()] for k, d in drawings.items()}))
"""


def test_pictures_are_the_same_with_wide_fonts(tmp_path: Path) -> None:
    environment = os.environ | only_font(tmp_path, 1.4)
    done = subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, capture_output=True, check=True, timeout=300
    )
    drawings = draw(made_report())
    assert json.loads(done.stdout) == {
        name: [drawing.svg, base64.b64encode(drawing.png).decode()]
        for name, drawing in drawings.items()
    }


def test_no_label_reaches_the_edge_of_a_picture(made: Path) -> None:
    pictures = list((made / "pictures").glob("*.png"))
    assert len(pictures) == 4
    for path in pictures:
        with Image.open(path) as image:
            inked = ImageChops.invert(image.convert("L")).getbbox()
            assert inked is not None
            left, top, right, bottom = inked
            assert min(left, top, image.width - right, image.height - bottom) >= 3, path.name


def test_page_is_at_most_3_mb_for_large_charts() -> None:
    rows = [{"source": f"{i:06d} {'y' * 60}", "won": 0.5, "leads": i} for i in range(4_000)]
    columns = (Column("source", "Source"), Column("leads", "Leads", "count"))
    chart = alt.Chart(pd.DataFrame(rows)).mark_point().encode(x="leads", y="won", color="source")
    chart = chart.properties(title="t")
    figures = tuple(Figure(f"heavy-{i}", "f", "a", columns, tuple(rows), chart) for i in range(40))
    page = Page("one", "One", "", (), (Section("Part", (), figures),))
    report = replace(made_report(), pages=(page,))
    drawing = draw(report_of(figures[0]))["heavy-0"]
    text = html_of(report, {figure.name: drawing for figure in figures})
    assert len(text.encode()) <= MOST_BYTES
    assert 0 < text.count('class="still"') < 40
    assert text.count('class="still"') + text.count(">The chart</a>") == 40
    small = html_of(made_report(), draw(made_report()))
    assert small.count('class="still"') == small.count(" data-live") == 4


# Names that stay names.


def test_names_are_escaped_in_html(attacked: Path) -> None:
    tags = Tags((attacked / "index.html").read_text()).found
    assert len(tags) > 500
    assert sum(tag == "script" for tag, _ in tags) == 2 + 2  # ours, and the data of two charts
    for tag, attrs in tags:
        assert tag not in ("iframe", "object", "embed", "form", "input", "link", "base"), tag
        assert not [name for name in attrs if name.startswith("on")], attrs
        for name in ("href", "src", "xlink:href"):
            address = attrs.get(name) or ""
            assert address.startswith(("#", "csv/", "data:image/png;base64,", "")), address
            assert ":" not in address.removeprefix("data:image/png;base64,"), address


def test_names_are_escaped_in_markdown(attacked: Path) -> None:
    allowed = {
        "h1",
        "h2",
        "h3",
        "p",
        "ul",
        "li",
        "a",
        "img",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "blockquote",
    }
    pages = list(attacked.glob("*.md"))
    assert len(pages) == len(HOSTILE) + 2
    for path in pages:
        html = MarkdownIt("commonmark").enable("table").render(path.read_text())
        for tag, attrs in Tags(html).found:
            assert tag in allowed, (path, tag)
            address = attrs.get("href") or attrs.get("src") or ""
            assert re.fullmatch(r"[a-zA-Z0-9/.#-]*", address), (path, address)


@pytest.mark.parametrize("name", HOSTILE)
def test_escaped_names_read_the_same_in_markdown(name: Any) -> None:
    html = MarkdownIt("commonmark").render(f"x {escaped(name)}")
    text = re.sub(r"</?p>", "", html)
    assert Tags(text).found == []


def test_csv_cells_start_no_formula(attacked: Path) -> None:
    for name in ("attack-0", "attack-1", "table-0"):
        text = (attacked / "csv" / f"{name}.csv").read_bytes().decode()
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert len(rows) == 1 + len(HOSTILE)
        for row in rows[1:]:
            assert FORMULA.match(row[0]) is None
        assert [row[0].removeprefix("'") for row in rows[1:] if FORMULA.match(row[0][1:])]
        assert max(len(row[0]) for row in rows) == 10_000


def test_bidirectional_control_characters_are_removed(attacked: Path) -> None:
    for path in [attacked / "index.html", *attacked.glob("*.md")]:
        assert not set(path.read_text()) & set("\u202e\u2066\u200f\u200b\u2028\ufeff"), path


def test_names_of_javascript_properties_are_text_in_vega() -> None:
    names = [*INHERITED, "datum.won + 1", '"] = 1; ["', "a\u2028b", "\\"]
    rows = [{**SOURCES[0], "source": name} for name in sorted(names)]
    for chart in (
        bars(rows),
        alt.Chart(pd.DataFrame(rows)).mark_bar().encode(x="won", y="source", color="source"),
    ):
        figure = Figure("names", "f", "a", COLUMNS, tuple(rows), chart.properties(title="t"))
        drawing = draw(report_of(figure))["names"]
        for name in ("constructor", "datum.won + 1", "a b"):
            assert name in drawing.svg
        values = next(iter(json.loads(drawing.specification)["datasets"].values()))
        assert {row["source"].strip() for row in values} >= {"constructor", "datum.won + 1"}


def test_chart_specification_cannot_end_its_script(attacked: Path) -> None:
    page = (attacked / "index.html").read_text()
    found = re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)
    assert len(found) == 2
    for text in found:
        assert not set(text) & set("<>&\u2028")
        json.loads(text)


# What is installed.


def test_wheel_contains_templates_styles_scripts_and_fonts(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    forms = root / "reports" / "forms"
    data = {
        path.relative_to(root).as_posix()
        for folder in ("templates", "static", "fonts")
        for path in (forms / folder).iterdir()
        if path.is_file()
    }
    assert len(data) >= 16
    assert data <= packed


# One cell.


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.1234, "share", "12.3\u00a0%"),
        (1234567, "count", "1,234,567"),
        (12.34, "days", "12.3"),
        (1234.5, "amount", "1,234"),
        (2.4, "ratio", "2.40"),
        (209.0, "ratio", "209"),
        (636_134.46, "ratio", "636,134"),
        (0.0042, "ratio", "0.004"),
        (3e-9, "ratio", "< 0.0001"),
        (73, "score", "73"),
        (-4.25, "points", "−4.2"),
        ("2026-11-24T06:00:00+00:00", "time", "2026-11-24 06:00"),
        (None, "text", "–"),
        (float("nan"), "share", "–"),
        (float("inf"), "amount", "–"),
        ("too few", "share", "too few"),
        (True, "text", "True"),
        ("x" * 100, "text", "x" * 59 + "…"),
    ],
)
def test_cell_is_formatted_by_its_column(value: Any, form: str, text: Any) -> None:
    assert written(value, form) == text


def test_numpy_values_and_times_become_plain() -> None:
    table = pd.DataFrame({"n": [1], "x": [0.5], "at": [pd.Timestamp("2026-11-24", tz="UTC")]})
    row = table.iloc[0].to_dict()
    assert plain(row) == {"n": 1, "x": 0.5, "at": "2026-11-24T00:00:00+00:00"}


def test_index_links_to_every_page() -> None:
    pages = pages_of(made_report(), {})
    for slug in ("month", "sources", "score", "service-levels"):
        assert f"]({slug}.md)" in pages["README.md"]
