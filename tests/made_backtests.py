"""Exports with times, and scored moments with given log-odds, for the tests of backtests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Floats
from crm.project import Project
from crm.records import Records
from crm.times import DAY
from features.moments import Moments
from tests.made_trainings import small_leads, write_export
from training.backtest.plan import Plan
from training.backtest.scored import ScoredMoments

START = pd.Timestamp("2025-01-01", tz="UTC")
LEARN = {"horizon_days": 10, "remedies": False}


def closed_leads(n: int = 600, *, days: float = 200) -> pd.DataFrame:
    """Return small leads that were created within these days, and closed up to 14 days later."""
    created = START + pd.to_timedelta(np.linspace(0, days, n), unit="D")
    after = np.random.default_rng(1).uniform(0.1, 14, n)
    closed = created + pd.to_timedelta(after, unit="D")
    return small_leads(n).assign(
        lead_id=[f"L{i}" for i in range(n)],
        created_at=created.astype(str),
        closed_at=closed.astype(str),
    )


def write_closed_leads(
    folder: Path, leads: pd.DataFrame, learn: Mapping[str, Any] = LEARN
) -> tuple[Project, Records]:
    """Write leads with a project file; return the project and its records."""
    return write_export(folder, leads, learn)


def at_day(day: float) -> int:
    """Return the time some days after `START`, in microseconds since 1970 UTC."""
    return int(START.value // 1_000) + int(day * DAY)


def scored_moments(
    log_odds: Floats, period: Any, label: Any, *, lead: Any = None, base: float = 0.0
) -> tuple[ScoredMoments, Plan]:
    """Return moments with the log-odds of each model, in periods of ten days.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n_cut_offs, n)
        What later models give to a moment is removed.
    period, label, lead : array-like, shape (n,)
    base : float
        The log-odds of the base rate of each model.
    """
    period, n_cut_offs, n = np.asarray(period), len(log_odds), log_odds.shape[1]
    at = at_day(0) + period * 10 * DAY
    moments = Moments(
        np.arange(n) if lead is None else np.asarray(lead),
        at,
        np.asarray(label, dtype=np.int8),
        at + 5 * DAY,
        np.ones(n),
        {},
    )
    was_trained = np.arange(n_cut_offs)[:, None] <= period
    cut_offs = tuple(at_day(10 * number) for number in range(n_cut_offs))
    plan = Plan(cut_offs, 10, at_day(10 * n_cut_offs))
    known = np.where(was_trained, log_odds, np.nan)
    return ScoredMoments(moments, period, known, np.full(n_cut_offs, base)), plan
