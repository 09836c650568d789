"""Checks tables against their declarations in `crm.tables`.

A table gets the product's own column names and types, and is checked. One message lists all
failures of a table. A table with a failure is not used.
"""

import reprlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.cells import text_column, text_series
from crm.errors import SchemaError
from crm.formats.column_times import parse_times
from crm.formats.columns import ColumnFormat, column_formats
from crm.formats.numbers import NumberFormat, number_format
from crm.project import Project, TableKeys
from crm.sources.source import name_of
from crm.suggest import nearest
from crm.tables import TABLES, DeclaredColumn


def shape_leads(
    table: pd.DataFrame,
    project: Project,
    notes: list[str],
    formats: Mapping[str, ColumnFormat] | None = None,
) -> pd.DataFrame:
    """Map a raw leads table to the product's names and types, and check it.

    All other columns stay, even those of outcomes and those that the project ignores. The pipeline
    decides which of them become features. `formats` are those of `table_formats`, if they are known
    already.

    Raises
    ------
    SchemaError
        With every failure of the table.
    """
    keys = project.leads
    if not has_ids(table, project):
        table = table.assign(lead_id=[f"row-{i}" for i in range(1, len(table) + 1)])
        notes.append("leads: no id column is named, so leads are numbered by row.")
    shaped = shape_table(table, "leads", keys, notes, formats)
    roles = {keys.column_of(role.name) or role.name for role in TABLES["leads"].file_columns}
    attributes = table[[column for column in table.columns if column not in roles]]
    clash = sorted(set(attributes.columns) & set(shaped.columns))
    if clash:
        raise SchemaError(
            name_of(keys),
            [
                f"an attribute has the name {clash}, but another column plays this role. "
                "Rename the attribute in the export."
            ],
        )
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
    notes: list[str],
    formats: Mapping[str, ColumnFormat] | None = None,
) -> pd.DataFrame:
    """Map a raw table's columns to its contract's roles, parse them, and check them.

    Parameters
    ----------
    table : DataFrame
        The table as it was read, with the source's own column names.
    name : str
        "leads", "activities", "stages" or "outcomes".
    keys : TableKeys
        The keys that name the column of each role. If a role has no key, the column with the
        name of the role is used.
    notes : list of str
        Receives a sentence for each assumption, such as the zone of times without one.
    formats : mapping of str to ColumnFormat, optional
        The formats of `table_formats`, if they are known already.

    Returns
    -------
    DataFrame
        The declared columns only; optional ones if the source has them.

    Raises
    ------
    SchemaError
        With every failure of the table.
    """
    columns, problems = _find_roles(table, name, keys)
    if problems:
        raise SchemaError(name_of(keys), problems)
    formats = table_formats(table, name, keys) if formats is None else formats
    doubts = [
        formats[column].question(name, column)
        for column in columns.values()
        if column in formats and formats[column].doubt
    ]
    if doubts:
        raise SchemaError(name_of(keys), doubts)
    shaped: dict[str, Any] = {}
    for role, column in columns.items():
        cells = table[column]
        form = formats.get(column, ColumnFormat("text"))
        if role.kind == "time":
            notation = form.notation if form.kind == "time" else None
            shaped[role.name], assumed = parse_times(cells, name_of(keys), keys.timezone, notation)
            if assumed:
                notes.append(
                    f"{name}: times in `{column}` have no time zone and are read as "
                    f"{keys.timezone}. Set the table's `timezone` to change that."
                )
        elif role.kind == "number":
            has_own = form.kind == "number" and form.notation is not None
            reader = number_format(str(form.notation)) if has_own else NumberFormat()
            shaped[role.name] = reader.read_column(cells)
        else:
            shaped[role.name] = text_series(cells)
    result = pd.DataFrame(shaped, index=table.index)
    problems = list(_contract_failures(table, result, name, columns))
    if problems:
        raise SchemaError(name_of(keys), problems)
    return result


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


def _contract_failures(
    raw: pd.DataFrame, shaped: pd.DataFrame, name: str, columns: dict[DeclaredColumn, str]
) -> Iterator[str]:
    """Check a shaped table with pandera, and describe each failure in one sentence."""
    import pandera.pandas as pandera  # takes a second to import, and scoring does not need it

    checks: dict[str, pandera.Column] = {}
    unparsed: dict[str, pd.Series] = {}
    for role, column in columns.items():
        is_unparsed = shaped[role.name].isna()
        is_unparsed[is_unparsed] = pd.notna(text_column(raw[column][is_unparsed]))
        unparsed[role.name] = is_unparsed
        parsed = pandera.Check(
            lambda cells, failed=is_unparsed: ~failed.reindex(cells.index, fill_value=False),
            name="parses",
            ignore_na=False,
        )
        checks[role.name] = pandera.Column(
            nullable=role.nullable,
            unique=name == "leads" and role.name == "lead_id",
            checks=[parsed] if role.kind in ("time", "number") else [],
        )
    try:
        pandera.DataFrameSchema(checks).validate(shaped, lazy=True)
    except pandera.errors.SchemaErrors as failure:
        cases = failure.failure_cases
        for (name_of_role, check), rows in cases.groupby(["column", "check"], sort=True):
            role = next(role for role in columns if role.name == name_of_role)
            positions = np.sort(rows["index"].to_numpy(dtype=np.int64))
            if check == "not_nullable":  # a cell that cannot be read is not missing
                positions = positions[~unparsed[role.name].to_numpy()[positions]]
            if len(positions):
                yield _failure_sentence(str(check), role, columns[role], raw, positions)


def _failure_sentence(
    check: str, role: DeclaredColumn, column: str, raw: pd.DataFrame, positions: Ints
) -> str:
    where = f"{len(positions):,} of {len(raw):,} rows (row {first_few(positions + 1)})"
    examples = first_few(raw[column].iloc[positions[:3]].tolist())
    if check == "not_nullable":
        return f"`{column}` is missing in {where}. Every row needs its {role.name}."
    if check.startswith("field_uniqueness"):
        return (
            f"`{column}` repeats in {where}: {examples}. Each lead may have only one row. "
            "Remove the repeated rows, or name another column as `lead_id`."
        )
    if role.kind == "time":
        return (
            f"`{column}` is not a valid time in {where}: {examples}. Expected ISO 8601 such as "
            "2025-03-01T08:00:00Z. Set `time_format` for another format."
        )
    return (
        f"`{column}` is not a finite number in {where}: {examples}. "
        "Expected numbers or empty cells. "
        'If the numbers have a decimal comma, set `decimal = ","` for the table.'
    )


def first_few(values: Any) -> str:
    """List the first five values, such as cells or numbers of rows."""
    texts = [reprlib.repr(value) if isinstance(value, str) else str(value) for value in values]
    if len(texts) > 5:
        return ", ".join(texts[:5]) + ", …"
    return ", ".join(texts)
