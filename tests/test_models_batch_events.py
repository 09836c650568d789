"""Tests of scoring files whose leads have activities and stages, however these are spread."""

import datetime
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from crm.project import TableKeys, load_project
from crm.reading_events import read_events
from crm.reading_notes import ReadingNotes
from crm.times import TIME_DTYPE
from features import events as features_events
from features.activity import ActivityFeatures
from features.pipeline import FeaturePipeline
from features.stages import StageFeatures
from models import batch
from models.batch import score_file
from models.calibration import Calibration
from models.estimator.blend import Blend
from models.fitting.logistic import fit_logistic
from models.scale import Scale
from models.scorer import LeadScorer
from tests.made_cards import made_card
from tests.made_projects import FOUR_TABLES, WON_AND_LOST

NOW = datetime.datetime(2025, 6, 1, tzinfo=datetime.UTC)
N_LEADS = 60


@pytest.fixture(scope="module")
def history_scorer() -> LeadScorer:
    """Return a scorer whose features are the age of a lead, its activities and its stages."""
    pipeline = FeaturePipeline(
        attributes=(),
        left_out=(),
        has_times=True,
        activities=ActivityFeatures(("call", "mail"), ("web",)),
        stages=StageFeatures(("met", "offer")),
    )
    generator = np.random.default_rng(0)
    features = generator.normal(size=(400, len(pipeline.features)))
    features[:, pipeline.categorical] = generator.integers(0, 4, (400, len(pipeline.categorical)))
    label = (generator.random(400) < 0.4).astype(np.int8)
    logistic = fit_logistic(features, label, np.ones(400), pipeline.categorical)
    return LeadScorer(
        pipeline,
        Blend(1.0, logistic, None),
        Calibration(1.0, 0.0),
        Scale(-1.0),
        {"lead_id": "Id", "created_at": "Created"},
        made_card("events"),
    )


def made_leads() -> pd.DataFrame:
    ids = [f"L{i:03d}" for i in np.random.default_rng(1).permutation(N_LEADS)]
    return pd.DataFrame({"Id": ids, "Created": "2025-01-01T00:00:00Z"})


