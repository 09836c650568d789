"""The leak audit finds planted and known leaks, and raises no alarm for honest attributes."""

import itertools
import json
import os
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
from scipy.stats import norm

from crm.project import ColumnsKeys, LearnKeys, Project, TableKeys, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.times import NOT_A_TIME, TIME_DTYPE
from features.leaks.audit import Audit, audit
from features.leaks.checks import CHECKS, Verdict
from features.leaks.measures import TwoGroups, read_audited_column
from features.moments import make_moments

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PUBLIC_DATA = os.environ.get("LEADSCORE_PUBLIC_DATA")
needs_public_data = pytest.mark.skipif(
    PUBLIC_DATA is None, reason="LEADSCORE_PUBLIC_DATA names no folder of public data"
)
START = pd.Timestamp("2024-01-01", tz="UTC")


class World:
    """Leads with outcomes and honest attributes. A test adds an attribute of its own."""

    def __init__(
        self,
        n: Any = 2_000,
        base: Any = 0.3,
        seed: Any = 0,
        timed: Any = False,
        still_open: Any = 0.0,
        in_order: Any = True,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.n, self.in_order = n, in_order
        self.won = self.rng.random(n) < base
        self.is_open = self.rng.random(n) < still_open
        self.won &= ~self.is_open
        self.lead_id = np.array([f"L{i}" for i in range(n)], dtype=object)
        self.leads = pd.DataFrame({"lead_id": self.lead_id})
        self.created = self.closed = None
        if timed:
            self.created = START + pd.to_timedelta(np.arange(n) * 700 / n, unit="D")
            life = pd.to_timedelta(self.rng.uniform(5, 60, n), unit="D")
            self.closed = self.created + life
            self.leads["created_at"] = self.created.astype(TIME_DTYPE)
        self.columns: dict[str, Any] = {}
        self.leads["visits"] = self.rng.poisson(3 + self.won)
        self.leads["source"] = self.pick(["web", "fair", "partner"], np.ones(n, dtype=bool))

    def pick(self, values: Any, where: Any) -> Any:
        return np.where(where, self.rng.choice(np.array(list(values), dtype=object), self.n), None)

    def filled(self, if_won: Any, if_lost: Any, if_open: Any = 0.0) -> Any:
        share = np.where(self.is_open, if_open, np.where(self.won, if_won, if_lost))
        return self.rng.random(self.n) < share

    def audit(self, field: Any = None, name: Any = "field") -> Audit:
        leads = self.leads if field is None else self.leads.assign(**{name: field})
        kept = ~self.is_open
        outcomes = pd.DataFrame(
            {
                "lead_id": self.lead_id,
                "outcome": np.where(self.won, "won", "lost"),
                "closed_at": pd.Series(self.closed, index=range(self.n), dtype=TIME_DTYPE),
            }
        )[kept]
        until = None if self.created is None else START + pd.Timedelta(days=800)
        records = Records(leads, outcomes, observed_until=until, in_order=self.in_order)
        project = Project(
            Path("leadscore.toml"),
            "",
            "acme",
            False,
            TableKeys(source="leads.csv"),
            None,
            None,
            None,
            LearnKeys(won=["won"]),
            ColumnsKeys(**self.columns),
        )
        return audit(records, make_moments(records, project.learn), project)

    def judge(self, field: Any, name: Any = "field") -> Any:
        """Audit with one further attribute; the honest ones must stay fine."""
        audited = self.audit(field, name)
        assert alarms(audited) <= {name}
        return next(each for each in audited.attributes if each.attribute == name)


def choose(condition: Any, value: Any, otherwise: Any) -> Any:
    return np.where(condition, value, otherwise)


def alarms(audited: Audit) -> set[str]:
    return {field.attribute for field in audited.attributes if field.verdict is not Verdict.FINE}


def verdicts(field: Any) -> dict[str, Verdict]:
    return {check.number: check.verdict for check in field.findings}


def number_of_auc(world: World, auc: Any) -> Any:
    return world.rng.normal(world.won * np.sqrt(2) * norm.ppf(auc))


# --- each check: a case that triggers it, and one that must not


def test_ls101_filled_only_when_the_outcome_is_known() -> None:
    world = World(still_open=0.2, timed=True)
    leak = world.judge(world.pick(["x", "y"], world.filled(0.9, 0.9, 0.0)))
    assert verdicts(leak) == {"LS101": Verdict.LEAK}
    assert leak.findings[0].evidence == (
        "Filled for 91% of 1,586 closed leads and 0% of 414 open leads of the same time."
    )
    part = world.judge(world.pick(["x", "y"], world.filled(0.9, 0.9, 0.4)))
    assert verdicts(part) == {"LS101": Verdict.SUSPECT}


def test_ls101_ignores_older_leads_that_are_fuller() -> None:
    world = World(still_open=0.2, timed=True)
    world.is_open |= np.arange(world.n) > 0.9 * world.n  # the newest are all open yet
    world.won &= ~world.is_open
    retired = world.rng.random(world.n) < np.where(np.arange(world.n) > 0.9 * world.n, 0.4, 0.8)
    assert world.judge(world.pick(["x", "y"], retired)).verdict is Verdict.FINE
    assert world.judge(world.pick(["x"], world.filled(0.6, 0.6, 0.55))).verdict is Verdict.FINE


def test_ls102_filled_means_won() -> None:
    world = World()
    leak = world.judge(world.pick(["x", "y"], world.filled(0.3, 0.003)))
    assert verdicts(leak)["LS102"] is Verdict.LEAK
    rare = world.judge(world.pick(["x", "y"], world.filled(0.08, 0.0)))
    assert verdicts(rare)["LS102"] is Verdict.SUSPECT
    assert world.judge(world.pick(["x", "y"], world.filled(0.3, 0.02))).verdict is Verdict.FINE
    mirrored = world.judge(world.pick(["x", "y"], world.filled(0.0, 0.0))).verdict
    assert mirrored is Verdict.FINE


def test_ls102_is_silent_if_almost_all_leads_are_won() -> None:
    world = World(base=0.93)
    assert "LS102" not in verdicts(world.judge(world.pick(["x"], world.filled(0.5, 0.35))))


def test_ls103_being_filled_predicts_the_outcome() -> None:
    world = World()
    assert verdicts(world.judge(world.pick("xy", world.filled(0.6, 0.2)))) == {
        "LS103": Verdict.SUSPECT
    }
    assert verdicts(world.judge(world.pick("xy", world.filled(0.9, 0.1))))["LS103"] is Verdict.LEAK
    assert world.judge(world.pick("xy", world.filled(0.7, 0.46))).verdict is Verdict.FINE  # .62


def test_ls103_treats_a_word_for_nothing_as_an_unchanged_default() -> None:
    world = World()
    world.columns = {"nothing": ["Select"]}
    never_opened = choose(world.filled(0.1, 0.6), None, "Select")
    chosen = world.rng.random(world.n) < 0.3
    field = np.where(chosen & (never_opened == "Select"), "Chosen", never_opened)
    assert "LS103" in verdicts(world.judge(field))


def test_ls103_is_fine_if_open_leads_have_it_filled_as_well() -> None:
    world = World(still_open=0.3)
    audited = world.judge(world.pick("xy", world.filled(0.7, 0.3, 0.5)))
    assert audited.verdict is Verdict.FINE
    assert verdicts(audited) == {"LS103": Verdict.FINE}


def test_ls104_finds_a_column_that_separates_alone() -> None:
    world = World()
    assert verdicts(world.judge(number_of_auc(world, 0.88))) == {"LS104": Verdict.LEAK}
    hump = np.where(world.won, 0, np.sign(world.rng.normal(size=world.n)) * 3)
    leak = world.judge(hump + world.rng.normal(size=world.n) * 0.8)  # tells in no one direction
    assert verdicts(leak)["LS104"] is Verdict.LEAK
    words = np.where(world.filled(0.85, 0.15), "hot", "cold")
    assert verdicts(world.judge(words))["LS104"] is Verdict.LEAK


def test_ls104_is_a_suspect_if_open_leads_have_such_values() -> None:
    world = World(still_open=0.3)
    score = number_of_auc(world, 0.88)
    score[world.is_open] = world.rng.choice(score[~world.is_open], world.is_open.sum())
    assert verdicts(world.judge(score)) == {"LS104": Verdict.SUSPECT}


@pytest.mark.parametrize("seed", range(8))
def test_ls104_ignores_a_strong_honest_column(seed: Any) -> None:
    world = World(n=4_000, seed=seed)
    assert world.judge(number_of_auc(world, 0.785)).verdict is Verdict.FINE


def test_ls105_finds_columns_filled_in_some_periods() -> None:
    world = World()
    tenth = np.arange(world.n) * 10 // world.n
    leak = world.judge(world.pick(["x", "y"], (tenth < 3) | (tenth > 7)))
    assert verdicts(leak) == {"LS105": Verdict.SUSPECT}
    introduced = world.judge(world.pick(["x", "y"], tenth >= 6))
    assert introduced.verdict is Verdict.FINE
    world.in_order = False
    assert world.judge(world.pick(["x", "y"], tenth < 3)).verdict is Verdict.FINE


def test_ls105_ignores_a_declared_word_of_some_periods() -> None:
    world = World()
    world.columns = {"nothing": ["nonexistent"]}
    tenth = np.arange(world.n) * 10 // world.n
    assert world.judge(np.where(tenth < 3, "success", "nonexistent")).verdict is Verdict.FINE


def test_ls106_finds_values_that_decide_the_outcome() -> None:
    world = World()
    settled = np.where(world.won & (world.rng.random(world.n) < 0.5), "Horizon", "other")
    audited = world.judge(settled)
    assert verdicts(audited)["LS106"] is Verdict.SUSPECT
    assert '"horizon"' in audited.findings[-1].evidence
    honest = np.where(world.won & (world.rng.random(world.n) < 0.15), "Referral", "other")
    audited = world.judge(honest)
    assert audited.verdict is Verdict.FINE
    assert verdicts(audited) == {"LS106": Verdict.FINE}


LATER = [
    "Last Activity",
    "Last Notable Activity",
    "lastModifiedDate",
    "Recent Conversion",
    "updated_at",
    "Converted",
    "ConvertedOpportunityId",
    "closed_won_at",
    "close_date",
    "lost_reason",
    "Loss Reason",
    "Reason",
    "churned",
    "contract_signed",
    "invoice_no",
    "Lead Status",
    "Lifecycle Stage",
    "stage",
    "customer_since",
    "Is Customer",
    "call_outcome",
    "letzte_aktivität",
    "Verlustgrund",
    "geändert am",
    "date de clôture",
    "última visita",
]
HONEST = [
    "Last Name",
    "name_last",
    "last_year_revenue",
    "First Conversion",
    "previous_outcome",
    "poutcome",
    "Update me on Supply Chain Content",
    "Get updates on DM Content",
    "Receive More Updates About Our Courses",
    "signed_up_from",
    "marital_status",
    "reason_for_contact",
    "contact_reason",
    "duration",
    "contract_type",
    "campaign",
    "pdays",
    "close_competitors",
    "days_since_last_contact_before",
    "customer_segment",
    "winery",
    "glasses",
    "Lead Source",
    "employment status",
    "stage_of_life",
    "erster Kontakt",
]


def test_ls107_finds_names_that_refer_to_later() -> None:
    world = World(n=200)
    fields = {name: world.rng.choice(["x", "y"], world.n) for name in (*LATER, *HONEST)}
    world.leads = world.leads.assign(**fields)
    audited = {field.attribute: verdicts(field) for field in world.audit().attributes}
    assert [name for name in LATER if audited[name] != {"LS107": Verdict.SUSPECT}] == []
    assert [name for name in HONEST if audited[name]] == []


def test_ls107_with_other_evidence_is_a_leak() -> None:
    world = World()
    field = world.pick("xy", world.filled(0.6, 0.2))
    audited = world.judge(field, name="lost_reason")
    assert verdicts(audited) == {"LS103": Verdict.SUSPECT, "LS107": Verdict.LEAK}
    assert audited.verdict is Verdict.LEAK


def day(times: Any) -> Any:
    return pd.Series(pd.DatetimeIndex(times)).dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy(object)


def test_ls108_finds_dates_after_the_creation() -> None:
    world = World(timed=True)
    later = world.created + pd.to_timedelta(world.rng.uniform(0, 30, world.n), unit="D")
    assert verdicts(world.judge(day(later)))["LS108"] is Verdict.LEAK
    german = pd.Series(later).dt.strftime("%d.%m.%Y").to_numpy(object)
    assert verdicts(world.judge(german))["LS108"] is Verdict.LEAK
    american = pd.Series(later).dt.strftime("%m/%d/%Y 08:30").to_numpy(object)
    assert verdicts(world.judge(american))["LS108"] is Verdict.LEAK
    hours_ago = world.created - pd.to_timedelta(world.rng.uniform(-12, 900, world.n), unit="h")
    assert world.judge(day(hours_ago)).verdict is Verdict.FINE


def test_ls108_allows_plans_in_the_future() -> None:
    world = World(timed=True)
    ahead = world.rng.uniform(30, 400, world.n)
    plan = world.judge(day(world.created + pd.to_timedelta(ahead, unit="D")))
    assert (plan.verdict, verdicts(plan)) == (Verdict.FINE, {"LS108": Verdict.FINE})
    moved = np.where(world.won, ahead / 2, ahead)
    plan = world.judge(day(world.created + pd.to_timedelta(moved, unit="D")))
    assert verdicts(plan)["LS108"] is Verdict.SUSPECT


def test_ls108_finds_the_closing_date() -> None:
    world = World(timed=True, still_open=0.2)
    audited = world.judge(np.where(world.is_open, None, day(world.closed)))
    assert verdicts(audited)["LS108"] is Verdict.LEAK
    assert "within a day of the closing" in audited.findings[-1].evidence


def test_ls109_finds_two_columns_that_separate_together() -> None:
    world = World(n=4_000)
    noise = world.rng.normal(size=world.n) * 2
    world.leads["noise"] = noise
    audited = world.audit(noise + world.won)
    assert {f.attribute: verdicts(f) for f in audited.attributes if f.findings} == {
        "noise": {"LS109": Verdict.SUSPECT},
        "field": {"LS109": Verdict.SUSPECT},
    }


def test_ls109_is_silent_if_the_model_is_plausible() -> None:
    world = World(n=4_000)
    assert verdicts(world.judge(number_of_auc(world, 0.78))) == {}


@pytest.mark.parametrize("in_order", [True, False])
def test_ls110_finds_values_that_change_at_closing(in_order: Any) -> None:
    world = World(still_open=0.3, in_order=in_order)
    state = np.where(world.is_open, "working", world.rng.choice(["nurture", "archived"], world.n))
    audited = world.judge(state)
    assert verdicts(audited) == {"LS110": Verdict.LEAK if in_order else Verdict.SUSPECT}


def test_ls110_ignores_values_that_follow_time() -> None:
    world = World(timed=True)
    old = np.arange(world.n) < 0.8 * world.n
    world.is_open = world.rng.random(world.n) < np.where(old, 0.05, 0.95)
    world.won &= ~world.is_open
    rising = np.arange(world.n) / 20 + world.rng.normal(size=world.n)
    assert world.judge(rising).verdict is Verdict.FINE
    slow = np.where(world.rng.random(world.n) < 0.3 + 0.3 * world.is_open, "fair", "web")
    assert world.judge(slow).verdict is Verdict.FINE


def test_ls111_and_ls112_are_for_information() -> None:
    world = World()
    key = world.judge([f"K-{i}" for i in range(world.n)])
    assert (key.verdict, verdicts(key)) == (Verdict.FINE, {"LS111": Verdict.FINE})
    assert verdicts(world.judge(np.arange(world.n) * 7 + 3)) == {"LS111": Verdict.FINE}
    assert verdicts(world.judge(world.rng.normal(size=world.n))) == {}
    assert verdicts(world.judge(["no"] * world.n)) == {"LS112": Verdict.FINE}
    assert verdicts(world.judge([None] * world.n)) == {"LS112": Verdict.FINE}


def test_an_identifier_that_only_won_leads_have_is_a_leak() -> None:
    world = World()
    order = np.array([f"O-{i}" for i in range(world.n)], dtype=object)
    assert world.judge(choose(world.filled(0.97, 0.0), order, None)).verdict is Verdict.LEAK


# --- cases that nobody measured the thresholds on


def test_honest_numbers_that_drift_with_the_share_of_wins() -> None:
    world = World(n=6_000)
    season = np.linspace(-3, 0.5, world.n)
    world.won = world.rng.random(world.n) < 1 / (1 + np.exp(-season))
    world.leads["visits"] = world.rng.poisson(3 + world.won)
    rate = -season + world.rng.normal(size=world.n) * 0.3
    assert world.judge(rate).verdict is Verdict.FINE


@pytest.mark.parametrize(("if_won", "if_lost"), [(0.85, 0.1), (0.3, 0.004), (1.0, 0.3)])
@pytest.mark.parametrize("n", [600, 3_000])
def test_leaks_with_noise_or_gaps_are_left_out(if_won: Any, if_lost: Any, n: Any) -> None:
    world = World(n=n, seed=n)
    assert world.judge(world.pick("xyz", world.filled(if_won, if_lost))).verdict is not Verdict.FINE


@pytest.mark.parametrize("seed", range(5))
def test_sixty_leads_prove_no_leak(seed: Any) -> None:
    world = World(n=60, seed=seed)
    for field in (
        np.where(world.won, "deal", "none"),
        world.pick("xy", world.won),
        np.where(world.filled(0.6, 0.4), "x", "y"),
        world.rng.normal(size=world.n),
    ):
        assert world.judge(field).verdict is not Verdict.LEAK


def test_few_outcomes_allow_only_checks_of_names() -> None:
    world = World(n=60, base=0.05, seed=2)
    assert 0 < world.won.sum() < 10
    assert world.judge(world.pick("xy", world.won)).verdict is Verdict.FINE
    assert world.judge(world.pick("xy", world.won), "lost_reason").verdict is Verdict.SUSPECT


@pytest.mark.parametrize(("n", "seed"), [*itertools.product([80, 300, 1_500], range(4))])
def test_forty_fields_of_noise_raise_no_alarm(n: Any, seed: Any) -> None:
    world = World(n=n, seed=seed, still_open=0.2)
    rng = world.rng
    noise = {
        f"number_{i}": np.where(rng.random(n) < 0.7, rng.normal(size=n), np.nan) for i in range(20)
    }
    noise |= {f"word_{i}": world.pick(list("abcdefgh"), rng.random(n) < 0.6) for i in range(20)}
    world.leads = world.leads.assign(**noise)
    audited = world.audit()
    assert len(audited.attributes) == 42
    assert alarms(audited) == set()


# --- what is judged, and what is said of it


def test_only_attributes_that_may_become_features_are_audited() -> None:
    world = World()
    leak = world.pick("xy", world.won)
    world.leads = world.leads.assign(a=leak, b=leak, c=leak, d=leak, e=leak)
    world.columns = {
        "ignore": ["a"],
        "known_later": ["b"],
        "sensitive": ["c", "d"],
        "allow_sensitive": ["d"],
    }
    assert [field.attribute for field in world.audit().attributes] == ["visits", "source", "d", "e"]


def test_a_vouched_column_is_fine_and_keeps_its_findings() -> None:
    world = World()
    leak = world.pick("xy", world.filled(0.9, 0.01))
    assert world.judge(leak).verdict is Verdict.LEAK
    world.columns = {"known_in_time": ["field", "source"]}
    audited = world.judge(leak)
    assert (audited.verdict, audited.line) == (Verdict.FINE, None)
    assert Verdict.LEAK in verdicts(audited).values()
    assert all(check.evidence.endswith("The project vouches for it.") for check in audited.findings)


def test_the_line_is_valid_toml_for_any_name() -> None:
    world = World()
    name = 'lost "reason" \\ 1'
    audited = world.judge(world.pick("xy", world.won), name)
    assert tomllib.loads(audited.line) == {"known_later": [name]}
    other = audited.line.partition("# or, if a person vouches for it: ")[2]
    assert tomllib.loads(other) == {"known_in_time": [name]}


def test_to_json_is_plain_data() -> None:
    world = World()
    state = world.audit(world.pick("xy", world.filled(0.9, 0.01))).to_json()
    assert json.loads(json.dumps(state)) == state
    leak = state["fields"][-1]
    assert [set(leak), leak["field"], leak["verdict"]] == [
        {"field", "verdict", "checks", "line"},
        "field",
        "leak",
    ]
    assert set(leak["checks"][0]) == {"number", "verdict", "evidence"}
    assert state["fields"][0] == {"field": "visits", "verdict": "fine", "checks": [], "line": None}


def test_checks_have_a_number_and_a_title_of_one_sentence() -> None:
    assert list(CHECKS) == [f"LS{number}" for number in range(101, 113)]
    assert all(
        re.fullmatch(r"[A-Z][^.]+\.", sentence)
        for sentence in (check.title for check in CHECKS.values())
    )


def test_records_are_not_modified() -> None:
    world = World(still_open=0.2)
    before = world.leads.copy(deep=True)
    world.audit()
    pd.testing.assert_frame_equal(world.leads, before)


def test_leads_without_attributes_have_an_empty_audit() -> None:
    world = World()
    world.leads = world.leads[["lead_id"]]
    assert world.audit() == Audit(())


# --- what is measured


def test_auc_within_slices_equals_the_share_of_pairs() -> None:
    rng = np.random.default_rng(0)
    first, part, scores = rng.random(80) < 0.4, rng.integers(0, 3, 80), rng.integers(0, 6, 80)
    pairs = TwoGroups(np.arange(80), first, part, np.zeros(80, int))
    ranked = [
        (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
        for i, j in itertools.product(range(80), repeat=2)
        if first[i] and not first[j] and part[i] == part[j]
    ]
    assert pairs.auc(scores.astype(float)).value == pytest.approx(np.mean(ranked))


def test_shares_compare_leads_of_the_same_time() -> None:
    pairs = TwoGroups(
        np.arange(6),
        np.array([1, 1, 0, 1, 0, 0], bool),
        np.array([0, 0, 0, 1, 1, 1]),
        np.zeros(6, int),
    )
    assert pairs.shares(np.array([1, 0, 0, 1, 1, 0])) == pytest.approx((0.75, 0.25))


def test_rates_of_a_constant_do_not_separate() -> None:
    rng = np.random.default_rng(0)
    pairs = TwoGroups(np.arange(99), rng.random(99) < 0.3, np.zeros(99, int), np.arange(99) % 5)
    assert pairs.auc(pairs.rates(np.zeros(99, int))).value == 0.5


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-02-01", "2024-02-01T12:00:00Z", None], ["2024-02-01", "2024-02-01T12:00", None]),
        (["3.2.2024", "13.2.2024", ""], ["2024-02-03", "2024-02-13", None]),
        (["02/03/2024", "02/13/2024 08:00", "-"], ["2024-02-03", "2024-02-13", None]),
        (["02/03/2024", "13/02/2024", "-"], ["2024-03-02", "2024-02-13", None]),
        ([pd.Timestamp("2024-02-01"), pd.NaT], ["2024-02-01", None]),
    ],
)
def test_dates_are_read_in_common_formats(cells: list[Any], expected: list[str | None]) -> None:
    created = np.full(len(cells), NOT_A_TIME)
    rules = ColumnsKeys(nothing=["-"])
    column = read_audited_column(pd.Series(cells, name="x"), rules, None, created)
    assert column.times is not None
    times = [None if at == NOT_A_TIME else pd.Timestamp(at, unit="us") for at in column.times]
    assert times == [None if text is None else pd.Timestamp(text) for text in expected]


