"""The month in one minute: the last 30 days, and the clearest findings of the other pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools, Ints
from crm.times import DAY
from features.events import NEVER
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Share, share_of
from models.evaluation.differences import counts_differ, shares_differ
from models.evaluation.intervals import holm
from reports.content import Column, Figure, Page, Section, TableRow, Takeaway, cells_of
from reports.metrics import DEFINITIONS
from reports.numbers import percent
from reports.pages.phrases import CHANCE_TITLE, day_name, share_words
from reports.rows.rows import ReportRows

SLUG, TITLE = "month", "This month in one minute"
LEAD = "What happened in the last 30 days, and what are the clearest findings of the other pages?"
HEADING = "The last 30 days"
DAYS = 30
LAST = "in the last 30 days"


@dataclass(frozen=True, kw_only=True)
class MonthFigure(TableRow):
    """A figure of the last 30 days, and the same figure of the 30 days before.

    Attributes
    ----------
    name, metric : str
    value, before : float
    when : str
        The period of `value`, or the leads that it is about, for a sentence.
    shares : tuple of Share or None
        The shares behind the two figures, if they are conversions.
    p : float or None
        The p-value of the difference; None for a figure that is not tested.
    """

    name: str
    metric: str
    value: float
    before: float
    when: str = LAST
    shares: tuple[Share, Share] | None = None
    p: float | None = None

    @property
    def is_changed(self) -> bool:
        """True if the two figures clearly differ."""
        return self.p is not None and self.p < CHANCE

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        verdict = None
        if self.p is not None:
            verdict = "changed" if self.is_changed else "no clear difference"
        return {
            "name": self.name,
            "value": self.value,
            "before": self.before,
            "p": self.p,
            "verdict": verdict,
            "counted": DEFINITIONS[self.metric].definition,
        }

    def takeaway(self) -> Takeaway:
        """Return the change as a sentence."""
        is_more = self.value > self.before
        evidence = {
            "value": self.value,
            "low": None,
            "high": None,
            "n": int(self.value),
            "before": self.before,
            "p": self.p,
        }
        if self.shares is None:
            sentence = (
                f"{self.name}: {self.value:,.0f} {self.when}, {'more' if is_more else 'fewer'} "
                f"than the {self.before:,.0f} in the 30 days before."
            )
        else:
            new, old = self.shares
            sentence = (
                f"{'More' if is_more else 'Fewer'} leads than before are won: {share_words(new)} "
                f"of {self.when}, {percent(old.value)} of those created in the 30 days before."
            )
            evidence |= {"low": new.low, "high": new.high, "n": new.n}
        return Takeaway(sentence, evidence, self.metric, "month-figures")


def month_page(rows: ReportRows, other_pages: Sequence[Page]) -> Page:
    """Build the first page: the last 30 days, and the first takeaway of each other page.

    Parameters
    ----------
    rows : ReportRows
    other_pages : sequence of Page
    """
    if rows.has_times:
        section, takeaways = _last_days(rows)
    else:
        needs = (
            "New leads, wins and revenue of the last 30 days and of the 30 days before. This "
            "needs times: [leads] created_at, and closed_at of the outcomes."
        )
        section, takeaways = Section(HEADING, needs=needs), []
    first = [page.takeaways[0] for page in other_pages if page.takeaways]
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *first),
        sections=(section, Section("All leads", _summary(rows, other_pages))),
    )


def _summary(rows: ReportRows, other_pages: Sequence[Page]) -> tuple[str, ...]:
    paragraphs = []
    wins, n = rows.rate
    if n:
        leads = "leads with an outcome"
        if rows.has_times:
            leads = f"leads that are at least {rows.horizon_days:g} days old"
        paragraphs.append(
            f"Of the {leads}, {share_words(share_of(wins, n))} are won. "
            f"{int(rows.is_open.sum()):,} of {len(rows):,} leads are open."
        )
    silent = [page for page in other_pages if not page.takeaways]
    bare = [page for page in silent if not any(part.figures for part in page.sections)]
    plain = [page.title for page in silent if page not in bare]
    if plain:
        paragraphs.append(f"These pages have figures but no clear finding: {', '.join(plain)}.")
    if bare:
        titles = ", ".join(page.title for page in bare)
        paragraphs.append(f"These pages lack records; each page says what is missing: {titles}.")
    return tuple(paragraphs)


def _last_days(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    if not (rows.created < rows.leads_until - 2 * DAYS * DAY).any():
        return Section(HEADING, needs="Leads that were created over at least 60 days."), []
    table = _figures(rows)
    new_leads, wins = table[:2]
    about = f"30 days to {day_name(rows.as_of)}, all leads"
    paragraphs: tuple[str, ...] = ()
    if rows.leads_end_early:
        about += f"; new leads: 30 days to {day_name(rows.leads_until)}"
        paragraphs = (
            f"The newest lead was created on {day_name(rows.leads_until)}; other records go on to "
            f"{day_name(rows.as_of)}. New leads are counted up to the newest lead.",
        )
    figure = Figure(
        name="month-figures",
        finding=f"{new_leads.value:,.0f} new leads and {wins.value:,.0f} wins in 30 days; "
        f"{new_leads.before:,.0f} and {wins.before:,.0f} in the 30 before",
        about=about,
        columns=(
            Column("name", "Figure"),
            Column("value", "Last 30 days", "ratio", "month_figure"),
            Column("before", "The 30 days before", "ratio", "month_figure"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            Column("verdict", "Result"),
            Column("counted", "What is counted", "prose"),
        ),
        rows=cells_of(table),
    )
    takeaways = [row.takeaway() for row in table if row.is_changed]
    return Section(HEADING, paragraphs, (figure,)), takeaways


def _figures(rows: ReportRows) -> list[MonthFigure]:
    """Build the figures: new leads, wins, revenue if there is any, and conversion."""
    created = _last_and_before(rows.created, rows.leads_until)
    closed = [rows.is_won & period for period in _last_and_before(rows.closed, rows.as_of)]
    mature_until = min(rows.as_of - rows.horizon, rows.leads_until)
    mature = _last_and_before(rows.created, mature_until)
    when = f"in the 30 days to {day_name(rows.leads_until)}" if rows.leads_end_early else LAST
    table = [
        _count_figure("New leads", "new_leads", created, when),
        _count_figure("Wins", "recent_wins", closed, LAST),
    ]
    earned, earned_before = (float(rows.amount[period].sum()) for period in closed)
    if earned + earned_before:
        table.append(
            MonthFigure(
                name="Revenue won", metric="recent_revenue", value=earned, before=earned_before
            )
        )
    new, old = (share_of(int(rows.won[leads].sum()), int(leads.sum())) for leads in mature)
    if min(new.n, old.n) >= FEWEST_LEADS:
        table.append(
            MonthFigure(
                name="Conversion of the newest leads that are old enough, %",
                metric="cohort_won_share",
                value=100 * new.value,
                before=100 * old.value,
                when=f"the leads created in the 30 days to {day_name(mature_until)}",
                shares=(new, old),
                p=shares_differ(new.wins, new.n, old.wins, old.n),
            )
        )
    ps = iter(holm([row.p for row in table if row.p is not None]))
    return [row if row.p is None else replace(row, p=next(ps)) for row in table]


def _count_figure(name: str, metric: str, periods: Sequence[Bools], when: str) -> MonthFigure:
    new, old = (int(leads.sum()) for leads in periods)
    return MonthFigure(
        name=name,
        metric=metric,
        value=float(new),
        before=float(old),
        when=when,
        p=counts_differ(new, old),
    )


def _last_and_before(at: Ints, end: int) -> list[Bools]:
    """Return which times are in the 30 days up to an end, and which in the 30 days before."""
    return [
        np.asarray((at > last - DAYS * DAY) & (at <= last) & (at != NEVER))
        for last in (end, end - DAYS * DAY)
    ]
