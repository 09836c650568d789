"""Attributes that are dates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Self

import numpy as np
import pandas as pd

from crm.arrays import Floats
from crm.cells import cell_text
from crm.formats.column_times import written_time
from crm.formats.time_recognition import TIMES
from crm.formats.times import is_time_format
from crm.times import DAY, MILLISECONDS, NOT_A_TIME
from features.attributes.attribute import MOSTLY, Attribute, UndeclaredColumn
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature, braced, shortened
from features.times import cell_time, local_days

PARTS: Final = ("age_days", "weekday", "month")
LATE = cell_time("2050-01-01")


@dataclass(frozen=True)
class DateAttribute(Attribute):
    """A date, as its age in days at the moment, or as its weekday or month.

    A date later than the moment was not known then and is missing.

    Attributes
    ----------
    part : {"age_days", "weekday", "month"}
        Weekdays from 0, Monday; months from 1; both in `timezone`.
    notation : str or None
        The format of the times, as `crm.formats.times` has it; None is ISO 8601.
    timezone : str
        The zone of times that have none.
    earliest, latest : float or None
        The dates of the training leads, in days since 1970; None in models of earlier versions.
    """

    part: Literal["age_days", "weekday", "month"]
    notation: str | None = None
    timezone: str = "UTC"
    earliest: float | None = None
    latest: float | None = None
    kind: ClassVar[str] = "date"
    note: ClassVar[str] = "a date later than the moment is missing"
    depends_on_moment: ClassVar[bool] = True

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        """Return the three parts of a date if most sampled values are dates."""
        notation = column.notation
        if notation is not None and not is_time_format(notation):
            return ()
        dates = [word for word in column.sample if _is_date(word, notation)]
        least = MOSTLY if any(word.isdigit() for word in dates) else TIMES
        if not dates or len(dates) < least * len(column.sample):
            return ()
        date = cls(column.name, column.nothing, "age_days", notation, column.timezone)
        days = date.encode_column(column.cells)
        days = days[np.isfinite(days)]
        if len(days):
            date = replace(date, earliest=float(days.min()), latest=float(days.max()))
        return [replace(date, part=part) for part in PARTS]

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """Return the three parts of a date, for the data dictionary."""
        return [cls("COLUMN", frozenset(), part) for part in PARTS]

    @property
    def feature(self) -> Feature:
        """The description of the column of the matrix."""
        column = braced(self.column)
        if self.part == "age_days":
            unit, sentence = "days", f"{column} {{value}} ago"
            measure = f"time since {shortened(self.column)}"
        elif self.part == "month":
            unit, sentence = "month", f"{column} in {{value}}"
            measure = f"month of {shortened(self.column)}"
        else:
            unit, sentence = "weekday", f"{column} on a {{value}}"
            measure = f"weekday of {shortened(self.column)}"
        return Feature(
            name=f"{self.column}.{self.part}",
            table="leads",
            column=self.column,
            unit=unit,
            sentence=sentence,
            signal=self.column,
            measure=measure,
        )

    @property
    def usual_dates(self) -> tuple[float, float]:
        """The dates of the training leads, widened on both sides by a quarter of their range."""
        if self.earliest is None or self.latest is None:
            return super().usual_dates
        margin = (self.latest - self.earliest) / 4
        return self.earliest - margin, self.latest + margin

    def encode(self, cell: Any) -> float:
        """Read one cell as days since 1970; `as_of` turns it into the part at a moment."""
        time = self._time(cell_text(cell))  # 20250301 is the same day as a number and as text
        return math.nan if time == NOT_A_TIME else time / DAY

    def _time(self, text: str | None) -> int:
        if text is None or text.casefold() in self.nothing:
            return NOT_A_TIME
        return cell_time(text, self.timezone, self.notation)

    def as_of(self, values: Floats, as_of_days: Floats) -> Floats:
        """Turn days since 1970 into the part at moments, shape (n,)."""
        age = as_of_days - values
        if self.part == "age_days":
            return np.where(age >= 0, age, np.nan)
        past = np.where(age < 0, np.nan, values)  # without a moment every date counts as past
        past = local_days(past, self.timezone)
        if self.part == "weekday":
            return np.floor(past + 3) % 7
        is_past = np.isfinite(past)
        day = np.where(is_past, np.floor(past), 0).astype("datetime64[D]")
        month = day.astype("datetime64[M]").astype(np.int64) % 12 + 1
        return np.where(is_past, month, np.nan)

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        word = cell_text(cell)
        if word is None or word.casefold() in self.nothing:
            return None
        time = self._time(word)
        if time == NOT_A_TIME:
            expected = f"expected {written_time(self.notation)}"
            return cell_warning("unreadable_time", self.column, detail=expected)
        low, high = self.usual_dates
        if low <= time / DAY <= high:
            return None
        return cell_warning("outside_training", self.column, self._learned_dates)

    @cached_property
    def _learned_dates(self) -> str:
        """The first and the last day of the training leads, on the clocks of the zone."""
        ends = [day for day in (self.earliest, self.latest) if day is not None]
        days = np.floor(local_days(np.array(ends), self.timezone)).astype("datetime64[D]")
        return " to ".join(days.astype(str).tolist())

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        """Return dates at some distances before the moment."""
        last = pd.Timestamp(0 if as_of == NOT_A_TIME else as_of, unit="us", tz="UTC")
        return [(last - pd.Timedelta(days=days)).isoformat() for days in (0.5, 3, 40, 400)]


def _is_date(word: str, notation: str | None) -> bool:
    """Check for a date; 13 digits that would be a time after 2049 are another kind of number."""
    time = cell_time(word, time_format=notation)
    return time != NOT_A_TIME and (time < LATE or not MILLISECONDS.fullmatch(word))
