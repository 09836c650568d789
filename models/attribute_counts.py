"""Counts the missing and the unseen values of attributes, among leads as they are scored."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import Any, Final

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Indexes, Ints
from features.attributes.target import TargetAttribute
from features.pipeline import FeaturePipeline

BLOCK_LEADS: Final = 500  # leads of a block; the newest one or two blocks are recent
FEW_LEADS: Final = 16  # smaller matrices are counted together
MOST_PENDING: Final = 256

Leads = pd.DataFrame | Sequence[Mapping[str, Any]]
Cells = Sequence[Sequence[Any]]


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

    Most kinds of attributes encode them as values of their own. A category of many values
    (`TargetAttribute`) does not: a missing cell may be encoded as an unseen one, and several values
    as the same number. So its cells are read again if they may be missing or unseen.

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
        self._targets = [
            (place, position[attribute.column], attribute)
            for place, attribute in enumerate(attributes)
            if isinstance(attribute, TargetAttribute)
        ]

    def cells_to_read(self, leads: Leads) -> Cells:
        """Return the cells of the columns that are read again, column by column."""
        if not self._targets:
            return []
        columns = [attribute.column for _, _, attribute in self._targets]
        if isinstance(leads, pd.DataFrame):
            return [leads[c].tolist() if c in leads else [None] * len(leads) for c in columns]
        return [[lead.get(column) for lead in leads] for column in columns]

    def tally(self, features: Floats, cells: Cells) -> AttributeTally:
        """Count the leads of a matrix.

        Parameters
        ----------
        features : ndarray of float64, shape (n, n_features)
        cells : sequence of sequence
            The `cells_to_read` of the same leads.

        Returns
        -------
        AttributeTally
        """
        missing = self._is_missing(features).sum(axis=0)
        unseen = np.zeros(len(self.columns), dtype=np.int64)
        unseen[self._unseen_columns] = self._is_unseen(features).sum(axis=0)
        for (place, column, attribute), of_column in zip(self._targets, cells, strict=True):
            encoded = features[:, place]
            may_be = (encoded == attribute.odd_value) | (encoded == attribute.missing_value)
            words = [attribute.word(of_column[row]) for row in np.flatnonzero(may_be).tolist()]
            missing[column] = words.count("")
            unseen[column] = sum(word != "" and word not in attribute.log_odds for word in words)
        return AttributeTally(len(features), missing, unseen)

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
        self._pending: deque[tuple[Floats, Cells]] = deque()
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all leads."""
        self._pending.clear()
        none = np.zeros(len(self._tallier.columns), dtype=np.int64)
        self._all = self._older = self._newer = AttributeTally(0, none, none)

    def add(self, features: Floats, leads: Leads) -> None:
        """Count some leads.

        Parameters
        ----------
        features : ndarray of float64, shape (n, n_features)
        leads : DataFrame, n rows, or sequence of mapping, length n
            The cells of the leads by column.
        """
        self._pending.append((features, self._tallier.cells_to_read(leads)))
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
            matrices, cells = zip(*waiting, strict=True)
            of_columns = [list(chain(*column)) for column in zip(*cells, strict=True)]
            tally = self._tallier.tally(np.concatenate(matrices), of_columns)
            self._all += tally
            if self._newer.n >= BLOCK_LEADS:
                self._older, self._newer = self._newer, tally
            else:
                self._newer += tally
