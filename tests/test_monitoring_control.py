from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from crm.lanes import Lanes
from crm.project import Project
from crm.records import Records
from crm.times import DAY, as_times
from monitoring.check import Check, Verdict
from monitoring.control import Lane, control_checks, worth_of
from monitoring.given import given_scores
from monitoring.look import StoredScores, take_look
from monitoring.scored_moments import LeadOutcomes
from monitoring.shadow import shadow_check
from tests.made_runs import NOW, Work

HORIZON = 90


def company(
    project: Project,
    *,
    leads: int = 3_000,
    share: float = 0.3,
    capacity: float = 0.4,
    obeys: bool = True,
    by_score: bool = True,
    seed: int = 0,
) -> tuple[Records, list[dict[str, Any]], float]:
    """Make a company whose sales works a part of each week's leads in the order of `order`.

    Returns
    -------
    Records, list of dict, float
        The records, the given scores, and the true wins per worked lead of the treated leads minus
        those of the control leads.
    """
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.6, 1.0, leads)
    score = true + rng.normal(0, 0.5, leads)
    week = np.arange(leads) // 60
    as_of = week * 7 * DAY
    ids = [f"L{i}" for i in range(leads)]
    lanes = Lanes(rng.bytes(32), share)
    draws = [lanes.of(lead_id) for lead_id in ids]
    is_control = np.array([draw.lane == "control" for draw in draws])
    place = np.array([draw.place for draw in draws])
    neutral = np.quantile(score, place)
    order = np.where(is_control & obeys, neutral, score) if by_score else rng.random(leads)
    worked = np.zeros(leads, dtype=bool)
    for of_week in range(week.max() + 1):
        arrived = np.flatnonzero(week == of_week)
        best = arrived[np.argsort(-order[arrived], kind="stable")]
        worked[best[: int(capacity * len(arrived))]] = True
    chance = expit(true)
    won = rng.random(leads) < chance
    created = as_times(as_of, pd.RangeIndex(leads))
    closed = as_times(as_of + 40 * DAY, pd.RangeIndex(leads))
    outcomes = pd.DataFrame(
        {
            "lead_id": ids,
            "outcome": np.where(won, "won", "lost"),
            "closed_at": closed,
            "closed_by": closed,
            "amount": np.where(won, rng.lognormal(8, 0.5, leads), np.nan),
            "reason": None,
        }
    )
    calls = pd.DataFrame(
        {
            "lead_id": np.array(ids)[worked],
            "type": "call",
            "occurred_at": as_times(as_of[worked] + DAY, pd.RangeIndex(int(worked.sum()))),
        }
    )
    records = Records(
        leads=pd.DataFrame({"lead_id": ids, "created_at": created}),
        outcomes=outcomes,
        activities=calls,
        observed_until=created.iloc[-1] + pd.Timedelta(200, "D"),
        in_order=True,
    )
    rows = [
        {
            "lead_id": lead_id,
            "score_id": f"s{lead_id}",
            "as_of": int(at),
            "probability": float(expit(s)),
            "grade": "A" if s > 0 else "B",
            "version": "1",
            "lane": draw.lane,
            "warnings": None,
        }
        for lead_id, at, s, draw in zip(ids, as_of, score, draws, strict=True)
    ]
    truth = chance[worked & ~is_control].mean() - chance[worked & is_control].mean()
    return records, rows, float(truth)


def checks(project: Project, records: Records, rows: list[dict[str, Any]]) -> list[Check]:
    outcomes = LeadOutcomes.of(records, project.learn)
    return control_checks(given_scores(rows, records, outcomes), records, project)


def test_worth_of_prioritising_is_measured(work: Work) -> None:
    records, rows, truth = company(work.project)
    worth, lanes = checks(work.project, records, rows)
    assert worth.verdict is Verdict.FINE
    assert worth.figures["low"] <= truth <= worth.figures["high"]  # type: ignore[operator]
    assert worth.figures["low"] > 0  # type: ignore[operator]
    assert worth.figures["more_leads"] == 0
    assert "prioritising is worth +" in worth.evidence
    assert lanes.verdict is Verdict.FINE
    by_lane = {row["lane"]: row for row in worth.rows}
    assert by_lane["treated"]["won_per_worked"] > by_lane["control"]["won_per_worked"]
    assert worth.figures["revenue"] > 0  # type: ignore[operator]


def test_interval_covers_the_truth(work: Work) -> None:
    covered = 0
    for seed in range(60):
        records, rows, truth = company(work.project, leads=1_200, seed=seed)
        figures = checks(work.project, records, rows)[0].figures
        covered += figures["low"] <= truth <= figures["high"]  # type: ignore[operator]
    assert 53 <= covered <= 60


def test_sales_that_ignores_the_lanes_is_found(work: Work) -> None:
    records, rows, _ = company(work.project, obeys=False)
    lanes = checks(work.project, records, rows)[1]
    assert lanes.verdict is Verdict.WATCH
    assert "sales works control leads by their score" in lanes.evidence
    records, rows, _ = company(work.project, by_score=False)
    lanes = checks(work.project, records, rows)[1]
    assert lanes.verdict is Verdict.WATCH
    assert "Treated leads are not worked by their score either" in lanes.evidence


