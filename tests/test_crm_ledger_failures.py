"""Why a ledger's database fails: cause, SQLSTATE, place, role and message, without secrets."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm.errors import LedgerError
from crm.ledger import database
from crm.ledger.entries import Batch, SentLead
from crm.ledger.ledger import Ledger
from tests.made_calls import given
from tests.made_pgbouncer import PgBouncer

CALL = {"lead_id": "anna@example.org", "type": "call", "occurred_at": 7}
EVENT_TABLES = "activities, outcomes, stages"
_numbers = itertools.count()

Grant = Callable[[str], None]


def failure_of(ledger: Ledger) -> LedgerError:
    """Add an activity; return the error."""
    with pytest.raises(LedgerError) as caught:
        ledger.add("activities", [CALL], 0)
    for word in ("anna", "secret", "DETAIL"):
        assert word not in str(caught.value)
    return caught.value


# -- logins


def test_unreachable_server_is_named() -> None:
    error = failure_of(Ledger("postgresql://ann:secret@127.0.0.1:9/crm"))
    assert error.cause == "unreachable"
    assert (
        "database 'crm' on 127.0.0.1, port 9, role 'ann', cannot be reached (OperationalError: "
        'connection failed: connection to server at "127.0.0.1", port 9 failed: Connection refused)'
    ) in str(error)


def test_wrong_password_is_named(pgbouncer: PgBouncer) -> None:
    error = failure_of(Ledger(pgbouncer.url("crm", password="secret")))
    assert error.cause == "authentication"
    assert f"'crm' on 127.0.0.1, port {pgbouncer.port}, role 'postgres', refuses the" in str(error)
    assert "(28P01: connection failed: " in str(error)


def test_missing_database_is_named(postgres_url: str, pgbouncer: PgBouncer) -> None:
    directly = sa.make_url(postgres_url).set(database="nope").render_as_string(False)
    for url in (directly, pgbouncer.url("nope")):
        error = failure_of(Ledger(url))
        assert error.cause == "no_database"
        assert "3D000" in str(error)
        assert 'database "nope" does not exist' in str(error)


def test_missing_role_is_named(postgres_url: str) -> None:
    url = sa.make_url(postgres_url).set(username="nobody").render_as_string(False)
    error = failure_of(Ledger(url))
    assert error.cause == "authentication"
    assert 'role "nobody" does not exist' in str(error)


def test_missing_file_is_named(tmp_path: Path) -> None:
    error = failure_of(Ledger("sqlite:///nope/ledger.db", tmp_path))
    assert error.cause == "unreachable"
    assert f"{tmp_path}/nope/ledger.db cannot be reached (SQLITE_CANTOPEN: unable" in str(error)


def test_file_that_is_not_a_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("x" * 5_000)
    error = failure_of(Ledger("sqlite:///ledger.db", tmp_path))
    assert error.cause == "damaged"
    assert "SQLITE_NOTADB: file is not a database" in str(error)


def test_too_old_server_is_named(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(database.OLDEST_SERVER, "sqlite", (99, 1))
    error = failure_of(ledger)
    assert error.cause == "too_old"
    assert re.search(r"runs on sqlite 3\.\d+\.\d+\. leadscore needs 99\.1 or newer", str(error))


def test_message_with_values_of_rows_is_left_out(ledger: Ledger) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT json_extract('anna secret', '$')")

    with pytest.raises(LedgerError) as caught:
        ledger.database.read(fail)
    assert "anna" not in str(caught.value)


# -- rights


@pytest.fixture
def owner(postgres_url: str) -> Iterator[sa.Connection]:
    """Connect to an empty database as the owner of its tables."""
    name = f"rights{next(_numbers)}"
    server = sa.make_url(postgres_url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        connection.exec_driver_sql("DROP ROLE IF EXISTS app")
        connection.exec_driver_sql("CREATE ROLE app LOGIN")
    of_database = sa.create_engine(server.set(database=name), isolation_level="AUTOCOMMIT")
    with of_database.connect() as connection:
        yield connection
    of_database.dispose()
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        connection.exec_driver_sql("DROP ROLE app")
    engine.dispose()


@pytest.fixture
def of_app(owner: sa.Connection) -> Iterator[Ledger]:
    """Open the ledger as a role without rights."""
    url = owner.engine.url.set(username="app").render_as_string(False)
    with contextlib.closing(Ledger(url)) as ledger:
        yield ledger


@pytest.fixture
def tables(owner: sa.Connection) -> None:
    """Create the tables as their owner."""
    with Ledger(owner.engine.url.render_as_string(False)) as ledger:
        ledger.database.prepare()


def grant(owner: sa.Connection, rights: str) -> None:
    owner.exec_driver_sql(f"GRANT {rights} ON ALL TABLES IN SCHEMA public TO app")


def granted(owner: sa.Connection, error: LedgerError) -> None:
    """Execute the statements that a message contains."""
    statements = re.findall(r"GRANT .*?;", str(error))
    assert statements
    for statement in statements:
        owner.exec_driver_sql(statement)


def use(ledger: Ledger) -> None:
    """Do all that the service does."""
    ledger.database.check_rights()
    ledger.add("activities", [CALL], 0)
    ledger.add("outcomes", [{"lead_id": "L1", "outcome": "won"}], 0)
    ledger.add_batch(Batch([given(1)], [(SentLead("L1", None, {"a": 1}), 0)]), 0)
    ledger.stored_leads(["L1"])
    ledger.overview("L1")
    ledger.scores_of("L1")
    list(ledger.rows("scores"))
    assert ledger.forget("L1", 0)["scores"] == 1


def test_missing_right_to_create_tables_is_named(owner: sa.Connection, of_app: Ledger) -> None:
    owner.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    error = failure_of(of_app)
    assert error.cause == "missing_rights"
    assert "(42501: permission denied for schema public)" in str(error)
    assert "The role 'app' lacks CREATE on the schema public." in str(error)
    granted(owner, error)
    use(of_app)


def test_missing_right_to_use_the_schema_is_named(owner: sa.Connection, of_app: Ledger) -> None:
    owner.exec_driver_sql("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    error = failure_of(of_app)
    assert "lacks USAGE on every schema" in str(error)


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        ("INSERT", ["DELETE on the tables activities", "SELECT on the tables activities"]),
        ("SELECT", ["DELETE on the tables activities, leads", "INSERT on the tables activities"]),
        ("SELECT, INSERT, DELETE", ["USAGE on the sequences activities_seq_seq, erasures_seq_seq"]),
    ],
)
@pytest.mark.usefixtures("tables")
def test_missing_rights_on_tables_are_named_and_their_grants_help(
    owner: sa.Connection, of_app: Ledger, rights: str, missing: list[str]
) -> None:
    grant(owner, rights)
    error = failure_of(of_app)
    assert error.cause == "missing_rights"
    assert error.is_passing
    assert "(42501: permission denied for " in str(error)
    assert "The role 'app' lacks " in str(error)
    for right in missing:
        assert right in str(error)
    with pytest.raises(LedgerError, match="The role 'app' lacks "):
        of_app.database.check_rights()
    granted(owner, error)
    use(of_app)


@pytest.mark.usefixtures("tables")
def test_role_that_may_select_only_reads(owner: sa.Connection, of_app: Ledger) -> None:
    grant(owner, "SELECT")
    assert of_app.stored_leads(["L1"])["L1"].activities == []
    assert list(of_app.rows("leads")) == []


@pytest.mark.usefixtures("tables")
def test_only_the_right_to_delete_is_missing(owner: sa.Connection, of_app: Ledger) -> None:
    grant(owner, "SELECT, INSERT")
    owner.exec_driver_sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app")
    of_app.add("activities", [CALL], 0)
    with pytest.raises(LedgerError, match="lacks DELETE on the tables .* GRANT DELETE ON TABLE"):
        of_app.forget("L1", 0)


def test_role_with_all_rights_passes(owner: sa.Connection, tables: Any) -> None:
    with Ledger(owner.engine.url.render_as_string(False)) as ledger:
        use(ledger)
