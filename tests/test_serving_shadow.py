"""The shadow model: its scores are stored beside the given ones; answers do not depend on it."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crm.errors import ServiceError
from crm.ledger.entries import Batch
from crm.ledger.ledger import Ledger
from features.times import cell_time
from models.scorer import LeadCells
from serving.bento import store
from serving.bento.store import named_shadow, shadow_file, shadow_in_store
from serving.calls import Calls
from serving.ledger.score_writer import ScoreWriter
from serving.served_model import ServedModel
from serving.settings import Settings
from serving.shadow import COST_AT_ONCE, GATHER_SECONDS, Shadow
from tests.made_calls import CALL, LEAD, Ask, asker, given, score_of, shadow_of, written


@pytest.fixture
def challenger(scorers: Any) -> ServedModel:
    return ServedModel(scorers["blend 1.0"], "8", "fedcba9876543210")


@pytest.fixture
def writer(ledger: Ledger) -> Iterator[ScoreWriter]:
    writer = ScoreWriter(ledger)
    yield writer
    writer.close(seconds=30)


@pytest.fixture
def calls(ledger: Ledger) -> Iterator[Calls]:
    """Build the calls of a service that scores with a shadow, whose model is not loaded."""
    calls = Calls(Settings(max_leads=50, shadow="8"), ledger)
    yield calls
    calls.close()


def shadow_of_calls(calls: Calls) -> Shadow:
    assert calls.shadow is not None
    return calls.shadow


def stored_shadows(calls: Calls, ledger: Ledger) -> list[dict[str, Any]]:
    """Return the stored shadow scores, after everything was scored and written."""
    shadow_of_calls(calls).close(seconds=30)
    written(calls)
    return [row for rows in ledger.rows("shadow_scores") for row in rows]


def test_shadow_scores_the_lead_that_was_answered(
    ask: Ask, calls: Calls, challenger: ServedModel, ledger: Ledger
) -> None:
    shadow = shadow_of_calls(calls)
    shadow.model = challenger
    ask("/activities", {"activities": [CALL]})
    as_of = "2026-01-09T20:00:00+00:00"
    answered = score_of(ask("/score", {"leads": [LEAD], "as_of": as_of}))
    ask("/activities", {"activities": [CALL | {"occurred_at": "2026-01-09T12:00:00Z"}]})
    (row,) = stored_shadows(calls, ledger)
    (given_score,) = ledger.scores_of("L1")
    activity = {"type": CALL["type"], "occurred_at": cell_time(CALL["occurred_at"])}
    lead = LeadCells(LEAD["attributes"], cell_time(LEAD["created_at"]), [activity])
    (expected,) = challenger.scorer.score_leads([lead], cell_time(as_of))
    assert row == {
        "lead_id": "L1",
        "score_id": given_score.score_id,
        "as_of": cell_time(as_of),
        "probability": expected.probability,
        "score": expected.score,
        "grade": expected.grade,
        "model": challenger.scorer.card.name,
        "version": "8",
        "digest": "fedcba987654",
        "recorded_at": given_score.recorded_at,
    }
    assert answered["probability"] == given_score.probability != expected.probability
    assert (shadow.scored, shadow.dropped) == (1, 0)


def test_every_lead_of_many_requests_has_a_shadow_score(
    ask: Ask, calls: Calls, challenger: ServedModel, ledger: Ledger
) -> None:
    shadow_of_calls(calls).model = challenger
    for start in range(0, 120, 40):
        leads = [LEAD | {"lead_id": f"L{i}"} for i in range(start, start + 40)]
        ask("/score", {"leads": [*leads, {"attributes": {"source": "Web"}}]})
    rows = stored_shadows(calls, ledger)
    given_ids = {(row["lead_id"], row["score_id"]) for p in ledger.rows("scores") for row in p}
    assert len(rows) == 120
    assert {(row["lead_id"], row["score_id"]) for row in rows} == given_ids


def test_answers_do_not_depend_on_the_shadow(
    ask: Ask, calls: Calls, challenger: ServedModel, model: ServedModel
) -> None:
    alone = asker(Calls(Settings()), model)
    expected = alone("/score", {"leads": [LEAD]})
    for shadow_model in (None, challenger):
        shadow_of_calls(calls).model = shadow_model
        answer = ask("/score", {"leads": [LEAD]})
        score_of(answer)["warnings"] = score_of(expected)["warnings"]  # `not_yet_written` may occur
        assert answer == expected


def failing(model: ServedModel, monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    """Make a model fail for requests with the lead of this id."""
    scorer = model.scorer
    score_leads = type(scorer).score_leads

    def fail(self: Any, leads: Any, *arguments: Any) -> Any:
        if self is scorer and any(lead.cells.get("lead_id") == bad for lead in leads):
            raise RuntimeError("the shadow fails")
        return score_leads(self, leads, *arguments)

    monkeypatch.setattr(type(scorer), "score_leads", fail)


def test_one_of_two_leads_that_the_shadow_cannot_score_is_dropped(
    ask: Ask, calls: Calls, challenger: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(challenger, monkeypatch, "L1")
    shadow = shadow_of_calls(calls)
    shadow.model = challenger
    ask("/score", {"leads": [LEAD, LEAD | {"lead_id": "L2"}]})
    shadow.close(seconds=30)
    assert (shadow.scored, shadow.dropped) == (1, 1)


def test_lead_that_the_shadow_cannot_score_is_dropped_alone(
    ask: Ask,
    calls: Calls,
    challenger: ServedModel,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing(challenger, monkeypatch, "L3")
    shadow = shadow_of_calls(calls)
    shadow.model = challenger
    for _ in range(2):
        answer = ask("/score", {"leads": [LEAD | {"lead_id": f"L{i}"} for i in range(6)]})
        assert all("score" in score for score in answer["scores"])
    rows = stored_shadows(calls, ledger)
    assert sorted({row["lead_id"] for row in rows}) == ["L0", "L1", "L2", "L4", "L5"]
    assert (shadow.scored, shadow.dropped) == (10, 2)
    (line,) = (record for record in caplog.records if "shadow model failed" in record.message)
    assert line.fault == "RuntimeError"  # type: ignore[attr-defined]


def test_leads_are_dropped_while_there_is_no_model(ask: Ask, calls: Calls, ledger: Ledger) -> None:
    ask("/score", {"leads": [LEAD]})
    assert shadow_of_calls(calls).dropped == 1
    assert stored_shadows(calls, ledger) == []


def test_shadow_that_is_the_champion_scores_nothing(
    ask: Ask, calls: Calls, model: ServedModel, ledger: Ledger
) -> None:
    shadow = shadow_of_calls(calls)
    shadow.model = model
    ask("/score", {"leads": [LEAD]})
    assert stored_shadows(calls, ledger) == []
    assert (shadow.scored, shadow.dropped) == (0, 0)


def test_erased_lead_has_no_shadow_score(
    ask: Ask, calls: Calls, challenger: ServedModel, ledger: Ledger
) -> None:
    shadow_of_calls(calls).model = challenger
    ask("/erase", {"lead_id": "L1"})
    ask("/score", {"leads": [LEAD, LEAD | {"lead_id": "L2"}]})
    assert [row["lead_id"] for row in stored_shadows(calls, ledger)] == ["L2"]


def test_full_queue_drops_leads(
    writer: ScoreWriter, model: ServedModel, challenger: ServedModel
) -> None:
    shadow = Shadow(writer, max_queued=10)
    shadow.model = challenger
    events = [{"type": "call", "occurred_at": 0}] * 32  # as expensive as four more leads
    leads = [LeadCells({}, activities=events), *[LeadCells({})] * 9]
    shadow.put(model, leads, [given(number) for number in range(10)])
    assert shadow.dropped == 4
    shadow.close(seconds=30)
    assert (shadow.scored, shadow.dropped) == (6, 4)
    shadow.put(model, leads, [given(number) for number in range(10)])
    assert shadow.dropped == 14


def test_leads_that_are_not_scored_in_time_are_dropped(
    writer: ScoreWriter,
    model: ServedModel,
    challenger: ServedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.shadow.GATHER_SECONDS", 60.0)
    shadow = Shadow(writer)
    shadow.model = challenger
    shadow.put(model, [LeadCells({})] * 40, [given(number) for number in range(40)])
    shadow.close(seconds=-1)
    assert (shadow.scored, shadow.dropped) == (0, 40)


class Waits(threading.Event):
    """An event whose waits are noted and take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return self.is_set()


