"""The moments that a training stores, to compare versions on what they have not learned from.

A registered model was refitted on all mature moments, its own test leads among them, so its
scores of these leads today would look too good. Each training therefore stores a table of its
moments, with the log-odds of models that were fitted without them: the test moments have those of
the model that was fitted without the test leads, and other cut-offs have models of their own
(`training.rolling`).
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Floats, Hashes, Ints, Labels, Strings
from crm.errors import TrackingError
from crm.project import LearnKeys
from crm.records import Records
from crm.times import DAY, NOT_A_TIME
from features.immature import ImmatureMoments
from features.moments import Moments
from models.fitting.split import Split
from models.registry.registry import Registry
from training.rolling import CutOff, LaterCutOff

MOMENTS_FILE: Final = "moments.parquet"
UNKNOWN: Final = -1  # the label of a moment whose horizon was not over


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
    later_margin : ndarray of float64, shape (n,)
        Calibrated log-odds from a model that learned as long as the champion of that day, and not
        from the lead; nan for leads that it learned from, or if there is no later cut-off.
    later_cutoff : ndarray of int64, shape (n,)
        The later cut-off; `NOT_A_TIME` without its log-odds.
    """

    lead: Hashes
    as_of: Ints
    role: Strings
    label: Labels
    margin: Floats
    cutoff: Ints
    later_margin: Floats
    later_cutoff: Ints

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
        later: LaterCutOff | None = None,
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
        later : LaterCutOff, optional
            A cut-off after the beginning of the test.

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
        later_log_odds = np.full(len(moments), np.nan)
        later_cutoff = np.full(len(moments), NOT_A_TIME)
        if later is not None:
            rows = position.get_indexer(_lead_and_time(later.test))
            later_log_odds[rows] = later.margin
            later_cutoff[rows] = later.until
        keys = lead_keys(records.leads["lead_id"], name)
        stored = cls(
            lead=keys[moments.lead],
            as_of=moments.as_of,
            role=role,
            label=moments.label,
            margin=log_odds,
            cutoff=cutoff,
            later_margin=later_log_odds,
            later_cutoff=later_cutoff,
        )
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
            later_margin=np.append(self.later_margin, np.full(n, np.nan)),
            later_cutoff=np.append(self.later_cutoff, np.full(n, NOT_A_TIME)),
        )

    @property
    def learned_to(self) -> int:
        """The last mature moment that the training learned from; `NOT_A_TIME` without times."""
        return int(self.as_of[self.label != UNKNOWN].max(initial=NOT_A_TIME))

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
        Later cut-offs came after them.
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
        nothing = table.assign(later_margin=np.nan, later_cutoff=NOT_A_TIME)
        later = table if "later_margin" in table else nothing
        return cls(
            lead=table["lead"].to_numpy(np.uint64),
            as_of=as_of,
            role=table["role"].to_numpy(np.str_),
            label=table["label"].to_numpy(np.int8),
            margin=margin,
            cutoff=cutoff,
            later_margin=later["later_margin"].to_numpy(np.float64),
            later_cutoff=later["later_cutoff"].to_numpy(np.int64),
        )


def read_stored(registry: Registry, version: str) -> StoredMoments | None:
    """Read the moments that the training of a version stored; None if it stored none.

    Raises
    ------
    TrackingError
        If MLflow refuses, or the stored moments are damaged.
    """
    content = registry.run_file(version, MOMENTS_FILE)
    if content is None:
        return None
    try:
        return StoredMoments.from_parquet(content)
    except (KeyError, TypeError, ValueError):
        raise TrackingError(
            f"{MOMENTS_FILE}, which the training of version {version} stored, is damaged. "
            "Put it back into its MLflow run, or train again."
        ) from None


def champion_until(registry: Registry, learn: LearnKeys) -> int | None:
    """Return when the last label that the champion learned from was known.

    Parameters
    ----------
    registry : Registry
    learn : LearnKeys
        The key `horizon_days` of the project.

    Returns
    -------
    int or None
        Microseconds since 1970 UTC. None without a champion, without times, or if its stored
        moments are missing or damaged; the gates say so.
    """
    with registry.errors():
        champion = registry.find_champion()
    if champion is None:
        return None
    try:
        stored = read_stored(registry, champion)
    except TrackingError:
        return None
    if stored is None or stored.learned_to == NOT_A_TIME:
        return None
    return stored.learned_to + int(learn.horizon_days * DAY)


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


def _lead_and_time(moments: Moments) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([moments.lead, moments.as_of])
