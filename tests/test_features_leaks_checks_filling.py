"""Checks of whether a column is filled: a case that triggers each, and cases that must not."""

import numpy as np
import pytest

from crm.arrays import Bools, Ints
from features.leaks.check import Verdict
from tests.made_leaks import MadeUpLeads, verdicts

# -- LS101: filled when the lead is closed


def test_ls101_finds_columns_that_open_leads_lack() -> None:
    leads = MadeUpLeads(still_open=0.2, timed=True)
    audited = leads.audit_column(leads.words(if_won=0.9, if_lost=0.9, if_open=0.0))
    assert verdicts(audited) == {"LS101": Verdict.LEAK}
    assert audited.findings[0].evidence == (
        "Filled for 1,441 of 1,586 leads with an outcome and 0 of 414 leads without one; among "
        "leads of the same time, 91% and 0%."
    )


def test_ls101_suspects_columns_that_open_leads_have_half_as_often() -> None:
    leads = MadeUpLeads(still_open=0.2, timed=True)
    audited = leads.audit_column(leads.words(0.9, 0.9, if_open=0.4))
    assert verdicts(audited) == {"LS101": Verdict.SUSPECT}


@pytest.mark.parametrize(("if_closed", "verdict"), [(0.0, Verdict.LEAK), (0.4, Verdict.SUSPECT)])
def test_ls101_finds_columns_that_are_emptied_when_leads_are_closed(
    if_closed: float, verdict: Verdict
) -> None:
    leads = MadeUpLeads(still_open=0.2, timed=True)
    audited = leads.audit_column(leads.words(if_closed, if_closed, if_open=0.9))
    assert verdicts(audited)["LS101"] is verdict


@pytest.fixture
def with_open_newest_leads() -> MadeUpLeads:
    """Return leads; all leads of the newest tenth are open."""
    leads = MadeUpLeads(still_open=0.2, timed=True)
    leads.is_open |= np.arange(leads.n) > 0.9 * leads.n
    leads.won &= ~leads.is_open
    return leads


def test_ls101_ignores_columns_that_older_leads_have_more_often(
    with_open_newest_leads: MadeUpLeads,
) -> None:
    leads = with_open_newest_leads
    chance = np.where(np.arange(leads.n) > 0.9 * leads.n, 0.4, 0.8)
    column = leads.pick("xy", leads.rng.random(leads.n) < chance)
    assert leads.audit_column(column).verdict is Verdict.FINE


def test_ls101_ignores_small_differences(with_open_newest_leads: MadeUpLeads) -> None:
    leads = with_open_newest_leads
    column = leads.pick("x", leads.draw(0.6, 0.6, if_open=0.55))
    assert leads.audit_column(column).verdict is Verdict.FINE


@pytest.mark.parametrize(("n_open", "verdict"), [(20, Verdict.LEAK), (21, Verdict.SUSPECT)])
def test_ls101_finds_a_leak_up_to_a_tenth_of_the_closed_leads_share(
    n_open: int, verdict: Verdict
) -> None:
    leads = MadeUpLeads(in_order=True)
    number = np.arange(leads.n)
    leads.is_open = number % 10 == 0  # 200 leads
    leads.won = (number % 10 < 4) & ~leads.is_open
    is_filled = ~leads.is_open
    is_filled[np.flatnonzero(leads.is_open)[::10]] = True
    is_filled[np.flatnonzero(leads.is_open)[1 : n_open - 19]] = True
    assert verdicts(leads.audit_column(leads.pick("xy", is_filled)))["LS101"] is verdict


# -- LS102: filled means one outcome


@pytest.mark.parametrize(
    ("if_won", "if_lost", "verdict"),
    [(0.3, 0.003, Verdict.LEAK), (0.08, 0.0, Verdict.SUSPECT)],
    ids=["many leads", "few leads"],
)
def test_ls102_finds_columns_that_only_won_leads_have(
    if_won: float, if_lost: float, verdict: Verdict
) -> None:
    leads = MadeUpLeads()
    assert verdicts(leads.audit_column(leads.words(if_won, if_lost)))["LS102"] is verdict


@pytest.mark.parametrize(
    ("if_won", "if_lost"), [(0.3, 0.02), (0.0, 0.0)], ids=["some lost leads have it", "empty"]
)
def test_ls102_ignores_honest_columns(if_won: float, if_lost: float) -> None:
    leads = MadeUpLeads()
    assert leads.audit_column(leads.words(if_won, if_lost)).verdict is Verdict.FINE


def test_ls102_is_silent_if_almost_all_leads_are_won() -> None:
    leads = MadeUpLeads(base=0.93)
    column = leads.pick("x", leads.draw(0.5, 0.35))
    assert "LS102" not in verdicts(leads.audit_column(column))


