"""The verdict about the model is on the first page and beside what rests on the model."""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crm.project import load_project
from crm.reading import read_records
from models.card import ModelCard
from reports.content import Figure, Page, Report
from reports.forms.about import about_of
from reports.forms.html import html_of
from reports.forms.json import json_of
from reports.forms.markdown import pages_of
from reports.metrics import DEFINITIONS
from reports.model_verdict import REFUSALS, RefusedModel, verdict_of
from reports.pages.capacity import capacity_page
from reports.pages.score.page import VERDICT, score_page
from reports.pages.verdicts import LEARNED_FROM
from reports.report import build_report
from reports.rows.rows import ReportRows
from reports.rows.scored import not_learned_from
from tests.made_reports import made_report, page_of, without_interactions
from training.gates import checks as gates
from training.train import Trained

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
REASONS = ["It ranks leads no better than chance.", "Another."]
BESIDE = "Verdict of the model: not ready."


def with_readiness(trained: Trained, **readiness: object) -> Any:
    return replace(trained.scorer, card=replace(trained.scorer.card, readiness=readiness))


@pytest.fixture(scope="module")
def report(simulated_crm: Path, trained: Trained) -> Report:
    project = load_project(simulated_crm)
    scorer = with_readiness(trained, verdict="not ready", reasons=REASONS)
    with pytest.MonkeyPatch.context() as patch:
        without_interactions(patch)
        return build_report(project, read_records(project), NOW, scorer)


def figures_of(page: Page) -> list[Figure]:
    return [figure for section in page.sections for figure in section.figures]


def test_the_verdict_is_on_the_first_page_and_on_the_page_of_the_score(report: Report) -> None:
    sentence = "The model is not ready. Do not rely on its score."
    for slug, reasons in (("month", REASONS[:1]), ("score", REASONS)):
        (section,) = (part for part in page_of(report, slug).sections if part.heading == VERDICT)
        assert section.paragraphs == (sentence, *reasons)
    assert report.pages[0].slug == "month"
    assert page_of(report, "score").sections[0].heading == VERDICT
    assert report.about["verdict"] == {
        "level": "not ready",
        "sentence": sentence,
        "reasons": REASONS,
    }
    assert about_of(report.about)["Verdict of the model"] == "not ready"
    for text in (pages_of(report, {})["month.md"], json_of(report, "")):
        assert sentence in text


def test_the_verdict_is_beside_every_statement_that_rests_on_the_model(report: Report) -> None:
    n_resting = 0
    for page in report.pages[1:]:
        resting = set()
        for figure in figures_of(page):
            metrics = {column.metric for column in figure.columns} - {""}
            if any(DEFINITIONS[metric].model for metric in metrics):
                resting.add(figure.name)
            assert (BESIDE in figure.note) == (figure.name in resting), figure.name
        for takeaway in page.takeaways:
            assert (BESIDE in takeaway.sentence) == (takeaway.figure in resting)
        n_resting += len(resting)
        expected = page.slug in ("features", "score", "capacity", "service-levels", "sources")
        assert bool(resting) == expected, page.slug
    assert n_resting > 12
    month = page_of(report, "month")
    copied = {t.sentence for page in report.pages[1:] for t in page.takeaways[:1]}
    assert {t.sentence for t in month.takeaways} & {s for s in copied if BESIDE in s}


def test_figures_of_leads_that_the_model_learned_from_are_labelled(
    report: Report, trained: Trained
) -> None:
    learned = [f for page in report.pages for f in figures_of(page) if f.learned_from]
    assert {"score-bands", "score-months-won"} <= {figure.name for figure in learned}
    for figure in learned:
        assert figure.finding.startswith(f"{LEARNED_FROM}: ")
    for page in report.pages:
        for figure in figures_of(page):
            assert figure.learned_from == figure.finding.startswith(LEARNED_FROM)
        named = {takeaway.figure for takeaway in page.takeaways if page.slug != "month"}
        assert not named & {figure.name for figure in learned if "months" not in figure.name}


def learned_from_all(rows: ReportRows) -> ReportRows:
    """Return rows whose model has learned from all leads."""
    assert rows.scorer is not None
    learned = {**rows.scorer.card.learned_from, "to": "2026-12-31T00:00:00+00:00"}
    card = replace(rows.scorer.card, learned_from=learned)
    return replace(rows, scorer=replace(rows.scorer, card=card))


