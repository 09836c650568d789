"""Pairs of signals: how the model combines them, and whether the outcomes agree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats
from models.estimator.blend import BaseRate
from models.evaluation.comparisons import CHANCE, FEWEST_LEADS
from models.evaluation.interactions import Interaction, find_interactions
from models.evaluation.intervals import holm
from models.evaluation.two_way import effects_differ
from models.reasons import Reasoner
from models.scale import POINTS
from models.scorer import LeadScorer
from reports.charts.groups import series_chart
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.numbers import signed
from reports.pages.groups import CHANCE_TITLE, interval_columns
from reports.pages.phrases import cut_words
from reports.text import column_label, printable

HEADING = "How signals combine"
LEAST_POINTS = 1.0  # of difference: a smaller one is not worth a sentence
MOST_PAIRS = 12


class PairVerdict(StrEnum):
    """The verdict of the outcomes on a pair of signals."""

    AGREES = "the outcomes agree"
    UNCLEAR = "the outcomes show no clear difference"
    OPPOSED = "the outcomes say the opposite"
    FEW_LEADS = "too few leads to tell"
    OUTCOMES_ONLY = "only in the outcomes"


@dataclass(frozen=True, kw_only=True)
class ComparedPair(TableRow):
    """An interaction of the model, compared with the outcomes of the leads.

    Attributes
    ----------
    interaction : Interaction
    in_outcomes : float or None
        The difference in the outcomes, in points; None with too few leads.
    p : float or None
        The p-value of that difference, corrected for all pairs.
    verdict : PairVerdict
    """

    interaction: Interaction
    in_outcomes: float | None
    p: float | None
    verdict: PairVerdict

    @property
    def matters(self) -> bool:
        """True if the difference in points is certain and large enough for a sentence."""
        interaction = self.interaction
        is_certain = interaction.low > 0 or interaction.high < 0
        return is_certain and abs(interaction.difference) >= LEAST_POINTS

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        interaction = self.interaction
        first = printable(column_label(interaction.first.signal), 17)
        second = printable(column_label(interaction.second.signal), 14)
        return {
            "name": f"{first} × {second}",
            "first": interaction.first.words,
            "second": interaction.second.words,
            "inside": interaction.inside,
            "outside": interaction.outside,
            "difference": interaction.difference,
            "low": interaction.low,
            "high": interaction.high,
            "strength": interaction.strength,
            "strength_low": interaction.strength_low,
            "strength_high": interaction.strength_high,
            "share": interaction.share,
            "seen": self.in_outcomes,
            "p": self.p,
            "verdict": self.verdict.value,
        }

    def takeaway(self, n: int) -> Takeaway:
        """Return the pair as a sentence; `n` leads have a known outcome."""
        interaction = self.interaction
        nearer, farther = sorted((abs(interaction.low), abs(interaction.high)))
        return Takeaway(
            f"{pair_words(interaction)}: a difference of {abs(interaction.difference):.1f} points "
            f"(between {nearer:.1f} and {farther:.1f}; {interaction.n:,} leads). The outcomes of "
            f"{n:,} leads differ in the same direction.",
            {
                "value": interaction.difference,
                "low": interaction.low,
                "high": interaction.high,
                "n": interaction.n,
                "first": interaction.first.words,
                "second": interaction.second.words,
                "inside": interaction.inside,
                "outside": interaction.outside,
                "share": interaction.share,
                "outcomes": self.in_outcomes,
                "p_outcomes": self.p,
            },
            "pair_points",
            "features-pairs",
        )


@dataclass(frozen=True, kw_only=True)
class ScoredLeads:
    """Leads scored for the page, and the outcomes of those that are old enough.

    Attributes
    ----------
    features : ndarray of float64, shape (n, k)
    has_outcome, won : ndarray of bool, shape (n,)
        True for the leads with a known outcome, and for the won ones.
    about : str
        Which leads these are.
    """

    features: Floats
    has_outcome: Bools
    won: Bools
    about: str


def pairs_section(
    scorer: LeadScorer, reasoner: Reasoner, signals: list[str], leads: ScoredLeads
) -> tuple[Section, list[Takeaway]]:
    """Build the section about signals that move the score differently together than apart.

    The model's part is Friedman and Popescu's H (`models.evaluation.interactions`). A model also
    combines signals where there is only noise. So a pair is a finding only if the leads' outcomes,
    compared in the same four groups and corrected for the number of pairs, differ in the same
    direction.

    Parameters
    ----------
    scorer : LeadScorer
    reasoner : Reasoner
        The scorer's, with labels in its features.
    signals : list of str
        The strongest first.
    leads : ScoredLeads
    """
    interactions = find_interactions(scorer, leads.features, signals, reasoner=reasoner)
    if not interactions:
        reason = "The model only adds up the points of the signals; none changes another's effect."
        if not isinstance(scorer.estimator, BaseRate) and scorer.estimator.trees is not None:
            reason = "These leads do not show the effects of any two strong signals separately."
        return Section(HEADING, (reason,)), []
    pairs = _compare(interactions, leads.has_outcome, leads.won)
    large = [pair for pair in pairs if pair.matters]
    confirmed = [pair for pair in large if pair.verdict == PairVerdict.AGREES]
    n_known = int(leads.has_outcome.sum())
    figure = _figure(pairs, large, confirmed, leads)
    text = (
        "For the model, a signal can mean more, or less, when another signal is present. "
        f"{len(large) or 'None'} of {len(pairs)} pairs of the strongest signals "
        f"differ{'s' if len(large) == 1 else ''} by {LEAST_POINTS:g} point or more."
    )
    if large:
        text += f" The outcomes confirm {len(confirmed) or 'none'} of them."
    return Section(HEADING, (text,), (figure,)), [pair.takeaway(n_known) for pair in confirmed[:1]]


def _figure(
    pairs: Sequence[ComparedPair],
    large: Sequence[ComparedPair],
    confirmed: Sequence[ComparedPair],
    leads: ScoredLeads,
) -> Figure:
    finding = (
        f"No two of the strongest signals move the score by {LEAST_POINTS:g} point or more "
        "beyond what each does alone"
    )
    if confirmed:
        finding = f"{pair_words(confirmed[0].interaction)}; the outcomes agree"
    elif large:
        finding = f"{pair_words(large[0].interaction)}; the outcomes do not confirm this"
    about = (
        f"{leads.about}; points of {pairs[0].interaction.n:,} leads, outcomes of "
        f"{int(leads.has_outcome.sum()):,}"
    )
    chart = None
    if large:
        chart = series_chart(
            [pair.cells() | {"n": None} for pair in large[:MOST_PAIRS]],
            finding,
            about,
            what="Points of the first signal",
            form="+",
            series=[("inside", "with the second"), ("outside", "without it")],
        )
    return Figure(
        name="features-pairs",
        finding=finding,
        about=about,
        columns=(
            Column("first", "Signal", "prose"),
            Column("second", "With", "prose"),
            Column("verdict", "Result"),
            Column("inside", "Points with it", "points", "pair_points"),
            Column("outside", "Points without it", "points", "pair_points"),
            Column("difference", "Difference", "points", "pair_points"),
            *interval_columns("points"),
            Column("strength", "Beyond both parts", "ratio", "pair_strength"),
            Column("share", "Of the pair's effect", "share", "pair_share"),
            Column("seen", "Difference in the outcomes", "points", "pair_outcomes"),
            Column("p", f"{CHANCE_TITLE}, outcomes", "ratio", "chance"),
        ),
        rows=cells_of(pairs[:MOST_PAIRS]),
        chart=chart,
        note=(
            "The points also count combinations of values that hardly ever occur. The model may "
            "have learned from these outcomes. "
            + cut_words(len(pairs[:MOST_PAIRS]), len(pairs), "pairs", "the largest differences")
        ).strip(),
    )


def pair_words(interaction: Interaction) -> str:
    """Format what two signals do together as a sentence."""
    first, second = (printable(part.words, 130) for part in (interaction.first, interaction.second))
    inside, outside = (signed(points, 0) for points in (interaction.inside, interaction.outside))
    return (
        f"{first[:1].upper()}{first[1:]} moves the score by {inside} points with {second}, by "
        f"{outside} without"
    )


def _compare(
    interactions: Sequence[Interaction], has_outcome: Bools, won: Bools
) -> list[ComparedPair]:
    """Compare the outcomes in the four groups of each pair, corrected for all pairs.

    Returns
    -------
    list of ComparedPair
        The largest difference in points first.
    """
    tests = []
    for interaction in interactions:
        group = (2 * interaction.first.is_in + interaction.second.is_in)[has_outcome]
        n = np.bincount(group, minlength=4).reshape(2, 2)
        wins = np.bincount(group, won[has_outcome], minlength=4).reshape(2, 2)
        tests.append(effects_differ(wins, n) if n.min() >= FEWEST_LEADS else None)
    ps = iter(holm([test[1] for test in tests if test is not None]))
    pairs = []
    for interaction, test in zip(interactions, tests, strict=True):
        if test is None:
            pair = ComparedPair(
                interaction=interaction, in_outcomes=None, p=None, verdict=PairVerdict.FEW_LEADS
            )
        else:
            pair = _pair(interaction, test[0], next(ps))
        pairs.append(pair)
    return sorted(pairs, key=lambda pair: -abs(pair.interaction.difference))


def _pair(interaction: Interaction, effect: float, p: float) -> ComparedPair:
    """Build a compared pair from the difference in the outcomes, in log-odds, and its p-value."""
    pair = ComparedPair(
        interaction=interaction, in_outcomes=POINTS * effect, p=p, verdict=PairVerdict.UNCLEAR
    )
    if p >= CHANCE:
        return pair
    if not pair.matters:
        verdict = PairVerdict.OUTCOMES_ONLY
    elif effect * interaction.difference > 0:
        verdict = PairVerdict.AGREES
    else:
        verdict = PairVerdict.OPPOSED
    return replace(pair, verdict=verdict)
