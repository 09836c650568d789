"""Answers the calls, one method for each. This module knows neither HTTP nor BentoML."""

import datetime
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec

from crm.cells import cell_text
from crm.lanes import Lanes
from crm.ledger.entries import StoredLead
from crm.ledger.ledger import Ledger
from crm.ledger.long_history import HistoryQuery
from crm.times import NOT_A_TIME
from features.activity import WINDOWS_DAYS
from features.times import cell_time, time_text
from serving.batching import MicroBatcher, cost_in_leads
from serving.errors import RequestError
from serving.lead_results import LeadResult, paired, with_event_warnings, with_positions
from serving.ledger.calls import READ_SECONDS, LedgerCalls
from serving.ledger.joining import JoinedLead, as_sent, join, with_history
from serving.ledger.pending import PendingWrites
from serving.ledger.recording import batch_of, unexplained_of
from serving.ledger.score_writer import ScoreWriter
from serving.ledger.unwritten import unwritten_leads, with_unwritten
from serving.payloads.answers import (
    ErasedAnswer,
    FlatAnswer,
    LeadAnswer,
    ModelAnswer,
    ScoreAnswer,
    ScoredLead,
    StoredAnswer,
    item_error,
    scored_lead,
)
from serving.payloads.fields import LocalTimes
from serving.payloads.flat_lead import MAX_REASONS, flat_answer, read_flat
from serving.payloads.json_body import read_body
from serving.payloads.score import (
    LARGE_BODY,
    LeadPayload,
    NoFields,
    read_score_request,
    with_lead_id,
)
from serving.served_model import ServedModel
from serving.settings import Settings
from serving.shadow import Shadow

Call = Callable[[ServedModel, bytes, datetime.datetime, str], Awaitable[msgspec.Struct]]

CountScores = Callable[[Iterable[str], Iterable[tuple[str, str]]], None]

Result = TypeVar("Result")

THREAD_FROM_COST = 128  # in leads; cheaper requests block the event loop only briefly


