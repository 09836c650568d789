"""A connection to PostgreSQL that can stop waiting for an answer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer in time, and the connection was closed."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that waits for an answer without a limit, except within `patient`."""

    _patience: float | None = None

    @contextmanager
    def patient(self, seconds: float) -> Iterator[None]:
        """Limit the wait for each answer within the context.

        Raises
        ------
        NoAnswerError
            If there is no answer in time. The connection is closed then.
        """
        self._patience = seconds
        try:
            yield
        finally:
            self._patience = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, as psycopg does, but no longer than the patience."""
        if self._patience is None:
            return super().wait(gen, interval, timeout)
        give_up = time.monotonic() + self._patience
        try:
            return super().wait(gen, interval, self._patience)
        except psycopg.OperationalError:
            if time.monotonic() < give_up:
                raise
            self.close()
            raise NoAnswerError(f"no answer within {self._patience:g} seconds") from None
