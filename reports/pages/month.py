"""The month in one minute: the newest 30 days, and the clearest findings of the other pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools
from crm.times import DAY
from models.evaluation.comparisons import CHANCE, Share, share_of
from models.evaluation.differences import counts_differ, shares_differ
from models.evaluation.intervals import holm
from reports.content import Column, Figure, Page, Section, TableRow, Takeaway, cells_of
from reports.metrics import DEFINITIONS
from reports.pages.coverage import (
    closed_early_words,
    last_days,
    newest_lead_words,
    revenue_sentences,
    unknown_words,
    with_currency,
)
from reports.pages.groups import CHANCE_TITLE
from reports.pages.month_windows import (
    DAYS,
    cohorts,
    last_and_before,
    mature_until,
    no_conversion,
    no_lead_became_old,
    no_wins_before,
)
from reports.pages.phrases import day_name, of_words, share_words
from reports.pages.score.page import VERDICT
from reports.rows.rows import ReportRows

SLUG, TITLE = "month", "This month in one minute"
LEAD = "What happened in the newest 30 days, and what are the clearest findings of the other pages?"
PROMISES = "target"  # the metric of the takeaway that counts the promises that are kept
HEADING = "The newest 30 days"


@dataclass(frozen=True, kw_only=True)
class MonthFigure(TableRow):
    """A figure of 30 days, and the same figure of the 30 days before.

    Attributes
    ----------
    name, metric : str
    value : float
    before : float or None
        None if it is not known.
    end : int
        The last moment of the 30 days, in microseconds since 1970 UTC.
    shares : tuple of Share or None
        The shares behind the two figures, if they are conversions.
    p : float or None
        The p-value of the difference; None for a figure that is not tested.
    """

    name: str
    metric: str
    value: float
    before: float | None
    end: int
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
            "window": last_days(self.end, DAYS),
            "value": self.value,
            "before": self.before,
            "p": self.p,
            "verdict": verdict,
            **self._counts(),
            "counted": DEFINITIONS[self.metric].definition,
        }

    def _counts(self) -> dict[str, int]:
        """Return the counts behind conversions."""
        if self.shares is None:
            return {}
        new, old = self.shares
        return {
            "wins": new.wins,
            "n": new.n,
            "wins_before": old.wins,
            "n_before": old.n,
        }

    def takeaway(self) -> Takeaway:
        """Return the change as a sentence."""
        before = self.before or 0.0
        is_more = self.value > before
        evidence = {
            "value": self.value,
            "low": None,
            "high": None,
            "n": int(self.value),
            "before": before,
            "p": self.p,
        }
        when = f"in the {DAYS} days to {day_name(self.end)}"
        if self.shares is None:
            sentence = (
                f"{self.name}: {self.value:,.0f} {when}, {'more' if is_more else 'fewer'} "
                f"than the {before:,.0f} in the {DAYS} days before."
            )
        else:
            new, old = self.shares
            sentence = (
                f"{'More' if is_more else 'Fewer'} leads than before are won: {share_words(new)} "
                f"of the leads created {when}, {of_words(old)} of those created in the {DAYS} "
                "days before."
            )
            evidence |= {"low": new.low, "high": new.high, "n": new.n}
        return Takeaway(sentence, evidence, self.metric, "month-figures")


def month_page(rows: ReportRows, other_pages: Sequence[Page]) -> Page:
    """Build the first page: the newest 30 days, and the first takeaway of each other page.

    Parameters
    ----------
    rows : ReportRows
    other_pages : sequence of Page
    """
    if rows.has_times:
        section, takeaways = _last_days(rows)
    else:
        needs = (
            "New leads, wins and revenue of the newest 30 days and of the 30 days before. This "
            "needs times: [leads] created_at, and closed_at of the outcomes."
        )
        section, takeaways = Section(HEADING, needs=needs), []
    first = [page.takeaways[0] for page in other_pages if page.takeaways]
    further = (takeaway for page in other_pages for takeaway in page.takeaways[1:])
    promises = [takeaway for takeaway in further if takeaway.metric == PROMISES]
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *promises, *first),
        sections=(
            section,
            Section(VERDICT, (rows.verdict.sentence, *rows.verdict.reasons[:1])),
            Section(_all_leads(rows), _summary(rows, other_pages)),
        ),
        keeps_leads=False,
    )


def _all_leads(rows: ReportRows) -> str:
    return "All leads of this report" if rows.is_part else "All leads"


def _summary(rows: ReportRows, other_pages: Sequence[Page]) -> tuple[str, ...]:
    paragraphs: list[str] = []
    wins, n = rows.rate
    if n:
        leads = "leads with an outcome"
        if rows.has_times:
            leads = f"leads that are at least {rows.horizon_days:g} days old"
        paragraphs.append(
            f"Of the {leads}, {share_words(share_of(wins, n))} are won. {_open_words(rows)}"
        )
    else:
        paragraphs.append(_open_words(rows))
    paragraphs += filter(None, [unknown_words(rows), closed_early_words(rows)])
    silent = [page for page in other_pages if not page.takeaways]
    bare = [page for page in silent if not any(part.figures for part in page.sections)]
    plain = [page.title for page in silent if page not in bare]
    if plain:
        paragraphs.append(f"These pages have figures but no clear finding: {', '.join(plain)}.")
    if bare:
        titles = ", ".join(page.title for page in bare)
        paragraphs.append(f"These pages lack records; each page says what is missing: {titles}.")
    return tuple(paragraphs)


def _open_words(rows: ReportRows) -> str:
    """Format how many leads are open, and of how many this is not known."""
    n_open, n_unknown = int(rows.is_open.sum()), int(rows.is_unknown.sum())
    text = f"{n_open:,} of {len(rows):,} leads are open."
    if not n_unknown:
        return text
    return (
        f"{text} {n_unknown:,} more have no outcome either, but they were created before the "
        "outcomes begin, so it is not known whether they are open."
    )


def _last_days(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    if not (rows.created < rows.leads_until - 2 * DAYS * DAY).any():
        return Section(HEADING, needs="Leads that were created over at least 60 days."), []
    table = _figures(rows)
    new_leads, wins = table[:2]
    figure = Figure(
        name="month-figures",
        finding=_finding(new_leads, wins),
        about=f"{_all_leads(rows).lower()}; each row names its 30 days, UTC",
        columns=(
            Column("name", "Figure"),
            Column("window", "30 days"),
            Column("value", "In these 30 days", "ratio", "month_figure", ("wins", "n")),
            Column(
                "before",
                "In the 30 days before",
                "ratio",
                "month_figure",
                ("wins_before", "n_before"),
            ),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            Column("verdict", "Result"),
            Column("counted", "What is counted", "prose"),
        ),
        rows=cells_of(table),
    )
    takeaways = [row.takeaway() for row in table if row.is_changed]
    return Section(HEADING, _paragraphs(rows), (figure,)), takeaways


def _finding(new_leads: MonthFigure, wins: MonthFigure) -> str:
    """Format the title: the new leads and the wins, each with its days."""
    leads_to, wins_to = day_name(new_leads.end), day_name(wins.end)
    if leads_to == wins_to:
        also = "new leads" if wins.before is None else f"and {wins.before:,.0f}"
        return (
            f"{new_leads.value:,.0f} new leads and {wins.value:,.0f} wins in the {DAYS} days to "
            f"{leads_to}; {new_leads.before:,.0f} {also} in the {DAYS} days before"
        )
    also = "" if wins.before is None else f", {wins.before:,.0f} in the {DAYS} days before"
    return (
        f"{new_leads.value:,.0f} new leads in the {DAYS} days to {leads_to}, "
        f"{new_leads.before:,.0f} in the {DAYS} days before; {wins.value:,.0f} wins in the {DAYS} "
        f"days to {wins_to}{also}"
    )


def _paragraphs(rows: ReportRows) -> tuple[str, ...]:
    """Describe the days that the figures are about, and what they leave out."""
    paragraphs = []
    if rows.leads_end_early:
        paragraphs.append(
            f"{newest_lead_words(rows)}; other records go on to "
            f"{day_name(rows.as_of)}. New leads are counted up to the newest lead."
        )
    paragraphs += filter(
        None, [no_wins_before(rows), no_lead_became_old(rows), no_conversion(rows)]
    )
    if rows.coverage.n_with_amount:
        paragraphs += revenue_sentences(rows, rows.earned(_won_in_days(rows, rows.as_of)))
    return tuple(paragraphs)


def _won_in_days(rows: ReportRows, end: int) -> Bools:
    """Return which leads were won in the 30 days up to a moment."""
    return np.asarray(rows.is_won & last_and_before(rows.closed, end)[0])


def _figures(rows: ReportRows) -> list[MonthFigure]:
    """Build the figures: new leads, wins, revenue if it is known, and conversion."""
    created = last_and_before(rows.created, rows.leads_until)
    ends = (rows.as_of, rows.as_of - DAYS * DAY)
    closed = [_won_in_days(rows, end) for end in ends]
    is_known = not no_wins_before(rows)
    table = [
        _count_figure("New leads", "new_leads", created, rows.leads_until),
        _count_figure("Wins", "recent_wins", closed, rows.as_of, is_known),
        *_revenue_figures(rows, closed, is_known),
    ]
    if rows.is_mature.any() and not no_conversion(rows):
        new, old = (
            share_of(int(rows.won[leads].sum()), int(leads.sum())) for leads in cohorts(rows)
        )
        table.append(
            MonthFigure(
                name="Conversion of the newest leads that are old enough, %",
                metric="cohort_won_share",
                value=100 * new.value,
                before=100 * old.value,
                end=mature_until(rows),
                shares=(new, old),
                p=shares_differ(new.wins, new.n, old.wins, old.n),
            )
        )
    ps = iter(holm([row.p for row in table if row.p is not None]))
    return [row if row.p is None else replace(row, p=next(ps)) for row in table]


def _revenue_figures(
    rows: ReportRows, closed: Sequence[Bools], is_known: bool
) -> list[MonthFigure]:
    """Build the revenue of the two periods, also without a deal that is most of one of them."""
    new, old = (rows.earned(won) for won in closed)
    if not new.is_revenue or not new.n_wins + old.n_wins:
        return []
    is_known &= old.is_revenue
    before = old.total if is_known else None
    figure = MonthFigure(
        name=with_currency(rows, "Revenue won"),
        metric="recent_revenue",
        value=new.total,
        before=before,
        end=rows.as_of,
    )
    if new.largest is None and old.largest is None:
        return [figure]
    without = replace(
        figure,
        name=with_currency(rows, "Revenue won without the largest deal"),
        value=new.rest,
        before=old.rest if is_known else None,
    )
    return [figure, without]


def _count_figure(
    name: str, metric: str, periods: Sequence[Bools], end: int, is_known: bool = True
) -> MonthFigure:
    new, old = (int(leads.sum()) for leads in periods)
    return MonthFigure(
        name=name,
        metric=metric,
        value=float(new),
        before=float(old) if is_known else None,
        end=end,
        p=counts_differ(new, old) if is_known else None,
    )
