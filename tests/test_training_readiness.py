"""Readiness: each rule alone, told with its figures."""

import dataclasses
import re

import numpy as np
import pytest

from crm.times import NOT_A_TIME
from features.moments import Moments
from models.evaluation.metrics import Evaluation
from training.readiness import Readiness, judge_readiness
from training.split import Split


def side(won: int, n: int, *, moments_per_lead: int = 1, has_times: bool = True) -> Moments:
    label = np.repeat(np.array([1] * won + [0] * (n - won), dtype=np.int8), moments_per_lead)
    lead = np.repeat(np.arange(n), moments_per_lead)
    at = np.full(len(label), 5 if has_times else NOT_A_TIME)
    return Moments(lead, at, label, at, np.ones(len(label)), {})


def figures(log_loss=(0.40, 0.38, 0.42), roc_auc=(0.80, 0.77, 0.83), ece=0.02) -> Evaluation:
    metrics = {"log_loss": log_loss, "roc_auc": roc_auc, "ece": (ece, 0.0, 0.1)}
    return Evaluation(
        n=1_000,
        n_leads=1_000,
        base_rate=0.2,
        values={name: three[0] for name, three in metrics.items()},
        intervals={name: three[1:] for name, three in metrics.items()},
        error_by_chance=0.03,
    )


BASELINES = {
    "base_rate": figures((0.5, 0.48, 0.52), (0.5, 0.5, 0.5)),
    "logistic": figures((0.39, 0.37, 0.41)),
}
GAINED = {"base_rate": (-0.1, -0.12, -0.08), "logistic": (0.01, -0.01, 0.03)}
GOOD = Split(side(800, 4_000), side(200, 1_000), 0, "newest 20% of leads")


def judge(test=None, split=GOOD, gained=None, in_order=True, left_out=()) -> Readiness:
    return judge_readiness(
        test or figures(),
        BASELINES,
        GAINED | (gained or {}),
        split,
        in_order=in_order,
        left_out=left_out,
    )


def test_good_model_is_ready_with_its_figures() -> None:
    assert judge() == Readiness(
        "ready",
        [
            "Better than the base rate beyond chance: log loss 0.400 against 0.500, a difference "
            "of -0.1000 (-0.1200 to -0.0800).",
            "It orders the leads better than chance: ROC AUC 0.800 (0.770 to 0.830), where "
            "chance has 0.5.",
            "Stated probabilities are off by 2.0 points on average (0.0 to 10.0); right ones would "
            "seem to be off by 3.0: that is little.",
        ],
    )


def judged(split: Split, won: int, n: int = 1_000) -> Split:
    return dataclasses.replace(split, test=side(won, n))


@pytest.mark.parametrize(
    ("given", "verdict", "reason"),
    [
        (
            {"split": Split(side(36, 4_000), side(9, 1_000), 0, "")},
            "not ready",
            "Only 9 of the 1,000 test leads were won; with fewer than 10 nobody can tell",
        ),
        (
            {"split": Split(side(3_990, 4_000), side(999, 1_000), 0, "")},
            "not ready",
            "Only 1 of the 1,000 test leads was not won",
        ),
        (
            {"test": figures(roc_auc=(0.55, 0.49, 0.61))},
            "not ready",
            "no better than chance: ROC AUC 0.550 (0.490 to 0.610).",
        ),
        (
            {"split": Split(side(56, 4_000), side(14, 1_000), 0, "")},
            "usable",
            "Only 14 of the 1,000 test leads were won: intervals are wide.",
        ),
        (
            {"gained": {"base_rate": (-0.1, -0.21, 0.01)}},
            "usable",
            "not better than the base rate beyond chance: log loss 0.400 against 0.500, a "
            "difference of -0.1000 (-0.2100 to +0.0100).",
        ),
        (
            {"gained": {"logistic": (0.01, 0.002, 0.018)}},
            "usable",
            "A simpler model (logistic) does better beyond chance: log loss 0.400 against 0.390, "
            "a difference of +0.0100 (+0.0020 to +0.0180).",
        ),
        (
            {"split": Split(side(240, 4_000), side(310, 1_000), 0, "")},
            "usable",
            "The share of wins rose from 6 % to 31 %: probabilities are stale, the order of the "
            "leads still holds.",
        ),
        (
            {"split": Split(side(400, 4_000), side(60, 1_000), 0, "")},
            "usable",
            "The share of wins fell from 10 % to 6 %",
        ),
        (
            {"test": figures(ece=0.07)},
            "usable",
            "off by 7.0 points on average (0.0 to 10.0); right ones would seem to be off by 3.0.",
        ),
        ({"test": figures(roc_auc=(0.98, 0.97, 0.99))}, "usable", "ROC AUC 0.980 is too good to"),
        (
            {"split": Split(side(800, 4_000), side(200, 1_000, has_times=False), 0, "")},
            "usable",
            "The leads have no time of creation",
        ),
        ({"in_order": False}, "usable", "not the newest but drawn at random"),
    ],
    ids=[
        "few wins",
        "few losses",
        "no order",
        "some wins",
        "no gain",
        "simpler",
        "rise",
        "fall",
        "off",
        "too good",
        "no times",
        "random test",
    ],
)
def test_each_rule_alone_decides(given, verdict: str, reason: str) -> None:
    found = judge(**given)
    assert found.verdict == verdict
    assert reason in found.reasons[0]
    assert not any(reason in other for other in found.reasons[1:])
    supports = "Better than|It orders the leads better|Stated .* little"
    against = [each for each in found.reasons if not re.match(supports, each)]
    assert len(against) == 1


def test_failed_rules_come_first() -> None:
    found = judge(
        figures(roc_auc=(0.55, 0.49, 0.61)),
        Split(side(240, 4_000), side(14, 1_000, has_times=False), 0, ""),
        in_order=False,
        left_out=["Tags"],
    )
    assert found.verdict == "not ready"
    assert found.reasons[0].startswith("It orders the leads no better than chance")
    assert found.reasons[1].startswith("Only 14")
    assert found.reasons[2] == "The share of wins fell from 6 % to 1.4 %: probabilities are stale."
    assert found.reasons[-1] == "The leak audit left out 1 field that may know too much."


def test_calibration_error_within_chance_is_accepted() -> None:
    # 6 points are twice the 3 that right probabilities would show, but more than twice 2.5.
    assert judge(figures(ece=0.06)).verdict == "ready"
    found = judge(dataclasses.replace(figures(ece=0.06), error_by_chance=0.025))
    assert "right ones would seem to be off by 2.5." in found.reasons[0]


def test_shift_within_chance_is_accepted() -> None:
    # 5 of 100 where 8 % were expected: the interval of 5 % reaches from 2 to 11 %.
    found = judge(split=Split(side(320, 4_000), side(5, 100), 0, ""))
    assert not any("share of wins" in reason for reason in found.reasons)


def test_outcomes_are_counted_in_leads() -> None:
    found = judge(split=Split(side(800, 4_000), side(20, 100, moments_per_lead=3), 0, ""))
    assert found.reasons[0].startswith("Only 20 of")


def test_readiness_is_plain_data() -> None:
    found = judge()
    assert found.to_json() == {"verdict": "ready", "reasons": found.reasons}
