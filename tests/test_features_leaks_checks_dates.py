"""The check of dates: it finds what happened after the creation of the lead, or at its closing."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.leaks.check import Verdict
from tests.made_leaks import MadeUpLeads, verdicts

ISO_8601 = "%Y-%m-%dT%H:%M:%SZ"


def text(times: Any, time_format: str = ISO_8601) -> Any:
    return pd.Series(pd.DatetimeIndex(times)).dt.strftime(time_format).to_numpy(object)


@pytest.mark.parametrize("time_format", [ISO_8601, "%d.%m.%Y", "%m/%d/%Y 08:30"])
def test_ls108_finds_dates_after_the_creation(time_format: str) -> None:
    leads = MadeUpLeads(timed=True)
    later = leads.created + pd.to_timedelta(leads.rng.uniform(0, 30, leads.n), unit="D")
    assert verdicts(leads.audit_column(text(later, time_format)))["LS108"] is Verdict.LEAK


def test_ls108_allows_dates_before_the_creation_or_on_its_day() -> None:
    leads = MadeUpLeads(timed=True)
    earlier = leads.created - pd.to_timedelta(leads.rng.uniform(-12, 900, leads.n), unit="h")
    assert leads.audit_column(text(earlier)).verdict is Verdict.FINE


def test_ls108_allows_plans_in_the_future() -> None:
    leads = MadeUpLeads(timed=True)
    days = leads.rng.uniform(30, 400, leads.n)
    audited = leads.audit_column(text(leads.created + pd.to_timedelta(days, unit="D")))
    assert audited.verdict is Verdict.FINE
    assert verdicts(audited) == {"LS108": Verdict.FINE}


def test_ls108_suspects_plans_that_separate_won_from_lost_leads() -> None:
    leads = MadeUpLeads(timed=True)
    days = leads.rng.uniform(30, 400, leads.n)
    days = np.where(leads.won, days / 2, days)
    audited = leads.audit_column(text(leads.created + pd.to_timedelta(days, unit="D")))
    assert verdicts(audited)["LS108"] is Verdict.SUSPECT


def test_ls108_finds_the_closing_date() -> None:
    leads = MadeUpLeads(timed=True, still_open=0.2)
    audited = leads.audit_column(np.where(leads.is_open, None, text(leads.closed)))
    assert verdicts(audited)["LS108"] is Verdict.LEAK
    assert "within a day of the closing" in audited.findings[-1].evidence
