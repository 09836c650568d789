"""Describes the columns of the matrix, so that reasons can be written in words."""

import math
from dataclasses import dataclass
from functools import cached_property

from crm.times import MONTHS

MOST_CHARACTERS = 60  # of a value that is quoted in a sentence
RARE = 1  # position of the words for rare and new values among the values of a category
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


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
        The reason if the value is missing, or if a count, log count or share is 0.
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

    def say(self, value: float) -> str:
        """Return a value in words.

        Parameters
        ----------
        value : float
            The value in the matrix; nan if it is missing.

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
        """
        if math.isnan(value) or (self.unit in ("count", "log-count", "share") and value == 0):
            return self.absent or f"{shortened(self.column)} is not known"
        if self.unit == "category":
            label = self.values[int(value)] if value < len(self.values) else ""
            if not label:
                return self.absent or f"{shortened(self.column)} is not known"
            sentence = self.sentence
            if int(value) == RARE:  # our own words are not quoted
                sentence = sentence.replace('"{value}"', "{value}")
            return sentence.format(value=shortened(label))
        if self.unit == "yes/no" and self.values:
            return self.values[int(value)]
        return self.sentence.format(value=in_words(self.unit, value))


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


def shortened(text: str) -> str:
    """Shorten a text that is too long to be quoted in a sentence."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
