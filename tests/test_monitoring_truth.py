from dataclasses import replace

import numpy as np
import pytest

from crm.times import DAY
from models.reference import HeldOutMonth, Reference
from monitoring.check import QUESTIONS, Check, Verdict, worst
from monitoring.early import early_losses, early_wins_check
from monitoring.estimated import came_true_check, estimate, estimated_rows, newest_check
from monitoring.promise import MOST_TOLERANCE, TOLERANCE, Promise, tolerance_of
from monitoring.scored_moments import ScoredMoments
from monitoring.truth import (
    FEWEST_NON_WINS,
    NON_WINS,
    cohort_rows,
    evaluation,
    placements,
    truth_checks,
    version_rows,
)
from tests.made_monitoring import (
    PROMISE,
    champion_of,
    outcomes_of,
    repeated,
    scored_moments,
    uniform_delays,
)


def verdicts(scored: ScoredMoments, promise: Promise = PROMISE) -> list[str]:
    return [str(check.verdict) for check in truth_checks("LM2", scored, promise, "the champion")]


def test_right_scores_are_fine() -> None:
    assert verdicts(scored_moments()) == ["fine", "fine", "fine"]


def test_log_loss_is_shown_beside_the_promised_one() -> None:
    scored = scored_moments()
    figures = truth_checks("LM2", scored, PROMISE, "the champion")[0].figures
    assert figures["log_loss"] == evaluation(scored)["log_loss"]
    assert figures["promised_log_loss"] == 0.45


def test_fewer_wins_than_stated_say_act_with_the_day() -> None:
    scored = scored_moments(4_000, shift=-1.2, changed_from=300)
    chances, _, grades = truth_checks("LM2", scored, PROMISE, "the champion")
    assert chances.verdict is Verdict.ACT
    assert chances.figures["since"] is not None
    # Outcomes become certain 90 days after the score.
    assert 370 <= chances.figures["since"] <= 430
    assert chances.figures["reached"] is not None
    assert chances.figures["reached"] > 390
    assert "fewer leads win than stated" in chances.evidence
    assert grades.verdict is Verdict.ACT
    assert "leadscore train" in chances.next_step


def test_more_wins_than_stated_say_act() -> None:
    chances = truth_checks("LM2", scored_moments(shift=1.2), PROMISE, "the champion")[0]
    assert chances.verdict is Verdict.ACT
    assert "more leads win than stated" in chances.evidence


def test_scores_that_no_longer_rank_say_act_although_the_share_of_wins_is_right() -> None:
    scored = scored_moments(6_000, slope=0.0, shift=0.2, changed_from=200)
    chances, ranking, _ = truth_checks("LM2", scored, PROMISE, "the champion")
    assert chances.verdict is Verdict.FINE
    assert ranking.verdict is Verdict.ACT
    assert "Since" in ranking.evidence


def test_promise_that_was_too_good_by_chance_is_not_a_change() -> None:
    """The hold-out of one model in 40 promises more than its interval of 95 % allows."""
    scored = scored_moments(4_000)
    real = evaluation(scored)["roc_auc"]
    error = 0.04  # the standard error of a hold-out with few wins

    def ranking(errors: float) -> str:
        promised = real + errors * error
        return verdicts(scored, Promise(roc_auc=promised, roc_auc_low=promised - 1.96 * error))[1]

    assert ranking(2.9) == "fine"
    assert ranking(5.0) == "act"


def test_grades_are_named_that_do_not_keep_their_promise() -> None:
    scored = scored_moments(6_000, slope=0.3)
    grades = truth_checks("LM1", scored, PROMISE, "the scores that were given")[2]
    assert grades.number == "LM103"
    off = {row["grade"]: row for row in grades.rows if row["verdict"] != "fine"}
    assert off["A"]["won"] < off["A"]["stated"]
    assert off["A"]["promised"] == 0.5
    assert "grade A" in grades.evidence


