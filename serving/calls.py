"""What the service answers: one method a call. No HTTP here, and no framework."""

import datetime
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from features.moments import NOT_A_TIME
from features.times import cell_time, time_text
from models.scorer import LeadCells, LeadScorer
from serving.errors import RequestError
from serving.payloads import LeadPayload, lead_cells, read_score_request, score_body
from serving.settings import Settings

Call = Callable[["ServedModel", bytes, datetime.datetime], Awaitable[dict[str, Any]]]

IN_THREAD_FROM = 32  # leads; fewer take less time than changing threads


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

    def identity(self) -> dict[str, Any]:
        """Who answers, for the body of every answer."""
        card = self.scorer.card
        named = {"name": card.name, "version": self.version, "digest": self.digest[:12]}
        return named | {"simulated": True} if card.simulated else named


class Calls:
    """The calls, by path: model, body and time in, the answer's body out.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.by_path: dict[str, Call] = {"/score": self.score, "/model": self.model}

    async def score(
        self, model: ServedModel, body: bytes, now: datetime.datetime
    ) -> dict[str, Any]:
        """Score 1 to `max_leads` leads: a result or an error for each, in their order."""
        sent, as_of, n_reasons = read_score_request(body, self.settings)
        roles = model.scorer.roles
        leads = [_cells(lead, i, roles) for i, lead in enumerate(sent)]
        good = [lead for lead in leads if isinstance(lead, LeadCells)]
        first_error = next((lead for lead in leads if isinstance(lead, RequestError)), None)
        if not good and first_error is not None:
            raise first_error
        moment = cell_time(now) if as_of == NOT_A_TIME else as_of
        if len(good) < IN_THREAD_FROM:
            scores = model.scorer.score_leads(good, moment, n_reasons)
        else:
            scores = await anyio.to_thread.run_sync(
                model.scorer.score_leads, good, moment, n_reasons
            )
        waiting = iter(scores)
        items = [
            _item_error(lead) if isinstance(lead, RequestError) else score_body(next(waiting))
            for lead in leads
        ]
        return {"as_of": time_text(moment), "scores": items}

    async def model(
        self, model: ServedModel, body: bytes, now: datetime.datetime
    ) -> dict[str, Any]:
        """Give the card of the model that answers."""
        if body.strip() not in (b"", b"{}"):
            raise RequestError(422, "POST /model takes no fields. Send an empty body or {}.")
        return {"card": model.scorer.card.to_json()}


def _cells(
    lead: LeadPayload | RequestError, position: int, roles: Mapping[str, str]
) -> LeadCells | RequestError:
    if isinstance(lead, RequestError):
        return lead
    try:
        return lead_cells(lead, f"leads[{position}]", roles)
    except RequestError as error:
        return error


def _item_error(error: RequestError) -> dict[str, Any]:
    return {"error": {"code": "invalid", "message": error.message, "field": error.field}}
