"""Age and time: how long to wait for a lead, and how conversion changes over the months."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import chi2

from crm.times import DAY, MONTHS
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Share, share_of
from models.evaluation.trends import lasting_trend
from models.evaluation.two_way import additive_logit
from reports.charts.lines import lines_chart, months_chart
from reports.content import Column, Comparison, Figure, Page, Section, ShareRow, Takeaway, cells_of
from reports.pages.groups import share_columns
from reports.pages.phrases import (
    about_mature,
    cut_words,
    day_name,
    month_name,
    months_of,
    of_words,
    share_words,
    two_percents,
)
from reports.rows.rows import ReportRows

SLUG, TITLE = "age", "Age and time"
LEAD = "How long is a lead worth waiting for, and does conversion change over time?"
AGES = (0.0, 1 / 24, 0.5, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0)
MOST_MONTHS = 36
LEAST_MONTHS = 3  # for a trend
LEAST_MONTHS_OF_SEASON = 18


@dataclass(frozen=True, kw_only=True)
class AgeRow(ShareRow):
    """Leads that were open at an age; `x` is the age in days."""

    x: float
    series: str
    in_by: float | None
    in_by_wins: int
    in_by_n: int


@dataclass(frozen=True, kw_only=True)
class MonthRow(ShareRow):
    """Leads created in a month; `mature` says whether the horizon of all of them has passed."""

    mature: str
    days: str
    is_whole: bool

    def cells(self) -> dict[str, Any]:
        """Return the cells by column; a month with young leads has no wins yet."""
        cells = super().cells()
        del cells["is_whole"]
        return cells if self.is_whole else cells | {"wins": None}


def age_page(rows: ReportRows) -> Page:
    """Build the page about the chance of a lead by its age and by its month."""
    parts = [_ages(rows), _months(rows)]
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=tuple(takeaway for _, takeaways in parts for takeaway in takeaways),
        sections=tuple(section for section, _ in parts),
    )


def _ages(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    """Show the chance of leads that are still open at some age."""
    heading = "How long to wait"
    if not rows.has_times:
        needs = "The chance of a lead that is still open after some days. This needs created_at."
        return Section(heading, needs=needs), []
    table = _age_rows(rows)
    if not table:
        return Section(heading, needs="Leads whose whole horizon has passed."), []
    columns = (
        Column("name", "Age"),
        Column("n", "Open then", "count"),
        Column("wins", "Won", "count"),
        *share_columns("Won from then on", "won_at_age"),
        Column("in_by", "Wins already in", "share", "wins_by_age", ("in_by_wins", "in_by_n")),
    )
    finding, takeaways = _waiting(table, rows.horizon_days)
    about = f"leads still open at that age; won within {rows.horizon_days:g} days from then"
    cells = cells_of(table)
    chart = None
    if len(table) > 1:
        chart = lines_chart(cells, finding, about, x="Age of the lead, days", y="Won from then on")
    figure = Figure(
        name="age-ages",
        finding=finding,
        about=about,
        columns=columns,
        rows=cells,
        chart=chart,
        comparison=Comparison.ONE_ROW,
    )
    return Section(heading, figures=(figure,)), takeaways


def _age_rows(rows: ReportRows) -> list[AgeRow]:
    lead = np.arange(len(rows))
    days = rows.days_to_close[rows.is_mature & rows.won & np.isfinite(rows.days_to_close)]
    table = []
    for age in AGES:
        if age > rows.horizon_days:
            continue
        at = rows.created + int(age * DAY)
        is_open = rows.open_at(lead, at) & (at + rows.horizon <= rows.as_of)
        if not is_open.any():
            continue
        won = rows.won_within(lead, at)
        table.append(
            AgeRow(
                name=_age_name(age),
                share=share_of(int((is_open & won).sum()), int(is_open.sum())),
                x=age,
                series="won from then on",
                in_by=float((days <= age).mean()) if len(days) else None,
                in_by_wins=int((days <= age).sum()),
                in_by_n=len(days),
            )
        )
    return table


def _waiting(table: Sequence[AgeRow], horizon_days: float) -> tuple[str, list[Takeaway]]:
    """Return the title, and a takeaway about the age whose leads differ most from new ones."""
    new = table[0].share
    judged = [row for row in table[1:] if row.share.n >= FEWEST_LEADS]
    apart = [row for row in judged if row.share.low > new.high or row.share.high < new.low]
    if not new.wins:
        return f"None of the {new.n:,} leads is won", []
    if not judged:
        return "Too few leads are open long enough to tell how their chance changes with age", []
    if not apart:
        return "The chance of a lead does not clearly change with its age", []

    def distance(row: AgeRow) -> float:
        return abs(float(np.log(max(row.share.value, 1e-6) / new.value)))

    far = max(apart, key=distance)
    ratio = far.share.value / new.value
    often = f"{ratio:.1f} times as often as" if ratio > 1 else "less often than"
    finding = f"Leads still open {far.name} are won {often} new leads"
    sentence = (
        f"{finding}: {share_words(far.share)} in the {horizon_days:g} days from then, against "
        f"{of_words(new)} of new leads."
    )
    counts = f"{far.share.wins:,} of {far.share.n:,} against {new.wins:,} of {new.n:,}"
    finding += f": {two_percents(far.share.value, new.value)} ({counts})"
    if far.in_by is not None and far.x < horizon_days:
        sentence += (
            f" By then {far.in_by_wins:,} of the {far.in_by_n:,} wins that come within "
            f"{horizon_days:g} days of creation are in."
        )
    evidence = {**far.cells(), "new": new.value}
    return finding, [Takeaway(sentence, evidence, "won_at_age", "age-ages")]


def _age_name(days: float) -> str:
    if days == 0:
        return "at creation"
    if days < 1:
        hours = round(days * 24)
        return f"after {hours} hour{'s' if hours > 1 else ''}"
    return f"after {days:g} day{'s' if days > 1 else ''}"


def _month_rows(rows: ReportRows) -> list[MonthRow]:
    """Build a row for each month; months with young or too few leads have no conversion."""
    month = months_of(rows.created)
    first = int(month.min())
    k = int(month.max()) - first + 1
    n = np.bincount((month - first)[~rows.is_closed_early], minlength=k)
    mature = np.bincount((month - first)[rows.is_mature], minlength=k)
    wins = np.bincount((month - first)[rows.is_mature & rows.won], minlength=k)
    is_unknown = ~rows.has_known_outcome & ~rows.is_closed_early
    unknown = np.bincount((month - first)[is_unknown], minlength=k)
    table = []
    for i in np.flatnonzero(n):
        is_whole, is_small = bool(mature[i] == n[i]), bool(n[i] < FEWEST_LEADS)
        share = share_of(int(wins[i]), int(n[i]))
        if is_small or not is_whole:
            share = replace(share, value=np.nan, low=np.nan, high=np.nan)
        words = "yes" if is_whole else f"no: {mature[i]:,} of {n[i]:,}"
        if unknown[i]:
            begin = day_name(rows.coverage.outcomes_from)
            words = f"not known: {unknown[i]:,} of {n[i]:,} created before {begin}"
        if is_whole and is_small:
            words = "yes, but too few leads"
        table.append(
            MonthRow(
                name=month_name(first + int(i)),
                share=share,
                mature=words,
                days=_days_of_month(rows, first + int(i)),
                is_whole=is_whole,
            )
        )
    return table


def _days_of_month(rows: ReportRows, month: int) -> str:
    """Format the days of a month that the leads cover; fewer at the ends of the records."""
    begin, end = (
        int(np.datetime64(month + i, "M").astype("datetime64[us]").astype(np.int64)) for i in (0, 1)
    )
    since = f"from {day_name(rows.coverage.leads_from)}"
    if rows.coverage.leads_from >= begin + DAY:
        if rows.leads_until < end - DAY:
            return f"{since} to {day_name(rows.leads_until)}"
        return since
    return "all" if rows.leads_until >= end - DAY else f"to {day_name(rows.leads_until)}"


def _months(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    heading = "Conversion over time"
    if not rows.has_times:
        needs = "Conversion by month of creation, with its trend. This needs [leads] created_at."
        return Section(heading, needs=needs), []
    table = _month_rows(rows)
    cut = cut_words(min(len(table), MOST_MONTHS), len(table), "months", "the newest ones")
    table = table[-MOST_MONTHS:]
    judged = [row for row in table if np.isfinite(row.share.value)]
    finding, takeaways = _trend(judged)
    columns = (
        Column("name", "Month"),
        Column("n", "Leads", "count", "leads"),
        Column("wins", "Won", "count"),
        *share_columns("Conversion", "month_won_share"),
        Column("mature", "All old enough"),
        Column("days", "Days with records"),
    )
    base = rows.rate[0] / max(rows.rate[1], 1)
    about = (
        f"{about_mature(rows)}; months with younger leads, or fewer than {FEWEST_LEADS}, are empty"
    )
    cells = cells_of(table)
    figure = Figure(
        name="age-months",
        finding=finding,
        about=about,
        columns=columns,
        rows=cells,
        chart=months_chart(cells, finding, about, what="Conversion", base=base) if judged else None,
        note=cut,
        comparison=Comparison.NONE,
    )
    season = _season(judged)
    return Section(heading, (season,) if season else (), (figure,)), takeaways


def _trend(judged: Sequence[MonthRow]) -> tuple[str, list[Takeaway]]:
    """Return the title, and a takeaway if conversion rises or falls over the months."""
    if len(judged) < LEAST_MONTHS:
        return "Too few months to tell whether conversion rises or falls", []
    finding = "Conversion shows no lasting trend"
    wins = np.array([row.share.wins for row in judged])
    n = np.array([row.share.n for row in judged])
    z, p = lasting_trend(wins, n)
    if p >= CHANCE:
        return finding, []
    half = len(judged) // 2
    early, late = _sum(judged[:half]), _sum(judged[-half:])
    finding = f"Conversion {'rises' if z > 0 else 'falls'} over {len(judged)} months"
    sentence = (
        f"{finding}: {of_words(early)} in the first half (to {judged[half - 1].name}), "
        f"{share_words(late)} in the last (from {judged[-half].name})."
    )
    evidence = {**late.cells(), "first_half": early.value, "p": p}
    return finding, [Takeaway(sentence, evidence, "month_won_share", "age-months")]


def _sum(rows: Sequence[ShareRow]) -> Share:
    return share_of(sum(row.share.wins for row in rows), sum(row.share.n for row in rows))


def _season(judged: Sequence[MonthRow]) -> str:
    """Compare the months of the year after allowing for the years; empty with too few months."""
    years = sorted({row.name[:4] for row in judged})
    if len(judged) < LEAST_MONTHS_OF_SEASON or len(years) < 2:
        return ""
    n, wins = (np.zeros((len(years), 12), dtype=np.int64) for _ in range(2))
    for row in judged:
        place = years.index(row.name[:4]), int(row.name[5:]) - 1
        n[place], wins[place] = row.share.n, row.share.wins
    has_leads = n.sum(axis=0) > 0
    n, wins = n[:, has_leads], wins[:, has_leads]
    by_year = wins.sum(axis=1, keepdims=True) / n.sum(axis=1, keepdims=True)
    with_months = additive_logit(wins, n).deviance
    share = np.clip(np.broadcast_to(by_year, n.shape), 1e-12, 1 - 1e-12)
    rate = np.clip(np.divide(wins, n, out=np.full(n.shape, 0.5), where=n > 0), 1e-12, 1 - 1e-12)
    gain = wins * np.log(rate / share) + (n - wins) * np.log((1 - rate) / (1 - share))
    freedom, left = int(has_leads.sum()) - 1, int((n > 0).sum() - len(years) - has_leads.sum() + 1)
    gained = float(2 * gain.sum()) - with_months
    spread = max(1.0, with_months / left) if left > 0 else 1.0  # years differ in their seasons
    p = float(chi2.sf(max(gained, 0.0) / spread, freedom))
    if p >= CHANCE:
        return "Leads of no month of the year are clearly won more or less often."
    share = wins.sum(axis=0) / n.sum(axis=0)
    places = [int(share.argmax()), int(share.argmin())]
    best, worst = (MONTHS[np.flatnonzero(has_leads)[i]] for i in places)
    most, least = (of_words(share_of(int(wins[:, i].sum()), int(n[:, i].sum()))) for i in places)
    return (
        f"Leads of {best} are won most often ({most}), leads of {worst} least "
        f"often ({least}). The months of the year clearly differ, also after "
        "allowing for differences between the years."
    )
