"""The check of names: it finds columns of later facts, and does not suspect other columns."""

import pytest

from features.leaks.check import Verdict
from features.leaks.checks.names import is_assessment, word_of_later
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
NAMES_OF_DURATIONS = [
    "days_since_created",
    "daysSinceCreation",
    "Days Since Inquiry",
    "Lead Age",
    "Lead Age at close",
    "lead_age_days",
    "Age of opportunity",
    "lead_duration",
    "Deal Duration (hours)",
    "time_in_pipeline",
    "Days in Stage",
    "Days Open",
    "Open Days",
    "time between creation and update",
    "days between created and today",
    "Created to close",
    "Sales Cycle Length",
    "Elapsed Days",
    "Lead-Alter",
    "Alter des Leads",
    "Tage offen",
    "Tage seit Erstellung",
    "Bearbeitungsdauer",
    "Durchlaufzeit",
    "Âge de l'opportunité",
    "Jours depuis la création",
    "Ancienneté du lead",
    "Días desde la creación",
    "Antigüedad del lead",
    "Dias em aberto",
    "Idade do lead",
    "Giorni dalla creazione",
    "Dagen open",
    "Doorlooptijd",
    "Dni od utworzenia",
    "Dagar sedan skapad",
    "Дней с момента создания",
    "経過日数",
    "跟进天数",
    "경과일",
]
NAMES_OF_OUTCOMES_NEXT_TO_AMOUNTS = [
    "Converted Opportunity",
    "Converted Opportunity Amount",
    "Converted Lead Value",
    "Converted Date",
    "converted_at_utc",
    "Converted (UTC)",
    "Amount Converted Date",
    "Conversion Value",
    "Conversion Date",
    "Amount Won",
    "won_amount",
    "Won Revenue (converted)",
    "Lost Amount (converted)",
    "Closed Amount (converted) Currency",
    "Invoice Amount",
    "Closing Date",
    "Closing Price",
    "Lost Revenue",
    "Betrag gewonnen",
    "Importe ganado",
    "Rechnungsbetrag",
    "Umsatz zuletzt geändert",
]
HONEST_NAMES_NEXT_TO_AMOUNTS = [
    "Amount (converted)",
    "Amount (converted) Currency",
    "Amount Converted",
    "AmountConverted__c",
    "converted_amount",
    "Converted_Amount__c",
    "Converted Currency",
    "Annual Revenue (converted)",
    "Annual Revenue (converted) Currency",
    "Expected Revenue (converted)",
    "Opportunity Amount (converted)",
    "Converted Annual Revenue",
    "Budget converted to EUR",
    "Price (converted, USD)",
    "Deal value converted",
    "converted_eur",
    "amount_converted_to_corporate_currency",
    "Currency Conversion Rate",
    "conversion_currency",
    "Unit conversion factor",
    "Weight (converted)",
    "Distance converted to km",
    "Created (converted to UTC)",
    "Time Zone (converted)",
    "Website Conversion Rate",
    "Betrag (konvertiert)",
    "Umsatz konvertiert",
    "Montant (converti)",
    "Revenus annuels (convertis) devise",
    "Devise de conversion",
    "Importe (convertido)",
    "Ingresos anuales convertidos",
    "Valor convertido",
    "Moneda de conversión",
    "Receita (convertida)",
    "Importo (convertito)",
    "Bedrag (geconverteerd)",
    "Kwota (skonwertowana)",
    "Budget (million won)",
    "Price in won",
    "Korean Won",
    "Cabezas de ganado",
    "Closing balance",
    "Opening and closing hours",
    "Taux de clôture",
    "Monthly churn rate",
    "Weight lost",
    "Peso perdido",
    "Modified adjusted gross income",
    "Invoices per month",
    "Invoice Currency",
    "Rechnungswährung",
    "Rechnungen pro Monat",
    "Moneda de la factura",
    "Ganho mensal",
    "月成交额",
    "Höchster Abschluss",
    "Last fiscal year revenue",
    "Revenue last 12 months",
    "Umsatz letztes Jahr",
    "CA dernier exercice",
    "Ingresos último año",
    "Omzet laatste boekjaar",
    "最終学歴",
    "최종학력",
    "Maj 2024",
]
HONEST_NAMES_OF_DURATIONS = [
    "age",
    "Age",
    "company_age_days",
    "domain_age",
    "Customer age group",
    "contract_duration",
    "Campaign Duration",
    "Lead time (days)",
    "Years in business",
    "time_in_role",
    "Total Time Spent on Website",
    "working days",
    "Time to purchase",
    "days open per week",
    "Opening hours",
    "Open Day attended",
    "Payment terms in days",
    "Laufzeit",
    "Alter",
    "jours ouvrés",
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


@pytest.mark.parametrize("name", NAMES_OF_DURATIONS)
def test_names_of_durations_are_known_in_many_languages(name: str) -> None:
    assert word_of_later(name) is not None


@pytest.mark.parametrize("name", NAMES_OF_OUTCOMES_NEXT_TO_AMOUNTS)
def test_names_of_outcomes_are_found_next_to_amounts(name: str) -> None:
    assert word_of_later(name) is not None


@pytest.mark.parametrize("name", HONEST_NAMES_NEXT_TO_AMOUNTS + HONEST_NAMES_OF_DURATIONS)
def test_words_that_mean_something_else_next_to_amounts_and_times_are_honest(name: str) -> None:
    assert word_of_later(name) is None


@pytest.mark.parametrize(
    "name", ["Activity Score", "Lead Quality", "Bewertung", "評価", "Profile Index"]
)
def test_names_of_assessments_are_known(name: str) -> None:
    assert is_assessment(name)


@pytest.mark.parametrize("name", ["Course", "Budget", "Indexed pages?", "Gradient"])
def test_names_of_questions_are_not_assessments(name: str) -> None:
    assert not is_assessment(name)


def test_ls107_ignores_honest_names() -> None:
    assert verdicts_by_name(HONEST_NAMES) == {name: {} for name in HONEST_NAMES}


def test_ls107_with_other_evidence_is_a_leak() -> None:
    leads = MadeUpLeads()
    audited = leads.audit_column(leads.words(0.6, 0.2), name="lost_reason")
    assert verdicts(audited) == {"LS103": Verdict.SUSPECT, "LS107": Verdict.LEAK}
    assert audited.verdict is Verdict.LEAK
