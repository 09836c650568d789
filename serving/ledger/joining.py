"""Joins what a caller sends about a lead with what the ledger stores about it."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from msgspec import structs

from crm.cells import cell_text
from crm.ledger.deduplication import distinct
from crm.ledger.entries import SentLead, StoredLead
from crm.ledger.long_history import LongHistory
from crm.ledger.reading import MOST_EVENTS
from crm.times import NOT_A_TIME
from features.times import time_text
from models.scorer import LeadCells
from serving.errors import RequestError
from serving.payloads.answers import ItemWarning, Used
from serving.payloads.event_rows import ledger_row
from serving.payloads.fields import ISO_TIMES, LocalTimes
from serving.payloads.json_errors import field_path
from serving.payloads.score import LeadPayload, lead_cells

LEDGER_UNAVAILABLE: Final = ItemWarning(
    "ledger_unavailable",
    None,
    "the ledger cannot be read now, so only what was sent with the lead counts",
)
FLAT_EXAMPLE: Final = '{"lead_id": "A7", "Lead Source": "Web"}'
NESTED_EXAMPLE: Final = '{"lead_id": "A7", "attributes": {"Lead Source": "Web"}}'
NO_EVENTS: Final = Used(activities=0, newest=None, stages=0)


class JoinedLead(NamedTuple):
    """A lead as it was sent, and joined with what the ledger stores about it.

    Attributes
    ----------
    lead_id : str or None
    sent, joined : LeadCells
    has_attributes : bool
        Whether the caller sent attributes.
    is_long : bool
        Whether the ledger has too many events of the lead, so that they are not joined yet.
    warnings : sequence of ItemWarning
        Warnings about the joining.
    """

    lead_id: str | None
    sent: LeadCells
    joined: LeadCells
    has_attributes: bool = True
    warnings: Sequence[ItemWarning] = ()
    is_long: bool = False


def as_sent(
    lead: LeadPayload,
    where: str,
    roles: Mapping[str, str],
    known_columns: Set[str],
    local: LocalTimes = ISO_TIMES,
) -> JoinedLead:
    """Read a lead as it was sent, without a ledger. The arguments are those of `lead_cells`.

    Raises
    ------
    RequestError
        422 if the lead cannot be read, or has no attributes.
    """
    if lead.attributes is None:
        raise _without_attributes(where)
    sent = lead_cells(lead, where, roles, known_columns, local)
    return JoinedLead(None, sent, sent)


def join(
    lead: LeadPayload,
    where: str,
    roles: Mapping[str, str],
    known_columns: Set[str],
    stored: Mapping[str, StoredLead] | None,
    local: LocalTimes = ISO_TIMES,
) -> JoinedLead:
    """Join a lead as it was sent with what the ledger stores about it.

    Sent and stored attributes are not mixed: if any were sent, only these count, else the last
    stored ones. The sent time of creation counts, or if none was sent, the last stored one. Stored
    and sent activities and stages both count, the stored ones first, without the duplicates that
    `crm.ledger.deduplication` finds.

    Parameters
    ----------
    lead, where, roles, known_columns, local
        The arguments of `lead_cells`.
    stored : mapping of str to StoredLead, or None
        The content of the ledger by lead id; None if the ledger cannot be read now.

    Returns
    -------
    JoinedLead

    Raises
    ------
    RequestError
        422 if the lead cannot be read, or its attributes are neither sent nor stored; 503 if
        they are not sent and the ledger cannot be read now.
    """
    lead_id = cell_text(lead.lead_id)
    if lead_id is None:
        return as_sent(lead, where, roles, known_columns, local)
    cells_as_sent = lead_cells(lead, where, roles, known_columns, local)
    sent = structs.replace(
        cells_as_sent,
        activities=distinct(
            "activities", [ledger_row(row, lead_id) for row in cells_as_sent.activities]
        ),
        stages=distinct("stages", [ledger_row(row, lead_id) for row in cells_as_sent.stages]),
    )
    records = StoredLead() if stored is None else stored[lead_id]
    cells, created_at = sent.cells, sent.created_at
    if lead.attributes is None:
        if stored is None:
            raise RequestError(
                503,
                "The lead was sent without attributes, and the ledger cannot be read now. Send "
                "the attributes, or repeat the request in a few seconds.",
                where or None,
            )
        if records.sent is None:
            raise _without_attributes(where, ", and the ledger has none for this lead")
        cells = {**records.sent.attributes, roles["lead_id"]: lead.lead_id}
    if created_at == NOT_A_TIME and records.sent and records.sent.created_at is not None:
        created_at = records.sent.created_at
    joined = LeadCells(
        cells=cells,
        created_at=created_at,
        activities=distinct("activities", [*records.activities, *sent.activities]),
        stages=distinct("stages", [*records.stages, *sent.stages]),
    )
    warnings = [LEDGER_UNAVAILABLE] if stored is None else []
    return JoinedLead(lead_id, sent, joined, lead.attributes is not None, warnings, records.is_long)


def _without_attributes(where: str, reason: str = "") -> RequestError:
    """Build the error about a lead without attributes; `where` is "" if it is the flat body."""
    if not where:
        return RequestError(
            422,
            f"The body contains no attributes of the lead{reason}. Send each attribute as a field "
            f"of the body, such as {FLAT_EXAMPLE}.",
        )
    return RequestError(
        422,
        f"The required field `attributes` is missing{reason}. Expected a lead such as "
        f"{NESTED_EXAMPLE}.",
        field_path(where, "attributes"),
    )


def as_stored(sent: SentLead, records: StoredLead, id_column: str) -> LeadCells:
    """Return a lead as the ledger stores it, to be scored without anything that is sent.

    Parameters
    ----------
    sent : SentLead
        The lead as it was sent last.
    records : StoredLead
        Its activities and stages.
    id_column : str
        The column of the lead's id.
    """
    return LeadCells(
        cells={**sent.attributes, id_column: sent.lead_id},
        created_at=NOT_A_TIME if sent.created_at is None else sent.created_at,
        activities=distinct("activities", records.activities),
        stages=distinct("stages", records.stages),
    )


def with_history(lead: JoinedLead, history: LongHistory | None) -> JoinedLead:
    """Join a lead with its long history; without one, only what was sent counts."""
    if history is None:
        return lead._replace(warnings=[*lead.warnings, LEDGER_UNAVAILABLE])
    joined = structs.replace(
        lead.joined,
        activities=history.activities,
        stages=history.stages,
        totals=history.totals,
    )
    if not history.problem:
        return lead._replace(joined=joined)
    message = (
        f"the lead has more than {MOST_EVENTS:,} stored events, and {history.problem}. The "
        "score may differ from that of all events"
    )
    warning = ItemWarning("approximate_history", None, message)
    return lead._replace(joined=joined, warnings=[*lead.warnings, warning])


def used_events(lead: LeadCells, as_of: int) -> Used:
    """Count the activities and stages up to a moment, which are those that a score uses."""
    if not lead.activities and not lead.stages and lead.totals is None:
        return NO_EVENTS
    ids: set[Any] = set()
    count, newest = 0, NOT_A_TIME
    for row in lead.activities:
        activity_id = row["activity_id"]
        if row["occurred_at"] <= as_of and activity_id not in ids:
            count += 1
            newest = max(newest, row["occurred_at"])
            if activity_id is not None:
                ids.add(activity_id)
    n_stages = sum(row["entered_at"] <= as_of for row in lead.stages)
    if lead.totals is not None:
        n_stages += lead.totals.n_stages
        count += lead.totals.activities.count
        newest = max([newest, *(group.last for group in lead.totals.activities.groups)])
    return Used(
        activities=count,
        newest=time_text(newest) if count else None,
        stages=n_stages,
    )
