"""Held-out log-odds, fair comparisons, and the comparison of two versions."""

import io
import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.arrays import Floats, Ints
from crm.records import Records
from crm.times import DAY, NOT_A_TIME
from features.immature import ImmatureMoments
from features.moments import Moments
from models.evaluation.metrics import MODEL_METRICS, measure
from models.fitting.split import Split
from tests.made_comparisons import one_cut_off
from training.comparison.comparison import Comparison, SharedMoments, differences
from training.comparison.fairness import missing_inputs, unfair_reasons
from training.comparison.held_out import (
    SINCE_TRAINING,
    Contender,
    HeldOut,
    LaterLogOdds,
    held_out_log_odds,
)
from training.comparison.stored_moments import UNKNOWN, StoredMoments, lead_keys
from training.rolling import CutOff, LaterCutOff

NAMES = ["anna@example.com", "L2", "L3", "L4", "L5", "L6"]
WON_IN_TIME = {"won": ["won"], "horizon_days": 90.0}


def records_of(*names: str, **columns: list[Any]) -> Records:
    leads = pd.DataFrame({"lead_id": list(names), **columns})
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
class FakeScorer:
    """A scorer that gives log-odds of 9 to every lead, and records which leads it scored."""

    columns: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    question: dict[str, Any] = field(default_factory=lambda: dict(WON_IN_TIME))
    digests: dict[str, str] = field(default_factory=dict)
    scored: list[int] = field(default_factory=list)

    @property
    def card(self) -> SimpleNamespace:
        return SimpleNamespace(digests=self.digests, question=self.question)

    @property
    def pipeline(self) -> SimpleNamespace:
        return SimpleNamespace(
            transform=self._transform,
            columns=self.columns,
            features=[SimpleNamespace(table=table) for table in self.tables],
        )

    def _transform(self, records: Records, lead: Ints, as_of: Ints) -> Floats:
        self.scored += lead.tolist()
        return np.zeros((len(lead), 1))

    def log_odds_of(self, features: Floats) -> Floats:
        return np.full(len(features), 9.0)


def contender(
    stored: StoredMoments | None, scorer: FakeScorer | None = None, version: str = "1"
) -> Contender:
    return Contender(version, scorer or FakeScorer(), stored)  # type: ignore[arg-type]


@pytest.fixture
def stored() -> StoredMoments:
    """Return stored moments: training leads 0 and 1, embargoed 2, test leads 3 (twice) and 4."""
    moments = moments_of([0, 1, 2, 3, 3, 4], [10, 20, 30, 40, 50, 60], [0, 1, 0, 1, 0, 1])
    split = Split(moments.take(np.array([0, 1])), moments.take(np.array([3, 4, 5])), 1, "newest")
    return StoredMoments.of_training(
        "acme", records_of(*NAMES), moments, split, np.array([0.4, 0.5, 0.6])
    )


# -- stored moments ------------------------------------------------------------------------


def test_stored_moments_have_roles_and_held_out_log_odds(stored: StoredMoments) -> None:
    assert stored.role.tolist() == ["train", "train", "embargoed", "test", "test", "test"]
    assert stored.as_of.tolist() == [10, 20, 30, 40, 50, 60]
    assert stored.label.tolist() == [0, 1, 0, 1, 0, 1]
    np.testing.assert_array_equal(stored.margin, [np.nan] * 3 + [0.4, 0.5, 0.6])


def test_stored_moments_of_one_lead_have_one_key(stored: StoredMoments) -> None:
    assert stored.lead[3] == stored.lead[4] != stored.lead[5]


def test_stored_moments_survive_parquet(stored: StoredMoments) -> None:
    loaded = StoredMoments.from_parquet(stored.to_parquet())
    for name, values in vars(stored).items():
        np.testing.assert_array_equal(getattr(loaded, name), values)
        assert getattr(loaded, name).dtype.kind == values.dtype.kind


def test_stored_moments_contain_no_lead_id(stored: StoredMoments) -> None:
    assert b"example" not in stored.to_parquet()


def test_lead_keys_differ_between_projects() -> None:
    ids = pd.Series(NAMES)
    assert len(set(lead_keys(ids, "acme")) | set(lead_keys(ids, "other"))) == 2 * len(ids)


# -- held-out log-odds ---------------------------------------------------------------------


