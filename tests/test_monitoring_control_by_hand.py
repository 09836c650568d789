from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.arrays import Floats
from crm.project import Project, load_project
from crm.records import Records
from crm.times import DAY, as_times
from features.intervals import difference_interval, wilson
from monitoring.check import Check, Verdict
from monitoring.control import Lane, control_checks, worth_of
from monitoring.given import GivenScores
from tests.made_monitoring import moments_by_hand


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("control")
    (folder / "leadscore.toml").write_text(
        '[project]\nname = "a"\n[leads]\nsource = "l.csv"\noutcome = "o"\n[learn]\nwon = ["w"]\n'
        '[report]\ncurrency = "EUR"\n'
    )
    return load_project(folder)


@dataclass(frozen=True)
class Group:
    """Leads of one lane: the first ones are worked, and of these the first ones are won."""

    leads: int
    worked: int
    won: int
    won_unworked: int = 0
    log_odds: Floats | float = 0.0

    @property
    def label(self) -> Floats:
        place = np.arange(self.leads)
        is_won = (place < self.won) | (place >= self.leads - self.won_unworked)
        return is_won.astype(np.float64)


def checks_of(
    project: Project, treated: Group, control: Group, *, amount: float = np.nan, called: float = 14
) -> list[Check]:
    """Check two lanes whose leads were all scored on day 0, and called some days later."""
    groups = (treated, control)
    label = np.concatenate([group.label for group in groups])
    log_odds = np.concatenate([np.broadcast_to(g.log_odds, g.leads) for g in groups])
    n = len(label)
    lanes = np.repeat(np.array(["treated", "control"], dtype=object), [g.leads for g in groups])
    moments = moments_by_hand(log_odds, label, day=[0] * n)
    given = GivenScores(moments, lanes, np.zeros(n, dtype=bool), {})
    is_worked = np.concatenate([np.arange(g.leads) < g.worked for g in groups])
    return control_checks(given, records_of(label == 1, is_worked, amount, called), project)


def records_of(is_won: Any, is_worked: Any, amount: float, called: float) -> Records:
    ids = np.array([f"L{i}" for i in range(len(is_won))])

    def on(day: float, n: int) -> Any:
        return as_times(np.full(n, int(day * DAY)), pd.RangeIndex(n))

    n_won, n_worked = int(is_won.sum()), int(is_worked.sum())
    return Records(
        leads=pd.DataFrame({"lead_id": ids, "created_at": on(0, len(ids))}),
        outcomes=pd.DataFrame(
            {
                "lead_id": ids[is_won],
                "outcome": "won",
                "closed_at": on(20, n_won),
                "amount": np.full(n_won, amount),
            }
        ),
        activities=pd.DataFrame(
            {"lead_id": ids[is_worked], "type": "call", "occurred_at": on(called, n_worked)}
        ),
        observed_until=on(200, 1).iloc[0],
        in_order=True,
    )


def test_worth_in_words(project: Project) -> None:
    treated, control = Group(60, 40, 30, won_unworked=2), Group(50, 40, 10, won_unworked=1)
    worth = checks_of(project, treated, control, amount=1_000.0)[0]
    low, high = difference_interval(0.75, 40, 0.25, 40)
    assert worth.verdict is Verdict.FINE
    begin = (
        "Of 100 worked leads, 75.0 were won when they were worked by score, and 25.0 in a neutral "
        f"order: prioritising is worth +50.0 wins per 100 worked leads ({100 * low:+.1f} to "
        f"{100 * high:+.1f}). Per worked lead that is +500 EUR ("
    )
    assert worth.evidence.startswith(begin)
    assert worth.figures["revenue"] == pytest.approx(500.0)
    # The revenue is 1,000 times the wins, so its bootstrap is near the interval of the wins.
    assert worth.figures["revenue_low"] == pytest.approx(1_000 * low, abs=60)
    assert worth.figures["revenue_high"] == pytest.approx(1_000 * high, abs=60)
    of_lanes = {row["lane"]: row for row in worth.rows}
    assert of_lanes["treated"] == {
        "lane": "treated",
        "leads": 60,
        "worked": 40,
        "won": 30,
        "wins": 32,
        "won_per_worked": 0.75,
        "low": wilson(0.75, 40)[0],
        "high": wilson(0.75, 40)[1],
        "revenue_per_worked": 750.0,
    }
    assert of_lanes["control"]["wins"] == 11


def test_wins_without_amounts_have_no_revenue(project: Project) -> None:
    worth = checks_of(project, Group(40, 40, 30), Group(40, 40, 10))[0]
    assert "Per worked lead" not in worth.evidence
    one_side = checks_of(project, Group(40, 40, 30), Group(40, 40, 0), amount=10.0)[0]
    assert "Per worked lead that is +8 EUR" in one_side.evidence  # 30 · 10 / 40