def wait_until_scored(shadow: Shadow, count: int) -> None:
    give_up = time.monotonic() + 30
    while shadow.scored < count:
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_shadow_rests_after_each_batch(
    writer: ScoreWriter,
    model: ServedModel,
    challenger: ServedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 10.25, 20.0, 20.5, 30.0, 31.0])  # before and after each batch
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    batches: list[int] = []
    put = writer.put

    def note(batch: Batch, now: int) -> None:
        batches.append(len(batch.shadow_scores))
        put(batch, now)

    monkeypatch.setattr(writer, "put", note)
    shadow = Shadow(writer)
    shadow.model = challenger
    shadow._ending = waits = Waits()
    shadow.put(model, [LeadCells({})] * 40, [given(number) for number in range(40)])
    wait_until_scored(shadow, 40)
    shadow.close(seconds=30)
    assert batches == [COST_AT_ONCE, COST_AT_ONCE, 8]
    assert waits.seconds[:4] == [GATHER_SECONDS, 6.0, 12.0, 24.0]


def test_shadow_scores_leads_that_come_later(
    writer: ScoreWriter, model: ServedModel, challenger: ServedModel
) -> None:
    shadow = Shadow(writer)
    shadow.model = challenger
    for number in range(3):
        shadow.put(model, [LeadCells({})], [given(number)])
        wait_until_scored(shadow, number + 1)
    shadow.close(seconds=30)
    assert (shadow.scored, shadow.dropped) == (3, 0)


