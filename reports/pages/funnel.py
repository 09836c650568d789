"""Funnel: how far leads come, how long it takes, and where they leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Bools, Ints
from crm.times import DAY
from features.events import NEVER
from features.groups import NOT_ALIKE
from models.evaluation.comparisons import (
    CHANCE,
    FEWEST_LEADS,
    Contrast,
    MedianInterval,
    counts_differ,
    median_interval,
    share_of,
    shares_differ,
)
from models.evaluation.intervals import holm
from reports.charts.report import funnel_chart, rates_chart
from reports.content import Column, Figure, Page, Section, ShareRow, TableRow, Takeaway, cells_of
from reports.numbers import percent
from reports.pages.phrases import (
    CHANCE_TITLE,
    about_mature,
    correct_families,
    days_words,
    evidence_of,
    group_contrasts,
    interval_columns,
    mature_words,
    ratio_words,
    share_columns,
    share_words,
)
from reports.rows.journeys import Funnel
from reports.rows.rows import ReportRows
from reports.text import quoted_name

SLUG, TITLE = "funnel", "Funnel"
LEAD = "How far do leads come, how long does it take, and where do they leave?"
STEPS_HEADING = "The way through the stages"
CREATED, WON = "created", "won"
MOST_REASONS = 15


@dataclass(frozen=True, kw_only=True)
class StepRow(ShareRow):
    """The leads that reached the step before, and the share of them that reached this step.

    `lost`, `open` and `late` count the leads that did not: lost, still open, or won too late.
    """

    reached_share: float
    after: str
    days: float | None
    days_late: float | None
    lost: int
    open: int
    late: int


@dataclass(frozen=True, kw_only=True)
class StayRow(TableRow):
    """How long leads stayed in a stage, and how long the open ones have been in it."""

    name: str
    n: int
    stay: MedianInterval | None
    open: int
    open_days: float | None

    def cells(self) -> dict[str, Any]:
        """Return the cells by column; those of a stage that no lead has left are None."""
        stay = self.stay
        return {
            "name": self.name,
            "n": self.n,
            "value": None if stay is None else stay.value,
            "low": None if stay is None else stay.low,
            "high": None if stay is None else stay.high,
            "late": None if stay is None else stay.late,
            "open": self.open,
            "open_days": self.open_days,
        }


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """The steps from creation over the stages to the win.

    Attributes
    ----------
    names : list of str, k long
    reached : list of ndarray of bool, shape (n_leads,)
        True for the leads that reached each step within the horizon.
    times : list of ndarray of int64, shape (n_leads,)
        The time at which each lead reached each step; `NEVER` if it did not.
    """

    names: list[str]
    reached: list[Bools]
    times: list[Ints]

    @classmethod
    def of(cls, rows: ReportRows, funnel: Funnel) -> "_Steps":
        """Find the leads that reached each step; a win counts as having reached every stage."""
        limit = rows.created + rows.horizon
        reached, times = [np.ones(len(rows), dtype=bool)], [rows.created]
        for k in range(len(funnel.stages)):
            at = funnel.reached[:, k]
            reached.append((at <= limit) | rows.won)
            times.append(at)
        reached.append(rows.won)
        times.append(rows.closed)
        return cls(names=[CREATED, *funnel.stages, WON], reached=reached, times=times)


def funnel_page(rows: ReportRows) -> Page:
    """Build the page about the way of leads through the stages, and why they are lost."""
    sections: list[Section] = []
    takeaways: list[Takeaway] = []
    if rows.funnel is None or not rows.funnel.stages:
        sections.append(Section(STEPS_HEADING, needs=_stages_needed(rows)))
    else:
        for section, found in (_way(rows, rows.funnel), _stays(rows, rows.funnel)):
            sections.append(section)
            takeaways += found
    sections.append(_reasons(rows))
    return Page(
        slug=SLUG, title=TITLE, lead=LEAD, takeaways=tuple(takeaways), sections=tuple(sections)
    )


def _stages_needed(rows: ReportRows) -> str:
    needs = (
        "Conversion from stage to stage, time in each, and where leads leave. This needs a table "
        "[stages] with lead_id, stage and entered_at"
    )
    if rows.log is not None:
        return (
            f"{needs}; or, if some types of activity are the stages, [report] stage_activities = "
            '["…"] in the order of the funnel. Nothing is inferred from other activities.'
        )
    if not rows.has_times:
        return f"{needs}. It also needs the time at which each lead was created."
    return f"{needs}."


def _way(rows: ReportRows, funnel: Funnel) -> tuple[Section, list[Takeaway]]:
    steps = _Steps.of(rows, funnel)
    table = _step_rows(rows, steps)
    takeaways = _narrowest(table, rows.horizon_days)
    finding = f"{percent(table[-1].reached_share)} of the leads are won"
    if takeaways:
        finding = takeaways[0].sentence.partition(":")[0]
    about = f"{about_mature(rows)}; within {rows.horizon_days:g} days of creation"
    columns = (
        Column("name", "Step"),
        Column("after", "After"),
        Column("n", "Reached the one before", "count"),
        Column("wins", "Reached it", "count"),
        Column("reached_share", "Of all", "share", "reached_share"),
        *share_columns("Goes on", "step_share"),
        Column("days", "Median days", "days", "step_days"),
        Column("days_late", "Nine of ten within", "days", "nine_of_ten"),
        Column("lost", "Lost before it", "count", "lost_after"),
        Column("open", "Still open before it", "count", "open_after"),
        Column("late", "Won too late to count", "count", "late_wins"),
    )
    cells = cells_of(table)
    figure = Figure(
        name="funnel-steps",
        finding=finding,
        about=about,
        columns=columns,
        rows=cells,
        chart=funnel_chart(cells, finding, about),
        note="A lead that skipped a stage counts as having reached it.",
    )
    by_source, source_takeaways = _steps_by_source(rows, steps)
    takeaways += _steps_over_time(rows, steps) + source_takeaways
    paragraphs: tuple[str, ...] = ()
    if funnel.endings:
        names = ", ".join(map(quoted_name, funnel.endings))
        paragraphs = (f"Not shown as steps, because they are the outcome itself: {names}.",)
    return Section(STEPS_HEADING, paragraphs, (figure, *by_source)), takeaways


def _step_rows(rows: ReportRows, steps: _Steps) -> list[StepRow]:
    n_all, table = int(rows.is_mature.sum()), []
    for k in range(1, len(steps.names)):
        before = rows.is_mature & steps.reached[k - 1]
        here = rows.is_mature & steps.reached[k]
        start, end = steps.times[k - 1], steps.times[k]
        dated = here & (end != NEVER) & (start != NEVER)
        took = median_interval(np.maximum(end[dated] - start[dated], 0) / DAY)
        left = before & ~steps.reached[k]
        table.append(
            StepRow(
                name=steps.names[k],
                share=share_of(int(here.sum()), int(before.sum())),
                reached_share=float(here.sum() / max(n_all, 1)),
                after=steps.names[k - 1],
                days=None if took is None else took.value,
                days_late=None if took is None else took.late,
                lost=int((left & rows.is_lost).sum()),
                open=int((left & ~rows.is_lost & ~rows.is_won).sum()),
                late=int((left & rows.is_won).sum()),
            )
        )
    return table


def _narrowest(table: Sequence[StepRow], horizon_days: float) -> list[Takeaway]:
    """Return the step where the smallest share goes on, if it is clearly the smallest."""
    judged = sorted(
        (row for row in table if row.share.n >= FEWEST_LEADS), key=lambda row: row.share.value
    )
    if len(judged) < 2 or judged[0].share.high >= judged[1].share.low:
        return []
    worst, next_worst = judged[:2]
    rest = ""
    gone = worst.share.n - worst.share.wins
    if gone:
        rest = (
            f" Of the {gone:,} others, {worst.lost:,} are lost, {worst.open:,} are open and "
            f"{worst.late:,} were won after more than {horizon_days:g} days."
        )
    return [
        Takeaway(
            f"The narrowest step is from {quoted_name(worst.after)} to {quoted_name(worst.name)}: "
            f"{share_words(worst.share)} go on; at the next narrowest step, to "
            f"{quoted_name(next_worst.name)}, {percent(next_worst.share.value)} do.{rest}",
            {"name": worst.name, **worst.share.cells()},
            "step_share",
            "funnel-steps",
        )
    ]


def _steps_over_time(rows: ReportRows, steps: _Steps) -> list[Takeaway]:
    """Compare the newer half of the mature leads with the older half, at each step."""
    when = np.sort(rows.created[rows.is_mature])
    if not len(when):
        return []
    is_new = rows.created > when[len(when) // 2]
    compared = []
    for k in range(1, len(steps.names)):
        before = rows.is_mature & steps.reached[k - 1]
        newer, older = (
            share_of(int((before & half & steps.reached[k]).sum()), int((before & half).sum()))
            for half in (is_new, ~is_new)
        )
        if min(newer.n, older.n) >= FEWEST_LEADS:
            compared.append((k, newer, older))
    ps = holm([shares_differ(new.wins, new.n, old.wins, old.n) for _, new, old in compared])
    changed = [
        (abs(new.value - old.value), k, new, old, p)
        for p, (k, new, old) in zip(ps, compared, strict=True)
        if p < CHANCE
    ]
    if not changed:
        return []
    _, k, newer, older, p = max(changed, key=lambda item: item[0])
    name = steps.names[k]
    return [
        Takeaway(
            f"From {quoted_name(steps.names[k - 1])} to {quoted_name(name)}, "
            f"{share_words(newer)} of the newer half of the leads go on, "
            f"{percent(older.value)} of the older half.",
            {"name": name, **newer.cells(), "older": older.value, "p": p},
            "step_share",
            "funnel-steps",
        )
    ]


@dataclass(frozen=True, kw_only=True)
class SourceStepRow(TableRow):
    """The leads of a source at a step."""

    name: str
    share: Contrast
    source: str
    step: str
    before: str

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {
            **self.share.cells(),
            "name": self.name,
            "source": self.source,
            "step": self.step,
        }

    @property
    def distance(self) -> float:
        """The distance of the ratio's interval from 1, as a factor."""
        return max(self.share.ratio_low or 0, 1 / (self.share.ratio_high or 1))


