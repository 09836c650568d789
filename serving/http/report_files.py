"""The marketers' pages: the files of the newest report, read only."""

import re
from collections.abc import Mapping
from pathlib import Path

from crm.report_folder import FOLDERS, PAGE, RECORD
from serving.errors import RequestError
from serving.http.response import Response

REPORT = "/report"
CONTENT_TYPES = {
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
HEAD_BYTES = 2_000  # a page's own policy is within its first bytes

_FILE = re.compile(rf"(?:(?:{'|'.join(FOLDERS)})/)?[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.([a-z]+)")
_OWN_HOST = re.compile(r"(?i)(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")
_POLICY = re.compile(rb'http-equiv="Content-Security-Policy" content="([\x20-\x21\x23-\x7e]*)"')


def in_report(path: str) -> bool:
    """Check whether a request's path is within the report.

    Examples
    --------
    >>> in_report("/report"), in_report("/report/csv/x.csv"), in_report("/reports")
    (True, True, False)
    """
    return path == REPORT or path.startswith(f"{REPORT}/")


def read_report(folder: Path, path: str) -> Response:
    """Read the file that a request asks for.

    Only files whose names can belong to a report are read. Files outside the report's folder are
    not read, even if a link in the folder leads to them.

    Parameters
    ----------
    folder : Path
        A report's folder, or a folder of such folders, of which the newest is read.
    path : str
        The request's path, decoded. It must be `in_report`.

    Raises
    ------
    RequestError
        404 if the report has no such file.
    """
    if path == REPORT:  # the page's links are relative to /report/
        return Response(308, CONTENT_TYPES["html"], b"", ((b"location", b"report/"), *HEADERS))
    name = path.removeprefix(f"{REPORT}/") or PAGE
    match = _FILE.fullmatch(name)
    missing = RequestError(404, "The report has no such file. GET /report/ opens its first page.")
    if match is None or match[1] not in CONTENT_TYPES:
        raise missing
    try:
        root = newest_report(folder)
        file = (root / name).resolve(strict=True)
        if not file.is_relative_to(root):
            raise missing
        body = file.read_bytes()
    except OSError:
        raise missing from None
    policy = _policy_of(body) if match[1] == "html" else STRICT
    headers = ((b"content-security-policy", policy + NEVER), *HEADERS)
    return Response(200, CONTENT_TYPES[match[1]], body, headers)


def newest_report(folder: Path) -> Path:
    """Find the report: the folder itself, or the newest report in it.

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
        raise FileNotFoundError(f"{folder} contains no report.")
    return max(records, key=lambda record: record.stat().st_mtime_ns).parent.resolve()


def is_own_host(headers: Mapping[bytes, bytes]) -> bool:
    """Check whether a request's Host header names this machine.

    A page of another site whose name resolves to 127.0.0.1 sends the name of that site.

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
