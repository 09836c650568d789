"""Deadlines of requests, checked a few times a second instead of with a timer for each request.

Setting and cancelling a timer for each request costs ten times as much as storing its deadline.
"""

import asyncio
import time
from dataclasses import dataclass

CHECK_SECONDS = 0.25


@dataclass(eq=False)
class Deadline:
    """The time at which a task must be finished.

    Attributes
    ----------
    task : Task
        The task that is cancelled when the time is over.
    at : float
        The time by which the task must be finished, on the clock of `time.monotonic`. It may be
        changed.
    is_over : bool
        Whether the task was cancelled because of this deadline.
    """

    task: "asyncio.Task[object]"
    at: float
    is_over: bool = False


class Deadlines:
    """The deadlines of all running tasks."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._checking: asyncio.Task[None] | None = None

    def open(self, seconds: float) -> Deadline:
        """Start a deadline of `seconds` for the current task."""
        task = asyncio.current_task()
        assert task is not None
        deadline = Deadline(task, time.monotonic() + seconds)
        self._open.add(deadline)
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        return deadline

    def close(self, deadline: Deadline) -> None:
        """Remove the deadline of a finished task."""
        self._open.discard(deadline)

    async def _check(self) -> None:
        while self._open:
            await asyncio.sleep(CHECK_SECONDS)
            now = time.monotonic()
            for deadline in self._open:
                if now >= deadline.at and not deadline.is_over:
                    deadline.is_over = True
                    deadline.task.cancel()