def test_a_lead_counts_once_however_often_it_is_scored() -> None:
    once = scored_moments(1_500, shift=-0.45)
    often = repeated(once, 6)
    first, second = (
        truth_checks("LM2", scored, PROMISE, "the champion")[0] for scored in (once, often)
    )
    # The repeated moments are tested apart, so the mean of the tests is that of one moment.
    assert second.figures["days"] == pytest.approx(first.figures["days"])
    assert second.figures["expected"] == pytest.approx(first.figures["expected"])


def test_too_few_outcomes_are_not_judged() -> None:
    scored = scored_moments(300, known_days=95)
    checks = truth_checks("LM2", scored, PROMISE, "the champion")
    assert [str(check.verdict) for check in checks] == ["unknown"] * 3
    assert "The 90 days are over for 30 of 300 leads" in checks[0].evidence


def test_without_scores_nothing_is_judged() -> None:
    none = scored_moments(10).take(np.zeros(10, dtype=bool))
    checks = truth_checks("LM1", none, PROMISE, "the scores that were given")
    assert checks[0].evidence == "There are no leads for the scores that were given yet."


def test_without_a_hold_out_the_ranking_is_not_judged() -> None:
    ranking = truth_checks("LM2", scored_moments(), Promise(), "the champion")[1]
    assert ranking.verdict is Verdict.UNKNOWN
    assert "no hold-out" in ranking.evidence


def test_placements_average_to_the_roc_auc() -> None:
    scored = scored_moments(6_000)
    assert placements(scored).mean_since(0) == pytest.approx(
        evaluation(scored)["roc_auc"], abs=0.02
    )


