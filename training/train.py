"""Trains a model: fits on older leads, evaluates on the newest, then fits on all."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from scipy.special import logit

from crm.arrays import Floats
from crm.errors import LearningError
from crm.project import Project, role_columns
from crm.records import Records
from features.fitting import fit_pipeline
from features.immature import ImmatureMoments
from features.leaks.audit import Audit, audit
from features.leaks.check import Verdict
from features.moments import FEWEST_OUTCOMES, Moments, make_moments
from models.artifact import save_artifact
from models.card import NOT_PINNED
from models.estimator.blend import BaseRate
from models.evaluation.metrics import Evaluation, evaluate, loss_difference
from models.fitting.logistic import fit_logistic, sample_of_leads
from models.fitting.settings import MOST_LINEAR_ROWS
from models.fitting.split import Split, hold_out, without_test
from models.scale import Scale, read_grades
from models.scorer import LeadCells, LeadScorer
from training.describe import describe
from training.findings import EvaluatedModel, Findings
from training.fit import LearningSet, check_directions
from training.golden import golden_leads
from training.phases import OnPhase
from training.procedure import Procedure, Progress, part_of
from training.rolling import CutOff, LaterCutOff, Rolling, learn_until, roll
from training.tracking.autologging import autologging_disabled
from training.tuning import Trial

TEST_SHARE = 0.5  # of the whole progress, to fit on the older leads and evaluate on the newest
TEST_FIT_SHARE = 0.75  # of the test's part, to fit
ROLL_FROM = 0.8  # of the test's part, from which the earlier cut-offs are evaluated
LATER_FROM = 0.55  # of the test's part, from which the procedure learns what the champion knew


@dataclass(frozen=True)
class Trained:
    """A new model, with its evaluation and what it learned from.

    Attributes
    ----------
    scorer : LeadScorer
        The final model, fitted on all mature moments.
    golden_leads : list of LeadCells
        Made-up leads for the artefact.
    golden_as_of : int
        The moment at which they are scored.
    evaluated_model : EvaluatedModel or None
        The model that was fitted on the training moments only, with its evaluation; None if no
        leads could be held out.
    audit : Audit
        The leak audit. The model does not read the leaks and suspects that it found.
    moments : Moments
        All mature moments; the scorer learned from them.
    split : Split
        The split of these moments into training and test set.
    trials : tuple of Trial
        The settings that were tried for the final model; empty without tuning.
    immature : ImmatureMoments or None
        Further moments that the scorer learned from, by a remedy; their horizon was not over.
    """

    scorer: LeadScorer
    golden_leads: list[LeadCells]
    golden_as_of: int
    evaluated_model: EvaluatedModel | None
    audit: Audit
    moments: Moments
    split: Split
    trials: tuple[Trial, ...] = ()
    immature: ImmatureMoments | None = None

    def __repr__(self) -> str:
        test = repr(self.evaluations["test"]) if self.evaluations else "no test"
        verdict = self.scorer.card.readiness["verdict"]
        return f"<Trained {self.scorer.card.name!r}: {verdict}; {test}>"

    def save(self, folder: Path) -> str:
        """Write the model to a new folder, and return its digest; `load_model` reads it.

        Raises
        ------
        ArtifactError
            If the folder already exists, or cannot be written.
        """
        return save_artifact(self.scorer, self.golden_leads, folder, self.golden_as_of)

    @property
    def test_margin(self) -> Floats:
        """Calibrated log-odds of the test moments, from the model that has not seen them."""
        return self.evaluated_model.margin if self.evaluated_model else np.empty(0)

    @property
    def rolling(self) -> Rolling:
        """The evaluation at several cut-offs; empty if no leads could be held out."""
        return self.evaluated_model.rolling if self.evaluated_model else Rolling()

    @property
    def later(self) -> LaterCutOff | None:
        """The evaluation of a model that knew as much as the champion; None without one."""
        return self.evaluated_model.later if self.evaluated_model else None

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """Evaluations on the test moments: the model as `test`, then the baselines."""
        if self.evaluated_model is None:
            return {}
        return {"test": self.evaluated_model.test, **self.evaluated_model.baselines}


@autologging_disabled()
def train(
    project: Project,
    records: Records,
    *,
    now: datetime,
    pinned: Scale | None = None,
    champion_until: int | None = None,
    tune_minutes: float | None = None,
    progress: Progress = lambda what, share: None,
    on_phase: OnPhase = lambda phase: None,
) -> Trained:
    """Train a model for a project.

    Parameters
    ----------
    project : Project
    records : Records
    now : datetime, timezone-aware
        Written into the card; nothing else depends on it.
    pinned : Scale, optional
        The scale of the champions so far. The project file overrides it.
    champion_until : int, optional
        When the last label that the champion learned from was known, in microseconds since 1970
        UTC. If the test begins before, the procedure is evaluated with what was known then too,
        so that the gates compare models that know equally much.
    tune_minutes : float, optional
        How long to search for better settings of the trees.
    progress : callable, optional
        Called with the present step and the share of the whole that is done, 0 … 1.
    on_phase : callable, optional
        Called with the name of each phase when it begins: "audit", "remedies", "select" (settings),
        "tune", "test" (fit on the older leads and evaluate on the newest), "roll" (the same at
        other cut-offs), "fit" (on all leads) and "describe".

    Returns
    -------
    Trained

    Raises
    ------
    LearningError
        If there is nothing to learn: no outcome is certain, all leads have the same outcome, or
        no column tells two leads apart.
    SchemaError
        If an attribute cannot be read.
    ConfigError
        If the project file's directions, half-life or grades do not fit the records.
    """
    moments = make_moments(records, project.learn)
    scale, pinned_by = _scale(project, moments, pinned)
    on_phase("audit")
    progress("Auditing for leaks", 0.0)
    audited = audit(records, moments, project)
    later = known_later(audited)
    if project.learn.rising or project.learn.falling:  # before the work, because it takes long
        check_directions(fit_pipeline(records, moments, project, later), project)
    split = hold_out(records, moments, project.learn)
    procedure = Procedure(project, records, later, tune_minutes and tune_minutes / 2, on_phase)
    evaluated_model = None
    if split.has_test:
        try:
            evaluated_model = _evaluate(
                procedure, moments, split, champion_until, part_of(progress, 0.0, TEST_SHARE)
            )
        except LearningError as error:
            split = without_test(moments, f"The training leads alone teach nothing: {error}")
    learned = procedure.learn(
        moments, "fit", part_of(progress, TEST_SHARE if evaluated_model else 0.0, 1.0)
    )
    final, trials = learned.fitted, learned.trials
    untuned = _why_untuned(moments) if tune_minutes is not None and not trials else ""
    on_phase("describe")
    as_of = int(moments.as_of.max())  # NOT_A_TIME if there are no times
    scorer = LeadScorer(
        pipeline=final.pipeline,
        estimator=final.estimator,
        calibration=final.calibration,
        scale=scale,
        roles=role_columns(project),
        timezone=project.leads.timezone,
        time_format=records.formats.get(role_columns(project)["created_at"]),
        card=describe(
            project,
            records,
            Findings(
                records,
                moments,
                split,
                audited,
                evaluated_model,
                final,
                learned.remedies,
                trials,
                untuned,
            ),
            scale=scale,
            pinned_by=pinned_by,
            now=now,
        ),
    )
    progress("Learning from all leads", 1.0)
    return Trained(
        scorer=scorer,
        golden_leads=golden_leads(final.pipeline, records.leads, as_of, project.learn.seed),
        golden_as_of=as_of,
        evaluated_model=evaluated_model,
        audit=audited,
        moments=moments,
        split=split,
        trials=trials,
        immature=final.immature,
    )


def known_later(audited: Audit) -> dict[str, str]:
    """Return the columns that the audit keeps out of the model, each with its evidence."""
    return {
        column.attribute: f"the leak audit calls it a {column.verdict}: "
        + " ".join(
            f"{finding.number} {finding.evidence}"
            for finding in column.findings
            if finding.verdict is not Verdict.FINE
        )
        for column in audited.attributes
        if column.verdict is not Verdict.FINE
    }


def _scale(project: Project, moments: Moments, pinned: Scale | None) -> tuple[Scale, str]:
    """Return the scale of the scores, and what pins it."""
    if pinned:
        scale, pinned_by = pinned, "the first promotion"
    else:
        scale = Scale(BaseRate.fit(moments.label, moments.weight).log_odds)
        pinned_by = NOT_PINNED
    base, grades = scale.base_log_odds, scale.grades
    if project.scale.base_rate is not None:
        base, pinned_by = float(logit(project.scale.base_rate)), "the project file"
    if project.scale.grades is not None:
        grades = read_grades(project.scale.grades)
    return Scale(base, grades), pinned_by


def _why_untuned(moments: Moments) -> str:
    """Return why no settings were tried although tuning was requested."""
    if moments.rarer < FEWEST_OUTCOMES:
        why = (
            f"with fewer than {FEWEST_OUTCOMES} leads of the rarer outcome the model is a base "
            "rate, which has no settings"
        )
    else:
        why = (
            "settings are compared on the newest leads, and these or the older ones lack wins or "
            "losses"
        )
    return f"Tuning was requested but not possible: {why}."


def _evaluate(
    procedure: Procedure,
    moments: Moments,
    split: Split,
    champion_until: int | None,
    progress: Progress,
) -> EvaluatedModel:
    """Learn from the training moments; evaluate the model and the baselines on the test moments.

    Then evaluate the same procedure at earlier cut-offs, and with what the champion knew.
    """
    project, records = procedure.project, procedure.records
    later_until = _later_cut_off(champion_until, split)
    later_progress = part_of(progress, LATER_FROM, 1.0)
    progress = progress if later_until is None else part_of(progress, 0.0, LATER_FROM)
    learned = procedure.learn(split.train, "test", part_of(progress, 0.0, TEST_FIT_SHARE))
    fitted = learned.fitted
    progress("Evaluating on the newest leads", TEST_FIT_SHARE)
    features = fitted.pipeline.transform(records, split.test.lead, split.test.as_of)
    log_odds = fitted.log_odds_of(features)
    baselines = _baselines(learned.learning_set, features, project.learn.seed)
    truth = (split.test.label, split.test.weight, split.test.lead, project.learn.seed)
    evaluated_model = EvaluatedModel(
        fitted=fitted,
        remedies=learned.remedies,
        margin=log_odds,
        test=evaluate(log_odds, *truth),
        baselines={name: evaluate(baseline, *truth) for name, baseline in baselines.items()},
        gained={
            name: loss_difference(log_odds, baseline, *truth)
            for name, baseline in baselines.items()
        },
        rolling=Rolling(),
        later=None,
    )
    procedure.on_phase("roll")
    rest = part_of(progress, ROLL_FROM, 1.0)
    rolling = roll(
        CutOff(split, log_odds),
        lambda older, share: procedure.learn_alike(learned, older, share),
        records,
        moments,
        project.learn,
        lambda share: rest("Evaluating at earlier cut-offs", share),
    )
    later = None
    if later_until is not None:
        again = procedure.with_trees(learned.tree_parameters)
        later = learn_until(
            later_until,
            lambda known: again.learn(known, "roll", later_progress),
            records,
            moments,
        )
    return replace(evaluated_model, rolling=rolling, later=later)


def _later_cut_off(champion_until: int | None, split: Split) -> int | None:
    """Return the time until which the champion had learned, if the test begins before it."""
    if champion_until is None or not split.test.has_times:
        return None
    return champion_until if champion_until > split.test.as_of.min() else None


def _baselines(learning_set: LearningSet, test_features: Floats, seed: int) -> dict[str, Floats]:
    """Fit simpler models to the learning set, and compute their log-odds of the test moments.

    The logistic regression has no interactions, which were selected for the trees. Of more than
    `MOST_LINEAR_ROWS` moments, it uses a sample, as that of the model does.
    """
    pipeline, moments = learning_set.pipeline, learning_set.moments
    sampled = sample_of_leads(moments.lead, MOST_LINEAR_ROWS, seed)
    logistic = fit_logistic(
        learning_set.matrix[sampled],
        moments.label[sampled],
        moments.weight[sampled],
        pipeline.categorical,
        growing=pipeline.growing,
        trees_only=pipeline.of_interactions,
    )
    return {
        "base_rate": BaseRate.fit(moments.label, moments.weight).log_odds_of(test_features),
        "logistic": logistic.log_odds_of(test_features),
    }
