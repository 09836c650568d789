"""The rows of a report: what counts as of a moment, what is mature, and the filters."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.errors import ConfigError, LearningError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.times import DAY, NOT_A_TIME
from features.events import NEVER
from reports.rows.attribution import touches
from reports.rows.building import make_rows
from reports.rows.rows import ReportRows
from reports.rows.scored import sample
from tests.made_projects import project_of_tables
from training.train import Trained

NOW = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
PROJECT = project_of_tables("activities", "stages", "outcomes")
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


def crm(folder: Path, project: str = PROJECT) -> tuple[Project, Records]:
    tables = {"leads": LEADS, "activities": ACTIVITIES, "stages": STAGES, "outcomes": OUTCOMES}
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    (folder / "leadscore.toml").write_text(project)
    loaded = load_project(folder)
    return loaded, read_records(loaded, NOW)


def at(text: str) -> int:
    return int(pd.Timestamp(text, tz="UTC").value) // 1_000


@pytest.fixture
def rows(tmp_path: Path) -> ReportRows:
    return make_rows(*crm(tmp_path), NOW)


def test_the_moment_is_the_newest_time_in_the_records(rows: ReportRows) -> None:
    assert rows.as_of == at("2025-05-21")


def test_wins_count_within_the_horizon_only(rows: ReportRows) -> None:
    assert rows.is_won.tolist() == [True, False, True, False, False]
    assert rows.won.tolist() == [True, False, False, False, False]


def test_leads_are_mature_when_their_horizon_has_passed(rows: ReportRows) -> None:
    assert rows.is_mature.tolist() == [True, True, True, True, False]
    assert rows.rate == (1, 4)


def test_amounts_and_reasons_are_those_of_the_outcome(rows: ReportRows) -> None:
    assert rows.amount.tolist() == [100, 0, 50, 0, 0]
    assert rows.reason.tolist() == [None, "no budget", None, None, None]


def test_spellings_of_a_source_become_one_source(tmp_path: Path) -> None:
    project, records = crm(tmp_path)
    leads = pd.concat(
        [records.leads.assign(lead_id=records.leads["lead_id"] + str(i)) for i in range(40)]
    )
    source = make_rows(project, replace(records, leads=leads.reset_index(drop=True)), NOW).source
    assert source is not None
    assert source.names == ("Fair", "Mail")
    assert np.bincount(source.code).tolist() == [120, 80]


def test_a_stage_that_is_the_outcome_is_not_a_step(rows: ReportRows) -> None:
    assert rows.funnel is not None
    assert rows.funnel.stages == ("new", "offer")
    assert rows.funnel.endings == ("won",)
    assert rows.funnel.furthest.tolist() == [1, 0, 1, -1, -1]
    assert rows.funnel.current.tolist() == [1, 0, 1, -1, -1]


def test_sales_activities_are_recognized_by_name(rows: ReportRows) -> None:
    assert rows.sales == ("call",)
    assert rows.first_sales_at.tolist() == [at("2025-01-02"), *[NEVER] * 4]
    later = rows.first_sales_after(rows.created + 2 * DAY)
    assert later.tolist() == [at("2025-01-03"), *[NEVER] * 4]


def with_channels(folder: Path, report: str = "") -> tuple[Project, Records]:
    """Add a channel to each activity: phone, robot, phone, none, phone."""
    head, *lines = ACTIVITIES.splitlines()
    channels = ("Phone", "Robot", "phone", "", "Phone")
    text = "\n".join([f"{head},channel", *map(",".join, zip(lines, channels, strict=True))])
    (folder / "spoken.csv").write_text(text)
    return crm(folder, PROJECT.replace('"activities.csv"', '"spoken.csv"') + report)


def test_sales_activities_of_all_channels_count(tmp_path: Path) -> None:
    first_sales_at = make_rows(*with_channels(tmp_path), NOW).first_sales_at
    assert first_sales_at.tolist() == [at("2025-01-02"), *[NEVER] * 4]


def test_sales_channels_of_the_project_restrict_sales_activities(tmp_path: Path) -> None:
    report = 'report = {sales_activities = ["call", "mail"], sales_channels = ["PHONE"]}\n'
    rows = make_rows(*with_channels(tmp_path, report), NOW)
    first_sales_at = rows.first_sales_after(rows.created + DAY)
    assert first_sales_at.tolist() == [at("2025-01-03"), *[NEVER] * 3, at("2025-05-21")]


def test_an_unknown_sales_channel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the channel `Phon`. Did you mean `phone`"):
        make_rows(*with_channels(tmp_path, 'report = {sales_channels = ["Phon"]}\n'), NOW)


def test_sales_channels_need_activities_with_channels(tmp_path: Path) -> None:
    project = PROJECT + 'report = {sales_channels = ["Phone"]}\n'
    with pytest.raises(ConfigError, match="the activities have no channel"):
        make_rows(*crm(tmp_path, project), NOW)


def test_first_and_last_activities(rows: ReportRows) -> None:
    assert rows.log is not None
    assert rows.log.counts(5).tolist() == [3, 1, 0, 0, 1]
    assert rows.log.first_at(5)[:2].tolist() == [at("2025-01-01 12:00"), at("2025-01-05")]
    assert rows.log.last_at(5)[:2].tolist() == [at("2025-01-03"), at("2025-01-05")]


def test_later_records_do_not_count(tmp_path: Path) -> None:
    as_of = datetime.datetime(2025, 1, 11, tzinfo=datetime.UTC)
    rows = make_rows(*crm(tmp_path), as_of)
    assert len(rows) == 3
    assert rows.is_open.all()
    assert rows.log is not None
    assert rows.log.counts(3).tolist() == [3, 1, 0]
    assert rows.funnel is not None
    assert rows.funnel.furthest.tolist() == [1, 0, 0]
    assert rows.rate == (0, 0)


def test_open_at_and_won_within_compare_with_the_moment(rows: ReportRows) -> None:
    lead = np.arange(3)
    moment = np.full(3, at("2025-01-22"))
    assert rows.open_at(lead, moment).tolist() == [False, True, True]
    assert rows.won_within(lead, np.full(3, at("2025-03-01"))).tolist() == [False, False, True]


def test_since_selects_leads_created_from_then_on(tmp_path: Path) -> None:
    since = datetime.datetime(2025, 1, 2, tzinfo=datetime.UTC)
    rows = make_rows(*crm(tmp_path), NOW, since=since)
    assert rows.table()["lead_id"].tolist() == ["c", "d", "e"]
    assert rows.log is not None
    assert rows.log.counts(3).tolist() == [0, 0, 1]


def test_a_segment_ignores_case(tmp_path: Path) -> None:
    rows = make_rows(*crm(tmp_path), NOW, segment=("industry", "RETAIL"))
    assert rows.table()["lead_id"].tolist() == ["a", "b", "e"]


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (("industry", "Retal"), "no lead has `industry` = `Retal`.\nNo value of `industry` is"),
        (("indutry", "Retail"), "no column `indutry`.\nDid you mean `industry`"),
    ],
)
def test_an_unknown_segment_is_an_error(
    tmp_path: Path, segment: tuple[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_rows(*crm(tmp_path), NOW, segment=segment)


def test_filters_that_leave_no_lead_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(LearningError, match="No lead is left to report on"):
        make_rows(*crm(tmp_path), NOW, since=NOW)


def test_an_unknown_stage_is_an_error(tmp_path: Path) -> None:
    rows = make_rows(*crm(tmp_path), NOW)
    assert rows.funnel is not None
    with pytest.raises(ConfigError, match="there is no stage `ofer`. Did you mean `offer`?"):
        rows.funnel.place("ofer")


NO_STAGES = PROJECT.replace('stages = {source = "stages.csv"}\n', "")


def test_activities_are_not_stages_unless_the_project_names_them(tmp_path: Path) -> None:
    assert make_rows(*crm(tmp_path, NO_STAGES), NOW).funnel is None


def test_activities_that_the_project_names_are_stages(tmp_path: Path) -> None:
    named = NO_STAGES + 'report = {stage_activities = ["mail", "call"]}\n'
    rows = make_rows(*crm(tmp_path, named), NOW)
    assert rows.funnel is not None
    assert rows.funnel.stages == ("mail", "call")
    assert rows.funnel.furthest.tolist() == [1, 0, -1, -1, 0]
    assert rows.is_touch.tolist() == [False, False]


def test_an_unknown_stage_activity_is_an_error(tmp_path: Path) -> None:
    named = NO_STAGES + 'report = {stage_activities = ["mial"]}\n'
    with pytest.raises(ConfigError, match="no activity of type `mial`. Did you mean `mail`?"):
        make_rows(*crm(tmp_path, named), NOW)


def test_types_at_the_closing_are_not_touches(tmp_path: Path) -> None:
    project, records = crm(tmp_path)
    assert records.activities is not None
    moments = ["2025-01-20 00:01", "2025-01-25 00:01", "2025-03-20 00:01", "2025-03-21 00:02"]
    signed = pd.DataFrame(
        {
            "lead_id": ["a", "b", "c", "c"],
            "type": ["signed", "signed", "signed", "archived"],
            "occurred_at": pd.to_datetime(pd.Series(moments), utc=True),
        }
    )
    activities = pd.concat([records.activities[list(signed.columns)], signed])
    activities = activities.sort_values("occurred_at").reset_index(drop=True)
    log_rows = make_rows(project, replace(records, activities=activities), NOW)
    assert log_rows.log is not None
    touches = dict(zip(log_rows.log.types, log_rows.is_touch.tolist(), strict=True))
    assert touches == {"mail": True, "call": True, "signed": False, "archived": True}


def test_activities_on_a_closing_day_share_in_the_win(tmp_path: Path) -> None:
    project, records = crm(tmp_path)
    assert records.activities is not None
    mail = records.activities.iloc[[0]].assign(
        lead_id="a", type="mail", occurred_at=records.outcomes["closed_by"].iloc[0]
    )
    activities = pd.concat([records.activities, mail], ignore_index=True)
    rows = make_rows(project, replace(records, activities=activities), NOW)
    assert rows.log is not None
    touched = touches(rows, rows.log)
    assert rows.log.at[touched.event].max() == at("2025-01-21") - 1
    assert touched.parts["last_touch_share"].tolist() == [0, 0, 0, 1]


def test_leads_without_times_have_no_moment(tmp_path: Path) -> None:
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


def test_scores_are_those_of_the_scorer(simulated_crm: Path, trained: Trained) -> None:
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


def test_samples_are_reproducible_and_sorted() -> None:
    assert sample(5, 9).tolist() == [0, 1, 2, 3, 4]
    drawn = sample(1_000, 10)
    assert drawn.tolist() == sample(1_000, 10).tolist()
    assert (np.diff(drawn) > 0).all()
    assert len(drawn) == 10
