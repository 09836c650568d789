"""Scores a whole file of leads, in chunks, so that its size does not matter."""

import csv
import datetime
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from crm.cells import harmless, text_column
from crm.errors import SchemaError, SourceError
from crm.files import whole_file
from crm.project import TableKeys
from crm.sources.source import iter_table, name_of
from models.scorer import LeadScorer

CHUNK_ROWS = 20_000
SUFFIXES = (".csv", ".parquet")

Write = Callable[[pd.DataFrame], None]


@dataclass(frozen=True)
class BatchSummary:
    """What was scored.

    Attributes
    ----------
    rows : int
    absent : list of str
        Columns that the model uses and the file lacks; they counted as missing.
    unknown : list of str
        Columns that the model does not know; they were ignored.
    erased : int
        Leads that were left out because they were erased.
    """

    rows: int
    absent: list[str]
    unknown: list[str]
    erased: int = 0


def score_file(
    scorer: LeadScorer,
    leads: TableKeys,
    target: Path,
    *,
    activities: pd.DataFrame | None = None,
    stages: pd.DataFrame | None = None,
    as_of: datetime.datetime | None = None,
    n_reasons: int = 0,
    on_rows: Callable[[int], None] = lambda rows: None,
    erased: Callable[[Sequence[str]], Collection[str]] = lambda lead_ids: (),
) -> BatchSummary:
    """Score every lead of a table and write `lead_id, probability, score, grade`.

    The rows keep their order; without a column of ids they are numbered from 1. The
    target appears when it is whole; if anything fails, nothing is left and a file that
    was there before stays as it was.

    Parameters
    ----------
    scorer : LeadScorer
    leads : TableKeys
        Where the leads are; relative to the current folder.
    target : Path
        `.csv` or `.parquet`.
    activities, stages : DataFrame, optional
        As `crm.reading` returns them.
    as_of : datetime, timezone-aware, optional
        The moment of scoring.
    n_reasons : int
        How many columns `reason_1` … to write.
    on_rows : callable, optional
        Told how many rows are done.
    erased : callable, optional
        Tells which of some leads were erased; they are left out.

    Returns
    -------
    BatchSummary

    Raises
    ------
    SourceError
        If the source cannot be read or the target not written.
    SchemaError
        If no column of the source is one that the model uses, or there are no rows.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise SourceError(
            f"{target.name}: cannot tell what to write. Expected a name ending in .csv or .parquet."
        )
    if target.exists() and Path(leads.source).resolve() == target.resolve():
        raise SourceError(f"{target} holds the leads to be scored. Name another file to write.")
    summary = BatchSummary(0, [], [])
    rows = n_erased = 0
    with _whole_file(target, n_reasons) as write:
        for chunk in iter_table(leads, Path(), CHUNK_ROWS):
            if rows == 0:
                summary = _compare_columns(scorer, list(chunk.columns), name_of(leads))
            scores = scorer.score_table(
                chunk, activities=activities, stages=stages, as_of=as_of, n_reasons=n_reasons
            )
            if scorer.roles["lead_id"] in chunk.columns:
                scores["lead_id"] = text_column(scores["lead_id"])
                gone = scores["lead_id"].isin(erased(scores["lead_id"].dropna().tolist()))
                scores = scores[~gone]
                n_erased += int(gone.sum())
            else:
                scores["lead_id"] = [str(row) for row in range(rows + 1, rows + len(chunk) + 1)]
            write(scores)
            rows += len(chunk)
            on_rows(rows)
        if rows == 0:
            raise SchemaError(name_of(leads), ["it has no rows, so there is nothing to score."])
    return BatchSummary(rows - n_erased, summary.absent, summary.unknown, n_erased)


def _compare_columns(scorer: LeadScorer, columns: list[str], source: str) -> BatchSummary:
    used = scorer.pipeline.columns
    known = {*used, *scorer.roles.values(), *(left.column for left in scorer.pipeline.left_out)}
    absent = [column for column in used if column not in columns]
    if used and len(absent) == len(used):
        raise SchemaError(
            source,
            [
                f"none of its columns ({', '.join(columns[:6])}, …) is one that the model "
                f"`{scorer.card.name}` uses ({', '.join(used[:6])}, …). Is it the right file?"
            ],
        )
    return BatchSummary(0, absent, [column for column in columns if column not in known])


@contextmanager
def _whole_file(target: Path, n_reasons: int) -> Iterator[Write]:
    """Write beside the target and move there at the end, or leave no trace."""
    is_csv = target.suffix.lower() == ".csv"
    try:
        with (
            whole_file(target, mode=0o644) as work,
            _csv_writer(work) if is_csv else _parquet_writer(work, n_reasons) as write,
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
            told = [column for column in scores.columns if column.startswith("reason_")]
            scores = scores.assign(**{column: scores[column].map(harmless) for column in told})
            scores.to_csv(file, index=False, header=is_first, quoting=csv.QUOTE_MINIMAL)
            is_first = False

        yield write


@contextmanager
def _parquet_writer(path: Path, n_reasons: int) -> Iterator[Write]:
    schema = pa.schema(
        [
            ("lead_id", pa.string()),
            ("probability", pa.float64()),
            ("score", pa.int64()),
            ("grade", pa.string()),
            *((f"reason_{i + 1}", pa.string()) for i in range(n_reasons)),
        ]
    )
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:

        def write(scores: pd.DataFrame) -> None:
            writer.write_table(pa.Table.from_pandas(scores, schema=schema, preserve_index=False))

        yield write
