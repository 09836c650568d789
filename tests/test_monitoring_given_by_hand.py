from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import Project, load_project
from crm.records import Records
from crm.times import DAY, as_times
from features.intervals import wilson
from monitoring.check import Check, Verdict
from monitoring.given import GivenScores, _group, given_scores, worked_check, worked_within
from monitoring.scored_moments import LeadOutcomes
from tests.made_monitoring import moments_by_hand

CALLS = ("call",)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("given")
    (folder / "leadscore.toml").write_text(
        '[project]\nname = "a"\n[leads]\nsource = "l.csv"\noutcome = "o"\n[learn]\nwon = ["w"]\n'
    )
    return load_project(folder)


def records_of(n: int, calls: list[tuple[int, float]], until: float = 100) -> Records:
    """Return records of leads, with calls: the lead and the day of each."""
    at = np.array([int(day * DAY) for _, day in calls], dtype=np.int64)
    return Records(
        leads=pd.DataFrame(
            {
                "lead_id": [f"L{i}" for i in range(n)],
                "created_at": as_times(np.zeros(n, dtype=np.int64), pd.RangeIndex(n)),
            }
        ),
        outcomes=pd.DataFrame({"lead_id": []}),
        activities=pd.DataFrame(
            {
                "lead_id": [f"L{lead}" for lead, _ in calls],
                "type": "call",
                "occurred_at": as_times(at, pd.RangeIndex(len(calls))),
            }
        ),
        observed_until=as_times(np.array([int(until * DAY)]), pd.RangeIndex(1)).iloc[0],
        in_order=True,
    )


def test_first_call_after_the_score_counts() -> None:
    """Two leads, scored on days 5 and 8."""
    moments = moments_by_hand([0.0] * 2, [0.0] * 2, day=[5, 8])

    def within(calls: list[tuple[int, float]], days: int) -> list[bool]:
        return worked_within(moments, records_of(2, calls), CALLS, days * DAY).tolist()

    # Calls before the score, and at the same moment, do not count; the next one does.
    assert within([(0, 4), (0, 5), (0, 7), (1, 9)], 2) == [True, True]
    assert within([(0, 4), (0, 5), (0, 7), (1, 9)], 1) == [False, True]
    assert within([(0, 4), (0, 5), (1, 8)], 50) == [False, False]


def check_of(project: Project, grades: str, worked: Any, until: float = 14) -> Check:
    """Check leads that were scored on day 0; some are called on day 1."""
    n = len(grades)
    moments = moments_by_hand([0.0] * n, [np.nan] * n, day=[0] * n)
    moments.grade[:] = list(grades)
    given = GivenScores(moments, np.full(n, None), np.zeros(n, dtype=bool), {})
    calls = [(int(i), 1.0) for i in np.flatnonzero(worked)]
    return worked_check(given, records_of(n, calls, until), project)


def test_best_grade_that_is_worked_less_is_watched(project: Project) -> None:
    grades = "A" * 50 + "B" * 50 + "C" * 50
    worked = np.repeat([True, False] * 3, [5, 45, 45, 5, 10, 40])
    check = check_of(project, grades, worked)
    assert check.evidence == (
        "Sales worked 5 of 50 leads with grade A within 14 days after their score (10 %), and 20 % "
        "of those with grade C. Leads with grade B were worked more often."
    )
    assert check.verdict is Verdict.WATCH
    assert check.next_step == "Sales: work the leads with grade A first."
    low, high = wilson(0.9, 50)
    assert check.rows[1] == {
        "grade": "B",
        "leads": 50,
        "worked": 45,
        "share": 0.9,
        "low": pytest.approx(low),
        "high": pytest.approx(high),
    }


def test_grades_that_may_be_worked_alike_are_fine(project: Project) -> None:
    worked = np.repeat([True, False] * 2, [20, 30, 25, 25])
    check = check_of(project, "A" * 50 + "B" * 50, worked)
    assert (check.verdict, check.next_step) == (Verdict.FINE, "")
    assert check.evidence.endswith("(40 %), and 50 % of those with grade B.")


def test_thirty_leads_scored_two_weeks_ago_are_enough(project: Project) -> None:
    def verdict(n: int, until: float) -> Verdict:
        return check_of(project, "A" * n, np.ones(n, dtype=bool), until).verdict

    assert [verdict(29, 14), verdict(30, 13.99), verdict(30, 14)] == [
        Verdict.UNKNOWN,
        Verdict.UNKNOWN,
        Verdict.FINE,
    ]


def test_group_is_compared_by_a_score_test() -> None:
    # Of 100 leads with a chance of a half, 60 win: 10 more than expected, two standard deviations.
    # The first 20 belong to another group.
    scored = moments_by_hand([0.0] * 120, [1.0] * 80 + [0.0] * 40)
    chosen = np.arange(120) >= 20
    group = _group("source", "Web", chosen, scored, scored.weight, np.full(120, 0.5))
    assert group == {
        "column": "source",
        "value": "Web",
        "leads": 100,
        "won": 60.0,
        "stated": 50.0,
        "p": pytest.approx(0.0455, abs=1e-4),
    }


def test_moments_of_a_lead_count_once_in_a_group() -> None:
    scored = moments_by_hand(
        [0.0] * 200, [1.0] * 120 + [0.0] * 80, lead=[i // 2 for i in range(200)]
    )
    group = _group("a", "b", np.ones(200, dtype=bool), scored, scored.weight, np.full(200, 0.5))
    assert (group["leads"], group["won"], group["stated"]) == (100, 60.0, 50.0)


def test_counts_and_warnings_of_given_scores() -> None:
    records = records_of(3, [])
    outcomes = LeadOutcomes(
        closed_at=np.array([50, 0, 50]) * DAY,
        won_at=np.array([50, 60, 99]) * DAY,
        is_known=np.ones(3, dtype=bool),
        until=100 * DAY,
        horizon=60 * DAY,
    )

    def row(lead: str, day: int, version: str = "1", **more: Any) -> dict[str, Any]:
        at = {"as_of": day * DAY, "probability": 0.5, "grade": "B", "version": version}
        return {"lead_id": lead, **at, **more}

    rows = [
        row("L2", 3),
        row("L0", 2, warnings=[]),
        row("L0", 1, warnings=[{"code": "x"}], lane="control"),
        row("L0", 1, "2"),
        row("L1", 1),  # closed on day 0
        row("L9", 1),
    ]
    given = given_scores(rows, records, outcomes)
    assert given.moments.lead.tolist() == [0, 0, 2]
    assert given.moments.version.tolist() == ["1", "2", "1"]
    assert given.moments.label.tolist() == [1.0, 1.0, 0.0]
    assert given.lane.tolist() == ["control", None, None]
    assert given.has_warning.tolist() == [True, False, False]
    assert given.counts == {"scores": 6, "unknown_leads": 1, "closed": 1, "repeated": 1}
    certain = given_scores([row("L0", 1) | {"probability": 1.0}], records, outcomes)
    assert certain.moments.log_odds.tolist() == pytest.approx([np.log(1e9)])
