"""Joins what a caller sends of a lead with what the ledger holds of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from crm.cells import cell_text
from crm.ledger import Held
from crm.ledger_known import distinct
from features.moments import NOT_A_TIME
from features.times import time_text
from models.scorer import LeadCells
from serving.errors import RequestError
from serving.payloads import LeadPayload, lead_cells

AWAY: Final = "the ledger cannot be read now, so only what was sent with the lead counts"
NOTHING_USED: Final[dict[str, Any]] = {"activities": 0, "newest": None, "stages": 0}


@dataclass(frozen=True)
class JoinedLead:
    """A lead as it was sent, and as it is known with what the ledger holds.

    Attributes
    ----------
    lead_id : str or None
    sent, known : LeadCells
    has_attributes : bool
        Whether the caller sent attributes.
    warnings : list of str
        What the caller should know of the joining.
    """

    lead_id: str | None
    sent: LeadCells
    known: LeadCells
    has_attributes: bool
    warnings: list[str] = field(default_factory=list)


def join(
    lead: LeadPayload, where: str, roles: Mapping[str, str], holdings: Mapping[str, Held] | None
) -> JoinedLead:
    """Join a lead as it was sent with what is held of it.

    Attributes are never mixed: the sent ones, or if none were sent, the last that were. The
    time of creation is the sent one, or else the last. Activities and stages are those of
    both, each once by the rule of `crm.ledger_known`, and what is held goes first.

    Parameters
    ----------
    lead : LeadPayload
    where : str
        Its place in the request.
    roles : mapping of str to str
        As `LeadScorer` has them.
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
    sent = lead_cells(lead, where, roles)
    lead_id = cell_text(lead.lead_id)
    held = (holdings or {}).get(lead_id or "", Held())
    is_away = holdings is None and lead_id is not None
    known = sent
    if lead.attributes is None:
        if is_away:
            raise RequestError(503, f"It came without `attributes`, and {AWAY}.", where or None)
        if held.sent is None:
            raise RequestError(
                422,
                "The object lacks required field `attributes`, and none are held of this lead.",
                where or None,
            )
        known = replace(known, cells={**held.sent.attributes, roles["lead_id"]: lead.lead_id})
    if sent.created_at == NOT_A_TIME and held.sent and held.sent.created_at is not None:
        known = replace(known, created_at=held.sent.created_at)
    if sent.activities or held.activities:
        activities = distinct("activities", [*held.activities, *sent.activities])
        known = replace(known, activities=activities)
    if sent.stages or held.stages:
        known = replace(known, stages=distinct("stages", [*held.stages, *sent.stages]))
    has_attributes = lead.attributes is not None
    return JoinedLead(lead_id, sent, known, has_attributes, [AWAY] if is_away else [])


def used(lead: LeadCells, as_of: int) -> dict[str, Any]:
    """Say which activities and stages a score looked at: those up to its moment."""
    if not lead.activities and not lead.stages:
        return NOTHING_USED
    times = [row["occurred_at"] for row in lead.activities if row["occurred_at"] <= as_of]
    return {
        "activities": len(times),
        "newest": time_text(max(times)) if times else None,
        "stages": sum(row["entered_at"] <= as_of for row in lead.stages),
    }
