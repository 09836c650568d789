"""What the service answers: one method a call. No HTTP here, and no framework."""

import datetime
import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import anyio
import anyio.to_thread

from crm.cells import cell_text
from crm.ledger.ledger import Batch, GivenScore, Held, Ledger, SentLead
from crm.outcomes import meanings
from crm.times import NOT_A_TIME
from features.times import cell_time, time_text
from models.scorer import LeadScorer, Score
from serving.batching import EVENTS_LIKE_A_LEAD, Together
from serving.errors import RequestError
from serving.ledger.calls import LedgerCalls, item_error
from serving.ledger.joining import JoinedLead, as_sent, join, used
from serving.ledger.score_writer import ScoreWriter
from serving.payloads.flat_lead import REASONS, flat_body, names_by_identifier, read_flat
from serving.payloads.score import (
    LeadPayload,
    NoFields,
    read_body,
    read_score_request,
    reason_body,
    score_body,
)
from serving.settings import Settings

Call = Callable[["ServedModel", bytes, datetime.datetime, str], Awaitable[dict[str, Any]]]

IN_THREAD_FROM = 128  # leads; fewer take less time than the event loop can be spared for


@dataclass(frozen=True)
class ServedModel:
    """The model that answers.

    Attributes
    ----------
    scorer : LeadScorer
    version : str
        The registry's version, as the caller sees it.
    digest : str
        Of the artefact's deciding files.
    """

    scorer: LeadScorer
    version: str
    digest: str

    @cached_property
    def known(self) -> Set[str]:
        """The CRM's names of columns that the model knows, in its order."""
        pipeline = self.scorer.pipeline
        left_out = [left.column for left in pipeline.left_out]
        return dict.fromkeys([*pipeline.columns, *left_out, *self.scorer.roles.values()]).keys()

    @cached_property
    def names_by_identifier(self) -> dict[str, str]:
        """The CRM's names of columns, by what a flow can write."""
        return names_by_identifier(self.known)

    @cached_property
    def outcome_words(self) -> dict[str, str]:
        """What the CRM's words for how leads end mean; empty if the card does not say all."""
        label = self.scorer.card.label
        if not {"lost", "open"} <= label.keys():
            return {}
        return meanings(label["won"], label["lost"], label["open"])

    def identity(self) -> dict[str, Any]:
        """Who answers, for the body of every answer."""
        card = self.scorer.card
        named = {"name": card.name, "version": self.version, "digest": self.digest[:12]}
        return named | {"simulated": True} if card.simulated else named


