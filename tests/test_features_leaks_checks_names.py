"""The check of names: it finds columns of later facts, and does not suspect other columns."""

import pytest

from features.leaks.check import Verdict
from features.leaks.checks.names import word_of_later
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
NAMES_OF_THE_LATEST_CHANGE = [
    "write_date",
    "SystemModstamp",
    "modifiedon",
    "LastModifiedDate",
    "lastmodifieddate",
    "hs_lastmodifieddate",
    "Deal - Update time",
    "updated_at",
    "Date modified",
    "Modification date",
    "Änderungsdatum",
    "Deal - Letzte Aktivität",
    "Date de modification",
    "Modifié le",
    "Mis à jour le",
    "Fecha de modificación",
    "Fecha de actualización",
    "Última actividad",
    "Data de modificação",
    "Atualizado em",
    "Data modifica",
    "Data ultima modifica",
    "Gewijzigd op",
    "Laatst gewijzigd",
    "Wijzigingsdatum",
    "Data modyfikacji",
    "Ostatnia aktywność",
    "更新日時",
    "最終更新日",
    "最終活動日",
    "修改时间",
    "最近更新时间",
    "最後修改時間",
    "수정일",
    "최종 수정일",
    "Senast ändrad",
    "Ändrad den",
    "Sidst ændret",
    "Opdateret den",
    "Sist endret",
    "Güncelleme Tarihi",
    "Değiştirilme Tarihi",
    "Son Güncelleme",
    "Дата изменения",
    "Последний контакт",
    "Viimeksi muokattu",
    "Naposledy upraveno",
    "Módosítva",
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
    "Premier contact",
    "Primeira visita",
    "初回訪問",
    "Modell",
    "Personas",
    "Persons",
    "Son's age",
    "Update frequency",
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


@pytest.mark.parametrize("name", NAMES_OF_THE_LATEST_CHANGE)
def test_names_of_the_latest_change_are_known_in_many_languages(name: str) -> None:
    assert word_of_later(name) is not None


def test_ls107_ignores_honest_names() -> None:
    assert verdicts_by_name(HONEST_NAMES) == {name: {} for name in HONEST_NAMES}


def test_ls107_with_other_evidence_is_a_leak() -> None:
    leads = MadeUpLeads()
    audited = leads.audit_column(leads.words(0.6, 0.2), name="lost_reason")
    assert verdicts(audited) == {"LS103": Verdict.SUSPECT, "LS107": Verdict.LEAK}
    assert audited.verdict is Verdict.LEAK
