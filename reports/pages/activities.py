"""Activities and content: what goes with wins, at which stage, and where content is missing.

A lead that lives longer does more, and a won lead lives longer than one that is lost at once. So
activities are never simply counted. All leads are compared on the same day of their life: those
that had the activity by then with all that were open then. Only later wins count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crm.arrays import Bools, Codes, Floats, Ints
from crm.times import DAY
from features.events import NEVER
from features.groups import Groups
from models.evaluation.comparisons import (
    CHANCE,
    FEWEST_LEADS,
    Contrast,
    contrast,
    means_differ,
)
from models.evaluation.intervals import holm
from reports.charts.report import series_chart
from reports.content import Column, Figure, Page, Section, TableRow, Takeaway, cells_of
from reports.metrics import DEFINITIONS
from reports.numbers import percent
from reports.pages.phrases import (
    CHANCE_TITLE,
    RatesLabels,
    contrast_rows,
    correct_families,
    evidence_of,
    finding_of,
    group_contrasts,
    interval_columns,
    mature_words,
    rates_figure,
    ratio_words,
    share_columns,
    strongest,
)
from reports.rows.attribution import WAYS, Touches, share_out, touches
from reports.rows.journeys import Funnel, Log
from reports.rows.rows import ReportRows
from reports.text import quoted_column, quoted_name

Bits = NDArray[np.uint8]

SLUG, TITLE = "activities", "Activities and content"
LEAD = "Which activities and contents lead to wins, at which stage, and where is content missing?"
LOOK_DAYS = 7.0
MOST_TYPES = 40
MOST_CONTENTS = 40
MOST_EARLY_TAKEAWAYS = 3
MOST_STAGE_TAKEAWAYS = 2
MOST_GAP_TAKEAWAYS = 2
MOST_TWINS = 3
SAME_LEADS = 0.5  # of the leads of two groups are in both: the second group is no news
NO_CONTENT = "(none)"


@dataclass(frozen=True, kw_only=True)
class _Look:
    """The leads that were open on the day of comparison, and what they had done by then.

    Attributes
    ----------
    contrasts : list of Contrast, k long
        The leads with each activity, compared with all.
    n : int
        The number of leads that were open.
    had : ndarray of uint8, shape (k, ceil(n_leads / 8))
        The leads with each activity, one bit for each lead.
    """

    contrasts: list[Contrast]
    n: int
    had: Bits


@dataclass
class _Reported:
    """The groups of leads that a takeaway is about, so that no group is reported twice."""

    groups: list[Bits] = field(default_factory=list)

    def is_news(self, had: Bits) -> bool:
        """Return True, and remember the group, if it is another than those reported."""
        for group in self.groups:
            both = np.bitwise_count(had & group).sum()
            either = np.bitwise_count(had | group).sum()
            if both > SAME_LEADS * either:
                return False
        self.groups.append(had)
        return True


def activities_page(rows: ReportRows) -> Page:
    """Build the page about activities before wins, and how wins are attributed to them."""
    if rows.log is None:
        needs = (
            "Which activities and contents go with wins. This needs a table [activities] with "
            "lead_id, type and occurred_at, and optionally content and channel"
        )
        if not rows.has_times:
            needs += "; and the time at which each lead was created"
        section = Section("Activities", needs=f"{needs}.")
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,))
    log = _without_people(rows, rows.log)
    sections, takeaways = _before_wins(rows, log)
    gaps, gap_takeaways = _gaps(rows, log)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *gap_takeaways),
        sections=(*sections, _attribution(log, touches(rows, log)), gaps),
    )


def _before_wins(rows: ReportRows, log: Log) -> tuple[list[Section], list[Takeaway]]:
    """Compare leads with and without each activity and content, at creation and at each stage."""
    days = look_days(rows)
    types, contents = _most(log.type, MOST_TYPES), _most(log.content, MOST_CONTENTS)
    types = types[rows.is_touch[types]]
    at = rows.created + int(days * DAY)
    ever = np.full(len(rows), np.iinfo(np.int64).min)
    looks = [
        _look(rows, log, ever, at, log.type, types),
        _look(rows, log, ever, at, log.content, contents),
    ]
    stages: tuple[str, ...] = ()
    if rows.funnel is not None:
        stages = rows.funnel.stages
        for k in range(len(stages)):
            entered = rows.funnel.entered[:, k]
            later = np.where(entered == NEVER, NEVER, entered + int(days * DAY))
            looks.append(_look(rows, log, entered, later, log.type, types))
    families = correct_families([look.contrasts for look in looks])
    looks = [replace(x, contrasts=family) for x, family in zip(looks, families, strict=True)]
    about = (
        f"leads still open {days:g} days after creation, compared on that day, n = "
        f"{looks[0].n:,}; won within {rows.horizon_days:g} days from then"
    )
    sections: list[Section] = []
    takeaways: list[Takeaway] = []
    reported = _Reported()
    type_names = [log.types[code] for code in types]
    content_names = [log.contents[code] for code in contents]
    early = (
        _Early("Activities by type", "activities-0", type_names, looks[0], "", about, days),
        _Early(
            "Contents",
            "activities-1",
            content_names,
            looks[1],
            content_column(rows),
            about,
            days,
        ),
    )
    for family in early:
        if not family.names:
            sections.append(Section(family.heading, needs=_contents_needed(rows)))
            continue
        sections.append(family.section())
        takeaways += family.takeaways(reported)
    if stages:
        section, found = _by_stage(stages, type_names, looks[2:], reported, days)
        sections.append(section)
        takeaways += found
    return sections, takeaways


def _without_people(rows: ReportRows, log: Log) -> Log:
    """Remove contents that name who did something: people are neither ranked nor credited."""
    if not rows.project.report.content_is_people:
        return log
    return replace(log, content=np.full_like(log.content, -1), contents=())


def _contents_needed(rows: ReportRows) -> str:
    if rows.project.report.content_is_people:
        return (
            "Contents, such as pages, mails and webinars. The content column of the activities "
            "names people ([report] content_is_people), who are not ranked here."
        )
    return "Contents, such as pages, mails and webinars: map [activities] content."


def look_days(rows: ReportRows) -> float:
    """Return the age of leads on the day of comparison: a week, or less if the horizon is short."""
    return min(LOOK_DAYS, max(1.0, np.floor(rows.horizon_days / 4)))


def _most(code: Codes, most: int) -> Ints:
    """Return the most frequent codes, the most frequent first."""
    n = np.bincount(code[code >= 0]) if (code >= 0).any() else np.zeros(0, dtype=np.int64)
    return np.argsort(-n, kind="stable")[:most][: int((n > 0).sum())]


def _look(rows: ReportRows, log: Log, since: Ints, at: Ints, code: Codes, codes: Ints) -> _Look:
    """Compare the leads that had each activity in [since, at] with all that were open at `at`."""
    lead = np.arange(len(rows))
    is_open = (at < NEVER) & (since < NEVER)
    when = np.where(is_open, at, 0)
    is_open &= rows.open_at(lead, when) & (when + rows.horizon <= rows.as_of)
    won = rows.won_within(lead, when) & is_open
    place = np.full(int(code.max(initial=-1)) + 2, -1)
    place[codes] = np.arange(len(codes))
    column = place[code]
    counts = (
        (column >= 0) & is_open[log.lead] & (log.at >= since[log.lead]) & (log.at <= when[log.lead])
    )
    had = np.zeros((len(codes), len(rows)), dtype=bool)
    had[column[counts], log.lead[counts]] = True
    n, wins = had.sum(axis=1), had[:, won].sum(axis=1)
    all_n, all_wins = int(is_open.sum()), int(won.sum())
    contrasts = [contrast(int(w), int(m), all_wins, all_n) for w, m in zip(wins, n, strict=True)]
    return _Look(contrasts=contrasts, n=all_n, had=np.packbits(had, axis=1))


def _twins(names: Sequence[str], had: Bits, i: int) -> str:
    """Name an activity, and up to two others that the very same leads had."""
    same = [k for k in range(len(names)) if k != i and (had[k] == had[i]).all()]
    *first, last = (quoted_name(names[k]) for k in (i, *same[: MOST_TWINS - 1]))
    return f"{', '.join(first)} and {last}" if first else last


def content_column(rows: ReportRows) -> str:
    """Return the CRM's own name of the content column; empty if it is also "content"."""
    activities = rows.project.activities
    name = None if activities is None else activities.column_of("content")
    return "" if name is None or name.casefold() == "content" else name


