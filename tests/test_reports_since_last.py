"""The comparison of a report with the last one."""

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crm.project import load_project
from crm.reading import read_records
from reports.content import ChangeKind, ChangeNote, Column, Comparison, Figure, Page, Section
from reports.report import build_report
from reports.since_last import measures_of, what_changed

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ABOUT: dict[str, Any] = {
    "project": "acme",
    "since": None,
    "segment": None,
    "horizon_days": 90.0,
}


def page_with(wins: int, n: int, name: str = "Fair") -> Page:
    columns = (Column("name", "Source"), Column("value", "Conversion", "share", "won_share"))
    row = {"name": name, "n": n, "wins": wins, "value": wins / n}
    figure = Figure(name="sources-won", finding="…", about="…", columns=columns, rows=(row,))
    return Page("sources", "Sources", "…", sections=(Section("…", figures=(figure,)),))


def last(wins: int, n: int, **about: Any) -> dict[str, Any]:
    measure = {
        "page": "sources",
        "figure": "sources-won",
        "metric": "won_share",
        "label": "Source",
        "name": "Fair",
        "wins": wins,
        "n": n,
    }
    return {"as_of": "2025-11-01T00:00:00", "about": ABOUT | about | {"measures": [measure]}}


def note_of(page: Page, previous: dict[str, Any]) -> ChangeNote:
    (note,) = what_changed([page], ABOUT, previous)[page.slug]
    return note


def test_no_last_report_gives_no_notes() -> None:
    assert what_changed([page_with(10, 100)], ABOUT, None) == {}


def test_new_leads_are_compared_with_the_leads_of_the_last_report() -> None:
    note = note_of(page_with(100 + 60, 1_000 + 200), last(100, 1_000))
    assert note.kind == ChangeKind.CHANGED
    assert note.sentence.replace("\u00a0", " ") == (
        "Conversion, Source “Fair”: up to 30.0 % (60 of 200 leads; between 24.1 and 36.7 %) of the "
        "leads that the report of 2025-11-01 did not count yet, from 10.0 % (100 of 1,000) of "
        "those that it counted."
    )


def test_labels_in_the_style_of_an_older_report_are_the_same_labels() -> None:
    page = page_with(100 + 60, 1_000 + 200)
    (figure,) = page.sections[0].figures
    columns = (Column("name", "Company size"), *figure.columns[1:])
    page = replace(page, sections=(Section("…", figures=(replace(figure, columns=columns),)),))
    previous = last(100, 1_000)
    previous["about"]["measures"][0]["label"] = "company size"
    assert note_of(page, previous).kind == ChangeKind.CHANGED


def test_a_lower_share_is_a_change_down() -> None:
    note = note_of(page_with(300 + 20, 1_000 + 200), last(300, 1_000))
    assert "“Fair”: down to 10.0" in note.sentence


def test_a_difference_within_chance_is_not_a_change() -> None:
    note = note_of(page_with(100 + 24, 1_000 + 200), last(100, 1_000))
    assert note.kind == ChangeKind.UNCHANGED
    assert note.sentence == (
        "No clear change since the report of 2025-11-01; 1 figure was compared."
    )


@pytest.mark.parametrize(
    ("n_new", "n_old", "kind"),
    [
        (30, 30, ChangeKind.CHANGED),
        (29, 30, ChangeKind.NOT_COMPARED),
        (30, 29, ChangeKind.NOT_COMPARED),
    ],
)
def test_fewer_than_30_leads_on_a_side_are_not_compared(
    n_new: int, n_old: int, kind: ChangeKind
) -> None:
    assert note_of(page_with(n_new, n_old + n_new), last(0, n_old)).kind == kind


@pytest.mark.parametrize(
    "facts",
    [
        {"segment": ["country", "DE"]},
        {"project": "another"},
        {"horizon_days": 30.0},
        {"since": "2025-01-01"},
        {"outcomes_from": "2025-02-01T00:00:00+00:00"},
    ],
)
def test_reports_of_other_leads_are_not_compared(facts: dict[str, Any]) -> None:
    note = note_of(page_with(160, 1_200), last(100, 1_000, **facts))
    assert note.kind == ChangeKind.NOT_COMPARED
    assert "its project, filters, horizon or first outcomes differ" in note.sentence


