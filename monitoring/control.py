"""Measures what prioritising leads by their score is worth, by the control group.

Chance decides the lane of a lead, so the leads of both lanes are alike. Sales works the treated
leads in the order of their scores, and the control leads in a neutral order. So the wins per worked
lead differ only by the order.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats
from crm.lead_ids import places
from crm.project import Project
from crm.records import Records
from crm.times import DAY
from features.intervals import Z, difference_interval, wilson
from features.named import sales_types
from models.evaluation.intervals import auc_interval, percentiles, resamples
from monitoring.check import Check, Verdict, unknown
from monitoring.given import WORK_DAYS, GivenScores, worked_within
from monitoring.scored_moments import ScoredMoments
from monitoring.sequential import sequence_half_width

TREATED, CONTROL = "treated", "control"
FEWEST_WORKED: Final = 30  # leads of each lane whose outcome is certain
POWER: Final = 0.8416  # the normal quantile of 80 %
LEAST_EFFECT: Final = 0.2  # of the control group's wins per worked lead, that should be found
IGNORED: Final = 0.55  # the share of pairs in which the worked control lead has the better score
SEED: Final = 0
NO_GROUP: Final = "There is no control group: no given score has a lane."


@dataclass(frozen=True)
class Lane:
    """The leads of one lane whose outcome is certain.

    Attributes
    ----------
    leads, worked, won : int
        The leads, those that sales worked in time, and the wins among these.
    wins : int
        The wins among all leads of the lane.
    revenue : ndarray of float64, shape (worked,)
        The amount of each worked lead; 0 if it was not won or has no amount.
    """

    leads: int
    worked: int
    won: int
    wins: int
    revenue: Floats

    @property
    def won_share(self) -> float:
        """The wins per worked lead."""
        return self.won / self.worked if self.worked else math.nan

    def to_json(self, name: str) -> dict[str, Any]:
        """Return the figures as plain data."""
        low, high = wilson(self.won_share, self.worked) if self.worked else (0.0, 1.0)
        return {
            "lane": name,
            "leads": self.leads,
            "worked": self.worked,
            "won": self.won,
            "wins": self.wins,
            "won_per_worked": self.won_share if self.worked else None,
            "low": low,
            "high": high,
            "revenue_per_worked": float(self.revenue.mean()) if self.worked else None,
        }


@dataclass(frozen=True)
class Worth:
    """What prioritising by score is worth.

    Attributes
    ----------
    effect, low, high : float
        The wins per worked lead of the treated leads minus those of the control leads, with the
        95 % interval.
    revenue, revenue_low, revenue_high : float
        The same for the revenue.
    more_leads : int
        About as many further leads are needed until the effect is clear; 0 if it is.
    """

    effect: float
    low: float
    high: float
    revenue: float
    revenue_low: float
    revenue_high: float
    more_leads: int


def worth_of(treated: Lane, control: Lane) -> Worth:
    """Compare the lanes.

    The interval of the wins is Newcombe's, that of the revenue is a bootstrap of the leads. The
    number of further leads is for a power of 80 % to find the effect that was measured, or, if it
    is smaller, `LEAST_EFFECT` of the wins of the control group.

    Parameters
    ----------
    treated, control : Lane
        Both with worked leads.

    Returns
    -------
    Worth

    Examples
    --------
    >>> revenue = np.zeros(400)
    >>> worth = worth_of(Lane(900, 400, 80, 100, revenue), Lane(100, 40, 4, 9, revenue[:40]))
    >>> round(worth.effect, 2), round(worth.low, 2), round(worth.high, 2), worth.more_leads > 0
    (0.1, -0.04, 0.17, True)
    """
    effect = treated.won_share - control.won_share
    low, high = difference_interval(
        treated.won_share, treated.worked, control.won_share, control.worked
    )
    revenue = float(treated.revenue.mean() - control.revenue.mean())
    draws = [
        float(np.average(treated.revenue, weights=of_treated))
        - float(np.average(control.revenue, weights=of_control))
        for of_treated, of_control in zip(
            resamples(np.arange(treated.worked), SEED),
            resamples(np.arange(control.worked), SEED + 1),
            strict=False,
        )
    ]
    revenue_low, revenue_high = percentiles(draws)
    return Worth(
        effect=effect,
        low=low,
        high=high,
        revenue=revenue,
        revenue_low=revenue_low,
        revenue_high=revenue_high,
        more_leads=0 if low > 0 or high < 0 else _more_leads(treated, control, effect),
    )


def _more_leads(treated: Lane, control: Lane, effect: float) -> int:
    """Return about how many further leads of both lanes are needed for a clear effect."""
    base = max(control.won, 0.5) / control.worked
    aim = max(abs(effect), LEAST_EFFECT * base)
    times = treated.worked / control.worked
    variance = base * (1 - base) + treated.won_share * (1 - treated.won_share) / times
    needed = (Z + POWER) ** 2 * variance / aim**2
    more_worked = max(0.0, needed - control.worked)
    per_worked = (treated.leads + control.leads) / control.worked
    return int(math.ceil(more_worked * per_worked))


def _may_be_zero(treated: Lane, control: Lane) -> bool:
    """Return whether there may be no effect, by intervals that hold at every look."""
    half = sum(
        sequence_half_width(
            lane.worked, math.sqrt(lane.won_share * (1 - lane.won_share)), level=0.975
        )
        for lane in (treated, control)
    )
    return abs(treated.won_share - control.won_share) <= half


def control_checks(given: GivenScores | None, records: Records, project: Project) -> list[Check]:
    """Say what prioritising is worth (LM501), and whether sales respects the lanes (LM502)."""
    numbers = ("LM501", "LM502")
    if given is None or not any(lane is not None for lane in given.lane):
        return [unknown(number, NO_GROUP) for number in numbers]
    if records.activities is None or records.activities.empty:
        why = "The project has no activities, so it is not known who was worked."
        return [unknown(number, why) for number in numbers]
    types = tuple(map(str, records.activities["type"].dropna().unique()))
    sales = sales_types(types, project)
    if not sales:
        why = "No type of activity looks like the work of sales."
        step = 'CRM admin: name them with [report] sales_activities = ["…"].'
        return [unknown(number, why, step) for number in numbers]
    moments, lane = _first_with_lane(given)
    is_worked = worked_within(moments, records, sales, WORK_DAYS * DAY)
    return [
        _worth_check(moments, lane, is_worked, records, project),
        _lanes_check(moments, lane, is_worked),
    ]


def _first_with_lane(given: GivenScores) -> tuple[ScoredMoments, Any]:
    """Return the first score of each lead that has a lane, and the lanes."""
    has_lane = np.array([lane is not None for lane in given.lane], dtype=bool)
    moments, lane = given.moments.take(has_lane), given.lane[has_lane]
    first = moments.ordinal == 0
    return moments.take(first), lane[first]


def _worth_check(
    moments: ScoredMoments, lane: Any, is_worked: Bools, records: Records, project: Project
) -> Check:
    number, mature = "LM501", moments.is_mature
    amount = _amounts(records)[moments.lead]
    lanes: dict[str, Lane] = {}
    for name in (TREATED, CONTROL):
        rows = mature & (lane == name)
        worked = rows & is_worked
        won = moments.label == 1
        lanes[name] = Lane(
            leads=int(rows.sum()),
            worked=int(worked.sum()),
            won=int((worked & won).sum()),
            wins=int((rows & won).sum()),
            revenue=np.where(won[worked], amount[worked], 0.0),
        )
    treated, control = lanes[TREATED], lanes[CONTROL]
    table = [of_lane.to_json(name) for name, of_lane in lanes.items()]
    if min(treated.worked, control.worked) < FEWEST_WORKED:
        return Check(
            number,
            Verdict.UNKNOWN,
            f"{treated.worked:,} treated and {control.worked:,} control leads were worked and are "
            f"old enough. The comparison needs {FEWEST_WORKED} of each.",
            rows=table,
        )
    worth = worth_of(treated, control)
    evidence = (
        f"Of 100 worked leads, {100 * treated.won_share:.1f} were won when they were worked by "
        f"score, and {100 * control.won_share:.1f} in a neutral order: prioritising is worth "
        f"{100 * worth.effect:+.1f} wins per 100 worked leads ({100 * worth.low:+.1f} to "
        f"{100 * worth.high:+.1f})."
    )
    if treated.revenue.any() or control.revenue.any():
        currency = f" {project.report.currency}" if project.report.currency else ""
        evidence += (
            f" Per worked lead that is {worth.revenue:+,.0f}{currency} "
            f"({worth.revenue_low:+,.0f} to {worth.revenue_high:+,.0f})."
        )
    verdict, next_step = Verdict.FINE, ""
    if worth.effect < 0 and not _may_be_zero(treated, control):
        verdict = Verdict.ACT
        next_step = (
            "Data science and sales: the order by score is worse than no order. Find out why."
        )
    elif worth.more_leads:
        verdict = Verdict.UNKNOWN
        evidence += f" About {worth.more_leads:,} more leads are needed until this is clear."
    return Check(
        number,
        verdict,
        evidence,
        next_step,
        {
            "effect": worth.effect,
            "low": worth.low,
            "high": worth.high,
            "revenue": worth.revenue,
            "revenue_low": worth.revenue_low,
            "revenue_high": worth.revenue_high,
            "more_leads": worth.more_leads,
        },
        table,
    )


def _lanes_check(moments: ScoredMoments, lane: Any, is_worked: Bools) -> Check:
    """Check whether worked control leads have better scores than others, which they should not."""
    number, control = "LM502", lane == CONTROL
    worked = is_worked[control]
    if min(int(worked.sum()), int((~worked).sum())) < FEWEST_WORKED:
        return unknown(number, "Too few control leads were worked, or were not, to tell.")
    scores, lead = moments.log_odds[control], moments.lead[control]
    low, high = auc_interval(scores, worked.astype(np.int8), np.ones(len(lead)), lead)
    treated = ~control
    figures: dict[str, float | int | None] = {"control_low": low, "control_high": high}
    evidence = (
        f"A worked control lead has a better score than one that was not worked in "
        f"{100 * low:.0f} to {100 * high:.0f} of 100 pairs; 50 would be a neutral order."
    )
    if low > IGNORED:
        return Check(
            number,
            Verdict.WATCH,
            f"{evidence} So sales works control leads by their score.",
            "Sales: sort by `order` and hide the score of control leads. The comparison is too low "
            "until then.",
            figures,
        )
    worked = is_worked[treated]
    if min(int(worked.sum()), int((~worked).sum())) >= FEWEST_WORKED:
        _, high = auc_interval(
            moments.log_odds[treated],
            worked.astype(np.int8),
            np.ones(len(worked)),
            moments.lead[treated],
        )
        if high < IGNORED:
            return Check(
                number,
                Verdict.WATCH,
                f"{evidence} Treated leads are not worked by their score either.",
                "Sales: work the leads in the order of `order`. Otherwise scores change nothing.",
                figures,
            )
    return Check(number, Verdict.FINE, evidence, "", figures)


def _amounts(records: Records) -> Floats:
    """Return the amount of the first win of each lead; 0 without one."""
    outcomes = records.outcomes
    won = outcomes[outcomes["outcome"] == "won"].sort_values("closed_at", kind="stable")
    first = won.drop_duplicates("lead_id")
    amounts = np.zeros(len(records.leads))
    lead = places(first["lead_id"], records.leads["lead_id"])
    values = pd.to_numeric(first["amount"], errors="coerce").fillna(0.0).to_numpy(dtype=np.float64)
    amounts[lead[lead >= 0]] = values[lead >= 0]
    return amounts