def test_leads_that_are_still_needed_are_counted(work: Work) -> None:
    records, rows, _ = company(work.project, leads=600, share=0.2, by_score=False)
    worth = checks(work.project, records, rows)[0]
    assert worth.verdict is Verdict.UNKNOWN
    assert worth.figures["more_leads"] > 500  # type: ignore[operator]
    assert "more leads are needed until this is clear" in worth.evidence


def test_needed_leads_shrink_as_leads_come() -> None:
    def more(times: int) -> int:
        treated = Lane(900 * times, 400 * times, 60 * times, 90 * times, np.zeros(400 * times))
        control = Lane(100 * times, 40 * times, 5 * times, 9 * times, np.zeros(40 * times))
        return worth_of(treated, control).more_leads

    assert more(1) > more(3) > 0


def test_without_a_control_group_nothing_is_said(work: Work) -> None:
    records, rows, _ = company(work.project, leads=300)
    without = [{**row, "lane": None} for row in rows]
    assert {c.verdict for c in checks(work.project, records, without)} == {Verdict.UNKNOWN}
    none = checks(work.project, replace(records, activities=None), rows)
    assert {c.verdict for c in none} == {Verdict.UNKNOWN}
    few = checks(work.project, *company(work.project, leads=120)[:2])
    assert "The comparison needs 30 of each" in few[0].evidence


def test_order_by_score_that_is_worse_than_none_needs_an_act(work: Work) -> None:
    records, rows, _ = company(work.project)
    switched = [
        {**row, "lane": "control" if row["lane"] == "treated" else "treated"} for row in rows
    ]
    worth = checks(work.project, records, switched)[0]
    assert worth.verdict is Verdict.ACT
    assert "worse than no order" in worth.next_step


# -- the shadow ----------------------------------------------------------------------------


def shadows_of(rows: list[dict[str, Any]], log_odds: Any) -> list[dict[str, Any]]:
    return [
        {**row, "probability": float(p), "grade": "A" if p > 0.5 else "B", "version": "2",
         "digest": "d2"}
        for row, p in zip(rows, expit(log_odds), strict=True)
    ]  # fmt: skip


def shadow_of(work: Work, noise: float, given_noise: float, seed: int = 0) -> Check:
    """Compare a shadow with noise in its log-odds with given scores with other noise."""
    records, rows, _ = company(work.project, leads=2_000, seed=seed)
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.6, 1.0, 2_000)
    again = np.random.default_rng(99)
    given = [
        {**row, "probability": float(expit(t + given_noise * n))}
        for row, t, n in zip(rows, true, again.normal(0, 1, 2_000), strict=True)
    ]
    shadow = shadows_of(rows, true + noise * again.normal(0, 1, 2_000))
    outcomes = LeadOutcomes.of(records, work.project.learn)
    return shadow_check(given, shadow, records, outcomes)


def test_better_shadow_is_found(work: Work) -> None:
    check = shadow_of(work, noise=0.0, given_noise=1.0)
    assert check.verdict is Verdict.WATCH
    assert "clearly better" in check.evidence
    assert "leadscore models promote 2" in check.next_step
    assert check.figures["high"] < 0  # type: ignore[operator]
    assert check.figures["roc_auc"] > check.figures["roc_auc_given"]  # type: ignore[operator]


def test_worse_shadow_is_found(work: Work) -> None:
    check = shadow_of(work, noise=1.0, given_noise=0.0)
    assert check.verdict is Verdict.FINE
    assert "clearly worse" in check.evidence
    assert check.next_step == ""


def test_equal_shadow_is_not_better(work: Work) -> None:
    for seed in range(5):
        check = shadow_of(work, noise=0.2, given_noise=0.2, seed=seed)
        assert "Neither" in check.evidence


def test_shadow_before_its_outcomes(work: Work) -> None:
    records, rows, _ = company(work.project, leads=2_000)
    early = replace(records, observed_until=records.leads["created_at"].iloc[200])
    outcomes = LeadOutcomes.of(early, work.project.learn)
    shadow = shadows_of(rows, np.zeros(2_000))
    check = shadow_check(rows, shadow, early, outcomes)
    assert check.verdict is Verdict.UNKNOWN
    assert "too few to compare" in check.evidence
    assert shadow_check(rows, [], early, outcomes).evidence == "No shadow has scored leads."
    assert shadow_check(None, None, early, outcomes).verdict is Verdict.UNKNOWN


def test_newest_shadow_and_first_scores_count(work: Work) -> None:
    records, rows, _ = company(work.project, leads=400)
    outcomes = LeadOutcomes.of(records, work.project.learn)
    older = [{**row, "digest": "old", "version": "9"} for row in shadows_of(rows, np.zeros(400))]
    newer = shadows_of(rows, np.zeros(400))
    later = [
        {**row, "as_of": row["as_of"] + DAY, "score_id": row["score_id"] + "b"} for row in rows
    ]
    twice = shadows_of(later, np.full(400, 9.0))
    check = shadow_check([*rows, *later], [*older, *newer, *twice], records, outcomes)
    assert check.evidence.startswith("Version 2 has scored 400 leads")
    assert check.figures["log_loss_difference"] == pytest.approx(
        shadow_check(rows, newer, records, outcomes).figures["log_loss_difference"]
    )


def test_look_contains_lanes_and_shadow(work: Work) -> None:
    look = take_look(
        work.project, work.records, work.trained.scorer, "1", NOW, StoredScores(tuple, tuple)
    )
    assert [check.number for check in look.checks][-3:] == ["LM501", "LM502", "LM601"]
