"""The way from lead to qualified to won for each source."""

from dataclasses import dataclass

import numpy as np

from features.groups import Groups
from models.evaluation.comparisons import Contrast, Share, corrected, share_of
from reports.charts.groups import series_chart
from reports.content import Column, Figure, Section, ShareRow, cells_of
from reports.pages.averages import group_contrasts
from reports.pages.groups import correct_families
from reports.pages.phrases import about_mature, finite, means_by, of_words
from reports.pages.sources.qualified import qualified_leads, qualified_stage
from reports.rows.rows import ReportRows
from reports.text import quoted_name


@dataclass(frozen=True, kw_only=True)
class SourceRow(ShareRow):
    """The leads of a source from lead to won; None for qualified leads without such a stage."""

    leads: int
    qualified: int | None
    qualified_share: float | None
    qualified_won: float | None
    qualified_wins: int | None
    open: int
    score: float | None


@dataclass(frozen=True, kw_only=True)
class Families:
    """The corrected contrasts of the sources.

    Attributes
    ----------
    won : list of Contrast
        Mature leads that are won.
    qualified, qualified_won : list of Contrast or None
        Mature leads that were qualified, and qualified ones that are won; None if no stage says
        which leads are qualified.
    """

    won: list[Contrast]
    qualified: list[Contrast] | None = None
    qualified_won: list[Contrast] | None = None


def source_contrasts(rows: ReportRows, groups: Groups) -> Families:
    """Compare each source with the others, corrected for all comparisons."""
    won = group_contrasts(groups, rows.is_mature, rows.won, rows.period)
    is_qualified = qualified_leads(rows)
    if is_qualified is None:
        return Families(won=corrected(won))
    won, qualified, qualified_won = correct_families(
        [
            won,
            group_contrasts(groups, rows.is_mature, is_qualified, rows.period),
            group_contrasts(groups, rows.is_mature & is_qualified, rows.won, rows.period),
        ]
    )
    return Families(won=won, qualified=qualified, qualified_won=qualified_won)


def _source_rows(rows: ReportRows, groups: Groups, families: Families) -> list[SourceRow]:
    k = len(groups.names)
    n_leads = np.bincount(groups.code, minlength=k)
    n_open = np.bincount(groups.code[rows.is_open], minlength=k)
    score = np.full(k, np.nan)
    if rows.now is not None and len(rows.now):
        score = means_by(groups.code[rows.now.lead], rows.now.score.astype(float), k)
    table = []
    for i, name in enumerate(groups.names):
        won = families.won[i]
        qualified, qualified_won = None, None
        if families.qualified is not None and families.qualified_won is not None:
            qualified, qualified_won = families.qualified[i], families.qualified_won[i]
        table.append(
            SourceRow(
                name=name,
                share=Share(n=won.n, wins=won.wins, value=won.value, low=won.low, high=won.high),
                leads=int(n_leads[i]),
                qualified=None if qualified is None else qualified.wins,
                qualified_share=None if qualified is None else finite(qualified.value),
                qualified_won=None if qualified_won is None else finite(qualified_won.value),
                qualified_wins=None if qualified_won is None else qualified_won.wins,
                open=int(n_open[i]),
                score=finite(score[i]),
            )
        )
    return table


def way_section(rows: ReportRows, groups: Groups, families: Families) -> Section:
    """Build the section about the way from lead to won for each source."""
    table = _source_rows(rows, groups, families)
    has_qualified = families.qualified is not None
    columns = _columns(rows, has_qualified)
    chart, finding = None, "From lead to won, for each source"
    paragraphs: list[str] = []
    cells = cells_of(table)
    if has_qualified:
        n_qualified = sum(row.qualified or 0 for row in table)
        finding = (
            f"{of_words(share_of(n_qualified, rows.rate[1]))} of the leads come as far as "
            f"{quoted_name(qualified_stage(rows))}, {of_words(share_of(*rows.rate))} are won"
        )
        drawn = [row for row in cells if row["qualified_share"] is not None]
        if drawn:  # some leads are old enough
            chart = series_chart(
                drawn,
                finding,
                about_mature(rows),
                what="Share of leads",
                series=(
                    ("qualified_share", "qualified"),
                    ("qualified_won", "won of the qualified"),
                    ("value", "won"),
                ),
                of={column.key: column.of for column in columns if column.of},
            )
    else:
        paragraphs.append(
            "The number of qualified leads is not shown, because no stage is named for it. Name "
            'one with [report] qualified_stage = "…".'
        )
    if rows.now is not None and rows.now.is_sample:
        paragraphs.append(
            f"Average scores are of a random sample of {len(rows.now):,} of {rows.now.of:,} open "
            "leads."
        )
    figure = Figure(
        name="sources-way",
        finding=finding,
        about=about_mature(rows),
        columns=tuple(columns),
        rows=cells,
        chart=chart,
    )
    return Section("From lead to won", tuple(paragraphs), (figure,))


def _columns(rows: ReportRows, has_qualified: bool) -> list[Column]:
    columns = [
        Column("name", "Source"),
        Column("leads", "Leads", "count", "leads"),
        Column("n", "Old enough", "count", "mature_leads"),
    ]
    if has_qualified:
        columns += [
            Column("qualified", "Qualified", "count", "counted_wins"),
            Column(
                "qualified_share", "Share qualified", "share", "qualified_share", ("qualified", "n")
            ),
            Column(
                "qualified_won",
                "Won of them",
                "share",
                "qualified_won_share",
                ("qualified_wins", "qualified"),
            ),
        ]
    columns += [
        Column("wins", "Won", "count"),
        Column("value", "Conversion", "share", "won_share", ("wins", "n")),
        Column("open", "Open now", "count", "open_leads"),
    ]
    if rows.now is not None and len(rows.now):
        columns.append(Column("score", "Average score", "score", "mean_score"))
    return columns
