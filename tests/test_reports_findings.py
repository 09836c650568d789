"""The titles and takeaways of pages, compared with their tables."""

import datetime
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from crm.times import DAY
from features.feature import Feature
from features.groups import Groups
from reports.charts.lines import lines_chart
from reports.pages.activities.gaps import _contents_seen
from reports.pages.activities.looks import twins
from reports.pages.activities.page import activities_page
from reports.pages.audience import audience_page
from reports.pages.features.curves import CurveRow, _curve
from reports.pages.funnel.page import funnel_page
from reports.rows.journeys import Log
from reports.rows.rows import ReportRows
from tests.made_reports import figure_of, with_wins

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("counts", "finding"),
    [
        (
            (60, 30),
            "The most frequent reason is “price” for 66.7\u00a0% (60 of 90) of the lost leads with "
            "a reason",
        ),
        (
            (33, 30),
            "No reason is clearly the most frequent: “price” for 52.4\u00a0% (33 of 63) of the "
            "lost leads, “time” for 47.6\u00a0% (30 of 63)",
        ),
    ],
)
def test_a_reason_is_the_most_frequent_only_beyond_chance(
    rows: ReportRows, counts: tuple[int, int], finding: str
) -> None:
    reason = np.full(len(rows), None, dtype=object)
    lost = np.flatnonzero(rows.is_lost)
    reason[lost[: sum(counts)]] = np.repeat(["price", "time"], counts)
    page = funnel_page(replace(rows, reason=reason))
    assert figure_of(page, "funnel-reasons").finding == finding


def with_two_kinds_of_pairs(rows: ReportRows) -> ReportRows:
    """Build rows: a pair of few leads with a large effect, and pairs of many with a small one.

    The pairs of many leads have smaller p-values.
    """
    cells = [  # place and size of company, leads, wins
        (0, 0, 300, 150),
        (0, 1, 300, 30),
        (1, 0, 300, 30),
        (1, 1, 300, 30),
        (2, 2, 20_000, 8_000),
        (2, 3, 20_000, 7_000),
        (3, 2, 20_000, 7_000),
        (3, 3, 20_000, 8_000),
    ]
    n = np.array([cell[2] for cell in cells])
    place, size = (np.repeat([cell[k] for cell in cells], n) for k in (0, 1))
    won = np.concatenate([np.arange(leads) < wins for _, _, leads, wins in cells])
    order = np.random.default_rng(0).permutation(len(won))  # all pairs come at all times
    place, size, won = place[order], size[order], won[order]
    groups = [
        Groups(name, tuple("abcd"), code) for name, code in (("place", place), ("size", size))
    ]
    empty = np.zeros(len(won), dtype=np.int64)
    return with_wins(
        rows,
        won,
        created=empty,
        source=None,
        audience=tuple(groups),
    )


def test_the_pair_with_the_clearest_difference_is_first(rows: ReportRows) -> None:
    page = audience_page(with_two_kinds_of_pairs(rows))
    first, *other_pairs = figure_of(page, "audience-pairs").rows
    pairs_of_many = [row for row in other_pairs if row["n"] == 20_000]
    assert first["n"] == 300
    assert pairs_of_many
    assert max(row["p"] for row in pairs_of_many) < first["p"]
    assert page.takeaways[-1].sentence.startswith("Leads whose “Place” is “")


def with_two_names_for_a_trial(rows: ReportRows) -> ReportRows:
    """Add a trial, under two names, to the leads that were won after their first week."""
    log = rows.log
    assert log is not None
    later = rows.won & (rows.closed > rows.created + 8 * DAY) & rows.is_mature
    lead = np.repeat(np.flatnonzero(later), 2).astype(np.int32)
    order = np.argsort(np.concatenate([log.lead, lead]), kind="stable")
    trial = (len(log.types) + np.arange(len(lead)) % 2).astype(np.int32)
    none = np.full_like(lead, -1)
    return replace(
        rows,
        log=Log(
            lead=np.concatenate([log.lead, lead])[order],
            at=np.concatenate([log.at, rows.created[lead] + DAY])[order],
            type=np.concatenate([log.type, trial])[order],
            content=np.concatenate([log.content, none])[order],
            channel=np.concatenate([log.channel, none])[order],
            types=(*log.types, "trial", "test drive"),
            contents=log.contents,
            channels=log.channels,
        ),
    )


def test_activities_of_the_same_leads_share_one_takeaway(rows: ReportRows) -> None:
    takeaways = activities_page(with_two_names_for_a_trial(rows)).takeaways
    sentences = [takeaway.sentence for takeaway in takeaways]
    assert (
        "Leads with “trial” and “test drive” up to 7 days after creation, or before it, are won"
        in sentences[0]
    )
    for sentence in sentences[1:]:
        assert not ("days after creation" in sentence and "trial" in sentence)
        assert not ("test drive" in sentence and "trial" not in sentence)


