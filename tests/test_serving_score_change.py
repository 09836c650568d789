"""Why a score changed, as `/lead` answers it from the ledger."""

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crm.ledger.entries import Batch, SentLead
from crm.ledger.ledger import Ledger
from features.times import cell_time
from models.scorer import LeadCells
from serving.calls import Calls
from serving.served_model import ServedModel
from tests.made_calls import CALL, ENTRY, LEAD, NOW, Ask, asker, many_calls, written

LATER = NOW + datetime.timedelta(days=9)
DEMO = CALL | {"activity_id": "a1"}


@pytest.fixture
def new_model(scorers: Any) -> ServedModel:
    """Return another version, with other trees and another blend."""
    return ServedModel(scorers["blend 1.0"], "8", "fedcba9876543210")


@pytest.fixture
def score_twice(ask: Ask, calls: Calls) -> Callable[..., None]:
    """Return a function that scores a lead at two moments, with a demo before the second."""

    def score(later_ask: Ask = ask, *, first: Any = LEAD) -> None:
        ask("/score", {"leads": [first]}, NOW)
        written(calls)
        ask("/activities", {"activities": [DEMO]}, NOW + datetime.timedelta(days=1))
        later_ask("/score", {"leads": [{"lead_id": "L1"}]}, LATER)
        written(calls)

    return score


def stored_scores(ledger: Ledger) -> tuple[Any, Any]:
    """Return the two stored scores, the earlier first."""
    later, earlier = ledger.scores_of("L1")
    return earlier, later


def total(score: Any) -> float:
    return score.start + sum(score.points.values())


def change_of(ask: Ask) -> Any:
    return ask("/lead", {"lead_id": "L1"}, LATER)["change"]


def check_sum(change: Any) -> None:
    cents = [round(part["points"] * 100) for part in change["parts"]]
    assert sum(cents) == round(change["points"] * 100)
    assert 0 not in cents
    assert [abs(part) for part in cents] == sorted(map(abs, cents), reverse=True)


def test_change_of_a_score_adds_up_by_signal(
    ask: Ask, score_twice: Callable[..., None], ledger: Ledger
) -> None:
    score_twice()
    earlier, later = stored_scores(ledger)
    change = change_of(ask)
    assert change["since"] == "2026-01-10T12:00:00+00:00"
    assert change["points"] == round(total(later) - total(earlier), 2)
    assert change["score_change"] == later.score - earlier.score
    assert change["model_changed"] is False
    check_sum(change)
    parts = {part["signal"]: part for part in change["parts"]}
    assert None not in parts
    exact = later.points.get("activities", 0) - earlier.points.get("activities", 0)
    assert parts["activities"]["points"] == pytest.approx(exact, abs=0.01)
    assert parts["activities"]["text"].endswith("(before: no activity yet)")


def test_first_score_has_no_change(ask: Ask, calls: Calls) -> None:
    ask("/score", {"leads": [LEAD]})
    written(calls)
    assert change_of(ask) is None


def test_lead_without_scores_has_no_change(ask: Ask) -> None:
    ask("/activities", {"activities": [DEMO]})
    assert change_of(ask) is None


def test_scores_of_the_same_moment_are_not_compared(
    ask: Ask, calls: Calls, score_twice: Callable[..., None]
) -> None:
    score_twice()
    change = change_of(ask)
    ask("/score", {"leads": [{"lead_id": "L1"}]}, LATER)
    written(calls)
    assert change_of(ask) == change


@pytest.mark.parametrize("is_earlier", [True, False])
def test_scores_of_earlier_versions_have_no_change(
    ask: Ask,
    score_twice: Callable[..., None],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    is_earlier: bool,
) -> None:
    score_twice()
    scores = list(ledger.scores_of("L1"))
    scores[is_earlier] = replace(scores[is_earlier], start=None, points=None)
    monkeypatch.setattr(ledger, "scores_of", lambda lead_id: scores)
    assert change_of(ask) is None


