"""Scores a file of leads of any size, in chunks."""

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
    """The result of scoring a file.

    Attributes
    ----------
    rows : int
        The number of scored leads.
    absent : list of str
        Columns that the model uses and the file lacks; they counted as missing.
    unknown : list of str
        Columns that the model does not know; they were ignored.
    erased : int
        The number of leads that were left out because they were erased.
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

    The rows keep their order. Without a column of ids they are numbered from 1. The target
    appears when it is complete. If anything fails, nothing is left behind, and an existing
    target stays unchanged.

    Parameters
    ----------
    scorer : LeadScorer
    leads : TableKeys
        The source of the leads; a path is relative to the current folder.
    target : Path
        The file to write; its name ends in `.csv` or `.parquet`.
    activities, stages : DataFrame, optional
        Events as `crm.reading` returns them.
    as_of : datetime, timezone-aware, optional
        The moment of scoring.
    n_reasons : int
        The number of columns `reason_1` … to write.
    on_rows : callable, optional
        Called with the number of rows that are done.
    erased : callable, optional
        Called with lead ids; returns those that were erased, which are left out.

    Returns
    -------
    BatchSummary

    Raises
    ------
    SourceError
        If the source cannot be read or the target cannot be written.
    SchemaError
        If the model uses no column of the source, or the source has no rows.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise SourceError(
            f"{target.name} is not a valid name for scores. Expected one that ends in .csv or "
            ".parquet."
        )
    if target.exists() and Path(leads.source).resolve() == target.resolve():
        raise SourceError(f"{target} contains the leads to score. Name another file to write.")
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
                is_erased = scores["lead_id"].isin(erased(scores["lead_id"].dropna().tolist()))
                scores = scores[~is_erased]
                n_erased += int(is_erased.sum())
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
    left_out = (left.column for left in scorer.pipeline.left_out)
    known_columns = {*used, *scorer.roles.values(), *left_out}
    absent = [column for column in used if column not in columns]
    if used and len(absent) == len(used):
        raise SchemaError(
            source,
            [
                f"the model `{scorer.card.name}` uses none of its columns "
                f"({', '.join(columns[:6])}, …), but {', '.join(used[:6])}, …. Is this the right "
                "file?"
            ],
        )
    return BatchSummary(0, absent, [column for column in columns if column not in known_columns])


@contextmanager
def _whole_file(target: Path, n_reasons: int) -> Iterator[Write]:
    """Open a writer whose target appears when it is complete, or not at all."""
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
            reasons = [column for column in scores.columns if column.startswith("reason_")]
            scores = scores.assign(**{column: scores[column].map(harmless) for column in reasons})
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
