"""The model card and its page: older cards load, facts are shown, names from data are escaped."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from scipy.special import expit

from crm.left_out import LeftOutRows, left_out_rows
from models.card import NOT_FOR, NOT_PINNED, ModelCard
from models.evaluation.metrics import by_grade, evaluate, gains, reliability
from reports.card.page import card_page
from reports.card.pictures import card_pictures
from reports.forms.html_page import Picture, join, table
from reports.text import printable

HOSTILE = [
    "<script>alert(1)</script>",
    "\"' onmouseover=alert(1) x='",
    "</title></style></svg><img src=x onerror=alert(1)>",
    "\u202egnp.exe\u2066\u200f",
    "&lt;b&gt; &amp;",
    "x" * 10_000,
    "line\nbreak\x00\x1b[31m\ud800",
    "]]><!--",
    "`<img src=x onerror=alert(1)>` ` `</code><b>`",
    "",
]
VOID = ("meta", "br", "img", "input", "hr", "rect", "path", "line", "use")

Attributes = dict[str, Any]


class Reader(HTMLParser):
    """Reads a page as a browser does, and checks that every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Attributes]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: Any, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: Any, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: Any) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: Any) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).replace("\u00a0", " ").split())

    def all(self, tag: str) -> list[Attributes]:
        return [attributes for name, attributes in self.tags if name == tag]


def older_card(**changes: Any) -> ModelCard:
    """Return a card of the first version, without readiness, segments and other later parts."""
    metrics = {"roc_auc": 0.8, "pr_auc": 0.5, "log_loss": 0.4, "brier": 0.1, "ece": 0.021}
    intervals = {name: [value - 0.01, value + 0.01] for name, value in metrics.items()}
    test = {"n": 1_000, "n_leads": 1_000, "how": "newest 20% of leads", **metrics}
    state = {
        "name": "acme",
        "simulated": False,
        "trained_at": "2026-01-01T12:30:00+00:00",
        "learned_from": {"leads": 5_000, "moments": 4_000, "won": 800, "base_rate": 0.2},
        "label": {"won": ["yes"], "horizon_days": 30.0},
        "features": ["source", "visits"],
        "left_out": [{"column": "phone", "reason": "the project ignores it"}],
        "test": {**test, "intervals": intervals},
        "baselines": {"base_rate": {**metrics, "log_loss": 0.5}},
        "estimator": {"kind": "trees", "parameters": {"leaves": 7}},
        "digests": {"leads": "ab" * 32},
        "versions": {"python": "3.11.7"},
    }
    return ModelCard.from_json(json.loads(json.dumps(state | changes)))


def full_card(name: str = "acme", word: str = "web", **changes: Any) -> ModelCard:
    """Return a card with every part; `word` replaces each name that comes from data."""
    older = older_card()
    learned_from = {
        **older.learned_from,
        "learned_leads": 3_900,
        "from": "2024-05-06T00",
        "to": "2025-07-08T00",
        "embargoed": 1_571,
    }
    parts = {
        "name": name,
        "learned_from": learned_from,
        "question": {"won": [word], "horizon_days": 30.0},
        "features": [word],
        "left_out": [{"column": word, "reason": word}],
        **evaluated_parts(word),
        "estimator": estimator_part(word),
        "digests": {word: "ab" * 32},
        "versions": {"python": word},
        "notes": [word],
        "readiness": {"verdict": "usable", "reasons": [f"Only 14 wins: {word}"]},
        "scale": {
            "base_rate": 0.2,
            "grades": [["A", 65], ["B", 50], ["C", 35]],
            "pinned_by": word,
        },
        "importance": [{"signal": word, "share": 0.4, "direction": word}],
        **group_parts(word),
        "audit": audit_part(word),
        "not_for": [word],
        "left_out_rows": left_out_rows([LeftOutRows("leads", word, word, 3, (5, 9, 77))]),
    }
    return dataclasses.replace(older, **parts | changes)


