"""Checks the records of a project, also if training would refuse them."""

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.cells import folded_words
from crm.errors import LeadScoringError, LearningError
from crm.formats.columns import ColumnFormat
from crm.left_out import LISTED_LINES, LeftOutRows
from crm.project import LEDGER, Project, TableKeys
from crm.reading import read_records
from crm.records import Records
from crm.source_tables import SourceTables
from crm.sources.source import lines_of
from crm.tables import TABLES
from features.moments import make_moments, why_no_model
from features.record_checks.check import Finding
from features.record_checks.describe import describe_column
from features.record_checks.masking import masked_sentence
from features.record_checks.registry import find_all
from features.record_checks.result import (
    CheckedColumn,
    CheckedTable,
    RecordsCheck,
    RecordWarning,
    Unit,
)
from features.record_checks.tables import ReadTable, ReadTables

PrivateReason = Callable[[pd.Series, ColumnFormat], str | None]
PRIVATE_ROWS: Final = 5_000  # rows that decide whether a column is personal


def find_warnings(
    project: Project,
    sources: SourceTables,
    now: datetime.datetime,
    private_reason: PrivateReason,
) -> tuple[RecordWarning, ...]:
    """Return the questions about the records of a project, as `check_records` does."""
    read = _read_tables(project, sources, [], [], [])
    findings = _findings(project, read, now, private_reason)[1]
    places = {name: _Places(project, table, findings, []) for name, table in read.items()}
    return tuple(_warning(number, found, places[found.table.name]) for number, found in findings)


def check_records(
    project: Project,
    now: datetime.datetime,
    private_reason: PrivateReason,
    progress: Callable[[float], None] = lambda share: None,
) -> RecordsCheck:
    """Check the records of a project.

    Every table that can be read is described, also if another cannot, or if training would refuse
    the records. The kind of a column is decided from at most 20,000 rows, and whether it is
    personal from at most 5,000; everything else is counted in all rows. Tables of the ledger are
    not described.

    Parameters
    ----------
    project : Project
    now : datetime, timezone-aware
    private_reason : callable
        Returns why a column is personal data or about the person, from its first cells and its
        format; None if it is neither. No value of such a column is in the result.
    progress : callable
        Receives the share of the work that is done, 0 … 1.

    Returns
    -------
    RecordsCheck
    """
    problems: list[str] = []
    left_out: list[LeftOutRows] = []
    notes: list[str] = []
    sources = SourceTables(project)
    read = _read_tables(project, sources, problems, left_out, notes)
    progress(0.3)
    records = _read_records(project, sources, now, problems)
    progress(0.6)
    tables, findings = _findings(project, read, now, private_reason)
    progress(0.8)
    columns = {
        name: [describe_column(tables, table, str(c), problems) for c in table.raw.columns]
        for name, table in read.items()
    }
    places = {
        name: _Places(project, table, findings, columns[name]) for name, table in read.items()
    }
    counts = (None,) * 4 if records is None else _count_leads(records)
    refusal, too_few = ("", "") if records is None else _limits(records, project)
    left_out = left_out if records is None else records.left_out
    return RecordsCheck(
        project=project.name,
        simulated=project.simulated,
        checked_at=now.astimezone(datetime.UTC).isoformat(timespec="seconds"),
        problems=tuple(dict.fromkeys(map(masked_sentence, problems))),
        leads=counts[0],
        won=counts[1],
        lost=counts[2],
        open=counts[3],
        warnings=tuple(
            _warning(number, finding, places[finding.table.name]) for number, finding in findings
        ),
        tables=tuple(
            CheckedTable(
                name=name,
                file=table.file,
                rows=len(table.raw),
                left_out=tuple(
                    msgspec.structs.replace(rows, reason=masked_sentence(rows.reason))
                    for rows in left_out
                    if rows.table == name
                ),
                columns=tuple(places[name].with_lines(table, column) for column in columns[name]),
            )
            for name, table in read.items()
        ),
        notes=tuple(map(masked_sentence, notes if records is None else records.notes)),
        refusal=masked_sentence(refusal),
        too_few=too_few,
    )


def _limits(records: Records, project: Project) -> tuple[str, str]:
    """Return why training refuses the records, and why all leads get the same probability."""
    try:
        moments = make_moments(records, project.learn)
    except LearningError as error:
        return str(error), ""
    return "", why_no_model(moments)


