"""The calls that ask and fill the ledger, without HTTP: what goes in, what comes out."""

import asyncio
import dataclasses
import datetime
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from crm.errors import ConfigError, LedgerError
from crm.ledger.export import export_table
from crm.ledger.ledger import Batch, GivenScore, Ledger, SentLead
from crm.ledger.trend import trend
from crm.project import TableKeys, load_project
from crm.reading import read_events
from crm.times import DAY
from features.times import cell_time
from models.batch import score_file
from serving.calls import Calls
from serving.errors import RequestError
from serving.ledger.joining import join
from serving.ledger.score_writer import ScoreWriter
from serving.served_model import ServedModel
from serving.settings import Settings

NOW = datetime.datetime(2026, 1, 10, 12, tzinfo=datetime.UTC)
LEAD = {
    "lead_id": "L1",
    "created_at": "2026-01-01T08:00:00Z",
    "attributes": {"source": "Partner", "employees": 120, "country": "DE"},
}
CALL = {"lead_id": "L1", "type": "demo_requested", "occurred_at": "2026-01-09T08:00:00Z"}
ENTRY = {"lead_id": "L1", "stage": "marketing_qualified", "entered_at": "2026-01-05T08:00:00Z"}
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def model(trained: Any) -> ServedModel:
    return ServedModel(trained.scorer, "7", "0123456789abcdef")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger("sqlite:///ledger.db", tmp_path) as opened:
        yield opened


@pytest.fixture
def calls(ledger: Ledger) -> Iterator[Calls]:
    made = Calls(Settings(max_leads=50), ledger)
    yield made
    made.close()


@pytest.fixture
def ask(calls: Calls, model: ServedModel) -> Ask:
    return asker(calls, model)


def asker(calls: Calls, model: ServedModel) -> Ask:
    def send(path: str, body: Any, now: datetime.datetime = NOW) -> Any:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer: Any = asyncio.run(calls.by_path[path](model, sent, now, "r1"))  # type: ignore[arg-type]
        return json.loads(msgspec.json.encode(answer))

    return send


def written(calls: Calls) -> None:
    """Have the scores written that wait."""
    assert calls.score_writer is not None
    calls.score_writer.close()
    assert calls.score_writer.dropped == 0
    ledger = calls.ledger.ledger
    calls.use_ledger(ledger)


def score_of(answer: Any) -> Any:
    (score,) = answer["scores"] if isinstance(answer, dict) else answer.scores
    return score


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
    with pytest.raises(RequestError, match="required field `attributes`, and the ledger has none"):
        ask("/score", {"leads": [{"lead_id": "L9"}]})
    written(calls)
    again = score_of(ask("/score", {"leads": [{"lead_id": "L1"}]}))
    assert again["probability"] == known["probability"]
    other = score_of(ask("/score", {"leads": [{"lead_id": "L1", "attributes": {}}]}))
    assert other["probability"] != known["probability"]


def test_export_scores_the_same_offline(
    ask: Ask, calls: Calls, ledger: Ledger, model: ServedModel, simulated_crm: Path, tmp_path: Path
) -> None:
    leads = pd.read_csv(simulated_crm / "leads.csv", dtype=object, keep_default_na=False).head(40)
    rows = leads.drop(columns=["lead_id", "created_at"]).to_dict("records")
    sent = [
        {"lead_id": lead_id, "created_at": created, "attributes": row}
        for lead_id, created, row in zip(leads["lead_id"], leads["created_at"], rows, strict=True)
    ]
    for name, fields in (("activities", 7), ("stages", 3)):
        table = pd.read_csv(simulated_crm / f"{name}.csv", dtype=object)
        table = table[table["lead_id"].isin(leads["lead_id"])]
        items = [
            {k: float(v) if k == "value" else v for k, v in row.items() if isinstance(v, str)}
            for row in table.to_dict("records")
        ]
        assert len(table.columns) == fields
        answer = ask(f"/{name}", {name: items})
        assert answer["accepted"] == len(items) > 40
    moment = "2025-12-31T00:00:00+00:00"
    online = ask("/score", {"leads": sent, "as_of": moment})["scores"]
    assert sum(one["used"]["activities"] for one in online) > 40
    written(calls)

    for name in ("leads", "activities", "stages"):
        export_table(ledger, name, tmp_path / f"{name}.csv")
    text = (simulated_crm / "leadscore.toml").read_text()
    (tmp_path / "leadscore.toml").write_text(text)
    project = load_project(tmp_path)
    score_file(
        model.scorer,
        project.leads.__class__(source=str(tmp_path / "leads.csv")),
        tmp_path / "scored.csv",
        as_of=datetime.datetime.fromisoformat(moment),
        **read_events(project, []),
    )
    offline = pd.read_csv(tmp_path / "scored.csv").set_index("lead_id")["probability"].to_dict()
    assert {one["lead_id"]: one["probability"] for one in online} == offline


