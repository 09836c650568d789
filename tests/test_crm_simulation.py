"""The simulated CRM: its truth is exact, its flaws are there, its files are all or nothing."""

import tomllib
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from crm.errors import ConfigError
from crm.simulation import world as simulated_world
from crm.simulation.simulator import HORIZON_DAYS, Simulation, simulate

SETTINGS = Simulation(leads=40_000, activities_per_lead=6, seed=7)
SMALL = Simulation(leads=600, activities_per_lead=3, days=200)
TIMES = {
    "leads": "created_at",
    "activities": "occurred_at",
    "stages": "entered_at",
    "outcomes": "closed_at",
}
NOTHING = ["unknown", "-", "Select"]


def read(files: Any) -> Any:
    tables = {table: pd.read_csv(file) for table, file in files.items()}
    for table, column in TIMES.items():
        tables[table][column] = pd.to_datetime(tables[table][column], utc=True)
    return tables


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return read(simulate(SETTINGS, tmp_path_factory.mktemp("crm")))


@pytest.fixture(scope="module")
def known(crm: Any) -> Any:
    """One row per lead, with truth and outcome, and whether it was won within the horizon."""
    known = crm["leads"].merge(crm["truth"], on="lead_id", validate="1:1")
    known = known.merge(crm["outcomes"], on="lead_id", how="left", validate="1:1")
    known["age"] = known["closed_at"] - known["created_at"]
    in_time = known["age"] <= pd.Timedelta(days=HORIZON_DAYS)
    known["is_won_in_time"] = (known["outcome"] == "won") & in_time
    known["is_mature"] = known["created_at"] <= SETTINGS.as_of - pd.Timedelta(days=HORIZON_DAYS)
    return known


# --- the files


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_same_settings_give_the_same_bytes(tmp_path: Path, file_format: str) -> None:
    first = simulate(SMALL, tmp_path / "first", file_format=file_format)
    second = simulate(SMALL, tmp_path / "second", file_format=file_format)
    assert list(first) == ["leads", "activities", "stages", "outcomes", "truth"]
    written = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert len(written) == 7
    for name in written:
        left, right = tmp_path / "first" / name, tmp_path / "second" / name
        assert left.read_bytes() == right.read_bytes(), name
    assert second["leads"] == tmp_path / "second" / f"leads.{file_format}"


def test_another_seed_gives_other_leads(tmp_path: Path) -> None:
    first = simulate(SMALL, tmp_path / "first")
    other = simulate(
        Simulation(leads=600, activities_per_lead=3, days=200, seed=1), tmp_path / "other"
    )
    for table in first:
        assert first[table].read_bytes() != other[table].read_bytes(), table


def test_parquet_equals_csv(tmp_path: Path) -> None:
    csv = read(simulate(SMALL, tmp_path / "csv"))
    parquet = simulate(SMALL, tmp_path / "parquet", file_format="parquet")
    for table, frame in csv.items():
        pd.testing.assert_frame_equal(
            frame, pd.read_parquet(parquet[table]), check_dtype=False, check_exact=False
        )


def test_chunk_size_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_world, "_CHUNK_LEADS", 100)
    seen = []
    tables = read(simulate(SMALL, tmp_path, on_chunk=lambda *done: seen.append(done)))
    assert seen == [(done, 600) for done in range(100, 700, 100)]
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
        roles = project[table]
        assert tmp_path / roles.pop("source") == files[table]
        assert set(roles.values()) <= set(pd.read_parquet(files[table]).columns)
    columns = project["columns"]
    named = columns["ignore"] + columns["known_later"] + columns["sensitive"]
    assert set(named) <= set(pd.read_parquet(files["leads"]).columns)
    assert columns["nothing"] == NOTHING
    assert project["learn"]["horizon_days"] == HORIZON_DAYS


# --- the truth


def test_truth_ranks_well_but_not_too_well(known: Any) -> None:
    mature = known[known["is_mature"]]
    won, ranks = mature["is_won_in_time"], rankdata(mature["true_probability"])
    winners, losers = won.sum(), (~won).sum()
    auc = (ranks[won].sum() - winners * (winners + 1) / 2) / (winners * losers)
    assert 0.80 < auc < 0.86


def test_base_rate_is_that_of_a_crm(known: Any) -> None:
    assert 0.12 < known.loc[known["is_mature"], "is_won_in_time"].mean() < 0.20


