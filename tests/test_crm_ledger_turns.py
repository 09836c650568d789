"""Tests of the order in which threads write to SQLite."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

import pytest

from crm.errors import LedgerError
from crm.ledger import database
from crm.ledger.entries import Batch
from crm.ledger.ledger import Ledger
from crm.ledger.turns import Turns
from tests.made_calls import given


def test_threads_get_their_turn_in_the_order_in_which_they_ask() -> None:
    turns, order = Turns(), list[int]()

    def work(number: int) -> None:
        with turns.turn(seconds=30) as is_own_turn:
            assert is_own_turn
            order.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    with turns.turn(seconds=1):
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            end = time.monotonic() + 30
            while len(turns._waiting) < waiting and time.monotonic() < end:
                time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    assert order == list(range(8))


def test_thread_that_gives_up_leaves_the_turns_of_the_others() -> None:
    turns = Turns()
    with turns.turn(seconds=1) as first:
        with turns.turn(seconds=0.01) as second:
            assert (first, second) == (True, False)
        with turns.turn(seconds=0.01) as third:
            assert not third
    with turns.turn(seconds=0) as last:
        assert last


def test_turn_that_comes_just_as_the_wait_ends_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    first = ExitStack()
    first.enter_context(turns.turn(seconds=1))
    give_up = turns._given_up

    def end_the_first_turn_and_give_up(own: Lock) -> bool:
        first.close()
        return give_up(own)

    monkeypatch.setattr(turns, "_given_up", end_the_first_turn_and_give_up)
    with turns.turn(seconds=0.01) as second:
        assert second
        with turns.turn(seconds=0) as third:
            assert not third
    with turns.turn(seconds=0) as last:
        assert last


def test_writer_without_a_turn_in_time_gets_the_error_of_a_locked_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.05)
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.database.prepare()
    is_writing, may_end = threading.Event(), threading.Event()

    def write_slowly(_: object) -> None:
        is_writing.set()
        may_end.wait(30)

    slow = threading.Thread(target=ledger.database.write, args=(write_slowly,))
    slow.start()
    assert is_writing.wait(30)
    with pytest.raises(LedgerError, match="other threads have been writing") as caught:
        ledger.add_batch(Batch(scores=[given(1)]), 0)
    assert (caught.value.cause, caught.value.is_passing) == ("locked", True)
    may_end.set()
    slow.join(30)
    assert ledger.add_batch(Batch(scores=[given(1)]), 0) == 1


def test_turn_ends_with_an_error() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="x"), turns.turn(seconds=1):
        raise ValueError("x")
    with turns.turn(seconds=0) as is_own_turn:
        assert is_own_turn


def test_writer_that_never_pauses_does_not_keep_others_waiting(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.database.prepare()
    has_ended = threading.Event()
    written = [0, 0]

    def write(place: int) -> None:
        while not has_ended.is_set():
            number = 2 * written[place] + place
            ledger.add_batch(Batch(scores=[given(number)]), 0)
            written[place] += 1
            if written[place] == 50:
                has_ended.set()

    threads = [threading.Thread(target=write, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert abs(written[0] - written[1]) <= 5
