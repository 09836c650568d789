"""A written report in a real browser: opened from disk, without a network, with hostile names."""

import datetime
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from crm.project import TargetKeys, load_project
from crm.reading import read_records
from reports.content import Report
from reports.forms.folder import write_report
from reports.forms.html import MOST_ROWS
from reports.report import build_report
from tests.conftest import skip
from tests.fonts import only_font
from tests.made_reports import HOSTILE, hostile_report, made_report

HERE = Path(__file__).resolve().parent
SCREENSHOTS = HERE.parent / "build" / "screenshots"
AT = datetime.datetime(2026, 11, 24, 7, tzinfo=datetime.UTC)
SERIOUS = ("serious", "critical")
A4_LESS_MARGINS = 1_009  # pixels of 1/96 inch: a taller figure cannot stay whole

Observations = dict[str, Any]  # what tests/browser/visit.mjs prints
Visit = Callable[[Report, str], Observations]


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium")
    return path or skip("no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def scripts() -> Path:
    """Install Playwright and axe as tests/browser/package-lock.json pins them."""
    folder = HERE / "browser"
    if shutil.which("npm") is None:
        skip("no npm: apt-get install nodejs npm")
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        process = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if process.returncode:
            skip(f"npm ci failed: {process.stderr[-500:]}")
        os.utime(installed)
    return folder


def output_of(*command: str, env: dict[str, str] | None = None) -> Any:
    """Run a script in Node.js and return the JSON object that it prints."""
    process = subprocess.run(
        ["node", *command], env=env, capture_output=True, text=True, timeout=600
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def visit(scripts: Path, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """Return a function that writes a report, opens it and returns what the browser observed."""

    def open_report(report: Report, name: str) -> Observations:
        folder = tmp_path_factory.mktemp("written") / name
        write_report(report, folder, at=AT)
        screenshots = SCREENSHOTS / name
        shutil.rmtree(screenshots, ignore_errors=True)
        screenshots.mkdir(parents=True)
        script = str(scripts / "visit.mjs")
        observations: Observations = output_of(script, str(folder), str(screenshots), chromium)
        return observations | {"folder": str(folder)}

    return open_report


@pytest.fixture(scope="module")
def made(visit: Visit) -> Observations:
    return visit(made_report(), "made")


@pytest.fixture(scope="module")
def attacked(visit: Visit) -> Observations:
    return visit(hostile_report(), "attacked")


@pytest.fixture(scope="module")
def simulated(visit: Visit, simulated_crm: Path, trained: Any) -> Observations:
    """Return what the browser observed in the report of a simulated CRM with every target."""
    target = dict.fromkeys("ABCD", 0.5)
    targets = TargetKeys(target, target, target, target, revenue_per_week=9_000.0)
    project = load_project(simulated_crm)
    project = replace(project, report=structs.replace(project.report, targets=targets))
    report = build_report(project, read_records(project), AT, trained.scorer)
    return visit(report, "simulated")


@pytest.fixture(params=["made", "attacked", "simulated"])
def every_report(request: pytest.FixtureRequest) -> Observations:
    observations: Observations = request.getfixturevalue(request.param)
    return observations


@pytest.fixture(params=["made", "simulated"])
def usual_report(request: pytest.FixtureRequest) -> Observations:
    observations: Observations = request.getfixturevalue(request.param)
    return observations


def figures_of(observations: Observations, key: str) -> dict[str, Any]:
    """Return what was observed under `key` for each figure of all pages."""
    return {
        figure: observed
        for page in observations["pages"].values()
        for figure, observed in page[key].items()
    }


def test_pages_open_one_at_a_time_at_both_widths(every_report: Observations) -> None:
    slugs, pages = every_report["slugs"], every_report["pages"]
    assert len(slugs) >= 5
    assert set(pages) == {f"{slug} {width}" for slug in slugs for width in ("desktop", "phone")}
    for name, page in pages.items():
        assert page["open"] == [name.split()[0]]
        assert page["current"] == 1


def test_page_loads_only_files_of_the_report(every_report: Observations) -> None:
    requests = every_report["requests"]
    assert len(requests) >= 3
    assert all(address.startswith("file:///") for address in requests)
    names = {address.rpartition("/")[2] for address in requests}
    assert names <= {"index.html", "service-levels.html"}


def test_console_stays_empty(every_report: Observations) -> None:
    assert every_report["console"] == []
    assert every_report["errors"] == []


def test_no_injected_script_runs(attacked: Observations) -> None:
    assert len(attacked["slugs"]) == len(HOSTILE) + 1
    assert attacked["dialogs"] == []
    assert attacked["popups"] == []
    assert attacked["hacked"] is False


def test_charts_fit_the_screen_at_both_widths(every_report: Observations) -> None:
    figures = [
        (name, figure) for name, page in every_report["pages"].items() for figure in page["figures"]
    ]
    assert len(figures) >= 4
    for name, figure in figures:
        assert figure["live"], (name, figure)
        assert figure["marks"] > 3, (name, figure)
        assert figure["still"] == 1, (name, figure)
        assert figure["right"] <= (390 if name.endswith("phone") else 1280), (name, figure)


Layout = dict[str, Any]  # what tests/browser/layout.mjs prints


@pytest.fixture(scope="module", params=["made", "simulated"])
def layouts(
    request: pytest.FixtureRequest,
    scripts: Path,
    chromium: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Layout, Layout]:
    """Measure a report on a machine with a narrow font, and on one with a wide font."""
    folder = request.getfixturevalue(request.param)["folder"]
    script = str(scripts / "layout.mjs")
    narrow, wide = (
        output_of(
            script,
            folder,
            chromium,
            env=os.environ | only_font(tmp_path_factory.mktemp("f"), width),
        )
        for width in (0.8, 1.4)
    )
    return narrow, wide


def test_layout_is_the_same_with_narrow_and_wide_fonts(layouts: tuple[Layout, Layout]) -> None:
    narrow, wide = layouts
    assert narrow == wide
    assert len(wide["texts"]["390"]) > 20


def test_no_text_of_a_chart_is_cut_with_a_wide_font(layouts: tuple[Layout, Layout]) -> None:
    _, wide = layouts
    assert set(wide["charts"]) == {"390", "1280"}
    for width, charts in wide["charts"].items():
        assert len(charts) >= 4
        for chart in charts:
            assert chart["right"] <= int(width), chart["id"]
            assert chart["cut"] == [], chart["id"]


def test_labels_of_an_axis_keep_apart(layouts: tuple[Layout, Layout]) -> None:
    for layout in layouts:
        charts = [chart for charts in layout["charts"].values() for chart in charts]
        assert len(charts) >= 8
        assert [(chart["id"], chart["crowded"]) for chart in charts if chart["crowded"]] == []


def test_pointer_shows_tooltips_of_text(every_report: Observations) -> None:
    tooltips = [
        tooltip for page in every_report["pages"].values() for tooltip in page["tooltips"].values()
    ]
    assert len(tooltips) >= 4
    for tooltip in tooltips:
        assert tooltip is not None
        assert ": " in tooltip["text"]
        assert tooltip["inside"]
        assert tooltip["elements"] == 0


def test_arrow_keys_show_the_same_tooltips(usual_report: Observations) -> None:
    arrows_of_figures = figures_of(usual_report, "arrows")
    assert len(arrows_of_figures) >= 4
    for figure, arrows in arrows_of_figures.items():
        assert all(": " in text for text in arrows["texts"]), (figure, arrows)
        assert arrows["hidden"], figure


def test_keyboard_opens_the_table_of_every_chart(usual_report: Observations) -> None:
    tables = figures_of(usual_report, "rows")
    assert len(tables) >= 4
    for figure, table in tables.items():
        match = re.search(r"([\d,]+) rows?$", table["summary"])
        assert match, (figure, table)
        n_rows = int(match[1].replace(",", ""))
        assert table["rows"] == min(n_rows, MOST_ROWS), (figure, table)


def test_pages_fit_the_screen(every_report: Observations) -> None:
    too_wide = [name for name, page in every_report["pages"].items() if page["wider"]]
    assert too_wide == []


def test_tables_have_captions(every_report: Observations) -> None:
    pages = every_report["pages"].items()
    assert [name for name, page in pages if page["withoutCaption"]] == []


def test_linked_figures_are_visible_below_the_links(every_report: Observations) -> None:
    pages = every_report["pages"]
    assert sum(len(page["figures"]) for page in pages.values()) > 1
    for name, page in pages.items():
        assert page["hidden"] == [], name


def test_keyboard_focus_reaches_everything_visibly(usual_report: Observations) -> None:
    results = [page["keyboard"] for page in usual_report["pages"].values() if page["keyboard"]]
    assert len(results) == len(usual_report["slugs"])
    for keyboard in results:
        assert keyboard["wanted"] > 5
        assert keyboard["reached"] == keyboard["wanted"]
        assert keyboard["withoutOutline"] == 0


def test_axe_reports_no_serious_violation(every_report: Observations) -> None:
    assert len(every_report["audited"]) >= 2
    violations = every_report["violations"]
    assert [violation for violation in violations if violation["impact"] in SERIOUS] == []


def test_print_contains_all_pages_and_chart_pictures(every_report: Observations) -> None:
    printed = every_report["print"]
    assert all(printed["pages"])
    assert all(printed["still"])
    assert not any(printed["live"])
    assert printed["sheets"] >= len(every_report["slugs"])


def test_print_fits_the_sheet(every_report: Observations) -> None:
    assert every_report["print"]["wider"] == 0
    assert every_report["print"]["beyond"] == []


def test_print_never_splits_charts_rows_or_cards(every_report: Observations) -> None:
    printed = every_report["print"]
    assert len(printed["whole"]) > 5
    assert set(printed["whole"]) == {"avoid"}
    assert set(printed["blocks"]) == {"inline-block"}
    assert set(printed["followed"]) == {"avoid"}
    assert 0 < printed["tallest"] < A4_LESS_MARGINS


def test_service_levels_print_on_one_sheet(usual_report: Observations) -> None:
    assert usual_report["sheets"] == 1
    assert usual_report["sheetWider"] == 0


def test_page_is_complete_without_scripts(every_report: Observations) -> None:
    bare = every_report["bare"]
    assert bare["shown"] == bare["all"] == len(every_report["slugs"])
    assert bare["still"] == bare["figures"] > 0
