"""Checks tables against their declarations in `crm.tables`.

A table gets the product's own column names and types, and is checked. One message lists all
failures of a table. A table with a failure is not used.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from crm.arrays import Bools, Ints
from crm.cells import text_column, text_series
from crm.days import day_ends, is_day_start, zone_of_days
from crm.errors import SchemaError
from crm.formats.column_times import parse_times
from crm.formats.columns import ColumnFormat, column_formats, number_reader, time_notation
from crm.formats.exchanged import EXPORT_AGAIN
from crm.formats.time_recognition import likely_notation
from crm.lead_ids import id_keys
from crm.project import Project, TableKeys
from crm.reading_notes import ReadingNotes
from crm.row_rules import MOST_MISSING, ShapedTable, usable_rows
from crm.sources.source import name_of
from crm.suggest import nearest
from crm.tables import EVENT_TABLES, TABLES, DeclaredColumn
from crm.text import first_few, listed, quote
from crm.times import check_zone

_EARLIEST, _LATEST = (pd.Timestamp(year, 1, 1, tz="UTC") for year in (1900, 2200))
BUDDHIST_YEARS: Final = 543  # the Buddhist calendar is ahead by this many years
_NO_DATE: Final = re.compile(r"\D+|[0\W]+")  # text without a date: words, and zeros
# What a lead without a time of creation needs, if too many lack it.
WITHOUT_CREATION: Final = (
    "Every lead needs its time of creation. Add it to the export, or name another column as "
    "`created_at`. If no column has it, remove `created_at` and set `order` to a number that "
    'grows with time, or to "rows".'
)


def shape_leads(
    table: pd.DataFrame,
    project: Project,
    notes: ReadingNotes,
    formats: Mapping[str, ColumnFormat] | None = None,
) -> pd.DataFrame:
    """Map a raw leads table to the product's names and types, and check it.

    All other columns stay, even those of outcomes and those that the project ignores. The pipeline
    decides which of them become features. `formats` are those of `table_formats`, if they are known
    already.

    Returns
    -------
    DataFrame
        The rows that can be used, with the index of `table`.

    Raises
    ------
    SchemaError
        With every failure of the table.
    """
    keys = project.leads
    if not has_ids(table, project):
        table = table.assign(lead_id=[f"row-{i}" for i in range(1, len(table) + 1)])
        notes.sentences.append("leads: no id column is named, so leads are numbered by row.")
    shaped = shape_table(table, "leads", keys, notes, formats)
    roles = {keys.column_of(role.name) or role.name for role in TABLES["leads"].file_columns}
    attributes = table.loc[shaped.index, [name for name in table.columns if name not in roles]]
    clash = set(attributes.columns) & set(shaped.columns)
    if wrong := sorted(clash.difference(project.columns.ignore)):
        raise SchemaError(
            name_of(keys),
            [
                f"the column {quote(name)} has the name of a key for which the project file names "
                f"another column ({quote(str(keys.column_of(name)))}). List {quote(name)} in "
                "`ignore` of [columns], or rename it in the export."
                for name in wrong
            ],
        )
    attributes = attributes.drop(columns=list(clash))
    return pd.concat([shaped, attributes], axis=1)


def has_ids(table: pd.DataFrame, project: Project) -> bool:
    """Check whether a raw leads table has a column of ids."""
    return project.leads.column_of("lead_id") is not None or "lead_id" in table.columns


def table_formats(
    table: pd.DataFrame, name: str, keys: TableKeys, nothing: Collection[str] = ()
) -> dict[str, ColumnFormat]:
    """Decide how the columns of a table are read that contain numbers or times.

    Parameters
    ----------
    table : DataFrame
        The table as it was read.
    name : str
        "leads", "activities", "stages" or "outcomes". Of leads, every column is decided; of the
        other tables, those with a role.
    keys : TableKeys
        The keys of the table.
    nothing : collection of str
        The case-folded words that mean "no value" in attributes.

    Returns
    -------
    dict of str to ColumnFormat
        By column. Columns of ids and of texts with a role are not in it.
    """
    roles = {keys.column_of(role.name) or role.name: role for role in TABLES[name].file_columns}
    if name == "leads":
        roles |= {
            column: role
            for role in TABLES["outcomes"].file_columns[1:]
            if (column := keys.column_of(role.name)) is not None
        }
    columns = [
        column
        for column in table.columns
        if (roles[column].kind in ("time", "number") if column in roles else name == "leads")
    ]
    declared = dict(keys.formats)
    if keys.time_format is not None:
        timed = [column for column, role in roles.items() if role.kind == "time"]
        declared = dict.fromkeys(timed, keys.time_format) | declared
    amounts = [column for column, role in roles.items() if role.kind == "number"]
    return column_formats(
        table, columns, declared=declared, decimal=keys.decimal, nothing=nothing, amounts=amounts
    )


def shape_table(
    table: pd.DataFrame,
    name: str,
    keys: TableKeys,
    notes: ReadingNotes,
    formats: Mapping[str, ColumnFormat] | None = None,
) -> pd.DataFrame:
    """Map a raw table's columns to its contract's roles, parse them, and check them.

    Parameters
    ----------
    table : DataFrame
        The table as it was read, with the source's own column names. The index is the position
        of each row in the source.
    name : str
        "leads", "activities", "stages" or "outcomes".
    keys : TableKeys
        The keys that name the column of each role. If a role has no key, the column with the
        name of the role is used.
    notes : ReadingNotes
        Receives the rows that are left out, and a sentence for each assumption, such as the zone
        of times without one.
    formats : mapping of str to ColumnFormat, optional
        The formats of `table_formats`, if they are known already.

    Returns
    -------
    DataFrame
        The declared columns only; optional ones if the source has them. The rows that can be used,
        with the index of `table`. Outcomes with `closed_at` have `closed_by` too: the last moment
        of a closing that is given as a day, else the same time.

    Raises
    ------
    SchemaError
        With every failure of the table.
    """
    columns, problems = _find_roles(table, name, keys)
    if problems:
        raise SchemaError(name_of(keys), problems)
    formats = table_formats(table, name, keys, notes.nothing) if formats is None else formats
    doubts = [
        formats[column].question(name, column)
        for column in columns.values()
        if column in formats and formats[column].doubt
    ]
    if doubts:
        raise SchemaError(name_of(keys), doubts)
    check_zone(keys.timezone, name_of(keys))
    shaped: dict[str, Any] = {}
    local: set[str] = set()  # the roles of times without a zone
    for role, column in columns.items():
        cells = table[column]
        form = formats.get(column, ColumnFormat("text"))
        if role.kind == "time":
            notation = time_notation(form.notation)
            shaped[role.name], assumed = parse_times(cells, name_of(keys), keys.timezone, notation)
            if assumed:
                local.add(role.name)
                notes.sentences.append(
                    f"{name}: times in `{column}` have no time zone and are read as "
                    f"{keys.timezone}. Set the table's `timezone` to change that."
                )
            if form.exchanged:
                notes.sentences.append(
                    f"{name}: in `{column}`, {form.exchanged}. They are read as the project file "
                    f"declares: {quote(str(form.notation))}. If that is wrong: "
                    f"{EXPORT_AGAIN[0].lower()}{EXPORT_AGAIN[1:]}."
                )
        elif role.kind == "number":
            shaped[role.name] = number_reader(form.notation).read_column(cells)
        else:
            texts = text_series(cells)
            shaped[role.name] = _known_ids(texts, notes.nothing) if role.kind == "id" else texts
    result = pd.DataFrame(shaped, index=table.index)
    unread = {
        role.name: _unread(table[column], result[role.name], notes.nothing)
        for role, column in columns.items()
    }
    read = ShapedTable(name, keys, columns, table, result, unread)
    stays = usable_rows(read, notes)
    if not stays.all():
        read = read.take(stays)
    problems = [*_contract_failures(read, notes), *_other_calendars(read)]
    if problems:
        raise SchemaError(name_of(keys), problems)
    return _with_days(read, notes, local)


def with_closed_by(outcomes: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return outcomes with `closed_by`, the latest time at which each lead may have closed.

    It is the last moment of a closing that is given as a day, and `closed_at` of the others.
    """
    closed = outcomes["closed_at"]
    is_day = is_day_start(closed, zone)
    return outcomes.assign(closed_by=closed.where(~is_day, day_ends(closed, zone)))


