"""The history of leads in scores: the same from a request as from the tables."""

import datetime
from typing import Any

import pandas as pd
import pytest

from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from features.times import cell_time
from models.scorer import LeadCells, LeadScorer
from training.train import train


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("crm")
    simulate(Simulation(leads=1_000, activities_per_lead=8, seed=1), folder)
    text = (folder / "leadscore.toml").read_text()
    changed = text.replace("moments_days = [0, 7, 30]", "moments_days = [0, 7.5, 21]")
    assert changed != text
    (folder / "leadscore.toml").write_text(changed)
    return load_project(folder)


@pytest.fixture(scope="module")
def crm(project: Project) -> Records:
    return read_records(project)


@pytest.fixture(scope="module")
def scorer(project: Project, crm: Any) -> LeadScorer:
    """A model that learned from leads at several ages, so that their history counts."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return train(project, crm, now=now).scorer


def test_request_equals_the_table(scorer: Any, crm: Any) -> None:
    records, leads = crm, crm.leads.iloc[-150:]
    as_of = records.observed_until - pd.Timedelta(days=20)
    table = scorer.score_table(
        leads,
        activities=records.activities,
        stages=records.stages,
        as_of=as_of.tz_convert("Asia/Tokyo"),
    )
    histories = {
        name: dict(list(events.groupby("lead_id")))
        for name, events in (("activities", records.activities), ("stages", records.stages))
    }

    def events_of(name: str, lead_id: str, time: str) -> list[dict[str, Any]]:
        if lead_id not in histories[name]:
            return []
        rows = histories[name][lead_id].astype(object).to_dict("records")
        return [{**row, time: cell_time(row[time])} for row in rows]

    requests = [
        LeadCells(
            lead,
            cell_time(lead["created_at"]),
            events_of("activities", lead["lead_id"], "occurred_at"),
            events_of("stages", lead["lead_id"], "entered_at"),
        )
        for lead in leads.astype(object).to_dict("records")
    ]
    assert sum(len(lead.activities) for lead in requests) > 100
    assert sum(len(lead.stages) for lead in requests) > 100
    scores = scorer.score_leads(requests, cell_time(as_of))
    assert [score.probability for score in scores] == table["probability"].tolist()
    assert [score.lead_id for score in scores] == leads["lead_id"].tolist()
    alone = [scorer.score_leads([lead], cell_time(as_of))[0] for lead in requests[:40]]
    assert alone == scores[:40]
    without_history = scorer.score_table(leads, as_of=as_of)["probability"]
    assert (without_history.to_numpy() != table["probability"].to_numpy()).mean() > 0.5


def test_table_without_ids_has_no_history(scorer: Any, crm: Any) -> None:
    records, as_of = crm, crm.observed_until
    leads = records.leads.tail(50).drop(columns="lead_id")
    activities = records.activities.assign(
        lead_id=[str(i % 50) for i in range(len(records.activities))]
    )
    scores = scorer.score_table(leads, activities=activities, as_of=as_of)
    pd.testing.assert_frame_equal(scores, scorer.score_table(leads, as_of=as_of))
    leads_with_ids = leads.assign(lead_id=[str(i) for i in range(50)])
    scores_with_ids = scorer.score_table(leads_with_ids, activities=activities, as_of=as_of)
    assert (scores_with_ids["probability"] != scores["probability"]).any()
