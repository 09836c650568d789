"""Tests of the calls that score, show and erase leads, with and without a ledger, without HTTP."""

import asyncio
import datetime
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logit

from crm.errors import LedgerError
from crm.ledger.ledger import Ledger
from serving.calls import Calls
from serving.errors import RequestError
from serving.ledger.joining import join
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_calls import (
    CALL,
    ENTRY,
    LEAD,
    NOW,
    Ask,
    Away,
    asker,
    many_calls,
    score_of,
    written,
)


def score(ask: Ask, lead: dict[str, Any]) -> Any:
    return score_of(ask("/score", {"leads": [lead]}))


def stored_score(calls: Calls) -> Any:
    """Return the only stored score of the lead L1."""
    assert calls.ledger.ledger is not None
    (stored,) = calls.ledger.ledger.scores_of("L1")
    return stored


WITH_EVENTS = LEAD | {
    "activities": [{name: value for name, value in CALL.items() if name != "lead_id"}],
    "stages": [{name: value for name, value in ENTRY.items() if name != "lead_id"}],
}


def test_score_states_the_events_that_it_used(ask: Ask) -> None:
    assert score(ask, LEAD)["used"] == {"activities": 0, "newest": None, "stages": 0}
    newest = "2026-01-09T08:00:00+00:00"
    assert score(ask, WITH_EVENTS)["used"] == {"activities": 1, "newest": newest, "stages": 1}


def test_stored_events_count_like_sent_ones(ask: Ask) -> None:
    without_events = score(ask, LEAD)
    with_sent_events = score(ask, WITH_EVENTS | {"lead_id": "L2"})
    ask("/activities", {"activities": [CALL]})
    ask("/stages", {"stages": [ENTRY]})
    with_stored_events = score(ask, LEAD)
    assert with_stored_events["used"] == with_sent_events["used"]
    assert with_stored_events["probability"] == with_sent_events["probability"]
    assert with_stored_events["probability"] != without_events["probability"]


def test_event_that_is_sent_and_stored_counts_once(ask: Ask) -> None:
    ask("/activities", {"activities": [CALL]})
    ask("/stages", {"stages": [ENTRY]})
    stored, sent_and_stored = score(ask, LEAD), score(ask, WITH_EVENTS)
    assert sent_and_stored["used"] == stored["used"]
    assert sent_and_stored["probability"] == stored["probability"]


def test_score_ignores_events_after_as_of(ask: Ask) -> None:
    ask("/activities", {"activities": [CALL, CALL | {"occurred_at": "2026-01-02T08:00:00Z"}]})
    scored = score_of(ask("/score", {"leads": [LEAD], "as_of": "2026-01-03"}))
    assert scored["used"] == {"activities": 1, "newest": "2026-01-02T08:00:00+00:00", "stages": 0}


def test_lead_without_attributes_uses_the_last_stored_ones(ask: Ask, calls: Calls) -> None:
    first = score(ask, LEAD)
    written(calls)
    assert score(ask, {"lead_id": "L1"})["probability"] == first["probability"]


def test_empty_attributes_replace_the_stored_ones(ask: Ask, calls: Calls) -> None:
    first = score(ask, LEAD)
    written(calls)
    empty = score(ask, {"lead_id": "L1", "attributes": {}})
    assert empty["probability"] != first["probability"]


def test_lead_without_sent_or_stored_attributes_is_refused(ask: Ask) -> None:
    with pytest.raises(RequestError, match="`attributes` is missing, and the ledger has none"):
        score(ask, {"lead_id": "L9"})


def test_lead_returns_the_stored_records(ask: Ask, calls: Calls) -> None:
    ask("/activities", {"activities": [CALL]})
    ask("/stages", {"stages": [ENTRY]})
    ask("/outcomes", {"outcomes": [{"lead_id": "L1", "outcome": "won"}]})
    score(ask, LEAD)
    written(calls)
    answer = ask("/lead", {"lead_id": "L1"})
    assert answer["created_at"] == "2026-01-01T08:00:00+00:00"
    assert answer["attributes"] == LEAD["attributes"]
    assert answer["activities"] == {"count": 1, "newest": "2026-01-09T08:00:00+00:00"}
    (entry,) = answer["stages"]
    assert list(entry) == ["stage_id", "stage", "entered_at"]
    assert entry["stage"] == ENTRY["stage"]
    assert entry["entered_at"] == "2026-01-05T08:00:00+00:00"
    (outcome,) = answer["outcomes"]
    assert outcome == {
        "outcome_id": outcome["outcome_id"],
        "outcome": "won",
        "closed_at": None,
        "amount": None,
        "reason": None,
    }


