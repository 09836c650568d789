"""The calls about a lead with very many events, and other requests at the same time."""

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from crm.ledger.ledger import Ledger
from crm.ledger.reading import MOST_EVENTS
from crm.ledger.schema import EVENTS
from crm.times import DAY
from features.times import cell_time
from serving.calls import Calls
from serving.ledger import calls as ledger_calls
from serving.ledger.calls import LedgerCalls
from serving.payloads import score as score_payload
from serving.payloads.event_rows import ledger_row
from serving.served_model import ServedModel
from tests.made_calls import CALL, ENTRY, LEAD, NOW, Ask, score_of

N = MOST_EVENTS + 100
TYPES = ("demo_requested", "email_opened", "page_view")
AT = cell_time(NOW)


@pytest.fixture
def events() -> list[dict[str, Any]]:
    """Return the activities of a lead with a long history, some after NOW."""
    return [
        {
            "type": TYPES[i % 3],
            "occurred_at": AT + DAY - i * DAY // 20,
            "channel": "web" if i % 4 else None,
            "content": f"page {i % 37}",
            "value": None,
            "activity_id": f"a{i}",
        }
        for i in range(N)
    ]


@pytest.fixture
def long_lead(ledger: Ledger, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Store a long history; return the lead without events."""
    ledger.database.prepare()
    rows = [ledger_row(row, "L1") | {"recorded_at": 0} for row in events]
    table = EVENTS["activities"].table
    ledger.database.write(lambda connection: connection.execute(table.insert(), rows))
    return LEAD


def as_sent(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"occurred_at": row["occurred_at"] // 1_000} for row in events]


def test_long_history_scores_as_if_all_events_were_sent(
    ask: Ask, long_lead: dict[str, Any], events: list[dict[str, Any]], model: ServedModel
) -> None:
    new = [
        as_sent(events[:1])[0] | {"activity_id": None, "content": "new"},
        as_sent(events[25:26])[0],  # a repeat
        CALL | {"activity_id": "b", "occurred_at": "2026-01-09T00:00:00Z"},
    ]
    new = [{name: cell for name, cell in row.items() if name != "lead_id"} for row in new]
    entry = {"stage": ENTRY["stage"], "entered_at": ENTRY["entered_at"]}
    for as_of in ("2026-01-10T12:00:00Z", "2025-12-24T08:00:00Z", "2024-01-01"):
        of_ledger, of_request = (
            ask("/score", {"leads": [lead | {"stages": [entry]}], "reasons": 20, "as_of": as_of})
            for lead in (
                long_lead | {"activities": new},
                long_lead | {"lead_id": "L2", "activities": [*as_sent(events), *new]},
            )
        )
        assert score_of(of_ledger) | {"lead_id": "L2"} == score_of(of_request)
    assert score_of(of_ledger)["used"]["activities"] == 0


def test_uncertain_history_is_a_warning(
    ask: Ask, long_lead: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.ledger.long_history.MOST_GROUPS", 1)
    warning = score_of(ask("/score", {"leads": [long_lead]}))["warnings"][-1]
    assert warning["code"] == "approximate_history"
    assert warning["message"] == (
        "the lead has more than 2,000 stored events, and they have very many types, so rare types "
        "count as other types. The score may differ from that of all events"
    )


def test_history_that_takes_too_long_is_left_out(
    ask: Ask, ledger: Ledger, long_lead: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ledger.long_history
    monkeypatch.setattr(ledger, "long_history", lambda query, _: read(query, seconds=0.0))
    monkeypatch.setattr("crm.ledger.long_history.STEPS", 10)
    score = score_of(ask("/score", {"leads": [long_lead]}))
    assert score["warnings"][-1]["code"] == "ledger_unavailable"
    assert score["used"]["activities"] == 0
    monkeypatch.undo()
    assert score_of(ask("/score", {"leads": [long_lead]}))["used"]["activities"] == N - 20


def test_lead_with_a_long_history_is_shown_in_short(ask: Ask, long_lead: dict[str, Any]) -> None:
    stages = [ENTRY | {"stage_id": str(i)} for i in range(120)]
    assert ask("/stages", {"stages": stages})["accepted"] == 120
    answer = ask("/lead", {"lead_id": "L1"})
    assert answer["activities"] == {"count": N, "newest": "2026-01-11T12:00:00+00:00"}
    assert (len(answer["stages"]), answer["stages_count"]) == (100, 120)
    assert (answer["outcomes"], answer["outcomes_count"]) == ([], 0)


def test_created_at_under_another_spelling_is_used(
    ask: Ask, long_lead: dict[str, Any], model: ServedModel
) -> None:
    column = model.scorer.roles["created_at"]
    lead = {name: cell for name, cell in long_lead.items() if name != "created_at"}
    lead["attributes"] = lead["attributes"] | {f"{column.upper()} ": "2026-01-01T08:00:00Z"}
    score = score_of(ask("/score", {"leads": [lead]}))
    assert score["probability"] == score_of(ask("/score", {"leads": [long_lead]}))["probability"]


class SlowReads:
    """Reads of a ledger that wait until `may_read` is set, if they are of the lead `slow`."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_read = threading.Event()
        for name in ("stored_leads", "long_history"):
            monkeypatch.setattr(ledger, name, self._waiting(getattr(ledger, name)))

    def _waiting(self, read: Any) -> Any:
        def wait_and_read(asked: Any, *seconds: float) -> Any:
            if getattr(asked, "lead_id", None) == "L1" or (not seconds and "slow" in asked):
                assert self.may_read.wait(20)
            return read(asked, *seconds)

        return wait_and_read


def test_long_histories_of_one_request_share_one_time_limit(
    ask: Ask, ledger: Ledger, long_lead: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ledger.long_history

    def read_slowly(query: Any, seconds: float) -> Any:
        time.sleep(0.5)
        return read(query, seconds)

    monkeypatch.setattr(ledger, "long_history", read_slowly)
    monkeypatch.setattr("serving.calls.READ_SECONDS", 1.25)
    started = time.monotonic()
    scores = ask("/score", {"leads": [long_lead] * 20})["scores"]
    assert time.monotonic() - started < 5
    in_time = [score["used"]["activities"] == N - 20 for score in scores]
    assert in_time == sorted(in_time, reverse=True)
    assert 1 <= sum(in_time) <= 3
    codes = [[warning["code"] for warning in score["warnings"]] for score in scores]
    assert ["ledger_unavailable" in of_score for of_score in codes] == [not x for x in in_time]


def test_long_history_without_an_end_is_given_up(
    calls: Calls,
    model: ServedModel,
    ledger: Ledger,
    long_lead: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = SlowReads(ledger, monkeypatch)
    monkeypatch.setattr("serving.calls.READ_SECONDS", 0.3)

    async def score() -> Any:
        body = json.dumps({"leads": [long_lead | {"lead_id": "L1"}]}).encode()
        answer: Any = await calls.score(model, body, NOW, "r1")
        reads.may_read.set()
        return answer.scores[0].warnings[-1].code, answer.scores[0].used.activities

    assert asyncio.run(score()) == ("ledger_unavailable", 0)


@pytest.mark.parametrize("slow_id", ["slow", "L1"])
def test_slow_read_does_not_hold_up_other_leads(
    calls: Calls,
    model: ServedModel,
    ledger: Ledger,
    long_lead: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    slow_id: str,
) -> None:
    reads = SlowReads(ledger, monkeypatch)

    async def score(lead_id: str) -> Any:
        body = json.dumps({"leads": [long_lead | {"lead_id": lead_id}]}).encode()
        answer: Any = await calls.score(model, body, NOW, "r1")
        return answer.scores[0]

    async def score_all() -> Any:
        slow = [asyncio.create_task(score(slow_id))]
        for i in range(3):
            await asyncio.sleep(0.01)
            ordinary = await asyncio.wait_for(score(f"other {i}"), 10)
            assert ordinary.used.activities == 0
            slow.append(asyncio.create_task(score(slow_id)))
        assert not any(task.done() for task in slow)
        reads.may_read.set()
        return await asyncio.gather(*slow)

    found = {score.used.activities for score in asyncio.run(score_all())}
    assert found == {N - 20 if slow_id == "L1" else 0}


def test_read_without_an_end_is_given_up(
    calls: Calls, model: ServedModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_calls, "READ_SECONDS", 0.05)
    reads = SlowReads(ledger, monkeypatch)

    async def score() -> Any:
        body = json.dumps({"leads": [LEAD | {"lead_id": "slow"}]}).encode()
        answer: Any = await calls.score(model, body, NOW, "r1")
        assert (
            calls.ledger.faults.message == "The ledger cannot be read (locked); the log says why."
        )
        reads.may_read.set()
        return answer.scores[0].warnings[-1].code

    assert asyncio.run(score()) == "ledger_unavailable"


def test_leads_do_not_wait_or_collect_while_reads_have_no_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_calls, "READ_SECONDS", 0.05)
    monkeypatch.setattr(ledger_calls, "SLOW_SECONDS", 0.0)
    reads = SlowReads(ledger, monkeypatch)
    calls = LedgerCalls(ledger)

    async def read() -> None:
        for _ in range(ledger_calls.READS + 1):
            assert await calls.stored_leads(["slow"]) is None
        await asyncio.sleep(0.01)
        asked = [asyncio.create_task(calls.stored_leads([f"L{i}"])) for i in range(20)]
        await asyncio.sleep(0)
        assert all(task.done() and task.result() is None for task in asked)
        reads.may_read.set()
        async with asyncio.timeout(10):
            while await calls.stored_leads(["L1"]) is None:
                await asyncio.sleep(0.01)
        assert calls.faults.message is None

    asyncio.run(read())


def test_large_body_is_read_like_a_small_one(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"leads": [LEAD, LEAD | {"attributes": {"x": {}}}, LEAD | {"lead_id": "L2"}]}
    small = ask("/score", body)
    monkeypatch.setattr(score_payload, "LARGE_BODY", 10)
    monkeypatch.setattr("serving.calls.LARGE_BODY", 10)
    assert ask("/score", body)["scores"] == small["scores"]
