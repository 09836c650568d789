import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy.special import expit

from models.card import ModelCard
from models.evaluation.intervals import auc_interval
from models.reference import HeldOutMonth, Reference
from monitoring.check import Check, Verdict
from monitoring.promise import TOLERANCE, Promise, tolerance_of
from monitoring.scored_moments import ScoredMoments
from monitoring.sequential import SHIFTS
from monitoring.truth import (
    FEWEST_NON_WINS,
    NON_WINS,
    Placements,
    chance_detections,
    placements,
    truth_checks,
)
from tests.made_monitoring import HORIZON_DAYS, PROMISE, moments_by_hand, scored_moments


def checks_of(scored: ScoredMoments) -> list[Check]:
    return truth_checks("LM2", scored, PROMISE, "the champion")


def test_win_is_placed_among_the_non_wins_before_it() -> None:
    non_wins = [float(i) for i in range(FEWEST_NON_WINS)]
    # Before the twentieth non-win, a win has no place.
    log_odds = [*non_wins[:-1], 5.0, non_wins[-1], 5.0]
    label = [0.0] * 19 + [1.0, 0.0, 1.0]
    placed = placements(moments_by_hand(log_odds, label))
    # Five of 20 non-wins are below 5, and the equal one counts half.
    assert placed.share.tolist() == [5.5 / 20]
    assert placed.day.tolist() == [21 + HORIZON_DAYS]
    assert placed.weight.tolist() == [1.0]


def test_only_the_newest_non_wins_count() -> None:
    log_odds = [-1.0, *map(float, range(NON_WINS)), 50.0]
    placed = placements(moments_by_hand(log_odds, [0.0] * (NON_WINS + 1) + [1.0]))
    assert placed.share.tolist() == [50.5 / NON_WINS]


def test_mean_place_begins_on_its_day() -> None:
    placed = Placements(np.array([3, 4, 5]), np.array([0.0, 0.2, 0.8]), np.array([1.0, 1.0, 0.5]))
    assert placed.mean_since(4) == pytest.approx((0.2 + 0.5 * 0.8) / 1.5)


def test_both_sides_of_the_chances_share_the_rate_of_false_alarms() -> None:
    won = moments_by_hand([0.0], [1.0])
    more, fewer = chance_detections(won, won.log_odds, won.label, np.array([7]), 0.0, n_tests=3)
    ratios = expit(np.array(SHIFTS)) / 0.5
    assert more.days == pytest.approx(ratios.mean() / (2 * 3))
    assert fewer.days == pytest.approx((2 - ratios).mean() / (2 * 3))
    assert more.since == 7


def one_day(chances: list[float], label: list[float]) -> ScoredMoments:
    """Return moments of one day."""
    log_odds = np.log(np.array(chances) / (1 - np.array(chances)))
    return moments_by_hand(log_odds, label, day=[0] * len(label))


def test_statistic_of_chances_and_grades_by_hand() -> None:
    """A single day: the products of the e-values, averaged over the shifts and both sides."""
    scored = one_day([0.5] * 40, [1.0] * 30 + [0.0] * 10)
    at_edge = expit(PROMISE.tolerance)
    shifted = expit(PROMISE.tolerance + np.array(SHIFTS))
    more = ((shifted / at_edge) ** 30 * ((1 - shifted) / (1 - at_edge)) ** 10).mean() / 2
    chances, _, grades = checks_of(scored)
    assert chances.figures["days"] == pytest.approx(more)
    assert grades.figures["days"] == pytest.approx(more)
    # A second grade, with ten certain losses, halves the statistic of the first one.
    two = one_day([0.5] * 40 + [1e-9] * 10, [1.0] * 30 + [0.0] * 20)
    two = replace(two, grade=np.repeat(["A", "D"], [40, 10]))
    assert checks_of(two)[2].figures["days"] == pytest.approx(more / 2)


def test_moments_beyond_the_eighth_of_a_lead_are_not_tested() -> None:
    many = moments_by_hand([0.0] * 9, [1.0] * 9, day=list(range(9)), lead=[0] * 9)
    first = many.take(np.arange(8))
    detections = [
        chance_detections(of, of.log_odds, of.label, of.as_of, 0.0, n_tests=1)
        for of in (many, first)
    ]
    assert detections[0] == detections[1]