ODD_CELLS = [
    True,
    False,
    "true",
    "FALSE",
    1,
    0,
    3,
    3.5,
    -0.0,
    5e-324,
    1e22,
    1e308,
    2**53 + 1,
    10**30,
    10**400,
    "12",
    " 12.50 ",
    "1e3",
    "1.200,50",
    None,
    "",
    "  ",
    "NA",
    "null",
    "None",
    "nan",
    "inf",
    "Select",
    "unknown",
    20250301,
    "2025-03-01  08:00",
    "DE",
    " de ",
    "Paid  search",
    "Müller",
    "M\u0075\u0308ller",
    "\N{GRINNING FACE}",
    "\N{NO-BREAK SPACE}DE",
    "=1+1",
    'a"b,c;d',
    "first\nsecond\r\nthird",
    "\ufeffDE",
    "007",
    "x" * 5_000,
]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_odd_cells_of_an_export_score_the_same_offline(
    ask: Ask, calls: Calls, ledger: Ledger, model: ServedModel, tmp_path: Path, file_format: str
) -> None:
    calls.settings = Settings()
    columns = model.scorer.pipeline.columns
    kinds = {type(column).kind for column in model.scorer.pipeline.attributes}
    assert {"number", "category", "flag"} <= kinds
    sent = [
        {"lead_id": f"{column} {i}", "attributes": {"country": "DE", column: cell}}
        for column in columns
        for i, cell in enumerate(ODD_CELLS)
    ]
    moment = "2026-01-09T00:00:00+00:00"
    online = {}
    for at in range(0, len(sent), 500):
        answer = ask("/score", {"leads": sent[at : at + 500], "as_of": moment})
        online |= {one["lead_id"]: one["probability"] for one in answer["scores"]}
    assert len(set(online.values())) > 3 * len(columns)
    written(calls)
    file = tmp_path / f"leads.{file_format}"
    assert export_table(ledger, "leads", file) == len(sent) == len(online)
    score_file(
        model.scorer,
        TableKeys(source=str(file)),
        tmp_path / "scored.parquet",
        as_of=datetime.datetime.fromisoformat(moment),
    )
    offline = pd.read_parquet(tmp_path / "scored.parquet").set_index("lead_id")["probability"]
    differing = {name for name in online if offline[name] != online[name]}
    assert differing == set()


