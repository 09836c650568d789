"""Which days and which leads the pages count, and which they do not."""

import datetime
from dataclasses import replace

import pandas as pd
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.times import DAY
from models.evaluation.comparisons import FEWEST_LEADS
from reports.pages.capacity import capacity_page
from reports.pages.month import month_page
from reports.pages.service_levels import service_page
from reports.rows.rows import make_rows

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PROJECT = """
project.name = "acme"
leads = {source = "leads.csv"}
activities = {source = "activities.csv"}
outcomes = {source = "outcomes.csv"}
learn = {won = ["won"], lost = ["lost"], horizon_days = 30}
"""


def figure(page, name):
    (found,) = [f for section in page.sections for f in section.figures if f.name == name]
    return found


@pytest.fixture
def exported(tmp_path):
    """Four leads a day up to Wednesday, 2025-04-30; mails go on for two weeks more."""
    days = pd.date_range("2025-01-01", "2025-04-30 23:00", freq="6h", tz="UTC")
    leads = pd.DataFrame({"lead_id": [f"l{i}" for i in range(len(days))], "created_at": days})
    leads["industry"] = ["Retail"] + ["Energy"] * (len(leads) - 1)
    leads.to_csv(tmp_path / "leads.csv", index=False)
    mails = pd.date_range("2025-01-01 12:00", "2025-05-14 12:00", freq="1D", tz="UTC")
    pd.DataFrame({"lead_id": "l0", "type": "mail", "occurred_at": mails}).to_csv(
        tmp_path / "activities.csv", index=False
    )
    closed = leads[::5].assign(outcome="won", closed_at=leads["created_at"] + pd.Timedelta("9D"))
    closed[["lead_id", "outcome", "closed_at"]].to_csv(tmp_path / "outcomes.csv", index=False)
    (tmp_path / "leadscore.toml").write_text(PROJECT)
    project = load_project(tmp_path)
    return project, read_records(project, NOW)


def test_filters_do_not_move_the_end_of_the_leads(exported) -> None:
    newest = pd.Timestamp("2025-04-30 18:00", tz="UTC").value // 1_000
    for segment in (None, ("industry", "Retail")):
        rows = make_rows(*exported, NOW, segment=segment)
        assert rows.leads_until == newest
        assert rows.leads_end_early


def test_export_that_ends_early_shows_no_fall_of_leads(exported) -> None:
    page = month_page(make_rows(*exported, NOW), [])
    (new, *_) = figure(page, "month-figures").rows
    assert (new["name"], new["value"], new["before"]) == ("New leads", 120, 120)
    assert "The newest lead is of 2025-04-30" in page.sections[0].paragraphs[0]
    assert not [said for said in page.takeaways if said.metric == "new_leads"]


def test_weeks_after_the_export_are_not_shown(exported) -> None:
    page = service_page(make_rows(*exported, NOW))
    weeks = figure(page, "service-weeks").rows
    assert [row["handed"] for row in weeks] == [28] * 13
    assert weeks[-1]["name"] == "2025-04-21"
    assert all(row["deals"] and row["revenue"] is None for row in weeks)  # no amounts at all
    assert "weeks are shown up to the newest lead" in page.sections[0].paragraphs[0]


def test_week_without_weekend_leads_is_complete(exported) -> None:
    project, records = exported
    until_friday = records.leads["created_at"] < pd.Timestamp("2025-04-26", tz="UTC")
    cut = replace(records, leads=records.leads[until_friday].reset_index(drop=True))
    weeks = figure(service_page(make_rows(project, cut, NOW)), "service-weeks").rows
    assert weeks[-1]["name"] == "2025-04-21"
    assert weeks[-1]["handed"] == 20


def test_leads_per_week_end_at_the_newest_week(simulated_crm, trained) -> None:
    project = load_project(simulated_crm)
    records = read_records(project)
    newest = records.leads["created_at"].max() - pd.Timedelta("40D")
    early = records.leads[records.leads["created_at"] <= newest].reset_index(drop=True)
    rows = make_rows(project, replace(records, leads=early), NOW, trained.scorer)
    everyone = figure(capacity_page(rows), "capacity-week").rows[-1]
    last = rows.created.max()
    assert rows.as_of - last > 30 * DAY
    assert everyone["x"] == pytest.approx((rows.created > last - 91 * DAY).sum() / 13)


def promises(folder, **changed):
    """What was promised of leads of which every fifth is called after an hour, and none else."""
    project = load_project(folder)
    records = read_records(project, NOW)
    called = records.leads[::5].assign(type="call")
    called["occurred_at"] = called["created_at"] + pd.Timedelta("1h")
    columns = ["lead_id", "type", "occurred_at"]
    activities = pd.concat([records.activities[columns], called[columns]]).sort_values(columns[2])
    records = replace(records, activities=activities.reset_index(drop=True), **changed)
    page = service_page(make_rows(project, records, NOW))
    return page, {
        row["name"].partition(": ")[2]: row for row in figure(page, "service-promises").rows
    }


TARGETS = """
[report.targets]
leads_per_week = {all = 29}
first_touch_hours = {all = 24}
worked_share = {all = 0.2}
won_share = {all = 0.2}
"""


def test_a_median_that_has_not_come_breaks_its_promise_and_old_leads_tell_conversion(
    exported, tmp_path
) -> None:
    project = PROJECT.replace("horizon_days = 30", "horizon_days = 91") + TARGETS
    (tmp_path / "leadscore.toml").write_text(project)
    page, found = promises(tmp_path)
    assert {name: row["kept"] for name, row in found.items()} == {
        "leads handed over a week": "no",
        "median hours to the first sales activity": "no",
        "share worked within 7 days": "yes",
        "share converted": "yes",
    }
    waited = found["median hours to the first sales activity"]
    assert waited["actual"] is None
    assert "most leads still wait" in figure(page, "service-promises").note
    mature = 4 * 26  # created from 1 January to 26 January, 91 days before 27 April
    assert found["share converted"]["n"] == mature
    weeks = figure(page, "service-weeks").rows
    assert sum(row["mature"] for row in weeks) == mature
    assert weeks[-1]["won_share"] == pytest.approx(0.2, abs=0.05)


def test_promises_need_enough_leads(exported, tmp_path) -> None:
    (tmp_path / "leadscore.toml").write_text(PROJECT + TARGETS)
    leads = exported[1].leads
    _, found = promises(tmp_path, leads=leads[::30].reset_index(drop=True))
    assert {row["kept"] for row in found.values()} == {"no", "too few leads"}
    assert found["leads handed over a week"]["kept"] == "no"
    assert found["share converted"]["n"] in range(1, 30)


@pytest.mark.parametrize("learned_to", ["2024-01-01", "2025-12-01"])
def test_training_leads_are_not_used_as_proof(simulated_crm, trained, learned_to) -> None:
    project = load_project(simulated_crm)
    then = datetime.datetime(2025, 8, 1, tzinfo=datetime.UTC)
    card = replace(trained.scorer.card, learned_from={"to": f"{learned_to}T00:00:00+00:00"})
    scorer = replace(trained.scorer, card=card)
    page = capacity_page(make_rows(project, read_records(project), then, scorer))
    (said,) = page.sections[1].paragraphs
    assert figure(page, "capacity-check").rows[0]["n"] > FEWEST_LEADS
    if learned_to.startswith("2025"):
        assert page.takeaways == ()
        assert "which flatters it" in said
    else:
        assert page.takeaways[0].sentence.endswith("The model has not learned from these leads.")
        assert said == "Only leads that the model has not learned from are shown."
