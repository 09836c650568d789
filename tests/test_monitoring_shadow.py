from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.records import Records
from crm.times import DAY, as_times
from features.first_closings import NEVER
from monitoring.check import Check, Verdict
from monitoring.scored_moments import LeadOutcomes
from monitoring.sequential import sequence_half_width
from monitoring.shadow import shadow_check

HORIZON_DAYS = 90


def check_of(
    given: Any,
    shadow: Any,
    is_won: Any,
    *,
    day: Any = 0,
    until: float = 200,
    won_after: Any = 1.0,
    closed_at: Any = None,
    strangers: int = 0,
) -> Check:
    """Compare the chances of a shadow with given ones; wins come some days after the score."""
    won = np.asarray(is_won, dtype=bool)
    n = len(won)
    as_of = np.broadcast_to(day, n) * DAY
    won_at = np.where(won, as_of + (np.broadcast_to(won_after, n) * DAY).astype(np.int64), NEVER)
    rows = [
        {
            "lead_id": f"L{i}", "score_id": f"s{i}", "as_of": int(as_of[i]), "digest": "d",
            "probability": p, "grade": "A", "version": "1",
        }
        for i, p in enumerate(np.broadcast_to(given, n).tolist())
    ]  # fmt: skip
    shadows = [
        {**row, "probability": p, "version": "2", "grade": "A" if p > 0.5 else "B"}
        for row, p in zip(rows, np.broadcast_to(shadow, n).tolist(), strict=True)
    ]
    known = n - strangers
    ids = [f"L{i}" for i in range(known)]
    at = as_times(np.zeros(known, dtype=np.int64), pd.RangeIndex(known))
    leads = pd.DataFrame({"lead_id": ids, "created_at": at})
    records = Records(leads=leads, outcomes=pd.DataFrame({"lead_id": []}), in_order=True)
    outcomes = LeadOutcomes(
        closed_at=won_at[:known] if closed_at is None else np.asarray(closed_at),
        won_at=won_at[:known],
        is_known=np.ones(known, dtype=bool),
        until=int(until * DAY),
        horizon=HORIZON_DAYS * DAY,
    )
    return shadow_check(rows, shadows, records, outcomes)


WON = np.arange(60) < 30
SURE, UNSURE = np.where(WON, 0.8, 0.2), np.where(WON, 0.6, 0.4)


def test_shadow_that_is_better_by_the_same_for_each_lead() -> None:
    # The log loss of each lead is log(0.6 / 0.8) less, so the interval has no width.
    check = check_of(UNSURE, SURE, WON)
    assert check.evidence == (
        "Version 2 has scored 60 leads in the shadow, and gives 50 % of them another grade. It "
        "predicts the outcomes clearly better than the given scores. Log loss -0.2877 (-0.2877 to "
        "-0.2877) on 60 leads; of 100 pairs it ranks 100 correctly, the given scores 100."
    )
    assert check.verdict is Verdict.WATCH
    assert check.figures["moved"] == 0.5


def test_shadow_that_is_worse_by_the_same_for_each_lead() -> None:
    check = check_of(SURE, UNSURE, WON)
    assert "clearly worse than the given scores. Log loss +0.2877" in check.evidence
    assert (check.verdict, check.next_step) == (Verdict.FINE, "")


def test_interval_of_the_difference_holds_at_every_look() -> None:
    # The shadow is right for 40 leads and wrong for 20; the given scores always state a half.
    shadow = np.where(WON ^ (np.arange(60) % 3 == 0), 0.8, 0.2)
    check = check_of(0.5, shadow, WON)
    excess = np.repeat([np.log(0.5 / 0.8), np.log(0.5 / 0.2)], [40, 20])
    half = sequence_half_width(60, float(excess.std()))
    assert check.figures["log_loss_difference"] == pytest.approx(excess.mean())
    assert check.figures["low"] == pytest.approx(excess.mean() - half)
    assert check.figures["high"] == pytest.approx(excess.mean() + half)
    assert "Neither predicts the outcomes clearly better." in check.evidence
    # Two thirds of the wins have 0.8 and two thirds of the others 0.2: 4/9 of the pairs are in
    # order, and 4/9 are equal.
    assert check.figures["roc_auc"] == pytest.approx(4 / 9 + 4 / 9 / 2)
    assert check.figures["roc_auc_given"] == 0.5
    assert check.evidence.endswith("of 100 pairs it ranks 67 correctly, the given scores 50.")


def test_equal_scores_are_not_clearly_better() -> None:
    check = check_of(SURE, SURE, WON)
    assert "Neither predicts the outcomes clearly better. Log loss +0.0000" in check.evidence
    assert check.verdict is Verdict.FINE


def test_certain_chances_have_a_finite_log_loss() -> None:
    check = check_of(np.where(WON, 0.0, 1.0), SURE, WON)
    # The chance of what happened counts as at least a billionth.
    assert check.figures["log_loss_difference"] == pytest.approx(np.log(1e-9 / 0.8), rel=1e-6)


@pytest.mark.parametrize("n", [1, 29, 30])
def test_thirty_pairs_are_needed(n: int) -> None:
    few = check_of(SURE[:n], UNSURE[:n], WON[:n]).evidence
    assert (few == f"The shadow has scored {n} open leads so far.") is (n < 30)


@pytest.mark.parametrize(
    ("n_won", "n", "judged"), [(10, 60, True), (9, 60, False), (50, 60, True), (51, 60, False)]
)
def test_ten_of_either_outcome_are_needed(n_won: int, n: int, judged: bool) -> None:
    check = check_of(0.5, 0.6, np.arange(n) < n_won)
    assert ("roc_auc" in check.figures) is judged
    few = f"Outcomes are certain for {n} of them, too few to compare."
    assert check.evidence.endswith(few) is not judged


def test_only_outcomes_whose_horizon_is_over_count() -> None:
    # The horizon of the scores of day 10 is over on day 100; that of day 11 is not.
    day = np.where(np.arange(120) < 60, 10, 11)
    check = check_of(0.5, 0.6, np.tile(WON, 2), day=day, until=100)
    assert (check.figures["leads"], check.figures["mature"]) == (120, 60)
    assert check.figures["span"] == 1.0


def test_win_after_the_horizon_is_none() -> None:
    after = np.where(np.arange(60) < 15, HORIZON_DAYS, HORIZON_DAYS + 0.001)
    check = check_of(UNSURE, SURE, WON, won_after=after)
    # 15 wins come at the end of the horizon; the 15 after it are losses with a chance of 0.8.
    excess = np.repeat([np.log(0.6 / 0.8), np.log(0.4 / 0.2)], [45, 15])
    assert check.figures["log_loss_difference"] == pytest.approx(excess.mean())


def test_closed_and_unknown_leads_are_left_out() -> None:
    closed = np.where(np.arange(60) < 12, 0, NEVER)  # at the moment of the score
    check = check_of(0.5, 0.6, WON, closed_at=closed)
    assert (check.figures["leads"], check.figures["moved"]) == (48, 0.0)
    assert check_of(0.5, 0.6, WON, strangers=20).figures["leads"] == 40