ODD_NAMES = {"employees ": 120, "two\nlines": 1, "\ufeffcomma,": "x", 'quote"': 2, "x" * 1_000: 3}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_attribute_names_with_white_space_are_equal_offline(
    ask: Ask, calls: Calls, ledger: Ledger, model: ServedModel, tmp_path: Path, file_format: str
) -> None:
    calls.settings = Settings()
    spoilt = [{" employees": 1, "employees": 2}, {" \n": 1}, {"x" * 1_001: 1}]
    leads = [
        LEAD | {"lead_id": f"L{i}", "attributes": LEAD["attributes"] | {"employees": 9} | odd}
        for i, odd in enumerate(spoilt)
    ]
    bare = {k: v for k, v in LEAD["attributes"].items() if k != "employees"}
    leads += [LEAD, LEAD | {"lead_id": "L9", "attributes": bare | ODD_NAMES}]
    *errors, plain, odd = ask("/score", {"leads": leads})["scores"]
    said = ["is sent twice", "is blank", "has 1,001 characters"]
    for one, words in zip(errors, said, strict=True):
        assert words in one["error"]["message"]
    assert {one["error"]["field"].partition(".")[2] for one in errors} == {"attributes"}
    assert odd["probability"] == plain["probability"]
    flat = {"lead_id": "L9", "created_at": LEAD["created_at"]}
    assert ask("/score_lead", flat | bare | {" employees ": 120})["score"] == plain["score"]
    written(calls)
    stored = {" country": "FR", "employees ": 5, "employees": 120, "": 1, "y" * 1_001: 2} | bare
    old = SentLead("old", cell_time(LEAD["created_at"]), stored)  # as it was before names were read
    ledger.add_batch(Batch(leads=[(old, 0)]), 0)
    online = score_of(ask("/score", {"leads": [{"lead_id": "old"}], "as_of": "2026-01-10"}))
    file = tmp_path / f"leads.{file_format}"
    assert export_table(ledger, "leads", file) == 3
    score_file(
        model.scorer,
        TableKeys(source=str(file)),
        tmp_path / "scored.parquet",
        as_of=datetime.datetime(2026, 1, 10, tzinfo=datetime.UTC),
    )
    offline = pd.read_parquet(tmp_path / "scored.parquet").set_index("lead_id")["probability"]
    assert offline["old"] == online["probability"]
    now = ask("/score", {"leads": leads[-1:], "as_of": "2026-01-10"})
    assert offline["L9"] == score_of(now)["probability"]


def test_score_lead_is_flat_and_equals_score(ask: Ask, model: ServedModel) -> None:
    whole = score_of(ask("/score", {"leads": [LEAD]}))
    flat = ask(
        "/score_lead",
        {"lead_id": "L1", "created_at": LEAD["created_at"], "as_of": None} | LEAD["attributes"],
    )  # type: ignore[operator]
    assert all(isinstance(value, str | int | float) for value in flat.values())
    assert list(flat) == [
        "lead_id",
        "probability",
        "score",
        "grade",
        "reason_1",
        "reason_2",
        "reason_3",
        "warnings",
        "used_activities",
        "newest_activity",
        "used_stages",
        "as_of",
        "model_name",
        "model_version",
        "request_id",
    ]
    assert flat["probability"] == whole["probability"]
    assert flat["reason_1"].startswith(whole["reasons"][0]["text"])
    assert (flat["model_name"], flat["model_version"]) == ("demo", "7")


def test_times_in_milliseconds_are_read(ask: Ask, ledger: Ledger) -> None:
    """As HubSpot sends times: as a number, or as text where it makes texts of all."""
    moment = 1_768_046_400_000
    rows = []
    for time in (moment, str(moment), "2026-01-10T12:00:00Z"):
        lead = LEAD | {"created_at": time, "activities": [{"type": "call", "occurred_at": time}]}
        nested = ask("/score", {"leads": [lead], "as_of": time})
        sent = {"lead_id": "L9", "created_at": time, "as_of": time}
        flat = ask("/score_lead", sent | LEAD["attributes"])
        outcome = {"lead_id": "L1", "outcome": "won", "closed_at": time}
        kept = ask("/outcomes", {"outcomes": [outcome]})["items"][0]["id"]
        rows.append((nested, flat, kept))
    assert rows[0] == rows[1] == rows[2]
    assert rows[0][0]["as_of"] == "2026-01-10T12:00:00+00:00"


def test_score_lead_accepts_names_that_a_flow_can_write(calls: Calls, model: ServedModel) -> None:
    from serving.payloads.flat_lead import names_by_identifier, read_flat

    names = names_by_identifier(["Lead Source", "as_of", "Größe (m)"])
    body = {
        "Lead_Source": "Web",
        "attribute_as_of": "x",
        "Größe_m_": 3,
        "other": None,
        "lead_id": "",
    }
    lead, _ = read_flat(json.dumps(body).encode(), Settings(), names)
    assert lead.attributes == {"Lead Source": "Web", "as_of": "x", "Größe (m)": 3, "other": None}
    assert lead.lead_id is None


