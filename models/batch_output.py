"""Writes scores to a CSV or Parquet file, whole or not at all."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from crm.cells import harmless
from crm.errors import SourceError
from crm.files import whole_file

Write = Callable[[pd.DataFrame], None]


@contextmanager
def write_whole(target: Path, n_reasons: int, *, has_lanes: bool = False) -> Iterator[Write]:
    """Open a writer of scores whose target appears when it is complete, or not at all.

    Parameters
    ----------
    target : Path
        CSV or Parquet, by its suffix.
    n_reasons : int
        The number of columns with reasons.
    has_lanes : bool
        Whether there are the columns `lane` and `order`.

    Yields
    ------
    callable
        Writes a table of scores, after those that were written before.

    Raises
    ------
    SourceError
        If the target cannot be written.
    """
    is_csv = target.suffix.lower() == ".csv"
    try:
        with (
            whole_file(target, mode=0o644) as work,
            _csv_writer(work) if is_csv else _parquet_writer(work, n_reasons, has_lanes) as write,
        ):
            yield write
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror or error}.") from None


@contextmanager
def _csv_writer(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        is_first = True

        def write(scores: pd.DataFrame) -> None:
            nonlocal is_first
            reasons = [column for column in scores.columns if column.startswith("reason_")]
            scores = scores.assign(**{column: scores[column].map(harmless) for column in reasons})
            scores.to_csv(file, index=False, header=is_first, quoting=csv.QUOTE_MINIMAL)
            is_first = False

        yield write


@contextmanager
def _parquet_writer(path: Path, n_reasons: int, has_lanes: bool) -> Iterator[Write]:
    lanes = [("lane", pa.string()), ("order", pa.int64())]
    schema = pa.schema(
        [
            ("lead_id", pa.string()),
            ("probability", pa.float64()),
            ("score", pa.int64()),
            ("grade", pa.string()),
            *(lanes if has_lanes else ()),
            *((f"reason_{i + 1}", pa.string()) for i in range(n_reasons)),
        ]
    )
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def write(scores: pd.DataFrame) -> None:
            writer.write_table(pa.Table.from_pandas(scores, schema=schema, preserve_index=False))

        yield write
