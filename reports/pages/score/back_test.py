"""The scores of one horizon ago, compared with the outcomes since then."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import logit

from crm.arrays import Floats, Ints
from crm.times import DAY
from models.card import ModelCard
from models.evaluation.comparisons import CHANCE, share_of
from models.evaluation.differences import p_of
from models.evaluation.metrics import FEWEST_TO_JUDGE, by_grade, gains, reliability
from reports.charts.card import grades_chart
from reports.content import Section, Takeaway
from reports.numbers import percent
from reports.pages.phrases import IN_SAMPLE, day_name, of_words, share_words
from reports.pages.score.grades import GradeRow, best_and_worst, curves, grades_figure
from reports.rows.rows import ReportRows
from reports.rows.scored import has_enough, not_learned_from
from reports.text import NO_BREAK

USELESS_FACTOR = 1.5  # between predicted and true chance; beyond it predictions are useless
OLDER_DAYS = 30  # than the oldest lead that the model learned from: too old to predict


def back_test_section(rows: ReportRows, card: ModelCard) -> tuple[Section, list[Takeaway]]:
    """Score the leads that were open one horizon ago as of then, and compare with their outcomes.

    Only leads that the model has not learned from are used. If there are too few of them, all
    leads are used.
    """
    day = day_name(rows.as_of - rows.horizon) if rows.has_times else ""
    heading = f"Scores of {day}" if rows.has_times else "Earlier scores"
    before = rows.before
    if before is None or not rows.has_times:
        needs = "The outcomes of leads scored some time ago. This needs times, which are missing."
        return Section(heading, needs=needs), []
    won = rows.won_within(before.lead, before.as_of)
    unseen = not_learned_from(rows.created[before.lead], card)
    flatters = not has_enough(won[unseen])
    chosen = np.ones(len(before), dtype=bool) if flatters else unseen
    label = won[chosen].astype(np.int8)
    if not has_enough(won[chosen]):
        needs = (
            f"At least {FEWEST_TO_JUDGE} leads that were won, and as many that were not, among the "
            f"leads that were open on {day}. Of {len(label):,} leads, "
            f"{int(label.sum()):,} were won."
        )
        return Section(heading, needs=needs), []
    text = (
        f"Today's model scored the leads that were open on {day} from what was known then. Wins "
        f"count in the {rows.horizon_days:g}{NO_BREAK}days to {day_name(rows.as_of)}. "
    )
    if flatters:
        text += f"{IN_SAMPLE} These figures are folded."
    else:
        text += "Only leads that the model has not learned from are shown."
    if before.is_sample:
        text += f" They are a random sample of {len(before):,} of {before.of:,}."
    about = f"leads open on {day}, n = {len(label):,}"
    probability, lead = before.probability[chosen], before.lead[chosen]
    weight = np.ones(len(label))
    rows_by_grade = by_grade(probability, before.grade[chosen], label, weight, lead)
    grades = [GradeRow.of(row) for row in rows_by_grade]
    chart = grades_chart(rows_by_grade, about)
    figure = grades_figure(grades, "score-back-grades", about, chart)
    misstated = _misstated_average(probability, label, about)
    factor = probability.mean() / label.mean()
    if misstated and not 1 / USELESS_FACTOR < factor < USELESS_FACTOR:
        age = (before.as_of - rows.created[before.lead])[chosen]
        text += unlearned_age(age, rows.scorer.pipeline.age_days if rows.scorer else None)
    margin = logit(np.clip(probability, 1e-12, 1 - 1e-12))
    bins, best = reliability(margin, label, weight, lead), gains(margin, label, weight, lead)
    figures = [
        replace(shown, learned_from=flatters)
        for shown in (figure, *curves(bins, best, "score-back", about))
    ]
    takeaways = [] if flatters else best_and_worst(grades, figure) + misstated
    return Section(heading, (text,), tuple(figures)), takeaways


def unlearned_age(age: Ints, learned: tuple[float, float] | None) -> str:
    """Return a sentence if most leads are older than all that the model has learned from.

    Parameters
    ----------
    age : ndarray of int64, shape (n,)
        The age of the leads when they were scored, in microseconds.
    learned : tuple of two floats, or None
        The ages of the youngest and the oldest lead that the model learned from, in days.

    Returns
    -------
    str
        With a space before it; empty if most leads are younger, or the ages are not known.
    """
    if learned is None:
        return ""
    youngest, oldest = learned
    is_older = age > (oldest + OLDER_DAYS) * DAY
    if is_older.mean() < 0.5:
        return ""
    older = of_words(share_of(int(is_older.sum()), len(is_older)))
    ages = f"leads that were {youngest:.0f} to {oldest:.0f}{NO_BREAK}days old"
    if oldest < 1:
        ages = "leads at their creation only"
    return (
        f" Its predicted chances do not fit these leads: {older} of them were older than "
        f"any lead that it learned from. It learned from {ages}. Name more ages in [learn] "
        "moments_days, and train again."
    )


def _misstated_average(probability: Floats, label: Any, about: str) -> list[Takeaway]:
    """Return a takeaway if the average predicted chance clearly differs from what happened."""
    stated, share = float(probability.mean()), share_of(int(label.sum()), len(label))
    deviation = float(np.sqrt((probability * (1 - probability)).sum())) / len(label)
    p = p_of((share.value - stated) / max(deviation, 1e-12))
    if p >= CHANCE:
        return []
    direction = "high" if stated > share.value else "low"
    points = 100 * abs(stated - share.value)
    return [
        Takeaway(
            f"Predicted chances are {points:.1f} points too {direction}: {percent(stated)} "
            f"predicted on average, {share_words(share)} won. Measured on the "
            f"{about.partition(',')[0]}. Train again.",
            {**share.cells(), "stated": stated, "p": p},
            "stated_share",
            "score-back-reliability",
        )
    ]
