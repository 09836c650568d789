"""Reads JSON Lines: one object on each line, with a value for each column."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from crm.errors import SchemaError, SourceError
from crm.sources.checks import MAX_NAME_CHARACTERS, column_name
from crm.sources.encoding import decoded, find_encoding
from crm.sources.findings import BLANK, Findings
from crm.sources.irregular import MAX_ROW_BYTES
from crm.sources.layout import lines_of_text
from crm.sources.rows import Rows
from crm.sources.source_file import SourceFile
from crm.text import listed, quote

BLOCK_BYTES = 1 << 22
TABLE_ROWS = 50_000


def iter_json_lines(file: SourceFile, encoding: str | None, findings: Findings) -> Iterator[Rows]:
    """Read JSON Lines, and add nested values and blank lines to `findings`.

    The columns are the keys of all objects, in the order in which they first occur; a key that an
    object lacks is a missing cell. Cells have the types of JSON. Empty text, lists and objects in a
    cell count as missing.

    Parameters
    ----------
    file : SourceFile
        It is read twice.
    encoding : str or None
        The declared encoding.
    findings : Findings

    Raises
    ------
    SourceError
        If a line is not one JSON object. The message names the line.
    SchemaError
        If the objects have no keys.
    """
    encoding = find_encoding(file, encoding, findings)
    columns: dict[str, None] = {}
    for _, cells in _objects(file, encoding):
        columns.update(dict.fromkeys(cells))
    names = {key: column_name(key) for key in columns}
    _check_names(file.name, names)
    nested: dict[str, int] = {}
    rows: list[list[Any]] = []
    lines: list[int] = []
    last_line = 0
    for line, cells in _objects(file, encoding):
        if line > last_line + 1:
            findings.leave_out(BLANK, range(last_line + 1, line))
        last_line = line
        for key, cell in cells.items():
            if isinstance(cell, list | dict):
                nested[key] = nested.get(key, 0) + 1
        if cells:
            rows.append([_plain(cells.get(key)) for key in names])
            lines.append(line)
        else:
            findings.leave_out(BLANK, [line])
        if len(rows) == TABLE_ROWS:
            yield _rows(rows, lines, list(names.values()))
            rows, lines = [], []
    for key, count in nested.items():
        findings.note(
            f"{quote(key)} contains lists or objects in {count:,} rows; they count as missing."
        )
    yield _rows(rows, lines, list(names.values()))


def _objects(file: SourceFile, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, line in enumerate(_lines(file, encoding), start=1):
        if not line.strip():
            continue
        try:
            yield number, decoder.decode(line)
        except msgspec.DecodeError as error:
            raise SourceError(
                f"{file.name}: line {number:,} is not one JSON object: {error}. "
                'Expected one object on each line, such as {"id": 7, "city": "Bonn"}.'
            ) from None


def _lines(file: SourceFile, encoding: str) -> Iterator[str]:
    rest = b""
    with file.open() as raw:
        try:
            for block in decoded(raw, encoding, BLOCK_BYTES):
                rest += block
                end = rest.rfind(b"\n") + 1
                if not end and len(rest) > 2 * MAX_ROW_BYTES:
                    raise SourceError(
                        f"{file.name}: a line has more than {MAX_ROW_BYTES >> 20} MB. "
                        "Expected one JSON object on each line."
                    )
                yield from lines_of_text(rest[:end].decode("utf-8"))
                rest = rest[end:]
            yield from lines_of_text(rest.decode("utf-8"))
        except UnicodeError as error:
            raise SourceError(f"{file.name} cannot be decoded: {error}. Set `encoding`.") from None


def _check_names(name: str, names: dict[str, str]) -> None:
    if not names:
        raise SchemaError(name, ["its objects have no keys. Expected one for each column."])
    taken = list(names.values())
    problems = [
        f"a key has {len(key):,} characters; expected at most {MAX_NAME_CHARACTERS:,}."
        for key in names
        if len(key) > MAX_NAME_CHARACTERS
    ]
    repeated = sorted(key for key, column in names.items() if taken.count(column) > 1)
    if repeated or "" in taken:
        shown = listed(repeated or ["".join(key for key in names if not names[key])])
        problems.append(f"keys are blank, or differ only in white space: {shown}. Rename them.")
    if problems:
        raise SchemaError(name, problems)


def _plain(cell: Any) -> Any:
    return None if cell == "" or isinstance(cell, list | dict) else cell


def _rows(rows: list[list[Any]], lines: list[int], columns: list[str]) -> Rows:
    return Rows(typed_table(rows, columns), lambda: lines)


def typed_table(rows: list[list[Any]], columns: list[str]) -> pd.DataFrame:
    """Build a table; a column has a type if all its cells have this type.

    Whole numbers beside missing cells stay objects, because floats have 53 bits.

    Examples
    --------
    >>> typed_table([[1, "a", 2.5], [2, None, "x"]], ["n", "text", "mixed"]).dtypes.tolist()
    [dtype('int64'), <StringDtype(na_value=nan)>, dtype('O')]
    """
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    for name in columns:
        kinds = {type(cell) for cell in table[name]}
        if int not in kinds or kinds == {int}:
            table[name] = table[name].infer_objects()
    return table
