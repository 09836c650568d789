"""Audience: how each kind of lead converts compared with all leads, and which kinds combine."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import logit

from crm.arrays import Ints
from features.attributes.attribute import MISSING_GROUP
from features.groups import NOT_ALIKE, Groups
from features.intervals import wilson
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Contrast, contrast, share_of
from models.evaluation.differences import FEWEST_EXPECTED, p_of
from models.evaluation.intervals import holm
from models.evaluation.two_way import additive_logit
from reports.content import Column, Figure, Page, Section, ShareRow, Takeaway, cells_of
from reports.numbers import percent
from reports.pages.averages import average_of, group_contrasts
from reports.pages.groups import (
    CHANCE_TITLE,
    MOST_TAKEAWAYS,
    RatesLabels,
    contrast_rows,
    correct_families,
    evidence_of,
    finding_of,
    rates_figure,
    share_columns,
)
from reports.pages.not_compared import not_compared_section, reason_of_alike, values_of
from reports.pages.phrases import about_mature, ratio_words, share_words
from reports.rows.rows import ReportRows
from reports.text import column_label, quoted_column, quoted_name

SLUG, TITLE = "audience", "Audience"
LEAD = "Who converts: by industry, place, size, and how they like to be reached?"
NAME_THEM = 'Name columns with [report] audience = ["…"].'
MOST_PAIRS = 12
MOST_PAIR_TAKEAWAYS = 2
FEWEST_IN_PAIR = 50


@dataclass(frozen=True, kw_only=True)
class _Group:
    """A value of a column, compared with all leads, and the figure that shows it."""

    column: str
    name: str
    figure: str
    contrast: Contrast
    than: str

    @property
    def distance(self) -> float:
        """The distance of the ratio's interval from 1, as a factor."""
        low, high = self.contrast.ratio_low or 0, self.contrast.ratio_high or 1
        return max(low, 1 / high)

    def takeaway(self) -> Takeaway:
        """Return the comparison as a sentence."""
        return Takeaway(
            f"Leads whose {quoted_column(self.column)} is {quoted_name(self.name)} are won "
            f"{ratio_words(self.contrast, self.than)}.",
            evidence_of(self.contrast, name=self.name),
            "won_ratio",
            self.figure,
        )


def audience_page(rows: ReportRows) -> Page:
    """Build the page about the conversion of each value of each column."""
    compared_columns = [
        groups for groups in rows.audience if len(values_of(groups, rows.is_mature)) > 1
    ]
    names = {groups.column for groups in compared_columns}
    alike = {
        groups.column: reason_of_alike(groups, rows.is_mature)
        for groups in rows.audience
        if groups.column not in names
    }
    not_compared = not_compared_section({**rows.columns.not_audience, **alike})
    if not compared_columns:
        needs = "Conversion by industry, country, company size and preferences. " + (
            f"The columns for it are not compared; the reasons are below. {NAME_THEM}"
            if not_compared
            else f"No column of the leads has a name like these. {NAME_THEM}"
        )
        section = Section("By kind of lead", needs=needs)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section, *not_compared))
    families = correct_families(
        [
            group_contrasts(groups, rows.is_mature, rows.won, rows.period)
            for groups in compared_columns
        ]
    )
    sections: list[Section] = []
    compared: list[_Group] = []
    for i, (groups, contrasts) in enumerate(zip(compared_columns, families, strict=True)):
        figure = f"audience-{i + 1}"
        average = average_of(groups, rows.is_mature, rows.won)
        compared += [
            _Group(
                column=groups.column,
                name=name,
                figure=figure,
                contrast=group,
                than=average.words,
            )
            for name, group in zip(groups.names, contrasts, strict=True)
            if name not in NOT_ALIKE
        ]
        label = quoted_column(groups.column)
        finding = finding_of(
            f"Leads whose {label} is",
            groups.names,
            contrasts,
            average.share,
            none=f"{label}: no group",
            than=average.words,
        )
        rates = rates_figure(
            figure,
            finding,
            about_mature(rows) + average.about,
            contrast_rows(groups.names, contrasts),
            RatesLabels(
                group=column_label(groups.column),
                value="Conversion",
                metric="won_share",
                ratio_metric="won_ratio",
            ),
            base=average.share.value,
            base_name=average.name,
        )
        sections.append(Section(column_label(groups.column), figures=(rates,)))
    together, pair_takeaways = _together(rows)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*(group.takeaway() for group in _clearest(compared)), *pair_takeaways),
        sections=(*sections, together, *not_compared),
    )


def _clearest(groups: Sequence[_Group]) -> list[_Group]:
    significant = [g for g in groups if g.contrast.is_significant and g.contrast.ratio_low]
    return sorted(significant, key=lambda group: -group.distance)[:MOST_TAKEAWAYS]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Leads with two values at once, and their conversion if each value had its own effect only.

    `all_wins` and `all_n` count the leads that have a value in both columns.
    """

    names: tuple[str, str]
    columns: tuple[str, str]
    wins: int
    n: int
    all_wins: int
    all_n: int
    expected: float
    p: float

    @property
    def distance(self) -> float:
        """The distance of the odds' interval from the expected odds, on the log scale."""
        low, high = logit(wilson(self.wins / self.n, self.n))
        expected = float(logit(self.expected))
        return float(max(low - expected, expected - high, 0.0))

    @property
    def name(self) -> str:
        """The two columns and values."""
        first, second = map(column_label, self.columns)
        return f"{first}: {self.names[0]} × {second}: {self.names[1]}"


