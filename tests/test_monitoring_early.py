from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from crm.times import DAY
from features.first_closings import NEVER
from models.reference import Reference
from monitoring.check import Check, Verdict
from monitoring.early import early_losses, early_wins_check
from monitoring.scored_moments import LeadOutcomes, ScoredMoments
from monitoring.sequential import SHIFTS
from tests.made_monitoring import (
    HORIZON_DAYS,
    PROMISE,
    champion_of,
    moments_by_hand,
    outcomes_of,
    uniform_delays,
)

# Wins come within 1 to 89 days, all delays are as frequent; losses within 0 to 90 days.
REFERENCE = Reference(
    [""], [], {}, [], {"": uniform_delays()}, {"0": (np.arange(21) / 20).tolist()}
)
FIRST = 15  # days: a sixth of the horizon
SHARE = (FIRST - 1) / 88  # of the wins, that come until then


def created_together(n: int, n_won: int = 0) -> ScoredMoments:
    """Return moments of one day, each with the chance 0.5; wins come a day later."""
    return moments_by_hand([0.0] * n, [1.0] * n_won + [0.0] * (n - n_won), day=[0] * n)


def early_wins(scored: ScoredMoments, until_days: int = FIRST) -> Check:
    outcomes = outcomes_of(scored, until_days)
    return early_wins_check(champion_of(scored), outcomes, REFERENCE, PROMISE)


def test_early_wins_are_counted_at_a_sixth_of_the_horizon() -> None:
    scored = created_together(200, n_won=16)
    check = early_wins(scored)
    assert check.figures["expected"] == pytest.approx(200 * 0.5 * SHARE)
    assert check.figures["won"] == 16
    assert check.evidence == "16 of 200 leads were won within 15 days; 16 were expected."
    assert early_wins(scored, FIRST - 1).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("n_won", "span"), [(100, 30), (150, 60)])
def test_early_wins_are_counted_at_a_third_and_two_thirds_too(n_won: int, span: int) -> None:
    """Half a day before the end of a span, more win than expected until then."""
    scored = created_together(200)
    at = int((span - 0.5) * DAY)
    scored = replace(scored, won_at=np.where(np.arange(200) < n_won, at, NEVER))
    check = early_wins(scored, 60)
    assert f" {n_won} of 200 leads were won within {span} days" in check.evidence


def test_ten_expected_wins_are_enough() -> None:
    assert 125 * 0.5 * SHARE < 10 < 126 * 0.5 * SHARE
    assert early_wins(created_together(125)).verdict is Verdict.UNKNOWN
    assert early_wins(created_together(126)).verdict is not Verdict.UNKNOWN


def test_win_at_the_last_moment_of_the_span_is_early() -> None:
    scored = created_together(200, n_won=2)
    at_end = scored.as_of + FIRST * DAY
    last = replace(scored, won_at=np.where(np.arange(200) < 2, at_end + np.arange(200), NEVER))
    assert early_wins(last).figures["won"] == 1


def test_statistic_of_early_wins_by_hand() -> None:
    n, n_won = 200, 30
    chance = 0.5 * SHARE
    edge = np.log(chance / (1 - chance)) + 0.3
    shifted, at_edge = expit(edge + np.array(SHIFTS)), expit(edge)
    ratios = (shifted / at_edge) ** n_won * ((1 - shifted) / (1 - at_edge)) ** (n - n_won)
    check = early_wins(created_together(n, n_won))
    assert check.figures["days"] == pytest.approx(ratios.mean() / (2 * 3))


def test_since_a_change_only_later_leads_are_counted() -> None:
    """On day 0 no lead of 300 wins, on day 1 all do."""
    scored = moments_by_hand([0.0] * 600, [0.0] * 300 + [1.0] * 300, day=[0] * 300 + [1] * 300)
    check = early_wins(scored, FIRST + 1)
    assert check.verdict is Verdict.ACT
    expected = 300 * 0.5 * SHARE
    assert check.evidence == (
        f"Since 1970-01-17, 300 of 300 leads were won within 15 days; {expected:.0f} were expected."
    )
    assert check.figures["since"] == 1 + FIRST


def outcomes_with(
    scored: ScoredMoments, closed: list[float], won: list[float], until: float
) -> LeadOutcomes:
    """Return outcomes from the days of closings and wins; nan without one."""
    closed_at, won_at = (
        np.array([NEVER if np.isnan(day) else int(day * DAY) for day in days])
        for days in (closed, won)
    )
    known = np.ones(len(scored), dtype=bool)
    return LeadOutcomes(closed_at, won_at, known, int(until * DAY), HORIZON_DAYS * DAY)


def test_leads_closed_without_a_win_are_counted() -> None:
    never = np.nan
    # A loss in time, a loss at the end of the span, a loss that was won after the span; then one
    # that was won in time, one that was closed later, and open ones.
    closed = [10.0, 15.0, 10.0, 10.0, 16.0] + [never] * 61
    won = [never, never, 20.0, 12.0, never] + [never] * 61
    scored = created_together(66)
    outcomes = outcomes_with(scored, closed, won, FIRST)
    scored = replace(scored, won_at=outcomes.won_at)
    losses = early_losses(champion_of(scored), outcomes, REFERENCE)
    assert losses is not None
    assert (losses.happened, losses.leads, losses.days) == (3, 66, 15)
    assert losses.expected == pytest.approx(66 / 6)
    assert losses.sentence("closed without a win") == (
        "3 of 66 leads were closed without a win within 15 days; 11 were expected."
    )


def test_ten_expected_losses_are_enough() -> None:
    def losses(n: int) -> bool:
        scored = created_together(n)
        return early_losses(champion_of(scored), outcomes_of(scored, FIRST), REFERENCE) is not None

    assert [losses(59), losses(61)] == [False, True]


def test_statistic_of_early_losses_by_hand() -> None:
    edge = np.log((1 / 6) / (5 / 6)) - 0.4
    ratios = ((1 - expit(edge - np.array(SHIFTS))) / (1 - expit(edge))) ** 66
    scored = created_together(66)
    losses = early_losses(champion_of(scored), outcomes_of(scored, FIRST), REFERENCE)
    assert losses is not None
    assert losses.detection.days == pytest.approx(ratios.mean() / (2 * 3))


def test_ages_without_known_losses_are_not_compared() -> None:
    scored = created_together(132)
    champion = replace(champion_of(scored), age_days=np.repeat([0.0, 7.0], 66))
    losses = early_losses(champion, outcomes_of(scored, FIRST), REFERENCE)
    assert losses is not None
    assert losses.leads == 66


def test_loss_that_was_certain_is_compared() -> None:
    certain = Reference([""], [], {}, [], {}, {"0": [0.0] + [1.0] * 20})
    scored = created_together(20)
    losses = early_losses(champion_of(scored), outcomes_of(scored, FIRST), certain)
    assert losses is not None
    assert losses.verdict is Verdict.ACT
    assert losses.expected == pytest.approx(20, rel=1e-5)