def test_lead_returns_its_events_in_the_order_of_their_times(ask: Ask) -> None:
    times = ["2026-01-09T08:00:00Z", "2026-01-07T08:00:00Z", "2026-01-08T08:00:00Z"]
    ask("/stages", {"stages": [ENTRY | {"entered_at": time} for time in times]})
    entries = ask("/lead", {"lead_id": "L1"})["stages"]
    assert [entry["entered_at"][:10] for entry in entries] == sorted(time[:10] for time in times)


def test_lead_returns_the_history_of_scores(ask: Ask, calls: Calls) -> None:
    days = [NOW + datetime.timedelta(days=day) for day in range(3)]
    scores = [score_of(ask("/score", {"leads": [LEAD]}, day)) for day in days]
    written(calls)
    answer = ask("/lead", {"lead_id": "L1"})
    probabilities = [past_score["probability"] for past_score in answer["history"]]
    assert probabilities == [scored["probability"] for scored in reversed(scores)]
    assert answer["last_score"]["reasons"] == scores[-1]["reasons"]
    assert answer["last_score"]["model_version"] == "7"
    assert answer["trend"]["direction"] in ("improving", "steady", "declining")


def test_parts_of_a_stored_score_add_up(ask: Ask, calls: Calls, model: ServedModel) -> None:
    unknown = LEAD | {"attributes": LEAD["attributes"] | {"Unknown": 1}}
    scored = score(ask, unknown)
    written(calls)
    stored = stored_score(calls)
    total = stored.start + sum(stored.points.values())
    (unrounded,) = model.scorer.scale.unrounded(logit(np.array([stored.probability])))
    assert total == pytest.approx(unrounded, abs=1e-9)
    assert set(stored.points) <= set(model.scorer.reasoner.signals)
    assert len(stored.points) > len(stored.reasons)
    assert all(stored.points.values())
    for reason in stored.reasons:
        assert round(stored.points[reason["signal"]], 2) == reason["points"]
    assert {"code": "unknown_attribute", "column": "Unknown"} in stored.warnings
    kept = [{"code": w["code"], "column": w["column"]} for w in scored["warnings"]]
    assert stored.warnings == kept
    assert stored.lane is None


def test_score_without_reasons_is_stored_with_its_parts(ask: Ask, calls: Calls) -> None:
    with_reasons = score_of(ask("/score", {"leads": [LEAD], "reasons": 3}))
    answered = score_of(ask("/score", {"leads": [LEAD], "reasons": 0}))
    assert answered == with_reasons | {"reasons": [], "start": None}
    written(calls)
    assert calls.ledger.ledger is not None
    first, second = calls.ledger.ledger.scores_of("L1")
    assert first.points
    assert (first.start, first.points) == (second.start, second.points)


def test_lead_without_records_is_not_found(ask: Ask) -> None:
    with pytest.raises(RequestError, match="has no data about this lead") as caught:
        ask("/lead", {"lead_id": "L1"})
    assert caught.value.status == 404


def test_erased_lead_is_not_stored_but_still_scored(ask: Ask, calls: Calls) -> None:
    ask("/activities", {"activities": [CALL]})
    ask("/score", {"leads": [LEAD]})
    written(calls)
    answer = ask("/erase", {"lead_id": "L1"})
    assert answer["erased"] is True
    assert answer["deleted"] == {
        "activities": 1,
        "stages": 0,
        "outcomes": 0,
        "scores": 1,
        "shadow_scores": 0,
        "leads": 1,
    }
    assert ask("/activities", {"activities": [CALL]})["erased"] == 1
    assert score(ask, LEAD)["used"]["activities"] == 0
    written(calls)
    with pytest.raises(RequestError, match="has no data"):
        ask("/lead", {"lead_id": "L1"})


