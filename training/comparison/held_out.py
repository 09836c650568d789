"""The moments that a training stores, and predictions of a version for leads it has not seen.

A registered model was refitted on all mature moments, its own test leads among them, so its
scores of these leads today would look too good. Each training therefore stores a table of its
moments, with the log-odds of the model that was fitted without the test leads. Leads that are
not in this table are scored by the registered model itself.
"""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crm.arrays import Floats, Hashes, Ints, Labels, Strings
from crm.errors import TrackingError
from crm.records import Records
from features.moments import Moments
from models.artifact import LoadedModel
from models.fitting.split import Split
from models.registry.registry import Registry
from models.scorer import LeadScorer

MOMENTS_FILE = "moments.parquet"


@dataclass(frozen=True)
class StoredMoments:
    """The moments of a training, one row each, without personal data.

    Attributes
    ----------
    lead : ndarray of uint64, shape (n,)
        Keys of `lead_keys`.
    as_of : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC; `NOT_A_TIME` without times.
    role : ndarray of str, shape (n,)
        "train", "test" or "embargoed".
    label : ndarray of int8, shape (n,)
    margin : ndarray of float64, shape (n,)
        Calibrated log-odds of the test moments, from a model that was fitted on the training
        moments only; nan for the other moments.
    """

    lead: Hashes
    as_of: Ints
    role: Strings
    label: Labels
    margin: Floats

    @classmethod
    def of_training(
        cls, name: str, records: Records, moments: Moments, split: Split, test_log_odds: Floats
    ) -> "StoredMoments":
        """List the moments of a training with their roles and held-out log-odds.

        Parameters
        ----------
        name : str
            The name of the project.
        records : Records
        moments : Moments, length n
            All mature moments.
        split : Split
            The split of these moments.
        test_log_odds : ndarray of float64, shape (len(split.test),)

        Returns
        -------
        StoredMoments, length n
        """
        position = _lead_and_time(moments)
        role = np.full(len(moments), "embargoed")
        role[position.get_indexer(_lead_and_time(split.train))] = "train"
        at_test = position.get_indexer(_lead_and_time(split.test))
        role[at_test] = "test"
        log_odds = np.full(len(moments), np.nan)
        log_odds[at_test] = test_log_odds
        keys = lead_keys(records.leads["lead_id"], name)[moments.lead]
        return cls(lead=keys, as_of=moments.as_of, role=role, label=moments.label, margin=log_odds)

    def to_parquet(self) -> bytes:
        """Return the table as a Parquet file."""
        file = io.BytesIO()
        self.table().to_parquet(file, index=False)
        return file.getvalue()

    def table(self, role: str | None = None) -> pd.DataFrame:
        """Return the moments as a table, all or those of one role."""
        table = pd.DataFrame(dict(vars(self)) | {"role": self.role.astype(object)})
        return table if role is None else table[table["role"] == role]

    @classmethod
    def from_parquet(cls, content: bytes) -> "StoredMoments":
        """Read a table that `to_parquet` wrote."""
        table = pd.read_parquet(io.BytesIO(content))
        return cls(
            lead=table["lead"].to_numpy(np.uint64),
            as_of=table["as_of"].to_numpy(np.int64),
            role=table["role"].to_numpy(np.str_),
            label=table["label"].to_numpy(np.int8),
            margin=table["margin"].to_numpy(np.float64),
        )


def lead_keys(lead_id: pd.Series, name: str) -> Hashes:
    """Compute a number for each lead that identifies it within one project only.

    Parameters
    ----------
    lead_id : Series of str, shape (n,)
    name : str
        The name of the project. The same lead has another number in another project.

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
    digests = (hashlib.sha256(f"{name}\0{lead}".encode()).digest()[:8] for lead in lead_id)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class Contender:
    """A version that is compared with another.

    Attributes
    ----------
    version : str
    scorer : LeadScorer
        The registered model.
    stored : StoredMoments or None
        None if its training stored no moments; then no lead counts as unseen.
    """

    version: str
    scorer: LeadScorer
    stored: StoredMoments | None

    @classmethod
    def read(
        cls, registry: Registry, version: str, loaded: LoadedModel | None = None
    ) -> "Contender":
        """Load the stored moments of a version, and its model unless `loaded` is given.

        Raises
        ------
        ArtifactError
            If the model does not verify.
        TrackingError
            If MLflow refuses, or the stored moments are damaged.
        """
        content = registry.run_file(version, MOMENTS_FILE)
        try:
            stored = None if content is None else StoredMoments.from_parquet(content)
        except (KeyError, TypeError, ValueError):
            raise TrackingError(
                f"{MOMENTS_FILE}, which the training of version {version} stored, is damaged. "
                "Put it back into its MLflow run, or train again."
            ) from None
        return cls(version, (loaded or registry.load(version)).scorer, stored)

    def recognises_leads(self, records: Records) -> bool:
        """Check whether the leads that the version has seen can be recognised in the records.

        They can if the leads have ids, or the leads table is the one the version learned from.
        """
        return records.has_ids or self.scorer.card.digests.get("leads") == records.digests["leads"]


def held_out_log_odds(
    contender: Contender, records: Records, moments: Moments, name: str
) -> Floats:
    """Compute the log-odds that a version gives to moments it has not learned from.

    A test moment of its training gets the stored log-odds, if its label has not changed since.
    A lead that was not in its training is scored by the registered model. All other moments get
    nan, because the version learned from them or may have.

    Parameters
    ----------
    contender : Contender
    records : Records
        Today's records.
    moments : Moments, length n
        Moments of these records.
    name : str
        The name of the project.

    Returns
    -------
    ndarray of float64, shape (n,)
        Calibrated log-odds; nan for moments that the version learned from or may have.
    """
    log_odds, stored, scorer = np.full(len(moments), np.nan), contender.stored, contender.scorer
    if stored is None or not contender.recognises_leads(records):
        return log_odds
    keys = lead_keys(records.leads["lead_id"], name)[moments.lead]
    is_test = stored.role == "test"
    test_moments = pd.MultiIndex.from_arrays([stored.lead[is_test], stored.as_of[is_test]])
    position = test_moments.get_indexer(pd.MultiIndex.from_arrays([keys, moments.as_of]))
    rows = np.flatnonzero(position >= 0)
    rows = rows[stored.label[is_test][position[rows]] == moments.label[rows]]
    log_odds[rows] = stored.margin[is_test][position[rows]]
    is_new = ~np.isin(keys, stored.lead)
    if is_new.any():
        features = scorer.pipeline.transform(records, moments.lead[is_new], moments.as_of[is_new])
        log_odds[is_new] = scorer.log_odds_of(features)
    return log_odds


def _lead_and_time(moments: Moments) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([moments.lead, moments.as_of])
