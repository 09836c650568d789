"""The check of durations: it finds how long leads were worked on, in any unit."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from crm.arrays import Floats
from features.leaks.check import Verdict
from features.leaks.checks.durations import UNITS
from tests.made_leak_columns import WorkedLeads
from tests.made_leaks import verdicts


@pytest.fixture(scope="module")
def worked() -> WorkedLeads:
    return WorkedLeads("times", seed=5)


def found(leads: WorkedLeads, column: Any) -> Verdict | None:
    return verdicts(leads.audit_column(column)).get("LS113")


PER_DAY = {
    "seconds": 86_400.0,
    "minutes": 1_440.0,
    "hours": 24.0,
    "days": 1.0,
    "working days": 5 / 7,
    "weeks": 1 / 7,
    "months": 12 / 365.25,
}


@pytest.mark.parametrize("unit", UNITS)
def test_ls113_finds_the_time_to_the_closing_in_every_unit(worked: WorkedLeads, unit: str) -> None:
    life = np.where(worked.is_open, np.nan, worked.life * PER_DAY[unit])
    assert found(worked, life.round(1)) is Verdict.LEAK


@pytest.mark.parametrize("unit", ["seconds", "minutes", "hours", "days"])
def test_ls113_names_the_unit(worked: WorkedLeads, unit: str) -> None:
    audited = worked.audit_column(worked.age * PER_DAY[unit])
    evidence = next(found.evidence for found in audited.findings if found.number == "LS113")
    assert evidence == f"In {unit}, it is the age at the export for 100% of the open leads."


@pytest.mark.parametrize("unit", ["hours", "days", "weeks"])
def test_ls113_finds_the_age_at_the_export(worked: WorkedLeads, unit: str) -> None:
    assert found(worked, (worked.age / UNITS[unit]).round(1)) is Verdict.LEAK


def test_ls113_names_the_unit_and_the_share(worked: WorkedLeads) -> None:
    audited = worked.audit_column((worked.worked_until() * 24).round())
    evidence = next(found.evidence for found in audited.findings if found.number == "LS113")
    assert evidence == (
        "In hours, it is the time from the creation to the closing for 100% of the closed leads."
    )


@pytest.mark.parametrize("text", ["{} days", "{}d", "{}:30:00", "{}:30"])
def test_ls113_reads_texts_of_durations(worked: WorkedLeads, text: str) -> None:
    number = worked.worked_until() * (24 if ":" in text else 1)
    column = np.array([text.format(int(days)) for days in number], dtype=object)
    assert found(worked, column) is Verdict.LEAK


@pytest.mark.parametrize(("noise", "verdict"), [(0.1, Verdict.LEAK), (0.6, Verdict.SUSPECT)])
def test_ls113_finds_numbers_that_go_with_the_time_to_the_closing(
    worked: WorkedLeads, noise: float, verdict: Verdict
) -> None:
    calls = worked.worked_until() * worked.rng.lognormal(3, noise, worked.n)
    assert found(worked, calls.round()) is verdict


def test_ls113_allows_numbers_that_go_with_the_time_to_the_closing_a_little(
    worked: WorkedLeads,
) -> None:
    size = worked.worked_until() * worked.rng.lognormal(3, 1.5, worked.n)
    assert found(worked, size.round()) is None


def test_ls113_allows_numbers_of_the_calendar_if_many_leads_are_closed_on_one_day(
    worked: WorkedLeads,
) -> None:
    leads = WorkedLeads("times", seed=6)
    leads.closed = pd.DatetimeIndex([leads.created.max()] * leads.n)
    assert found(leads, (900 - leads.day).round()) is None


def test_ls113_finds_the_time_to_the_latest_activity_without_times_of_closing() -> None:
    leads = WorkedLeads("no closing times", seed=7)
    share = leads.rng.uniform(0.7, 1, leads.n)
    assert found(leads, (leads.worked_until() * 24 * share).round(1)) is Verdict.SUSPECT


def test_ls113_allows_numbers_that_only_grow_with_the_age() -> None:
    leads = WorkedLeads("no closing times", seed=7)
    visits_per_day = leads.rng.uniform(2, 18, leads.n)
    assert found(leads, leads.worked_until() * visits_per_day) is None


def constant(leads: WorkedLeads) -> Floats:
    return np.full(leads.n, 30.0)


def end_of_quarter(leads: WorkedLeads) -> Floats:
    return np.asarray((90 - (leads.day + 35) % 90).round())  # 55 days after the export


@pytest.mark.parametrize("column", [constant, end_of_quarter])
def test_ls113_allows_other_durations(worked: WorkedLeads, column: Any) -> None:
    assert found(worked, column(worked)) is None


@pytest.mark.parametrize("text", ["3rd floor", "day {}", "ab:30"])
def test_ls113_ignores_other_texts(worked: WorkedLeads, text: str) -> None:
    column = np.array([text.format(int(days)) for days in worked.worked_until()], dtype=object)
    assert found(worked, column) is None