@pytest.mark.parametrize("path", ["/activities", "/stages", "/outcomes", "/lead", "/erase"])
def test_calls_without_a_ledger_answer_404(model: ServedModel, path: str) -> None:
    ask = asker(Calls(Settings()), model)
    with pytest.raises(RequestError, match="Set LEADSCORE_LEDGER_URL") as caught:
        ask(path, {})
    assert caught.value.status == 404
    assert score_of(ask("/score", {"leads": [LEAD]}))["used"]["activities"] == 0


@pytest.fixture
def ledger_that_is_away(tmp_path: Path) -> Iterator[Away]:
    """Open a ledger whose database is unavailable until `is_away` is false."""
    with Away("sqlite:///ledger.db", tmp_path) as opened:
        yield opened


def test_scoring_continues_without_the_ledger(
    model: ServedModel, ledger_that_is_away: Away
) -> None:
    ask = asker(Calls(Settings(), ledger_that_is_away), model)
    leads = [LEAD, {"lead_id": "L2"}]
    with_attributes, without_attributes = ask("/score", {"leads": leads})["scores"]
    assert with_attributes["probability"] > 0
    assert with_attributes["warnings"][-1]["code"] == "ledger_unavailable"
    assert without_attributes["error"]["code"] == "unavailable"


def test_storing_without_the_ledger_gets_503(model: ServedModel, ledger_that_is_away: Away) -> None:
    ask = asker(Calls(Settings(), ledger_that_is_away), model)
    with pytest.raises(RequestError, match="nothing of this request is acknowledged") as caught:
        ask("/activities", {"activities": [CALL]})
    assert caught.value.status == 503


def test_scores_are_written_when_the_ledger_is_back(
    model: ServedModel, ledger_that_is_away: Away
) -> None:
    calls = Calls(Settings(), ledger_that_is_away)
    score(asker(calls, model), LEAD)
    assert calls.score_writer is not None
    assert calls.score_writer.queued == 1
    ledger_that_is_away.is_away = False
    calls.score_writer.close()
    assert (calls.score_writer.written, calls.score_writer.dropped) == (1, 0)
    assert len(ledger_that_is_away.scores_of("L1")) == 1


