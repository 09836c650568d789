"""Warnings about cells that a model cannot read, and about columns that it does not know."""

from typing import Final, Literal

import msgspec

CellWarningCode = Literal[
    "unknown_attribute",
    "unseen_value",
    "not_a_number",
    "not_yes_or_no",
    "unreadable_time",
    "not_an_email_address",
]
MAX_COLUMN_CHARACTERS: Final = 100  # of a column's name in a message

_PREDICATES: Final[dict[CellWarningCode, str]] = {
    "unknown_attribute": "is not a column that the model knows, and was ignored",
    "unseen_value": "has a value that was rare or unseen in training",
    "not_a_number": "is not a number and counts as missing",
    "not_yes_or_no": "is neither yes nor no and counts as missing",
    "unreadable_time": "is not an ISO 8601 time and counts as missing",
    "not_an_email_address": "is not an e-mail address",
}


class CellWarning(msgspec.Struct, frozen=True):
    """A warning about one cell of a lead.

    Attributes
    ----------
    code : str
        One of `CellWarningCode`. Codes keep their names, so that programs can rely on them.
    column : str
        The column of the leads table.
    message : str
        The warning as a sentence for people. Its wording may change.
    """

    code: CellWarningCode
    column: str
    message: str


def cell_warning(code: CellWarningCode, column: str) -> CellWarning:
    """Build the warning with this code about a cell of this column.

    Examples
    --------
    >>> cell_warning("not_a_number", "Employees").message
    '`Employees` is not a number and counts as missing'
    """
    return CellWarning(code, column, f"`{column[:MAX_COLUMN_CHARACTERS]}` {_PREDICATES[code]}")
