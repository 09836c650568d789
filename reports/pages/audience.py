"""Audience: how each kind of lead converts beside all leads, and which kinds go together."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import logit

from features.groups import NOT_ALIKE, Groups
from features.intervals import wilson
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, Contrast, additive, contrast, p_of
from models.evaluation.intervals import holm
from reports.content import Column, Figure, Page, Section, Takeaway
from reports.numbers import percent
from reports.pages.phrases import (
    about_mature,
    contrast_rows,
    correct_families,
    evidence_of,
    finding_of,
    group_contrasts,
    rates_figure,
    ratio_words,
    share_words,
    strongest,
)
from reports.rows.rows import ReportRows
from reports.text import quoted_name

SLUG, TITLE = "audience", "Audience"
LEAD = "Who converts: by industry, place, size, and how they like to be reached?"
MOST_PAIRS = 12
FEWEST_IN_PAIR = 50


def audience_page(rows: ReportRows) -> Page:
    """Tell the conversion of each value of each column beside that of all leads."""
    if not rows.audience:
        needs = (
            "Conversion by industry, country, company size and preferences. No column of the leads "
            'sounds like one of these: name them with [report] audience = ["…"].'
        )
        return Page(SLUG, TITLE, LEAD, sections=(Section("By kind of lead", needs=needs),))
    families = correct_families(
        [group_contrasts(groups, rows.is_mature, rows.won) for groups in rows.audience]
    )
    base = rows.rate[0] / max(rows.rate[1], 1)
    sections, items = [], []
    for i, (groups, found) in enumerate(zip(rows.audience, families, strict=True)):
        figure = f"audience-{i + 1}"
        items += [
            ((groups.column, name, figure), each)
            for name, each in zip(groups.names, found, strict=True)
            if name not in NOT_ALIKE
        ]
        title = finding_of(groups.names, found, "convert", base)
        sections.append(
            Section(
                groups.column,
                (),
                (
                    rates_figure(
                        figure,
                        f"{quoted_name(groups.column)}: {title[0].lower()}{title[1:]}",
                        about_mature(rows),
                        contrast_rows(groups.names, found),
                        label=groups.column,
                        metric="won_share",
                        base=base,
                        what="Conversion",
                        ratio="won_ratio",
                    ),
                ),
            )
        )
    takeaways = tuple(
        takeaway
        for key, each in _surest(items)
        for takeaway in strongest(
            [(key[1], each)],
            lambda name, found, column=key[0]: (
                f"Leads with {quoted_name(column)} {quoted_name(name)} convert "
                f"{ratio_words(found)}."
            ),
            "won_ratio",
            key[2],
        )
    )
    together, pairs = _together(rows)
    return Page(SLUG, TITLE, LEAD, (*takeaways, *pairs), (*sections, together))


def _surest(
    items: list[tuple[tuple[str, str, str], Contrast]],
) -> list[tuple[tuple[str, str, str], Contrast]]:
    held = [item for item in items if item[1].holds and item[1].ratio_low]
    held.sort(key=lambda item: -max(item[1].ratio_low or 0, 1 / (item[1].ratio_high or 1)))
    return held[:5]


@dataclass(frozen=True)
class _Pair:
    names: tuple[str, str]
    columns: tuple[str, str]
    wins: int
    n: int
    expected: float
    p: float

    @property
    def effect(self) -> float:
        """How far the odds surely are from those expected, on the log scale; 0 if they may be."""
        low, high = logit(wilson(self.wins / self.n, self.n))
        expected = float(logit(self.expected))
        return float(max(low - expected, expected - high, 0.0))


def _together(rows: ReportRows) -> tuple[Section, tuple[Takeaway, ...]]:
    """Find pairs of values that convert otherwise than the two values alone would."""
    columns = [*([rows.source] if rows.source else []), *rows.audience]
    looked: list[_Pair] = []
    for one, other in combinations(columns, 2):
        looked += _pairs(rows, one, other)
    corrected = holm([pair.p for pair in looked])
    found = sorted(
        ((p, pair) for p, pair in zip(corrected, looked, strict=True) if p < CHANCE),
        key=lambda item: (-item[1].effect, item[0]),
    )[:MOST_PAIRS]
    about = f"{about_mature(rows)}; {len(looked):,} pairs of values looked at"
    heading = "What goes together"
    if not found:
        said = (
            f"Of {len(looked):,} pairs of values none converts otherwise than its two values alone "
            "suggest by more than chance."
        )
        if not looked:
            said = "No two values of different columns occur together in enough leads to compare."
        return Section(heading, (said,)), ()
    whole = rows.rate
    table, takeaways = [], []
    for p, pair in found:
        low, high = wilson(pair.wins / pair.n, pair.n)
        value = pair.wins / pair.n
        beside = contrast(pair.wins, pair.n, *whole)
        name = f"{pair.columns[0]}: {pair.names[0]} × {pair.columns[1]}: {pair.names[1]}"
        table.append(
            {
                "name": name,
                "n": pair.n,
                "wins": pair.wins,
                "value": value,
                "low": low,
                "high": high,
                "expected": pair.expected,
                "ratio": beside.ratio,
                "p": p,
            }
        )
        kinds = " and ".join(
            f"{quoted_name(column)} {quoted_name(value)}"
            for column, value in zip(pair.columns, pair.names, strict=True)
        )
        takeaways.append(
            Takeaway(
                f"Leads with {kinds} convert "
                f"{'better' if value > pair.expected else 'worse'} than the two alone suggest: "
                f"{share_words(value, low, high, pair.n)} against {percent(pair.expected)}.",
                evidence_of(beside, p=p, expected=pair.expected, name=name),
                "won_share",
                "audience-pairs",
            )
        )
    finding = takeaways[0].sentence.partition(":")[0]
    columns_ = (
        Column("name", "Pair"),
        Column("n", "Leads", "count", "mature_leads"),
        Column("wins", "Won", "count"),
        Column("value", "Conversion", "share", "won_share"),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("expected", "If each value had its own effect only", "share", "expected_share"),
        Column("ratio", "Against all", "ratio", "won_ratio"),
        Column("p", "p, corrected", "ratio", "chance"),
    )
    figure = Figure("audience-pairs", finding, about, columns_, tuple(table))
    said = (
        "Pairs that convert otherwise than an own effect of each value (in odds) would give, "
        "after correction for all pairs looked at. First comes what surely differs most, not "
        "what most leads have."
    )
    return Section(heading, (said,), (figure,)), tuple(takeaways[:2])


def _pairs(rows: ReportRows, one: Groups, other: Groups) -> list[_Pair]:
    a, b, mature = len(one.names), len(other.names), rows.is_mature
    cell = one.code[mature] * b + other.code[mature]
    n = np.bincount(cell, minlength=a * b).reshape(a, b)
    wins = np.bincount(cell[rows.won[mature]], minlength=a * b).reshape(a, b)
    kept_a, kept_b = n.sum(axis=1) > 0, n.sum(axis=0) > 0
    if kept_a.sum() < 2 or kept_b.sum() < 2 or _is_nested(n):
        return []
    n, wins = n[kept_a][:, kept_b], wins[kept_a][:, kept_b]
    names_a = np.array(one.names, dtype=object)[kept_a]
    names_b = np.array(other.names, dtype=object)[kept_b]
    fitted = additive(wins, n)
    least = n * np.minimum(fitted.expected, 1 - fitted.expected)
    judged = np.argwhere((n >= max(FEWEST_IN_PAIR, FEWEST_LEADS)) & (least >= 5))
    return [
        _Pair(
            (str(names_a[i]), str(names_b[j])),
            (one.column, other.column),
            int(wins[i, j]),
            int(n[i, j]),
            float(fitted.expected[i, j]),
            p_of(float(fitted.residual[i, j])),
        )
        for i, j in judged
        if names_a[i] not in NOT_ALIKE and names_b[j] not in NOT_ALIKE
    ]


def _is_nested(n: np.ndarray) -> bool:
    """Whether one column says all of the other, as a region says the country."""
    return bool(((n > 0).sum(axis=0) <= 1).all() or ((n > 0).sum(axis=1) <= 1).all())
