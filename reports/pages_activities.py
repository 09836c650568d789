"""Activities and content: what leads to wins, at which stage, and which contents are missing.

A lead that lives longer does more, and a lead that is won lives longer than one that is lost
at once. So activities are never simply counted. All leads are looked at on the same day of
their life, those who had the activity by then are compared with those who had not, and what
counts is what came afterwards.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.events import NEVER, Ints
from features.groups import Groups
from reports.attribution import WAYS, share_out, touches
from reports.charts_report import series_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.journeys import Codes, Funnel, Log
from reports.metrics import METRICS
from reports.numbers import percent
from reports.rows import DAY, Bools, ReportRows
from reports.statistics import CHANCE, Contrast
from reports.telling import (
    contrast_rows,
    correct_families,
    evidence_of,
    finding_of,
    one_contrast,
    quoted,
    rates_figure,
    ratio_words,
    strongest,
)

SLUG, TITLE = "activities", "Activities and content"
LEAD = "Which activities and contents lead to wins, at which stage, and where is content missing?"
LOOK_DAYS = 7.0
MOST_KINDS = 40
MOST_CONTENTS = 40
NO_CONTENT = "(none)"


def activities_page(rows: ReportRows) -> Page:
    """Tell what activities go with later wins, and how wins are shared out among them."""
    if rows.log is None:
        needs = (
            "Which activities and contents go with wins. That needs a table [activities] with "
            "lead_id, type and occurred_at, and optionally content and channel"
        )
        if not rows.has_times:
            needs += "; and the time at which each lead was created"
        return Page(SLUG, TITLE, LEAD, sections=(Section("Activities", needs=f"{needs}."),))
    log, days = rows.log, look_days(rows)
    kinds, contents = _most(log.kind, MOST_KINDS), _most(log.content, MOST_CONTENTS)
    kinds = kinds[rows.is_touch[kinds]]
    at = rows.created + int(days * DAY)
    looks = [
        _look(rows, log, np.full(len(rows), np.iinfo(np.int64).min), at, log.kind, kinds),
        _look(rows, log, np.full(len(rows), np.iinfo(np.int64).min), at, log.content, contents),
    ]
    funnel = rows.funnel
    if funnel is not None:
        for k in range(len(funnel.stages)):
            entered = funnel.entered[:, k]
            later = np.where(entered == NEVER, NEVER, entered + int(days * DAY))
            looks.append(_look(rows, log, entered, later, log.kind, kinds))
    families = correct_families([look for look, _ in looks])
    about = (
        f"leads still open {days:g} days after creation, looked at then, n = {looks[0][1]:,}; "
        f"won within {rows.horizon_days:g} days from then"
    )
    sections: list[Section] = []
    told: list[Takeaway] = []
    for heading, names, codes, place in (
        ("Activities by type", log.kinds, kinds, 0),
        ("Contents", log.contents, contents, 1),
    ):
        if not len(codes):
            needs = "Contents, such as pages, mails and webinars: map [activities] content."
            sections.append(Section(heading, needs=needs))
            continue
        column = content_column(rows) if place else ""
        section, takeaways = _early(
            heading, [names[c] for c in codes], families[place], about, days,
            f"activities-{place}", column,
        )  # fmt: skip
        sections.append(section)
        told += takeaways
    if funnel is not None and funnel.stages:
        section, takeaways = _by_stage(rows, funnel, log, kinds, families[2:], days, told)
        sections.append(section)
        told += takeaways
    sections += _attribution(rows, log)
    gaps, missing = _gaps(rows, log)
    return Page(SLUG, TITLE, LEAD, (*told, *missing), (*sections, gaps))


def look_days(rows: ReportRows) -> float:
    """How long after creation leads are looked at: a week, or less where the horizon is short."""
    return min(LOOK_DAYS, max(1.0, np.floor(rows.horizon_days / 4)))


def _most(code: Codes, most: int) -> Ints:
    """Give the most frequent codes, the most frequent first."""
    n = np.bincount(code[code >= 0]) if (code >= 0).any() else np.zeros(0, dtype=np.int64)
    return np.argsort(-n, kind="stable")[:most][: int((n > 0).sum())]


def _look(
    rows: ReportRows, log: Log, since: Ints, at: Ints, code: Codes, codes: Ints
) -> tuple[list[Contrast], int]:
    """Compare leads that had each activity in [since, at] with all that were open at `at`."""
    lead = np.arange(len(rows))
    there = (at < NEVER) & (since < NEVER)
    when = np.where(there, at, 0)
    there &= rows.open_at(lead, when) & (when + rows.horizon <= rows.as_of)
    won = rows.won_within(lead, when) & there
    place = np.full(int(code.max(initial=-1)) + 2, -1)
    place[codes] = np.arange(len(codes))
    column = place[code]
    seen = (
        (column >= 0) & there[log.lead] & (log.at >= since[log.lead]) & (log.at <= when[log.lead])
    )
    had = np.zeros((len(rows), len(codes)), dtype=bool)
    had[log.lead[seen], column[seen]] = True
    n, wins = had.sum(axis=0), had[won].sum(axis=0)
    all_n, all_wins = int(there.sum()), int(won.sum())
    return [one_contrast(int(w), int(m), all_wins, all_n)
            for w, m in zip(wins, n, strict=True)], all_n  # fmt: skip


def content_column(rows: ReportRows) -> str:
    """Give the CRM's own name of what the project maps as content; empty if it says so itself."""
    activities = rows.project.activities
    name = None if activities is None else activities.content
    return "" if name is None or name.casefold() == "content" else name


