"""The sources whose leads go on more or less often at a step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from features.groups import NOT_ALIKE
from models.evaluation.comparisons import Contrast
from reports.content import Column, Figure, TableRow, Takeaway, cells_of
from reports.pages.averages import average_of, group_contrasts
from reports.pages.funnel.steps import Steps
from reports.pages.groups import (
    CHANCE_TITLE,
    compared_columns,
    correct_families,
    empty_words,
    evidence_of,
    n_compared,
    share_columns,
)
from reports.pages.phrases import about_mature, ratio_words
from reports.rows.rows import ReportRows
from reports.text import quoted_name


@dataclass(frozen=True, kw_only=True)
class SourceStepRow(TableRow):
    """The leads of a source at a step."""

    name: str
    share: Contrast
    source: str
    step: str
    before: str

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        return {
            **self.share.cells(),
            "name": self.name,
            "source": self.source,
            "step": self.step,
        }

    @property
    def distance(self) -> float:
        """The distance of the ratio's interval from 1, as a factor."""
        return max(self.share.ratio_low or 0, 1 / (self.share.ratio_high or 1))


def steps_by_source(rows: ReportRows, steps: Steps) -> tuple[list[Figure], list[Takeaway]]:
    """Compare the sources at each step; return a figure and its takeaway, if there are sources."""
    if rows.source is None:
        return [], []
    names = steps.names
    families = correct_families(
        [
            group_contrasts(
                rows.source,
                rows.is_mature & steps.reached[k - 1],
                steps.reached[k],
                rows.period,
            )
            for k in range(1, len(names))
        ]
    )
    table = [
        SourceStepRow(
            name=f"{source}: {names[k - 1]} → {names[k]}",
            share=group,
            source=source,
            step=names[k],
            before=names[k - 1],
        )
        for k, contrasts in enumerate(families, start=1)
        for source, group in zip(rows.source.names, contrasts, strict=True)
        if group.n
    ]
    figure = _figure(rows, table, families)
    clear = [
        row
        for row in table
        if row.share.is_significant
        and row.source not in NOT_ALIKE
        and row.share.ratio_low is not None
    ]
    if not clear:
        return [figure], []
    first = max(clear, key=lambda row: row.distance)
    than = average_of(rows.source, rows.is_mature, rows.won).words
    takeaway = Takeaway(
        f"Leads from {quoted_name(first.source)} go on from {quoted_name(first.before)} to "
        f"{quoted_name(first.step)} {ratio_words(first.share, than, 'go on')}.",
        evidence_of(first.share, name=first.source),
        "step_share",
        "funnel-sources",
    )
    return [figure], [takeaway]


def _figure(
    rows: ReportRows, table: Sequence[SourceStepRow], families: Sequence[list[Contrast]]
) -> Figure:
    n_clear = sum(row.share.verdict.is_difference for row in table)
    finding = "No source clearly differs from the others at any step"
    if n_clear:
        finding = (
            f"In {n_clear:,} of {n_compared(row.share for row in table):,} comparisons of a source "
            "at a step, its leads clearly go on more often, or less often, than the others"
        )
    return Figure(
        name="funnel-sources",
        finding=finding,
        about=about_mature(rows),
        columns=(
            Column("name", "Source and step"),
            Column("n", "Reached the stage before", "count"),
            Column("wins", "Go on", "count"),
            *share_columns("Goes on", "step_share"),
            Column("ratio", "Against all sources", "ratio"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            Column("verdict", "Result"),
            *compared_columns(cells_of(table)),
        ),
        rows=cells_of(table),
        note=empty_words(
            [group for family in families for group in family], "pairs of a source and a step"
        ),
    )
