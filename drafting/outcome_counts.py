"""Counts the leads of each outcome value, and how many of them have a closing date."""

from collections.abc import Mapping
from typing import NamedTuple

from drafting.samples import Column


class ValueCount(NamedTuple):
    """The number of leads with an outcome value.

    Attributes
    ----------
    value : str
        The value in its most frequent spelling.
    rows : int
        The number of leads.
    closed : int or None
        The leads that also have a closing date. Only times count, not text such as "-" and "not
        closed". None if the table lacks a column of closing dates.
    """

    value: str
    rows: int
    closed: int | None

    @property
    def closed_share(self) -> str:
        """The share of leads with a closing date, such as "24%"; empty if it is not known."""
        return f"{self.closed / self.rows:.0%}" if self.closed is not None and self.rows else ""

    @property
    def sentence(self) -> str:
        """The counts in words.

        Examples
        --------
        >>> ValueCount("Won", 1_200, 300).sentence, ValueCount("Won", 1, None).sentence
        ('1,200 leads, 25% with a closing date', '1 lead')
        """
        leads = "1 lead" if self.rows == 1 else f"{self.rows:,} leads"
        return leads + (f", {self.closed_share} with a closing date" if self.closed_share else "")


def count_values(roles: Mapping[str, Column]) -> dict[str, ValueCount]:
    """Count the leads of each outcome value.

    Rows of one lead with the same value count once, and rows without an id do not count. Without a
    column of ids, each row is a lead.

    Parameters
    ----------
    roles : mapping of str to Column
        The columns of the table that contains the outcome, by role.

    Returns
    -------
    dict of str to ValueCount
        By case-folded value, the most frequent first.
    """
    outcome, closed_at = roles["outcome"], roles.get("closed_at")
    is_closed = None if closed_at is None else closed_at.times.notna().to_numpy()
    spelling: dict[str, str] = {}
    for value in outcome.counts.index:
        spelling.setdefault(value.casefold(), value)
    ids = roles["lead_id"].texts if "lead_id" in roles else range(len(outcome.texts))
    leads: dict[str, set[str | int]] = {folded: set() for folded in spelling}
    closed: dict[str, set[str | int]] = {folded: set() for folded in spelling}
    for row, (text, lead) in enumerate(zip(outcome.texts, ids, strict=True)):
        if text is not None and lead is not None:
            leads[text.casefold()].add(lead)
            if is_closed is not None and is_closed[row]:
                closed[text.casefold()].add(lead)
    return {
        folded: ValueCount(
            value, len(leads[folded]), None if is_closed is None else len(closed[folded])
        )
        for folded, value in spelling.items()
    }
