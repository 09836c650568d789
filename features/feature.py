"""Describes the columns of the matrix, so that reasons can be written in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from crm.times import MONTHS

MOST_CHARACTERS = 60  # of a value that is quoted in a sentence
MOST_OF_SEVERAL = 40  # of each name and value, if a sentence names several columns
RARE = 1  # position of the words for rare and new values among the values of a category
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class LeadValues(NamedTuple):
    """The values of a lead that a feature was looked up by.

    Attributes
    ----------
    texts : tuple of str
        The value in each of the feature's `attributes`; empty if it is missing.
    is_seen : bool
        True if these values were seen together in training.
    """

    texts: tuple[str, ...]
    is_seen: bool


@dataclass(frozen=True)
class Feature:
    """One column of the matrix.

    Attributes
    ----------
    name : str
        The name, unique among the features of a pipeline.
    table, column : str
        The source. `column` names several columns if several are read.
    unit : str
        "count", "days", "hours", "share", "ratio", "number", "yes/no", "category",
        "log-odds", "log-count", "weekday", "month".
    sentence : str
        The template of a reason. `{value}` is replaced by the value in words.
    window_days : float or None
        The number of days before the moment that count; None for all.
    absent : str
        The reason if the value is missing, or if a count or share is 0.
    signal : str
        The signal of the feature. Features of one signal move together and make one reason.
        Empty if the feature is a signal of its own.
    values : tuple of str
        The text of each category code. A code beyond them is a value unseen in training. Of a
        yes/no feature: the whole reasons for no and for yes, if the sentence has none.
    measure : str
        The name of what the feature measures, without a value; empty: the name of the column.
    pair : tuple of two str, or empty
        The columns of a pair of attributes.
    unseen : str
        The template if the lead's values were not seen in training. A feature has one if it is
        looked up by the values of `attributes`. Its number does not identify these values, so a
        reason names them before the sentence.
    """

    name: str
    table: str
    column: str
    unit: str
    sentence: str
    window_days: float | None = None
    absent: str = ""
    signal: str = ""
    values: tuple[str, ...] = ()
    measure: str = ""
    pair: tuple[str, ...] = ()
    unseen: str = ""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns of the leads table that the feature reads; empty for other tables."""
        return self.pair or ((self.column,) if self.table == "leads" else ())

    @cached_property
    def signal_name(self) -> str:
        """The name of the signal that the feature belongs to."""
        return self.signal or self.name

    @property
    def window(self) -> str:
        """The window in words, such as "30 days"; empty if there is none."""
        if self.window_days is None:
            return ""
        return "1 day" if self.window_days == 1 else f"{self.window_days:g} days"

    @property
    def template(self) -> str:
        """The sentence, with the names of the columns whose values a reason names."""
        if not self.unseen:
            return self.sentence
        return f"{self._named(['…'] * len(self.attributes))}: {self.sentence}"

    def say(self, value: float, values: LeadValues | None = None) -> str:
        """Return a value in words.

        Parameters
        ----------
        value : float
            The value in the matrix; nan if it is missing.
        values : LeadValues, optional
            The values that the feature was looked up by. Without them, a sentence about such a
            feature begins with "this" and the column.

        Returns
        -------
        str

        Examples
        --------
        >>> days = Feature("demo.days", "activities", "type", "days",
        ...                'last "demo" {value} ago', absent='no "demo" yet')
        >>> days.say(2.04), days.say(0.125), days.say(math.nan)
        ('last "demo" 2 days ago', 'last "demo" 3 hours ago', 'no "demo" yet')
        >>> source = Feature("source", "leads", "source", "category", 'source is "{value}"',
        ...                  absent="source is not known", values=("", "a rare value", "Web"))
        >>> source.say(2.0), source.say(0.0)
        ('source is "Web"', 'source is not known')
        >>> source.say(1.0)
        'source is a rare value'
        >>> city = Feature("city.log_count", "leads", "city", "log-count",
        ...                "such leads were seen {value}", unseen="such leads were not seen")
        >>> city.say(math.log1p(3), LeadValues(("Bonn",), True)), city.say(math.log1p(3))
        ('city is "Bonn": such leads were seen 3 times', 'this city: such leads were seen 3 times')
        """
        if math.isnan(value) or (self.unit in ("count", "share") and value == 0):
            return self.absent or f"{shortened(self.column)} is not known"
        if self.unseen:
            return self._say_looked_up(value, values)
        if self.unit == "category":
            label = self.values[int(value)] if value < len(self.values) else ""
            if not label:
                return self.absent or f"{shortened(self.column)} is not known"
            sentence = self.sentence
            if int(value) == RARE:  # our own words are not quoted
                sentence = sentence.replace('"{value}"', "{value}")
            return sentence.format(value=quotable(label))
        if self.unit == "yes/no" and self.values:
            return self.values[int(value)]
        return self.sentence.format(value=in_words(self.unit, value))

    def _say_looked_up(self, value: float, values: LeadValues | None) -> str:
        if values is None:
            named = " and ".join([f"this {name}" for name in self._short_names])
            is_seen = self.unit != "log-count" or value > 0
        else:
            named, is_seen = self._named(values.texts), values.is_seen
        template = self.sentence if is_seen else self.unseen
        return f"{named}: {template.format(value=in_words(self.unit, value))}"

    def _named(self, texts: Sequence[str]) -> str:
        """Name the values of `attributes`, as the reason of a single category names one."""
        most = MOST_CHARACTERS if len(texts) == 1 else MOST_OF_SEVERAL
        named = [
            f'{name} is "{quotable(text, most)}"' if text else f"{name} is not known"
            for name, text in zip(self._short_names, texts, strict=True)
        ]
        return " and ".join(named)

    @cached_property
    def _short_names(self) -> list[str]:
        columns = self.attributes
        most = MOST_CHARACTERS if len(columns) == 1 else MOST_OF_SEVERAL
        return [shortened(column, most) for column in columns]


