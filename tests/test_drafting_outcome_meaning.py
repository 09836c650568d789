"""The meaning of one outcome value, in the default pipelines of CRMs and in many languages."""

import tomllib
from pathlib import Path

import pandas as pd
import pytest

import drafting
from drafting import outcome_meaning
from drafting.outcome_meaning import meaning_of, normal_words
from drafting.outcome_words import sort_values
from drafting.samples import Column

FOLDER = Path(drafting.__file__).parent
PICKLISTS = tomllib.loads((FOLDER / "picklists.toml").read_text(encoding="utf-8"))
CODES = PICKLISTS.pop("codes")
LANGUAGES = tomllib.loads((FOLDER / "outcome_words.toml").read_text(encoding="utf-8"))


def outcome_of(value: str, column_words: str = "") -> str:
    return meaning_of(value, column_words).outcome or "check"


@pytest.mark.parametrize("crm", PICKLISTS)
def test_default_picklist_of_a_crm_is_sorted(crm: str) -> None:
    values = [value for values in PICKLISTS[crm].values() for value in values]
    words = sort_values(Column(pd.Series(values, name="Status", dtype="str")))
    assert words is not None
    for key, found in (
        ("won", words.won),
        ("lost", words.lost),
        ("open", words.still_open),
        ("check", words.unclear),
    ):
        listed = {value.casefold() for value in PICKLISTS[crm].get(key, [])}
        assert {value.casefold() for value in found} == listed


def test_crms_do_not_contradict_each_other() -> None:
    meanings = {
        (normal_words(value), outcome)
        for crm in PICKLISTS.values()
        for outcome, values in crm.items()
        for value in values
    }
    assert len({words for words, _ in meanings}) == len(meanings)


@pytest.mark.parametrize("column", CODES)
def test_codes_have_a_meaning_in_their_column_only(column: str) -> None:
    for outcome, codes in CODES[column].items():
        assert {outcome_of(code, column) for code in codes} == {outcome}
    assert outcome_of("3", "score") == outcome_of("2", "score") == "check"


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"ignored"}))
def test_every_listed_phrase_has_its_own_meaning(language: str) -> None:
    for key, phrases in LANGUAGES[language].items():
        if key in ("not", "not_after", "not_yet", "competitor"):
            continue
        expected = key.removesuffix("_alone").replace("maybe_won", "check")
        found = {phrase: outcome_of(phrase.rstrip("*")) for phrase in phrases}
        assert set(found.values()) == {expected}, found


VALUES = {
    "won": """5 - Closed Won|[4] Gewonnen|closedwon|ClosedWon|CLOSED WON ✅|Ｗｏｎ|Gagnée
|Cerrada ganada|Fechado/Ganho|Chiusa vinta|Zamknięte - wygrane|受注|クローズ・受注
|已成交|赢单|Kazanıldı|Выиграна|New customer|Deal Won|Won (EMEA)|Auftrag erhalten
|Converti|Omgezet|Vunnen""",
    "lost": """not won|nicht gewonnen|no ganado|não ganho|non vinto|niet gewonnen|pas gagné
|nie wygrana
|非承認|Lost - won by competitor|Gewonnen vom Wettbewerb|gagné par un concurrent
|Unqualified|失注|输单|Closed - Not Converted|Closed Lost to Competition|Do not contact
|Kein Interesse|Tabt|Проиграна""",
    "open": """Open - Not Contacted|Decision Maker Bought-In|Contract Sent|Pre-customer|not yet won
|noch nicht gewonnen|pas encore gagné|Potential customer|prospective customer
|Potenzieller Kunde|商談中|受注見込み|潜在客户|SQL|Angebot gesendet|En cours
|Em andamento|In behandeling|W toku|--None--""",
    "check": """Closed|Abgeschlossen|Fermé|完了|关闭|Qualified|Qualifiziert|Other|Former customer
|ehemaliger Kunde|ex-cliente|Churned|won back|Win-back|Converted to opportunity
|Duplicate|Won/Lost|not lost|Blue|Customer X|解約|Won - on hold""",
}


@pytest.mark.parametrize("outcome", VALUES)
def test_phrases_come_before_words(outcome: str) -> None:
    found = {value: outcome_of(value) for value in VALUES[outcome].replace("\n", "").split("|")}
    assert set(found.values()) == {outcome}, found


def test_words_alone_sort_the_values_of_crms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_meaning, "_PICKLISTS", {})
    wrong = {
        value
        for crm in PICKLISTS.values()
        for outcome, values in crm.items()
        for value in values
        if outcome_of(value) not in (outcome, "check")
    }
    assert wrong == set()


