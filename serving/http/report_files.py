"""The marketers' pages: the files of the newest report, read only."""

import asyncio
import os
import re
import stat
from pathlib import Path

from crm.errors import ConfigError
from crm.report_folder import FOLDERS, PAGE, RECORD
from serving.errors import RequestError
from serving.http.response import Response
from serving.http.slow_reads import SlowReads

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
START_SECONDS = 2.0  # for the folder to answer at the start
HEAD_BYTES = 2_000  # a page's own policy is within its first bytes
MAX_FILE_BYTES = 64 * 1024 * 1024

_FILE = re.compile(rf"(?:(?:{'|'.join(FOLDERS)})/)?[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.([a-z]+)")
_POLICY = re.compile(rb'http-equiv="Content-Security-Policy" content="([\x20-\x21\x23-\x7e]*)"')


def check_report_folder(name: str, seconds: float = START_SECONDS) -> bool:
    """Check that the folder of the report exists, unless its disk does not answer.

    Parameters
    ----------
    name : str
        The value of the setting; empty if no report is served.
    seconds : float
        The longest time that this takes.

    Returns
    -------
    bool
        Whether the disk has answered in this time.

    Raises
    ------
    ConfigError
        If the folder does not exist, or its path is relative.
    """
    folder = Path(name)
    try:
        if not name or (folder.is_absolute() and asyncio.run(_is_folder(folder, seconds))):
            return True
    except TimeoutError:
        return False
    raise ConfigError(
        f"LEADSCORE_REPORT_DIR is {name[:200]!r}. Expected the absolute path of an existing "
        "folder, because the service changes its working folder."
    )


async def _is_folder(folder: Path, seconds: float) -> bool:
    return await SlowReads(threads=1, seconds=seconds).run(folder.is_dir)


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

    Only regular files whose names can belong to a report are read. Files outside the report's
    folder are not read, even if a link in the folder leads to them.

    Parameters
    ----------
    folder : Path
        A report's folder, or a folder of such folders, of which the newest is read.
    path : str
        The request's path, decoded. It must be `in_report`.

    Raises
    ------
    RequestError
        404 if the report has no such file, or the file is too large.
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
        body = _read_regular(file)
    except OSError:
        raise missing from None
    if len(body) > MAX_FILE_BYTES:
        raise RequestError(
            404, f"This file is larger than {MAX_FILE_BYTES:,} bytes. Open it in its folder."
        )
    policy = _policy_of(body) if match[1] == "html" else STRICT
    headers = ((b"content-security-policy", policy + NEVER), *HEADERS)
    return Response(200, CONTENT_TYPES[match[1]], body, headers)


def _read_regular(file: Path) -> bytes:
    """Read a regular file, at most one byte more than the limit.

    A pipe or a device is not opened, because that may block or have effects. If one takes the
    file's place after the check, opening it does not block, and nothing is read from it.

    Raises
    ------
    OSError
        If it is not a regular file, or cannot be read.
    """
    if not stat.S_ISREG(file.lstat().st_mode):
        raise OSError("not a regular file")
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        return opened.read(MAX_FILE_BYTES + 1)


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


def _policy_of(page: bytes) -> bytes:
    own = _POLICY.search(page[:HEAD_BYTES])
    return own[1].rstrip(b"; ") if own else STRICT
