"""The written report in a real browser: opened from disk, with the network off, and attacked."""

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
from tests.fonts import only_font
from tests.made_reports import HOSTILE, hostile_report, made_report

HERE = Path(__file__).resolve().parent
SCREENSHOTS = HERE.parent / "build" / "screenshots"
AT = datetime.datetime(2026, 11, 24, 7, tzinfo=datetime.UTC)
BAD = ("serious", "critical")
A4_LESS_MARGINS = 1_009  # pixels of 1/96 inch: a taller figure cannot stay whole

Visit = Callable[[Report, str], dict[str, Any]]


def missing(reason: str) -> None:
    """Skip on a machine that lacks something; never in CI."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason, pytrace=False)


@pytest.fixture(scope="module")
def driver() -> Path:
    """Playwright and axe as tests/browser/package-lock.json pins them."""
    folder = HERE / "browser"
    if shutil.which("chromium") is None:
        missing("no chromium: apt-get install chromium")
    if shutil.which("npm") is None:
        missing("no npm: apt-get install nodejs npm")
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            missing(f"npm ci failed: {done.stderr[-500:]}")
        os.utime(installed)
    return folder / "visit.mjs"


@pytest.fixture(scope="module")
def visit(driver: Path, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """Write a report and open it; what the browser saw."""

    def seen(report: Report, name: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("written") / name
        write_report(report, folder, at=AT)
        screenshots = SCREENSHOTS / name
        shutil.rmtree(screenshots, ignore_errors=True)
        screenshots.mkdir(parents=True)
        command = ["node", str(driver), str(folder), str(screenshots), shutil.which("chromium")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout) | {"folder": str(folder)}

    return seen


@pytest.fixture(scope="module")
def made(visit: Visit) -> dict[str, Any]:
    return visit(made_report(), "made")


@pytest.fixture(scope="module")
def attacked(visit: Visit) -> dict[str, Any]:
    return visit(hostile_report(), "attacked")


@pytest.fixture(scope="module")
def simulated(visit: Visit, simulated_crm: Path, trained: Any) -> dict[str, Any]:
    """The report as people get it, of a simulated CRM with all that can be promised."""
    promised = dict.fromkeys("ABCD", 0.5)
    targets = TargetKeys(promised, promised, promised, promised, revenue_per_week=9_000.0)
    project = load_project(simulated_crm)
    project = replace(project, report=structs.replace(project.report, targets=targets))
    report = build_report(project, read_records(project), AT, trained.scorer)
    return visit(report, "simulated")


@pytest.fixture(params=["made", "attacked", "simulated"])
def seen(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.getfixturevalue(request.param)


def test_pages_open_one_at_a_time_at_both_widths(seen: dict[str, Any]) -> None:
    assert len(seen["slugs"]) >= 5
    assert set(seen["pages"]) == {f"{s} {w}" for s in seen["slugs"] for w in ("desktop", "phone")}
    for where, page in seen["pages"].items():
        assert page["open"] == [where.split()[0]]
        assert page["current"] == 1


def test_page_loads_nothing_but_its_own_files(seen: dict[str, Any]) -> None:
    assert len(seen["requests"]) >= 3
    assert {address.rpartition("/")[2] for address in seen["requests"]} <= {
        "index.html",
        "service-levels.html",
    }
    assert all(address.startswith("file:///") for address in seen["requests"])


def test_console_stays_empty(seen: dict[str, Any]) -> None:
    assert seen["console"] == []
    assert seen["errors"] == []


def test_no_injected_script_runs(attacked: dict[str, Any]) -> None:
    assert len(attacked["slugs"]) == len(HOSTILE) + 1
    assert attacked["dialogs"] == []
    assert attacked["popups"] == []
    assert attacked["hacked"] is False


def test_charts_fit_the_screen_at_both_widths(seen: dict[str, Any]) -> None:
    charts = [(w, f) for w, page in seen["pages"].items() for f in page["figures"]]
    assert len(charts) >= 4
    for where, figure in charts:
        assert figure["live"], (where, figure)
        assert figure["marks"] > 3, (where, figure)
        assert figure["still"] == 1, (where, figure)
        assert figure["wide"] <= (390 if where.endswith("phone") else 1280), (where, figure)


@pytest.mark.parametrize("name", ["made", "simulated"])
def test_layout_is_the_same_with_narrow_and_wide_fonts(
    request: pytest.FixtureRequest, driver: Path, tmp_path: Path, name: str
) -> None:
    folder = request.getfixturevalue(name)["folder"]
    command = ["node", str(driver.with_name("layout.mjs")), folder, shutil.which("chromium")]
    layouts = []
    for width in (0.8, 1.4):
        (tmp_path / str(width)).mkdir()
        fonts = os.environ | only_font(tmp_path / str(width), width)
        done = subprocess.run(command, env=fonts, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        layouts.append(json.loads(done.stdout))
    narrow, wide = layouts
    assert narrow == wide
    assert set(wide["charts"]) == {"390", "1280"}
    assert len(wide["texts"]["390"]) > 20
    for width, charts in wide["charts"].items():
        assert len(charts) >= 4
        for chart in charts:
            assert chart["right"] <= int(width), chart["id"]
            assert chart["cut"] == [], chart["id"]


def test_pointer_shows_text_tooltips_only(seen: dict[str, Any]) -> None:
    told = [t for page in seen["pages"].values() for t in page["told"].values()]
    assert len(told) >= 4
    for tooltip in told:
        assert tooltip is not None
        assert ": " in tooltip["text"]
        assert tooltip["inside"]
        assert tooltip["elements"] == 0


@pytest.mark.parametrize("name", ["made", "simulated"])
def test_arrow_keys_show_the_same_tooltips(request: pytest.FixtureRequest, name: str) -> None:
    found = request.getfixturevalue(name)
    read = {
        figure: arrows
        for page in found["pages"].values()
        for figure, arrows in page["arrows"].items()
    }
    assert len(read) >= 4
    for figure, arrows in read.items():
        assert all(": " in said for said in arrows["said"]), (figure, arrows)
        assert arrows["hidden"], figure


@pytest.mark.parametrize("name", ["made", "simulated"])
def test_keyboard_opens_the_table_of_every_chart(request: pytest.FixtureRequest, name: str) -> None:
    found = request.getfixturevalue(name)
    opened = {
        figure: rows for page in found["pages"].values() for figure, rows in page["rows"].items()
    }
    assert len(opened) >= 4
    for figure, rows in opened.items():
        n = int(re.search(r"([\d,]+) rows?$", rows["promised"])[1].replace(",", ""))
        assert rows["rows"] == min(n, MOST_ROWS), (figure, rows)


def test_pages_fit_the_screen_and_tables_have_captions(seen: dict[str, Any]) -> None:
    for where, page in seen["pages"].items():
        assert page["wider"] == 0, where
        assert page["captions"] == 0, where


def test_linked_figures_are_visible_below_the_links(seen: dict[str, Any]) -> None:
    assert sum(len(page["figures"]) for page in seen["pages"].values()) > 1
    for where, page in seen["pages"].items():
        assert page["hidden"] == [], where


@pytest.mark.parametrize("name", ["made", "simulated"])
def test_keyboard_focus_reaches_everything_visibly(
    request: pytest.FixtureRequest, name: str
) -> None:
    found = request.getfixturevalue(name)
    tried = [page["keyboard"] for page in found["pages"].values() if page["keyboard"]]
    assert len(tried) == len(found["slugs"])
    for keyboard in tried:
        assert keyboard["wanted"] > 5
        assert keyboard["reached"] == keyboard["wanted"]
        assert keyboard["unseen"] == 0


def test_axe_reports_no_serious_violation(seen: dict[str, Any]) -> None:
    assert len(seen["judged"]) >= 2
    assert [fault for fault in seen["violations"] if fault["impact"] in BAD] == []


def test_print_contains_all_pages_and_chart_pictures(seen: dict[str, Any]) -> None:
    assert all(seen["print"]["pages"])
    assert all(seen["print"]["still"])
    assert not any(seen["print"]["live"])
    assert seen["print"]["sheets"] >= len(seen["slugs"])
    assert seen["print"]["wider"] == 0
    assert seen["print"]["beyond"] == []


def test_print_never_splits_charts_rows_or_cards(seen: dict[str, Any]) -> None:
    assert len(seen["print"]["whole"]) > 5
    assert set(seen["print"]["whole"]) == {"avoid"}
    assert set(seen["print"]["blocks"]) == {"inline-block"}
    assert set(seen["print"]["followed"]) == {"avoid"}
    assert 0 < seen["print"]["tallest"] < A4_LESS_MARGINS


@pytest.mark.parametrize("name", ["made", "simulated"])
def test_service_levels_print_on_one_sheet(request: pytest.FixtureRequest, name: str) -> None:
    found = request.getfixturevalue(name)
    assert found["sheets"] == 1
    assert found["sheetWider"] == 0


def test_page_is_complete_without_scripts(seen: dict[str, Any]) -> None:
    assert seen["bare"]["shown"] == seen["bare"]["all"] == len(seen["slugs"])
    assert seen["bare"]["still"] == seen["bare"]["figures"] > 0
