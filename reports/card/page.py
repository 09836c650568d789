"""The model card as a page: what the model is, how good it is, and what it is not for."""

from collections.abc import Mapping
from typing import Any

from models.card import ModelCard
from reports.card import judgement
from reports.card.pictures import subject_of
from reports.forms.html_page import (
    Html,
    Picture,
    bullets,
    code,
    document,
    drawn,
    facts,
    join,
    missing,
    more,
    name,
    paragraph,
    section,
    side_by_side,
    table,
)
from reports.numbers import count, percent
from reports.text import printable

Row = Mapping[str, Any]

MOST_OF_A_SENTENCE = 600  # characters
VERDICTS = {
    "ready": "Ready to work with",
    "usable": "Usable, with reservations",
    "not ready": "Not ready to work with",
}
APART = {
    "not_mature": "too young: their outcome is not certain yet",
    "without_outcome": "without an outcome",
    "closed_before_the_moment": "closed before the moment",
    "undated_outcomes": "with an outcome that has no date",
}


def card_page(card: ModelCard, *, pictures: Mapping[str, Picture]) -> str:
    """Write a model card as one HTML page that stands alone.

    What the card does not hold is said in words. Names that come from data are escaped, and
    cut for display.

    Parameters
    ----------
    card : ModelCard
        Of this or an older version.
    pictures : mapping of str to Picture
        As `card_pictures` draws them; a picture that is missing is left out, its table stays.

    Returns
    -------
    str
        HTML, without scripts and without anything to fetch.
    """
    return document(
        f"{printable(card.name, 60)}: model card",
        _header(card),
        {
            "What it is": _about(card),
            **_judgement(card, pictures),
            "What drives it": _drivers(card, pictures),
            "Left out": _left_out(card),
            "How it was fitted": _fitted(card),
            "Not for": _not_for(card),
            "Versions": _versions(card),
        },
        paragraph(
            "The model has learned from all leads, and was judged by none."
            if "not_judged" in card.test
            else "Each figure is of leads that the judged model had not seen; the model that "
            "answers was then fitted again, on all leads."
        ),
    )


def _judgement(card: ModelCard, pictures: Mapping[str, Picture]) -> dict[str, Html]:
    """Say how good the model is, and for whom; or that nobody can tell, and why."""
    if "not_judged" in card.test:
        return {"Quality": _not_judged(card), "Grades": judgement.grades(card, pictures)}
    return {
        "Quality": judgement.quality(card, pictures),
        "Probabilities": judgement.probabilities(card, pictures),
        "Whom to call first": judgement.gains(card, pictures),
        "Grades": judgement.grades(card, pictures),
        "Age of the lead": judgement.ages(card, pictures),
        "Segments": judgement.segments(card, pictures),
        "Fairness": judgement.fairness(card, pictures),
    }


def _not_judged(card: ModelCard) -> Html:
    return section(
        "quality",
        "How good it is",
        paragraph("Nobody can tell: ", printable(card.test["not_judged"], MOST_OF_A_SENTENCE)),
    )


def _header(card: ModelCard) -> Html:
    verdict = card.readiness.get("verdict")
    said = VERDICTS.get(verdict or "", "Not judged: this card holds no verdict")
    kind = {"ready": "ready", "usable": "usable", "not ready": "not"}.get(verdict or "", "")
    simulated = "Simulated: it learned from made-up records. No figure here is about real leads."
    days = card.label.get("horizon_days")
    within = f" within {days:g} days of being scored" if days else ""
    return join(
        [
            paragraph(simulated, kind="banner") if card.simulated else "",
            Html(f"<h1>{name(card.name)}</h1>"),
            paragraph(
                f"Tells how likely it is that a lead is won{within}, as a score from 1 to 99.",
                kind="lead",
            ),
            paragraph(said, kind=f"verdict {kind}".strip()),
            bullets(printable(reason, MOST_OF_A_SENTENCE) for reason in card.readiness["reasons"])
            if card.readiness.get("reasons")
            else "",
        ]
    )


