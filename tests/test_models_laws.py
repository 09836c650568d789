"""Every kind of scorer keeps every law of `tests/checks.py`."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.times import NOT_A_TIME
from features.fitting import fit_pipeline, training_matrix
from features.interactions import NO_INTERACTIONS, Interactions
from features.moments import Moments, make_moments
from models.artifact import save_artifact
from models.calibration import Calibration, fit_calibration
from models.estimator.blend import BaseRate
from models.fitting.blend import BlendClassifier
from models.fitting.logistic import LogisticSettings
from models.fitting.settings import BlendSettings
from models.pyfunc import PyfuncScorer
from models.scale import Scale
from models.scorer import LeadCells, LeadScorer
from tests.checks import ALL_REASONS, Check, Subject, yield_checks
from tests.made_cards import made_card
from training.golden import golden_leads

XEDUCATION = Path(__file__).resolve().parent.parent / "examples" / "xeducation.toml"
LOGISTIC_WEIGHTS = {"base rate": None, "trees": 0.0, "blend": 0.3, "logistic": 1.0}
# The data, and whether the scorer sees activities and stages.
SOURCES = (
    ("simulated", True),
    ("simulated", False),
    ("simulated with pairs", True),
    ("xeducation", False),
)
PAIRS = Interactions(
    pairs=(("campaign", "industry"), ("email_opt_in", "region")), counts=("campaign",)
)
SCORED_LEADS = 150
CASES = [
    pytest.param(
        source, has_history, kind, check, id=f"{source}-{has_history}-{kind}-{check.__name__[6:]}"
    )
    for source, has_history in SOURCES
    for kind in LOGISTIC_WEIGHTS
    for check in yield_checks(has_history=has_history)
]

MakeSubject = Callable[[str, bool, str], Subject]


@pytest.fixture(scope="module")
def make_subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> MakeSubject:
    """Return a function that fits a scorer once and returns it with leads to score."""

    @functools.cache
    def data(source: str, has_history: bool) -> tuple[Project, Records, Moments]:
        if source == "xeducation":
            request.getfixturevalue("public_data")
            project = load_project(XEDUCATION)
            records = newest_leads(read_records(project), 1_500)
        else:
            folder = tmp_path_factory.mktemp("crm")
            simulate(Simulation(leads=700, activities_per_lead=5, seed=1), folder)
            project = load_project(folder)
            records = read_records(project)
        if not has_history:
            records = replace(records, activities=None, stages=None)
        return project, records, make_moments(records, project.learn)

    @functools.cache
    def make(source: str, has_history: bool, kind: str) -> Subject:
        project, records, moments = data(source, has_history)

        def fit() -> LeadScorer:
            asked = PAIRS if source.endswith("with pairs") else NO_INTERACTIONS
            return fit_scorer(project, records, moments, LOGISTIC_WEIGHTS[kind], asked)

        until = records.observed_until
        return Subject(
            scorer=fit(),
            fit_again=fit,
            leads=records.leads.tail(SCORED_LEADS).reset_index(drop=True),
            activities=records.activities,
            stages=records.stages,
            as_of=None if until is None else until - pd.Timedelta(days=5),
        )

    return make


def newest_leads(records: Records, n: int) -> Records:
    """Return the records of the newest leads."""
    leads = records.leads.tail(n).reset_index(drop=True)
    outcomes = records.outcomes[records.outcomes["lead_id"].isin(leads["lead_id"])]
    return replace(records, leads=leads, outcomes=outcomes.reset_index(drop=True))


def fit_scorer(
    project: Project,
    records: Records,
    moments: Moments,
    logistic_weight: float | None,
    interactions: Interactions = NO_INTERACTIONS,
) -> LeadScorer:
    """Fit a blend with this weight, or the base rate if there is none."""
    seed = project.learn.seed
    pipeline = fit_pipeline(records, moments, project, {}, interactions)
    assert len(pipeline.interactions) == len(interactions.columns)
    base_rate = BaseRate.fit(moments.label, moments.weight)
    scorer = LeadScorer(
        pipeline=pipeline,
        estimator=base_rate,
        calibration=Calibration(slope=1.0, intercept=0.0),
        scale=Scale(base_rate.log_odds),
        roles={"lead_id": "lead_id", "created_at": "created_at", "outcome": "outcome"},
        card=made_card("laws", pipeline.names),
    )
    if logistic_weight is None:
        return scorer
    classifier = BlendClassifier(
        categorical=pipeline.categorical,
        seed=seed,
        settings=BlendSettings(
            logistic_weight=logistic_weight,
            logistic=LogisticSettings(strength=0.3, step_strength=0.1, reach=4.0),
            rounds=20,
            why="set by the test",
            losses=(),
        ),
        growing=pipeline.growing,
        trees_only=pipeline.of_interactions,
    ).fit(
        training_matrix(pipeline, records, moments, seed),
        moments.label,
        moments.weight,
        lead=moments.lead,
    )
    return replace(
        scorer,
        estimator=classifier.blend_,
        calibration=fit_calibration(classifier.out_of_fold_, moments.label, moments.weight),
    )


@pytest.mark.parametrize(("source", "has_history", "kind", "check"), CASES)
def test_every_scorer_keeps_every_law(
    make_subject: MakeSubject, source: str, has_history: bool, kind: str, check: Check
) -> None:
    check(make_subject(source, has_history, kind))


def test_mlflows_script_scores_pairs_as_a_request(
    make_subject: MakeSubject, tmp_path: Path
) -> None:
    subject = make_subject("simulated with pairs", True, "blend")
    scorer = subject.scorer
    save_artifact(
        scorer, golden_leads(scorer.pipeline, subject.leads, NOT_A_TIME, 0), tmp_path / "x"
    )
    script = PyfuncScorer()
    logged = SimpleNamespace(artifacts={"scorer": str(tmp_path / "x")}, model_config=None)
    script.load_context(logged)
    table = script.predict(None, subject.leads, {"reasons": 3})
    cells: Any = subject.leads.astype(object).to_dict("records")
    scores = scorer.score_leads([LeadCells(lead) for lead in cells], n_reasons=3)
    assert table["probability"].tolist() == [score.probability for score in scores]
    reasons = table[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist()
    expected = [[str(reason) for reason in score.reasons] for score in scores]
    assert [[text for text in texts if text] for texts in reasons] == expected
    assert any(" is not known and " in text for texts in reasons for text in texts)


def test_reasons_name_the_values_of_the_lead(make_subject: MakeSubject) -> None:
    """A reason of a feature that is looked up begins with the lead's own values."""
    subject = make_subject("simulated with pairs", True, "blend")
    features = subject.scorer.pipeline.features
    columns = {feature.signal_name: feature.attributes for feature in features if feature.unseen}
    assert len(columns) > len(PAIRS.pairs)
    attributes = subject.scorer.pipeline.word_attributes
    cells = subject.cells(subject.leads)
    for lead, score in zip(cells, subject.score_cells(cells, ALL_REASONS), strict=True):
        named = [reason for reason in score.reasons if reason.signal in columns]
        assert {reason.signal for reason in named} == set(columns)
        for reason in named:
            clauses = [
                f'{column} is "{text}"' if text else f"{column} is not known"
                for column in columns[reason.signal]
                for text in [attributes[column].text(lead.cells[column])]
            ]
            assert reason.text.startswith(f"{' and '.join(clauses)}: such leads ")


def test_no_case_is_missing() -> None:
    """Four kinds of scorer, 11 laws on each source, and one more where there is a history."""
    assert len(CASES) == 4 * (12 + 11 + 12 + 11)
    assert len({case.id for case in CASES}) == len(CASES)
