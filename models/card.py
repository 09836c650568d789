"""ModelCard: what a model learned from, how good it is, and what it must not be used for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec

from crm.project import Project

NOT_FOR = (
    "Decisions about credit, insurance, employment, housing, education or any other right of a "
    "person. A score says how likely a sale is, and nothing else.",
    "Automatic decisions about a person. A human must decide, and must be able to explain why.",
    "Leads of another kind than the model learned from: another product, another market or "
    "another source of leads. Train a separate model for them.",
    "Judging the people who work on the leads. A low score is about the lead.",
    "Claims about causes. If leads with a value win more often, it does not follow that giving "
    "other leads this value would make them win.",
)

KEYS = {"question": "label"}  # attributes of the card whose JSON key has another name
NOT_PINNED = "nothing yet"  # `scale["pinned_by"]` of a model trained before the first champion


def question_of(project: Project, has_times: bool) -> dict[str, Any]:
    """Return the question that a project's scores answer, as the card's `question` stores it.

    The words for lost and open leads are part of it, because the service needs them to
    recognise an unknown outcome.

    Returns
    -------
    dict
        `won`, `lost` and `open` (lists of words), and `horizon_days`, which is None if the
        leads have no time of creation.
    """
    learn = project.learn
    words = {"won": learn.won, "lost": learn.lost, "open": learn.open}
    return {word: list(map(str, values)) for word, values in words.items()} | {
        "horizon_days": learn.horizon_days if has_times else None
    }


def same_question(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether two questions count the same outcomes as won within the same time.

    Examples
    --------
    >>> same_question({"won": ["a", "b"], "horizon_days": 90.0},
    ...               {"won": ["b", "a"], "horizon_days": 90})
    True
    """
    return (set(first["won"]), first["horizon_days"]) == (
        set(second["won"]),
        second["horizon_days"],
    )


def question_in_words(question: Mapping[str, Any]) -> str:
    """Format a question for a sentence.

    Examples
    --------
    >>> question_in_words({"won": ["won", "signed"], "horizon_days": 90.0})
    'signed or won within 90 days'
    """
    horizon = f" within {question['horizon_days']:g} days" if question["horizon_days"] else ""
    return f"{' or '.join(sorted(question['won']))}{horizon}"


def used_remedies(estimator: Mapping[str, Any], *, with_half_life: bool = True) -> str:
    """Name the remedies for drift that a model uses; the result is empty if it uses none.

    Examples
    --------
    >>> used_remedies({"half_life": "30 days", "newest_moments": "early wins"})
    'a half-life of 30 days and early wins'
    """
    half_life, for_newest = estimator.get("half_life"), estimator.get("newest_moments")
    used = [f"a half-life of {half_life}"] if half_life and with_half_life else []
    return " and ".join([*used, *([for_newest] if for_newest else [])])


def effect_of_remedy(remedy: Mapping[str, Any]) -> str:
    """Format whether a remedy helps, and where it does not.

    Examples
    --------
    >>> effect_of_remedy({"helps": False, "on_newest": 0.0123})
    'no: log loss +0.0123 on the newest leads'
    >>> effect_of_remedy({"helps": True, "on_newest": -0.0123})
    'yes'
    """
    if remedy["helps"]:
        return "yes"
    on_newest = remedy.get("on_newest")  # None in cards of earlier versions
    return "no" if on_newest is None else f"no: log loss {on_newest:+z.4f} on the newest leads"


def effective_size(estimator: Mapping[str, Any]) -> str:
    """Format how many leads a half-life leaves; the result is empty without a half-life.

    Examples
    --------
    >>> effective_size({"effective_leads": 812.4}).partition(" (")[0]
    'With the half-life, the model learns as if it had 812 leads that count the same'
    """
    effective = estimator.get("effective_leads")
    if effective is None:
        return ""
    return (
        f"With the half-life, the model learns as if it had {effective:,.0f} leads that count the "
        "same (Kish's effective sample size)."
    )


