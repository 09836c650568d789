"""Selection: rows to choose settings on, and which interactions of attributes are adopted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from crm.arrays import Ints
from crm.project import Project
from crm.records import Records
from features.fitting import fit_pipeline, training_matrix
from features.interactions import NO_INTERACTIONS, Interactions
from features.moments import Moments, make_moments
from features.screening import screen_interactions
from models.fitting.examples import NEWEST_SHARE
from models.fitting.split import split_newest
from models.fitting.trees import fit_trees
from tests.made_trainings import blend_of, check_saved_equals, dated_leads, train_on, write_export
from training import selection
from training.half_life import HalfLife
from training.selection import (
    LEAST_GAIN,
    NO_SELECTION_SETS,
    SelectionSets,
    selection_sets,
)

LEARN = {"horizon_days": 5, "observed_until": "2030-01-01"}


def made(
    folder: Path, leads: pd.DataFrame, learn: dict[str, Any] | None = None
) -> tuple[Records, Moments, Project]:
    """Write an export; return its records, moments and project."""
    times = LEARN if "created_at" in leads else {}
    project, records = write_export(folder, leads, {**times, **(learn or {})})
    return records, make_moments(records, project.learn), project


def daily_leads(n: int) -> pd.DataFrame:
    """Return small leads, one a day."""
    return dated_leads(n, days=n - 1)


# -- the rows ------------------------------------------------------------------------------


def test_selection_needs_outcomes_known_before_the_newest_leads(tmp_path: Path) -> None:
    leads = daily_leads(200)
    # No outcome was known when the newest part began.
    leads["created_at"] = leads["created_at"].iloc[0]
    assert selection_sets(*made(tmp_path, leads), {}) is NO_SELECTION_SETS


@pytest.mark.parametrize("outcome", ["yes", "no"])
@pytest.mark.parametrize("part", ["older", "newest"])
def test_selection_needs_both_outcomes_in_both_parts(
    tmp_path: Path, part: str, outcome: str
) -> None:
    leads = daily_leads(200)
    leads.loc[slice(None, 175) if part == "older" else slice(165, None), "outcome"] = outcome
    assert leads["outcome"].nunique() == 2
    assert selection_sets(*made(tmp_path, leads), {}) is NO_SELECTION_SETS


def test_selection_needs_a_column_of_the_older_leads(tmp_path: Path) -> None:
    leads = daily_leads(200).drop(columns=["colour", "created_at"])
    leads.loc[:175, "size"] = 7  # constant among the older leads
    assert selection_sets(*made(tmp_path, leads), {}) is NO_SELECTION_SETS


def test_sets_that_were_not_selected_have_no_rows() -> None:
    for rows in (NO_SELECTION_SETS.older, NO_SELECTION_SETS.newer):
        assert rows.features.shape == (0, 0)
        assert [len(column) for column in rows.columns] == [0, 0, 0, 0]
        assert rows.rarer == 0
    assert NO_SELECTION_SETS.interactions == NO_INTERACTIONS


def test_selection_sets_obey_the_embargo(tmp_path: Path) -> None:
    records, moments, project = made(tmp_path, daily_leads(400))
    older, newer, _ = selection_sets(records, moments, project, {})
    split = split_newest(records, moments, NEWEST_SHARE, 0)
    assert older.lead.tolist() == split.train.lead.tolist()
    assert newer.lead.tolist() == split.test.lead.tolist()
    assert older.lead.max() < newer.lead.min()
    assert len(newer.lead) == round(NEWEST_SHARE * 400)
    assert split.embargoed > 0
    known_at = moments.known_at[np.isin(moments.lead, older.lead)]
    assert known_at.max() <= moments.as_of[np.isin(moments.lead, newer.lead)].min()


def test_selection_sets_have_the_pipeline_of_the_older_leads(tmp_path: Path) -> None:
    leads = daily_leads(400)
    leads.loc[350:, "colour"] = "purple"  # a colour that no older lead has
    records, moments, project = made(tmp_path, leads)
    older, newer, _ = selection_sets(records, moments, project, {})
    split = split_newest(records, moments, NEWEST_SHARE, 0)
    pipeline = fit_pipeline(records, split.train, project, {})
    assert older.features == pytest.approx(
        training_matrix(pipeline, records, split.train, 0), nan_ok=True
    )
    assert newer.features == pytest.approx(
        pipeline.transform(records, split.test.lead, split.test.as_of), nan_ok=True
    )
    position = pipeline.names.index("colour")
    assert set(newer.features[newer.lead >= 350, position]) == {1.0}  # unseen
    assert older.categorical == newer.categorical == tuple(pipeline.categorical) == (position,)
    assert older.growing == newer.growing == tuple(pipeline.growing) != ()


def test_selection_leaves_out_columns_known_later(tmp_path: Path) -> None:
    records, moments, project = made(tmp_path, daily_leads(300))
    with_all = selection_sets(records, moments, project, {})
    without = selection_sets(records, moments, project, {"size": "it knows too much"})
    n_columns = with_all.older.features.shape[1]
    assert without.older.features.shape[1] == without.newer.features.shape[1] == n_columns - 1


def test_half_life_applies_to_the_older_leads_only(tmp_path: Path) -> None:
    half_life = HalfLife(20.0, in_days=True)
    older, newer, _ = selection_sets(*made(tmp_path, daily_leads(300)), {}, half_life)
    assert newer.weight.tolist() == [1.0] * len(newer.weight)
    assert older.weight.max() == 1.0
    assert older.weight.min() < 0.01


# -- interactions --------------------------------------------------------------------------

N = 6_000
Cells = dict[str, Any]


def words(name: str, codes: Ints) -> list[str]:
    return [f"{name}{code}" for code in codes.tolist()]


def outcomes(chance: NDArray[np.float64], generator: np.random.Generator) -> list[str]:
    return np.where(generator.random(len(chance)) < chance, "yes", "no").tolist()


def leads_with_a_pair(seed: int = 0) -> pd.DataFrame:
    """Return leads whose city and product say nothing alone: only the pair has an effect."""
    generator = np.random.default_rng(seed)
    city, product = generator.integers(0, 30, (2, N))
    effect = generator.choice([-2, 2], (30, 30))[city, product]
    return pd.DataFrame(
        {
            "city": words("c", city),
            "product": words("p", product),
            "size": generator.normal(size=N).round(3),
            "outcome": outcomes(expit(effect - 0.5), generator),
        }
    )


def leads_of_new_companies(n: int = 12_000) -> pd.DataFrame:
    """Return leads of companies; the leads of rare ones are won often.

    Among the older leads hardly any are of a rare company, among the newest every third is.
    """
    generator = np.random.default_rng(0)
    is_older = np.arange(n) < n - round(NEWEST_SHARE * n)
    is_rare = generator.random(n) < np.where(is_older, 0.004, 0.3)
    company = np.where(is_rare, 1_000 + np.arange(n) // 2, generator.integers(0, 60, n))
    return pd.DataFrame(
        {
            "company": words("x", company),
            "size": generator.normal(size=n).round(3),
            "outcome": outcomes(np.where(is_rare, 0.7, 0.2), generator),
        }
    )


PAIR = Interactions(pairs=(("city", "product"),))


@pytest.fixture(scope="module")
def of_a_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Records, Moments, Project]:
    return made(tmp_path_factory.mktemp("pair"), leads_with_a_pair())


def test_pair_that_alone_has_an_effect_is_adopted(
    of_a_pair: tuple[Records, Moments, Project],
) -> None:
    records, moments, project = of_a_pair
    older, newer, interactions = selection_sets(records, moments, project, {})
    assert interactions == PAIR
    split = split_newest(records, moments, NEWEST_SHARE, 0)
    pipeline = fit_pipeline(records, split.train, project, {}, PAIR)
    assert pipeline.names[-2:] == ["city with product.win_log_odds", "city with product.log_count"]
    assert older.features == pytest.approx(training_matrix(pipeline, records, split.train, 0))
    assert newer.features == pytest.approx(
        pipeline.transform(records, split.test.lead, split.test.as_of)
    )
    n = len(pipeline.names)
    assert older.trees_only == newer.trees_only == tuple(pipeline.of_interactions) == (n - 2, n - 1)


def test_noise_has_no_interactions(tmp_path: Path) -> None:
    leads = leads_with_a_pair()
    leads["outcome"] = np.random.default_rng(1).permutation(leads["outcome"])
    sets = selection_sets(*made(tmp_path, leads), {})
    assert sets.interactions == NO_INTERACTIONS
    assert sets.older.trees_only == sets.newer.trees_only == ()
    assert sets.older.features.shape[1] == 3


def test_gain_among_the_newest_leads_alone_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, moments, project = made(tmp_path, leads_of_new_companies())
    losses: list[tuple[float, float]] = []

    def record(*arguments: Any) -> tuple[float, float]:
        losses.append(losses_of_trees(*arguments))
        return losses[-1]

    losses_of_trees = selection._losses_of_trees
    monkeypatch.setattr(selection, "_losses_of_trees", record)
    sets = selection_sets(records, moments, project, {})
    assert sets.interactions == NO_INTERACTIONS
    assert sets.older.trees_only == ()

    split = split_newest(records, moments, NEWEST_SHARE, 0)
    pipeline = fit_pipeline(records, split.train, project, {})
    candidates = screen_interactions(pipeline, records, split.train, split.test, 0)
    assert ("company",) in [candidate.columns for candidate in candidates]
    plain, richer = losses
    of_older, of_newer = (1 - new / old for old, new in zip(plain, richer, strict=True))
    assert of_older < LEAST_GAIN
    assert of_newer > 5 * LEAST_GAIN


@pytest.mark.parametrize(
    ("gains", "is_adopted"),
    [
        ((0.006, 0.006), True),
        ((0.1, 0.1), True),
        ((0.1, 0.004), False),
        ((0.004, 0.1), False),
        ((0.0, 0.0), False),
        ((-0.1, 0.3), False),
    ],
)
def test_both_gains_must_be_half_a_percent(
    of_a_pair: tuple[Records, Moments, Project],
    monkeypatch: pytest.MonkeyPatch,
    gains: Sequence[float],
    is_adopted: bool,
) -> None:
    records, moments, project = of_a_pair

    def losses(sets: SelectionSets, *arguments: Any) -> tuple[float, float]:
        of_older, of_newer = gains if sets.interactions == PAIR else (0.0, 0.0)
        return 0.4 * (1 - of_older), 0.6 * (1 - of_newer)

    monkeypatch.setattr(selection, "_losses_of_trees", losses)
    adopted = selection_sets(records, moments, project, {}).interactions
    assert adopted == (PAIR if is_adopted else NO_INTERACTIONS)


def test_losses_of_trees_are_out_of_fold_and_on_the_newer_rows(tmp_path: Path) -> None:
    leads = leads_with_a_pair().head(800)
    leads["outcome"] = np.random.default_rng(1).permutation(leads["outcome"])
    sets = selection_sets(*made(tmp_path, leads, {"seed": 3}), {})
    share = sets.older.label.mean()
    entropy = float(-(share * np.log(share) + (1 - share) * np.log(1 - share)))
    overfitting = {"min_data_in_leaf": 1, "lambda_l2": 0.0, "num_leaves": 60}
    losses = [selection._losses_of_trees(sets, 3, options) for options in ({}, overfitting)]
    # The outcomes are noise, so a loss below the entropy would be that of rows it learned from.
    assert np.min(losses) > 0.97 * entropy
    assert losses[0] != losses[1]


def test_losses_of_trees_use_a_sample_of_the_leads_if_there_are_many_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = selection_sets(*made(tmp_path, leads_with_a_pair().head(800)), {})
    sizes = []

    def record_rows(features: NDArray[Any], *arguments: Any, **named: Any) -> Any:
        sizes.append(len(features))
        return fit_trees(features, *arguments, **named)

    monkeypatch.setattr(selection, "fit_trees", record_rows)
    everything = selection._losses_of_trees(sets, 0, {})
    monkeypatch.setattr(selection, "MOST_TREE_ROWS", len(sets.older.label))
    assert selection._losses_of_trees(sets, 0, {}) == everything
    monkeypatch.setattr(selection, "MOST_TREE_ROWS", 200)
    assert selection._losses_of_trees(sets, 0, {}) != everything
    assert sizes == [len(sets.older.label)] * 2 + [200]


def test_rows_count_by_their_weights_in_the_losses_of_trees(tmp_path: Path) -> None:
    sets = selection_sets(*made(tmp_path, leads_with_a_pair().head(800)), {})
    is_won = sets.newer.label == 1
    trees_only_wins = sets._replace(newer=sets.newer.take(is_won))
    weighted = sets._replace(
        newer=sets.newer.__class__(
            sets.newer.features, sets.newer.label, is_won.astype(np.float64), sets.newer.lead
        )
    )
    expected = selection._losses_of_trees(trees_only_wins, 0, {})
    assert selection._losses_of_trees(weighted, 0, {}) == pytest.approx(expected)


# -- a whole training ----------------------------------------------------------------------


def test_training_uses_the_pair_and_saves_it(tmp_path: Path) -> None:
    trained = train_on(tmp_path, leads_with_a_pair())
    card = trained.scorer.card
    assert card.estimator["interactions"] == ["city with product"]
    assert card.estimator["judged"]["interactions"] == ["city with product"]
    assert card.test["log_loss"] < 0.45  # without the pair it is 0.68
    assert card.baselines["logistic"]["log_loss"] > 0.6  # it has no pairs
    logistic, trees = blend_of(trained).logistic, blend_of(trained).trees
    assert logistic is not None
    assert trees is not None
    n_features = len(trained.scorer.pipeline.names)
    assert logistic.terms.numeric == tuple(range(n_features - 2))
    check_saved_equals(trained, tmp_path / "model")