def _steps_by_source(rows: ReportRows, steps: _Steps) -> tuple[list[Figure], list[Takeaway]]:
    if rows.source is None:
        return [], []
    names = steps.names
    families = correct_families(
        [
            group_contrasts(rows.source, rows.is_mature & steps.reached[k - 1], steps.reached[k])
            for k in range(1, len(names))
        ]
    )
    table = [
        SourceStepRow(
            name=f"{source}: {names[k - 1]} → {names[k]}",
            share=group,
            source=source,
            step=names[k],
            before=names[k - 1],
        )
        for k, contrasts in enumerate(families, start=1)
        for source, group in zip(rows.source.names, contrasts, strict=True)
        if group.n
    ]
    n_clear = sum(row.share.verdict.is_difference for row in table)
    figure = Figure(
        name="funnel-sources",
        finding=f"At {n_clear} of {len(table)} steps a source clearly differs from the others",
        about=about_mature(rows),
        columns=(
            Column("name", "Source and step"),
            Column("n", "Reached the stage before", "count"),
            Column("wins", "Go on", "count"),
            *share_columns("Goes on", "step_share"),
            Column("ratio", "Against all sources", "ratio"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            Column("verdict", "Result"),
        ),
        rows=cells_of(table),
    )
    clear = [
        row
        for row in table
        if row.share.is_significant
        and row.source not in NOT_ALIKE
        and row.share.ratio_low is not None
    ]
    if not clear:
        return [figure], []
    first = max(clear, key=lambda row: row.distance)
    takeaway = Takeaway(
        f"Leads from {quoted_name(first.source)} go on from {quoted_name(first.before)} to "
        f"{quoted_name(first.step)} {ratio_words(first.share)}.",
        evidence_of(first.share, name=first.source),
        "step_share",
        "funnel-sources",
    )
    return [figure], [takeaway]


def _stay_rows(rows: ReportRows, funnel: Funnel) -> list[StayRow]:
    following = np.column_stack([funnel.entered, rows.closed])
    table = []
    for k, name in enumerate(funnel.stages):
        here = funnel.entered[:, k]
        later = np.where(following > here[:, None], following, NEVER).min(axis=1)
        ended = rows.is_mature & (here != NEVER) & (later != NEVER)
        waiting = rows.is_open & (funnel.current == k)
        age = median_interval((rows.as_of - here[waiting]) / DAY)
        table.append(
            StayRow(
                name=name,
                n=int(ended.sum()),
                stay=median_interval((later[ended] - here[ended]) / DAY),
                open=int(waiting.sum()),
                open_days=None if age is None else age.value,
            )
        )
    return table


def _stays(rows: ReportRows, funnel: Funnel) -> tuple[Section, list[Takeaway]]:
    """Show how long leads stay in each stage, and in which stages the open leads are."""
    table = _stay_rows(rows, funnel)
    known = [(row.name, row.stay) for row in table if row.stay is not None]
    ranked = sorted(
        ((name, stay) for name, stay in known if stay.n >= FEWEST_LEADS),
        key=lambda item: -item[1].value,
    )
    finding, takeaways = "How long leads stay in each stage", []
    if len(ranked) > 1 and ranked[0][1].low > ranked[1][1].high:
        (slowest, stay), (next_slowest, next_stay) = ranked[:2]
        finding = (
            f"Leads stay longest in {quoted_name(slowest)}: {days_words(stay.value)} for half of "
            "them"
        )
        takeaways.append(
            Takeaway(
                f"{finding} (between {days_words(stay.low)} and {days_words(stay.high)}; "
                f"{stay.n:,} leads), {days_words(stay.late)} for nine of ten; next longest is "
                f"{quoted_name(next_slowest)} with {days_words(next_stay.value)}.",
                {
                    "name": slowest,
                    "value": stay.value,
                    "low": stay.low,
                    "high": stay.high,
                    "n": stay.n,
                },
                "stage_days",
                "funnel-stays",
            )
        )
    about = f"stays that have ended, of {mature_words(rows)}, n = {sum(row.n for row in table):,}"
    cells = cells_of(table)
    drawn = [row for row in cells if row["value"] is not None]
    chart = rates_chart(drawn, finding, about, what="Median days", base=None, form=",")
    figure = Figure(
        name="funnel-stays",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Stage"),
            Column("n", "Stays that ended", "count"),
            Column("value", "Median days", "days", "stage_days"),
            *interval_columns("days"),
            Column("late", "Nine of ten within", "days", "nine_of_ten"),
            Column("open", "Open leads in it now", "count", "open_leads"),
            Column("open_days", "Their median days in it", "days", "open_days"),
        ),
        rows=cells,
        chart=chart if drawn else None,
        note="The medians count only stays that have ended: where many leads are still in a "
        "stage, it takes longer.",
    )
    return Section("Time in stage", figures=(figure,)), takeaways


