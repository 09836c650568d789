"""Pairs of signals: what the model makes of them together, and whether the outcomes agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats
from models.estimator.blend import BaseRate
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS, effects_differ
from models.evaluation.interactions import Interaction, find_interactions
from models.evaluation.intervals import holm
from models.scale import POINTS
from models.scorer import LeadScorer
from reports.charts.report import series_chart
from reports.content import Column, Figure, Section, Takeaway
from reports.numbers import signed
from reports.text import printable

HEADING = "What signals do together"
LEAST_POINTS = 1.0  # of difference, to be told at all
MOST_PAIRS = 12
AGREES, SILENT = "the outcomes agree", "not beyond chance in the outcomes"
OPPOSED, FEW = "the outcomes say the opposite", "too few leads to tell"
UNLEARNED = "only in the outcomes"


@dataclass(frozen=True)
class Judged:
    """An interaction of the model, and what became of the leads.

    Attributes
    ----------
    found : Interaction
    seen : float or None
        Points of difference in the outcomes; None with too few leads.
    p : float or None
        Of that by chance alone, corrected.
    verdict : str
    """

    found: Interaction
    seen: float | None
    p: float | None
    verdict: str


def pairs_section(
    scorer: LeadScorer, features: Floats, signals: list[str], known: Bools, won: Bools, about: str
) -> tuple[Section, list[Takeaway]]:
    """Tell which signals move the score otherwise together than apart.

    The model's part is Friedman and Popescu's H (`models.evaluation.interactions`). A model finds
    pairs in noise as well, so a pair is a finding only if the leads' outcomes, compared in the
    same four groups and corrected for the number of pairs, differ in the same direction.

    Parameters
    ----------
    scorer : LeadScorer
    features : ndarray of float64, shape (n, k)
    signals : list of str
        Strongest first.
    known, won : ndarray of bool, shape (n,)
        Whose outcome is known, and whether it was a win.
    about : str
        Whose leads these are.
    """
    found = find_interactions(scorer, features, signals)
    if not found:
        why = "The model only adds up what the signals give: none does more beside another."
        if not isinstance(scorer.estimator, BaseRate) and scorer.estimator.trees is not None:
            why = "No two of the strongest signals can be told apart in these leads."
        return Section(HEADING, (why,)), []
    judged = _judged(found, known, won)
    told = [each for each in judged if _is_worth_telling(each.found)]
    sure = [each for each in told if each.verdict == AGREES]
    finding = (
        f"No two of the strongest signals move the score by {LEAST_POINTS:g} point or more "
        "beyond what each does alone"
    )
    if told:
        finding = words_of((sure or told)[0].found)
        finding += "; the outcomes agree" if sure else "; the outcomes do not confirm it"
    rows = [_row(each) for each in judged[:MOST_PAIRS]]
    columns = (
        Column("first", "What moves the score", "prose"),
        Column("second", "Beside what", "prose"),
        Column("verdict", "Verdict"),
        Column("inside", "Points, beside it", "points", "pair_points"),
        Column("outside", "Points elsewhere", "points", "pair_points"),
        Column("difference", "Difference", "points", "pair_points"),
        Column("low", "from (95 %)", "points"),
        Column("high", "to (95 %)", "points"),
        Column("strength", "Beyond both parts", "ratio", "pair_strength"),
        Column("share", "Of the pair's effect", "share", "pair_share"),
        Column("seen", "Difference in the outcomes", "points", "pair_outcomes"),
        Column("p", "p, corrected", "ratio", "chance"),
    )
    about += (
        f"; the model was asked about {found[0].n:,} of them, the outcomes are those of "
        f"{int(known.sum()):,}"
    )
    chart = (
        series_chart(
            [_row(each) | {"n": None} for each in told[:MOST_PAIRS]],
            finding,
            about,
            what="Points that the first signal moves the score by",
            form="+",
            series=[("inside", "beside the second"), ("outside", "elsewhere")],
        )
        if told
        else None
    )
    note = (
        "Signals of one lead often come together; what the model would say of mixtures that "
        "hardly occur counts here as well. The model may have learned from these outcomes."
    )
    figure = Figure("features-pairs", finding, about, columns, tuple(rows), chart, note)
    said = (
        f"The model can take a signal to mean more, or less, beside another. Of {len(found)} pairs "
        f"of the strongest signals {len(told) or 'none'} differ{'s' if len(told) == 1 else ''} by "
        f"{LEAST_POINTS:g} point or more"
        + (f", and with {len(sure) or 'none'} the outcomes agree beyond chance." if told else ".")
    )
    return Section(HEADING, (said,), (figure,)), [
        _takeaway(each, int(known.sum())) for each in sure[:1]
    ]


def words_of(found: Interaction) -> str:
    """Say in a sentence what two signals do together."""
    first, second = (printable(each.words, 130) for each in (found.first, found.second))
    inside, outside = (signed(points, 0) for points in (found.inside, found.outside))
    return (
        f"{first[:1].upper()}{first[1:]} moves the score by {inside} points beside {second}, by "
        f"{outside} elsewhere"
    )


def _is_worth_telling(found: Interaction) -> bool:
    is_sure = found.low > 0 or found.high < 0
    return is_sure and abs(found.difference) >= LEAST_POINTS


def _judged(found: Sequence[Interaction], known: Bools, won: Bools) -> list[Judged]:
    """Compare the outcomes in the four groups of each pair, corrected for all pairs."""
    answers = []
    for each in found:
        group = (2 * each.first.is_in + each.second.is_in)[known]
        n = np.bincount(group, minlength=4).reshape(2, 2)
        wins = np.bincount(group, won[known], minlength=4).reshape(2, 2)
        answers.append(effects_differ(wins, n) if n.min() >= FEWEST_LEADS else None)
    corrected = iter(holm([answer[1] for answer in answers if answer is not None]))
    judged = []
    for each, answer in zip(found, answers, strict=True):
        if answer is None:
            judged.append(Judged(each, None, None, FEW))
            continue
        p, verdict = next(corrected), SILENT
        if p < CHANCE and not _is_worth_telling(each):
            verdict = UNLEARNED
        elif p < CHANCE:
            verdict = AGREES if answer[0] * each.difference > 0 else OPPOSED
        judged.append(Judged(each, POINTS * answer[0], p, verdict))
    return sorted(judged, key=lambda each: -abs(each.found.difference))


def _row(each: Judged) -> dict[str, Any]:
    found = each.found
    return {
        "name": f"{printable(found.first.signal, 17)} × {printable(found.second.signal, 14)}",
        "first": found.first.words,
        "second": found.second.words,
        "inside": found.inside,
        "outside": found.outside,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "strength": found.strength,
        "strength_low": found.strength_low,
        "strength_high": found.strength_high,
        "share": found.share,
        "seen": each.seen,
        "p": each.p,
        "verdict": each.verdict,
    }


def _takeaway(each: Judged, n: int) -> Takeaway:
    found = each.found
    return Takeaway(
        f"{words_of(found)}: a difference of {abs(found.difference):.1f} points (model looked at "
        f"with {found.n:,} leads, {min(abs(found.low), abs(found.high)):.1f} to "
        f"{max(abs(found.low), abs(found.high)):.1f}), and the outcomes of {n:,} leads differ "
        "the same way by more than chance.",
        {
            "value": found.difference,
            "low": found.low,
            "high": found.high,
            "n": found.n,
            "first": found.first.words,
            "second": found.second.words,
            "inside": found.inside,
            "outside": found.outside,
            "share": found.share,
            "p": each.p,
        },
        "pair_points",
        "features-pairs",
    )
