"""Scored leads, with what their answers add to the score."""

from collections.abc import Sequence
from typing import NamedTuple

from crm.lanes import Lanes
from models.scorer import LeadScorer, Score
from models.worklist import Position, position
from serving.errors import RequestError
from serving.ledger.joining import JoinedLead, used_events
from serving.payloads.answers import ItemWarning, Used, item_warning
from serving.payloads.plausibility import lead_warnings
from serving.served_model import ServedModel


class LeadResult(NamedTuple):
    """A scored lead: the lead as it was joined, its score, and what the answer adds to it.

    `position` is None without a control group.
    """

    lead: JoinedLead
    score: Score
    used: Used
    warnings: list[ItemWarning]
    position: Position | None = None


def paired(
    joined: Sequence[JoinedLead | RequestError], scores: Sequence[Score], moment: int
) -> list[LeadResult | RequestError]:
    """Pair each lead that could be joined with its score, and keep the errors in their places."""
    remaining = iter(scores)
    results: list[LeadResult | RequestError] = []
    for lead in joined:
        if isinstance(lead, RequestError):
            results.append(lead)
        else:
            score = next(remaining)
            warnings = [*map(item_warning, score.warnings), *lead.warnings]
            results.append(LeadResult(lead, score, used_events(lead.joined, moment), warnings))
    return results


def with_positions(
    model: ServedModel, results: list[LeadResult | RequestError], lanes: Lanes | None
) -> list[LeadResult | RequestError]:
    """Add the lane of each lead and its order in worklists.

    Parameters
    ----------
    model : ServedModel
        The model that scored the leads.
    results : list of LeadResult or RequestError
    lanes : Lanes or None
        None if the key of the lanes could not be read.
    """
    orders = model.neutral_orders
    return [
        result
        if isinstance(result, RequestError)
        else result._replace(
            position=position(lanes, orders, result.lead.lead_id, result.score.score)
        )
        for result in results
    ]


def with_event_warnings(
    scorer: LeadScorer, results: list[LeadResult | RequestError], now: int
) -> list[LeadResult | RequestError]:
    """Add the warnings about the events that were sent with leads; most leads have none."""
    for i, result in enumerate(results):
        if isinstance(result, RequestError):
            continue
        sent = result.lead.sent
        if sent.activities or sent.stages:
            warnings = lead_warnings(sent, scorer.created_at_of(result.lead.joined), now)
            results[i] = result._replace(warnings=[*result.warnings, *warnings])
    return results
