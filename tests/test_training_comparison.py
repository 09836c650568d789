"""Honest margins, and the comparison of two sides by them."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crm.records import Records
from crm.times import NOT_A_TIME
from features.moments import Moments
from models.evaluation.metrics import MODEL_METRICS, measure
from training.comparison.comparison import (
    Contest,
    JudgedTable,
    Side,
    differences,
    honest_margins,
    judged_table,
    lead_keys,
    why_unfair,
)
from training.split import Split

NAMES = ["anna@example.com", "L2", "L3", "L4", "L5", "L6"]

ASKS = {"won": ["won"], "horizon_days": None}


def records_of(*names: str) -> Records:
    leads = pd.DataFrame({"lead_id": list(names)})
    return Records(leads=leads, outcomes=pd.DataFrame())


def moments_of(lead: list[int], as_of: list[int], label: list[int]) -> Moments:
    return Moments(
        lead=np.array(lead, dtype=np.int64),
        as_of=np.array(as_of, dtype=np.int64),
        label=np.array(label, dtype=np.int8),
        known_at=np.array(as_of, dtype=np.int64),
        weight=np.ones(len(lead)),
        counts={},
    )


@dataclass
class Deployed:
    """A scorer that says 9 of every lead, and remembers which it was asked."""

    asked: list[int] = field(default_factory=list)

    @property
    def pipeline(self) -> SimpleNamespace:
        return SimpleNamespace(transform=self._transform, columns=[], features=[])

    def _transform(self, records: Records, moments: Moments) -> np.ndarray:
        self.asked += moments.lead.tolist()
        return np.zeros((len(moments), 1))

    def log_odds_of(self, features: np.ndarray) -> np.ndarray:
        return np.full(len(features), 9.0)


@pytest.fixture
def judged() -> JudgedTable:
    """Leads 0 and 1 were learned from, 2 was embargoed, 3 (twice) and 4 were the test."""
    moments = moments_of([0, 1, 2, 3, 3, 4], [10, 20, 30, 40, 50, 60], [0, 1, 0, 1, 0, 1])
    split = Split(moments.take(np.array([0, 1])), moments.take(np.array([3, 4, 5])), 1, "newest")
    return judged_table("acme", records_of(*NAMES), moments, split, np.array([0.4, 0.5, 0.6]))


def test_table_has_role_and_honest_margin_of_each_moment(judged) -> None:
    assert judged.role.tolist() == ["train", "train", "embargoed", "test", "test", "test"]
    assert judged.as_of.tolist() == [10, 20, 30, 40, 50, 60]
    assert judged.label.tolist() == [0, 1, 0, 1, 0, 1]
    np.testing.assert_array_equal(judged.margin, [np.nan] * 3 + [0.4, 0.5, 0.6])
    assert judged.lead[3] == judged.lead[4] != judged.lead[5]


def test_table_round_trip_contains_no_ids(judged) -> None:
    content = judged.to_parquet()
    again = JudgedTable.from_parquet(content)
    for name, values in vars(judged).items():
        np.testing.assert_array_equal(getattr(again, name), values)
        assert getattr(again, name).dtype.kind == values.dtype.kind
    assert b"example" not in content


def test_honest_margin_is_stored_for_test_and_computed_for_new_leads(judged) -> None:
    scorer = Deployed()
    now = moments_of([0, 2, 3, 3, 4, 5], [10, 30, 40, 50, 60, 70], [0, 0, 1, 0, 1, 1])
    found = honest_margins(Side("1", scorer, judged), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(found, [np.nan, np.nan, 0.4, 0.5, 0.6, 9.0])
    assert scorer.asked == [5]


def test_leads_are_matched_in_any_row_order(judged) -> None:
    records = records_of("L5", "new", "L4")
    now = moments_of([0, 1, 2], [60, 60, 40], [1, 0, 1])
    found = honest_margins(Side("1", Deployed(), judged), records, now, "acme")
    np.testing.assert_array_equal(found, [0.6, 9.0, 0.4])


def test_changed_moment_or_label_has_no_honest_margin(judged) -> None:
    now = moments_of([3, 3, 4], [40, 45, 60], [1, 1, 0])
    found = honest_margins(Side("1", Deployed(), judged), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(found, [0.4, np.nan, np.nan])


def test_leads_without_times_match_by_lead() -> None:
    moments = moments_of([0, 1, 2], [NOT_A_TIME] * 3, [0, 1, 1])
    split = Split(moments.take(np.array([0, 1])), moments.take(np.array([2])), 0, "newest")
    judged = judged_table("acme", records_of(*NAMES), moments, split, np.array([0.3]))
    found = honest_margins(Side("1", Deployed(), judged), records_of(*NAMES), moments, "acme")
    np.testing.assert_array_equal(found, [np.nan, np.nan, 0.3])


def test_version_without_a_table_has_no_honest_margin() -> None:
    now = moments_of([0], [10], [0])
    side = Side("1", Deployed(), None)
    assert np.isnan(honest_margins(side, records_of(*NAMES), now, "acme")).all()


def test_leads_without_ids_match_only_in_the_same_table(judged) -> None:
    now = moments_of([3, 4, 5], [40, 60, 70], [1, 1, 1])
    same = replace(records_of(*NAMES), has_ids=False)
    later = replace(records_of(*NAMES[1:], "L7"), has_ids=False)
    scorer = Deployed()
    scorer.card = SimpleNamespace(digests=same.digests, question=ASKS)
    side = Side("7", scorer, judged)
    np.testing.assert_array_equal(honest_margins(side, same, now, "acme"), [0.4, 0.6, 9.0])
    assert np.isnan(honest_margins(side, later, now, "acme")).all()
    learn = SimpleNamespace(won=["won"], lost=[], open=[], horizon_days=90.0)
    project = SimpleNamespace(learn=learn)
    assert why_unfair(side, same, project) == []
    (why,) = why_unfair(side, later, project)
    assert "version 7 learned from another table than today's" in why
    assert "Name [leads] lead_id and train again" in why


def test_lead_key_depends_on_the_project() -> None:
    ids = pd.Series(NAMES)
    assert len(set(lead_keys(ids, "acme")) | set(lead_keys(ids, "other"))) == 2 * len(ids)


# -- the comparison ------------------------------------------------------------------------


def contest_of(n: int = 400, noise: float = 1.0, seed: int = 0, per_lead: int = 1) -> Contest:
    """One side knows the truth; the other has noise added. Each lead has some equal moments."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(-1, 1.5, n)
    label = (generator.random(n) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    other = truth + generator.normal(0, noise, n)
    lead = np.repeat(np.arange(n), per_lead)
    moments = moments_of(lead.tolist(), (lead * 0).tolist(), np.repeat(label, per_lead).tolist())
    return Contest(moments, np.repeat(truth, per_lead), np.repeat(other, per_lead))


def test_comparison_uses_moments_shared_by_both() -> None:
    moments = moments_of([0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 1, 0])
    one, other = np.array([np.nan, 1, 2, 3]), np.array([1, 2, np.nan, 4])
    contest = Contest.of(moments, one, other)
    assert contest.moments.lead.tolist() == [1, 3]
    assert (contest.one.tolist(), contest.other.tolist()) == ([1, 3], [2, 4])
    assert contest.rarer == 1


def test_rarer_outcomes_are_counted_in_leads() -> None:
    moments = moments_of([0, 0, 0, 1, 2], [1, 2, 3, 4, 5], [1, 1, 1, 0, 0])
    assert Contest(moments, np.zeros(5), np.zeros(5)).rarer == 1


def test_comparison_has_the_metrics_of_evaluate() -> None:
    contest = contest_of()
    found = differences(contest, seed=0)
    assert list(found) == list(MODEL_METRICS)
    label, weight = contest.moments.label, contest.moments.weight
    assert {m: d.one for m, d in found.items()} == measure(contest.one, label, weight)
    assert {m: d.other for m, d in found.items()} == measure(contest.other, label, weight)
    for difference in found.values():
        assert difference.low <= difference.value <= difference.high or difference.metric == "ece"


def test_equal_margins_do_not_differ() -> None:
    contest = contest_of()
    found = differences(replace(contest, other=contest.one), seed=0)
    assert {(d.value, d.low, d.high) for d in found.values()} == {(0.0, 0.0, 0.0)}


def test_noisy_model_is_worse_and_the_comparison_is_symmetric() -> None:
    contest = contest_of(noise=2)
    found = differences(contest, seed=0)
    mirrored = differences(Contest(contest.moments, contest.other, contest.one), seed=0)
    assert found["log_loss"].high < 0
    assert found["pr_auc"].low > 0
    for metric in MODEL_METRICS:
        assert mirrored[metric].low == pytest.approx(-found[metric].high)
        assert mirrored[metric].high == pytest.approx(-found[metric].low)


def test_paired_interval_is_narrower_than_single_ones() -> None:
    contest = contest_of(noise=0.2)
    found = differences(contest, seed=0)["log_loss"]
    flat = replace(contest, other=np.full(len(contest.other), -1.0))
    alone = differences(flat, seed=0)["log_loss"]
    assert found.high - found.low < (alone.high - alone.low) / 3


def test_repeated_moments_do_not_count_as_leads() -> None:
    once = differences(contest_of(per_lead=1), seed=0)["log_loss"]
    often = differences(contest_of(per_lead=5), seed=0)["log_loss"]
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=1e-6)
