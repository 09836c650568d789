"""Activities and content: what leads to wins, at which stage, and which contents are missing.

A lead that lives longer does more, and a lead that is won lives longer than one that is lost
at once. So activities are never simply counted. All leads are looked at on the same day of
their life, those who had the activity by then are compared with those who had not, and what
counts is what came afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crm.arrays import Bools, Codes, Ints, PackedBits
from crm.times import DAY
from features.events import NEVER
from features.groups import Groups
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Contrast, p_of
from models.evaluation.intervals import holm
from reports.charts.report import series_chart
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.metrics import DEFINITIONS
from reports.numbers import percent
from reports.pages.phrases import (
    contrast_rows,
    correct_families,
    evidence_of,
    finding_of,
    group_contrasts,
    one_contrast,
    rates_figure,
    ratio_words,
    strongest,
)
from reports.rows.attribution import WAYS, share_out, touches
from reports.rows.journeys import Funnel, Log
from reports.rows.rows import ReportRows
from reports.text import quoted_name

SLUG, TITLE = "activities", "Activities and content"
LEAD = "Which activities and contents lead to wins, at which stage, and where is content missing?"
LOOK_DAYS = 7.0
MOST_KINDS = 40
MOST_CONTENTS = 40
MOST_TOLD = 3
MOST_TWINS = 3
SAME_LEADS = 0.5  # of the leads of two groups in both: telling of the second is no news
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
    log, days = _without_people(rows, rows.log), look_days(rows)
    kinds, contents = _most(log.kind, MOST_KINDS), _most(log.content, MOST_CONTENTS)
    kinds = kinds[rows.is_touch[kinds]]
    at = rows.created + int(days * DAY)
    ever = np.full(len(rows), np.iinfo(np.int64).min)
    looks = [
        _look(rows, log, ever, at, log.kind, kinds),
        _look(rows, log, ever, at, log.content, contents),
    ]
    funnel = rows.funnel
    if funnel is not None:
        for k in range(len(funnel.stages)):
            entered = funnel.entered[:, k]
            later = np.where(entered == NEVER, NEVER, entered + int(days * DAY))
            looks.append(_look(rows, log, entered, later, log.kind, kinds))
    families = correct_families([look.found for look in looks])
    about = (
        f"leads still open {days:g} days after creation, looked at then, n = {looks[0].n:,}; "
        f"won within {rows.horizon_days:g} days from then"
    )
    sections: list[Section] = []
    told: list[Takeaway] = []
    known: list[PackedBits] = []
    for heading, names, codes, place in (
        ("Activities by type", log.kinds, kinds, 0),
        ("Contents", log.contents, contents, 1),
    ):
        if not len(codes):
            sections.append(Section(heading, needs=_contents_needed(rows)))
            continue
        column = content_column(rows) if place else ""
        section, takeaways = _early(
            heading,
            [names[c] for c in codes],
            families[place],
            looks[place].had,
            known,
            about,
            days,
            f"activities-{place}",
            column,
        )
        sections.append(section)
        told += takeaways
    if funnel is not None and funnel.stages:
        had = [look.had for look in looks[2:]]
        section, takeaways = _by_stage(funnel, log, kinds, families[2:], had, known, days)
        sections.append(section)
        told += takeaways
    sections += _attribution(rows, log)
    gaps, missing = _gaps(rows, log)
    return Page(SLUG, TITLE, LEAD, (*told, *missing), (*sections, gaps))


def _without_people(rows: ReportRows, log: Log) -> Log:
    """Take contents out that say who did something: people are neither ranked nor credited."""
    if not rows.project.report.content_is_people:
        return log
    return replace(log, content=np.full_like(log.content, -1), contents=())


def _contents_needed(rows: ReportRows) -> str:
    if rows.project.report.content_is_people:
        return (
            "Contents, such as pages, mails and webinars. What the activities have as content are "
            "people ([report] content_is_people), who are not ranked here."
        )
    return "Contents, such as pages, mails and webinars: map [activities] content."


def look_days(rows: ReportRows) -> float:
    """How long after creation leads are looked at: a week, or less where the horizon is short."""
    return min(LOOK_DAYS, max(1.0, np.floor(rows.horizon_days / 4)))


def _most(code: Codes, most: int) -> Ints:
    """Give the most frequent codes, the most frequent first."""
    n = np.bincount(code[code >= 0]) if (code >= 0).any() else np.zeros(0, dtype=np.int64)
    return np.argsort(-n, kind="stable")[:most][: int((n > 0).sum())]


@dataclass(frozen=True)
class _Look:
    """All leads that were open at a look, and those of them that had each activity by then.

    Attributes
    ----------
    found : list of Contrast
        By activity, not corrected.
    n : int
        Leads open at the look.
    had : ndarray of uint8, shape (k, ceil(n_leads / 8))
        Which leads had each activity: a bit a lead.
    """

    found: list[Contrast]
    n: int
    had: PackedBits


def _look(rows: ReportRows, log: Log, since: Ints, at: Ints, code: Codes, codes: Ints) -> _Look:
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
    had = np.zeros((len(codes), len(rows)), dtype=bool)
    had[column[seen], log.lead[seen]] = True
    n, wins = had.sum(axis=1), had[:, won].sum(axis=1)
    all_n, all_wins = int(there.sum()), int(won.sum())
    found = [one_contrast(int(w), int(m), all_wins, all_n) for w, m in zip(wins, n, strict=True)]
    return _Look(found, all_n, np.packbits(had, axis=1))


def _is_news(had: PackedBits, known: list[PackedBits]) -> bool:
    """Tell whether a group of leads is another than those told of, and note it down if so."""
    for other in known:
        both, either = np.bitwise_count(had & other).sum(), np.bitwise_count(had | other).sum()
        if both > SAME_LEADS * either:
            return False
    known.append(had)
    return True


def _twins(names: Sequence[str], had: PackedBits, i: int) -> str:
    """Name an activity, and up to two others that the very same leads had."""
    same = [k for k in range(len(names)) if k != i and (had[k] == had[i]).all()]
    *first, last = (quoted_name(names[k]) for k in (i, *same[: MOST_TWINS - 1]))
    return f"{', '.join(first)} and {last}" if first else last


def content_column(rows: ReportRows) -> str:
    """Give the CRM's own name of what the project maps as content; empty if it says so itself."""
    activities = rows.project.activities
    name = None if activities is None else activities.column_of("content")
    return "" if name is None or name.casefold() == "content" else name