def test_truth_is_calibrated_in_all_and_per_decile(known: Any) -> None:
    mature = known[known["is_mature"]]
    decile = pd.qcut(mature["true_probability"], 10, labels=False)
    groups = [mature, *(group for _, group in mature.groupby(decile))]
    assert len(groups) == 11
    for group in groups:
        chance = group["true_probability"]
        error = np.sqrt((chance * (1 - chance)).sum()) / len(group)
        assert abs(group["is_won_in_time"].mean() - chance.mean()) < 4 * error


@pytest.mark.parametrize("column", ["age_band", "email_kind", "early_visit"])
def test_no_attribute_predicts_better_than_the_truth(crm: Any, known: Any, column: str) -> None:
    mature = known[known["is_mature"]].copy()
    mature["email_kind"] = mature["email"].str.extract(r"@(.*?)[\d.]")[0]
    views = crm["activities"].merge(crm["leads"][["lead_id", "created_at"]], on="lead_id")
    early = views.loc[views["occurred_at"] <= views["created_at"], "lead_id"]
    mature["early_visit"] = mature["lead_id"].isin(early)
    groups = [group for _, group in mature.groupby(column, dropna=False)]
    assert len(groups) > 1
    for group in groups:
        chance = group["true_probability"]
        error = np.sqrt((chance * (1 - chance)).sum()) / len(group)
        assert abs(group["is_won_in_time"].mean() - chance.mean()) < 4 * error


def test_drift_changes_the_effects(known: Any) -> None:
    start = pd.Timestamp(SETTINGS.opens_at)
    after = known["created_at"] >= start + pd.Timedelta(days=SETTINGS.days * SETTINGS.drift_at)

    def gap(mask: Any) -> Any:
        chance = known["true_probability"]
        return [
            chance[mask & late].mean() - chance[~mask & late].mean() for late in (~after, after)
        ]

    before, later = gap(known["source"] == "Paid search")
    assert before > 0.02
    assert later < -0.02
    before, later = gap(known["industry"] == "Manufacturing")
    assert before > 0.04
    assert later < -0.04


def test_no_drift_at_the_end_of_the_window(tmp_path: Path) -> None:
    settings = Simulation(leads=5_000, activities_per_lead=1, drift_at=1)
    tables = read(simulate(settings, tmp_path))
    known = tables["leads"].merge(tables["truth"])
    newest = known.tail(1_250)
    paid = newest["source"] == "Paid search"
    chance = newest["true_probability"]
    assert chance[paid].mean() > chance[~paid].mean()


# --- the records


def test_planted_leak_exists(known: Any) -> None:
    filled = known["contract_type"].notna()
    outcome = known["outcome"].fillna("open")
    assert 0.95 < filled[outcome == "won"].mean() < 0.99
    assert 0 < filled[outcome == "lost"].mean() < 0.02
    assert not filled[outcome == "open"].any()


@pytest.mark.parametrize("table", TIMES)
def test_nothing_is_recorded_after_the_export(crm: Any, table: Any) -> None:
    assert crm[table][TIMES[table]].max() <= SETTINGS.as_of


@pytest.mark.parametrize("table", ["activities", "stages", "outcomes"])
def test_every_record_belongs_to_a_lead(crm: Any, table: str) -> None:
    assert crm[table]["lead_id"].isin(crm["leads"]["lead_id"]).all()


def test_number_of_activities_is_near_the_setting(crm: Any) -> None:
    assert len(crm["activities"]) / SETTINGS.leads == pytest.approx(6, rel=0.1)


def test_all_ten_types_occur_with_many_contents(crm: Any) -> None:
    assert crm["activities"]["type"].nunique() == 10
    assert 70 <= crm["activities"]["content"].nunique() <= 90
    assert set(crm["activities"]["channel"]) == {"email", "web", "phone", "event"}
    assert crm["activities"]["value"].isna().mean() > 0.5


def test_some_activities_are_recorded_twice(crm: Any) -> None:
    activities = crm["activities"]
    again = activities.duplicated()
    assert 0.001 < again.mean() < 0.01
    assert activities.loc[~again, "activity_id"].is_unique


def test_activities_are_between_creation_and_closing(crm: Any, known: Any) -> None:
    activities = crm["activities"].merge(known[["lead_id", "created_at", "closed_at"]])
    early = activities["occurred_at"] <= activities["created_at"]
    assert 0 < early.mean() < 0.02
    assert set(activities.loc[early, "type"]) == {"page_view"}
    late = activities["occurred_at"] >= activities["closed_at"]
    assert 0 < late.mean() < 0.05
    assert set(activities.loc[late, "content"]) == {"onboarding call"}
    assert not (activities.loc[~late, "content"] == "onboarding call").any()


