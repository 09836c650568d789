"""Deadlines of requests, looked at a few times a second instead of a timer for each.

A timer that is set and taken back for every request costs ten times what it costs to note
when the request has to be done.
"""

import asyncio
import time
from dataclasses import dataclass

LOOK_SECONDS = 0.25


@dataclass(eq=False)
class Deadline:
    """When a task has to be done.

    Attributes
    ----------
    task : Task
        Cancelled when the time is over.
    at : float
        On the clock of `time.monotonic`; may be moved.
    is_over : bool
        True once the task was cancelled for this reason.
    """

    task: "asyncio.Task[object]"
    at: float
    is_over: bool = False


class Deadlines:
    """The deadlines of all tasks at work."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._looking: asyncio.Task[None] | None = None

    def open(self, seconds: float) -> Deadline:
        """Give the current task so many seconds."""
        task = asyncio.current_task()
        assert task is not None
        deadline = Deadline(task, time.monotonic() + seconds)
        self._open.add(deadline)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return deadline

    def close(self, deadline: Deadline) -> None:
        """Forget the deadline of a task that is done."""
        self._open.discard(deadline)

    async def _look(self) -> None:
        while self._open:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for deadline in self._open:
                if now >= deadline.at and not deadline.is_over:
                    deadline.is_over = True
                    deadline.task.cancel()