@dataclass(frozen=True)
class _Early:
    """The activities, or the contents, of leads in their first days.

    Attributes
    ----------
    heading, slug : str
    names : list of str
    look : _Look
        With corrected contrasts.
    column : str
        The CRM's own name of the column; empty if it needs no mention.
    about : str
    days : float
    """

    heading: str
    slug: str
    names: list[str]
    look: _Look
    column: str
    about: str
    days: float

    def section(self) -> Section:
        """Return the figure, the highest conversions first."""
        names, contrasts = self.names, self.look.contrasts
        prefix = f"{quoted_name(self.column)} " if self.column else ""
        base = next((group.value / group.ratio for group in contrasts if group.ratio), 0.0)
        order = sorted(range(len(names)), key=lambda i: -(contrasts[i].ratio or 0))
        figure = rates_figure(
            self.slug,
            finding_of(f"Leads with {prefix}".rstrip(), names, contrasts, base),
            self.about,
            contrast_rows([names[i] for i in order], [contrasts[i] for i in order]),
            RatesLabels(
                group="Leads with",
                value="Conversion with it",
                metric="with_activity_share",
                ratio_metric="activity_ratio",
            ),
            base=base,
            note="It goes with wins, it need not cause them: a lead that is about to buy also does "
            "more.",
        )
        paragraphs: tuple[str, ...] = ()
        if self.column:
            paragraphs = (f"“Content” means the column {quoted_name(self.column)}.",)
        return Section(self.heading, paragraphs, (figure,))

    def takeaways(self, reported: _Reported) -> list[Takeaway]:
        """Return the clearest differences, each group of leads once."""
        prefix = f"{quoted_name(self.column)} " if self.column else ""
        place = {name: i for i, name in enumerate(self.names)}

        def sentence(name: str, group: Contrast) -> str:
            return (
                f"Leads with {prefix}{_twins(self.names, self.look.had, place[name])} in their "
                f"first {self.days:g} days are won {ratio_words(group)}."
            )

        clear = strongest(
            zip(self.names, self.look.contrasts, strict=True),
            sentence,
            "activity_ratio",
            self.slug,
            most=len(self.names),
        )
        return [
            takeaway
            for takeaway in clear
            if reported.is_news(self.look.had[place[takeaway.evidence["name"]]])
        ][:MOST_EARLY_TAKEAWAYS]


