"""The rows of a report: what counts as of a moment, what is mature, and what is filtered."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.errors import ConfigError, LearningError
from crm.project import load_project
from crm.reading import read_records
from crm.times import DAY, NOT_A_TIME
from features.events import NEVER
from reports.rows.rows import make_rows
from reports.rows.scored import sample

NOW = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
PROJECT = """
project.name = "acme"
leads = {source = "leads.csv"}
activities = {source = "activities.csv"}
stages = {source = "stages.csv"}
outcomes = {source = "outcomes.csv"}
learn = {won = ["won"], lost = ["lost"], horizon_days = 30}
"""
LEADS = """lead_id,created_at,source,industry
a,2025-01-01T00:00Z,Fair,Retail
b,2025-01-01T00:00Z,Mail,Retail
c,2025-01-02T00:00Z,fair,Energy
d,2025-03-01T00:00Z,Mail,Energy
e,2025-05-20T00:00Z,Fair,Retail
"""
ACTIVITIES = """lead_id,type,occurred_at
a,mail,2025-01-01T12:00Z
a,call,2025-01-02T00:00Z
a,call,2025-01-03T00:00Z
b,mail,2025-01-05T00:00Z
e,mail,2025-05-21T00:00Z
"""
STAGES = """lead_id,stage,entered_at
a,new,2025-01-01T00:00Z
b,new,2025-01-01T00:00Z
c,new,2025-01-02T00:00Z
a,offer,2025-01-10T00:00Z
c,offer,2025-01-12T00:00Z
a,won,2025-01-20T00:00Z
"""
OUTCOMES = """lead_id,outcome,closed_at,amount,reason
a,won,2025-01-20T00:00Z,100,
b,lost,2025-01-25T00:00Z,,no budget
c,won,2025-03-20T00:00Z,50,
"""


def crm(folder: Path, project: str = PROJECT):
    tables = {"leads": LEADS, "activities": ACTIVITIES, "stages": STAGES, "outcomes": OUTCOMES}
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    (folder / "leadscore.toml").write_text(project)
    found = load_project(folder)
    return found, read_records(found, NOW)


def at(text: str) -> int:
    return pd.Timestamp(text, tz="UTC").value // 1_000


@pytest.fixture
def rows(tmp_path):
    return make_rows(*crm(tmp_path), NOW)


def test_as_of_is_the_newest_time_in_the_records(rows) -> None:
    assert rows.as_of == at("2025-05-21")


def test_win_counts_only_within_the_horizon(rows) -> None:
    assert rows.is_won.tolist() == [True, False, True, False, False]
    assert rows.won.tolist() == [True, False, False, False, False]


def test_lead_is_mature_after_its_horizon(rows) -> None:
    assert rows.is_mature.tolist() == [True, True, True, True, False]
    assert rows.rate == (1, 4)


def test_amounts_and_reasons_come_from_the_outcome(rows) -> None:
    assert rows.amount.tolist() == [100, 0, 50, 0, 0]
    assert rows.reason.tolist() == [None, "no budget", None, None, None]


def test_spellings_of_a_source_are_merged(tmp_path) -> None:
    project, records = crm(tmp_path)
    many = pd.concat(
        [records.leads.assign(lead_id=records.leads["lead_id"] + str(i)) for i in range(40)]
    )
    found = make_rows(project, replace(records, leads=many.reset_index(drop=True)), NOW)
    assert found.source is not None
    assert found.source.names == ("Fair", "Mail")
    assert np.bincount(found.source.code).tolist() == [120, 80]


def test_outcome_stage_is_not_a_step(rows) -> None:
    assert rows.funnel is not None
    assert rows.funnel.stages == ("new", "offer")
    assert rows.funnel.endings == ("won",)
    assert rows.funnel.furthest.tolist() == [1, 0, 1, -1, -1]
    assert rows.funnel.current.tolist() == [1, 0, 1, -1, -1]


def test_sales_activities_are_recognised_by_name(rows) -> None:
    assert rows.sales == ("call",)
    assert rows.first_sales_at.tolist() == [at("2025-01-02"), *[NEVER] * 4]
    later = rows.first_sales_after(rows.created + 2 * DAY)
    assert later.tolist() == [at("2025-01-03"), *[NEVER] * 4]


def test_only_named_channels_are_sales_work(tmp_path) -> None:
    head, *lines = ACTIVITIES.splitlines()
    channels = ("Phone", "Robot", "phone", "", "Phone")
    text = "\n".join([f"{head},channel", *map(",".join, zip(lines, channels, strict=True))])
    with_channel = PROJECT.replace('"activities.csv"', '"spoken.csv"')
    (tmp_path / "spoken.csv").write_text(text)
    first = make_rows(*crm(tmp_path, with_channel), NOW).first_sales_at
    assert first.tolist() == [at("2025-01-02"), *[NEVER] * 4]
    named = 'report = {sales_activities = ["call", "mail"], sales_channels = ["PHONE"]}\n'
    rows = make_rows(*crm(tmp_path, with_channel + named), NOW)
    after = rows.first_sales_after(rows.created + DAY)
    assert after.tolist() == [at("2025-01-03"), *[NEVER] * 3, at("2025-05-21")]
    wrong = with_channel + 'report = {sales_channels = ["Phon"]}\n'
    with pytest.raises(ConfigError, match="the channel `Phon`. Did you mean `phone`"):
        make_rows(*crm(tmp_path, wrong), NOW)
    with pytest.raises(ConfigError, match="the activities have no channel"):
        make_rows(*crm(tmp_path, PROJECT + named), NOW)


def test_first_and_last_activities(rows) -> None:
    assert rows.log is not None
    assert rows.log.counts(5).tolist() == [3, 1, 0, 0, 1]
    assert rows.log.first_at(5)[:2].tolist() == [at("2025-01-01 12:00"), at("2025-01-05")]
    assert rows.log.last_at(5)[:2].tolist() == [at("2025-01-03"), at("2025-01-05")]


def test_events_after_as_of_do_not_count(tmp_path) -> None:
    then = datetime.datetime(2025, 1, 11, tzinfo=datetime.UTC)
    rows = make_rows(*crm(tmp_path), then)
    assert len(rows) == 3
    assert rows.is_open.all()
    assert rows.log is not None
    assert rows.log.counts(3).tolist() == [3, 1, 0]
    assert rows.funnel is not None
    assert rows.funnel.furthest.tolist() == [1, 0, 0]
    assert rows.rate == (0, 0)


def test_open_at_and_won_within(rows) -> None:
    lead = np.arange(3)
    moment = np.full(3, at("2025-01-22"))
    assert rows.open_at(lead, moment).tolist() == [False, True, True]
    assert rows.won_within(lead, np.full(3, at("2025-03-01"))).tolist() == [False, False, True]


def test_since_keeps_leads_created_from_that_day(tmp_path) -> None:
    since = datetime.datetime(2025, 1, 2, tzinfo=datetime.UTC)
    rows = make_rows(*crm(tmp_path), NOW, since=since)
    assert rows.table()["lead_id"].tolist() == ["c", "d", "e"]
    assert rows.log is not None
    assert rows.log.counts(3).tolist() == [0, 0, 1]


def test_segment_ignores_case(tmp_path) -> None:
    rows = make_rows(*crm(tmp_path), NOW, segment=("industry", "RETAIL"))
    assert rows.table()["lead_id"].tolist() == ["a", "b", "e"]


def test_unknown_segment_is_refused(tmp_path) -> None:
    project, records = crm(tmp_path)
    with pytest.raises(ConfigError, match="no lead has `industry` = `Retal`.\nDid you mean"):
        make_rows(project, records, NOW, segment=("industry", "Retal"))
    with pytest.raises(ConfigError, match="no column `indutry`.\nDid you mean `industry`"):
        make_rows(project, records, NOW, segment=("indutry", "Retail"))


def test_filters_without_leads_are_refused(tmp_path) -> None:
    with pytest.raises(LearningError, match="No lead is left to report on"):
        make_rows(*crm(tmp_path), NOW, since=NOW)


def test_unknown_stage_in_the_project_is_refused(tmp_path) -> None:
    rows = make_rows(*crm(tmp_path), NOW)
    assert rows.funnel is not None
    with pytest.raises(ConfigError, match="there is no stage `ofer`. Did you mean `offer`?"):
        rows.funnel.place("ofer")


def test_activities_are_stages_only_if_declared(tmp_path) -> None:
    bare = PROJECT.replace('stages = {source = "stages.csv"}\n', "")
    rows = make_rows(*crm(tmp_path, bare), NOW)
    assert rows.funnel is None
    named = bare + 'report = {stage_activities = ["mail", "call"]}\n'
    rows = make_rows(*crm(tmp_path, named), NOW)
    assert rows.funnel is not None
    assert rows.funnel.stages == ("mail", "call")
    assert rows.funnel.furthest.tolist() == [1, 0, -1, -1, 0]
    assert rows.is_touch.tolist() == [False, False]
    with pytest.raises(ConfigError, match="no activity of type `mial`. Did you mean `mail`?"):
        make_rows(*crm(tmp_path, bare + 'report = {stage_activities = ["mial"]}\n'), NOW)


def test_leads_without_times_have_no_as_of(tmp_path) -> None:
    (tmp_path / "leads.csv").write_text("lead_id,won\na,yes\nb,no\nc,\n")
    (tmp_path / "leadscore.toml").write_text("""
        project.name = "acme"
        leads = {source = "leads.csv", outcome = "won"}
        learn = {won = ["yes"], lost = ["no"]}
    """)
    project = load_project(tmp_path)
    rows = make_rows(project, read_records(project, NOW), NOW)
    assert rows.as_of == NOT_A_TIME
    assert rows.is_mature.tolist() == [True, True, False]
    assert rows.rate == (1, 2)
    with pytest.raises(ConfigError, match="--since needs a time of creation"):
        make_rows(project, read_records(project, NOW), NOW, since=NOW)


def test_scores_equal_the_scorer(simulated_crm, trained) -> None:
    project = load_project(simulated_crm)
    records = read_records(project)
    rows = make_rows(project, records, NOW, trained.scorer)
    assert rows.now is not None
    assert len(rows.now) == rows.is_open.sum() > 100
    expected = trained.scorer.score_table(
        rows.records.leads.iloc[rows.now.lead],
        activities=records.activities,
        stages=records.stages,
        as_of=NOW,
    )
    assert rows.now.probability == pytest.approx(expected["probability"].to_numpy())
    assert rows.now.grade.tolist() == expected["grade"].tolist()
    assert rows.before is not None
    assert (rows.before.as_of == rows.as_of - rows.horizon).all()


def test_sample_is_reproducible_and_in_order() -> None:
    assert sample(5, 9).tolist() == [0, 1, 2, 3, 4]
    drawn = sample(1_000, 10)
    assert drawn.tolist() == sample(1_000, 10).tolist()
    assert (np.diff(drawn) > 0).all()
    assert len(drawn) == 10