@pytest.mark.parametrize(("n_won", "is_found"), [(380, True), (379, False)])
def test_ls102_needs_95_of_100_filled_leads_with_the_same_outcome(
    n_won: int, is_found: bool
) -> None:
    leads = MadeUpLeads()
    leads.won = np.arange(leads.n) % 10 < 3
    is_filled = np.zeros(leads.n, dtype=bool)
    is_filled[np.flatnonzero(leads.won)[:n_won]] = True
    is_filled[np.flatnonzero(~leads.won)[: 400 - n_won]] = True
    by_check = verdicts(leads.audit_column(leads.pick("xy", is_filled)))
    assert ("LS102" in by_check) is is_found


def test_ls102_allows_what_was_asked_while_hardly_any_lead_was_won() -> None:
    leads = MadeUpLeads()
    is_early = np.arange(leads.n) < leads.n // 2
    leads.won = leads.rng.random(leads.n) < np.where(is_early, 0.02, 0.7)
    assert leads.audit_column(leads.pick("xy", is_early)).verdict is Verdict.FINE


# -- LS103: being filled separates won from lost leads


def test_ls103_suspects_filling_that_ranks_most_pairs() -> None:
    leads = MadeUpLeads()
    assert verdicts(leads.audit_column(leads.words(0.6, 0.2))) == {"LS103": Verdict.SUSPECT}


def test_ls103_finds_filling_that_ranks_almost_all_pairs() -> None:
    leads = MadeUpLeads()
    assert verdicts(leads.audit_column(leads.words(0.9, 0.1)))["LS103"] is Verdict.LEAK


def test_ls103_ignores_filling_that_ranks_few_pairs() -> None:
    leads = MadeUpLeads()
    assert leads.audit_column(leads.words(0.7, 0.46)).verdict is Verdict.FINE  # AUC 0.62


def test_ls103_treats_a_word_for_nothing_as_an_unchanged_default() -> None:
    leads = MadeUpLeads()
    leads.columns = {"nothing": ["Select"]}
    is_empty = leads.draw(0.1, 0.6)
    column = leads.pick(["Select"], ~is_empty)
    column[~is_empty & (leads.rng.random(leads.n) < 0.3)] = "Chosen"
    assert "LS103" in verdicts(leads.audit_column(column))


def test_ls103_allows_columns_that_open_leads_have_filled_too() -> None:
    leads = MadeUpLeads(still_open=0.3)
    audited = leads.audit_column(leads.words(0.7, 0.3, if_open=0.5))
    assert audited.verdict is Verdict.FINE
    assert verdicts(audited) == {"LS103": Verdict.FINE}


def test_ls103_finds_columns_that_only_lost_leads_lack() -> None:
    leads = MadeUpLeads(still_open=0.3)
    audited = leads.audit_column(leads.words(0.9, 0.1, if_open=0.9))
    assert verdicts(audited)["LS103"] is Verdict.LEAK


def test_ls103_is_not_explained_by_open_leads_of_times_in_which_hardly_any_lead_has_it() -> None:
    leads = MadeUpLeads()
    is_new = np.arange(leads.n) >= 0.8 * leads.n
    leads.is_open = is_new & (leads.rng.random(leads.n) < 0.5)
    leads.won &= ~leads.is_open
    is_filled = np.where(is_new, leads.rng.random(leads.n) < 0.1, leads.draw(0.9, 0.3))
    assert leads.audit_column(leads.pick("xy", is_filled)).verdict is not Verdict.FINE


@pytest.mark.parametrize(("n_open", "verdict"), [(160, Verdict.FINE), (159, Verdict.LEAK)])
def test_ls103_allows_columns_from_four_fifths_of_the_closed_leads_share(
    n_open: int, verdict: Verdict
) -> None:
    leads = MadeUpLeads()
    number = np.arange(leads.n)
    leads.is_open = number % 5 == 0  # 400 leads
    leads.won = (number % 5 < 3) & ~leads.is_open
    is_filled = np.zeros(leads.n, dtype=bool)
    for is_group, tenths_filled in (
        (leads.won, 8),
        (~leads.won & ~leads.is_open, 2),
        (leads.is_open, 4),
    ):
        rows = np.flatnonzero(is_group)
        is_filled[rows[np.arange(len(rows)) % 10 < tenths_filled]] = True
    is_filled[np.flatnonzero(leads.is_open & is_filled)[: 160 - n_open]] = False
    assert verdicts(leads.audit_column(leads.pick("xy", is_filled))) == {"LS103": verdict}


# -- LS105: filled in some periods


