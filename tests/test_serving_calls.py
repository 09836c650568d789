"""The calls that score and show leads, with and without a ledger, below HTTP."""

import asyncio
import datetime
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from crm.errors import ConfigError, LedgerError
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


def test_score_uses_the_ledger_and_states_so(ask: Ask) -> None:
    alone = score_of(ask("/score", {"leads": [LEAD]}))
    assert alone["used"] == {"activities": 0, "newest": None, "stages": 0}
    sent = LEAD | {
        "activities": [{k: v for k, v in CALL.items() if k != "lead_id"}],
        "stages": [{k: v for k, v in ENTRY.items() if k != "lead_id"}],
    }
    whole = score_of(ask("/score", {"leads": [sent | {"lead_id": "L2"}]}))
    assert whole["used"] == {"activities": 1, "newest": "2026-01-09T08:00:00+00:00", "stages": 1}
    ask("/activities", {"activities": [CALL]})
    ask("/stages", {"stages": [ENTRY]})
    held = score_of(ask("/score", {"leads": [LEAD]}))
    assert held["used"] == whole["used"]
    assert held["probability"] == whole["probability"] != alone["probability"]
    both = score_of(ask("/score", {"leads": [sent]}))
    assert (both["used"], both["probability"]) == (held["used"], held["probability"])


def test_score_ignores_events_after_as_of(ask: Ask) -> None:
    ask("/activities", {"activities": [CALL, CALL | {"occurred_at": "2026-01-02T08:00:00Z"}]})
    found = score_of(ask("/score", {"leads": [LEAD], "as_of": "2026-01-03"}))
    assert found["used"] == {"activities": 1, "newest": "2026-01-02T08:00:00+00:00", "stages": 0}


def test_lead_without_attributes_uses_the_last_stored_ones(ask: Ask, calls: Calls) -> None:
    known = score_of(ask("/score", {"leads": [LEAD]}))
    with pytest.raises(RequestError, match="`attributes` is missing, and the ledger has none"):
        ask("/score", {"leads": [{"lead_id": "L9"}]})
    written(calls)
    again = score_of(ask("/score", {"leads": [{"lead_id": "L1"}]}))
    assert again["probability"] == known["probability"]
    other = score_of(ask("/score", {"leads": [{"lead_id": "L1", "attributes": {}}]}))
    assert other["probability"] != known["probability"]


def test_lead_returns_the_stored_records(ask: Ask, calls: Calls) -> None:
    ask("/activities", {"activities": [CALL]})
    ask("/stages", {"stages": [ENTRY]})
    ask("/outcomes", {"outcomes": [{"lead_id": "L1", "outcome": "won"}]})
    scores = [
        score_of(ask("/score", {"leads": [LEAD]}, NOW + datetime.timedelta(days=day)))
        for day in range(3)
    ]
    written(calls)
    shown = ask("/lead", {"lead_id": "L1"})
    assert shown["created_at"] == "2026-01-01T08:00:00+00:00"
    assert shown["attributes"] == LEAD["attributes"]
    assert [one["probability"] for one in shown["history"]] == [
        one["probability"] for one in reversed(scores)
    ]
    assert shown["last_score"]["reasons"] == scores[-1]["reasons"]
    assert shown["last_score"]["model_version"] == "7"
    assert shown["trend"]["direction"] in ("improving", "steady", "declining")
    assert shown["activities"] == {"count": 1, "newest": "2026-01-09T08:00:00+00:00"}
    assert [entry["stage"] for entry in shown["stages"]] == ["marketing_qualified"]
    assert shown["outcomes"][0]["outcome"] == "won"
    assert shown["outcomes"][0]["closed_at"] is None


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
        "leads": 1,
    }
    assert ask("/activities", {"activities": [CALL]})["erased"] == 1
    assert score_of(ask("/score", {"leads": [LEAD]}))["used"]["activities"] == 0
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


def test_scoring_continues_without_the_ledger_and_scores_are_written_later(
    model: ServedModel, tmp_path: Path
) -> None:
    ledger = Away("sqlite:///ledger.db", tmp_path)
    calls = Calls(Settings(), ledger)
    ask = asker(calls, model)
    answer = ask("/score", {"leads": [LEAD, {"lead_id": "L2"}]})
    found, without = answer["scores"]
    assert found["probability"] > 0
    assert found["warnings"][-1]["code"] == "ledger_unavailable"
    assert without["error"]["code"] == "unavailable"
    with pytest.raises(RequestError, match="nothing of this request is acknowledged") as caught:
        ask("/activities", {"activities": [CALL]})
    assert caught.value.status == 503
    assert calls.score_writer is not None
    assert calls.score_writer.queued == 1
    ledger.is_away = False
    calls.score_writer.close()
    assert (calls.score_writer.written, calls.score_writer.dropped) == (1, 0)
    assert len(ledger.scores_of("L1")) == 1
    ledger.close()