def test_pages_that_do_not_keep_their_leads_are_not_compared() -> None:
    page = replace(page_with(160, 1_200), keeps_leads=False)
    assert measures_of([page]) == []
    note = note_of(page, last(100, 1_000))
    assert note.kind == ChangeKind.NOT_COMPARED
    assert note.sentence.startswith("Not compared with the report of 2025-11-01")


def test_final_figures_are_not_compared() -> None:
    page = page_with(160, 1_200)
    figure = replace(page.sections[0].figures[0], comparison=Comparison.NONE)
    assert measures_of([replace(page, sections=(Section("…", figures=(figure,)),))]) == []


def test_groups_of_different_values_are_not_compared() -> None:
    assert measures_of([page_with(160, 1_200, name="(other values)")]) == []


def test_a_share_in_two_figures_is_listed_once() -> None:
    page = page_with(160, 1_200)
    assert len(measures_of([replace(page, sections=page.sections * 2)])) == 1


@pytest.mark.parametrize(
    ("comparison", "n_changes"), [(Comparison.ONE_ROW, 1), (Comparison.EACH_ROW, 2)]
)
def test_a_figure_of_overlapping_rows_reports_one_change(
    comparison: Comparison, n_changes: int
) -> None:
    columns = (Column("name", "Age"), Column("value", "Won", "share", "won_at_age"))
    rows = tuple({"name": name, "n": 1_200, "wins": 160} for name in ("at creation", "after 1 day"))
    figure = Figure(
        name="age-ages",
        finding="…",
        about="…",
        columns=columns,
        rows=rows,
        comparison=comparison,
    )
    page = Page("age", "Age", "…", sections=(Section("…", figures=(figure,)),))
    earlier_measures = [row | {"wins": 100, "n": 1_000} for row in measures_of([page])]
    previous = {"as_of": "2025-11-01", "about": ABOUT | {"measures": earlier_measures}}
    assert len(what_changed([page], ABOUT, previous)["age"]) == n_changes


@pytest.mark.parametrize(
    "previous",
    [
        {},
        {"about": 3},
        {"about": {"measures": "x"}},
        {"about": ABOUT | {"measures": [3, {"n": "x"}]}},
    ],
)
def test_an_invalid_last_report_is_not_compared(previous: dict[str, Any]) -> None:
    assert note_of(page_with(160, 1_200), previous).kind == ChangeKind.NOT_COMPARED


def test_a_report_compared_with_itself_has_no_change(simulated_crm: Path) -> None:
    project = load_project(simulated_crm)
    records = read_records(project)
    report = build_report(project, records, NOW)
    previous = {"as_of": report.as_of, "about": report.about}
    next_report = build_report(project, records, NOW, previous=previous)
    notes = [note for page in next_report.pages for note in page.changed]
    assert {note.kind for note in notes} == {ChangeKind.NOT_COMPARED}
    assert next_report.pages[3].changed[0].sentence.startswith("No figure here has 30 more leads")


def test_the_first_page_lists_the_changes_of_all_pages(simulated_crm: Path) -> None:
    project = load_project(simulated_crm)
    records = read_records(project)
    report = build_report(project, records, NOW)
    (source,) = (
        row
        for row in report.about["measures"]
        if row["figure"] == "sources-won" and row["name"] == "Referral"
    )
    earlier_row = source | {"wins": 0, "n": source["n"] // 2}
    about = {**report.about, "measures": [earlier_row]}
    previous = {"as_of": "2025-11-01", "about": about}
    next_report = build_report(project, records, NOW, previous=previous)
    assert [note.kind for note in next_report.pages[0].changed] == [ChangeKind.CHANGED]
    assert next_report.pages[0].changed == next_report.pages[3].changed
