"""Defines what a monitoring check returns, and declares the checks with their questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Verdict(StrEnum):
    """The result of a check; the later ones are worse."""

    UNKNOWN = "unknown"
    FINE = "fine"
    WATCH = "watch"
    ACT = "act"

    @property
    def rank(self) -> int:
        """The position among all verdicts; larger is worse."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class Question:
    """What a check asks.

    Attributes
    ----------
    topic : str
        The heading under which the check is shown.
    text : str
        The question, in plain words.
    retrains : bool
        True if a new model may help, so that `leadscore retrain` trains when the check says act.
    """

    topic: str
    text: str
    retrains: bool = False


GIVEN, CHAMPION = "The scores that were given", "The champion on newer leads"
INPUTS, SCORES = "The leads", "The scores"
CONTROL, SHADOW = "The control group", "The shadow"

# A number is never reused for another check.
QUESTIONS: Final[dict[str, Question]] = {
    "LM101": Question(GIVEN, "Did the stated chances come true?"),
    "LM102": Question(GIVEN, "Did leads with better scores win more often?"),
    "LM103": Question(GIVEN, "Did each grade win as often as stated?"),
    "LM104": Question(GIVEN, "Does sales work the leads with good grades first?"),
    "LM105": Question(GIVEN, "Do the stated chances hold in each group of leads?"),
    "LM201": Question(CHAMPION, "Do the chances that the champion states come true?", True),
    "LM202": Question(CHAMPION, "Does the champion still rank leads as well as promised?", True),
    "LM203": Question(CHAMPION, "Does each grade win as often as stated?", True),
    "LM204": Question(CHAMPION, "Do as many early wins come as expected?", True),
    "LM205": Question(CHAMPION, "Did earlier estimates of the quality come true?", True),
    "LM206": Question(CHAMPION, "How good will the newest scores be?"),
    "LM301": Question(INPUTS, "Are attributes as often filled as in training?"),
    "LM302": Question(INPUTS, "Do the values of attributes still mean what they meant?"),
    "LM303": Question(INPUTS, "Are the leads like those that the model learned from?", True),
    "LM304": Question(INPUTS, "Do as many leads arrive from each source as usual?"),
    "LM305": Question(INPUTS, "Do all types of activities still arrive?"),
    "LM306": Question(INPUTS, "Do outcomes arrive, and as fast as before?"),
    "LM401": Question(SCORES, "Do the grades have the shares that they had in training?"),
    "LM402": Question(SCORES, "Do scores rise while conversion falls?"),
    "LM403": Question(SCORES, "How many scores have a warning?"),
    "LM501": Question(CONTROL, "What is prioritising by score worth?"),
    "LM502": Question(CONTROL, "Does sales respect the lanes?"),
    "LM601": Question(SHADOW, "Does the shadow predict outcomes better than the given scores?"),
}


@dataclass(frozen=True)
class Check:
    """The result of a monitoring check.

    Attributes
    ----------
    number : str
        A key of `QUESTIONS`.
    verdict : Verdict
    evidence : str
        One or two sentences with the figures.
    next_step : str
        What to do, and who does it; empty if there is nothing to do.
    figures : mapping of str to number
        The figures, for programs and charts.
    rows : sequence of mapping
        A table with the details; empty if there is none.
    """

    number: str
    verdict: Verdict
    evidence: str
    next_step: str = ""
    figures: Mapping[str, float | int | None] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()

    @property
    def question(self) -> Question:
        """What the check asks."""
        return QUESTIONS[self.number]

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain data."""
        return {
            "number": self.number,
            "topic": self.question.topic,
            "question": self.question.text,
            "verdict": str(self.verdict),
            "evidence": self.evidence,
            "next_step": self.next_step,
            "retrains": self.question.retrains,
            "figures": dict(self.figures),
            "rows": [dict(row) for row in self.rows],
        }


def unknown(number: str, why: str, next_step: str = "") -> Check:
    """Return the result of a check that cannot be made, with the reason in a sentence."""
    return Check(number, Verdict.UNKNOWN, why, next_step)


def worst(checks: Sequence[Check]) -> Verdict:
    """Return the worst verdict.

    Examples
    --------
    >>> str(worst([Check("LM101", Verdict.FINE, ""), unknown("LM102", "")]))
    'fine'
    """
    return max((check.verdict for check in checks), key=lambda v: v.rank, default=Verdict.UNKNOWN)
