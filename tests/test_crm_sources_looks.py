"""The look of the cells of a column: the same for one text and for an array of texts."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.sources.looks import find_look

COLUMNS = {
    "id": ["L1", "L20", "L7"],
    "number": ["1", "20", "7"],
    "time": ["2024-01-31 08:15", "2025-02-01 09:00"],
    "address": ["a.b@c.de", "d@e.com"],
    "signs": ["(A-1) #2.5 [x] $|\\", "(B-2) #3.5 [y] $|\\"],
    "hexadecimal": ["3f2a9c1e", "81c07a2b", "d4e5f6a7", "00b1ca99", "9c9c9c0d"],
}
OTHERS = ["", "Id", "Lead ID", "L", "1.", "a@b", "@", "L1\n", " L1", "L1 ", "subtotal", "0000000"]


@pytest.mark.parametrize("column", COLUMNS)
def test_array_of_texts_fits_like_each_text(column: str) -> None:
    look = find_look(COLUMNS[column])
    assert look is not None
    texts = [*OTHERS, *(text for texts in COLUMNS.values() for text in texts)]
    expected = [look.fits(text) for text in texts]
    if column == "address":
        expected[texts.index("@")] = False  # not surely
    assert look.surely_fits(pa.array(texts, pa.large_string())).tolist() == expected


@given(st.lists(st.text(alphabet="aZé12٣_-.: @\n{}", max_size=9)), st.sampled_from([*COLUMNS]))
def test_fits_is_true_if_surely_fits_is_true(texts: list[str], column: str) -> None:
    look = find_look(COLUMNS[column])
    assert look is not None
    for text, fits in zip(texts, look.surely_fits(pa.array(texts, pa.string())), strict=True):
        assert look.fits(text) or not fits


@pytest.mark.parametrize(
    ("texts", "has_look"),
    [
        (["L1"], False),
        (["L1", "L2"], True),
        (["L1", "none"], False),
        (["L1", "L2", "none"], False),
        (["L1", "L2", "L3", "none"], True),
        (["L1", "L2", "none", "other"], False),
        ([f"L{i}" for i in range(95)] + ["none"] * 5, True),
        ([f"L{i}" for i in range(94)] + ["none"] * 6, False),
        ([f"L{i}" for i in range(96)] + ["1-2", "3.4", "5/6", "7:8"], True),
        ([f"L{i}" for i in range(94)] + ["1-2", "3.4", "5/6", "7:8", "9_", "#1"], False),
    ],
)
def test_column_has_a_look_if_nearly_all_cells_are_alike(texts: list[str], has_look: bool) -> None:
    assert (find_look(texts) is not None) == has_look