def _early(
    heading: str,
    names: Sequence[str],
    found: list[Contrast],
    about: str,
    days: float,
    slug: str,
    column: str = "",
) -> tuple[Section, tuple[Takeaway, ...]]:
    named = f"{quoted(column)} " if column else ""
    base = next((each.value / each.ratio for each in found if each.ratio), 0.0)
    did = f"in their first {days:g} days"
    told = strongest(
        zip(names, found, strict=True),
        lambda name, each: f"Leads with {named}{quoted(name)} {did} convert {ratio_words(each)}.",
        "activity_ratio",
        slug,
        most=3,
    )
    order = sorted(range(len(names)), key=lambda i: -(found[i].ratio or 0))
    rows = contrast_rows([names[i] for i in order], [found[i] for i in order])
    figure = rates_figure(
        slug,
        finding_of(names, found, "convert", base),
        about,
        rows,
        label="Leads with",
        metric="with_activity_share",
        base=base,
        what="Conversion with it",
        ratio="activity_ratio",
        note="Goes with, not causes: whoever is about to buy also does more.",
    )
    said = (f"Content here is what the activities name as {quoted(column)}.",) if column else ()
    return Section(heading, said, (figure,)), told


def _by_stage(
    rows: ReportRows,
    funnel: Funnel,
    log: Log,
    kinds: Ints,
    families: list[list[Contrast]],
    days: float,
    before: Sequence[Takeaway],
) -> tuple[Section, tuple[Takeaway, ...]]:
    items, table = [], []
    for stage, found in zip(funnel.stages, families, strict=True):
        for code, each in zip(kinds, found, strict=True):
            kind = log.kinds[code]
            if each.n:
                items.append(((stage, kind), each))
                table.append({**each.row(), "name": f"{stage}: {kind}", "stage": stage})
    told = [
        takeaway
        for (stage, kind), each in items
        for takeaway in strongest(
            [(kind, each)],
            lambda name, found, stage=stage: (
                f"In the first {days:g} days in {quoted(stage)}, leads with {quoted(name)} "
                f"convert {ratio_words(found)} of the leads in that stage."
            ),
            "activity_ratio",
            "activities-stages",
        )
    ]
    known = {tuple(t.evidence[key] for key in ("name", "n", "wins")) for t in before}
    told = [t for t in told if tuple(t.evidence[key] for key in ("name", "n", "wins")) not in known]
    told.sort(key=lambda t: -max(t.evidence["ratio_low"] or 0, 1 / (t.evidence["ratio_high"] or 1)))
    held = sum(each.holds for _, each in items)
    table.sort(key=lambda row: -abs(np.log(row["ratio"])) if row["p"] and row["p"] < CHANCE and
               row["ratio"] else 0.0)  # fmt: skip
    finding = (
        f"{held or 'None'} of {len(items)} pairs of a stage and an activity go with more wins, or "
        "with fewer, by more than chance"
    )
    columns = (
        Column("name", "Stage and activity"), Column("n", "Leads with it", "count"),
        Column("wins", "Won", "count"),
        Column("value", "Conversion with it", "share", "with_activity_share"),
        Column("low", "from (95 %)", "share"), Column("high", "to (95 %)", "share"),
        Column("ratio", "Against all in the stage", "ratio", "activity_ratio"),
        Column("ratio_low", "from (95 %)", "ratio"), Column("ratio_high", "to (95 %)", "ratio"),
        Column("p", "p, corrected", "ratio", "chance"), Column("verdict", "Verdict"),
    )  # fmt: skip
    about = f"leads still open {days:g} days after entering the stage, looked at then"
    figure = Figure("activities-stages", finding, about, columns, tuple(table))
    return Section("At which stage", (), (figure,)), tuple(told[:2])


