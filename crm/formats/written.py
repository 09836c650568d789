"""Reads the text of a cell without the marks that spreadsheets and keyboards add."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import pandas as pd

# Other digits than 0 to 9, the Arabic decimal and thousands separators, marks of the direction of
# writing, a leading apostrophe, and a text that is written as a formula, ="…".
MARKS: Final = r"[^\x00-\x7f]|^['=]"
_FORMULA: Final = re.compile(r'=\s*"(.*)"')
_SEPARATORS: Final = {"\u066b": ".", "\u066c": ","}


@lru_cache(1 << 14)
def plain_text(text: str) -> str:
    r"""Return a text with the digits 0 to 9, and without marks of spreadsheets, such as ="…".

    Examples
    --------
    >>> plain_text('="1234.5"'), plain_text("'1,234"), plain_text("\u0662\u0660\u066b\u0665")
    ('1234.5', '1,234', '20.5')
    """
    formula = _FORMULA.fullmatch(text)
    if formula is not None:
        text = formula[1].strip()
    elif text.startswith("'"):
        text = text[1:].strip()
    return text if text.isascii() else "".join(map(_plain, text))


def plain_texts(texts: pd.Series) -> pd.Series:
    """Return a column of text, each cell as `plain_text` returns it."""
    has_marks = texts.str.contains(MARKS, na=False).to_numpy(dtype=bool)
    if not has_marks.any():
        return texts
    texts = texts.copy()
    texts[has_marks] = texts[has_marks].map(plain_text)
    return texts


def _plain(character: str) -> str:
    if character in _SEPARATORS:
        return _SEPARATORS[character]
    if unicodedata.category(character) == "Cf":
        return ""
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)
