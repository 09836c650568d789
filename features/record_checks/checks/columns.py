"""The checks of how columns are filled: LC110, LC111 and LC127."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from crm.arrays import Bools, Floats, Ints
from crm.text import counted, listed, quote
from crm.times import NOT_A_TIME
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.dates import day_of
from features.record_checks.tables import ColumnCells, ReadTable, ReadTables

SLICES: Final = 20
MIN_SLICE: Final = 30  # leads
NEVER: Final = 0.01
OFTEN: Final = 0.3
GROUPS: Final = (2, 30)  # distinct values of a grouped report
MOST_HEADS: Final = 0.25  # the share of filled cells in a grouped column
MOST_NESTED: Final = 0.5  # the share in a column of groups inside groups
FEW_HEADS: Final = 0.05  # the share in a column that is neither sorted nor the outcome
RUN: Final = 5  # rows of the usual group
MOST_CHARACTERS: Final = 40  # of the name of a group
SHOWN: Final = 3


@check("LC110", "A column is filled only before, or only after, some day.")
def filled_since(tables: ReadTables) -> Iterator[Finding]:
    """Compare how often a column is filled in slices of leads, in order of their creation.

    The newest slice does not count for the end: columns of young leads are still being filled.
    """
    leads, created = tables.leads, tables.created
    if leads is None or created is None:
        return
    order = np.argsort(created, kind="stable")
    order = order[created[order] != NOT_A_TIME]
    slices = np.array_split(order, SLICES)
    if len(slices[-1]) < MIN_SLICE:
        return
    zone = leads.keys.timezone
    for column in tables.attributes():
        shares = np.array([column.filled[rows].mean() for rows in slices])
        place = _change(shares)
        if place is None:
            continue
        begins = shares[0] <= NEVER
        rows = np.concatenate(slices)
        filled = rows[column.filled[rows]]
        time = created[filled[0]] if begins else created[filled[-1]]
        when = "since" if begins else "until"
        before, after = np.concatenate(slices[:place]), np.concatenate(slices[place:])
        rest = before if begins else after
        yield Finding(
            leads,
            f"Why is {quote(column.name)} filled only {when} {day_of(int(time), zone)}?",
            f"It is filled for {_filled(column.filled, before)} of the first {len(before):,} "
            f"leads and for {_filled(column.filled, after)} of the other {len(after):,}.",
            "If the meaning of the column changed, list it in `ignore`. If older leads can be "
            "completed, export them again."
            if begins
            else "If the column is no longer used, list it in `ignore`: new leads do not have it.",
            rows_of(np.isin(np.arange(len(created)), rest)),
        )


def _change(shares: Floats) -> int | None:
    """Return the slice from which a column is filled, or empty; None if it did not change."""
    is_never, is_often = shares <= NEVER, shares >= OFTEN
    places = range(2, len(shares) - 2)
    begins = [p for p in places if is_never[:p].all() and is_often[p + 1 :].all()]
    ends = [p for p in places if is_never[p:].all() and is_often[: p - 1].all()]
    if begins:
        return max(begins)
    return min(ends) if ends else None


def _filled(filled: Bools, rows: Ints) -> str:
    return share(int(filled[rows].sum()), len(rows))


@check("LC111", "Columns always have the same value, or none.")
def always_the_same(tables: ReadTables) -> Iterator[Finding]:
    """List the attributes that cannot tell leads apart."""
    if tables.leads is None or len(tables.leads.raw) < MIN_SLICE:
        return
    empty, constant = [], []
    for column in tables.attributes():
        if not column.filled.any():
            empty.append(column.name)
        elif len(column.distinct) == 1 and column.filled.all():
            constant.append(column.name)
    evidence = []
    if empty:
        evidence.append(f"Always empty: {listed(empty)}.")
    if constant:
        evidence.append(f"Always the same value: {listed(constant)}.")
    if evidence:
        n = len(empty) + len(constant)
        yield Finding(
            tables.leads,
            f"Is it expected that {n:,} column{'s' if n > 1 else ''} cannot tell leads apart?",
            " ".join(evidence),
            "If the CRM has values, check the rights of the user who exports. Otherwise leave the "
            "columns out of the export.",
        )


@check("LC127", "A column is filled only in the first row of each group.")
def first_row_of_group(tables: ReadTables) -> Iterator[Finding]:
    """Find columns of grouped reports, in which empty cells repeat the value above.

    Groups inside groups are columns that are also filled in the first row of each outer group.
    """
    for table in tables.tables.values():
        columns = [
            table.column(name)
            for name in map(str, table.raw.columns)
            if name in table.role_of
            or (table.name == "leads" and name not in tables.project.columns.ignore)
        ]
        outer = [column for column in columns if _is_grouped(table, column)]
        heads = [column.codes >= 0 for column in outer]
        for column in columns:
            if column in outer or any(_is_nested(column, rows) for rows in heads):
                yield _grouped(tables, table, column)


def _is_grouped(table: ReadTable, column: ColumnCells) -> bool:
    """Check whether the filled cells of a column are the first rows of groups.

    The first row is filled, each filled cell has another value than the one before, and most
    groups are long. Values that occur once are names of groups if they are sorted, if they are
    outcomes, or if they are very few and no group is short.
    """
    heads, n = np.flatnonzero(column.codes >= 0), len(column.cells)
    fewest, most = GROUPS
    if not fewest <= len(column.values) <= most or column.form.kind == "time":
        return False
    if heads[0] != 0 or len(heads) > MOST_HEADS * n:
        return False
    lengths = np.diff(np.append(heads, n))
    if np.median(lengths) < RUN:
        return False
    codes = column.codes[heads]
    if (np.diff(codes) == 0).any() or max(map(len, column.values)) > MOST_CHARACTERS:
        return False
    numbers = column.numbers[heads] if column.form.kind == "number" else None
    keys = [value.casefold() for value in column.values] if numbers is None else numbers.tolist()
    is_sorted = len(heads) == len(keys) and keys in (sorted(keys), sorted(keys, reverse=True))
    if table.role_of.get(column.name) == "outcome" or is_sorted:
        return True
    return column.form.kind == "text" and len(heads) <= FEW_HEADS * n and lengths.min() >= RUN


def _is_nested(column: ColumnCells, outer: Bools) -> bool:
    """Check whether the filled cells of a column are the first rows of groups inside `outer`."""
    is_filled, (fewest, most) = column.codes >= 0, GROUPS
    if not fewest <= len(column.values) <= most or column.form.kind != "text":
        return False
    n_heads = int(is_filled.sum())
    if (outer & ~is_filled).any() or not outer.sum() < n_heads <= MOST_NESTED * len(is_filled):
        return False
    codes = column.codes[is_filled]
    begins_outer = outer[is_filled][1:]
    return bool(((np.diff(codes) != 0) | begins_outer).all())


def _grouped(tables: ReadTables, table: ReadTable, column: ColumnCells) -> Finding:
    is_filled = column.codes >= 0
    n_filled, n = int(is_filled.sum()), len(column.cells)
    private = tables.is_private(table, column.name)
    shown = "" if private else f" ({listed(column.values[:SHOWN].tolist())})"
    empty = (
        "leads without an outcome: they count as open"
        if table.role_of.get(column.name) == "outcome"
        else "missing values"
    )
    return Finding(
        table,
        f"Does each value of {quote(column.name)} also belong to the rows below it?",
        f"{quote(column.name)} is filled in {n_filled:,} of {counted(n, 'row')} only, in the first "
        f"row and at the start of long runs of empty cells, each time with another value{shown}. "
        f"Grouped reports look like this. The other {n - n_filled:,} rows are read as {empty}.",
        "If it does, repeat the value in each row: in Salesforce, export the report with Details "
        "Only; in Excel, fill each value down to the next one.",
        rows_of(is_filled),
    )
