"""Columns to set aside: personal data, sensitive names, and what may be known only later.

A column that is filled or changed after the outcome is found by its name, or on the same
evidence that the leak audit uses.
"""

import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from crm.arrays import Bools, Floats
from crm.text import quote
from drafting.samples import Column

MIN_OUTCOMES = 20  # of the rarer kind; with fewer, fields are judged by name only
MIN_LEADS = 30  # for a share among open leads, or among those that have a value
MIN_ROWS_PER_VALUE = 20

LATER_NAME = re.compile(
    r"\b(last|latest|modified|updated|closed?|closing|won|lost|convert\w*|"
    r"conversion|reason|disposition|churn\w*|signed|invoiced?)\b"
)
SENSITIVE_NAME = re.compile(
    r"(?<!lead )(?<!account )(?<!domain )(?<!company )\bage\b(?! (in )?days)|"
    r"\b(gender|sex|sexual|marital|married|nationality|citizenship|religio\w+|ethnic\w*|race|"
    r"birth\w*|born|dob|disab\w+|pregnan\w+|political|health)\b"
)
PERSON_NAME = re.compile(
    r"\b(first|last|middle|full|given|family|contact|person|customer|client|lead|user|company|"
    r"account)s? ?name\b|^((sur)?name|company)$|\b(street|address)\b"
)
PHONE_NAME = re.compile(r"\b(tele)?(phone|mobile|fax|cell|whatsapp)\b")
TEXT_NAME = re.compile(r"\b(comments?|notes?|remarks?|messages?|descriptions?|feedback)\b")
PERSONAL_CELLS = {
    "e-mail addresses": r"\S+@\S+\.\S+",
    "web addresses": r"(https?://|www\.)\S+",
    "IP addresses": r"\d{1,3}(\.\d{1,3}){3}",
    "phone numbers": r"\+\d[\d ()/.-]{6,18}",
}


def sort_columns(
    columns: Sequence[Column], judge: "Judge", nothing: Collection[str]
) -> Mapping[str, dict[str, str]]:
    """Sort the attributes that need a rule of their own.

    Parameters
    ----------
    columns : sequence of Column
        The attributes of the leads.
    judge : Judge
        Finds the evidence.
    nothing : collection of str
        The case-folded words that stand for no value.

    Returns
    -------
    mapping of str to dict of str to str
        Under `ignore`, `known_later`, `sensitive` and `category`: the reason by column name.
    """
    rules: dict[str, dict[str, str]] = {
        "ignore": {},
        "known_later": {},
        "sensitive": {},
        "category": {},
    }
    for column in columns:
        numbers = column.number_share(nothing)
        if reason := personal(column):
            rules["ignore"][column.name] = reason
        elif reason := _later(column, judge, nothing):
            rules["known_later"][column.name] = reason
        elif SENSITIVE_NAME.search(column.words):
            rules["sensitive"][column.name] = "about the person, not about their interest"
        elif 0.05 <= numbers <= 0.95 and len(column.counts) > 50:
            rules["category"][column.name] = f"{numbers:.0%} numbers, the rest text"
    return rules


def _later(column: Column, judge: "Judge", nothing: Collection[str]) -> str:
    word = LATER_NAME.search(column.words)
    named = [f"{quote(word[0])} in its name"] if word else []
    return "; ".join(named + judge.evidence(column, nothing))


def personal(column: Column) -> str | None:
    """Say why a column is personal data or free text; None if it is not."""
    for what, pattern in PERSONAL_CELLS.items():
        if column.share(pattern) >= 0.3:
            return f"{what}: personal data"
    filled, values = int(column.counts.sum()), column.counts.index
    if PHONE_NAME.search(column.words) and column.share(r"(\D*\d){6,16}\D*") >= 0.5:
        return "phone numbers: personal data"
    various = len(values) >= min(20, 0.5 * filled) and not column.is_number
    if PERSON_NAME.search(column.words) and various:
        return "names or addresses: personal data"
    words = float(np.mean([value.count(" ") + 1 for value in values])) if filled else 0.0
    noted = TEXT_NAME.search(column.words) and words >= 2 and len(values) >= 0.2 * filled
    if various and (noted or (words >= 6 and len(values) >= 0.5 * filled)):
        return "free text: may hold anything, personal data too"
    return None


