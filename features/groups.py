"""Groups leads by the values of an attribute, or of any column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints, Objects
from crm.cells import cell_text, read_column, text_column
from crm.formats.columns import number_reader, time_notation
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
FEWEST_LEADS = 30  # a value with fewer leads is put into `OTHERS`
N_BANDS = 4
FIRST_YEAR, LAST_YEAR = 1900, 2100  # whole numbers that are all within them are years
MOST_CHARACTERS = 80
OTHERS = "(other values)"
NOT_ALIKE = (MISSING_GROUP, UNSEEN_GROUP, OTHERS)  # groups whose leads do not share a value


@dataclass(frozen=True)
class Groups:
    """The group of each lead.

    Attributes
    ----------
    column : str
        The column that the groups come from.
    names : tuple of str
        Values by frequency, or bands of numbers in ascending order; then `NOT_ALIKE`.
    code : ndarray of int64, shape (n_leads,)
        The position of each lead's group in `names`.
    """

    column: str
    names: tuple[str, ...]
    code: Ints

    @property
    def of_leads(self) -> Objects:
        """The name of each lead's group, shape (n_leads,)."""
        return np.array(self.names, dtype=object)[self.code]

    def shortened(self) -> "Groups":
        """Return the groups with long names shortened, as a model card shows them."""
        return Groups(_cut(self.column), tuple(map(_cut, self.names)), self.code)


def groups_by_value(attribute: Attribute, column: pd.Series) -> Groups | None:
    """Group leads by the values of a category, a flag or a kind of e-mail address.

    A value with fewer than `FEWEST_LEADS` leads, or after the `MOST_VALUES` most frequent
    values, is put into `OTHERS`.

    Parameters
    ----------
    attribute : Attribute
    column : Series, shape (n_leads,)
        The cells of the attribute.

    Returns
    -------
    Groups or None
        Long names are shortened. None if the attribute has no groups, such as a number.

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


def groups_of_column(
    column: pd.Series,
    project: Project,
    most_values: int = MOST_VALUES,
    notation: str | None = None,
) -> Groups:
    """Group leads by any column.

    Numbers, and dates by their year, are cut into `N_BANDS` bands with equal numbers of leads.

    Parameters
    ----------
    column : Series, shape (n_leads,)
    project : Project
        It lists the words that mean nothing, and the columns that are numbers or categories.
    most_values : int
        The number of most frequent values that get groups of their own.
    notation : str, optional
        The format of its numbers or times, as `Records.formats` has it.

    Returns
    -------
    Groups
        Names are as they were written, of any length.
    """
    rules, name = project.columns, str(column.name)
    texts = spellings(column, frozenset(str(cell_text(word)).casefold() for word in rules.nothing))
    filled = texts != MISSING_GROUP
    if name in rules.category or not filled.any():
        return _common(name, texts, most_values)
    years = _years(column, time_notation(notation))
    numbers_of_cells = number_reader(notation).read_column(column)
    for numbers in (years,) if time_notation(notation) else (numbers_of_cells, years):
        numbers[~filled] = np.nan
        is_number = np.isfinite(numbers)
        many = len(np.unique(numbers[is_number])) > MOST_VALUES
        if many and (name in rules.number or is_number[filled].mean() >= MOSTLY):
            return _bands(name, numbers)
    return _common(name, texts, most_values)


def number_name(number: float, is_year: bool = False) -> str:
    """Format a number of the data for the name of a band: never with an exponent.

    Years have no separator. Fractions have up to six significant digits.

    Examples
    --------
    >>> number_name(1_234_567.0), number_name(5_001.0), number_name(-12_500.0)
    ('1,234,567', '5,001', '-12,500')
    >>> number_name(2_019.0, is_year=True)
    '2019'
    >>> number_name(0.1 + 0.2), number_name(0.00002), number_name(1_234_567.8)
    ('0.3', '0.00002', '1,234,568')
    """
    if not float(number).is_integer() and abs(number) < 100_000:
        text = np.format_float_positional(number, precision=6, fractional=False, trim="-")
        whole, point, rest = text.partition(".")
        sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
        return f"{sign}{int(digits):,}{point}{rest}"
    return f"{number:.0f}" if is_year else f"{number:,.0f}"


def _common(column: str, texts: Objects, most_values: int) -> Groups:
    """Keep the values that enough leads have, and put the rest into `OTHERS`."""
    counts = pd.Series(texts).value_counts(sort=True)
    common = [str(value) for value in counts[counts >= FEWEST_LEADS].head(most_values).index]
    return _grouped(column, texts, common)


def _bands(column: str, numbers: Floats) -> Groups:
    """Split numbers into bands with equal numbers of leads, named by their least and greatest."""
    is_number = np.isfinite(numbers)
    finite = numbers[is_number]
    inner = np.arange(1, N_BANDS) / N_BANDS
    edges = np.unique(np.quantile(finite, inner, method="inverted_cdf"))
    band = np.searchsorted(edges, finite, side="left")
    ends = [(finite[band == i].min(), finite[band == i].max()) for i in np.unique(band)]
    are_years = bool(
        (finite % 1 == 0).all() and FIRST_YEAR <= finite.min() <= finite.max() <= LAST_YEAR
    )
    names = [
        " to ".join(number_name(end, are_years) for end in ((low,) if low == high else (low, high)))
        for low, high in ends
    ]
    texts = np.full(len(numbers), MISSING_GROUP, dtype=object)
    texts[is_number] = np.array(names, dtype=object)[np.unique(band, return_inverse=True)[1]]
    return _grouped(column, texts, names)


def _grouped(column: str, texts: Objects, common: Sequence[str]) -> Groups:
    codes, values = pd.factorize(texts)
    is_alone = {*common, MISSING_GROUP}
    group_of_value = [str(value) if value in is_alone else OTHERS for value in values]
    ordered = [name for name in common if name not in NOT_ALIKE]
    ordered += [name for name in NOT_ALIKE if name in group_of_value]
    position = {name: i for i, name in enumerate(ordered)}
    code = np.array([position[name] for name in group_of_value], dtype=np.int64)[codes]
    return Groups(column, tuple(ordered), code)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _years(column: pd.Series, notation: str | None) -> Floats:
    def year(cell: Any) -> float:
        time = cell_time(cell, time_format=notation)
        if time == NOT_A_TIME:
            return np.nan
        return float(np.datetime64(time, "us").astype("datetime64[Y]").astype(int) + 1970)

    return read_column(pd.Series(text_column(column), dtype=object), year, np.float64)
