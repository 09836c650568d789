"""Fair comparison of two models on the same newest leads.

A registered model has been refitted on every mature moment, its own test leads among them, so
judging it by what it says of them now would flatter it. Each training therefore leaves a table
of its moments with the margins that a model gave which had not seen them; leads that came later
are scored by the registered model itself. Any two models are compared where both have such an
honest margin.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Floats, Hashes, Ints, Labels, Strings
from crm.errors import TrackingError
from crm.project import Project
from crm.records import Records
from features.moments import Moments, make_moments
from models.artifact import LoadedModel
from models.card import question_in_words, question_of, same_question
from models.evaluation.intervals import percentiles, resamples
from models.evaluation.metrics import FEWEST_TO_JUDGE, MODEL_METRICS, measure
from models.registry.registry import Registry
from models.scorer import LeadScorer
from training.split import Split

JUDGED_FILE = "moments.parquet"


@dataclass(frozen=True)
class JudgedTable:
    """What a training leaves of its moments, without anything personal.

    Attributes
    ----------
    lead : ndarray of uint64, shape (n,)
        As `lead_keys` makes them.
    as_of : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC; `NOT_A_TIME` without times.
    role : ndarray of str, shape (n,)
        "train", "test" or "embargoed".
    label : ndarray of int8, shape (n,)
    margin : ndarray of float64, shape (n,)
        Calibrated log-odds of the test moments, from a model that learned from the training
        moments only; nan elsewhere.
    """

    lead: Hashes
    as_of: Ints
    role: Strings
    label: Labels
    margin: Floats

    def to_parquet(self) -> bytes:
        """Write the table as a Parquet file."""
        file = io.BytesIO()
        columns = dict(vars(self)) | {"role": self.role.astype(object)}
        pd.DataFrame(columns).to_parquet(file, index=False)
        return file.getvalue()

    @classmethod
    def from_parquet(cls, content: bytes) -> "JudgedTable":
        """Read the table that `to_parquet` wrote."""
        table = pd.read_parquet(io.BytesIO(content))
        return cls(
            lead=table["lead"].to_numpy(np.uint64),
            as_of=table["as_of"].to_numpy(np.int64),
            role=table["role"].to_numpy(np.str_),
            label=table["label"].to_numpy(np.int8),
            margin=table["margin"].to_numpy(np.float64),
        )


def judged_table(
    name: str, records: Records, moments: Moments, split: Split, test_margin: Floats
) -> JudgedTable:
    """List the moments of a training with their roles and honest margins.

    Parameters
    ----------
    name : str
        The project's.
    records : Records
    moments : Moments, length n
        All mature ones.
    split : Split
        Of these moments.
    test_margin : ndarray of float64, shape (len(split.test),)

    Returns
    -------
    JudgedTable, length n
    """
    where = _pairs(moments)
    role = np.full(len(moments), "embargoed")
    role[where.get_indexer(_pairs(split.train))] = "train"
    at_test = where.get_indexer(_pairs(split.test))
    role[at_test] = "test"
    margin = np.full(len(moments), np.nan)
    margin[at_test] = test_margin
    keys = lead_keys(records.leads["lead_id"], name)[moments.lead]
    return JudgedTable(keys, moments.as_of, role, moments.label, margin)


def _pairs(moments: Moments) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([moments.lead, moments.as_of])


def lead_keys(lead_id: pd.Series, name: str) -> Hashes:
    """Give each lead a number that names it within a project, and nowhere else.

    Parameters
    ----------
    lead_id : Series of str, shape (n,)
    name : str
        The project's: the same lead has other numbers in other projects.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The first eight bytes of a SHA-256.

    Examples
    --------
    >>> keys = lead_keys(pd.Series(["L1", "L2", "L1"]), "acme")
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    >>> bool(keys[0] == lead_keys(pd.Series(["L1"]), "other")[0])
    False
    """
    digests = (hashlib.sha256(f"{name}\0{one}".encode()).digest()[:8] for one in lead_id)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class Side:
    """A version that is compared.

    Attributes
    ----------
    version : str
    scorer : LeadScorer
        As it is deployed.
    judged : JudgedTable or None
        None if its training left none, and then nothing is honest.
    """

    version: str
    scorer: LeadScorer
    judged: JudgedTable | None

    @classmethod
    def read(cls, registry: Registry, version: str, loaded: LoadedModel | None = None) -> "Side":
        """Fetch a version, if it is not loaded already, and its table."""
        content = registry.run_file(version, JUDGED_FILE)
        try:
            judged = None if content is None else JudgedTable.from_parquet(content)
        except (KeyError, TypeError, ValueError):
            raise TrackingError(
                f"{JUDGED_FILE}, which the training of version {version} left, is damaged. "
                "Put it back into its MLflow run, or train again."
            ) from None
        return cls(version, (loaded or registry.load(version)).scorer, judged)


def why_unfair(side: Side, records: Records, project: Project) -> list[str]:
    """Say why today's records cannot judge a version fairly, and what to do; empty if they can.

    Parameters
    ----------
    side : Side
    records : Records
        As they are now.
    project : Project

    Returns
    -------
    list of str
        Sentences.
    """
    said = []
    asks, asked = side.scorer.card.question, question_of(project, records.has_times)
    if not same_question(asks, asked):
        said.append(
            f"Version {side.version} answers another question, {question_in_words(asks)}, than "
            f"the project file asks now, by which leads are judged: {question_in_words(asked)}. "
            "Put [learn] back, or take versions that answer the new one."
        )
    if not _knows_who_is_who(side, records):
        said.append(
            "The leads have no id, only the numbers of their rows, and version "
            f"{side.version} learned from another table than today's: nobody can tell which of "
            "today's leads it knows. Name [leads] lead_id and train again; without ids, versions "
            "are compared only on the very table that they learned from."
        )
    gone = lacking(side.scorer, records)
    if gone:
        said.append(
            f"Version {side.version} learned from {', '.join(gone)}, which today's records lack, "
            "so it is judged by less than it knew. Put back what is missing from the export; what "
            "models shall do without stays there and is named in [columns] ignore. What is gone "
            "for good is a reason to overrule this on record."
        )
    return said


def lacking(scorer: LeadScorer, records: Records) -> list[str]:
    """Name the columns and tables that a model looks at and that hold nothing any more."""
    leads = records.leads
    columns = [
        f"`{column}`"
        for column in scorer.pipeline.columns
        if column not in leads.columns or leads[column].isna().all()
    ]
    tables = dict.fromkeys(feature.table for feature in scorer.pipeline.features)
    return columns + [f"the table {name}" for name in tables if getattr(records, name) is None]


def _knows_who_is_who(side: Side, records: Records) -> bool:
    """Tell whether leads can be found again that a version learned from."""
    return records.has_ids or side.scorer.card.digests.get("leads") == records.digests["leads"]


def honest_margins(side: Side, records: Records, moments: Moments, name: str) -> Floats:
    """Give what a version says of moments that it cannot have learned from.

    A moment that judged the version, and still has the label that it had then, has the margin
    from then. A lead that the version never met gets the margin of the version as it is
    deployed. Everything else the version learned from, or may have.

    Parameters
    ----------
    side : Side
        The version.
    records : Records
        As they are now.
    moments : Moments, length n
        Of these records.
    name : str
        The project's.

    Returns
    -------
    ndarray of float64, shape (n,)
        Calibrated log-odds; nan where there is no honest answer.
    """
    margin, judged, scorer = np.full(len(moments), np.nan), side.judged, side.scorer
    if judged is None or not _knows_who_is_who(side, records):
        return margin
    keys = lead_keys(records.leads["lead_id"], name)[moments.lead]
    is_test = judged.role == "test"
    table = pd.MultiIndex.from_arrays([judged.lead[is_test], judged.as_of[is_test]])
    at = table.get_indexer(pd.MultiIndex.from_arrays([keys, moments.as_of]))
    hit = np.flatnonzero(at >= 0)
    hit = hit[judged.label[is_test][at[hit]] == moments.label[hit]]
    margin[hit] = judged.margin[is_test][at[hit]]
    is_new = ~np.isin(keys, judged.lead)
    if is_new.any():
        features = scorer.pipeline.transform(records, moments.lead[is_new], moments.as_of[is_new])
        margin[is_new] = scorer.log_odds_of(features)
    return margin


@dataclass(frozen=True)
class Contest:
    """The moments on which two sides can be compared, with what each says of them.

    Attributes
    ----------
    moments : Moments, length n
    one, other : ndarray of float64, shape (n,)
        Honest margins; without gaps.
    """

    moments: Moments
    one: Floats
    other: Floats

    @classmethod
    def of(cls, moments: Moments, one: Floats, other: Floats) -> "Contest":
        """Keep the moments for which both sides have an honest margin."""
        both = ~np.isnan(one) & ~np.isnan(other)
        return cls(moments.take(both), one[both], other[both])

    @property
    def rarer(self) -> int:
        """How many leads have the rarer outcome; a lead may have moments of both."""
        return self.moments.rarer


@dataclass(frozen=True)
class Difference:
    """One metric of both sides, and the paired difference.

    Attributes
    ----------
    metric : str
    one, other : float
    low, high : float
        95 % bootstrap interval of one - other: whole leads are drawn, the same for both.
    """

    metric: str
    one: float
    other: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """One - other."""
        return self.one - self.other


def differences(contest: Contest, seed: int) -> dict[str, Difference]:
    """Compare the two sides of a contest in every metric.

    Parameters
    ----------
    contest : Contest
        With both outcomes among its moments.
    seed : int

    Returns
    -------
    dict of str to Difference

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, percentile intervals; the
    difference is taken within each resample, so what makes leads hard for both cancels out.
    """
    label, weight = contest.moments.label, contest.moments.weight
    values = [measure(margin, label, weight) for margin in (contest.one, contest.other)]
    draws: dict[str, list[float]] = {name: [] for name in MODEL_METRICS}
    for times in resamples(contest.moments.lead, seed):
        drawn = weight * times
        if not 0 < drawn @ label < drawn.sum():
            continue
        one, other = (measure(side, label, drawn) for side in (contest.one, contest.other))
        for name in MODEL_METRICS:
            draws[name].append(one[name] - other[name])
    return {
        name: Difference(name, values[0][name], values[1][name], *percentiles(draws[name]))
        for name in MODEL_METRICS
    }


@dataclass(frozen=True)
class Comparison:
    """Two versions on the same newest leads.

    Attributes
    ----------
    one, other : str
        Their versions.
    contest : Contest
    differences : mapping of str to Difference
        By metric; empty where there are too few to judge.
    warnings : tuple of str
        Why the comparison is not fair; empty if it is.
    """

    one: str
    other: str
    contest: Contest
    differences: Mapping[str, Difference]
    warnings: tuple[str, ...]

    @property
    def _verdict(self) -> str:
        if self.differences:
            return "judged"
        return "cannot be compared" if self.warnings else "too few to judge"

    def to_json(self) -> dict[str, Any]:
        """Give the comparison as plain data."""
        moments = self.contest.moments
        return {
            "one": self.one,
            "other": self.other,
            "n": len(moments),
            "n_leads": len(np.unique(moments.lead)),
            "n_rarer": self.contest.rarer,
            "n_needed": FEWEST_TO_JUDGE,
            "base_rate": float(moments.label.mean()) if len(moments) else None,
            "verdict": self._verdict,
            "warnings": list(self.warnings),
            "metrics": [
                {
                    "metric": found.metric,
                    "one": found.one,
                    "other": found.other,
                    "difference": found.value,
                    "interval": [found.low, found.high],
                }
                for found in self.differences.values()
            ],
        }


def compare(
    registry: Registry, project: Project, records: Records, one: str, other: str
) -> Comparison:
    """Compare two versions on the moments that neither of them learned from.

    Parameters
    ----------
    registry : Registry
    project : Project
    records : Records
        As they are now.
    one, other : str
        Versions.

    Returns
    -------
    Comparison
    """
    moments = make_moments(records, project.learn)
    sides = [Side.read(registry, version) for version in (one, other)]
    warnings = tuple(why for side in sides for why in why_unfair(side, records, project))
    margins = [honest_margins(side, records, moments, project.name) for side in sides]
    contest = Contest.of(moments, margins[0], margins[1])
    is_enough = contest.rarer >= FEWEST_TO_JUDGE
    found = differences(contest, project.learn.seed) if is_enough else {}
    return Comparison(one, other, contest, found, warnings)
