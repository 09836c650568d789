"""HalfLife: how much less older moments count in learning."""

from dataclasses import dataclass

import numpy as np

from crm.arrays import Floats
from crm.errors import ConfigError
from crm.project import Project
from crm.times import DAY
from features.moments import FEWEST_OUTCOMES, Moments


@dataclass(frozen=True)
class HalfLife:
    """The difference in age at which a moment counts half.

    Attributes
    ----------
    length : float
        In days; without times in leads, by their order in the table.
    in_days : bool
    """

    length: float
    in_days: bool

    def __str__(self) -> str:
        unit = "day" if self.in_days else "lead"
        return f"{self.length:,g} {unit}{'s' * (self.length != 1)}"

    @classmethod
    def of_period(cls, moments: Moments, divisor: float) -> "HalfLife":
        """Return a half-life that is a part of the period of some moments, in whole days or leads.

        Parameters
        ----------
        moments : Moments, not empty
        divisor : float
            The number of half-lives in the period.
        """
        position = _positions(moments)
        period = float(position.max() - position.min())
        return cls(max(1.0, float(round(period / divisor))), moments.has_times)


def declared_half_life(project: Project, moments: Moments) -> HalfLife | None:
    """Return the half-life of the project file, if it names one.

    Raises
    ------
    ConfigError
        If the project file names a half-life and the moments have no times, or if the half-life is
        so short that too few leads have a weight.
    """
    days = project.learn.half_life_days
    if days is None:
        return None
    if not moments.has_times:
        raise ConfigError(
            "[learn] half_life_days needs the creation time of each lead, but the project names "
            "no such column. Name it in [leads] created_at, or remove half_life_days."
        )
    half_life = HalfLife(days, in_days=True)
    counted = moments.take(learning_weight(moments, half_life) > 0)
    if counted.rarer < FEWEST_OUTCOMES <= moments.rarer:
        n_counted, n_leads = (len(np.unique(rows.lead)) for rows in (counted, moments))
        raise ConfigError(
            f"[learn] half_life_days = {days:g} is too short: only {n_counted:,} of {n_leads:,} "
            f"leads would count, {counted.rarer} of them with the rarer outcome; a model needs at "
            f"least {FEWEST_OUTCOMES}. Increase it."
        )
    return half_life


def learning_weight(moments: Moments, half_life: HalfLife | None) -> Floats:
    """Compute the weight of each moment in learning: with a half-life, older ones count less.

    Returns
    -------
    ndarray of float64, shape (n,)
        The newest moment keeps its weight.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> moments = SimpleNamespace(as_of=np.array([0, 30 * DAY]), weight=np.ones(2), has_times=True)
    >>> learning_weight(moments, HalfLife(30.0, in_days=True))
    array([0.5, 1. ])
    """
    if half_life is None:
        return moments.weight
    position = _positions(moments)
    return moments.weight * 0.5 ** ((position.max() - position) / half_life.length)


def effective_leads(moments: Moments, half_life: HalfLife | None) -> float:
    """Compute how many leads that count the same would tell as much.

    This is Kish's effective sample size, (Σw)² / Σw², where w is how much the moments of a lead
    count on average.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> moments = SimpleNamespace(as_of=np.arange(100) * DAY, lead=np.arange(100),
    ...                           weight=np.ones(100), has_times=True)
    >>> effective_leads(moments, None), round(effective_leads(moments, HalfLife(1.0, True)), 6)
    (100.0, 3.0)
    """
    counted = np.bincount(moments.lead, learning_weight(moments, half_life))
    alike = np.bincount(moments.lead, moments.weight)
    weight = counted[alike > 0] / alike[alike > 0]
    return float(weight.sum() ** 2 / (weight**2).sum())


def _positions(moments: Moments) -> Floats:
    """Return the time of each moment in days, or the position of its lead."""
    return moments.as_of / DAY if moments.has_times else moments.lead.astype(float)