class Calls:
    """The calls, by path: model, body, time and request id in, the answer's body out.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger, optional
        Without one, leads are scored from what is sent, and nothing is kept.
    has_company : callable, optional
        Tells whether several requests are at work, which are then scored together.

    Attributes
    ----------
    score_writer : ScoreWriter or None
        What writes scores behind the answers, where there is a ledger.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger | None = None,
        has_company: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings = settings
        self.by_path: dict[str, Call] = {
            "/score": self.score,
            "/score_lead": self.score_lead,
            "/activities": partial(self._add, "activities"),
            "/stages": partial(self._add, "stages"),
            "/outcomes": partial(self._add, "outcomes"),
            "/lead": self.lead,
            "/erase": self.erase,
            "/model": self.model,
        }
        # More threads would score no faster, and keep the one that answers from its turn.
        self._one_thread = anyio.CapacityLimiter(1)
        self._together = Together(has_company)
        self._score_ids = map(f"{uuid.uuid4().hex}-{{}}".format, itertools.count())
        self.keep_in(ledger)

    def keep_in(self, ledger: Ledger | None) -> None:
        """Ask and fill this ledger from now on."""
        self.ledger = LedgerCalls(ledger)
        self.score_writer = ScoreWriter(ledger, self.ledger.faults) if ledger else None

    def close(self, seconds: float = 5.0) -> None:
        """Write the scores that wait, for at most so many seconds, and let the ledger go."""
        if self.score_writer is not None:
            self.score_writer.close(seconds)
        if self.ledger.ledger is not None:
            self.ledger.ledger.close()

    async def score(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> dict[str, Any]:
        """Score 1 to `max_leads` leads: a result or an error for each, in their order."""
        sent, as_of, n_reasons = read_score_request(body, self.settings)
        moment = cell_time(now) if as_of == NOT_A_TIME else as_of
        found = await self._scored(model, sent, moment, n_reasons)
        good = [one for one in found if isinstance(one, Scored)]
        first_error = next((one for one in found if isinstance(one, RequestError)), None)
        if not good and first_error is not None:
            raise first_error
        items = [
            score_body(one.score, one.used) if isinstance(one, Scored) else item_error(one)
            for one in found
        ]
        self._keep(model, good, moment, cell_time(now), request_id)
        return {"as_of": time_text(moment), "scores": items}

    async def score_lead(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> dict[str, Any]:
        """Score one lead: one flat object in, one flat object out."""
        sent, as_of = read_flat(body, self.settings, model.names_by_identifier)
        moment = cell_time(now) if as_of == NOT_A_TIME else as_of
        (found,) = await self._scored(model, [sent], moment, REASONS, is_batch=False)
        if isinstance(found, RequestError):
            raise found
        self._keep(model, [found], moment, cell_time(now), request_id)
        return flat_body(found.score, found.used) | {
            "as_of": time_text(moment),
            "model_name": model.scorer.card.name,
            "model_version": model.version,
        }

    async def lead(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> dict[str, Any]:
        """Show what is held of a lead."""
        return await self.ledger.lead(body)

    async def erase(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> dict[str, Any]:
        """Forget a lead, here and in the next training."""
        return await self.ledger.erase(body, cell_time(now))

    async def model(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> dict[str, Any]:
        """Give the card of the model that answers."""
        if body.strip():
            read_body(body, NoFields)
        return {"card": model.scorer.card.to_json()}

    async def _add(
        self,
        kind: str,
        model: ServedModel,
        body: bytes,
        now: datetime.datetime,
        request_id: str,
    ) -> dict[str, Any]:
        return await self.ledger.add(kind, body, cell_time(now), model.outcome_words)

    async def _scored(
        self,
        model: ServedModel,
        sent: Sequence[LeadPayload | RequestError],
        moment: int,
        n_reasons: int,
        is_batch: bool = True,
    ) -> list["Scored | RequestError"]:
        """Join each lead with what is held of it, and score those that can be.

        Much is done in the thread, from the joining on: nobody else waits for it.
        """
        holdings = await self._held(sent) if self.score_writer is not None else None
        if _leads_worth(sent, holdings) < IN_THREAD_FROM:
            joined = self._joined(model, sent, holdings, is_batch)
            known = [lead.known for lead in joined if isinstance(lead, JoinedLead)]
            scores = await self._together.score(model.scorer, known, moment, n_reasons)
            return _with_scores(joined, scores, moment)

        def work() -> list[Scored | RequestError]:
            joined = self._joined(model, sent, holdings, is_batch)
            known = [lead.known for lead in joined if isinstance(lead, JoinedLead)]
            scores = model.scorer.score_leads(known, moment, n_reasons)
            return _with_scores(joined, scores, moment)

        return await anyio.to_thread.run_sync(work, limiter=self._one_thread)

    def _joined(
        self,
        model: ServedModel,
        sent: Sequence[LeadPayload | RequestError],
        holdings: Mapping[str, Held] | None,
        is_batch: bool,
    ) -> list[JoinedLead | RequestError]:
        """Join each lead with what is held of it, where there is a ledger."""
        roles, has_ledger = model.scorer.roles, self.score_writer is not None
        joined: list[JoinedLead | RequestError] = []
        for i, lead in enumerate(sent):
            where = f"leads[{i}]" if is_batch else ""
            try:
                if isinstance(lead, RequestError):
                    joined.append(lead)
                elif has_ledger:
                    joined.append(join(lead, where, roles, model.known, holdings))
                else:
                    joined.append(as_sent(lead, where, roles, model.known))
            except RequestError as error:
                joined.append(error)
        return joined

    async def _held(self, sent: Sequence[LeadPayload | RequestError]) -> dict[str, Held] | None:
        ids = [cell_text(lead.lead_id) for lead in sent if isinstance(lead, LeadPayload)]
        named = [lead_id for lead_id in ids if lead_id is not None]
        held = await self.ledger.held(named)
        return None if held is None else {lead_id: held[lead_id] for lead_id in named}

    def _keep(
        self,
        model: ServedModel,
        found: Sequence["Scored"],
        moment: int,
        now: int,
        request_id: str,
    ) -> None:
        """Have what was sent and answered written, of leads that have an id."""
        if self.score_writer is None:
            return
        kept = [(one.lead, one.score) for one in found if one.lead.lead_id is not None]
        batch = Batch(
            scores=[
                GivenScore(
                    lead_id=str(lead.lead_id),
                    score_id=next(self._score_ids),
                    as_of=moment,
                    probability=score.probability,
                    score=score.score,
                    grade=score.grade,
                    model=model.scorer.card.name,
                    version=model.version,
                    digest=model.digest[:12],
                    reasons=[reason_body(reason) for reason in score.reasons],
                    request_id=request_id,
                    recorded_at=now,
                )
                for lead, score in kept
            ],
            leads=[
                (_sent_lead(lead, model.scorer), now) for lead, _ in kept if lead.has_attributes
            ],
            activities=[row for lead, _ in kept for row in lead.sent.activities],
            stages=[row for lead, _ in kept for row in lead.sent.stages],
        )
        if len(batch):
            self.score_writer.put(batch, now)


class Scored(NamedTuple):
    """A lead as it was joined, its score, and what the answer says was used."""

    lead: JoinedLead
    score: Score
    used: dict[str, Any]


def _with_scores(
    joined: Sequence[JoinedLead | RequestError], scores: Sequence[Score], moment: int
) -> list[Scored | RequestError]:
    waiting = iter(scores)
    found: list[Scored | RequestError] = []
    for lead in joined:
        if isinstance(lead, RequestError):
            found.append(lead)
        else:
            score = next(waiting)
            score.warnings.extend(lead.warnings)
            found.append(Scored(lead, score, used(lead.known, moment)))
    return found


def _leads_worth(
    sent: Sequence[LeadPayload | RequestError], holdings: Mapping[str, Held] | None
) -> float:
    """Say of how many leads a request is worth the work, their events counted in."""
    events = 0
    for lead in sent:
        if isinstance(lead, LeadPayload):
            events += len(lead.activities or ()) + len(lead.stages or ())
    for held in (holdings or {}).values():
        events += len(held.activities) + len(held.stages)
    return len(sent) + events / EVENTS_LIKE_A_LEAD


def _sent_lead(lead: JoinedLead, scorer: LeadScorer) -> SentLead:
    created_at, id_column = scorer.created_at_of(lead.known), scorer.roles["lead_id"]
    return SentLead(
        str(lead.lead_id),
        None if created_at == NOT_A_TIME else created_at,
        {name: cell for name, cell in lead.sent.cells.items() if name != id_column},
    )