FLAT_REFUSED = {
    "a list": (b"[]", 422, "Expected `object`, got `array`", None),
    "no JSON": (b"{", 400, "not valid JSON", None),
    "nested": (b'{"source": {"a": 1}}', 422, "`source` is an object", "source"),
    "bad time": (b'{"source": 1, "created_at": "soon"}', 422, "is not a valid time", "created_at"),
    "as_of no text": (b'{"source": 1, "as_of": 7.5}', 422, "`as_of` is not text", "as_of"),
    "lead_id true": (b'{"source": 1, "lead_id": true}', 422, "got `bool`", "lead_id"),
    "nothing": (b"{}", 422, "required field `attributes`", None),
    "zero": (b'{"source": "a\\u0000"}', 422, "zero character", None),
}


@pytest.mark.parametrize("case", FLAT_REFUSED)
def test_invalid_flat_requests_are_refused(ask: Ask, case: str) -> None:
    body, status, message, field = FLAT_REFUSED[case]
    with pytest.raises(RequestError, match=message) as caught:
        ask("/score_lead", body)
    assert (caught.value.status, caught.value.field) == (status, field)


def test_answer_states_the_result_of_each_item(ask: Ask) -> None:
    named = CALL | {"activity_id": 7}
    other = named | {"type": "call"}
    answer = ask("/activities", {"activities": [named, named, other, {"lead_id": "L1"}, CALL]})
    assert [item["status"] for item in answer["items"]] == [
        "accepted",
        "duplicate",
        "conflict",
        "invalid",
        "duplicate",
    ]
    counts = {k: v for k, v in answer.items() if k not in ("items", "request_id", "model")}
    assert counts == {"accepted": 1, "duplicate": 2, "conflict": 1, "erased": 0, "invalid": 1}
    assert answer["items"][0]["id"] == "7"
    assert answer["items"][3]["error"] == {
        "code": "invalid",
        "message": "The object lacks required field `type`.",
        "field": "activities[3]",
    }


ITEMS_REFUSED = {
    "no items": ({"activities": []}, "has 0 items. Expected 1 to 1,000", "activities"),
    "too many": ({"activities": [CALL] * 1_001}, "has 1,001 items", "activities"),
    "unknown field": ({"activity": []}, "Did you mean `activities`", "activity"),
    "no lead": ({"activities": [CALL | {"lead_id": " "}]}, "is empty", "activities[0].lead_id"),
    "null lead": (
        {"activities": [CALL | {"lead_id": None}]},
        "got `null`",
        "activities[0].lead_id",
    ),
    "blank type": ({"activities": [CALL | {"type": ""}]}, "is empty", "activities[0].type"),
    "long id": (
        {"activities": [CALL | {"activity_id": "x" * 201}]},
        "length <= 200",
        "activities[0].activity_id",
    ),
    "large number": (
        {"activities": [CALL | {"activity_id": 2**63}]},
        "<= 9223372036854775807",
        "activities[0].activity_id",
    ),
    "zero": ({"activities": [CALL | {"content": "a\0b"}]}, "zero character", "activities[0]"),
    "no time": (
        {"activities": [CALL | {"occurred_at": "9"}]},
        "not a valid time",
        "activities[0].occurred_at",
    ),
    "late time": (
        {"activities": [CALL | {"occurred_at": "9999-12-31T23:59:59-14:00"}]},
        "not in the years",
        "activities[0].occurred_at",
    ),
    "early time": (
        {"activities": [CALL | {"occurred_at": "0001-01-01T00:00:00+14:00"}]},
        "not in the years",
        "activities[0].occurred_at",
    ),
    "infinite": (
        b'{"activities": [{"lead_id": 1, "type": "a", "occurred_at": "2026-01-01", '
        b'"value": 1e999}]}',
        "larger than",
        "activities[0].value",
    ),
}


@pytest.mark.parametrize("case", ITEMS_REFUSED)
def test_invalid_items_are_refused(ask: Ask, case: str) -> None:
    body, message, field = ITEMS_REFUSED[case]
    with pytest.raises(RequestError, match=message) as caught:
        ask("/activities", body)
    assert (caught.value.status, caught.value.field) == (422, field)