class Judge:
    """Finds evidence that a column is filled or changed only after the outcome.

    Parameters
    ----------
    ended : DataFrame of shape (n_leads,)
        How each lead ended, from `drafting.outcome_words.ended_leads`.
    order : Column or None
        A number that grows with time, for leads without a time of creation.
    """

    def __init__(self, ended: pd.DataFrame, order: Column | None) -> None:
        self.won, self.is_open = ended["won"].to_numpy(), ended["is_open"].to_numpy()
        self.closed = np.isfinite(self.won)
        rarer = min((self.won == 1).sum(), (self.won == 0).sum())
        self.can_tell = bool(rarer >= MIN_OUTCOMES)
        time = ended["created"] if order is None else pd.Series(order.numbers)
        self.in_time = bool(time.notna().all())
        self.tenths = np.zeros(len(time), dtype=int)  # of the time
        if self.in_time:
            place = time.rank(method="first").to_numpy() - 1
            self.tenths = (place * 10 // len(time)).astype(int)

    def evidence(self, column: Column, nothing: Collection[str]) -> list[str]:
        """Say what makes a column a suspect, two reasons at most."""
        filled = column.filled(nothing)
        if not self.can_tell or not filled.any():
            return []
        found = [
            self._filled_for_wins(filled),
            self._filling_tells(filled, column.filled()),
            self._filled_at_the_end(filled),
            self._filled_at_one_time(filled),
            self._values_tell(column, filled),
        ]
        return [reason for reason in found if reason][:2]

    def _filled_for_wins(self, filled: Bools) -> str:
        won = self.won[filled & self.closed]
        if filled.mean() < 0.95 and len(won) >= MIN_LEADS and won.mean() >= 0.95:
            return (
                f"filled for {filled.mean():.0%} of leads, {won.mean():.0%} of those that ended won"
            )
        return ""

    def _filling_tells(self, filled: Bools, touched: Bools) -> str:
        """Look at words for nothing both ways: one may be what nobody has changed yet."""
        pairs = max(self._auc(each[self.closed].astype(float)) for each in (filled, touched))
        before, after = self._filled_shares(filled)
        if pairs >= 0.65 and (before is None or before <= 0.8 * after):
            return f"being filled or not tells won from lost in {pairs:.0%} of pairs"
        return ""

    def _filled_at_the_end(self, filled: Bools) -> str:
        before, after = self._filled_shares(filled)
        if before is not None and before < 0.02 and after >= 0.1:
            return f"filled for {after:.0%} of ended leads, {before:.0%} of open ones"
        return ""

    def _filled_shares(self, filled: Bools) -> tuple[float | None, float]:
        """Share of open leads (None if they are few) and of ended ones that have it filled."""
        few = self.is_open.sum() < MIN_LEADS
        before = None if few else float(filled[self.is_open].mean())
        return before, float(filled[self.closed].mean())

    def _filled_at_one_time(self, filled: Bools) -> str:
        shares = pd.Series(filled).groupby(self.tenths).mean()
        if self.in_time and shares.max() - shares.min() >= 0.5:
            return (
                f"filled for {shares.min():.0%} of leads in one tenth of the time, "
                f"{shares.max():.0%} in another"
            )
        return ""

    def _values_tell(self, column: Column, filled: Bools) -> str:
        pairs = self._auc(self._win_shares(column, filled))
        return f"by itself it tells won from lost in {pairs:.0%} of pairs" if pairs >= 0.8 else ""

    def _win_shares(self, column: Column, filled: Bools) -> Floats:
        """Each ended lead's share of wins among leads of its value; rare values are pooled."""
        cells, numbers = pd.Series(column.texts, dtype=object).str.casefold(), column.numbers
        if np.isfinite(numbers[filled]).mean() >= 0.99 and len(column.counts) > 20:
            parts = int(np.clip(self.closed.sum() / (2 * MIN_ROWS_PER_VALUE), 2, 20))
            edges = np.nanquantile(numbers[filled], np.arange(1, parts) / parts)
            cells = pd.Series(np.digitize(numbers, np.unique(edges)).astype(str), dtype=object)
        cells = cells.where(filled, "\0nothing")[self.closed]
        cells = cells.where(cells.map(cells.value_counts()) >= MIN_ROWS_PER_VALUE, "\0rare")
        won = pd.Series(self.won[self.closed], index=cells.index)
        return won.groupby(cells).transform("mean").to_numpy(dtype=float)

    def _auc(self, scores: Floats) -> float:
        """Share of pairs of won and lost, within a tenth of the time, that scores rank alike."""
        right, pairs = 0.0, 0.0
        for part in range(10):
            inside = self.tenths[self.closed] == part
            won, ranks = self.won[self.closed][inside] == 1, rankdata(scores[inside])
            right += ranks[won].sum() - won.sum() * (won.sum() + 1) / 2
            pairs += won.sum() * (~won).sum()
        return max(right, pairs - right) / pairs if pairs else 0.5
