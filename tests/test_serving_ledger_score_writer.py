"""Tests of the score writer, which writes in the background and counts what it drops."""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crm.errors import LedgerError
from crm.ledger.database import LedgerDatabase
from crm.ledger.entries import Batch, SentLead
from crm.ledger.ledger import Ledger
from serving.ledger import score_writer
from serving.ledger.pending import EVERYTHING, PendingWrites
from serving.ledger.score_writer import ROWS_AT_ONCE, TURN_SECONDS, ScoreWriter
from tests.made_calls import Away, given, many_calls


def test_score_writer_writes_everything_before_it_ends(ledger: Ledger) -> None:
    writer = ScoreWriter(ledger)
    for number in range(2_500):
        writer.put(Batch(scores=[given(number)]), 0)
    writer.close()
    assert (writer.written, writer.dropped, writer.queued) == (2_500, 0, 0)
    assert sum(map(len, ledger.rows("scores"))) == 2_500


def test_score_writer_counts_dropped_scores(tmp_path: Path) -> None:
    ledger = Away("sqlite:///ledger.db", tmp_path)
    writer = ScoreWriter(ledger, max_queued=10)
    for number in range(25):
        writer.put(Batch(scores=[given(number)]), 0)
    assert (writer.dropped, writer.queued) == (15, 10)
    writer.close(seconds=0.1)
    assert (writer.written, writer.dropped, writer.queued) == (0, 25, 0)
    writer.put(Batch(scores=[given(99)]), 0)
    assert writer.dropped == 26


def test_large_request_is_written_whole(ledger: Ledger) -> None:
    writer = ScoreWriter(ledger, max_queued=100)
    writer.put(Batch(scores=[given(1)], activities=many_calls(2_500)), 0)
    writer.put(Batch(scores=[given(2)] * 100), 0)  # the queue is full: these are dropped
    writer.close()
    assert (writer.written, writer.dropped, writer.queued) == (1, 100, 0)
    assert sum(map(len, ledger.rows("activities"))) == 2_500


def test_events_are_recorded_at_the_time_of_their_own_request(ledger: Ledger) -> None:
    calls = many_calls(2 * ROWS_AT_ONCE)
    entry = {"lead_id": "L1", "stage": "new", "entered_at": 7}
    writer = ScoreWriter(ledger)
    writer.put(Batch(activities=calls[: ROWS_AT_ONCE + 5]), 10)
    writer.put(Batch(activities=calls[ROWS_AT_ONCE + 5 :], stages=[entry]), 20)
    writer.close(seconds=30)
    recorded = {
        int(row["activity_id"]): row["recorded_at"]
        for rows in ledger.rows("activities")
        for row in rows
    }
    assert recorded == {i: 10 if i < ROWS_AT_ONCE + 5 else 20 for i in range(len(calls))}
    assert [row["recorded_at"] for rows in ledger.rows("stages") for row in rows] == [20]


REFUSALS = {  # what the database refuses, and the rows of 100 leads that remain
    "a score": ("scores", "NEW.score_id = 's50'", (99, 100, 100)),
    "two scores": ("scores", "NEW.score_id IN ('s0', 's99')", (98, 100, 100)),
    "a lead": ("leads", "NEW.lead_id = 'L50'", (100, 99, 100)),
    "an activity": ("activities", "NEW.lead_id = 'L50'", (100, 100, 99)),
    "all scores": ("scores", "true", (0, 100, 100)),
}


@pytest.mark.parametrize("is_one_request", [True, False])
@pytest.mark.parametrize(("table", "condition", "remaining"), REFUSALS.values(), ids=REFUSALS)
def test_refused_row_is_dropped_alone(
    ledger: Ledger,
    caplog: pytest.LogCaptureFixture,
    table: str,
    condition: str,
    remaining: tuple[int, int, int],
    is_one_request: bool,
) -> None:
    ledger.database.prepare()
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN {condition} "
            "BEGIN SELECT RAISE(ABORT, 'the company allows no such row'); END"
        )
    rows = [
        (given(n), (SentLead(f"L{n}", None, {"a": n}), 0), {**many_calls(1)[0], "lead_id": f"L{n}"})
        for n in range(100)
    ]
    pending = PendingWrites()
    writer = ScoreWriter(ledger, pending=pending)
    requests = [rows] if is_one_request else [[row] for row in rows]
    for request in requests:
        scores, leads, activities = zip(*request, strict=True)
        writer.put(Batch(scores, leads, activities), 0)
    writer.close(seconds=30)
    assert (writer.written, writer.dropped, writer.queued) == (remaining[0], 100 - remaining[0], 0)
    stored = [sum(map(len, ledger.rows(name))) for name in ("scores", "leads", "activities")]
    assert tuple(stored) == remaining
    assert not any(pending.is_waiting(f"L{n}", EVERYTHING) for n in range(100))
    lines = [record for record in caplog.records if "refused" in record.message]
    assert len(lines) == 300 - sum(remaining)
    assert {record.message for record in lines} == {
        f"a row of the table {table} was refused and dropped"
    }
    assert "the company allows no such row" in lines[0].fault  # type: ignore[attr-defined]
    assert all(hasattr(record, "request_id") == (table == "scores") for record in lines)