@pytest.mark.parametrize("reasons", [(0, 0), (0, 3), (3, 0)])
def test_scores_without_reasons_have_the_same_change(
    ask: Ask, calls: Calls, ledger: Ledger, reasons: tuple[int, int]
) -> None:
    """The points are computed behind the answer, and equal those of reasons bit for bit."""
    renamed = {"Source": "Web", "employees": 120, "country": "DE"}
    for lead_id, n_reasons in (("L1", (3, 3)), ("L2", reasons)):
        demo = {name: cell for name, cell in DEMO.items() if name != "lead_id"}
        lead = LEAD | {"lead_id": lead_id, "activities": [demo]}
        ask("/score", {"leads": [lead], "reasons": n_reasons[0]}, NOW)
        written(calls)
        ask("/score", {"leads": [lead | {"attributes": renamed}], "reasons": n_reasons[1]}, LATER)
        written(calls)
    for with_reasons, without in zip(ledger.scores_of("L1"), ledger.scores_of("L2"), strict=True):
        assert with_reasons.points
        assert without.points == with_reasons.points
        assert without.start == with_reasons.start
        assert without.probability == with_reasons.probability
    change, same = (ask("/lead", {"lead_id": lead}, LATER)["change"] for lead in ("L1", "L2"))
    assert change["parts"]
    assert same == change


def lead_of(*activities: Any) -> LeadCells:
    rows = [
        {"content": None, "channel": None, "value": None}
        | row
        | {"occurred_at": cell_time(row["occurred_at"])}
        for row in activities
    ]
    return LeadCells(LEAD["attributes"], cell_time(LEAD["created_at"]), rows)


def test_new_model_is_one_part(
    ask: Ask,
    calls: Calls,
    score_twice: Callable[..., None],
    new_model: ServedModel,
    ledger: Ledger,
) -> None:
    ask_new = asker(calls, new_model)
    score_twice(ask_new)
    earlier, later = stored_scores(ledger)
    change = change_of(ask_new)
    assert change["model_changed"] is True
    assert change["points"] == round(total(later) - total(earlier), 2)
    check_sum(change)
    (of_model,) = (part for part in change["parts"] if part["signal"] is None)
    assert of_model["text"] == "new model (version 8 instead of 7)"
    # The demo happened before the earlier score, but was recorded after it.
    (then,) = new_model.scorer.score_leads([lead_of()], cell_time(NOW), 3)
    assert then.start is not None
    assert then.points is not None
    expected = then.start + sum(then.points) - total(earlier)
    assert of_model["points"] == pytest.approx(expected, abs=0.01)
    before = dict(zip(new_model.scorer.reasoner.signals, then.points, strict=True))
    parts = {part["signal"]: part["points"] for part in change["parts"]}
    expected = later.points.get("activities", 0) - before["activities"]
    assert parts["activities"] == pytest.approx(expected, abs=0.01)


def test_events_sent_with_the_earlier_score_were_known_then(
    ask: Ask, calls: Calls, score_twice: Callable[..., None], new_model: ServedModel, ledger: Ledger
) -> None:
    mail = {"type": "email_opened", "occurred_at": "2026-01-08T08:00:00Z", "activity_id": "m1"}
    entry = {name: cell for name, cell in ENTRY.items() if name != "lead_id"}
    ask_new = asker(calls, new_model)
    score_twice(ask_new, first=LEAD | {"activities": [mail], "stages": [entry]})
    stored = ledger.lead_as_recorded("L1", stored_scores(ledger)[0].recorded_at)
    assert [row["activity_id"] for row in stored.activities] == ["m1"]
    assert [row["stage"] for row in stored.stages] == [ENTRY["stage"]]
    (of_model,) = (part for part in change_of(ask_new)["parts"] if part["signal"] is None)
    stages = [{"stage": ENTRY["stage"], "entered_at": cell_time(ENTRY["entered_at"])}]
    lead = lead_of(mail)
    known = LeadCells(lead.cells, lead.created_at, lead.activities, stages)
    (then,) = new_model.scorer.score_leads([known], cell_time(NOW), 3)
    assert then.start is not None
    assert then.points is not None
    expected = then.start + sum(then.points) - total(stored_scores(ledger)[0])
    assert of_model["points"] == pytest.approx(expected, abs=0.01)


def check_one_part(change: Any, ledger: Ledger) -> None:
    earlier, later = stored_scores(ledger)
    (part,) = change["parts"]
    assert part == {
        "signal": None,
        "points": round(total(later) - total(earlier), 2),
        "text": "new model (version 8 instead of 7), with everything else that has changed since",
    }
    assert change["points"] == part["points"]


