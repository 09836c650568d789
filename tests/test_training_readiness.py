"""Readiness: the verdict of each rule, and its reason with figures."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from crm.times import NOT_A_TIME
from features.moments import Moments
from models.evaluation.metrics import Evaluation
from models.fitting.split import Split
from training.half_life import HalfLife
from training.readiness import (
    NOTHING,
    Difference,
    Readiness,
    Reason,
    assess_readiness,
    unknown_readiness,
)
from training.remedies import EARLY_WINS, EXPECTED_LABELS, Remedies, TriedRemedy, in_words

Interval = tuple[float, float, float]  # the value, and the ends of its interval


def moments_of(won: int, n: int, *, moments_per_lead: int = 1, has_times: bool = True) -> Moments:
    label = np.repeat(np.array([1] * won + [0] * (n - won), dtype=np.int8), moments_per_lead)
    lead = np.repeat(np.arange(n), moments_per_lead)
    at = np.full(len(label), 5 if has_times else NOT_A_TIME)
    return Moments(lead, at, label, at, np.ones(len(label)), {})


def evaluation(
    log_loss: Interval = (0.40, 0.38, 0.42),
    roc_auc: Interval = (0.80, 0.77, 0.83),
    ece: float = 0.02,
    error_by_chance: float = 0.03,
) -> Evaluation:
    metrics = {"log_loss": log_loss, "roc_auc": roc_auc, "ece": (ece, 0.0, 0.1)}
    return Evaluation(
        n=1_000,
        n_leads=1_000,
        base_rate=0.2,
        values={name: metric[0] for name, metric in metrics.items()},
        intervals={name: metric[1:] for name, metric in metrics.items()},
        error_by_chance=error_by_chance,
    )


USED = Reason("Older leads count less.", "It uses a half-life.")
BASELINES = {
    "base_rate": evaluation((0.5, 0.48, 0.52), (0.5, 0.5, 0.5)),
    "logistic": evaluation((0.39, 0.37, 0.41)),
}
GAINED: dict[str, Difference] = {
    "base_rate": (-0.1, -0.12, -0.08),
    "logistic": (0.01, -0.01, 0.03),
}
TRAIN = moments_of(800, 4_000)
GOOD = Split(TRAIN, moments_of(200, 1_000), 0, "newest 20% of leads")


def assess(
    test: Evaluation | None = None,
    split: Split = GOOD,
    gained: dict[str, Difference] | None = None,
    in_order: bool = True,
    left_out: Sequence[str] = (),
    remedies: Reason = NOTHING,
) -> Readiness:
    return assess_readiness(
        test or evaluation(),
        BASELINES,
        GAINED | (gained or {}),
        split,
        in_order=in_order,
        left_out=left_out,
        remedies=remedies,
    )


def split_of(train: tuple[int, int], test: tuple[int, int]) -> Split:
    """Return a split from the numbers of wins and of leads on its two sides."""
    return Split(moments_of(*train), moments_of(*test), 0, "")


def plain(readiness: Readiness) -> list[str]:
    return [reason.plain for reason in readiness.reasons]


def test_good_model_is_ready_for_three_reasons() -> None:
    assert assess() == Readiness(
        "ready",
        [
            Reason(
                "Its predicted chances are clearly better than the same chance for all leads: an "
                "error of 0.400 against 0.500, a difference of -0.1000 (-0.1200 to -0.0800).",
                "Its probabilities are better than the base rate beyond chance: log loss 0.400 "
                "against 0.500, a difference of -0.1000 (-0.1200 to -0.0800).",
            ),
            Reason(
                "It ranks leads better than chance: 80.0 of 100 pairs of a won and a lost lead are "
                "in order (77.0 to 83.0); by chance, 50 are.",
                "It ranks leads better than chance: ROC AUC 0.800 (0.770 to 0.830); chance is 0.5.",
            ),
            Reason(
                "Predicted chances are off by only 2.0 points on average (0.0 to 10.0); perfect "
                "ones would seem to be off by 3.0.",
                "Its probabilities are calibrated: calibration error (ECE) 0.020 (0.000 to 0.100); "
                "correct probabilities would have 0.030.",
            ),
        ],
    )


@pytest.mark.parametrize(
    ("arguments", "verdict", "reason"),
    [
        (
            {"split": split_of((36, 4_000), (9, 1_000))},
            "not ready",
            "Only 9 of the 1,000 test leads were won; at least 10 are needed to evaluate it.",
        ),
        (
            {"split": split_of((3_990, 4_000), (999, 1_000))},
            "not ready",
            "Only 1 of the 1,000 test leads was not won",
        ),
        (
            {"test": evaluation(roc_auc=(0.55, 0.49, 0.61))},
            "not ready",
            "It ranks leads no better than chance: 55.0 of 100 pairs of a won and a lost lead are "
            "in order (49.0 to 61.0).",
        ),
        (
            {"test": evaluation(roc_auc=(0.55, 0.5, 0.60))},
            "not ready",
            "It ranks leads no better than chance",
        ),
        (
            {"split": split_of((56, 4_000), (14, 1_000))},
            "usable",
            "Only 14 of the 1,000 test leads were won: its figures are uncertain.",
        ),
        (
            {"split": split_of((40, 4_000), (10, 1_000))},
            "usable",
            "Only 10 of the 1,000 test leads were won: its figures are uncertain.",
        ),
        ({"split": split_of((196, 4_000), (49, 1_000))}, "usable", "Only 49 of the 1,000 test"),
        (
            {"gained": {"base_rate": (-0.1, -0.21, 0.01)}},
            "usable",
            "not clearly better than the same chance for all leads: an error of 0.400 against "
            "0.500, a difference of -0.1000 (-0.2100 to +0.0100).",
        ),
        (
            {"gained": {"base_rate": (-0.1, -0.2, 0.0)}},
            "usable",
            "not clearly better than the same chance for all leads",
        ),
        (
            {"gained": {"logistic": (0.01, 0.002, 0.018)}},
            "usable",
            "A simpler model (logistic) is clearly better: an error of 0.400 against 0.390, "
            "a difference of +0.0100 (+0.0020 to +0.0180).",
        ),
        (
            {"split": split_of((240, 4_000), (310, 1_000))},
            "usable",
            "The share of wins rose from 6 % (240 of 4,000) to 31 % (310 of 1,000), so its "
            "probabilities are out of date, but the ranking still holds.",
        ),
        (
            {"split": split_of((240, 4_000), (310, 1_000)), "remedies": USED},
            "usable",
            "The share of wins rose from 6 % (240 of 4,000) to 31 % (310 of 1,000), so its "
            "probabilities are out of date, but the ranking still holds. Older leads count less.",
        ),
        (
            {"split": split_of((400, 4_000), (60, 1_000))},
            "usable",
            "The share of wins fell from 10 % (400 of 4,000) to 6 % (60 of 1,000)",
        ),
        (
            {"split": split_of((1_000, 4_000), (375, 1_000))},
            "usable",
            "The share of wins rose from 25 % (1,000 of 4,000) to 38 % (375 of 1,000)",
        ),
        (
            {"test": evaluation(ece=0.07)},
            "usable",
            "Predicted chances are off by 7.0 points on average (0.0 to 10.0); perfect ones would "
            "seem to be off by 3.0.",
        ),
        (
            {"test": evaluation(roc_auc=(0.98, 0.97, 0.99))},
            "usable",
            "It ranks leads too well to be true in most sales: 98.0 of 100 pairs",
        ),
        (
            {"split": Split(TRAIN, moments_of(200, 1_000, has_times=False), 0, "")},
            "usable",
            "The leads have no creation time",
        ),
        ({"in_order": False}, "usable", "The test leads are not the newest but a random sample"),
    ],
    ids=[
        "few wins",
        "few losses",
        "no ranking",
        "perhaps no ranking",
        "some wins",
        "just enough wins",
        "nearly enough wins",
        "no gain",
        "perhaps no gain",
        "simpler",
        "rise",
        "rise with a remedy",
        "fall",
        "rise by half",
        "off",
        "too good",
        "no times",
        "random test",
    ],
)
def test_one_reason_decides_the_verdict(
    arguments: dict[str, Any], verdict: str, reason: str
) -> None:
    readiness = assess(**arguments)
    assert readiness.verdict == verdict
    assert reason in plain(readiness)[0]
    assert not any(reason in later_reason for later_reason in plain(readiness)[1:])
    supports = "Its predicted chances are clearly|It ranks leads better|Predicted .* by only"
    reservations = [text for text in plain(readiness) if not re.match(supports, text)]
    assert len(reservations) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"split": split_of((200, 4_000), (50, 1_000))},
        {"gained": {"logistic": (0.01, 0.0, 0.02)}},
        {"split": split_of((1_000, 4_000), (374, 1_000))},
        {"test": evaluation(ece=0.05, error_by_chance=0.001)},
        {"test": evaluation(ece=0.06)},
        {"test": evaluation(roc_auc=(0.979, 0.97, 0.99))},
    ],
    ids=[
        "enough wins",
        "simpler model that is perhaps better",
        "rise by less than half",
        "error that is allowed",
        "error that is twice what chance explains",
        "very good",
    ],
)
def test_model_at_the_limit_of_a_rule_is_ready(arguments: dict[str, Any]) -> None:
    assert assess(**arguments).verdict == "ready"


def test_calibration_error_is_compared_with_chance() -> None:
    readiness = assess(evaluation(ece=0.06, error_by_chance=0.025))
    assert readiness.verdict == "usable"
    assert "perfect ones would seem to be off by 2.5." in plain(readiness)[0]


def test_large_calibration_error_does_not_support_a_model() -> None:
    supports = "Predicted chances are off by only"
    assert any(reason.startswith(supports) for reason in plain(assess(evaluation(ece=0.05))))
    assert not any(reason.startswith(supports) for reason in plain(assess(evaluation(ece=0.06))))


def test_reasons_say_if_a_model_is_clearly_worse_than_chance() -> None:
    worse = assess(
        evaluation(roc_auc=(0.387, 0.317, 0.455)), gained={"base_rate": (0.05, 0.02, 0.08)}
    )
    assert worse.verdict == "not ready"
    assert worse.reasons[:2] == [
        Reason(
            "It ranks leads worse than chance: only 38.7 of 100 pairs of a won and a lost lead are "
            "in order (31.7 to 45.5); by chance, 50 are.",
            "It ranks leads worse than chance: ROC AUC 0.387 (0.317 to 0.455); chance is 0.5.",
        ),
        Reason(
            "Its predicted chances are clearly worse than the same chance for all leads: an error "
            "of 0.400 against 0.500, a difference of +0.0500 (+0.0200 to +0.0800).",
            "Its probabilities are worse than the base rate beyond chance: log loss 0.400 against "
            "0.500, a difference of +0.0500 (+0.0200 to +0.0800).",
        ),
    ]
    assert not any("no better" in reason or "not clearly" in reason for reason in plain(worse))


def test_reason_names_remedies_by_their_terms_only_for_data_scientists() -> None:
    rose = split_of((240, 4_000), (310, 1_000))
    (shifted, *_) = assess(split=rose, remedies=USED).reasons
    assert shifted.technical.endswith("still holds. It uses a half-life.")
    half_life, tried = HalfLife(30.0, in_days=True), (TriedRemedy("x", 0.0, 0.0, (), helps=False),)
    for remedies in (
        *(Remedies(half_life, newest) for newest in ("", EXPECTED_LABELS, EARLY_WINS)),
        Remedies(tried=tried),
    ):
        words = in_words(remedies)
        assert not re.search(r"half-life|remed|label|early|cut-off", words.plain), words.plain
        assert re.search(r"half-life|remedies", words.technical)
    assert in_words(Remedies()) == NOTHING


def test_difference_that_is_only_rounding_is_not_better() -> None:
    rounding = (-2e-9, -3e-9, -1e-9)
    even = assess(gained={"base_rate": rounding, "logistic": (2e-9, 1e-9, 3e-9)})
    assert plain(even)[0] == (
        "Its predicted chances are not clearly better than the same chance for all leads: an error "
        "of 0.400 against 0.500, a difference of +0.0000 (+0.0000 to +0.0000)."
    )
    assert not any("clearly better:" in reason for reason in plain(even))


def test_reasons_against_a_model_come_first() -> None:
    readiness = assess(
        evaluation(roc_auc=(0.55, 0.49, 0.61)),
        Split(moments_of(240, 4_000), moments_of(14, 1_000, has_times=False), 0, ""),
        in_order=False,
        left_out=["Tags"],
    )
    assert readiness.verdict == "not ready"
    assert plain(readiness)[0].startswith("It ranks leads no better than chance")
    assert plain(readiness)[1].startswith("Only 14")
    assert plain(readiness)[2] == (
        "The share of wins fell from 6 % (240 of 4,000) to 1.4 % (14 of 1,000), so its "
        "probabilities are out of date."
    )
    assert plain(readiness)[-1].startswith("The leak audit left out 1 column that may contain")


def test_left_out_columns_are_counted() -> None:
    readiness = assess(left_out=["Tags", "Team"])
    assert plain(readiness)[-1].startswith("The leak audit left out 2 columns that may")


def test_shift_within_chance_is_not_a_reason() -> None:
    # 5 of 100, where 8 % are expected: the interval of 5 % is 2 % to 11 %.
    readiness = assess(split=split_of((320, 4_000), (5, 100)))
    assert not any("share of wins" in reason for reason in plain(readiness))


def test_shares_from_two_percent_have_no_decimals() -> None:
    readiness = assess(split=split_of((20, 1_000), (100, 1_000)))
    assert "rose from 2 % (20 of 1,000) to 10 % (100 of 1,000)" in plain(readiness)[0]


def test_readiness_counts_leads_not_moments() -> None:
    split = Split(TRAIN, moments_of(20, 100, moments_per_lead=3), 0, "")
    assert plain(assess(split=split))[0].startswith("Only 20 of")


def test_readiness_without_a_test_is_not_ready() -> None:
    split = Split(TRAIN, TRAIN.take(np.zeros(4_000, dtype=bool)), 0, "Only 12 leads.")
    reason = "Its quality is unknown. Only 12 leads."
    assert unknown_readiness(split) == Readiness("not ready", [Reason(reason, reason)])


def test_readiness_without_a_test_also_names_other_risks() -> None:
    train = moments_of(5, 12, has_times=False)
    split = Split(train, train.take(np.zeros(12, dtype=bool)), 0, "Only 12 leads.")
    unknown, no_times, leaks = plain(unknown_readiness(split, left_out=["Tags"]))
    assert no_times.startswith("The leads have no creation time")
    assert leaks.startswith("The leak audit left out 1 column")


def test_readiness_to_json_is_plain_data() -> None:
    readiness = assess()
    assert readiness.to_json() == {
        "verdict": "ready",
        "reasons": plain(readiness),
        "technical_reasons": [reason.technical for reason in readiness.reasons],
    }


def test_reason_names_the_rarer_outcome() -> None:
    one_win = assess(split=split_of((4, 4_000), (1, 1_000)))
    assert "Only 1 of the 1,000 test leads was won" in plain(one_win)[0]
    two_losses = assess(split=split_of((3_990, 4_000), (998, 1_000)))
    assert "Only 2 of the 1,000 test leads were not won" in plain(two_losses)[0]


def test_reason_counts_the_evaluated_leads() -> None:
    readiness = assess(dataclasses.replace(evaluation(), n_leads=77), split_of((40, 400), (9, 77)))
    assert "Only 9 of the 77 test leads" in plain(readiness)[0]


BAD = assess(
    evaluation(roc_auc=(0.55, 0.49, 0.61), ece=0.07),
    split_of((36, 4_000), (9, 1_000)),
    gained={"base_rate": (-0.1, -0.21, 0.01), "logistic": (0.01, 0.002, 0.018)},
)
TOO_GOOD = assess(evaluation(roc_auc=(0.98, 0.97, 0.99)))


def test_plain_reasons_have_no_term_of_statistics() -> None:
    # Marketers read them on the first page of the report.
    reasons = [*plain(BAD), *plain(TOO_GOOD), *plain(assess())]
    assert len(reasons) > 8
    for reason in reasons:
        assert not re.search(r"log loss|AUC|base rate|beyond chance|calibrat", reason), reason


def test_technical_reasons_name_the_metrics_with_their_values() -> None:
    # Data scientists read them in the terminal and in MLflow.
    technical = [reason.technical for reason in (*BAD.reasons, *TOO_GOOD.reasons)]
    assert technical[1:5] == [
        "It ranks leads no better than chance: ROC AUC 0.550 (0.490 to 0.610).",
        "Its probabilities are not better than the base rate beyond chance: log loss 0.400 "
        "against 0.500, a difference of -0.1000 (-0.2100 to +0.0100).",
        "A simpler model (logistic) is better beyond chance: log loss 0.400 against 0.390, a "
        "difference of +0.0100 (+0.0020 to +0.0180).",
        "Its probabilities are not calibrated: calibration error (ECE) 0.070 (0.000 to 0.100); "
        "correct probabilities would have 0.030.",
    ]
    assert technical[5].startswith(
        "It ranks leads too well to be true in most sales: ROC AUC 0.980 (0.970 to 0.990). Look"
    )
