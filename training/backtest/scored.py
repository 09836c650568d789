"""The leads after the cut-offs, each with the log-odds of all models that were trained before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crm.arrays import Bools, Floats, Ints
from features.moments import Moments
from training.backtest.cut_off import CutOffModel
from training.backtest.plan import Plan


@dataclass(frozen=True)
class ScoredMoments:
    """Moments of leads that were created after the first cut-off, with log-odds of all models.

    A lead belongs to the period that begins with the last cut-off before its creation. The age of
    a model is counted in periods: at age 0, it scores the leads of the period that begins with its
    own cut-off.

    Attributes
    ----------
    moments : Moments, length n
    period : ndarray of int64, shape (n,)
        The number of the last cut-off before the creation of the lead.
    log_odds : ndarray of float64, shape (n_cut_offs, n)
        Calibrated log-odds; nan for a model that was trained after the creation of the lead, or
        could not be trained.
    base_log_odds : ndarray of float64, shape (n_cut_offs,)
        The log-odds of the base rate that each model learned from; nan without a model.
    """

    moments: Moments
    period: Ints
    log_odds: Floats
    base_log_odds: Floats

    @classmethod
    def of(
        cls, plan: Plan, moments: Moments, created: Ints, models: Sequence[CutOffModel]
    ) -> "ScoredMoments":
        """Put together what the models of all cut-offs have scored.

        Parameters
        ----------
        plan : Plan
        moments : Moments
            All mature moments.
        created : ndarray of int64, shape (n_leads,)
        models : sequence of CutOffModel
            One for each cut-off, in order.
        """
        period = plan.period_of(created[moments.lead])
        log_odds = np.full((len(models), len(moments)), np.nan)
        base = np.full(len(models), np.nan)
        for number, model in enumerate(models):
            if not model.why_not:
                log_odds[number, model.rows] = model.log_odds
                base[number] = model.base_log_odds
        later = np.flatnonzero((period >= 0) & (created[moments.lead] < plan.end))
        return cls(moments.take(later), period[later], log_odds[:, later], base)

    def at_age(self, age: int) -> "SameLeads":
        """Return the moments that a model of this age and the newest model have both scored."""
        older = self.period - age
        rows = np.flatnonzero(older >= 0)
        old, new = self.log_odds[older[rows], rows], self.log_odds[self.period[rows], rows]
        both = ~np.isnan(old) & ~np.isnan(new)
        rows = rows[both]
        return SameLeads(self.moments.take(rows), self.period[rows], age, old[both], new[both])


@dataclass(frozen=True)
class SameLeads:
    """Moments that an older model and the newest one have scored: the last trained before the lead.

    Attributes
    ----------
    moments : Moments, length n
    period : ndarray of int64, shape (n,)
        The period of each lead, which is the number of the newest model.
    age : int
        The number of periods between the two models.
    old, new : ndarray of float64, shape (n,)
        Calibrated log-odds of the older and of the newest model.
    """

    moments: Moments
    period: Ints
    age: int
    old: Floats
    new: Floats

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The numbers of the two models, for each period with leads."""
        return [(int(period) - self.age, int(period)) for period in np.unique(self.period)]

    @property
    def cut_offs(self) -> list[int]:
        """The numbers of the cut-offs whose model or leads are compared."""
        return sorted({number for pair in self.pairs for number in pair})

    def without(self, cut_off: int) -> Bools:
        """Return which moments remain without a cut-off, its model and its leads, shape (n,)."""
        return (self.period != cut_off) & (self.period - self.age != cut_off)
