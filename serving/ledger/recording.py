"""Makes the entries of the ledger about scored leads."""

from collections.abc import Iterator, Sequence

import msgspec

from crm.ledger.entries import Batch, GivenScore, SentLead
from crm.times import NOT_A_TIME
from models.scorer import LeadCells, LeadScorer
from serving.lead_results import LeadResult
from serving.ledger.joining import JoinedLead
from serving.ledger.later_points import Unexplained, signal_points
from serving.payloads.answers import reason_answer
from serving.served_model import ServedModel


def batch_of(
    model: ServedModel,
    results: Sequence[LeadResult],
    score_ids: Iterator[str],
    moment: int,
    now: int,
    request_id: str,
) -> Batch:
    """Return what was sent and answered about the leads that have an id.

    Parameters
    ----------
    model : ServedModel
        The model that scored the leads.
    results : sequence of LeadResult
    score_ids : iterator of str
        Yields a new id for each score.
    moment, now : int
        The moment of scoring and the time of the request, in microseconds since 1970 UTC.
    request_id : str
    """
    signals = model.scorer.reasoner.signals
    with_id = [result for result in results if result.lead.lead_id is not None]
    return Batch(
        scores=[
            GivenScore(
                lead_id=str(lead.lead_id),
                score_id=next(score_ids),
                as_of=moment,
                probability=score.probability,
                score=score.score,
                grade=score.grade,
                model=model.scorer.card.name,
                version=model.version,
                digest=model.short_digest,
                reasons=[msgspec.structs.asdict(reason_answer(reason)) for reason in score.reasons],
                request_id=request_id,
                recorded_at=now,
                lane=position.lane if position else None,
                start=score.start,
                points=None if score.points is None else signal_points(signals, score.points),
                warnings=[{"code": w.code, "column": w.column} for w in warnings],
            )
            for lead, score, _, warnings, position in with_id
        ],
        leads=[
            (_sent_lead(result.lead, model.scorer), now)
            for result in with_id
            if result.lead.has_attributes
        ],
        activities=[row for result in with_id for row in result.lead.sent.activities],
        stages=[row for result in with_id for row in result.lead.sent.stages],
    )


def unexplained_of(
    model: ServedModel, leads: Sequence[LeadCells], given: Sequence[GivenScore]
) -> Unexplained:
    """Return the leads whose scores have no points yet.

    Parameters
    ----------
    model : ServedModel
        The model that scored the leads.
    leads : sequence of LeadCells
        The leads as it scored them.
    given : sequence of GivenScore
        Their scores, in the same order.
    """
    pairs = zip(given, leads, strict=True)
    return Unexplained(
        model.scorer, {score.score_id: lead for score, lead in pairs if score.points is None}
    )


def _sent_lead(lead: JoinedLead, scorer: LeadScorer) -> SentLead:
    created_at, id_column = scorer.created_at_of(lead.joined), scorer.roles["lead_id"]
    return SentLead(
        str(lead.lead_id),
        None if created_at == NOT_A_TIME else created_at,
        {name: cell for name, cell in lead.sent.cells.items() if name != id_column},
    )