@pytest.mark.parametrize(
    ("n_won", "n_lost", "judged"), [(10, 90, True), (9, 91, False), (90, 10, True), (91, 9, False)]
)
def test_ten_of_either_outcome_are_enough(n_won: int, n_lost: int, judged: bool) -> None:
    scored = moments_by_hand([0.0] * 100, [1.0] * n_won + [0.0] * n_lost)
    verdicts = {check.verdict for check in checks_of(scored)}
    assert (verdicts != {Verdict.UNKNOWN}) is judged


def test_ranking_without_enough_earlier_non_wins_is_no_change() -> None:
    """With 19 non-wins in all, no win has a place, so nothing speaks for a change."""
    ranking = checks_of(moments_by_hand([0.0] * 29, [1.0] * 10 + [0.0] * 19))[1]
    assert ranking.verdict is Verdict.FINE
    assert ranking.figures["days"] == 0.0


def test_sentences_contain_the_counts() -> None:
    scored = moments_by_hand([0.0] * 40, [1.0, 0.0] * 20)
    checks = checks_of(scored)
    assert [check.number for check in checks] == ["LM201", "LM202", "LM203"]
    chances, ranking, grades = checks
    assert chances.evidence == (
        "Of 40 leads whose 90 days are over, 20 were won. The scores stated 20."
    )
    low, high = auc_interval(
        scored.log_odds, scored.label.astype(np.int8), np.ones(40), scored.lead
    )
    assert ranking.evidence == (
        f"A lead that was won had the better score in 50 of 100 pairs ({low:.0%} to {high:.0%}). "
        "The card of the model promises 75."
    ).replace("%", "")
    # Wilson's interval of 20 of 40.
    assert (
        grades.evidence
        == "Of 40 leads with grade A, 50 % were won (35 % to 65 %); stated were 50 %."
    )


def test_first_grade_is_shown_if_none_is_off() -> None:
    grades = checks_of(scored_moments())[2]
    assert re.findall("grade (.),", grades.evidence) == ["A"]


def test_ranking_since_a_change_is_that_of_the_change() -> None:
    scored = scored_moments(6_000, slope=0.0, shift=0.2, changed_from=200)
    evidence = checks_of(scored)[1].evidence
    found = re.search(r"Since 1970-\d\d-\d\d it is (\d+) of 100\.$", evidence)
    assert found is not None
    # Since the change, scores do not tell wins from others.
    assert 45 <= int(found[1]) <= 55


# -- what the card promises ------------------------------------------------------------------


def months_with(expected: float, *won: int) -> list[HeldOutMonth]:
    return [HeldOutMonth(f"2025-0{i}", 500, expected, n, {}) for i, n in enumerate(won, start=1)]


def test_tolerance_by_hand() -> None:
    expected, won = np.array([40.0, 90.0] * 3), np.array([32, 108] * 3)
    months = [HeldOutMonth("", 500, e, int(w), {}) for e, w in zip(expected, won, strict=True)]
    # The variance between months by the method of moments (DerSimonian and Laird).
    offset = np.log((won + 0.5) / (expected + 0.5))
    excess = expected @ (offset - np.average(offset, weights=expected)) ** 2 - 5
    between = excess / (expected.sum() - (expected**2).sum() / expected.sum())
    assert 0.2 < 1.645 * np.sqrt(between) < 0.5
    assert tolerance_of(months) == pytest.approx(1.645 * np.sqrt(between))


def test_months_with_few_expected_wins_do_not_widen_the_tolerance() -> None:
    assert tolerance_of(months_with(4.9, *[0, 40] * 3)) == TOLERANCE
    assert tolerance_of(months_with(5.0, *[0, 40] * 3)) == 0.5


def promise_of(test: dict[str, Any], reference: Reference | None = None) -> Promise:
    return Promise.of(cast("ModelCard", SimpleNamespace(test=test)), reference)


def test_promise_is_that_of_the_hold_out() -> None:
    test = {
        "roc_auc": 0.8,
        "log_loss": 0.4,
        "intervals": {"roc_auc": [0.75, 0.85]},
        "by_grade": [{"grade": "A", "won": 0.5}, {"grade": "B", "won": 0.2}],
    }
    months = Reference([""], [], {}, months_with(5.0, *[0, 40] * 3))
    assert promise_of(test) == Promise(0.8, 0.75, 0.4, {"A": 0.5, "B": 0.2}, TOLERANCE)
    assert promise_of(test, months).tolerance == 0.5
    assert promise_of({**test, "not_judged": "few"}, months) == Promise(tolerance=0.5, months=6)
    assert promise_of({}) == Promise()
    without_times = Reference([""], [], {}, [HeldOutMonth("", 500, 40.0, 40, {})])
    assert promise_of(test, without_times).months == 0