def evaluated_parts(word: str) -> dict[str, Any]:
    """Return the parts of a card that the evaluation of 600 random leads fills."""
    generator = np.random.default_rng(0)
    margin, lead = generator.normal(-1, 1.2, 600), np.arange(600)
    label = (generator.random(600) < expit(margin)).astype(np.int8)
    grade = np.select([margin > 0, margin > -1], ["A", "C"], "D")
    weight = np.ones(600)
    metrics = evaluate(margin, label, weight, lead, seed=0).to_json()
    by_age = [
        {"age_days": 0.0, **metrics},
        {"age_days": 7.0, **metrics},
        {"age_days": 30.0, "n": 12, "verdict": "too few to judge"},
    ]
    by_cut_off = [
        {
            "from": f"2025-0{month}-01T00:00:00+00:00",
            "to": f"2025-0{month}-28T00:00:00+00:00",
            "learned_from": 1_000 * month,
            "predicted": 0.123,
            **metrics,
        }
        for month in (1, 2)
    ]
    test = {
        **metrics,
        "how": word,
        "by_age": by_age,
        "by_cut_off": by_cut_off,
        "cut_offs_left_out": [f"{word} were not evaluated."],
        "by_grade": by_grade(expit(margin), grade, label, weight, lead),
        "reliability": reliability(margin, label, weight),
        "gains": gains(margin, label, weight, lead),
    }
    return {"test": test, "baselines": {"base_rate": metrics, word: metrics}}


def group_parts(word: str) -> dict[str, Any]:
    """Return the parts of a card that compare groups: one that is judged, one that is too small."""
    judged = {
        "column": word,
        "value": word,
        "n": 300,
        "n_leads": 290,
        "wins": 80,
        "won": 0.25,
        "stated": 0.36,
        "gap": 0.1149,
        "low": 0.0449,
        "high": 0.185,
        "p": 0.001,
        "is_off": True,
        "roc_auc": 0.77,
        "log_loss": 0.41,
    }
    selected = {"selected": 0.2, "selected_low": 0.15, "selected_high": 0.26, "ratio": 0.71}
    small = {
        "column": word,
        "value": "rare",
        "n": 35,
        "n_leads": 35,
        "wins": 2,
        "verdict": "too few to judge",
    }
    return {
        "segments": [judged, small],
        "fairness": [judged | selected | {"is_below_four_fifths": True}, small],
    }


def estimator_part(word: str) -> dict[str, Any]:
    """Return the settings of a model that was evaluated with other settings."""
    return {
        "kind": word,
        "why": word,
        word: {word: word, "depth": 3},
        "logistic_weight": 0.75,
        "logistic_step_strength": 0.1,
        "rounds": 123,
        "interactions": [f"{word} with plan", "city"],
        "judged": {
            "logistic_weight": 1 / 3,
            "logistic_step_strength": None,
            "rounds": None,
            "interactions": [],
            "no_longer": word,
        },
        "points_from_judged": 2.345,
        "newest": {"n": 321, "log_loss": 0.43, "less_base_rate": {"value": -0.1, "low": -0.2}},
    }


def audit_part(word: str) -> list[dict[str, Any]]:
    """Return an audit with an attribute that is excluded and one that a person vouches for."""
    check = {"number": "LS103", "verdict": "leak", "evidence": f"{word} is filled late"}
    return [
        {"field": word, "verdict": "leak", "checks": [check], "line": word},
        {"field": f"{word}2", "verdict": "fine", "checks": [check], "line": None},
    ]


def shown(card: ModelCard) -> Reader:
    """Return the page of a card without pictures, as a browser reads it."""
    return Reader(card_page(card, pictures={}))


@pytest.fixture(scope="module")
def full() -> Reader:
    card = full_card()
    return Reader(card_page(card, pictures=card_pictures(card)))


# The card.


def test_older_card_loads_without_new_parts() -> None:
    card = older_card()
    assert (card.readiness, card.scale, card.segments) == ({}, {}, [])
    assert (card.fairness, card.importance, card.audit) == ([], [], [])
    assert card.not_for == list(NOT_FOR)
    assert (card.left_out_rows, card.data_notes) == ([], [])


