"""How often each column is filled for open, won and lost leads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crm.cells import cell_text, read_column
from crm.project import role_columns
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, share_of
from models.evaluation.differences import shares_differ
from models.evaluation.intervals import holm
from reports.charts.groups import series_chart
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.pages.features.left_out import columns_not_used
from reports.pages.groups import CHANCE_TITLE
from reports.pages.phrases import of_words
from reports.rows.rows import ReportRows
from reports.text import column_label, quoted_name

LEAST_GAP = 0.1  # between the filled shares of open and closed leads, for a sentence


@dataclass(frozen=True, kw_only=True)
class FilledRow(TableRow):
    """The shares of leads with a value in a column; `p` compares open with closed leads.

    `is_explained` is true for a column that the section about unused columns names.
    """

    name: str
    is_explained: bool
    n: int
    open: float | None
    won: float | None
    lost: float | None
    counts: dict[str, int]
    closed: float | None = None
    p: float | None = None

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        cells = super().cells()
        return cells.pop("counts") | cells

    @property
    def shares(self) -> tuple[float | None, float | None, float | None]:
        """The shares of open, won and lost leads."""
        return self.open, self.won, self.lost

    def words(self, kind: str) -> str:
        """Format the share of a kind of leads with its counts."""
        return of_words(share_of(self.counts[f"n_filled_{kind}"], self.counts[f"n_{kind}"]))

    @property
    def is_full(self) -> bool:
        """True if every lead has a value."""
        return all(share in (1.0, None) for share in self.shares)

    @property
    def gap(self) -> float:
        """The share of closed leads minus that of open ones; 0 if they are not compared."""
        if self.p is None or self.closed is None or self.open is None:
            return 0.0
        return self.closed - self.open

    @property
    def order(self) -> float:
        """The key that sorts the largest differences first."""
        if self.p is not None:
            return -abs(self.gap)
        return -abs((self.won or 0) - (self.lost or 0))


def filled_section(rows: ReportRows) -> tuple[Section, list[Takeaway]]:
    """Compare how often columns are filled for open, won and lost leads."""
    table = _filled_rows(rows)
    far = [
        row for row in table if row.p is not None and row.p < CHANCE and abs(row.gap) >= LEAST_GAP
    ]
    n = {"open": rows.is_open, "won": rows.is_won, "lost": rows.is_lost}
    about = ", ".join(f"{int(mask.sum()):,} {kind}" for kind, mask in n.items()) + " leads"
    finding = _filled_finding(table, far)
    gaps = [{**row.cells(), "n": None} for row in table if not row.is_full]
    chart = None
    if gaps:
        chart = series_chart(
            gaps,
            finding,
            f"{about}; columns that are not filled for all",
            what="Share of leads with a value",
            series=[(kind, kind) for kind, mask in n.items() if mask.any()],
            of={kind: (f"n_filled_{kind}", f"n_{kind}") for kind in n},
        )
    figure = Figure(
        name="features-filled",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Column"),
            Column("open", "Filled, open", "share", "fill_share", ("n_filled_open", "n_open")),
            Column("won", "Filled, won", "share", "fill_share", ("n_filled_won", "n_won")),
            Column("lost", "Filled, lost", "share", "fill_share", ("n_filled_lost", "n_lost")),
            Column(
                "closed", "Filled, closed", "share", "fill_share", ("n_filled_closed", "n_closed")
            ),
            Column("p", f"{CHANCE_TITLE}, open against closed", "ratio", "chance"),
        ),
        rows=cells_of(table),
        chart=chart,
    )
    takeaways = []
    news = [row for row in far if row.gap > 0 and not row.is_explained]
    if news:
        takeaways.append(_filled_takeaway(max(news, key=lambda row: row.gap)))
    return Section("How columns are filled", figures=(figure,)), takeaways


def _filled_rows(rows: ReportRows) -> list[FilledRow]:
    """Count how often each column is filled for open, won and lost leads.

    Open leads are compared with closed ones if there are enough of both; the p-values are
    corrected for all columns. The largest differences come first.
    """
    leads = rows.records.leads
    empty_words = {str(cell_text(word)).casefold() for word in rows.project.columns.nothing}
    roles = {"lead_id", "created_at", *role_columns(rows.project).values()}
    explained = columns_not_used(rows)
    masks = {"open": rows.is_open, "won": rows.is_won, "lost": rows.is_lost}
    n = {kind: int(mask.sum()) for kind, mask in masks.items()}
    n_closed = n["won"] + n["lost"]
    is_compared = min(n["open"], n_closed) >= FEWEST_LEADS
    table = []
    for column in leads.columns:
        if column in roles:
            continue
        filled = _is_filled(leads[column], empty_words)
        count = {kind: int(filled[mask].sum()) for kind, mask in masks.items()}
        share = {kind: count[kind] / n[kind] if n[kind] else None for kind in masks}
        row = FilledRow(
            name=column_label(column),
            is_explained=column in explained,
            n=len(leads),
            open=share["open"],
            won=share["won"],
            lost=share["lost"],
            counts={
                **{f"n_filled_{kind}": count[kind] for kind in masks},
                **{f"n_{kind}": n[kind] for kind in masks},
                "n_filled_closed": count["won"] + count["lost"],
                "n_closed": n_closed,
            },
        )
        if is_compared:
            closed = count["won"] + count["lost"]
            p = shares_differ(count["open"], n["open"], closed, n_closed)
            row = replace(row, closed=closed / n_closed, p=p)
        table.append(row)
    ps = iter(holm([row.p for row in table if row.p is not None]))
    table = [row if row.p is None else replace(row, p=next(ps)) for row in table]
    return sorted(table, key=lambda row: row.order)


def _filled_takeaway(row: FilledRow) -> Takeaway:
    """Return a column that is filled when leads close as a sentence."""
    return Takeaway(
        f"{quoted_name(row.name)} is filled for {row.words('open')} of the open and "
        f"{row.words('closed')} of the closed leads. A column that is filled on closing "
        "says nothing about a new lead.",
        {
            "value": row.open,
            "low": None,
            "high": None,
            "n": row.n,
            "closed": row.closed,
            "p": row.p,
        },
        "fill_share",
        "features-filled",
    )


def _filled_finding(table: Sequence[FilledRow], far: Sequence[FilledRow]) -> str:
    if not table:
        return "The leads have no columns beside their roles"
    if all(row.is_full for row in table):
        return f"Every column is filled for all {table[0].n:,} leads"
    if all(row.p is None for row in table):
        first = table[0]
        return (
            f"{quoted_name(first.name)} is filled for {first.words('won')} of the won and "
            f"{first.words('lost')} of the lost leads; too few leads are open to "
            "compare"
        )
    columns = "1 column is" if len(far) == 1 else f"{len(far) or 'No'} columns are"
    return (
        f"{columns} filled clearly more or less often for closed leads than for open ones, "
        f"by {100 * LEAST_GAP:.0f} points or more"
    )


def _is_filled(column: pd.Series, empty_words: set[str]) -> Any:
    if not empty_words and column.dtype != object:
        return column.notna().to_numpy()

    def is_filled(cell: Any) -> bool:
        text = cell_text(cell)
        return text is not None and text.casefold() not in empty_words

    return read_column(column, is_filled, np.bool_)
