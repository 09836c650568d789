"""The ledger on SQLite and PostgreSQL: adding, reading, erasing and migrating."""

import dataclasses
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pathspec
import pytest
import sqlalchemy as sa
import yaml

from crm.errors import ConfigError, LedgerError
from crm.ledger import migrating
from crm.ledger.entries import Batch, GivenScore, SentLead, ShadowScore, StoredLead
from crm.ledger.ledger import Ledger
from crm.ledger.schema import EVENTS, SCHEMA_VERSION, metadata
from crm.ledger.trend import trend
from crm.ledger.writing import _score_row
from crm.times import DAY
from tests.made_calls import shadow_of

HERE = Path(__file__).resolve().parent.parent
CALL = {"lead_id": "L1", "type": "call", "occurred_at": 7, "content": None, "value": 2.5}
ENTRY = {"lead_id": "L1", "stage": "new", "entered_at": 5}
WIN = {"lead_id": "L1", "outcome": "won", "closed_at": 9, "amount": 100.0, "reason": "price"}


# PgBouncer changes how transactions begin and what a connection keeps, but no statement and no row.
ALSO_PGBOUNCER = pytest.mark.parametrize(
    "ledger_url", ["sqlite", "postgresql", "pgbouncer"], indirect=True
)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as opened:
        yield opened


def statuses(ledger: Ledger, kind: str, *rows: Any, now: int = 100) -> list[str]:
    return [added.status for added in ledger.add(kind, rows, now)]


def score_of(lead_id: str, number: int, score: int = 50, as_of: int = 0) -> GivenScore:
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


def all_rows(ledger: Ledger, table: str) -> list[dict[str, Any]]:
    return [row for piece in ledger.rows(table) for row in piece]


# -- events

ONE_OF_EACH_KIND = pytest.mark.parametrize(
    ("kind", "row"), [("activities", CALL), ("stages", ENTRY), ("outcomes", WIN)]
)


@ONE_OF_EACH_KIND
def test_repeated_event_is_added_once(ledger: Ledger, kind: str, row: dict[str, Any]) -> None:
    assert statuses(ledger, kind, row, row) == ["accepted", "duplicate"]
    assert statuses(ledger, kind, row) == ["duplicate"]
    assert len(all_rows(ledger, kind)) == 1


@ONE_OF_EACH_KIND
def test_same_id_with_other_values_is_a_conflict(
    ledger: Ledger, kind: str, row: dict[str, Any]
) -> None:
    event = EVENTS[kind]
    with_id = row | {event.id: "x"}
    changed = with_id | {event.time: 8}
    assert statuses(ledger, kind, with_id) == ["accepted"]
    assert statuses(ledger, kind, changed, with_id) == ["conflict", "duplicate"]
    (stored,) = all_rows(ledger, kind)
    assert stored[event.time] == row[event.time]


def test_two_leads_may_have_events_with_the_same_id(ledger: Ledger) -> None:
    call = CALL | {"activity_id": "x"}
    call_of_another_lead = call | {"lead_id": "L2"}
    assert statuses(ledger, "activities", call, call_of_another_lead) == ["accepted"] * 2


def test_event_with_an_id_equals_the_stored_event_without(ledger: Ledger) -> None:
    with_id = CALL | {"activity_id": "x"}
    assert statuses(ledger, "activities", CALL) == ["accepted"]
    assert statuses(ledger, "activities", with_id, with_id) == ["duplicate", "duplicate"]


def test_event_without_an_id_equals_the_stored_event_with_one(ledger: Ledger) -> None:
    with_id = CALL | {"activity_id": "x"}
    assert statuses(ledger, "activities", with_id, CALL) == ["accepted", "duplicate"]


def test_equal_events_with_different_ids_are_both_added(ledger: Ledger) -> None:
    x, y = CALL | {"activity_id": "x"}, CALL | {"activity_id": "y"}
    assert statuses(ledger, "activities", x, y) == ["accepted", "accepted"]