def _reasons(rows: ReportRows) -> Section:
    """Show how often each reason is named.

    The first is called the most frequent only if a binomial test tells it from the second. That
    one test is enough, however many reasons there are.

    References
    ----------
    Hung and Fithian, "Rank Verification for Exponential Families", 2019.
    """
    heading = "Why leads are lost"
    known = np.array([reason for reason in rows.reason[rows.is_lost] if reason is not None], object)
    if not len(known):
        needs = "The reasons of lost leads. The outcomes have none: map [outcomes] reason."
        return Section(heading, needs=needs)
    names, counts = np.unique(known.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_REASONS]
    table = [
        ShareRow(name=str(names[i]), share=share_of(int(counts[i]), len(known))) for i in order
    ]
    most = f"{quoted_name(table[0].name)} for {percent(table[0].share.value)} of the lost leads"
    finding = f"The most frequent reason is {most} with a reason"
    if len(table) > 1 and counts_differ(table[0].share.wins, table[1].share.wins) >= CHANCE:
        second = f"{quoted_name(table[1].name)} for {percent(table[1].share.value)}"
        finding = f"No reason is clearly the most frequent: {most}, {second}"
    about = f"lost leads with a reason, n = {len(known):,} of {int(rows.is_lost.sum()):,}"
    cells = cells_of(table)
    figure = Figure(
        name="funnel-reasons",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Reason"),
            Column("wins", "Lost leads", "count"),
            *share_columns("Share", "lost_reason_share"),
        ),
        rows=cells,
        chart=rates_chart(cells, finding, about, what="Share of lost leads", base=None),
    )
    return Section(heading, figures=(figure,))
