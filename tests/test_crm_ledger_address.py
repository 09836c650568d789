"""The URL of a ledger: what is read from it, and what is refused without showing a password."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm.errors import ConfigError
from crm.ledger.address import PARAMETERS, REFUSED, ledger_address
from crm.ledger.engine import open_engine
from crm.ledger.ledger import Ledger
from crm.ledger.postgres import PatientConnection

SERVER = "postgresql://ann:secret@db.example.com:5433/crm"


@pytest.fixture
def driver_arguments(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Return a function that returns the arguments with which the driver would connect."""
    arguments: dict[str, Any] = {}

    def connect(**named: Any) -> None:
        arguments.update(named)
        raise RuntimeError

    def arguments_of(url: str) -> dict[str, Any]:
        with pytest.raises(RuntimeError):
            open_engine(ledger_address(url)).connect()
        return arguments

    monkeypatch.setattr(PatientConnection, "connect", connect)
    return arguments_of


Arguments = Callable[[str], dict[str, Any]]


def test_driver_gets_every_part_and_keeps_no_state_on_the_server(
    driver_arguments: Arguments,
) -> None:
    arguments = driver_arguments(SERVER)
    assert arguments.pop("context") is not None
    assert arguments == {
        "user": "ann",
        "password": "secret",
        "host": "db.example.com",
        "port": 5433,
        "dbname": "crm",
        "client_encoding": "utf8",
        "connect_timeout": 3,
        "fallback_application_name": "leadscore",
        "prepare_threshold": None,
        "tcp_user_timeout": 3000,
    }


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("sslmode=verify-full", "sslmode", "verify-full"),
        ("sslrootcert=/etc/ssl/ca.pem", "sslrootcert", "/etc/ssl/ca.pem"),
        ("application_name=scores", "application_name", "scores"),
        ("connect_timeout=10", "connect_timeout", "10"),
        ("target_session_attrs=read-write", "target_session_attrs", "read-write"),
        ("host=/run/postgresql", "host", "/run/postgresql"),
        ("password=p%26w", "password", "p&w"),
        ("user=bob", "user", "bob"),
        ("dbname=sales", "dbname", "sales"),
    ],
)
def test_parameter_reaches_the_driver(
    driver_arguments: Arguments, query: str, name: str, value: str
) -> None:
    assert driver_arguments(f"{SERVER}?{query}")[name] == value


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://ann@a,b/crm", "a,b", ","),
        ("postgresql://ann@a:5432,b:5433/crm", "a,b", "5432,5433"),
        ("postgresql://ann@a:5432,b/crm", "a,b", "5432,"),
        ("postgresql://ann@/crm?host=/run/postgresql&port=5433", "/run/postgresql", "5433"),
        ("postgresql://ann@/crm?host=a,b&port=1,2", "a,b", "1,2"),
        ("postgresql://ann@[::1]:5433/crm", "::1", 5433),
        ("postgresql://ann@[::1]/crm", "::1", None),
        ("postgresql://ann@[::1]:1,[fe80::2]:2/crm", "::1,fe80::2", "1,2"),
        ("postgresql://ann@db:/crm", "db", None),
        ("postgresql://ann@a,b/crm?host=/run/postgresql", "/run/postgresql", None),
        ("postgresql:///crm", None, None),
    ],
)
def test_hosts_and_ports_are_read(
    driver_arguments: Arguments, url: str, host: str | None, port: Any
) -> None:
    arguments = driver_arguments(url)
    assert (arguments.get("host"), arguments.get("port")) == (host, port)


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("postgres://ann@db/crm", "postgresql://ann@db/crm"),
        ("POSTGRESQL://ann@db/crm", "postgresql://ann@db/crm"),
        ("postgresql+psycopg://ann@db/crm", "postgresql://ann@db/crm"),
        (" postgresql://ann@db/crm\n", "postgresql://ann@db/crm"),
        ("sqlite+pysqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("postgresql://a%40b:p%2Fw%25@db/c%20d", "postgresql://a@b:p/w%@db/c d"),
    ],
)
def test_other_ways_to_write_a_url(url: str, same_as: str) -> None:
    assert ledger_address(url) == ledger_address(same_as)


def test_unicode_in_names_and_passwords_is_kept() -> None:
    url = ledger_address("postgresql://Jörg:pässword@db/größe")
    assert (url.username, url.password, url.database) == ("Jörg", "pässword", "größe")


def test_written_address_is_read_as_the_same_address() -> None:
    written = "postgresql://a%40b:p%2Fw@h1:5432,h2:5433/c%3Fd?sslmode=require&password=x%26y"
    address = ledger_address(written)
    assert ledger_address(address.render_as_string(hide_password=False)) == address


