"""The settings of a simulated CRM."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from numbers import Integral, Real
from typing import Any

from crm.errors import ConfigError

HORIZON_DAYS = 90
_LIMITS: dict[str, tuple[Any, float, float]] = {
    "leads": (Integral, 500, 50_000_000),
    "activities_per_lead": (Real, 1, 400),
    "seed": (Integral, 0, 2**63),
    "days": (Integral, 120, 10_000),
    "drift_at": (Real, 0, 1),
}


@dataclass(frozen=True)
class Simulation:
    """Settings of a simulated CRM.

    Parameters
    ----------
    leads : int
        The number of leads, 500 or more.
    activities_per_lead : float
        The approximate mean number of activities per lead; a short window has fewer.
    seed : int
        The same settings give the same bytes.
    start : date or str
        The first day on which leads are created, UTC; a string is ISO, such as "2024-01-01".
    days : int
        The length of the window in which leads are created. The export is made at its end.
    drift_at : float
        The share of the window after which the effects change, 0 to 1; with 1 they never change.

    Raises
    ------
    ConfigError
        If a setting is of the wrong type or out of range.

    Examples
    --------
    >>> Simulation(days=365).as_of
    datetime.datetime(2024, 12, 31, 0, 0, tzinfo=datetime.timezone.utc)
    >>> Simulation(leads=10)
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: `leads` is 10. Expected a whole number from 500 to 50000000. Pass one.
    """

    leads: int = 5_000
    activities_per_lead: float = 8.0
    seed: int = 0
    start: str | date = date(2024, 1, 1)
    days: int = 730
    drift_at: float = 0.75

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, (kind, low, high) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                expected = "a whole number" if kind is Integral else "a number"
                raise ConfigError(
                    f"`{name}` is {value!r}. Expected {expected} from {low} to {high}. Pass one."
                )
        try:
            year = self.opens_at.year
        except ValueError:
            year = 0
        if not 1970 <= year <= 2200:
            raise ConfigError(
                f"`start` is {self.start!r}. Expected a day from 1970 to 2200. "
                'Write it as "2024-01-01".'
            )

    @property
    def opens_at(self) -> datetime:
        """Midnight UTC of the first day."""
        day = date.fromisoformat(str(self.start))
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    @property
    def as_of(self) -> datetime:
        """The time of the export: no table contains anything later."""
        return self.opens_at + timedelta(days=self.days)