def test_card_and_page_name_the_rows_that_are_left_out() -> None:
    card = full_card()
    (rows,) = card.to_json()["left_out_rows"]
    assert (rows["count"], rows["lines"], rows["unit"]) == (3, [5, 9, 77], "line")
    assert rows["sentence"] in Reader(card_page(card, pictures={})).text


def test_names_of_columns_in_notes_are_code() -> None:
    card = full_card(notes=["`budget <b>` is empty. A ` stays."])
    page = card_page(card, pictures={})
    assert "<li><code>budget &lt;b&gt;</code> is empty. A ` stays.</li>" in page


def test_full_card_survives_json() -> None:
    card = full_card()
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json(), allow_nan=False))) == card


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"segments": {}}, "segments"),
        ({"readiness": ["ready"]}, "readiness"),
        ({"not_for": "anything"}, "not_for"),
        ({"simulated": "no"}, "simulated"),
        ({"features": [3]}, "features"),
    ],
)
def test_card_with_a_part_of_another_type_is_refused(changes: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        older_card(**changes)


def test_card_without_a_name_is_refused() -> None:
    state = older_card().to_json()
    del state["name"]
    with pytest.raises(ValueError, match="name"):
        ModelCard.from_json(state)


def test_page_of_a_first_version_says_that_its_scale_is_not_pinned(trained: Any) -> None:
    card = trained.scorer.card
    page = card_page(card, pictures={})
    assert card.scale["pinned_by"] == NOT_PINNED
    assert "The scale was not pinned when this version was trained" in page
    assert "pinned by" not in page


# What the page says.


@pytest.mark.parametrize(
    "text",
    [
        "Usable, with reservations",
        "Only 14 wins",
        "Estimates how likely it is that a lead is won within 30 days of being scored",
        "3,900 of 5,000 leads, 4,000 moments, 800 of them won",
        "1,571 moments were excluded for the evaluation",
        "2024-05-06 to 2025-07-08",
        "2026-01-01 12:30 UTC",
        "A score of 50 means the odds of the average lead, 20.0 %",
        "A from 65, B from 50, C from 35",
        "pinned by web",
        "No test lead reached grade B.",
        "In 1 of 1 segments the predictions clearly differ from what happened",
        "1 more has too few outcomes to tell.",
        "1 group is below the four-fifths rule.",
        "20.0 % 15.0 % to 26.0 %",
        "+11.5 +4.5 to +18.5",
        "too few to tell",
        "after 7 days",
        "LS103: web is filled late",
        "because a person vouches for them",
        "abababab",
        "What it must not be used for",
    ],
)
def test_card_page_contains_the_facts(full: Reader, text: str) -> None:
    cells_apart = " ".join(" ".join(full.texts).split())
    assert text in full.text or text in cells_apart


def rows_of(reader: Reader, caption: str) -> list[str]:
    """Return the text cells after a caption, up to the next one."""
    texts = [text.strip() for text in reader.texts if text.strip()]
    return texts[texts.index(caption) + 1 :]


def test_card_page_compares_the_settings_of_both_models(full: Reader) -> None:
    assert (
        "The model that gives the scores learned from all leads in the same way, and chose its "
        "settings on its own newest leads. On the leads of the test the scores of the two differ "
        "by 2.3 points on average."
    ) in full.text
    assert rows_of(full, "Settings of both models")[:18] == [
        *("Setting", "Evaluated", "Gives scores"),
        *("logistic_weight", "0.333333", "0.75"),
        *("logistic_step_strength", "none", "0.1"),
        *("rounds", "none", "123"),
        *("interactions", "none", "web with plan, city"),
        *("no_longer", "web", "none"),
    ]
    all_settings = rows_of(full, "Settings of the estimator")
    for name, value in (
        ("logistic_weight", "0.75"),
        ("newest.n", "321"),
        ("newest.less_base_rate.low", "-0.2"),
        ("interactions", "web with plan, city"),
    ):
        assert all_settings[all_settings.index(name) + 1] == value
    assert not any(cell.startswith("judged") for cell in all_settings)


@pytest.mark.parametrize("judged", [{}, {"judged": {}}])
def test_page_of_a_card_without_an_evaluated_blend_compares_no_settings(judged: Any) -> None:
    estimator = {"kind": "trees", "logistic_weight": 0.0, **judged}
    text = shown(full_card(estimator=estimator)).text
    assert "Settings of both models" not in text
    assert "points on average" not in text
    assert "All settings" in text


def test_page_of_a_trained_model_compares_both_models(trained: Any) -> None:
    estimator = trained.scorer.card.estimator
    reader = shown(trained.scorer.card)
    rows = rows_of(reader, "Settings of both models")
    for name in ("logistic_weight", "logistic_strength", "logistic_reach", "calibration_slope"):
        values = [f"{of_model[name]:.6g}" for of_model in (estimator["judged"], estimator)]
        assert rows[rows.index(name) + 1 : rows.index(name) + 3] == values
    assert f"differ by {estimator['points_from_judged']:.1f} points" in reader.text


TRIED = [
    {
        "name": "half-life of 80 days",
        "change": -0.0123,
        "error": 0.002,
        "by_cut_off": [-0.02, -0.0046],
        "helps": True,
    },
    {"name": "early wins", "change": 0.001, "error": 0.003, "by_cut_off": [0, 0.1], "helps": False},
]


def test_card_page_shows_the_remedies_that_were_tried() -> None:
    reader = shown(full_card(estimator={"kind": "trees", "remedies_tried": TRIED}))
    assert rows_of(reader, "Remedies for drift")[:12] == [
        *("Remedy", "Change of log loss", "At each cut-off, the latest first", "Helps"),
        *("half-life of 80 days", "-0.0123 ± 0.0040", "-0.0200, -0.0046", "yes"),
        *("early wins", "+0.0010 ± 0.0060", "+0.0000, +0.1000", "no"),
    ]
    assert "remedies_tried" not in reader.text
    assert "The model that gives the scores uses none of them." in reader.text


def test_card_page_names_the_remedies_that_the_model_uses() -> None:
    used = {"half_life": "80 days", "newest_moments": "early wins", "effective_leads": 812.4}
    text = shown(full_card(estimator={"kind": "trees", "remedies_tried": TRIED, **used})).text
    size = "With the half-life, the model learns as if it had 812 leads that count the same"
    used_words = "The model that gives the scores uses a half-life of 80 days and early wins."
    assert f"{used_words} {size}" in text
    declared = {"half_life": "60 days", "effective_leads": 812.4, "remedies_tried": []}
    text = shown(full_card(estimator={"kind": "trees", **declared})).text
    assert f"Against drift, the model uses a half-life of 60 days. {size}" in text


def test_card_page_describes_the_estimator_in_sentences() -> None:
    estimator = {"kind": "a blend", "why": "chosen on the newest leads", "logistic_weight": 0.466}
    text = shown(full_card(estimator=estimator)).text
    assert "Model: a blend." in text
    assert "Weight of the logistic regression 0.47: chosen on the newest leads." in text


def test_card_page_numbers_cut_offs_without_times() -> None:
    card = full_card()
    for row in card.test["by_cut_off"]:
        row |= {"from": None, "to": None}
    rows = rows_of(shown(card), "Quality at each cut-off")
    assert rows[:2] == ["Moments", "ROC AUC"]
    assert {"cut-off 1", "cut-off 2"} <= set(rows)


def test_card_page_says_if_a_ranking_was_worse_than_chance() -> None:
    card = full_card()
    card.test["by_cut_off"][0]["intervals"] = {"roc_auc": (0.41, 0.48), "log_loss": (0.4, 0.5)}
    assert "At 1 of 2 cut-offs, it ranks leads worse than chance." in shown(card).text
    assert "cut-offs, it ranks" not in shown(full_card()).text


def test_card_page_without_remedies_has_no_table_of_them() -> None:
    for estimator in ({"kind": "trees"}, {"kind": "trees", "remedies_tried": []}):
        assert "Remedies for drift" not in shown(full_card(estimator=estimator)).text


def test_attribute_without_suspicion_is_not_shown_as_vouched_for() -> None:
    check = {"number": "LS112", "verdict": "fine", "evidence": 'It is always "no".'}
    card = full_card(audit=[{"field": "x", "verdict": "fine", "checks": [check], "line": None}])
    text = shown(card).text
    assert "The leak audit excludes no attribute." in text
    assert "vouches" not in text


def test_card_page_states_the_findings_before_the_metrics(full: Reader) -> None:
    text = full.text
    finding = re.search(
        r"How good it is 35 % of the [\d,]+ wins are in the best-scored fifth of the leads\.", text
    )
    assert finding is not None
    assert finding.start() < text.index("ROC AUC")


def test_card_page_compares_figures_with_the_baselines() -> None:
    card = full_card()
    text = shown(card).text
    for metrics in (card.test, *card.baselines.values()):
        assert f"{metrics['log_loss']:.3f}" in text
        low, high = metrics["intervals"]["roc_auc"]
        assert f"{low:.3f} to {high:.3f}" in text


def test_card_page_starts_with_a_notice_about_simulated_records() -> None:
    text = shown(full_card(simulated=True)).text
    assert text.index("made-up records") < text.index("Estimates how likely")


def test_card_page_of_real_records_has_no_notice_about_simulated_records() -> None:
    assert "made-up" not in shown(full_card()).text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("ready", "Ready to work with"),
        ("not ready", "Not ready to work with"),
        (None, "Not judged: this card contains no verdict"),
        ("splendid", "Not judged: this card contains no verdict"),
    ],
)
def test_card_page_states_the_verdict_in_words(verdict: str | None, words: str) -> None:
    assert words in shown(full_card(readiness={"verdict": verdict, "reasons": []})).text


