"""Delivers what waits in an outbox: to all targets at once, for a bounded time.

A thread for each target posts one message after another. This thread alone uses the outbox: it
records each attempt before it begins, and its result before the next one begins. So at most one
message of a target is on its way without a record, whenever the process ends.
"""

import queue
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import filelock

from connectors.post import Answer, Request
from connectors.retry import post
from connectors.signature import signed_headers
from crm.errors import SourceError
from crm.text import counted
from notifying.messages import Message, body
from notifying.outbox import Outbox
from notifying.targets import Target

SECOND: Final = 1_000_000  # in microseconds
MOST_SECONDS: Final = 45.0  # for a delivery, with all attempts and the wait for other processes
LAST_ANSWERS: Final = 1.0  # seconds after the deadline, for answers that come with it


@dataclass(frozen=True)
class Delivery:
    """What became of messages.

    Attributes
    ----------
    sent : mapping of str to int
        The number of messages that were delivered, by target.
    waiting : mapping of str to int
        The number of messages that the next run sends, by target.
    problems : tuple of str
        Sentences about what could not be done, without secrets. They are warnings: nothing that
        waits is lost.
    """

    sent: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def request_for(target: Target, message: Message, now: int, began: float) -> Request:
    """Return a message as it is posted at this moment.

    Parameters
    ----------
    target : Target
    message : Message
    now : int
        The time at `began`, in microseconds since 1970 UTC.
    began : float
        Of `time.monotonic`.
    """
    content = body(message, target.name)
    timestamp = now // SECOND + int(time.monotonic() - began)
    headers = (
        signed_headers(message.id, timestamp, content, target.secrets) if target.secrets else {}
    )
    return Request(target.url, content, headers)


def deliver(
    outbox: Outbox, targets: Sequence[Target], now: int, seconds: float = MOST_SECONDS
) -> Delivery:
    """Send what waits in an outbox.

    Another process that delivers from the same outbox is waited for.

    Parameters
    ----------
    outbox : Outbox
    targets : sequence of Target
    now : int
        Microseconds since 1970 UTC.
    seconds : float
        For everything.

    Returns
    -------
    Delivery

    Raises
    ------
    SourceError
        If the outbox cannot be read or written any more.
    """
    began = time.monotonic()
    problems = [
        f"{target}: {counted(n, 'message')} not delivered within 7 days {_was_or_were(n)} given up."
        for target, n in outbox.expire(now).items()
    ]
    lock = (
        nullcontext()
        if outbox.path is None
        else filelock.FileLock(f"{outbox.path}.lock", timeout=max(0.0, seconds), mode=0o600)
    )
    try:
        with lock:
            run = _Run(outbox, now, began, began + seconds)
            sent = run.send_to(targets)
            problems += run.problems
    except filelock.Timeout:
        sent = {}
        problems.append("Another process has been sending notifications all the time.")
    except OSError as error:
        raise SourceError(f"{outbox.path}.lock cannot be used: {error.strerror}.") from None
    return Delivery(sent, outbox.count_waiting(), tuple(problems))


@dataclass
class _Step:
    """What a sending thread asks for: to begin a message, or to record its answer."""

    target: Target
    message: Message
    answer: Answer | None
    is_done: threading.Event = field(default_factory=threading.Event)


class _Run:
    """One delivery to all targets."""

    def __init__(self, outbox: Outbox, now: int, began: float, deadline: float) -> None:
        self.outbox, self.now, self.began, self.deadline = outbox, now, began, deadline
        self.problems: list[str] = []
        self._steps: queue.SimpleQueue[_Step | None] = queue.SimpleQueue()
        self._is_over = threading.Event()

    def send_to(self, targets: Sequence[Target]) -> dict[str, int]:
        """Send to each target what waits for it; return the number of delivered messages."""
        messages = {target: self.outbox.messages_for(target.name, self.now) for target in targets}
        running = 0
        for target, waiting in messages.items():
            if waiting:
                work = partial(self._send_all, target, waiting)
                threading.Thread(target=work, name=f"notify {target.name}", daemon=True).start()
                running += 1
        sent: dict[str, int] = {}
        try:
            while running:
                try:
                    left = self.deadline + LAST_ANSWERS - time.monotonic()
                    step = self._steps.get(timeout=max(0.0, left))
                except queue.Empty:
                    self.problems.append("The time for sending notifications is over.")
                    break
                if step is None:
                    running -= 1
                    continue
                if self._record(step):
                    sent[step.target.name] = sent.get(step.target.name, 0) + 1
                step.is_done.set()
        finally:
            self._is_over.set()
        return sent

    def _send_all(self, target: Target, messages: Sequence[Message]) -> None:
        """Send messages, one after another, until one is not delivered and others would not be."""
        try:
            for message in messages:
                if time.monotonic() >= self.deadline or not self._ask(target, message, None):
                    return
                request = partial(request_for, target, message, self.now, self.began)
                answer = post(request, self.deadline)
                if not self._ask(target, message, answer):
                    return
                if answer.result in ("later", "wrong address"):
                    return
        finally:
            self._steps.put(None)

    def _ask(self, target: Target, message: Message, answer: Answer | None) -> bool:
        """Let the other thread record a step; return False if the delivery is over."""
        step = _Step(target, message, answer)
        self._steps.put(step)
        while not step.is_done.wait(0.05):
            if self._is_over.is_set():
                return False
        return True

    def _record(self, step: _Step) -> bool:
        """Record a step in the outbox; return whether the message was delivered."""
        target, message, answer = step.target, step.message, step.answer
        if answer is None:
            self.outbox.begin(message.id, target.name)
            return False
        if answer.result in ("delivered", "refused"):
            self.outbox.settle(message.id, target.name)
        if answer.wait is not None:
            self.outbox.pause(target.name, self.now + int(answer.wait * SECOND))
        if answer.result == "refused":
            self.problems.append(
                f"{target.shown} does not accept a message ({message.type}): {answer.said}. "
                "It is not sent again."
            )
        elif answer.result != "delivered":
            self.problems.append(
                f"{target.shown}: {answer.said}. What waits is sent by the next run."
            )
        return answer.result == "delivered"


def _was_or_were(n: int) -> str:
    return "was" if n == 1 else "were"
