import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crm.errors import SourceError
from crm.project import RetrainKeys
from crm.times import NOT_A_TIME, as_times, microseconds
from monitoring.check import Check, Verdict
from monitoring.look import Look
from tests.made_runs import NOW, Work
from training.loop import open_leads
from training.loop.decision import DRIFT_DAYS, State, decide
from training.loop.open_leads import score_open_leads

LOOK = Look("demo", "1", NOW.isoformat(), NOW.isoformat(), (), (), (), 10, False)


def look_with(*checks: Check) -> Look:
    return replace(LOOK, checks=checks)


def state(days: float, look: Look | None = LOOK, *, has_new_records: bool = True) -> State:
    return State(NOW, NOW - datetime.timedelta(days=days), look, has_new_records)


DRIFT = look_with(Check("LM201", Verdict.ACT, ""), Check("LM303", Verdict.ACT, ""))
BROKEN = look_with(Check("LM305", Verdict.ACT, ""), Check("LM201", Verdict.WATCH, ""))


@pytest.mark.parametrize(
    ("when", "days", "look", "trains"),
    [
        ("schedule", 29.9, LOOK, False),
        ("schedule", 30.0, LOOK, True),
        ("schedule", 20, DRIFT, False),
        ("drift", 400, LOOK, False),
        ("drift", DRIFT_DAYS, DRIFT, True),
        ("drift", DRIFT_DAYS - 0.1, DRIFT, False),
        ("drift", 400, BROKEN, False),  # a new model does not repair a feed
        ("drift", 400, None, False),
        ("either", 29, LOOK, False),
        ("either", 31, LOOK, True),
        ("either", 8, DRIFT, True),
    ],
)
def test_policy(when: str, days: float, look: Look | None, trains: bool) -> None:
    policy = RetrainKeys(every_days=30, when=when)  # type: ignore[arg-type]
    decision = decide(policy, state(days, look))
    assert decision.trains is trains
    assert decision.reasons


def test_reasons_name_the_checks() -> None:
    decision = decide(RetrainKeys(when="drift"), state(8, DRIFT))
    assert decision.reasons == ("LM201 and LM303 say act.",)
    early = decide(RetrainKeys(when="drift"), state(2, DRIFT))
    assert early.reasons == (
        "LM201 and LM303 say act, but the last training was 2 days ago. They may start one in 5 "
        "days.",
    )


def test_days_since_the_last_training_are_words() -> None:
    reasons = [decide(RetrainKeys(when="drift"), state(days, DRIFT)).reasons[0] for days in (0, 1)]
    assert "the last training was less than a day ago. They may start one in 7 days" in reasons[0]
    assert "the last training was 1 day ago. They may start one in 6 days" in reasons[1]


def test_reasons_name_the_days() -> None:
    schedule, either = (RetrainKeys(every_days=30, when=when) for when in ("schedule", "either"))
    one = look_with(Check("LM201", Verdict.ACT, ""))
    assert decide(schedule, state(20)).reasons == ("The next training is due in 10 days.",)
    assert decide(schedule, state(45)).reasons == (
        "The last training was 45 days ago, and every 30 days one is due.",
    )
    assert decide(either, state(45, one)).reasons == (
        "The last training was 45 days ago, and every 30 days one is due.",
        "LM201 says act.",
    )
    assert decide(either, state(20)).reasons == (
        "The next training is due in 10 days.",
        "No check asks for a new model.",
    )
    # What speaks for a training is said, and what does not is left out.
    assert decide(either, state(45)).reasons == decide(schedule, state(45)).reasons
    assert decide(either, state(20, None)).reasons == (
        "The next training is due in 10 days.",
        "There is no look at a champion that could ask for a new model.",
    )