def test_item_with_invalid_text_does_not_affect_others(ask: Ask, ledger: Ledger) -> None:
    whole = b'{"activities": [ITEM, {"lead_id": "L1", "type": "a", "occurred_at": "2026-01-01"}]}'
    odd = rb'{"lead_id": "L1", "type": "TYPE", "occurred_at": "2026-01-02"}'
    for written, kept, read in (
        (rb"\ud83d", False, "half of a surrogate pair"),
        (rb"\ud83d\ud83d\ude00", False, "half of a surrogate pair"),
        (rb"\\\udc00", False, "half of a surrogate pair"),
        (b"\xed\xa0\xbd", False, "is not UTF-8"),
        (b"\xff", False, "is not UTF-8"),
        (rb"\ud83d\ude00", True, "\N{GRINNING FACE}"),
        (rb"\\ud83d", True, r"\ud83d"),
    ):
        answer = ask("/activities", whole.replace(b"ITEM", odd.replace(b"TYPE", written)))
        first, second = answer["items"]
        assert second["status"] in ("accepted", "duplicate")
        assert first["status"] == ("accepted" if kept else "invalid"), written
        if kept:
            assert read in {row["type"] for row in ledger.held(["L1"])["L1"].activities}
        else:
            assert read in first["error"]["message"], written


def test_outcomes_accept_the_crms_values(ask: Ask, ledger: Ledger) -> None:
    items = [
        {"lead_id": 1, "outcome": word, "closed_at": "2026-01-05", "amount": 10}
        for word in ("Closed  Won ", 1, 0.5, True)
    ]
    assert ask("/outcomes", {"outcomes": items})["accepted"] == 4
    held = ledger.held(["1"], with_outcomes=True)["1"].outcomes
    assert {row["outcome"] for row in held} == {"Closed Won", "1", "0.5", "true"}


def test_undeclared_outcome_is_stored_with_a_warning(
    ask: Ask, calls: Calls, model: ServedModel
) -> None:
    items = [
        {"lead_id": 1, "outcome": word, "outcome_id": word} for word in (" WON ", "Closed Won")
    ]
    declared, stray = ask("/outcomes", {"outcomes": items})["items"]
    assert "warnings" not in declared
    (warning,) = stray["warnings"]
    assert stray["status"] == "accepted"
    assert (warning["code"], warning["column"]) == ("undeclared_outcome", "outcome")
    assert warning["message"].startswith("`Closed Won` is not an outcome that")
    label = {"won": ["won"], "horizon_days": 90.0}  # as cards were that do not know all words
    card = dataclasses.replace(model.scorer.card, question=label)
    older = ServedModel(dataclasses.replace(model.scorer, card=card), "7", "0123456789abcdef")
    assert "warnings" not in asker(calls, older)("/outcomes", {"outcomes": items})["items"][1]


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


class Away(Ledger):
    """A ledger whose database is away until it is back."""

    is_away = True

    def held(self, *args: Any, **more: Any) -> Any:
        self._fail()
        return super().held(*args, **more)

    def add(self, *args: Any, **more: Any) -> Any:
        self._fail()
        return super().add(*args, **more)

    def add_batch(self, *args: Any, **more: Any) -> Any:
        self._fail()
        return super().add_batch(*args, **more)

    def _fail(self) -> None:
        if self.is_away:
            raise LedgerError("away")


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


TRENDS = {
    "none": ([], "too little to say", None),
    "two days": ([(0, 10), (DAY, 90)], "too little to say", None),
    "one day again and again": ([(i, 10 * i) for i in range(5)], "too little to say", None),
    "up by five": ([(0, 40), (DAY, 42), (2 * DAY, 45)], "improving", 5.0),
    "down by five": ([(0, 45), (DAY, 43), (2 * DAY, 40)], "declining", -5.0),
    "nearly flat": ([(0, 40), (DAY, 42), (2 * DAY, 44)], "steady", 4.0),
    "the last of a day counts": ([(0, 99), (1, 40), (DAY, 40), (2 * DAY, 40)], "steady", 0.0),
    "only the last five days": ([(0, 1)] + [(d * DAY, 50) for d in range(1, 6)], "steady", 0.0),
    "too long ago": (
        [(0, 1), (1 * DAY, 1), (40 * DAY, 50), (41 * DAY, 50)],
        "too little to say",
        None,
    ),
    "in any order": ([(2 * DAY, 46), (0, 40), (DAY, 43)], "improving", 6.0),
}


