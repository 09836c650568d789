"""The result of checking a project's records, as plain data."""

from typing import Any, Literal

import msgspec

from crm.left_out import LeftOutRows

Unit = Literal["line", "row"]


class UnreadCells(msgspec.Struct, frozen=True):
    """Cells of a column that do not fit its format.

    Attributes
    ----------
    count : int
    lines : tuple of int
        Where the first of them are, from 1.
    unit : {"line", "row"}
        The unit of `lines`.
    examples : tuple of str
        Up to three cells; none for a private column.
    """

    count: int
    lines: tuple[int, ...]
    unit: Unit
    examples: tuple[str, ...]


class CheckedColumn(msgspec.Struct, frozen=True):
    """One column of a table.

    Attributes
    ----------
    name : str
    use : str
        The role of the column, "attribute", "left out" or "not used".
    why : str
        Why an attribute is left out, or why the column is private; empty if it is neither.
    kind : str
        "number", "time", "category", "category of several values", "flag", "e-mail", "id",
        "text", "numbers and text", "constant" or "empty".
    format : str
        How its cells are read, in words.
    filled, empty, nothing : int
        The numbers of cells with a value, without any, and with a word for nothing.
    distinct : int
        The number of distinct values.
    is_private : bool
        True if the column is personal, sensitive or ignored, so that no value is shown.
    examples : tuple of str
        Up to three values, the most frequent first.
    smallest, median, largest : float or None
        Of numbers.
    first, last : str or None
        Of times, ISO 8601, UTC.
    unread : UnreadCells or None
        The cells that do not fit the format.
    """

    name: str
    use: str
    why: str
    kind: str
    format: str
    filled: int
    empty: int
    nothing: int
    distinct: int
    is_private: bool = False
    examples: tuple[str, ...] = ()
    smallest: float | None = None
    median: float | None = None
    largest: float | None = None
    first: str | None = None
    last: str | None = None
    unread: UnreadCells | None = None


class CheckedTable(msgspec.Struct, frozen=True):
    """One table: the rows that were read and left out, and its columns.

    Attributes
    ----------
    name : str
        "leads", "activities", "stages" or "outcomes".
    file : str
        The name of the source.
    rows : int
        The number of rows that were read.
    left_out : tuple of LeftOutRows
    columns : tuple of CheckedColumn
    """

    name: str
    file: str
    rows: int
    left_out: tuple[LeftOutRows, ...]
    columns: tuple[CheckedColumn, ...]


class RecordWarning(msgspec.Struct, frozen=True):
    """A question about records that look wrong.

    Attributes
    ----------
    number : str
        The number of the check, a key of `features.record_checks.registry.CHECKS`.
    question : str
    evidence : str
        What was counted.
    to_do : str
    table, file : str
    lines : tuple of int
        Where the first of the rows are, from 1; empty if the question is not about some rows.
    count : int
        The number of rows that the question is about.
    unit : {"line", "row"}
        The unit of `lines`.
    """

    number: str
    question: str
    evidence: str
    to_do: str
    table: str
    file: str
    lines: tuple[int, ...] = ()
    count: int = 0
    unit: Unit = "line"


class RecordsCheck(msgspec.Struct, frozen=True):
    """The tables of a project as they were read, and the questions about them.

    Attributes
    ----------
    project : str
        The name of the project.
    simulated : bool
    checked_at : str
        ISO 8601, UTC.
    problems : tuple of str
        The errors that keep the records from being used; empty if training can read them.
    leads, won, lost, open : int or None
        The counts of leads; None if the records cannot be used.
    warnings : tuple of RecordWarning
    tables : tuple of CheckedTable
        The tables that could be read.
    notes : tuple of str
        Sentences about what was assumed while the tables were read.
    refusal : str
        Why training refuses the records although they can be read; empty if it accepts them.
    too_few : str
        Why every lead would get the same probability; empty if a model can be trained.
    """

    project: str
    simulated: bool
    checked_at: str
    problems: tuple[str, ...]
    leads: int | None
    won: int | None
    lost: int | None
    open: int | None
    warnings: tuple[RecordWarning, ...]
    tables: tuple[CheckedTable, ...]
    notes: tuple[str, ...]
    refusal: str = ""
    too_few: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain data.

        Examples
        --------
        >>> check = RecordsCheck("acme", False, "", (), 3, 1, 1, 1, (), (), ())
        >>> check.to_json()["leads"], check.to_json()["warnings"]
        (3, [])
        """
        facts: dict[str, Any] = msgspec.to_builtins(self)
        return msgspec.json.decode(msgspec.json.encode(facts))
