"""Describes the kinds of drift that a simulated CRM can contain."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from numbers import Real
from typing import Final, Literal, get_args

from crm.errors import ConfigError
from crm.suggest import nearest

Kind = Literal[
    "covariate", "concept", "label_delay", "broken_feed", "renamed_category", "dropped_column"
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# The strength of these kinds is the share of the leads or activities that they change.
SHARED_KINDS: Final[tuple[Kind, ...]] = ("broken_feed", "renamed_category", "dropped_column")
_MOST_STRENGTH = 5.0


@dataclass(frozen=True)
class Drift:
    """A change of the simulated world, or of its records, from a day on.

    Parameters
    ----------
    kind : str
        What changes for leads that are created from the day on (`broken_feed`: for activities
        that happen from the day on):

        - `covariate`: more leads come from paid search and cold lists, and from smaller companies.
          The effects are the same.
        - `concept`: the base log-odds fall by 1.0, and the effects of two sources and three
          industries change or reverse. The mix of leads is the same.
        - `label_delay`: closings take twice as long. The same leads are won, but about half of the
          wins come after the horizon, so that `true_probability` is lower.
        - `broken_feed`: no `email_open` arrives, although e-mails are opened.
        - `renamed_category`: source "Organic search" is exported as "SEO", and country "DE" as
          "Germany".
        - `dropped_column`: `budget_eur` is empty. Its effect on the outcome stays.
    at : date or str
        The day on which it begins, at midnight UTC; a string is ISO, such as "2024-06-01".
    strength : float
        Scales the change. For `broken_feed`, `renamed_category` and `dropped_column` it is the
        share of the activities or leads that change, more than 0 and at most 1. For the other
        kinds it multiplies the change of the mix, of the effects or of the time to closing, more
        than 0 and at most 5.

    Raises
    ------
    ConfigError
        If the kind is unknown, or the day or the strength is not valid.

    Examples
    --------
    >>> str(Drift("concept", "2024-06-01", 0.5))
    'concept@2024-06-01:0.5'
    >>> Drift("concpt", "2024-06-01")
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: The kind of drift 'concpt' is unknown. Did you mean `concept`?
    """

    kind: Kind
    at: str | date
    strength: float = 1.0

    def __post_init__(self) -> None:
        """Check the kind, the day and the strength."""
        if self.kind not in KINDS:
            raise ConfigError(
                f"The kind of drift {self.kind!r} is unknown. {nearest(str(self.kind), KINDS)}"
            )
        check_day(self.at, f"The day of the drift {self.kind!r}")
        most = 1.0 if self.kind in SHARED_KINDS else _MOST_STRENGTH
        is_number = isinstance(self.strength, Real) and not isinstance(self.strength, bool)
        if not is_number or not 0 < self.strength <= most:
            raise ConfigError(
                f"The strength of the drift {self.kind!r} is {self.strength!r}. "
                f"Expected a number above 0, at most {most:g}. Pass one."
            )

    @property
    def begins_at(self) -> datetime:
        """Midnight UTC of the day on which it begins."""
        return midnight(self.at)

    def __str__(self) -> str:
        return f"{self.kind}@{self.at}:{self.strength:g}"


def read_drift(text: str) -> Drift:
    """Read a drift that is written as KIND@DAY or KIND@DAY:STRENGTH.

    Raises
    ------
    ConfigError
        If the text has another form, or a part of it is not valid.

    Examples
    --------
    >>> read_drift("broken_feed@2024-06-01")
    Drift(kind='broken_feed', at='2024-06-01', strength=1.0)
    """
    kind, has_day, rest = text.partition("@")
    if not has_day:
        raise ConfigError(
            f"The drift {text!r} has no day. Expected KIND@DAY or KIND@DAY:STRENGTH. "
            'Write it as "concept@2024-06-01" or "concept@2024-06-01:0.5".'
        )
    day, has_strength, number = rest.partition(":")
    try:
        strength = float(number) if has_strength else 1.0
    except ValueError:
        raise ConfigError(
            f"The strength of the drift {text!r} is {number!r}. Expected a number. "
            f'Write it as "{kind}@{day}:0.5".'
        ) from None
    return Drift(kind, day, strength)  # type: ignore[arg-type]  # `Drift` checks the kind


def midnight(day: str | date) -> datetime:
    """Return midnight UTC of a day; a string is ISO.

    Raises
    ------
    ValueError
        If it is not a day.
    """
    parsed = date.fromisoformat(str(day))
    return datetime(parsed.year, parsed.month, parsed.day, tzinfo=UTC)


def check_day(day: str | date, name: str) -> None:
    """Check that a setting is a day from 1970 to 2200.

    Parameters
    ----------
    day : str or date
    name : str
        What the error calls the setting.

    Raises
    ------
    ConfigError
        If it is not.
    """
    try:
        year = midnight(day).year
    except ValueError:
        year = 0
    if not 1970 <= year <= 2200:
        raise ConfigError(
            f'{name} is {day!r}. Expected a day from 1970 to 2200. Write it as "2024-01-01".'
        )