def _about(card: ModelCard) -> Html:
    known = card.learned_from
    pairs: dict[str, object] = {
        "Counts as won": join(map(name, card.label.get("won", ())), ", ") or "not said",
        "Learned from": f"{_leads(known)}, {count(known.get('moments'))} "
        f"moments, {count(known.get('won'))} of them won",
        "Share of wins": percent(known["base_rate"]) if "base_rate" in known else "not said",
        "Moments from": f"{_day(known['from'])} to {_day(known['to'])}"
        if "from" in known
        else "not known: the leads have no times",
        "Judged by": "nobody" if "not_judged" in card.test else subject_of(card),
        "Trained": f"{printable(card.trained_at)[:16].replace('T', ' ')} UTC",
    }
    if "test_from" in known:
        pairs["Test leads from"] = _day(known["test_from"])
    apart = [f"{known[key]:,} {what}" for key, what in APART.items() if known.get(key)]
    return section(
        "about",
        "What it is and what it learned from",
        facts(pairs),
        paragraph("Moments left aside: ", "; ".join(apart), ".", kind="note") if apart else "",
        paragraph(
            f"The judged model did without {known['embargoed']:,} moments more, whose outcome was "
            "not known when the test began; the model that answers has learned from them.",
            kind="note",
        )
        if known.get("embargoed")
        else "",
        paragraph("Notes on the data:") if card.notes else "",
        bullets(printable(note, MOST_OF_A_SENTENCE) for note in card.notes) if card.notes else "",
    )


def _leads(known: Row) -> str:
    """Say how many leads were learned from, of how many; an older card does not hold the first."""
    if "learned_leads" not in known:
        return f"{count(known.get('leads'))} leads"
    return f"{known['learned_leads']:,} of {known['leads']:,} leads"


def _drivers(card: ModelCard, pictures: Mapping[str, Picture]) -> Html:
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
        else missing("account of what drives the score"),
        more(
            f"All {len(card.features)} features",
            paragraph(join(map(name, card.features), ", ")),
        ),
    )


def _left_out(card: ModelCard) -> Html:
    leaks = [field for field in card.audit if field["verdict"] != "fine"]
    vouched = [
        field
        for field in card.audit
        if field["verdict"] == "fine" and any(c["verdict"] != "fine" for c in field["checks"])
    ]
    told = {field["field"] for field in leaks}
    others = [left for left in card.left_out if left["column"] not in told]
    kept_out = table(
        "Fields that the leak audit keeps out: they may know the outcome",
        ["Field", "Verdict", "Evidence", "To settle it, in the project file"],
        ([name(f["field"]), printable(f["verdict"]), _evidence(f), _line(f)] for f in leaks),
        texts=[1, 2, 3],
    )
    trusted = table(
        "Fields that look like leaks and are used, because a person vouches for them",
        ["Field", "Evidence"],
        ([name(f["field"]), _evidence(f)] for f in vouched),
        texts=[1],
    )
    rest = table(
        "Other columns that it does not look at",
        ["Column", "Why"],
        ([name(left["column"]), printable(left["reason"], 300)] for left in others),
        texts=[1],
    )
    if not card.audit:
        audited = missing("leak audit")
    else:
        audited = kept_out if leaks else paragraph("The leak audit found no field to keep out.")
    return section(
        "left-out",
        "What it does not look at, and why",
        audited,
        trusted if vouched else "",
        rest if others else "",
    )


def _evidence(field: Row) -> Html:
    checks = field["checks"]
    evidence = (f"{printable(c['number'], 10)}: {printable(c['evidence'], 300)}" for c in checks)
    return join(evidence, " ")


def _line(field: Row) -> Html:
    line = field.get("line")
    return code(line) if line else Html("–")


def _fitted(card: ModelCard) -> Html:
    kind, why = card.estimator.get("kind"), card.estimator.get("why")
    settings = {k: v for k, v in card.estimator.items() if k not in ("kind", "why")}
    return section(
        "fitted",
        "How it was fitted",
        paragraph(printable(kind, 300), ".") if kind else "",
        paragraph(printable(why, MOST_OF_A_SENTENCE)) if why else "",
        more(
            "All settings",
            table("Settings of the estimator", ["Setting", "Value"], _flat(settings), [1]),
        )
        if settings
        else missing("settings of the estimator"),
    )


def _flat(settings: Row, before: str = "") -> list[list[object]]:
    rows: list[list[object]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{before}{key}.")
        else:
            text = f"{value:.6g}" if isinstance(value, float) else value
            rows.append([name(f"{before}{key}"), printable(text, 300)])
    return rows


def _not_for(card: ModelCard) -> Html:
    return section(
        "not-for",
        "What it must not be used for",
        bullets(printable(use, MOST_OF_A_SENTENCE) for use in card.not_for),
    )


def _versions(card: ModelCard) -> Html:
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
