"""Drift of the simulated CRM: what each kind changes, what it leaves alone, and its truth."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crm.errors import ConfigError
from crm.simulation.arrivals import season
from crm.simulation.drawing import chunks
from crm.simulation.drift import KINDS, Drift, Kind, read_drift
from crm.simulation.effects import CONCEPT_BASE
from crm.simulation.fate import log_odds, on_time_share
from crm.simulation.simulator import simulate
from crm.simulation.traits import draw_accounts, draw_traits
from crm.simulation.world import HORIZON_DAYS, Simulation

DAY = "2025-01-01"
AT = pd.Timestamp(DAY, tz="UTC")
HORIZON = pd.Timedelta(days=HORIZON_DAYS)
PLAIN = Simulation(leads=40_000, activities_per_lead=1, seed=5, drift_at=1)
SCENARIOS: dict[str, Simulation] = {
    **{kind: replace(PLAIN, drifts=(Drift(kind, DAY),)) for kind in KINDS},
    "half": replace(PLAIN, drifts=tuple(Drift(kind, DAY, 0.5) for kind in KINDS)),
    "all": replace(
        PLAIN,
        drifts=tuple(Drift(kind, DAY) for kind in KINDS),
        seasonality=1,
        surge_at="2025-03-01",
    ),
    "seasonality": replace(PLAIN, seasonality=1),
    "surge": replace(PLAIN, surge_at=DAY),
}
Tables = dict[str, pd.DataFrame]
_drawn: dict[Simulation, Tables] = {}


def draw(settings: Simulation) -> Tables:
    """Return the tables of a simulation, with the outcome and the truth in `leads`."""
    if settings not in _drawn:
        parts = [tables for _, tables in chunks(settings)]
        tables = {
            name: pa.concat_tables([part[name] for part in parts]).to_pandas() for name in parts[0]
        }
        leads = tables["leads"].merge(tables["truth"], on="lead_id", validate="1:1")
        leads = leads.merge(tables["outcomes"], on="lead_id", how="left", validate="1:1")
        leads["age"] = leads["closed_at"] - leads["created_at"]
        leads["is_won_in_time"] = (leads["outcome"] == "won") & (leads["age"] <= HORIZON)
        _drawn[settings] = tables | {"leads": leads}
    return _drawn[settings]


@pytest.fixture(scope="module")
def plain() -> Tables:
    return draw(PLAIN)


def after(table: pd.DataFrame, time: str = "created_at") -> pd.DataFrame:
    return table[table[time] >= AT]


def before(table: pd.DataFrame, time: str = "created_at") -> pd.DataFrame:
    return table[table[time] < AT]


def logit(chance: "pd.Series[float]") -> "pd.Series[float]":
    return np.log(chance / (1 - chance))  # type: ignore[return-value]  # NumPy keeps the Series


def assert_truth_is_calibrated(group: pd.DataFrame) -> None:
    """Check that the share of wins is within four standard errors of the mean probability."""
    assert len(group) > 500
    chance = group["true_probability"]
    standard_error = np.sqrt((chance * (1 - chance)).sum()) / len(group)
    assert abs(group["is_won_in_time"].mean() - chance.mean()) < 4 * standard_error


# --- the truth


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("window", [before, after])
def test_truth_is_calibrated_before_and_after(
    scenario: str, window: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    leads = draw(SCENARIOS[scenario])["leads"]
    mature = leads[leads["created_at"] <= PLAIN.as_of - HORIZON]
    group = window(mature)
    assert_truth_is_calibrated(group)
    deciles = pd.qcut(group["true_probability"], 10, labels=False)
    assert deciles.nunique() == 10
    for _, decile in group.groupby(deciles):
        assert_truth_is_calibrated(decile)


@pytest.mark.parametrize("scenario", [*KINDS, "half"])
def test_leads_before_the_drift_are_the_same(plain: Tables, scenario: str) -> None:
    drifted = draw(SCENARIOS[scenario])
    columns = [c for c in plain["leads"] if c not in ("amount", "reason")]  # drawn with later ones
    pd.testing.assert_frame_equal(
        before(drifted["leads"])[columns], before(plain["leads"])[columns]
    )


# --- each kind


def test_covariate_drift_brings_other_sources_and_smaller_companies(plain: Tables) -> None:
    leads = draw(SCENARIOS["covariate"])["leads"]
    shares = after(leads)["source"].value_counts(normalize=True)
    usual = after(plain["leads"])["source"].value_counts(normalize=True)
    assert shares["Paid search"] > usual["Paid search"] + 0.10
    assert shares["Cold list"] > usual["Cold list"] + 0.10
    size, usual_size = after(leads)["employees"], after(plain["leads"])["employees"]
    assert size.median() < 0.6 * usual_size.median()
    assert after(leads)["industry"].value_counts(normalize=True).sub(
        after(plain["leads"])["industry"].value_counts(normalize=True)
    ).abs().max() == pytest.approx(0, abs=0.01)


def test_covariate_drift_changes_no_effect() -> None:
    rng = np.random.default_rng(0)
    drifted = SCENARIOS["covariate"]
    created = int(AT.timestamp()) + rng.integers(0, 200 * 86_400, 1_000)
    traits = draw_traits(rng, rng, drifted, draw_accounts(rng, 300), created)
    np.testing.assert_array_equal(
        log_odds(drifted, traits, created), log_odds(PLAIN, traits, created)
    )


def test_concept_drift_changes_the_effects_alone(plain: Tables) -> None:
    leads = after(draw(SCENARIOS["concept"])["leads"])
    usual = after(plain["leads"])
    known_at_creation = plain["leads"].columns[: list(plain["leads"]).index("contract_type")]
    pd.testing.assert_frame_equal(leads[known_at_creation], usual[known_at_creation])
    change = logit(leads["true_probability"]) - logit(usual["true_probability"])
    referred = leads["source"].eq("Referral") & leads["industry"].eq("Software")
    assert change[referred].median() == pytest.approx(CONCEPT_BASE - 1.8, abs=0.01)
    plain_ones = leads["source"].eq("Organic search") & leads["industry"].eq("Software")
    assert change[plain_ones].median() == pytest.approx(CONCEPT_BASE, abs=0.01)
    assert change.mean() == pytest.approx(CONCEPT_BASE, abs=0.15)


def test_concept_drift_is_visible_in_conversions(plain: Tables) -> None:
    leads = draw(SCENARIOS["concept"])["leads"]
    mature = leads[leads["created_at"] <= PLAIN.as_of - HORIZON]
    assert after(mature)["is_won_in_time"].mean() < 0.6 * before(mature)["is_won_in_time"].mean()
    by_source = after(mature).groupby("source")["is_won_in_time"].mean()
    usual = before(mature).groupby("source")["is_won_in_time"].mean()
    assert usual["Referral"] > 2 * usual["Content download"]
    assert by_source["Referral"] < by_source["Content download"]


def test_delayed_labels_come_twice_as_late(plain: Tables) -> None:
    leads, usual = after(draw(SCENARIOS["label_delay"])["leads"]), after(plain["leads"])
    in_both = leads["age"].notna() & usual["age"].notna()
    assert set(leads.loc[in_both, "outcome"]) == {"won", "lost"}
    assert leads.loc[in_both, "outcome"].equals(usual.loc[in_both, "outcome"])
    late = leads.loc[in_both, "age"] - 2 * usual.loc[in_both, "age"]
    assert late.between(pd.Timedelta(0), pd.Timedelta(seconds=1)).all()
    assert leads["age"].count() < usual["age"].count()


def test_delayed_labels_lower_the_truth_by_what_moves_past_the_horizon(plain: Tables) -> None:
    leads, usual = after(draw(SCENARIOS["label_delay"])["leads"]), after(plain["leads"])
    share = leads["true_probability"] / usual["true_probability"]
    assert share.median() == pytest.approx(0.52, abs=0.01)
    is_mature = usual["created_at"] <= PLAIN.as_of - HORIZON
    was_won, is_won = (table.loc[is_mature, "is_won_in_time"] for table in (usual, leads))
    assert was_won[is_won].all()
    assert is_won.sum() / was_won.sum() == pytest.approx(0.52, abs=0.05)


def test_a_stronger_delay_leaves_fewer_wins_on_time() -> None:
    at = np.array([int(AT.timestamp())])
    shares = [
        float(on_time_share(replace(PLAIN, drifts=(Drift("label_delay", DAY, s),)), at)[0])
        for s in (0.01, 0.5, 1.0, 5.0)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.99
    assert 0 < shares[-1] < 0.1


def test_a_broken_feed_loses_one_type_from_the_day_on(plain: Tables) -> None:
    activities, usual = draw(SCENARIOS["broken_feed"])["activities"], plain["activities"]
    is_lost = (usual["type"] == "email_open") & (usual["occurred_at"] >= AT)
    assert is_lost.sum() > 1_000
    pd.testing.assert_frame_equal(activities, usual[~is_lost].reset_index(drop=True))


@pytest.mark.parametrize(
    ("column", "name", "new"), [("source", "Organic search", "SEO"), ("country", "DE", "Germany")]
)
def test_a_renamed_category_has_its_new_name_from_the_day_on(
    plain: Tables, column: str, name: str, new: str
) -> None:
    leads, usual = draw(SCENARIOS["renamed_category"])["leads"], plain["leads"]
    expected = usual[column].mask((usual[column] == name) & (usual["created_at"] >= AT), new)
    pd.testing.assert_series_equal(leads[column], expected)
    assert leads[column].eq(new).sum() > 2_000
    others = [c for c in usual if c not in ("source", "country")]
    pd.testing.assert_frame_equal(leads[others], usual[others])


def test_a_dropped_column_is_empty_from_the_day_on_and_keeps_its_effect(plain: Tables) -> None:
    leads, usual = draw(SCENARIOS["dropped_column"])["leads"], plain["leads"]
    assert after(leads)["budget_eur"].isna().all()
    assert after(usual)["budget_eur"].notna().sum() > 5_000
    others = [c for c in usual if c != "budget_eur"]
    pd.testing.assert_frame_equal(leads[others], usual[others])


@pytest.mark.parametrize("kind", ["broken_feed", "renamed_category", "dropped_column"])
def test_strength_is_the_share_of_records_that_change(plain: Tables, kind: Kind) -> None:
    def changed(strength: float) -> int:
        tables = draw(replace(PLAIN, drifts=(Drift(kind, DAY, strength),)))
        if kind == "broken_feed":
            return len(plain["activities"]) - len(tables["activities"])
        if kind == "dropped_column":
            budgets = (table["leads"]["budget_eur"].count() for table in (plain, tables))
            return int(next(budgets) - next(budgets))
        return int(tables["leads"]["source"].eq("SEO").sum())

    assert changed(0.5) / changed(1.0) == pytest.approx(0.5, abs=0.04)


def test_drifts_of_one_kind_add_up() -> None:
    both = (Drift("concept", DAY, 0.5), Drift("concept", date(2025, 3, 1), 0.25))
    shares = (Drift("broken_feed", DAY, 0.7), Drift("broken_feed", "2025-03-01", 0.7))
    settings = replace(PLAIN, drifts=both + shares)
    days = ["2024-12-31T23:59:59", "2025-01-01", "2025-03-01"]
    at = np.array(days, "datetime64[s]").astype(np.int64)
    np.testing.assert_allclose(settings.strength("concept", at), [0, 0.5, 0.75])
    np.testing.assert_allclose(settings.strength("broken_feed", at), [0, 0.7, 1])
    np.testing.assert_allclose(settings.strength("covariate", at), [0, 0, 0])


# --- what is not drift


def test_seasons_are_the_same_every_year() -> None:
    first = np.arange(np.datetime64("2023-01-01"), np.datetime64("2024-01-01"))
    at = [days.astype("datetime64[s]").astype(np.int64) for days in (first, first + 730 + 1)]
    settings = replace(PLAIN, seasonality=1)
    np.testing.assert_allclose(season(settings, at[0]), season(settings, at[1]), atol=1e-9)
    assert season(settings, at[0]).max() == pytest.approx(1, abs=1e-3)
    assert season(settings, at[0]).min() == pytest.approx(-1, abs=1e-3)
    assert not season(PLAIN, at[0]).any()


def test_seasonality_moves_volume_mix_and_base_rate() -> None:
    leads = draw(SCENARIOS["seasonality"])["leads"]
    is_spring = leads["created_at"].dt.month.isin([3, 4])
    is_autumn = leads["created_at"].dt.month.isin([9, 10])
    for year in (2024, 2025):
        in_year = leads["created_at"].dt.year == year
        spring, autumn = leads[is_spring & in_year], leads[is_autumn & in_year]
        assert len(spring) / len(autumn) == pytest.approx(np.exp(0.8), rel=0.12)
        shares = [(half["source"] == "Trade fair").mean() for half in (spring, autumn)]
        assert shares[0] > 3 * shares[1]


def test_seasonality_changes_the_log_odds_by_the_cycle() -> None:
    rng = np.random.default_rng(0)
    seasonal = SCENARIOS["seasonality"]
    created = int(AT.timestamp()) + rng.integers(0, 200 * 86_400, 1_000)
    traits = draw_traits(rng, rng, PLAIN, draw_accounts(rng, 300), created)
    change = log_odds(seasonal, traits, created) - log_odds(PLAIN, traits, created)
    np.testing.assert_allclose(change, 0.5 * season(seasonal, created), atol=1e-9)
    assert np.abs(change).max() > 0.4


def test_a_surge_triples_one_source_for_two_weeks() -> None:
    leads = draw(replace(SCENARIOS["surge"], leads=200_000, surge_at="2025-03-03"))["leads"]
    first = pd.Timestamp("2025-03-03", tz="UTC")
    fortnights = (leads["created_at"] - first) // pd.Timedelta(days=14)
    counts = leads.groupby([fortnights, "source"]).size().unstack()
    ratio = counts.loc[0] / counts.loc[[-2, -1, 1, 2]].mean()
    assert ratio["Paid search"] == pytest.approx(3, rel=0.08)
    assert ratio.drop("Paid search").to_numpy() == pytest.approx(np.ones(7), abs=0.2)
    others = counts.drop(columns="Paid search").sum(axis=1)
    assert others[0] / others[[-2, -1, 1, 2]].mean() == pytest.approx(1, abs=0.05)


# --- refusals, and the README


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("concpt", DAY), "The kind of drift 'concpt' is unknown. Did you mean `concept`"),
        (("concept", "soon"), "The day of the drift 'concept' is 'soon'. Expected a day from 1970"),
        (
            ("concept", DAY, 0),
            "The strength of the drift 'concept' is 0. Expected a number above 0",
        ),
        (("concept", DAY, 5.1), "is 5.1. Expected a number above 0, at most 5. Pass one"),
        (("broken_feed", DAY, 1.1), "is 1.1. Expected a number above 0, at most 1. Pass one"),
        (("concept", DAY, float("nan")), "is nan. Expected a number"),
        (("concept", DAY, True), "is True. Expected a number"),
        (("concept", DAY, "1"), "is '1'. Expected a number"),
    ],
)
def test_drifts_that_are_not_valid_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Drift(*settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("concept@2025-01-01", Drift("concept", "2025-01-01")),
        ("label_delay@2025-01-01:0.5", Drift("label_delay", "2025-01-01", 0.5)),
    ],
)
def test_a_drift_is_read_from_text(text: str, expected: Drift) -> None:
    assert read_drift(text) == expected
    assert read_drift(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("concept", "The drift 'concept' has no day. Expected KIND@DAY or KIND@DAY:STRENGTH"),
        ("concept@2025-01-01:much", "'concept@2025-01-01:much' is 'much'. Expected a number"),
        ("concept@2025-01-01:", "is ''. Expected a number"),
        ("@2025-01-01", "The kind of drift '' is unknown. Expected one of: covariate, concept"),
        ("concept@", "The day of the drift 'concept' is ''"),
    ],
)
def test_text_that_is_not_a_drift_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_drift(text)


def test_the_readme_lists_what_changes(tmp_path: Any) -> None:
    drift = Drift("concept", "2024-03-01", 0.5)
    settings = Simulation(leads=500, days=200, drifts=(drift,), surge_at=date(2024, 4, 1))
    simulate(settings, tmp_path)
    readme = (tmp_path / "README.txt").read_text()
    assert "  drifts = concept@2024-03-01:0.5\n  surge_at = 2024-04-01\n" in readme
    assert "seasonality" not in readme