def _attribution(rows: ReportRows, log: Log) -> list[Section]:
    found = touches(rows, log)
    heading = "How wins are attributed"
    if not found.n_wins:
        needs = "Wins shared out among activities. No won lead has an activity before its closing."
        return [Section(heading, needs=needs)]
    figures = []
    for name, label, code, names in (
        ("type", "Activity", log.kind, log.kinds),
        ("channel", "Channel", log.channel, log.channels),
        ("content", "Content", log.content, log.contents),
    ):
        if not names:
            continue
        shares = share_out(found, code, len(names))
        stacked = np.array([shares[way] for way in WAYS])
        order = np.argsort(-stacked.max(axis=0), kind="stable")[:MOST_CONTENTS]
        table: list[dict[str, Any]] = []
        for i in order:
            if stacked[:, i].max() > 0:
                each = stacked[:, i]
                table.append(
                    {"name": [*names, NO_CONTENT][i], **dict(zip(WAYS, map(float, each),
                     strict=True)), "disagreement": float(each.max() - each.min())}
                )  # fmt: skip
        widest = max(table, key=lambda row: row["disagreement"])
        finding = (
            f"{quoted(widest['name'])} gets {percent(min(widest[w] for w in WAYS))} or "
            f"{percent(max(widest[w] for w in WAYS))} of the wins, by how they are shared out"
        )
        columns = (
            Column("name", label),
            *(Column(way, METRICS[way].title, "share", way) for way in WAYS),
            Column("disagreement", "Disagreement", "share", "disagreement"),
        )
        about = f"won leads with an activity up to their closing, n = {found.n_wins:,}"
        chart = series_chart(
            table, finding, about, what="Share of the wins",
            series=[(way, METRICS[way].title) for way in WAYS],
        )  # fmt: skip
        figures.append(
            Figure(f"attribution-{name}", finding, about, columns, tuple(table), chart,
                   "Four conventions, no causes. Where they disagree, none is the right one.")
        )  # fmt: skip
    return [Section(heading, (), tuple(figures))]


