"""Remedies for drift: adopted where they help at rolling cut-offs, and only with what was known."""

import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from crm.arrays import Floats
from crm.errors import ConfigError
from crm.project import Project
from crm.records import Records
from crm.times import DAY
from features.fitting import fit_pipeline
from features.immature import Delays, ImmatureMoments
from features.moments import Moments, make_moments
from models.evaluation.metrics import log_losses
from models.fitting.logistic import LogisticSettings, sample_of_leads
from models.fitting.settings import BlendSettings
from models.fitting.split import split_newest
from tests.made_trainings import train_on, write_export
from training import procedure, remedies
from training.describe_estimator import early_wins
from training.fit import Chosen, LearningSet
from training.half_life import HalfLife, effective_leads
from training.newest import FEWEST_EARLY_WINS, MOST_SHIFT, NewestMoments
from training.procedure import Procedure
from training.quick import QuickModel
from training.remedies import (
    EARLY_WINS,
    EXPECTED_LABELS,
    Remedies,
    TriedRemedy,
    choose_remedies,
    fit_with_remedies,
)
from training.selection import selection_sets
from training.tracking.files import write_facts

DAYS = 720
UNTIL = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(days=DAYS)
LogOdds = Callable[[Floats, Floats], Floats]  # of the size and of the share of time that is over


def drifting(log_odds: LogOdds, n: int = 2_500, seed: int = 1) -> pd.DataFrame:
    """Return leads of two years, closed after weeks; what is closed later is still open."""
    rng = np.random.default_rng(seed)
    over = np.sort(rng.random(n))
    created = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(DAYS * over, unit="D")
    size = rng.normal(size=n).round(2)
    won = rng.random(n) < expit(log_odds(size, over))
    closed = created + pd.to_timedelta(np.where(won, rng.exponential(25, n), 40) + 1, unit="D")
    is_closed = closed <= UNTIL
    return pd.DataFrame(
        {
            "size": size,
            "colour": rng.choice(["red", "green"], n),
            "created_at": created.astype(str),
            "outcome": np.where(is_closed, np.where(won, "yes", "no"), ""),
            "closed_at": np.where(is_closed, closed.astype(str), ""),
        }
    )


def steady(size: Floats, over: Floats) -> Floats:
    return -1 + 0.8 * size


def turning(size: Floats, over: Floats) -> Floats:
    """Return log-odds in which the effect of the size turns over time."""
    return -1 + 1.5 * np.cos(np.pi * over) * size


def rising(size: Floats, over: Floats) -> Floats:
    return -3 + 0.8 * size + 3 * over


def made(folder: Path, log_odds: LogOdds, **learn: Any) -> tuple[Project, Records, Moments]:
    """Write an export; return its project, records and moments."""
    keys = {"horizon_days": 90, "observed_until": str(UNTIL)} | learn
    project, records = write_export(folder, drifting(log_odds), keys)
    return project, records, make_moments(records, project.learn)


def test_without_drift_no_remedy_is_adopted(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, steady)
    chosen = choose_remedies(records, moments, project, {})
    assert (chosen.half_life, chosen.for_newest) == (None, "")
    assert [remedy.name for remedy in chosen.tried[-2:]] == [EXPECTED_LABELS, EARLY_WINS]
    assert all(len(remedy.by_cut_off) == 3 for remedy in chosen.tried)


def test_shorter_half_lives_are_tried_while_the_log_loss_falls(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, steady)
    *earlier, last = choose_remedies(records, moments, project, {}).tried[:-2]
    assert all(remedy.change < 0 for remedy in earlier)
    assert last.change >= 0
    assert len(earlier) < 2


def test_half_life_is_adopted_where_relations_change(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, turning)
    chosen = choose_remedies(records, moments, project, {})
    assert chosen.half_life is not None
    assert chosen.half_life.in_days
    helping = [remedy for remedy in chosen.tried if remedy.helps]
    best = min(helping[:-1] or helping, key=lambda remedy: remedy.change)
    assert best.change < -0.005


