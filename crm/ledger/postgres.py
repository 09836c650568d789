"""A connection to PostgreSQL with a time limit for each wait before a transaction begins."""

import time
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer in time, and the connection was closed."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that waits without a limit only within a transaction.

    Before a transaction, a PgBouncer may have no free connection to the server, or the server may
    hang. Within one, statements of an export may take long.

    Attributes
    ----------
    patience : float
        The seconds to wait for an answer outside of a transaction, and when one begins. Then
        `NoAnswerError` is raised, and the connection is closed.
    """

    patience: float

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, as psycopg does, for at most `patience` seconds."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            return super().wait(gen, interval, timeout)
        give_up = time.monotonic() + self.patience
        try:
            return super().wait(gen, interval, self.patience)
        except psycopg.OperationalError:
            if time.monotonic() < give_up:
                raise
            self.close()
            raise NoAnswerError(f"no answer within {self.patience:g} seconds") from None
