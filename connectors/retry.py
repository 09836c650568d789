"""Posts a message again until it is delivered, for a bounded time."""

import random
import time
from collections.abc import Callable
from typing import Final

from connectors.post import Answer, Request, post_once

ATTEMPT_SECONDS: Final = 15.0
FIRST_PAUSE: Final = 1.0  # seconds; each pause is twice the one before, up to `LONGEST_PAUSE`
LONGEST_PAUSE: Final = 10.0


def post(
    request_now: Callable[[], Request],
    deadline: float,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Answer:
    """Post a message, and try again after passing failures, until a deadline.

    The pauses grow exponentially, with jitter: each is between half of its length and all of it.
    If the server names a time to wait, that time is waited, or nothing is tried again if it ends
    after the deadline.

    Parameters
    ----------
    request_now : callable
        Returns the request as it is sent now: its signature contains the time of the attempt.
    deadline : float
        Of `time.monotonic`.
    pause : callable
        Waits for some seconds.

    Returns
    -------
    Answer
        The last one.
    """
    length = FIRST_PAUSE
    while True:
        left = deadline - time.monotonic()
        answer = post_once(request_now(), max(0.1, min(ATTEMPT_SECONDS, left)))
        if answer.result != "later":
            return answer
        wait = random.uniform(length / 2, length) if answer.wait is None else answer.wait
        left = deadline - time.monotonic()
        if wait >= left:
            return answer
        pause(wait)
        length = min(2 * length, LONGEST_PAUSE)
