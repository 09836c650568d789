"""Requests that have arrived together are scored together, and get what they would get alone."""

import asyncio
import contextlib
import datetime
import json
import threading
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any

import pytest

from features.times import cell_time
from models.scorer import LeadCells, LeadScorer, Score
from serving.app import ScoringApp
from serving.batching import MAX_BATCH_COST, MicroBatcher
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.test_serving_http_connection import serving

START = cell_time("2025-12-01")
LEADS = [
    LeadCells(
        {"source": source, "employees": size, "country": "DE"},
        created_at=START - size,
        activities=[
            {
                "type": "demo_requested",
                "occurred_at": START + size,
                "activity_id": None,
                "content": None,
                "channel": None,
                "value": None,
            }
        ],
    )
    for source in ("Partner", "Webinar", None, "never seen")
    for size in range(1, 1_000_000_000, 90_000_007)
]
MOMENTS = [START + 7 * 86_400_000_000 * (i % 5) for i in range(len(LEADS))]


class Counting:
    """A scorer that notes how many leads it is asked for at a time."""

    def __init__(self, scorer: LeadScorer) -> None:
        self.scorer = scorer
        self.asked: list[int] = []

    def score_leads(self, leads: Sequence[LeadCells], as_of: Any, n_reasons: int) -> list[Score]:
        self.asked.append(len(leads))
        if any("spoil" in lead.cells for lead in leads):
            raise ValueError("spoilt")
        return self.scorer.score_leads(leads, as_of, n_reasons)


async def ask_all(batcher: MicroBatcher, scorer: Any, leads: Sequence[LeadCells]) -> list[Any]:
    calls = (
        batcher.score(scorer, [lead], moment, 3)
        for lead, moment in zip(leads, MOMENTS, strict=False)
    )
    return await asyncio.gather(*calls, return_exceptions=True)


def test_batched_lead_equals_the_lead_alone(scorers: dict[str, LeadScorer]) -> None:
    for scorer in scorers.values():
        counting = Counting(scorer)
        found = asyncio.run(ask_all(MicroBatcher(lambda: True), counting, LEADS))
        alone = [scorer.score_leads([lead], at, 3) for lead, at in zip(LEADS, MOMENTS, strict=True)]
        assert found == alone
        assert counting.asked == [len(LEADS)]
    assert len(LEADS) < MAX_BATCH_COST


def test_single_request_is_not_delayed(trained: Any) -> None:
    counting = Counting(trained.scorer)
    call = MicroBatcher(lambda: False).score(counting, LEADS[:1], MOMENTS[0], 0)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):  # no turn of an event loop is needed
        call.send(None)
    assert counting.asked == [1]


def test_failing_request_does_not_fail_the_batch(trained: Any) -> None:
    leads = [*LEADS[:3], LeadCells({"spoil": 1}), *LEADS[3:6]]
    found = asyncio.run(ask_all(MicroBatcher(lambda: True), Counting(trained.scorer), leads))
    assert [type(each) for each in found].count(ValueError) == 1
    assert isinstance(found[3], ValueError)
    assert found[4] == trained.scorer.score_leads([LEADS[3]], MOMENTS[4], 3)


def test_cancelled_requests_are_skipped_and_large_batches_split(trained: Any) -> None:
    counting = Counting(trained.scorer)

    async def run() -> None:
        batcher = MicroBatcher(lambda: True)
        tasks = [
            asyncio.create_task(batcher.score(counting, LEADS[:10], START, 0))  # type: ignore[arg-type]
            for _ in range(10)
        ]
        await asyncio.sleep(0)
        tasks[-1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, list) for each in done] == [True] * 9 + [False]

    asyncio.run(run())
    assert counting.asked == [60, 30]  # each lead has an event


def test_concurrent_callers_get_the_same_scores_as_sequential_ones(
    trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = ScoringApp(Settings())
    app.model = ServedModel(trained.scorer, "1", "0" * 64)
    at = datetime.datetime.fromtimestamp(START / 1e6, datetime.UTC).isoformat()
    bodies = [
        json.dumps({"as_of": at, "reasons": i % 2, "leads": [{"attributes": dict(lead.cells)}]})
        for i, lead in enumerate(LEADS)
    ]
    sizes: list[int] = []
    may_go_on = threading.Event()
    score_leads = LeadScorer.score_leads

    def noted(self: LeadScorer, leads: Any, *rest: Any) -> list[Score]:
        may_go_on.wait(20)
        sizes.append(len(leads))
        return score_leads(self, leads, *rest)

    monkeypatch.setattr(LeadScorer, "score_leads", noted)
    with serving(app) as port, contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=30)))
            for _ in bodies
        ]

        def sent(i: int) -> HTTPConnection:
            connections[i].request("POST", "/score", bodies[i])
            return connections[i]

        def answer(connection: HTTPConnection) -> Any:
            return json.loads(connection.getresponse().read())["scores"]

        may_go_on.set()
        alone = [answer(sent(i)) for i in range(len(bodies))]
        assert sizes == [1] * len(bodies)
        sizes.clear()
        may_go_on.clear()  # the service is busy with the first while the others arrive
        waiting = [sent(i) for i in range(len(bodies))]
        may_go_on.set()
        assert [answer(connection) for connection in waiting] == alone
    assert sum(sizes) == len(bodies)
    assert len(sizes) < 6
