"""The control group in the answers, in the ledger and in scored files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm.ledger.ledger import Ledger
from crm.project import TableKeys
from models.batch import score_file
from serving.calls import Calls
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_calls import LEAD, Ask, Away, asker, score_of, written

IDS = [f"L{number}" for number in range(40)]
FLAT = {"lead_id": "L1", "source": "Partner"}


@pytest.fixture
def with_control(calls: Calls) -> Calls:
    """Return the calls of a service with a large control group."""
    calls.settings = replace(calls.settings, control_share=0.5)
    return calls


def scores_of(ask: Ask, ids: list[str]) -> list[dict[str, Any]]:
    leads = [LEAD | {"lead_id": lead_id} for lead_id in ids]
    return list(ask("/score", {"leads": leads})["scores"])


def positions(scores: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(score["lane"], score["order"]) for score in scores]


def test_answers_have_lane_and_order(ask: Ask, with_control: Calls) -> None:
    scored = scores_of(ask, IDS)
    assert {score["lane"] for score in scored} == {"control", "treated"}
    treated = [score for score in scored if score["lane"] == "treated"]
    assert all(score["order"] == score["score"] for score in treated)
    control = [score for score in scored if score["lane"] == "control"]
    assert len({score["score"] for score in control}) == 1
    assert len({score["order"] for score in control}) > 5
    assert all(1 <= score["order"] <= 99 for score in control)
    assert positions(scores_of(ask, IDS[::-1])[::-1]) == positions(scored)


def test_flat_answer_has_the_same_lane_and_order(ask: Ask, with_control: Calls) -> None:
    for score in scores_of(ask, IDS[:10]):
        flat = ask("/score_lead", FLAT | {"lead_id": score["lead_id"]})
        assert flat["lane"] == score["lane"]
        is_control = score["lane"] == "control"
        assert flat["order"] == (score["order"] if is_control else flat["score"])


def test_answers_without_a_control_group_have_no_lane(ask: Ask) -> None:
    scored = score_of(ask("/score", {"leads": [LEAD]}))
    assert not {"lane", "order"} & scored.keys()
    flat = ask("/score_lead", FLAT)
    assert (flat["lane"], flat["order"]) == ("", flat["score"])


def test_lead_without_an_id_has_no_lane(ask: Ask, with_control: Calls) -> None:
    without_id = {"attributes": LEAD["attributes"]}
    scored = score_of(ask("/score", {"leads": [without_id]}))
    assert (scored["lane"], scored["order"]) == (None, scored["score"])
    flat = ask("/score_lead", {"source": "Partner"})
    assert (flat["lane"], flat["order"]) == ("", flat["score"])


def test_invalid_lead_of_a_request_has_its_error(ask: Ask, with_control: Calls) -> None:
    valid, invalid = ask("/score", {"leads": [LEAD, {"lead_id": "L9"}]})["scores"]
    assert valid["lane"] in ("control", "treated")
    assert set(invalid) == {"error"}


def test_lanes_are_stored(ask: Ask, with_control: Calls, ledger: Ledger) -> None:
    answered = {score["lead_id"]: score["lane"] for score in scores_of(ask, IDS)}
    written(with_control)
    stored = {row["lead_id"]: row["lane"] for rows in ledger.rows("scores") for row in rows}
    assert stored == answered


def test_scores_without_a_control_group_are_stored_without_a_lane(
    ask: Ask, calls: Calls, ledger: Ledger
) -> None:
    scores_of(ask, IDS[:2])
    written(calls)
    assert {row["lane"] for rows in ledger.rows("scores") for row in rows} == {None}


def test_another_service_gives_the_same_lanes(
    ask: Ask, with_control: Calls, ledger: Ledger, model: ServedModel
) -> None:
    first = positions(scores_of(ask, IDS))
    other = Calls(Settings(control_share=0.5), ledger)
    assert positions(scores_of(asker(other, model), IDS)) == first


def test_scored_file_has_the_lanes_of_the_service(
    ask: Ask, with_control: Calls, ledger: Ledger, model: ServedModel, tmp_path: Path
) -> None:
    leads = pd.DataFrame([LEAD["attributes"]] * len(IDS)).assign(lead_id=IDS)
    leads.to_csv(tmp_path / "leads.csv", index=False)
    source = TableKeys(source=str(tmp_path / "leads.csv"))
    score_file(model.scorer, source, tmp_path / "s.csv", lanes=ledger.lanes(0.5))
    of_file = pd.read_csv(tmp_path / "s.csv")
    of_service = pd.DataFrame(scores_of(ask, IDS))
    assert of_file["lane"].tolist() == of_service["lane"].tolist()
    is_control = of_file["lane"] == "control"
    assert of_file["order"][is_control].tolist() == of_service["order"][is_control].tolist()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    with Away("sqlite:///ledger.db", tmp_path) as opened:
        yield opened


def test_lanes_are_unknown_until_the_ledger_can_be_read(model: ServedModel, away: Away) -> None:
    calls = Calls(Settings(control_share=0.5), away)
    ask = asker(calls, model)
    for score in scores_of(ask, IDS):
        assert (score["lane"], score["order"]) == (None, score["score"])
    away.is_away = False
    known = scores_of(ask, IDS)
    assert {score["lane"] for score in known} == {"control", "treated"}
    away.is_away = True
    assert [score["lane"] for score in scores_of(ask, IDS)] == [score["lane"] for score in known]
    away.is_away = False
    calls.close()
