"""Writes the message that no column shows how leads ended."""

from collections.abc import Sequence
from typing import Final

from crm.text import quote
from drafting.personal import personal_reason
from drafting.role_names import NO_RANK, rank
from drafting.samples import Column

MOST_VALUES: Final = 200  # of a column that could be the outcome
MOST_OF_ROWS: Final = 0.2  # values of such a column, by the number of rows
FEW_VALUES: Final = 20  # always few, however few rows there are
SHOWN_COLUMNS: Final = 5
SHOWN_VALUES: Final = 6
SHOWN_CHARACTERS: Final = 40


def no_outcome(file: str, columns: Sequence[Column]) -> str:
    """Return the message, with the columns that could be the outcome and what to write.

    Columns whose names suggest an outcome come first. Their most frequent values are shown, except
    those of personal columns.

    Parameters
    ----------
    file : str
        The name of the file.
    columns : sequence of Column
    """
    likely = [column for column in columns if _could_be(column)]
    likely.sort(key=lambda column: rank("outcome", column.name))
    start = f"No column of {file} shows how leads ended."
    if not likely:
        return (
            f"{start} Expected a column with a name such as converted, won, outcome or status, and "
            "values such as yes and no. Add a file of outcomes, as in: `leads=people.csv "
            "outcomes=deals.csv`"
        )
    columns_with_values = "; ".join(
        f"{quote(column.name)} ({_values(column)})" for column in likely[:SHOWN_COLUMNS]
    )
    is_named = rank("outcome", likely[0].name) < NO_RANK
    name = quote(likely[0].name) if is_named else "COLUMN"
    return (
        f"{start} Columns that could, with their most frequent values: {columns_with_values}. "
        f"Name the column and each value that means won, as in: --outcome {name} --won VALUE; "
        "or add a file as `outcomes=FILE`."
    )


def _could_be(column: Column) -> bool:
    n_values = len(column.counts)
    most = min(MOST_VALUES, max(FEW_VALUES, MOST_OF_ROWS * len(column.cells)))
    return 2 <= n_values <= most and personal_reason(column) is None


def _values(column: Column) -> str:
    values = [str(value) for value in column.counts.index[:SHOWN_VALUES]]
    shown = [value[:SHOWN_CHARACTERS] for value in values]
    return ", ".join(map(quote, shown)) + (", …" if len(column.counts) > SHOWN_VALUES else "")
