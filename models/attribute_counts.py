"""Counts the missing and the unseen values of attributes, among leads as they are scored."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

import numpy as np

from crm.arrays import Bools, Floats, Indexes, Ints
from features.pipeline import FeaturePipeline

BLOCK_LEADS: Final = 500  # leads of a block; the newest one or two blocks are recent
FEW_LEADS: Final = 16  # smaller matrices are counted together
MOST_PENDING: Final = 256


@dataclass(frozen=True)
class AttributeTally:
    """The number of leads without a value, and with an unseen value, by column.

    Attributes
    ----------
    n : int
        The number of leads.
    missing : ndarray of int64, shape (n_columns,)
        Leads whose cell is empty or cannot be read, for each of `FeaturePipeline.columns`.
    unseen : ndarray of int64, shape (n_columns,)
        Leads whose value was rare or unseen in training.
    """

    n: int
    missing: Ints
    unseen: Ints

    def __add__(self, other: "AttributeTally") -> "AttributeTally":
        """Return the tally of the leads of both."""
        return AttributeTally(
            self.n + other.n, self.missing + other.missing, self.unseen + other.unseen
        )


class AttributeTallier:
    """Counts the missing and unseen values in a matrix of features.

    Parameters
    ----------
    pipeline : FeaturePipeline
    """

    def __init__(self, pipeline: FeaturePipeline) -> None:
        attributes, self.columns = pipeline.attributes, pipeline.columns
        position = {column: i for i, column in enumerate(self.columns)}
        first: dict[str, int] = {}
        for place, attribute in enumerate(attributes):
            first.setdefault(attribute.column, place)
        self._places: Indexes = np.array([*first.values()], dtype=np.intp)
        self._missing = np.array([attributes[place].missing_value for place in first.values()])
        can_be_unseen = [
            place for place, attribute in enumerate(attributes) if not np.isnan(attribute.odd_value)
        ]
        self._unseen_places: Indexes = np.array(can_be_unseen, dtype=np.intp)
        self._unseen = np.array([attributes[place].odd_value for place in can_be_unseen])
        columns = [position[attributes[place].column] for place in can_be_unseen]
        self._unseen_columns: Indexes = np.array(columns, dtype=np.intp)

    def tally(self, features: Floats) -> AttributeTally:
        """Count the leads of a matrix, shape (n, n_features)."""
        unseen = np.zeros(len(self.columns), dtype=np.int64)
        unseen[self._unseen_columns] = self._is_unseen(features).sum(axis=0)
        return AttributeTally(len(features), self._is_missing(features).sum(axis=0), unseen)

    def _is_missing(self, features: Floats) -> Bools:
        encoded = features[:, self._places]
        return np.asarray((encoded == self._missing) | np.isnan(encoded))

    def _is_unseen(self, features: Floats) -> Bools:
        return np.asarray(features[:, self._unseen_places] == self._unseen)


class AttributeCounts:
    """The counts of all leads that were scored, and of the recent ones.

    `add` takes a fraction of a microsecond for a lead, because small matrices are counted
    together. It may be called from several threads.

    Parameters
    ----------
    pipeline : FeaturePipeline
    """

    def __init__(self, pipeline: FeaturePipeline) -> None:
        self._tallier = AttributeTallier(pipeline)
        self._pending: deque[Floats] = deque()
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all leads."""
        self._pending.clear()
        none = np.zeros(len(self._tallier.columns), dtype=np.int64)
        self._all = self._older = self._newer = AttributeTally(0, none, none)

    def add(self, features: Floats) -> None:
        """Count the leads of a matrix, shape (n, n_features)."""
        self._pending.append(features)
        if len(features) >= FEW_LEADS or len(self._pending) >= MOST_PENDING:
            self._count()

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the tallies."""
        return self._tallier.columns

    @property
    def all(self) -> AttributeTally:
        """The tally of all leads."""
        self._count()
        return self._all

    @property
    def recent(self) -> AttributeTally:
        """The tally of the newest leads: from one to two blocks, once there are so many."""
        self._count()
        return self._older + self._newer

    def _count(self) -> None:
        with self._lock:
            waiting = []
            while self._pending:
                waiting.append(self._pending.popleft())
            if not waiting:
                return
            tally = self._tallier.tally(np.concatenate(waiting))
            self._all += tally
            if self._newer.n >= BLOCK_LEADS:
                self._older, self._newer = self._newer, tally
            else:
                self._newer += tally