NEAR_A_WIN = (
    "Vorläufige Zusage|NDA unterschrieben|Bon de commande attendu|RDV accepté|Contact réussi|"
    "Budżet zatwierdzony|アポ獲得|意思決定者の承認|成交在望|赢单率高|成功率50%|预约成功|"
    "被竞争对手赢得|成交后退款|曾经成交|Won elsewhere|Won by other vendor|LOI signed|"
    "Meeting Accepted|Enrolled in sequence|Subscribed to newsletter|Paid search|"
    "Existing customer - upsell opportunity|Inscrit|50% gewonnen|0% Won|Won: No|Verkauft: Nein|"
    "Won - churned later|Won (cancelled)|Won - open invoice|Won (reversed)|Won - refunded|"
    "Evaluating a competitor|Oferta X12|Won from competitor"
)
NEAR_A_LOSS = "Meeting cancelled|Lost contact|Invalid email|Lost - reopened"


@pytest.mark.parametrize("value", [*NEAR_A_WIN.split("|"), *NEAR_A_LOSS.split("|")])
def test_value_with_unknown_or_contradicting_words_is_not_clear(value: str) -> None:
    assert meaning_of(value).outcome is None


NEGATED_OR_EXPECTED = {
    "lost": "Auftrag nicht erhalten|Ohne Erfolg|Sans succès|Opdracht niet gekregen|Un-won|"
    "受注に至らず|購入なし|承認されず|未能成交|Couldn't win|Won't buy|Cannot be won|"
    "Oferta niezaakceptowana|Teklif kabul edilmedi|Ei voitettu|Không thành công|Nu castigat",
    "open": "Henüz kazanılmadı|Probably won|May win|成約予定|受注確度A|预计签约|Do podpisania|"
    "Commande à venir|Auftrag in Aussicht|Accepted by Sales|Belum menang|With client",
}
OF_COMPETITORS = {
    "lost": "Bought elsewhere|Sold to competitor|Signed with another vendor|Acheté ailleurs|"
    "Attribué à un concurrent|Comprou do concorrente|Compró con la competencia|"
    "Bei Wettbewerber gekauft|Acquistato altrove|Elders gekocht|Kupił u konkurencji|"
    "Купил у конкурента|Rakipten aldı|他社に決定|与竞品签约|타사 계약",
}
MORE_LANGUAGES = {
    "won": "Vyhráno|Megnyert|Câștigat|Κερδισμένη|Voitettu|Виграно|Thắng|Menang|ربح|זכינו|ชนะ",
    "lost": "Prohráno|Elveszett|Pierdut|Χαμένη|Hävitty|Програно|Thua|Kalah|خسارة|הפסד|แพ้",
    "open": "V jednání|Folyamatban|În curs|Σε εξέλιξη|Kesken|В роботі|Đang xử lý|Negosiasi|"
    "قيد التنفيذ|בטיפול|รอดำเนินการ",
}
DEFAULTS_IN_MORE_LANGUAGES = {
    "won": "Lograda|Vendita conclusa",
    "lost": "Nicht mehr interessiert|Plus intéressé|Ya no está interesado|"
    "Não está mais interessado|Niet langer geïnteresseerd|Kan geen contact opnemen|"
    "Анализ причины провала|계약실패|没有成交",
    "open": "Kaufbereit|Qualifié pour l'achat|Calificado para comprar|Gekwalificeerd om te kopen|"
    "登録読者|リード",
}
WITH_A_REMARK = {
    "lost": "Lost - price|Closed Lost - No response|Lost (competitor)|Verloren - Preis|"
    "Lost: won by competitor Acme|Perdu : budget|Closed Lost (0%)|失注（価格）|输单-价格",
    "won": "5. Closed Won|Closed Won (Partner Pipeline)|Won - upsell|Gewonnen (Bestand)|"
    "Customer - Enterprise|Closed Won (100%)|Sales pipeline: Closed won",
}


@pytest.mark.parametrize(
    "values",
    [
        NEGATED_OR_EXPECTED,
        DEFAULTS_IN_MORE_LANGUAGES,
        WITH_A_REMARK,
        OF_COMPETITORS,
        MORE_LANGUAGES,
    ],
)
def test_value_is_read_with_all_its_words(values: dict[str, str]) -> None:
    expected = {value: outcome for outcome, text in values.items() for value in text.split("|")}
    assert {value: outcome_of(value) for value in expected} == expected
