"""Finds what kind of file contains a table, by its content and not by its name.

Archives are opened, with a bound on what they unpack to.
"""

import codecs
import gzip
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Literal, cast

import msgspec

from crm.errors import SourceError
from crm.sources.findings import Findings
from crm.sources.source_file import SourceFile
from crm.text import listed

HEAD_BYTES = 1 << 16
# An archive may unpack to FREE_BYTES, and beyond that to MAX_RATIO times its size.
FREE_BYTES = 1 << 28
MAX_RATIO = 250
MAX_DEPTH: Final = 3
TABLE_SUFFIXES: Final = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".jsonl", ".ndjson", ".parquet")

Kind = Literal["text", "json lines", "workbook", "parquet"]


@dataclass(frozen=True)
class Container:
    """A file with one table, and its kind.

    Attributes
    ----------
    kind : {"text", "json lines", "workbook", "parquet"}
    file : SourceFile
    """

    kind: Kind
    file: SourceFile


class _Refused(msgspec.Struct, forbid_unknown_fields=True):
    what: str
    advice: str
    bytes: str = ""
    file: str = ""
    pattern: str = ""


class _Kinds(msgspec.Struct, forbid_unknown_fields=True):
    refused: list[_Refused]
    refused_archive: list[_Refused]
    refused_object: list[_Refused]
    refused_text: list[_Refused]


@cache
def _kinds() -> _Kinds:
    return msgspec.toml.decode(Path(__file__).with_suffix(".toml").read_bytes(), type=_Kinds)


def find_container(path: Path, findings: Findings | None = None) -> Container:
    """Find the kind of a file with a table, and open archives.

    Parameters
    ----------
    path : Path
    findings : Findings, optional
        Receives a note of the files of an archive that are not read.

    Raises
    ------
    SourceError
        If the file contains no table that can be read, or an archive contains several.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "leads.csv"
    >>> _ = path.write_bytes(gzip.compress(b'{"id": 1}'))
    >>> find_container(path).kind
    'json lines'
    """
    size = path.stat().st_size
    try:
        return _find(SourceFile(path.name, lambda: path.open("rb")), size, findings, MAX_DEPTH)
    except zipfile.BadZipFile as error:
        raise SourceError(
            f"{path.name} is a damaged zip archive or workbook: {error}. Export or copy it again."
        ) from None
    except (EOFError, OSError) as error:
        raise SourceError(
            f"{path.name} cannot be read: {error}. Is it cut off? Export or copy it again."
        ) from None


def _find(file: SourceFile, size: int, findings: Findings | None, depth: int) -> Container:
    with file.open() as raw:
        head = raw.read(HEAD_BYTES)
    if not depth:
        raise SourceError(f"{file.name} contains an archive in an archive. Unpack it.")
    if head.startswith(b"\x1f\x8b"):

        def open_unpacked() -> BinaryIO:
            packed = file.open()
            return cast(BinaryIO, _Bounded(file.name, size, gzip.GzipFile(fileobj=packed), packed))

        return _find(SourceFile(file.name, open_unpacked), size, findings, depth - 1)
    if head.startswith(b"PAR1"):
        return Container("parquet", file)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _find_in_archive(file, size, findings, depth)
    for refused in _kinds().refused:
        if head.startswith(bytes.fromhex(refused.bytes)):
            raise _refusal(file.name, refused)
    return Container(_kind_of_text(file.name, head), file)