@pytest.fixture(scope="module")
def older() -> Reader:
    card = older_card()
    return Reader(card_page(card, pictures=card_pictures(card)))


@pytest.mark.parametrize(
    "note",
    [
        "this card contains no verdict",
        "contains no comparison of predicted and actual shares",
        "contains no share of wins among the best leads",
        "contains no description of the scale",
        "contains no share of wins for each grade",
        "Nothing to compare: the leads have no time of creation",
        "No groups were compared: the model uses no category",
        "the project names no sensitive columns",
        "contains no importance of signals",
        "contains no leak audit",
        "not known: the leads have no times",
        NOT_FOR[0][:60],
    ],
)
def test_page_of_an_older_card_names_the_parts_that_it_lacks(older: Reader, note: str) -> None:
    assert note in older.text


def test_page_of_an_older_card_shows_no_missing_values(older: Reader) -> None:
    assert len(older.all("table")) == len(older.all("caption")) == 4
    assert not re.search(r"\b(None|nan)\b", older.text)


def test_card_without_any_part_has_a_page() -> None:
    card = older_card(
        learned_from={},
        question={},
        features=[],
        left_out=[],
        test={},
        baselines={},
        estimator={},
        digests={},
        versions={},
        not_for=[],
        readiness={"verdict": "ready"},
    )
    assert card_pictures(card) == {}
    assert "contains no metrics" in shown(card).text


