"""The leak audit: which attributes it audits, its verdicts, its laws, and no false alarms."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.project import Project
from crm.records import Records
from features.leaks.audit import AttributeAudit, Audit, audit
from features.leaks.check import Verdict
from features.leaks.registry import CHECKS
from features.moments import Moments, make_moments
from tests.made_leaks import MadeUpLeads, alarms, simulate_crm, verdicts

# -- leaks and honest columns on which the thresholds were not chosen


def test_honest_numbers_that_drift_with_the_share_of_wins_are_fine() -> None:
    leads = MadeUpLeads(n=6_000)
    season = np.linspace(-3, 0.5, leads.n)
    leads.won = leads.rng.random(leads.n) < 1 / (1 + np.exp(-season))
    leads.leads["visits"] = leads.rng.poisson(3 + leads.won)
    rate = -season + leads.rng.normal(size=leads.n) * 0.3
    assert leads.audit_column(rate).verdict is Verdict.FINE


@pytest.mark.parametrize(("if_won", "if_lost"), [(0.85, 0.1), (0.3, 0.004), (1.0, 0.3)])
@pytest.mark.parametrize("n", [600, 3_000])
def test_leaks_with_noise_or_gaps_are_not_fine(if_won: float, if_lost: float, n: int) -> None:
    leads = MadeUpLeads(n=n, seed=n)
    column = leads.pick("xyz", leads.draw(if_won, if_lost))
    assert leads.audit_column(column).verdict is not Verdict.FINE


@pytest.mark.parametrize("kind", ["outcome in words", "filled if won", "weak words", "noise"])
@pytest.mark.parametrize("seed", range(5))
def test_sixty_leads_prove_no_leak(seed: int, kind: str) -> None:
    leads = MadeUpLeads(n=60, seed=seed)
    column = {
        "outcome in words": np.where(leads.won, "deal", "none"),
        "filled if won": leads.pick("xy", leads.won),
        "weak words": np.where(leads.draw(0.6, 0.4), "x", "y"),
        "noise": leads.rng.normal(size=leads.n),
    }[kind]
    assert leads.audit_column(column).verdict is not Verdict.LEAK


def test_few_outcomes_allow_only_checks_of_names() -> None:
    leads = MadeUpLeads(n=60, base=0.05, seed=2)
    assert 0 < leads.won.sum() < 10
    column = leads.pick("xy", leads.won)
    assert leads.audit_column(column).verdict is Verdict.FINE
    assert leads.audit_column(column, "lost_reason").verdict is Verdict.SUSPECT


@pytest.mark.parametrize("n", [80, 300, 1_500])
@pytest.mark.parametrize("seed", range(4))
def test_forty_attributes_of_noise_raise_no_alarm(n: int, seed: int) -> None:
    leads = MadeUpLeads(n=n, seed=seed, still_open=0.2)
    rng = leads.rng
    noise = {
        f"number_{i}": np.where(rng.random(n) < 0.7, rng.normal(size=n), np.nan) for i in range(20)
    }
    noise |= {f"word_{i}": leads.pick("abcdefgh", rng.random(n) < 0.6) for i in range(20)}
    leads.leads = leads.leads.assign(**noise)
    result = leads.audit()
    assert len(result.attributes) == 42
    assert alarms(result) == set()


# -- what is audited, and what the audit returns


def test_only_attributes_that_may_become_features_are_audited() -> None:
    leads = MadeUpLeads()
    leak = leads.pick("xy", leads.won)
    leads.leads = leads.leads.assign(a=leak, b=leak, c=leak, d=leak, e=leak)
    leads.columns = {
        "ignore": ["a"],
        "known_later": ["b"],
        "sensitive": ["c", "d"],
        "allow_sensitive": ["d"],
    }
    attributes = [audited.attribute for audited in leads.audit().attributes]
    assert attributes == ["visits", "source", "d", "e"]


def test_vouched_column_is_fine_and_keeps_its_findings() -> None:
    leads = MadeUpLeads()
    leak = leads.words(0.9, 0.01)
    assert leads.audit_column(leak).verdict is Verdict.LEAK
    leads.columns = {"known_in_time": ["field", "source"]}
    audited = leads.audit_column(leak)
    assert (audited.verdict, audited.line) == (Verdict.FINE, None)
    assert Verdict.LEAK in verdicts(audited).values()
    for finding in audited.findings:
        assert finding.evidence.endswith("The project vouches for it.")


def test_line_is_valid_toml_for_any_name() -> None:
    leads = MadeUpLeads()
    name = 'lost "reason" \\ 1'
    audited = leads.audit_column(leads.pick("xy", leads.won), name)
    assert audited.line is not None
    assert tomllib.loads(audited.line) == {"known_later": [name]}
    alternative = audited.line.partition("# or, if a person vouches for it: ")[2]
    assert tomllib.loads(alternative) == {"known_in_time": [name]}


def test_to_json_returns_plain_data() -> None:
    leads = MadeUpLeads()
    state = leads.audit(leads.words(0.9, 0.01)).to_json()
    assert json.loads(json.dumps(state)) == state


def test_to_json_contains_attributes_with_and_without_findings() -> None:
    leads = MadeUpLeads()
    visits, _, leak = leads.audit(leads.words(0.9, 0.01)).to_json()["fields"]
    fine: dict[str, Any] = {
        "verdict": "fine",
        "checks": [],
        "line": None,
        "cost_of_leaving_out": None,
    }
    assert visits == {"field": "visits", **fine}
    assert set(leak) == {"field", "verdict", "checks", "line", "cost_of_leaving_out"}
    assert (leak["field"], leak["verdict"]) == ("field", "leak")
    assert set(leak["checks"][0]) == {"number", "verdict", "evidence"}


def test_checks_have_a_number_and_a_title_of_one_sentence() -> None:
    assert list(CHECKS) == [f"LS{number}" for number in range(101, 114)]
    for check in CHECKS.values():
        assert re.fullmatch(r"[A-Z][^.]+\.", check.title)


def test_records_are_not_modified() -> None:
    leads = MadeUpLeads(still_open=0.2)
    before = leads.leads.copy(deep=True)
    leads.audit()
    pd.testing.assert_frame_equal(leads.leads, before)


def test_leads_without_attributes_have_an_empty_audit() -> None:
    leads = MadeUpLeads()
    leads.leads = leads.leads[["lead_id"]]
    assert leads.audit() == Audit(())


# -- laws, on the simulated CRM

Crm = tuple[Records, Moments, Project]
MODES = ("times", "rows", "none")


@settings(max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    n_leads=st.sampled_from([500, 800, 1_500]),
    mode=st.sampled_from(MODES),
)
def test_planted_leak_is_always_found(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_leads: int, mode: str
) -> None:
    result = audit(*simulate_crm(tmp_path_factory.mktemp("crm"), mode, seed, n_leads))
    assert len(result.attributes) > 8
    assert by_name(result)["contract_type"].verdict is Verdict.LEAK


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [0, 1])
def test_honest_attributes_of_the_simulation_raise_no_alarm(
    tmp_path: Path, mode: str, seed: int
) -> None:
    assert alarms(audit(*simulate_crm(tmp_path, mode, seed, 2_000))) == {"contract_type"}


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Crm:
    """Simulate 1,000 leads with times."""
    return simulate_crm(tmp_path_factory.mktemp("crm"), "times", 3, 1_000)


def by_name(result: Audit) -> dict[str, AttributeAudit]:
    return {audited.attribute: audited for audited in result.attributes}


@settings(max_examples=5)
@given(seed=st.integers(0, 1_000))
def test_order_of_columns_and_of_outcomes_does_not_matter(crm: Crm, seed: int) -> None:
    records, moments, project = crm
    rng = np.random.default_rng(seed)
    shuffled = replace(
        records,
        leads=records.leads[rng.permutation(records.leads.columns)],
        outcomes=records.outcomes.iloc[rng.permutation(len(records.outcomes))],
    )
    assert by_name(audit(shuffled, moments, project)) == by_name(audit(*crm))


@settings(max_examples=5)
@given(seed=st.integers(0, 1_000))
def test_row_order_does_not_matter(crm: Crm, seed: int) -> None:
    records, _, project = crm
    rows = np.random.default_rng(seed).permutation(len(records.leads))
    shuffled = replace(records, leads=records.leads.iloc[rows].reset_index(drop=True))
    assert audit(shuffled, make_moments(shuffled, project.learn), project) == audit(*crm)


def test_new_name_of_an_honest_column_changes_no_other_column(crm: Crm) -> None:
    records, moments, project = crm
    renamed = replace(records, leads=records.leads.rename(columns={"campaign": "aktion"}))
    after, before = by_name(audit(renamed, moments, project)), by_name(audit(*crm))
    assert after.pop("aktion").findings == before.pop("campaign").findings
    assert after == before
