"""Reads the URL of a ledger. No message about it contains a part that may be a password."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from crm.errors import ConfigError
from crm.suggest import nearest

EXPECTED: Final = (
    "Expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE, with @ : / % in a "
    "password written as %40 %3A %2F %25."
)
DRIVERS: Final = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z0-9_+]+)://"
    r"(?:(?P<username>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<hosts>[^/?]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
)
HOST: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?")
# Control characters, and what Python makes of bytes that are not UTF-8.
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ufffd\ud800-\udfff]")


class Parameter(NamedTuple):
    """A parameter of a PostgreSQL URL: the form of its value, in words and as a pattern."""

    expected: str
    pattern: str

    @classmethod
    def one_of(cls, *values: str) -> "Parameter":
        """Return a parameter with these possible values."""
        return cls("one of: " + ", ".join(values), "|".join(map(re.escape, values)))


FILE: Final = Parameter("the path of a file", ".+")
SECONDS: Final = Parameter("a whole number of seconds", "[0-9]{1,5}")
PARAMETERS: Final = {
    "application_name": Parameter("at most 63 ASCII characters", "[ -~]{1,63}"),
    "channel_binding": Parameter.one_of("disable", "prefer", "require"),
    "connect_timeout": Parameter("a whole number of seconds from 1 to 10", "[1-9]|10"),
    "dbname": Parameter("the name of a database", ".+"),
    "gssencmode": Parameter.one_of("disable", "prefer", "require"),
    "host": Parameter("the name of a host, or the folder of a socket", ".+"),
    "hostaddr": Parameter("an IP address", "[0-9A-Fa-f:.,]+"),
    "keepalives": Parameter.one_of("0", "1"),
    "keepalives_count": Parameter("a whole number", "[0-9]{1,5}"),
    "keepalives_idle": SECONDS,
    "keepalives_interval": SECONDS,
    "load_balance_hosts": Parameter.one_of("disable", "random"),
    "passfile": FILE,
    "password": Parameter("a password", ".+"),
    "port": Parameter("numbers from 1 to 65535", "[0-9,]+"),
    "require_auth": Parameter("methods of authentication", "[a-z0-9,!-]+"),
    "sslcert": FILE,
    "sslcrl": FILE,
    "sslkey": FILE,
    "sslmode": Parameter.one_of(
        "disable", "allow", "prefer", "require", "verify-ca", "verify-full"
    ),
    "sslnegotiation": Parameter.one_of("postgres", "direct"),
    "sslrootcert": FILE,
    "ssl_max_protocol_version": Parameter.one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_min_protocol_version": Parameter.one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "target_session_attrs": Parameter.one_of("any", "read-write", "primary"),
    "user": Parameter("the name of a role", ".+"),
}
REFUSED: Final = {  # each with what to do instead
    "client_encoding": "Remove it: the ledger is always read and written in UTF-8.",
    "options": "PgBouncer refuses it. Set the options for the role: ALTER ROLE … SET …",
    "prepare_threshold": "Remove it: leadscore prepares statements on direct connections only.",
    "search_path": "Set it for the role: ALTER ROLE … SET search_path = …",
    "service": "Write the host, the database and the role in the URL.",
}
IN_URL: Final = {"user": "username", "password": "password", "dbname": "database"}


def ledger_address(url: str, folder: Path | None = None) -> sa.URL:
    """Read the URL of a ledger, and check every part of it.

    White space around the URL is left out. `postgres://` is `postgresql://`. Several hosts are
    written as libpq reads them: `postgresql://USER@HOST1:5432,HOST2:5432/DATABASE`.

    Parameters
    ----------
    url : str
    folder : Path, optional
        The folder of relative files in SQLite URLs; without it the file must be absolute.

    Returns
    -------
    URL
        Its query contains only parameters of `PARAMETERS`, and no password.

    Raises
    ------
    ConfigError
        If the URL cannot be used. The message contains no part that may be a password.

    Examples
    --------
    >>> ledger_address("postgres://ann:secret@db.example.com/crm?sslmode=require")
    postgresql+psycopg://ann:***@db.example.com/crm?sslmode=require
    >>> ledger_address("postgresql://ann@db/crm?search_path=sales")
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: The ledger's URL has the parameter `search_path`, which cannot be used.
    Set it for the role: ALTER ROLE … SET search_path = …
    """
    parts = URL.fullmatch(url.strip())
    driver = DRIVERS.get(parts["scheme"].lower()) if parts else None
    if parts is None or driver is None:
        raise ConfigError(f"The ledger's URL cannot be used. {EXPECTED}")
    names = {
        name: None if parts[name] is None else unquote(parts[name])
        for name in ("username", "password", "database")
    }
    parameters = _parameters(parts["query"])
    if any(CONTROL.search(text or "") for text in (url.strip(), *names.values())):
        raise ConfigError(
            "The ledger's URL contains a control character, or bytes that are not UTF-8. "
            f"{EXPECTED}"
        )
    if driver == "sqlite":
        return _sqlite(parts["hosts"], names["database"], parameters, folder)
    _check(parameters)
    hosts, ports = _hosts(parts["hosts"])
    if "host" not in parameters and len(hosts) > 1:
        parameters["host"] = ",".join(hosts)
        if any(ports):
            parameters["port"] = ",".join(ports)
        hosts, ports = [""], [""]
    names |= {IN_URL[name]: parameters.pop(name) for name in IN_URL if name in parameters}
    if not names["database"]:
        raise ConfigError(f"The ledger's URL names no database. {EXPECTED}")
    try:
        return sa.URL.create(
            driver,
            username=names["username"],
            password=names["password"],
            host=hosts[0] or None,
            port=int(ports[0]) if ports[0] else None,
            database=names["database"],
            query=parameters,
        )
    except (SQLAlchemyError, ValueError):
        raise ConfigError(f"The ledger's URL cannot be used. {EXPECTED}") from None


def _parameters(query: str | None) -> dict[str, str]:
    """Read the parameters of a URL; each must have a name and a value, and occur once."""
    parameters: dict[str, str] = {}
    for part in filter(None, (query or "").split("&")):
        pairs = parse_qsl(part, keep_blank_values=True, separator="&")
        name, value = pairs[0] if pairs else ("", "")
        if "=" not in part or not re.fullmatch("[A-Za-z_]{1,40}", name):
            raise ConfigError(
                "The ledger's URL has a query that cannot be read. Expected NAME=VALUE, with & "
                "between two of them, and & = % in a value written as %26 %3D %25."
            )
        if not value or CONTROL.search(value):
            raise ConfigError(f"The ledger's URL has the parameter `{name}` without a valid value.")
        if name in parameters:
            raise ConfigError(f"The ledger's URL has the parameter `{name}` twice.")
        parameters[name] = value
    return parameters


def _check(parameters: Mapping[str, str]) -> None:
    """Refuse a parameter that leadscore or PostgreSQL does not know, or with a wrong value."""
    for name, value in parameters.items():
        if name not in PARAMETERS:
            advice = REFUSED.get(name) or nearest(name, list(PARAMETERS))
            raise ConfigError(
                f"The ledger's URL has the parameter `{name}`, which cannot be used.\n{advice}"
            )
        if not re.fullmatch(PARAMETERS[name].pattern, value):
            expected = PARAMETERS[name].expected
            raise ConfigError(
                f"The ledger's URL has a value of `{name}` that cannot be used. Expected "
                f"{expected}."
            )
    ports = parameters.get("port", "").split(",")
    for port in ports:
        _check_port(port)
    n_hosts = len(parameters.get("host", "").split(","))
    if len(ports) not in (1, n_hosts):
        raise ConfigError(
            f"The ledger's URL names {len(ports)} ports for {n_hosts} hosts. Write one port for "
            "each host, or one for all."
        )


def _hosts(text: str) -> tuple[list[str], list[str]]:
    """Return the hosts of a URL and their ports as texts; a text may be empty."""
    hosts, ports = [], []
    for part in text.split(","):
        match = HOST.fullmatch(part)
        host = unquote(match["ipv6"] or match["name"] or "") if match else ""
        if match is None or not _is_host(host, is_ipv6=bool(match["ipv6"])):
            raise ConfigError(f"The ledger's URL names a host that is not valid. {EXPECTED}")
        _check_port(match["port"] or "")
        hosts.append(host)
        ports.append(match["port"] or "")
    return hosts, ports


def _is_host(host: str, is_ipv6: bool) -> bool:
    """Check whether a host is an IPv6 address, or a name that can be looked up."""
    try:
        if is_ipv6:
            return ipaddress.ip_address(host).version == 6
        host.encode("idna")
    except ValueError:
        return False
    return not re.search(r"[@\s]", host) and not CONTROL.search(host)


def _check_port(port: str) -> None:
    """Refuse a port, which is not shown: it may be a password in a URL without @."""
    is_number = port.isascii() and port.isdecimal() and len(port) < 6
    if port and not (is_number and 1 <= int(port) <= 65_535):
        raise ConfigError(
            f"The ledger's URL names a port that is not a whole number from 1 to 65535. {EXPECTED}"
        )


def _sqlite(
    host: str, database: str | None, parameters: Mapping[str, str], folder: Path | None
) -> sa.URL:
    for name in parameters:
        raise ConfigError(
            f"The ledger's URL has the parameter `{name}`, which cannot be used with SQLite. "
            "Remove it: leadscore sets the options of SQLite itself."
        )
    if host or not database or database == ":memory:" or database.startswith("file:"):
        raise ConfigError(f"The ledger's URL names no file. {EXPECTED}")
    file = (folder or Path()) / database
    if folder is None and not file.is_absolute():
        raise ConfigError(
            f"The ledger's URL contains the path {file}, but it is not clear in which folder. "
            "Write the absolute path, with four slashes: `sqlite:////folder/ledger.db`."
        )
    return sa.URL.create("sqlite", database=str(file))
