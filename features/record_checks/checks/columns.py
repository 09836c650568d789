"""The checks of how columns are filled: LC110 and LC111."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from crm.arrays import Bools, Floats, Ints
from crm.text import listed, quote
from crm.times import NOT_A_TIME
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.dates import day_of
from features.record_checks.tables import ReadTables

SLICES: Final = 20
MIN_SLICE: Final = 30  # leads
NEVER: Final = 0.01
OFTEN: Final = 0.3


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
