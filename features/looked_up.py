"""Features that are looked up by the values of a lead: their descriptions, and these values.

Such a feature is a rate of wins or a count of leads. Its number does not identify the values of the
lead, so a reason names them, and they are read again from the cells of the lead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from crm.arrays import Objects
from features.attributes.attribute import WordAttribute
from features.feature import Feature, LeadValues, shortened

CellOf = Callable[[int, str], Any]  # the cell of a lead, by its position, in a column
ValuesOf = Callable[[int, int], LeadValues]  # of a lead, by the positions of it and of a feature


@dataclass(frozen=True)
class Lookup:
    """The attributes whose values a feature is looked up with.

    Attributes
    ----------
    attributes : tuple of WordAttribute
        The attributes whose words are looked up.
    has_seen : callable
        Checks whether the words of a lead, one for each attribute, were seen in training.
    """

    attributes: tuple[WordAttribute, ...]
    has_seen: Callable[[Sequence[str]], bool]

    def values(self, row: int, cell_of: CellOf) -> LeadValues:
        """Return the values of a lead, as a reason names them."""
        texts = tuple([read(cell_of(row, column)) for column, read in self._readers])
        return LeadValues(texts, self.has_seen([text.casefold() for text in texts]))

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], str]]]:
        return [(attribute.column, attribute.text) for attribute in self.attributes]


def cells_of_table(leads: pd.DataFrame) -> CellOf:
    """Return a function that reads cells of a table; a cell of an absent column is missing.

    Examples
    --------
    >>> cell_of = cells_of_table(pd.DataFrame({"city": ["Bonn", "Graz"]}, index=[7, 7]))
    >>> cell_of(1, "city"), cell_of(1, "plan")
    ('Graz', None)
    """
    cells: dict[str, Objects | None] = {}

    def cell_of(row: int, column: str) -> Any:
        if column not in cells:
            known = column in leads.columns
            cells[column] = leads[column].to_numpy(dtype=object) if known else None
        of_column = cells[column]
        return None if of_column is None else of_column[row]

    return cell_of


def looked_up_features(*columns: str) -> tuple[Feature, Feature]:
    """Describe the log-odds of a win, and the log count, of the leads with the same values.

    Parameters
    ----------
    *columns : str
        One column, or the two columns of a pair.

    Examples
    --------
    >>> rate, count = looked_up_features("industry", "region")
    >>> rate.signal_name, count.signal_name
    ('industry with region', 'industry with region')
    >>> values = LeadValues(("Construction", ""), is_seen=True)
    >>> rate.say(0.0, values)
    'industry is "Construction" and region is not known: such leads are won in 50% of cases'
    >>> count.say(0.0, LeadValues(("Construction", "Mars"), is_seen=False))
    'industry is "Construction" and region is "Mars": such leads were not seen in training'
    """
    name = " with ".join(columns)
    same = " and ".join(map(shortened, columns))
    rate = Feature(
        name=f"{name}.win_log_odds",
        table="leads",
        column=", ".join(columns),
        unit="log-odds",
        sentence="such leads are won in {value} of cases",
        signal=name,
        measure=f"how often leads with the same {same} are won",
        pair=columns if len(columns) == 2 else (),
        unseen="such leads were not seen in training; {value} of all leads are won",
    )
    count = replace(
        rate,
        name=f"{name}.log_count",
        unit="log-count",
        sentence="such leads were seen {value} in training",
        measure=f"how often leads with the same {same} were seen",
        unseen="such leads were not seen in training",
    )
    return rate, count
