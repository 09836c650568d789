"""Finds leads to score whose earlier entries are not written to the ledger yet."""

import asyncio
from collections.abc import Sequence, Set
from typing import Final

from crm.cells import cell_text
from serving.errors import RequestError
from serving.ledger.calls import LedgerCalls
from serving.ledger.joining import JoinedLead
from serving.ledger.pending import ATTRIBUTES, EVENTS
from serving.payloads.answers import ItemWarning
from serving.payloads.score import LeadPayload

NOT_YET_WRITTEN: Final = ItemWarning(
    "not_yet_written",
    None,
    "activities, stages or attributes of this lead that were sent a moment ago may not count yet: "
    "they wait to be written to the ledger, usually for less than a second",
)


async def unwritten_leads(
    ledger: LedgerCalls, leads: Sequence[LeadPayload | RequestError]
) -> set[str]:
    """Wait until what was sent about leads before is written; return the ids of the others.

    A lead that is sent without activities and stages waits for those that were sent before. A lead
    that is sent without attributes waits for its last ones. A lead that is sent with activities or
    stages does not wait for earlier ones: many CRMs send all of them each time.
    """
    waiting: dict[int, list[str]] = {}
    unwritten: set[str] = set()
    for lead in leads:
        lead_id = cell_text(lead.lead_id) if isinstance(lead, LeadPayload) else None
        if not isinstance(lead, LeadPayload) or lead_id is None:
            continue
        has_events = bool(lead.activities or lead.stages)
        if lead.attributes is None and ledger.pending.is_waiting(lead_id, [ATTRIBUTES]):
            waiting.setdefault(ATTRIBUTES, []).append(lead_id)
        if ledger.pending.is_waiting(lead_id, [EVENTS]):
            if has_events:
                unwritten.add(lead_id)
            else:
                waiting.setdefault(EVENTS, []).append(lead_id)
    are_written = await asyncio.gather(
        *(ledger.wait_until_written(lead_ids, [kind]) for kind, lead_ids in waiting.items())
    )
    for lead_ids, is_written in zip(waiting.values(), are_written, strict=True):
        if not is_written:
            unwritten.update(lead_ids)
    return unwritten


def with_unwritten(lead: JoinedLead, unwritten: Set[str]) -> JoinedLead:
    """Add a warning to a lead if something that was sent about it is not written yet."""
    if lead.lead_id not in unwritten:
        return lead
    return lead._replace(warnings=[*lead.warnings, NOT_YET_WRITTEN])
