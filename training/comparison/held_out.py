"""The moments that a training stores, and predictions of a version for leads it has not seen.

A registered model was refitted on all mature moments, its own test leads among them, so its
scores of these leads today would look too good. Each training therefore stores a table of its
moments, with the log-odds of models that were fitted without them: the test moments have those of
the model that was fitted without the test leads, and earlier cut-offs have models of their own
(`training.rolling`). Leads that are not in this table are scored by the registered model itself.
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from crm.arrays import Floats, Hashes, Ints, Labels, Strings
from crm.errors import TrackingError
from crm.records import Records
from crm.times import NOT_A_TIME
from features.immature import ImmatureMoments
from features.moments import Moments
from models.artifact import LoadedModel
from models.fitting.split import Split
from models.registry.registry import Registry
from models.scorer import LeadScorer
from training.rolling import CutOff

MOMENTS_FILE = "moments.parquet"
UNKNOWN = -1  # the label of a moment whose horizon was not over
SINCE_TRAINING = np.iinfo(np.int64).max  # the cut-off of leads that came after the training


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
        "train", "test", "embargoed", or "immature" if the horizon was not over and a remedy
        learned from the moment (docs/decisions/0033).
    label : ndarray of int8, shape (n,)
        1 if won, 0 if not, `UNKNOWN` for immature moments.
    margin : ndarray of float64, shape (n,)
        Calibrated log-odds from a model that was fitted without the moment; nan if there are none.
        Moments of earlier cut-offs have log-odds, and the role that they have for the test.
    cutoff : ndarray of int64, shape (n,)
        The cut-off of these log-odds, in microseconds since 1970 UTC: their model learned from
        what was known then. Without times it is the position of the first lead after it.
        `NOT_A_TIME` without log-odds.
    """

    lead: Hashes
    as_of: Ints
    role: Strings
    label: Labels
    margin: Floats
    cutoff: Ints

    @classmethod
    def of_training(
        cls,
        name: str,
        records: Records,
        moments: Moments,
        split: Split,
        test_log_odds: Floats,
        earlier: Iterable[CutOff] = (),
        immature: ImmatureMoments | None = None,
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
        earlier : iterable of CutOff
            Cut-offs before that of the test.
        immature : ImmatureMoments, length m, optional
            Further moments that the registered model learned from.

        Returns
        -------
        StoredMoments, length n + m
            The immature moments last.
        """
        position = _lead_and_time(moments)
        role = np.full(len(moments), "embargoed")
        role[position.get_indexer(_lead_and_time(split.train))] = "train"
        role[position.get_indexer(_lead_and_time(split.test))] = "test"
        log_odds = np.full(len(moments), np.nan)
        cutoff = np.full(len(moments), NOT_A_TIME)
        for cut_off in [*earlier, CutOff(split, test_log_odds)] if split.has_test else ():
            rows = position.get_indexer(_lead_and_time(cut_off.split.test))
            log_odds[rows] = cut_off.margin
            cutoff[rows] = cut_off.begins
        keys = lead_keys(records.leads["lead_id"], name)
        stored = cls(keys[moments.lead], moments.as_of, role, moments.label, log_odds, cutoff)
        return stored if immature is None else stored._with_immature(keys, immature)

    def _with_immature(self, keys: Hashes, immature: ImmatureMoments) -> "StoredMoments":
        n = len(immature)
        return StoredMoments(
            lead=np.append(self.lead, keys[immature.lead]),
            as_of=np.append(self.as_of, immature.as_of),
            role=np.append(self.role, np.full(n, "immature")),
            label=np.append(self.label, np.full(n, UNKNOWN, dtype=np.int8)),
            margin=np.append(self.margin, np.full(n, np.nan)),
            cutoff=np.append(self.cutoff, np.full(n, NOT_A_TIME)),
        )

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
        """Read a table that `to_parquet` wrote.

        Before there were cut-offs, tables had no column for them, and log-odds of the test only.
        """
        table = pd.read_parquet(io.BytesIO(content))
        as_of = table["as_of"].to_numpy(np.int64)
        margin = table["margin"].to_numpy(np.float64)
        if "cutoff" in table:
            cutoff = table["cutoff"].to_numpy(np.int64)
        else:
            is_test = ~np.isnan(margin)
            test_begins = as_of[is_test].min() if is_test.any() else NOT_A_TIME
            cutoff = np.where(is_test, test_begins, NOT_A_TIME)
        return cls(
            lead=table["lead"].to_numpy(np.uint64),
            as_of=as_of,
            role=table["role"].to_numpy(np.str_),
            label=table["label"].to_numpy(np.int8),
            margin=margin,
            cutoff=cutoff,
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


@dataclass(frozen=True)
class HeldOut:
    """Log-odds that a version gives to moments it has not learned from.

    Attributes
    ----------
    log_odds : ndarray of float64, shape (n,)
        Calibrated log-odds; nan for moments that the version learned from or may have.
    cutoff : ndarray of int64, shape (n,)
        The cut-off of each moment's model, as in `StoredMoments`. The registered model has
        `SINCE_TRAINING`.
    test_begins : int
        The cut-off of the test.
    """

    log_odds: Floats
    cutoff: Ints
    test_begins: int

    @classmethod
    def constant(cls, n: int, log_odds: float) -> "HeldOut":
        """Return the same log-odds for n moments, as one cut-off."""
        return cls(np.full(n, log_odds), np.full(n, NOT_A_TIME), NOT_A_TIME)

    @property
    def newest(self) -> "HeldOut":
        """Only the log-odds of the test, and of leads that came after the training."""
        is_newest = self.cutoff >= self.test_begins
        return replace(self, log_odds=np.where(is_newest, self.log_odds, np.nan))


def held_out_log_odds(
    contender: Contender, records: Records, moments: Moments, name: str
) -> HeldOut:
    """Compute the log-odds that a version gives to moments it has not learned from.

    A moment of the test or of an earlier cut-off gets the stored log-odds, if its label has not
    changed since. A lead that was not in the training is scored by the registered model. All other
    moments get nan, because the version learned from them or may have.

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
    HeldOut, length n
    """
    log_odds, cutoff = np.full(len(moments), np.nan), np.full(len(moments), NOT_A_TIME)
    stored, scorer = contender.stored, contender.scorer
    if stored is None or not contender.recognises_leads(records):
        return HeldOut(log_odds, cutoff, NOT_A_TIME)
    keys = lead_keys(records.leads["lead_id"], name)[moments.lead]
    held_out = np.flatnonzero(~np.isnan(stored.margin))
    held_out_moments = pd.MultiIndex.from_arrays([stored.lead[held_out], stored.as_of[held_out]])
    position = held_out_moments.get_indexer(pd.MultiIndex.from_arrays([keys, moments.as_of]))
    rows = np.flatnonzero(position >= 0)
    rows = rows[stored.label[held_out[position[rows]]] == moments.label[rows]]
    log_odds[rows] = stored.margin[held_out[position[rows]]]
    cutoff[rows] = stored.cutoff[held_out[position[rows]]]
    is_new = ~np.isin(keys, stored.lead)
    if is_new.any():
        features = scorer.pipeline.transform(records, moments.lead[is_new], moments.as_of[is_new])
        log_odds[is_new] = scorer.log_odds_of(features)
        cutoff[is_new] = SINCE_TRAINING
    return HeldOut(log_odds, cutoff, int(stored.cutoff.max()))


def _lead_and_time(moments: Moments) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([moments.lead, moments.as_of])