@pytest.mark.parametrize("cells", [["12.5", "3"], ["2024-13-45", "2024-02-01"], ["soon"], []])
def test_other_cells_are_not_dates(cells: list[str]) -> None:
    column = pd.Series(cells, name="x", dtype="str")
    created = np.full(len(cells), NOT_A_TIME)
    assert read_audited_column(column, ColumnsKeys(), "%d%m%Y", created).times is None


# --- laws


def simulated(folder: Path, mode: Any, seed: Any, leads: Any) -> Any:
    simulate(Simulation(leads=leads, activities_per_lead=1, seed=seed), folder)
    file = folder / "leadscore.toml"
    text = file.read_text().replace('known_later = ["contract_type"]', "")
    if mode != "times":
        table = pd.read_csv(folder / "leads.csv", dtype=str).sort_values("created_at")
        outcomes = pd.read_csv(folder / "outcomes.csv", dtype=str)[["lead_id", "outcome"]]
        table = table.merge(outcomes, how="left", on="lead_id").drop(columns="created_at")
        table.to_csv(folder / "leads.csv", index=False)
        order = 'order = "rows"' if mode == "rows" else ""
        text = (
            '[project]\nname = "demo"\n[leads]\nsource = "leads.csv"\nlead_id = "lead_id"\n'
            f'outcome = "outcome"\n{order}\n[learn]\nwon = ["won"]\nlost = ["lost"]\n'
            + text[text.index("[columns]") :]
        )
    file.write_text(text)
    project = load_project(folder)
    records = read_records(project)
    return records, make_moments(records, project.learn), project