def test_scoring_continues_with_a_ledger_of_a_newer_schema(
    model: ServedModel, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.database.prepare()
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE ledger_version SET version_num = '9999'")
    newer = Calls(Settings(), Ledger("sqlite:///ledger.db", tmp_path))
    found = score_of(asker(newer, model)("/score", {"leads": [LEAD]}))
    assert found["probability"] > 0
    assert found["warnings"][-1]["code"] == "ledger_unavailable"
    with pytest.raises(ConfigError, match="has schema 9999"):
        asker(newer, model)("/activities", {"activities": [CALL]})
    newer.close()


@pytest.mark.parametrize("path", ["/score", "/score_lead"])
def test_leads_with_many_events_are_scored_in_a_thread(
    ask: Ask, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    joined_in: list[str] = []

    def noting(*args: Any) -> Any:
        joined_in.append(threading.current_thread().name)
        return join(*args)

    monkeypatch.setattr("serving.calls.join", noting)
    lead = {"lead_id": "L1", "created_at": LEAD["created_at"], "as_of": "2026-01-10"}
    body = lead | LEAD["attributes"] if path == "/score_lead" else {"leads": [LEAD]}
    ask(path, body)
    ledger.add("activities", many_calls(1_100), 0)
    answer = ask(path, body)
    assert joined_in[0] == threading.main_thread().name != joined_in[1]
    used = score_of(answer)["used"]["activities"] if path == "/score" else answer["used_activities"]
    assert used == 1_100


def test_ledger_reads_do_not_block_other_requests(
    calls: Calls, model: ServedModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked, go_on = threading.Event(), threading.Event()
    add = ledger.add

    def slow(*args: Any) -> Any:
        is_asked.set()
        assert go_on.wait(10)
        return add(*args)

    monkeypatch.setattr(ledger, "add", slow)

    async def both() -> Any:
        body = json.dumps({"activities": [CALL]}).encode()
        kept: asyncio.Task[Any] = asyncio.create_task(
            calls.by_path["/activities"](model, body, NOW, "r")  # type: ignore[arg-type]
        )
        while not is_asked.is_set():
            await asyncio.sleep(0)
        body = json.dumps({"leads": [LEAD]}).encode()
        await calls.by_path["/score"](model, body, NOW, "r")
        assert not kept.done()
        go_on.set()
        return await kept

    assert asyncio.run(both()).accepted == 1


def test_requests_during_a_ledger_read_share_the_next_read(
    calls: Calls, model: ServedModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = [LEAD | {"lead_id": f"L{i}"} for i in range(20)]
    asyncio.run(
        calls.by_path["/activities"](
            model, json.dumps({"activities": [CALL | {"lead_id": "L7"}]}).encode(), NOW, "r"
        )  # type: ignore[arg-type]
    )
    readings: list[int] = []
    stored_leads = ledger.stored_leads

    def noted(lead_ids: Sequence[str], with_outcomes: bool = False) -> Any:
        readings.append(len(lead_ids))
        if readings[0] == 1 == len(readings):
            others_have_asked.wait(20)
        if len(readings) == 3:
            raise LedgerError("it is away")
        return stored_leads(lead_ids, with_outcomes)

    others_have_asked = threading.Event()
    monkeypatch.setattr(ledger, "stored_leads", noted)

    async def run() -> list[Any]:
        async def ask(lead: dict[str, Any]) -> Any:
            return await calls.by_path["/score"](
                model, json.dumps({"leads": [lead]}).encode(), NOW, "r"
            )

        first = asyncio.create_task(ask(leads[0]))
        while not readings:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(ask(lead)) for lead in leads[1:]]
        gone = asyncio.create_task(ask(LEAD | {"lead_id": "gone"}))
        await asyncio.sleep(0.05)
        gone.cancel()
        others_have_asked.set()
        return [*await asyncio.gather(first, *others), await ask(leads[7])]

    answers = asyncio.run(run())
    assert readings == [1, 20, 1]
    used = [score_of(answer).used.activities for answer in answers]
    assert used == [int(i == 7) for i in range(20)] + [0]
    assert [warning.code for warning in score_of(answers[-1]).warnings] == ["ledger_unavailable"]
