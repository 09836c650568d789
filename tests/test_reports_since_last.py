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


MONTH = Page("month", "This month in one minute", "…", keeps_leads=False)


def page_with(wins: int, n: int, name: str = "Fair") -> Page:
    columns = (
        Column("name", "Source"),
        Column("value", "Conversion", "share", "won_share", ("wins", "n")),
    )
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
    (note,) = what_changed([MONTH, page], ABOUT, previous)[page.slug]
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
        "No clear change since the report of 2025-11-01: 1 of the 1 share of leads on this page "
        "was compared."
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


@pytest.mark.parametrize(
    ("n_new", "wins", "n_old", "why"),
    [
        (29, 5, 30, "1 with fewer than 30 leads that the last report did not count"),
        (60, 20, 29, "1 of fewer than 30 leads in the last report, or not in it"),
        (30, -1, 30, "1 of leads or outcomes that have changed since"),
        (-1, 0, 30, "1 of leads or outcomes that have changed since"),
    ],
)
def test_a_share_that_is_not_compared_is_counted_with_the_reason(
    n_new: int, wins: int, n_old: int, why: str
) -> None:
    note = note_of(page_with(10 + wins, n_old + n_new), last(10, n_old))
    assert note.sentence == (
        "None of the 1 share of leads on this page is compared with the report of 2025-11-01. Not "
        f"compared: {why}."
    )


def test_a_page_without_shares_of_leads_says_so() -> None:
    # Its figures may have many more leads: points, medians and sums are not compared.
    page = page_with(160, 1_200)
    (figure,) = page.sections[0].figures
    columns = (Column("name", "Employees"), Column("value", "Points", "points", "value_points"))
    page = replace(page, sections=(Section("…", figures=(replace(figure, columns=columns),)),))
    assert note_of(page, last(100, 1_000)).sentence == (
        "Not compared with the report of 2025-11-01: this page has no share of leads that can be "
        "compared between reports."
    )


def test_every_share_with_counts_is_compared() -> None:
    columns = (
        Column("name", "Source"),
        Column("qualified_share", "Qualified", "share", "qualified_share", ("n_qualified", "n")),
        Column("value", "Conversion", "share", "won_share", ("wins", "n")),
        Column("low", "from (95 %)", "share", "interval"),
    )
    row = {"name": "Fair", "n": 40, "n_qualified": 20, "wins": 4, "low": 0.1}
    page = page_with(4, 40)
    figure = replace(page.sections[0].figures[0], columns=columns, rows=(row,))
    page = replace(page, sections=(Section("…", figures=(figure,)),))
    assert [(m["metric"], m["wins"], m["n"]) for m in measures_of([page])] == [
        ("qualified_share", 20, 40),
        ("won_share", 4, 40),
    ]


def test_changes_beyond_the_eighth_are_counted() -> None:
    names = [f"S{i}" for i in range(10)]
    rows = tuple({"name": name, "n": 1_200, "wins": 160} for name in names)
    page = page_with(160, 1_200)
    figure = replace(page.sections[0].figures[0], rows=rows)
    page = replace(page, sections=(Section("…", figures=(figure,)),))
    measures = [row | {"wins": 100, "n": 1_000} for row in measures_of([page])]
    previous = {"as_of": "2025-11-01", "about": ABOUT | {"measures": measures}}
    notes = what_changed([MONTH, page], ABOUT, previous)["sources"]
    assert len(notes) == 9
    assert notes[-1].sentence == "Sources: 2 more shares have clearly changed."


def test_the_first_page_says_how_much_came_since() -> None:
    about = ABOUT | {"totals": {"leads": 5_120, "wins": 874, "revenue": 1_250_000.4}}
    totals = {"leads": 5_000, "wins": 873, "revenue": 1_300_000.0}
    previous = last(100, 1_000, totals=totals)
    first, second = what_changed([MONTH, page_with(112, 1_120)], about, previous)["month"]
    assert first.kind == ChangeKind.COUNTED
    assert first.sentence == (
        "Since the report of 2025-11-01: 120 more leads (5,120 now), 1 more win (874 now), 50,000 "
        "less revenue (1,250,000 now)."
    )
    assert second.sentence == (
        "No clear change on any page since the report of 2025-11-01: 1 share of leads was compared."
    )


def test_revenue_that_is_not_known_in_both_reports_is_not_compared() -> None:
    about = ABOUT | {"totals": {"leads": 5_000, "wins": 870, "revenue": None}}
    previous = last(100, 1_000, totals={"leads": 5_000, "wins": 873, "revenue": 9.0})
    assert what_changed([MONTH], about, previous)["month"][0].sentence == (
        "Since the report of 2025-11-01: 0 more leads (5,000 now), 3 fewer wins (870 now)."
    )


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
    value = Column("value", "Won", "share", "won_at_age", ("wins", "n"))
    columns = (Column("name", "Age"), value)
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
    assert len(what_changed([MONTH, page], ABOUT, previous)["age"]) == n_changes


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
    assert {note.kind for note in notes} == {ChangeKind.COUNTED, ChangeKind.NOT_COMPARED}
    counted = next_report.pages[0].changed[0].sentence
    assert " 0 more leads (" in counted
    assert " 0\u00a0EUR more revenue (" in counted
    sources = next_report.pages[3].changed[0].sentence
    assert "on this page is compared with the report of" in sources
    assert "with fewer than 30 leads that the last report did not count" in sources


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
    totals, *changes = next_report.pages[0].changed
    assert totals.kind == ChangeKind.COUNTED
    assert [note.kind for note in changes] == [ChangeKind.CHANGED]
    assert tuple(changes) == next_report.pages[3].changed
