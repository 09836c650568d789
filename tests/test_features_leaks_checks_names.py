"""The check of names: it finds names of what is known later, and no honest ones."""

from features.leaks.check import Verdict
from tests.made_leaks import MadeUpLeads, verdicts

NAMES_OF_LATER = [
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
HONEST_NAMES = [
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


def verdicts_by_name(names: list[str]) -> dict[str, dict[str, Verdict]]:
    """Audit random attributes of these names."""
    leads = MadeUpLeads(n=200)
    leads.leads = leads.leads.assign(
        **{name: leads.rng.choice(["x", "y"], leads.n) for name in names}
    )
    verdicts_of = {audited.attribute: verdicts(audited) for audited in leads.audit().attributes}
    return {name: verdicts_of[name] for name in names}


def test_ls107_finds_names_that_refer_to_later() -> None:
    suspect = {"LS107": Verdict.SUSPECT}
    assert verdicts_by_name(NAMES_OF_LATER) == dict.fromkeys(NAMES_OF_LATER, suspect)


def test_ls107_ignores_honest_names() -> None:
    assert verdicts_by_name(HONEST_NAMES) == {name: {} for name in HONEST_NAMES}


def test_ls107_with_other_evidence_is_a_leak() -> None:
    leads = MadeUpLeads()
    audited = leads.audit_column(leads.words(0.6, 0.2), name="lost_reason")
    assert verdicts(audited) == {"LS103": Verdict.SUSPECT, "LS107": Verdict.LEAK}
    assert audited.verdict is Verdict.LEAK