def made_events(lead_ids: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make an activity for each of the ids, and a stage for every third, in random order."""
    generator = np.random.default_rng(2)
    days = generator.integers(0, 160, len(lead_ids))
    at = pd.Series(pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"))
    at = at.astype(TIME_DTYPE)
    activities = pd.DataFrame(
        {
            "lead_id": pd.Series(lead_ids, dtype="str"),
            "type": generator.choice(["call", "mail", "chat"], len(lead_ids)),
            "occurred_at": at,
            "content": generator.choice(["a", "b", "c"], len(lead_ids)),
            "channel": generator.choice(["web", "phone"], len(lead_ids)),
        }
    )
    stages = activities[["lead_id"]].assign(
        stage=generator.choice(["met", "offer", "new"], len(lead_ids)), entered_at=at
    )
    return activities.sample(frac=1, random_state=3), stages[::3].sample(frac=1, random_state=4)


SPREADS = {
    "few": ["L007", "L031", "L007"],
    "none": [],
    "even": [f"L{i % N_LEADS:03d}" for i in range(300)],
    "one lead has nearly all": ["L011"] * 900 + ["L012", "L059"],
    "unknown leads only": [f"X{i}" for i in range(200)],
    "unknown leads too": [f"{'LX'[i % 2]}{i % N_LEADS:03d}" for i in range(200)],
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("chunk_rows", [7, 1_000])
def test_each_lead_is_scored_with_its_own_events(
    history_scorer: LeadScorer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spread: str,
    chunk_rows: int,
) -> None:
    leads, (activities, stages) = made_leads(), made_events(SPREADS[spread])
    leads.to_csv(tmp_path / "leads.csv", index=False)
    alone = [
        history_scorer.score_table(
            leads.iloc[[row]],
            activities=activities[activities["lead_id"] == lead_id],
            stages=stages[stages["lead_id"] == lead_id],
            as_of=NOW,
            n_reasons=2,
        )
        for row, lead_id in enumerate(leads["Id"])
    ]
    monkeypatch.setattr(batch, "CHUNK_ROWS", chunk_rows)
    events = history_scorer.pipeline.event_logs([("activities", activities), ("stages", stages)])
    with mock.patch.object(features_events, "BLOCK_EVENTS", 50):
        summary = score_file(
            history_scorer,
            TableKeys(source=str(tmp_path / "leads.csv")),
            tmp_path / "scores.parquet",
            events=events,
            as_of=NOW,
            n_reasons=2,
        )
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    pd.testing.assert_frame_equal(
        scores, pd.concat(alone, ignore_index=True), check_exact=True, check_dtype=False
    )
    known = {*SPREADS[spread]} & {*leads["Id"]}
    assert summary.with_events == (len(known) if SPREADS[spread] else None)
    n_distinct = scores["probability"].nunique()
    assert (n_distinct > 1) == bool(known)


def write_project(folder: Path, lead_ids: list[str]) -> None:
    """Write a project with files whose ids have other forms than those of the leads."""
    activities, stages = made_events(lead_ids)
    activities = activities.assign(activity_id=[f"e{i}" for i in range(len(activities))])
    repeats = activities.iloc[::5].assign(occurred_at=pd.Timestamp("2025-03-01", tz="UTC"))
    activities = pd.concat([activities, repeats])
    activities["lead_id"] += ".0"
    activities.to_csv(folder / "activities.csv", index=False)
    stages.assign(lead_id=stages["lead_id"] + ".00").to_csv(folder / "stages.csv", index=False)
    (folder / "leadscore.toml").write_text(FOUR_TABLES + WON_AND_LOST)


def test_events_of_a_project_are_read_alike_from_memory_and_disk(
    history_scorer: LeadScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path, [str(100 + i % N_LEADS) for i in range(300)])
    project = load_project(tmp_path)
    notes = ReadingNotes.of_project(project)
    history = history_scorer.pipeline.event_logs(read_events(project, notes)).history_of(
        pd.Series([str(100 + i) for i in range(N_LEADS)], dtype="str"), np.zeros(N_LEADS, np.int64)
    )
    assert len(history.activities) == 300
    assert len(history.stages.lead) == 100
    (left_out,) = notes.left_out
    assert (left_out.count, left_out.reason) == (
        60,
        "an activity with the same lead and id is in the table",
    )
    monkeypatch.setattr("crm.sources.source.TABLE_CHUNK_ROWS", 40)
    monkeypatch.setattr("crm.source_tables.ROWS_IN_MEMORY", 70)
    notes_again = ReadingNotes.of_project(project)
    again = history_scorer.pipeline.event_logs(read_events(project, notes_again)).history_of(
        pd.Series([str(100 + i) for i in range(N_LEADS)], dtype="str"), np.zeros(N_LEADS, np.int64)
    )
    for name in ("lead", "at", "type", "channel", "content"):
        mine, theirs = getattr(again.activities, name), getattr(history.activities, name)
        assert mine.tolist() == theirs.tolist()
    assert notes_again == notes


def test_closings_are_found_for_each_chunk(
    history_scorer: LeadScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = made_leads()
    leads.to_csv(tmp_path / "leads.csv", index=False)
    closed = ["L003", "L040", "L017", "X1"]
    closings = pd.Series(
        pd.DatetimeIndex(["2025-05-01", "2025-07-01", "NaT", "2025-01-01"], tz="UTC"),
        index=pd.Index(closed, dtype="str"),
        dtype=TIME_DTYPE,
    )
    monkeypatch.setattr(batch, "CHUNK_ROWS", 7)
    summary = score_file(
        history_scorer,
        TableKeys(source=str(tmp_path / "leads.csv")),
        tmp_path / "scores.csv",
        as_of=NOW,
        closings=closings,
    )
    assert summary.ended == 2  # one closes later, and one is not in the file
