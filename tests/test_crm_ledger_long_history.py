"""Leads with very many events: their totals give the features of all events, bit for bit."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.errors import LedgerError
from crm.ledger import long_history, reading
from crm.ledger.deduplication import distinct
from crm.ledger.ledger import Ledger
from crm.ledger.long_history import (
    MANY_FORMS,
    MANY_TYPES,
    OTHER_VERSIONS,
    SAME_TIMES,
    HistoryQuery,
    LongHistory,
)
from crm.ledger.schema import EVENTS
from crm.times import DAY, NOT_A_TIME
from features.activity import WINDOWS_DAYS
from serving.payloads.event_rows import ledger_row
from tests.made_histories import NOW, PIPELINE, activities, assert_equal, stages, times

SECONDS = 30.0  # more than any reading needs


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as opened:
        yield opened


def add(ledger: Ledger, lead_id: str, events: dict[str, list[dict[str, Any]]]) -> None:
    for kind, rows in events.items():
        ledger.add(kind, [ledger_row(row, lead_id) for row in rows], 0)


def features(created: int, as_of: int, rows: dict[str, Any], totals: Any = None) -> Any:
    known = {} if totals is None else {0: totals}
    history = PIPELINE.history_of_cells([created], [rows["activities"]], [rows["stages"]], known)
    return PIPELINE.rows([{}], history, np.array([as_of]))


def all_events(ledger: Ledger, forms: tuple[str, ...], sent: dict[str, Any]) -> dict[str, Any]:
    """Return all events of a lead, stored ones first, as a short history is joined."""
    main = forms[0]
    joined = {}
    for kind in ("activities", "stages"):
        rows = [row for piece in ledger.rows(kind) for row in piece if row["lead_id"] in forms]
        rows = [
            {name: row[name] for name in ("lead_id", EVENTS[kind].id, *EVENTS[kind].content)}
            for row in rows
        ]
        rows += sent[kind]
        joined[kind] = distinct(kind, [row | {"lead_id": main} for row in rows])
    return joined


def query(lead_id: str, as_of: int, created: int, sent: dict[str, Any]) -> HistoryQuery:
    return HistoryQuery(lead_id, as_of, created, WINDOWS_DAYS, sent["activities"], sent["stages"])


def with_some_ids(event: Any, name: str) -> Any:
    """Draw events of which some have an id; some of these ids repeat."""
    ids = st.sampled_from([None, None, "a", "b", "c", *(f"{i}" for i in range(20))])
    return st.builds(lambda row, own_id: row | {name: own_id}, event, ids)


activity_lists = st.lists(with_some_ids(activities, "activity_id"), max_size=14)
stage_lists = st.lists(with_some_ids(stages, "stage_id"), max_size=8)
event_lists = st.fixed_dictionaries({"activities": activity_lists, "stages": stage_lists})


@pytest.mark.parametrize("has_forms", [False, True])
def test_totals_give_the_features_of_all_events(ledger: Ledger, has_forms: bool) -> None:
    """For any stored and sent events, the features are the same, or `problem` is not empty."""
    numbers = itertools.count(100)
    problems: Counter[str] = Counter()

    # The drawn events are the same in each run, so that the counts below are too.
    @settings(
        max_examples=50,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(event_lists, event_lists, event_lists, st.just(NOW) | times, st.none() | times)
    def compare(
        stored: Any, of_other_form: Any, sent: Any, as_of: int, created_at: int | None
    ) -> None:
        number = next(numbers)
        forms = (f"{number}", f"{number}.0")
        created = NOT_A_TIME if created_at is None else created_at
        add(ledger, forms[0], stored)
        if has_forms:
            add(ledger, forms[1], of_other_form)
        rows = {
            kind: distinct(kind, [ledger_row(row, forms[0]) for row in sent[kind]]) for kind in sent
        }
        everything = all_events(ledger, forms, rows)
        history = ledger.long_history(query(forms[0], as_of, created, rows), SECONDS)
        problems[history.problem] += 1
        if history.problem:
            return
        listed = {"activities": history.activities, "stages": history.stages}
        computed = features(created, as_of, listed, history.totals)
        assert_equal(computed, features(created, as_of, everything))
        n_listed = sum(row["occurred_at"] <= as_of for row in listed["activities"])
        n_seen = sum(row["occurred_at"] <= as_of for row in everything["activities"])
        assert history.totals.activities.count + n_listed == n_seen

    compare()
    assert problems.keys() <= ({"", OTHER_VERSIONS} if has_forms else {""})
    assert problems[""] >= 10


CALL = {"type": "call", "occurred_at": NOW - DAY, "channel": "web", "content": None}


def insert(rows: Any, connection: sa.Connection) -> None:
    connection.execute(EVENTS["activities"].table.insert(), rows)


def asked(ledger: Ledger, lead_id: str = "7", seconds: float = SECONDS) -> LongHistory:
    no_events: dict[str, Any] = {"activities": [], "stages": []}
    return ledger.long_history(query(lead_id, NOW, NOW - 9 * DAY, no_events), seconds)


def test_more_types_than_have_totals_are_a_problem(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        CALL | {"type": name, "activity_id": f"{name} {i}"}
        for name in ("call", "a", "b")
        for i in range(2 + (name == "call"))
    ]
    add(ledger, "7", {"activities": rows})
    monkeypatch.setattr(long_history, "MOST_GROUPS", 3)
    assert asked(ledger).problem == ""
    monkeypatch.setattr(long_history, "MOST_GROUPS", 1)
    history = asked(ledger)
    assert history.problem == MANY_TYPES
    by_type = {group.type: group.counts for group in history.totals.activities.groups}
    assert by_type == {"call": (3, 3, 3, 3, 0), None: (4, 4, 4, 4, 0)}


def test_too_many_events_at_the_same_time_are_a_problem(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(ledger, "7", {"activities": [CALL | {"activity_id": str(i)} for i in range(3)]})
    sent = {"activities": [ledger_row(CALL | {"activity_id": None}, "7")], "stages": []}
    assert ledger.long_history(query("7", NOW, 0, sent), SECONDS).problem == ""
    monkeypatch.setattr(long_history, "MOST_SIMILAR", 2)
    assert ledger.long_history(query("7", NOW, 0, sent), SECONDS).problem == SAME_TIMES


def test_two_long_histories_of_one_lead_are_a_problem(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lead_id, n in (("7", 4), ("7.0", 3)):
        rows = [CALL | {"activity_id": f"{lead_id} {i}"} for i in range(n)]
        add(ledger, lead_id, {"activities": rows})
    assert asked(ledger).problem == asked(ledger, "7.0").problem == ""
    monkeypatch.setattr(long_history, "MOST_EVENTS", 2)
    for lead_id in ("7", "7.0"):
        history = asked(ledger, lead_id)
        assert history.problem == MANY_FORMS
        assert "only events of the most frequent form count" in history.problem
        assert history.totals.activities.count + len(history.activities) == 4


def test_versions_of_an_event_under_two_forms_are_a_problem(ledger: Ledger) -> None:
    add(ledger, "7", {"activities": [CALL | {"activity_id": str(i)} for i in range(3)]})
    add(ledger, "7.0", {"activities": [CALL | {"activity_id": "1", "type": "mail"}]})
    history = asked(ledger)
    assert history.problem == OTHER_VERSIONS
    assert history.totals.activities.count + len(history.activities) == 3


def test_stages_at_the_same_time_are_listed_once(ledger: Ledger) -> None:
    entries = [
        {"stage": name, "entered_at": NOW - DAY, "stage_id": f"{name} {i}"}
        for name in ("New", "Offer")
        for i in range(3)
    ]
    add(
        ledger,
        "7",
        {"stages": [*entries, {"stage": "Signed", "entered_at": NOW + 1, "stage_id": None}]},
    )
    history = asked(ledger)
    assert [row["stage"] for row in history.stages] == ["New", "Offer"]
    assert history.totals.n_stages == 4


SLOW = {  # statements that take 20 and about 0.1 seconds
    "postgresql": ("SELECT pg_sleep(20)", "SELECT pg_sleep(0.1)"),
    "sqlite": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500000) "
        "SELECT max(i) FROM n",
    ),
}


@pytest.mark.parametrize(("slow", "times"), [(0, 1), (1, 200)])
def test_totals_that_take_too_long_in_all_are_given_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, slow: int, times: int
) -> None:
    add(ledger, "7", {"activities": [CALL | {"activity_id": "1"}]})
    statement = SLOW[ledger.database.engine.dialect.name][slow]

    def run_slow(connection: sa.Connection, *arguments: Any) -> None:
        for _ in range(times):
            connection.exec_driver_sql(statement)

    monkeypatch.setattr(long_history, "_stage_totals", run_slow)
    started = time.monotonic()
    with pytest.raises(LedgerError, match="refuses the request or is busy"):
        asked(ledger, seconds=0.5)
    assert time.monotonic() - started < 10
    monkeypatch.undo()
    assert asked(ledger).totals.activities.count == 1


def test_slow_totals_that_end_in_time_are_not_given_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = SLOW[ledger.database.engine.dialect.name][1]

    def run_slow(connection: sa.Connection, *_: Any) -> tuple[int, list[Any]]:
        connection.exec_driver_sql(statement)
        return 5, []

    monkeypatch.setattr(long_history, "_stage_totals", run_slow)
    assert asked(ledger).totals.n_stages == 5


def test_no_time_limit_remains_on_the_connection(ledger: Ledger) -> None:
    """The next transaction may use the same connection for longer."""
    asked(ledger, seconds=0.5)
    statement = SLOW[ledger.database.engine.dialect.name][1]

    def run_slow(connection: sa.Connection) -> None:
        for _ in range(8):
            connection.exec_driver_sql(statement)

    ledger.database.read(run_slow)


def test_only_the_long_history_is_left_out(ledger: Ledger) -> None:
    """Other leads of the same read are read as before, however many there are."""
    n = reading.MOST_EVENTS
    for lead_id, size in (("7", n + 1), ("8", n), ("9", 3)):
        rows = [ledger_row(CALL | {"activity_id": str(i)}, lead_id) for i in range(size)]
        stored = [row | {"value": None, "recorded_at": 0} for row in rows]
        ledger.database.write(partial(insert, stored))
    add(ledger, "7", {"stages": [{"stage": "New", "entered_at": 5, "stage_id": None}]})
    for together in (["7", "8", "9"], ["7", "9"], ["7"]):
        found = ledger.stored_leads(together)
        sizes = {lead_id: (len(lead.activities), lead.is_long) for lead_id, lead in found.items()}
        expected = {"7": (0, True), "8": (n, False), "9": (3, False)}
        assert sizes == {lead_id: expected[lead_id] for lead_id in together}
        assert found["7"].stages == []


def test_overview_is_bounded_and_counts_all(ledger: Ledger) -> None:
    outcomes = [
        {
            "outcome": "won",
            "closed_at": i or None,
            "amount": None,
            "reason": None,
            "outcome_id": str(i),
        }
        for i in range(130)
    ]
    add(ledger, "7", {"outcomes": outcomes, "activities": [CALL, CALL | {"occurred_at": NOW}]})
    overview = ledger.overview("7")
    assert overview.outcomes.count == 130
    assert [row["closed_at"] for row in overview.outcomes.rows] == list(range(30, 130))
    assert (overview.activities.count, overview.activities.rows[-1]["occurred_at"]) == (2, NOW)
    assert not overview.is_empty
