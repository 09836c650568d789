"""Writes the ledger's tables as CSV or Parquet in pieces, in the form that `crm.reading` reads."""

import csv
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet
import sqlalchemy as sa

from crm.cells import cell_text
from crm.errors import ConfigError, SourceError
from crm.files import whole_file
from crm.ledger.ledger import Ledger
from crm.ledger.schema import EVENTS, metadata, scores, shadow_scores

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FORMATS: Final = ("csv", "parquet")
TIME: Final = pa.timestamp("us", "UTC")
TABLES: Final = {
    "leads": ("lead_id", "created_at"),
    **{
        name: ("lead_id", event.id, *event.content, "recorded_at") for name, event in EVENTS.items()
    },
    **{
        table.name: tuple(column.name for column in table.c if column.name != "seq")
        for table in (scores, shadow_scores)
    },
    "erasures": ("lead_hash", "erased_at"),
}

RowDicts = list[dict[str, Any]]


def export_table(
    ledger: Ledger, kind: str, target: Path, names: Mapping[str, str] | None = None
) -> int:
    """Write one table. The file appears when it is complete.

    In `leads`, each lead has one row with the attributes that were sent last. Each attribute is a
    column of text, with the name that `crm.sources.checks.named_cells` returns. Cells are written
    as they were sent. Do not open the file in a spreadsheet, which reads some texts as formulas.

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
        The number of rows that were written.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    ConfigError
        If the name of the file does not end in .csv or .parquet.
    SourceError
        If the file cannot be written.
    """
    if target.suffix.lower().lstrip(".") not in FORMATS:
        raise ConfigError(f"{target.name} must be a name ending in .csv or .parquet.")
    names = dict(names or {}) if kind == "leads" else {}
    columns = {column: names.get(column, column) for column in TABLES[kind]}
    attributes: list[str] = []
    if kind == "leads":
        reserved = {*columns, *columns.values()}
        attributes = [name for name in ledger.attribute_names() if name not in reserved]
    count = 0
    try:
        with (
            whole_file(target) as work,
            _writer(target, work, kind, columns, attributes) as write,
        ):
            for rows in ledger.newest_leads() if kind == "leads" else ledger.rows(kind):
                write(rows)
                count += len(rows)
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror or error}.") from None
    return count


@contextmanager
def _writer(
    target: Path, work: Path, kind: str, columns: Mapping[str, str], attributes: list[str]
) -> Iterator[Callable[[RowDicts], None]]:
    types = {column: _arrow_type(kind, column) for column in columns}
    if target.suffix.lower() == ".csv":
        times = {column for column, arrow_type in types.items() if arrow_type == TIME}
        with work.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow([*columns.values(), *attributes])
            yield lambda rows: out.writerows(
                _texts(row, columns, times, attributes) for row in rows
            )
        return
    fields = [pa.field(name, types[column]) for column, name in columns.items()]
    schema = pa.schema([*fields, *(pa.field(name, pa.string()) for name in attributes)])
    with pyarrow.parquet.ParquetWriter(work, schema) as writer:

        def write(rows: RowDicts) -> None:
            cells = {name: [_cell(row[column]) for row in rows] for column, name in columns.items()}
            for name in attributes:
                cells[name] = [cell_text(row["attributes"].get(name)) for row in rows]
            writer.write_table(pa.Table.from_pydict(cells, schema=schema))

        yield write


def _texts(
    row: Mapping[str, Any], columns: Iterable[str], times: Set[str], attributes: list[str]
) -> list[Any]:
    declared_cells = [
        _time(row[column]) if column in times else _cell(row[column]) for column in columns
    ]
    return declared_cells + [cell_text(row["attributes"].get(name)) for name in attributes]


def _cell(cell: Any) -> Any:
    return msgspec.json.encode(cell).decode() if isinstance(cell, list | dict) else cell


def _time(time: int | None) -> str | None:
    return None if time is None else (EPOCH + datetime.timedelta(microseconds=time)).isoformat()


def _arrow_type(kind: str, column: str) -> pa.DataType:
    sql_type = metadata.tables[kind].c[column].type
    if isinstance(sql_type, sa.BigInteger):
        return TIME
    return pa.float64() if isinstance(sql_type, sa.Double | sa.Integer) else pa.string()