def test_moments_of_a_batch_are_those_of_its_requests(
    ledger: Ledger, model: ServedModel, challenger: ServedModel
) -> None:
    writer = ScoreWriter(ledger)
    shadow = Shadow(writer)
    shadow.model = challenger
    created = cell_time("2026-01-01T08:00:00Z")
    moments = [cell_time("2026-01-02"), cell_time("2026-01-20")]
    activity = {"type": CALL["type"], "occurred_at": cell_time("2026-01-10")}
    lead = LeadCells(LEAD["attributes"], created, [activity])
    for number, moment in enumerate(moments):
        shadow.put(model, [lead], [replace(given(number), as_of=moment)])
    shadow.close(seconds=30)
    writer.close(seconds=30)
    rows = [row for rows in ledger.rows("shadow_scores") for row in rows]
    expected = challenger.scorer.score_leads([lead, lead], np.array(moments))
    assert expected[0].probability != expected[1].probability
    assert [row["probability"] for row in rows] == [score.probability for score in expected]


def test_scores_that_the_writer_loses_are_counted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ScoreWriter(ledger, max_queued=2)
    shadows = [shadow_of(given(number), "d2") for number in range(3)]
    monkeypatch.setattr(ledger, "add_batch", lambda *_: 1 / 0)
    writer.put(Batch(shadow_scores=shadows[:2]), 0)
    writer.put(Batch(shadow_scores=shadows[2:]), 0)
    assert writer.dropped_shadows == 1
    writer.close(seconds=30)
    assert (writer.dropped_shadows, writer.dropped) == (3, 0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    return tmp_path


def test_shadow_is_stored_under_another_name_than_champions(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = []

    def put(*arguments: str) -> str:
        stored.append(arguments[1:])
        return "leadscore_shadow:acme-v4-0"

    monkeypatch.setattr(store, "put_in_store", put)
    shadow_in_store(home, "acme", "4", "challenger")
    assert stored == [("acme", "4", "leadscore_shadow")]
    assert store.SHADOW_STORE != store.STORE_NAME
    assert named_shadow("acme", "challenger") == "leadscore_shadow:acme-v4-0"
    assert store.named_champion("acme") is None
    with pytest.raises(ServiceError, match="no shadow '4' of `acme`. Store it with"):
        named_shadow("acme", "4")


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_invalid_shadow_file_is_refused(home: Path, text: str) -> None:
    pointer = shadow_file("../acme/x", "4")
    assert pointer.parent.parent == home / "leadscore" / "shadows"
    pointer.parent.mkdir(parents=True)
    pointer.write_text(text)
    with pytest.raises(ServiceError, match="cannot be read"):
        named_shadow("../acme/x", "4")


def test_shadow_file_that_cannot_be_written_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "put_in_store", lambda *_: "leadscore_shadow:acme-v4-0")
    shadow_file("acme", "4").mkdir(parents=True)
    with pytest.raises(ServiceError, match="Services score without it"):
        shadow_in_store(home, "acme", "4", "4")