def test_more_than_three_activities_of_the_same_leads_are_counted() -> None:
    names = ["a", "b", "c", "d", "e"]
    had = np.packbits(np.array([[1, 0, 1, 0]] * 5 + [[1, 1, 0, 0]], dtype=bool), axis=1)
    assert twins(names[:3], had, 1) == "“b”, “a” and “c”"
    assert twins(names, had, 0) == "“a”, “b”, “c” and 2 more that the same leads have"
    assert twins([*names, "f"], had, 5) == "“f”"


def test_a_kind_of_lead_that_no_lead_of_the_stage_is_has_no_number_of_contents() -> None:
    groups = Groups("source", ("Fair", "Mail"), np.array([0, 0, 1]))
    inside = np.array([True, True, False])
    fair, mail = _contents_seen(groups, inside, np.array([0, 0, 1], dtype=np.int32))
    assert (fair.per_lead, fair.usual) == (1.5, 1.5)
    assert np.isnan(mail.per_lead)


def test_contents_that_are_people_are_neither_ranked_nor_credited(rows: ReportRows) -> None:
    keys = msgspec.structs.replace(rows.project.report, content_is_people=True)
    page = activities_page(replace(rows, project=replace(rows.project, report=keys)))
    figures = {figure.name for section in page.sections for figure in section.figures}
    assert "attribution-type" in figures
    assert not figures & {"activities-1", "attribution-content", "activities-gaps"}
    assert any("people" in section.needs for section in page.sections)


def test_a_source_has_the_same_step_shares_on_both_pages(rows: ReportRows) -> None:
    steps = figure_of(funnel_page(rows), "funnel-sources").rows
    expected = {row["name"].split(" → ")[0]: (row["n"], row["wins"], row["ratio"]) for row in steps}
    actual = {}
    for row in figure_of(activities_page(rows), "activities-gaps").rows:
        stage, _, group = row["name"].partition(" × Source: ")
        if group:
            actual[f"{group}: {stage}"] = (row["n"], row["wins"], row["ratio"])
    gaps = figure_of(activities_page(rows), "activities-gaps")
    n_gaps = sum(row["gap"] == "yes" for row in gaps.rows)
    n_compared = sum(row["p"] is not None for row in gaps.rows)
    assert gaps.finding.startswith(
        f"In {n_gaps} of {n_compared} comparisons of a kind of lead in a stage, these leads"
        if n_gaps
        else "No kind of lead clearly goes on less often and sees less content in any stage"
    )
    assert len(actual) > 20
    assert actual == {key: expected[key] for key in actual}


def test_months_with_few_leads_of_a_grade_are_drawn_together() -> None:
    months = [(20, 0.5), (25, 0.1), (40, 0.2), (12, None), (35, 0.3), (5, 0.9)]
    rows = [
        {"x": f"2025-0{i}", "series": "grade A", "n": n, "value": value}
        for i, (n, value) in enumerate(months, start=1)
    ]
    chart = lines_chart(rows, "", "", x="Month", y="Conversion")
    assert chart is not None
    (data,) = chart.to_dict()["datasets"].values()
    points = {row["span"]: (row["n"], row["value"]) for row in data}
    assert points.pop("2025-04") == (12, None)
    assert points == {
        "2025-01 to 2025-02": (45, pytest.approx((10 + 2.5) / 45)),
        "2025-03": (40, pytest.approx(0.2)),
        "2025-05 to 2025-06": (40, pytest.approx((10.5 + 4.5) / 40)),
    }


@pytest.mark.parametrize(
    ("feature", "finding", "is_time"),
    [
        (
            Feature(
                "first",
                "activities",
                "occurred_at",
                "days",
                "first activity {value} after creation",
                measure="time from creation to first activity",
            ),
            "Time from creation to first activity: +4 points for leads with 2 days to 9 days, −16 "
            "for leads with less than a minute to 1 hour",
            True,
        ),
        (
            Feature("n", "activities", "type", "count", "{value} calls", measure="calls"),
            "Calls: +4 points for 2 days to 9 days, −16 for less than a minute to 1 hour",
            False,
        ),
    ],
)
def test_points_of_the_time_to_an_activity_are_described_and_not_advised(
    feature: Feature, finding: str, is_time: bool
) -> None:
    table = [
        CurveRow(name=name, x=x, n=500, value=points, low=points - 1, high=points + 1)
        for name, x, points in (
            ("less than a minute to 1 hour", 0.01, -16.0),
            ("2 days to 9 days", 4.0, 4.0),
        )
    ]
    curve = _curve("features-1", feature, table, "1,000 leads")
    assert curve.finding == finding
    assert ("should be faster or slower" in curve.note) == is_time
