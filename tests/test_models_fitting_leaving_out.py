"""What it costs to leave a suspect out: measured on leads that the quick model has not seen."""

from dataclasses import replace

import numpy as np
import pytest

from crm.project import ColumnsKeys, LearnKeys
from features.leaks.audit import AttributeAudit, Audit
from features.leaks.check import Finding, Verdict
from features.leaks.cost import CostOfLeavingOut
from features.moments import Moments, list_moments
from models.fitting import leaving_out
from models.fitting.leaving_out import with_costs
from tests.made_leaks import MadeUpLeads

LEARN = LearnKeys(won=["won"], lost=["lost"])
FINDING = Finding("LS103", Verdict.SUSPECT, "Filled for more won leads.")


def audited(*verdicts: tuple[str, Verdict]) -> Audit:
    """Return an audit with these verdicts."""
    return Audit(
        tuple(
            AttributeAudit(name, verdict, () if verdict is Verdict.FINE else (FINDING,), None)
            for name, verdict in verdicts
        )
    )


def costs(leads: MadeUpLeads, audit: Audit, moments: Moments | None = None) -> dict[str, object]:
    """Return the cost of each attribute by its name."""
    records = leads.records()
    moments = list_moments(records, LEARN) if moments is None else moments
    result = with_costs(audit, records, moments, ColumnsKeys(), "UTC")
    return {attribute.attribute: attribute.cost for attribute in result.attributes}


def cost(leads: MadeUpLeads, name: str = "suspect") -> CostOfLeavingOut:
    """Return the cost of one suspect, next to the honest columns."""
    audit = audited(("visits", Verdict.FINE), ("source", Verdict.FINE), (name, Verdict.SUSPECT))
    found = costs(leads, audit)[name]
    assert isinstance(found, CostOfLeavingOut)
    return found


def test_useful_column_costs_something() -> None:
    leads = MadeUpLeads()
    leads.leads["suspect"] = leads.words(0.9, 0.3)
    measured = cost(leads)
    assert measured.roc_auc_with > measured.roc_auc_without + 0.1
    assert measured.log_loss_with < measured.log_loss_without - 0.05
    assert (measured.n, measured.are_newest) == (400, True)
    assert measured.sentence().startswith("Leaving it out costs: ROC AUC 0.")


def test_useless_column_costs_about_nothing() -> None:
    leads = MadeUpLeads()
    leads.leads["suspect"] = leads.pick("xyz", np.ones(leads.n, dtype=bool))
    measured = cost(leads)
    assert abs(measured.roc_auc_with - measured.roc_auc_without) < 0.02


@pytest.mark.parametrize("kind", ["numbers", "several values"])
def test_every_kind_of_column_is_read(kind: str) -> None:
    leads = MadeUpLeads()
    is_in = {"a": leads.draw(0.9, 0.2), "b": leads.draw(0.4, 0.4), "c": leads.draw(0.4, 0.4)}
    cells = [";".join(name for name in is_in if is_in[name][i]) or None for i in range(leads.n)]
    leads.leads["suspect"] = leads.numbers_of_auc(0.8) if kind == "numbers" else cells
    measured = cost(leads)
    assert measured.roc_auc_with > measured.roc_auc_without + 0.1


def test_value_that_only_test_leads_have_teaches_nothing() -> None:
    leads = MadeUpLeads()
    words = np.where(np.arange(leads.n) < 1_600, "old", np.where(leads.won, "hot", "cold"))
    leads.leads["suspect"] = words.astype(object)
    measured = cost(leads)
    assert measured.roc_auc_with == pytest.approx(measured.roc_auc_without, abs=1e-9)


def test_leads_without_an_order_are_evaluated_at_random() -> None:
    leads = MadeUpLeads(in_order=False)
    leads.leads["suspect"] = leads.words(0.9, 0.3)
    measured = cost(leads)
    assert not measured.are_newest
    assert "newest" not in measured.sentence()


def test_leaks_and_fine_columns_have_no_cost() -> None:
    leads = MadeUpLeads()
    leads.leads["suspect"] = leads.leads["leak"] = leads.words(0.9, 0.3)
    verdicts = (("visits", Verdict.FINE), ("leak", Verdict.LEAK), ("suspect", Verdict.SUSPECT))
    measured = costs(leads, audited(*verdicts))
    assert [name for name, cost in measured.items() if cost] == ["suspect"]


def test_too_few_outcomes_have_no_cost() -> None:
    leads = MadeUpLeads(n=100, base=0.1)
    leads.leads["suspect"] = leads.words(0.9, 0.3)
    assert costs(leads, audited(("suspect", Verdict.SUSPECT))) == {"suspect": None}


def test_only_the_strongest_suspects_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving_out, "MOST_SUSPECTS", 1)
    leads = MadeUpLeads()
    leads.leads["weak"], leads.leads["strong"] = leads.words(0.4, 0.3), leads.words(0.9, 0.3)
    measured = costs(leads, audited(("weak", Verdict.SUSPECT), ("strong", Verdict.SUSPECT)))
    assert [name for name, cost in measured.items() if cost] == ["strong"]


def test_many_leads_are_sampled_over_the_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving_out, "MOST_LEADS", 500)
    leads = MadeUpLeads()
    leads.leads["suspect"] = leads.words(0.9, 0.3)
    assert cost(leads).n == 100


def test_cost_is_plain_data() -> None:
    measured = replace(CostOfLeavingOut(1848, True, 0.9, 0.8, 0.4, 0.5), n=10)
    assert measured.to_json() == {
        "leads": 10,
        "are_newest": True,
        "roc_auc": {"with": 0.9, "without": 0.8},
        "log_loss": {"with": 0.4, "without": 0.5},
    }