@pytest.mark.parametrize("log_odds", [turning, rising])
def test_remedies_lower_the_log_loss_of_the_newest_leads(tmp_path: Path, log_odds: LogOdds) -> None:
    losses = {}
    for is_on in (True, False):
        project, records, moments = made(tmp_path / str(is_on), log_odds, remedies=is_on)
        split = split_newest(records, moments, 0.2, 0)
        learned = Procedure(project, records, {}).learn(split.train)
        fitted, test = learned.fitted, split.test
        margin = fitted.log_odds_of(fitted.pipeline.transform(records, test.lead, test.as_of))
        losses[is_on] = log_losses(margin, test.label).mean()
        assert bool(learned.remedies.tried) is is_on
    assert losses[True] < losses[False] - 0.03


def test_order_without_times_has_half_lives_in_leads(tmp_path: Path) -> None:
    leads = drifting(turning).drop(columns=["created_at", "closed_at"])
    project, records = write_export(tmp_path, leads[leads["outcome"] != ""])
    moments = make_moments(records, project.learn)
    chosen = choose_remedies(records, moments, project, {})
    assert chosen.half_life is not None
    assert str(chosen.half_life).endswith(" leads")
    assert all(remedy.name.startswith("half-life of") for remedy in chosen.tried)


def test_short_period_tries_no_half_life_twice(tmp_path: Path) -> None:
    leads = drifting(steady, n=800)
    begin, until = UNTIL - pd.Timedelta(days=DAYS), UNTIL - pd.Timedelta(days=DAYS - 5)
    for column in ("created_at", "closed_at"):  # two years become three days
        times = pd.to_datetime(leads[column], format="ISO8601")
        leads[column] = begin + (times - begin) / (DAYS / 3)
    keys = {"horizon_days": 0.4, "observed_until": str(until)}
    project, records = write_export(tmp_path, leads, keys)
    chosen = choose_remedies(records, make_moments(records, project.learn), project, {})
    half_lives = [tried.name for tried in chosen.tried if tried.name.startswith("half-life")]
    assert half_lives == ["half-life of 1 day"]


def test_remedies_are_tried_at_two_cut_offs_or_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, records, moments = made(tmp_path, steady)
    trials = remedies._trials(records, moments, project, {})
    monkeypatch.setattr(remedies, "_trials", lambda *_: trials[:2])
    chosen = choose_remedies(records, moments, project, {})
    assert {len(remedy.by_cut_off) for remedy in chosen.tried} == {2}
    monkeypatch.setattr(remedies, "_trials", lambda *_: trials[:1])
    assert choose_remedies(records, moments, project, {}) == Remedies()


def test_leads_without_order_have_no_remedies(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, turning)
    assert choose_remedies(replace(records, in_order=False), moments, project, {}).tried == ()


def test_declared_half_life_is_kept(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, turning, half_life_days=33)
    chosen = choose_remedies(records, moments, project, {})
    assert chosen.half_life == HalfLife(33.0, in_days=True)
    assert [remedy.name for remedy in chosen.tried] == [EXPECTED_LABELS, EARLY_WINS]


def test_declared_half_life_without_times_is_refused(tmp_path: Path) -> None:
    leads = drifting(steady).drop(columns=["created_at", "closed_at"])
    project, records = write_export(tmp_path, leads, {"half_life_days": 30})
    with pytest.raises(ConfigError, match="half_life_days needs the creation time of each lead"):
        choose_remedies(records, make_moments(records, project.learn), project, {})


def test_declared_half_life_that_leaves_too_few_leads_is_refused(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, steady, half_life_days=0.0001)
    with pytest.raises(ConfigError, match=r"half_life_days = 0.0001 is too short: only 1 of"):
        choose_remedies(records, moments, project, {})


def test_effective_leads_are_those_of_kish(tmp_path: Path) -> None:
    _, _, moments = made(tmp_path, steady, moments_days=[0, 7])
    n_leads = len(np.unique(moments.lead))
    assert effective_leads(moments, None) == pytest.approx(n_leads)
    assert effective_leads(moments, HalfLife(1e9, in_days=True)) == pytest.approx(n_leads)
    # Of leads that are spread evenly, 2 / ln 2 half-lives are left.
    expected = 30 * 2 / np.log(2) * n_leads / np.ptp(moments.as_of / DAY)
    assert effective_leads(moments, HalfLife(30.0, in_days=True)) == pytest.approx(
        expected, rel=0.1
    )


