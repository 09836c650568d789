"""The model card as a page: what the model is, how good it is, and what it is not for."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from models.card import ModelCard, effect_of_remedy, effective_size, used_remedies
from reports.card import evaluation
from reports.card.evaluation import missing
from reports.card.pictures import subject_of
from reports.forms.html_page import (
    Picture,
    Section,
    bullets,
    code,
    document,
    drawn,
    facts,
    fold,
    join,
    name,
    paragraph,
    render,
    section,
    side_by_side,
    table,
    with_code,
)
from reports.numbers import count, percent
from reports.text import printable

Row = Mapping[str, Any]

MOST_OF_A_SENTENCE = 600  # characters
VERDICTS = {  # verdict: its words and its class in the style sheet
    "ready": ("Ready to work with", "ready"),
    "usable": ("Usable, with reservations", "usable"),
    "not ready": ("Not ready to work with", "not"),
}
NO_VERDICT = ("Not judged: this card contains no verdict", "")
EXCLUDED = {
    "not_mature": "too young: their outcome is not certain yet",
    "without_outcome": "without an outcome",
    "closed_before_the_moment": "closed before the moment",
    "before_the_outcomes": "of leads created before the outcomes begin, which may have been won",
    "undated_outcomes": "with an outcome that has no date",
}


def card_page(card: ModelCard, *, pictures: Mapping[str, Picture]) -> str:
    """Write a model card as one self-contained HTML page.

    A note replaces each part that the card does not contain. Names from data are escaped and cut.

    Parameters
    ----------
    card : ModelCard
        A card of this or an older version.
    pictures : mapping of str to Picture
        What `card_pictures` returns; the table of a missing picture is still shown.

    Returns
    -------
    str
        HTML without scripts and without anything to load.
    """
    verdict, kind = VERDICTS.get(card.readiness.get("verdict") or "", NO_VERDICT)
    days = card.question.get("horizon_days")
    within = f" within {days:g} days of being scored" if days else ""
    if "not_judged" in card.test:
        footer = "The model has learned from all leads, so it was not evaluated on any."
    else:
        footer = (
            "All figures come from leads that the evaluated model had not seen. The final model "
            "was then fitted to all leads."
        )
    body = render(
        "card.html.j2",
        simulated=card.simulated,
        title=name(card.name),
        lead=f"Estimates how likely it is that a lead is won{within}, as a score from 1 to 99.",
        verdict=verdict,
        kind=kind,
        reasons=_sentences(card.technical_reasons),
        sections={
            "What it is": _about(card),
            **_evaluation(card, pictures),
            "What drives it": _drivers(card, pictures),
            "Left out": _left_out(card),
            "How it was fitted": _fitted(card),
            "Not for": _not_for(card),
            "Versions": _versions(card),
        },
        footer=footer,
    )
    return document(f"{printable(card.name, 60)}: model card", ["page.css"], body)


def _sentences(texts: Iterable[object]) -> list[Markup]:
    return [with_code(printable(text, MOST_OF_A_SENTENCE)) for text in texts]


def _evaluation(card: ModelCard, pictures: Mapping[str, Picture]) -> dict[str, Section]:
    """Return the sections on quality, or the reason why the model was not evaluated."""
    if "not_judged" in card.test:
        return {"Quality": _not_evaluated(card), "Grades": evaluation.grades(card, pictures)}
    return {
        "Quality": evaluation.quality(card, pictures),
        "Probabilities": evaluation.probabilities(card, pictures),
        "Whom to call first": evaluation.gains(card, pictures),
        "Grades": evaluation.grades(card, pictures),
        "Over time": evaluation.cut_offs(card),
        "Age of the lead": evaluation.ages(card, pictures),
        "Segments": evaluation.segments(card, pictures),
        "Fairness": evaluation.fairness(card, pictures),
    }


def _not_evaluated(card: ModelCard) -> Section:
    return section(
        "quality",
        "How good it is",
        paragraph("It was not evaluated: ", printable(card.test["not_judged"], MOST_OF_A_SENTENCE)),
    )


def _about(card: ModelCard) -> Section:
    learned = card.learned_from
    pairs: dict[str, object] = {
        "Counts as won": join(map(name, card.question.get("won", ())), ", ") or "not known",
        "Learned from": f"{_leads(learned)}, {count(learned.get('moments'))} "
        f"moments, {count(learned.get('won'))} of them won",
        "Share of wins": percent(learned["base_rate"]) if "base_rate" in learned else "not known",
        "Moments from": f"{_day(learned['from'])} to {_day(learned['to'])}"
        if "from" in learned
        else "not known: the leads have no times",
        "Evaluated on": "no leads" if "not_judged" in card.test else subject_of(card),
        "Trained": f"{printable(card.trained_at)[:16].replace('T', ' ')} UTC",
    }
    if "test_from" in learned:
        pairs["Test leads from"] = _day(learned["test_from"])
    excluded = [
        f"{learned[key]:,} {reason}" for key, reason in EXCLUDED.items() if learned.get(key)
    ]
    return section(
        "about",
        "What it is and what it learned from",
        facts(pairs),
        paragraph("Excluded moments: ", "; ".join(excluded), ".", kind="note") if excluded else "",
        paragraph(
            f"{learned['embargoed']:,} moments were excluded for the evaluation, because their "
            "outcome was not yet known when the test period began. The final model uses them.",
            kind="note",
        )
        if learned.get("embargoed")
        else "",
        paragraph("Notes on the data:") if card.data_notes else "",
        bullets(_sentences(card.data_notes)) if card.data_notes else "",
    )


def _leads(learned: Row) -> str:
    """Format the numbers of leads; an older card contains only the number of all leads."""
    if "learned_leads" not in learned:
        return f"{count(learned.get('leads'))} leads"
    return f"{learned['learned_leads']:,} of {learned['leads']:,} leads"


def _drivers(card: ModelCard, pictures: Mapping[str, Picture]) -> Section:
    signals = table(
        "Signals, the strongest first",
        ["Signal", "Share", "Direction"],
        (
            [name(row["signal"]), percent(row["share"]), printable(row.get("direction") or "–")]
            for row in card.importance
        ),
        texts=[2],
    )
    return section(
        "drivers",
        "What drives the score",
        side_by_side(drawn(pictures, "importance"), signals)
        if card.importance
        else missing("importance of signals"),
        fold(
            f"All features ({len(card.features)})",
            paragraph(join(map(name, card.features), ", ")),
        ),
    )


def _left_out(card: ModelCard) -> Section:
    leaks = [field for field in card.audit if field["verdict"] != "fine"]
    vouched = [
        field
        for field in card.audit
        if field["verdict"] == "fine" and any(c["verdict"] != "fine" for c in field["checks"])
    ]
    leaking = {field["field"] for field in leaks}
    unused = [left for left in card.left_out if left["column"] not in leaking]
    leaks_table = table(
        "Attributes that the leak audit excludes: they may contain the outcome",
        ["Attribute", "Verdict", "Evidence", "Line to add to the project file"],
        ([name(f["field"]), printable(f["verdict"]), _evidence(f), _line(f)] for f in leaks),
        texts=[1, 2, 3],
    )
    vouched_table = table(
        "Attributes that look like leaks and are used, because a person vouches for them",
        ["Attribute", "Evidence"],
        ([name(f["field"]), _evidence(f)] for f in vouched),
        texts=[1],
    )
    unused_table = table(
        "Other columns that it does not use",
        ["Column", "Why"],
        ([name(left["column"]), printable(left["reason"], 300)] for left in unused),
        texts=[1],
    )
    if not card.audit:
        audited = missing("leak audit")
    else:
        audited = leaks_table if leaks else paragraph("The leak audit excludes no attribute.")
    return section(
        "left-out",
        "What it does not use, and why",
        audited,
        vouched_table if vouched else "",
        unused_table if unused else "",
    )


def _evidence(field: Row) -> Markup:
    checks = field["checks"]
    evidence = (f"{printable(c['number'], 10)}: {printable(c['evidence'], 300)}" for c in checks)
    return join(map(with_code, evidence), " ")


def _line(field: Row) -> Markup:
    line = field.get("line")
    return code(line) if line else Markup("–")


def _fitted(card: ModelCard) -> Section:
    kind, why = card.estimator.get("kind"), card.estimator.get("why")
    weight = card.estimator.get("logistic_weight")
    before = "" if weight is None else f"Weight of the logistic regression {weight:.2f}: "
    apart = ("kind", "why", "judged", "remedies_tried")
    settings = {k: v for k, v in card.estimator.items() if k not in apart}
    return section(
        "fitted",
        "How it was fitted",
        paragraph("Model: ", printable(kind, 300), ".") if kind else "",
        paragraph(before, printable(why, MOST_OF_A_SENTENCE), ".") if why else "",
        *_both_models(card.estimator),
        *_remedies(card.estimator),
        fold(
            "All settings",
            table("Settings of the estimator", ["Setting", "Value"], _flat(settings), [1]),
        )
        if settings
        else missing("settings of the estimator"),
    )


def _both_models(estimator: Row) -> list[Markup | str]:
    """Compare the settings of the evaluated model with those of the final one."""
    judged = estimator.get("judged")
    if not judged:
        return []
    rows = [
        [name(key), *(_setting(of_model.get(key)) for of_model in (judged, estimator))]
        for key in judged
    ]
    points = estimator.get("points_from_judged", 0.0)
    return [
        paragraph(
            "The test evaluates a model that learned from the older leads only. The model that "
            "gives the scores learned from all leads in the same way, and chose its settings on "
            "its own newest leads. On the leads of the test the scores of the two differ by "
            f"{points:.1f} points on average."
        ),
        table("Settings of both models", ["Setting", "Evaluated", "Gives scores"], rows, [1, 2]),
    ]


def _remedies(estimator: Row) -> list[Markup | str]:
    """Return paragraphs and a table about the remedies against drift: those tried, those used."""
    tried, used = estimator.get("remedies_tried"), used_remedies(estimator)
    if not tried and not used:
        return []
    if not tried:
        return [paragraph(f"Against drift, the model uses {used}. ", effective_size(estimator))]
    rows = [
        [
            remedy["name"],
            f"{remedy['change']:+z.4f} ± {2 * remedy['error']:.4f}",
            ", ".join(f"{change:+z.4f}" for change in remedy["by_cut_off"]),
            effect_of_remedy(remedy),
        ]
        for remedy in tried
    ]
    return [
        paragraph(
            "When the market changes, older leads may mislead the model, and the newest leads, "
            "whose horizon is not over, may tell more. These remedies were tried at earlier "
            "cut-offs: a small model learned what was known then, and predicted the leads that "
            "came next, with the remedy and without. A negative change is better. A remedy helps "
            "if the change is better than chance, at least half a percent, and at no cut-off "
            "clearly worse. Of the half-lives that help, the model uses the one with the largest "
            "gain at the unfavourable end of its interval, if this half-life also makes the whole "
            "model better on its newest leads. Then it chooses from the remedies for the newest "
            "leads in the same way, without that last check."
        ),
        table(
            "Remedies for drift",
            ["Remedy", "Change of log loss", "At each cut-off, the latest first", "Helps"],
            rows,
            [1, 2],
        ),
        paragraph(
            f"The model that gives the scores uses {used or 'none of them'}. ",
            effective_size(estimator),
        ),
    ]


def _setting(value: object) -> str:
    """Format the value of a setting.

    Examples
    --------
    >>> _setting(1 / 3), _setting(None), _setting([]), _setting([0.1 + 0.2, [1.0, "a"]])
    ('0.333333', 'none', 'none', '0.3, [1, a]')
    """
    return printable(_written(value), 300)


def _written(value: object) -> object:
    if isinstance(value, list):
        items = (f"[{_written(i)}]" if isinstance(i, list) else str(_written(i)) for i in value)
        return ", ".join(items) or "none"
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else value


def _flat(settings: Row, before: str = "") -> list[list[object]]:
    rows: list[list[object]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{before}{key}.")
        else:
            rows.append([name(f"{before}{key}"), _setting(value)])
    return rows


def _not_for(card: ModelCard) -> Section:
    return section(
        "not-for",
        "What it must not be used for",
        bullets(_sentences(card.not_for)),
    )


def _versions(card: ModelCard) -> Section:
    digests = ([name(what), code(digest)] for what, digest in card.digests.items())
    return section(
        "versions",
        "Versions and digests",
        table("SHA-256 of the tables it learned from", ["Table", "Digest"], digests, [1])
        if card.digests
        else missing("digests of the tables"),
        facts({package: printable(version, 40) for package, version in card.versions.items()}),
    )


def _day(moment: str) -> str:
    return printable(moment)[:10]
