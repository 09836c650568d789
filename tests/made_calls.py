"""Leads, events and helpers for the tests of the service's calls."""

import asyncio
import datetime
import json
from collections.abc import Callable
from typing import Any

import msgspec

from crm.errors import LedgerError
from crm.ledger.entries import GivenScore, ShadowScore
from crm.ledger.ledger import Ledger
from features.times import cell_time
from serving.calls import Calls
from serving.served_model import ServedModel

NOW = datetime.datetime(2026, 1, 10, 12, tzinfo=datetime.UTC)
LEAD: dict[str, Any] = {
    "lead_id": "L1",
    "created_at": "2026-01-01T08:00:00Z",
    "attributes": {"source": "Partner", "employees": 120, "country": "DE"},
}
CALL: dict[str, Any] = {
    "lead_id": "L1",
    "type": "demo_requested",
    "occurred_at": "2026-01-09T08:00:00Z",
}
ENTRY: dict[str, Any] = {
    "lead_id": "L1",
    "stage": "marketing_qualified",
    "entered_at": "2026-01-05T08:00:00Z",
}
Ask = Callable[..., Any]


def asker(calls: Calls, model: ServedModel) -> Ask:
    """Return a function that sends a call and decodes the answer."""

    def send(path: str, body: Any, now: datetime.datetime = NOW) -> Any:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer: Any = asyncio.run(calls.by_path[path](model, encoded, now, "r1"))  # type: ignore[arg-type]
        return json.loads(msgspec.json.encode(answer))

    return send


def written(calls: Calls) -> None:
    """Write all queued scores."""
    assert calls.score_writer is not None
    calls.score_writer.close()
    assert calls.score_writer.dropped == 0
    ledger = calls.ledger.ledger
    calls.use_ledger(ledger)


def score_of(answer: Any) -> Any:
    (score,) = answer["scores"] if isinstance(answer, dict) else answer.scores
    return score


class Away(Ledger):
    """A ledger whose database is unavailable while `is_away` is true."""

    is_away = True

    def stored_leads(self, *arguments: Any, **options: Any) -> Any:
        self._fail_if_away()
        return super().stored_leads(*arguments, **options)

    def lanes(self, *arguments: Any, **options: Any) -> Any:
        self._fail_if_away()
        return super().lanes(*arguments, **options)

    def add(self, *arguments: Any, **options: Any) -> Any:
        self._fail_if_away()
        return super().add(*arguments, **options)

    def add_batch(self, *arguments: Any, **options: Any) -> Any:
        self._fail_if_away()
        return super().add_batch(*arguments, **options)

    def _fail_if_away(self) -> None:
        if self.is_away:
            raise LedgerError("away")


def given(number: int) -> GivenScore:
    return GivenScore(
        lead_id="L1",
        score_id=f"s{number}",
        as_of=0,
        probability=0.5,
        score=50,
        grade="B",
        model="m",
        version="1",
        digest="d",
        reasons=[],
        request_id="r",
        recorded_at=0,
    )


def shadow_of(score: GivenScore, digest: str) -> ShadowScore:
    """Return the score of a shadow model with this digest, beside a given score."""
    return ShadowScore(
        lead_id=score.lead_id,
        score_id=score.score_id,
        as_of=score.as_of,
        probability=0.75,
        score=66,
        grade="A",
        model=score.model,
        version="2",
        digest=digest,
        recorded_at=score.recorded_at,
    )


def many_calls(count: int) -> list[dict[str, Any]]:
    at = cell_time(CALL["occurred_at"])
    return [CALL | {"activity_id": str(i), "occurred_at": at} for i in range(count)]