def _early(
    heading: str,
    names: Sequence[str],
    found: list[Contrast],
    had: PackedBits,
    known: list[PackedBits],
    about: str,
    days: float,
    slug: str,
    column: str = "",
) -> tuple[Section, list[Takeaway]]:
    named = f"{quoted_name(column)} " if column else ""
    base = next((each.value / each.ratio for each in found if each.ratio), 0.0)
    did = f"in their first {days:g} days"
    place = {name: i for i, name in enumerate(names)}
    held = strongest(
        zip(names, found, strict=True),
        lambda name, each: (
            f"Leads with {named}{_twins(names, had, place[name])} {did} convert "
            f"{ratio_words(each)}."
        ),
        "activity_ratio",
        slug,
        most=len(names),
    )
    told = [t for t in held if _is_news(had[place[t.evidence["name"]]], known)][:MOST_TOLD]
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
    paragraphs: tuple[str, ...] = ()
    if column:
        paragraphs = (f"“Content” means the column {quoted_name(column)} of the activities.",)
    return Section(heading, paragraphs, (figure,)), told


def _by_stage(
    funnel: Funnel,
    log: Log,
    kinds: Ints,
    families: list[list[Contrast]],
    had: list[PackedBits],
    known: list[PackedBits],
    days: float,
) -> tuple[Section, list[Takeaway]]:
    names = [log.kinds[code] for code in kinds]
    items: list[tuple[str, Contrast]] = []
    table: list[dict[str, Any]] = []
    places: dict[str, tuple[int, int]] = {}
    for k, (stage, found) in enumerate(zip(funnel.stages, families, strict=True)):
        for i, (kind, each) in enumerate(zip(names, found, strict=True)):
            if each.n:
                name = f"{stage}: {kind}"
                items.append((name, each))
                places[name] = k, i
                table.append({**each.row(), "name": name, "stage": stage})

    def sentence(name: str, each: Contrast) -> str:
        k, i = places[name]
        return (
            f"In the first {days:g} days in {quoted_name(funnel.stages[k])}, leads with "
            f"{_twins(names, had[k], i)} convert {ratio_words(each)} of the leads in that stage."
        )

    ranked = strongest(items, sentence, "activity_ratio", "activities-stages", most=len(items))
    told: list[Takeaway] = []
    kinds_told: set[int] = set()
    for takeaway in ranked:
        k, i = places[takeaway.evidence["name"]]
        if i not in kinds_told and _is_news(had[k][i], known):
            kinds_told.add(i)
            told.append(takeaway)
    held = sum(each.holds for _, each in items)
    table.sort(
        key=lambda row: (
            -abs(np.log(row["ratio"])) if row["p"] and row["p"] < CHANCE and row["ratio"] else 0.0
        )
    )
    finding = (
        f"{held or 'None'} of {len(items)} pairs of a stage and an activity go with more wins, or "
        "with fewer, by more than chance"
    )
    columns = (
        Column("name", "Stage and activity"),
        Column("n", "Leads with it", "count"),
        Column("wins", "Won", "count"),
        Column("value", "Conversion with it", "share", "with_activity_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("ratio", "Against all in the stage", "ratio", "activity_ratio"),
        Column("ratio_low", "from (95 %)", "ratio"),
        Column("ratio_high", "to (95 %)", "ratio"),
        Column("p", "p, corrected", "ratio", "chance"),
        Column("verdict", "Verdict"),
    )
    about = f"leads still open {days:g} days after entering the stage, looked at then"
    figure = Figure("activities-stages", finding, about, columns, tuple(table))
    return Section("At which stage", (), (figure,)), told[:2]


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
                    {
                        "name": [*names, NO_CONTENT][i],
                        **dict(zip(WAYS, map(float, each), strict=True)),
                        "disagreement": float(each.max() - each.min()),
                    }
                )
        widest = max(table, key=lambda row: row["disagreement"])
        most, least = (pick(WAYS, key=lambda way: widest[way]) for pick in (max, min))
        finding = (
            f"{quoted_name(widest['name'])} gets {percent(widest[most])} of the wins by "
            f"{DEFINITIONS[most].title.lower()}, {percent(widest[least])} by "
            f"{DEFINITIONS[least].title.lower()}"
        )
        columns = (
            Column("name", label),
            *(Column(way, DEFINITIONS[way].title, "share", way) for way in WAYS),
            Column("disagreement", "Disagreement", "share", "disagreement"),
        )
        about = f"won leads with an activity up to their closing, n = {found.n_wins:,}"
        chart = series_chart(
            table,
            finding,
            about,
            what="Share of the wins",
            series=[(way, DEFINITIONS[way].title) for way in WAYS],
        )
        figures.append(
            Figure(
                f"attribution-{name}",
                finding,
                about,
                columns,
                tuple(table),
                chart,
                "Four conventions, no causes. Where they disagree, none is the right one.",
            )
        )
    return [Section(heading, (), tuple(figures))]