class Calls:
    """The calls by path. Each takes model, body, time and request id, and returns the answer.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger, optional
        Without a ledger, leads are scored from what is sent, and nothing is stored.
    others_in_flight : callable, optional
        Returns whether other requests are being answered too. Such requests are scored together.

    Attributes
    ----------
    score_writer : ScoreWriter or None
        Writes scores in the background; None without a ledger.
    shadow : Shadow or None
        Scores leads with a second model in the background; None if the settings name none.
    count_scores : callable
        Called for each answer with the grades of its scores, and with the code and the attribute
        of each of their warnings. The attribute is empty if the model does not know it.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger | None = None,
        others_in_flight: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings = settings
        self.count_scores: CountScores = lambda *_: None
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
        # More threads would not score faster, and would take time from the event loop.
        self._one_thread = anyio.CapacityLimiter(1)
        self._batcher = MicroBatcher(others_in_flight)
        self._score_ids = map(f"{uuid.uuid4().hex}-{{}}".format, itertools.count())
        self.use_ledger(ledger)

    def use_ledger(self, ledger: Ledger | None, shared: Path | None = None) -> None:
        """Read from this ledger and write to it from now on.

        Parameters
        ----------
        ledger : Ledger or None
        shared : Path, optional
            The folder in which workers share what waits to be written.
        """
        self.ledger = LedgerCalls(ledger, PendingWrites(shared if ledger else None))
        self._lanes: Lanes | None = None
        self.score_writer = (
            ScoreWriter(ledger, self.ledger.faults, self.ledger.pending) if ledger else None
        )
        writer = self.score_writer
        self.shadow = Shadow(writer) if writer is not None and self.settings.shadow else None

    def close(self, seconds: float = 5.0) -> None:
        """Write the waiting scores for at most `seconds`, and close the ledger."""
        if self.shadow is not None:
            self.shadow.close()
        if self.score_writer is not None:
            self.score_writer.close(seconds)
        if self.ledger.ledger is not None:
            self.ledger.ledger.close()

    async def score(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> ScoreAnswer:
        """Score 1 to `max_leads` leads. The answer has a result or an error for each, in order."""
        if len(body) < LARGE_BODY:
            leads, as_of, n_reasons = read_score_request(body, self.settings)
        else:
            leads, as_of, n_reasons = await self._in_thread(
                partial(read_score_request, body, self.settings)
            )
        moment = cell_time(now) if as_of == NOT_A_TIME else as_of
        results = await self._score(model, leads, moment, n_reasons)
        results = await self._with_positions(model, results)
        results = with_event_warnings(model.scorer, results, cell_time(now))
        scored = [result for result in results if isinstance(result, LeadResult)]
        errors = [result for result in results if isinstance(result, RequestError)]
        if errors and not scored:
            raise errors[0]
        self._record(model, scored, moment, cell_time(now), request_id)
        items = [
            scored_lead(result.score, result.used, result.warnings, result.position)
            if isinstance(result, LeadResult)
            else ScoredLead(error=item_error(result))
            for result in results
        ]
        return ScoreAnswer(time_text(moment), items, request_id, model.identity)

    async def score_lead(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> FlatAnswer:
        """Score one lead, sent as a flat object and answered as a flat object."""
        lead, as_of = read_flat(body, self.settings, model.names_by_identifier)
        moment = cell_time(now) if as_of == NOT_A_TIME else as_of
        results = await self._score(model, [lead], moment, MAX_REASONS, is_batch=False)
        results = await self._with_positions(model, results)
        (result,) = with_event_warnings(model.scorer, results, cell_time(now))
        if isinstance(result, RequestError):
            raise result
        self._record(model, [result], moment, cell_time(now), request_id)
        return flat_answer(
            result.score,
            result.used,
            result.warnings,
            result.position,
            moment,
            model.identity,
            request_id,
        )

    async def lead(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> LeadAnswer:
        """Return everything that the ledger stores about a lead."""
        return await self.ledger.lead(model, body, request_id)

    async def erase(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> ErasedAnswer:
        """Erase a lead from the ledger, and so from the next training."""
        return await self.ledger.erase(model, body, cell_time(now), request_id)

    async def model(
        self, model: ServedModel, body: bytes, now: datetime.datetime, request_id: str
    ) -> ModelAnswer:
        """Return the card of the model that answers."""
        if body.strip():
            read_body(body, NoFields)
        return ModelAnswer(model.scorer.card.facts(), request_id, model.identity)

    async def _add(
        self,
        table: str,
        model: ServedModel,
        body: bytes,
        now: datetime.datetime,
        request_id: str,
    ) -> StoredAnswer:
        return await self.ledger.add(table, model, body, cell_time(now), request_id)

    async def _score(
        self,
        model: ServedModel,
        leads: Sequence[LeadPayload | RequestError],
        moment: int,
        n_reasons: int,
        is_batch: bool = True,
    ) -> list[LeadResult | RequestError]:
        """Join each lead with the ledger, and score those that can be scored.

        Expensive requests are joined and scored in a thread, so that other requests do not wait.
        """
        id_column, names = model.scorer.roles["lead_id"], model.scorer.column_names
        leads = [
            with_lead_id(lead, id_column, names)
            if isinstance(lead, LeadPayload) and lead.lead_id in (None, "")
            else lead
            for lead in leads
        ]
        unwritten: set[str] = set()
        stored = None
        read_until = time.monotonic() + READ_SECONDS
        if self.score_writer is not None:
            unwritten = await unwritten_leads(self.ledger, leads)
            stored = await self._stored(leads)
        if _cost(leads, stored) < THREAD_FROM_COST:
            joined = self._join(model, leads, stored, unwritten, is_batch)
            if stored is not None:
                joined = await self._with_histories(model, joined, stored, moment, read_until)
            cells = [lead.joined for lead in joined if isinstance(lead, JoinedLead)]
            scores = await self._batcher.score(model.scorer, cells, moment, n_reasons)
            return paired(joined, scores, moment)

        def score(joined: list[JoinedLead | RequestError]) -> list[LeadResult | RequestError]:
            cells = [lead.joined for lead in joined if isinstance(lead, JoinedLead)]
            scores = model.scorer.score_leads(cells, moment, n_reasons)
            return paired(joined, scores, moment)

        joined = await self._in_thread(
            partial(self._join, model, leads, stored, unwritten, is_batch)
        )
        if stored is not None:
            joined = await self._with_histories(model, joined, stored, moment, read_until)
        return await self._in_thread(partial(score, joined))

    async def _with_positions(
        self, model: ServedModel, results: list[LeadResult | RequestError]
    ) -> list[LeadResult | RequestError]:
        """Add lanes and orders, if there is a control group."""
        share = self.settings.control_share
        if not share:
            return results
        if self._lanes is None and "read" not in self.ledger.faults.causes:
            self._lanes = await self.ledger.lanes(share)
        return with_positions(model, results, self._lanes)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await anyio.to_thread.run_sync(work, limiter=self._one_thread)

    async def _with_histories(
        self,
        model: ServedModel,
        joined: list[JoinedLead | RequestError],
        stored: Mapping[str, StoredLead],
        moment: int,
        read_until: float,
    ) -> list[JoinedLead | RequestError]:
        """Read the totals of the leads that have too many events, one lead after the other.

        The leads for which no time is left are scored as if the ledger could not be read.
        """
        if not any(lead.is_long for lead in stored.values()):
            return joined
        histories = list(joined)
        for i, lead in enumerate(joined):
            if isinstance(lead, JoinedLead) and lead.is_long:
                query = _history_query(model, lead, moment)
                history = await self.ledger.long_history(query, read_until)
                histories[i] = with_history(lead, history)
        return histories

    def _join(
        self,
        model: ServedModel,
        leads: Sequence[LeadPayload | RequestError],
        stored: Mapping[str, StoredLead] | None,
        unwritten: Set[str],
        is_batch: bool,
    ) -> list[JoinedLead | RequestError]:
        """Join each lead with what the ledger stores about it, if there is a ledger."""
        roles, has_ledger = model.scorer.roles, self.score_writer is not None
        local = LocalTimes(model.scorer.time_format, model.scorer.timezone)
        joined: list[JoinedLead | RequestError] = []
        for i, lead in enumerate(leads):
            where = f"leads[{i}]" if is_batch else ""
            try:
                if isinstance(lead, RequestError):
                    joined.append(lead)
                elif has_ledger:
                    known = model.known_columns
                    with_stored = join(lead, where, roles, known, stored, local)
                    joined.append(with_unwritten(with_stored, unwritten))
                else:
                    joined.append(as_sent(lead, where, roles, model.known_columns, local))
            except RequestError as error:
                joined.append(error)
        return joined

    async def _stored(
        self, leads: Sequence[LeadPayload | RequestError]
    ) -> dict[str, StoredLead] | None:
        """Read what the ledger stores about the leads with an id; None if it cannot be read."""
        ids = [cell_text(lead.lead_id) for lead in leads if isinstance(lead, LeadPayload)]
        lead_ids = [lead_id for lead_id in ids if lead_id is not None]
        stored = await self.ledger.stored_leads(lead_ids)
        return None if stored is None else {lead_id: stored[lead_id] for lead_id in lead_ids}

    def _record(
        self,
        model: ServedModel,
        results: Sequence[LeadResult],
        moment: int,
        now: int,
        request_id: str,
    ) -> None:
        """Count the scores, and queue what was sent and answered about leads that have an id."""
        warnings = [
            (str(w.code), (w.column if w.column in model.known_columns else None) or "")
            for result in results
            for w in result.warnings
        ]
        self.count_scores([result.score.grade for result in results], warnings)
        if self.score_writer is None:
            return
        batch = batch_of(model, results, self._score_ids, moment, now, request_id)
        leads = [result.lead.joined for result in results if result.lead.lead_id is not None]
        if len(batch):
            self.score_writer.put(batch, now, unexplained_of(model, leads, batch.scores))
        if self.shadow is not None and batch.scores:
            self.shadow.put(model, leads, batch.scores)


def _cost(
    leads: Sequence[LeadPayload | RequestError], stored: Mapping[str, StoredLead] | None
) -> float:
    """Estimate the cost of a request in leads, including the sent and the stored events."""
    n_events = 0
    for lead in leads:
        if isinstance(lead, LeadPayload):
            n_events += len(lead.activities or ()) + len(lead.stages or ())
    for records in (stored or {}).values():
        n_events += len(records.activities) + len(records.stages)
    return cost_in_leads(len(leads), n_events)


def _history_query(model: ServedModel, lead: JoinedLead, moment: int) -> HistoryQuery:
    cells = model.scorer.column_names.of_lead(lead.joined.cells)
    named = msgspec.structs.replace(lead.joined, cells=cells)  # as the scorer names the columns
    return HistoryQuery(
        lead_id=str(lead.lead_id),
        as_of=moment,
        created_at=model.scorer.created_at_of(named),
        windows_days=WINDOWS_DAYS,
        activities=lead.sent.activities,
        stages=lead.sent.stages,
    )