# How the page is built.


def test_card_page_loads_nothing_and_has_no_script(full: Reader) -> None:
    names = {tag for tag, _ in full.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "img", "base"}
    for tag, attributes in full.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            assert key not in ("href", "src", "xlink:href") or value.startswith("#"), (tag, value)


def test_card_page_has_a_policy_that_forbids_loading(full: Reader) -> None:
    (policy,) = [meta["content"] for meta in full.all("meta") if "http-equiv" in meta]
    assert "default-src 'none'" in policy


def test_card_page_has_one_of_each_landmark(full: Reader) -> None:
    assert full.all("html") == [{"lang": "en"}]
    assert "acme: model card" in full.text
    for landmark in ("header", "nav", "main", "footer", "title", "h1"):
        assert len(full.all(landmark)) == 1, landmark


def test_every_section_has_a_heading_and_a_link(full: Reader) -> None:
    headings = {heading["id"] for heading in full.all("h2")}
    assert len(headings) == len(full.all("h2")) == 14
    assert {link["href"].lstrip("#") for link in full.all("a")} == headings
    assert {part["aria-labelledby"] for part in full.all("section")} == headings


def test_cut_offs_are_a_table_with_the_reasons_for_those_left_out(full: Reader) -> None:
    caption, _, rest = full.text.partition("Quality at each cut-off")
    assert "How stable it is over time" in caption
    for text in ("2025-01-01", "2025-01-28", "1,000", "2025-02-01", "2,000", "12.3"):
        assert text in rest
    assert "web were not evaluated." in rest


