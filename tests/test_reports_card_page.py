"""The card: older ones load, and its page says everything, also to those who write its names."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from scipy.special import expit

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
    "",
]
VOID = ("meta", "br", "img", "input", "hr", "rect", "path", "line", "use")


class Reader(HTMLParser):
    """Reads a page as a browser does, and refuses what is not closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
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

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def older_card(**changes: Any) -> ModelCard:
    """A card of the first version: nothing of readiness, segments and the like."""
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
    """A card that holds everything; `word` stands wherever a name comes from data."""
    generator = np.random.default_rng(0)
    margin, lead = generator.normal(-1, 1.2, 600), np.arange(600)
    label = (generator.random(600) < expit(margin)).astype(np.int8)
    grade = np.select([margin > 0, margin > -1], ["A", "C"], "D")
    ones = np.ones(600)
    found = evaluate(margin, label, ones, lead, seed=0)
    row = {
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
    few = {"column": word, "value": "rare", "n": 35, "n_leads": 35, "wins": 2}
    selected = {"selected": 0.2, "selected_low": 0.15, "selected_high": 0.26, "ratio": 0.71}
    old = older_card()
    check = {"number": "LS103", "verdict": "leak", "evidence": f"{word} is filled late"}
    return dataclasses.replace(
        old,
        **{
            "name": name,
            "learned_from": old.learned_from
            | {
                "learned_leads": 3_900,
                "from": "2024-05-06T00",
                "to": "2025-07-08T00",
                "embargoed": 1_571,
            },
            "question": {"won": [word], "horizon_days": 30.0},
            "features": [word],
            "left_out": [{"column": word, "reason": word}],
            "test": {
                **found.to_json(),
                "how": word,
                "by_age": [
                    {"age_days": 0.0, **found.to_json()},
                    {"age_days": 7.0, **found.to_json()},
                    {"age_days": 30.0, "n": 12, "verdict": "too few to judge"},
                ],
                "by_grade": by_grade(expit(margin), grade, label, ones, lead),
                "reliability": reliability(margin, label, ones),
                "gains": gains(margin, label, ones, lead),
            },
            "baselines": {"base_rate": found.to_json(), word: found.to_json()},
            "estimator": {"kind": word, "why": word, word: {word: word, "depth": 3}},
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
            "segments": [row, few | {"verdict": "too few to judge"}],
            "fairness": [
                row | selected | {"is_below_four_fifths": True},
                few | {"verdict": "too few to judge"},
            ],
            "audit": [
                {"field": word, "verdict": "leak", "checks": [check], "line": word},
                {"field": f"{word}2", "verdict": "fine", "checks": [check], "line": None},
            ],
            "not_for": [word],
            **changes,
        },
    )


@pytest.fixture(scope="module")
def full() -> Reader:
    card = full_card()
    return Reader(card_page(card, pictures=card_pictures(card)))


# -- the card itself -----------------------------------------------------------------------


def test_older_card_loads_without_new_parts() -> None:
    card = older_card()
    assert (card.readiness, card.scale, card.segments) == ({}, {}, [])
    assert (card.fairness, card.importance, card.audit) == ([], [], [])
    assert card.not_for == list(NOT_FOR)


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
def test_card_of_another_shape_is_refused(changes: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        older_card(**changes)


def test_card_without_a_name_is_refused() -> None:
    state = older_card().to_json()
    del state["name"]
    with pytest.raises(ValueError, match="name"):
        ModelCard.from_json(state)


def test_first_version_claims_no_pinned_scale(trained: Any) -> None:
    page = card_page(trained.scorer.card, pictures={})
    assert trained.scorer.card.scale["pinned_by"] == NOT_PINNED
    assert "The scale was not pinned when this version was trained" in page
    assert "pinned by" not in page


# -- what the page says --------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
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
        "In 1 of 1 segments the predicted share differs from the actual share by more than chance",
        "1 more has too few outcomes to be judged.",
        "1 group is below it.",
        "20.0 % 15.0 % to 26.0 %",
        "+11.5 +4.5 to +18.5",
        "too few to judge",
        "after 7 days",
        "LS103: web is filled late",
        "because a person vouches for them",
        "abababab",
        "What it must not be used for",
    ],
)
def test_card_page_contains_the_facts(full: Reader, said: str) -> None:
    joined = re.sub(r"\s+", " ", " ".join(full.texts).replace("\u00a0", " "))
    assert said in full.text or said in joined


def test_only_suspected_leaks_are_shown_as_vouched_for() -> None:
    remark = {"number": "LS112", "verdict": "fine", "evidence": 'It is always "no".'}
    card = full_card(audit=[{"field": "x", "verdict": "fine", "checks": [remark], "line": None}])
    page = Reader(card_page(card, pictures={}))
    assert "The leak audit excludes no attribute." in page.text
    assert "vouches" not in page.text


def test_card_page_compares_figures_with_the_baselines() -> None:
    card = full_card()
    text = Reader(card_page(card, pictures={})).text
    for found in (card.test, *card.baselines.values()):
        assert f"{found['log_loss']:.3f}" in text
        low, high = found["intervals"]["roc_auc"]
        assert f"{low:.3f} to {high:.3f}" in text


