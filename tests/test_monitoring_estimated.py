import numpy as np
import pytest

from monitoring.check import Verdict
from monitoring.estimated import came_true_check, estimated_rows, newest_check
from tests.made_monitoring import PROMISE, moments_by_hand

CERTAIN = 12.0  # log-odds of a win that is nearly certain


def test_sentence_about_the_newest_scores() -> None:
    young = moments_by_hand([CERTAIN] * 18 + [-CERTAIN] * 2, [np.nan] * 20)
    check = newest_check(young, PROMISE)
    assert check.evidence == (
        "Of 20 leads whose time is not over, about 90 % will be won (90 to 90 %), if the stated "
        "chances are right. The scores then rank 100 of 100 pairs correctly (100 to 100)."
    )
    assert check.figures["leads"] == 20
    assert check.figures["estimated_won"] == pytest.approx(0.9, abs=1e-4)
    assert check.figures["estimated_roc_auc"] == pytest.approx(1.0, abs=1e-4)
    assert [(row["grade"], row["leads"]) for row in check.rows] == [("A", 20)]
    assert check.rows[0]["stated"] == pytest.approx(0.9, abs=1e-4)


def test_equal_scores_rank_half_of_the_pairs() -> None:
    young = newest_check(moments_by_hand([0.0] * 20, [np.nan] * 20), PROMISE)
    assert young.evidence.endswith(
        "rank 50 of 100 pairs correctly (50 to 50). The card promised 75."
    )
    old = came_true_check(moments_by_hand([0.0] * 40, [1.0, 0.0] * 20))
    assert old.evidence.endswith("to rank 50 correctly (50 to 50); 50 came true.")


@pytest.mark.parametrize(("n", "verdict"), [(19, Verdict.UNKNOWN), (20, Verdict.FINE)])
def test_twenty_open_outcomes_are_enough(n: int, verdict: Verdict) -> None:
    log_odds = np.where(np.arange(n) % 2, CERTAIN, -CERTAIN)
    assert newest_check(moments_by_hand(log_odds, [np.nan] * n), PROMISE).verdict is verdict


def test_certain_outcomes_are_not_the_newest() -> None:
    mature = moments_by_hand([0.0] * 100, [1.0, 0.0] * 50)
    assert newest_check(mature, PROMISE).verdict is Verdict.UNKNOWN


def test_sentence_about_what_came_true() -> None:
    scored = moments_by_hand([CERTAIN] * 90 + [-CERTAIN] * 10, [1.0] * 90 + [0.0] * 10)
    check = came_true_check(scored)
    assert check.evidence == (
        "Of 100 pairs of a won lead and another, the scores alone promised to rank 100 correctly "
        "(100 to 100); 100 came true."
    )
    assert check.verdict is Verdict.FINE
    assert check.figures["roc_auc"] == 1.0
    assert check.figures["estimated_roc_auc"] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("n_won", "n_lost", "judged"), [(10, 90, True), (9, 91, False), (90, 10, True), (91, 9, False)]
)
def test_ten_of_either_outcome_are_enough(n_won: int, n_lost: int, judged: bool) -> None:
    scored = moments_by_hand([0.0] * 100, [1.0] * n_won + [0.0] * n_lost)
    assert (came_true_check(scored).verdict is not Verdict.UNKNOWN) is judged


def test_month_with_one_moment_has_no_estimate() -> None:
    scored = moments_by_hand([0.0, 1.0, -1.0], [1.0, 1.0, 0.0], day=[0, 31, 32])
    assert [(row["month"], row["leads"]) for row in estimated_rows(scored)] == [("1970-02", 2)]
