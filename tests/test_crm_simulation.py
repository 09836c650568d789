"""The simulated CRM: its files, its true probabilities, and the flaws of its records."""

import hashlib
import tomllib
from dataclasses import fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from crm.errors import ConfigError
from crm.simulation import drawing
from crm.simulation.drift import Drift
from crm.simulation.simulator import simulate
from crm.simulation.world import HORIZON_DAYS, Simulation

SETTINGS = Simulation(leads=40_000, activities_per_lead=6, seed=7)
SMALL = Simulation(leads=600, activities_per_lead=3, days=200)
TIMES = {
    "leads": "created_at",
    "activities": "occurred_at",
    "stages": "entered_at",
    "outcomes": "closed_at",
}
DRIFT = Drift("concept", "2025-01-01")
NOTHING = ["unknown", "-", "Select"]
HORIZON = pd.Timedelta(days=HORIZON_DAYS)
Format = Literal["csv", "parquet"]
Tables = dict[str, pd.DataFrame]


def read_csv_files(files: dict[str, Path]) -> Tables:
    tables = {table: pd.read_csv(file) for table, file in files.items()}
    for table, column in TIMES.items():
        tables[table][column] = pd.to_datetime(tables[table][column], utc=True)
    return tables


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Read the tables of a simulated CRM with 40,000 leads."""
    return read_csv_files(simulate(SETTINGS, tmp_path_factory.mktemp("crm")))


@pytest.fixture(scope="module")
def leads(crm: Tables) -> pd.DataFrame:
    """Join each lead with its true probability and its outcome."""
    leads = crm["leads"].merge(crm["truth"], on="lead_id", validate="1:1")
    leads = leads.merge(crm["outcomes"], on="lead_id", how="left", validate="1:1")
    leads["age"] = leads["closed_at"] - leads["created_at"]
    leads["is_won_in_time"] = (leads["outcome"] == "won") & (leads["age"] <= HORIZON)
    return leads


@pytest.fixture(scope="module")
def mature(leads: pd.DataFrame) -> pd.DataFrame:
    """Return the leads whose horizon has passed, so that their outcome is certain."""
    return leads[leads["created_at"] <= SETTINGS.as_of - HORIZON]


# --- the files


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_same_settings_give_the_same_bytes(tmp_path: Path, file_format: Format) -> None:
    first = simulate(SMALL, tmp_path / "first", file_format=file_format)
    second = simulate(SMALL, tmp_path / "second", file_format=file_format)
    assert list(first) == ["leads", "activities", "stages", "outcomes", "truth"]
    assert second["leads"] == tmp_path / "second" / f"leads.{file_format}"
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert len(names) == 7
    for name in names:
        bytes_of_both = [(tmp_path / run / name).read_bytes() for run in ("first", "second")]
        assert bytes_of_both[0] == bytes_of_both[1], name


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        (SMALL, "3c3e3b3ad8456950"),
        (Simulation(drift_at=1.0), "1f7dabe0dcfcdffb"),
        (replace(SMALL, start="2025-09-01", drift_at=0.62, seed=3), "20866ca8fa29c7c6"),
    ],
    ids=["small", "demo", "other start"],
)
def test_settings_give_the_bytes_of_earlier_versions(
    tmp_path: Path, settings: Simulation, digest: str
) -> None:
    simulate(settings, tmp_path)
    written = hashlib.sha256()
    for path in sorted(tmp_path.iterdir()):
        written.update(path.name.encode() + path.read_bytes())
    assert written.hexdigest()[:16] == digest


def test_another_seed_gives_other_leads(tmp_path: Path) -> None:
    seed_0 = simulate(SMALL, tmp_path / "seed_0")
    seed_1 = simulate(replace(SMALL, seed=1), tmp_path / "seed_1")
    for table in seed_0:
        assert seed_0[table].read_bytes() != seed_1[table].read_bytes(), table


def test_parquet_equals_csv(tmp_path: Path) -> None:
    tables = read_csv_files(simulate(SMALL, tmp_path / "csv"))
    parquet_files = simulate(SMALL, tmp_path / "parquet", file_format="parquet")
    for table, from_csv in tables.items():
        from_parquet = pd.read_parquet(parquet_files[table])
        pd.testing.assert_frame_equal(from_csv, from_parquet, check_dtype=False, check_exact=False)


def test_progress_is_reported_after_each_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_CHUNK_LEADS", 100)
    progress = []
    simulate(SMALL, tmp_path, on_chunk=lambda done, total: progress.append((done, total)))
    assert progress == [(done, 600) for done in range(100, 700, 100)]


def test_chunks_continue_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_CHUNK_LEADS", 100)
    tables = read_csv_files(simulate(SMALL, tmp_path))
    assert tables["leads"]["lead_id"].is_unique
    assert len(tables["leads"]) == len(tables["truth"]) == 600
    assert tables["leads"]["created_at"].is_monotonic_increasing
    assert tables["activities"].drop_duplicates()["activity_id"].is_unique
    assert tables["leads"]["company_name"].nunique() <= 200


def test_all_files_are_marked_as_simulated(tmp_path: Path) -> None:
    files = simulate(SMALL, tmp_path)
    assert (tmp_path / "README.txt").read_text().startswith("SIMULATED")
    text = (tmp_path / "leadscore.toml").read_text()
    assert text.startswith("# SIMULATED")
    assert tomllib.loads(text)["project"]["simulated"] is True
    leads = pd.read_csv(files["leads"])
    assert leads["email"].str.startswith("simulated.").all()
    assert leads["company_name"].str.startswith("Example ").all()


def test_project_file_names_only_what_exists(tmp_path: Path) -> None:
    files = simulate(SMALL, tmp_path, file_format="parquet")
    project = tomllib.loads((tmp_path / "leadscore.toml").read_text())
    for table in TIMES:
        keys = project[table]
        assert tmp_path / keys.pop("source") == files[table]
        assert set(keys.values()) <= set(pd.read_parquet(files[table]).columns)
    columns = project["columns"]
    attributes = columns["ignore"] + columns["known_later"] + columns["sensitive"]
    assert set(attributes) <= set(pd.read_parquet(files["leads"]).columns)
    assert columns["nothing"] == NOTHING
    assert project["learn"]["horizon_days"] == HORIZON_DAYS


# --- the truth


def test_truth_ranks_well_but_not_perfectly(mature: pd.DataFrame) -> None:
    is_won = mature["is_won_in_time"]
    ranks = rankdata(mature["true_probability"])
    n_won, n_lost = is_won.sum(), (~is_won).sum()
    auc = (ranks[is_won].sum() - n_won * (n_won + 1) / 2) / (n_won * n_lost)
    assert 0.80 < auc < 0.86


def test_base_rate_is_that_of_a_crm(mature: pd.DataFrame) -> None:
    assert 0.12 < mature["is_won_in_time"].mean() < 0.20


def assert_truth_is_calibrated(group: pd.DataFrame) -> None:
    """Check that the share of wins is within four standard errors of the mean probability."""
    chance = group["true_probability"]
    standard_error = np.sqrt((chance * (1 - chance)).sum()) / len(group)
    assert abs(group["is_won_in_time"].mean() - chance.mean()) < 4 * standard_error


def test_truth_is_calibrated_over_all_leads(mature: pd.DataFrame) -> None:
    assert_truth_is_calibrated(mature)


@pytest.mark.parametrize("decile", range(10))
def test_truth_is_calibrated_in_each_decile(mature: pd.DataFrame, decile: int) -> None:
    deciles = pd.qcut(mature["true_probability"], 10, labels=False)
    assert_truth_is_calibrated(mature[deciles == decile])


@pytest.mark.parametrize("column", ["age_band", "email_kind", "has_early_visit"])
def test_no_attribute_predicts_better_than_the_truth(
    crm: Tables, mature: pd.DataFrame, column: str
) -> None:
    visits = crm["activities"].merge(crm["leads"][["lead_id", "created_at"]], on="lead_id")
    is_early = visits["occurred_at"] <= visits["created_at"]
    leads = mature.assign(
        email_kind=mature["email"].str.extract(r"@(.*?)[\d.]")[0],
        has_early_visit=mature["lead_id"].isin(visits.loc[is_early, "lead_id"]),
    )
    groups = [group for _, group in leads.groupby(column, dropna=False)]
    assert len(groups) > 1
    for group in groups:
        assert_truth_is_calibrated(group)


@pytest.mark.parametrize(
    ("column", "value", "least_gap"),
    [("source", "Paid search", 0.02), ("industry", "Manufacturing", 0.04)],
)
def test_drift_reverses_an_effect(
    leads: pd.DataFrame, column: str, value: str, least_gap: float
) -> None:
    opens_at = pd.Timestamp(SETTINGS.opens_at)
    drifts_at = opens_at + pd.Timedelta(days=SETTINGS.days * SETTINGS.drift_at)

    def gap(leads: pd.DataFrame) -> float:
        """Compute how much likelier leads with the value are to be won than leads without it."""
        chance, has_value = leads["true_probability"], leads[column] == value
        return float(chance[has_value].mean() - chance[~has_value].mean())

    assert gap(leads[leads["created_at"] < drifts_at]) > least_gap
    assert gap(leads[leads["created_at"] >= drifts_at]) < -least_gap


def test_no_drift_at_the_end_of_the_window(tmp_path: Path) -> None:
    settings = Simulation(leads=5_000, activities_per_lead=1, drift_at=1)
    tables = read_csv_files(simulate(settings, tmp_path))
    newest = tables["leads"].merge(tables["truth"]).tail(1_250)
    is_paid_search = newest["source"] == "Paid search"
    chance = newest["true_probability"]
    assert chance[is_paid_search].mean() > chance[~is_paid_search].mean()


# --- the records


def test_contract_type_reveals_the_outcome(leads: pd.DataFrame) -> None:
    has_contract = leads["contract_type"].notna()
    outcome = leads["outcome"].fillna("open")
    assert 0.95 < has_contract[outcome == "won"].mean() < 0.99
    assert 0 < has_contract[outcome == "lost"].mean() < 0.02
    assert not has_contract[outcome == "open"].any()


@pytest.mark.parametrize(("table", "time"), TIMES.items())
def test_nothing_is_recorded_after_the_export(crm: Tables, table: str, time: str) -> None:
    assert crm[table][time].max() <= SETTINGS.as_of


@pytest.mark.parametrize("table", ["activities", "stages", "outcomes"])
def test_every_record_belongs_to_a_lead(crm: Tables, table: str) -> None:
    assert crm[table]["lead_id"].isin(crm["leads"]["lead_id"]).all()


# --- activities


def test_number_of_activities_is_near_the_setting(crm: Tables) -> None:
    assert len(crm["activities"]) / SETTINGS.leads == pytest.approx(6, rel=0.1)


def test_activities_have_ten_types_and_many_contents(crm: Tables) -> None:
    activities = crm["activities"]
    assert activities["type"].nunique() == 10
    assert 70 <= activities["content"].nunique() <= 90
    assert set(activities["channel"]) == {"email", "web", "phone", "event"}
    assert activities["value"].isna().mean() > 0.5


def test_few_activities_are_recorded_twice(crm: Tables) -> None:
    activities = crm["activities"]
    is_duplicate = activities.duplicated()
    assert 0.001 < is_duplicate.mean() < 0.01
    assert activities.loc[~is_duplicate, "activity_id"].is_unique


def test_activities_before_creation_are_page_views(crm: Tables, leads: pd.DataFrame) -> None:
    activities = crm["activities"].merge(leads[["lead_id", "created_at"]])
    is_early = activities["occurred_at"] <= activities["created_at"]
    assert 0 < is_early.mean() < 0.02
    assert set(activities.loc[is_early, "type"]) == {"page_view"}


def test_activities_after_closing_are_onboarding_calls(crm: Tables, leads: pd.DataFrame) -> None:
    activities = crm["activities"].merge(leads[["lead_id", "closed_at"]])
    is_late = activities["occurred_at"] >= activities["closed_at"]
    assert 0 < is_late.mean() < 0.05
    assert is_late.equals(activities["content"] == "onboarding call")


def test_won_leads_have_more_demos_and_meetings(crm: Tables, leads: pd.DataFrame) -> None:
    is_eager = crm["activities"]["type"].isin(["demo_request", "meeting"])
    outcome = crm["activities"]["lead_id"].map(leads.set_index("lead_id")["outcome"])
    assert is_eager[outcome == "won"].mean() > 2 * is_eager[outcome == "lost"].mean()


# --- stages

STAGE_RANKS = {
    "new": 0,
    "marketing_qualified": 1,
    "sales_accepted": 2,
    "opportunity": 3,
    "won": 4,
    "lost": 4,
}


def test_stages_move_forward(crm: Tables) -> None:
    stages = crm["stages"]
    assert set(stages["stage"]) == set(STAGE_RANKS)
    rank = stages["stage"].map(STAGE_RANKS)
    has_earlier_stage = stages["lead_id"].eq(stages["lead_id"].shift())
    assert (rank.diff()[has_earlier_stage] > 0).all()
    assert (stages["entered_at"].diff()[has_earlier_stage] > pd.Timedelta(0)).all()
    assert (stages.loc[~has_earlier_stage, "stage"] == "new").all()


def test_last_stage_equals_the_outcome(crm: Tables) -> None:
    last_stages = crm["stages"][crm["stages"]["stage"].isin(["won", "lost"])]
    closed = last_stages.merge(crm["outcomes"], on="lead_id", how="outer")
    assert (closed["stage"] == closed["outcome"]).all()
    assert (closed["entered_at"] == closed["closed_at"]).all()


# --- outcomes


def test_outcomes_include_late_wins_and_open_leads(leads: pd.DataFrame) -> None:
    won = leads[leads["outcome"] == "won"]
    assert (won["age"] > HORIZON).mean() > 0.03
    assert leads["outcome"].isna().mean() > 0.2


def test_lost_leads_close_within_200_days(leads: pd.DataFrame) -> None:
    ages = leads.loc[leads["outcome"] == "lost", "age"]
    assert ages.between(pd.Timedelta(days=5), pd.Timedelta(days=200)).all()


def test_only_won_leads_have_an_amount(leads: pd.DataFrame) -> None:
    assert leads["amount"].notna().equals(leads["outcome"] == "won")


def test_only_lost_leads_have_a_reason(leads: pd.DataFrame) -> None:
    has_reason = leads["reason"].notna()
    assert not has_reason[leads["outcome"] == "won"].any()
    assert has_reason[leads["outcome"] == "lost"].mean() > 0.7


def test_large_companies_pay_more(leads: pd.DataFrame) -> None:
    won = leads[leads["outcome"] == "won"]
    is_large = won["employees"] > 1_000
    assert won.loc[is_large, "amount"].median() > won.loc[~is_large, "amount"].median()


# --- attributes


def test_industries_are_written_untidily(crm: Tables) -> None:
    industry = crm["leads"]["industry"].dropna()
    assert set(NOTHING) <= set(industry)
    assert (industry != industry.str.strip()).any()
    assert industry.str.strip().str.lower().nunique() == 10 + len(NOTHING)


@pytest.mark.parametrize(
    "column",
    [
        "industry",
        "employees",
        "campaign",
        "job_title",
        "preferred_channel",
        "email_opt_in",
        "phone_opt_in",
        "budget_eur",
        "age_band",
    ],
)
def test_attribute_has_missing_cells(crm: Tables, column: str) -> None:
    assert crm["leads"][column].isna().any()


def test_attributes_have_as_many_values_as_in_a_real_crm(crm: Tables) -> None:
    leads = crm["leads"]
    assert leads["source"].nunique() == 8
    assert 55 <= leads["campaign"].nunique() <= 65
    assert leads["job_title"].nunique() == 300
    assert leads.groupby("company_name").size().mean() > 2


def test_emails_end_in_the_domains_of_examples(crm: Tables) -> None:
    assert crm["leads"]["email"].str.endswith(("gmail.com", ".example")).any()


def test_few_leads_visit_the_website_very_often(crm: Tables) -> None:
    visits = crm["leads"]["website_visits_before"]
    assert visits.max() > 20 * visits.median()


def test_leads_without_a_budget_are_won_less_often(leads: pd.DataFrame) -> None:
    is_missing = leads["budget_eur"].isna()
    chance = leads["true_probability"]
    assert chance[is_missing].mean() < 0.7 * chance[~is_missing].mean()


# --- refusals


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"leads": 499}, "`leads` is 499. Expected a whole number from 500"),
        ({"leads": 1e4}, "`leads` is 10000.0. Expected a whole number"),
        ({"leads": True}, "`leads` is True. Expected a whole number"),
        ({"activities_per_lead": 0.5}, "`activities_per_lead` is 0.5. Expected a number from 1 to"),
        ({"activities_per_lead": float("nan")}, "`activities_per_lead` is nan"),
        ({"seed": -1}, "`seed` is -1. Expected a whole number from 0"),
        ({"seed": "x"}, "`seed` is 'x'"),
        ({"days": 30}, "`days` is 30. Expected a whole number from 120"),
        ({"drift_at": 1.5}, "`drift_at` is 1.5. Expected a number from 0 to 1"),
        ({"start": "yesterday"}, "`start` is 'yesterday'. Expected a day from 1970 to 2200"),
        ({"start": date(1900, 1, 1)}, '`start` is .* Write it as "2024-01-01"'),
        ({"start": datetime(2024, 1, 1, 9)}, "`start` is "),  # noqa: DTZ001
        ({"start": None}, "`start` is None"),
        ({"drifts": [DRIFT]}, "`drifts` is .*. Expected a tuple of `Drift`"),
        ({"drifts": ("concept",)}, "`drifts` is .'concept',.. Expected a tuple of `Drift`"),
        (
            {"drifts": (DRIFT,), "days": 200},
            "The drift concept@2025-01-01:1 begins on 2025-01-01, outside the window. "
            "Expected a day from 2024-01-01 to 2024-07-18. Choose one, or change `start`",
        ),
        ({"seasonality": 4}, "`seasonality` is 4. Expected a number from 0 to 3"),
        ({"surge_at": "soon"}, "`surge_at` is 'soon'. Expected a day from 1970 to 2200"),
        ({"surge_at": "2023-12-31"}, "The surge begins on 2023-12-31, outside the window"),
    ],
)
def test_settings_out_of_range_are_refused(setting: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Simulation(**setting)


def test_every_setting_has_a_case_that_is_refused() -> None:
    cases = test_settings_out_of_range_are_refused.pytestmark[0].args[1]
    refused = {name for setting, _ in cases for name in setting}
    assert refused == {field.name for field in fields(Simulation)}


def test_start_may_be_text() -> None:
    from_text = Simulation(start="2024-02-29")
    assert from_text.opens_at == Simulation(start=date(2024, 2, 29)).opens_at


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`file_format` is 'xlsx'. Expected 'csv' or 'parquet'"):
        simulate(SMALL, tmp_path, file_format=cast(Any, "xlsx"))


def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "demo"
    file.touch()
    with pytest.raises(ConfigError, match="demo is a file. Expected a folder"):
        simulate(SMALL, file)


@pytest.mark.parametrize("name", ["leads.csv", "README.txt", "leadscore.toml"])
def test_foreign_files_are_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"already contains {name}, not written by a simulation"):
        simulate(SMALL, tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_earlier_simulation_is_replaced_and_other_files_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("mine")
    simulate(SMALL, tmp_path)
    with (tmp_path / "README.txt").open("a") as readme:
        readme.write("- notes.csv\n")
    files = simulate(SMALL, tmp_path, file_format="parquet")
    tables = {path.name for path in files.values()}
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"notes.csv", "README.txt", "leadscore.toml", *tables}


def test_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_CHUNK_LEADS", 300)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(SMALL, tmp_path, on_chunk=interrupt)
    assert list(tmp_path.iterdir()) == []
