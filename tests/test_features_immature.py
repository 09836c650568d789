"""Moments whose horizon is not over: what is known of them, and their expected labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY, TIME_DTYPE, microseconds
from features.first_closings import NEVER
from features.immature import FEWEST_DELAYS, Delays, expected_label, immature_moments
from features.moments import Moments, make_moments

START = pd.Timestamp("2025-01-01", tz="UTC")
AT = int(START.value // 1_000) + 100 * DAY

Outcomes = Sequence[tuple[str, str, float | None]]  # id, outcome, day of closing


def learn(**keys: Any) -> LearnKeys:
    defaults: dict[str, Any] = {"won": ["won"], "lost": ["lost"], "horizon_days": 10.0}
    return LearnKeys(**(defaults | keys))


def crm(created: dict[str, float], outcomes: Outcomes) -> Records:
    """Build records of leads that were created on these days, observed until day 400."""
    days = pd.Series(created).sort_values()
    closed = pd.DataFrame(outcomes, columns=["lead_id", "outcome", "day"])
    closed_at = START + pd.to_timedelta(closed["day"].astype(float), unit="D")
    return Records(
        leads=pd.DataFrame(
            {
                "lead_id": days.index.astype(str),
                "created_at": (START + pd.to_timedelta(days.to_numpy(), unit="D")),
            }
        ).astype({"created_at": TIME_DTYPE}),
        outcomes=closed.assign(closed_at=closed_at.astype(TIME_DTYPE)).drop(columns="day"),
        observed_until=START + pd.Timedelta(days=400),
        in_order=True,
    )


def listed(records: Records, **keys: Any) -> dict[tuple[str, float], float]:
    """Return what is known of each immature moment at day 100, by lead and day."""
    immature = immature_moments(records, learn(**keys), AT)
    ids = records.leads["lead_id"].to_numpy()[immature.lead]
    days = 100 - immature.age / DAY
    assert (immature.as_of + immature.age == AT).all()
    return dict(zip(zip(ids, days, strict=True), immature.won, strict=True))


def test_only_leads_of_the_last_horizon_are_immature() -> None:
    created = {"mature": 90, "first": 90.5, "last": 99.5, "later": 100}
    assert list(listed(crm(created, []))) == [("first", 90.5), ("last", 99.5)]


def test_only_what_was_known_at_the_time_counts() -> None:
    created = dict.fromkeys(["won", "lost", "won later", "lost later", "open"], 95.0)
    outcomes = [
        ("won", "won", 100.0),
        ("lost", "lost", 100.0),
        ("won later", "won", 100.1),
        ("lost later", "lost", 101.0),
    ]
    known = {lead: won for (lead, _), won in listed(crm(created, outcomes)).items()}
    assert known.pop("won") == 1.0
    assert known.pop("lost") == 0.0
    assert np.isnan(list(known.values())).all()
    assert len(known) == 3


def test_win_after_a_loss_is_a_win() -> None:
    records = crm({"a": 95}, [("a", "lost", 96.0), ("a", "won", 98.0)])
    assert listed(records) == {("a", 95.0): 1.0}


def test_moments_at_later_ages_count_while_the_lead_was_open() -> None:
    created = {"open": 92.0, "closed": 92.0, "has a mature moment": 89.0}
    known = listed(crm(created, [("closed", "lost", 97.0)]), moments_days=[0, 5])
    assert set(known) == {("open", 92.0), ("open", 97.0), ("closed", 92.0)}


def test_leads_with_an_outcome_without_a_date_have_none() -> None:
    assert listed(crm({"a": 95, "b": 95}, [("a", "won", None)])).keys() == {("b", 95.0)}


def test_leads_before_the_outcomes_begin_have_none() -> None:
    created = {f"early {i}": 0.4 * i for i in range(200)}
    created |= {f"late {i}": 90 + i / 20 for i in range(200)}
    wins = [(f"late {i}", "won", 91 + i / 20) for i in range(0, 160, 2)]
    known = listed(crm(created, wins), horizon_days=30)
    assert {lead.split()[0] for lead, _ in known} == {"late"}
    assert min(day for _, day in known) == 91.0  # the day of the first win
    assert len(known) > 150


# -- delays ----------------------------------------------------------------------------------


def with_delays(n: int = FEWEST_DELAYS) -> tuple[Records, Moments]:
    """Return leads of which half are won after 1 … n tenths of a day, the rest after a day less."""
    created = {f"{kind} {i}": 10.0 for kind in ("won", "lost", "open") for i in range(1, n + 1)}
    outcomes = [(f"won {i}", "won", 10 + i / 10) for i in range(1, n + 1)]
    outcomes += [(f"lost {i}", "lost", 11 + i / 10) for i in range(1, n + 1)]
    records = crm(created, outcomes)
    return records, make_moments(records, learn())


def test_delays_are_shares_of_wins_and_of_all_that_is_not_won() -> None:
    delays = Delays.of(*with_delays())
    wins, losses = delays.shares(np.array([0, DAY, 2 * DAY, 5 * DAY]))
    assert wins == pytest.approx([0, 10 / 20, 1, 1])
    # Half of the leads that are not won are never closed.
    assert losses == pytest.approx([0, 0, 10 / 40, 20 / 40])


def test_delays_need_enough_wins() -> None:
    assert Delays.of(*with_delays()).are_known
    assert not Delays.of(*with_delays(FEWEST_DELAYS - 1)).are_known


# -- expected labels -------------------------------------------------------------------------


def test_expected_label_is_the_share_of_wins_among_simulated_open_leads() -> None:
    generator = np.random.default_rng(0)
    n = 400_000
    won = generator.random(n) < 0.3
    delay = np.where(won, generator.exponential(20, n), generator.exponential(60, n))
    is_open = delay > 15
    share_of_wins, share_of_losses = ((delay[kind] <= 15).mean() for kind in (won, ~won))
    expected = expected_label(
        np.array([0.3]), np.array([np.nan]), share_of_wins[None], share_of_losses[None]
    )
    assert expected == pytest.approx([won[is_open].mean()], abs=0.003)


def test_expected_label_of_what_is_known_is_the_label() -> None:
    shares = np.array([0.5, 1.0])
    assert expected_label(np.array([0.2, 0.9]), np.array([1.0, 0.0]), shares, shares).tolist() == [
        1,
        0,
    ]


def test_expected_label_is_0_where_everything_has_come() -> None:
    one = np.ones(1)
    assert expected_label(0.5 * one, np.nan * one, one, one).tolist() == [0]


def test_moments_and_immature_moments_share_no_lead() -> None:
    created = {f"L{i}": float(i) for i in range(100)}
    outcomes: Outcomes = [(f"L{i}", "won" if i % 2 else "lost", i + 3.0) for i in range(100)]
    records = crm(created, outcomes)
    keys = learn(moments_days=[0, 2])
    moments = make_moments(records, keys)
    known = moments.take(moments.known_at <= AT)
    immature = immature_moments(records, keys, int(known.known_at.max()))
    assert len(immature)
    assert not set(known.lead) & set(immature.lead)
    assert microseconds(records.leads["created_at"])[immature.lead].max() < AT


def test_delays_of_outcomes_without_a_date_are_not_known() -> None:
    created = {"won": 10.0, "undated win": 11.0, "lost": 12.0, "undated loss": 13.0, "open": 14.0}
    outcomes: Outcomes = [
        ("won", "won", 13.0),
        ("undated win", "won", None),
        ("lost", "lost", 16.0),
        ("undated loss", "lost", None),
    ]
    records = crm(created, outcomes)
    delays = Delays.of(records, make_moments(records, learn()))
    assert (delays.of_wins / DAY).tolist() == [3.0]
    assert delays.of_losses[0] == 4 * DAY
    assert delays.of_losses[1:].tolist() == [NEVER]


def test_leads_before_1970_that_were_never_closed_have_no_short_delay() -> None:
    first = -60 * 365.0  # days before 2025
    records = crm({"open": first, "won": first}, [("won", "won", first + 3)])
    delays = Delays.of(records, make_moments(records, learn()))
    assert delays.of_losses.tolist() == [NEVER]
