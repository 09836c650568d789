"""The promises of both teams, compared with the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from crm.times import HOUR
from models.evaluation.comparisons import FEWEST_LEADS, Share
from models.evaluation.intervals import median_interval
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.pages.coverage import revenue_sentences, with_currency
from reports.pages.phrases import finite
from reports.pages.service_levels.handovers import TO_WORK, HandedRow, Handovers, window_words

MOST_NAMES = 3  # of promises that are not kept, in a sentence


class Kept(StrEnum):
    """Whether a promise is kept."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "not known"
    FEW_LEADS = "too few leads"


@dataclass(frozen=True, kw_only=True)
class PromiseRow(TableRow):
    """A promise and its result.

    `form` is the form of both (`reports.content.Column`). `n` is the number of leads behind a share
    or a median, and `wins` the number of them that a share counts.
    """

    name: str
    form: str
    target: float
    actual: float | None
    n: int | None
    is_kept: bool | None
    wins: int | None = None

    @property
    def kept(self) -> Kept:
        """Whether the promise is kept."""
        if self.n is not None and self.n < FEWEST_LEADS:
            return Kept.FEW_LEADS
        if self.is_kept is None:
            return Kept.UNKNOWN
        return Kept.YES if self.is_kept else Kept.NO

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {
            "name": self.name,
            "form": self.form,
            "target": self.target,
            "actual": self.actual,
            "wins": self.wins,
            "n": self.n,
            "kept": self.kept.value,
        }


def promises_section(
    handovers: Handovers, table: Sequence[HandedRow]
) -> tuple[Section, tuple[Takeaway, ...]]:
    """Compare the promises with the results, and return how many are kept as a takeaway."""
    heading = "What was promised"
    promises = _promise_rows(handovers, {row.grade: row for row in table})
    if not promises:
        needs = (
            "What both teams promised, and the results. Write the promises into [report.targets]: "
            "leads_per_week, first_touch_hours, worked_share and won_share by grade, and "
            "revenue_per_week."
        )
        return Section(heading, needs=needs), ()
    if handovers.rows.is_part:
        text = (
            "The promises are about all leads, so they are not compared with the results of some "
            "of them. The report about all leads compares them."
        )
        return Section(heading, (text,)), ()
    n_kept = sum(row.kept == Kept.YES for row in promises)
    n_unknown = sum(row.kept in (Kept.UNKNOWN, Kept.FEW_LEADS) for row in promises)
    finding = f"{n_kept} of {len(promises)} promises are kept"
    if n_unknown:
        finding += f", {n_unknown} cannot be judged"
    notes = []
    if any(row.kept == Kept.NO and row.actual is None for row in promises):
        notes.append(
            "A median time without a result is longer than promised: half of these leads or more "
            "still wait for their first sales activity."
        )
    if handovers.rows.project.report.targets.revenue_per_week is not None:
        earned = handovers.rows.earned(handovers.closed(handovers.first, handovers.last))
        notes += revenue_sentences(handovers.rows, earned)
    figure = Figure(
        name="service-promises",
        finding=finding,
        about=window_words(handovers),
        columns=(
            Column("name", "Promise"),
            Column("target", "Target", "ratio", "target", form_key="form"),
            Column("actual", "Result", "ratio", "target", ("wins", "n"), form_key="form"),
            Column("n", "Leads", "count"),
            Column("kept", "Kept"),
        ),
        rows=cells_of(promises),
        note=" ".join(notes),
    )
    return Section(heading, figures=(figure,)), (_kept_takeaway(finding, promises, n_kept),)


def _kept_takeaway(finding: str, promises: Sequence[PromiseRow], n_kept: int) -> Takeaway:
    """Return how many promises are kept, and which are not."""
    broken = [row.name for row in promises if row.kept == Kept.NO]
    sentence = f"{finding}."
    if broken:
        names = [f"“{name}”" for name in broken[:MOST_NAMES]]
        more = len(broken) - MOST_NAMES
        if more > 0:
            names.append(f"{more} more")
        *first, last = names
        sentence += f" {', '.join(first)} and {last} are" if first else f" {last} is"
        sentence += " not kept."
    evidence = {"value": n_kept, "low": None, "high": None, "n": len(promises)}
    return Takeaway(sentence, evidence, "target", "service-promises")


def _promise_rows(handovers: Handovers, rows: Mapping[str, HandedRow]) -> list[PromiseRow]:
    targets, has_sales = handovers.rows.project.report.targets, bool(handovers.rows.sales)
    promises = []
    for grade, target in sorted(targets.leads_per_week.items()):
        actual = rows[grade].a_week if grade in rows else None
        name = f"Grade {grade}: leads handed over a week"
        promises.append(_at_least(name, "ratio", target, actual))
    for grade, target in sorted(targets.first_touch_hours.items()):
        promises.append(_waiting(handovers, grade, target, has_sales and grade in rows))
    for grade, target in sorted(targets.worked_share.items()):
        share = rows[grade].worked if grade in rows and has_sales else None
        promises.append(_share_promise(f"Grade {grade}: share worked within 7 days", target, share))
    for grade, target in sorted(targets.won_share.items()):
        share = rows[grade].won if grade in rows else None
        promises.append(_share_promise(f"Grade {grade}: share converted", target, share))
    if targets.revenue_per_week is not None:
        earned = handovers.rows.earned(handovers.closed(handovers.first, handovers.last))
        is_known = earned.is_revenue and handovers.is_known(handovers.first)
        actual = earned.total / handovers.weeks if is_known else None
        name = with_currency(handovers.rows, "Revenue won a week")
        promises.append(_at_least(name, "amount", targets.revenue_per_week, actual))
    return promises


def _waiting(handovers: Handovers, grade: str, target: float, is_known: bool) -> PromiseRow:
    """Compare a promise of hours with the median wait of leads handed over longer ago than that.

    If half of them still wait, the median is not known, but it is longer than promised.
    """
    name = f"Grade {grade}: median time to the first sales activity"
    if not is_known:
        return PromiseRow(name=name, form="hours", target=target, actual=None, n=None, is_kept=None)
    span = max(TO_WORK, int(target * HOUR))
    waits = handovers.hours[handovers.watched(handovers.first, handovers.last, grade, span)]
    interval = median_interval(waits)
    median = np.inf if interval is None else interval.value
    return PromiseRow(
        name=name,
        form="hours",
        target=target,
        actual=finite(median),
        n=len(waits),
        is_kept=median <= target,
    )


def _share_promise(name: str, target: float, share: Share | None) -> PromiseRow:
    if share is None:
        return _at_least(name, "share", target, None)
    row = _at_least(name, "share", target, finite(share.value))
    return replace(row, n=share.n, wins=share.wins)


def _at_least(name: str, form: str, target: float, actual: float | None) -> PromiseRow:
    is_kept = None if actual is None else actual >= target
    return PromiseRow(name=name, form=form, target=target, actual=actual, n=None, is_kept=is_kept)
