"""Predictions of a version for leads that it has not learned from.

Leads that the training of a version held out have stored log-odds
(`training.comparison.stored_moments`). Leads that it did not know are scored by the registered
model itself.

To compare two versions, the models that represent the newer one must know at least what those of
the older one know. A champion that was trained after the test of the newer version began knows
more than the model of that test. So a training evaluates a model at a later cut-off too: the time
until which the champion of that day had learned.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints
from crm.records import Records
from crm.times import NOT_A_TIME
from features.moments import Moments
from models.artifact import LoadedModel
from models.registry.registry import Registry
from models.scorer import LeadScorer
from training.comparison.stored_moments import StoredMoments, lead_keys, read_stored

SINCE_TRAINING: Final = np.iinfo(np.int64).max  # the cut-off of leads that came after the training


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
        stored = read_stored(registry, version)
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
    learned_until : int
        When the last label that the registered model learned from was known, in microseconds
        since 1970 UTC; `SINCE_TRAINING` without times.
    later : LaterLogOdds or None
        The log-odds at the later cut-off; None without one.
    """

    log_odds: Floats
    cutoff: Ints
    test_begins: int
    learned_until: int = SINCE_TRAINING
    later: "LaterLogOdds | None" = None

    @classmethod
    def constant(cls, n: int, log_odds: float) -> "HeldOut":
        """Return the same log-odds for n moments, as one cut-off."""
        never = np.full(n, NOT_A_TIME)
        return cls(np.full(n, log_odds), never, NOT_A_TIME, learned_until=NOT_A_TIME)

    @property
    def newest(self) -> "HeldOut":
        """Only the log-odds of the test, and of leads that came after the training."""
        is_newest = self.cutoff >= self.test_begins
        return replace(self, log_odds=np.where(is_newest, self.log_odds, np.nan))

    @property
    def knows_until(self) -> Ints:
        """The time until which each moment's model had learned, shape (n,)."""
        return np.where(self.cutoff == SINCE_TRAINING, self.learned_until, self.cutoff)

    def knowing_as_much_as(self, older: "HeldOut") -> "HeldOut":
        """Keep the log-odds of models that know at least what those of an older version know.

        Where the model of the test knows less, that of the later cut-off takes its place, if it
        knows enough.

        Parameters
        ----------
        older : HeldOut, length n
            A version that learned until an earlier time.

        Returns
        -------
        HeldOut, length n
        """
        needed = older.knows_until
        log_odds = np.where(self.knows_until >= needed, self.log_odds, np.nan)
        cutoff = self.cutoff.copy()
        if self.later is not None:
            is_later = (self.knows_until < needed) & (self.later.cutoff >= needed)
            log_odds[is_later] = self.later.log_odds[is_later]
            cutoff[is_later] = self.later.cutoff[is_later]
        return replace(self, log_odds=log_odds, cutoff=cutoff)


class LaterLogOdds(NamedTuple):
    """Log-odds at a later cut-off.

    Attributes
    ----------
    log_odds : ndarray of float64, shape (n,)
        nan for moments that the model learned from or may have.
    cutoff : ndarray of int64, shape (n,)
        `NOT_A_TIME` without log-odds.
    """

    log_odds: Floats
    cutoff: Ints


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
    held_out = np.flatnonzero(~np.isnan(stored.margin) | ~np.isnan(stored.later_margin))
    held_out_moments = pd.MultiIndex.from_arrays([stored.lead[held_out], stored.as_of[held_out]])
    position = held_out_moments.get_indexer(pd.MultiIndex.from_arrays([keys, moments.as_of]))
    rows = np.flatnonzero(position >= 0)
    rows = rows[stored.label[held_out[position[rows]]] == moments.label[rows]]
    found = held_out[position[rows]]
    log_odds[rows], cutoff[rows] = stored.margin[found], stored.cutoff[found]
    later = LaterLogOdds(np.full(len(moments), np.nan), np.full(len(moments), NOT_A_TIME))
    later.log_odds[rows], later.cutoff[rows] = (
        stored.later_margin[found],
        stored.later_cutoff[found],
    )
    is_new = ~np.isin(keys, stored.lead)
    if is_new.any():
        features = scorer.pipeline.transform(records, moments.lead[is_new], moments.as_of[is_new])
        log_odds[is_new] = scorer.log_odds_of(features)
        cutoff[is_new] = SINCE_TRAINING
    return HeldOut(
        log_odds,
        cutoff,
        int(stored.cutoff.max()),
        learned_until=_known_at(stored.learned_to, moments),
        later=later,
    )


def _known_at(as_of: int, moments: Moments) -> int:
    """Return when the label of a moment is known; `SINCE_TRAINING` without times."""
    if as_of == NOT_A_TIME or not moments.has_times:
        return int(SINCE_TRAINING)
    return as_of + int(moments.known_at[0] - moments.as_of[0])
