"""What a report says, before it has a form: pages of sentences, figures and tables.

`reports.pages_*` fill these from one set of rows; `reports.forms_*` write them as HTML, as
Markdown, as CSV and as JSON. Nothing here knows the one or the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    key : str
        In the rows.
    title : str
        With its unit, where it has one.
    form : str
        How a value is written: "text", "prose" (a longer one), "count", "share", "days", "amount",
        "ratio", "number" (two digits, however small), "score", "points", "time".
    metric : str
        Name of its definition in `reports.metrics`; empty for a label.
    """

    key: str
    title: str
    form: str = "text"
    metric: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart with the rows behind it, or a table alone.

    Attributes
    ----------
    name : str
        Of its files: lower case, digits and dashes; unique in the report.
    finding : str
        Its title: what is to be seen, as a sentence.
    about : str
        Under the title: whose leads, which window, n.
    columns : tuple of Column
    rows : tuple of mapping
        What the CSV holds; cells are numbers, texts or None.
    chart : Any
        An Altair chart of `reports.charts.card`, or None for a table alone.
    note : str
        What to mind: immature cohorts, small numbers.
    """

    name: str
    finding: str
    about: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    chart: Any = field(default=None, compare=False)
    note: str = ""


@dataclass(frozen=True)
class Takeaway:
    """A sentence that holds up, with the numbers that carry it.

    Attributes
    ----------
    sentence : str
        Plain words, with the figure, its interval and n.
    evidence : mapping
        The numbers: at least `value`, `low`, `high`, `n`.
    metric : str
        Name of the definition.
    figure : str
        The figure that shows it.
    """

    sentence: str
    evidence: Mapping[str, Any]
    metric: str
    figure: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    heading : str
    paragraphs : tuple of str
    figures : tuple of Figure
    needs : str
        Set instead of figures where a table is missing: what the section would show, and
        what it needs.
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
        Of its file.
    title : str
    lead : str
        What the page answers, in a sentence.
    takeaways : tuple of Takeaway
    sections : tuple of Section
    changed : tuple of str
        What changed since the last report; empty if there was none.
    """

    slug: str
    title: str
    lead: str
    takeaways: tuple[Takeaway, ...] = ()
    sections: tuple[Section, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """All pages as of one moment.

    Attributes
    ----------
    name : str
        The project's.
    as_of : str
        ISO 8601 UTC.
    about : mapping
        Whose leads: counts, window, filters, model version, simulated.
    pages : tuple of Page
    metrics : sequence of mapping
        Definitions of every metric used: `name`, `title`, `definition`, `denominator`,
        `window`, `maturity`.
    """

    name: str
    as_of: str
    about: Mapping[str, Any]
    pages: tuple[Page, ...]
    metrics: Sequence[Row] = ()