@settings(max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    leads=st.sampled_from([500, 800, 1_500]),
    mode=st.sampled_from(["times", "rows", "none"]),
)
def test_the_planted_leak_is_always_caught(
    tmp_path_factory: pytest.TempPathFactory, seed: Any, leads: Any, mode: Any
) -> None:
    audited = audit(*simulated(tmp_path_factory.mktemp("crm"), mode, seed, leads))
    assert len(audited.attributes) > 8
    leak = next(field for field in audited.attributes if field.attribute == "contract_type")
    assert leak.verdict is Verdict.LEAK


@pytest.mark.parametrize("mode", ["times", "rows", "none"])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_honest_field_of_the_simulation_raises_an_alarm(
    tmp_path: Path, mode: Any, seed: Any
) -> None:
    assert alarms(audit(*simulated(tmp_path, mode, seed, 2_000))) == {"contract_type"}


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return simulated(tmp_path_factory.mktemp("crm"), "times", 3, 1_000)


@settings(max_examples=5)
@given(seed=st.integers(0, 1_000))
def test_neither_the_order_of_columns_nor_of_outcomes_matters(crm: Any, seed: Any) -> None:
    records, moments, project = crm
    rng = np.random.default_rng(seed)
    leads = records.leads[rng.permutation(records.leads.columns)]
    outcomes = records.outcomes.iloc[rng.permutation(len(records.outcomes))]
    other = audit(replace(records, leads=leads, outcomes=outcomes), moments, project)
    assert by_name(other) == by_name(audit(*crm))


