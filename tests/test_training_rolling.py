"""The evaluation at earlier cut-offs, and what it shows about recency."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.errors import LearningError
from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY, NOT_A_TIME
from features.moments import Moments, make_moments
from models.evaluation.metrics import measure
from tests.made_trainings import NOW, dated_leads, train_on, write_export
from training import rolling
from training.comparison.comparison import SharedMoments, differences
from training.comparison.held_out import Contender, HeldOut, held_out_log_odds
from training.comparison.stored_moments import StoredMoments
from training.fit import Fitted
from training.remedies import Remedies
from training.rolling import CutOff, Learn, Rolling, learn_until, roll
from training.train import Trained, train

N = 200
KEYS = LearnKeys(won=["won"], lost=["lost"])
T0_DAY = pd.Timestamp("2025-09-20", tz="UTC")


def moments_of(label: Any) -> Moments:
    """Return one moment a day, each of a lead of its own, whose label is known after five days."""
    n = len(label)
    at = np.arange(n) * DAY
    return Moments(np.arange(n), at, np.asarray(label, np.int8), at + 5 * DAY, np.ones(n), {})


def fitted(log_odds: float = 0.0) -> Fitted:
    """Return a model that gives the same log-odds to every lead."""
    model = SimpleNamespace(
        pipeline=SimpleNamespace(transform=lambda records, lead, as_of: np.zeros((len(lead), 1))),
        log_odds_of=lambda features: np.full(len(features), log_odds),
    )
    return model  # type: ignore[return-value]


def rolled(moments: Moments, learn: Learn, in_order: bool = True, **options: Any) -> Rolling:
    """Evaluate at the cut-offs of these moments; the newest fifth are the test leads."""
    records = Records(leads=pd.DataFrame(), outcomes=pd.DataFrame(), in_order=in_order)
    newest = CutOff(_split_newest(moments), np.zeros(len(moments) // 5))
    return roll(newest, learn, records, moments, KEYS, **options)


def _split_newest(moments: Moments) -> Any:
    newest = np.arange(len(moments)) >= len(moments) - len(moments) // 5
    return SimpleNamespace(train=moments.take(~newest), test=moments.take(newest))


# -- the later cut-off -----------------------------------------------------------------------

NO_RECORDS = Records(leads=pd.DataFrame(), outcomes=pd.DataFrame())


def test_later_cut_off_learns_from_what_was_known_and_scores_the_other_leads() -> None:
    moments = moments_of(np.arange(N) % 2)
    two = replace(moments, lead=moments.lead // 2)  # two moments of each lead, on two days
    learned: list[Moments] = []

    def learn(known: Moments) -> Any:
        learned.append(known)
        return SimpleNamespace(fitted=fitted(0.5), remedies=Remedies())

    later = learn_until(100 * DAY, learn, NO_RECORDS, two)
    assert later is not None
    assert learned[0].as_of.tolist() == [day * DAY for day in range(96)]
    assert later.test.lead.tolist() == [day // 2 for day in range(96, N)]
    assert later.margin.tolist() == [0.5] * (N - 96)
    assert later.until == 100 * DAY


def test_later_cut_off_does_not_score_open_leads_that_the_procedure_learned_from() -> None:
    remedies = Remedies(for_newest="early wins")

    def learn(known: Moments) -> Any:
        return SimpleNamespace(fitted=fitted(), remedies=remedies)

    later = learn_until(100 * DAY, learn, NO_RECORDS, moments_of(np.arange(N) % 2))
    assert later is not None
    assert later.test.lead.tolist() == list(range(100, N))


@pytest.mark.parametrize("case", ["too few outcomes", "nothing later", "no column"])
def test_later_cut_off_may_be_impossible(case: str) -> None:
    until = {"too few outcomes": 43, "nothing later": N + 5, "no column": 100}[case] * DAY

    def learn(known: Moments) -> Any:
        raise LearningError("No column of the leads is left to learn from.")

    assert learn_until(until, learn, NO_RECORDS, moments_of(np.arange(N) % 2)) is None


def test_version_that_knows_as_much_as_the_champion_is_the_champion(tmp_path: Path) -> None:
    leads = dated_leads(600, days=300)
    n_then = int((pd.to_datetime(leads["created_at"]) <= T0_DAY).sum())
    then = {"horizon_days": 20, "observed_until": T0_DAY.isoformat()}
    now = then | {"observed_until": "2025-10-28"}
    champion = train_on(tmp_path / "then", leads[:n_then], learn=then)
    until = int(champion.moments.known_at.max())
    project, records = write_export(tmp_path / "now", leads, learn=now)
    challenger = train(project, records, now=NOW, champion_until=until)
    later = challenger.later
    assert later is not None
    scorer = champion.scorer
    features = scorer.pipeline.transform(records, later.test.lead, later.test.as_of)
    np.testing.assert_array_equal(later.margin, scorer.log_odds_of(features))
    assert not np.isin(later.test.lead, champion.moments.lead).any()
    assert train(project, records, now=NOW).later is None
    begins = int(challenger.split.test.as_of.min())
    assert train(project, records, now=NOW, champion_until=begins).later is None


# -- the cut-offs ----------------------------------------------------------------------------


def test_each_cut_off_has_a_model_of_what_was_known_then() -> None:
    learned: list[Moments] = []

    def learn(moments: Moments, share: float) -> Fitted:
        learned.append(moments)
        return fitted(float(len(learned)))

    cut_offs = rolled(moments_of(np.arange(N) % 2), learn).cut_offs
    assert [len(moments) for moments in learned] == [116, 76]
    assert [cut_off.begins for cut_off in cut_offs] == [160 * DAY, 120 * DAY, 80 * DAY]
    for number, cut_off in enumerate(cut_offs[1:]):
        assert learned[number].known_at.max() <= cut_off.begins
        assert cut_off.margin.tolist() == [number + 1.0] * 40


def test_cut_off_describes_its_period_and_figures() -> None:
    cut_offs = rolled(moments_of(np.arange(N) % 2), lambda moments, share: fitted(-1.0)).cut_offs
    row = cut_offs[1].to_json()
    test = cut_offs[1].split.test
    assert (row["from"], row["to"]) == ("1970-05-01T00:00:00+00:00", "1970-06-09T00:00:00+00:00")
    assert (row["learned_from"], row["n"], row["n_leads"]) == (116, 40, 40)
    assert (row["base_rate"], row["predicted"]) == (0.5, pytest.approx(1 / (1 + np.e)))
    assert row["log_loss"] == measure(np.full(40, -1.0), test.label, test.weight)["log_loss"]
    low, high = row["intervals"]["log_loss"]
    assert low < row["log_loss"] < high
    low, high = row["intervals"]["roc_auc"]
    assert low < 0.5 < high


def test_means_are_over_the_cut_offs_with_their_moments() -> None:
    moments = moments_of(np.arange(N) % 2)
    few = replace(_cut_off(moments, 0, 20), margin=np.full(20, 1.0))
    many = replace(_cut_off(moments, 20, 100), margin=np.full(80, -2.0))
    means = Rolling((few, many)).means
    for name, value in few.values.items():
        assert means[name] == pytest.approx(0.2 * value + 0.8 * many.values[name])


def _cut_off(moments: Moments, begin: int, end: int) -> CutOff:
    test = moments.take(np.arange(begin, end))
    return CutOff(SimpleNamespace(test=test), np.zeros(end - begin))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["too few outcomes", "no column"])
def test_cut_offs_that_are_left_out_have_a_reason(kind: str) -> None:
    label = np.arange(N) % 2
    if kind == "too few outcomes":
        label = label & (np.arange(N) >= 50)

    def learn(moments: Moments, share: float) -> Fitted:
        if kind == "no column" and len(moments) < 100:
            raise LearningError("No column of the leads is left to learn from.")
        return fitted()

    rolling = rolled(moments_of(label), learn)
    assert [cut_off.begins for cut_off in rolling.cut_offs] == [160 * DAY, 120 * DAY]
    (reason,) = rolling.left_out
    assert reason.startswith("The 40 leads that came before the 80 newest leads were not evaluated")
    why = {"too few outcomes": "only 13 older leads", "no column": "No column of the leads is left"}
    assert why[kind] in reason


def test_leads_without_order_have_no_cut_offs() -> None:
    moments = moments_of(np.arange(N) % 2)
    assert rolled(moments, lambda moments, share: fitted(), in_order=False) == Rolling()


def test_progress_rises_to_one() -> None:
    shares: list[float] = []
    moments = moments_of(np.arange(N) % 2)
    rolled(moments, lambda moments, share: fitted(), on_share=shares.append)
    assert shares == [0.0, 0.5, 1.0]


def test_leads_in_order_without_times_have_cut_offs_without_a_period() -> None:
    no_times = np.full(N, NOT_A_TIME)
    moments = replace(moments_of(np.arange(N) % 2), as_of=no_times, known_at=no_times)
    cut_offs = rolled(moments, lambda moments, share: fitted()).cut_offs
    assert [cut_off.begins for cut_off in cut_offs] == [160, 120, 80]
    assert [len(cut_off.split.train) for cut_off in cut_offs] == [160, 120, 80]
    row = cut_offs[1].to_json()
    assert (row["from"], row["to"], row["n"]) == (None, None, 40)


def test_many_moments_are_learned_from_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "MOST_ROWS", 60)
    learned: list[Moments] = []
    shares: list[float] = []

    def learn(moments: Moments, share: float) -> Fitted:
        learned.append(moments)
        shares.append(share)
        return fitted()

    cut_offs = rolled(moments_of(np.arange(N) % 2), learn).cut_offs
    assert [len(moments) for moments in learned] == [60, 60]
    assert shares == [60 / 116, 60 / 76]
    assert learned[0].lead.min() < 20
    assert learned[0].lead.max() > 100
    assert [cut_off.to_json()["learned_from"] for cut_off in cut_offs[1:]] == [60, 60]


# -- recency ---------------------------------------------------------------------------------


def turning_leads(n: int = 1_000) -> pd.DataFrame:
    """Return the leads of 360 days; the effect of their size turns from positive to negative."""
    generator = np.random.default_rng(0)
    size, other = generator.normal(size=n), generator.normal(size=n)
    share = np.linspace(0, 1, n)
    log_odds = -0.5 + 1.2 * np.cos(1.5 * np.pi * share) * size
    won = generator.random(n) < 1 / (1 + np.exp(-log_odds))
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(360 * share, unit="D")
    return pd.DataFrame(
        {
            "lead_id": [f"L{i}" for i in range(n)],
            "size": size.round(3),
            "other": other.round(3),
            "outcome": np.where(won, "yes", "no"),
            "created_at": created.astype(str),
        }
    )


def held_out(trained: Trained, records: Records, moments: Moments) -> HeldOut:
    """Store the moments of a training, read them, and return its held-out log-odds."""
    cut_offs = trained.rolling.cut_offs[1:]
    table = StoredMoments.of_training(
        "flat", records, trained.moments, trained.split, trained.test_margin, cut_offs
    )
    read = StoredMoments.from_parquet(table.to_parquet())
    return held_out_log_odds(Contender("1", trained.scorer, read), records, moments, "flat")


def test_cut_offs_show_that_a_half_life_is_better(tmp_path: Path) -> None:
    leads = turning_leads()
    keys = {"horizon_days": 10, "moments_days": [0], "remedies": False}
    project, records = write_export(tmp_path / "today", leads, keys)
    moments = make_moments(records, project.learn)
    recent, same = (
        held_out(train_on(tmp_path / name, leads, keys | learn), records, moments)
        for name, learn in {"recent": {"half_life_days": 40}, "same": {}}.items()
    )

    over_cut_offs = SharedMoments.of(moments, recent, same)
    on_newest = SharedMoments.of(moments, recent.newest, same.newest)

    assert len(over_cut_offs.by_cut_off) == 3
    assert len(over_cut_offs.moments) == 3 * len(on_newest.moments)
    even = differences(on_newest, seed=0)["log_loss"]
    assert even.low < 0 < even.high
    better = differences(over_cut_offs, seed=0)["log_loss"]
    assert better.high < -0.005
    # Each model ranks better than chance only at its own cut-off.
    ranking = differences(over_cut_offs, seed=0)["roc_auc"]
    assert ranking.low > 0.05