def test_scoring_continues_with_a_ledger_of_a_newer_schema(
    model: ServedModel, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.database.prepare()
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE ledger_version SET version_num = '9999'")
    calls = Calls(Settings(), Ledger("sqlite:///ledger.db", tmp_path))
    ask = asker(calls, model)
    scored = score(ask, LEAD)
    assert scored["probability"] > 0
    assert scored["warnings"][-1]["code"] == "ledger_unavailable"
    with pytest.raises(RequestError, match="cannot answer now") as refusal:
        ask("/activities", {"activities": [CALL]})
    assert refusal.value.status == 503
    assert "has schema 9999" in str(refusal.value.__cause__)
    assert calls.ledger.faults.causes == {"read": "schema", "written": "schema"}
    calls.close()


@pytest.mark.parametrize("path", ["/score", "/score_lead"])
def test_leads_with_many_events_are_scored_in_a_thread(
    ask: Ask, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    threads: list[str] = []

    def record_thread_and_join(*arguments: Any) -> Any:
        threads.append(threading.current_thread().name)
        return join(*arguments)

    monkeypatch.setattr("serving.calls.join", record_thread_and_join)
    lead = {"lead_id": "L1", "created_at": LEAD["created_at"], "as_of": "2026-01-10"}
    body = lead | LEAD["attributes"] if path == "/score_lead" else {"leads": [LEAD]}
    ask(path, body)
    ledger.add("activities", many_calls(1_100), 0)
    answer = ask(path, body)
    assert threads[0] == threading.main_thread().name != threads[1]
    used = score_of(answer)["used"]["activities"] if path == "/score" else answer["used_activities"]
    assert used == 1_100


async def send(calls: Calls, model: ServedModel, path: str, body: dict[str, Any]) -> Any:
    """Send one call, within an event loop that other calls share."""
    return await calls.by_path[path](model, json.dumps(body).encode(), NOW, "r")


def test_ledger_writes_do_not_block_other_requests(
    calls: Calls, model: ServedModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_writing, may_write = threading.Event(), threading.Event()
    add = ledger.add

    def wait_and_add(*arguments: Any) -> Any:
        is_writing.set()
        assert may_write.wait(10)
        return add(*arguments)

    monkeypatch.setattr(ledger, "add", wait_and_add)

    async def score_during_a_write() -> Any:
        write = asyncio.create_task(send(calls, model, "/activities", {"activities": [CALL]}))
        while not is_writing.is_set():
            await asyncio.sleep(0)
        await send(calls, model, "/score", {"leads": [LEAD]})
        assert not write.done()
        may_write.set()
        return await write

    assert asyncio.run(score_during_a_write()).accepted == 1


class PausedReads:
    """Reads of a ledger: the first one waits until `may_read` is set, the third one fails.

    `sizes` contains the number of leads of each read.
    """

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.may_read = threading.Event()
        stored_leads = ledger.stored_leads

        def read(lead_ids: Sequence[str]) -> Any:
            self.sizes.append(len(lead_ids))
            if len(self.sizes) == 1:
                self.may_read.wait(20)
            if len(self.sizes) == 3:
                raise LedgerError("it is away")
            return stored_leads(lead_ids)

        monkeypatch.setattr(ledger, "stored_leads", read)


def test_requests_during_a_ledger_read_share_the_next_read(
    calls: Calls, model: ServedModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = [LEAD | {"lead_id": f"L{i}"} for i in range(20)]
    asyncio.run(send(calls, model, "/activities", {"activities": [CALL | {"lead_id": "L7"}]}))
    reads = PausedReads(ledger, monkeypatch)

    def start(lead: dict[str, Any]) -> "asyncio.Task[Any]":
        return asyncio.create_task(send(calls, model, "/score", {"leads": [lead]}))

    async def score_all() -> list[Any]:
        first = start(leads[0])
        while not reads.sizes:
            await asyncio.sleep(0.01)
        during_the_read = [start(lead) for lead in leads[1:]]
        cancelled = start(LEAD | {"lead_id": "cancelled"})
        await asyncio.sleep(0.05)
        cancelled.cancel()
        reads.may_read.set()
        return [*await asyncio.gather(first, *during_the_read), await start(leads[7])]

    answers = asyncio.run(score_all())
    assert reads.sizes == [1, 20, 1]
    used = [score_of(answer).used.activities for answer in answers]
    assert used == [int(i == 7) for i in range(20)] + [0]
    codes = [warning.code for warning in score_of(answers[-1]).warnings]
    assert codes == ["older_than_learned", "ledger_unavailable"]


def test_warnings_are_counted_by_the_models_names_of_attributes(
    ask: Ask, calls: Calls, model: ServedModel
) -> None:
    counted: list[tuple[list[str], list[tuple[str, str]]]] = []
    calls.count_scores = lambda grades, warnings: counted.append((list(grades), list(warnings)))
    attributes = {"source": "Zoo", "Employees": 5, "made up by a caller": 1, "region": ""}
    before = model.scorer.cell_checks.counts.all
    answer = ask("/score", {"leads": [{"attributes": attributes}]})
    (((grade,), warnings),) = counted
    assert grade == score_of(answer)["grade"]
    assert sorted(warnings) == [
        ("renamed_attribute", ""),
        ("unknown_attribute", ""),
        ("unseen_value", "source"),
    ]
    after, columns = model.scorer.cell_checks.counts.all, model.scorer.pipeline.columns
    assert after.n == before.n + 1
    missing = dict(zip(columns, (after.missing - before.missing).tolist(), strict=True))
    unseen = dict(zip(columns, (after.unseen - before.unseen).tolist(), strict=True))
    assert (missing["region"], missing["employees"], missing["source"]) == (1, 0, 0)
    assert (unseen["source"], unseen["region"]) == (1, 0)
