"""Reads outcomes from their own table or from columns of the leads, as won and lost."""

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.cells import cell_text, read_column
from crm.contracts import shape_table
from crm.errors import SchemaError
from crm.formats.columns import ColumnFormat
from crm.project import TABLE_KEYS, LearnKeys, Project, TableKeys
from crm.reading_notes import ReadingNotes
from crm.sources.source import name_of
from crm.suggest import nearest
from crm.tables import TABLES
from crm.text import counted
from crm.times import TIME_DTYPE

UNDECLARED: Final = "undeclared"
SECOND: Final = pd.Timedelta(1, "s")


def flat_outcomes(
    raw: pd.DataFrame,
    lead_id: pd.Series,
    project: Project,
    notes: ReadingNotes,
    formats: Mapping[str, ColumnFormat] | None = None,
) -> pd.DataFrame:
    """Return the outcomes that are columns of the leads table, checked like a table of outcomes.

    Parameters
    ----------
    raw : DataFrame
        The leads table as it was read.
    lead_id : Series
        The ids of the rows that stay, with their index.
    project : Project
    notes : ReadingNotes
        Receives a sentence for each assumption.
    formats : mapping of str to ColumnFormat, optional
        The formats of the leads table, if they are known already.

    Raises
    ------
    SchemaError
        If the table lacks a column that the project file names, or a cell is not valid.
    """
    keys = project.leads
    column_of_role = {
        role.name: column
        for role in TABLES["outcomes"].file_columns[1:]
        if (column := keys.column_of(role.name)) is not None
    }
    missing = [column for column in column_of_role.values() if column not in raw.columns]
    if missing:
        raise SchemaError(
            name_of(keys),
            [
                f"there is no column `{column}` ([leads]). {nearest(column, list(raw.columns))}"
                for column in missing
            ],
        )
    flat = raw.loc[lead_id.index, list(dict.fromkeys(column_of_role.values()))]
    flat = flat.assign(lead_id=lead_id)
    roles = TABLE_KEYS["outcomes"](
        source=keys.source,
        table=keys.table,
        query=keys.query,
        timezone=keys.timezone,
        time_format=keys.time_format,
        decimal=keys.decimal,
        formats=keys.formats,
        **column_of_role,
    )
    return shape_table(flat, "outcomes", roles, notes, formats)


def with_every_row(outcomes: pd.DataFrame, keys: TableKeys) -> pd.DataFrame:
    """Return a raw table of outcomes in which each row has the value of the key `every_row`.

    Raises
    ------
    SchemaError
        If the table has a column of outcomes too.
    """
    value = keys.column_of("every_row")
    if value is None:
        return outcomes
    if "outcome" in outcomes.columns:
        raise SchemaError(
            name_of(keys),
            [
                "it has a column `outcome`, but `every_row` says that the table has none. Remove "
                "`every_row` from `[outcomes]`, or name another column as `outcome`."
            ],
        )
    return outcomes.assign(outcome=value)


def declared_only(outcomes: pd.DataFrame, learn: LearnKeys) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split outcomes into those with declared values, and those with undeclared ones."""
    is_undeclared = _read(outcomes, learn) == UNDECLARED
    return outcomes[~is_undeclared], outcomes[is_undeclared]


def to_won_lost(outcomes: pd.DataFrame, learn: LearnKeys, subject: str) -> pd.DataFrame:
    """Return the outcomes that are won or lost; leave out those that are open or empty.

    Parameters
    ----------
    outcomes : DataFrame
        Outcomes with the CRM's own values.
    learn : LearnKeys
        The keys that declare the values.
    subject : str
        The name of the table, for an error.

    Returns
    -------
    DataFrame
        All columns of the table of outcomes, and `closed_by`; `outcome` is "won" or "lost". The
        index is that of the rows that stay.

    Raises
    ------
    SchemaError
        If a value is not declared.
    """
    meanings_of_rows = _read(outcomes, learn)
    is_undeclared = meanings_of_rows == UNDECLARED
    if is_undeclared.any():
        raise SchemaError(subject, [undeclared(outcomes[is_undeclared])])
    outcomes = outcomes.assign(outcome=meanings_of_rows)
    outcomes = outcomes[outcomes["outcome"].isin(["won", "lost"])]
    columns = TABLES["outcomes"].file_columns
    closed_by = outcomes.get("closed_by")
    missing: dict[str, Any] = {
        "time": pd.Series(pd.NaT, index=outcomes.index, dtype=TIME_DTYPE),
        "number": np.nan,
        "text": None,
    }
    outcomes = outcomes.assign(
        **{role.name: missing[role.kind] for role in columns if role.name not in outcomes}
    )
    outcomes = outcomes[[role.name for role in columns]]
    if closed_by is None:
        closed_by = outcomes["closed_at"]
    return outcomes.assign(closed_by=closed_by.fillna(outcomes["closed_at"]))


def after_creation(outcomes: pd.DataFrame, leads: pd.DataFrame) -> pd.DataFrame:
    """Return outcomes in which a closing on the day of creation comes after the creation.

    A closing that is given as a day is stored as its first moment. A lead that was created later
    on that day was closed after that, so its closing gets the time of the next second.

    Parameters
    ----------
    outcomes : DataFrame
        With `lead_id`, `closed_at` and `closed_by`.
    leads : DataFrame
        With `lead_id` and `created_at`.

    Returns
    -------
    DataFrame
    """
    created = leads.set_index("lead_id")["created_at"].reindex(outcomes["lead_id"])
    created = created.set_axis(outcomes.index)
    is_same_day = (outcomes["closed_at"] <= created) & (created < outcomes["closed_by"])
    following = (created + SECOND).where(
        created + SECOND < outcomes["closed_by"], outcomes["closed_by"]
    )
    return outcomes.assign(closed_at=outcomes["closed_at"].where(~is_same_day, following))


def undeclared(outcomes: pd.DataFrame) -> str:
    """Write the sentence that lists undeclared outcome values and how to declare them."""
    counts = outcomes["outcome"].value_counts().head(8)
    counted_values = ", ".join(
        f"{reprlib.repr(value)} ({counted(count, 'row')})" for value, count in counts.items()
    )
    return (
        f"outcome values that are not declared: {counted_values}. "
        "Add each of them to `won`, `lost` or `open` in `[learn]`."
    )


def meanings(won: Iterable[Any], lost: Iterable[Any], open_: Iterable[Any]) -> dict[str, str]:
    """Map a CRM's outcome values to won, lost and open. Case and extra spaces are ignored.

    Examples
    --------
    >>> meanings(["Closed  Won"], [0], [])
    {'closed won': 'won', '0': 'lost'}
    """
    declared = {"won": won, "lost": lost, "open": open_}
    return {
        str(cell_text(value)).casefold(): meaning
        for meaning, values in declared.items()
        for value in values
    }


def _read(outcomes: pd.DataFrame, learn: LearnKeys) -> NDArray[Any]:
    meaning = meanings(learn.won, learn.lost, learn.open)

    def read(cell: Any) -> str | None:
        text = cell_text(cell)
        return None if text is None else meaning.get(text.casefold(), UNDECLARED)

    return read_column(outcomes["outcome"], read, object)