def test_rows_after_a_refused_one_are_written_together_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    add_batch = ledger.add_batch

    def refuse_score_0(batch: Batch, now: int) -> int:
        sizes.append(len(batch))
        if any(score.score_id == "s0" for score in batch.scores):
            raise LedgerError("never", is_passing=False)
        return add_batch(batch, now)

    monkeypatch.setattr(ledger, "add_batch", refuse_score_0)
    writer = ScoreWriter(ledger)
    writer.put(Batch(scores=[given(number) for number in range(ROWS_AT_ONCE)]), 0)
    writer.put(Batch(scores=[given(number) for number in range(ROWS_AT_ONCE, 9_000)]), 0)
    writer.close(seconds=30)
    assert (writer.written, writer.dropped) == (8_999, 1)
    assert max(sizes[-5:]) > ROWS_AT_ONCE / 2
    assert len(sizes) < 60


def test_rejected_batch_does_not_block_the_queue(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ScoreWriter(ledger)
    first_was_refused = threading.Event()
    add_batch = ledger.add_batch

    def refuse_first(batch: Batch, now: int) -> int:
        if not first_was_refused.is_set():
            first_was_refused.set()
            raise LedgerError("never", is_passing=False)
        return add_batch(batch, now)

    monkeypatch.setattr(ledger, "add_batch", refuse_first)
    writer.put(Batch(scores=[given(1)]), 0)
    assert first_was_refused.wait(5)
    writer.put(Batch(scores=[given(2)]), 0)
    writer.close()
    assert (writer.written, writer.dropped) == (1, 1)


def slowly(ledger: Ledger, spans: list[tuple[float, float]]) -> Callable[[Batch, int], int]:
    """Return a function that takes longer than `Ledger.add_batch`, and notes when."""
    add_batch = ledger.add_batch

    def add(batch: Batch, now: int) -> int:
        started = time.monotonic()
        time.sleep(TURN_SECONDS / 4)
        written = add_batch(batch, now)
        spans.append((started, time.monotonic()))
        return written

    return add


def put_pieces(writer: ScoreWriter, count: int) -> None:
    """Queue activities for so many transactions, and wait until they are written."""
    writer.put(Batch(scores=[given(1)], activities=many_calls(count * ROWS_AT_ONCE - 500)), 0)
    end = time.monotonic() + 30
    while writer.queued and time.monotonic() < end:
        time.sleep(0.01)
    assert writer.written == 1


def test_other_writers_of_sqlite_get_their_turn(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[tuple[float, float]] = []
    monkeypatch.setattr(ledger, "add_batch", slowly(ledger, spans))
    put_pieces(ScoreWriter(ledger), 13)
    pauses = [after[0] - before[1] >= 0.1 for before, after in itertools.pairwise(spans)]
    assert len(pauses) >= 12
    assert all(any(pauses[i : i + 4]) for i in range(9))


def test_writers_that_need_no_turn_do_not_pause(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_writer, "PAUSE_SECONDS", 60)
    monkeypatch.setattr(LedgerDatabase, "has_one_writer", False)
    monkeypatch.setattr(ledger, "add_batch", slowly(ledger, []))
    put_pieces(ScoreWriter(ledger), 8)


def test_writer_that_ends_does_not_pause(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_writer, "PAUSE_SECONDS", 60)
    monkeypatch.setattr(ledger, "add_batch", slowly(ledger, []))
    writer = ScoreWriter(ledger)
    writer.put(Batch(scores=[given(1)], activities=many_calls(7_500)), 0)
    writer.close(seconds=30)
    assert (writer.written, writer.dropped) == (1, 0)
