"""The points of scores that were answered without reasons: computed before they are stored."""

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from crm.ledger.entries import Batch
from crm.ledger.ledger import Ledger
from crm.times import DAY
from models.scorer import LeadCells, LeadScorer
from serving.ledger.later_points import LaterPoints, Unexplained
from serving.ledger.score_writer import ScoreWriter
from tests.made_calls import Away, given, many_calls

LEADS = [
    LeadCells({"source": source, "employees": 10 * i, "country": "DE"}, created_at=i * DAY)
    for i, source in enumerate(["Web", "Partner", "Fair"] * 20)
]
NUMBERS = range(len(LEADS))


@pytest.fixture
def scorer(scorers: Any) -> LeadScorer:
    model: LeadScorer = scorers["blend 0.5"]
    return model


def unexplained(scorer: LeadScorer, *numbers: int) -> Unexplained:
    return Unexplained(scorer, {f"s{n}": LEADS[n % len(LEADS)] for n in numbers})


def points_of(ledger: Ledger) -> list[Any]:
    return [row["points"] for rows in ledger.rows("scores") for row in rows]


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_points_equal_those_of_reasons(scorer: LeadScorer, scorers: Any) -> None:
    """Whatever leads of whichever models are computed together."""
    other = next(model for name, model in scorers.items() if name != "blend 0.5")
    points = LaterPoints()
    points.keep(unexplained(scorer, *NUMBERS[:40]))
    points.keep(unexplained(other, *NUMBERS[40:]))
    rests: list[float] = []
    scores = [given(number) for number in NUMBERS]
    points.compute(scores, rests.append)
    assert len(rests) == 3 + 2
    for number, score in zip(NUMBERS, points.completed(scores), strict=True):
        model = scorer if number < 40 else other
        (alone,) = model.score_leads([LEADS[number]], 0, 3)
        assert alone.points is not None
        assert score.start == alone.start
        assert score.points == {
            signal: part
            for signal, part in zip(model.reasoner.signals, alone.points, strict=True)
            if part
        }
    points.forget(scores)
    assert len(points) == 0
    assert points.completed(scores) == scores


def test_lead_with_many_events_is_computed_alone(scorer: LeadScorer) -> None:
    points = LaterPoints()
    points.keep(unexplained(scorer, 0, 1, 2))
    busy = LeadCells(LEADS[1].cells, LEADS[1].created_at, many_calls(200))
    points.keep(Unexplained(scorer, {"s1": busy}))
    rests: list[float] = []
    points.compute([given(number) for number in range(3)], rests.append)
    assert len(rests) == 3


def test_points_are_computed_once_while_the_database_is_away(
    scorer: LeadScorer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    compute = LeadScorer.parts_of_leads

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return compute(*arguments)

    monkeypatch.setattr(LeadScorer, "parts_of_leads", counted)
    with Away("sqlite:///ledger.db", tmp_path) as ledger:
        writer = ScoreWriter(ledger)
        writer.put(Batch(scores=[given(0)]), 0, unexplained(scorer, 0))
        wait_until(lambda: bool(writer._faults.causes))
        ledger.is_away = False
        writer.close()
        assert (writer.written, writer.dropped) == (1, 0)
        assert len(calls) == 1
        (stored,) = points_of(ledger)
        assert stored


def test_scores_are_stored_without_points_that_cannot_be_computed(
    scorer: LeadScorer,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(LeadScorer, "parts_of_leads", broken)
    writer = ScoreWriter(ledger)
    with caplog.at_level(logging.ERROR, "leadscore"):
        for number in range(3):
            writer.put(Batch(scores=[given(number)]), 0, unexplained(scorer, number))
        writer.close()
    assert (writer.written, writer.dropped) == (3, 0)
    assert points_of(ledger) == [None] * 3
    assert [record.message for record in caplog.records] == ["points were not computed"]
    assert len(writer._points) == 0


def test_full_queue_is_written_without_points(scorer: LeadScorer, ledger: Ledger) -> None:
    """A lost score is worse than one without points."""
    writer = ScoreWriter(ledger, max_queued=100)
    scores = [given(number) for number in range(51)]
    writer.put(Batch(scores=scores), 0, unexplained(scorer, *range(51)))
    writer.put(Batch(scores=[given(99)] * 50), 0, unexplained(scorer, 99))  # dropped
    wait_until(lambda: writer.written > 0)
    writer.close()
    assert (writer.written, writer.dropped) == (51, 50)
    assert points_of(ledger) == [None] * 51
    assert len(writer._points) == 0


def test_leads_are_forgotten_when_their_scores_are_lost(scorer: LeadScorer, tmp_path: Any) -> None:
    writer = ScoreWriter(Away("sqlite:///ledger.db", tmp_path))
    writer.put(Batch(scores=[given(0)]), 0, unexplained(scorer, 0))
    writer.close(seconds=0.1)
    assert writer.dropped == 1
    assert len(writer._points) == 0
    assert writer._points.completed([given(0)]) == [given(0)]
