"""The content of a report before it has a form: pages of sentences, figures and tables.

`reports.pages` builds these objects from one set of rows; `reports.forms` writes them as HTML,
Markdown, CSV and JSON. This module imports neither.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum, auto
from typing import Any

from models.evaluation.comparisons import Share

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row of a table. Subclasses declare its fields; a `Share` among them fills several cells."""

    def cells(self) -> dict[str, Any]:
        """Return the cells by column; numbers that are not finite become None."""
        cells: dict[str, Any] = {}
        for declared in fields(self):
            value = getattr(self, declared.name)
            if isinstance(value, Share):
                cells |= value.cells()
            elif isinstance(value, float) and not math.isfinite(value):
                cells[declared.name] = None
            else:
                cells[declared.name] = value
        return cells


@dataclass(frozen=True, kw_only=True)
class ShareRow(TableRow):
    """A row with a name and a share."""

    name: str
    share: Share


def cells_of(rows: Iterable[TableRow]) -> tuple[dict[str, Any], ...]:
    """Return the cells of several rows."""
    return tuple(row.cells() for row in rows)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    key : str
        The key of its cells in the rows.
    title : str
        The heading, with the unit if it has one.
    form : str
        The format of its values: "text", "prose" (longer text), "count", "share", "days",
        "hours" (both written as "2 days 3 hours"), "amount", "ratio", "number" (two
        decimals), "score", "points", "time".
    metric : str
        The name of its definition in `reports.metrics`; empty for a label.
    of : tuple of str or None
        For a share: the keys of its two counts, x and n of "x of n".
    form_key : str
        The key of the cell that contains the form of the row, if rows differ in it; else empty.
    """

    key: str
    title: str
    form: str = "text"
    metric: str = ""
    of: tuple[str, str] | None = None
    form_key: str = ""


class Comparison(Enum):
    """How the next report compares the shares of a figure with this report's."""

    EACH_ROW = auto()
    ONE_ROW = auto()  # the rows count nearly the same leads, so at most one change is reported
    NONE = auto()  # the shares are final


@dataclass(frozen=True)
class Figure:
    """A chart with the rows behind it, or a table alone.

    Attributes
    ----------
    name : str
        The name of its files: lower case, digits and dashes; unique in the report.
    finding : str
        The title: a sentence that says what the figure shows.
    about : str
        The text below the title: which leads, which period, n.
    columns : tuple of Column
    rows : tuple of mapping
        The rows of the CSV file; cells are numbers, texts or None.
    chart : Any
        An Altair chart of `reports.charts`, or None for a table alone.
    note : str
        What the reader has to keep in mind, such as young leads or small numbers.
    comparison : Comparison
        How the next report compares the shares.
    learned_from : bool
        True if the model learned from most leads of the figure, so that it does not show how good
        the model is on new leads. Forms fold and label it.
    """

    name: str
    finding: str
    about: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    chart: Any = field(default=None, compare=False)
    note: str = ""
    comparison: Comparison = Comparison.EACH_ROW
    learned_from: bool = False

    @property
    def keys(self) -> list[str]:
        """The keys of all cells: those of the columns, each share with its counts beside it."""
        shown = {column.key for column in self.columns}
        keys: dict[str, None] = {}
        for column in self.columns:
            keys[column.key] = None
            further = (*(column.of or ()), column.form_key)
            keys |= dict.fromkeys(key for key in further if key and key not in shown)
        return list(keys)

    def has_columns(self, keys: Iterable[str]) -> bool:
        """Check whether all these cells have columns of their own."""
        return set(keys) <= {column.key for column in self.columns}


@dataclass(frozen=True)
class Takeaway:
    """A sentence that a test supports, with its numbers.

    Attributes
    ----------
    sentence : str
        Plain words, with the figure, its interval and n.
    evidence : mapping
        The numbers: at least `value`, `low`, `high`, `n`.
    metric : str
        The name of the definition.
    figure : str
        The name of the figure that shows it.
    """

    sentence: str
    evidence: Mapping[str, Any]
    metric: str
    figure: str = ""


class ChangeKind(Enum):
    """The kind of a note that compares this report with the last one."""

    CHANGED = auto()
    COUNTED = auto()  # how much came since the last report
    UNCHANGED = auto()
    NOT_COMPARED = auto()


@dataclass(frozen=True)
class ChangeNote:
    """A sentence about the difference from the last report."""

    sentence: str
    kind: ChangeKind = ChangeKind.CHANGED


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    heading : str
    paragraphs : tuple of str
    figures : tuple of Figure
    needs : str
        Set instead of figures if records are missing: what the section would show, and which
        records it needs.
    """

    heading: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    needs: str = ""


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes
    ----------
    slug : str
        The name of its file.
    title : str
    lead : str
        The question that the page answers.
    takeaways : tuple of Takeaway
    sections : tuple of Section
    changed : tuple of ChangeNote
        The differences from the last report; empty if there was none.
    keeps_leads : bool
        True if a lead that is counted in a figure once is counted in it in every later report.
        Only such figures are compared with the last report.
    is_sheet : bool
        True if the page is also printed alone, on one sheet, for both teams to sign.
    """

    slug: str
    title: str
    lead: str
    takeaways: tuple[Takeaway, ...] = ()
    sections: tuple[Section, ...] = ()
    changed: tuple[ChangeNote, ...] = ()
    keeps_leads: bool = True
    is_sheet: bool = False


@dataclass(frozen=True)
class Report:
    """All pages as of one moment.

    Attributes
    ----------
    name : str
        The name of the project.
    as_of : str or None
        ISO 8601 UTC; None if the records have no times.
    about : mapping
        Which leads the report covers: counts, period, filters, model version, simulated.
    pages : tuple of Page
    metrics : sequence of mapping
        The definitions of all metrics used: `name`, `title`, `definition`, `denominator`,
        `window`, `maturity`.
    """

    name: str
    as_of: str | None
    about: Mapping[str, Any]
    pages: tuple[Page, ...]
    metrics: Sequence[Row] = ()