def test_held_out_log_odds_of_test_moments_are_stored_and_new_leads_are_scored(
    stored: StoredMoments,
) -> None:
    scorer = FakeScorer()
    now = moments_of([0, 2, 3, 3, 4, 5], [10, 30, 40, 50, 60, 70], [0, 0, 1, 0, 1, 1])
    log_odds = held_out_log_odds(
        contender(stored, scorer), records_of(*NAMES), now, "acme"
    ).log_odds
    np.testing.assert_array_equal(log_odds, [np.nan, np.nan, 0.4, 0.5, 0.6, 9.0])
    assert scorer.scored == [5]


def test_held_out_log_odds_are_missing_for_leads_that_a_remedy_learned_from() -> None:
    moments = moments_of([0, 1, 2], [10, 20, 30], [0, 1, 1])
    split = Split(moments.take(np.array([0, 1])), moments.take(np.array([2])), 0, "newest")
    immature = ImmatureMoments(
        np.array([3, 4]), np.array([40, 50]), np.array([20, 10]), np.array([1, np.nan])
    )
    written = StoredMoments.of_training(
        "acme", records_of(*NAMES), moments, split, np.array([0.3]), immature=immature
    )
    stored = StoredMoments.from_parquet(written.to_parquet())
    assert stored.role.tolist() == ["train", "train", "test", "immature", "immature"]
    assert stored.label.tolist() == [0, 1, 1, UNKNOWN, UNKNOWN]
    now = moments_of([2, 3, 4, 5], [30, 40, 50, 60], [1, 1, 0, 0])
    held_out = held_out_log_odds(contender(stored), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(held_out.log_odds, [0.3, np.nan, np.nan, 9.0])
    np.testing.assert_array_equal(held_out.newest.log_odds, [0.3, np.nan, np.nan, 9.0])


def test_held_out_log_odds_do_not_depend_on_row_numbers(stored: StoredMoments) -> None:
    records = records_of("L5", "new", "L4")
    now = moments_of([0, 1, 2], [60, 60, 40], [1, 0, 1])
    log_odds = held_out_log_odds(contender(stored), records, now, "acme").log_odds
    np.testing.assert_array_equal(log_odds, [0.6, 9.0, 0.4])


def test_held_out_log_odds_are_missing_at_another_time_or_label(stored: StoredMoments) -> None:
    now = moments_of([3, 3, 4], [40, 45, 60], [1, 1, 0])
    log_odds = held_out_log_odds(contender(stored), records_of(*NAMES), now, "acme").log_odds
    np.testing.assert_array_equal(log_odds, [0.4, np.nan, np.nan])


def test_held_out_log_odds_without_times_are_those_of_the_lead() -> None:
    moments = moments_of([0, 1, 2], [NOT_A_TIME] * 3, [0, 1, 1])
    split = Split(moments.take(np.array([0, 1])), moments.take(np.array([2])), 0, "newest")
    stored = StoredMoments.of_training("acme", records_of(*NAMES), moments, split, np.array([0.3]))
    log_odds = held_out_log_odds(contender(stored), records_of(*NAMES), moments, "acme").log_odds
    np.testing.assert_array_equal(log_odds, [np.nan, np.nan, 0.3])


def test_held_out_log_odds_without_stored_moments_are_missing() -> None:
    now = moments_of([0], [10], [0])
    held_out = held_out_log_odds(contender(None), records_of(*NAMES), now, "acme")
    assert np.isnan(held_out.log_odds).all()


def test_held_out_log_odds_without_ids_exist_for_the_same_table_only(
    stored: StoredMoments,
) -> None:
    now = moments_of([3, 4, 5], [40, 60, 70], [1, 1, 1])
    same_table = replace(records_of(*NAMES), has_ids=False)
    later_table = replace(records_of(*NAMES[1:], "L7"), has_ids=False)
    version = contender(stored, FakeScorer(digests=dict(same_table.digests)))
    np.testing.assert_array_equal(
        held_out_log_odds(version, same_table, now, "acme").log_odds, [0.4, 0.6, 9.0]
    )
    assert np.isnan(held_out_log_odds(version, later_table, now, "acme").log_odds).all()


# -- cut-offs ------------------------------------------------------------------------------


@pytest.fixture
def with_cut_offs() -> StoredMoments:
    """Return stored moments: leads 0 and 1 before a cut-off, 2 and 3 after it, test lead 4."""
    moments = moments_of([0, 1, 2, 3, 4], [10, 20, 30, 40, 50], [0, 1, 0, 1, 0])
    split = Split(moments.take(np.arange(3)), moments.take(np.array([4])), 1, "newest")
    earlier = Split(moments.take(np.arange(2)), moments.take(np.array([2, 3])), 0, "before")
    cut_offs = [CutOff(earlier, np.array([0.2, 0.3]))]
    return StoredMoments.of_training(
        "acme", records_of(*NAMES), moments, split, np.array([0.4]), cut_offs
    )


def test_stored_moments_have_the_log_odds_of_each_cut_off(with_cut_offs: StoredMoments) -> None:
    assert with_cut_offs.role.tolist() == ["train", "train", "train", "embargoed", "test"]
    np.testing.assert_array_equal(with_cut_offs.margin, [np.nan, np.nan, 0.2, 0.3, 0.4])
    assert with_cut_offs.cutoff.tolist() == [NOT_A_TIME, NOT_A_TIME, 30, 30, 50]


def test_stored_moments_with_cut_offs_survive_parquet(with_cut_offs: StoredMoments) -> None:
    loaded = StoredMoments.from_parquet(with_cut_offs.to_parquet())
    for name, values in vars(with_cut_offs).items():
        np.testing.assert_array_equal(getattr(loaded, name), values)


def without_cutoff_column(stored: StoredMoments) -> bytes:
    """Return the table as it was written before there were cut-offs."""
    file = io.BytesIO()
    stored.table().drop(columns="cutoff").to_parquet(file, index=False)
    return file.getvalue()


def test_stored_moments_without_cut_offs_are_read_as_those_of_the_test(
    stored: StoredMoments,
) -> None:
    loaded = StoredMoments.from_parquet(without_cutoff_column(stored))
    np.testing.assert_array_equal(loaded.margin, stored.margin)
    assert loaded.cutoff.tolist() == stored.cutoff.tolist() == [NOT_A_TIME] * 3 + [40] * 3


def test_stored_moments_without_cut_offs_and_test_have_none(stored: StoredMoments) -> None:
    untested = replace(stored, margin=np.full(6, np.nan))
    loaded = StoredMoments.from_parquet(without_cutoff_column(untested))
    assert loaded.cutoff.tolist() == [NOT_A_TIME] * 6


def test_held_out_log_odds_have_the_cut_off_of_their_model(with_cut_offs: StoredMoments) -> None:
    now = moments_of([1, 2, 3, 4, 5], [20, 30, 40, 50, 60], [1, 0, 1, 0, 1])
    held_out = held_out_log_odds(contender(with_cut_offs), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(held_out.log_odds, [np.nan, 0.2, 0.3, 0.4, 9.0])
    assert held_out.cutoff.tolist() == [NOT_A_TIME, 30, 30, 50, SINCE_TRAINING]
    assert held_out.test_begins == 50


def test_newest_log_odds_are_those_of_the_test_and_of_later_leads(
    with_cut_offs: StoredMoments,
) -> None:
    now = moments_of([1, 2, 3, 4, 5], [20, 30, 40, 50, 60], [1, 0, 1, 0, 1])
    held_out = held_out_log_odds(contender(with_cut_offs), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(held_out.newest.log_odds, [np.nan, np.nan, np.nan, 0.4, 9.0])


def test_cut_offs_without_times_are_the_positions_of_their_first_leads() -> None:
    moments = moments_of([0, 1, 2, 3], [NOT_A_TIME] * 4, [0, 1, 1, 0])
    split = Split(moments.take(np.arange(3)), moments.take(np.array([3])), 0, "newest")
    earlier = Split(moments.take(np.arange(1)), moments.take(np.array([1, 2])), 0, "before")
    cut_offs = [CutOff(earlier, np.array([0.1, 0.2]))]
    stored = StoredMoments.of_training(
        "acme", records_of(*NAMES), moments, split, np.array([0.3]), cut_offs
    )
    assert stored.cutoff.tolist() == [NOT_A_TIME, 1, 1, 3]
    now = moments_of([0, 1, 2, 3, 4], [NOT_A_TIME] * 5, [0, 1, 1, 0, 1])
    held_out = held_out_log_odds(contender(stored), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(held_out.log_odds, [np.nan, 0.1, 0.2, 0.3, 9.0])
    np.testing.assert_array_equal(held_out.newest.log_odds, [np.nan, np.nan, np.nan, 0.3, 9.0])
    shared = SharedMoments.of(now, held_out, held_out)
    assert shared.cut_off.tolist() == [0, 0, 1, 2]
    assert [
        of_one["from"] for of_one in Comparison("3", "1", shared, {}, ()).to_json()["cut_offs"]
    ] == [None] * 3


def test_newest_log_odds_without_times_are_all() -> None:
    moments = moments_of([0, 1, 2], [NOT_A_TIME] * 3, [0, 1, 1])
    split = Split(moments.take(np.array([0, 1])), moments.take(np.array([2])), 0, "newest")
    stored = StoredMoments.of_training("acme", records_of(*NAMES), moments, split, np.array([0.3]))
    now = moments_of([0, 1, 2, 3], [NOT_A_TIME] * 4, [0, 1, 1, 0])
    held_out = held_out_log_odds(contender(stored), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(held_out.newest.log_odds, [np.nan, np.nan, 0.3, 9.0])


# -- fairness ------------------------------------------------------------------------------


def project_predicting(won: str = "won", horizon_days: float = 90.0) -> Any:
    learn = SimpleNamespace(won=[won], lost=[], open=[], horizon_days=horizon_days)
    return SimpleNamespace(learn=learn)


def timed(records: Records) -> Records:
    """Return the records with a creation time for each lead."""
    created = pd.Series([pd.Timestamp("2026-01-01", tz="UTC")] * len(records.leads))
    return replace(
        records,
        leads=records.leads.assign(created_at=created),
        observed_until=pd.Timestamp("2026-03-01", tz="UTC"),
    )


def test_fair_version_has_no_reasons_against_it() -> None:
    assert unfair_reasons(contender(None), timed(records_of(*NAMES)), project_predicting()) == []


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        ({"horizon_days": 14.0}, "won within 14 days"),
        ({"won": "signed"}, "signed within 90 days"),
    ],
)
def test_fairness_needs_the_same_prediction(prediction: dict[str, Any], words: str) -> None:
    version = contender(None, version="7")
    (reason,) = unfair_reasons(version, timed(records_of(*NAMES)), project_predicting(**prediction))
    assert reason.startswith("Version 7 predicts won within 90 days, but the project file now asks")
    assert f"asks for {words}. Restore [learn]" in reason


def test_fairness_needs_ids_or_the_same_table() -> None:
    same_table = replace(timed(records_of(*NAMES)), has_ids=False)
    later_table = replace(timed(records_of(*NAMES[1:], "L7")), has_ids=False)
    version = contender(None, FakeScorer(digests=dict(same_table.digests)), version="7")
    assert unfair_reasons(version, same_table, project_predicting()) == []
    (reason,) = unfair_reasons(version, later_table, project_predicting())
    assert "version 7 learned from another table than today's" in reason
    assert "Name [leads] lead_id and train again" in reason


def test_fairness_needs_the_inputs_of_the_version() -> None:
    scorer = FakeScorer(columns=["size", "team", "source"], tables=["leads", "activities"])
    records = timed(records_of(*NAMES, size=[1] * 6, team=[None] * 6))
    assert missing_inputs(scorer, records) == [  # type: ignore[arg-type]
        "`team`",
        "`source`",
        "the table activities",
    ]
    (reason,) = unfair_reasons(contender(None, scorer), records, project_predicting())
    assert "Version 1 learned from `team`, `source`, the table activities, which today's" in reason


def test_column_with_one_value_left_is_not_missing() -> None:
    scorer = FakeScorer(columns=["team"], tables=["leads"])
    records = records_of(*NAMES, team=["Ada", *[None] * 5])
    assert missing_inputs(scorer, records) == []  # type: ignore[arg-type]


# -- the comparison ------------------------------------------------------------------------


def shared_moments(
    n: int = 400, noise: float = 1.0, seed: int = 0, per_lead: int = 1
) -> SharedMoments:
    """Return a challenger that knows the true log-odds, and a champion with added noise.

    Each lead has `per_lead` equal moments.
    """
    generator = np.random.default_rng(seed)
    truth = generator.normal(-1, 1.5, n)
    label = (generator.random(n) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    noisy = truth + generator.normal(0, noise, n)
    lead = np.repeat(np.arange(n), per_lead)
    moments = moments_of(lead.tolist(), (lead * 0).tolist(), np.repeat(label, per_lead).tolist())
    return one_cut_off(moments, np.repeat(truth, per_lead), np.repeat(noisy, per_lead))


def test_shared_moments_are_those_with_log_odds_of_both() -> None:
    moments = moments_of([0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 1, 0])
    shared = SharedMoments.of(
        moments,
        challenger=HeldOut(np.array([np.nan, 1, 2, 3]), np.full(4, 7), 7),
        champion=HeldOut(np.array([1, 2, np.nan, 4]), np.full(4, 5), 5),
    )
    assert shared.moments.lead.tolist() == [1, 3]
    assert (shared.challenger.tolist(), shared.champion.tolist()) == ([1, 3], [2, 4])
    assert shared.cut_off.tolist() == [0, 0]
    assert (shared.rarer, shared.n_leads) == (1, 2)


def test_shared_moments_count_the_rarer_outcome_in_leads() -> None:
    moments = moments_of([0, 0, 0, 1, 2], [1, 2, 3, 4, 5], [1, 1, 1, 0, 0])
    shared = one_cut_off(moments, np.zeros(5), np.zeros(5))
    assert (shared.rarer, shared.n_leads) == (1, 3)


def test_differences_are_between_the_metrics_of_the_evaluation() -> None:
    shared = shared_moments()
    by_metric = differences(shared, seed=0)
    label, weight = shared.moments.label, shared.moments.weight
    challenger = measure(shared.challenger, label, weight)
    champion = measure(shared.champion, label, weight)
    assert list(by_metric) == list(MODEL_METRICS)
    for metric, difference in by_metric.items():
        assert difference.challenger == challenger[metric]
        assert difference.champion == champion[metric]
        assert difference.value == challenger[metric] - champion[metric]


def test_difference_is_in_its_interval() -> None:
    for metric, difference in differences(shared_moments(), seed=0).items():
        assert difference.low <= difference.value <= difference.high or metric == "ece"


def test_differences_of_equal_log_odds_are_zero() -> None:
    shared = shared_moments()
    by_metric = differences(replace(shared, champion=shared.challenger), seed=0)
    assert {(d.value, d.low, d.high) for d in by_metric.values()} == {(0.0, 0.0, 0.0)}


def test_differences_show_that_noise_is_worse_beyond_chance() -> None:
    by_metric = differences(shared_moments(noise=2), seed=0)
    assert by_metric["log_loss"].high < 0
    assert by_metric["pr_auc"].low > 0


def test_differences_change_sign_when_the_versions_change_places() -> None:
    shared = shared_moments(noise=2)
    by_metric = differences(shared, seed=0)
    swapped = differences(one_cut_off(shared.moments, shared.champion, shared.challenger), seed=0)
    for metric in MODEL_METRICS:
        assert swapped[metric].low == pytest.approx(-by_metric[metric].high)
        assert swapped[metric].high == pytest.approx(-by_metric[metric].low)


def test_paired_intervals_are_narrower_than_those_against_a_constant() -> None:
    shared = shared_moments(noise=0.2)
    paired = differences(shared, seed=0)["log_loss"]
    constant = replace(shared, champion=np.full(len(shared.champion), -1.0))
    unpaired = differences(constant, seed=0)["log_loss"]
    assert paired.high - paired.low < (unpaired.high - unpaired.low) / 3


def test_intervals_depend_on_the_number_of_leads_not_of_moments() -> None:
    once = differences(shared_moments(per_lead=1), seed=0)["log_loss"]
    five_times = differences(shared_moments(per_lead=5), seed=0)["log_loss"]
    assert five_times.high - five_times.low == pytest.approx(once.high - once.low, rel=1e-6)


# -- equal knowledge -----------------------------------------------------------------------


def with_later(stored_until: int = 45) -> StoredMoments:
    """Return stored moments with a test that begins at 40, and a later cut-off."""
    moments = moments_of([0, 1, 2, 3, 4], [10, 20, 30, 40, 50], [0, 1, 0, 1, 0])
    split = Split(moments.take(np.array([0, 1])), moments.take(np.array([3, 4])), 1, "newest")
    later = LaterCutOff(stored_until, moments.take(np.array([2, 4])), np.array([0.7, 0.8]))
    return StoredMoments.of_training(
        "acme", records_of(*NAMES), moments, split, np.array([0.3, 0.4]), later=later
    )


def test_stored_moments_have_the_log_odds_of_the_later_cut_off() -> None:
    stored = with_later()
    np.testing.assert_array_equal(stored.later_margin, [np.nan, np.nan, 0.7, np.nan, 0.8])
    assert stored.later_cutoff.tolist() == [NOT_A_TIME, NOT_A_TIME, 45, NOT_A_TIME, 45]
    read = StoredMoments.from_parquet(stored.to_parquet())
    np.testing.assert_array_equal(read.later_margin, stored.later_margin)
    assert read.later_cutoff.tolist() == stored.later_cutoff.tolist()
    assert stored.learned_to == 50


def test_tables_without_a_later_cut_off_are_read() -> None:
    table = with_later().table().drop(columns=["later_margin", "later_cutoff"])
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    read = StoredMoments.from_parquet(file.getvalue())
    assert np.isnan(read.later_margin).all()
    assert (read.later_cutoff == NOT_A_TIME).all()


def test_held_out_log_odds_contain_those_of_the_later_cut_off() -> None:
    now = moments_of([2, 3, 4, 5], [30, 40, 50, 60], [0, 1, 1, 1])
    now = replace(now, known_at=now.as_of + 20)
    held_out = held_out_log_odds(contender(with_later()), records_of(*NAMES), now, "acme")
    np.testing.assert_array_equal(held_out.log_odds, [np.nan, 0.3, np.nan, 9.0])
    assert held_out.later is not None
    # The label of lead 4 has changed since.
    np.testing.assert_array_equal(held_out.later.log_odds, [0.7, np.nan, np.nan, np.nan])
    assert held_out.later.cutoff.tolist() == [45, NOT_A_TIME, NOT_A_TIME, NOT_A_TIME]
    assert held_out.learned_until == 70
    assert held_out.knows_until.tolist() == [NOT_A_TIME, 40, NOT_A_TIME, 70]


CHAMPION = HeldOut(np.zeros(4), np.array([20, 20, SINCE_TRAINING, SINCE_TRAINING]), 20, 50)
CHALLENGER = HeldOut(np.ones(4), np.full(4, 30), 30, 90)
FOUR = moments_of([0, 1, 2, 3], [31, 32, 51, 52], [0, 1, 1, 0])


def later_at(until: int) -> LaterLogOdds:
    return LaterLogOdds(np.array([2.0, 2.0, 2.0, np.nan]), np.array([until] * 3 + [NOT_A_TIME]))


def test_newer_version_is_not_judged_by_a_model_that_knows_less_than_the_champion() -> None:
    shared = SharedMoments.of(FOUR, CHALLENGER, CHAMPION)
    assert shared.moments.lead.tolist() == [0, 1]
    assert (shared.left_out, shared.with_later) == (2, 0)


def test_newer_version_is_judged_by_its_later_cut_off() -> None:
    shared = SharedMoments.of(FOUR, replace(CHALLENGER, later=later_at(50)), CHAMPION)
    assert shared.moments.lead.tolist() == [0, 1, 2]
    assert shared.challenger.tolist() == [1.0, 1.0, 2.0]
    assert shared.cut_off.tolist() == [0, 0, 1]
    assert (shared.left_out, shared.with_later) == (1, 1)
    known_less = SharedMoments.of(FOUR, replace(CHALLENGER, later=later_at(49)), CHAMPION)
    assert known_less.moments.lead.tolist() == [0, 1]


def test_equal_knowledge_does_not_depend_on_which_version_is_the_challenger() -> None:
    newer = replace(CHALLENGER, later=later_at(50))
    shared = SharedMoments.of(FOUR, CHAMPION, newer)
    assert shared.moments.lead.tolist() == [0, 1, 2]
    assert shared.champion.tolist() == [1.0, 1.0, 2.0]
    assert shared.left_out == 1


def test_versions_of_the_same_records_are_compared_on_all_that_they_held_out() -> None:
    same = replace(CHALLENGER, learned_until=CHAMPION.learned_until)
    assert len(SharedMoments.of(FOUR, same, CHAMPION).moments) == 4


def test_base_rate_is_compared_on_all_that_a_version_held_out() -> None:
    shared = SharedMoments.of(FOUR, CHALLENGER, HeldOut.constant(4, -1.0))
    assert (len(shared.moments), shared.left_out) == (4, 0)


# -- within cut-offs -----------------------------------------------------------------------


def two_cut_offs(shift: float = 4.0) -> SharedMoments:
    """Return shared moments of two cut-offs; both models of the second give `shift` more."""
    shared = shared_moments(noise=2)
    number = np.repeat([0, 1], 200)
    return replace(
        shared,
        moments=replace(shared.moments, as_of=number * 40 * DAY),
        challenger=shared.challenger + shift * number,
        champion=shared.champion + shift * number,
        cut_off=number,
    )


def test_moments_are_grouped_by_the_cut_offs_of_both_versions() -> None:
    moments = moments_of([0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [0, 1, 1, 0, 1])
    challenger = HeldOut(np.arange(5.0), np.array([1, 1, 3, 3, SINCE_TRAINING]), 3)
    champion = HeldOut(np.arange(5.0), np.array([1, 2, 2, 4, 4]), 4)
    shared = SharedMoments.of(moments, challenger, champion)
    assert shared.cut_off.tolist() == [0, 1, 2, 3, 4]
    assert [of_one.moments.lead.tolist() for of_one in shared.by_cut_off] == [
        [0],
        [1],
        [2],
        [3],
        [4],
    ]


def test_the_rarer_outcome_is_counted_within_cut_offs() -> None:
    moments = moments_of([0, 1, 2, 3, 4], [1, 2, 3, 4, 5], [0, 1, 1, 0, 1])
    shared = replace(one_cut_off(moments, np.zeros(5), np.zeros(5)), cut_off=np.arange(5) // 3)
    assert shared.rarer == 2
    assert replace(shared, cut_off=np.arange(5)).rarer == 0


def test_differences_do_not_rank_log_odds_of_two_cut_offs_together() -> None:
    shifted, level = differences(two_cut_offs(), seed=0), differences(two_cut_offs(0.0), seed=0)
    for metric in ("roc_auc", "pr_auc", "lift_at_10"):
        assert shifted[metric].challenger == pytest.approx(level[metric].challenger)
        assert shifted[metric].low == pytest.approx(level[metric].low)
        assert shifted[metric].high == pytest.approx(level[metric].high)


def test_comparison_has_a_row_for_each_cut_off() -> None:
    shared = two_cut_offs()
    facts = Comparison("3", "1", shared, differences(shared, seed=0), ()).to_json()
    assert facts["n_cut_offs"] == 2
    first, second = facts["cut_offs"]
    assert (first["from"], first["to"]) == ("1970-01-01", "1970-01-01")
    assert (second["from"], second["to"]) == ("1970-02-10", "1970-02-10")
    assert (second["n"], second["n_leads"]) == (200, 200)
    label = shared.moments.label[200:]
    assert second["base_rate"] == label.mean()
    assert second["one"] == measure(shared.challenger[200:], label, np.ones(200))
    assert second["other"] == measure(shared.champion[200:], label, np.ones(200))
    json.dumps(facts)


def test_cut_off_with_few_outcomes_has_no_metrics() -> None:
    shared = replace(two_cut_offs(), cut_off=(np.arange(400) >= 395).astype(np.int64))
    few = Comparison("3", "1", shared, {}, ()).to_json()["cut_offs"][1]
    assert (few["n"], few["one"], few["other"]) == (5, None, None)


@pytest.mark.parametrize(
    ("has_differences", "warnings", "verdict"),
    [
        (True, (), "judged"),
        (True, ("Another question.",), "judged"),
        (False, ("Another question.",), "cannot be compared"),
        (False, (), "too few to judge"),
    ],
)
def test_comparison_verdict(has_differences: bool, warnings: tuple[str, ...], verdict: str) -> None:
    shared = shared_moments()
    by_metric = differences(shared, seed=0) if has_differences else {}
    comparison = Comparison("3", "1", shared, by_metric, warnings)
    assert comparison.to_json()["verdict"] == verdict


def test_comparison_to_json_names_the_versions_and_their_metrics() -> None:
    shared = shared_moments(per_lead=2)
    by_metric = differences(shared, seed=0)
    facts = Comparison("3", "1", shared, by_metric, ()).to_json()
    assert (facts["one"], facts["other"]) == ("3", "1")
    assert (facts["n"], facts["n_leads"], facts["n_rarer"]) == (800, 400, shared.rarer)
    assert facts["base_rate"] == pytest.approx(shared.moments.label.mean())
    row = next(row for row in facts["metrics"] if row["metric"] == "log_loss")
    log_loss = by_metric["log_loss"]
    assert (row["one"], row["other"]) == (log_loss.challenger, log_loss.champion)
    assert row["difference"] == log_loss.challenger - log_loss.champion
    assert row["interval"] == [log_loss.low, log_loss.high]
