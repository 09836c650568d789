"""How leads ended: outcomes from a table of their own or a column of the leads, as won and lost."""

import reprlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.cells import cell_text, read_column
from crm.contracts import shape_table
from crm.errors import SchemaError
from crm.project import TABLE_KEYS, LearnKeys, Project
from crm.sources.source import name_of
from crm.suggest import nearest
from crm.tables import TABLES
from crm.times import TIME_DTYPE

UNDECLARED: Final = "undeclared"


def flat_outcomes(
    raw: pd.DataFrame, lead_id: pd.Series, project: Project, notes: list[str]
) -> pd.DataFrame:
    """Take outcomes out of the leads table, by their contract; `lead_id` is that of its rows."""
    keys = project.leads
    named = {
        role.name: column
        for role in TABLES["outcomes"].file_columns[1:]
        if (column := keys.column_of(role.name)) is not None
    }
    missing = [column for column in named.values() if column not in raw.columns]
    if missing:
        raise SchemaError(
            name_of(keys),
            [
                f"there is no column `{column}` ([leads]). {nearest(column, list(raw.columns))}"
                for column in missing
            ],
        )
    flat = raw[list(dict.fromkeys(named.values()))].assign(lead_id=lead_id.to_numpy())
    roles = TABLE_KEYS["outcomes"](
        source=keys.source,
        table=keys.table,
        query=keys.query,
        timezone=keys.timezone,
        time_format=keys.time_format,
        **named,
    )
    return shape_table(flat, "outcomes", roles, notes)


def declared_only(outcomes: pd.DataFrame, learn: LearnKeys) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part outcomes that a caller sent: those in words that are declared, and the others."""
    is_stray = _read(outcomes, learn) == UNDECLARED
    return outcomes[~is_stray], outcomes[is_stray]


def settle(outcomes: pd.DataFrame, learn: LearnKeys, subject: str) -> pd.DataFrame:
    """Turn the CRM's outcome values into won and lost; open and empty ones are no outcome."""
    settled = _read(outcomes, learn)
    is_stray = settled == UNDECLARED
    if is_stray.any():
        raise SchemaError(subject, [undeclared(outcomes[is_stray])])
    outcomes = outcomes.assign(outcome=settled)
    outcomes = outcomes[outcomes["outcome"].isin(["won", "lost"])]
    columns = TABLES["outcomes"].file_columns
    missing: dict[str, Any] = {
        "time": pd.Series(pd.NaT, index=outcomes.index, dtype=TIME_DTYPE),
        "number": np.nan,
        "text": None,
    }
    outcomes = outcomes.assign(
        **{role.name: missing[role.kind] for role in columns if role.name not in outcomes}
    )
    return outcomes.reset_index(drop=True)[[role.name for role in columns]]


def undeclared(outcomes: pd.DataFrame) -> str:
    """Say what to do about outcomes in words that nobody declared."""
    counts = outcomes["outcome"].value_counts().head(8)
    named = ", ".join(f"{reprlib.repr(word)} ({count:,} rows)" for word, count in counts.items())
    return (
        f"outcome values that nobody declared: {named}. Put each into won, lost or open in [learn]."
    )


def meanings(won: Iterable[Any], lost: Iterable[Any], open_: Iterable[Any]) -> dict[str, str]:
    """Map a CRM's words for how leads end to won, lost and open; case and spaces do not count.

    Examples
    --------
    >>> meanings(["Closed  Won"], [0], [])
    {'closed won': 'won', '0': 'lost'}
    """
    words = {"won": won, "lost": lost, "open": open_}
    return {
        str(cell_text(value)).casefold(): word for word, values in words.items() for value in values
    }


def _read(outcomes: pd.DataFrame, learn: LearnKeys) -> NDArray[Any]:
    meaning = meanings(learn.won, learn.lost, learn.open)

    def read(cell: Any) -> str | None:
        text = cell_text(cell)
        return None if text is None else meaning.get(text.casefold(), UNDECLARED)

    return read_column(outcomes["outcome"], read, object)
