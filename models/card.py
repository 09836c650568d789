"""ModelCard: what the model is, what it learned from, what it is good and bad at."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


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
        What counts as won, and within how many days.
    features : list of str
        What the model looks at.
    left_out : list of dict
        Columns it does not look at: `column`, `reason`.
    test : dict
        Metrics on the newest leads, each with its interval.
    baselines : dict of dict
        The same for the base rate and a logistic regression on the same leads.
    estimator : dict
        What was fitted, with which settings.
    digests : dict of str to str
        SHA-256 of each table it learned from.
    versions : dict of str to str
        Of Python and the packages that shape the result.
    notes : list of str
        What was repaired while reading, and other warnings.
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

    def to_json(self) -> dict[str, Any]:
        """Give the card as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "ModelCard":
        """Rebuild a card from `to_json`."""
        return cls(**{entry.name: state[entry.name] for entry in fields(cls)})
