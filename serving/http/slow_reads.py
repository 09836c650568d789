"""Runs functions that may never return, such as reads from a network mount that is gone."""

import asyncio
import contextlib
from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from serving.errors import RequestError

Result = TypeVar("Result")


class SlowReads:
    """Runs functions in a few threads of their own.

    A function that hangs never frees its thread. So these threads are not those that other calls
    need, and the process can end while they run.

    Parameters
    ----------
    threads : int
        The largest number of functions that run at once. Further ones wait.
    seconds : float
        The time after which `run` raises `TimeoutError`.

    Examples
    --------
    >>> asyncio.run(SlowReads(threads=1, seconds=5.0).run(lambda: 7))
    7
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self._free = asyncio.Semaphore(threads)
        self._seconds = seconds

    async def run(self, function: Callable[[], Result]) -> Result:
        """Run a function in a thread.

        Raises
        ------
        TimeoutError
            If no thread becomes free in time, or the function does not return in time.
        RequestError
            503 if the system cannot start a thread now.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()

        def finish(value: Result | None, error: BaseException | None) -> None:
            self._free.release()
            if result.done():  # the caller has its time-out
                return
            if error is None:
                result.set_result(value)  # type: ignore[arg-type]
            else:
                result.set_exception(error)

        def work() -> None:
            value = error = None
            try:
                value = function()
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(finish, value, error)

        async with asyncio.timeout(self._seconds):
            await self._free.acquire()
            try:
                Thread(target=work, name="slow read", daemon=True).start()
            except RuntimeError as fault:
                self._free.release()
                raise RequestError(503, "") from fault
            return await result
