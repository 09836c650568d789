"""Groups of leads: by the values of an attribute, or of any column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints, Objects
from crm.cells import cell_text, number_column, read_column, text_column
from crm.project import Project
from crm.times import NOT_A_TIME
from features.attributes.attribute import (
    MISSING_GROUP,
    MOSTLY,
    UNSEEN_GROUP,
    Attribute,
    spellings,
)
from features.times import cell_time

MOST_VALUES = 12
FEWEST_LEADS = 30  # a value of fewer is one of the others
N_BANDS = 4
MOST_CHARACTERS = 80
OTHERS = "(other values)"
NOT_ALIKE = (MISSING_GROUP, UNSEEN_GROUP, OTHERS)  # leads that share no value


@dataclass(frozen=True)
class Groups:
    """Which of some groups each lead is in.

    Attributes
    ----------
    column : str
        What they were made from.
    names : tuple of str
        The most frequent first, bands of numbers from the least; then those of no value.
    code : ndarray of int64, shape (n_leads,)
        Positions in `names`.
    """

    column: str
    names: tuple[str, ...]
    code: Ints

    @property
    def of_leads(self) -> Objects:
        """The name of each lead's group, shape (n_leads,)."""
        return np.array(self.names, dtype=object)[self.code]

    def shortened(self) -> "Groups":
        """Cut long names, as a model card shows them."""
        return Groups(_cut(self.column), tuple(map(_cut, self.names)), self.code)


def groups_by_value(attribute: Attribute, column: pd.Series) -> Groups | None:
    """Group leads by the values of a category, a flag or a kind of e-mail address.

    A value of fewer than `FEWEST_LEADS` leads, and what comes after the `MOST_VALUES` most
    frequent ones, is one of the other values.

    Parameters
    ----------
    attribute : Attribute
    column : Series, shape (n_leads,)
        Its cells.

    Returns
    -------
    Groups or None
        Long names are cut. None if the attribute is of another kind, such as a number.

    Examples
    --------
    >>> cells = pd.Series(["yes"] * 40 + [None] * 50 + ["NO"] * 3)
    >>> from features.attributes.flag import FlagAttribute
    >>> groups_by_value(FlagAttribute("opt_in", frozenset()), cells).names
    ('yes', '(missing)', '(other values)')
    """
    names = attribute.group_names(column)
    if names is None:
        return None
    return _common(attribute.column, names, MOST_VALUES).shortened()


def groups_of_column(column: pd.Series, project: Project, most_values: int = MOST_VALUES) -> Groups:
    """Group leads by a column, whatever it holds.

    Numbers, and dates by their year, are cut into `N_BANDS` bands of as many leads each.

    Parameters
    ----------
    column : Series, shape (n_leads,)
    project : Project
        Says which words mean nothing, and which columns are numbers or categories.
    most_values : int
        So many of the most frequent ones are told apart.

    Returns
    -------
    Groups
        Names as they were written, however long.
    """
    rules, name = project.columns, str(column.name)
    texts = spellings(column, frozenset(str(cell_text(word)).casefold() for word in rules.nothing))
    filled = texts != MISSING_GROUP
    if name in rules.category or not filled.any():
        return _common(name, texts, most_values)
    for numbers in (number_column(column), _years(column)):
        numbers[~filled] = np.nan
        is_number = np.isfinite(numbers)
        many = len(np.unique(numbers[is_number])) > MOST_VALUES
        if many and (name in rules.number or is_number[filled].mean() >= MOSTLY):
            return _bands(name, numbers)
    return _common(name, texts, most_values)


def _common(column: str, texts: Objects, most_values: int) -> Groups:
    """Keep the values that enough leads have; the rest are others."""
    counts = pd.Series(texts).value_counts(sort=True)
    kept = [str(value) for value in counts[counts >= FEWEST_LEADS].head(most_values).index]
    return _grouped(column, texts, kept)


def _bands(column: str, numbers: Floats) -> Groups:
    """Cut numbers into bands of as many leads each, named by their least and greatest."""
    is_number = np.isfinite(numbers)
    known = numbers[is_number]
    inner = np.arange(1, N_BANDS) / N_BANDS
    edges = np.unique(np.quantile(known, inner, method="inverted_cdf"))
    band = np.searchsorted(edges, known, side="left")
    ends = [(known[band == i].min(), known[band == i].max()) for i in np.unique(band)]
    names = [f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in ends]
    texts = np.full(len(numbers), MISSING_GROUP, dtype=object)
    texts[is_number] = np.array(names, dtype=object)[np.unique(band, return_inverse=True)[1]]
    return _grouped(column, texts, names)


def _grouped(column: str, texts: Objects, kept: Sequence[str]) -> Groups:
    codes, values = pd.factorize(texts)
    is_alone = {*kept, MISSING_GROUP}
    named = [str(value) if value in is_alone else OTHERS for value in values]
    ordered = [name for name in kept if name not in NOT_ALIKE]
    ordered += [name for name in NOT_ALIKE if name in named]
    position = {name: i for i, name in enumerate(ordered)}
    code = np.array([position[name] for name in named], dtype=np.int64)[codes]
    return Groups(column, tuple(ordered), code)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _years(column: pd.Series) -> Floats:
    def year(cell: Any) -> float:
        time = cell_time(cell)
        if time == NOT_A_TIME:
            return np.nan
        return float(np.datetime64(time, "us").astype("datetime64[Y]").astype(int) + 1970)

    return read_column(pd.Series(text_column(column), dtype=object), year, np.float64)
