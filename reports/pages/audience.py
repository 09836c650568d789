"""Audience: how each kind of lead converts compared with all leads, and which kinds combine."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import logit

from crm.arrays import Ints
from features.attributes.attribute import MISSING_GROUP
from features.groups import NOT_ALIKE, Groups
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Contrast, contrast
from models.evaluation.differences import FEWEST_EXPECTED, p_of
from models.evaluation.intervals import holm
from models.evaluation.pairs import fit_pairs
from models.evaluation.same_time import compare_within
from reports.content import Column, Figure, Page, Section, ShareRow, Takeaway, cells_of
from reports.numbers import percent
from reports.pages.averages import Average, average_of, group_contrasts
from reports.pages.groups import (
    CHANCE_TITLE,
    MOST_TAKEAWAYS,
    RatesLabels,
    compared_columns,
    contrast_rows,
    correct_families,
    empty_words,
    evidence_of,
    finding_of,
    rates_figure,
    share_columns,
)
from reports.pages.not_compared import not_compared_section, reason_of_alike, values_of
from reports.pages.phrases import about_mature, cut_words, ratio_words, share_words
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
    columns = [groups for groups in rows.audience if len(values_of(groups, rows.is_mature)) > 1]
    not_compared = _not_compared(rows, [groups.column for groups in columns])
    if not columns:
        needs = "Conversion by industry, country, company size and preferences. " + (
            f"The columns for it are not compared; the reasons are below. {NAME_THEM}"
            if not_compared
            else f"No column of the leads has a name like these. {NAME_THEM}"
        )
        section = Section("By kind of lead", needs=needs)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section, *not_compared))
    families = correct_families(
        [group_contrasts(groups, rows.is_mature, rows.won, rows.period) for groups in columns]
    )
    sections: list[Section] = []
    compared: list[_Group] = []
    for i, (groups, contrasts) in enumerate(zip(columns, families, strict=True)):
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
        sections.append(_section_of(rows, groups, contrasts, average, figure))
    together, pair_takeaways = _together(rows)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*(group.takeaway() for group in _clearest(compared)), *pair_takeaways),
        sections=(*sections, together, *not_compared),
    )


def _not_compared(rows: ReportRows, compared: Sequence[str]) -> tuple[Section, ...]:
    """Build the section about the columns that are not compared, each with the reason."""
    alike = {
        groups.column: reason_of_alike(groups, rows.is_mature)
        for groups in rows.audience
        if groups.column not in compared
    }
    return not_compared_section({**rows.columns.not_audience, **alike})


def _section_of(
    rows: ReportRows,
    groups: Groups,
    contrasts: Sequence[Contrast],
    average: Average,
    figure: str,
) -> Section:
    """Build the section about the values of a column."""
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
        base_name=average.words,
        note=empty_words(contrasts, "values"),
    )
    return Section(column_label(groups.column), figures=(rates,))


def _clearest(groups: Sequence[_Group]) -> list[_Group]:
    significant = [g for g in groups if g.contrast.is_significant and g.contrast.ratio_low]
    return sorted(significant, key=lambda group: -group.distance)[:MOST_TAKEAWAYS]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Leads with two values at once, and their conversion if each value had its own effect only.

    `contrast` compares them with the leads that have a value in both columns. `is_same_time` is
    true if `expected` is of leads of the same time.
    """

    names: tuple[str, str]
    columns: tuple[str, str]
    contrast: Contrast
    expected: float
    is_same_time: bool
    p: float

    @property
    def distance(self) -> float:
        """The distance of the odds' interval from the expected odds, on the log scale."""
        low, high = logit([self.contrast.low, self.contrast.high])
        expected = float(logit(self.expected))
        return float(max(low - expected, expected - high, 0.0))

    @property
    def name(self) -> str:
        """The two columns and values."""
        first, second = map(column_label, self.columns)
        return f"{first}: {self.names[0]} × {second}: {self.names[1]}"


