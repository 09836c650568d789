"""Attributes that are more than a number or a category: flags, dates, e-mail, many values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from crm.arrays import Floats, Labels
from crm.cells import cell_text, read_column
from crm.times import DAY, NOT_A_TIME
from features.attributes.attribute import Attribute
from features.cell_warnings import CellWarning, cell_warning
from features.feature import Feature, braced, shortened
from features.times import cell_time

YES = frozenset(
    [
        "yes",
        "y",
        "true",
        "t",
        "1",
        "ja",
        "j",
        "oui",
        "si",
        "sì",
        "sí",
        "sim",
        "on",
        "agreed",
        "granted",
        "subscribed",
        "opted-in",
        "opt-in",
    ]
) | {"opted in", "opt in"}
NO = frozenset(
    [
        "no",
        "n",
        "false",
        "f",
        "0",
        "nein",
        "nee",
        "non",
        "não",
        "off",
        "refused",
        "denied",
        "unsubscribed",
        "opted-out",
        "opt-out",
    ]
) | {"opted out", "opt out"}
FREE_MAIL = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "ymail.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "gmx.com",
        "web.de",
        "t-online.de",
        "freenet.de",
        "mail.ru",
        "yandex.ru",
        "yandex.com",
        "protonmail.com",
        "proton.me",
        "zoho.com",
        "qq.com",
        "163.com",
        "126.com",
        "orange.fr",
        "wanadoo.fr",
        "free.fr",
        "laposte.net",
        "libero.it",
        "rediffmail.com",
    ]
)
DISPOSABLE_MAIL = frozenset(
    [
        "mailinator.com",
        "guerrillamail.com",
        "10minutemail.com",
        "temp-mail.org",
        "tempmail.com",
        "yopmail.com",
        "trashmail.com",
        "throwawaymail.com",
        "getnada.com",
        "sharklasers.com",
        "dispostable.com",
        "maildrop.cc",
        "fakeinbox.com",
        "mintemail.com",
    ]
)
MAIL_KINDS = ("missing", "no address", "company", "free", "disposable")
NO_ADDRESS = 1.0  # its code
PRIOR_ROWS = 20.0


@dataclass(frozen=True)
class FlagAttribute(Attribute):
    """Yes or no, such as a consent: 1, 0, or nan where neither is said."""

    kind: ClassVar[str] = "flag"

    @property
    def feature(self) -> Feature:
        """Describe the column of the matrix."""
        return Feature(
            self.column, "leads", self.column, "yes/no", f"{braced(self.column)}: {{value}}"
        )

    def encode(self, cell: Any) -> float:
        """Read one cell."""
        word = (cell_text(cell) or "").casefold()
        if word in self.nothing:
            return math.nan
        return 1.0 if word in YES else 0.0 if word in NO else math.nan

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        word = (cell_text(cell) or "").casefold()
        if not word or word in self.nothing or word in YES | NO:
            return None
        return cell_warning("not_yes_or_no", self.column)


@dataclass(frozen=True)
class DateAttribute(Attribute):
    """A date, as its age in days at the moment, or as the weekday or month it falls in.

    A date later than the moment was not known then and is missing.

    Attributes
    ----------
    part : {"age_days", "weekday", "month"}
        Weekdays from 0, Monday; months from 1; both in UTC.
    """

    part: Literal["age_days", "weekday", "month"]
    kind: ClassVar[str] = "date"

    @property
    def feature(self) -> Feature:
        """Describe the column of the matrix."""
        name, said = f"{self.column}.{self.part}", braced(self.column)
        if self.part == "age_days":
            return Feature(
                name,
                "leads",
                self.column,
                "days",
                f"{said} {{value}} ago",
                signal=self.column,
                measure=f"time since {shortened(self.column)}",
            )
        return Feature(
            name,
            "leads",
            self.column,
            self.part,
            f"{said} in {{value}}" if self.part == "month" else f"{said} on a {{value}}",
            signal=self.column,
            measure=f"{self.part} of {shortened(self.column)}",
        )

    def encode(self, cell: Any) -> float:
        """Read one cell as days since 1970; `at` makes it what the moment sees."""
        time = cell_time(cell_text(cell))  # 20250301 is the same day as a number and as a word
        return math.nan if time == NOT_A_TIME else time / DAY

    def at(self, days: Floats, as_of_days: Floats) -> Floats:
        """Turn days since 1970 into the part, seen from moments; shape (n,)."""
        age = as_of_days - days
        if self.part == "age_days":
            return np.where(age >= 0, age, np.nan)
        known = np.where(age < 0, np.nan, days)  # without a moment the date is taken as known
        if self.part == "weekday":
            return np.floor(known + 3) % 7
        is_known = np.isfinite(known)
        day = np.where(is_known, np.floor(known), 0).astype("datetime64[D]")
        month = day.astype("datetime64[M]").astype(np.int64) % 12 + 1
        return np.where(is_known, month, np.nan)

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        word = cell_text(cell)
        if word is None or word.casefold() in self.nothing or cell_time(word) != NOT_A_TIME:
            return None
        return cell_warning("unreadable_time", self.column)


@dataclass(frozen=True)
class EmailAttribute(Attribute):
    """An e-mail address, of which only the kind of its domain is looked at."""

    kind: ClassVar[str] = "email"
    vocabulary: ClassVar[tuple[str, ...]] = MAIL_KINDS[2:]

    @property
    def odd_value(self) -> float:
        """The code of what is no address."""
        return NO_ADDRESS

    @property
    def feature(self) -> Feature:
        """Describe the column of the matrix."""
        return Feature(
            f"{self.column}.domain_kind",
            "leads",
            self.column,
            "category",
            "{value} e-mail address",
            absent="no e-mail address",
            signal=self.column,
            values=("", "unreadable", *MAIL_KINDS[2:]),
            measure="kind of e-mail address",
        )

    def encode(self, cell: Any) -> float:
        """Read one cell as a code of `MAIL_KINDS`."""
        text = (cell_text(cell) or "").casefold()
        if not text or text in self.nothing:
            return 0.0
        _, at, domain = text.rpartition("@")
        if not at or "." not in domain:
            return NO_ADDRESS
        if domain in DISPOSABLE_MAIL:
            return 4.0
        return 3.0 if domain in FREE_MAIL else 2.0

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        if self.encode(cell) != NO_ADDRESS:
            return None
        return cell_warning("not_an_email_address", self.column)


@dataclass(frozen=True)
class TargetAttribute(Attribute):
    """A category with many values, as the smoothed log-odds of a win among each value's leads.

    A value that was not seen in training, and a missing one, have an estimate of their own
    only if training had them; otherwise they are the average.

    Attributes
    ----------
    log_odds : mapping of str to float
        By casefolded value; the empty string is "missing".
    average : float
        Log-odds of all leads.

    References
    ----------
    Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes in
    Classification and Prediction Problems", SIGKDD Explorations, 2001.
    """

    log_odds: Mapping[str, float] = field(repr=False)
    average: float
    kind: ClassVar[str] = "target"

    @property
    def odd_value(self) -> float:
        """What a value is read as that was unseen in training."""
        return self.average

    @property
    def feature(self) -> Feature:
        """Describe the column of the matrix."""
        return Feature(
            f"{self.column}.win_log_odds",
            "leads",
            self.column,
            "log-odds",
            f"leads with this {braced(self.column)} are won in {{value}} of cases",
            signal=self.column,
            measure=f"how often leads with the same {shortened(self.column)} are won",
        )

    @cached_property
    def _word(self) -> Any:
        nothing = self.nothing

        def word(cell: Any) -> str:
            text = (cell_text(cell) or "").casefold()
            return "" if text in nothing else text

        return word

    def encode(self, cell: Any) -> float:
        """Read one cell as the log-odds of its value."""
        return self.log_odds.get(self._word(cell), self.average)

    def warning(self, cell: Any) -> CellWarning | None:
        """Return the warning about a cell, or None."""
        word = self._word(cell)
        if not word or word in self.log_odds:
            return None
        return cell_warning("unseen_value", self.column)


def fit_target(
    column: pd.Series,
    nothing: frozenset[str],
    label: Labels,
    weight: Floats,
) -> TargetAttribute:
    """Learn the smoothed log-odds of a win of each value.

    Parameters
    ----------
    column : Series, shape (n,)
        The cells of each moment's lead.
    nothing : frozenset of str
    label : ndarray of int8, shape (n,)
    weight : ndarray of float64, shape (n,)

    Returns
    -------
    TargetAttribute

    Examples
    --------
    >>> column = pd.Series(["Bonn"] * 50 + ["Graz"] * 50, name="city")
    >>> label = np.array([1] * 40 + [0] * 60, dtype=np.int8)
    >>> city = fit_target(column, frozenset(), label, np.ones(100))
    >>> city.encode("BONN ") > city.encode("Rome") == city.average > city.encode("Graz")
    True
    """
    empty = TargetAttribute(str(column.name), nothing, {}, 0.0)
    words = read_column(column, empty._word, object)
    codes, values = pd.factorize(words)
    won = np.bincount(codes, weight * label, len(values))
    seen = np.bincount(codes, weight, len(values))
    rate = (won.sum() + 0.5) / (seen.sum() + 1.0)
    smoothed = (won + PRIOR_ROWS * rate) / (seen + PRIOR_ROWS)
    log_odds = np.log(smoothed / (1 - smoothed))
    return TargetAttribute(
        empty.column,
        nothing,
        dict(zip(map(str, values), map(float, log_odds), strict=True)),
        float(np.log(rate / (1 - rate))),
    )