def test_refused_versions_double_the_time_to_the_next_one() -> None:
    policy = RetrainKeys(when="drift")
    for refused, days in ((0, 7), (1, 14), (2, 28), (4, 112), (9, 112)):
        early, due = (replace(state(d, DRIFT), refused=refused) for d in (days - 0.5, days))
        assert not decide(policy, early).trains
        (reason,) = decide(policy, early).reasons
        version = "version" if refused == 1 else "versions"
        after = f" after {refused} refused {version}" if refused else ""
        assert reason.endswith(f"They may start one in 1 day{after}.")
        assert decide(policy, due).trains
    # The schedule does not wait.
    assert decide(RetrainKeys(every_days=30), replace(state(31), refused=9)).trains


def test_first_training_is_always_due() -> None:
    decision = decide(RetrainKeys(when="drift"), State(NOW, None, None, has_new_records=True))
    assert decision.trains


def test_same_records_are_not_trained_on_twice() -> None:
    decision = decide(RetrainKeys(every_days=30), state(90, has_new_records=False))
    assert not decision.trains
    assert "the newest version learned from" in decision.reasons[-1]


def test_open_leads_are_scored(work: Work, tmp_path: Path) -> None:
    records, scorer = work.records, work.trained.scorer
    as_of = int(microseconds(pd.Series([records.observed_until]))[0])
    target = tmp_path / "open.csv"
    n = score_open_leads(scorer, records, as_of, target)
    written = pd.read_csv(target, dtype={"lead_id": str})
    assert len(written) == n > 100
    closed = set(records.outcomes["lead_id"])
    assert not set(written["lead_id"]) & closed
    assert set(written["lead_id"]) | closed == set(records.leads["lead_id"])
    # The same as the scores of these leads alone.
    lead = np.flatnonzero(records.leads["lead_id"].isin(written["lead_id"]).to_numpy())
    matrix = scorer.pipeline.transform(records, lead, np.full(len(lead), as_of))
    assert written["probability"].to_numpy() == pytest.approx(scorer.probability(matrix))
    assert list(written.columns) == [
        "lead_id", "probability", "score", "grade", "reason_1", "reason_2", "reason_3",
    ]  # fmt: skip


def test_many_open_leads_are_written_in_chunks(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_of = int(microseconds(pd.Series([work.records.observed_until]))[0])
    whole, chunks = tmp_path / "whole.csv", tmp_path / "chunks.csv"
    n = score_open_leads(work.trained.scorer, work.records, as_of, whole)
    monkeypatch.setattr(open_leads, "CHUNK", n // 2 - 1)  # three chunks
    assert score_open_leads(work.trained.scorer, work.records, as_of, chunks) == n
    assert chunks.read_text() == whole.read_text()


def test_leads_with_an_outcome_without_a_date_are_not_open(work: Work, tmp_path: Path) -> None:
    records, as_of = work.records, int(microseconds(pd.Series([work.records.observed_until]))[0])
    outcomes = records.outcomes.head(2).assign(outcome=["won", "lost"])
    undated_at = as_times(np.full(2, NOT_A_TIME), outcomes.index)
    outcomes = outcomes.assign(closed_at=undated_at, closed_by=undated_at)
    undated = replace(records, outcomes=outcomes)
    n = score_open_leads(work.trained.scorer, undated, as_of, tmp_path / "open.csv")
    assert n == len(records.leads) - 2


def test_without_open_leads_the_file_has_only_a_header(work: Work, tmp_path: Path) -> None:
    records = work.records
    won = pd.DataFrame(dict.fromkeys(("closed_at", "closed_by"), records.leads["created_at"]))
    won = won.assign(lead_id=records.leads["lead_id"], outcome="won", amount=np.nan, reason=None)
    target = tmp_path / "open.csv"
    n = score_open_leads(work.trained.scorer, replace(records, outcomes=won), 0, target)
    assert n == 0
    assert target.read_text() == ("lead_id,probability,score,grade,reason_1,reason_2,reason_3\n")


def test_failure_keeps_the_former_file(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "open.csv"
    target.write_text("former")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(SourceError, match="No space left"):
        score_open_leads(work.trained.scorer, work.records, 0, target)
    assert target.read_text() == "former"
    assert [path.name for path in tmp_path.iterdir()] == ["open.csv"]
