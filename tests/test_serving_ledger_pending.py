"""A request about a lead sees what this service scored or received about it before."""

import asyncio
import dataclasses
import os
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crm.errors import LedgerError
from crm.lead_ids import id_key
from crm.ledger.entries import Batch, SentLead
from crm.ledger.ledger import Ledger
from serving.calls import Calls
from serving.errors import RequestError
from serving.ledger.calls import LedgerCalls
from serving.ledger.pending import ATTRIBUTES, EVENTS, EVERYTHING, PLACES, SCORES, PendingWrites
from serving.ledger.score_writer import ScoreWriter
from serving.ledger.unwritten import unwritten_leads
from serving.payloads.score import LeadPayload
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_calls import CALL, LEAD, Ask, Away, asker, given, score_of

AT_ONCE = {"leads": [LEAD]}
BY_ID = {"leads": [{"lead_id": "L1"}]}
OWN_CALL = {name: cell for name, cell in CALL.items() if name != "lead_id"}
WITH_A_CALL = {"leads": [LEAD | {"activities": [OWN_CALL]}]}


def codes_of(answer: Any) -> list[str]:
    return [warning["code"] for warning in answer["warnings"]]


@pytest.fixture
def workers(ledger: Ledger, tmp_path: Path, model: ServedModel) -> Iterator[list[Ask]]:
    """Start the calls of two workers of one service; return a function for each that asks it."""
    shared = tmp_path / "shared"
    shared.mkdir()
    both = [Calls(Settings(), ledger), Calls(Settings(), ledger)]
    for calls, process in zip(both, (os.getpid(), os.getppid()), strict=True):
        pending = PendingWrites(shared, process)
        calls.ledger.pending = pending
        calls.score_writer = ScoreWriter(ledger, calls.ledger.faults, pending)
    for calls in both:
        calls.ledger.pending.find_others()
    yield [asker(calls, model) for calls in both]
    for calls in both:
        calls.close()


@pytest.fixture(params=["the same worker", "another worker"])
def send_and_ask(request: pytest.FixtureRequest, workers: list[Ask]) -> tuple[Ask, Ask]:
    """Return functions that ask a worker, and then the same or another one."""
    return workers[0], workers[request.param == "another worker"]


def test_lead_shows_the_score_that_was_just_given(send_and_ask: tuple[Ask, Ask]) -> None:
    send, ask = send_and_ask
    for number in range(1, 4):
        scored = score_of(send("/score", AT_ONCE))
        shown = ask("/lead", {"lead_id": "L1"})
        assert shown["last_score"]["probability"] == scored["probability"]
        assert len(shown["history"]) == number
        assert shown["warnings"] == []


def test_score_by_id_uses_what_was_just_sent(send_and_ask: tuple[Ask, Ask]) -> None:
    send, ask = send_and_ask
    sent = score_of(send("/score", WITH_A_CALL))
    by_id = score_of(ask("/score", BY_ID))
    assert by_id["probability"] == sent["probability"]
    assert by_id["used"]["activities"] == 1
    assert "not_yet_written" not in codes_of(by_id)


def test_events_that_were_just_sent_count_for_a_lead_sent_without(
    send_and_ask: tuple[Ask, Ask],
) -> None:
    send, ask = send_and_ask
    send("/score", WITH_A_CALL)
    assert score_of(ask("/score", AT_ONCE))["used"]["activities"] == 1