def _with_days(table: ShapedTable, notes: ReadingNotes, local: Collection[str]) -> pd.DataFrame:
    """Return outcomes with `closed_by`, and note events whose times are days.

    A time with a zone is not a day, even at midnight.
    """
    name, shaped = table.name, table.shaped
    if name == "leads":
        return shaped
    role = EVENT_TABLES[name].event_time
    if role not in shaped:
        return shaped
    zone = zone_of_days(shaped[role], table.keys.timezone)
    if name == "outcomes":
        notes.closing_zone = zone
        return with_closed_by(shaped, zone or table.keys.timezone)
    if zone is None or role not in local:
        return shaped
    column = next(named for declared, named in table.columns.items() if declared.name == role)
    notes.days[name] = zone
    notes.sentences.append(
        f"{name}: `{column}` contains days without a clock. What happened on a day counts from "
        "the end of the day."
    )
    return shaped


def _unread(cells: pd.Series, read: pd.Series, nothing: frozenset[str]) -> Bools:
    """Return which cells have content that cannot be read, shape (n,)."""
    is_unread = read.isna().to_numpy(copy=True)
    if is_unread.any():
        texts = text_column(cells[is_unread])
        is_unread[is_unread] = [
            text is not None and text.casefold() not in nothing for text in texts
        ]
    return is_unread


