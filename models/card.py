"""ModelCard: what the model is, what it learned from, what it is good and bad at."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from crm.project import Project

NOT_FOR = (
    "Deciding on credit, insurance, employment, housing, education or any other right of a "
    "person. It says how likely a sale is, and nothing else.",
    "Being the sole ground of a decision about a person. A person decides, and can say why.",
    "Leads of another kind than it learned from: another product, market or way of getting "
    "leads. Train a model on those.",
    "Judging the people who work the leads. A low score is about the lead.",
    "Telling causes. That leads with some value win more often does not say that giving others "
    "this value would make them win.",
)

NOT_PINNED = "nothing yet"  # `scale["pinned_by"]` of what is trained before the first champion


def question_of(project: Project, has_times: bool) -> dict[str, Any]:
    """Give the question that a project's scores answer, as the card's `label` holds it.

    The words for losses and open leads are there for the service to tell an unknown word by.
    """
    learn = project.learn
    words = {"won": learn.won, "lost": learn.lost, "open": learn.open}
    return {word: list(map(str, values)) for word, values in words.items()} | {
        "horizon_days": learn.horizon_days if has_times else None
    }


def same_question(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two labels count the same as won, within the same time.

    Examples
    --------
    >>> same_question({"won": ["a", "b"], "horizon_days": 90.0},
    ...               {"won": ["b", "a"], "horizon_days": 90})
    True
    """
    return (set(one["won"]), one["horizon_days"]) == (set(other["won"]), other["horizon_days"])


def question_in_words(label: Mapping[str, Any]) -> str:
    """Say a label.

    Examples
    --------
    >>> question_in_words({"won": ["won", "signed"], "horizon_days": 90.0})
    'signed or won within 90 days'
    """
    horizon = f" within {label['horizon_days']:g} days" if label["horizon_days"] else ""
    return f"{' or '.join(sorted(label['won']))}{horizon}"


@dataclass(frozen=True)
class ModelCard:
    """Facts about one model, as plain data that goes wherever the model goes.

    Attributes
    ----------
    name : str
        The project's model name.
    simulated : bool
        True if it learned from made-up records.
    trained_at : str
        When, ISO 8601 UTC.
    learned_from : dict
        Counts of leads and moments, the window of time, what was left out and why.
    label : dict
        What counts as won, lost and open, and within how many days.
    features : list of str
        What the model looks at.
    left_out : list of dict
        Columns it does not look at: `column`, `reason`.
    test : dict
        Metrics on the newest leads, each with its interval; `how` they were chosen; and the
        rows of `by_age`, `by_grade`, `reliability` and `gains`, where they were made. Where
        nobody could be held out to judge, `not_judged` alone: why.
    baselines : dict of dict
        The metrics of the base rate and a logistic regression on the same leads.
    estimator : dict
        What was fitted, with which settings, and why.
    digests : dict of str to str
        SHA-256 of each table it learned from.
    versions : dict of str to str
        Versions of leadscore, Python and the packages that shape the result.
    notes : list of str
        What was repaired while reading, and other warnings.
    readiness : dict
        `verdict` ("ready", "usable" or "not ready") and `reasons`, sentences.
    scale : dict
        `base_rate` that scores 50, `grades` (pairs of a letter and its least score, best
        first), and `pinned_by`: who or what holds them from version to version.
    importance : list of dict
        What drives the score, the strongest first: `signal`, its `share` of all, 0 … 1, and
        `direction` in words.
    segments, fairness : list of dict
        The rows of `training.segments`.
    audit : list of dict
        What the leak audit holds of each field: `field`, `verdict`, `checks` (`number`,
        `verdict`, `evidence`), and `line`, what to put into the project file.
    not_for : list of str
        What the model must not be used for.
    """

    name: str
    simulated: bool
    trained_at: str
    learned_from: Mapping[str, Any]
    label: Mapping[str, Any]
    features: list[str]
    left_out: list[dict[str, str]]
    test: Mapping[str, Any]
    baselines: Mapping[str, Mapping[str, Any]]
    estimator: Mapping[str, Any]
    digests: Mapping[str, str]
    versions: Mapping[str, str]
    notes: list[str] = field(default_factory=list)
    readiness: Mapping[str, Any] = field(default_factory=dict)
    scale: Mapping[str, Any] = field(default_factory=dict)
    importance: list[dict[str, Any]] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    fairness: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    not_for: list[str] = field(default_factory=lambda: list(NOT_FOR))

    def to_json(self) -> dict[str, Any]:
        """Give the card as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "ModelCard":
        """Rebuild a card from `to_json`; an older card may lack what came from `readiness` on.

        Raises
        ------
        ValueError
            If a field is missing or of another kind.
        """
        return msgspec.convert(state, cls)
