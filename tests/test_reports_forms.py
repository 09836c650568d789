"""The forms of a report: written completely or not at all, and safe with hostile names."""

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
from reports.content import ChangeNote, Column, Figure, Page, Report, Section
from reports.forms import folder as folder_module
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


class TagParser(HTMLParser):
    """Collects the tags of a text with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: Any, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))


def tags_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Return the tags of a text with their attributes."""
    parser = TagParser()
    parser.feed(html)
    parser.close()
    return parser.tags


def links_of(html: str) -> list[str]:
    """Return the targets of links and pictures."""
    attributes = [attrs for tag, attrs in tags_of(html) if tag in ("a", "img")]
    return [target for attrs in attributes if (target := attrs.get("href") or attrs.get("src"))]


def rendered(markdown: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(markdown)


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


def report_of(figure: Figure) -> Report:
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
    written = write_report(made_report(), tmp_path / "deep" / "report", at=AT)
    assert set(written.files) == FILES
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report"]


def test_write_report_returns_the_size_of_every_file(tmp_path: Path) -> None:
    written = write_report(made_report(), tmp_path / "report", at=AT)
    assert written.files == {name: len(text) for name, text in files_of(written.folder).items()}
    assert written.total_bytes == sum(written.files.values())


def test_service_levels_form_has_the_numbers_of_each_grade(made: Path) -> None:
    tags = [tag for tag, _ in tags_of((made / "service-levels.html").read_text())]
    assert tags.count("tr") == 1 + 14
    assert tags.count("figure") == 0


def test_service_levels_form_has_lines_to_sign_and_no_script(made: Path) -> None:
    text = (made / "service-levels.html").read_text()
    assert "Agreed for marketing" in text
    assert "<script" not in text
    assert links_of(text) == ["csv/service-weeks.csv"]


@pytest.fixture(scope="module")
def sheet() -> str:
    """A sheet of a page with a short table of 14 rows, a long chart and a change."""
    report = made_report()
    figures = {f.name: f for page in report.pages for s in page.sections for f in s.figures}
    chart = figures["funnel-stages"]
    long_chart = replace(chart, rows=chart.rows * 10, finding="A long chart")
    section = Section("Part", (), (figures["service-weeks"], long_chart))
    page = replace(report.pages[-1], sections=(section,), changed=(ChangeNote("It changed."),))
    return sheet_of(report, page)


def test_sheet_leaves_out_long_charts(sheet: str) -> None:
    assert [tag for tag, _ in tags_of(sheet)].count("tr") == 1 + 14
    assert "A long chart" not in sheet


def test_sheet_leaves_out_changes_since_the_last_report(sheet: str) -> None:
    assert "It changed" not in sheet


def test_earlier_report_is_replaced_completely(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(made_report(), folder, at=AT)
    one_page = replace(made_report(), pages=made_report().pages[:1])
    write_report(one_page, folder, at=AT)
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
    foreign_file = tmp_path / name
    foreign_file.parent.mkdir(parents=True, exist_ok=True)
    foreign_file.write_text("mine")
    before = files_of(tmp_path)
    with pytest.raises(SourceError, match="is not part of a report"):
        write_report(made_report(), tmp_path, at=AT)
    assert files_of(tmp_path) == before


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
    before = files_of(folder)

    def fail(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "csv_of", fail)
    with pytest.raises(SourceError, match="cannot be written to .*: No space left on device"):
        write_report(made_report(), folder, at=AT)
    assert files_of(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_failed_rename_restores_the_earlier_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(made_report(), folder, at=AT)
    before = files_of(folder)
    rename = Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(SourceError, match="Permission denied"):
        write_report(made_report(), folder, at=AT)
    assert files_of(folder) == before


@pytest.mark.parametrize("name", ["../x", "a/b", "A", "", "x" * 90, "a b", "-a"])
def test_invalid_file_name_is_refused(tmp_path: Path, name: str) -> None:
    figure = Figure(name, "f", "a", COLUMNS, ())
    with pytest.raises(ValueError, match="is not a valid file name"):
        write_report(report_of(figure), tmp_path / "report", at=AT)
    assert list(tmp_path.iterdir()) == []


# The numbers in each form.


@pytest.fixture(scope="module")
def record(made: Path) -> dict[str, Any]:
    """What the next report reads from the folder."""
    record = read_previous(made)
    assert record is not None
    return record


def test_record_contains_the_times_of_the_report(record: dict[str, Any]) -> None:
    assert record["as_of"] == "2026-11-24T06:00:00+00:00"
    assert record["written_at"] == "2026-11-24T07:00:00+00:00"


def test_record_contains_the_evidence_of_takeaways(record: dict[str, Any]) -> None:
    takeaway = record["pages"][0]["takeaways"][0]
    assert takeaway["evidence"] == {"value": 2.4, "low": 1.9, "high": 3.0, "n": 312}


def test_record_contains_the_rows_of_figures(record: dict[str, Any]) -> None:
    assert record["pages"][1]["sections"][0]["figures"][0]["rows"] == SOURCES


def test_empty_folder_has_no_previous_report(tmp_path: Path) -> None:
    assert read_previous(tmp_path) is None


def test_record_of_another_format_is_not_a_previous_report(tmp_path: Path) -> None:
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


def test_page_links_numbers_to_definitions_and_takeaways_to_figures(made: Path) -> None:
    links = links_of((made / "index.html").read_text())
    assert "#metric-win_rate" in links
    assert "#fig-sources-won" in links


def test_every_link_of_the_page_has_a_target(made: Path) -> None:
    page = (made / "index.html").read_text()
    ids = {f"#{attrs['id']}" for _, attrs in tags_of(page) if attrs.get("id")}
    links = [link for link in links_of(page) if not link.startswith("data:")]
    assert len(links) > 20
    assert [link for link in links if link not in ids and not (made / link).is_file()] == []


def test_page_states_what_a_missing_section_needs(made: Path) -> None:
    assert "This needs a column of costs." in (made / "index.html").read_text()
    assert "> Cost per lead." in (made / "sources.md").read_text()


def test_every_form_names_simulated_records(made: Path) -> None:
    for name in ("index.html", "service-levels.html", "README.md", "sources.md"):
        assert "Simulated: made-up records" in (made / name).read_text(), name


def test_report_of_real_records_does_not_name_simulated_records(tmp_path: Path) -> None:
    write_report(made_report(simulated=False), tmp_path, at=AT)
    assert "Simulated" not in (tmp_path / "index.html").read_text()


def test_markdown_links_and_pictures_exist(made: Path) -> None:
    links = [link for path in made.glob("*.md") for link in links_of(rendered(path.read_text()))]
    assert len(links) > 20
    for link in links:
        file, _, anchor = link.partition("#")
        assert (made / file).is_file(), link
        assert not anchor or f'<a id="{anchor}">' in (made / file).read_text(), link


def test_page_has_a_picture_and_a_specification_of_every_chart(made: Path) -> None:
    page = (made / "index.html").read_text()
    assert page.count("<figure ") == page.count('<svg aria-hidden="true"') == 4
    assert page.count('<script type="application/json">') == 4


def test_ids_on_the_page_are_unique(made: Path) -> None:
    ids = re.findall(r' id="([^"]+)"', (made / "index.html").read_text())
    assert len(ids) == len(set(ids)) > 20


def test_pictures_are_png_files(made: Path) -> None:
    pictures = [path.read_bytes() for path in (made / "pictures").iterdir()]
    assert len(pictures) == 4
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


DRAW_IN_PROCESS = """
import base64, json
from reports.forms.drawings import draw
from tests.made_reports import made_report
drawings = draw(made_report())
print(json.dumps({
    name: [drawing.svg, base64.b64encode(drawing.png).decode()]
    for name, drawing in drawings.items()
}))
"""


def test_pictures_are_the_same_with_wide_fonts(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", DRAW_IN_PROCESS],
        env=os.environ | only_font(tmp_path, 1.4),
        capture_output=True,
        check=True,
        timeout=300,
    )
    drawings = draw(made_report())
    assert json.loads(process.stdout) == {
        name: [drawing.svg, base64.b64encode(drawing.png).decode()]
        for name, drawing in drawings.items()
    }


def test_no_label_reaches_the_edge_of_a_picture(made: Path) -> None:
    pictures = list((made / "pictures").glob("*.png"))
    assert len(pictures) == 4
    for path in pictures:
        with Image.open(path) as image:
            box = ImageChops.invert(image.convert("L")).getbbox()
            assert box is not None
            left, top, right, bottom = box
            assert min(left, top, image.width - right, image.height - bottom) >= 3, path.name


@pytest.fixture(scope="module")
def large_page() -> str:
    """The page of a report with 40 charts of 4,000 points each."""
    rows = [{"source": f"{i:06d} {'y' * 60}", "won": 0.5, "leads": i} for i in range(4_000)]
    columns = (Column("source", "Source"), Column("leads", "Leads", "count"))
    chart = alt.Chart(pd.DataFrame(rows)).mark_point().encode(x="leads", y="won", color="source")
    chart = chart.properties(title="t")
    figures = tuple(Figure(f"heavy-{i}", "f", "a", columns, tuple(rows), chart) for i in range(40))
    page = Page("one", "One", "", (), (Section("Part", (), figures),))
    report = replace(made_report(), pages=(page,))
    drawing = draw(report_of(figures[0]))["heavy-0"]
    return html_of(report, {figure.name: drawing for figure in figures})


def test_page_of_large_charts_is_at_most_3_mb(large_page: str) -> None:
    assert len(large_page.encode()) <= MOST_BYTES


def test_charts_that_do_not_fit_become_links(large_page: str) -> None:
    assert 0 < large_page.count('class="still"') < 40
    assert large_page.count('class="still"') + large_page.count(">The chart</a>") == 40


def test_page_of_small_charts_has_all_of_them(made: Path) -> None:
    page = (made / "index.html").read_text()
    assert page.count('class="still"') == page.count(" data-live") == 4


# Hostile names.


def test_names_add_no_elements_to_the_page(attacked: Path) -> None:
    tags = [tag for tag, _ in tags_of((attacked / "index.html").read_text())]
    assert len(tags) > 500
    assert tags.count("script") == 2 + 2  # two of leadscore, and the data of two charts
    assert not set(tags) & {"iframe", "object", "embed", "form", "input", "link", "base"}


def test_names_add_no_event_handlers_to_the_page(attacked: Path) -> None:
    attributes = [attrs for _, attrs in tags_of((attacked / "index.html").read_text())]
    assert [name for attrs in attributes for name in attrs if name.startswith("on")] == []


def test_names_add_no_addresses_to_the_page(attacked: Path) -> None:
    attributes = [attrs for _, attrs in tags_of((attacked / "index.html").read_text())]
    for name in ("href", "src", "xlink:href"):
        for address in filter(None, (attrs.get(name) for attrs in attributes)):
            assert address.startswith(("#", "csv/", "data:image/png;base64,")), address
            assert ":" not in address.removeprefix("data:image/png;base64,"), address


MARKDOWN_TAGS = {
    *("h1", "h2", "h3", "p", "ul", "li", "a", "img", "blockquote"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


def test_names_are_escaped_in_markdown(attacked: Path) -> None:
    pages = list(attacked.glob("*.md"))
    assert len(pages) == len(HOSTILE) + 2
    for path in pages:
        html = rendered(path.read_text())
        assert {tag for tag, _ in tags_of(html)} <= MARKDOWN_TAGS, path
        for link in links_of(html):
            assert re.fullmatch(r"[a-zA-Z0-9/.#-]*", link), (path, link)


@pytest.mark.parametrize("name", HOSTILE)
def test_escaped_names_contain_no_markup(name: str) -> None:
    html = MarkdownIt("commonmark").render(f"x {escaped(name)}")
    assert [tag for tag, _ in tags_of(html)] == ["p"]


@pytest.mark.parametrize("name", ["attack-0", "attack-1", "table-0"])
def test_csv_cells_start_no_formula_and_are_not_cut(attacked: Path, name: str) -> None:
    text = (attacked / "csv" / f"{name}.csv").read_bytes().decode()
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    cells = [row[0] for row in rows]
    assert len(cells) == len(HOSTILE)
    assert not any(FORMULA.match(cell) for cell in cells)
    assert any(cell.startswith("'") and FORMULA.match(cell[1:]) for cell in cells)
    assert max(len(cell) for cell in cells) == 10_000


def test_bidirectional_control_characters_are_removed(attacked: Path) -> None:
    for path in [attacked / "index.html", *attacked.glob("*.md")]:
        assert not set(path.read_text()) & set("\u202e\u2066\u200f\u200b\u2028\ufeff"), path


NAMES_FOR_VEGA = sorted([*INHERITED, "datum.won + 1", '"] = 1; ["', "a\u2028b", "\\"])
ROWS_FOR_VEGA = [{**SOURCES[0], "source": name} for name in NAMES_FOR_VEGA]


@pytest.mark.parametrize(
    "chart",
    [
        bars(ROWS_FOR_VEGA),
        alt.Chart(pd.DataFrame(ROWS_FOR_VEGA))
        .mark_bar()
        .encode(x="won", y="source", color="source"),
    ],
    ids=["layers", "single"],
)
def test_names_of_javascript_properties_are_text_in_vega(
    chart: alt.Chart | alt.LayerChart,
) -> None:
    figure = Figure("names", "f", "a", COLUMNS, tuple(ROWS_FOR_VEGA), chart.properties(title="t"))
    drawing = draw(report_of(figure))["names"]
    values = next(iter(json.loads(drawing.specification)["datasets"].values()))
    assert {row["source"].strip() for row in values} >= {"constructor", "datum.won + 1"}
    assert [
        name for name in ("constructor", "datum.won + 1", "a b") if name not in drawing.svg
    ] == []


def test_chart_specification_cannot_end_its_script(attacked: Path) -> None:
    page = (attacked / "index.html").read_text()
    specifications = re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)
    assert len(specifications) == 2
    for specification in specifications:
        assert not set(specification) & set("<>&\u2028")
        json.loads(specification)


# What is installed.


def test_wheel_contains_templates_styles_scripts_and_fonts(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed_files = set(archive.namelist())
    forms = root / "reports" / "forms"
    data_files = {
        path.relative_to(root).as_posix()
        for folder in ("templates", "static", "fonts")
        for path in (forms / folder).iterdir()
        if path.is_file()
    }
    assert len(data_files) >= 16
    assert data_files <= packed_files


# One cell.


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.1234, "share", "12.3\u00a0%"),
        (1234567, "count", "1,234,567"),
        (12.34, "days", "12\N{NO-BREAK SPACE}days"),
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
def test_cell_is_formatted_by_its_column(value: object, form: str, text: str) -> None:
    assert written(value, form) == text


def test_plain_converts_numpy_values_and_times() -> None:
    table = pd.DataFrame({"n": [1], "x": [0.5], "at": [pd.Timestamp("2026-11-24", tz="UTC")]})
    row = table.iloc[0].to_dict()
    assert plain(row) == {"n": 1, "x": 0.5, "at": "2026-11-24T00:00:00+00:00"}


def test_index_links_to_every_page() -> None:
    pages = pages_of(made_report(), {})
    for slug in ("month", "sources", "score", "service-levels"):
        assert f"]({slug}.md)" in pages["README.md"]