def tenths(leads: MadeUpLeads) -> Ints:
    """Return the tenth of each lead by time, from 0."""
    return np.arange(leads.n) * 10 // leads.n


def in_some_periods(leads: MadeUpLeads) -> Bools:
    return np.asarray((tenths(leads) < 3) | (tenths(leads) > 7))


def test_ls105_reports_forms_that_changed() -> None:
    leads = MadeUpLeads()
    audited = leads.audit_column(leads.pick("xy", in_some_periods(leads)))
    assert verdicts(audited) == {"LS105": Verdict.FINE}
    assert audited.findings[0].evidence == (
        "Filled for 0% of the leads in one period and 100% in another; among leads of the same "
        "days and kind, how they ended makes no clear difference."
    )


def test_ls105_finds_filling_in_some_periods_that_goes_with_the_outcome() -> None:
    leads = MadeUpLeads()
    column = leads.pick("xy", in_some_periods(leads) & leads.draw(0.95, 0.6))
    audited = leads.audit_column(column)
    assert verdicts(audited) == {"LS105": Verdict.SUSPECT}
    assert "95% of the won and 57% of the others" in audited.findings[0].evidence


def test_ls105_finds_what_is_filled_on_closing_since_some_day() -> None:
    leads = MadeUpLeads(timed=True)
    is_later = leads.closed > leads.created[leads.n // 2]
    audited = leads.audit_column(leads.pick("xy", np.asarray(is_later)))
    assert verdicts(audited) == {"LS105": Verdict.SUSPECT}
    assert "the time of closing decides" in audited.findings[0].evidence


def test_ls105_allows_what_was_asked_since_some_day() -> None:
    leads = MadeUpLeads(n=400, timed=True)  # few leads a day: those created later are closed later
    audited = leads.audit_column(leads.pick("xy", np.arange(leads.n) >= leads.n // 2))
    assert verdicts(audited) == {"LS105": Verdict.FINE}


def test_ls105_suspects_a_score_of_some_periods() -> None:
    leads = MadeUpLeads()
    column = leads.pick("xy", in_some_periods(leads))
    assert verdicts(leads.audit_column(column, "Fit score")) == {"LS105": Verdict.SUSPECT}


def leads_of_two_forms() -> MadeUpLeads:
    """Return leads of two forms; those of one are won twice as often."""
    leads = MadeUpLeads()
    is_second = leads.rng.random(leads.n) < 0.65
    leads.won = leads.rng.random(leads.n) < np.where(is_second, 0.4, 0.2)
    leads.leads["form"] = np.where(is_second, "second", "first")
    return leads


def test_ls105_allows_what_one_form_asked_in_some_periods() -> None:
    leads = leads_of_two_forms()
    is_filled = in_some_periods(leads) & (leads.leads["form"] == "second").to_numpy()
    column = leads.pick("xy", is_filled)
    assert verdicts(leads.audit_column(column)) == {"LS105": Verdict.FINE}
    del leads.leads["form"]  # nothing explains it
    assert verdicts(leads.audit_column(column)) == {"LS105": Verdict.SUSPECT}


def test_ls105_finds_what_won_leads_of_one_form_have_in_some_periods() -> None:
    leads = leads_of_two_forms()
    is_second = (leads.leads["form"] == "second").to_numpy()
    is_filled = in_some_periods(leads) & is_second & leads.draw(0.95, 0.6)
    assert verdicts(leads.audit_column(leads.pick("xy", is_filled)))["LS105"] is Verdict.SUSPECT


def test_ls105_is_not_explained_by_a_column_that_contains_the_outcome() -> None:
    leads = MadeUpLeads()
    is_filled = in_some_periods(leads) & leads.draw(0.95, 0.6)
    leads.leads["state"] = np.where(leads.won, "customer", np.where(is_filled, "asked", "new"))
    result = leads.audit(leads.pick("xy", is_filled))
    assert verdicts(result.attributes[-1])["LS105"] is Verdict.SUSPECT


def test_ls105_ignores_columns_that_were_introduced_later() -> None:
    leads = MadeUpLeads()
    assert leads.audit_column(leads.pick("xy", tenths(leads) >= 6)).verdict is Verdict.FINE


def test_ls105_needs_leads_in_the_order_of_time() -> None:
    leads = MadeUpLeads(in_order=False)
    assert leads.audit_column(leads.pick("xy", tenths(leads) < 3)).verdict is Verdict.FINE


def test_ls105_ignores_a_declared_word_of_some_periods() -> None:
    leads = MadeUpLeads()
    leads.columns = {"nothing": ["nonexistent"]}
    column = np.where(tenths(leads) < 3, "success", "nonexistent")
    assert leads.audit_column(column).verdict is Verdict.FINE