def test_new_leads_are_shown_instead_of_learned_ones_if_there_are_enough(
    scored_rows: ReportRows, trained: Trained
) -> None:
    rows = scored_rows
    unseen = not_learned_from(rows.created, trained.scorer.card)
    names = ("capacity-week", "score-bands", "score-back-grades", "capacity-check")
    for page in (capacity_page(learned_from_all(rows)), score_page(learned_from_all(rows))):
        assert [f.name for f in figures_of(page) if f.name in names and not f.learned_from] == []
    (week,) = (f for f in figures_of(capacity_page(rows)) if f.name == "capacity-week")
    assert not week.learned_from
    recent = rows.created > rows.leads_until - 91 * 86_400_000_000
    assert f"{(recent & unseen).sum():,} leads that the model has not learned from" in week.about


def test_learned_figures_are_folded_on_pages_and_in_the_wiki() -> None:
    made = made_report()
    score = page_of(made, "score")
    gains, drivers = score.sections[0].figures
    section = replace(
        score.sections[0], figures=(replace(gains, learned_from=True, note="Not new."), drivers)
    )
    pages = tuple(
        replace(page, sections=(section,)) if page is score else page for page in made.pages
    )
    report = replace(made, pages=pages)
    html = html_of(report, {})
    fold = html.partition("<summary>Leads that the model learned from: 1 figure</summary>")[2]
    assert gains.finding in fold.partition("</details>\n</div>")[0]
    assert html.index(drivers.finding) < html.index("<summary>Leads that the model learned")
    wiki = pages_of(report, dict.fromkeys(["gains", "drivers"]))["score.md"]  # type: ignore[arg-type]
    assert "pictures/drivers.png" in wiki
    assert "pictures/gains.png" not in wiki
    assert "[gains.csv](csv/gains.csv)" in wiki
    assert "Not new." in wiki
    facts = json.loads(json_of(report, ""))
    (page,) = (page for page in facts["pages"] if page["slug"] == "score")
    assert [f["learned_from"] for f in page["sections"][0]["figures"]] == [True, False]


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("ready", "The model is ready. Its score can be used."),
        ("usable", "The model is usable, with reservations. Use its score with care."),
        ("not ready", "The model is not ready. Do not rely on its score."),
        (None, "It is not known how good the model is: its card has no verdict."),
    ],
)
def test_each_verdict_has_its_words(trained: Trained, level: str | None, words: str) -> None:
    readiness = {} if level is None else {"verdict": level, "reasons": REASONS}
    card: ModelCard = replace(trained.scorer.card, readiness=readiness)
    assert verdict_of(card).sentence == words
    assert verdict_of(card).has_model
    part = verdict_of(card, is_part=True)
    assert (
        part.sentence == f"{words} This verdict is about all leads, not only those of this report."
    )


def test_a_refused_model_is_not_the_same_as_none(simulated_crm: Path, trained: Trained) -> None:
    project = load_project(simulated_crm)
    records = read_records(project)
    card = replace(trained.scorer.card, readiness={"verdict": "not ready", "reasons": REASONS})
    refused = RefusedModel("2", ("LG101 log loss", "LG103 calibration"), card)
    report = build_report(project, records, NOW, refused=refused)
    sentence = (
        "A model was trained, version 2, and refused: its chances fit the outcomes worse than the "
        "average chance for every lead (LG101); its chances are clearly too high or too low "
        "(LG103). Its verdict: not ready."
    )
    for slug in ("features", "score", "capacity"):
        (needs,) = (s.needs for s in page_of(report, slug).sections[:1])
        assert needs.endswith(sentence)
        assert "train one" not in needs
    (verdict,) = (s for s in page_of(report, "month").sections if s.heading == VERDICT)
    assert verdict.paragraphs == (sentence, REASONS[0])
    assert page_of(report, "score").sections[0].paragraphs == tuple(REASONS)
    assert about_of(report.about)["Verdict of the model"].startswith("trained and refused")
    waiting = verdict_of(None, RefusedModel("3"))
    assert waiting.sentence.startswith("A model was trained, version 3, and is not in use")


def test_every_gate_has_a_reason_in_plain_words() -> None:
    numbers = {line.split()[1] for line in (gates.__doc__ or "").splitlines() if "| LG" in line}
    assert numbers == set(REFUSALS)
    assert not any("log loss" in words or "AUC" in words for words in REFUSALS.values())
