"""Reads JSON Lines: one object on each line, with a value for each column."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from crm.cells import list_cell
from crm.errors import SchemaError, SourceError
from crm.sources.checks import MAX_NAME_CHARACTERS, column_name
from crm.sources.encoding import decoded, find_encoding
from crm.sources.findings import BLANK, Findings
from crm.sources.irregular import MAX_ROW_BYTES
from crm.sources.layout import lines_of_text
from crm.sources.rows import Rows
from crm.sources.source_file import SourceFile
from crm.text import counted, listed, quote

BLOCK_BYTES = 1 << 22
TABLE_ROWS = 50_000
MAX_DEPTH = 8
PAGE_RECORDS = 5  # the least mean number of records in a line, if all lines are pages


def iter_json_lines(file: SourceFile, encoding: str | None, findings: Findings) -> Iterator[Rows]:
    """Read JSON Lines, and add nested values and blank lines to `findings`.

    The columns are the keys of all objects, in the order in which they first occur; a key that an
    object lacks is a missing cell. The keys of an object in an object become columns such as
    `properties.createdate`. Cells have the types of JSON; a list is the text of its JSON. Empty
    texts and lists, and lists that contain objects, count as missing.

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
        If a line is not one JSON object, or is the answer of an API with many records in a list.
        The message names the line.
    SchemaError
        If the objects have no keys.
    """
    encoding = find_encoding(file, encoding, findings)
    columns: dict[str, bool] = {}  # whether any cell has a value
    pages = _Pages()
    for _, cells in _objects(file, encoding):
        for key, cell in cells.items():
            columns[key] = columns.get(key, False) or cell not in (None, {})
        pages.add(cells)
    pages.check(file.name)
    parents = {key.rpartition(".")[0] for key in columns if "." in key}
    parents |= {key.partition(".")[0] for key in columns if "." in key}
    columns = {
        key: is_filled for key, is_filled in columns.items() if is_filled or key not in parents
    }
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
            if _is_table(cell):
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
            f"{quote(key)} contains lists of objects in {counted(count, 'row')}; they count as "
            "missing."
        )
    yield _rows(rows, lines, list(names.values()))


class _Pages:
    """The lists of objects in each line, which show that a file is the answer of an API.

    Such an answer contains many records in one line, and each record has more keys than the answer.
    """

    def __init__(self) -> None:
        self.n_lines = 0
        self.lists: dict[str, list[int]] = {}

    def add(self, cells: dict[str, Any]) -> None:
        self.n_lines += 1
        for key, cell in cells.items():
            if _is_table(cell) and _n_keys(cell[0]) > len(cells):
                self.lists.setdefault(key, []).append(len(cell))

    def check(self, name: str) -> None:
        """Check that the records are not inside lists.

        Raises
        ------
        SourceError
        """
        for key, sizes in self.lists.items():
            is_page = len(sizes) == self.n_lines and sum(sizes) >= PAGE_RECORDS * self.n_lines
            if self.n_lines == 1 or is_page:
                objects = counted(sum(sizes), "object")
                raise SourceError(
                    f"{name} is the answer of an API and not a table: the key {quote(key)} "
                    f"contains a list of {objects}. Write each of these objects on a line of its "
                    f"own. `jq -c '.{quote(key)}[]' {name}` does so."
                )


def _objects(file: SourceFile, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, line in enumerate(_lines(file, encoding), start=1):
        if not line.strip():
            continue
        try:
            yield number, _flat(file.name, number, decoder.decode(line))
        except msgspec.DecodeError as error:
            raise SourceError(
                f"{file.name}: line {number:,} is not one JSON object: {error}. "
                'Expected one object on each line, such as {"id": 7, "city": "Bonn"}.'
            ) from None


def _flat(name: str, line: int, cells: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of an object; those of an object inside it have names such as "a.b"."""
    if not any(isinstance(cell, dict) for cell in cells.values()):
        return cells
    flat: dict[str, Any] = {}

    def add(prefix: str, cells: dict[str, Any], depth: int) -> None:
        for key, cell in cells.items():
            if isinstance(cell, dict) and cell and depth < MAX_DEPTH:
                add(f"{prefix}{key}.", cell, depth + 1)
            elif f"{prefix}{key}" in flat:
                raise SourceError(
                    f"{name}: line {line:,} has two keys that become the column "
                    f"{quote(prefix + key)}. Rename one."
                )
            else:
                flat[f"{prefix}{key}"] = cell

    add("", cells, 1)
    return flat


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
    if isinstance(cell, list | dict):
        if isinstance(cell, dict) or _is_table(cell):
            return None
        cell = list_cell(cell)
    return None if cell == "" else cell


def _n_keys(item: Any) -> int:
    """Return the number of values in an object and the objects in it."""
    return sum(map(_n_keys, item.values())) if isinstance(item, dict) else 1


def _is_table(cell: Any) -> bool:
    return isinstance(cell, list) and any(isinstance(item, dict) for item in cell)


def _rows(rows: list[list[Any]], lines: list[int], columns: list[str]) -> Rows:
    return Rows(typed_table(rows, columns), lambda: lines)


def typed_table(rows: list[list[Any]], columns: list[str]) -> pd.DataFrame:
    """Build a table; a column has a type if all its cells have this type.

    Whole numbers beside missing cells stay objects, because floats have 53 bits. Truth values
    beside the texts "true" and "false", or beside 1 and 0, are truth values; beside other cells
    they are text.

    Examples
    --------
    >>> typed_table([[1, "a", 2.5], [2, None, "x"]], ["n", "text", "mixed"]).dtypes.tolist()
    [dtype('int64'), <StringDtype(na_value=nan)>, dtype('O')]
    """
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    for name in columns:
        kinds = {type(cell) for cell in table[name]}
        if bool in kinds and kinds - {bool, type(None)}:
            table[name] = _truths(table[name].tolist())
            continue
        if int not in kinds or kinds == {int}:
            table[name] = table[name].infer_objects()
    return table


def _truths(cells: list[Any]) -> pd.Series:
    """Return all cells as truth values if each of them may be one; otherwise make those text."""
    words = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    read = [cell if cell is None else words.get(str(cell).strip().casefold()) for cell in cells]
    if all(cell is None or truth is not None for cell, truth in zip(cells, read, strict=True)):
        return pd.Series(read, dtype=object)
    return pd.Series(
        [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells], dtype=object
    )
