"""The steps from creation to the win: how many leads reach each, and how fast."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crm.times import DAY
from features.events import NEVER
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, share_of
from models.evaluation.differences import shares_differ
from models.evaluation.intervals import holm, median_interval
from reports.charts.groups import funnel_chart
from reports.content import Column, Figure, Section, ShareRow, Takeaway, cells_of
from reports.pages.funnel.sources import steps_by_source
from reports.pages.funnel.steps import WON, Steps
from reports.pages.groups import share_columns
from reports.pages.phrases import about_mature, of_words, share_words
from reports.rows.journeys import Funnel
from reports.rows.rows import ReportRows
from reports.text import quoted_name


@dataclass(frozen=True, kw_only=True)
class StepRow(ShareRow):
    """The leads that reached the step before, and the share of them that reached this step.

    `lost`, `open` and `late` count the leads that did not: lost, still open, or won too late.
    `days` and `days_late` are of the `n_days` leads that entered both steps, one after the other.
    """

    reached_share: float
    n_all: int
    after: str
    n_days: int
    days: float | None
    days_late: float | None
    lost: int
    open: int
    late: int


def _step_rows(rows: ReportRows, steps: Steps) -> list[StepRow]:
    n_all, table = int(rows.is_mature.sum()), []
    for k in range(1, len(steps.names)):
        before = rows.is_mature & steps.reached[k - 1]
        here = rows.is_mature & steps.reached[k]
        start, end = steps.times[k - 1], steps.times[k]
        entered_both = rows.is_mature & (end != NEVER) & (start <= end)
        took = median_interval((end[entered_both] - start[entered_both]) / DAY)
        left = before & ~steps.reached[k]
        table.append(
            StepRow(
                name=steps.names[k],
                share=share_of(int(here.sum()), int(before.sum())),
                reached_share=float(here.sum() / max(n_all, 1)),
                n_all=n_all,
                after=steps.names[k - 1],
                n_days=int(entered_both.sum()),
                days=None if took is None else took.value,
                days_late=None if took is None else took.late,
                lost=int((left & rows.is_lost).sum()),
                open=int((left & ~rows.is_lost & ~rows.is_won).sum()),
                late=int((left & rows.is_won).sum()),
            )
        )
    return table


def steps_section(rows: ReportRows, funnel: Funnel) -> tuple[Section, list[Takeaway]]:
    """Build the section about the steps, with its takeaways."""
    steps = Steps.of(rows, funnel)
    table = _step_rows(rows, steps)
    takeaways = _narrowest(table, rows.horizon_days)
    finding = f"{of_words(share_of(*rows.rate))} of the leads are won"
    narrowest = _narrowest_steps(table)
    if narrowest:
        finding = _narrowest_finding(narrowest[0])
    about = f"{about_mature(rows)}; within {rows.horizon_days:g} days of creation"
    columns = (
        Column("name", "Step"),
        Column("after", "After"),
        Column("n", "Reached the one before", "count"),
        Column("wins", "Reached it", "count"),
        Column("reached_share", "Of all", "share", "reached_share", ("wins", "n_all")),
        *share_columns("Goes on", "step_share"),
        Column("n_days", "Entered both", "count", "step_days"),
        Column("days", "Half within", "days", "step_days"),
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
        note="A lead that skipped a stage counts as having reached it. Days are counted only for "
        "leads that entered both stages, one after the other.",
    )
    by_source, source_takeaways = steps_by_source(rows, steps)
    takeaways += steps_over_time(rows, steps) + source_takeaways
    paragraphs: tuple[str, ...] = ()
    if funnel.endings:
        names = ", ".join(map(quoted_name, funnel.endings))
        is_one = len(funnel.endings) == 1
        paragraphs = (
            f"Leads enter the {'stage' if is_one else 'stages'} {names} when they are closed. The "
            f"table does not show {'it as a step' if is_one else 'them as steps'}: its last step, "
            f"{quoted_name(WON)}, counts the recorded wins.",
        )
    return Section(STEPS_HEADING, paragraphs, (figure, *by_source)), takeaways


def _narrowest(table: Sequence[StepRow], horizon_days: float) -> list[Takeaway]:
    """Return the step where the smallest share goes on, if it is clearly the smallest."""
    steps = _narrowest_steps(table)
    if not steps:
        return []
    worst, next_worst = steps
    rest = ""
    gone = worst.share.n - worst.share.wins
    if gone:
        rest = (
            f" Of the {gone:,} leads that do not go on, {worst.lost:,} are lost, {worst.open:,} "
            f"are open and {worst.late:,} were won after more than {horizon_days:g} days."
        )
    return [
        Takeaway(
            f"{_narrowest_finding(worst)}: {share_words(worst.share)} go on. At the next narrowest "
            f"step, to {quoted_name(next_worst.name)}, {of_words(next_worst.share)} do.{rest}",
            {"name": worst.name, **worst.share.cells()},
            "step_share",
            "funnel-steps",
        )
    ]


def _narrowest_steps(table: Sequence[StepRow]) -> tuple[StepRow, StepRow] | None:
    """Return the narrowest step and the next one; None if they do not clearly differ."""
    judged = sorted(
        (row for row in table if row.share.n >= FEWEST_LEADS), key=lambda row: row.share.value
    )
    if len(judged) < 2 or judged[0].share.high >= judged[1].share.low:
        return None
    return judged[0], judged[1]


def _narrowest_finding(worst: StepRow) -> str:
    return f"The narrowest step is from {quoted_name(worst.after)} to {quoted_name(worst.name)}"


def steps_over_time(rows: ReportRows, steps: Steps) -> list[Takeaway]:
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
            f"{'More' if newer.value > older.value else 'Fewer'} leads than before go on from "
            f"{quoted_name(steps.names[k - 1])} to {quoted_name(name)}: {share_words(newer)} of "
            f"the newer half of the leads, {of_words(older)} of the older half.",
            {"name": name, **newer.cells(), "older": older.value, "p": p},
            "step_share",
            "funnel-steps",
        )
    ]


STEPS_HEADING = "The way through the stages"
