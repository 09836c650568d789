"""The order of leads in worklists: the score, or a neutral number for the control group."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.lanes import Lanes
from crm.project import TableKeys
from models.batch import score_file
from models.scorer import LeadScorer
from models.worklist import NeutralOrders, position
from tests.made_cards import made_card

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def scorer(trained: Any) -> LeadScorer:
    return trained.scorer


@pytest.fixture(scope="module")
def orders(scorer: LeadScorer) -> NeutralOrders:
    return NeutralOrders.of_model(scorer.card, scorer.scale)


def test_neutral_orders_are_distributed_like_the_scores(
    scorer: LeadScorer, orders: NeutralOrders, simulated_crm: Path
) -> None:
    bins = scorer.card.test["reliability"]
    assert len(bins) >= 5
    drawn = np.array([orders.at(place) for place in np.linspace(0, 1, 10_001)])
    assert (drawn[0], drawn[-1]) == (1, 99)
    assert (np.diff(drawn) >= 0).all()
    total = sum(row["n"] for row in bins)
    best_half = 0.0
    for row in bins[:-1]:  # the best first
        best_half += row["n"]
        score = float(scorer.scale.score(np.array([row["stated"]]))[0])
        middle = 1 - (best_half - row["n"] / 2) / total
        assert np.quantile(drawn, middle) == pytest.approx(score, abs=1)


def test_bins_of_a_card_are_in_the_middle_of_their_shares(scorer: LeadScorer) -> None:
    odds = np.exp(scorer.scale.base_log_odds) * np.array([4.0, 1.0])  # scores of 70 and 50
    bins = [{"stated": odd / (1 + odd), "n": n} for odd, n in zip(odds, (1, 3), strict=True)]
    card = replace(made_card("acme", []), test={"reliability": bins})
    orders = NeutralOrders.of_model(card, scorer.scale)
    assert orders == NeutralOrders((0.0, 0.375, 0.875, 1.0), (1.0, 50.0, 70.0, 99.0))


def test_orders_without_a_distribution_are_even(scorer: LeadScorer) -> None:
    orders = NeutralOrders.of_model(made_card("acme", []), scorer.scale)
    counts = np.bincount([orders.at(place) for place in np.linspace(0, 0.9999, 9_801)])
    assert counts[2:99] == pytest.approx(np.full(97, 100), abs=2)


def test_order_of_a_control_lead_does_not_depend_on_its_score(orders: NeutralOrders) -> None:
    lanes = Lanes(KEY, 0.5)
    for number in range(200):
        low, high = (position(lanes, orders, f"L{number}", score) for score in (5, 95))
        assert low.lane == high.lane
        assert (low.order == high.order) == (low.lane == "control")
        if low.lane == "treated":
            assert (low.order, high.order) == (5, 95)


def test_unknown_key_leaves_the_order_by_score(orders: NeutralOrders) -> None:
    assert position(None, orders, "L1", 40) == (None, 40)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_scored_file_has_lanes_and_orders(
    scorer: LeadScorer, orders: NeutralOrders, simulated_crm: Path, tmp_path: Path, suffix: str
) -> None:
    lanes = Lanes(KEY, 0.3)
    leads = pd.read_csv(simulated_crm / "leads.csv", dtype="str").head(50)
    leads.loc[3, "lead_id"] = None
    leads.to_csv(tmp_path / "leads.csv", index=False)
    target = tmp_path / f"scores.{suffix}"
    source = TableKeys(source=str(tmp_path / "leads.csv"))
    score_file(scorer, source, target, n_reasons=1, lanes=lanes)
    scores = pd.read_csv(target) if suffix == "csv" else pd.read_parquet(target)
    columns = ["lead_id", "probability", "score", "grade", "lane", "order", "reason_1"]
    assert list(scores.columns) == columns
    assert set(scores["lane"].dropna()) == {"control", "treated"}
    for row in scores.astype(object).where(scores.notna(), None).to_dict("records"):
        expected = position(lanes, orders, row["lead_id"], row["score"])
        assert (row["lane"], row["order"]) == expected
    assert scores["lane"].isna().tolist() == [i == 3 for i in range(50)]


def test_numbered_leads_have_no_lane(
    scorer: LeadScorer, simulated_crm: Path, tmp_path: Path
) -> None:
    leads = pd.read_csv(simulated_crm / "leads.csv", dtype="str").head(20)
    leads.drop(columns="lead_id").to_csv(tmp_path / "leads.csv", index=False)
    source = TableKeys(source=str(tmp_path / "leads.csv"))
    score_file(scorer, source, tmp_path / "s.csv", lanes=Lanes(KEY, 0.5))
    scores = pd.read_csv(tmp_path / "s.csv")
    assert scores["lane"].isna().all()
    assert (scores["order"] == scores["score"]).all()