@pytest.mark.parametrize("case", TRENDS)
def test_trend_is_a_line_through_the_last_days(case: str) -> None:
    scores, direction, points = TRENDS[case]
    assert trend(scores) == (direction, points)


def given(number: int) -> GivenScore:
    return GivenScore(
        lead_id="L1",
        score_id=f"s{number}",
        as_of=0,
        probability=0.5,
        score=50,
        grade="B",
        model="m",
        version="1",
        digest="d",
        reasons=[],
        request_id="r",
        recorded_at=0,
    )


def test_score_writer_writes_everything_before_it_ends(ledger: Ledger) -> None:
    writer = ScoreWriter(ledger)
    for number in range(2_500):
        writer.put(Batch(scores=[given(number)]), 0)
    writer.close()
    assert (writer.written, writer.dropped, writer.queued) == (2_500, 0, 0)
    assert sum(map(len, ledger.rows("scores"))) == 2_500


def test_score_writer_counts_dropped_scores(tmp_path: Path) -> None:
    ledger = Away("sqlite:///ledger.db", tmp_path)
    writer = ScoreWriter(ledger, max_queued=10)
    for number in range(25):
        writer.put(Batch(scores=[given(number)]), 0)
    assert (writer.dropped, writer.queued) == (15, 10)
    writer.close(seconds=0.1)
    assert (writer.written, writer.dropped, writer.queued) == (0, 25, 0)
    writer.put(Batch(scores=[given(99)]), 0)
    assert writer.dropped == 26


def many_calls(count: int) -> list[dict[str, Any]]:
    at = cell_time(CALL["occurred_at"])
    return [CALL | {"activity_id": str(i), "occurred_at": at} for i in range(count)]


def test_large_request_is_written_whole(ledger: Ledger) -> None:
    writer = ScoreWriter(ledger, max_queued=100)
    writer.put(Batch(scores=[given(1)], activities=many_calls(2_500)), 0)
    writer.put(Batch(scores=[given(2)] * 100), 0)  # and no more besides
    writer.close()
    assert (writer.written, writer.dropped, writer.queued) == (1, 100, 0)
    assert len(ledger.held(["L1"])["L1"].activities) == 2_500


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


def test_rejected_batch_does_not_block_the_queue(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ScoreWriter(ledger)
    tried = threading.Event()
    add_batch = ledger.add_batch

    def refuse_first(batch: Batch, now: int) -> int:
        if not tried.is_set():
            tried.set()
            raise LedgerError("never", is_passing=False)
        return add_batch(batch, now)

    monkeypatch.setattr(ledger, "add_batch", refuse_first)
    writer.put(Batch(scores=[given(1)]), 0)
    assert tried.wait(5)
    writer.put(Batch(scores=[given(2)]), 0)
    writer.close()
    assert (writer.written, writer.dropped) == (1, 1)


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
        kept = asyncio.create_task(calls.by_path["/activities"](model, body, NOW, "r"))  # type: ignore[arg-type]
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
    held = ledger.held

    def noted(lead_ids: Sequence[str], with_outcomes: bool = False) -> Any:
        readings.append(len(lead_ids))
        if readings[0] == 1 == len(readings):
            others_have_asked.wait(20)
        if len(readings) == 3:
            raise LedgerError("it is away")
        return held(lead_ids, with_outcomes)

    others_have_asked = threading.Event()
    monkeypatch.setattr(ledger, "held", noted)

    async def run() -> list[Any]:
        async def ask(lead: dict[str, Any]) -> Any:
            return await calls.by_path["/score"](
                model, json.dumps({"leads": [lead]}).encode(), NOW, "r"
            )  # type: ignore[arg-type]

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
