"""Tests that requests are scored in micro-batches, with the results that they would get alone."""

import asyncio
import contextlib
import datetime
import json
import threading
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from typing import Any

import pytest

from features.times import cell_time
from models.scorer import LeadCells, LeadScorer, Score
from serving.app import ScoringApp
from serving.batching import MAX_BATCH_COST, MicroBatcher
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_connections import serving

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


class CountingScorer:
    """A scorer that records the size of each batch, and fails on leads with the cell `fail`."""

    def __init__(self, scorer: LeadScorer) -> None:
        self.scorer = scorer
        self.batch_sizes: list[int] = []

    def score_leads(self, leads: Sequence[LeadCells], as_of: Any, n_reasons: int) -> list[Score]:
        self.batch_sizes.append(len(leads))
        if any("fail" in lead.cells for lead in leads):
            raise ValueError("a lead makes the scorer fail")
        return self.scorer.score_leads(leads, as_of, n_reasons)


async def score_each(batcher: MicroBatcher, scorer: Any, leads: Sequence[LeadCells]) -> list[Any]:
    """Score each lead in a request of its own, all at the same time."""
    requests = (
        batcher.score(scorer, [lead], moment, 3)
        for lead, moment in zip(leads, MOMENTS, strict=False)
    )
    return await asyncio.gather(*requests, return_exceptions=True)


def test_batched_lead_equals_the_lead_alone(scorers: dict[str, LeadScorer]) -> None:
    for scorer in scorers.values():
        counting = CountingScorer(scorer)
        batched = asyncio.run(score_each(MicroBatcher(lambda: True), counting, LEADS))
        alone = [scorer.score_leads([lead], at, 3) for lead, at in zip(LEADS, MOMENTS, strict=True)]
        assert batched == alone
        assert counting.batch_sizes == [len(LEADS)]
    assert len(LEADS) < MAX_BATCH_COST


def test_single_request_is_not_delayed(trained: Any) -> None:
    counting: Any = CountingScorer(trained.scorer)
    request = MicroBatcher(lambda: False).score(counting, LEADS[:1], MOMENTS[0], 0)
    with pytest.raises(StopIteration):  # it is finished without a turn of an event loop
        request.send(None)
    assert counting.batch_sizes == [1]


def test_failing_request_does_not_fail_the_batch(trained: Any) -> None:
    leads = [*LEADS[:3], LeadCells({"fail": 1}), *LEADS[3:6]]
    scorer = CountingScorer(trained.scorer)
    results = asyncio.run(score_each(MicroBatcher(lambda: True), scorer, leads))
    assert [isinstance(result, ValueError) for result in results] == [
        lead.cells.keys() == {"fail"} for lead in leads
    ]
    assert results[4] == trained.scorer.score_leads([LEADS[3]], MOMENTS[4], 3)


def test_cancelled_requests_are_skipped_and_large_batches_split(trained: Any) -> None:
    counting: Any = CountingScorer(trained.scorer)

    async def score_and_cancel_the_last() -> list[Any]:
        batcher = MicroBatcher(lambda: True)
        tasks = [
            asyncio.create_task(batcher.score(counting, LEADS[:10], START, 0)) for _ in range(10)
        ]
        await asyncio.sleep(0)
        tasks[-1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(score_and_cancel_the_last())
    assert [isinstance(result, list) for result in results] == [True] * 9 + [False]
    assert counting.batch_sizes == [60, 30]  # each lead has an event


@pytest.fixture
def connections(trained: Any) -> Iterator[list[HTTPConnection]]:
    """Connect one caller for each lead to a service."""
    app = ScoringApp(Settings())
    app.model = ServedModel(trained.scorer, "1", "0" * 64)
    with serving(app) as port, contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=30)))
            for _ in LEADS
        ]


class PausedScoring:
    """Records the sizes of batches that a scorer scores, and makes it wait until it may score."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_score = threading.Event()
        self.is_scoring = threading.Event()
        self.batch_sizes: list[int] = []
        score_leads = LeadScorer.score_leads

        def wait_and_score(scorer: LeadScorer, leads: Any, *arguments: Any) -> list[Score]:
            self.is_scoring.set()
            self.may_score.wait(20)
            self.batch_sizes.append(len(leads))
            return score_leads(scorer, leads, *arguments)

        monkeypatch.setattr(LeadScorer, "score_leads", wait_and_score)


def test_concurrent_callers_get_the_same_scores_as_sequential_ones(
    connections: list[HTTPConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = PausedScoring(monkeypatch)
    as_of = datetime.datetime.fromtimestamp(START / 1e6, datetime.UTC).isoformat()

    def send(i: int) -> None:
        lead = {"attributes": dict(LEADS[i].cells)}
        body = json.dumps({"as_of": as_of, "reasons": i % 2, "leads": [lead]})
        connections[i].request("POST", "/score", body)

    def scores(i: int) -> Any:
        return json.loads(connections[i].getresponse().read())["scores"]

    scoring.may_score.set()
    sequential = []
    for i in range(len(LEADS)):
        send(i)
        sequential.append(scores(i))
    assert scoring.batch_sizes == [1] * len(LEADS)
    scoring.batch_sizes.clear()

    scoring.may_score.clear()  # the first request keeps the service busy until all have arrived
    scoring.is_scoring.clear()
    send(0)
    assert scoring.is_scoring.wait(20)
    for i in range(1, len(LEADS)):
        send(i)
    scoring.may_score.set()
    assert [scores(i) for i in range(len(LEADS))] == sequential
    assert sum(scoring.batch_sizes) == len(LEADS)
    assert scoring.batch_sizes[0] == 1
    assert len(scoring.batch_sizes) < 6
