"""Finds the positions of texts in a long list, again and again."""

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Hashes, Ints

_BLOCK: Final = 100_000  # texts that are Python objects at the same time


class KeyIndex:
    """The positions of distinct texts.

    It is made once; then each look-up takes time for the texts that are looked up only. It needs
    about 30 bytes for each text, a fifth of what an index of pandas needs.

    Parameters
    ----------
    texts : Series of str, shape (n,)
        Distinct texts. None is missing.

    Examples
    --------
    >>> index = KeyIndex(pd.Series(["L1", "L2"], dtype="str"))
    >>> index.places(pd.Series(["L2", "L9", None], dtype="str")).tolist(), index[1]
    ([1, -1, -1], 'L2')
    """

    def __init__(self, texts: pd.Series) -> None:
        self._texts = _arrow(texts)
        hashes = self._hash(texts)
        self._order = np.argsort(hashes)
        self._hashes = hashes[self._order]

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, place: int) -> str:
        return str(self._texts[place].as_py())

    @property
    def texts(self) -> pd.Series:
        """The texts, in the order of their positions."""
        return pd.Series(self._texts, dtype="str")

    def places(self, texts: pd.Series) -> Ints:
        """Return the position of each text, shape (n,); -1 if it is missing or not in the list."""
        hashes = self._hash(texts)
        looked_up = _arrow(texts)
        result = np.full(len(texts), -1, dtype=np.int64)
        rank = np.searchsorted(self._hashes, hashes)
        rows = np.flatnonzero(rank < len(self))
        while len(rows):
            rows = rows[self._hashes[rank[rows]] == hashes[rows]]
            place = self._order[rank[rows]]
            is_same = pc.equal(self._texts.take(pa.array(place)), looked_up.take(pa.array(rows)))
            found = is_same.fill_null(False).to_numpy(zero_copy_only=False)
            result[rows[found]] = place[found]
            rows = rows[~found]  # another text with the same hash may follow
            rank[rows] += 1
            rows = rows[rank[rows] < len(self)]
        return result

    @staticmethod
    def _hash(texts: pd.Series) -> Hashes:
        hashes = np.empty(len(texts), dtype=np.uint64)
        for start in range(0, len(texts), _BLOCK):
            block = texts.iloc[start : start + _BLOCK].to_numpy(dtype=object)
            hashes[start : start + _BLOCK] = pd.util.hash_array(block, categorize=False)
        return hashes


def _arrow(texts: pd.Series) -> pa.Array:
    array = pa.array(texts.array, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
