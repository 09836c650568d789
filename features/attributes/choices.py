"""Attributes whose cells contain several values, such as `Email;Demo;Pricing`.

A column is of this kind if its cells show it: enough cells have several parts, the parts repeat,
and the same part occurs at different places of a cell. So names ("Smith, John"), addresses, numbers
("2,017"), times ("01.01.2024, 10:17"), free text and single values with a comma ("Hospital,
private") are not split.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from crm.arrays import Objects
from crm.cells import cell_text, text_column
from features.attributes.attribute import Attribute, UndeclaredColumn
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature, shortened

LIST = "[]"  # the separator of cells that are JSON lists, such as ["Demo", "Pricing"]
CARETS = "^,^"  # the separator of SuiteCRM's cells, such as ^Demo^,^Pricing^
SEPARATORS = (LIST, CARETS, ";#", ";", "|", ",", "；", "、", "，")
MIN_LEADS = 5  # of a value that gets a feature of its own
MAX_VALUES = 30
SEVERAL_SHARE = 0.05  # the least share of filled cells that have several parts
REPEATED_SHARE = 0.8  # the least share of parts, in cells with several, that are frequent values
KEPT_SHARE = 0.5  # the least share of parts, in cells with several, that are one of the features
MOVING_SHARE = 0.5  # the least share of frequent values that occur at different places
MOST_CHARACTERS = 60  # of a part; a longer one is free text
MOST_GROUPS = 5  # values whose leads are groups in reports
CACHED_CELLS = 4_096
SINGULAR, PLURAL = ("includes", "does not include"), ("include", "do not include")
LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class ChoiceAttribute(Attribute):
    """One value of a column with several values in a cell: 1 if the cell contains it, or else 0.

    A missing cell is nan. Spellings that differ in case or white space are one value. A column
    becomes one attribute for each frequent value, and one for all others, which has the warning
    about unseen values.

    Attributes
    ----------
    separator : str
        One of `SEPARATORS`.
    value : str
        The value in its most frequent spelling; empty for any value that is not in `values`.
    values : tuple of str
        The frequent values of the column, the most frequent first.
    """

    separator: str
    value: str
    values: tuple[str, ...]
    kind: ClassVar[str] = "choice"
    note: ClassVar[str] = (
        f"a cell with several values, separated by `;`, `\\|`, `,` or `、`, or a JSON list: one "
        f"feature for each of at most {MAX_VALUES} values with at least {MIN_LEADS} leads, and "
        "one for all others"
    )

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return one attribute for each frequent value, if the cells contain several values."""
        for separator in SEPARATORS:
            if _is_likely(column.sample, separator):
                values = _frequent_values(column, separator)
                if values:
                    every = (*values, "")
                    return [
                        cls(column.name, column.nothing, separator, value, values)
                        for value in every
                    ]
        return ()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Return a frequent value and all others, for the data dictionary."""
        return [cls("COLUMN", frozenset(), ";", value, ("VALUE",)) for value in ("VALUE", "")]

    @property
    def odd_value(self) -> float:
        """The encoded value of a cell with an unseen value; nan for a frequent value."""
        return math.nan if self.value else 1.0

    @property
    def feature(self) -> Feature:
        """The description of the column of the matrix."""
        column = shortened(self.column)
        verb, not_verb = PLURAL if column.endswith("s") else SINGULAR
        value = shortened(self.value) or "a value that is rare or new"
        return Feature(
            name=f"{self.column} includes {self.value}" if self.value else f"{self.column}.other",
            table="leads",
            column=self.column,
            unit="yes/no",
            sentence="{value}",
            signal=self.column,
            values=(f"{column} {not_verb} {value}", f"{column} {verb} {value}"),
            measure=f"{column} {verb} {value}",
        )

    def encode(self, cell: Any) -> float:
        """Read one cell."""
        folded = self._parts(cell)
        if not folded:
            return math.nan
        if self.value:
            return float(self.value.casefold() in folded)
        return float(not folded <= self._known)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(value.casefold() for value in self.values)

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        if self.value or self.encode(cell) != self.odd_value:
            return None
        return cell_warning("unseen_value", self.column)

    def group_names(self, column: pd.Series) -> Objects | None:
        """Return whether each lead has the value, shape (n_leads,); None for a less frequent one.

        A lead has several values, so each of the `MOST_GROUPS` most frequent ones makes groups.
        """
        if self.value not in self.values[:MOST_GROUPS]:
            return None
        names = np.array([f"not {self.value}", self.value], dtype=object)
        return names[(self.encode_column(column) == 1).astype(np.int64)]

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return cells with one and with two values."""
        pairs = zip(self.values, self.values[1:], strict=False)
        return [*self.values, *(_joined(pair, self.separator) for pair in pairs)]

    def _parts(self, cell: Any) -> frozenset[str]:
        text = cell_text(cell)
        if text is None or text.casefold() in self.nothing:
            return frozenset()
        return _folded_parts(text, self.separator) - self.nothing


@lru_cache(CACHED_CELLS)
def _folded_parts(text: str, separator: str) -> frozenset[str]:
    """Return the case-folded parts of a cell; the attributes of a column read the same cells."""
    return frozenset(part.casefold() for part in split_cell(text, separator))


