"""Warnings about cells that a model cannot read, and about columns that it does not know."""

from typing import Final, Literal

import msgspec

CellWarningCode = Literal[
    "unknown_attribute",
    "renamed_attribute",
    "repeated_attribute",
    "unseen_value",
    "not_a_number",
    "unclear_number",
    "not_yes_or_no",
    "unreadable_time",
    "not_an_email_address",
    "outside_training",
    "time_in_future",
    "older_than_learned",
    "younger_than_learned",
]
MAX_COLUMN_CHARACTERS: Final = 100  # of a column's name in a message

_PREDICATES: Final[dict[CellWarningCode, str]] = {
    "unknown_attribute": "is not a column that the model knows, and was ignored",
    "renamed_attribute": "was read as the column of almost the same name",
    "repeated_attribute": "is a second name of a column{detail}, and was ignored",
    "unseen_value": "has a value that was rare or unseen in training",
    "not_a_number": "is not a number and counts as missing",
    "unclear_number": "can mean two numbers, with thousands or with a decimal sign, and counts as "
    "missing",
    "not_yes_or_no": "is neither yes nor no and counts as missing",
    "unreadable_time": "is not a valid time{detail} and counts as missing",
    "not_an_email_address": "is not an e-mail address",
    "outside_training": "is far outside the range of the training leads{detail}, so its effect is "
    "limited",
    "time_in_future": "is later than the moment of scoring",
    "older_than_learned": "is longer ago than for any lead that the model learned from",
    "younger_than_learned": "is more recent than for any lead that the model learned from",
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


def cell_warning(code: CellWarningCode, column: str, detail: str = "") -> CellWarning:
    """Build the warning with this code about a cell of this column.

    Parameters
    ----------
    code : str
        One of `CellWarningCode`.
    column : str
        The column of the leads table.
    detail : str
        The expected format, or the range of the training leads, in words; added to the message.

    Examples
    --------
    >>> cell_warning("not_a_number", "Employees").message
    '`Employees` is not a number and counts as missing'
    >>> cell_warning("older_than_learned", "Created", detail="at most 30 days").message
    '`Created` is longer ago than for any lead that the model learned from (at most 30 days)'
    """
    predicate = _PREDICATES[code]
    if "{detail}" not in predicate:
        predicate += "{detail}"
    predicate = predicate.replace("{detail}", f" ({detail})" if detail else "")
    return CellWarning(code, column, f"`{column[:MAX_COLUMN_CHARACTERS]}` {predicate}")
