"""Finds text that was written as UTF-8 and read in another encoding, such as `MÃ¼nchen`."""

import html
import re
from functools import lru_cache
from typing import Final

from crm.sources.encoding_guess import text_plausibility

ENCODINGS: Final = (
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1257",
    "mac_roman",
    "cp850",
)
CLEAR: Final = 4.0  # the least log-likelihood ratio of the text that is meant
MOST_BROKEN: Final = 0.25  # the most letters that are lost, for each letter that is left
_ENTITY: Final = re.compile(r"&(?:#\d{2,6}|#x[\da-f]{2,5}|[a-z]{2,8}\d{0,2});", re.IGNORECASE)
_PLAIN_ENTITIES: Final = frozenset(("&amp;", "&lt;", "&gt;", "&quot;", "&nbsp;"))


@lru_cache(1 << 12)
def meant_text(text: str) -> str | None:
    """Return the right form of a damaged text; None if the text is not damaged.

    Examples
    --------
    >>> meant_text("MÃ¼nchen"), meant_text("KĂ¶ln"), meant_text("æ—¥æœ¬")
    ('München', 'Köln', '日本')
    >>> meant_text("K&ouml;ln"), meant_text("R&amp;D"), meant_text("SZKÓŁ"), meant_text("groß“")
    ('Köln', None, None, None)
    """
    entities = [entity for entity in _ENTITY.findall(text) if entity not in _PLAIN_ENTITIES]
    if entities:
        meant = html.unescape(text)
        return meant if meant != text else None
    if text.isascii():
        return None
    for encoding in ENCODINGS:
        content = _bytes_of(text, encoding)
        meant = "" if content is None else content.decode("utf-8", errors="replace")
        n_broken = meant.count("\ufffd")
        n_letters = sum(not c.isascii() for c in meant) - n_broken
        if not n_letters or n_broken > MOST_BROKEN * n_letters:
            continue
        if text_plausibility(meant.replace("\ufffd", "")) > text_plausibility(text) + CLEAR:
            return meant
    return None


def _bytes_of(text: str, encoding: str) -> bytes | None:
    """Encode a text; a character that the encoding lacks becomes the byte with its number."""
    content = bytearray()
    for character in text:
        try:
            content += character.encode(encoding)
        except UnicodeEncodeError:
            if ord(character) > 0xFF:
                return None
            content.append(ord(character))
    return bytes(content)
