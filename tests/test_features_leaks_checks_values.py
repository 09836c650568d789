"""Checks of a column's values: a case that triggers each, and cases that must not."""

from typing import Any

import numpy as np
import pytest

from features.leaks.check import Verdict
from tests.made_leaks import MadeUpLeads, verdicts

# -- LS104: separates won from lost leads alone


def test_ls104_finds_numbers_that_rank_almost_all_pairs() -> None:
    leads = MadeUpLeads()
    assert verdicts(leads.audit_column(leads.numbers_of_auc(0.88))) == {"LS104": Verdict.LEAK}


def test_ls104_finds_numbers_that_separate_without_a_direction() -> None:
    leads = MadeUpLeads()
    centre = np.where(leads.won, 0, np.sign(leads.rng.normal(size=leads.n)) * 3)
    audited = leads.audit_column(centre + leads.rng.normal(size=leads.n) * 0.8)
    assert verdicts(audited)["LS104"] is Verdict.LEAK


def test_ls104_finds_words_that_rank_almost_all_pairs() -> None:
    leads = MadeUpLeads()
    words = np.where(leads.draw(0.85, 0.15), "hot", "cold")
    assert verdicts(leads.audit_column(words))["LS104"] is Verdict.LEAK


def test_ls104_only_suspects_values_that_open_leads_have_too() -> None:
    leads = MadeUpLeads(still_open=0.3)
    numbers = leads.numbers_of_auc(0.88)
    numbers[leads.is_open] = leads.rng.choice(numbers[~leads.is_open], leads.is_open.sum())
    assert verdicts(leads.audit_column(numbers)) == {"LS104": Verdict.SUSPECT}


def test_ls104_finds_one_of_several_values_in_a_cell() -> None:
    leads = MadeUpLeads()
    is_in = {name: leads.draw(0.3, 0.3) for name in "abcdefgh"} | {"leak": leads.draw(0.95, 0.05)}
    cells = [";".join(name for name in is_in if is_in[name][i]) for i in range(leads.n)]
    assert verdicts(leads.audit_column(cells))["LS104"] is Verdict.LEAK


@pytest.fixture
def unordered_leads() -> MadeUpLeads:
    """Return 400 won and 600 lost leads, then 1,000 open ones, in a single slice of time."""
    leads = MadeUpLeads(in_order=False)
    leads.won, leads.is_open = np.arange(leads.n) < 400, np.arange(leads.n) >= 1_000
    return leads


def words_of_leads(n_hot_open: int) -> Any:
    """Return "hot" for 380 of the won leads, 30 of the lost ones and some of the open ones."""
    words = np.full(2_000, "cold", dtype=object)
    words[:380] = words[400:430] = words[1_000 : 1_000 + n_hot_open] = "hot"
    return words


@pytest.mark.parametrize(("n_hot", "verdict"), [(231, Verdict.SUSPECT), (230, Verdict.LEAK)])
def test_ls104_only_suspects_values_from_six_tenths_of_the_closed_leads_win_rate(
    unordered_leads: MadeUpLeads, n_hot: int, verdict: Verdict
) -> None:
    assert verdicts(unordered_leads.audit_column(words_of_leads(n_hot)))["LS104"] is verdict


@pytest.mark.parametrize(("n_open", "verdict"), [(90, Verdict.SUSPECT), (89, Verdict.LEAK)])
def test_ls104_needs_90_open_leads_to_only_suspect_a_column(
    unordered_leads: MadeUpLeads, n_open: int, verdict: Verdict
) -> None:
    leads = unordered_leads
    leads.is_open[1_000 + n_open :] = False
    words = words_of_leads(n_open)
    words[1_000 + n_open :] = "cold"
    assert verdicts(leads.audit_column(words))["LS104"] is verdict


def test_ls104_expects_the_average_win_rate_of_values_that_only_open_leads_have(
    unordered_leads: MadeUpLeads,
) -> None:
    words = words_of_leads(0)
    words[1_000:] = "new"  # the last of the words
    assert verdicts(unordered_leads.audit_column(words))["LS104"] is Verdict.SUSPECT