def test_lead_with_its_own_events_does_not_wait_and_gets_a_warning(
    send_and_ask: tuple[Ask, Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    send, ask = send_and_ask

    has_answered = threading.Event()

    def write_after_the_answer(*_: object) -> int:
        has_answered.wait(10)
        return 0

    monkeypatch.setattr(Ledger, "add_batch", write_after_the_answer)
    monkeypatch.setattr(PendingWrites, "wait_until_written", never_called)
    send("/score", WITH_A_CALL)
    scored = score_of(ask("/score", WITH_A_CALL))
    has_answered.set()
    assert codes_of(scored).count("not_yet_written") == 1


def test_repeated_scores_of_a_lead_do_not_wait(
    workers: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PendingWrites, "wait_until_written", never_called)
    for _ in range(3):
        for ask in workers:
            assert "not_yet_written" not in codes_of(score_of(ask("/score", AT_ONCE)))


async def never_called(*_: object) -> bool:
    raise AssertionError("the request waits")


def test_request_waits_for_attributes_and_events_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The longest wait of a request is one second, not one for each kind of entry."""
    calls = LedgerCalls(None)
    calls.pending.add(batch(1))
    begun: list[int] = []

    async def wait(_: Sequence[str], kinds: Sequence[int]) -> bool:
        begun.extend(kinds)
        while len(begun) < 2:
            await asyncio.sleep(0)
        return EVENTS not in kinds

    monkeypatch.setattr(calls, "wait_until_written", wait)
    waiting = unwritten_leads(calls, [LeadPayload(lead_id="L1")])
    assert asyncio.run(asyncio.wait_for(waiting, 5)) == {"L1"}
    assert sorted(begun) == [ATTRIBUTES, EVENTS]


@pytest.mark.parametrize("lead_id", [None, " "])
def test_lead_without_an_id_does_not_wait(lead_id: str | None) -> None:
    calls = LedgerCalls(None)
    calls.pending.add(batch(1))
    waiting = unwritten_leads(calls, [LeadPayload(lead_id=lead_id)])
    assert asyncio.run(waiting) == set()


# -- while the ledger cannot be written


class Unwritable(Away):
    """A ledger that can be read, but not written in the background."""

    def stored_leads(self, *arguments: Any, **options: Any) -> Any:
        return Ledger.stored_leads(self, *arguments, **options)

    def add(self, *arguments: Any, **options: Any) -> Any:
        return Ledger.add(self, *arguments, **options)


@pytest.fixture
def unwritable(tmp_path: Path, model: ServedModel) -> Iterator[Ask]:
    with Unwritable("sqlite:///ledger.db", tmp_path) as ledger:
        calls = Calls(Settings(), ledger)
        yield asker(calls, model)
        calls.close(seconds=0.1)


def test_answers_say_what_is_not_written_yet(
    unwritable: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    unwritable("/activities", {"activities": [CALL | {"occurred_at": "2026-01-08T08:00:00Z"}]})
    unwritable("/score", WITH_A_CALL)
    scored = score_of(unwritable("/score", AT_ONCE))
    assert "not_yet_written" in codes_of(scored)
    # The fault is known, so nothing waits. Servers of other tests still need asyncio's own sleep.
    monkeypatch.setattr("serving.ledger.pending.asyncio", SimpleNamespace(sleep=never_called))
    shown = unwritable("/lead", {"lead_id": "L1"})
    assert codes_of(shown) == ["not_yet_written"]
    assert shown["last_score"] is None


def test_lead_with_waiting_entries_only_is_not_unknown(unwritable: Ask) -> None:
    unwritable("/score", AT_ONCE)
    with pytest.raises(RequestError, match="waits to be written") as refusal:
        unwritable("/lead", {"lead_id": "L1"})
    assert refusal.value.status == 503


# -- the tables of the workers


def batch(number: int) -> Batch:
    return Batch(
        scores=[dataclasses.replace(given(number), lead_id=f"L{number}")],
        leads=[(SentLead(f"L{number}", None, {}), 0)],
        activities=[CALL | {"lead_id": f"L{number}", "occurred_at": 1}],
    )


@pytest.mark.parametrize("kind", EVERYTHING)
def test_batch_waits_until_it_is_written(kind: int) -> None:
    pending = PendingWrites()
    first, second = pending.add(batch(1)), pending.add(batch(2))
    assert pending.is_waiting("L1", [kind])
    pending.written(first)
    assert not pending.is_waiting("L1", [kind])
    assert pending.is_waiting("L2", [kind])
    pending.written(second)
    assert not pending.is_waiting("L2", [kind])


def test_only_the_kinds_that_wait_are_waited_for() -> None:
    pending = PendingWrites()
    pending.add(Batch(scores=[given(1)]))
    waiting = [kind for kind in EVERYTHING if pending.is_waiting("L1", [kind])]
    assert waiting == [SCORES]
    pending.add(Batch(leads=[(SentLead("100.0", None, {}), 0)]))
    assert pending.is_waiting("100", [ATTRIBUTES])  # another form of the id
    assert not pending.is_waiting("100", [EVENTS])


@pytest.mark.parametrize("place", [0, 1, PLACES - 1])
def test_leads_at_the_ends_of_the_table_wait_like_others(place: int) -> None:
    lead_ids = (f"L{i}" for i in range(100 * PLACES))
    lead_id = next(i for i in lead_ids if zlib.crc32(id_key(i).encode()) % PLACES == place)
    score = dataclasses.replace(given(1), lead_id=lead_id)
    for kind, entries in (
        (SCORES, Batch(scores=[score])),
        (ATTRIBUTES, Batch(leads=[(SentLead(lead_id, None, {}), 0)])),
        (EVENTS, Batch(activities=[CALL | {"lead_id": lead_id}])),
    ):
        pending = PendingWrites()
        number = pending.add(entries)
        assert [other for other in EVERYTHING if pending.is_waiting(lead_id, [other])] == [kind]
        pending.written(number)
        assert not pending.is_waiting(lead_id, EVERYTHING)


def test_killed_worker_is_not_waited_for(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    other = PendingWrites(tmp_path, process.pid)
    other.add(batch(1))
    pending = PendingWrites(tmp_path)
    pending.find_others()
    assert pending.is_waiting("L1", EVERYTHING)
    assert not asyncio.run(pending.wait_until_written(["L1"], EVERYTHING, seconds=0.02))
    process.kill()
    process.communicate()
    pending.find_others()
    assert asyncio.run(pending.wait_until_written(["L1"], EVERYTHING, seconds=0.02))


def wait_until(is_true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_table_of_a_dead_worker_with_the_same_process_id_is_not_read(tmp_path: Path) -> None:
    PendingWrites(tmp_path, 7).add(batch(1))
    pending = PendingWrites(tmp_path, 7)
    assert not pending.is_waiting("L1", EVERYTHING)
    pending.written(pending.add(batch(2)))
    assert not pending.is_waiting("L2", EVERYTHING)


def test_few_leads_wait_for_entries_of_another_lead() -> None:
    pending = PendingWrites()
    rows = [CALL | {"lead_id": f"L{i}"} for i in range(1_000)]
    pending.add(Batch(activities=rows))
    assert sum(pending.is_waiting(f"M{i}", [EVENTS]) for i in range(1_000)) < 40


def test_batch_in_pieces_waits_until_its_last_piece_is_written(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[bool] = []
    pending = PendingWrites()
    writer = ScoreWriter(ledger, pending=pending)

    def write(*_: object) -> int:
        pieces.append(pending.is_waiting("L1", [EVENTS]))
        return 0

    monkeypatch.setattr(ledger, "add_batch", write)
    rows = [CALL | {"lead_id": "L1", "activity_id": str(i)} for i in range(2_500)]
    writer.put(Batch(activities=rows), 0)
    wait_until(lambda: len(pieces) == 3)
    wait_until(lambda: not pending.is_waiting("L1", [EVENTS]))
    assert pieces == [True, True, True]
    writer.close()


def test_dropped_entries_are_not_waited_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = PendingWrites()
    writer = ScoreWriter(ledger, pending=pending)

    def fail(*_: object) -> int:
        raise LedgerError("away")

    monkeypatch.setattr(ledger, "add_batch", fail)
    writer.put(batch(1), 0)
    writer.close(seconds=0.1)
    assert not pending.is_waiting("L1", EVERYTHING)