REFUSALS = [
    ("", "cannot be used"),
    ("secret", "cannot be used"),
    ("://", "cannot be used"),
    ("mysql://ann:secret@db/crm", "cannot be used"),
    ("postgresql+psycopg2://ann:secret@db/crm", "cannot be used"),
    ("postgresql+asyncpg://ann:secret@db/crm", "cannot be used"),
    ("postgresql:ann:secret@db/crm", "cannot be used"),
    ("postgresql://ann:secret@db", "names no database"),
    ("postgresql://ann:secret@db/", "names no database"),
    ("postgresql://ann:secret@db:99999/crm", "port that is not a whole number from 1 to 65535"),
    ("postgresql://ann:secret@db:0/crm", "port that is not"),
    ("postgresql://ann:secret@db:-1/crm", "port that is not"),
    ("postgresql://ann:secret@db:٣/crm", "port that is not"),
    ("postgresql://ann:secret/crm", "port that is not"),
    ("postgresql://ann:my@secret@db/crm", "host that is not valid"),
    ("postgresql://ann:secret@d b/crm", "host that is not valid"),
    (f"postgresql://ann:secret@{'a' * 300}/crm", "host that is not valid"),
    ("postgresql://ann:secret@a..b/crm", "host that is not valid"),
    ("postgresql://ann:secret@\ud800/crm", "host that is not valid|control character"),
    ("postgresql://ann:secret\ud800@db/crm", "bytes that are not UTF-8"),
    ("sqlite:////tmp/\ud800.db", "bytes that are not UTF-8"),
    ("postgresql://ann:secret@::1/crm", "port that is not"),
    ("postgresql://ann:secret@[::1/crm", "host that is not valid"),
    ("postgresql://ann:secret@[db]/crm", "host that is not valid"),
    ("postgresql://ann:sec\nret@db/crm", "control character"),
    ("postgresql://ann:secret@db\n/crm", "host that is not valid|control character"),
    ("postgresql://ann:secret%00@db/crm", "control character"),
    ("postgresql://ann:secret%ff@db/crm", "bytes that are not UTF-8"),
    ("postgresql://ann:secret@db/crm%0d", "control character"),
    (f"{SERVER}?secret", "query that cannot be read"),
    (f"{SERVER}?=secret", "query that cannot be read"),
    (f"{SERVER}?sslmode=", "`sslmode` without a valid value"),
    (f"{SERVER}?password=", "`password` without a valid value"),
    (f"{SERVER}?password=secret%00", "`password` without a valid value"),
    (f"{SERVER}?password=secret&password=secret", "`password` twice"),
    (f"{SERVER}?sslmode=secret", "value of `sslmode` that cannot be used. Expected one of: dis"),
    (f"{SERVER}?connect_timeout=60", "from 1 to 10"),
    (f"{SERVER}?target_session_attrs=standby", "one of: any, read-write, primary"),
    (f"{SERVER}?port=5432,99999", "port that is not"),
    (f"{SERVER}?ssl_mode=require", "`ssl_mode`, which cannot be used.\nDid you mean `sslmode`"),
    (f"{SERVER}?row_factory=secret", "`row_factory`, which cannot be used"),
    (f"{SERVER}?host=a,b&port=1,2,3", "names 3 ports for 2 hosts"),
    ("sqlite://secret", "names no file"),
    ("sqlite:///", "names no file"),
    ("sqlite:///:memory:", "names no file"),
    ("sqlite:///file:x.db", "names no file"),
    ("sqlite+aiosqlite:////x.db", "cannot be used"),
    ("sqlite:////x.db?mode=ro", "`mode`, which cannot be used with SQLite"),
    ("sqlite:////x.db?cache=shared", "`cache`, which cannot be used with SQLite"),
    ("sqlite:////x.db?timeout=5", "`timeout`, which cannot be used with SQLite"),
    ("sqlite:////x\x00.db", "control character"),
]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        *REFUSALS,
        *((f"{SERVER}?{name}=secret", f"`{name}`, which cannot be used") for name in REFUSED),
    ],
)
def test_url_is_refused_without_showing_a_secret(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refusal:
        Ledger(url)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_relative_file_needs_a_folder(tmp_path: Path) -> None:
    assert ledger_address("sqlite:///x.db", tmp_path).database == str(tmp_path / "x.db")
    with pytest.raises(ConfigError, match="it is not clear in which folder"):
        ledger_address("sqlite:///x.db")


def test_parameters_are_those_of_the_driver() -> None:
    from psycopg.conninfo import conninfo_to_dict

    for name in PARAMETERS:
        assert conninfo_to_dict("", **{name: "1"}) == {name: "1"}
