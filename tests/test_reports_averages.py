"""Values are compared with the leads that have one, and no ratio exceeds what 100 % allows."""

import datetime
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.times import DAY
from features.attributes.attribute import MISSING_GROUP
from features.groups import Groups
from models.evaluation.comparisons import Contrast, Verdict, contrast
from reports.content import Section
from reports.numbers import duration
from reports.pages.activities.early import Early, content_column
from reports.pages.activities.looks import Look, Reported
from reports.pages.activities.page import activities_page
from reports.pages.audience import audience_page
from reports.pages.averages import average_of, group_contrasts
from reports.pages.funnel.page import funnel_page
from reports.pages.sources.page import sources_page
from reports.pages.sources.revenue import revenue_section
from reports.pages.sources.speed import speed_section
from reports.report import build_report
from reports.rows.building import make_rows
from reports.rows.coverage import Coverage
from reports.rows.rows import ReportRows
from tests.made_reports import figure_of, with_wins

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def with_a_pair_that_becomes_frequent(rows: ReportRows) -> ReportRows:
    """Replace the leads by 40,000, whose values become frequent together when wins do.

    Leads with both values are won twice as often as the others of their time.
    """
    n = 40_000
    generator = np.random.default_rng(0)
    time = np.linspace(0, 1, n)
    place, size = (generator.random(n) < 0.1 + 0.4 * time for _ in range(2))
    won = generator.random(n) < (0.05 + 0.25 * time) * np.where(place & size, 2, 1)
    groups = tuple(
        Groups(column, names, code.astype(np.int64))
        for column, names, code in (("place", ("a", "b"), place), ("size", ("c", "d"), size))
    )
    return with_wins(
        rows,
        won,
        created=np.arange(n) * DAY,
        source=None,
        audience=groups,
    )


