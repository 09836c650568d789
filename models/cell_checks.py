"""Checks leads against what a model learned from: warnings about cells, and their counts."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats, Ints, Objects
from crm.cells import cell_text, has_content, read_column, text_column
from crm.formats.column_times import written_time
from crm.times import DAY, NOT_A_TIME
from features.attributes.attribute import Attribute
from features.cell_warnings import CellWarning, CellWarningCode, cell_warning
from features.feature import in_words, shortened
from features.pipeline import FeaturePipeline
from models.attribute_counts import AttributeCounts

AGE_MARGIN_DAYS: Final = 1.0  # a lead may be this much older or younger than those learned from
CLOCK_DAYS: Final = 5 / 1440  # clocks of the CRM and of the service may differ by this much
N_EXAMPLES: Final = 3
MOST_VALUES: Final = 1_000  # distinct cells that are counted to find the most frequent ones


class WarnedCells(NamedTuple):
    """The cells of a table with the same warning.

    Attributes
    ----------
    warning : CellWarning
    n : int
        The number of cells.
    texts : ndarray of str, shape (n,)
        The cells as text.
    """

    warning: CellWarning
    n: int
    texts: Objects


@dataclass(frozen=True)
class CellChecks:
    """The checks of the cells of leads, the same for a request and for a table.

    Attributes
    ----------
    pipeline : FeaturePipeline
    created_at : str
        The column with the creation time of a lead.
    time_format : str or None
        The format of its times; None is ISO 8601.
    """

    pipeline: FeaturePipeline
    created_at: str
    time_format: str | None = None

    def of_leads(
        self, leads: Sequence[Mapping[str, Any]], features: Floats, as_of: Ints
    ) -> list[list[CellWarning]]:
        """Return the warnings about the cells of each lead.

        Parameters
        ----------
        leads : sequence of mapping, length n
            The cells of each lead by column.
        features : ndarray of float64, shape (n, n_features)
            The features of the leads. A cell is checked only if it was encoded as a value that
            triggers a warning.
        as_of : ndarray of int64, shape (n,)
            The moments of scoring, microseconds since 1970 UTC.

        Returns
        -------
        list of list of CellWarning
        """
        self.counts.add(features, leads)
        warnings: list[list[CellWarning]] = [[] for _ in leads]
        rows, places = np.nonzero(self._is_odd(features, as_of))
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            attribute = self.pipeline.attributes[place]
            if attribute.column not in leads[row]:
                continue
            cell = leads[row][attribute.column]
            warning = attribute.warning(cell)
            if attribute.depends_on_moment and _is_future(attribute.encode(cell), as_of[row]):
                warning = cell_warning("time_in_future", attribute.column)
            if warning is not None and warning not in warnings[row]:
                warnings[row].append(warning)
        for code, is_of_code in self._of_creation(features):
            for row in np.flatnonzero(is_of_code).tolist():
                if code != "unreadable_time" or cell_text(leads[row].get(self.created_at)):
                    warnings[row].append(self._creation_warnings[code])
        return warnings

    @cached_property
    def counts(self) -> AttributeCounts:
        """The missing and unseen values of all leads that `of_leads` has checked."""
        return AttributeCounts(self.pipeline)

    def of_table(self, leads: pd.DataFrame, features: Floats, as_of: Ints) -> list[WarnedCells]:
        """Return the warnings of `of_leads` about the rows of a table, warning by warning."""
        is_odd = self._is_odd(features, as_of)
        rows_of: dict[CellWarning, Bools] = {}
        for place, attribute in enumerate(self.pipeline.attributes):
            rows = np.flatnonzero(is_odd[:, place])
            if attribute.column not in leads.columns or len(rows) == 0:
                continue
            warnings = _of_column(attribute, leads[attribute.column].iloc[rows], as_of[rows])
            for warning in dict.fromkeys(warnings.tolist()):
                if warning is not None:
                    is_warned = rows_of.setdefault(warning, np.zeros(len(leads), dtype=bool))
                    is_warned[rows[warnings == warning]] = True
        if self.created_at in leads.columns and self.pipeline.has_times:
            is_filled = has_content(leads[self.created_at])
            for code, is_of_code in self._of_creation(features):
                rows_of[self._creation_warnings[code]] = is_of_code & is_filled
        return [
            WarnedCells(
                warning, int(is_warned.sum()), text_column(leads[warning.column].iloc[is_warned])
            )
            for warning, is_warned in rows_of.items()
            if is_warned.any()
        ]

    def _is_odd(self, features: Floats, as_of: Ints) -> Bools:
        """Find the cells that were encoded as a value that may trigger a warning."""
        odd_values, low, high = self._limits
        encoded = features[:, : len(odd_values)]
        is_missing = np.isnan(encoded) & np.isnan(odd_values)
        is_odd = is_missing | (encoded == odd_values) | (encoded < low) | (encoded > high)
        places, earliest = self._ages
        if len(places):
            days = np.where(as_of != NOT_A_TIME, as_of / DAY, np.nan)
            is_odd[:, places] |= days[:, None] - encoded[:, places] < earliest
        return is_odd

    @cached_property
    def _limits(self) -> tuple[Floats, Floats, Floats]:
        """The odd value of each attribute, and the ends of its usual range."""
        attributes = self.pipeline.attributes
        ranges = np.array([attribute.usual_range for attribute in attributes]).reshape(-1, 2)
        return np.array([a.odd_value for a in attributes]), ranges[:, 0], ranges[:, 1]

    @cached_property
    def _ages(self) -> tuple[Ints, Floats]:
        """The positions of the features that are ages of dates, and the first usual dates."""
        earliest = {
            place: attribute.usual_dates[0]
            for place, attribute in enumerate(self.pipeline.attributes)
            if attribute.depends_on_moment and attribute.feature.unit == "days"
        }
        return np.array([*earliest], dtype=np.int64), np.array([*earliest.values()])

    def _of_creation(self, features: Floats) -> Iterator[tuple[CellWarningCode, Bools]]:
        """Find the leads whose creation is unknown, too late, or unlike those learned from."""
        if not self.pipeline.has_times:
            return
        first = len(self.pipeline.attributes)  # LEAD_TIMES follow the attributes
        age, weekday = features[:, first], features[:, first + 1]
        yield "unreadable_time", np.isnan(weekday)
        yield "time_in_future", age < -CLOCK_DAYS
        if self.pipeline.age_days is not None:
            youngest, oldest = self.pipeline.age_days
            yield "older_than_learned", age > oldest + AGE_MARGIN_DAYS
            yield "younger_than_learned", (age >= -CLOCK_DAYS) & (age < youngest - AGE_MARGIN_DAYS)

    @cached_property
    def _creation_warnings(self) -> dict[CellWarningCode, CellWarning]:
        """The warnings about the time of creation, by code."""
        youngest, oldest = self.pipeline.age_days or (0.0, 0.0)
        oldest_in_words = f"at most {in_words('days', oldest)}" if oldest else "new leads only"
        learned: dict[CellWarningCode, str] = {
            "unreadable_time": f"expected {written_time(self.time_format)}",
            "time_in_future": "",
            "older_than_learned": oldest_in_words,
            "younger_than_learned": f"at least {in_words('days', youngest)}",
        }
        return {code: cell_warning(code, self.created_at, words) for code, words in learned.items()}


def _is_future(days: Any, as_of: Any) -> Any:
    """Check whether times, in days since 1970, are later than moments, in microseconds."""
    return (as_of != NOT_A_TIME) & (days > as_of / DAY)


def _of_column(attribute: Attribute, cells: pd.Series, as_of: Ints) -> Objects:
    """Return the warning, or None, about each cell of a column."""
    warnings = read_column(cells, attribute.warning, object)
    if attribute.depends_on_moment:
        is_future = _is_future(attribute.encode_column(cells), as_of)
        warnings[is_future] = cell_warning("time_in_future", attribute.column)
    return warnings


@dataclass(frozen=True)
class WarningCount:
    """The number of cells of a column with one warning.

    Attributes
    ----------
    code, column, message : str
        As in `CellWarning`.
    cells : int
    examples : list of str
        The most frequent cells, at most `N_EXAMPLES`.
    """

    code: str
    column: str
    message: str
    cells: int
    examples: list[str]


class WarningCounts:
    """The counts of warnings about a table that is read in chunks.

    The order and the size of the chunks do not matter: of more than `MOST_VALUES` distinct cells,
    those with the smallest checksums are kept, so that each kept cell was counted from its first
    occurrence on.

    Parameters
    ----------
    pipeline : FeaturePipeline

    Attributes
    ----------
    attributes : AttributeCounts
        The counts of missing and unseen values.
    """

    def __init__(self, pipeline: FeaturePipeline) -> None:
        self.attributes = AttributeCounts(pipeline)
        self._cells: Counter[CellWarning] = Counter()
        # The numbers of the kept cells, by checksum and text, and the highest checksum to keep.
        self._values: dict[CellWarning, tuple[dict[tuple[int, str], int], int | None]] = {}

    def add(self, warned: Iterable[WarnedCells]) -> None:
        """Add the warnings about one chunk."""
        for warning, n, texts in warned:
            self._cells[warning] += n
            kept, highest = self._values.get(warning, ({}, None))
            for text in texts.tolist():
                checksum = zlib.crc32(text.encode())
                if highest is None or checksum <= highest:
                    kept[checksum, text] = kept.get((checksum, text), 0) + 1
            if len(kept) > MOST_VALUES:
                kept = {key: kept[key] for key in sorted(kept)[:MOST_VALUES]}
                highest = max(kept)[0]
            self._values[warning] = kept, highest

    @property
    def rows(self) -> list[WarningCount]:
        """The counts, the most cells first."""
        return [
            WarningCount(
                code=warning.code,
                column=warning.column,
                message=warning.message,
                cells=n,
                examples=_most_frequent(self._values[warning][0]),
            )
            for warning, n in sorted(
                self._cells.items(), key=lambda item: (-item[1], item[0].column, item[0].code)
            )
        ]


def _most_frequent(numbers: Mapping[tuple[int, str], int]) -> list[str]:
    in_order = sorted((-n, text) for (_, text), n in numbers.items())
    return [shortened(text) for _, text in in_order[:N_EXAMPLES]]
