"""Trains at one cut-off as it would have been done then, and scores the leads that came later."""

from dataclasses import dataclass, field

import numpy as np

from crm.arrays import Floats, Ints
from crm.errors import ConfigError, LearningError
from crm.project import Project
from crm.records import Records
from features.leaks.audit import audit
from features.moments import Moments, make_moments, why_no_model
from models.estimator.blend import BaseRate
from training.backtest.known_then import records_known_at
from training.procedure import Procedure
from training.train import known_later


@dataclass(frozen=True)
class CutOffModel:
    """The model of one cut-off, with its log-odds of the leads that came later.

    Attributes
    ----------
    at : int
        The cut-off, in microseconds since 1970 UTC.
    learned_moments, learned_leads, learned_won : int
        The numbers of moments and leads that it learned from, and of moments that were won.
    left_out : tuple of str
        The attributes that the leak audit kept out of it.
    remedies : str
        The remedies against drift that it uses, in words; empty without any.
    base_log_odds : float
        The log-odds of the base rate of the moments that it learned from.
    rows : ndarray of int64, shape (n,)
        The positions of the later moments among all mature moments.
    log_odds : ndarray of float64, shape (n,)
        Calibrated log-odds of these moments.
    why_not : str
        Why no model could be trained; otherwise empty.
    """

    at: int
    learned_moments: int = 0
    learned_leads: int = 0
    learned_won: int = 0
    left_out: tuple[str, ...] = ()
    remedies: str = ""
    base_log_odds: float = 0.0
    rows: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    log_odds: Floats = field(default_factory=lambda: np.empty(0))
    why_not: str = ""


def train_at(
    project: Project, records: Records, moments: Moments, rows: Ints, at: int
) -> CutOffModel:
    """Train at a cut-off, and score moments of leads that were created later.

    The records are those that were known at the cut-off. The leak audit, the remedies, the
    interactions and the settings are chosen from them, and the model learns from all moments whose
    horizon was over, as the final model of `training.train.train` does.

    Parameters
    ----------
    project : Project
    records : Records
        All records. Features of a later moment are as of that moment.
    moments : Moments
        All mature moments of these records.
    rows : ndarray of int64, shape (n,)
        The positions of the moments to score. Their leads were created at the cut-off or later.
    at : int
        The cut-off, in microseconds since 1970 UTC.

    Returns
    -------
    CutOffModel
        Without log-odds, and with the reason, if too few outcomes were known or the training was
        refused.
    """
    then = records_known_at(records, project.learn, at)
    try:
        known = make_moments(then, project.learn)
        why = why_no_model(known)
        if why:
            return CutOffModel(at, why_not=why)
        audited = known_later(audit(then, known, project))
        learned = Procedure(project, then, audited).learn(known)
    except (LearningError, ConfigError) as error:
        return CutOffModel(at, why_not=str(error))
    fitted, later = learned.fitted, moments.take(rows)
    features = fitted.pipeline.transform(records, later.lead, later.as_of)
    return CutOffModel(
        at,
        learned_moments=len(known),
        learned_leads=len(np.unique(known.lead)),
        learned_won=int(known.label.sum()),
        left_out=tuple(audited),
        remedies=" and ".join(learned.remedies.names),
        base_log_odds=BaseRate.fit(known.label, known.weight).log_odds,
        rows=rows,
        log_odds=fitted.log_odds_of(features),
    )