def _gaps(rows: ReportRows, log: Log) -> tuple[Section, tuple[Takeaway, ...]]:
    """Find stages and kinds of leads with low conversion and little content."""
    heading = "Where few go on and see little content"
    segments = [each for each in (rows.source, *rows.audience[:1]) if each is not None]
    funnel = rows.funnel
    if funnel is None or not funnel.stages or not segments or not (log.content >= 0).any():
        needs = (
            "Stages and kinds of leads that convert badly and saw little content. That needs "
            "stages, contents of activities ([activities] content), and a source or audience."
        )
        return Section(heading, needs=needs), ()
    table: list[dict[str, Any]] = []
    families: list[list[Contrast]] = []
    limit = rows.created + rows.horizon
    following = np.column_stack([funnel.reached[:, 1:], rows.closed])
    for k, stage in enumerate(funnel.stages):
        entered = funnel.entered[:, [k]]
        reached = rows.is_mature & ((funnel.reached[:, k] <= limit) | rows.won)
        goes_on = (following[:, k] <= limit) if k + 1 < len(funnel.stages) else rows.won
        inside = rows.is_mature & (entered[:, 0] <= limit)
        left = np.where(following > entered, following, NEVER).min(axis=1)
        seen = (
            (log.content >= 0)
            & inside[log.lead]
            & (log.at >= entered[log.lead, 0])
            & (log.at < left[log.lead])
        )
        for groups in segments:
            families.append(group_contrasts(groups, reached, goes_on | rows.won))
            table += [
                {"stage": stage, "segment": groups.column, "group": name, **contents}
                for name, contents in zip(
                    groups.names, _contents_seen(groups, inside, log, seen), strict=True
                )
            ]
    corrected = [each for family in correct_families(families) for each in family]
    few = holm([row["p_contents"] for row in table])
    rows_, told = [], []
    for row, each, p in zip(table, corrected, few, strict=True):
        if not each.n:
            continue
        sees_less = p < CHANCE and row["per_lead"] < row["usual"]
        is_gap = each.holds and (each.ratio or 1) < 1 and sees_less
        name = f"{row['stage']} × {row['segment']}: {row['group']}"
        contents = {key: row[key] for key in ("per_lead", "usual")}
        rows_.append(
            {
                **each.row(),
                "name": name,
                **contents,
                "p_contents": p,
                "gap": "yes" if is_gap else "no",
            }
        )
        if is_gap:
            told.append(
                Takeaway(
                    f"Leads of {quoted_name(row['segment'])} {quoted_name(row['group'])} in "
                    f"{quoted_name(row['stage'])} see {row['per_lead']:.2f} contents each there, "
                    f"against {row['usual']:.2f} of all, and go on {ratio_words(each)}. Less "
                    "content may be the cause of that, or its consequence.",
                    evidence_of(each, name=name, **contents),
                    "contents_per_lead",
                    "activities-gaps",
                )
            )
    rows_.sort(key=lambda row: (row["gap"] != "yes", row["ratio"] or 1))
    told.sort(key=lambda t: t.evidence["ratio_high"] or 1)
    columns = (
        Column("name", "Stage and kind of lead"),
        Column("gap", "Less of both"),
        Column("n", "Reached the stage", "count"),
        Column("wins", "Go on", "count"),
        Column("value", "Goes on", "share", "step_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("ratio", "Against all in the stage", "ratio"),
        Column("verdict", "Verdict"),
        Column("per_lead", "Contents a lead", "ratio", "contents_per_lead"),
        Column("usual", "Contents a lead, all", "ratio", "contents_per_lead"),
        Column("p_contents", "p of contents, corrected", "ratio", "chance"),
    )
    finding = (
        f"{len(told) or 'None'} of {len(rows_)} kinds of leads in a stage go on less often than "
        "the others and see less content, both by more than chance"
    )
    figure = Figure(
        "activities-gaps",
        finding,
        "mature leads that reached the stage within the horizon; "
        "contents seen in it by those that entered it",
        columns,
        tuple(rows_),
        note="Less content may be the cause of fewer going on, or its consequence.",
    )
    return Section(heading, (), (figure,)), tuple(told[:2])


def _contents_seen(groups: Groups, inside: Bools, log: Log, seen: Bools) -> list[dict[str, Any]]:
    """Give each group's contents a lead in a stage, all leads' too, and the chance of that.

    Parameters
    ----------
    groups : Groups
    inside : ndarray of bool, shape (n_leads,)
        Which leads entered the stage.
    log : Log
    seen : ndarray of bool, shape (n_activities,)
        Which activities count.
    """
    code, k = groups.code[inside], len(groups.names)
    per_lead = np.bincount(log.lead[seen], minlength=len(inside))[inside].astype(np.float64)
    usual = float(per_lead.mean()) if len(per_lead) else 0.0
    found = []
    for i in range(k):
        own, others = per_lead[code == i], per_lead[code != i]
        p = 1.0
        if min(len(own), len(others)) >= FEWEST_LEADS:
            error = own.var(ddof=1) / len(own) + others.var(ddof=1) / len(others)
            p = p_of((own.mean() - others.mean()) / np.sqrt(error)) if error > 0 else 1.0
        mean = float(own.mean()) if len(own) else 0.0
        found.append({"per_lead": mean, "usual": usual, "p_contents": p})
    return found
