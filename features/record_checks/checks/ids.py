"""The checks of ids and of repeated rows: LC112 to LC115."""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Bools
from crm.lead_ids import SHORTENED, has_lost_digits
from crm.text import counted, has_or_have, is_or_are, quote
from crm.times import NOT_A_TIME
from features.record_checks.check import Finding, check, rows_of, share
from features.record_checks.dates import day_of
from features.record_checks.tables import UNKNOWN_LEAD, ReadTables

WITHOUT: Final = 0.4  # the share of leads without activities
_LONG: Final = re.compile(r"\d{16,}")
EXACT: Final = 2.0**53  # from here on, whole numbers of 64 bits lose digits


@check("LC112", "Many leads have no activities.")
def without_activities(tables: ReadTables) -> Iterator[Finding]:
    """Count the leads without any activity, and compare when both tables begin."""
    leads, activities = tables.leads, tables.tables.get("activities")
    if leads is None or activities is None or leads.lead_keys is None:
        return
    ids = activities.keys_of_each_lead
    with_any = np.zeros(len(leads.raw), dtype=bool)
    if ids is not None:
        with_any = (leads.lead_keys.isin(ids) & leads.lead_keys.notna()).to_numpy()
    n_without, n = int((~with_any).sum()), len(leads.raw)
    if n_without < WITHOUT * n or with_any.sum() == 0:
        return
    times, created = activities.times("occurred_at"), tables.created
    begin = ""
    if times is not None and created is not None and (times != NOT_A_TIME).any():
        zone = activities.keys.timezone
        first, oldest = times[times != NOT_A_TIME].min(), created[created != NOT_A_TIME].min()
        n_before = int((created[~with_any] < first).sum())
        begin = (
            f" The activities begin on {day_of(int(first), zone)}, the leads on "
            f"{day_of(int(oldest), zone)}; {n_before:,} of the leads without activities "
            f"{is_or_are(n_before)} older than the first activity."
        )
    yield Finding(
        leads,
        f"Is it right that {n_without:,} of {n:,} leads have no activity?",
        f"{share(n_without, n)} of the leads have none in {activities.file}.{begin}",
        "Check the period and the kinds of activities of the export. A lead without activities in "
        "the export counts as a lead to whom nothing happened.",
        rows_of(~with_any),
    )


@check("LC113", "Rows belong to leads that are not in the leads table.")
def unknown_leads(tables: ReadTables) -> Iterator[Finding]:
    """Count the rows of other tables whose lead is unknown."""
    if tables.leads is None or tables.leads.lead_keys is None:
        return
    known = tables.leads.lead_keys.dropna()
    for table in tables.tables.values():
        if table.name == "leads" or table.lead_keys is None:
            continue
        is_unknown = (tables.lead_rows(table) == UNKNOWN_LEAD) & table.lead_keys.notna().to_numpy()
        n_unknown = int(is_unknown.sum())
        if not n_unknown:
            continue
        unpadded = {key.lstrip("0") for key in known if key.isdigit()}
        ids = table.lead_keys[is_unknown].drop_duplicates()
        n_zeros = sum(key.isdigit() and key.lstrip("0") in unpadded for key in ids)
        zeros = (
            f" {counted(n_zeros, 'of these ids is', 'of these ids are')} known with other zeros "
            "in front: a spreadsheet may have removed them."
            if n_zeros
            else ""
        )
        some = "an id that is" if len(ids) == 1 else f"one of {len(ids):,} ids that are"
        yield Finding(
            table,
            f"Which {'lead does' if n_unknown == 1 else 'leads do'} {counted(n_unknown, 'row')} of "
            f"{table.file} belong to?",
            f"{n_unknown:,} of {len(table.raw):,} rows ({share(n_unknown, len(table.raw))}) "
            f"{has_or_have(n_unknown)} {some} not in "
            f"{tables.leads.file}. {'This row is' if n_unknown == 1 else 'These rows are'} left "
            f"out.{zeros}",
            "If the leads were deleted or merged, nothing needs to be done. Otherwise export both "
            "tables with the same filter, and ids as text.",
            rows_of(is_unknown),
        )


@check("LC114", "Ids have lost digits.")
def ids_cut(tables: ReadTables) -> Iterator[Finding]:
    """Find ids such as 1.23E+15, long numbers that end in zeros only, and ids stored as floats."""
    for table in tables.tables.values():
        for role in ("lead_id", "activity_id"):
            column = table.of_role(role)
            if column is None:
                continue
            is_excel = np.array(
                [re.fullmatch(SHORTENED, v) is not None for v in column.values], bool
            )
            is_long = np.array([_LONG.fullmatch(v) is not None for v in column.values], bool)
            cut = np.array([has_lost_digits(v) for v in column.values], bool)
            is_cut = is_excel | (cut if cut.sum() > max(3, 0.5 * is_long.sum()) else False)
            rows = column.rows_with(is_cut) | _are_long_floats(column.cells)
            if rows.any():
                n = int(rows.sum())
                yield Finding(
                    table,
                    f"What are the whole ids in {quote(column.name)}?",
                    f"{counted(n, 'row')} {has_or_have(n)} an id that a spreadsheet or a program "
                    "has stored as a number, such as 1.23E+15 or a long number that ends in zeros. "
                    "Numbers keep 15 to 17 digits, so different leads may have the same shortened "
                    "id.",
                    "Export the file again and do not save it in a spreadsheet, or store the "
                    "column as text before the ids are entered.",
                    rows_of(rows),
                )


def _are_long_floats(cells: pd.Series) -> Bools:
    """Return which cells are floats that cannot have all digits of a whole number."""
    if pd.api.types.is_float_dtype(cells.dtype):
        return np.asarray(cells.abs() >= EXACT, dtype=bool)
    if cells.dtype != object:
        return np.zeros(len(cells), dtype=bool)
    return np.array([isinstance(cell, float) and abs(cell) >= EXACT for cell in cells], bool)


@check("LC115", "Rows are in a table twice.")
def repeated_rows(tables: ReadTables) -> Iterator[Finding]:
    """Count rows that equal an earlier row in every cell."""
    for table in tables.tables.values():
        keys = table.lead_keys
        if keys is None:
            continue
        may_repeat = (keys.notna() & keys.duplicated(keep=False)).to_numpy()
        if not may_repeat.any():
            continue
        rows = table.raw[may_repeat]
        hashes = pd.util.hash_pandas_object(rows.astype("str"), index=False)
        repeats = rows.index[hashes.duplicated().to_numpy()].to_numpy()
        n = len(repeats)
        if n and (table.name == "leads" or n >= 0.01 * len(table.raw)):
            yield Finding(
                table,
                f"{is_or_are(n).title()} {counted(n, 'row')} of {table.file} in it twice?",
                f"{n:,} of {len(table.raw):,} rows ({share(n, len(table.raw))}) "
                f"{'equals' if n == 1 else 'equal'} an earlier row in every cell.",
                "Check whether the export was appended to itself. Activities that are in the file "
                "twice count twice, unless the column `activity_id` is named.",
                repeats,
            )
