"""Funnel: how far leads come, how long it takes, and where they fall off."""

from typing import Any

import numpy as np

from crm.times import DAY
from features.events import NEVER
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, middle, two_counts, two_shares
from models.evaluation.intervals import holm
from reports.charts.report import funnel_chart, rates_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.numbers import percent
from reports.pages.phrases import (
    about_mature,
    correct_families,
    days_words,
    group_contrasts,
    interval_row,
    ratio_words,
    share_words,
    strongest,
)
from reports.rows.journeys import Funnel
from reports.rows.rows import ReportRows
from reports.text import quoted_name

SLUG, TITLE = "funnel", "Funnel"
LEAD = "How far do leads come, how long does it take, and where do they fall off?"
CREATED, WON = "created", "won"
MOST_REASONS = 15


def funnel_page(rows: ReportRows) -> Page:
    """Tell the way of leads through the stages, and why they are lost."""
    sections: list[Section] = []
    takeaways: list[Takeaway] = []
    if rows.funnel is None or not rows.funnel.stages:
        sections.append(Section("The way through the stages", needs=_stages_needed(rows)))
    else:
        for section, told in (_steps(rows, rows.funnel), _stays(rows, rows.funnel)):
            sections.append(section)
            takeaways += told
    sections.append(_reasons(rows))
    return Page(SLUG, TITLE, LEAD, tuple(takeaways), tuple(sections))


def _stages_needed(rows: ReportRows) -> str:
    said = (
        "Conversion from stage to stage, time in each, and where leads fall off. That needs a "
        "table [stages] with lead_id, stage and entered_at"
    )
    if rows.log is not None:
        return said + (
            '; or, if some types of activity are the stages, [report] stage_activities = ["…"] in '
            "the funnel's order. Nothing is inferred from other activities."
        )
    return (
        said
        + ". Leads without times cannot be placed in it." * (not rows.has_times)
        + "." * (rows.has_times)
    )


