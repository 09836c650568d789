"""Scored leads, with what their answers add to the score."""

from collections.abc import Sequence
from typing import NamedTuple

from models.scorer import LeadScorer, Score
from serving.errors import RequestError
from serving.ledger.joining import JoinedLead, used_events
from serving.payloads.answers import ItemWarning, Used, item_warning
from serving.payloads.plausibility import lead_warnings


class LeadResult(NamedTuple):
    """A scored lead: the lead as it was joined, its score, and what the answer adds to it."""

    lead: JoinedLead
    score: Score
    used: Used
    warnings: list[ItemWarning]


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
