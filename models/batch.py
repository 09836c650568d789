"""Scores a file of leads of any size, in chunks."""

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec
import numpy as np
import pandas as pd

from crm.arrays import Bools, Hashes, Ints
from crm.cells import has_content, text_column
from crm.errors import SchemaError, SourceError
from crm.formats.column_times import parse_times
from crm.key_index import KeyIndex
from crm.lanes import Lanes
from crm.lead_ids import id_keys
from crm.left_out import LeftOutRows
from crm.outcomes import meanings
from crm.project import TableKeys
from crm.sources.source import iter_table, name_of
from crm.times import NOT_A_TIME, microseconds
from features.attributes.number import NumberAttribute
from features.cell_warnings import CellWarningCode
from features.history import EventLogs
from features.times import cell_time
from models.attribute_changes import (
    AttributeChange,
    AttributeUse,
    attribute_changes,
    attribute_uses,
)
from models.batch_checks import (
    LeadsWithEvents,
    OtherFormat,
    currency_notes,
    other_formats,
    role_notes,
)
from models.batch_output import write_whole
from models.cell_checks import WarningCount, WarningCounts
from models.scorer import LeadScorer
from models.worklist import NeutralOrders, with_positions

CHUNK_ROWS = 20_000
SUFFIXES = (".csv", ".parquet")


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
    renamed : dict of str to str
        The model's name of each column that the file has under almost the same name.
    warnings : list of WarningCount
        The cells that could not be read, or were unlike those learned from, by column.
    ended : int
        The number of leads that had ended at the moment of scoring.
    undated : int
        The number of leads that were to be scored as of their creation and have no such time.
    erased : int
        The number of leads that were left out because they were erased.
    without_created_at : int
        The number of scored rows whose cell for the creation time is empty.
    without_id : int
        The number of scored rows whose cell for the id is empty.
    is_numbered : bool
        Whether the rows are numbered, because the file has no column of ids.
    repeated_ids : int
        The number of scored rows with the id of an earlier row.
    other_formats : list of OtherFormat
        Columns that the first rows of the file write in another format than the training leads.
    with_events : int or None
        The number of scored rows whose leads have activities or stages; None if no events are
        given.
    ids : tuple of str
        An id of the file, and one of the events.
    left_out : list of LeftOutRows
        The rows of the file that are not leads, and are not scored.
    attributes : list of AttributeUse
        The missing and unseen values of each column that the model reads.
    changes : list of AttributeChange
        The columns of the file that are missing or unseen more often than in training.
    notes : list of str
        Sentences about how the file was read.
    """

    rows: int
    absent: list[str]
    unknown: list[str]
    renamed: dict[str, str] = field(default_factory=dict)
    warnings: list[WarningCount] = field(default_factory=list)
    ended: int = 0
    undated: int = 0
    erased: int = 0
    without_created_at: int = 0
    without_id: int = 0
    is_numbered: bool = False
    repeated_ids: int = 0
    other_formats: list[OtherFormat] = field(default_factory=list)
    with_events: int | None = None
    ids: tuple[str, str] = ("", "")
    left_out: list[LeftOutRows] = field(default_factory=list)
    attributes: list[AttributeUse] = field(default_factory=list)
    changes: list[AttributeChange] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leads_with(self, code: CellWarningCode, column: str | None) -> int:
        """Return the number of leads whose cell of a column has this warning."""
        return sum(w.cells for w in self.warnings if (w.code, w.column) == (code, column))


def score_file(
    scorer: LeadScorer,
    leads: TableKeys,
    target: Path,
    *,
    events: EventLogs | None = None,
    as_of: datetime.datetime | Literal["created"] | None = None,
    n_reasons: int = 0,
    on_rows: Callable[[int], None] = lambda rows: None,
    erased: Callable[[Sequence[str]], Collection[str]] = lambda lead_ids: (),
    closings: pd.Series | None = None,
    lanes: Lanes | None = None,
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
    events : EventLogs, optional
        The activities and stages of the leads, of `FeaturePipeline.event_logs` of this scorer.
    as_of : datetime, timezone-aware, or "created", optional
        The moment of scoring; "created" scores each lead as of its own creation.
    n_reasons : int
        The number of columns `reason_1` … to write.
    on_rows : callable, optional
        Called with the number of rows that are done.
    erased : callable, optional
        Called with lead ids; returns those that were erased, which are left out.
    closings : Series of datetime64, UTC, optional
        When leads ended, by the key of their id, as `crm.reading_events.read_closings` returns it.
    lanes : Lanes, optional
        With a control group, the columns `lane` and `order` (`models.worklist`) are written too.

    Returns
    -------
    BatchSummary

    Raises
    ------
    SourceError
        If the source cannot be read or the target cannot be written.
    SchemaError
        If the model uses no column of the source, or the source has no rows; or if `as_of` is
        "created" and the source lacks the column with the creation times.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise SourceError(
            f"{target.name} is not a valid name for scores. Expected one that ends in .csv or "
            ".parquet."
        )
    if target.exists() and Path(leads.source).resolve() == target.resolve():
        raise SourceError(f"{target} contains the leads to score. Name another file to write.")
    summary = BatchSummary(0, [], [])
    counts = WarningCounts(scorer.pipeline)
    rows = n_ended = n_undated = n_without_time = n_erased = n_without_id = 0
    id_hashes: list[Hashes] = []
    events = scorer.pipeline.event_logs([]) if events is None else events
    with_events = LeadsWithEvents(events)
    closed = None if closings is None else _Closings(closings)
    formats: list[OtherFormat] = []
    first_id = ""
    left_out: list[LeftOutRows] = []
    notes: list[str] = []
    sentences: list[str] = []
    leads = _with_formats(leads, scorer)
    orders = NeutralOrders.of_model(scorer.card, scorer.scale)
    with write_whole(target, n_reasons, has_lanes=lanes is not None) as write:
        for chunk in iter_table(leads, Path(), CHUNK_ROWS, left_out, notes):
            first_row = rows + 1
            rows += len(chunk)
            if first_row == 1:
                summary = _compare_columns(scorer, list(chunk.columns), name_of(leads))
                if as_of == "created":
                    _check_creation(scorer, [*chunk.columns, *summary.renamed.values()], leads)
            chunk = scorer.column_names.of_table(chunk)
            if first_row == 1:
                formats = other_formats(scorer, chunk)
                sentences = [*role_notes(scorer, chunk), *currency_notes(scorer, chunk)]
            ids = pd.Series(range(first_row, rows + 1)).astype(str)
            if scorer.roles["lead_id"] in chunk.columns:
                ids = pd.Series(text_column(chunk[scorer.roles["lead_id"]]), dtype=object)
                is_erased = ids.isin(erased(ids.dropna().tolist())).to_numpy()
                chunk, ids = chunk[~is_erased], ids[~is_erased]
                n_erased += int(is_erased.sum())
                n_without_id += int(ids.isna().sum())
                first_id = first_id or str(next(iter(ids.dropna()), ""))
                with_events.add(ids)
                keys = id_keys(ids.dropna().astype("str")).to_numpy(dtype=object)
                id_hashes.append(pd.util.hash_array(keys))
            if scorer.pipeline.has_times and scorer.roles["created_at"] in chunk.columns:
                n_without_time += int((~has_content(chunk[scorer.roles["created_at"]])).sum())
            moments = _moments(scorer, chunk, as_of)
            scores = scorer.score_with_events(
                chunk, events, as_of=moments, n_reasons=n_reasons, counts=counts
            )
            n_undated += int((moments == NOT_A_TIME).sum()) if as_of == "created" else 0
            is_ended = has_ended(scorer, chunk, moments, leads.formats)
            if closed is not None:
                is_ended |= closed.have_ended(ids, moments)
            n_ended += int(is_ended.sum())
            scores = scores.assign(lead_id=ids.to_numpy())
            if lanes is not None:
                has_ids = scorer.roles["lead_id"] in chunk.columns
                scores = with_positions(scores, lanes, orders, has_ids=has_ids)
            write(scores)
            on_rows(rows)
        if rows == 0:
            raise SchemaError(name_of(leads), ["it has no rows, so there is nothing to score."])
    tally = counts.attributes.all
    changes = attribute_changes(counts.attributes.columns, tally, scorer.learned_shares)
    return replace(
        summary,
        rows=rows - n_erased,
        warnings=counts.rows,
        attributes=attribute_uses(counts.attributes.columns, tally, scorer.learned_shares),
        changes=[change for change in changes if change.column not in summary.absent],
        ended=n_ended,
        undated=n_undated,
        erased=n_erased,
        without_created_at=n_without_time,
        without_id=n_without_id,
        is_numbered=not id_hashes,
        repeated_ids=_count_repeats(id_hashes),
        other_formats=formats,
        with_events=None if events.example is None else with_events.n,
        ids=(first_id, events.example or ""),
        left_out=left_out,
        notes=[*notes, *sentences, *with_events.notes],
    )


def has_ended(
    scorer: LeadScorer,
    leads: pd.DataFrame,
    moments: Ints,
    formats: Mapping[str, str] = MappingProxyType({}),
) -> Bools:
    """Check which leads of a table had ended at their moment, shape (n,).

    A lead has ended if its outcome is one of the champion's words for won or lost. If the outcome
    is empty or not declared, the lead has ended if it has a time of closing: some CRMs write an
    expected time for open leads. A time of closing after the moment means that it was open. It is
    read in its column's format, if `formats` has one.
    """
    n = len(leads)
    closed_at = np.full(n, NOT_A_TIME)
    meaning = np.full(n, None, dtype=object)
    column = scorer.roles.get("closed_at")
    if column in leads.columns:
        time_format = formats.get(str(column), scorer.time_format)
        times, _ = parse_times(leads[column], "leads", scorer.timezone, time_format)
        closed_at = microseconds(times)
    column = scorer.roles.get("outcome")
    if column in leads.columns:
        words = scorer.card.question
        meaning_of = meanings(*(words.get(key, ()) for key in ("won", "lost", "open")))
        texts = text_column(leads[column])
        meaning = np.array([text and meaning_of.get(text.casefold()) for text in texts], object)
    is_closed = np.isin(meaning, ["won", "lost"]) | (
        (closed_at != NOT_A_TIME) & (meaning != "open")
    )
    return np.asarray(is_closed & ((moments == NOT_A_TIME) | (closed_at <= moments)), dtype=bool)


def _with_formats(leads: TableKeys, scorer: LeadScorer) -> TableKeys:
    """Return the keys of a source with the formats of the numbers that a model reads.

    The percent signs of a workbook's formats are read only for a model that has learned them.
    """
    learned = {
        attribute.column: attribute.notation
        for attribute in scorer.pipeline.attributes
        if isinstance(attribute, NumberAttribute)
    }
    return msgspec.structs.replace(leads, formats=leads.formats | learned)


def _count_repeats(hashes: list[Hashes]) -> int:
    """Count the ids that equal an earlier one, from the hashes of the ids of each chunk."""
    if not hashes:
        return 0
    together = np.concatenate(hashes)
    return len(together) - len(np.unique(together))


class _Closings:
    """When leads ended by the table of outcomes, found by the keys of their ids."""

    def __init__(self, closings: pd.Series) -> None:
        self._ids = KeyIndex(closings.index.to_series())
        self._closed_at = np.append(microseconds(closings), NOT_A_TIME)

    def have_ended(self, ids: pd.Series, moments: Ints) -> Bools:
        """Check which leads had ended at their moment, shape (n,)."""
        place = self._ids.places(id_keys(ids.astype("str")))
        closed_at = self._closed_at[place]
        is_past = (closed_at == NOT_A_TIME) | (moments == NOT_A_TIME) | (closed_at <= moments)
        return np.asarray((place >= 0) & is_past, dtype=bool)


def _moments(
    scorer: LeadScorer, leads: pd.DataFrame, as_of: datetime.datetime | str | None
) -> Ints:
    """Return the moment of each lead, microseconds since 1970 UTC, shape (n,)."""
    if as_of == "created":
        return scorer.created_at(leads)
    return np.full(len(leads), NOT_A_TIME if as_of is None else cell_time(as_of))


def _check_creation(scorer: LeadScorer, columns: list[str], leads: TableKeys) -> None:
    """Check that each lead can be scored as of its creation."""
    column = scorer.roles.get("created_at")
    if column not in columns:
        lacks = f"has no column `{column}`" if column else "was trained without creation times"
        subject = "it" if column else "the model"
        raise SchemaError(
            name_of(leads),
            [
                f"{subject} {lacks}, so its leads cannot be scored as of their creation. Use "
                "--as-of with a time."
            ],
        )


def _compare_columns(scorer: LeadScorer, columns: list[str], source: str) -> BatchSummary:
    used, names = scorer.pipeline.columns, scorer.column_names
    renamed = names.matches(columns)
    absent = [column for column in used if column not in {*columns, *renamed.values()}]
    if used and len(absent) == len(used):
        raise SchemaError(
            source,
            [
                f"the model `{scorer.card.name}` uses none of its columns "
                f"({', '.join(columns[:6])}, …), but {', '.join(used[:6])}, …. Is this the right "
                "file?"
            ],
        )
    created_at = scorer.roles.get("created_at")
    if scorer.pipeline.has_times and created_at not in {*columns, *renamed.values(), *used}:
        absent.append(str(created_at))
    unknown = [column for column in columns if column not in {*names.known, *renamed}]
    return BatchSummary(0, absent, unknown, renamed)
