"""Chooses the settings of a blend on newer rows than those that it is fitted to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crm.arrays import Floats
from models.fitting.blend_weight import EVEN, choose_weight
from models.fitting.examples import Examples
from models.fitting.logistic import (
    LogisticSettings,
    choose_logistic,
    fit_bending,
    one_thread,
    sample_of_leads,
)
from models.fitting.trees import find_rounds, fit_trees

ENOUGH_TO_WEIGH = 10  # leads of the rarer class among the newest leads, to choose the weight
ENOUGH_TO_STOP = 100  # leads of the rarer class among the newest leads, to choose `rounds`
MOST_LINEAR_ROWS = 100_000  # of more rows, the logistic regression and calibration use a sample


@dataclass(frozen=True)
class BlendSettings:
    """The settings of a blend, which later fits can use again.

    Attributes
    ----------
    logistic_weight : float
    logistic : LogisticSettings
    rounds : int or None
        The number of trees of each booster; None: each booster stops early on its own fold.
    why : str
        The reason for the weight, in a sentence.
    losses : tuple of (float, float)
        Each weight that was tried, with its log loss on the newer rows.
    """

    logistic_weight: float
    logistic: LogisticSettings
    rounds: int | None
    why: str
    losses: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Choice:
    """The settings that were chosen on newer rows, if they have enough outcomes.

    Attributes
    ----------
    settings : BlendSettings or None
        None if there are too few outcomes. Then the two parts of the blend get equal weights.
    why_even : str
        The reason for equal weights, in a sentence; "" if settings were chosen.
    newer_log_odds : ndarray of float64, shape (n_newer,), or None
        The log-odds of the newer rows, with the chosen settings and fitted to the older rows.
    """

    settings: BlendSettings | None
    why_even: str = ""
    newer_log_odds: Floats | None = None

    def settings_for(self, rows: Examples, seed: int) -> BlendSettings:
        """Return the settings for a fit to `rows`; without a choice, folds of them decide."""
        if self.settings is not None:
            return self.settings
        logistic = choose_logistic(
            rows.columns, None, rows.categorical, seed, rows.growing, rows.trees_only
        )
        return BlendSettings(EVEN, logistic, None, self.why_even, ())


def choose_settings(
    older: Examples,
    newer: Examples,
    *,
    seed: int,
    tree_parameters: Mapping[str, Any] | None = None,
    on_share: Callable[[float], None] = lambda share: None,
) -> Choice:
    """Choose the settings with which a blend of the older rows predicts the newer rows best.

    Parameters
    ----------
    older, newer : Examples
        All labels of the older rows were known before the first newer row.
    seed : int
    tree_parameters : mapping, optional
        LightGBM's parameters that replace the defaults.
    on_share : callable, optional
        Called with the share of the work that is done, 0 … 1.

    Returns
    -------
    Choice
    """
    if min(older.rarer, newer.rarer) < ENOUGH_TO_WEIGH:
        part, n = min(("newest", newer.rarer), ("older", older.rarer), key=lambda side: side[1])
        return Choice(
            None,
            f"even, because there are too few outcomes among the {part} leads ({n}) to choose the "
            "weight",
        )
    with one_thread():
        logistic = choose_logistic(
            older.columns, newer.columns, older.categorical, seed, older.growing, older.trees_only
        )
        on_share(0.4)
        sample = older.take(sample_of_leads(older.lead, MOST_LINEAR_ROWS, seed))
        linear = fit_bending(
            *sample.columns[:3], sample.categorical, settings=logistic, **sample.of_columns
        ).log_odds_of(newer.features)
        rounds = None
        if newer.rarer >= ENOUGH_TO_STOP:
            rounds, grown = find_rounds(
                older.columns[:3],
                newer.columns[:3],
                list(older.categorical),
                seed=seed,
                parameters=tree_parameters,
                directions=older.directions,
            )
        else:
            fitted = fit_trees(
                *older.columns,
                list(older.categorical),
                seed=seed,
                parameters=tree_parameters,
                directions=older.directions,
            )
            grown = fitted.trees.log_odds_of(newer.features)
        on_share(1.0)
    weight, losses = choose_weight(linear, grown, newer.label, newer.weight, newer.lead)
    why = (
        f"chosen on the newest {len(newer.label):,} training moments, where the log loss is "
        f"{losses[-1][1]:.4f} for the logistic regression, {losses[0][1]:.4f} for the trees "
        f"and {dict(losses)[weight]:.4f} for this blend. The weight is the mean of all weights "
        "from 0 to 1, and each counts as much as it makes these outcomes likely. So it is "
        f"near {EVEN:g} if the outcomes are few or do not tell the two parts apart"
    )
    return Choice(
        BlendSettings(weight, logistic, rounds, why, losses),
        newer_log_odds=weight * linear + (1 - weight) * grown,
    )
