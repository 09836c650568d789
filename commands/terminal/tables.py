"""Tables of the terminal, and how a time is written in them."""

import datetime
from collections.abc import Sequence

import rich.box
from rich.table import Table


def new_table(*headings: str, right: Sequence[int] = ()) -> Table:
    """Return an empty table.

    Parameters
    ----------
    *headings : str
        One for each column.
    right : sequence of int
        Positions of columns of numbers, which are aligned right and never wrapped.
    """
    table = Table(box=rich.box.SIMPLE, show_edge=False, pad_edge=False, collapse_padding=True)
    for i, heading in enumerate(headings):
        is_right = i in right
        table.add_column(heading, justify="right" if is_right else "left", no_wrap=is_right)
    return table


def minute(time: datetime.datetime) -> str:
    """Format a time to the minute.

    Examples
    --------
    >>> minute(datetime.datetime(2026, 3, 1, 12, 5, 30, tzinfo=datetime.UTC))
    '2026-03-01 12:05'
    """
    return f"{time:%Y-%m-%d %H:%M}"
