"""Finds the encoding of a text file, and decodes it."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final

from crm.errors import ConfigError, SourceError
from crm.sources.encoding_guess import CLEAR, EncodingGuess, guess_encoding, text_plausibility
from crm.sources.findings import Findings
from crm.sources.source_file import SourceFile
from crm.text import quote

SAMPLE_BYTES = 1 << 18
BLOCK_BYTES = 1 << 22
MAX_WORDS: Final = 20_000
# The least share of lines in UTF-8 in a file that mixes encodings. In an encoding with characters
# of several bytes, some words are valid UTF-8 by chance.
MIXED_SHARE: Final = {False: 0.05, True: 0.3}
_MARKS: Final = (  # longer marks first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OF_BINARY: Final = bytes([*range(2, 9), *range(14, 26), *range(27, 31)])  # not in any text
UTF_16_SHARE: Final = 20  # in UTF-16, one half of the bytes has this many times as many zeros
# No byte of a character with several bytes is one of these, in any encoding.
_WORD: Final = re.compile(rb'[^\x00-\x20,;"]*[\x80-\xff][^\x00-\x20,;"]*')
ESCAPE: Final = b"\x1b"
_SEVEN_BITS: Final = re.compile(rb"\x1b\$[@B][!-~]+\x1b\([BJ]")  # Japanese, ISO 2022


def find_encoding(file: SourceFile, declared: str | None, findings: Findings) -> str:
    """Return the encoding of a text file: the declared one, or the one that its bytes show.

    UTF-8 and UTF-16 are certain. Every other encoding is a guess.

    Parameters
    ----------
    file : SourceFile
    declared : str or None
        The encoding that the project file names.
    findings : Findings
        Receives a note of a guess.

    Raises
    ------
    ConfigError
        If Python does not know the declared encoding.
    SourceError
        If the encoding cannot be detected, or the file mixes UTF-8 with another encoding.
    """
    if declared is not None:
        return _check_declared(file, declared, findings)
    encoding, guess = _detect(file)
    if guess is not None:
        findings.note(guess.note())
    return encoding


def guess_of(file: SourceFile) -> EncodingGuess | None:
    """Return the guess of the encoding of a text file.

    None means that the encoding is certain, or that the file cannot be read.
    """
    try:
        return _detect(file)[1]
    except SourceError:
        return None


def _detect(file: SourceFile) -> tuple[str, EncodingGuess | None]:
    certain = _marked_encoding(file)
    if certain is not None:
        return certain, None
    text = _read_words(file)
    if not text.n_broken:
        if not text.seven_bits:
            return "utf-8-sig", None
        words = tuple(word.decode("iso2022_jp", errors="replace") for word in text.seven_bits)
        return "iso2022_jp", EncodingGuess("iso2022_jp", "Japanese, ISO 2022", words)
    guess = guess_encoding(text.words)
    by_chance = guess is not None and _is_by_chance(text, guess.encoding)
    share = text.n_utf8 / (text.n_utf8 + text.n_broken)
    if text.n_utf8 and (guess is None or share >= MIXED_SHARE[by_chance]):
        raise _mixed(file.name, text)
    if guess is None:
        raise SourceError(
            f"{file.name} is not in UTF-8, and its encoding cannot be detected (line "
            f"{text.broken_line:,}). Set `encoding` in the project file, such as "
            '`encoding = "cp1250"`.'
        )
    if text.n_utf8 and not by_chance:
        guess = replace(guess, n_utf8=text.n_utf8, utf8_line=text.utf8_line)
    return guess.encoding, guess


def _is_by_chance(text: "_Words", encoding: str) -> bool:
    """Return whether lines in UTF-8 may be text in an encoding with characters of several bytes."""
    if not text.n_utf8 or not is_multibyte(encoding):
        return False
    read = text.utf8_word.encode().decode(encoding, errors="replace")
    return text_plausibility(read) > text_plausibility(text.utf8_word) - CLEAR


_LINE_START = re.compile(rb"[\n\r](?:\xef\xbb?)?\Z")  # a line end, and the start of a mark


def decoded(raw: BinaryIO, encoding: str, block_bytes: int) -> Iterator[bytes]:
    """Read a file in blocks of UTF-8, without byte order marks at the start of lines.

    If a file was appended to another one, its mark is before a row.

    Raises
    ------
    UnicodeError
        If the file contains bytes that are not valid in the encoding.
    """
    held = b""
    for block in _in_utf8(raw, encoding, block_bytes):
        text = _without_marks(held + block if held else block)
        match = _LINE_START.search(text[-3:])
        held = b"" if match is None else match[0]
        if len(text) > len(held):
            yield text.removesuffix(held) if held else text
    if held:
        yield held


def _without_marks(text: bytes) -> bytes:
    if text.isascii():
        return text
    for end in (b"\n", b"\r"):
        mark = end + codecs.BOM_UTF8
        while mark in text:
            text = text.replace(mark, end)
    return text


def _in_utf8(raw: BinaryIO, encoding: str, block_bytes: int) -> Iterator[bytes]:
    if encoding == "utf-8-sig":
        block = raw.read(block_bytes).removeprefix(codecs.BOM_UTF8)
        while block:
            yield block
            block = raw.read(block_bytes)
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    is_first = True
    while block := raw.read(block_bytes):
        text = decoder.decode(block)
        yield (text.lstrip("\ufeff") if is_first else text).encode("utf-8", errors="replace")
        is_first = is_first and not text
    yield decoder.decode(b"", final=True).encode("utf-8", errors="replace")


def _check_declared(file: SourceFile, declared: str, findings: Findings) -> str:
    try:
        "".encode(declared)
    except (LookupError, UnicodeError):
        raise ConfigError(
            f"{file.name}: `{declared}` is not a text encoding that Python supports. "
            "Try utf-8 or cp1252."
        ) from None
    name = codecs.lookup(declared).name
    if name in ("utf-8", "utf-8-sig"):
        text = _read_words(file)
        if text.n_broken:
            raise SourceError(
                f"{file.name} cannot be decoded: line {text.broken_line:,} is not in UTF-8. "
                "Set `encoding` in the project file."
            )
        return "utf-8-sig"
    if name.startswith(("utf", "iso2022")) or _has_zero_bytes(file):
        return declared
    text = _read_words(file)
    if text.n_utf8 and not text.n_broken and not is_multibyte(name):
        findings.note(
            f"the file is in UTF-8 (line {text.utf8_line:,} contains {quote(text.utf8_word)}) and "
            f"is read as UTF-8, although its `encoding` is {quote(declared)}."
        )
        return "utf-8-sig"
    guess = guess_encoding(text.words) if text.n_broken else None
    if guess is not None and (doubt := guess.doubt_about(declared)):
        findings.note(f"{doubt} Is `encoding` right?")
    return declared


def _has_zero_bytes(file: SourceFile) -> bool:
    with file.open() as raw:
        return b"\x00" in raw.read(SAMPLE_BYTES)


def is_multibyte(name: str) -> bool:
    """Return whether an encoding has characters of several bytes.

    Examples
    --------
    >>> is_multibyte("cp932"), is_multibyte("cp1252")
    (True, False)
    """
    return name.startswith(("cp93", "cp94", "cp95", "euc", "gb", "big5", "shift", "iso2022", "hz"))


def _marked_encoding(file: SourceFile) -> str | None:
    """Return UTF-16 or UTF-32 if a file begins with their marks, or contains zero bytes."""
    with file.open() as raw:
        block = raw.read(SAMPLE_BYTES)
    for mark, encoding in _MARKS:
        if block.startswith(mark):
            return encoding
    return _unmarked_utf16(file.name, block) if b"\x00" in block else None


def _unmarked_utf16(name: str, block: bytes) -> str:
    even, odd = block[::2].count(0), block[1::2].count(0)
    for encoding, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros > UTF_16_SHARE * others and 50 * zeros > len(block):
            text = block[: len(block) // 2 * 2].decode(encoding, errors="replace")
            is_text = "\ufffd" not in text[:-1] and ("\n" in text or "\r" in text)
            if is_text and (text[0].isprintable() or text[0].isspace()):
                return encoding
    if b"\n" in block and not any(map(block.count, _OF_BINARY)):
        line = block[: block.index(0)].count(b"\n") + 1
        raise SourceError(
            f"{name}: line {line:,} contains a zero byte, which a text does not have. Export the "
            "file again, or remove the zero bytes if nothing else is damaged."
        )
    raise SourceError(
        f"{name} is not a text file: it contains zero bytes. Expected CSV, JSON Lines, .xlsx or "
        "Parquet."
    )


@dataclass
class _Words:
    """The words of a file that contain bytes beyond ASCII, and the lines with such words.

    Attributes
    ----------
    words : Counter of bytes
        The counts of the first `MAX_WORDS` different words.
    n_utf8, n_broken : int
        The numbers of lines with such bytes that are valid UTF-8, and that are not.
    utf8_line, broken_line : int
        The first line of each kind, from 1; 0 if there is none.
    utf8_word : str
        A word of the first line in UTF-8.
    broken_word : bytes
        A word of the first line that is not in UTF-8.
    seven_bits : tuple of bytes
        The first words of Japanese in seven bits.
    """

    words: Counter[bytes] = field(default_factory=Counter)
    n_utf8: int = 0
    n_broken: int = 0
    utf8_line: int = 0
    broken_line: int = 0
    utf8_word: str = ""
    broken_word: bytes = b""
    seven_bits: tuple[bytes, ...] = ()

    def add(self, line: bytes, number: int) -> None:
        words = _WORD.findall(line)
        for word in words:
            if word in self.words or len(self.words) < MAX_WORDS:
                self.words[word] += 1
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            self.n_broken += 1
            if not self.broken_line:
                self.broken_line, self.broken_word = number, next(filter(_is_broken, words), b"")
        else:
            self.n_utf8 += 1
            if not self.utf8_line:
                self.utf8_line, self.utf8_word = number, words[0].decode("utf-8")


def _is_broken(word: bytes) -> bool:
    return "\ufffd" in word.decode("utf-8", errors="replace")


def _read_words(file: SourceFile) -> _Words:
    """Read the words beyond ASCII of a file; if it is in UTF-8, only the first of them."""
    text = _Words()
    if _is_utf8(file, text):
        return text
    rest, number = b"", 1
    with file.open() as raw:
        while block := raw.read(BLOCK_BYTES):
            block = rest + block.removeprefix(codecs.BOM_UTF8) if number == 1 else rest + block
            end = block.rfind(b"\n") + 1 or block.rfind(b"\r") + 1
            rest = block[end:]
            number = _add_lines(text, block[:end], number)
    _add_lines(text, rest, number)
    return text


def _add_lines(text: _Words, block: bytes, number: int) -> int:
    lines = re.split(b"\r\n|\r|\n", block)
    for i, line in enumerate(lines):
        if not line.isascii():
            text.add(line, number + i)
    return number + len(lines) - 1


def _is_utf8(file: SourceFile, text: _Words) -> bool:
    """Check whether a file is valid UTF-8; add its first block with other characters to `text`."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    found = _Words()
    n_bytes = 0
    with file.open() as raw:
        try:
            while block := raw.read(BLOCK_BYTES):
                if not block.isascii() or decoder.getstate()[0]:
                    decoder.decode(block)
                    if not found.n_utf8:
                        number = _line_at(file, n_bytes)
                        _add_lines(found, block[: block.rfind(b"\n") + 1] or block, number)
                if not text.seven_bits and ESCAPE in block:
                    text.seven_bits = tuple(_SEVEN_BITS.findall(block)[:2])
                n_bytes += len(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    text.n_utf8, text.utf8_line, text.utf8_word = found.n_utf8, found.utf8_line, found.utf8_word
    return True


def _line_at(file: SourceFile, n_bytes: int) -> int:
    """Return the number of the line that contains the byte after the first `n_bytes`."""
    number = 1
    with file.open() as raw:
        while n_bytes > 0 and (block := raw.read(min(n_bytes, BLOCK_BYTES))):
            number += block.count(b"\n")
            n_bytes -= len(block)
    return number


def _mixed(name: str, text: _Words) -> SourceError:
    guess = guess_encoding(Counter([text.broken_word]))
    example = "cp1252" if guess is None else guess.encoding
    read = "" if guess is None else f", which {guess.encoding} reads as {quote(guess.examples[0])}"
    lines = "1 line" if text.n_utf8 == 1 else f"{text.n_utf8:,} lines"
    others = "1 line is" if text.n_broken == 1 else f"{text.n_broken:,} lines are"
    return SourceError(
        f"{name} mixes two encodings: {lines} with special letters are in UTF-8 (first line "
        f"{text.utf8_line:,}: {quote(text.utf8_word)}), and {others} not (first line "
        f"{text.broken_line:,}{read}). Export the whole table again as UTF-8, or correct these "
        f'lines. To read the whole file in one encoding, set `encoding`, such as "{example}".'
    )
