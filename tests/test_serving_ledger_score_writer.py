"""Tests of the score writer, which writes in the background and counts what it drops."""

import threading
from pathlib import Path

import pytest

from crm.errors import LedgerError
from crm.ledger.entries import Batch
from crm.ledger.ledger import Ledger
from serving.ledger.score_writer import ScoreWriter
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