@settings(max_examples=5)
@given(seed=st.integers(0, 1_000))
def test_row_order_does_not_matter(crm: Any, seed: Any) -> None:
    records, _, project = crm
    rows = np.random.default_rng(seed).permutation(len(records.leads))
    shuffled = replace(records, leads=records.leads.iloc[rows].reset_index(drop=True))
    other = audit(shuffled, make_moments(shuffled, project.learn), project)
    assert other == audit(*crm)


def test_renaming_an_honest_column_changes_no_other(crm: Any) -> None:
    records, moments, project = crm
    renamed = replace(records, leads=records.leads.rename(columns={"campaign": "aktion"}))
    other = by_name(audit(renamed, moments, project))
    honest = by_name(audit(*crm))
    assert other.pop("aktion").findings == honest.pop("campaign").findings
    assert other == honest


def by_name(audited: Audit) -> Any:
    return {field.attribute: field for field in audited.attributes}


# --- public data


def public(tmp_path: Path, name: Any) -> Any:
    text = (EXAMPLES / f"{name}.toml").read_text()
    for key in ("known_later", "known_in_time", "sensitive"):
        text = re.sub(rf"(?ms)^{key} = \[.*?\]", "", text)
    (tmp_path / "leadscore.toml").write_text(text)
    project = load_project(tmp_path)
    assert project.columns.known_later == []
    records = read_records(project)
    return audit(records, make_moments(records, project.learn), project)


