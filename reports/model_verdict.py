"""The verdict about the model of a report, in the words that each page uses.

A number that comes from a model is worth as much as the model. So the verdict of the model card
is on the first page, on the page about the score, and beside every statement that rests on the
model (`reports.metrics` says which numbers do).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.card import ModelCard

WORDS = {
    "ready": "ready",
    "usable": "usable, with reservations",
    "not ready": "not ready",
}

# Why a model without a champion to compare with was refused, by the gate that it did not pass.
REFUSALS = {
    "LG101": "its chances fit the outcomes worse than the average chance for every lead",
    "LG102": "its order of the leads is worse than a random order",
    "LG103": "its chances are clearly too high or too low",
    "LG104": "it reads columns that may contain the outcome",
    "LG105": "for some kinds of leads its chances are worse than the average chance",
    "LG106": "it could not be loaded, or its scores are not those that it had when it was saved",
    "LG107": "its scores have another scale, or predict something else",
    "LG108": "its chances fit the newest leads worse than the average chance for every lead",
}


@dataclass(frozen=True)
class RefusedModel:
    """A model that was trained and is not the champion, so that no report shows its scores.

    Attributes
    ----------
    version : str
    failed : tuple of str
        Number and name of each gate that it did not pass; empty if no gate was run.
    card : ModelCard or None
        Its card; None if it cannot be loaded.
    """

    version: str
    failed: tuple[str, ...] = ()
    card: ModelCard | None = None


@dataclass(frozen=True)
class ModelVerdict:
    """The verdict about the quality of the model.

    Attributes
    ----------
    level : str
        A key of `WORDS`; "not assessed" if the card has no verdict; "refused" if a model was
        trained and is not the champion; "none" if no model was trained.
    sentence : str
        The verdict, for the first page.
    reasons : tuple of str
        Sentences of the model card; those against the model come first.
    """

    level: str
    sentence: str
    reasons: tuple[str, ...] = ()

    @property
    def has_model(self) -> bool:
        """True if the report shows scores of a model."""
        return self.level not in ("none", "refused")

    @property
    def beside(self) -> str:
        """The sentence beside a statement that rests on the model."""
        if self.level in WORDS:
            return f"Verdict of the model: {WORDS[self.level]}."
        return "Verdict of the model: not assessed."

    def needs(self, what: str) -> str:
        """Return what a section without a model would show, and why there is none."""
        return f"{what} {self.sentence}"

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        return {"level": self.level, "sentence": self.sentence, "reasons": list(self.reasons)}


NO_MODEL = ModelVerdict("none", "No model was trained yet: train one with leadscore train.")


def verdict_of(
    card: ModelCard | None, refused: RefusedModel | None = None, *, is_part: bool = False
) -> ModelVerdict:
    """Return the verdict about the model of a report.

    Parameters
    ----------
    card : ModelCard or None
        The card of the champion; None if there is none.
    refused : RefusedModel or None
        The newest trained model. Given only if there is no champion.
    is_part : bool
        True if the report is about some of the leads only.

    Examples
    --------
    >>> refused = RefusedModel("1", ("LG103 calibration",))
    >>> verdict_of(None, refused).sentence.partition(": ")[2]
    'its chances are clearly too high or too low (LG103).'
    """
    if card is None:
        return NO_MODEL if refused is None else _refused(refused)
    level, reasons = _of_card(card.readiness)
    if level == "not assessed":
        sentence = "It is not known how good the model is: its card has no verdict."
    else:
        trust = {
            "ready": "Its score can be used.",
            "usable": "Use its score with care.",
            "not ready": "Do not rely on its score.",
        }
        sentence = f"The model is {WORDS[level]}. {trust[level]}"
    if is_part:
        sentence += " This verdict is about all leads, not only those of this report."
    return ModelVerdict(level, sentence, reasons)


def _refused(model: RefusedModel) -> ModelVerdict:
    if not model.failed:
        sentence = (
            f"A model was trained, version {model.version}, and is not in use: no version is the "
            "champion."
        )
    else:
        sentence = (
            f"A model was trained, version {model.version}, and refused: "
            f"{'; '.join(map(_refusal, model.failed))}."
        )
    if model.card is None:
        return ModelVerdict("refused", sentence)
    level, reasons = _of_card(model.card.readiness)
    if level in WORDS:
        sentence += f" Its verdict: {WORDS[level]}."
    return ModelVerdict("refused", sentence, reasons)


def _refusal(failed: str) -> str:
    """Format the reason of a refusal from the number and the name of a gate."""
    number, _, name = failed.partition(" ")
    return f"{REFUSALS.get(number, name)} ({number})"


def _of_card(readiness: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    level = readiness.get("verdict")
    reasons = tuple(map(str, readiness.get("reasons", ())))
    return (str(level) if level in WORDS else "not assessed"), reasons
