"""The month in one minute: what happened in the last 30 days, and what holds up elsewhere."""

from collections.abc import Sequence
from typing import Any

from crm.arrays import Bools, Ints
from crm.times import DAY
from features.events import NEVER
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, two_counts, two_shares
from models.evaluation.intervals import holm
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.metrics import DEFINITIONS
from reports.numbers import percent
from reports.pages.phrases import day_name, interval_row, share_words
from reports.rows.rows import ReportRows

SLUG, TITLE = "month", "This month in one minute"
LEAD = "What happened in the last 30 days, and what holds up on the other pages?"
DAYS = 30
LAST = "in the last 30 days"
BEFORE = "before"


def month_page(rows: ReportRows, others: Sequence[Page]) -> Page:
    """Tell the last 30 days beside the 30 before, and the surest takeaways of the other pages.

    Parameters
    ----------
    rows : ReportRows
    others : sequence of Page
        Whose first takeaways are repeated here.
    """
    sections: list[Section] = []
    told: list[Takeaway] = []
    if rows.has_times:
        section, told = _last_days(rows)
        sections.append(section)
    else:
        needs = (
            "New leads, wins and revenue of the last 30 days beside the 30 before. That needs "
            "times: [leads] created_at and closed_at of the outcomes."
        )
        sections.append(Section("The last 30 days", needs=needs))
    best = [page.takeaways[0] for page in others if page.takeaways]
    wins, n = rows.rate
    row = interval_row("all", wins, n)
    paragraphs = []
    if n:
        paragraphs.append(
            f"All in all {share_words(row['value'], row['low'], row['high'], n)} of the "
            f"{'mature leads' if rows.has_times else 'leads with an outcome'} are won; "
            f"{int(rows.is_open.sum()):,} of {len(rows):,} leads are open."
        )
    silent = [page for page in others if not page.takeaways]
    bare = [page for page in silent if not any(part.figures for part in page.sections)]
    plain = [page.title for page in silent if page not in bare]
    if plain:
        paragraphs.append(f"These pages have figures and no takeaway: {', '.join(plain)}.")
    if bare:
        titles = ", ".join(page.title for page in bare)
        paragraphs.append(f"These pages lack records, and say which: {titles}.")
    sections.append(Section("Where things stand", tuple(paragraphs)))
    return Page(SLUG, TITLE, LEAD, (*told, *best), tuple(sections))


def _last_days(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    if (rows.created < rows.leads_until - 2 * DAYS * DAY).sum() == 0:
        return Section("The last 30 days", needs="Leads of at least 60 days."), []
    created = _last_and_before(rows.created, rows.leads_until)
    closed = [rows.is_won & each for each in _last_and_before(rows.closed, rows.as_of)]
    mature = _last_and_before(rows.created, min(rows.as_of - rows.horizon, rows.leads_until))
    when = f"in the 30 days to {day_name(rows.leads_until)}" if rows.leads_end_early else LAST
    table: list[dict[str, Any]] = []
    looks: list[tuple[float, int]] = []
    for name, counts, metric, days in (
        ("New leads", created, "new_leads", when),
        ("Wins", closed, "recent_wins", LAST),
    ):
        new, old = (int(each.sum()) for each in counts)
        looks.append((two_counts(new, old), len(table)))
        table.append(
            {"name": name, "value": float(new), BEFORE: float(old), "metric": metric, "when": days}
        )
    earned = [float(rows.amount[each].sum()) for each in closed]
    if sum(earned):
        table.append(
            {
                "name": "Revenue won",
                "value": earned[0],
                BEFORE: earned[1],
                "metric": "recent_revenue",
            }
        )
    shares = [(int(rows.won[each].sum()), int(each.sum())) for each in mature]
    if min(n for _, n in shares) >= FEWEST_LEADS:
        looks.append((two_shares(*shares[0], *shares[1]), len(table)))
        new_share, old_share = (100 * wins / n for wins, n in shares)
        name = "Conversion of the leads that became mature, %"
        table.append(
            {"name": name, "value": new_share, BEFORE: old_share, "metric": "cohort_won_share"}
        )
    for p, (_, i) in zip(holm([p for p, _ in looks]), looks, strict=True):
        table[i]["p"] = p
        table[i]["verdict"] = "changed" if p < CHANCE else "within chance"
    for row in table:
        row["counted"] = DEFINITIONS[row["metric"]].definition
    told = _told(table, shares)
    columns = (
        Column("name", "What"),
        Column("value", "Last 30 days", "ratio", "month_figure"),
        Column(BEFORE, "The 30 days before", "ratio", "month_figure"),
        Column("p", "p, corrected", "ratio", "chance"),
        Column("verdict", "Verdict"),
        Column("counted", "What is counted", "prose"),
    )
    finding = (
        f"{table[0]['value']:,.0f} new leads and {table[1]['value']:,.0f} wins in 30 days; "
        f"{table[0][BEFORE]:,.0f} and {table[1][BEFORE]:,.0f} in the 30 before"
    )
    about = f"30 days to {day_name(rows.as_of)}, all leads"
    said = []
    if rows.leads_end_early:
        about += f"; new leads: 30 days to {day_name(rows.leads_until)}"
        said.append(
            f"The newest lead is of {day_name(rows.leads_until)}, other records go on to "
            f"{day_name(rows.as_of)}: new leads are counted up to the newest."
        )
    figure = Figure("month-figures", finding, about, columns, tuple(table))
    return Section("The last 30 days", tuple(said), (figure,)), told


def _last_and_before(at: Ints, end: int) -> list[Bools]:
    """Tell which times lie in the 30 days up to an end, and which in the 30 before."""
    return [
        (at > last - DAYS * DAY) & (at <= last) & (at != NEVER) for last in (end, end - DAYS * DAY)
    ]


def _told(table: list[dict[str, Any]], shares: list[tuple[int, int]]) -> list[Takeaway]:
    told = []
    for row in table:
        if row.get("verdict") != "changed":
            continue
        way = "more" if row["value"] > row[BEFORE] else "fewer"
        said = (
            f"{row['name']}: {row['value']:,.0f} {row.get('when', LAST)}, {way} than the "
            f"{row[BEFORE]:,.0f} in the 30 before."
        )
        low = high = None
        n = int(row["value"])
        if row["metric"] == "cohort_won_share":
            new = interval_row("", *shares[0])
            low, high, n = new["low"], new["high"], new["n"]
            said = (
                f"The leads that became mature in the last 30 days converted "
                f"{'better' if way == 'more' else 'worse'}: "
                f"{share_words(new['value'], low, high, n)} against "
                f"{percent(shares[1][0] / shares[1][1])} of those before."
            )
        told.append(
            Takeaway(
                said,
                {
                    "value": row["value"],
                    "low": low,
                    "high": high,
                    "n": n,
                    "before": row[BEFORE],
                    "p": row["p"],
                },
                row["metric"],
                "month-figures",
            )
        )
    return told
