"""Finds the positions of texts in a long list, again and again."""

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Hashes, Ints

_BLOCK: Final = 100_000  # texts that are hashed together
_SEED: Final = 0


class KeyIndex:
    """The positions of distinct texts.

    It is made once; then each look-up takes time for the texts that are looked up only. It needs 16
    bytes for each text besides the text itself. An index of pandas needs about 100.

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
        hashes = self._hash(self._texts)
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
        looked_up = _arrow(texts)
        hashes = self._hash(looked_up)
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
    def _hash(texts: pa.LargeStringArray) -> Hashes:
        return _hashes(texts)


def text_hashes(texts: pd.Series) -> Hashes:
    """Return a number for each text, shape (n,), which is the same for equal texts.

    Different texts have different numbers, except by chance. This takes a tenth of the time and
    memory of `pandas.util.hash_array`, which makes a Python object of each text.

    Examples
    --------
    >>> a, b, c = text_hashes(pd.Series(["L1", "L2", "L1"], dtype="str")).tolist()
    >>> a == c, a == b
    (True, False)
    """
    column = pa.array(texts.array, pa.large_string())
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.empty(0, dtype=np.uint64), *map(_hashes, chunks)])


def _hashes(texts: pa.LargeStringArray) -> Hashes:
    """Hash each text: the sum of its bytes, each times a random number of its position."""
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    longest = int(np.diff(offsets).max(initial=0))
    factors = np.random.default_rng(_SEED).integers(0, 2**64, longest, dtype=np.uint64)
    hashes = np.empty(len(texts), dtype=np.uint64)
    for start in range(0, len(texts), _BLOCK):
        ends = offsets[start : start + _BLOCK + 1]
        begins = ends - ends[0]
        place = np.arange(begins[-1]) - np.repeat(begins[:-1], np.diff(begins))
        terms = (data[ends[0] : ends[-1]] + np.uint64(1)) * factors[place]
        sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms)])
        hashes[start : start + _BLOCK] = np.diff(sums[begins])
    return hashes


def _arrow(texts: pd.Series) -> pa.Array:
    array = pa.array(texts.array, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
