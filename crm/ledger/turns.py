"""A lock that threads get in the order in which they ask for it."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Turns:
    """A lock that always goes to the thread that has waited longest.

    SQLite has no such order: a writer that waits tries again after a pause, and a thread that
    writes without a pause can keep it waiting until it gives up.

    Examples
    --------
    >>> turns = Turns()
    >>> with turns.turn(seconds=1.0) as is_alone:
    ...     is_alone
    True
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_taken = False
        self._waiting: deque[Lock] = deque()

    @contextmanager
    def turn(self, seconds: float) -> Iterator[bool]:
        """Wait for the turn of this thread for at most `seconds`.

        Yields
        ------
        bool
            True if it is this thread's turn; False if the time has passed without a turn.
        """
        own = Lock()
        own.acquire()
        with self._lock:
            if self._is_taken:
                self._waiting.append(own)
            else:
                self._is_taken = True
                own.release()
        is_own_turn = own.acquire(timeout=seconds) or not self._given_up(own)
        try:
            yield is_own_turn
        finally:
            if is_own_turn:
                self._pass_on()

    def _given_up(self, own: Lock) -> bool:
        """Stop waiting, and return True, unless the turn came just now."""
        with self._lock:
            if own not in self._waiting:
                return False
            self._waiting.remove(own)
            return True

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