def _known_ids(ids: pd.Series, nothing: frozenset[str]) -> pd.Series:
    """Return ids; words that mean "no value" become missing. A number such as 0 may be an id.

    Examples
    --------
    >>> _known_ids(pd.Series(["A7", "n/a", "0"], dtype="str"), frozenset({"n/a", "0"})).tolist()
    ['A7', nan, '0']
    """
    words = [word for word in nothing if not any(letter.isdigit() for letter in word)]
    # Most ids contain a digit, which takes a hundredth of the time to find out.
    may_be_word = np.flatnonzero(~ids.str.contains("[0-9]", na=True).to_numpy())
    is_word = ids.iloc[may_be_word].str.casefold().isin(words).to_numpy(dtype=bool)
    if not is_word.any():
        return ids
    known = ids.copy()
    known.iloc[may_be_word[is_word]] = None
    return known


def _other_calendars(table: ShapedTable) -> Iterator[str]:
    """Yield a sentence for each column whose times are mostly outside the years 1900 to 2199.

    Times of closing may be later: 9999-12-31 stands for "never".
    """
    for role, column in table.columns.items():
        if role.kind != "time" or role.name == "closed_at":
            continue
        times = table.shaped[role.name]
        is_far = (times < _EARLIEST) | (times >= _LATEST)
        n_far = int(is_far.sum())
        if n_far * 2 <= int(times.notna().sum()):
            continue
        examples = first_few(table.raw[column][is_far].iloc[:3].tolist())
        yield (
            f"`{column}` is not in the years 1900 to 2199 in {n_far:,} rows: {examples}. "
            f"{_buddhist_hint(examples)}Export the times in the Gregorian calendar, or correct the "
            "format of the column."
        )


def _buddhist_hint(texts: str) -> str:
    """Return a sentence about a year that seems to be of the Buddhist calendar; "" without one.

    Examples
    --------
    >>> _buddhist_hint("13/01/2568")
    'The year 2568 is in the future; in the Buddhist calendar it is 2025. '
    """
    year = re.search(r"(?<!\d)2[45]\d\d(?!\d)", texts)
    if year is None:
        return ""
    gregorian = int(year[0]) - BUDDHIST_YEARS
    return f"The year {year[0]} is in the future; in the Buddhist calendar it is {gregorian}. "


def _find_roles(
    table: pd.DataFrame, name: str, keys: TableKeys
) -> tuple[dict[DeclaredColumn, str], list[str]]:
    names = list(table.columns)
    columns, problems = {}, []
    for role in TABLES[name].file_columns:
        declared = keys.column_of(role.name)
        column = declared or role.name
        if column in names:
            columns[role] = column
        elif declared is not None or role.required or role.name == "lead_id":
            hint = nearest(column, names)
            if len(names) == 1:
                hint = (
                    "The file has only one column. Set its `delimiter`, "
                    "and check that its first line is the header."
                )
            problems.append(f"there is no column `{column}` for the role `{role.name}`. {hint}")
    return columns, problems


