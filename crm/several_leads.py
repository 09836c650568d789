"""Splits the ids of rows that name several leads, such as a deal with two contacts.

Such a row counts for each of its leads.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.lead_ids import id_key
from crm.text import quote

_SEPARATORS: Final = ";|,"
_MAY_BE_SEVERAL: Final = "[;|,]"
# A number, a code such as L-1001, Salesforce's id, a GUID or an e-mail address.
_ID: Final = re.compile(
    r"[0-9]+(\.0)?|[A-Za-z]{1,12}[-_]?[0-9]+|[0-9A-Za-z]{15}|[0-9A-Za-z]{18}"
    r"|\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?|[^@\s;|,]+@[^@\s;|,]+"
)
_THOUSANDS: Final = re.compile(r"[0-9]{1,3}(,[0-9]{3})+")


def split_ids(text: str) -> list[str]:
    """Return the ids of a cell, without repeats; a cell with one id is returned as it is.

    Examples
    --------
    >>> split_ids("51001;51008"), split_ids("L-7, L-9"), split_ids("51001;")
    (['51001', '51008'], ['L-7', 'L-9'], ['51001'])
    >>> split_ids("Smith, John"), split_ids("51,001"), split_ids("auth0|7f3a")
    (['Smith, John'], ['51,001'], ['auth0|7f3a'])
    """
    for separator in _SEPARATORS:
        parts = [part.strip() for part in text.split(separator)]
        parts = [part for part in parts if part]
        if separator not in text or not parts or not all(map(_ID.fullmatch, parts)):
            continue
        if _THOUSANDS.fullmatch(text) is None and len({_form(part) for part in parts}) == 1:
            return list({id_key(part): part for part in parts}.values())
    return [text]


def _form(lead_id: str) -> str:
    """Return the kind of an id, which is the same for all ids of a cell.

    The kind of a code is its letters.

    >>> _form("L-7") == _form("L-12"), _form("7") == _form("12.0"), _form("L-7") == _form("D-7")
    (True, True, False)
    """
    if "@" in lead_id or len(lead_id) in (15, 18, 36, 38):
        return str(len(lead_id)) if "@" not in lead_id else "@"
    return re.sub(r"[0-9.]", "", lead_id)


def with_row_for_each_lead(table: pd.DataFrame) -> pd.DataFrame:
    """Repeat rows that name several leads, once for each of them.

    Parameters
    ----------
    table : DataFrame
        With a column `lead_id`, str; missing ids stay missing.

    Returns
    -------
    DataFrame
        The same columns. Repeated rows have the same index, in the order of their ids.

    Examples
    --------
    >>> deals = pd.DataFrame({"lead_id": ["7;8", "9"], "outcome": ["won", "lost"]})
    >>> with_row_for_each_lead(deals).to_dict("list")
    {'lead_id': ['7', '8', '9'], 'outcome': ['won', 'won', 'lost']}
    """
    rows = _rows_to_split(table["lead_id"])
    if not rows:
        return table
    ids: list[Sequence[str]] = [[lead_id] for lead_id in table["lead_id"]]
    for row, parts in rows.items():
        ids[row] = parts
    repeated = table.iloc[np.repeat(np.arange(len(table)), [len(parts) for parts in ids])]
    lead_id = pd.Series([part for parts in ids for part in parts], repeated.index, dtype="str")
    return repeated.assign(lead_id=lead_id)


def several_leads(ids: pd.Series) -> tuple[int, str]:
    """Return the number of cells that name several leads, and the first of these cells.

    Examples
    --------
    >>> several_leads(pd.Series(["7;8", "9", None], dtype="str"))
    (1, '7;8')
    """
    rows = [row for row, parts in _rows_to_split(ids).items() if len(parts) > 1]
    return len(rows), str(ids.iloc[rows[0]]) if rows else ""


def sentence_about_several_leads(column: str, count: int, example: str, has_amount: bool) -> str:
    """Write a sentence about rows that name several leads."""
    rows = "1 row names" if count == 1 else f"{count:,} rows name"
    amount = " Its amount counts once, for the first of them." if has_amount else ""
    return (
        f"{rows} several leads in {quote(column)}, such as {quote(example)}. Such a row counts for "
        f"each of these leads.{amount}"
    )


def _rows_to_split(ids: pd.Series) -> dict[int, list[str]]:
    text = pa.array(ids.array, pa.large_string())
    may_be = pc.match_substring_regex(text, _MAY_BE_SEVERAL).fill_null(False)
    places = np.flatnonzero(may_be.to_numpy(zero_copy_only=False)).tolist()
    split = {place: split_ids(str(ids.iloc[place])) for place in places}
    return {place: parts for place, parts in split.items() if parts != [ids.iloc[place]]}