def test_card_warns_of_a_half_life_with_which_hardly_any_lead_counts(tmp_path: Path) -> None:
    keys = {"horizon_days": 90, "observed_until": str(UNTIL), "remedies": False}
    notes, effective = {}, {}
    for days in (5, 120):
        leads = drifting(steady, n=900)
        card = train_on(tmp_path / str(days), leads, keys | {"half_life_days": days}).scorer.card
        notes[days] = [note for note in card.notes if "half_life_days" in note]
        effective[days] = card.estimator["effective_leads"]
    assert effective[5] < 30 < 200 < effective[120]
    (note,) = notes[5]
    assert note.startswith("[learn] half_life_days = 5 is very short: most of the")
    assert f"as if it had only {effective[5]:.0f} (Kish's effective sample size)" in note
    assert notes[120] == []


def test_nothing_after_the_moments_is_read(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, rising)
    split = split_newest(records, moments, 0.2, 0)
    at = split.train.known_at.max()
    begun = pd.Timestamp(at, unit="us", tz="UTC")
    is_known = records.outcomes["closed_at"] <= begun
    # All later outcomes become the opposite ones.
    opposite = records.outcomes["outcome"].map({"won": "lost", "lost": "won"})
    changed = records.outcomes.assign(outcome=records.outcomes["outcome"].where(is_known, opposite))
    as_they_are, with_changes = (
        fitted_with(replace(records, outcomes=outcomes), split.train, project)
        for outcomes in (records.outcomes, changed)
    )
    assert as_they_are == with_changes


def fitted_with(records: Records, train: Moments, project: Project) -> tuple[Any, list[float]]:
    """Choose remedies and fit with expected labels; return the remedies and some log-odds."""
    chosen = choose_remedies(records, train, project, {})
    learned = Procedure(project, records, {}).learn(train)
    features = learned.fitted.pipeline.transform(records, train.lead[:50], train.as_of[:50])
    return chosen, learned.fitted.log_odds_of(features).tolist()


# -- the rule --------------------------------------------------------------------------------


