"""What the values of an outcome mean, and how each lead of a sample ended."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from crm.cells import cell_number
from crm.text import words_of
from drafting.samples import NOTHING, Column, time_format

MAX_VALUES = 30
WON_VALUE = (
    r"^(yes|y|true|t|ok)$|\b(won|win|approved|converted|accepted|sold|customer|signed|"
    r"purchased|bought|subscribed|enrolled|granted|funded|success(ful)?)\b"
)
LOST_VALUE = (
    r"^(no|n|false|f|dead|junk)$|\b(not|non|never|lost|declined|rejected|refused|"
    r"cancell?ed|denied|disqualified|unqualified|unsuccessful|failed|failure|abandoned|"
    r"expired|withdrawn|churned)\b"
)
OPEN_VALUE = r"\b(open|pending|new|progress|working|active|hold|waiting|negotiation)\b"


class Values(NamedTuple):
    """What an outcome's values mean, and what of that was guessed."""

    won: list[str]
    lost: list[str]
    still_open: list[str]
    guess: str


def sort_values(column: Column) -> Values | None:
    """Sort an outcome's values into won, lost and open; None if nothing says won.

    Of values that differ only in case the most frequent spelling is kept. Of two values
    that do not say won, the rarer is guessed to, unless it sounds open.
    """
    if len(column.counts) > MAX_VALUES:
        return None
    spelled: dict[str, str] = {}
    for value in column.counts.index:  # the most frequent first
        spelled.setdefault(value.casefold(), value)
    values = list(spelled.values())
    binary = {cell_number(value) for value in values} <= {-1.0, 0.0, 1.0}
    means = {value: _meaning(value, binary) for value in values}
    won, lost, unclear = ([v for v in values if means[v] == word] for word in ("won", "lost", None))
    guess = ""
    can_guess = not won and len(unclear) > 0 and len(values) == 2
    if can_guess and not re.search(OPEN_VALUE, words_of(unclear[-1])):
        won, guess = [unclear.pop()], "no value says won, so the rarer unclear one was taken"
    if won and not lost and len(unclear) == 1 and unclear[0].casefold() not in NOTHING:
        lost, unclear, guess = unclear, [], guess or "no value says lost, so the other was taken"
    return Values(won, lost, unclear, guess) if won else None


def _meaning(value: str, binary: bool) -> str | None:
    if np.isfinite(number := cell_number(value)):
        return ("won" if number == 1 else "lost") if binary else None
    if re.search(LOST_VALUE, words_of(value)):
        return "lost"
    return "won" if re.search(WON_VALUE, words_of(value)) else None


def ended_leads(
    leads: dict[str, Column], outcomes: dict[str, Column] | None, values: Values, is_whole: bool
) -> pd.DataFrame:
    """Tell how each lead of the sample ended.

    Parameters
    ----------
    leads, outcomes : dict of str to Column
        The columns in their roles; no `outcomes` if the leads table holds the outcome.
    values : Values
        What the outcome's values mean.
    is_whole : bool
        Whether every outcome is in the sample, so that a lead without one is open.

    Returns
    -------
    DataFrame of shape (n_leads,)
        `won` is 1, 0 or missing; `is_open` tells where missing surely means open;
        `created` and `closed` are times, UTC; `days` lie between them.
    """
    table = outcomes or leads
    words = dict.fromkeys(map(str.casefold, values.lost), 0.0)
    words |= dict.fromkeys(map(str.casefold, values.won), 1.0)
    texts = pd.Series(table["outcome"].texts, dtype=object)
    ended = pd.DataFrame({"won": texts.str.casefold().map(words).astype(float)})
    ended["closed"] = _times(table, "closed_at", len(ended))
    if outcomes:
        ended.index = pd.Index(outcomes["lead_id"].texts)
        ended = ended[~ended.index.duplicated()].reindex(leads["lead_id"].texts)
        ended = ended.reset_index(drop=True)
    ended["is_open"] = ended["won"].isna() & is_whole
    ended["created"] = _times(leads, "created_at", len(ended))
    ended["days"] = (ended["closed"] - ended["created"]).dt.total_seconds() / 86_400
    return ended


def _times(roles: dict[str, Column], role: str, rows: int) -> pd.Series:
    if role not in roles:
        return pd.Series(pd.NaT, index=range(rows), dtype="datetime64[us, UTC]")
    return roles[role].times(time_format(roles.values()))
