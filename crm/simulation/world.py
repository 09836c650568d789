"""The settings of a simulated CRM."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from numbers import Integral, Real
from typing import Any

import numpy as np

from crm.arrays import Floats, Ints
from crm.errors import ConfigError
from crm.simulation.drift import SHARED_KINDS, Drift, Kind, check_day, midnight

HORIZON_DAYS = 90
_LIMITS: dict[str, tuple[Any, float, float]] = {
    "leads": (Integral, 500, 50_000_000),
    "activities_per_lead": (Real, 1, 400),
    "seed": (Integral, 0, 2**63),
    "days": (Integral, 120, 10_000),
    "drift_at": (Real, 0, 1),
    "seasonality": (Real, 0, 3),
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
    drifts : tuple of Drift
        What else changes, and from which day on. Those of one kind add up.
    seasonality : float
        How strongly the number of leads, the mix of sources and the base log-odds follow a cycle
        that is the same every year, 0 to 3. This is not drift.
    surge_at : date or str, optional
        The first of 14 days on which three times as many leads come from paid search, as after a
        campaign. Nothing else changes. This is not drift.

    Raises
    ------
    ConfigError
        If a setting is of the wrong type or out of range, or a drift or the surge begins outside
        the window.

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
    drifts: tuple[Drift, ...] = ()
    seasonality: float = 0.0
    surge_at: str | date | None = None

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, (kind, low, high) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                expected = "a whole number" if kind is Integral else "a number"
                raise ConfigError(
                    f"`{name}` is {value!r}. Expected {expected} from {low} to {high}. Pass one."
                )
        check_day(self.start, "`start`")
        drifts: object = self.drifts
        if not isinstance(drifts, tuple) or not all(isinstance(one, Drift) for one in drifts):
            raise ConfigError(
                f"`drifts` is {drifts!r}. Expected a tuple of `Drift`. "
                'Write it as (Drift("concept", "2024-06-01"),).'
            )
        for drift in self.drifts:
            self._check_in_window(drift.begins_at, f"The drift {drift}")
        if self.surge_at is not None:
            check_day(self.surge_at, "`surge_at`")
            self._check_in_window(midnight(self.surge_at), "The surge")

    def _check_in_window(self, begins_at: datetime, name: str) -> None:
        if not self.opens_at <= begins_at < self.as_of:
            raise ConfigError(
                f"{name} begins on {begins_at.date()}, outside the window. Expected a day from "
                f"{self.opens_at.date()} to {(self.as_of - timedelta(days=1)).date()}. "
                "Choose one, or change `start` and `days`."
            )

    @property
    def opens_at(self) -> datetime:
        """Midnight UTC of the first day."""
        return midnight(self.start)

    @property
    def as_of(self) -> datetime:
        """The time of the export: no table contains anything later."""
        return self.opens_at + timedelta(days=self.days)

    def strength(self, kind: Kind, at: Ints) -> Floats:
        """Return the strength of a kind of drift at times.

        Parameters
        ----------
        kind : str
        at : array of int64, shape (n,)
            Seconds since 1970 UTC.

        Returns
        -------
        array of float64, shape (n,)
            The sum of the strengths of the drifts of this kind that have begun, at most 1 if the
            strength is a share; 0 before the first one.

        Examples
        --------
        >>> settings = Simulation(drifts=(Drift("concept", "2024-06-01", 0.5),))
        >>> june = int(settings.drifts[0].begins_at.timestamp())
        >>> settings.strength("concept", np.array([june - 1, june]))
        array([0. , 0.5])
        """
        total = np.zeros(len(at))
        for drift in self.drifts:
            if drift.kind == kind:
                total += drift.strength * (at >= drift.begins_at.timestamp())
        return total.clip(max=1) if kind in SHARED_KINDS else total