def braced(name: str) -> str:
    """Return a name from the data for a template: shortened, and with its braces doubled.

    Examples
    --------
    >>> braced("a {strange} column")
    'a {{strange}} column'
    """
    return shortened(name).replace("{", "{{").replace("}", "}}")


def in_words(unit: str, value: float) -> str:
    """Format a value that is not missing, without the sentence around it.

    Examples
    --------
    >>> in_words("days", 0.125), in_words("number", 12_600.0)
    ('3 hours', '12,600')
    """
    if unit == "days":
        return _span(value)
    if unit == "hours":
        return _span(value / 24)
    if unit == "yes/no":
        return "yes" if value else "no"
    if unit == "share":
        return f"{value:.0%}"
    if unit == "log-odds":
        share = 0.5 + 0.5 * math.tanh(value / 2)  # the logistic function, without overflow
        return f"{share:.0%}"
    if unit == "log-count":
        count = round(math.expm1(min(value, 700.0)))  # in training, scaled counts are fractions
        return "once" if count == 1 else f"{in_words('count', count)} times"
    if unit == "weekday":
        return WEEKDAYS[int(value)]
    if unit == "month":
        return MONTHS[int(value) - 1]
    if unit == "ratio":
        return f"{value:.1f}"
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    if abs(value) >= 1000 or value == int(value):
        return f"{value + 0.0:,.0f}"  # -0 is 0
    return f"{value:.4g}"


def _span(days: float) -> str:
    """Format a span of time in the largest unit that fits."""
    for amount, unit in ((days, "day"), (24 * days, "hour"), (1440 * days, "minute")):
        if round(amount) >= 1:
            return f"{amount:.0f} {unit}{'' if round(amount) == 1 else 's'}"
    return "less than a minute"


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """Shorten a text that is too long to be quoted in a sentence."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def quotable(value: str, most: int = MOST_CHARACTERS) -> str:
    r"""Shorten a value from the data for a sentence, without its invisible characters.

    Marks that turn the direction of writing are removed: they would turn the sentence as well.

    Examples
    --------
    >>> quotable("B\u202eonn\x1b[31m"), quotable("a very long value", most=7)
    ('Bonn[31m', 'a very…')
    """
    start = value[: 4 * most]  # so that a long value costs little
    if not start.isprintable():
        start = "".join(filter(str.isprintable, start)).strip()
    return shortened(start, most)
