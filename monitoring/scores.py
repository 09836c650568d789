"""Checks the scores themselves: shares of grades, inflation, and scores with warnings."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from crm.arrays import Floats
from crm.times import DAY
from models.reference import Reference
from models.scale import Scale
from monitoring.check import Check, Verdict, unknown
from monitoring.given import GivenScores
from monitoring.scored_moments import ScoredMoments
from monitoring.shares import FEWEST_MONTHS, TOLERANCE, UsualShares
from monitoring.truth import day_text, figures_of, verdict_of

FEWEST_SCORES: Final = 50
SHORT_TOLERANCE: Final = 0.8  # in log-odds, if too few months show the seasons
RECENT_DAYS: Final = 30
MANY_WARNINGS: Final = 0.2  # of the scores


def grades_check(
    scored: ScoredMoments,
    reference: Reference | None,
    scale: Scale,
    weight: Floats | None = None,
) -> Check:
    """Check whether each grade has the share that it had among the held-out leads of training.

    Parameters
    ----------
    scored : ScoredMoments
    reference : Reference or None
    scale : Scale
    weight : ndarray of float64, shape (len(scored),), optional
        How much each moment counts, 0 … 1. Without it, all count alike.
    """
    number = "LM401"
    weight = scored.even_weight if weight is None else weight
    scored, weight = scored.take(weight > 0), weight[weight > 0]
    if reference is None or not reference.held_out:
        return unknown(number, "The champion does not know the shares of the grades in training.")
    if len(scored) < FEWEST_SCORES:
        return unknown(number, "Too few new leads were scored.")
    letters = [*(letter for letter, _ in scale.grades), scale.lowest]
    months = [[month.grades.get(letter, 0) for letter in letters] for month in reference.held_out]
    shows_seasons = len(months) >= FEWEST_MONTHS
    usual = UsualShares.of(
        np.array(months, dtype=np.float64), TOLERANCE if shows_seasons else SHORT_TOLERANCE
    )
    place = np.array([letters.index(str(grade)) for grade in scored.grade], dtype=np.int64)
    day = scored.as_of // DAY
    change = usual.change(day, place, weight)
    verdict = verdict_of(change.detection)
    since = change.detection.since if verdict is not Verdict.FINE else None
    recent = day >= (int(day.max()) - RECENT_DAYS if since is None else since)
    shares = np.bincount(place[recent], weight[recent], len(letters)) / weight[recent].sum()
    rows: list[dict[str, Any]] = [
        {"grade": letter, "share": float(now), "earlier_share": float(before)}
        for letter, now, before in zip(letters, shares, usual.shares, strict=True)
    ]
    moved = rows[change.value] if verdict is not Verdict.FINE else rows[0]
    evidence = (
        f"{100 * moved['share']:.0f} % of the leads have grade {moved['grade']}; before, "
        f"{100 * moved['earlier_share']:.0f} % had it."
    )
    if since is not None:
        evidence = f"Since {day_text(since)}, {evidence}"
    next_step = ""
    if verdict is not Verdict.FINE:
        next_step = "Data science: look at LM301 to LM303, which say how the leads have changed."
    return Check(
        number,
        verdict,
        evidence,
        next_step,
        {
            "rises": int(change.rises),
            **figures_of(change.detection),
        },
        rows,
    )


def inflation_check(grades: Check, truths: Sequence[Check], scale: Scale) -> Check:
    """Check whether the best grade becomes more frequent while fewer of its leads win.

    Parameters
    ----------
    grades : Check
        LM401.
    truths : sequence of Check
        The checks of stated chances and of grades.
    scale : Scale
    """
    number, best = "LM402", scale.grades[0][0]
    if grades.verdict is Verdict.UNKNOWN:
        return unknown(number, grades.evidence)
    share = next(row for row in grades.rows if row["grade"] == best)
    more = grades.verdict is not Verdict.FINE and share["share"] > share["earlier_share"]
    fewer = [
        check
        for check in truths
        for row in check.rows
        if check.number in ("LM103", "LM203")
        and row.get("grade") == best
        and row["verdict"] != Verdict.FINE
        and row["won"] < row["stated"]
    ]
    shares = (
        f"{100 * share['share']:.0f} % of the newest leads have grade {best}, "
        f"{100 * share['earlier_share']:.0f} % had it in training"
    )
    if more and fewer:
        return Check(
            number,
            Verdict.ACT,
            f"Grade {best} is worth less: {shares}, and fewer of them win than stated.",
            f"Data science: train again, or raise the lowest score of grade {best}.",
        )
    return Check(number, Verdict.FINE, f"No: {shares}.")


def warnings_check(given: GivenScores | None) -> Check:
    """Check how many of the given scores have a warning."""
    number = "LM403"
    if given is None or len(given.moments) < FEWEST_SCORES:
        return unknown(number, "The ledger has too few given scores.")
    last = int(given.moments.as_of.max())
    recent = given.moments.as_of > last - RECENT_DAYS * DAY
    share, before = float(given.has_warning[recent].mean()), float(given.has_warning.mean())
    month = given.moments.as_of.view("datetime64[us]").astype("datetime64[M]")
    rows: list[dict[str, Any]] = [
        {
            "month": str(value),
            "scores": int((month == value).sum()),
            "share": float(given.has_warning[month == value].mean()),
        }
        for value in np.unique(month)
    ]
    verdict = Verdict.WATCH if share > MANY_WARNINGS else Verdict.FINE
    return Check(
        number,
        verdict,
        f"{100 * share:.0f} % of the scores of the last {RECENT_DAYS} days have a warning; over "
        f"the whole time it is {100 * before:.0f} %.",
        "CRM admin: look at the warnings in the answers, and correct what is sent."
        if verdict is Verdict.WATCH
        else "",
        {"share": share, "all": before},
        rows,
    )