@dataclass(frozen=True)
class ModelCard:
    """Facts about one model, as plain data that is stored with the model.

    Attributes
    ----------
    name : str
        The project's model name.
    simulated : bool
        True if the model learned from simulated records.
    trained_at : str
        The time of the training, ISO 8601 UTC.
    learned_from : dict
        Counts of leads and moments, the window of time, what was left out and why.
    question : dict
        What counts as won, lost and open, and within how many days (`question_of`). Its key in
        JSON is `label`.
    features : list of str
        The names of the features.
    left_out : list of dict
        Columns that are not features: `column`, `reason`.
    test : dict
        Metrics on the newest leads, each with its interval; `how` these leads were chosen; and
        the rows of `by_age`, `by_cut_off`, `by_grade`, `reliability` and `gains`, where they were
        computed. `cut_offs_left_out` has the reasons for cut-offs without an evaluation.
        If no leads could be held out, it contains only `not_judged`, the reason.
    baselines : dict of dict
        The metrics of the base rate and a logistic regression on the same leads.
    estimator : dict
        What was fitted, with which settings, and why.
    digests : dict of str to str
        SHA-256 of each table that the model learned from.
    versions : dict of str to str
        The versions of leadscore, of Python and of the packages that affect the result.
    notes : list of str
        Repairs that were made while reading the records, and other warnings.
    readiness : dict
        `verdict` ("ready", "usable" or "not ready"), `reasons`, sentences for marketing and sales,
        and `technical_reasons`, the same in the terms of data science.
    scale : dict
        `base_rate` that scores 50, `grades` (pairs of a letter and its least score, best
        first), and `pinned_by`: what keeps the scale the same from version to version.
    importance : list of dict
        The signals that move scores most, strongest first: `signal`, its `share` of all
        signals' points, 0 … 1, and `direction` in words.
    segments, fairness : list of dict
        The rows of `training.segments`.
    audit : list of dict
        The result of the leak audit for each attribute: `field` (its name), `verdict`, `checks`
        (`number`, `verdict`, `evidence`), and `line`, the line to add to the project file.
    not_for : list of str
        What the model must not be used for.
    attribute_shares : list of dict
        The `AttributeShare` of each column: how often it was missing or unseen in the leads that
        the model learned from.
    left_out_rows : list of dict
        Rows of the tables that were left out while reading: `table`, `file`, `reason`, `count`,
        `lines` (the first of them), `unit` ("line" or "row"), and all of it as a `sentence`.
    reference : dict
        The `Reference`: what the moments that the model learned from looked like. Empty in cards of
        earlier versions.
    """

    name: str
    simulated: bool
    trained_at: str
    learned_from: Mapping[str, Any]
    question: Mapping[str, Any]
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
    left_out_rows: list[dict[str, Any]] = field(default_factory=list)
    attribute_shares: list[dict[str, Any]] = field(default_factory=list)
    reference: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        verdict = self.readiness.get("verdict", "no verdict")
        return (
            f"<ModelCard of {self.name!r}: {verdict}; {len(self.features)} features, trained at "
            f"{self.trained_at}>"
        )

    @property
    def data_notes(self) -> list[str]:
        """The notes, and a sentence for each reason for which rows were left out."""
        return [*self.notes, *(str(rows["sentence"]) for rows in self.left_out_rows)]

    @property
    def counts_scores(self) -> bool:
        """True if the test scores leads several times, so that it counts scores, not leads."""
        n, n_leads = self.test.get("n"), self.test.get("n_leads")
        return n is not None and n_leads is not None and n > n_leads

    @property
    def unstable_ranking(self) -> list[str]:
        """Sentences about cut-offs at which the model ranks leads no better than chance, or worse.

        Empty if it ranks them better at each, or if the card is older than these intervals.
        """
        rows = self.test.get("by_cut_off", ())
        intervals = [row["intervals"]["roc_auc"] for row in rows if "intervals" in row]
        worse = sum(high < 0.5 for _, high in intervals)
        no_better = sum(low <= 0.5 <= high for low, high in intervals)
        return [
            f"At {n} of {len(rows)} cut-offs, it ranks leads {how} chance."
            for n, how in ((worse, "worse than"), (no_better, "no better than"))
            if n
        ]

    @property
    def technical_reasons(self) -> list[str]:
        """The reasons for the verdict in the terms of data science; older cards have one form."""
        reasons = self.readiness.get("technical_reasons", self.readiness.get("reasons", ()))
        return list(map(str, reasons))

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain data."""
        return {KEYS.get(name, name): value for name, value in asdict(self).items()}

    def facts(self) -> dict[str, Any]:
        """Return the card as plain data without `reference`, which is long and for programs."""
        return {name: value for name, value in self.to_json().items() if name != "reference"}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "ModelCard":
        """Build a card from `to_json`; older cards may lack the fields from `readiness` on.

        Raises
        ------
        ValueError
            If a field is missing or has another type.
        """
        names = {key: name for name, key in KEYS.items()}
        return msgspec.convert({names.get(key, key): value for key, value in state.items()}, cls)
