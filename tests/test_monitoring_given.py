from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.records import Records
from crm.times import DAY, microseconds
from features.moments import possible_moments
from monitoring.check import Check, Verdict
from monitoring.given import given_scores, groups_check, worked_check, worked_within
from monitoring.look import Look, StoredScores, take_look
from monitoring.scored_moments import LeadOutcomes
from monitoring.scores import warnings_check
from tests.made_runs import NOW, Work


def rows_of(work: Work, records: Records, **columns: Any) -> list[dict[str, Any]]:
    """Return the rows of the ledger as if each lead had been scored at its creation."""
    created = microseconds(records.leads["created_at"])
    lead, as_of = possible_moments(created, work.project.learn)
    scorer = work.trained.scorer
    probability = scorer.probability(scorer.pipeline.transform(records, lead, as_of))
    score = scorer.scale.score(probability)
    ids = records.leads["lead_id"].to_numpy()
    return [
        {
            "lead_id": ids[i],
            "as_of": int(at),
            "probability": float(p),
            "score": int(s),
            "grade": str(g),
            "version": "1",
            "lane": None,
            "warnings": None,
            **columns,
        }
        for i, at, p, s, g in zip(
            lead, as_of, probability, score, scorer.scale.grade(score), strict=True
        )
    ]


@pytest.fixture(scope="module")
def rows(work: Work) -> list[dict[str, Any]]:
    return rows_of(work, work.records)


@pytest.fixture(scope="module")
def outcomes(work: Work) -> LeadOutcomes:
    return LeadOutcomes.of(work.records, work.project.learn)


