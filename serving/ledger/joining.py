"""Joins what a caller sends of a lead with what the ledger holds of it."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from msgspec import structs

from crm.cells import cell_text
from crm.ledger.deduplication import distinct
from crm.ledger.ledger import Held
from crm.times import NOT_A_TIME
from features.times import time_text
from models.scorer import LeadCells
from serving.errors import RequestError
from serving.payloads.score import LeadPayload, lead_cells, ledger_row

AWAY: Final = "the ledger cannot be read now, so only what was sent with the lead counts"
NOTHING_USED: Final[dict[str, Any]] = {"activities": 0, "newest": None, "stages": 0}


class JoinedLead(NamedTuple):
    """A lead as it was sent, and as it is known with what the ledger holds.

    Attributes
    ----------
    lead_id : str or None
    sent, known : LeadCells
    has_attributes : bool
        Whether the caller sent attributes.
    warnings : sequence of str
        What the caller should know of the joining.
    """

    lead_id: str | None
    sent: LeadCells
    known: LeadCells
    has_attributes: bool = True
    warnings: Sequence[str] = ()


def as_sent(lead: LeadPayload, where: str, roles: Mapping[str, str], known: Set[str]) -> JoinedLead:
    """Take a lead as it was sent, where there is no ledger; arguments are those of `lead_cells`.

    Raises
    ------
    RequestError
        422 if the lead cannot be read, or has no attributes.
    """
    if lead.attributes is None:
        raise RequestError(422, "The object lacks required field `attributes`.", where or None)
    sent = lead_cells(lead, where, roles, known)
    return JoinedLead(None, sent, sent)


def join(
    lead: LeadPayload,
    where: str,
    roles: Mapping[str, str],
    known: Set[str],
    holdings: Mapping[str, Held] | None,
) -> JoinedLead:
    """Join a lead as it was sent with what is held of it.

    Attributes are never mixed: the sent ones, or if none were sent, the last that were. The
    time of creation is the sent one, or else the last. Activities and stages are those of
    both, each once by the rule of `crm.ledger.deduplication`, and what is held goes first.

    Parameters
    ----------
    lead, where, roles, known
        As `lead_cells` takes them.
    holdings : mapping of str to Held, or None
        What is held of each lead that has an id; None if the ledger cannot be read now.

    Returns
    -------
    JoinedLead

    Raises
    ------
    RequestError
        422 if the lead cannot be read, or there are no attributes of it; 503 if the ledger
        is needed for them and cannot be read now.
    """
    lead_id = cell_text(lead.lead_id)
    if lead_id is None:
        return as_sent(lead, where, roles, known)
    read = lead_cells(lead, where, roles, known)
    sent = structs.replace(
        read,
        activities=distinct("activities", [ledger_row(row, lead_id) for row in read.activities]),
        stages=distinct("stages", [ledger_row(row, lead_id) for row in read.stages]),
    )
    held = Held() if holdings is None else holdings[lead_id]
    cells, created_at = sent.cells, sent.created_at
    if lead.attributes is None:
        if holdings is None:
            raise RequestError(503, f"It came without `attributes`, and {AWAY}.", where or None)
        if held.sent is None:
            raise RequestError(
                422,
                "The object lacks required field `attributes`, and none are held of this lead.",
                where or None,
            )
        cells = {**held.sent.attributes, roles["lead_id"]: lead.lead_id}
    if created_at == NOT_A_TIME and held.sent and held.sent.created_at is not None:
        created_at = held.sent.created_at
    whole = LeadCells(
        cells=cells,
        created_at=created_at,
        activities=distinct("activities", [*held.activities, *sent.activities]),
        stages=distinct("stages", [*held.stages, *sent.stages]),
    )
    warnings = [AWAY] if holdings is None else []
    return JoinedLead(lead_id, sent, whole, lead.attributes is not None, warnings)


def used(lead: LeadCells, as_of: int) -> dict[str, Any]:
    """Say which activities and stages a score looked at: those up to its moment."""
    if not lead.activities and not lead.stages:
        return NOTHING_USED
    ids: set[Any] = set()
    count, newest = 0, NOT_A_TIME
    for row in lead.activities:
        name = row["activity_id"]
        if row["occurred_at"] <= as_of and name not in ids:
            count += 1
            newest = max(newest, row["occurred_at"])
            if name is not None:
                ids.add(name)
    return {
        "activities": count,
        "newest": time_text(newest) if count else None,
        "stages": sum(row["entered_at"] <= as_of for row in lead.stages),
    }