def _steps(rows: ReportRows, funnel: Funnel) -> tuple[Section, list[Takeaway]]:
    mature, lost = rows.is_mature, rows.is_lost
    limit = rows.created + rows.horizon
    reached = [np.ones(len(rows), dtype=bool)]
    times = [rows.created]
    for k in range(len(funnel.stages)):
        at = funnel.reached[:, k]
        reached.append((at <= limit) | rows.won)
        times.append(at)
    reached.append(rows.won)
    times.append(rows.closed)
    names = [CREATED, *funnel.stages, WON]
    n_all, table = int(mature.sum()), []
    for k in range(1, len(names)):
        before, now = mature & reached[k - 1], mature & reached[k]
        both = now & (times[k] != NEVER) & (times[k - 1] != NEVER)
        took = middle(np.maximum(times[k][both] - times[k - 1][both], 0) / DAY)
        stuck = before & ~reached[k]
        table.append(
            interval_row(
                names[k],
                int(now.sum()),
                int(before.sum()),
                reached_share=float(now.sum() / max(n_all, 1)),
                after=names[k - 1],
                days=None if took is None else took.value,
                days_late=None if took is None else took.late,
                lost=int((stuck & lost).sum()),
                open=int((stuck & ~lost & ~rows.is_won).sum()),
                late=int((stuck & rows.is_won).sum()),
            )
        )
    columns = (
        Column("name", "Step"),
        Column("after", "After"),
        Column("n", "Reached the one before", "count"),
        Column("wins", "Reached it", "count"),
        Column("reached_share", "Of all", "share", "reached_share"),
        Column("value", "Goes on", "share", "step_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("days", "Median days", "days", "step_days"),
        Column("days_late", "Nine of ten within", "days", "nine_of_ten"),
        Column("lost", "Lost before it", "count", "lost_after"),
        Column("open", "Still open before it", "count", "open_after"),
        Column("late", "Won too late to count", "count", "late_wins"),
    )
    takeaways = _narrowest(table, rows.horizon_days)
    finding = (
        takeaways[0].sentence.partition(":")[0]
        if takeaways
        else f"{percent(table[-1]['reached_share'])} of the leads are won"
    )
    about = f"{about_mature(rows)}; within {rows.horizon_days:g} days of creation"
    chart = funnel_chart(table, finding, about)
    figures = [
        Figure(
            "funnel-steps",
            finding,
            about,
            columns,
            tuple(table),
            chart,
            "A lead that skipped a stage counts as having reached it.",
        )
    ]
    by_source, told = _steps_by_source(rows, names, reached)
    figures += by_source
    takeaways += _steps_over_time(rows, names, reached) + told
    paragraphs: tuple[str, ...] = ()
    if funnel.endings:
        named = ", ".join(map(quoted_name, funnel.endings))
        paragraphs = (f"Not shown as steps, because they come with the outcome: {named}.",)
    return Section("The way through the stages", paragraphs, tuple(figures)), takeaways


def _narrowest(table: list[dict[str, Any]], horizon_days: float) -> list[Takeaway]:
    """Name the step where the smallest share goes on, if it is the smallest beyond doubt."""
    judged = sorted((r for r in table if r["n"] >= FEWEST_LEADS), key=lambda r: r["value"])
    if len(judged) < 2 or judged[0]["high"] >= judged[1]["low"]:
        return []
    worst, next_worst = judged[:2]
    fate = ""
    gone = worst["n"] - worst["wins"]
    if gone:
        fate = (
            f" The {gone:,} others: {worst['lost']:,} lost, {worst['open']:,} open, "
            f"{worst['late']:,} won after more than {horizon_days:g} days."
        )
    return [
        Takeaway(
            f"The narrowest step is from {quoted_name(worst['after'])} to "
            f"{quoted_name(worst['name'])}: "
            f"{share_words(worst['value'], worst['low'], worst['high'], worst['n'])} go on; at "
            f"the next narrowest step, to {quoted_name(next_worst['name'])}, "
            f"{percent(next_worst['value'])} do.{fate}",
            {key: worst[key] for key in ("name", "value", "low", "high", "n", "wins")},
            "step_share",
            "funnel-steps",
        )
    ]


def _steps_over_time(rows: ReportRows, names: list[str], reached: list[Any]) -> list[Takeaway]:
    """Compare the newer half of the mature leads with the older one at each step."""
    when = np.sort(rows.created[rows.is_mature])
    if not len(when):
        return []
    is_new = rows.created > when[len(when) // 2]
    looks = []
    for k in range(1, len(names)):
        before = rows.is_mature & reached[k - 1]
        sides = [
            (int((before & s & reached[k]).sum()), int((before & s).sum()))
            for s in (is_new, ~is_new)
        ]
        if min(n for _, n in sides) >= FEWEST_LEADS:
            looks.append((two_shares(*sides[0], *sides[1]), names[k - 1], names[k], sides))
    told = []
    for p, (_, before, name, sides) in zip(holm([x[0] for x in looks]), looks, strict=True):
        if p < CHANCE:
            row = interval_row(name, *sides[0])
            old = interval_row(name, *sides[1])
            told.append(
                (
                    abs(row["value"] - old["value"]),
                    Takeaway(
                        f"From {quoted_name(before)} to {quoted_name(name)} "
                        f"{share_words(row['value'], row['low'], row['high'], row['n'])} "
                        "of the newer half "
                        f"of the mature leads go on, {percent(old['value'])} of the older half.",
                        {**row, "older": old["value"], "p": p},
                        "step_share",
                        "funnel-steps",
                    ),
                )
            )
    return [takeaway for _, takeaway in sorted(told, key=lambda pair: -pair[0])[:1]]


def _steps_by_source(
    rows: ReportRows, names: list[str], reached: list[Any]
) -> tuple[list[Figure], list[Takeaway]]:
    if rows.source is None:
        return [], []
    groups = rows.source
    families = correct_families(
        [
            group_contrasts(groups, rows.is_mature & reached[k - 1], reached[k])
            for k in range(1, len(names))
        ]
    )
    table, items = [], []
    for k, found in enumerate(families, start=1):
        for name, each in zip(groups.names, found, strict=True):
            if each.n:
                label = f"{name}: {names[k - 1]} → {names[k]}"
                table.append({**each.row(), "name": label, "source": name, "step": names[k]})
                items.append(((name, names[k - 1], names[k]), each))
    columns = (
        Column("name", "Source and step"),
        Column("n", "Reached the stage before", "count"),
        Column("wins", "Go on", "count"),
        Column("value", "Goes on", "share", "step_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("ratio", "Against all sources", "ratio"),
        Column("p", "p, corrected", "ratio", "chance"),
        Column("verdict", "Verdict"),
    )
    told = [
        takeaway
        for (name, before, step), each in items
        for takeaway in strongest(
            [(name, each)],
            lambda name, found, before=before, step=step: (
                f"Leads from {quoted_name(name)} go on from {quoted_name(before)} to "
                f"{quoted_name(step)} {ratio_words(found)}."
            ),
            "step_share",
            "funnel-sources",
        )
    ]
    told.sort(key=lambda t: -max(t.evidence["ratio_low"] or 0, 1 / (t.evidence["ratio_high"] or 1)))
    n = sum(1 for row in table if row["verdict"] in ("above the others", "below the others"))
    finding = f"At {n} of {len(table)} steps a source differs from the others by more than chance"
    return [Figure("funnel-sources", finding, about_mature(rows), columns, tuple(table))], told[:1]


def _stays(rows: ReportRows, funnel: Funnel) -> tuple[Section, list[Takeaway]]:
    """Tell how long leads stay in each stage, and where the open ones are."""
    following = np.column_stack([funnel.entered, rows.closed])
    table: list[dict[str, Any]] = []
    for k, name in enumerate(funnel.stages):
        here = funnel.entered[:, k]
        later = np.where(following > here[:, None], following, NEVER).min(axis=1)
        ended = rows.is_mature & (here != NEVER) & (later != NEVER)
        stay = middle((later[ended] - here[ended]) / DAY)
        waiting = rows.is_open & (funnel.current == k)
        age = middle((rows.as_of - here[waiting]) / DAY)
        table.append(
            {
                "name": name,
                "n": int(ended.sum()),
                "value": None if stay is None else stay.value,
                "low": None if stay is None else stay.low,
                "high": None if stay is None else stay.high,
                "late": None if stay is None else stay.late,
                "open": int(waiting.sum()),
                "open_days": None if age is None else age.value,
            }
        )
    shown = [row for row in table if row["value"] is not None]
    columns = (
        Column("name", "Stage"),
        Column("n", "Stays that ended", "count"),
        Column("value", "Median days", "days", "stage_days"),
        Column("low", "from (95 %)", "days"),
        Column("high", "to (95 %)", "days"),
        Column("late", "Nine of ten within", "days", "nine_of_ten"),
        Column("open", "Open leads in it now", "count", "open_leads"),
        Column("open_days", "Their median days in it", "days", "open_days"),
    )
    about = f"stays of mature leads that have ended, n = {sum(r['n'] for r in table):,}"
    told = []
    ranked = sorted((r for r in shown if r["n"] >= FEWEST_LEADS), key=lambda r: -r["value"])
    finding = "How long leads stay in each stage"
    if len(ranked) > 1 and ranked[0]["low"] > ranked[1]["high"]:
        slow = ranked[0]
        finding = (
            f"Leads stay longest in {quoted_name(slow['name'])}: {days_words(slow['value'])} for "
            "half of them"
        )
        told.append(
            Takeaway(
                f"{finding} (n = {slow['n']:,}, {days_words(slow['low'])} to "
                f"{days_words(slow['high'])}), {days_words(slow['late'])} for nine of ten; next "
                f"longest is {quoted_name(ranked[1]['name'])} with "
                f"{days_words(ranked[1]['value'])}.",
                {key: slow[key] for key in ("name", "value", "low", "high", "n")},
                "stage_days",
                "funnel-stays",
            )
        )
    chart = rates_chart(shown, finding, about, what="Median days", base=None, form=",")
    note = "Stays that have not ended are not in the medians: where many are open, it is longer."
    return Section(
        "Time in stage",
        (),
        (
            Figure(
                "funnel-stays",
                finding,
                about,
                columns,
                tuple(table),
                chart if shown else None,
                note,
            ),
        ),
    ), told


def _reasons(rows: ReportRows) -> Section:
    """Tell how often each reason is named.

    The first is called the most frequent only if a binomial test tells it from the second, which
    is enough, however many there are.

    References
    ----------
    Hung and Fithian, "Rank Verification for Exponential Families", 2019.
    """
    heading = "Why leads are lost"
    said = rows.reason[rows.is_lost]
    known = np.array([each for each in said if each is not None], dtype=object)
    if not len(known):
        needs = "The reasons of lost leads. The outcomes name none: map [outcomes] reason."
        return Section(heading, needs=needs)
    names, counts = np.unique(known.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_REASONS]
    table = tuple(interval_row(str(names[i]), int(counts[i]), len(known)) for i in order)
    first = f"{quoted_name(table[0]['name'])} for {percent(table[0]['value'])} of the lost leads"
    finding = f"Named most often is {first} with a reason"
    if len(table) > 1 and two_counts(table[0]["wins"], table[1]["wins"]) >= CHANCE:
        second = f"{quoted_name(table[1]['name'])} for {percent(table[1]['value'])}"
        finding = f"No reason is named most by more than chance: {first}, {second}"
    about = f"lost leads with a reason, n = {len(known):,} of {int(rows.is_lost.sum()):,}"
    columns = (
        Column("name", "Reason"),
        Column("wins", "Lost leads", "count"),
        Column("value", "Share", "share", "lost_reason_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
    )
    chart = rates_chart(table, finding, about, what="Share of lost leads", base=None)
    return Section(heading, (), (Figure("funnel-reasons", finding, about, columns, table, chart),))