def test_won_leads_have_more_demos_and_meetings(crm: Any, known: Any) -> None:
    eager = crm["activities"]["type"].isin(["demo_request", "meeting"])
    outcome = crm["activities"]["lead_id"].map(known.set_index("lead_id")["outcome"])
    assert eager[outcome == "won"].mean() > 2 * eager[outcome == "lost"].mean()


def test_stages_move_forward_from_new_to_the_closing(crm: Any, known: Any) -> None:
    stages = crm["stages"]
    order = ["new", "marketing_qualified", "sales_accepted", "opportunity", "won", "lost"]
    assert set(stages["stage"]) == set(order)
    rank = stages["stage"].map({stage: min(n, 4) for n, stage in enumerate(order)})
    follows = stages["lead_id"].eq(stages["lead_id"].shift())
    assert (rank.diff()[follows] > 0).all()
    assert (stages["entered_at"].diff()[follows] > pd.Timedelta(0)).all()
    assert (stages.loc[~follows, "stage"] == "new").all()
    closing = stages[rank == 4].merge(crm["outcomes"], on="lead_id", how="outer")
    assert (closing["stage"] == closing["outcome"]).all()
    assert (closing["entered_at"] == closing["closed_at"]).all()


def test_outcomes_include_late_lost_and_open_leads(known: Any) -> None:
    won, lost = known["outcome"] == "won", known["outcome"] == "lost"
    assert (known["age"] > pd.Timedelta(days=HORIZON_DAYS))[won].mean() > 0.03
    assert known["outcome"].isna().mean() > 0.2
    days = known["age"].dt.total_seconds() / 86_400
    assert days[lost].between(5, 200).all()
    assert known["amount"].notna().equals(won)
    assert not known.loc[won, "reason"].notna().any()
    assert known.loc[lost, "reason"].notna().mean() > 0.7
    large = known["employees"] > 1_000
    assert known.loc[won & large, "amount"].median() > known.loc[won & ~large, "amount"].median()


def test_leads_have_the_errors_of_a_real_crm(crm: Any) -> None:
    leads = crm["leads"]
    industry = leads["industry"].dropna()
    assert set(NOTHING) <= set(industry)
    assert (industry != industry.str.strip()).any()
    assert industry.str.strip().str.lower().nunique() == 10 + len(NOTHING)
    missing = [
        "industry",
        "employees",
        "campaign",
        "job_title",
        "preferred_channel",
        "email_opt_in",
        "phone_opt_in",
        "budget_eur",
        "age_band",
    ]
    assert leads[missing].isna().any().all()
    assert leads["source"].nunique() == 8
    assert 55 <= leads["campaign"].nunique() <= 65
    assert leads["job_title"].nunique() == 300
    assert leads["email"].str.endswith(("gmail.com", ".example")).any()
    assert leads["website_visits_before"].max() > 20 * leads["website_visits_before"].median()
    assert leads.groupby("company_name").size().mean() > 2


def test_missing_budget_is_informative(known: Any) -> None:
    missing = known["budget_eur"].isna()
    chance = known["true_probability"]
    assert chance[missing].mean() < 0.7 * chance[~missing].mean()


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
    ],
)
def test_settings_out_of_range_are_refused(setting: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Simulation(**setting)


def test_every_setting_has_a_refusal() -> None:
    marks = test_settings_out_of_range_are_refused.pytestmark[0].args[1]
    assert {name for setting, _ in marks for name in setting} == {
        field.name for field in fields(Simulation)
    }


def test_start_is_a_day_or_its_text() -> None:
    assert Simulation(start="2024-02-29").opens_at == Simulation(start=date(2024, 2, 29)).opens_at


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`file_format` is 'xlsx'. Expected 'csv' or 'parquet'"):
        simulate(SMALL, tmp_path, file_format="xlsx")


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
    expected = {"notes.csv", "README.txt", "leadscore.toml", *(f.name for f in files.values())}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_world, "_CHUNK_LEADS", 300)

    def interrupt(done: Any, total: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(SMALL, tmp_path, on_chunk=interrupt)
    assert list(tmp_path.iterdir()) == []