def offices(n_known: int = 1_000, n_missing: int = 1_000) -> tuple[Groups, np.ndarray]:
    """Group leads by office: half of the leads of both offices are won, none without an office."""
    code = np.repeat([0, 1, 2], [n_known // 2, n_known // 2, n_missing])
    won = (np.arange(len(code)) % 2 == 0) & (code < 2)
    return Groups("office", ("Panama", "Oslo", MISSING_GROUP), code), won


def test_leads_without_a_value_do_not_lower_the_average() -> None:
    groups, won = offices()
    everyone = np.ones(len(won), dtype=bool)
    average = average_of(groups, everyone, won)
    assert (average.wins, average.n, average.n_missing, average.share.value) == (
        500,
        1_000,
        1_000,
        0.5,
    )
    panama, oslo, missing = group_contrasts(groups, everyone, won)
    assert (panama.ratio, oslo.ratio, panama.others) == (1.0, 1.0, 500)
    assert not panama.is_significant
    assert (missing.n, missing.wins, missing.value) == (1_000, 0, 0.0)
    assert (missing.ratio, missing.p, missing.verdict.value) == (
        None,
        None,
        "no value, so not compared",
    )


def test_groups_without_missing_values_are_compared_with_all_leads() -> None:
    groups, won = offices(n_missing=0)
    average = average_of(groups, np.ones(len(won), dtype=bool), won)
    assert (average.words, average.about) == ("the average", "")


def with_a_column_of_half_of_the_leads(rows: ReportRows) -> ReportRows:
    """Add a column that says nothing, and is filled for most won and for few other leads."""
    rng = np.random.default_rng(0)
    is_filled = rng.random(len(rows)) < np.where(rows.won, 0.9, 0.3)
    code = np.where(is_filled, rng.integers(0, 2, len(rows)), 2)
    groups = Groups("office", ("Panama", "Oslo", MISSING_GROUP), code)
    return replace(rows, source=groups, audience=(groups, *rows.audience[:1]))


@pytest.mark.parametrize(
    ("page", "figure"),
    [
        (audience_page, "audience-1"),
        (sources_page, "sources-won"),
        (funnel_page, "funnel-sources"),
        (activities_page, "activities-gaps"),
    ],
)
def test_no_page_finds_values_only_because_others_have_none(
    rows: ReportRows, page: object, figure: str
) -> None:
    assert callable(page)
    built = page(with_a_column_of_half_of_the_leads(rows))
    table = figure_of(built, figure).rows
    of_the_column = [row for row in table if "Oslo" in row["name"] or "Panama" in row["name"]]
    missing = [row for row in table if MISSING_GROUP in row["name"]]
    assert of_the_column
    assert missing
    assert {row["ratio"] for row in missing} == {None}
    assert {row["verdict"] for row in missing} == {"no value, so not compared"}
    for row in of_the_column:
        assert row["verdict"] not in ("above the others", "below the others")
        if row["ratio"] is not None:
            assert 0.5 < row["ratio"] < 1.5
    for takeaway in built.takeaways:
        assert "Panama" not in takeaway.sentence
        assert "Oslo" not in takeaway.sentence


def test_the_upper_end_of_a_ratio_is_that_of_all_leads_won(rows: ReportRows) -> None:
    code = np.where(rows.won & (np.arange(len(rows)) % 3 > 0), 0, 1)
    audience = (Groups("segment", ("pet", "other"), code),)
    pet = figure_of(audience_page(replace(rows, audience=audience)), "audience-1").rows[0]
    wins, n = rows.rate
    assert pet["value"] == 1.0
    assert pet["ratio_high"] == pytest.approx(n / wins)


def chart_text(section: Section) -> str:
    """Return the specification of the first chart as text."""
    chart = section.figures[0].chart
    assert chart is not None
    return json.dumps(chart.to_dict(), ensure_ascii=False)


def won_after(rows: ReportRows, days: np.ndarray) -> ReportRows:
    """Return rows of leads that are all won, each after a number of days."""
    everyone = np.ones(len(days), dtype=bool)
    return replace(
        rows,
        created=np.zeros(len(days), dtype=np.int64),
        closed=days * DAY,
        closed_by=days * DAY,
        is_won=everyone,
        is_lost=~everyone,
        won=everyone,
        is_old=everyone,
        is_mature=everyone,
        amount=np.zeros(len(days)),
    )


@pytest.mark.parametrize(("slowest", "n_takeaways"), [(10, 0), (30, 1)])
def test_a_source_with_the_median_of_all_is_not_called_slower(
    rows: ReportRows, slowest: int, n_takeaways: int
) -> None:
    """The days of the two sources differ; their medians do so only in the second case."""
    fast = np.repeat([1, 10, 11], [80, 40, 80])
    slow = np.repeat([9, 10, slowest, 30], [80, 38, 2, 80])
    if n_takeaways:
        slow = np.repeat([9, 30], [20, 180])
    days = np.concatenate([fast, slow])
    groups = Groups("source", ("Fast", "Slow"), np.repeat([0, 1], 200))
    section, takeaways = speed_section(won_after(rows, days), groups)
    assert len(takeaways) == n_takeaways
    verdicts = {row["name"]: row["verdict"] for row in section.figures[0].rows}
    words = f"half of all wins come within {duration(float(np.median(days)))}"
    assert f"dashed: {words}" in chart_text(section)
    if n_takeaways:
        assert takeaways[0].sentence.endswith(f"H{words[1:]}.")
        assert verdicts == {"Fast": "below the others", "Slow": "above the others"}
    else:
        assert set(verdicts.values()) == {"no clear difference"}


def test_sources_are_compared_with_the_wins_that_have_one(rows: ReportRows) -> None:
    days = np.repeat([9, 30, 90], [40, 100, 260])
    groups = Groups("source", ("Fast", "Slow", MISSING_GROUP), np.repeat([0, 1, 2], [40, 100, 260]))
    section, takeaways = speed_section(won_after(rows, days), groups)
    words = "half of the 140 wins with a source come within 30\u00a0days"
    assert f"dashed: {words}" in chart_text(section)
    assert takeaways[0].sentence.endswith(f"H{words[1:]}.")


def test_course_leads_are_compared_with_leads_that_chose(public_data: Path) -> None:
    project = load_project(EXAMPLES / "xeducation.toml")
    report = build_report(project, read_records(project), NOW)
    (page,) = (page for page in report.pages if page.slug == "audience")
    (worker,) = (
        row for row in figure_of(page, "audience-1").rows if row["name"] == "Working Professional"
    )
    assert worker["ratio"] == pytest.approx(647 / 706 / (3_191 / 6_550))
    assert worker["ratio_high"] <= 6_550 / 3_191
    missing = figure_of(page, "audience-1").rows[-2:]
    assert MISSING_GROUP in {row["name"] for row in missing}


def test_pairs_with_most_leads_of_their_values_are_not_a_finding(public_data: Path) -> None:
    project = load_project(EXAMPLES / "xeducation.toml")
    report = build_report(project, read_records(project), NOW)
    (page,) = (page for page in report.pages if page.slug == "audience")
    sentences = [takeaway.sentence for takeaway in page.takeaways]
    assert sentences
    assert not [sentence for sentence in sentences if "each value alone suggests" in sentence]


def test_pairs_of_the_bank_that_came_at_a_good_time_are_not_a_finding(public_data: Path) -> None:
    project = load_project(EXAMPLES / "bank_marketing.toml")
    page = audience_page(make_rows(project, read_records(project, NOW), NOW))
    (together,) = (section for section in page.sections if section.heading == "Combinations")
    assert not together.figures  # "student × university.degree" and "retired × basic.4y" before
    assert together.paragraphs == (
        "Of 197 pairs of values, none is clearly won more or less often than its two values alone "
        "suggest.",
    )


def test_a_takeaway_names_the_comparison_within_time(rows: ReportRows) -> None:
    page = audience_page(with_a_pair_that_becomes_frequent(rows))
    (figure,) = (f for s in page.sections for f in s.figures if f.name == "audience-pairs")
    (row,) = (row for row in figure.rows if row["name"] == "Place: b × Size: d")
    assert row["expected_of"] == "leads of the same time"
    assert row["value"] == row["wins"] / row["n"] > row["expected"]
    assert row["ratio"] == pytest.approx(row["time_value"] / row["time_average"])
    (sentence,) = (t.sentence for t in page.takeaways if t.evidence["name"] == row["name"])
    assert "more often than each value alone suggests at the same time" in sentence
    assert f"({row['wins']:,} of {row['n']:,} leads" in sentence


def test_revenue_of_a_source_is_compared_with_leads_of_the_same_time(rows: ReportRows) -> None:
    n = 20_000
    generator = np.random.default_rng(0)
    time = np.linspace(0, 1, n)
    fair, won = (generator.random(n) < share for share in (0.1 + 0.6 * time, 0.1 + 0.2 * time))
    amount = np.where(won, 100.0 + 900 * time + 50 * generator.random(n), 0.0)
    made = with_wins(
        rows,
        won,
        created=np.arange(n) * DAY,
        amount=amount,
        coverage=Coverage(n_wins=int(won.sum()), n_with_amount=int(won.sum())),
        source=Groups("source", ("Mail", "Fair"), fair.astype(np.int64)),
        now=None,
    )
    section, takeaways = revenue_section(made, made.source or Groups("", (), np.zeros(0, int)))
    (figure,) = section.figures
    assert takeaways == ()
    assert figure.finding == "Revenue per lead does not differ clearly between sources"
    of_fair = next(row for row in figure.rows if row["name"] == "Fair")
    assert of_fair["value"] == pytest.approx(amount[fair].mean())
    assert of_fair["value"] > 1.2 * amount.mean()
    assert of_fair["ratio"] == pytest.approx(1, abs=0.05)
    assert of_fair["compared"] == "leads of the same time"
    assert "“Fair” in the leads changes over time" in figure.note
    assert figure.has_columns(["time_value", "time_average"])
    worse = replace(made, amount=np.where(fair, 0.6, 1) * amount)
    section, takeaways = revenue_section(worse, made.source or Groups("", (), np.zeros(0, int)))
    (takeaway,) = (t for t in takeaways if t.evidence["name"] == "Fair")
    evidence = takeaway.evidence
    assert takeaway.sentence.startswith(
        "A lead from “Fair” brings less revenue than the average at the same time: "
        f"{evidence['time_value']:,.0f}\u00a0EUR where the average is "
        f"{evidence['time_average']:,.0f}\u00a0EUR ("
    )
    assert takeaway.sentence.endswith(
        f" times as much). Over all times, {evidence['n']:,} leads bring "
        f"{evidence['value']:,.0f}\u00a0EUR each."
    )


def test_an_activity_of_every_lead_of_a_stage_is_not_compared(public_data: Path) -> None:
    project = load_project(EXAMPLES / "bpic2012.toml")
    page = activities_page(make_rows(project, read_records(project, NOW), NOW))
    figure = figure_of(page, "activities-stages")
    everyone = [row for row in figure.rows if row["verdict"] == Verdict.SAME]
    assert len(everyone) == 6
    assert {(row["ratio"], row["ratio_low"], row["ratio_high"], row["p"]) for row in everyone} == {
        (1, None, None, None)
    }
    judged = [row for row in figure.rows if row["p"] is not None]
    assert f" of {len(judged)} comparisons of an activity in a stage" in figure.finding


def test_steps_that_all_leads_take_are_not_counted_as_compared(rows: ReportRows) -> None:
    figure = figure_of(funnel_page(rows), "funnel-sources")
    first = [row for row in figure.rows if row["name"].endswith("created → new")]
    assert {row["verdict"] for row in first} == {Verdict.SAME}
    judged = [row for row in figure.rows if row["p"] is not None]
    assert 0 < len(judged) <= len(figure.rows) - len(first)
    assert f" of {len(judged)} comparisons of a source at a step" in figure.finding


def early_with(contrasts: list[Contrast], column: str = "", n_all: int | None = None) -> Early:
    """Make a comparison of activities that the first, the next … 50 of 2,000 leads had."""
    had = np.packbits(np.arange(2_000) // 50 == np.arange(len(contrasts))[:, None], axis=1)
    return Early(
        heading="Early",
        slug="early",
        kind=("call", "calls"),
        names=[f"call {i}" for i in range(len(contrasts))],
        look=Look(contrasts=contrasts, wins=320, n=2_000, had=had),
        column=column,
        about="2,000 leads",
        days=7.0,
        n_all=len(contrasts) if n_all is None else n_all,
    )


def test_the_average_of_early_activities_is_of_all_leads_that_were_open() -> None:
    group = contrast(45, 1_000, 320, 2_000)
    within = replace(group, ratio=0.71, p=0.9, time_value=0.1, time_average=0.14)
    (figure,) = early_with([within]).section().figures
    expected = (
        "No group differs clearly from the average, 16.0\u00a0% (320 of 2,000); 1 group is "
        "compared with leads of the same time"
    )
    assert figure.finding == expected


def test_the_three_most_certain_early_activities_are_takeaways() -> None:
    early = early_with([contrast(wins, 50, 320, 2_000) for wins in (30, 50, 25, 40, 45)])
    takeaways = early.takeaways(Reported())
    assert [takeaway.evidence["name"] for takeaway in takeaways] == ["call 1", "call 4", "call 3"]


def test_early_activities_that_are_not_compared_are_last() -> None:
    low, high = contrast(2, 50, 320, 2_000), contrast(20, 50, 320, 2_000)
    without_others = replace(high, ratio=None, ratio_low=None, ratio_high=None, p=None, others=0)
    (figure,) = early_with([without_others, low, high]).section().figures
    assert [row["name"] for row in figure.rows] == ["call 2", "call 1", "call 0"]


def test_the_column_of_contents_is_named_before_those_that_are_left_out() -> None:
    section = early_with([contrast(20, 50, 320, 2_000)] * 2, column="asset", n_all=3).section()
    assert section.paragraphs == (
        "“Content” means the column “asset”.",
        "The 2 most frequent of 3 calls are compared; 1 is left out.",
    )


@pytest.mark.parametrize(("column", "named"), [("asset", "asset"), ("Content", "")])
def test_the_column_of_contents_is_named_unless_its_name_says_so(
    rows: ReportRows, column: str, named: str
) -> None:
    activities = rows.project.activities
    assert activities is not None
    renamed = msgspec.structs.replace(activities, content=column)
    project = replace(rows.project, activities=renamed)
    assert content_column(replace(rows, project=project)) == named