def _find_in_archive(
    file: SourceFile, size: int, findings: Findings | None, depth: int
) -> Container:
    name = file.name
    with file.open() as raw, zipfile.ZipFile(seekable(raw)) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    names = [info.filename for info in infos]
    if sum(info.file_size for info in infos) > max(FREE_BYTES, MAX_RATIO * size):
        raise _too_large(name)
    for refused in _kinds().refused_archive:
        if refused.file in names:
            raise _refusal(name, refused)
    if "[Content_Types].xml" in names and any(entry.startswith("xl/") for entry in names):
        return Container("workbook", file)
    shown = [
        entry
        for entry in names
        if not entry.startswith("__MACOSX/") and not PurePosixPath(entry).name.startswith(".")
    ]
    tables = shown if len(shown) == 1 else [entry for entry in shown if _is_named_table(entry)]
    if len(tables) != 1:
        expected = "Expected one table. Unpack it and name one of its files as `source`."
        if not shown:
            raise SourceError(f"{name} is a zip archive without files. {expected}")
        raise SourceError(
            f"{name} is a zip archive with {len(shown):,} files: {listed(shown)}. {expected}"
        )
    others = [entry for entry in shown if entry != tables[0]]
    if others and findings is not None:
        findings.note(f"{listed(tables)} is read; the archive also contains {listed(others)}.")
    if infos[names.index(tables[0])].flag_bits & 1:
        raise SourceError(f"{name} has a password. Unpack it, and name the unpacked file.")

    def open_entry() -> BinaryIO:
        packed = file.open()
        archive = zipfile.ZipFile(seekable(packed))
        return cast(BinaryIO, _Bounded(name, size, archive.open(tables[0]), archive, packed))

    return _find(SourceFile(name, open_entry), size, findings, depth - 1)


def _is_named_table(entry: str) -> bool:
    path = PurePosixPath(entry.lower().removesuffix(".gz"))
    is_about = path.stem in ("readme", "license", "licence", "metadata", "manifest")
    return path.suffix in TABLE_SUFFIXES and not is_about


def _kind_of_text(name: str, head: bytes) -> Kind:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head[: len(head) // 2 * 2].decode("utf-16", errors="replace")
    else:
        text = head.decode("utf-8-sig", errors="replace").replace("\x00", "")
    text = text.lstrip()
    _refuse(name, text, _kinds().refused_object)
    if text.startswith("{"):
        first, has_end, _ = text.partition("\n")
        is_cut = not has_end and len(head) == HEAD_BYTES
        try:
            is_object = is_cut or isinstance(msgspec.json.decode(first), dict)
        except msgspec.DecodeError:
            is_object = re.match(r'\{\s*"[^"]*"\s*:.+,', first) is not None
        if is_object:
            return "json lines"
    _refuse(name, text, _kinds().refused_text)
    return "text"


def _refuse(name: str, text: str, kinds: Sequence[_Refused]) -> None:
    """Check that a text does not begin like one of the kinds that are refused."""
    for refused in kinds:
        if re.match(refused.pattern, text, re.IGNORECASE | re.DOTALL):
            raise _refusal(name, refused)


def _refusal(name: str, refused: _Refused) -> SourceError:
    return SourceError(
        f"{name} is {refused.what}. Expected CSV, .xlsx, JSON Lines or Parquet. {refused.advice}"
    )


def _too_large(name: str) -> SourceError:
    return SourceError(
        f"{name} unpacks to more than {MAX_RATIO} times its size. Is it damaged? Unpack it first."
    )


def seekable(file: BinaryIO) -> BinaryIO:
    """Return a file whose position can be set, with the same content."""
    return file if file.seekable() else io.BytesIO(file.read())


class _Bounded(io.RawIOBase):
    """A stream that raises an error if an archive unpacks to far more than its size.

    Parameters
    ----------
    name : str
    packed_bytes : int
    *files : files and archives
        The stream to read, and what to close after it.
    """

    def __init__(self, name: str, packed_bytes: int, *files: Any) -> None:
        self._name, self._files = name, files
        self._left = max(FREE_BYTES, MAX_RATIO * packed_bytes)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._files[0].read(size if size >= 0 else self._left + 1)
        self._left -= len(block)
        if self._left < 0:
            raise _too_large(self._name)
        return block

    def close(self) -> None:
        if not self.closed:
            for file in self._files:
                file.close()
        super().close()