@needs_public_data
def test_every_known_leak_of_xeducation_is_found(tmp_path: Path) -> None:
    known = set(load_project(EXAMPLES / "xeducation.toml").columns.known_later)
    assert len(known) == 9
    filled_during_the_sales_call = {
        "What is your current occupation",
        "What matters most to you in choosing a course",
    }
    assert alarms(public(tmp_path, "xeducation")) == known | filled_during_the_sales_call


@needs_public_data
def test_the_one_known_leak_of_bank_marketing_is_found(tmp_path: Path) -> None:
    audited = public(tmp_path, "bank_marketing")
    assert len(audited.attributes) == 20
    assert alarms(audited) == {"duration"}


@needs_public_data
def test_bpic2012_raises_no_alarm(tmp_path: Path) -> None:
    folder = Path(str(PUBLIC_DATA)).resolve() / "bpic2012"
    (tmp_path / "leadscore.toml").write_text(f"""
        project.name = "bpic2012"
        [leads]
        source = "{folder}/leads.csv"
        lead_id = "case_id"
        created_at = "registered_at"
        [outcomes]
        source = "{folder}/outcomes.csv"
        lead_id = "case_id"
        [learn]
        won = ["approved"]
        lost = ["declined", "cancelled"]
        horizon_days = 30""")
    project = load_project(tmp_path)
    records = read_records(project)
    audited = audit(records, make_moments(records, project.learn), project)
    assert [field.attribute for field in audited.attributes] == ["amount_requested"]
    assert alarms(audited) == set()