def tried(changes: list[float], noise: float = 0.01, n: int = 400) -> TriedRemedy:
    """Compare losses that change by these means at the cut-offs."""

    class FakeTrial:
        test = Moments(
            np.arange(n), np.arange(n), np.zeros(n, dtype=np.int8), np.arange(n), np.ones(n), {}
        )

    plain = [np.ones(n)] * len(changes)
    alternating = np.tile([noise, -noise], n // 2)
    losses = [np.ones(n) + change + alternating for change in changes]
    trials: Any = [FakeTrial()] * len(changes)
    return remedies._compare("made", trials, losses, plain)


def test_remedy_helps_if_it_is_better_beyond_chance_and_half_a_percent() -> None:
    assert tried([-0.01, -0.01]).helps
    assert not tried([-0.004, -0.004], noise=0.0).helps
    assert not tried([-0.01, -0.01], noise=0.3).helps
    assert not tried([0.01, 0.01]).helps


def test_remedy_does_not_help_if_it_is_clearly_worse_at_one_cut_off() -> None:
    assert tried([-0.03, 0.004]).helps
    assert not tried([-0.03, 0.006]).helps


def test_best_remedy_has_the_largest_certain_gain() -> None:
    bold = TriedRemedy("bold", -0.02, 0.008, (), helps=True)
    steady = TriedRemedy("steady", -0.015, 0.002, (), helps=True)
    useless = TriedRemedy("useless", -0.02, 0.0, (), helps=False)
    assert remedies._best([useless, bold, steady]) == 2
    assert remedies._best([useless]) is None


def confirm(newest: Mapping[str, float | None], *helping: bool) -> tuple[Any, list[TriedRemedy]]:
    """Choose from half-lives of 10 and 20 days, whose log loss on the newest leads is given."""
    options = [HalfLife(days, in_days=True) for days in (10.0, 20.0)]
    was_tried = [
        TriedRemedy(str(option), change, 0.0, (), helps=helps)
        for option, change, helps in zip(options, (-0.03, -0.02), helping, strict=True)
    ]
    chosen = remedies._confirmed(was_tried, options, lambda option: newest[str(option)])
    return chosen, was_tried


def test_half_life_must_help_the_whole_model_on_its_newest_leads() -> None:
    newest = {"None": 0.5, "10 days": 0.51, "20 days": 0.49}
    chosen, was_tried = confirm(newest, True, True)
    assert str(chosen) == "20 days"
    assert [remedy.helps for remedy in was_tried] == [False, True]
    assert [remedy.on_newest for remedy in was_tried] == pytest.approx([0.01, -0.01])
    chosen, was_tried = confirm(newest, True, False)
    assert chosen is None
    assert [remedy.helps for remedy in was_tried] == [False, False]
    assert was_tried[1].on_newest is None
    assert confirm({**newest, "10 days": 0.5, "20 days": 0.6}, True, True)[0] is None


@pytest.mark.parametrize("missing", ["None", "10 days"])
def test_half_life_is_kept_if_the_newest_leads_cannot_tell(missing: str) -> None:
    newest = {"None": 0.5, "10 days": 0.51, missing: None}
    chosen, was_tried = confirm(newest, True, True)
    assert str(chosen) == "10 days"
    assert was_tried[0].helps
    assert was_tried[0].on_newest is None


def regimes(n: int = 2_000) -> pd.DataFrame:
    """Return leads of one region, then of two, then of the other one.

    The effect of the size is opposite in the regions, and each region has a share of wins that
    rises, so that a small model without interactions is better if it forgets. Trees tell the
    regions apart.
    """
    rng = np.random.default_rng(0)
    over = np.arange(n) / n
    size, region = rng.normal(size=n).round(2), rng.random(n) < np.clip(2 * over - 0.5, 0.05, 0.95)
    log_odds = np.where(region, 3.0, -3.0) * size + np.where(region, 1.0, -1.0)
    won = rng.random(n) < expit(log_odds)
    return pd.DataFrame(
        {
            "size": size,
            "region": np.where(region, "north", "south"),
            "outcome": np.where(won, "yes", "no"),
        }
    )


def test_procedure_compares_half_lives_on_the_newest_leads(tmp_path: Path) -> None:
    project, records = write_export(tmp_path, regimes())
    moments = make_moments(records, project.learn)
    by_quick_models = choose_remedies(records, moments, project, {})
    assert by_quick_models.half_life is not None
    learned = Procedure(project, records, {}).learn(moments)
    compared = [remedy for remedy in learned.remedies.tried if remedy.on_newest is not None]
    assert compared
    for remedy in compared:
        assert remedy.on_newest is not None
        assert remedy.helps == (remedy.on_newest < 0)
    # The figure is that of the settings that are chosen with the half-life, and without.
    newest = {}
    for half_life in (None, by_quick_models.half_life):
        sets = selection_sets(records, moments, project, {}, half_life)
        part = Chosen.on(sets.older, sets.newer, project).newest
        assert part is not None
        newest[half_life] = part.evaluation.values["log_loss"]
    (first,) = [r for r in compared if r.name == f"half-life of {by_quick_models.half_life}"]
    assert first.on_newest == newest[by_quick_models.half_life] - newest[None]
    kept = learned.fitted.newest
    assert kept is not None
    assert kept.evaluation.values["log_loss"] == newest[learned.remedies.half_life]


def test_rows_of_earlier_choices_are_freed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, records = write_export(tmp_path, regimes())
    moments = make_moments(records, project.learn)
    matrices: list[weakref.ref[Floats]] = []

    def alive() -> int:
        return sum(matrix() is not None for matrix in matrices)

    def sets(*arguments: Any) -> Any:
        assert alive() == 0
        found = selection_sets(*arguments)
        matrices.append(weakref.ref(found.older.features))
        return found

    def fit(*arguments: Any, **named: Any) -> Any:
        assert alive() == 0
        return remedies.fit_with_remedies(*arguments, **named)

    monkeypatch.setattr(procedure, "selection_sets", sets)
    monkeypatch.setattr(procedure, "fit_with_remedies", fit)
    Procedure(project, records, {}).learn(moments)
    assert len(matrices) > 1  # with a half-life, and without


def test_moments_of_a_lead_count_as_one_observation() -> None:
    change, lead = np.repeat([0.0, 1.0], 50), np.repeat(np.arange(10), 10)
    mean, error = remedies._mean(change, lead, np.ones(100))
    assert mean == 0.5
    assert error == pytest.approx(0.5 / np.sqrt(10))


# -- the model of a trial --------------------------------------------------------------------


def test_quick_model_does_not_follow_noise(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, steady)
    learning_set, _ = newest_of(project, records, moments)
    model = QuickModel.fit(learning_set, moments.weight, project)
    size = records.leads["size"].to_numpy(np.float64)[moments.lead]
    truth = steady(size, np.zeros(len(size)))
    errors = model.log_odds_of(learning_set.matrix) - truth
    assert np.sqrt((errors**2).mean()) < 0.3


def test_quick_model_uses_a_sample_of_many_moments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.quick.MOST_ROWS", 500)
    project, records, moments = made(tmp_path, steady)
    learning_set, _ = newest_of(project, records, moments)
    drawn = sample_of_leads(moments.lead, 500, project.learn.seed)
    weight = np.full(len(moments), 7.0)  # of the moments that are not drawn
    weight[drawn] = 1.0
    as_drawn, alike = (QuickModel.fit(learning_set, of, project) for of in (weight, weight * 0 + 1))
    features = learning_set.matrix[:50]
    assert as_drawn.log_odds_of(features).tolist() == alike.log_odds_of(features).tolist()


def test_trial_without_a_remedy_uses_no_newest_moments(tmp_path: Path) -> None:
    project, records, moments = made(tmp_path, steady)
    trial = remedies._trials(records, moments, project, {})[0]
    trial = replace(trial, test=replace(trial.test, weight=np.full(len(trial.test), 3.0)))
    model = QuickModel.fit(trial.learning_set, trial.learning_set.moments.weight, project)
    losses = log_losses(model.log_odds_of(trial.features), trial.test.label)
    plain = trial.losses(None)
    assert plain == pytest.approx(losses * 3)
    for name in (EXPECTED_LABELS, EARLY_WINS):
        assert not np.allclose(trial.losses(None, name), plain, atol=1e-3)


def test_trial_on_half_of_the_moments_uses_half_of_the_newest_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, records, moments = made(tmp_path, steady)
    n_newest = []
    for most_rows in (len(moments), len(moments) // 2):
        monkeypatch.setattr(remedies, "MOST_ROWS", most_rows)
        newest = remedies._trials(records, moments, project, {})[0].newest
        assert newest is not None
        n_newest.append(len(newest.moments))
    assert n_newest[1] == pytest.approx(n_newest[0] / 2, rel=0.2)


# -- the newest moments ----------------------------------------------------------------------


def newest_of(
    project: Project, records: Records, moments: Moments, share: float = 1.0
) -> tuple[LearningSet, NewestMoments]:
    pipeline = fit_pipeline(records, moments, project)
    learning_set = LearningSet.of(pipeline, records, moments, project)
    newest = NewestMoments.of(records, learning_set, project, share)
    assert newest is not None
    return learning_set, newest


def test_expected_labels_have_the_weight_of_one_moment_each(tmp_path: Path) -> None:
    learning_set, newest = newest_of(*made(tmp_path, steady))
    n, added = len(learning_set.moments), len(newest.moments)
    extended = newest.with_expected_labels(learning_set, np.zeros(added))
    assert len(extended.moments) == len(extended.matrix)
    assert extended.moments.weight[n:].sum() == pytest.approx(added)
    assert (np.diff(extended.moments.as_of) >= 0).all()
    is_won = newest.moments.won == 1
    of_won = np.isin(extended.moments.lead, newest.moments.lead[is_won])
    assert (extended.moments.label[of_won] == 1).all()
    assert of_won.sum() == is_won.sum()


def test_sample_gets_as_large_a_share_of_the_newest_leads(tmp_path: Path) -> None:
    all_of_them = newest_of(*made(tmp_path, steady))[1]
    half = newest_of(*made(tmp_path, steady), share=0.5)[1]
    assert len(half.moments) == pytest.approx(len(all_of_them.moments) / 2, abs=1)


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.0])
def test_early_wins_tell_the_shift_of_the_log_odds(tmp_path: Path, shift: float) -> None:
    """The chances of the newest leads, made 90 days before the end, differ from those before."""

    def log_odds(size: Floats, over: Floats) -> Floats:
        return -1 + 0.8 * size + shift * (over > 1 - 90 / DAYS)

    keys = {"horizon_days": 90, "observed_until": str(UNTIL)}
    project, records = write_export(tmp_path, drifting(log_odds, n=12_000), keys)
    learning_set, newest = newest_of(project, records, make_moments(records, project.learn))
    model = QuickModel.fit(learning_set, learning_set.moments.weight, project)
    assert newest.shift(model.log_odds_of(newest.features)) == pytest.approx(shift, abs=0.25)


