"""The marketers' pages: the files of the newest report, to be read and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.errors import RequestError

REPORT = "/report"
RECORD = "report.json"  # each report's folder has one
PAGE = "index.html"
KINDS = {
    "html": b"text/html; charset=utf-8",
    "md": b"text/markdown; charset=utf-8",
    "csv": b"text/csv; charset=utf-8",
    "json": b"application/json",
    "png": b"image/png",
}
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"private, no-cache"),
)
STRICT = b"default-src 'none'"
NEVER = b"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEAD_BYTES = 2_000  # a page's own policy stands before the rest of it

_NAME = re.compile(r"(?:csv/|pictures/)?[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.([a-z]+)")
_OWN_HOST = re.compile(r"(?i)(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")
_POLICY = re.compile(rb'http-equiv="Content-Security-Policy" content="([\x20-\x21\x23-\x7e]*)"')


@dataclass(frozen=True)
class ReportFile:
    """What is answered: status, kind, body, and the headers besides those of every answer."""

    status: int
    kind: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def in_report(path: str) -> bool:
    """Tell whether a path of a request lies within the report.

    Examples
    --------
    >>> in_report("/report"), in_report("/report/csv/x.csv"), in_report("/reports")
    (True, True, False)
    """
    return path == REPORT or path.startswith(f"{REPORT}/")


def read_report(folder: Path, path: str) -> ReportFile:
    """Read the file that a request asks for.

    Names are those that a report has; nothing else in the folder is given, and nothing
    outside of it, through links either.

    Parameters
    ----------
    folder : Path
        A report's folder, or one of such folders; of those the newest is given.
    path : str
        Of the request, decoded; `in_report`.

    Raises
    ------
    RequestError
        404 if there is no such file.
    """
    if path == REPORT:  # the page names its files from where it is
        return ReportFile(308, KINDS["html"], b"", ((b"location", b"report/"), *HEADERS))
    name = path.removeprefix(f"{REPORT}/") or PAGE
    named = _NAME.fullmatch(name)
    missing = RequestError(404, "There is no such file in the report. GET /report/ opens it.")
    if named is None or named[1] not in KINDS:
        raise missing
    try:
        root = newest_report(folder)
        found = (root / name).resolve(strict=True)
        if not found.is_relative_to(root):
            raise missing
        body = found.read_bytes()
    except OSError:
        raise missing from None
    kind = KINDS[named[1]]
    policy = _policy_of(body) if named[1] == "html" else STRICT
    return ReportFile(200, kind, body, ((b"content-security-policy", policy + NEVER), *HEADERS))


def newest_report(folder: Path) -> Path:
    """Find the report: the folder itself, or the newest of those in it.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    root = folder.resolve()
    if (root / RECORD).is_file():
        return root
    records = [record for record in root.glob(f"*/{RECORD}") if record.is_file()]
    if not records:
        raise FileNotFoundError(f"{folder} holds no report.")
    return max(records, key=lambda record: record.stat().st_mtime_ns).parent.resolve()


def is_own_host(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a request names this machine as the one it wants.

    A page of another site whose name was turned to 127.0.0.1 names that site.

    Examples
    --------
    >>> is_own_host({b"host": b"127.0.0.1:3000"}), is_own_host({b"host": b"[::1]:3000"})
    (True, True)
    >>> is_own_host({b"host": b"evil.example:3000"}), is_own_host({b"host": b"localhost"})
    (False, True)
    """
    host = headers.get(b"host", b"").decode("latin-1")
    return _OWN_HOST.fullmatch(host) is not None


def _policy_of(page: bytes) -> bytes:
    own = _POLICY.search(page[:HEAD_BYTES])
    return own[1].rstrip(b"; ") if own else STRICT