def test_placements_compare_each_win_with_the_newest_non_wins_before_it() -> None:
    scored = scored_moments(700, seed=4)
    scored = replace(scored, log_odds=scored.log_odds.round(1))  # with ties
    scored = repeated(scored, 2)
    days, shares, non_wins = [], [], list[float]()
    for own, label, known_at in zip(scored.log_odds, scored.label, scored.known_at, strict=True):
        if label == 0:
            non_wins.append(own)
        elif len(non_wins) >= FEWEST_NON_WINS:
            before = non_wins[-NON_WINS:]
            days.append(known_at // DAY)
            shares.append(np.mean([(own > other) + (own == other) / 2 for other in before]))
    placed = placements(scored)
    assert len(non_wins) > 2 * NON_WINS
    assert placed.day.tolist() == days
    assert placed.share == pytest.approx(shares)
    assert set(placed.weight) == {0.5}
    assert len(placements(scored.take(scored.label == 1)).day) == 0


def test_cohorts_are_months_whose_outcomes_are_all_certain() -> None:
    rows = cohort_rows(scored_moments(1_000, known_days=160))
    assert [row["month"] for row in rows] == ["1970-01", "1970-02"]
    assert rows[0]["leads"] == 31 * 5
    assert rows[0]["stated"] == pytest.approx(rows[0]["won"], abs=0.1)


def test_versions_are_evaluated_apart() -> None:
    scored = scored_moments(1_000)
    scored.version[:400] = "7"
    rows = {row["version"]: row for row in version_rows(scored)}
    assert rows["7"]["leads"] == 400
    assert rows["1"]["leads"] == 600


def test_tolerance_grows_with_the_difference_of_months() -> None:
    def months(*won: int) -> list[HeldOutMonth]:
        return [HeldOutMonth("", 400, 60.0, count, {}) for count in won]

    assert tolerance_of(months(60, 62, 57, 61, 60, 59)) == TOLERANCE
    seasonal = tolerance_of(months(40, 80, 40, 80, 40, 80))
    assert TOLERANCE < seasonal <= MOST_TOLERANCE
    assert tolerance_of(months(1, 400, 1, 400, 1, 400)) == MOST_TOLERANCE
    assert tolerance_of(months(40, 80, 40, 80, 40)) == TOLERANCE  # too few months


def test_season_within_the_tolerance_is_not_a_change() -> None:
    # 0.4 log-odds down in each second half of the year.
    down, up = (scored_moments(900, shift=shift, seed=seed) for shift, seed in ((-0.4, 1), (0, 2)))
    half = 180 * DAY
    parts = [up, down, up, down]
    scored = ScoredMoments(
        lead=np.arange(3_600),
        as_of=np.concatenate([p.as_of + i * half for i, p in enumerate(parts)]),
        log_odds=np.concatenate([p.log_odds for p in parts]),
        grade=np.concatenate([p.grade for p in parts]),
        version=np.concatenate([p.version for p in parts]),
        label=np.concatenate([p.label for p in parts]),
        known_at=np.concatenate([p.known_at + i * half for i, p in enumerate(parts)]),
        won_at=np.concatenate([p.won_at for p in parts]),
    )
    wide = Promise(0.75, 0.72, 0.45, {}, tolerance=0.45)
    assert verdicts(scored, wide)[0] == "fine"


@pytest.mark.parametrize("check", [0, 2])
def test_change_that_may_be_a_season_is_watched_until_a_year_is_known(check: int) -> None:
    half = scored_moments(5_000, shift=-0.7, changed_from=200)

    def checked(months: int, scored: ScoredMoments = half) -> Check:
        promise = replace(PROMISE, months=months)
        return truth_checks("LM2", scored, promise, "the champion")[check]

    caveat = "The model has seen 10 months of outcomes; a season is not known yet."
    assert checked(10).verdict is Verdict.WATCH
    assert checked(10).evidence.endswith(caveat)
    assert checked(12).verdict is Verdict.ACT
    assert "season" not in checked(12).evidence
    assert checked(0).verdict is Verdict.ACT  # a model of an earlier version
    larger = checked(10, scored_moments(5_000, shift=-1.8, changed_from=200))
    assert larger.verdict is Verdict.ACT
    assert larger.evidence.endswith(caveat)
    assert "season" not in checked(10, scored_moments(5_000)).evidence


# -- before outcomes are in ----------------------------------------------------------------


def test_estimate_agrees_with_what_comes_true() -> None:
    scored = scored_moments(20_000)
    estimated, truth = estimate(scored.log_odds), evaluation(scored)
    assert estimated.values["roc_auc"] == pytest.approx(truth["roc_auc"], abs=0.01)
    assert estimated.values["log_loss"] == pytest.approx(truth["log_loss"], abs=0.01)
    assert estimated.won == pytest.approx(truth["won"], abs=0.01)


def test_estimate_by_hand() -> None:
    # Of the four ordered pairs, .8*.5 + .8*.9... each pair of different moments counts p (1 - p').
    p = np.array([0.8, 0.1])
    estimated = estimate(np.log(p / (1 - p)))
    wins, losses = p.sum(), (1 - p).sum()
    in_order = 0.8 * 0.9 + (0.8 * 0.2 + 0.1 * 0.9) / 2  # a moment ties with itself
    assert estimated.values["roc_auc"] == pytest.approx(in_order / (wins * losses))
    loss = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)) / 2
    assert estimated.values["log_loss"] == pytest.approx(loss)
    assert estimated.won == pytest.approx(0.45)


def test_intervals_of_estimates_contain_what_comes_true() -> None:
    inside = 0
    for seed in range(60):
        scored = scored_moments(300, seed=seed)
        low, high = estimate(scored.log_odds).intervals["roc_auc"]
        inside += low <= evaluation(scored)["roc_auc"] <= high
    assert 52 <= inside <= 60


def test_gap_between_estimate_and_truth_is_an_alarm() -> None:
    assert came_true_check(scored_moments(4_000)).verdict is Verdict.FINE
    changed = came_true_check(scored_moments(6_000, slope=0.0, changed_from=200))
    assert changed.verdict is Verdict.ACT
    assert changed.figures["estimated_roc_auc"] > changed.figures["roc_auc"]  # type: ignore[operator]


def test_estimates_and_truth_are_never_mixed() -> None:
    rows = estimated_rows(scored_moments(1_000, known_days=160))
    assert [row["roc_auc_true"] is None for row in rows] == [False, False, *[True] * 5]
    assert all(row["roc_auc_low"] <= row["roc_auc"] <= row["roc_auc_high"] for row in rows)


