"""Warnings about events that are stored or scored although they are unlikely.

Impossible values are refused elsewhere: times before 1970 or after 2099, and texts in place of a
number that do not mean one number. Unlikely values may be right, such as planned meetings and
refunds.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from crm.tables import EVENT_TABLES
from crm.times import DAY, LONG_BEFORE, NOT_A_TIME
from models.scorer import LeadCells
from serving.payloads.answers import ItemWarning

AHEAD: Final = 2 * DAY  # an event of today, given as a day in any zone, is not this far ahead
IN_FUTURE: Final = "is more than two days in the future, so it does not count before then"


def stored_warnings(
    table: str, row: Mapping[str, Any], outcome_words: Mapping[str, str], now: int
) -> list[ItemWarning]:
    """Return the warnings about an event that is stored.

    The closing of an open lead may be in the future, because CRMs have expected dates there.

    Parameters
    ----------
    table : {"activities", "stages", "outcomes"}
    row : mapping of str to value
        The event's row of the ledger.
    outcome_words : mapping of str to str
        The meaning of each outcome that the model's project declares; empty if it is not known.
    now : int
        Microseconds since 1970 UTC.

    Examples
    --------
    >>> row = {"outcome": "Won", "closed_at": 9 * DAY, "amount": -1.0}
    >>> [warning.code for warning in stored_warnings("outcomes", row, {"won": "won"}, now=0)]
    ['time_in_future', 'negative_amount']
    """
    if table != "outcomes":
        name = EVENT_TABLES[table].event_time
        return [_in_future(name)] if row[name] > now + AHEAD else []
    warnings = []
    outcome, closed_at, amount = row["outcome"], row["closed_at"], row["amount"]
    meaning = outcome_words.get(outcome.casefold())
    if outcome_words and meaning is None:
        warnings.append(
            ItemWarning(
                "undeclared_outcome",
                "outcome",
                f"`{outcome[:100]}` is not an outcome that the model's project declares: training "
                "leaves it out until the project file lists it under won, lost or open",
            )
        )
    if closed_at is not None and closed_at > now + AHEAD and meaning != "open":
        warnings.append(_in_future("closed_at"))
    if amount is not None and amount < 0:
        message = "`amount` is negative, and reduces the revenue in reports"
        warnings.append(ItemWarning("negative_amount", "amount", message))
    return warnings


def lead_warnings(lead: LeadCells, created_at: int, now: int) -> list[ItemWarning]:
    """Return the warnings about the activities and stages that were sent with a lead.

    Parameters
    ----------
    lead : LeadCells
        The lead as it was sent.
    created_at : int
        The creation of the lead, or `NOT_A_TIME`.
    now : int
        Microseconds since 1970 UTC.

    Examples
    --------
    >>> call = {"type": "call", "occurred_at": 9 * DAY}
    >>> lead = LeadCells({}, activities=[call, call, {**call, "occurred_at": 0}])
    >>> print(*[warning.message for warning in lead_warnings(lead, 800 * DAY, now=DAY)], sep="; ")
    2 of 3 `activities` are more than two days in the future, and do not count before then; 3 of 3 \
`activities` are more than two years before the creation of the lead
    """
    warnings: list[ItemWarning] = []
    events: tuple[tuple[Literal["activities", "stages"], Sequence[Mapping[str, Any]]], ...] = (
        ("activities", lead.activities),
        ("stages", lead.stages),
    )
    for table, rows in events:
        times = [row[EVENT_TABLES[table].event_time] for row in rows]
        n_ahead = sum(time > now + AHEAD for time in times)
        if n_ahead:
            message = (
                f"{n_ahead:,} of {len(times):,} `{table}` are more than two days in the future, "
                "and do not count before then"
            )
            warnings.append(ItemWarning("time_in_future", table, message))
        n_before = 0
        if created_at != NOT_A_TIME:
            n_before = sum(time < created_at - LONG_BEFORE for time in times)
        if n_before:
            message = (
                f"{n_before:,} of {len(times):,} `{table}` are more than two years before the "
                "creation of the lead"
            )
            warnings.append(ItemWarning("long_before_creation", table, message))
    return warnings


def _in_future(name: str) -> ItemWarning:
    return ItemWarning("time_in_future", name, f"`{name}` {IN_FUTURE}")