def _gaps(rows: ReportRows, log: Log) -> tuple[Section, tuple[Takeaway, ...]]:
    """Find stages and kinds of leads with low conversion and little content."""
    heading = "Where content is missing"
    segments = [each for each in (rows.source, *rows.audience[:1]) if each is not None]
    funnel = rows.funnel
    if funnel is None or not funnel.stages or not segments or not (log.content >= 0).any():
        needs = (
            "Stages and kinds of leads that convert badly and saw little content. That needs "
            "stages, contents of activities ([activities] content), and a source or audience."
        )
        return Section(heading, needs=needs), ()
    table, families = [], []
    limit = rows.created + rows.horizon
    following = np.column_stack([funnel.reached[:, 1:], rows.closed])
    for k, stage in enumerate(funnel.stages):
        inside = rows.is_mature & (funnel.entered[:, k] <= limit)
        goes_on = (following[:, k] <= limit) if k + 1 < len(funnel.stages) else rows.won
        goes_on = goes_on | rows.won
        later = np.where(
            following > funnel.entered[:, [k]], following, NEVER
        ).min(axis=1)  # fmt: skip
        seen = (
            (log.content >= 0)
            & inside[log.lead]
            & (log.at >= funnel.entered[log.lead, k])
            & (log.at < later[log.lead])
        )
        per_lead = np.bincount(log.lead[seen], minlength=len(rows))
        for groups in segments:
            found, more = _stage_by_group(groups, inside, goes_on, per_lead, log, seen)
            families.append(found)
            table += [
                {"stage": stage, "segment": groups.column, "group": name, **extra}
                for name, extra in zip(groups.names, more, strict=True)
            ]
    corrected = [each for family in correct_families(families) for each in family]
    rows_, told = [], []
    for row, each in zip(table, corrected, strict=True):
        if not each.n:
            continue
        is_gap = each.holds and (each.ratio or 1) < 1 and row["per_lead"] < row["usual"]
        name = f"{row['stage']} × {row['segment']}: {row['group']}"
        rows_.append({**each.row(), "name": name, "per_lead": row["per_lead"],
                      "contents": row["contents"], "usual": row["usual"],
                      "gap": "yes" if is_gap else "no"})  # fmt: skip
        if is_gap:
            told.append(
                Takeaway(
                    f"Content is missing for {quoted(row['group'])} in {quoted(row['stage'])}: "
                    f"they go on {ratio_words(each)}, and see {row['per_lead']:.2f} contents a "
                    f"lead there, against {row['usual']:.2f} of all.",
                    evidence_of(each, name=name, per_lead=row["per_lead"], usual=row["usual"]),
                    "contents_per_lead",
                    "activities-gaps",
                )
            )
    rows_.sort(key=lambda row: (row["gap"] != "yes", row["ratio"] or 1))
    told.sort(key=lambda t: t.evidence["ratio_high"] or 1)
    columns = (
        Column("name", "Stage and kind of lead"), Column("gap", "Content missing"),
        Column("n", "Leads in the stage", "count"), Column("wins", "Go on", "count"),
        Column("value", "Goes on", "share", "step_share"),
        Column("low", "from (95 %)", "share"), Column("high", "to (95 %)", "share"),
        Column("ratio", "Against all in the stage", "ratio"),
        Column("per_lead", "Contents a lead", "ratio", "contents_per_lead"),
        Column("usual", "Contents a lead, all", "ratio"),
        Column("contents", "Different contents seen", "count"),
        Column("verdict", "Verdict"),
    )  # fmt: skip
    finding = (
        f"{len(told) or 'None'} of {len(rows_)} kinds of leads in a stage go on less often than "
        "the others and see less content than usual"
    )
    figure = Figure(
        "activities-gaps", finding, "mature leads that entered the stage within the horizon",
        columns, tuple(rows_),
        note="Less content may be the cause of fewer going on, or its consequence.",
    )  # fmt: skip
    return Section(heading, (), (figure,)), tuple(told[:2])


def _stage_by_group(
    groups: Groups, inside: Bools, goes_on: Bools, per_lead: Ints, log: Log, seen: Bools
) -> tuple[list[Contrast], list[dict[str, Any]]]:
    k = len(groups.names)
    n = np.bincount(groups.code[inside], minlength=k)
    wins = np.bincount(groups.code[inside & goes_on], minlength=k)
    contents = np.bincount(groups.code[inside], per_lead[inside], minlength=k)
    usual = float(per_lead[inside].mean()) if inside.any() else 0.0
    pairs = np.unique(groups.code[log.lead[seen]] * (len(log.contents) + 1) + log.content[seen])
    different = np.bincount(pairs // (len(log.contents) + 1), minlength=k)
    found = [one_contrast(int(w), int(m), int(wins.sum()), int(n.sum()))
             for w, m in zip(wins, n, strict=True)]  # fmt: skip
    more = [
        {"per_lead": float(c / max(m, 1)), "usual": usual, "contents": int(d)}
        for c, m, d in zip(contents, n, different, strict=True)
    ]
    return found, more