def test_id_in_the_format_of_a_generated_one_counts_as_absent(ledger: Ledger) -> None:
    (added,) = ledger.add("activities", [CALL], 0)
    assert added.id.startswith("sha256:")
    same_call = CALL | {"activity_id": added.id}
    later_call = same_call | {"occurred_at": 8}
    assert statuses(ledger, "activities", same_call, later_call) == ["duplicate", "accepted"]


def test_outcome_without_a_time_is_added_once(ledger: Ledger) -> None:
    without_time = {"lead_id": "L1", "outcome": "lost"}
    assert statuses(ledger, "outcomes", without_time, without_time) == ["accepted", "duplicate"]
    assert statuses(ledger, "outcomes", without_time | {"outcome_id": "o"}) == ["duplicate"]


@ALSO_PGBOUNCER
def test_unusual_numbers_and_texts_are_stored_unchanged(ledger: Ledger) -> None:
    activity: dict[str, Any] = {
        "lead_id": "Lé'ad;--",
        "activity_id": "1" * 200,
        "type": "größer\n\t\"'",
        "channel": "\U0001f600",
        "occurred_at": -(2**60),
        "content": "x" * 1_000,
        "value": 0.1 + 0.2,
    }
    ledger.add("activities", [activity], 0)
    lead_id = activity["lead_id"]
    assert ledger.stored_leads([lead_id])[lead_id].activities == [activity]


@ALSO_PGBOUNCER
def test_thousand_events_are_added_at_once(ledger: Ledger) -> None:
    rows = [CALL | {"lead_id": f"L{i % 300}", "occurred_at": i} for i in range(1_000)]
    assert statuses(ledger, "activities", *rows) == ["accepted"] * 1_000
    assert statuses(ledger, "activities", *rows) == ["duplicate"] * 1_000
    leads = ledger.stored_leads([f"L{i}" for i in range(300)])
    assert sum(len(lead.activities) for lead in leads.values()) == 1_000


# -- stored leads


def test_events_of_a_lead_are_read(ledger: Ledger) -> None:
    ledger.add("activities", [CALL], 0)
    ledger.add("stages", [ENTRY], 0)
    ledger.add("outcomes", [WIN], 0)
    lead = ledger.stored_leads(["L1"])["L1"]
    assert lead.activities[0]["type"] == "call"
    assert lead.stages[0]["stage"] == "new"
    assert ledger.overview("L1").outcomes.rows[0]["amount"] == 100.0


def test_lead_without_rows_is_empty(ledger: Ledger) -> None:
    ledger.add("activities", [CALL], 0)
    assert ledger.stored_leads(["L2"]) == {"L2": StoredLead()}
    assert ledger.overview("L2").is_empty


def test_request_for_no_leads_returns_none(ledger: Ledger) -> None:
    assert ledger.stored_leads([]) == {}


@pytest.fixture
def resent(ledger: Ledger) -> Ledger:
    """Send the same lead four times, with another source the third time."""
    for sent_at, source in enumerate(["Web", "Web", "Fair", "Web"]):
        lead = SentLead("L1", 5, {"source": source, "visits": 10**30, "none": None})
        ledger.add_batch(Batch(leads=[(lead, sent_at)]), sent_at)
    return ledger


def test_unchanged_attributes_are_stored_once(resent: Ledger) -> None:
    assert [row["recorded_at"] for row in all_rows(resent, "leads")] == [0, 2, 3]


@pytest.mark.parametrize(
    ("number", "stored"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
    ],
)
def test_numbers_beyond_64_bits_become_text(ledger: Ledger, number: int, stored: object) -> None:
    ledger.add_batch(Batch(leads=[(SentLead("L1", 5, {"visits": number}), 0)]), 0)
    assert ledger.stored_leads(["L1"])["L1"].sent == SentLead("L1", 5, {"visits": stored})


