"""The ledger on both databases: what is added once, what is read back, what is forgotten."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm.errors import ConfigError, LedgerError
from crm.ledger.ledger import Batch, GivenScore, Ledger, SentLead
from crm.ledger.schema import EVENTS, SCHEMA_VERSION, metadata
from crm.ledger.trend import trend
from crm.times import DAY

MakeUrl = Callable[[], str]
_numbers = itertools.count()

CALL = {"lead_id": "L1", "type": "call", "occurred_at": 7, "content": None, "value": 2.5}
ENTRY = {"lead_id": "L1", "stage": "new", "entered_at": 5}
WIN = {"lead_id": "L1", "outcome": "won", "closed_at": 9, "amount": 100.0, "reason": "price"}


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return new_postgres_database(request.getfixturevalue("postgres_url"))


def new_postgres_database(server: str) -> str:
    address = sa.make_url(server.replace("postgresql://", "postgresql+psycopg://", 1))
    name = f"ledger{next(_numbers)}"
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return address.set(database=name, drivername="postgresql").render_as_string(False)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as opened:
        yield opened


def statuses(ledger: Ledger, kind: str, *rows: Any, now: int = 100) -> list[str]:
    return [added.status for added in ledger.add(kind, rows, now)]


def given(lead_id: str, number: int, score: int = 50, as_of: int = 0) -> GivenScore:
    return GivenScore(
        lead_id=lead_id,
        score_id=f"s{number}",
        as_of=as_of,
        probability=0.25,
        score=score,
        grade="B",
        model="acme",
        version="3",
        digest="abc",
        reasons=[{"text": "why", "points": 2}],
        request_id="r",
        recorded_at=as_of,
    )


@pytest.mark.parametrize(
    ("kind", "row"), [("activities", CALL), ("stages", ENTRY), ("outcomes", WIN)]
)
def test_repeated_event_is_added_once(ledger: Ledger, kind: str, row: dict[str, Any]) -> None:
    assert statuses(ledger, kind, row, row) == ["accepted", "duplicate"]
    assert statuses(ledger, kind, row) == ["duplicate"]
    assert sum(map(len, ledger.rows(kind))) == 1


@pytest.mark.parametrize(
    ("kind", "row"), [("activities", CALL), ("stages", ENTRY), ("outcomes", WIN)]
)
def test_same_id_with_other_values_is_a_conflict(
    ledger: Ledger, kind: str, row: dict[str, Any]
) -> None:
    event = EVENTS[kind]
    named, other = row | {event.id: "x"}, row | {event.id: "x", event.time: 8}
    assert statuses(ledger, kind, named) == ["accepted"]
    assert statuses(ledger, kind, other, named) == ["conflict", "duplicate"]
    (rows,) = ledger.rows(kind)
    assert [found[event.time] for found in rows] == [row[event.time]]


def test_ids_are_unique_per_lead(ledger: Ledger) -> None:
    named = CALL | {"activity_id": "x"}
    assert statuses(ledger, "activities", named, named | {"lead_id": "L2"}) == ["accepted"] * 2


def test_event_with_an_id_equals_the_same_event_without(ledger: Ledger) -> None:
    named = CALL | {"activity_id": "x"}
    assert statuses(ledger, "activities", CALL) == ["accepted"]
    assert statuses(ledger, "activities", named, named) == ["duplicate", "duplicate"]
    late = CALL | {"occurred_at": 8}
    assert statuses(ledger, "activities", late | {"activity_id": "y"}, late) == [
        "accepted",
        "duplicate",
    ]


def test_equal_events_with_different_ids_are_two(ledger: Ledger) -> None:
    one, two = (CALL | {"activity_id": name} for name in "xy")
    assert statuses(ledger, "activities", one, two) == ["accepted", "accepted"]


def test_id_in_the_format_of_a_generated_one_counts_as_absent(ledger: Ledger) -> None:
    (made,) = ledger.add("activities", [CALL], 0)
    assert made.id.startswith("sha256:")
    again = CALL | {"activity_id": made.id}
    other = again | {"occurred_at": 8}
    assert statuses(ledger, "activities", again, other) == ["duplicate", "accepted"]


def test_outcome_without_a_time_is_added_once(ledger: Ledger) -> None:
    undated = {"lead_id": "L1", "outcome": "lost"}
    assert statuses(ledger, "outcomes", undated, undated) == ["accepted", "duplicate"]
    assert statuses(ledger, "outcomes", undated | {"outcome_id": "o"}) == ["duplicate"]


def test_numbers_and_texts_round_trip(ledger: Ledger) -> None:
    odd = {
        "lead_id": "Lé'ad;--",
        "activity_id": "1" * 200,
        "type": "größer\n\t\"'",
        "channel": "\U0001f600",
        "occurred_at": -(2**60),
        "content": "x" * 1_000,
        "value": 0.1 + 0.2,
    }
    ledger.add("activities", [odd], 0)
    assert ledger.held(["Lé'ad;--"])["Lé'ad;--"].activities == [odd]


def test_thousand_items_are_one_request(ledger: Ledger) -> None:
    rows = [CALL | {"lead_id": f"L{i % 300}", "occurred_at": i} for i in range(1_000)]
    assert statuses(ledger, "activities", *rows) == ["accepted"] * 1_000
    assert statuses(ledger, "activities", *rows) == ["duplicate"] * 1_000
    held = ledger.held([f"L{i}" for i in range(300)])
    assert sum(len(one.activities) for one in held.values()) == 1_000


def test_held_returns_every_requested_lead(ledger: Ledger) -> None:
    ledger.add("activities", [CALL], 0)
    ledger.add("stages", [ENTRY], 0)
    ledger.add("outcomes", [WIN], 0)
    held = ledger.held(["L1", "L2"], with_outcomes=True)
    assert held["L1"].activities[0]["type"] == "call"
    assert held["L1"].stages[0]["stage"] == "new"
    assert held["L1"].outcomes[0]["amount"] == 100.0
    assert held["L2"].activities == held["L2"].stages == held["L2"].outcomes == []
    assert held["L2"].sent is None
    assert ledger.held([]) == {}


def test_newest_attributes_are_used_and_equal_ones_stored_once(ledger: Ledger) -> None:
    for at, source in enumerate(["Web", "Web", "Fair", "Web"]):
        sent = SentLead("L1", 5, {"source": source, "visits": 10**30, "none": None})
        ledger.add_batch(Batch(leads=[(sent, at)]), at)
    (rows,) = ledger.rows("leads")
    assert [row["recorded_at"] for row in rows] == [0, 2, 3]
    newest = ledger.held(["L1"])["L1"].sent
    assert newest == SentLead("L1", 5, {"none": None, "source": "Web", "visits": str(10**30)})


def test_scores_are_returned_newest_first(ledger: Ledger) -> None:
    batch = Batch(scores=[given("L1", 1, 40, 9), given("L1", 2, 60, 3), given("L2", 3)])
    assert ledger.add_batch(batch, 10) == 3
    assert ledger.add_batch(batch, 11) == 0  # after a commit of which the answer was lost
    assert [score.score for score in ledger.scores_of("L1")] == [60, 40]
    assert ledger.scores_of("L1")[0] == given("L1", 2, 60, 3)


def test_trend_does_not_depend_on_scores_per_day(ledger: Ledger) -> None:
    per_day = {"rarely": 1, "often": 110}
    for lead, times in per_day.items():
        for day in range(7):
            of_day = [given(lead, 1_000 * day + i, 90, day * DAY + i) for i in range(times - 1)]
            last = given(lead, 1_000 * day + 999, 40 + 2 * day, day * DAY + 5)
            ledger.add_batch(Batch(scores=[*of_day, last]), 0)
        assert trend(ledger.scores_by_day(lead)) == ("improving", 8.0)
        assert len(ledger.scores_of(lead)) == min(7 * times, 50)
    assert len(ledger.scores_by_day("often")) == 5
    assert ledger.scores_by_day("never") == []


def test_new_file_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
            ledger.add("activities", [CALL], 0)
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    (tmp_path / "ledger.db").chmod(0o640)
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        assert sum(map(len, ledger.rows("activities"))) == 1
    assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o640  # what somebody chose stays


def test_erasing_deletes_every_row_and_keeps_no_id(ledger: Ledger, ledger_url: str) -> None:
    person = "anna@example.org"
    mine = {"lead_id": person}
    for lead in (person, "L2"):
        ledger.add("activities", [CALL | {"lead_id": lead}], 0)
        ledger.add("stages", [ENTRY | {"lead_id": lead}], 0)
        ledger.add("outcomes", [WIN | {"lead_id": lead}], 0)
        batch = Batch([given(lead, 1)], [(SentLead(lead, None, {"a": 1}), 0)])
        ledger.add_batch(batch, 0)
    assert ledger.forget(person, 50) == dict.fromkeys(
        ("activities", "stages", "outcomes", "scores", "leads"), 1
    )
    assert set(ledger.forget(person, 51).values()) == {0}
    for table in metadata.tables:
        if table != "ledger_keys":
            rows = [row for piece in ledger.rows(table) for row in piece]
            assert len(rows) == 1, table
            assert person not in str(rows)
    assert statuses(ledger, "activities", CALL | mine, CALL | {"lead_id": "L3"}) == [
        "erased",
        "accepted",
    ]
    batch = Batch([given(person, 2)], [(SentLead(person, None, {}), 0)], [CALL | mine])
    assert ledger.add_batch(batch, 0) == 0
    assert ledger.held([person])[person].activities == []
    assert ledger.erased([person, "L2"]) == {person}


def test_lead_hash_depends_on_the_ledger(tmp_path: Path) -> None:
    hashes = set()
    for name in "ab":
        with Ledger(f"sqlite:///{name}.db", tmp_path) as ledger:
            ledger.forget("L1", 0)
            hashes |= {row["lead_hash"] for piece in ledger.rows("erasures") for row in piece}
    assert len(hashes) == 2


def test_table_is_read_in_chunks_in_order_of_arrival(ledger: Ledger) -> None:
    ledger.add("stages", [ENTRY | {"entered_at": i} for i in range(25)], 0)
    pieces = list(ledger.rows("stages", at_once=10))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    assert {row["entered_at"] for piece in pieces for row in piece} == set(range(25))


def test_migrations_build_the_declared_schema(ledger: Ledger) -> None:
    ledger.database.prepare()
    inspector = sa.inspect(ledger.database.engine)
    assert set(inspector.get_table_names()) == {*metadata.tables, "ledger_version"}
    for name, table in metadata.tables.items():
        built = {column["name"]: column for column in inspector.get_columns(name)}
        assert set(built) == set(table.c.keys()), name
        for column in table.c:
            assert built[column.name]["nullable"] == column.nullable, (name, column.name)


def test_older_schema_is_migrated_with_its_rows(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import crm.ledger.database as database

    with monkeypatch.context() as patch, Ledger(ledger_url) as old:
        patch.setattr(database, "SCHEMA_VERSION", "0001")
        assert statuses(old, "activities", CALL) == ["accepted"]
        assert "leads" not in sa.inspect(old.database.engine).get_table_names()
    with Ledger(ledger_url) as ledger:
        assert statuses(ledger, "activities", CALL) == ["duplicate"]
        assert ledger.held(["L1"])["L1"].sent is None


def test_newer_schema_is_refused(ledger: Ledger, ledger_url: str) -> None:
    ledger.add("activities", [CALL], 0)
    with ledger.database.engine.begin() as connection:
        connection.execution_options(leadscore_purpose="writing")
        connection.exec_driver_sql("UPDATE ledger_version SET version_num = '9999'")
    with (
        Ledger(ledger_url) as older,
        pytest.raises(ConfigError, match="has schema 9999; this leadscore knows"),
    ):
        older.add("activities", [CALL], 0)
    assert SCHEMA_VERSION < "9999"


def test_foreign_tables_are_left_alone(ledger: Ledger, ledger_url: str) -> None:
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE leads (name TEXT)")
    with pytest.raises(ConfigError, match="tables of another program: leads"):
        ledger.add("activities", [CALL], 0)


def test_file_without_a_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="it is not clear in which folder"):
        Ledger("sqlite:///ledger.db")


@pytest.mark.parametrize(
    "url", ["ledger.db", "sqlite://", "sqlite:///:memory:", "mysql://x/y", "postgresql://host"]
)
def test_unusable_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="Expected sqlite:///FILE or"):
        Ledger(url)


def test_error_contains_no_password_and_no_data() -> None:
    unreachable = Ledger("postgresql://ann:secret@127.0.0.1:9/db?password=hidden")
    with pytest.raises(LedgerError, match="cannot be reached") as caught:
        unreachable.add("activities", [CALL | {"lead_id": "anna@example.org"}], 0)
    for word in ("secret", "hidden", "anna"):
        assert word not in str(caught.value)
    assert caught.value.__cause__ is None


def test_bento_contains_the_migrations() -> None:
    import yaml
    from bentoml._internal.bento.build_config import BentoPathSpec

    here = Path(__file__).resolve().parent.parent
    packed = yaml.safe_load((here / "bentofile.yaml").read_text())
    chosen = BentoPathSpec(packed["include"], packed["exclude"], str(here))
    steps = [path.relative_to(here).as_posix() for path in (here / "crm").rglob("v0*.py")]
    assert len(steps) == int(SCHEMA_VERSION)
    assert all(chosen.includes(step) for step in [*steps, "crm/ledger/ledger.py"])
    assert not chosen.includes("demo/crm/ledger/migrations/versions/v0001_x.py")


def test_a_column_that_the_database_lacks_is_added(ledger_url: str) -> None:
    with Ledger(ledger_url) as ledger:
        ledger.add("activities", [CALL], 1)
        with ledger.database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE activities DROP COLUMN channel")
    with Ledger(ledger_url) as ledger:
        row = CALL | {"occurred_at": 8, "channel": "phone"}
        assert statuses(ledger, "activities", row) == ["accepted"]
        (rows,) = ledger.rows("activities")
    assert [row["channel"] for row in rows] == [None, "phone"]