def immature_at_ages(n_leads: int, n_ages: int) -> NewestMoments:
    """Return open and closed leads, each at some moments of nearly the same age."""
    lead = np.repeat(np.arange(n_leads), n_ages)
    ended = np.tile([1.0, 0.0, 1.0, np.nan], n_leads // 4)
    moments = ImmatureMoments(
        lead, np.zeros(len(lead), np.int64), np.full(len(lead), 5), ended[lead]
    )
    return NewestMoments(moments, np.empty((len(lead), 0)), Delays(np.arange(10), np.arange(10)))


def test_a_lead_counts_once_in_the_shift_however_many_moments_it_has() -> None:
    once, four_times = (immature_at_ages(12, n_ages) for n_ages in (1, 4))
    shift = once.shift(np.full(12, -1.0))
    assert 0.5 < shift < 2.5
    assert four_times.shift(np.full(48, -1.0)) == pytest.approx(shift, abs=1e-3)


def test_lead_with_more_moments_does_not_count_more_in_the_shift() -> None:
    """A won lead at four ages and a lost one at one age leave log-odds of 0 as they are."""
    lead = np.array([0, 0, 0, 0, 1])
    moments = ImmatureMoments(
        lead, np.zeros(5, np.int64), np.full(5, 5), np.array([1.0, 1, 1, 1, 0])
    )
    newest = NewestMoments(moments, np.empty((5, 0)), Delays(np.arange(10), np.arange(10)))
    assert newest.shift(np.zeros(5)) == pytest.approx(0.0, abs=1e-3)


def test_early_wins_are_counted_in_leads(tmp_path: Path) -> None:
    """Nine leads that are won at several ages are too few, however many moments they have."""
    project, records, moments = made(tmp_path, steady, moments_days=[0, 1, 2])
    learning_set, newest = newest_of(project, records, moments)
    won = np.unique(newest.moments.lead[newest.moments.won == 1])
    few, lead_id = won[FEWEST_EARLY_WINS - 1 :], records.leads["lead_id"]
    assert (np.isin(newest.moments.lead, won) & ~np.isin(newest.moments.lead, few)).sum() > 10
    is_left = ~records.outcomes["lead_id"].isin(lead_id.iloc[few])
    records = replace(records, outcomes=records.outcomes[is_left])
    assert NewestMoments.of(records, learning_set, project) is None


def newest_at(days: float, won: list[float]) -> NewestMoments:
    """Return immature moments of this age; wins take 1 or 3 days, losses 1 or 4."""
    n = len(won)
    age = np.full(n, int(days * DAY))
    moments = ImmatureMoments(np.arange(n), -age, age, np.array(won))
    delays = Delays(of_wins=DAY * np.array([1, 3]), of_losses=DAY * np.array([1, 4, 4, 4]))
    return NewestMoments(moments, np.zeros((n, 1)), delays)


def test_shift_is_the_most_likely_one() -> None:
    won = [1.0] * 7 + [0.0] * 2 + [np.nan] * 6
    shifts = np.linspace(-3, 3, 6_001)
    p = expit(shifts - 0.5)
    still_open = p * (1 - 1 / 2) + (1 - p) * (1 - 1 / 4)
    likelihood = np.exp(-(shifts**2) / 2) * p**7 * (1 - p) ** 2 * still_open**6
    found = newest_at(2, won).shift(np.full(15, -0.5))
    assert found == pytest.approx(shifts[likelihood.argmax()], abs=0.002)


def test_leads_still_open_after_all_delays_tell_nothing_of_the_shift() -> None:
    assert newest_at(5, [np.nan] * 50).shift(np.zeros(50)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("won", [0.0, 1.0])
def test_shift_has_a_limit(won: float) -> None:
    limit = MOST_SHIFT if won else -MOST_SHIFT
    log_odds = np.full(99, -3 * limit)
    assert newest_at(1, [won] * 99).shift(log_odds) == pytest.approx(limit, abs=1e-3)


def test_few_early_wins_or_delays_tell_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, records, moments = made(tmp_path, steady)
    learning_set, newest = newest_of(project, records, moments)
    n = int((newest.moments.won == 1).sum())
    monkeypatch.setattr("training.newest.FEWEST_EARLY_WINS", n)
    assert NewestMoments.of(records, learning_set, project) is not None
    monkeypatch.setattr("training.newest.FEWEST_EARLY_WINS", n + 1)
    assert NewestMoments.of(records, learning_set, project) is None
    monkeypatch.setattr("training.newest.FEWEST_EARLY_WINS", n)
    monkeypatch.setattr("features.immature.FEWEST_DELAYS", len(newest.delays.of_losses) + 1)
    assert NewestMoments.of(records, learning_set, project) is None


def test_records_without_times_have_no_newest_moments(tmp_path: Path) -> None:
    leads = drifting(steady).drop(columns=["created_at", "closed_at"])
    project, records = write_export(tmp_path, leads)
    moments = make_moments(records, project.learn)
    pipeline = fit_pipeline(records, moments, project)
    learning_set = LearningSet.of(pipeline, records, moments, project)
    assert NewestMoments.of(records, learning_set, project) is None


@pytest.mark.parametrize("for_newest", [EXPECTED_LABELS, EARLY_WINS, ""])
def test_fit_names_the_immature_moments_that_it_learned_from(
    tmp_path: Path, for_newest: str
) -> None:
    project, records, moments = made(tmp_path, steady)
    learning_set, newest = newest_of(project, records, moments)
    settings = BlendSettings(0.5, LogisticSettings(), 10, "made", ())
    fitted = fit_with_remedies(
        learning_set, records, project, Remedies(None, for_newest), settings_from=settings
    )
    if not for_newest:
        assert fitted.immature is None
        return
    assert fitted.immature is not None
    np.testing.assert_array_equal(fitted.immature.lead, newest.moments.lead)


def test_training_stores_the_immature_moments_that_it_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procedure, "choose_remedies", lambda *_, **__: Remedies(None, EARLY_WINS))
    leads = drifting(steady, n=900)
    keys = {"horizon_days": 90, "observed_until": str(UNTIL)}
    trained = train_on(tmp_path / "crm", leads, keys)
    project, records = write_export(tmp_path / "crm", leads, keys)
    (tmp_path / "run").mkdir()
    stored = write_facts(tmp_path / "run", project, records, trained)
    created = pd.to_datetime(leads["created_at"], format="ISO8601")
    is_newest = created > UNTIL - pd.Timedelta(days=90)
    assert (stored.role == "immature").sum() == pytest.approx(is_newest.sum(), abs=2)


# -- what the card says ----------------------------------------------------------------------


def test_card_tells_what_was_tried_and_what_the_model_uses(tmp_path: Path) -> None:
    keys = {"horizon_days": 90, "observed_until": str(UNTIL)}
    trained = train_on(tmp_path, drifting(turning), keys)
    estimator = trained.scorer.card.estimator
    assert len(estimator["remedies_tried"]) == 5
    assert estimator["half_life"].endswith(" days")
    assert "half_life" in estimator["judged"]


def test_card_warns_of_early_wins_that_the_model_does_not_expect(tmp_path: Path) -> None:
    def log_odds(size: Floats, over: Floats) -> Floats:
        return -1 + 0.8 * size + 2 * (over > 1 - 90 / DAYS)

    keys = {"horizon_days": 90, "observed_until": str(UNTIL)}
    trained = train_on(tmp_path, drifting(log_odds), keys)
    assert trained.scorer.card.estimator["early_shift"] > 1
    (note,) = [note for note in trained.scorer.card.notes if "early wins" in note]
    assert "have more early wins than leads like them had before" in note
    assert "because it did not help earlier" in note


@pytest.mark.parametrize(
    ("for_newest", "names", "words"),
    [
        ("", [EARLY_WINS], "do not take this into account, because it did not help earlier. Train"),
        ("", ["half-life of 80 days"], "The scores do not take this into account. Train"),
        ("", [], "The scores do not take this into account. Train"),
        (EARLY_WINS, [EARLY_WINS], "The scores take this into account. Train"),
        (EXPECTED_LABELS, [EXPECTED_LABELS], "but its scores do not contain this change. Train"),
    ],
)
def test_card_tells_whether_the_scores_contain_the_change_of_early_wins(
    for_newest: str, names: list[str], words: str
) -> None:
    was_tried = tuple(TriedRemedy(name, 0.0, 0.0, (), helps=False) for name in names)
    findings: Any = SimpleNamespace(
        final=SimpleNamespace(early_shift=-0.7, for_newest=for_newest),
        remedies=Remedies(None, for_newest, was_tried),
    )
    (note,) = early_wins(findings)
    assert "the odds of a win seem to have fallen by a factor of 2.0" in note
    assert words in note
