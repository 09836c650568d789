"""Evaluates the whole training procedure at many cut-offs: how good it was, and how models age."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.errors import ConfigError, LearningError
from crm.project import Project
from crm.records import Records
from crm.text import counted
from crm.times import microseconds
from features.moments import Moments, make_moments
from training.backtest.advice import Advice, advise
from training.backtest.ages import (
    FEWEST_PAIRS,
    QualityAtAge,
    QualityInPeriod,
    by_age,
    by_period,
)
from training.backtest.cut_off import CutOffModel
from training.backtest.known_then import is_covered
from training.backtest.plan import Options, Plan, make_plan
from training.backtest.scored import ScoredMoments
from training.backtest.summary import summary
from training.backtest.work_folder import WorkFolder, key_of
from training.backtest.workers import train_all
from training.tracking.autologging import autologging_disabled

OnShare = Callable[[float, str], None]

AS_OF_THE_EXPORT = (
    "The attributes of the leads are those of the export, also for early cut-offs: no table "
    "contains their earlier values. A value that was entered later counts as if it had been known, "
    "so the figures can be too good, for old and new models alike."
)
MORE_LEADS = (
    "A newer model has also learned from more leads. What an old model loses contains both: that "
    "it is old, and that it knows fewer leads."
)


@dataclass(frozen=True)
class Backtest:
    """The result of a backtest.

    Attributes
    ----------
    project : Project
    plan : Plan
    models : tuple of CutOffModel
        One for each cut-off, also for those without a model.
    periods : tuple of QualityInPeriod
        How good the newest model was after each cut-off.
    ages : tuple of QualityAtAge
        How good models are by their age.
    advice : Advice
    limits : tuple of str
        What the figures do not show, in sentences.
    digests : dict of str to str
        SHA-256 of the tables.
    """

    project: Project
    plan: Plan
    models: tuple[CutOffModel, ...]
    periods: tuple[QualityInPeriod, ...]
    ages: tuple[QualityAtAge, ...]
    advice: Advice
    limits: tuple[str, ...]
    digests: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data, the same for any number of processes."""
        return {
            "project": self.project.name,
            "simulated": self.project.simulated,
            "horizon_days": self.project.learn.horizon_days,
            "every_days": self.plan.every_days,
            "from": _day(self.plan.cut_offs[0]),
            "to": _day(self.plan.end - 1),
            "advice": self.advice.to_json(),
            "summary": list(summary(self.ages, self.periods, self.advice.gain)),
            "ages": [age.to_json() for age in self.ages],
            "periods": [period.to_json() for period in self.periods],
            "cut_offs": [_cut_off_json(model) for model in self.models],
            "limits": list(self.limits),
            "digests": self.digests,
        }


@autologging_disabled()
def backtest(
    project: Project,
    records: Records,
    options: Options,
    *,
    work: Path,
    workers: int = 1,
    on_share: OnShare = lambda share, what: None,
) -> Backtest:
    """Train at each cut-off as it would have been trained then, and score all later leads.

    Cut-offs that an earlier backtest of the same records and settings has finished are not trained
    again.

    Parameters
    ----------
    project : Project
    records : Records
    options : Options
    work : Path
        The folder for the finished cut-offs.
    workers : int
        The number of processes. The result does not depend on it.
    on_share : callable, optional
        Called with the share of the work that is done, 0 … 1, and the present step.

    Returns
    -------
    Backtest

    Raises
    ------
    ConfigError
        If the leads have no times, or the options do not fit the history.
    LearningError
        If there is nothing to learn, the history is too short, or no cut-off has a model.
    SourceError
        If the folder cannot be written.
    """
    on_share(0.0, "Preparing")
    if not records.has_times:
        raise ConfigError(
            "A backtest needs the time at which each lead was created, and [leads] names no "
            "created_at. Without it, it is not known which outcomes were known at a cut-off, nor "
            "how old a model is. Name the column; without times, `leadscore train` evaluates at "
            "cut-offs by position."
        )
    moments = make_moments(records, project.learn)
    created = microseconds(records.leads["created_at"])
    plan = make_plan(moments, created, options)
    folder = WorkFolder(work, key_of(project, records))
    models = _models(project, records, moments, created, plan, folder, workers, on_share)
    folder.remove_others()
    on_share(1.0, "Comparing models by age")
    scored = ScoredMoments.of(plan, moments, created, models)
    if not len(scored.at_age(0).moments):
        raise LearningError(
            f"No model could be trained at any cut-off. On {_day(plan.cut_offs[-1])}: "
            f"{models[-1].why_not}"
        )
    seed = project.learn.seed
    ages = by_age(scored, plan, seed)
    return Backtest(
        project=project,
        plan=plan,
        models=tuple(models),
        periods=tuple(by_period(scored, plan, seed)),
        ages=tuple(ages),
        advice=advise(scored, plan, ages),
        limits=tuple(_limits(records, moments, created, plan, models, ages)),
        digests=records.digests,
    )


def _models(
    project: Project,
    records: Records,
    moments: Moments,
    created: Ints,
    plan: Plan,
    folder: WorkFolder,
    workers: int,
    on_share: OnShare,
) -> list[CutOffModel]:
    """Return the models of all cut-offs: those that are finished, and those trained now."""
    lead_created = created[moments.lead]
    finished: dict[int, CutOffModel] = {}
    tasks = []
    for at in plan.cut_offs:
        rows = np.flatnonzero(lead_created >= at)
        model = folder.read(at, rows)
        if model is None:
            tasks.append((at, rows))
        else:
            finished[at] = model
    n = len(plan.cut_offs)
    what = f"Training at {n} cut-offs"
    on_share(len(finished) / n, what)
    for model in train_all(project, records, moments, tasks, workers):
        folder.write(model)
        finished[model.at] = model
        on_share(len(finished) / n, what)
    return [finished[at] for at in plan.cut_offs]


def _limits(
    records: Records,
    moments: Moments,
    created: Ints,
    plan: Plan,
    models: Sequence[CutOffModel],
    ages: Sequence[QualityAtAge],
) -> list[str]:
    """Return what the figures do not show, in sentences."""
    limits = [AS_OF_THE_EXPORT, MORE_LEADS]
    n_early = int((~is_covered(records)).sum())
    if n_early:
        limits.append(
            f"{counted(n_early, 'lead')} from before the outcomes begin are left out at every "
            "cut-off, because it is not known how they ended."
        )
    n_undated = int(records.outcomes["closed_at"].isna().sum())
    if n_undated:
        limits.append(
            f"{counted(n_undated, 'outcome')} without a date count as known when the horizon of "
            "their lead is over. They may have come later."
        )
    n_after = len(np.unique(moments.lead[created[moments.lead] >= plan.end]))
    if n_after:
        limits.append(
            f"{counted(n_after, 'lead')} from after {_day(plan.end - 1)} are not scored: they do "
            "not fill another period."
        )
    limits += [
        f"At {_day(model.at)} no model was trained: {model.why_not}"
        for model in models
        if model.why_not
    ]
    if len(ages) < len(plan.cut_offs):
        limits.append(
            f"Fewer than {FEWEST_PAIRS} models became older than {ages[-1].to_days} days, so "
            "older models are not compared."
        )
    return limits


def _cut_off_json(model: CutOffModel) -> dict[str, Any]:
    names = ("learned_moments", "learned_leads", "learned_won", "remedies", "why_not")
    return {
        "at": _day(model.at),
        **{name: getattr(model, name) for name in names},
        "left_out_by_audit": list(model.left_out),
    }


def _day(at: int) -> str:
    return f"{pd.Timestamp(at, unit='us'):%Y-%m-%d}"
