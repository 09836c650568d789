"""Reads the ledger's tables for training, alone or together with files.

If a file and the ledger have the same event, the file's row is used. If both have the same lead,
the file's attributes are used. Erased leads are left out, even if a file contains them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Hashes
from crm.cells import text_column
from crm.days import without_day_end
from crm.errors import SchemaError
from crm.lead_ids import id_key, id_keys
from crm.ledger.ledger import Ledger
from crm.ledger.schema import DERIVED
from crm.project import Project, role_columns
from crm.tables import EVENT_TABLES, DeclaredColumn
from crm.times import TIME_DTYPE


@contextmanager
def project_ledger(project: Project) -> Iterator[Ledger | None]:
    """Open the ledger that a project names, for the length of the context; None if it has none."""
    if project.ledger_url is None:
        yield None
        return
    with Ledger(project.ledger_url, project.folder) as ledger:
        yield ledger


def events_table(ledger: Ledger, kind: str) -> pd.DataFrame:
    """Read the ledger's activities, stages or outcomes under the names of their contract.

    Returns
    -------
    DataFrame
        Times are datetime64, UTC. The id of an activity that was sent without an id is missing.
    """
    event = EVENT_TABLES[kind]
    cells: dict[str, list[Any]] = {column.name: [] for column in event.file_columns}
    for piece in ledger.rows(kind):
        for name, column_cells in cells.items():
            column_cells += [row[name] for row in piece]
    table = pd.DataFrame(
        {name: np.array(column_cells, dtype=object) for name, column_cells in cells.items()}
    )
    for column in event.file_columns:
        if column.kind == "time":
            table[column.name] = utc(table[column.name])
        elif column.kind == "number":
            table[column.name] = table[column.name].astype("float64")
        else:
            table[column.name] = table[column.name].astype("str")
    if event.event_id not in table:
        return table
    is_derived = table[event.event_id].str.startswith(DERIVED).fillna(value=False).astype(bool)
    return table.assign(**{event.event_id: table[event.event_id].where(~is_derived, None)})


def with_events(kind: str, table: pd.DataFrame | None, stored: pd.DataFrame) -> pd.DataFrame:
    """Add the events that only the ledger has to those of a file.

    An event of the ledger is left out if the file has an event of the same lead with the same id.
    It is also left out if one of the two has no id and the identifying columns are the same.

    Parameters
    ----------
    kind : str
    table : DataFrame or None
        The events of the file, checked; None if the project has no such file.
    stored : DataFrame
        The events of the ledger, from `events_table`.

    Returns
    -------
    DataFrame
        The index of the file's rows stays; that of the ledger's rows is -1.
    """
    stored = stored.set_axis(np.full(len(stored), -1), axis=0)
    if table is None:
        return stored
    declared = EVENT_TABLES[kind]
    name = declared.event_id
    matched = [declared.columns[0], *(column for column in declared.content if column.identifies)]
    has_id = _has_id(table, name)
    stored_has_id = _has_id(stored, name)
    key, stored_key = _hashes(table, matched), _hashes(stored, matched)
    is_in_file = np.isin(stored_key, key[~has_id]) | (np.isin(stored_key, key) & ~stored_has_id)
    if has_id.any():
        both_ids = [column for column in declared.columns if column.kind == "id"]
        ids, stored_ids = (_hashes(rows, both_ids) for rows in (table, stored))
        is_in_file |= stored_has_id & np.isin(stored_ids, ids[has_id])
    new = stored[~is_in_file]
    new = new[[column for column in new.columns if column in table.columns or column != name]]
    return table if new.empty else pd.concat([table, new])


def with_leads(
    project: Project,
    ledger: Ledger,
    leads: pd.DataFrame | None,
    outcomes: pd.DataFrame,
    notes: list[str],
) -> pd.DataFrame:
    """Add the leads that only the ledger has to those of a file.

    If the file has no times of creation, no lead is added.

    Parameters
    ----------
    project : Project
    ledger : Ledger
    leads : DataFrame or None
        The leads of the file, checked; None if there is only the ledger.
    outcomes : DataFrame
        The outcomes of file and ledger.
    notes : list of str
        Receives a sentence for everything that was added or left out.

    Returns
    -------
    DataFrame

    Raises
    ------
    SchemaError
        If there is only the ledger, and it has no leads.
    """
    roles = role_columns(project)
    roles.pop("order", None)  # this column stays, because it sorts the leads
    dated = outcomes.dropna(subset="closed_at").reset_index(drop=True)
    closed = dated["closed_at"].groupby(id_keys(dated["lead_id"])).min()
    closed_at = dict(zip(closed.index, closed.astype(TIME_DTYPE).astype("int64"), strict=True))
    sent = _sent_leads(ledger, roles, closed_at)
    if leads is None and not sent["created_at"].notna().any():
        sent = sent.drop(columns="created_at")
    elif leads is not None and "created_at" not in leads:
        sent = sent.iloc[:0]
    else:
        n_without = int(sent["created_at"].isna().sum())
        if n_without:
            notes.append(f"ledger: {n_without:,} leads without a time of creation are left out.")
        sent = sent[sent["created_at"].notna()]
    if leads is None:
        if sent.empty:
            raise SchemaError("the ledger", ["it has no leads. Score some through the service."])
        return sent.reset_index(drop=True)
    new = sent[~id_keys(sent["lead_id"]).isin(id_keys(leads["lead_id"]))]
    notes.append(f"ledger: {len(new):,} leads that the file does not have.")
    return leads if new.empty else pd.concat([leads, new], ignore_index=True)


def _sent_leads(
    ledger: Ledger, roles: Mapping[str, str], closed_at: Mapping[str, int]
) -> pd.DataFrame:
    """Read the leads, one row each, with the attributes that were sent while they were open.

    If a lead was sent several times, its newest attributes before it was closed are used, because
    later attributes could reveal the outcome. If there are none, its first attributes are used.

    Parameters
    ----------
    ledger : Ledger
    roles : mapping of str to str
        The CRM's columns that play a role. They are not attributes.
    closed_at : mapping of str to int
        When each closed lead was first closed, by the key of its id, in microseconds since 1970
        UTC.

    Returns
    -------
    DataFrame
        `lead_id`, `created_at` (datetime64, UTC, missing if it was not sent), and every attribute
        as it was sent.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for piece in ledger.rows("leads"):
        for row in piece:
            key = id_key(row["lead_id"])
            if key not in chosen or row["recorded_at"] <= closed_at.get(key, 2**63):
                chosen[key] = row
    role_names = {*roles.values(), "lead_id", "created_at"}
    attributes = pd.DataFrame(
        [
            {name: cell for name, cell in row["attributes"].items() if name not in role_names}
            for row in chosen.values()
        ],
        index=range(len(chosen)),
    )
    created_at = pd.Series([row["created_at"] for row in chosen.values()], dtype=object)
    ids_and_times = pd.DataFrame(
        {
            "lead_id": pd.Series([row["lead_id"] for row in chosen.values()], dtype="str"),
            "created_at": utc(created_at),
        }
    )
    return pd.concat([ids_and_times, attributes], axis=1)


