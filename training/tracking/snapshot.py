"""Keeps the tables that a training read, so that it can be repeated exactly.

    snapshot/leads.parquet, outcomes.parquet, …   the tables of `Records`
    snapshot/records.json                         the other facts of `Records`, and digests

The tables contain everything that the sources contain about each lead, also personal data.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from crm.cells import cell_text
from crm.errors import SourceError
from crm.records import Records

FOLDER = "snapshot"
FACTS_FILE = "records.json"
TABLES = ("leads", "activities", "stages", "outcomes")


def write_snapshot(folder: Path, records: Records) -> None:
    """Write the tables of records as Parquet files to a new folder.

    A column whose cells have several types, as in some workbooks, is written as text.

    Parameters
    ----------
    folder : Path
    records : Records
    """
    folder.mkdir()
    files: dict[str, Any] = {}
    for name in TABLES:
        table = getattr(records, name)
        if table is None:
            continue
        mixed = [str(column) for column in table.columns if _is_mixed(table[column])]
        for column in mixed:
            table = table.assign(**{column: table[column].map(cell_text).astype("str")})
        path = folder / f"{name}.parquet"
        table.to_parquet(path, index=False)
        files[name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "digest": records.digests[name],
            "written_as_text": mixed,
        }
    until = records.observed_until
    facts = {
        "tables": files,
        "observed_until": None if until is None else until.isoformat(),
        "in_order": records.in_order,
        "has_ids": records.has_ids,
        "formats": dict(records.formats),
        "closing_zone": records.closing_zone,
        "notes": records.notes,
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")


def read_snapshot(folder: Path) -> Records:
    """Read records that `write_snapshot` wrote; a training with them gives the same model.

    Rows that were left out while reading are not part of a snapshot.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Records

    Raises
    ------
    SourceError
        If a file is missing, or is not the one that was written.
    """
    try:
        facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        tables: dict[str, Any] = {}
        for name, file in facts["tables"].items():
            path = folder / f"{name}.parquet"
            if hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
                raise SourceError(
                    f"{path} is not the file that the training wrote. Fetch the folder again from "
                    "the MLflow run."
                )
            tables[name] = pd.read_parquet(path)
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(
            f"{folder} is not a whole snapshot of a training: {type(error).__name__}: {error}. "
            f"Expected the folder `{FOLDER}` of an MLflow run."
        ) from None
    until = facts["observed_until"]
    return Records(
        **tables,
        observed_until=None if until is None else pd.Timestamp(until),
        in_order=facts["in_order"],
        has_ids=facts["has_ids"],
        formats=facts["formats"],
        closing_zone=facts["closing_zone"],
        notes=facts["notes"],
    )


def _is_mixed(column: "pd.Series[Any]") -> bool:
    """Return whether the cells of a column have types that one Parquet column cannot contain."""
    if column.dtype != object:
        return False
    try:
        pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return True
    return False