def test_newest_scores_that_promise_less_are_watched() -> None:
    young = scored_moments(2_000, known_days=0)
    assert newest_check(young, PROMISE).verdict is Verdict.FINE
    alike = ScoredMoments(
        **{**vars(young), "log_odds": young.log_odds * 0.1 - 1.4},
    )
    check = newest_check(alike, PROMISE)
    assert check.verdict is Verdict.WATCH
    assert "The card promised 75" in check.evidence


REFERENCE = Reference(
    [""], [], {}, [], {"": uniform_delays()}, {"0": (np.arange(21) / 20).tolist()}
)


def test_as_many_early_wins_as_expected_are_fine() -> None:
    scored = scored_moments(3_000)
    check = early_wins_check(champion_of(scored), outcomes_of(scored, 500), REFERENCE, PROMISE)
    assert check.verdict is Verdict.FINE
    assert check.figures["won"] == pytest.approx(check.figures["expected"], rel=0.2)


def test_fewer_early_wins_are_found_long_before_the_horizon_is_over() -> None:
    scored = scored_moments(6_000, per_day=20, shift=-1.5, changed_from=150)
    until = 220  # no score of the changed time is old enough for its outcome to be certain
    check = early_wins_check(champion_of(scored), outcomes_of(scored, until), REFERENCE, PROMISE)
    assert check.verdict is Verdict.ACT
    assert check.evidence.startswith("Since 1970-0")
    assert "LM306" in check.next_step


def test_fewer_early_wins_that_may_be_a_season_are_watched() -> None:
    scored = scored_moments(12_000, per_day=20, shift=-0.7, changed_from=150)
    champion, outcomes = champion_of(scored), outcomes_of(scored, 600)
    short, year = (
        early_wins_check(champion, outcomes, REFERENCE, replace(PROMISE, months=months))
        for months in (10, 12)
    )
    assert year.verdict is Verdict.ACT
    assert short.verdict is Verdict.WATCH
    assert short.evidence.endswith("a season is not known yet.")


def test_early_wins_need_known_delays() -> None:
    scored = scored_moments(100)
    outcomes = outcomes_of(scored, 500)
    assert early_wins_check(champion_of(scored), outcomes, None, PROMISE).verdict is Verdict.UNKNOWN
    few = early_wins_check(champion_of(scored.take(np.arange(20))), outcomes, REFERENCE, PROMISE)
    assert few.evidence == "Too few early wins are expected so far to tell."


def test_losses_that_come_later_are_found() -> None:
    scored = scored_moments(3_000, per_day=10)
    usual = early_losses(champion_of(scored), outcomes_of(scored, 300), REFERENCE)
    assert usual is not None
    # `REFERENCE` has a third of the losses within 30 days; here all losses come after 40.
    assert usual.verdict is Verdict.ACT
    assert usual.happened == 0
    assert early_losses(champion_of(scored), outcomes_of(scored, 300), None) is None
    early = Reference([""], [], {}, [], {}, {})
    assert early_losses(champion_of(scored), outcomes_of(scored, 300), early) is None


def test_shares_of_wins_by_grade() -> None:
    reference = Reference([""], [], {}, [], {"": [0.0, 100.0], "7 A": [0.0, 50.0]})
    assert reference.wins_by(25.0, ["7 A", "7 B", "0 A"]).tolist() == [0.5, 0.25, 0.25]
    assert np.isnan(Reference([""], [], {}).wins_by(25.0, ["0 A"])).all()


def test_worst_verdict_counts() -> None:
    checks = [Check("LM101", Verdict.WATCH, ""), Check("LM102", Verdict.ACT, "")]
    assert worst(checks) is Verdict.ACT
    assert worst([]) is Verdict.UNKNOWN


def test_numbers_of_checks_are_in_order() -> None:
    assert list(QUESTIONS) == sorted(QUESTIONS)
    assert all(question.text.endswith("?") for question in QUESTIONS.values())
