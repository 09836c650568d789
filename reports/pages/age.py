"""Age and time: how long to wait for a lead, and how conversion moves over the months."""

from typing import Any

import numpy as np
from scipy.stats import chi2

from crm.times import DAY, MONTHS
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, additive, lasting_trend
from reports.charts.report import lines_chart, months_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.numbers import percent
from reports.pages.phrases import about_mature, interval_row, month_name, months_of, share_words
from reports.rows.rows import ReportRows

SLUG, TITLE = "age", "Age and time"
LEAD = "How long is a lead worth waiting for, and does conversion change over time?"
AGES = (0.0, 1 / 24, 0.5, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0, 180.0)
MOST_MONTHS = 36


def age_page(rows: ReportRows) -> Page:
    """Tell how the chance of a lead changes with its age, and with the months."""
    parts = [_ages(rows), _months(rows)]
    return Page(
        SLUG,
        TITLE,
        LEAD,
        tuple(takeaway for _, told in parts for takeaway in told),
        tuple(section for section, _ in parts),
    )


def _ages(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    """Tell the chance of leads that are still open at some age."""
    heading = "How long to wait"
    if not rows.has_times:
        needs = "The chance of a lead that is still open after some days. That needs created_at."
        return Section(heading, needs=needs), []
    lead, table = np.arange(len(rows)), []
    wins = rows.is_mature & rows.won & np.isfinite(rows.days_to_close)
    days = rows.days_to_close[wins]
    for age in AGES:
        if age > rows.horizon_days:
            continue
        at = rows.created + int(age * DAY)
        there = rows.open_at(lead, at) & (at + rows.horizon <= rows.as_of)
        won = rows.won_within(lead, at)
        table.append(
            interval_row(
                _age_name(age),
                int((there & won).sum()),
                int(there.sum()),
                x=age,
                series="won within a horizon from then",
                in_by=float((days <= age).mean()) if len(days) else None,
            )
        )
    table = [row for row in table if row["n"]]
    if not table:
        return Section(heading, needs="Leads that were watched for a whole horizon."), []
    columns = (
        Column("name", "Age"),
        Column("n", "Open then", "count"),
        Column("wins", "Won", "count"),
        Column("value", "Won from then on", "share", "won_at_age"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("in_by", "Wins already in", "share", "wins_by_age"),
    )
    told = []
    new = table[0]
    judged = [r for r in table[1:] if r["n"] >= FEWEST_LEADS]
    apart = [r for r in judged if r["low"] > new["high"] or r["high"] < new["low"]]
    finding = "The chance of a lead does not change with its age by more than chance"
    if apart and new["value"]:
        far = max(apart, key=lambda r: abs(np.log(max(r["value"], 1e-6) / new["value"])))
        finding = (
            f"Leads still open {far['name']} are won {far['value'] / new['value']:.1f}× as often "
            "as new ones"
        )
        said = (
            f"Of the leads still open {far['name']}, "
            f"{share_words(far['value'], far['low'], far['high'], far['n'])} are won within "
            f"{rows.horizon_days:g} days from then; of new ones {percent(new['value'])} are."
        )
        if far["in_by"] is not None and far["x"] < rows.horizon_days:
            said += (
                f" By then {percent(far['in_by'], 0)} of the wins that come within "
                f"{rows.horizon_days:g} days of creation are in."
            )
        told.append(
            Takeaway(
                said,
                {**far, "new": new["value"]},
                "won_at_age",
                "age-ages",
            )
        )
    about = f"leads open at that age, watched for {rows.horizon_days:g} days from then"
    chart = (
        lines_chart(table, finding, about, x="Age of the lead, days", y="Won from then on")
        if len(table) > 1
        else None
    )
    figure = Figure("age-ages", finding, about, columns, tuple(table), chart)
    return Section(heading, (), (figure,)), told


def _age_name(days: float) -> str:
    if days == 0:
        return "at creation"
    if days < 1:
        hours = round(days * 24)
        return f"after {hours} hour{'s' if hours > 1 else ''}"
    return f"after {days:g} day{'s' if days > 1 else ''}"


def _month_rows(rows: ReportRows) -> list[dict[str, Any]]:
    """Give the conversion of each month; months not mature or with few leads have none."""
    month = months_of(rows.created)
    first = int(month.min())
    k = int(month.max()) - first + 1
    n = np.bincount(month - first, minlength=k)
    mature = np.bincount((month - first)[rows.is_mature], minlength=k)
    wins = np.bincount((month - first)[rows.is_mature & rows.won], minlength=k)
    table = []
    for i in range(k):
        if n[i] == 0:
            continue
        whole, few = mature[i] == n[i], n[i] < FEWEST_LEADS
        row = interval_row(month_name(first + i), int(wins[i]), int(n[i]))
        if few or not whole:
            row |= {"value": None, "low": None, "high": None}
        if not whole:
            row["wins"] = None
        said = "yes" if whole else f"no: {mature[i]:,} of {n[i]:,}"
        said = "yes, but too few leads" if whole and few else said
        table.append({**row, "mature": said})
    return table[-MOST_MONTHS:]


def _months(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    heading = "Conversion over time"
    if not rows.has_times:
        needs = "Conversion by month of creation, with its trend. That needs [leads] created_at."
        return Section(heading, needs=needs), []
    table = _month_rows(rows)
    seen = [row for row in table if row["value"] is not None]
    told: list[Takeaway] = []
    finding = "Conversion shows no trend that lasts"
    if len(seen) >= 3:
        wins, n = (np.array([row[key] for row in seen]) for key in ("wins", "n"))
        (z, p), half = lasting_trend(wins, n), len(seen) // 2
        if p < CHANCE:
            early = interval_row("", int(wins[:half].sum()), int(n[:half].sum()))
            late = interval_row("", int(wins[-half:].sum()), int(n[-half:].sum()))
            way = "rises" if z > 0 else "falls"
            finding = f"Conversion {way} over {len(seen)} mature months"
            told.append(
                Takeaway(
                    f"{finding}: {percent(early['value'])} in the first half (to "
                    f"{seen[half - 1]['name']}), "
                    f"{share_words(late['value'], late['low'], late['high'], late['n'])} in the "
                    f"last (from {seen[-half]['name']}).",
                    {**late, "first_half": early["value"], "p": p},
                    "month_won_share",
                    "age-months",
                )
            )
    columns = (
        Column("name", "Month"),
        Column("n", "Leads", "count", "leads"),
        Column("wins", "Won", "count"),
        Column("value", "Conversion", "share", "month_won_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("mature", "Mature"),
    )
    base = rows.rate[0] / max(rows.rate[1], 1)
    about = (
        f"{about_mature(rows)}; months with younger leads, or fewer than {FEWEST_LEADS}, are empty"
    )
    chart = months_chart(table, finding, about, what="Conversion", base=base) if seen else None
    said = _season(seen)
    figure = Figure("age-months", finding, about, columns, tuple(table), chart)
    return Section(heading, (said,) if said else (), (figure,)), told


def _season(seen: list[dict[str, Any]]) -> str:
    """Look for months of the year that differ, once the years themselves are allowed for."""
    years = sorted({row["name"][:4] for row in seen})
    if len(seen) < 18 or len(years) < 2:
        return ""
    n, wins = (np.zeros((len(years), 12), dtype=np.int64) for _ in range(2))
    for row in seen:
        place = years.index(row["name"][:4]), int(row["name"][5:]) - 1
        n[place], wins[place] = row["n"], row["wins"]
    kept = n.sum(axis=0) > 0
    n, wins = n[:, kept], wins[:, kept]
    by_year = wins.sum(axis=1, keepdims=True) / n.sum(axis=1, keepdims=True)
    with_months = additive(wins, n).deviance
    share = np.clip(np.broadcast_to(by_year, n.shape), 1e-12, 1 - 1e-12)
    rate = np.clip(np.divide(wins, n, out=np.full(n.shape, 0.5), where=n > 0), 1e-12, 1 - 1e-12)
    gain = wins * np.log(rate / share) + (n - wins) * np.log((1 - rate) / (1 - share))
    freedom, left = int(kept.sum()) - 1, int((n > 0).sum() - len(years) - kept.sum() + 1)
    gained = float(2 * gain.sum()) - with_months
    spread = max(1.0, with_months / left) if left > 0 else 1.0  # years differ in their seasons
    p = float(chi2.sf(max(gained, 0.0) / spread, freedom))
    if p >= CHANCE:
        return f"Months of the year differ by no more than chance (p = {p:.2f})."
    share = wins.sum(axis=0) / n.sum(axis=0)
    ends = [MONTHS[np.flatnonzero(kept)[i]] for i in (share.argmax(), share.argmin())]
    return (
        f"Months of the year differ by more than chance (p = {p:.2g}): most are won of the leads "
        f"of {ends[0]} ({percent(share.max())}), fewest of {ends[1]} ({percent(share.min())})."
    )
