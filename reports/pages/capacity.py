"""Capacity: how many wins to expect if sales works so many leads a week, best first."""

from typing import Any

import numpy as np

from crm.times import DAY
from models.card import ModelCard
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, two_shares
from models.evaluation.metrics import FEWEST_TO_JUDGE
from reports.charts.report import lines_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.pages.phrases import day_name, interval_row, share_words
from reports.pages.score import NO_MODEL
from reports.rows.rows import ReportRows
from reports.rows.scored import not_learned_from
from reports.text import NO_BREAK

SLUG, TITLE = "capacity", "Capacity"
LEAD = "If sales can work so many leads a week, how many wins are in them, best first?"
WEEKS = 13
STEPS = 20


def capacity_page(rows: ReportRows) -> Page:
    """Tell the expected wins of n leads a week, worked best first and in random order."""
    heading = "Leads a week"
    if rows.scorer is None or rows.arrival is None:
        return Page(SLUG, TITLE, LEAD, sections=(Section(heading, needs=NO_MODEL),))
    if not rows.has_times:
        needs = (
            "Expected wins of n leads a week. How many leads come in a week is not known: that "
            "needs [leads] created_at."
        )
        return Page(SLUG, TITLE, LEAD, sections=(Section(heading, needs=needs),))
    since = rows.leads_until - WEEKS * 7 * DAY
    weeks = min(WEEKS, (rows.leads_until - int(rows.created.min())) / DAY / 7)
    a_week = int((rows.created > since).sum()) / max(weeks, 1.0)
    recent = rows.created[rows.arrival.lead] > since
    probability = np.sort(rows.arrival.probability[recent])[::-1]
    if len(probability) < FEWEST_LEADS or a_week < 1:
        needs = f"At least {FEWEST_LEADS} leads in the last {WEEKS} weeks."
        return Page(SLUG, TITLE, LEAD, sections=(Section(heading, needs=needs),))
    table = [_row(share, a_week, probability) for share in np.arange(1, STEPS + 1) / STEPS]
    named = rows.project.report.leads_per_week
    capacity = min(named or a_week / 5, a_week)
    at = _row(capacity / a_week, a_week, probability)
    finding = (
        f"Working the best {at['x']:.0f} of {a_week:.0f} leads a week finds "
        f"{at['expected']:.1f} wins, random order {at['random']:.1f}"
    )
    about = (
        f"leads of the {weeks:.0f} weeks to {day_name(rows.leads_until)}, the newest lead, as "
        f"scored at creation, n = {len(probability):,}; wins as the probabilities state them"
    )
    lines = [
        {"x": row["x"], "series": series, "value": row[key], "n": len(probability)}
        for series, key in (("best first", "expected"), ("random order", "random"))
        for row in table
    ]
    chart = lines_chart(
        lines,
        finding,
        about,
        x="Leads worked a week",
        y="Expected wins a week",
        form=",",
        x_form=",",
    )
    columns = (
        Column("name", "Leads worked a week"),
        Column("share", "Of all", "share", "best_part"),
        Column("expected", "Expected wins, best first", "ratio", "expected_wins"),
        Column("random", "In random order", "ratio", "expected_wins"),
        Column("lift", "Against random order", "ratio"),
        Column("least", "Least probability worked", "share", "least_probability"),
    )
    paragraphs = (
        (
            f"[report] leads_per_week says that sales can work {named:,} leads a week."
            if named
            else "How many leads sales can work is not said; a fifth is shown. Say it with "
            "[report] leads_per_week."
        ),
        "Expected wins are those that come within the horizon if the stated probabilities are "
        "right; whether they are is on the page about the score.",
    )
    figure = Figure("capacity-week", finding, about, columns, tuple(table), chart)
    check, told = _check(rows, rows.scorer.card, capacity / a_week)
    section = Section(heading, paragraphs, (figure,))
    return Page(SLUG, TITLE, LEAD, told, (section, check))


def _row(share: float, a_week: float, probability: Any) -> dict[str, Any]:
    """Add up the probabilities of the best share; a part of a lead counts in part."""
    place = share * len(probability)
    total = np.append(0.0, np.cumsum(probability))
    expected = float(np.interp(place, np.arange(len(total)), total)) / len(probability) * a_week
    random = float(probability.mean()) * share * a_week
    least = float(probability[min(max(int(np.ceil(place)) - 1, 0), len(probability) - 1)])
    return {
        "name": f"{share * a_week:,.1f}",
        "x": float(share * a_week),
        "share": float(share),
        "expected": expected,
        "random": random,
        "lift": expected / max(random, 1e-12),
        "least": least,
    }


def _check(rows: ReportRows, card: ModelCard, share: float) -> tuple[Section, tuple[Takeaway, ...]]:
    """Look what the same share of the leads of one horizon ago brought."""
    heading, scored = "What it would have brought", rows.before
    if scored is None or len(scored) < FEWEST_LEADS:
        return Section(heading, needs="Leads that were open one horizon ago."), ()
    days = f"{rows.horizon_days:g}{NO_BREAK}days"
    won = rows.won_within(scored.lead, scored.as_of)
    unseen = not_learned_from(rows.created[scored.lead], card)
    rarer = min(int(won[unseen].sum()), int((~won[unseen]).sum()))
    flatters = rarer < FEWEST_TO_JUDGE
    chosen = np.ones(len(won), dtype=bool) if flatters else unseen
    said = (
        "Today's model has since learned from these very leads, which flatters it: this is no "
        "proof of what it is worth. Leads that it had not seen are on the page about the score."
        if flatters
        else "Only leads that the model has not learned from are shown."
    )
    won = won[chosen]
    order = np.argsort(-scored.probability[chosen], kind="stable")
    cut = max(round(share * len(order)), 1)
    best, rest = won[order[:cut]], won[order[cut:]]
    table, words = [], []
    for name, part in (("worked, best first", best), ("not worked", rest), ("all", won)):
        row = interval_row(name, int(part.sum()), len(part))
        table.append(row)
        if row["n"]:
            words.append(share_words(row["value"], row["low"], row["high"], row["n"]))
    columns = (
        Column("name", "Which"),
        Column("n", "Leads", "count"),
        Column("wins", "Won", "count"),
        Column("value", "Conversion", "share", "grade_won_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
    )
    about = f"leads open {days} ago, scored as of then by today's model, n = {len(won):,}"
    finding = (
        f"The best-scored {100 * share:.0f}{NO_BREAK}% of the leads of {days} ago held "
        f"{int(best.sum()):,} of {int(won.sum()):,} wins"
    )
    told: tuple[Takeaway, ...] = ()
    if not flatters and min(len(best), len(rest)) >= FEWEST_LEADS:
        p = two_shares(int(best.sum()), len(best), int(rest.sum()), len(rest))
        if p < CHANCE:
            told = (
                Takeaway(
                    f"{finding}: {words[0]} of them were won, {words[1]} of the others. The model "
                    "has not learned from these leads.",
                    {**table[0], "other": table[1]["value"], "p": p},
                    "grade_won_share",
                    "capacity-check",
                ),
            )
    figure = Figure("capacity-check", finding, about, columns, tuple(table))
    return Section(heading, (said,), (figure,)), told
