"""The check of all columns together: it finds a pair of columns that separates only together."""

from features.leaks.check import Verdict
from tests.made_leaks import MadeUpLeads, verdicts


def test_ls109_finds_two_columns_that_separate_together() -> None:
    leads = MadeUpLeads(n=4_000)
    noise = leads.rng.normal(size=leads.n) * 2
    leads.leads["noise"] = noise
    result = leads.audit(noise + leads.won)
    raised = {audited.attribute: verdicts(audited) for audited in result.attributes}
    suspect = {"LS109": Verdict.SUSPECT}
    assert raised == {"visits": {}, "source": {}, "noise": suspect, "field": suspect}


def test_ls109_is_silent_if_the_model_is_plausible() -> None:
    leads = MadeUpLeads(n=4_000)
    assert verdicts(leads.audit_column(leads.numbers_of_auc(0.78))) == {}