@dataclass(frozen=True, kw_only=True)
class PairRow(ShareRow):
    """Leads with two values at once; `p` is corrected for all pairs.

    `expected_of` names the leads that the expected share is of, if they are not all leads.
    """

    share: Contrast
    expected: float
    expected_of: str | None
    p: float

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        own = {"name": self.name, "expected": self.expected, "expected_of": self.expected_of}
        return {**self.share.cells(), **own, "p": self.p}


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
    all_clear = sorted(
        (
            (p, pair)
            for p, pair in zip(holm([pair.p for pair in compared]), compared, strict=True)
            if p < CHANCE
        ),
        key=lambda item: (-item[1].distance, item[0]),
    )
    clear = all_clear[:MOST_PAIRS]
    if not clear:
        text = (
            f"Of {len(compared):,} pairs of values, none is clearly won more or less often than "
            "its two values alone suggest."
        )
        return Section(heading, (text,)), ()
    table, takeaways = [], []
    for p, pair in clear:
        table.append(
            PairRow(
                name=pair.name,
                share=pair.contrast,
                expected=pair.expected,
                expected_of="leads of the same time" if pair.is_same_time else None,
                p=p,
            )
        )
        takeaways.append(_pair_takeaway(pair, p))
    cells = cells_of(table)
    expected_of = Column("expected_of", "Effects of the values among")
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
            *([expected_of] if any(row["expected_of"] for row in cells) else ()),
            Column("ratio", "Against all", "ratio", "won_ratio"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            *compared_columns(cells),
        ),
        rows=cells,
        note=cut_words(len(clear), len(all_clear), "pairs", "those with the clearest difference"),
    )
    text = (
        "Leads with these pairs of values are won more or less often than the two values alone "
        "suggest. The clearest difference comes first, not the pair with the most leads. Each pair "
        "is compared with the conversion that the two values would give if neither changed the "
        "effect of the other."
    )
    return Section(heading, (text,), (figure,)), tuple(takeaways[:MOST_PAIR_TAKEAWAYS])


def _pair_takeaway(pair: _Pair, p: float) -> Takeaway:
    kinds = " and ".join(
        f"{quoted_column(column)} is {quoted_name(value)}"
        for column, value in zip(pair.columns, pair.names, strict=True)
    )
    group = pair.contrast
    direction = "more" if group.value > pair.expected else "less"
    suggests = "suggests at the same time" if pair.is_same_time else "suggests"
    return Takeaway(
        f"Leads whose {kinds} are won {direction} often than each value alone {suggests}: "
        f"{share_words(group)} against {percent(pair.expected)}.",
        evidence_of(group, p=p, expected=pair.expected, name=pair.name),
        "won_share",
        "audience-pairs",
    )


def _pairs(rows: ReportRows, first: Groups, second: Groups) -> list[_Pair]:
    n, wins = _counts_of_pairs(rows, first, second)
    names_a, names_b = (np.array(groups.names, dtype=object) for groups in (first, second))
    kept_a = n.any(axis=(1, 2)) & (names_a != MISSING_GROUP)
    kept_b = n.any(axis=(0, 2)) & (names_b != MISSING_GROUP)
    n, wins = n[kept_a][:, kept_b], wins[kept_a][:, kept_b]
    names_a, names_b = names_a[kept_a], names_b[kept_b]
    n_pair, wins_pair = n.sum(axis=2), wins.sum(axis=2)
    if min(n_pair.shape) < 2 or _is_nested(n_pair):
        return []
    fit = fit_pairs(wins, n)
    rarer = n_pair * np.minimum(fit.expected, 1 - fit.expected)
    enough = (n_pair >= max(FEWEST_IN_PAIR, FEWEST_LEADS)) & (rarer >= FEWEST_EXPECTED)
    all_n, all_wins = n.sum(axis=(0, 1)), wins.sum(axis=(0, 1))
    pairs = []
    for i, j in np.argwhere(enough):
        if names_a[i] in NOT_ALIKE or names_b[j] in NOT_ALIKE:
            continue
        group = contrast(
            int(wins_pair[i, j]), int(n_pair[i, j]), int(all_wins.sum()), int(all_n.sum())
        )
        pairs.append(
            _Pair(
                names=(str(names_a[i]), str(names_b[j])),
                columns=(first.column, second.column),
                contrast=compare_within(group, n[i, j], wins[i, j], all_n, all_wins),
                expected=float(fit.expected[i, j]),
                is_same_time=bool(fit.is_same_time[i, j]),
                p=p_of(float(fit.residual[i, j])),
            )
        )
    return pairs


def _counts_of_pairs(rows: ReportRows, first: Groups, second: Groups) -> tuple[Ints, Ints]:
    """Count the mature leads and the wins of each pair in each period, shape (a, b, n_periods).

    There is one period if the order of the leads is not known.
    """
    mature = rows.is_mature
    period = np.zeros(len(rows), dtype=np.int64) if rows.period is None else rows.period
    shape = len(first.names), len(second.names), int(period.max(initial=0)) + 1
    cell = np.ravel_multi_index((first.code, second.code, period), shape)
    n, wins = (
        np.bincount(cell[leads], minlength=np.prod(shape)).reshape(shape)
        for leads in (mature, mature & rows.won)
    )
    return n, wins


def _is_nested(n: Ints) -> bool:
    """Return True if one column determines the other, as a region determines the country."""
    return bool(((n > 0).sum(axis=0) <= 1).all() or ((n > 0).sum(axis=1) <= 1).all())