def _contract_failures(table: ShapedTable, notes: ReadingNotes) -> Iterator[str]:
    """Check a shaped table with pandera, and describe each failure in one sentence."""
    import pandera.pandas as pandera  # takes a second to import, and scoring does not need it

    raw, columns, unread = table.raw, table.columns, table.unread
    checks: dict[str, pandera.Column] = {}
    by_row = table.shaped.reset_index(drop=True)
    for role in columns:
        is_read = ~pd.Series(unread[role.name])
        parsed = pandera.Check(
            lambda cells, is_read=is_read: is_read.reindex(cells.index),
            name="parses",
            ignore_na=False,
        )
        checks[role.name] = pandera.Column(
            nullable=role.nullable,
            checks=[parsed] if role.kind in ("time", "number") else [],
        )
    try:
        pandera.DataFrameSchema(checks).validate(by_row, lazy=True)
    except pandera.errors.SchemaErrors as failure:
        cases = failure.failure_cases
        for (name_of_role, check), rows in cases.groupby(["column", "check"], sort=True):
            role = next(role for role in columns if role.name == name_of_role)
            positions = np.sort(rows["index"].to_numpy(dtype=np.int64))
            if check == "not_nullable":  # a cell that cannot be read is not missing
                positions = positions[~unread[role.name][positions]]
            if len(positions):
                where = _where(table, positions, notes)
                cells = raw[columns[role]].iloc[positions]
                notation = table.keys.formats.get(columns[role], table.keys.time_format)
                yield _failure_sentence(str(check), role, columns[role], where, cells, notation)
    if table.name == "leads":
        positions = np.flatnonzero(_repeats(by_row["lead_id"]))
        if len(positions):
            column = next(named for role, named in columns.items() if role.name == "lead_id")
            where = _where(table, positions, notes)
            yield _repeats_sentence(column, where, raw[column].iloc[positions])


def _repeats(ids: pd.Series) -> Bools:
    known = ids.notna()
    return (known & id_keys(ids).duplicated(keep=False)).to_numpy(dtype=bool)


def _where(table: ShapedTable, positions: Ints, notes: ReadingNotes) -> str:
    """Return how many rows fail, and where the first of them are."""
    lines, unit = notes.lines(table.keys, table.raw.index[positions].to_list())
    numbers = ", ".join(f"{line:,}" for line in lines[:5]) + (", …" if len(positions) > 5 else "")
    plural = "s" if len(positions) > 1 else ""
    return f"{len(positions):,} of {len(table.raw):,} rows ({unit}{plural} {numbers})"


def _repeats_sentence(column: str, where: str, cells: pd.Series) -> str:
    values = text_series(cells).drop_duplicates()
    rounded = values.str.fullmatch(r"[0-9][.,][0-9]+E\+?[0-9]+", case=False).any()
    return (
        f"`{column}` repeats in {where}: {first_few(values[:5])}. "
        "Each lead may have only one row. "
        + (
            "A spreadsheet has rounded these ids: export them again as text."
            if rounded
            else "Remove the repeated rows, or name another column as `lead_id`."
        )
    )


def _failure_sentence(
    check: str,
    role: DeclaredColumn,
    column: str,
    where: str,
    cells: pd.Series,
    notation: str | None,
) -> str:
    """Describe a failure, and what to do; `notation` is the format that the project declares."""
    examples = first_few(cells.iloc[:3].tolist())
    if check == "not_nullable":
        advice = (
            WITHOUT_CREATION if role.name == "created_at" else f"Every row needs its {role.name}."
        )
        few = f" Up to {MOST_MISSING:.0%} of the rows would be left out." if len(cells) > 1 else ""
        return f"`{column}` is missing in {where}. {advice}{few}"
    if role.kind == "time":
        return (
            f"`{column}` is not a valid time in {where}: {examples}. {_buddhist_hint(examples)}"
            f"{_time_advice(column, cells, notation)}"
        )
    return (
        f"`{column}` is not a finite number in {where}: {examples}. "
        "Expected numbers or empty cells. Correct the cells, or declare the format of the column "
        f'under `formats` of the table, such as {quote(column)} = "1.234,56".'
    )


def _time_advice(column: str, cells: pd.Series, notation: str | None) -> str:
    """Return what was expected of cells that are not times, and what to do about them.

    `notation` is the format that the project file declares for the column.
    """
    texts = list(dict.fromkeys(text for text in text_column(cells) if text is not None))
    words = [text for text in texts if _NO_DATE.fullmatch(text)]
    if notation is None:
        expected = "ISO 8601 such as 2025-03-01T08:00:00Z"
        fitting = likely_notation([text for text in texts if text not in words])
        example = f", such as {quote(column)} = {quote(fitting)}" if fitting else ""
        form = f"declare the format of the column under `formats` of the table{example}"
    else:
        expected = f"the format {quote(notation)}, which the project file declares"
        form = "correct this format"
    do = "Correct the cells." if len(words) == len(texts) else f"Correct the cells, or {form}."
    if words:
        do += f" If they stand for a missing time, add to `nothing` of [columns]: {listed(words)}."
    return f"Expected {expected}. {do}"
