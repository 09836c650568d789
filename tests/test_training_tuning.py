"""Tuning: at least the defaults, within its time, and the best of the trials."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from crm.project import TreesKeys
from models.fitting.blend import BlendClassifier
from models.fitting.examples import Examples
from models.fitting.logistic import LogisticSettings
from models.fitting.settings import BlendSettings
from models.fitting.trees import TREE_PARAMETERS
from training import tuning
from training.tuning import Trial, best_of, tune

RANGES = {
    "learning_rate": (0.02, 0.15),
    "num_leaves": (4, 48),
    "min_data_in_leaf": (5, 100),
    "feature_fraction": (0.2, 1.0),
    "bagging_fraction": (0.5, 1.0),
    "lambda_l2": (0.1, 50.0),
    "cat_smooth": (1.0, 100.0),
    "max_cat_to_onehot": (4, 32),
    "extra_trees": (False, True),
}


Parameters = dict[str, Any]
LossOf = Callable[[Parameters], float]
FakeLosses = Callable[[LossOf], list[tuple[Parameters, int]]]


def draw(n: int, seed: int = 0, directions: tuple[int, ...] = ()) -> Examples:
    """Return examples with two numbers and a category, which the outcome depends on."""
    generator = np.random.default_rng(seed)
    number = generator.normal(size=(n, 2))
    code = generator.integers(2, 6, n).astype(np.float64)
    chance = expit(number[:, 0] + 0.8 * (code == 3) - 0.7)
    label = (generator.random(n) < chance).astype(np.int8)
    features = np.column_stack([number, code])
    lead = np.arange(n) + 10_000 * seed
    return Examples(features, label, np.ones(n), lead, (2,), directions)


class Clock:
    """A clock that advances whenever it is read, so no test waits."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def fake_losses(monkeypatch: pytest.MonkeyPatch) -> FakeLosses:
    """Return a function that replaces the boosters of a fold by a loss for the parameters.

    It returns a list that collects the parameters and the seed of each fold.
    """

    def set_up(loss_of: LossOf) -> list[tuple[Parameters, int]]:
        folds: list[tuple[Parameters, int]] = []

        def fold(older: Any, newer: Any, held_out: Any, parameters: Any, seed: int) -> Any:
            folds.append((dict(parameters), seed))
            return loss_of(parameters), np.zeros(len(newer.label))

        monkeypatch.setattr(tuning, "_fold", fold)
        return folds

    return set_up


def search(
    monkeypatch: pytest.MonkeyPatch, n_trials: float, seed: int = 0, **options: Any
) -> tuple[Any, tuple[Trial, ...]]:
    """Search for the time that about this number of whole trials takes."""
    clock = Clock(1.0)
    # Only this module reads the fake clock: threads of other packages would advance it.
    monkeypatch.setattr(tuning, "time", SimpleNamespace(monotonic=clock.monotonic))
    # A trial reads the clock when it begins, before each of 5 folds, and when it ends.
    return tune(draw(200), draw(60, 1), minutes=n_trials * 8 / 60, seed=seed, **options)


def log_loss_of(trial: Trial) -> float:
    """Return the log loss of a complete trial."""
    assert trial.log_loss is not None
    return trial.log_loss


# -- at least the defaults -------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [0.0, 1e-9, -1.0])
def test_no_time_tries_only_the_defaults(minutes: float) -> None:
    parameters, trials = tune(draw(200), draw(60, 1), minutes=minutes, seed=0)
    assert parameters == {}
    (trial,) = trials
    assert (trial.number, trial.parameters, trial.state) == (0, {}, "complete")
    assert 0.3 < log_loss_of(trial) < 0.8
    assert trial.seconds > 0


def test_defaults_are_evaluated_like_the_final_fit() -> None:
    older, newer = draw(300), draw(100, 1)
    _, (trial,) = tune(older, newer, minutes=0, seed=3)
    settings = BlendSettings(0.0, LogisticSettings(), None, "", ())
    model = BlendClassifier([2], seed=3, settings=settings)
    model.fit(older.features, older.label, older.weight, lead=older.lead)
    older_loss = -np.mean(np.log(expit(np.where(older.label, 1, -1) * model.out_of_fold_)))
    margin = model.decision_function(newer.features)
    newer_loss = -np.mean(np.log(expit(np.where(newer.label, 1, -1) * margin)))
    assert trial.log_loss == pytest.approx((older_loss + newer_loss) / 2, abs=1e-6)


def test_search_ends_when_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters, trials = search(monkeypatch, 3.5)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert 3 <= len(trials) <= 6
    assert parameters == best_of(trials).parameters
    assert log_loss_of(best_of(trials)) <= log_loss_of(trials[0])


def test_trial_beyond_the_time_limit_is_dropped(
    monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses
) -> None:
    fake_losses(lambda parameters: 0.5)
    _, trials = search(monkeypatch, 3.5)
    assert trials[-1].state == "pruned"
    assert trials[-1].log_loss is None
    assert trials[0].state == "complete"
    assert len(trials) >= 3


# -- the best of what was tried --------------------------------------------------------------


