"""Finds the encoding of a text file, and decodes it."""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

import charset_normalizer

from crm.errors import ConfigError, SourceError
from crm.sources.source_file import SourceFile

SAMPLE_BYTES = 1 << 18
MIN_FOREIGN_BYTES = 50  # with fewer, code pages cannot be distinguished
OTHER_ENCODINGS = [
    *(f"cp{page}" for page in (*range(1250, 1252), *range(1253, 1258), 932, 949)),
    "euc_jp",
    "gb18030",
    "big5",
    "koi8_r",
    "mac_roman",
]
# Matches what Western European text in Windows-1252 never contains: rare characters, and long runs
# of accented characters.
_NOT_WESTERN = re.compile(
    r"[^\x00-\x7f€‚„…‘’“”•–—™Œœ\xa0¡£§©ª«®°²´µ·º»¿À-ÏÑ-ÖØ-Üß-ïñ-öø-üÿ]|[À-ÿ]{4}"
)
_MARKS: Final = (  # longer marks first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
UTF_16_SHARE: Final = 20  # in UTF-16, one byte of each pair is zero this many times as often


def find_encoding(file: SourceFile, declared: str | None) -> str:
    """Return the encoding of a text file: the declared one, or the one that its bytes show.

    Parameters
    ----------
    file : SourceFile
    declared : str or None
        The encoding that the project file names.

    Raises
    ------
    ConfigError
        If Python does not know the declared encoding.
    SourceError
        If the encoding cannot be detected.
    """
    if declared is not None:
        return _check_declared(file, declared)
    with file.open() as raw:
        block = raw.read(SAMPLE_BYTES)
        for mark, encoding in _MARKS:
            if block.startswith(mark):
                return encoding
        if b"\x00" in block:
            return _unmarked_utf16(file.name, block)
    error = _find_broken_utf8(file)
    if error is None:
        return "utf-8-sig"
    line, is_mostly_utf8, sample = error
    if is_mostly_utf8:
        raise SourceError(
            f"{file.name} is in UTF-8, but line {line:,} contains bytes that are not. "
            'Mend that line, or set the right `encoding`, such as "cp1252".'
        )
    return _guess_encoding(file.name, sample)


def decoded(raw: BinaryIO, encoding: str, block_bytes: int) -> Iterator[bytes]:
    """Read a file in blocks of UTF-8, without its byte order mark.

    Raises
    ------
    UnicodeError
        If the file contains bytes that are not valid in the encoding.
    """
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


def _check_declared(file: SourceFile, declared: str) -> str:
    try:
        "".encode(declared)
    except (LookupError, UnicodeError):
        raise ConfigError(
            f"{file.name}: `{declared}` is not a text encoding that Python supports. "
            "Try utf-8 or cp1252."
        ) from None
    if codecs.lookup(declared).name not in ("utf-8", "utf-8-sig"):
        return declared
    error = _find_broken_utf8(file)
    if error is not None:
        raise SourceError(
            f"{file.name} cannot be decoded: line {error[0]:,} is not in UTF-8. "
            "Set `encoding` in the project file."
        )
    return "utf-8-sig"


def _unmarked_utf16(name: str, block: bytes) -> str:
    even, odd = block[::2].count(0), block[1::2].count(0)
    for encoding, zeros, others in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros > UTF_16_SHARE * others and 50 * zeros > len(block):
            text = block[: len(block) // 2 * 2].decode(encoding, errors="replace")
            is_text = "\ufffd" not in text[:-1] and ("\n" in text or "\r" in text)
            if is_text and (text[0].isprintable() or text[0].isspace()):
                return encoding
    raise SourceError(
        f"{name} is not a text file: it contains zero bytes. Expected CSV, JSON Lines, .xlsx or "
        "Parquet."
    )


def _find_broken_utf8(file: SourceFile) -> tuple[int, bool, bytes] | None:
    """Find the first line that is not UTF-8; None if there is none.

    Returns its number, whether most of the text around it is UTF-8, and a sample of its bytes.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    n_bytes = 0
    with file.open() as raw:
        block = raw.read(SAMPLE_BYTES)
        try:
            while block:
                if not block.isascii() or decoder.getstate()[0]:
                    decoder.decode(block)
                n_bytes += len(block)
                block = raw.read(1 << 22)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            content, start = error.object, error.start  # may begin in the block before
            n_before = n_bytes - (len(content) - len(block)) + start
        else:
            return None
    sample = content[max(0, start - 100) :][:SAMPLE_BYTES]
    around = content[max(0, start - SAMPLE_BYTES) :][: 2 * SAMPLE_BYTES]
    text = around.decode("utf-8", errors="replace")
    n_broken = text.count("\ufffd")
    n_right = sum(character > "\x7f" for character in text) - n_broken
    return _line_at(file, n_before), n_right > 4 * n_broken, sample


def _line_at(file: SourceFile, position: int) -> int:
    """Return the number of the line that contains a byte."""
    line = 1
    with file.open() as raw:
        while position > 0:
            block = raw.read(min(position, 1 << 22))
            line += block.count(b"\n")
            position -= len(block) or position
    return line


def _guess_encoding(name: str, sample: bytes) -> str:
    """Guess an encoding; prefer Windows-1252, the encoding of most European exports."""
    if not _NOT_WESTERN.search(sample.decode("cp1252", errors="replace")):
        return "cp1252"
    guess = charset_normalizer.from_bytes(sample, cp_isolation=OTHER_ENCODINGS).best()
    if guess is None or sum(byte > 127 for byte in sample) < MIN_FOREIGN_BYTES:
        raise SourceError(
            f"{name} is not in UTF-8, and its encoding cannot be detected. "
            'Set `encoding` in the project file, such as `encoding = "cp1250"`.'
        )
    return guess.encoding