def test_card_page_starts_with_the_notice_of_simulated_records() -> None:
    simulated = Reader(card_page(full_card(simulated=True), pictures={}))
    real = Reader(card_page(full_card(), pictures={}))
    assert simulated.text.index("made-up records") < simulated.text.index("Estimates how likely")
    assert "made-up" not in real.text


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("ready", "Ready to work with"),
        ("not ready", "Not ready to work with"),
        (None, "Not judged: this card contains no verdict"),
        ("splendid", "Not judged: this card contains no verdict"),
    ],
)
def test_card_page_states_the_verdict_in_words(verdict: str | None, said: str) -> None:
    card = full_card(readiness={"verdict": verdict, "reasons": []})
    assert said in Reader(card_page(card, pictures={})).text


def test_card_page_names_parts_that_an_older_card_lacks() -> None:
    card = older_card()
    page = Reader(card_page(card, pictures=card_pictures(card)))
    for said in (
        "this card contains no verdict",
        "contains no comparison of predicted and actual shares",
        "contains no gains",
        "contains no description of the scale",
        "contains no share of wins for each grade",
        "Nothing to compare: the leads have no time of creation",
        "No groups were compared: the model uses no category",
        "the project names no sensitive columns",
        "contains no importance of signals",
        "contains no leak audit",
        "not known: the leads have no times",
        NOT_FOR[0][:60],
    ):
        assert said in page.text, said
    assert len(page.all("table")) == len(page.all("caption")) == 4
    assert not re.search(r"\b(None|nan)\b", page.text)


def test_minimal_card_can_be_shown() -> None:
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
    page = Reader(card_page(card, pictures=card_pictures(card)))
    assert "contains no metrics" in page.text


# -- how it is built -----------------------------------------------------------------------


def test_card_page_is_self_contained_and_has_no_script(full: Reader) -> None:
    names = {tag for tag, _ in full.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "img", "base"}
    for tag, attributes in full.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            if key in ("href", "src", "xlink:href"):
                assert value.startswith("#")
    (policy,) = [m["content"] for m in full.all("meta") if "http-equiv" in m]
    assert "default-src 'none'" in policy


def test_card_page_has_headings_and_links(full: Reader) -> None:
    assert full.all("html") == [{"lang": "en"}]
    assert "acme: model card" in full.text
    for landmark in ("header", "nav", "main", "footer", "title", "h1"):
        assert len(full.all(landmark)) == 1, landmark
    headings = {heading["id"] for heading in full.all("h2")}
    assert {link["href"].lstrip("#") for link in full.all("a")} == headings
    assert {each["aria-labelledby"] for each in full.all("section")} == headings
    assert len(headings) == len(full.all("h2")) == 13
    assert len(full.all("table")) == len(full.all("caption"))
    assert all(head["scope"] in ("col", "row") for head in full.all("th"))
    pictures = [each for each in full.all("div") if each.get("role") == "img"]
    assert len(pictures) == len(full.all("figure")) == 8
    assert all(len(picture["aria-label"]) > 40 for picture in pictures)


def test_each_picture_states_its_finding_and_number_of_leads() -> None:
    card = full_card()
    pictures = card_pictures(card)
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
    best = card.test["by_grade"][0]
    assert pictures["grades"].title.startswith(f"{best['won']:.0%} of grade A were won")
    assert pictures["segments"].title == "Widest gap: 11.5 points too much are stated for web web"
    assert pictures["importance"].title == "40% of what moves the score comes from web"
    loss = card.test["log_loss"]
    assert pictures["log_loss"].title.startswith(f"Log loss of leadscore is {loss:.3f}, against")
    for name, picture in pictures.items():
        assert "n = 600" in picture.subtitle, name
        assert picture.svg.startswith("<svg")


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_names_from_data_are_escaped_on_the_card_page(word: str, full: Reader) -> None:
    card = full_card(name=word, word=word)
    page = card_page(card, pictures=card_pictures(card))
    read = Reader(page)
    outside = [tag for tag, _ in read.tags if tag in {tag for tag, _ in full.tags}]
    assert len(outside) == len(read.tags)  # no element that an innocent page lacks
    assert not [k for _, attributes in read.tags for k in attributes if k.startswith("on")]
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


def test_table_marks_missing_values_and_rows() -> None:
    page = Reader(table("Cities", ["City", "n"], [["Bonn", 3], ["<Graz>", None]], marked=[1]))
    assert page.text == "Cities Cityn Bonn3<Graz>–"
    assert [row.get("class") for row in page.all("tr")] == [None, None, "marked"]


def test_missing_picture_leaves_the_figures() -> None:
    card = full_card()
    without = Reader(card_page(card, pictures={}))
    assert without.all("figure") == []
    one = Reader(
        card_page(card, pictures={"gains": Picture("Found", "n = 3", Markup("<svg></svg>"))})
    )
    assert "Found" in one.text
    assert len(one.all("table")) == len(without.all("table"))
