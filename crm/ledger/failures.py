"""Describes why the ledger's database fails: the cause, and the driver's message without data."""

import re
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

Cause = Literal[
    "unreachable",
    "authentication",
    "no_database",
    "missing_rights",
    "read_only",
    "full",
    "locked",
    "too_many_connections",
    "damaged",
    "too_old",
    "schema",
    "other",
]

PROBLEMS: Final[dict[Cause, str]] = {
    "unreachable": "cannot be reached",
    "authentication": "refuses the role or its password",
    "no_database": "does not exist",
    "missing_rights": "refuses the request, because a right is missing",
    "read_only": "is read-only",
    "full": "is full, or its disk is full",
    "locked": "refuses the request or is busy",
    "too_many_connections": "has no free connection",
    "damaged": "is damaged",
    "too_old": "runs on a server that is too old",
    "schema": "does not have the tables of a ledger",
    "other": "refuses the request or is busy",
}
CODES: Final[dict[str, Cause]] = {  # the beginning of an SQLSTATE, or of the name of SQLite's code
    "08": "unreachable",
    "57P": "unreachable",
    "SQLITE_CANTOPEN": "unreachable",
    "28": "authentication",
    "3D000": "no_database",
    "42501": "missing_rights",
    "SQLITE_PERM": "missing_rights",
    "SQLITE_AUTH": "missing_rights",
    "25006": "read_only",
    "SQLITE_READONLY": "read_only",
    "53100": "full",
    "SQLITE_FULL": "full",
    "SQLITE_IOERR_WRITE": "full",
    "SQLITE_IOERR_SHMSIZE": "full",
    "55P03": "locked",
    "57014": "locked",
    "40": "locked",
    "SQLITE_BUSY": "locked",
    "SQLITE_LOCKED": "locked",
    "53300": "too_many_connections",
    "XX001": "damaged",
    "XX002": "damaged",
    "SQLITE_CORRUPT": "damaged",
    "SQLITE_NOTADB": "damaged",
    "3F000": "missing_rights",  # no schema of the search_path may be used
    "42P01": "schema",
    "42703": "schema",
}
REFUSED_LOGINS: Final = (  # the driver does not pass on the SQLSTATE of a login that fails
    ("permission denied for database", "42501"),
    ("authentication failed|no password supplied", "28P01"),
    (r"no pg_hba\.conf entry|role .* does not exist|not permitted to log in|no such user", "28000"),
    ("database .* does not exist|no such database", "3D000"),
    ("too many (clients|connections)|connection slots|no more connections allowed", "53300"),
    ("the database system is", "57P03"),
)
# The messages of these classes of SQLSTATEs name objects of the database, never values of rows.
WITHOUT_VALUES: Final = ("08", "25", "28", "3D", "3F", "40", "42501", "42P01", "53", "55", "57")
MOST_CHARACTERS: Final = 300  # of a name or a message


class Failure:
    """A failure of the database, as it may be logged.

    Parameters
    ----------
    error : SQLAlchemyError

    Attributes
    ----------
    cause : str
        One of `PROBLEMS`.
    code : str
        The SQLSTATE, SQLite's name of its code, or the type of the driver's error.
    message : str
        The driver's message on one line, without its DETAIL; empty if it may contain values.
    is_passing : bool
        Whether the same work may succeed later.
    """

    def __init__(self, error: SQLAlchemyError) -> None:
        driver_error = getattr(error, "orig", None) or error
        self.code = _code(driver_error)
        self.message = _message(driver_error, self.code)
        self.cause = _cause(error, self.code)
        is_data = isinstance(error, DataError | IntegrityError)
        self.is_passing = not is_data and (
            self.cause != "other" or not isinstance(error, sa.exc.ProgrammingError)
        )

    def text(self, url: sa.URL) -> str:
        """Return the failure in words, with the place and the role, without secrets."""
        detail = f"{self.code}: {self.message}" if self.message else self.code
        return f"The ledger's database {place_of(url)} {PROBLEMS[self.cause]} ({detail})."


def place_of(url: sa.URL) -> str:
    """Return where a database is, and the role that uses it, without its password.

    Examples
    --------
    >>> place_of(sa.make_url("postgresql://ann:secret@db.example.com/crm"))
    "'crm' on db.example.com, port 5432, role 'ann',"
    """
    if url.get_backend_name() == "sqlite":
        return _clipped(url.database)
    host = url.query.get("host", url.host or "the local socket")
    port = url.query.get("port", url.port or 5432)
    role = f"role '{_clipped(url.username)}'" if url.username else "the role of the system's user"
    return f"'{_clipped(url.database)}' on {_clipped(host)}, port {_clipped(port)}, {role},"


def _clipped(part: object) -> str:
    text = str(part)
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"


def _code(error: BaseException) -> str:
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    if code is None:
        matches = (state for pattern, state in REFUSED_LOGINS if re.search(pattern, str(error)))
        code = next(matches, type(error).__name__)
    return str(code)


def _message(error: Any, code: str) -> str:
    """Return the driver's message if it contains no values of rows."""
    if getattr(error, "sqlstate", None) is None:  # SQLite, or a connection that failed
        text = str(error).split("\n")[0]  # DETAIL and HINT follow on lines of their own
    elif code.startswith(WITHOUT_VALUES):
        text = error.diag.message_primary or ""
    else:
        return ""
    return _clipped(" ".join(text.split()).rstrip("."))


def _cause(error: SQLAlchemyError, code: str) -> Cause:
    for length in range(len(code), 1, -1):
        if code[:length] in CODES:
            return CODES[code[:length]]
    if isinstance(error, sa.exc.TimeoutError):  # all connections of this process are in use
        return "locked"
    if isinstance(error, DBAPIError) and error.statement and not error.connection_invalidated:
        return "other"
    return "unreachable"