@dataclass(frozen=True, kw_only=True)
class StageActivityRow(TableRow):
    """Leads with an activity in a stage, compared with all leads in that stage."""

    share: Contrast
    name: str
    stage: str

    @property
    def order(self) -> float:
        """The key that sorts clear differences first, by their size."""
        if self.share.is_significant and self.share.ratio:
            return -abs(float(np.log(self.share.ratio)))
        return 0.0


def _by_stage(
    stages: Sequence[str],
    names: Sequence[str],
    looks: Sequence[_Look],
    reported: _Reported,
    days: float,
) -> tuple[Section, list[Takeaway]]:
    places = {
        f"{stage}: {name}": (k, i)
        for k, stage in enumerate(stages)
        for i, name in enumerate(names)
        if looks[k].contrasts[i].n
    }
    table = [
        StageActivityRow(name=name, share=looks[k].contrasts[i], stage=stages[k])
        for name, (k, i) in places.items()
    ]

    def sentence(name: str, group: Contrast) -> str:
        k, i = places[name]
        return (
            f"In the first {days:g} days in {quoted_name(stages[k])}, leads with "
            f"{_twins(names, looks[k].had, i)} are won "
            f"{ratio_words(group, 'all leads in that stage')}."
        )

    items = [(row.name, row.share) for row in table]
    ranked = strongest(items, sentence, "activity_ratio", "activities-stages", most=len(items))
    takeaways: list[Takeaway] = []
    types_reported: set[int] = set()
    for takeaway in ranked:
        k, i = places[takeaway.evidence["name"]]
        if i not in types_reported and reported.is_news(looks[k].had[i]):
            types_reported.add(i)
            takeaways.append(takeaway)
    n_clear = sum(row.share.is_significant for row in table)
    table.sort(key=lambda row: row.order)
    figure = Figure(
        name="activities-stages",
        finding=f"{n_clear or 'None'} of {len(table)} pairs of a stage and an activity clearly go "
        "with more wins, or with fewer",
        about=f"leads still open {days:g} days after entering the stage, compared on that day",
        columns=(
            Column("name", "Stage and activity"),
            Column("n", "Leads with it", "count"),
            Column("wins", "Won", "count"),
            *share_columns("Conversion with it", "with_activity_share"),
            Column("ratio", "Against all in the stage", "ratio", "activity_ratio"),
            *interval_columns("ratio", "ratio_"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            Column("verdict", "Result"),
        ),
        rows=cells_of(table),
    )
    return Section("At which stage", figures=(figure,)), takeaways[:MOST_STAGE_TAKEAWAYS]


def _attribution(log: Log, touched: Touches) -> Section:
    heading = "How wins are attributed"
    if not touched.n_wins:
        needs = "Wins divided among activities. No won lead has an activity before its closing."
        return Section(heading, needs=needs)
    figures = [
        _attribution_figure(name, label, share_out(touched, code, len(names)), names, touched)
        for name, label, code, names in (
            ("type", "Activity", log.type, log.types),
            ("channel", "Channel", log.channel, log.channels),
            ("content", "Content", log.content, log.contents),
        )
        if names
    ]
    return Section(heading, figures=tuple(figures))


@dataclass(frozen=True, kw_only=True)
class AttributionRow(TableRow):
    """The share of the wins of an activity, by each way in `WAYS`."""

    name: str
    shares: dict[str, float]

    @property
    def disagreement(self) -> float:
        """The largest share minus the smallest one."""
        return max(self.shares.values()) - min(self.shares.values())

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {"name": self.name, **self.shares, "disagreement": self.disagreement}


def _attribution_figure(
    name: str, label: str, shares: dict[str, Floats], names: Sequence[str], touched: Touches
) -> Figure:
    stacked = np.array([shares[way] for way in WAYS])
    order = np.argsort(-stacked.max(axis=0), kind="stable")[:MOST_CONTENTS]
    table = [
        AttributionRow(
            name=[*names, NO_CONTENT][i],
            shares=dict(zip(WAYS, map(float, stacked[:, i]), strict=True)),
        )
        for i in order
        if stacked[:, i].max() > 0
    ]
    widest = max(table, key=lambda row: row.disagreement)
    most = max(WAYS, key=lambda way: widest.shares[way])
    least = min(WAYS, key=lambda way: widest.shares[way])
    titles = {way: DEFINITIONS[way].title for way in WAYS}
    finding = (
        f"{quoted_name(widest.name)} gets {percent(widest.shares[most])} of the wins by "
        f"{titles[most].lower()}, {percent(widest.shares[least])} by {titles[least].lower()}"
    )
    about = f"won leads with an activity up to their closing, n = {touched.n_wins:,}"
    cells = cells_of(table)
    chart = series_chart(
        cells, finding, about, what="Share of the wins", series=list(titles.items())
    )
    return Figure(
        name=f"attribution-{name}",
        finding=finding,
        about=about,
        columns=(
            Column("name", label),
            *(Column(way, titles[way], "share", way) for way in WAYS),
            Column("disagreement", "Disagreement", "share", "disagreement"),
        ),
        rows=cells,
        chart=chart,
        note="These are four conventions, not causes. Where they disagree, none is the right one.",
    )


@dataclass(frozen=True, kw_only=True)
class _ContentSeen:
    """The contents that leads of a group saw in a stage.

    Attributes
    ----------
    per_lead, usual : float
        The mean number for each lead of the group, and of all leads.
    p : float
        The p-value of the difference from the other leads.
    """

    per_lead: float
    usual: float
    p: float


@dataclass(frozen=True, kw_only=True)
class GapRow(TableRow):
    """A kind of lead in a stage: how often it goes on, and how much content it sees."""

    share: Contrast
    name: str
    stage: str
    segment: str
    group: str
    seen: _ContentSeen

    @property
    def is_gap(self) -> bool:
        """True if these leads clearly go on less often and see less content."""
        sees_less = self.seen.p < CHANCE and self.seen.per_lead < self.seen.usual
        return self.share.is_significant and (self.share.ratio or 1) < 1 and sees_less

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {
            **self.share.cells(),
            "name": self.name,
            "per_lead": self.seen.per_lead,
            "usual": self.seen.usual,
            "p_contents": self.seen.p,
            "gap": "yes" if self.is_gap else "no",
        }

    def takeaway(self) -> Takeaway:
        """Return the gap as a sentence."""
        return Takeaway(
            f"Leads with {quoted_column(self.segment)} {quoted_name(self.group)} in "
            f"{quoted_name(self.stage)} see {self.seen.per_lead:.2f} contents each there, against "
            f"{self.seen.usual:.2f} of all leads, and go on {ratio_words(self.share)}. Less "
            "content may be the cause of that, or its consequence.",
            evidence_of(
                self.share, name=self.name, per_lead=self.seen.per_lead, usual=self.seen.usual
            ),
            "contents_per_lead",
            "activities-gaps",
        )


def _gaps(rows: ReportRows, log: Log) -> tuple[Section, tuple[Takeaway, ...]]:
    """Find stages and kinds of leads with low conversion and little content."""
    heading = "Where few go on and see little content"
    segments = [groups for groups in (rows.source, *rows.audience[:1]) if groups is not None]
    funnel = rows.funnel
    if funnel is None or not funnel.stages or not segments or not (log.content >= 0).any():
        needs = (
            "Stages and kinds of leads that convert badly and saw little content. This needs "
            "stages, contents of activities ([activities] content), and a source or audience."
        )
        return Section(heading, needs=needs), ()
    table = _gap_rows(rows, log, funnel, segments)
    gaps = sorted((row for row in table if row.is_gap), key=lambda row: row.share.ratio_high or 1)
    table.sort(key=lambda row: (not row.is_gap, row.share.ratio or 1))
    figure = Figure(
        name="activities-gaps",
        finding=f"{len(gaps) or 'None'} of {len(table)} kinds of leads in a stage clearly go on "
        "less often than the others and see less content",
        about=f"{mature_words(rows)} that reached the stage within the horizon; contents that "
        "leads saw while they were in it",
        columns=(
            Column("name", "Stage and kind of lead"),
            Column("gap", "Less of both"),
            Column("n", "Reached the stage", "count"),
            Column("wins", "Go on", "count"),
            *share_columns("Goes on", "step_share"),
            Column("ratio", "Against all in the stage", "ratio"),
            Column("verdict", "Result"),
            Column("per_lead", "Contents a lead", "ratio", "contents_per_lead"),
            Column("usual", "Contents a lead, all", "ratio", "contents_per_lead"),
            Column("p_contents", f"{CHANCE_TITLE}, contents", "ratio", "chance"),
        ),
        rows=cells_of(table),
        note="Less content may be the cause of fewer going on, or its consequence.",
    )
    takeaways = tuple(row.takeaway() for row in gaps[:MOST_GAP_TAKEAWAYS])
    return Section(heading, figures=(figure,)), takeaways


def _gap_rows(
    rows: ReportRows, log: Log, funnel: Funnel, segments: Sequence[Groups]
) -> list[GapRow]:
    """Compare each kind of lead in each stage, corrected for all of them."""
    contrasts: list[list[Contrast]] = []
    contents: list[_ContentSeen] = []
    places: list[tuple[str, str, str]] = []
    limit = rows.created + rows.horizon
    following = np.column_stack([funnel.reached[:, 1:], rows.closed])
    for k, stage in enumerate(funnel.stages):
        reached = rows.is_mature & ((funnel.reached[:, k] <= limit) | rows.won)
        goes_on = (following[:, k] <= limit) if k + 1 < len(funnel.stages) else rows.won
        inside = rows.is_mature & (funnel.entered[:, k] <= limit)
        seen = _seen_in_stage(log, funnel.entered[:, [k]], following, inside)
        for groups in segments:
            contrasts.append(group_contrasts(groups, reached, goes_on | rows.won))
            contents += _contents_seen(groups, inside, log.lead[seen])
            places += [(stage, groups.column, name) for name in groups.names]
    corrected = [group for family in correct_families(contrasts) for group in family]
    ps = holm([seen.p for seen in contents])
    return [
        GapRow(
            share=group,
            name=f"{stage} × {segment}: {name}",
            stage=stage,
            segment=segment,
            group=name,
            seen=replace(seen, p=p),
        )
        for (stage, segment, name), group, seen, p in zip(
            places, corrected, contents, ps, strict=True
        )
        if group.n
    ]


def _seen_in_stage(log: Log, entered: Ints, following: Ints, inside: Bools) -> Bools:
    """Return True for activities with a content while their lead was in a stage.

    Parameters
    ----------
    log : Log
    entered : ndarray of int64, shape (n_leads, 1)
    following : ndarray of int64, shape (n_leads, k)
        The times at which each lead reached the later stages or closed.
    inside : ndarray of bool, shape (n_leads,)
        True for leads that entered the stage.
    """
    left = np.where(following > entered, following, NEVER).min(axis=1)
    return (
        (log.content >= 0)
        & inside[log.lead]
        & (log.at >= entered[log.lead, 0])
        & (log.at < left[log.lead])
    )


def _contents_seen(groups: Groups, inside: Bools, lead: Codes) -> list[_ContentSeen]:
    """Compare the number of contents that each group's leads saw in a stage with the others'.

    Parameters
    ----------
    groups : Groups
    inside : ndarray of bool, shape (n_leads,)
        True for leads that entered the stage.
    lead : ndarray of int32, shape (n_seen,)
        The lead of each activity that counts.
    """
    code = groups.code[inside]
    per_lead = np.bincount(lead, minlength=len(inside))[inside].astype(np.float64)
    usual = float(per_lead.mean()) if len(per_lead) else 0.0
    table = []
    for i in range(len(groups.names)):
        own, others = per_lead[code == i], per_lead[code != i]
        is_judged = min(len(own), len(others)) >= FEWEST_LEADS
        table.append(
            _ContentSeen(
                per_lead=float(own.mean()) if len(own) else 0.0,
                usual=usual,
                p=means_differ(own, others) if is_judged else 1.0,
            )
        )
    return table