def _count_leads(records: Records) -> tuple[int, int, int, int]:
    """Count all leads, leads with a win, leads with other outcomes only, and open leads."""
    outcomes, n_leads = records.outcomes, len(records.leads)
    n_won = outcomes.loc[outcomes["outcome"] == "won", "lead_id"].nunique()
    n_closed = outcomes["lead_id"].nunique()
    return n_leads, n_won, n_closed - n_won, n_leads - n_closed


def _read_tables(
    project: Project,
    sources: SourceTables,
    problems: list[str],
    left_out: list[LeftOutRows],
    notes: list[str],
) -> dict[str, ReadTable]:
    """Read each table of the project by itself."""
    tables = {}
    for name in TABLES:
        keys: TableKeys | None = getattr(project, name)
        if keys is None or keys.source == LEDGER:
            continue
        try:
            raw = sources.read(name, left_out, notes)
        except LeadScoringError as error:
            problems.append(str(error))
            continue
        tables[name] = ReadTable(name, keys, raw, folded_words(project.columns.nothing))
    return tables


def _findings(
    project: Project,
    read: Mapping[str, ReadTable],
    now: datetime.datetime,
    private_reason: PrivateReason,
) -> tuple[ReadTables, list[tuple[str, Finding]]]:
    """Run the checks on the tables that were read."""
    private = {
        name: _private_columns(project, table, private_reason) for name, table in read.items()
    }
    tables = ReadTables(project, read, int(now.timestamp()) * 1_000_000, private)
    return tables, list(find_all(tables))


def _read_records(
    project: Project, sources: SourceTables, now: datetime.datetime, problems: list[str]
) -> Records | None:
    """Read the records as training does; add the error if they cannot be used."""
    try:
        return read_records(project, now, sources)
    except LeadScoringError as error:
        problems.append(str(error))
        return None


def _private_columns(
    project: Project, table: ReadTable, private_reason: PrivateReason
) -> Mapping[str, str]:
    step = max(1, len(table.raw) // PRIVATE_ROWS)
    sample = table.raw.iloc[::step]
    reasons = {}
    for name in map(str, table.raw.columns):
        form = table.formats.get(name, ColumnFormat("text"))
        reason = private_reason(sample[name], form)
        if reason is None and table.name == "leads" and name in project.columns.sensitive:
            reason = "it is sensitive"
        if reason is not None:
            reasons[name] = reason
    return reasons


class _Places:
    """The places of rows of one table, for its findings and columns. The source is read once."""

    def __init__(
        self,
        project: Project,
        table: ReadTable,
        findings: list[tuple[str, Finding]],
        columns: list[CheckedColumn],
    ) -> None:
        named = [finding.rows for _, finding in findings if finding.table is table]
        named += [_unread_rows(table, column.name) for column in columns if column.unread]
        rows = sorted({int(row) for part in named for row in part[:LISTED_LINES]})
        self._unit: Unit = "line"
        lines: list[int] = []
        if rows:
            lines, self._unit = lines_of(table.keys, project.folder, rows)
        self._line_of = dict(zip(rows, lines, strict=True))

    def of(self, rows: Ints) -> tuple[tuple[int, ...], Unit]:
        """Return the lines of the first rows, and what they count."""
        return tuple(self._line_of[int(row)] for row in rows[:LISTED_LINES]), self._unit

    def with_lines(self, table: ReadTable, column: CheckedColumn) -> CheckedColumn:
        """Return a column with the lines of the cells that cannot be read."""
        if column.unread is None:
            return column
        lines, unit = self.of(_unread_rows(table, column.name))
        changes: dict[str, Any] = {"lines": lines, "unit": unit}
        unread = msgspec.structs.replace(column.unread, **changes)
        return msgspec.structs.replace(column, unread=unread)


def _unread_rows(table: ReadTable, column: str) -> Ints:
    return np.flatnonzero(table.column(column).unread)


def _warning(number: str, finding: Finding, places: _Places) -> RecordWarning:
    lines, unit = places.of(finding.rows)
    return RecordWarning(
        number=number,
        question=masked_sentence(finding.question),
        evidence=masked_sentence(finding.evidence),
        to_do=masked_sentence(finding.to_do),
        table=finding.table.name,
        file=finding.table.file,
        lines=lines,
        count=len(finding.rows),
        unit=unit,
    )