def utc(times: pd.Series) -> pd.Series:
    """Turn microseconds since 1970 UTC into times, and None into missing times."""
    is_known = times.notna()
    result = pd.Series(pd.NaT, index=times.index, dtype=TIME_DTYPE)
    known_times = pd.Series(times[is_known].to_numpy(dtype=np.int64).view("datetime64[us]"))
    result[is_known] = known_times.dt.tz_localize("UTC").to_numpy()
    return result


def _has_id(table: pd.DataFrame, name: str) -> Bools:
    if name not in table.columns:
        return np.zeros(len(table), dtype=bool)
    return table[name].notna().to_numpy(dtype=bool)


def _hashes(table: pd.DataFrame, columns: Sequence[DeclaredColumn]) -> Hashes:
    """Hash columns of each row, shape (n,); equal rows of a file and the ledger hash alike."""
    plain: dict[str, Any] = {}
    for column in columns:
        name = column.name
        if column.kind == "time":
            times = table[name] if name in table else pd.Series(pd.NaT, index=table.index)
            moments = times.to_numpy(dtype="datetime64[us]").astype(np.int64)
            plain[name] = without_day_end(moments) if column.ends_day else moments
        elif column.kind == "number":
            plain[name] = table[name].to_numpy(dtype=float) if name in table else np.nan
        else:
            text = text_column(table[name]) if name in table else np.full(len(table), None)
            if name == "lead_id":
                text = id_keys(pd.Series(text, dtype="str")).to_numpy(dtype=object)
            plain[name] = ["" if cell is None else cell for cell in text]
    frame = pd.DataFrame(plain, index=range(len(table)))
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)