def test_every_table_has_a_caption_and_scopes(full: Reader) -> None:
    assert len(full.all("table")) == len(full.all("caption")) > 4
    assert all(head["scope"] in ("col", "row") for head in full.all("th"))


def test_every_picture_has_a_description(full: Reader) -> None:
    pictures = [block for block in full.all("div") if block.get("role") == "img"]
    assert len(pictures) == len(full.all("figure")) == 8
    assert all(len(picture["aria-label"]) > 40 for picture in pictures)


@pytest.fixture(scope="module")
def pictures() -> dict[str, Picture]:
    return card_pictures(full_card())


def test_full_card_has_every_picture_with_its_number_of_leads(
    pictures: dict[str, Picture],
) -> None:
    assert set(pictures) == {
        "log_loss",
        "reliability",
        "gains",
        "grades",
        "ages",
        "segments",
        "fairness",
        "importance",
    }
    for name, picture in pictures.items():
        assert "n = 600" in picture.subtitle, name
        assert picture.svg.startswith("<svg")


def test_title_of_a_picture_is_its_finding(pictures: dict[str, Picture]) -> None:
    assert pictures["importance"].title == "40\u00a0% of what moves the score comes from web"


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_names_from_data_are_escaped_on_the_card_page(word: str, full: Reader) -> None:
    card = full_card(name=word, word=word)
    page = card_page(card, pictures=card_pictures(card))
    tags = Reader(page).tags
    assert {tag for tag, _ in tags} <= {tag for tag, _ in full.tags}
    assert not [key for _, attributes in tags for key in attributes if key.startswith("on")]
    assert not set(page) & set("\x00\x1b\u202e\u2066\u200f\ud800")
    assert page.encode("utf-8")
    assert len(page) < 400_000
    assert "x" * 601 not in page


def test_texts_are_escaped_and_markup_is_not() -> None:
    assert join(["<b>"]) == "&lt;b&gt;"
    assert join([Markup("<b>")]) == "<b>"
    assert join(["<", Markup("<br>")], " & ") == "&lt; &amp; <br>"


def test_long_texts_are_cut() -> None:
    assert printable("a" * 300) == "a" * 199 + "…"
    assert len(join(["y" * 5_000])) == 1_000


def test_invisible_characters_are_removed() -> None:
    assert printable(" two \n words ") == "two words"
    assert printable("العربية") == "العربية"
    assert join(["\u202eevil\x00"]) == "evil"


def test_table_shows_missing_values_as_dashes_and_marks_rows() -> None:
    page = Reader(table("Cities", ["City", "n"], [["Bonn", 3], ["<Graz>", None]], marked=[1]))
    assert page.text == "Cities Cityn Bonn3<Graz>–"
    assert [row.get("class") for row in page.all("tr")] == [None, None, "marked"]


def test_missing_picture_leaves_its_table_on_the_page() -> None:
    card = full_card()
    picture = Picture("A finding", "n = 3", Markup("<svg></svg>"))
    without = shown(card)
    with_one = Reader(card_page(card, pictures={"gains": picture}))
    assert without.all("figure") == []
    assert "A finding" in with_one.text
    assert len(with_one.all("table")) == len(without.all("table"))