@pytest.mark.parametrize(
    ("treated", "control", "is_compared"), [(30, 30, 1), (29, 30, 0), (30, 29, 0)]
)
def test_thirty_worked_leads_of_each_lane_are_compared(
    project: Project, treated: int, control: int, is_compared: int
) -> None:
    worth = checks_of(project, Group(treated, treated, 9), Group(control, control, 9))[0]
    few = (
        f"{treated} treated and {control} control leads were worked and are old enough. The "
        "comparison needs 30 of each."
    )
    assert (worth.evidence == few) is not bool(is_compared)


def test_calls_after_two_weeks_do_not_count(project: Project) -> None:
    late = checks_of(project, Group(40, 40, 9), Group(40, 40, 9), called=14.01)[0]
    assert late.evidence.startswith("0 treated and 0 control leads were worked")


def test_worse_order_needs_an_act_only_if_it_is_certain_at_every_look(project: Project) -> None:
    control = Group(500, 500, 150)
    # Both are worse than the neutral order by an interval for one look.
    assert difference_interval(0.2, 500, 0.3, 500)[1] < 0
    slightly = checks_of(project, Group(500, 500, 100), control)[0]
    assert (slightly.verdict, slightly.figures["more_leads"]) == (Verdict.FINE, 0)
    assert checks_of(project, Group(500, 500, 50), control)[0].verdict is Verdict.ACT
    assert checks_of(project, Group(500, 500, 250), control)[0].verdict is Verdict.FINE


def lane(leads: int, worked: int, won: int) -> Lane:
    return Lane(leads, worked, won, won, np.zeros(worked))


def test_leads_that_are_still_needed_by_hand() -> None:
    # (1.959964 + 0.8416)² · (0.1 · 0.9 + 0.2 · 0.8 / 10) / 0.1² = 83.197 worked control leads are
    # needed, 40 are there, and 1,000 leads of both lanes come with 40 of them.
    assert worth_of(lane(900, 400, 80), lane(100, 40, 4)).more_leads == 1_080
    # The effect of a fifth of the wins of the control group, if that of the data is smaller.
    needed = (1.959964 + 0.8416) ** 2 * (0.1 * 0.9 * 1.1) / 0.02**2
    assert worth_of(lane(900, 400, 40), lane(100, 40, 4)).more_leads == np.ceil((needed - 40) * 25)
    # Without a win of the control group, half a win is assumed.
    needed = (1.959964 + 0.8416) ** 2 * 0.0125 * 0.9875 / 0.0025**2
    assert worth_of(lane(900, 400, 0), lane(100, 40, 0)).more_leads == np.ceil((needed - 40) * 25)


def test_revenue_of_lanes_is_compared_per_worked_lead() -> None:
    treated = replace(lane(50, 40, 20), revenue=np.full(40, 100.0))
    control = replace(lane(50, 40, 20), revenue=np.full(40, 30.0))
    worth = worth_of(treated, control)
    assert (worth.revenue, worth.revenue_low, worth.revenue_high) == (70.0, 70.0, 70.0)


# -- whether sales respects the lanes ------------------------------------------------------


def lanes_of(project: Project, treated: Group, control: Group) -> Check:
    return checks_of(project, treated, control)[1]


def by_score(n: int) -> Floats:
    """Return log-odds that are better for the first half."""
    return np.repeat([1.0, 0.0], n // 2)


def test_worked_control_leads_with_better_scores_are_found(project: Project) -> None:
    treated = Group(200, 100, 0, log_odds=by_score(200))
    respected = lanes_of(project, treated, Group(200, 100, 0))
    assert respected.verdict is Verdict.FINE
    assert respected.evidence.endswith(" of 100 pairs; 50 would be a neutral order.")
    low, high = respected.figures["control_low"], respected.figures["control_high"]
    assert low is not None
    assert high is not None
    assert low + high == pytest.approx(1.0, abs=0.01)  # around a half
    assert f" in {100 * low:.0f} to {100 * high:.0f} of 100 pairs" in respected.evidence
    ignored = lanes_of(project, treated, Group(200, 100, 0, log_odds=by_score(200)))
    assert ignored.verdict is Verdict.WATCH
    assert "sales works control leads by their score" in ignored.evidence


def test_treated_leads_in_a_neutral_order_are_found(project: Project) -> None:
    neutral = lanes_of(project, Group(2_000, 1_000, 0), Group(200, 100, 0))
    assert neutral.verdict is Verdict.WATCH
    assert "Treated leads are not worked by their score either." in neutral.evidence
    few = lanes_of(project, Group(1_000, 29, 0), Group(200, 100, 0))
    assert few.verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("leads", "worked", "judged"), [(60, 30, True), (59, 30, False), (59, 29, False)]
)
def test_thirty_worked_and_thirty_other_control_leads_are_compared(
    project: Project, leads: int, worked: int, judged: bool
) -> None:
    treated = Group(200, 100, 0, log_odds=by_score(200))
    check = lanes_of(project, treated, Group(leads, worked, 0))
    assert (check.verdict is not Verdict.UNKNOWN) is judged