def test_search_returns_the_best_parameters(
    monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses
) -> None:
    fake_losses(lambda parameters: 0.3 + abs(parameters.get("feature_fraction", 0.9) - 0.5))
    parameters, trials = search(monkeypatch, 40)
    complete = [trial for trial in trials if trial.state == "complete"]
    best = min(complete, key=log_loss_of)
    assert parameters == best.parameters
    assert best.number > 0
    assert abs(parameters["feature_fraction"] - 0.5) < 0.2


def test_defaults_are_kept_if_no_trial_is_better(
    monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses
) -> None:
    fake_losses(lambda parameters: 0.5 if parameters else 0.4)
    parameters, trials = search(monkeypatch, 12)
    assert parameters == {}
    assert len(trials) > 5


def test_search_starts_with_the_settings_of_the_project_file(fake_losses: FakeLosses) -> None:
    folds = fake_losses(lambda parameters: 0.5)
    start = {"num_leaves": 5}
    parameters, (trial,) = tune(draw(200), draw(60, 1), minutes=0, seed=0, start=start)
    assert parameters == trial.parameters == start
    assert [used for used, _ in folds] == [start] * 5


def test_hopeless_trial_is_pruned(monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses) -> None:
    folds = fake_losses(lambda parameters: 5.0 if parameters.get("extra_trees") else 0.4)
    _, trials = search(monkeypatch, 40)
    hopeless = [trial for trial in trials[8:] if trial.parameters["extra_trees"]]
    pruned = [trial for trial in hopeless if trial.state == "pruned"]
    assert len(pruned) >= 1
    assert len(folds) < 5 * len(trials)
    assert all(trial.log_loss is None for trial in pruned)


def test_ties_go_to_the_first_trial() -> None:
    trials = [
        Trial(0, {}, 0.5, "complete", 1.0),
        Trial(1, {"num_leaves": 5}, None, "pruned", 1.0),
        Trial(2, {"num_leaves": 6}, 0.4, "complete", 1.0),
        Trial(3, {"num_leaves": 7}, 0.4, "complete", 1.0),
    ]
    assert best_of(trials).number == 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_trial_has_valid_parameters(
    monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses, seed: int
) -> None:
    fake_losses(lambda parameters: 0.5 + 0.01 * parameters.get("num_leaves", 12))
    _, trials = search(monkeypatch, 30, seed=seed)
    assert len(trials) > 20
    assert trials[0].parameters == {}
    for trial in trials[1:]:
        assert trial.parameters.keys() == RANGES.keys()
        for name, (low, high) in RANGES.items():
            assert low <= trial.parameters[name] <= high, name
        assert trial.state in ("complete", "pruned")
        assert (trial.log_loss is None) == (trial.state == "pruned")
    assert RANGES.keys() <= TREE_PARAMETERS.keys()
    assert RANGES.keys() == {*TreesKeys.__struct_fields__}


def test_same_seed_tries_the_same_parameters(
    monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses
) -> None:
    fake_losses(lambda parameters: 0.5 + 0.01 * parameters.get("num_leaves", 12))
    parameters = [
        [trial.parameters for trial in search(monkeypatch, 20, seed=seed)[1]] for seed in (7, 7, 8)
    ]
    assert parameters[0] == parameters[1]
    assert parameters[0] != parameters[2]


def test_lightgbm_accepts_every_trial() -> None:
    older, newer = draw(200), draw(60, 1)
    lowest, highest = ({name: bounds[end] for name, bounds in RANGES.items()} for end in (0, 1))
    for parameters in (lowest, highest):
        loss, margin = tuning._fold(older, newer, older.lead % 5 == 0, parameters, 0)
        assert np.isfinite(loss)
        assert np.isfinite(margin).all()
        assert margin.shape == newer.label.shape


def test_directions_hold_during_tuning() -> None:
    older = draw(400, directions=(-1, 0, 0))  # in truth the first column raises the odds
    newer = draw(41, 1, directions=(-1, 0, 0))
    newer.features[:] = [0.0, 0.0, 2.0]
    newer.features[:, 0] = np.linspace(-3, 3, 41)
    _, margin = tuning._fold(older, newer, older.lead % 5 == 0, {}, 0)
    assert (np.diff(margin) <= 1e-12).all()


def test_each_fold_has_its_own_seed(
    monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses
) -> None:
    folds = fake_losses(lambda parameters: 0.5)
    search(monkeypatch, 0, seed=20)
    assert folds == [({}, 20 + fold) for fold in range(5)]


# -- progress --------------------------------------------------------------------------------


def test_progress_reports_every_trial(
    monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses
) -> None:
    fake_losses(lambda parameters: 0.5)
    calls: list[tuple[Trial, float]] = []
    _, trials = search(monkeypatch, 10, on_trial=lambda *call: calls.append(call))
    assert tuple(trial for trial, _ in calls) == trials
    shares = [share for _, share in calls]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.3
    assert shares[-1] == 1.0


def test_failed_trial_is_raised(monkeypatch: pytest.MonkeyPatch, fake_losses: FakeLosses) -> None:
    def fail(parameters: Parameters) -> float:
        raise ValueError("LightGBM refuses")

    fake_losses(fail)
    with pytest.raises(ValueError, match="LightGBM refuses"):
        tune(draw(200), draw(60, 1), minutes=0, seed=0)