def test_model_that_is_not_served_any_more_cannot_score_again(
    ask: Ask, calls: Calls, score_twice: Callable[..., None], new_model: ServedModel, ledger: Ledger
) -> None:
    score_twice(asker(calls, new_model))
    check_one_part(change_of(ask), ledger)


def test_signals_of_an_earlier_model_have_the_words_of_the_reasons(
    ask: Ask, calls: Calls, score_twice: Callable[..., None], new_model: ServedModel, ledger: Ledger
) -> None:
    score_twice()
    change = change_of(asker(calls, new_model))
    assert change["model_changed"] is False
    check_sum(change)
    earlier, later = stored_scores(ledger)
    texts = {reason["signal"]: reason["text"] for reason in (*earlier.reasons, *later.reasons)}
    assert texts
    assert all(p["text"] == texts.get(p["signal"], p["signal"]) for p in change["parts"])


@pytest.mark.parametrize("code", ["ledger_unavailable", "not_yet_written", "approximate_history"])
@pytest.mark.parametrize("is_earlier", [True, False])
def test_score_that_did_not_use_the_whole_ledger_is_not_repeated(
    calls: Calls,
    score_twice: Callable[..., None],
    new_model: ServedModel,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    is_earlier: bool,
) -> None:
    ask_new = asker(calls, new_model)
    score_twice(ask_new)
    earlier, later = stored_scores(ledger)
    warnings = [{"code": code, "column": None}]
    scores = (
        [later, replace(earlier, warnings=warnings)]
        if is_earlier
        else [replace(later, warnings=warnings), earlier]
    )
    monkeypatch.setattr(ledger, "scores_of", lambda lead_id: scores)
    change = change_of(ask_new)
    (part,) = change["parts"]
    assert part["signal"] is None


def test_lead_with_very_many_events_is_not_scored_again(
    ask: Ask, calls: Calls, score_twice: Callable[..., None], new_model: ServedModel, ledger: Ledger
) -> None:
    rows = [row | {"occurred_at": cell_time(NOW) - i} for i, row in enumerate(many_calls(2_001))]
    ledger.add("activities", rows, cell_time(NOW) - 1)
    score_twice(asker(calls, new_model))
    check_one_part(change_of(asker(calls, new_model)), ledger)


def test_attributes_are_those_of_each_moment(ask: Ask, calls: Calls, ledger: Ledger) -> None:
    other = LEAD | {"attributes": LEAD["attributes"] | {"country": "US", "source": "Web"}}
    ask("/score", {"leads": [LEAD]}, NOW)
    written(calls)
    ask("/score", {"leads": [other]}, LATER)
    written(calls)
    change = change_of(ask)
    check_sum(change)
    texts = {part["signal"]: part["text"] for part in change["parts"]}
    assert texts["country"] == 'country is "US" (before: country is "DE")'


@pytest.mark.parametrize("form", ["100", "100.0"])
def test_lead_is_read_as_it_was_recorded_by_a_time(ledger_url: str, form: str) -> None:
    with Ledger(ledger_url) as ledger:
        for sent_at, source in ((5, "Web"), (9, "Fair")):
            lead = SentLead("100", None, {"source": source})
            ledger.add_batch(Batch(leads=[(lead, sent_at)]), sent_at)
        for now in (5, 6):
            ledger.add("activities", [CALL | {"lead_id": "100.0", "occurred_at": now}], now)
            ledger.add("stages", [ENTRY | {"lead_id": "100", "entered_at": now}], now)
        assert ledger.lead_as_recorded(form, 4).sent is None
        then = ledger.lead_as_recorded(form, 5)
        assert then.sent == SentLead(form, None, {"source": "Web"})
        assert [row["occurred_at"] for row in then.activities] == [5]
        assert [row["entered_at"] for row in then.stages] == [5]
        assert {row["lead_id"] for row in (*then.activities, *then.stages)} == {form}
        latest = ledger.lead_as_recorded(form, 9)
        assert latest.sent == SentLead(form, None, {"source": "Fair"})
        assert len(latest.activities) == len(latest.stages) == 2
