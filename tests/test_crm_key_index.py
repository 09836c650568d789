"""Tests of the index of texts."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crm.arrays import Hashes
from crm.key_index import KeyIndex


class Colliding(KeyIndex):
    """An index in which different texts have the same hash."""

    @staticmethod
    def _hash(texts: pa.LargeStringArray) -> Hashes:
        return np.array([len(str(text)) for text in texts.to_pylist()], dtype=np.uint64)


def text_column(*texts: str | None) -> pd.Series:
    return pd.Series(texts, dtype="str")


@pytest.mark.parametrize("kind", [KeyIndex, Colliding])
def test_places_are_those_of_the_texts(kind: type[KeyIndex]) -> None:
    texts = text_column("b", "aa", "a", "bb", "", "nan", "ä")
    index = kind(texts)
    asked = text_column("ä", "a", "bb", None, "x", "nan", "", "aaaa", "a")
    assert index.places(asked).tolist() == [6, 2, 3, -1, -1, 5, 4, -1, 2]
    assert (len(index), [index[i] for i in range(7)]) == (7, texts.tolist())
    assert index.texts.tolist() == texts.tolist()


@pytest.mark.parametrize("kind", [KeyIndex, Colliding])
def test_empty_index_and_empty_question(kind: type[KeyIndex]) -> None:
    assert kind(text_column()).places(text_column("a", None)).tolist() == [-1, -1]
    assert kind(text_column("a")).places(text_column()).tolist() == []


def test_part_of_a_column_is_found() -> None:
    texts = text_column("a", None, "bb", "ccc", "d", "")
    assert KeyIndex(texts[1:][1:4]).places(texts[2:]).tolist() == [0, 1, 2, -1]


def test_texts_of_several_blocks_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pd.Series([f"L{i}" for i in range(25)], dtype="str")
    expected = KeyIndex(texts).places(texts[::-1])
    monkeypatch.setattr("crm.key_index._BLOCK", 7)
    assert KeyIndex(texts).places(texts[::-1]).tolist() == expected.tolist() == [*range(24, -1, -1)]