@dataclass(frozen=True, kw_only=True)
class PairRow(ShareRow):
    """Leads with two values at once; `p` is corrected for all pairs."""

    expected: float
    ratio: float | None
    p: float


def _together(rows: ReportRows) -> tuple[Section, tuple[Takeaway, ...]]:
    """Find pairs of values that convert better or worse than the two values alone suggest."""
    heading = "Combinations"
    columns = [*([rows.source] if rows.source else []), *rows.audience]
    compared: list[_Pair] = []
    for first, second in combinations(columns, 2):
        compared += _pairs(rows, first, second)
    if not compared:
        text = "No two values of different columns occur together in enough leads to compare."
        return Section(heading, (text,)), ()
    clear = sorted(
        (
            (p, pair)
            for p, pair in zip(holm([pair.p for pair in compared]), compared, strict=True)
            if p < CHANCE
        ),
        key=lambda item: (-item[1].distance, item[0]),
    )[:MOST_PAIRS]
    if not clear:
        text = (
            f"Of {len(compared):,} pairs of values, none is clearly won more or less often than "
            "its two values alone suggest."
        )
        return Section(heading, (text,)), ()
    table, takeaways = [], []
    for p, pair in clear:
        group = contrast(pair.wins, pair.n, pair.all_wins, pair.all_n)
        table.append(
            PairRow(
                name=pair.name,
                share=share_of(pair.wins, pair.n),
                expected=pair.expected,
                ratio=group.ratio,
                p=p,
            )
        )
        takeaways.append(_pair_takeaway(pair, group, p))
    figure = Figure(
        name="audience-pairs",
        finding=takeaways[0].sentence.partition(":")[0],
        about=f"{about_mature(rows)}; {len(compared):,} pairs of values compared",
        columns=(
            Column("name", "Pair"),
            Column("n", "Leads", "count", "mature_leads"),
            Column("wins", "Won", "count"),
            *share_columns("Conversion", "won_share"),
            Column("expected", "If each value had its own effect only", "share", "expected_share"),
            Column("ratio", "Against all", "ratio", "won_ratio"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
        ),
        rows=cells_of(table),
    )
    text = (
        "Leads with these pairs of values are won more or less often than the two values alone "
        "suggest. The clearest difference comes first, not the pair with the most leads. Each pair "
        "is compared with the conversion that the two values would give if neither changed the "
        "effect of the other."
    )
    return Section(heading, (text,), (figure,)), tuple(takeaways[:MOST_PAIR_TAKEAWAYS])


def _pair_takeaway(pair: _Pair, group: Contrast, p: float) -> Takeaway:
    kinds = " and ".join(
        f"{quoted_column(column)} is {quoted_name(value)}"
        for column, value in zip(pair.columns, pair.names, strict=True)
    )
    direction = "more" if group.value > pair.expected else "less"
    return Takeaway(
        f"Leads whose {kinds} are won {direction} often than each value alone suggests: "
        f"{share_words(group)} against {percent(pair.expected)}.",
        evidence_of(group, p=p, expected=pair.expected, name=pair.name),
        "won_share",
        "audience-pairs",
    )


def _pairs(rows: ReportRows, first: Groups, second: Groups) -> list[_Pair]:
    a, b, mature = len(first.names), len(second.names), rows.is_mature
    cell = first.code[mature] * b + second.code[mature]
    n = np.bincount(cell, minlength=a * b).reshape(a, b)
    wins = np.bincount(cell[rows.won[mature]], minlength=a * b).reshape(a, b)
    names_a, names_b = (np.array(groups.names, dtype=object) for groups in (first, second))
    kept_a = (n.sum(axis=1) > 0) & (names_a != MISSING_GROUP)
    kept_b = (n.sum(axis=0) > 0) & (names_b != MISSING_GROUP)
    n, wins = n[kept_a][:, kept_b], wins[kept_a][:, kept_b]
    names_a, names_b = names_a[kept_a], names_b[kept_b]
    if min(n.shape) < 2 or _is_nested(n):
        return []
    fit = additive_logit(wins, n)
    rarer = n * np.minimum(fit.expected, 1 - fit.expected)
    enough = (n >= max(FEWEST_IN_PAIR, FEWEST_LEADS)) & (rarer >= FEWEST_EXPECTED)
    return [
        _Pair(
            names=(str(names_a[i]), str(names_b[j])),
            columns=(first.column, second.column),
            wins=int(wins[i, j]),
            n=int(n[i, j]),
            all_wins=int(wins.sum()),
            all_n=int(n.sum()),
            expected=float(fit.expected[i, j]),
            p=p_of(float(fit.residual[i, j])),
        )
        for i, j in np.argwhere(enough)
        if names_a[i] not in NOT_ALIKE and names_b[j] not in NOT_ALIKE
    ]


def _is_nested(n: Ints) -> bool:
    """Return True if one column determines the other, as a region determines the country."""
    return bool(((n > 0).sum(axis=0) <= 1).all() or ((n > 0).sum(axis=1) <= 1).all())