@ALSO_PGBOUNCER
def test_newest_attributes_are_used(resent: Ledger) -> None:
    newest = resent.stored_leads(["L1"])["L1"].sent
    assert newest == SentLead("L1", 5, {"none": None, "source": "Web", "visits": str(10**30)})


# -- scores


def test_scores_are_returned_newest_first(ledger: Ledger) -> None:
    first, second = score_of("L1", 1, 40, as_of=9), score_of("L1", 2, 60, as_of=3)
    ledger.add_batch(Batch(scores=[first, second, score_of("L2", 3)]), 10)
    assert ledger.scores_of("L1") == [second, first]


def test_batch_of_scores_is_added_once(ledger: Ledger) -> None:
    # A writer that does not learn of its commit writes the batch again.
    batch = Batch(scores=[score_of("L1", 1), score_of("L2", 2)])
    assert ledger.add_batch(batch, 10) == 2
    assert ledger.add_batch(batch, 11) == 0


PARTS = {"visits": -1e-17, 'a "name"': 0.1 + 0.2}
WITH_PARTS = replace(
    score_of("L1", 1),
    lane="treated",
    start=38.7,
    points=PARTS,
    warnings=[{"code": "ledger_unavailable", "column": None}],
)


@ALSO_PGBOUNCER
@pytest.mark.parametrize("score", [WITH_PARTS, score_of("L1", 1)], ids=["all", "none"])
def test_lane_parts_and_warnings_are_stored_unchanged(ledger: Ledger, score: GivenScore) -> None:
    ledger.add_batch(Batch(scores=[score]), 10)
    assert ledger.scores_of("L1") == [score]


@ALSO_PGBOUNCER
def test_shadow_score_is_stored_once_for_each_model(ledger: Ledger) -> None:
    scores = [score_of("L1", 1), score_of("L2", 2)]
    shadows = [shadow_of(score, digest) for score in scores for digest in ("d2", "d3")]
    ledger.add_batch(Batch(scores=scores, shadow_scores=shadows[::-1]), 10)
    assert ledger.add_batch(Batch(shadow_scores=shadows), 11) == 0
    assert all_rows(ledger, "shadow_scores") == [vars(shadow) for shadow in shadows]
    assert ledger.scores_of("L1") == [scores[0]]


@pytest.mark.parametrize("scores_per_day", [1, 110])
def test_trend_does_not_depend_on_scores_per_day(ledger: Ledger, scores_per_day: int) -> None:
    for day in range(7):
        earlier = [
            score_of("L1", 1_000 * day + i, 90, as_of=day * DAY + i)
            for i in range(scores_per_day - 1)
        ]
        last = score_of("L1", 1_000 * day + 999, 40 + 2 * day, as_of=day * DAY + 5)
        ledger.add_batch(Batch(scores=[*earlier, last]), 0)
    assert len(ledger.scores_by_day("L1")) == 5
    assert trend(ledger.scores_by_day("L1")) == ("improving", 8.0)
    assert len(ledger.scores_of("L1")) == min(7 * scores_per_day, 50)


def test_lead_without_scores_has_no_days(ledger: Ledger) -> None:
    assert ledger.scores_by_day("L1") == []


# -- the file of SQLite


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """Let new files be readable for everybody, unless the program prevents it."""
    earlier_umask = os.umask(0o022)
    yield
    os.umask(earlier_umask)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.usefixtures("usual_umask")