def test_first_score_of_each_version_counts(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    row = rows[0]
    later = {**row, "as_of": row["as_of"] + 60_000_000, "grade": "Z"}
    other = {**later, "version": "2"}
    unknown = {**row, "lead_id": "nobody"}
    given = given_scores([later, row, other, unknown], work.records, outcomes)
    assert given.moments.grade.tolist() == [row["grade"], "Z"]
    assert given.moments.version.tolist() == ["1", "2"]
    assert given.counts == {"scores": 4, "unknown_leads": 1, "closed": 0, "repeated": 1}


def test_scores_of_closed_leads_do_not_count(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    lead = int(np.flatnonzero(outcomes.closed_at < np.iinfo(np.int64).max)[0])
    row = next(r for r in rows if r["lead_id"] == work.records.leads["lead_id"].iloc[lead])
    after = {**row, "as_of": int(outcomes.closed_at[lead]) + 1}
    given = given_scores([after], work.records, outcomes)
    assert len(given.moments) == 0
    assert given.counts["closed"] == 1


def test_other_forms_of_an_id_are_found(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    leads = work.records.leads.copy()
    leads.loc[0, "lead_id"] = "100.0"
    records = replace(work.records, leads=leads)
    row = {**rows[0], "lead_id": "100"}
    assert (
        given_scores([row], records, LeadOutcomes.of(records, work.project.learn)).counts[
            "unknown_leads"
        ]
        == 0
    )


def test_outcomes_are_those_within_the_horizon(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    moments = given_scores(rows, work.records, outcomes).moments
    mature = moments.as_of + 90 * DAY <= outcomes.until
    assert (moments.is_mature == mature).all()
    won = (moments.won_at <= moments.as_of + 90 * DAY)[mature]
    assert (moments.label[mature] == won).all()
    assert 0.05 < won.mean() < 0.4


def test_look_compares_given_scores(work: Work, rows: list[dict[str, Any]]) -> None:
    scorer = work.trained.scorer
    look = take_look(work.project, work.records, scorer, "1", NOW, StoredScores(lambda: rows))
    checks = {check.number: check for check in look.checks}
    assert checks["LM101"].verdict is Verdict.FINE
    assert checks["LM102"].figures["roc_auc"] is not None
    assert [row["version"] for row in look.versions] == ["1"]
    wrong = [{**row, "probability": min(0.95, row["probability"] * 3)} for row in rows]
    found = take_look(work.project, work.records, scorer, "1", NOW, StoredScores(lambda: wrong))
    checks = {check.number: check for check in found.checks}
    assert checks["LM101"].verdict is Verdict.ACT
    assert "fewer leads win than stated" in checks["LM101"].evidence
    assert found.verdict is Verdict.ACT
    # The champion itself is right, so it is not trained again.
    assert checks["LM201"].verdict is not Verdict.ACT
    assert found.should_retrain == []


def test_look_without_a_ledger(work: Work) -> None:
    look = take_look(work.project, work.records, work.trained.scorer, "7", NOW)
    assert look.version == "7"
    assert {str(c.verdict) for c in look.checks if c.number.startswith("LM1")} == {"unknown"}
    assert any("there is no ledger" in note for note in look.notes)
    assert look.to_json()["verdict"] == str(look.verdict)


def test_sentence_does_not_promise_what_no_check_could_tell() -> None:
    def sentence(*verdicts: Verdict) -> str:
        checks = tuple(Check("LM201", verdict, "") for verdict in verdicts)
        return Look("demo", "1", "", "", checks, (), (), 0, False).sentence()

    fine, unclear = Verdict.FINE, Verdict.UNKNOWN
    assert sentence(fine, fine) == "All is as promised."
    assert sentence(fine, unclear, unclear) == (
        "Nothing to act on: 1 check fine, 2 cannot tell yet."
    )
    assert sentence(unclear) == sentence() == "It is too early to tell."
    assert sentence(fine, unclear, Verdict.WATCH) == "Nothing to act on; 1 check to watch."
    assert sentence(Verdict.ACT, Verdict.WATCH) == "1 check says act."


def test_look_without_times_is_refused(work: Work) -> None:
    from crm.errors import LearningError

    timeless = replace(work.records, leads=work.records.leads.drop(columns="created_at"))
    with pytest.raises(LearningError, match="have no time of creation"):
        take_look(work.project, timeless, work.trained.scorer, "1", NOW)


def test_unknown_leads_are_mentioned(work: Work, rows: list[dict[str, Any]]) -> None:
    strangers = [{**row, "lead_id": f"x{i}"} for i, row in enumerate(rows[:40])]
    look = take_look(
        work.project, work.records, work.trained.scorer, "1", NOW, StoredScores(lambda: strangers)
    )
    assert "40 of 40 given scores are of leads that the records do not contain." in look.notes


# -- what sales did ------------------------------------------------------------------------


def calls(records: Records, rows: list[dict[str, Any]], grades: str) -> Records:
    """Add a call a day after the score of each lead with one of these grades."""
    chosen = [row for row in rows if row["grade"] in grades]
    made = pd.DataFrame(
        {
            "lead_id": [row["lead_id"] for row in chosen],
            "type": "call",
            "occurred_at": pd.to_datetime(
                [row["as_of"] + DAY for row in chosen], unit="us", utc=True
            ),
        }
    )
    activities = records.activities
    assert activities is not None
    others = activities[~activities["type"].isin(["call", "meeting"])]
    return replace(records, activities=pd.concat([others, made], ignore_index=True))


def test_worked_leads_by_grade(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    given = given_scores(rows, work.records, outcomes)
    good_first = worked_check(given, calls(work.records, rows, "AB"), work.project)
    assert good_first.verdict is Verdict.FINE
    shares = {row["grade"]: row["share"] for row in good_first.rows}
    assert shares == {"A": 1.0, "B": 1.0, "C": 0.0, "D": 0.0}
    bad_first = worked_check(given, calls(work.records, rows, "CD"), work.project)
    assert bad_first.verdict is Verdict.WATCH
    assert "Leads with grade D were worked more often" in bad_first.evidence
    none = worked_check(given, replace(work.records, activities=None), work.project)
    assert none.verdict is Verdict.UNKNOWN


def test_work_before_the_score_does_not_count(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    moments = given_scores(rows, work.records, outcomes).moments
    records = calls(work.records, rows, "ABCD")
    assert worked_within(moments, records, ("call",), 2 * DAY).all()
    assert not worked_within(moments, records, ("call",), DAY - 1).any()
    assert not worked_within(moments, records, ("visit",), 2 * DAY).any()


def test_groups_whose_chances_are_off_are_named(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    scorer = work.trained.scorer
    fine = groups_check(given_scores(rows, work.records, outcomes), work.records, scorer)
    assert fine.verdict is Verdict.FINE
    sources = work.records.leads.set_index("lead_id")["source"]
    top = sources.value_counts().index[0]
    wrong = [{**row, "probability": 0.9} if sources[row["lead_id"]] == top else row for row in rows]
    check = groups_check(given_scores(wrong, work.records, outcomes), work.records, scorer)
    assert check.verdict is Verdict.WATCH
    assert f"source {top}:" in check.evidence


def test_many_warnings_are_watched(
    work: Work, rows: list[dict[str, Any]], outcomes: LeadOutcomes
) -> None:
    warned = [{**row, "warnings": [{"code": "x", "column": "y"}]} for row in rows]
    check = warnings_check(given_scores(warned, work.records, outcomes))
    assert check.verdict is Verdict.WATCH
    assert check.evidence.startswith("100 % of the scores")
    assert warnings_check(given_scores(rows, work.records, outcomes)).verdict is Verdict.FINE