@pytest.mark.parametrize("seed", range(8))
def test_ls104_ignores_a_strong_honest_column(seed: int) -> None:
    leads = MadeUpLeads(n=4_000, seed=seed)
    assert leads.audit_column(leads.numbers_of_auc(0.785)).verdict is Verdict.FINE


# -- LS106: values that decide the outcome


def test_ls106_finds_values_that_decide_the_outcome() -> None:
    leads = MadeUpLeads()
    column = np.where(leads.won & (leads.rng.random(leads.n) < 0.5), "Horizon", "other")
    audited = leads.audit_column(column)
    assert verdicts(audited)["LS106"] is Verdict.SUSPECT
    assert '"Horizon"' in audited.findings[-1].evidence


def test_ls106_allows_rare_values_that_decide_the_outcome() -> None:
    leads = MadeUpLeads()
    column = np.where(leads.won & (leads.rng.random(leads.n) < 0.15), "Referral", "other")
    audited = leads.audit_column(column)
    assert audited.verdict is Verdict.FINE
    assert verdicts(audited) == {"LS106": Verdict.FINE}


# -- LS110: values that change at closing


@pytest.mark.parametrize(("in_order", "verdict"), [(True, Verdict.LEAK), (False, Verdict.SUSPECT)])
def test_ls110_finds_values_that_change_at_closing(in_order: bool, verdict: Verdict) -> None:
    leads = MadeUpLeads(still_open=0.3, in_order=in_order)
    column = np.where(leads.is_open, "working", leads.pick(["nurture", "archived"], ~leads.is_open))
    assert verdicts(leads.audit_column(column)) == {"LS110": verdict}


@pytest.fixture
def with_old_closed_leads() -> MadeUpLeads:
    """Return leads; most of the old ones are closed, and most of the new ones are open."""
    leads = MadeUpLeads(timed=True)
    is_old = np.arange(leads.n) < 0.8 * leads.n
    leads.is_open = leads.rng.random(leads.n) < np.where(is_old, 0.05, 0.95)
    leads.won &= ~leads.is_open
    return leads


def test_ls110_ignores_numbers_that_rise_with_time(with_old_closed_leads: MadeUpLeads) -> None:
    leads = with_old_closed_leads
    numbers = np.arange(leads.n) / 20 + leads.rng.normal(size=leads.n)
    assert leads.audit_column(numbers).verdict is Verdict.FINE


def test_ls110_ignores_small_differences(with_old_closed_leads: MadeUpLeads) -> None:
    leads = with_old_closed_leads
    words = np.where(leads.rng.random(leads.n) < 0.3 + 0.3 * leads.is_open, "fair", "web")
    assert leads.audit_column(words).verdict is Verdict.FINE


# -- LS111 and LS112: for information


@pytest.mark.parametrize(
    "column",
    [[f"K-{i}" for i in range(2_000)], np.arange(2_000) * 7 + 3],
    ids=["texts", "whole numbers"],
)
def test_ls111_reports_identifiers(column: Any) -> None:
    audited = MadeUpLeads().audit_column(column)
    assert audited.verdict is Verdict.FINE
    assert verdicts(audited) == {"LS111": Verdict.FINE}


def test_ls111_ignores_measured_numbers() -> None:
    leads = MadeUpLeads()
    assert verdicts(leads.audit_column(leads.rng.normal(size=leads.n))) == {}


def test_an_identifier_that_only_won_leads_have_is_a_leak() -> None:
    leads = MadeUpLeads()
    order_number = np.array([f"O-{i}" for i in range(leads.n)], dtype=object)
    order_number[~leads.draw(0.97, 0.0)] = None
    assert leads.audit_column(order_number).verdict is Verdict.LEAK


@pytest.mark.parametrize("cell", ["no", None], ids=["constant", "empty"])
def test_ls112_reports_columns_with_one_value_or_none(cell: str | None) -> None:
    assert verdicts(MadeUpLeads().audit_column([cell] * 2_000)) == {"LS112": Verdict.FINE}
