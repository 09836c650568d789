"""Logs as lines of JSON, without anything that callers sent.

Bodies, paths and headers are not logged. Of an exception only the type and the place where it was
raised are logged, because messages of exceptions quote what they could not read. The one exception
is the request id: callers may choose it, within a narrow pattern.
"""

import datetime
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

EXTRA = ("request_id", "model", "cause", "fault", "worker", "count")
MAX_MESSAGE_CHARACTERS = 300
PIPE_BYTES = 4096  # a pipe never splits this many bytes, even if several processes write
MAX_WAITING_LINES = 200

_encode = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    r"""Formats each record as one line.

    Examples
    --------
    >>> record = logging.LogRecord("leadscore", 40, "", 0, "failed\nfuture: Max", (), None)
    >>> json.loads(JsonLines().format(record))["message"]
    'failed'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record: the first line of its message, its extra fields, and its traceback."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().partition("\n")[0][:MAX_MESSAGE_CHARACTERS],
        }
        line |= {name: getattr(record, name) for name in EXTRA if hasattr(record, name)}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["where"] = [
                f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])[-12:]
            ]
        return json.dumps(line, default=str)


def configure_logs() -> None:
    """Configure all loggers of this process to write this format to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    for name in ("", "leadscore", "bentoml", "circus", "uvicorn.error"):
        logger = logging.getLogger(name or None)
        logger.handlers = [handler]
        logger.propagate = False
    logging.getLogger("leadscore").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # invalid HTTP is only counted
    access = logging.getLogger("uvicorn.access")  # AccessLog replaces it
    access.handlers, access.propagate = [], False
    logging.captureWarnings(True)


class AccessLog:
    """Collects a line for each request, and writes the lines a few times a second.

    Parameters
    ----------
    descriptor : int
        The open file to write to.

    Examples
    --------
    >>> log = AccessLog(os.open(os.devnull, os.O_WRONLY))
    >>> at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    >>> log.add(at, "r1", "/score", 200, 2.5, "crm", "7")
    >>> log.flush()
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []

    def add(
        self,
        at: datetime.datetime,
        request_id: str,
        route: str,
        status: int,
        milliseconds: float,
        key: str,
        version: str,
    ) -> None:
        """Add the line of one request."""
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": "info",
            "logger": "leadscore.access",
            "request_id": request_id,
            "route": route,
            "status": status,
            "ms": round(milliseconds, 2),
            "key": key,
            "model_version": version,
        }
        self._lines.append(_encode(line))
        if len(self._lines) >= MAX_WAITING_LINES:
            self.flush()

    def flush(self) -> None:
        """Write the collected lines, only whole lines at a time."""
        lines, self._lines = self._lines, []
        piece = b""
        for line in lines:
            if piece and len(piece) + len(line) >= PIPE_BYTES:
                self._write(piece)
                piece = b""
            piece += line + b"\n"
        if piece:
            self._write(piece)

    def _write(self, piece: bytes) -> None:
        try:
            os.write(self._descriptor, piece)
        except OSError:  # the reader of the log is gone; the service still answers
            return
