from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.reference import HeldOutMonth, Reference
from monitoring.check import Check, Verdict, unknown
from monitoring.given import GivenScores
from monitoring.scored_moments import ScoredMoments
from monitoring.scores import grades_check, inflation_check, warnings_check
from tests.made_monitoring import SCALE, moments_by_hand

COUNTS = {"A": 50, "B": 60, "C": 55, "D": 35}
REFERENCE = Reference([""], [], {}, [HeldOutMonth("", 200, 40.0, 40, COUNTS)] * 8)


def with_grades(grades: str) -> ScoredMoments:
    """Return moments with these grades, one on each day."""
    n = len(grades)
    return replace(moments_by_hand([0.0] * n, [np.nan] * n), grade=np.array(list(grades)))


def test_share_of_the_best_grade_is_that_of_the_last_days() -> None:
    # On day 99, the last 30 days begin on day 69.
    days = ("ABCD" * 17 + "AA" + "BCDA" * 7 + "BC").ljust(100)
    assert len(days.strip()) == 100
    check = grades_check(with_grades(days), REFERENCE, SCALE)
    assert check.verdict is Verdict.FINE
    # Of the 31 days 69 to 99, eight have grade A.
    assert check.evidence == "26 % of the leads have grade A; before, 25 % had it."
    assert check.rows[0]["share"] == pytest.approx(8 / 31)
    assert check.next_step == ""


def test_more_leads_of_a_grade_are_named_with_their_day() -> None:
    check = grades_check(with_grades("BACD" * 10 + "BCDBCDBCDB" + "A" * 50), REFERENCE, SCALE)
    assert check.verdict is Verdict.ACT
    assert check.evidence == (
        "Since 1970-02-20, 100 % of the leads have grade A; before, 25 % had it."
    )
    assert (check.figures["since"], check.figures["rises"]) == (50, 1)
    assert "LM301" in check.next_step


def test_fewer_leads_of_a_grade_are_named() -> None:
    check = grades_check(with_grades("ABCD" * 10 + "ACD" * 60), REFERENCE, SCALE)
    assert check.verdict is not Verdict.FINE
    assert "0 % of the leads have grade B; before, 30 % had it." in check.evidence
    assert check.figures["rises"] == 0


def test_leads_that_are_closed_early_do_not_count_more_than_in_training() -> None:
    """Of 100 leads 60 are closed young with grade D; 40 have grade D, then A, then A."""
    leads = np.repeat(np.arange(100), [1, 1, 1, 3, 3] * 20).tolist()
    grade = np.array(list("DDDDAADAA" * 20))
    month = HeldOutMonth("", 180, 36.0, 36, {"A": 80, "D": 100})
    days = (np.arange(180) // 9).tolist()
    scored = moments_by_hand([0.0] * 180, [np.nan] * 180, days, leads)
    check = grades_check(replace(scored, grade=grade), Reference([""], [], {}, [month] * 8), SCALE)
    assert check.verdict is Verdict.FINE
    assert check.rows[0]["share"] == pytest.approx(80 / 180)


@pytest.mark.parametrize(("n", "verdict"), [(49, Verdict.UNKNOWN), (50, Verdict.FINE)])
def test_fifty_scores_are_enough(n: int, verdict: Verdict) -> None:
    scored = with_grades(("ABCD" * 20)[:n])
    assert grades_check(scored, REFERENCE, SCALE).verdict is verdict
    assert warnings_check(given_with(np.zeros(n, dtype=bool))).verdict is verdict


@pytest.mark.parametrize("reference", [None, Reference([""], [], {})])
def test_without_held_out_months_the_shares_are_unknown(reference: Reference | None) -> None:
    check = grades_check(with_grades("ABCD" * 20), reference, SCALE)
    assert check.verdict is Verdict.UNKNOWN
    assert "does not know the shares of the grades" in check.evidence


# -- inflation -----------------------------------------------------------------------------


def grades(share: float, verdict: Verdict = Verdict.WATCH) -> Check:
    row = {"grade": "A", "share": share, "earlier_share": 0.2}
    return Check("LM401", verdict, "", rows=[row])


def truth(number: str = "LM203", **changed: Any) -> Check:
    row = {"grade": "A", "verdict": "watch", "won": 0.1, "stated": 0.5, **changed}
    return Check(number, Verdict.WATCH, "", rows=[row])


def test_more_leads_of_the_best_grade_that_win_less_are_inflation() -> None:
    for number in ("LM103", "LM203"):
        check = inflation_check(grades(0.4), [truth(number)], SCALE)
        assert check.verdict is Verdict.ACT
        assert check.evidence == (
            "Grade A is worth less: 40 % of the newest leads have grade A, 20 % had it in "
            "training, and fewer of them win than stated."
        )
        assert check.next_step.endswith("raise the lowest score of grade A.")


@pytest.mark.parametrize(
    ("of_grades", "of_truth"),
    [
        (grades(0.1), truth()),
        (grades(0.2), truth()),
        (grades(0.4, Verdict.FINE), truth()),
        (grades(0.4), truth("LM101")),
        (grades(0.4), truth(grade="B")),
        (grades(0.4), truth(verdict="fine")),
        (grades(0.4), truth(won=0.6)),
    ],
)
def test_other_changes_are_not_inflation(of_grades: Check, of_truth: Check) -> None:
    check = inflation_check(of_grades, [of_truth], SCALE)
    assert check.verdict is Verdict.FINE
    share = round(100 * of_grades.rows[0]["share"])
    assert check.evidence == (
        f"No: {share} % of the newest leads have grade A, 20 % had it in training."
    )


def test_without_shares_there_is_no_inflation() -> None:
    check = inflation_check(unknown("LM401", "Too few."), [truth()], SCALE)
    assert (check.verdict, check.evidence) == (Verdict.UNKNOWN, "Too few.")


# -- warnings ------------------------------------------------------------------------------


def given_with(has_warning: Any) -> GivenScores:
    """Return given scores, one on each day."""
    n = len(has_warning)
    moments = moments_by_hand([0.0] * n, [np.nan] * n)
    return GivenScores(moments, np.full(n, None), np.asarray(has_warning), {})


def test_warnings_of_the_last_thirty_days_count() -> None:
    # Of 50 days, the last 30 are those from day 20 on.
    warned = np.zeros(50, dtype=bool)
    warned[19:26] = True
    fine = warnings_check(given_with(warned))
    assert fine.evidence == (
        "20 % of the scores of the last 30 days have a warning; over the whole time it is 14 %."
    )
    assert (fine.verdict, fine.next_step) == (Verdict.FINE, "")
    warned[26] = True
    many = warnings_check(given_with(warned))
    assert many.evidence.startswith("23 % of the scores")
    assert many.verdict is Verdict.WATCH
    assert "correct what is sent" in many.next_step
    assert [(row["month"], row["scores"]) for row in many.rows] == [
        ("1970-01", 31),
        ("1970-02", 19),
    ]
    assert [row["share"] for row in many.rows] == [8 / 31, 0.0]
