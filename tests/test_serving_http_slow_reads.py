"""Tests of reads that may hang: every thread that is not in use stays free for the next read."""

import asyncio
from threading import Thread

import pytest

from serving.errors import RequestError
from serving.http import slow_reads
from serving.http.slow_reads import SlowReads


class NoThreads(Thread):
    """A thread that the system cannot start."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_read_whose_thread_cannot_start_gets_503_and_keeps_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> int:
        reads = SlowReads(threads=2, seconds=5.0)
        with monkeypatch.context() as patch:
            patch.setattr(slow_reads, "Thread", NoThreads)
            for _ in range(3):
                with pytest.raises(RequestError) as caught:
                    await reads.run(lambda: 7)
                assert (caught.value.status, caught.value.retry_after) == (503, 2)
        return await reads.run(lambda: 7)

    assert asyncio.run(run()) == 7


@pytest.mark.parametrize("error", [OSError, SystemExit, asyncio.CancelledError])
def test_read_that_fails_keeps_no_thread(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    async def run() -> int:
        reads = SlowReads(threads=1, seconds=5.0)
        with pytest.raises(error):
            await reads.run(fail)
        return await reads.run(lambda: 7)

    assert asyncio.run(run()) == 7