def split_cell(text: str, separator: str) -> list[str]:
    """Split the text of a cell into its parts, in their order, without empty ones.

    Examples
    --------
    >>> split_cell("Demo ; Pricing;", ";"), split_cell('["Demo", "Pricing"]', "[]")
    (['Demo', 'Pricing'], ['Demo', 'Pricing'])
    >>> split_cell("^Demo^,^Pricing^", "^,^"), split_cell('["Demo", "Pricing"]', ";")
    (['Demo', 'Pricing'], ['Demo', 'Pricing'])
    """
    parts: Sequence[Any] = _list_items(text)  # APIs send lists, whatever the file has
    if len(parts) == 1 and parts[0] == text and separator != LIST:
        whole = text.removeprefix("^").removesuffix("^") if separator == CARETS else text
        parts = whole.split(separator)
    tidy = (cell_text(part) for part in parts)
    return [part for part in tidy if part is not None]


def _list_items(text: str) -> Sequence[Any]:
    """Read a JSON list, with double or single quotes; any other text is one part."""
    if text.startswith("[") and text.endswith("]"):
        for attempt in (text, text.replace("'", '"')):
            try:
                items = json.loads(attempt)
            except (ValueError, RecursionError):
                continue
            if not any(isinstance(item, list | dict) for item in items):
                return list(items)
    return [text]


def _joined(parts: Sequence[str], separator: str) -> str:
    return json.dumps(parts, ensure_ascii=False) if separator == LIST else separator.join(parts)


def _is_likely(sample: Sequence[str], separator: str) -> bool:
    """Check whether cells of a sample may have several parts, to read few columns completely."""
    mark = "[" if separator == LIST else separator
    return sum(mark in text for text in sample) >= max(1.0, SEVERAL_SHARE * len(sample))


def _frequent_values(column: UndeclaredColumn, separator: str) -> tuple[str, ...]:
    """Return the frequent values of a column; empty if its cells do not contain several values."""
    counts = pd.Series(text_column(column.cells), dtype=object).value_counts()
    cells = {str(text): int(n) for text, n in counts.items()}
    parts_of = dict(_parts_of_cells(cells, separator, column.nothing))
    n_cells = sum(cells[text] for text in parts_of)
    several = {text: parts for text, parts in parts_of.items() if len(parts) > 1}
    if sum(cells[text] for text in several) < max(MIN_LEADS, SEVERAL_SHARE * n_cells):
        return ()
    spelled, leads = _spellings(parts_of, cells)
    frequent = {part for part, n in leads.items() if n >= MIN_LEADS}
    kept = sorted(frequent, key=lambda part: (-leads[part], part))[:MAX_VALUES]
    repeats = (
        len(kept) > 1
        and _share_of(frequent, several, cells) >= REPEATED_SHARE
        and _share_of(set(kept), several, cells) >= KEPT_SHARE
    )
    if not repeats or not _are_choices(parts_of, frequent, separator):
        return ()
    return tuple(spelled[part] for part in kept)


def _parts_of_cells(
    cells: Mapping[str, int], separator: str, nothing: frozenset[str]
) -> Iterator[tuple[str, list[str]]]:
    for text in cells:
        if text.casefold() not in nothing:
            parts = [p for p in split_cell(text, separator) if p.casefold() not in nothing]
            if parts:
                yield text, parts


def _spellings(
    parts_of: Mapping[str, Sequence[str]], cells: Mapping[str, int]
) -> tuple[dict[str, str], dict[str, int]]:
    """Return the most frequent spelling, and the number of leads, of each case-folded part."""
    written: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text, parts in parts_of.items():
        for part in dict.fromkeys(parts):
            written[part.casefold()][part] += cells[text]
    spelled = {part: min(by, key=lambda s: (-by[s], s)) for part, by in written.items()}
    return spelled, {part: by.total() for part, by in written.items()}


def _share_of(
    values: set[str], several: Mapping[str, Sequence[str]], cells: Mapping[str, int]
) -> float:
    """Compute the share of parts, in cells with several parts, that are one of these values."""
    n_parts = sum(cells[text] * len(parts) for text, parts in several.items())
    n_values = sum(
        cells[text] * sum(part.casefold() in values for part in parts)
        for text, parts in several.items()
    )
    return n_values / n_parts


def _are_choices(parts_of: Mapping[str, Sequence[str]], frequent: set[str], separator: str) -> bool:
    """Check whether the parts of cells are chosen values, rather than the fields of one value.

    The fields of an address, a name or a path have fixed places. Chosen values are short, make
    more combinations than there are values, and occur at different places.
    """
    if max(map(len, frequent)) > MOST_CHARACTERS:
        return False
    if separator == "," and 2 * sum(LETTER.search(part) is None for part in frequent) > len(
        frequent
    ):
        return False
    places: defaultdict[str, set[int]] = defaultdict(set)
    combinations = set()
    for parts in parts_of.values():
        folded = [part.casefold() for part in parts]
        combinations.add(frozenset(folded))
        for place, part in enumerate(folded):
            places[part].add(place)
    moving = sum(len(places[part]) > 1 for part in frequent)
    return len(combinations) > len(frequent) and moving >= MOVING_SHARE * len(frequent)