def test_new_file_is_private(tmp_path: Path) -> None:
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.add("activities", [CALL], 0)
        modes = {path.name: mode(path) for path in tmp_path.iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


def test_permissions_of_an_existing_file_are_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        ledger.add("activities", [CALL], 0)
    path.chmod(0o640)
    with Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        assert len(all_rows(ledger, "activities")) == 1
    assert mode(path) == 0o640


# -- erasing

PERSON = "anna@example.org"


GUID = "7d2c1e0a-5b1f-4c7a-9a3e-0c1d2e3f4a5b"


@pytest.fixture
def two_leads(ledger: Ledger) -> Ledger:
    """Store a row of each table for a person and for another lead."""
    for lead_id in (PERSON, "L2"):
        ledger.add("activities", [CALL | {"lead_id": lead_id}], 0)
        ledger.add("stages", [ENTRY | {"lead_id": lead_id}], 0)
        ledger.add("outcomes", [WIN | {"lead_id": lead_id}], 0)
        sent_leads = [(SentLead(lead_id, None, {"a": 1}), 0)]
        score = score_of(lead_id, 1)
        shadows = [shadow_of(score, "d2")]
        ledger.add_batch(Batch([score], sent_leads, shadow_scores=shadows), 0)
    return ledger


@ALSO_PGBOUNCER
def test_erasing_counts_the_deleted_rows(two_leads: Ledger) -> None:
    tables = ("activities", "stages", "outcomes", "scores", "shadow_scores", "leads")
    assert two_leads.forget(PERSON, 50) == dict.fromkeys(tables, 1)
    assert two_leads.forget(PERSON, 51) == dict.fromkeys(tables, 0)


@pytest.mark.parametrize("table", sorted(set(metadata.tables) - {"ledger_keys"}))
def test_erasing_keeps_no_id(two_leads: Ledger, table: str) -> None:
    two_leads.forget(PERSON, 50)
    (row,) = all_rows(two_leads, table)
    assert PERSON not in str(row)


def test_events_of_an_erased_lead_are_not_stored(two_leads: Ledger) -> None:
    two_leads.forget(PERSON, 50)
    calls = [CALL | {"lead_id": PERSON}, CALL | {"lead_id": "L3"}]
    assert statuses(two_leads, "activities", *calls) == ["erased", "accepted"]


def test_batch_of_an_erased_lead_is_not_stored(two_leads: Ledger) -> None:
    two_leads.forget(PERSON, 50)
    sent_leads = [(SentLead(PERSON, None, {}), 0)]
    shadows = [shadow_of(score_of(PERSON, 1), "d3")]
    call = CALL | {"lead_id": PERSON}
    batch = Batch([score_of(PERSON, 2)], sent_leads, [call], shadow_scores=shadows)
    assert two_leads.add_batch(batch, 0) == 0
    assert [row["lead_id"] for row in all_rows(two_leads, "shadow_scores")] == ["L2"]
    assert two_leads.stored_leads([PERSON]) == {PERSON: StoredLead()}


def test_erased_leads_are_known(two_leads: Ledger) -> None:
    two_leads.forget(PERSON, 50)
    assert two_leads.erased([PERSON, "L2"]) == {PERSON}


@pytest.mark.parametrize(
    ("stored", "requested"),
    [
        ("100.0", "100"),
        ("100", "100.0"),
        ("00Q5g000001AbCDEA0", "00Q5g000001AbCD"),
        ("00Q5g000001AbCD", "00Q5g000001AbCDEA0"),
        (f"{{{GUID.upper()}}}", GUID),
        (GUID, f"{{{GUID.upper()}}}"),
    ],
)
def test_lead_is_found_under_other_forms_of_its_id(
    ledger: Ledger, stored: str, requested: str
) -> None:
    for lead_id, attribute in ((requested, 1), (stored, 2)):
        ledger.add_batch(Batch(leads=[(SentLead(lead_id, None, {"a": attribute}), 0)]), 0)
    ledger.add_batch(Batch([score_of(stored, 1)], [], [CALL | {"lead_id": stored}]), 0)
    found = ledger.stored_leads([requested, stored])
    assert found[requested].sent == SentLead(requested, None, {"a": 2})
    for lead_id in (requested, stored):
        (call,) = found[lead_id].activities
        assert call["lead_id"] == lead_id
        assert len(ledger.scores_of(lead_id)) == len(ledger.scores_by_day(lead_id)) == 1


@pytest.mark.parametrize(
    ("stored", "erased"),
    [
        ("100.0", "100"),
        ("100", "100.0"),
        ("00Q5g000001AbCDEA0", "00Q5g000001AbCD"),
        ("00Q5g000001AbCD", "00Q5g000001AbCDEA0"),
        (f"{{{GUID.upper()}}}", GUID),
        ("Ann@Example.com", "ann@example.COM"),
    ],
)
def test_erasing_covers_other_forms_of_the_id(ledger: Ledger, stored: str, erased: str) -> None:
    call = CALL | {"lead_id": stored}
    ledger.add("activities", [call], 0)
    assert ledger.forget(erased, 50)["activities"] == 1
    assert ledger.erased([stored, erased, "00Q5g000001Abcd", "101"]) == {stored, erased}
    assert statuses(ledger, "activities", call, call | {"lead_id": erased}) == ["erased"] * 2


def test_lead_hash_depends_on_the_ledger(tmp_path: Path) -> None:
    hashes = []
    for name in ("a", "b"):
        with Ledger(f"sqlite:///{name}.db", tmp_path) as ledger:
            ledger.forget("L1", 0)
            hashes += [row["lead_hash"] for row in all_rows(ledger, "erasures")]
    assert len(set(hashes)) == 2


@ALSO_PGBOUNCER
def test_table_is_read_in_chunks_in_order_of_arrival(ledger: Ledger) -> None:
    ledger.add("stages", [ENTRY | {"entered_at": i} for i in range(25)], 0)
    pieces = list(ledger.rows("stages", at_once=10))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    assert {row["entered_at"] for piece in pieces for row in piece} == set(range(25))


# -- the schema


def test_migrations_build_the_declared_schema(ledger: Ledger) -> None:
    ledger.database.prepare()
    inspector = sa.inspect(ledger.database.engine)
    assert set(inspector.get_table_names()) == {*metadata.tables, "ledger_version"}
    for name, table in metadata.tables.items():
        built = {column["name"]: column for column in inspector.get_columns(name)}
        assert set(built) == set(table.c.keys()), name
        for column in table.c:
            assert built[column.name]["nullable"] == column.nullable, (name, column.name)
        unique = {tuple(u["column_names"]) for u in inspector.get_unique_constraints(name)}
        declared = {
            tuple(constraint.columns.keys())
            for constraint in table.constraints
            if isinstance(constraint, sa.UniqueConstraint)
        }
        assert unique == declared, name


def test_columns_of_stored_scores_are_the_fields_of_their_entries() -> None:
    for table, entry in (("scores", GivenScore), ("shadow_scores", ShadowScore)):
        fields = {field.name for field in dataclasses.fields(entry)}
        assert set(metadata.tables[table].c.keys()) - {"seq"} == fields


@ALSO_PGBOUNCER
def test_older_schema_is_migrated_with_its_rows(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, Ledger(ledger_url) as older_ledger:
        patch.setattr(migrating, "SCHEMA_VERSION", "0001")
        assert statuses(older_ledger, "activities", CALL) == ["accepted"]
        assert "leads" not in sa.inspect(older_ledger.database.engine).get_table_names()
    with Ledger(ledger_url) as ledger:
        assert statuses(ledger, "activities", CALL) == ["duplicate"]
        assert ledger.stored_leads(["L1"])["L1"].sent is None


@ALSO_PGBOUNCER
def test_scores_of_schema_0003_have_no_parts(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_columns = "lane", "start", "points", "warnings"
    old_score = score_of("L1", 1)
    with monkeypatch.context() as patch, Ledger(ledger_url) as older_ledger:
        patch.setattr(migrating, "SCHEMA_VERSION", "0003")
        older_ledger.database.prepare()
        row = _score_row(old_score)
        with older_ledger.database.engine.begin() as connection:
            connection.execution_options(leadscore_purpose="writing")
            old_row = {name: cell for name, cell in row.items() if name not in new_columns}
            table = sa.table("scores", *map(sa.column, old_row))
            connection.execute(sa.insert(table), old_row)
            assert "shadow_scores" not in sa.inspect(connection).get_table_names()
    with Ledger(ledger_url) as ledger:
        assert ledger.scores_of("L1") == [old_score]
        (stored_row,) = all_rows(ledger, "scores")
        assert [stored_row[name] for name in new_columns] == [None] * 4
        new_score = replace(WITH_PARTS, score_id="s2")
        shadows = [shadow_of(old_score, "d2")]
        assert ledger.add_batch(Batch(scores=[new_score], shadow_scores=shadows), 0) == 1
        assert ledger.scores_of("L1") == [new_score, old_score]


@ALSO_PGBOUNCER
def test_missing_column_is_added(ledger_url: str) -> None:
    with Ledger(ledger_url) as ledger:
        ledger.add("activities", [CALL], 1)
        with ledger.database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE activities DROP COLUMN channel")
    with Ledger(ledger_url) as ledger:
        call = CALL | {"occurred_at": 8, "channel": "phone"}
        assert statuses(ledger, "activities", call) == ["accepted"]
        assert [row["channel"] for row in all_rows(ledger, "activities")] == [None, "phone"]


def test_newer_schema_is_refused(ledger: Ledger, ledger_url: str) -> None:
    ledger.add("activities", [CALL], 0)
    with ledger.database.engine.begin() as connection:
        connection.execution_options(leadscore_purpose="writing")
        connection.exec_driver_sql("UPDATE ledger_version SET version_num = '9999'")
    with (
        Ledger(ledger_url) as older,
        pytest.raises(ConfigError, match="has schema 9999; this leadscore"),
    ):
        older.add("activities", [CALL], 0)
    assert SCHEMA_VERSION < "9999"


def test_foreign_tables_are_left_alone(ledger: Ledger, ledger_url: str) -> None:
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE leads (name TEXT)")
    with pytest.raises(ConfigError, match="tables of another program: leads"):
        ledger.add("activities", [CALL], 0)


def test_several_ledgers_are_created_at_once(tmp_path: Path) -> None:
    ledgers = [Ledger(f"sqlite:///ledger{number}.db", tmp_path) for number in range(8)]
    with ThreadPoolExecutor(len(ledgers)) as threads:
        results = threads.map(lambda ledger: ledger.add("activities", [CALL], 0), ledgers)
        assert [added.status for (added,) in results] == ["accepted"] * len(ledgers)
    for ledger in ledgers:
        assert len(all_rows(ledger, "activities")) == 1
        ledger.close()


# -- the address


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
    with pytest.raises(LedgerError, match="cannot be reached") as refusal:
        unreachable.add("activities", [CALL | {"lead_id": PERSON}], 0)
    for word in ("secret", "hidden", "anna"):
        assert word not in str(refusal.value)
    assert refusal.value.__cause__ is None


# -- the Bento


def test_bento_contains_the_migrations() -> None:
    packing_list = yaml.safe_load((HERE / "bentofile.yaml").read_text())
    included = pathspec.PathSpec.from_lines("gitignore", packing_list["include"])
    excluded = pathspec.PathSpec.from_lines("gitignore", packing_list["exclude"])
    migrations = [path.relative_to(HERE).as_posix() for path in (HERE / "crm").rglob("v0*.py")]
    assert len(migrations) == int(SCHEMA_VERSION)
    for path in [*migrations, "crm/ledger/ledger.py"]:
        assert included.match_file(path), path
        assert not excluded.match_file(path), path


def test_bento_contains_no_files_of_an_older_bento() -> None:
    packing_list = yaml.safe_load((HERE / "bentofile.yaml").read_text())
    included = pathspec.PathSpec.from_lines("gitignore", packing_list["include"])
    assert not included.match_file("demo/crm/ledger/migrations/versions/v0001_x.py")
