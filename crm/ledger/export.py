"""Writes the ledger's tables as CSV or Parquet, piece by piece, as `crm.records` reads them."""

import csv
import datetime
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet

from crm.cells import cell_text
from crm.errors import ConfigError, SourceError
from crm.files import whole_file
from crm.ledger.ledger import Ledger

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FORMATS: Final = ("csv", "parquet")
TIMES: Final = (
    "occurred_at",
    "entered_at",
    "closed_at",
    "created_at",
    "as_of",
    "recorded_at",
    "erased_at",
)
NUMBERS: Final = ("value", "amount", "probability", "score")
TABLES: Final = {
    "leads": ("lead_id", "created_at"),
    "activities": (
        "lead_id",
        "activity_id",
        "type",
        "occurred_at",
        "content",
        "channel",
        "value",
        "recorded_at",
    ),
    "stages": ("lead_id", "stage_id", "stage", "entered_at", "recorded_at"),
    "outcomes": (
        "lead_id",
        "outcome_id",
        "outcome",
        "closed_at",
        "amount",
        "reason",
        "recorded_at",
    ),
    "scores": (
        "lead_id",
        "as_of",
        "probability",
        "score",
        "grade",
        "reasons",
        "model",
        "version",
        "digest",
        "request_id",
        "score_id",
        "recorded_at",
    ),
    "erasures": ("lead_hash", "erased_at"),
}

Rows = list[dict[str, Any]]


def export_table(
    ledger: Ledger, kind: str, target: Path, names: Mapping[str, str] | None = None
) -> int:
    """Write one table; the file appears when it is whole.

    Of `leads` each lead is there once, with the attributes that were sent last, one column
    each, as text, under names as `crm.sources.checks.named_cells` gives them. Cells stand as they
    were sent: a program that takes text for formulas, as spreadsheets do, is not what this is for.

    Parameters
    ----------
    ledger : Ledger
    kind : str
        One of `TABLES`.
    target : Path
        `.csv` or `.parquet`.
    names : mapping of str to str, optional
        The CRM's own names for `lead_id` and `created_at` of the leads.

    Returns
    -------
    int
        How many rows were written.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    ConfigError
        If it cannot be told what to write.
    SourceError
        If the file cannot be written.
    """
    suffix = target.suffix.lower()
    if suffix.lstrip(".") not in FORMATS:
        raise ConfigError(f"{target.name}: expected a name ending in .csv or .parquet.")
    names = dict(names or {}) if kind == "leads" else {}
    columns = {column: names.get(column, column) for column in TABLES[kind]}
    attributes: list[str] = []
    if kind == "leads":
        taken = {*columns, *columns.values()}
        attributes = [name for name in ledger.attribute_names() if name not in taken]
    count = 0
    try:
        with (
            whole_file(target) as work,
            _writer(work, suffix, columns, attributes) as write,
        ):
            for rows in ledger.newest_leads() if kind == "leads" else ledger.rows(kind):
                write(rows)
                count += len(rows)
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror or error}.") from None
    return count


@contextmanager
def _writer(
    path: Path, suffix: str, columns: Mapping[str, str], attributes: list[str]
) -> Iterator[Callable[[Rows], None]]:
    if suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow([*columns.values(), *attributes])
            yield lambda rows: out.writerows(_texts(row, columns, attributes) for row in rows)
        return
    fields = [pa.field(name, _kind(column)) for column, name in columns.items()]
    schema = pa.schema([*fields, *(pa.field(name, pa.string()) for name in attributes)])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def write(rows: Rows) -> None:
            cells = {name: [_cell(row[column]) for row in rows] for column, name in columns.items()}
            for name in attributes:
                cells[name] = [cell_text(row["attributes"].get(name)) for row in rows]
            writer.write_table(pa.Table.from_pydict(cells, schema=schema))

        yield write


def _texts(row: Mapping[str, Any], columns: Mapping[str, str], attributes: list[str]) -> list[Any]:
    own = [_time(row[column]) if column in TIMES else _cell(row[column]) for column in columns]
    return own + [cell_text(row["attributes"].get(name)) for name in attributes]


def _cell(cell: Any) -> Any:
    return msgspec.json.encode(cell).decode() if isinstance(cell, list) else cell


def _time(time: int | None) -> str | None:
    return None if time is None else (EPOCH + datetime.timedelta(microseconds=time)).isoformat()


def _kind(column: str) -> pa.DataType:
    if column in TIMES:
        return pa.timestamp("us", "UTC")
    return pa.float64() if column in NUMBERS else pa.string()
