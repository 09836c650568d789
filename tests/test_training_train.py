"""A training on the simulator: its quality, its card and its golden leads."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from crm.arrays import Floats, Labels
from crm.errors import LearningError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from features.moments import make_moments
from models.card import ModelCard
from models.estimator.blend import BaseRate
from models.estimator.logistic import DRIFT
from models.evaluation.metrics import MODEL_METRICS
from models.fitting.examples import NEWEST_SHARE
from models.fitting.split import split_newest
from models.scorer import LeadCells
from tests.made_comparisons import one_cut_off
from tests.made_trainings import NOW, blend_of, evaluated, save
from training.comparison.comparison import differences
from training.golden import N_GOLDEN
from training.procedure import Procedure
from training.train import Trained, known_later, train


@dataclass(frozen=True)
class Session:
    """A training on the simulator, with the truth of its test leads.

    Attributes
    ----------
    project : Project
    records : Records
    trained : Trained
    progress : list of (str, float)
        The calls of the training's progress.
    truth : ndarray of float64, shape (n_test,)
        The true probability of each test moment.
    label : ndarray of int8, shape (n_test,)
    """

    project: Project
    records: Records
    trained: Trained
    progress: list[tuple[str, float]]
    truth: Floats
    label: Labels

    @property
    def card(self) -> ModelCard:
        """The model card."""
        return self.trained.scorer.card


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("crm")
    # Without drift, what a model learns from older leads is true of newer leads.
    files = simulate(Simulation(leads=4_000, activities_per_lead=1, seed=1, drift_at=1), folder)
    project = load_project(folder)
    records = read_records(project)
    progress: list[tuple[str, float]] = []
    trained = train(project, records, now=NOW, progress=lambda *call: progress.append(call))
    moments = make_moments(records, project.learn)
    test = split_newest(records, moments, project.learn.test_share, project.learn.seed).test
    truth = pd.read_csv(files["truth"]).set_index("lead_id")["true_probability"]
    return Session(
        project=project,
        records=records,
        trained=trained,
        progress=progress,
        truth=truth.loc[records.leads["lead_id"].iloc[test.lead]].to_numpy(),
        label=test.label,
    )


# -- quality -------------------------------------------------------------------------------

# The ranges of the session's model on its newest leads, and the reasons for them.
QUALITY = {
    # The share of the distance in log loss from the base rate to the oracle, which knows the truth.
    "log loss gained": (0.50, 1.00),
    # The gain over a logistic regression, which the blend must beat, as a share of this distance.
    "log loss gained on the logistic": (0.08, 1.00),
    # The oracle's ROC AUC is 0.84. There are twelve columns and 3,000 leads, an eighth of them won.
    "auc behind the oracle": (0.00, 0.09),
    "auc": (0.73, 0.84),
    "lift in the top tenth": (2.5, 6.0),
    "calibration error": (0.00, 0.05),
}


def test_quality_is_within_the_expected_range(session: Session) -> None:
    model = evaluated(session.trained)
    values = model.test.values
    base_rate, logistic = (
        model.baselines[name].values["log_loss"] for name in ("base_rate", "logistic")
    )
    oracle = log_loss(session.label, session.truth)

    reached = {
        "log loss gained": (base_rate - values["log_loss"]) / (base_rate - oracle),
        "log loss gained on the logistic": (logistic - values["log_loss"]) / (base_rate - oracle),
        "auc behind the oracle": roc_auc_score(session.label, session.truth) - values["roc_auc"],
        "auc": values["roc_auc"],
        "lift in the top tenth": values["lift_at_10"],
        "calibration error": values["ece"],
    }

    assert reached.keys() == QUALITY.keys()
    for name, (at_least, at_most) in QUALITY.items():
        assert at_least <= reached[name] <= at_most, (name, reached)


def test_model_beats_the_base_rate_beyond_chance(session: Session) -> None:
    model = evaluated(session.trained)
    base_rate = model.baselines["base_rate"]
    low, high = model.test.intervals["roc_auc"]
    assert 0.5 < low < high < 1
    assert base_rate.values["roc_auc"] == 0.5
    assert model.test.values["log_loss"] < base_rate.values["log_loss"]
    assert model.baselines.keys() == {"base_rate", "logistic"}


def test_card_compares_losses_like_the_gates(session: Session) -> None:
    trained, split = session.trained, session.trained.split
    base = BaseRate.fit(split.train.label, split.train.weight).log_odds
    shared = one_cut_off(split.test, trained.test_margin, np.full(len(split.test), base))

    difference = differences(shared, session.project.learn.seed)["log_loss"]

    assert evaluated(trained).gained["base_rate"] == pytest.approx(
        (difference.value, difference.low, difference.high), abs=1e-12
    )
    sentence = (
        f"a difference of {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"
    )
    assert any(sentence in reason for reason in session.card.readiness["reasons"])


def test_card_has_a_row_for_each_cut_off(session: Session) -> None:
    test, cut_offs = session.card.test, session.trained.rolling.cut_offs
    rows = test["by_cut_off"]
    intervals = {name: test["intervals"][name] for name in ("roc_auc", "log_loss")}
    newest = cut_offs[0].to_json() | {"intervals": intervals}
    assert rows == [*(cut_off.to_json() for cut_off in cut_offs[:0:-1]), newest]
    assert [row["n_leads"] for row in rows] == [test["n_leads"]] * 3
    assert [row["from"] for row in rows] == sorted(row["from"] for row in rows)
    assert rows[-1]["log_loss"] == test["log_loss"]
    assert rows[-1]["learned_from"] == session.card.learned_from["train_moments"]
    assert rows[0]["learned_from"] < rows[1]["learned_from"] < rows[2]["learned_from"]
    for row in rows:  # without drift, no cut-off is much worse
        assert row["roc_auc"] > 0.65
        assert row["predicted"] == pytest.approx(row["base_rate"], abs=0.04)
    assert test["cut_offs_left_out"] == []


def test_models_of_cut_offs_have_the_settings_of_the_evaluated_model(session: Session) -> None:
    trained = session.trained
    procedure = Procedure(session.project, session.records, known_later(trained.audit))
    learned = procedure.learn(trained.split.train)
    earlier = trained.rolling.cut_offs[1].split
    fitted = procedure.learn_alike(learned, earlier.train)
    assert fitted.settings == learned.fitted.settings == evaluated(trained).fitted.settings
    features = fitted.pipeline.transform(session.records, earlier.test.lead, earlier.test.as_of)
    np.testing.assert_array_equal(fitted.log_odds_of(features), trained.rolling.cut_offs[1].margin)


def test_final_model_is_fitted_to_the_newest_leads(session: Session) -> None:
    scored = session.trained.scorer.score_table(session.records.leads)
    newest = scored["probability"].iloc[-800:]
    assert newest.nunique() > 300
    assert scored["probability"].mean() == pytest.approx(
        session.card.learned_from["base_rate"], abs=0.02
    )


def test_columns_known_later_are_left_out(session: Session) -> None:
    # contract_type is filled for won deals only: with it the AUC would be nearly 1.
    assert session.records.leads["contract_type"].notna().sum() > 100
    assert "contract_type" not in session.trained.scorer.pipeline.names
    assert {
        "column": "contract_type",
        "reason": "it is known later than the moment of scoring",
    } in session.card.left_out
    assert evaluated(session.trained).test.values["roc_auc"] < 0.84


def test_columns_known_later_do_not_change_scores(session: Session) -> None:
    scorer, leads = session.trained.scorer, session.records.leads
    with_contract = scorer.score_table(leads.assign(contract_type="Standard"))
    without_contract = scorer.score_table(leads.drop(columns="contract_type"))
    assert with_contract["probability"].equals(without_contract["probability"])


def test_progress_rises_to_one(session: Session) -> None:
    shares = [share for _, share in session.progress]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.01
    assert shares[-1] == 1.0
    assert list(dict.fromkeys(step for step, _ in session.progress)) == [
        "Auditing for leaks",
        "Comparing remedies for drift",
        "Choosing attributes and settings",
        "Learning",
        "Evaluating on the newest leads",
        "Evaluating at earlier cut-offs",
        "Learning from all leads",
    ]


def test_zero_leads_are_refused(session: Session) -> None:
    records = session.records
    no_records = Records(
        leads=records.leads.iloc[:0],
        outcomes=records.outcomes.iloc[:0],
        observed_until=records.observed_until,
        in_order=True,
    )
    with pytest.raises(LearningError, match="None of the 0 leads has a known outcome"):
        train(session.project, no_records, now=NOW)


# -- the card ------------------------------------------------------------------------------


def test_counts_of_a_dated_export_add_up(session: Session) -> None:
    facts = session.card.learned_from
    n_ages = len(session.project.learn.moments_days)
    assert facts["leads"] == len(session.records.leads) == 4_000
    not_used = facts["not_mature"] + facts["closed_before_the_moment"]
    assert facts["moments"] + not_used == n_ages * facts["leads"]
    assert facts["train_moments"] + facts["test_moments"] + facts["embargoed"] == facts["moments"]
    assert facts["learned_leads"] == len(np.unique(session.trained.moments.lead)) < 4_000
    assert 0 < facts["won"] < facts["moments"]
    assert facts["base_rate"] == pytest.approx(facts["won"] / facts["moments"])
    assert facts["test_moments"] == len(session.label)


def test_times_of_the_card_are_in_order(session: Session) -> None:
    facts = session.card.learned_from
    times = [pd.Timestamp(facts[key]) for key in ("from", "test_from", "to", "observed_until")]
    assert times == sorted(times)
    *_, newest_moment, observed_until = times
    horizon = pd.Timedelta(days=session.project.learn.horizon_days)
    assert newest_moment + horizon <= observed_until


def test_card_names_the_project_and_its_columns(session: Session) -> None:
    card, pipeline = session.card, session.trained.scorer.pipeline
    assert card.trained_at == "2026-01-01T12:30:00+00:00"
    assert (card.name, card.simulated) == ("demo", True)
    assert card.features == pipeline.names
    columns = {*pipeline.columns, *(left_out["column"] for left_out in card.left_out)}
    assert columns | {"lead_id", "created_at"} == set(session.records.leads.columns)


def test_card_agrees_with_the_evaluation(session: Session) -> None:
    card, model = session.card, evaluated(session.trained)
    assert [row["age_days"] for row in card.test["by_age"]] == session.project.learn.moments_days
    names = ("by_age", "by_cut_off", "cut_offs_left_out", "by_grade", "reliability", "gains")
    tables = {name: card.test[name] for name in names}
    assert card.test == {**model.test.to_json(), "how": "newest 20% of leads", **tables}
    assert card.baselines == {
        name: baseline.to_json() for name, baseline in model.baselines.items()
    }
    assert card.test["n"] == card.learned_from["test_moments"]
    for metric in MODEL_METRICS:
        low, high = card.test["intervals"][metric]
        assert low < high


def test_card_contains_digests_and_versions(session: Session) -> None:
    card = session.card
    assert card.digests == session.records.digests
    assert card.digests.keys() == {"leads", "activities", "stages", "outcomes"}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in card.digests.values())
    packages = {"lightgbm", "numpy", "pandas", "scikit-learn", "scipy"}
    assert card.versions.keys() == {"python", "leadscore"} | packages


def test_card_survives_json(session: Session) -> None:
    text = json.dumps(session.card.to_json(), allow_nan=False)
    assert ModelCard.from_json(json.loads(text)) == session.card


def test_card_rows_describe_the_test_moments(session: Session) -> None:
    test, values = session.card.test, evaluated(session.trained).test.values
    bins = test["reliability"]
    gap = sum(row["n"] * abs(row["stated"] - row["won"]) for row in bins)
    assert gap / sum(row["n"] for row in bins) == pytest.approx(values["ece"])
    assert test["gains"][0]["lift"] == pytest.approx(values["lift_at_10"])


def test_card_counts_the_test_moments_of_each_grade(session: Session) -> None:
    scale = session.trained.scorer.scale
    grades = scale.grade(scale.score(expit(session.trained.test_margin)))
    by_grade = session.card.test["by_grade"]
    assert [row["grade"] for row in by_grade] == ["A", "B", "C", "D"]
    assert [row["n"] for row in by_grade] == [(grades == letter).sum() for letter in "ABCD"]


def test_card_describes_the_estimator(session: Session) -> None:
    estimator, blend = session.card.estimator, blend_of(session.trained)
    calibration = session.trained.scorer.calibration
    assert blend.logistic is not None
    assert estimator["logistic_weight"] == blend.logistic_weight
    loss_by_weight = dict(estimator["weights_tried"])
    assert list(loss_by_weight) == pytest.approx(np.arange(11) / 10)
    nearest = min(loss_by_weight, key=lambda weight: abs(weight - blend.logistic_weight))
    assert loss_by_weight[nearest] < np.mean(list(loss_by_weight.values()))
    assert estimator["why"].startswith("chosen on the newest ")
    assert estimator["logistic_reach"] == blend.logistic.terms.reach
    assert estimator["logistic_strength"] > 0
    assert (estimator["logistic_step_strength"] is None) == (blend.logistic.steps is None)
    assert estimator["logistic_drift"] in (0.0, DRIFT)
    assert estimator["interactions"] == []
    assert estimator["parameters"]["seed"] == session.project.learn.seed
    assert "settings_tried" not in estimator
    assert estimator["calibration_slope"] == calibration.slope
    assert estimator["calibration_intercept"] == calibration.intercept


def test_card_describes_the_evaluated_model_and_the_newest_leads(session: Session) -> None:
    estimator, trained = session.card.estimator, session.trained
    judged = evaluated(trained)
    assert judged.fitted.settings is not None
    of_judged = estimator["judged"]
    assert of_judged["logistic_weight"] == judged.fitted.settings.logistic_weight
    assert of_judged["rounds"] == judged.fitted.settings.rounds
    assert of_judged["calibration_slope"] == judged.fitted.calibration.slope
    assert of_judged.keys() <= estimator.keys()
    assert any(of_judged[name] != estimator[name] for name in of_judged)

    test, scorer = trained.split.test, trained.scorer
    features = scorer.pipeline.transform(session.records, test.lead, test.as_of)
    points = scorer.scale.unrounded(scorer.log_odds_of(features))
    of_test = scorer.scale.unrounded(trained.test_margin)
    difference = np.average(np.abs(points - of_test), weights=test.weight)
    assert estimator["points_from_judged"] == pytest.approx(difference)
    assert 0 < difference < 20

    newest = estimator["newest"]
    leads = np.unique(trained.moments.lead)
    assert newest["n_leads"] == pytest.approx(NEWEST_SHARE * len(leads), abs=1)
    gained = newest["less_base_rate"]
    assert gained["low"] < gained["value"] < gained["high"]


def test_card_describes_the_scale(session: Session) -> None:
    moments = session.trained.moments
    base_rate = BaseRate.fit(moments.label, moments.weight)
    assert session.trained.scorer.scale.base_log_odds == base_rate.log_odds
    assert session.card.scale == {
        "base_rate": pytest.approx(expit(base_rate.log_odds)),
        "grades": [["A", 65], ["B", 50], ["C", 35]],
        "pinned_by": "nothing yet",
    }


def test_card_describes_audit_readiness_and_groups(session: Session) -> None:
    card = session.card
    assert {row["field"]: row["verdict"] for row in card.audit} == {
        column.attribute: column.verdict for column in session.trained.audit.attributes
    }
    assert card.readiness["verdict"] in ("ready", "usable", "not ready")
    assert card.readiness["reasons"]
    assert sum(row["share"] for row in card.importance) == pytest.approx(1.0)
    assert len(card.segments) > 5
    assert len(card.fairness) > 1  # age_band is sensitive


# -- golden leads --------------------------------------------------------------------------


def test_golden_leads_are_not_real_leads(session: Session) -> None:
    golden_leads, pipeline = session.trained.golden_leads, session.trained.scorer.pipeline
    assert len(golden_leads) == N_GOLDEN + 4
    real_rows = {
        tuple(np.nan_to_num(row, nan=-1)) for row in pipeline.matrix(session.records.leads)
    }
    golden_rows = {
        tuple(np.nan_to_num(pipeline.rows([lead.cells])[0], nan=-1))
        for lead in golden_leads[:N_GOLDEN]
    }
    assert len(golden_rows) == N_GOLDEN
    assert real_rows.isdisjoint(golden_rows)


def test_golden_leads_have_only_columns_of_the_model(session: Session) -> None:
    golden_leads = session.trained.golden_leads
    columns = set(session.trained.scorer.pipeline.columns)
    assert all(set(lead.cells) <= columns for lead in golden_leads)
    assert LeadCells({}) in golden_leads


def test_artefact_contains_no_id_name_or_address(
    session: Session, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("artefact") / "model"
    save(session.trained, folder)
    stored = "".join(path.read_text() for path in folder.iterdir())
    for column in ("lead_id", "email", "company_name"):
        values = session.records.leads[column].dropna().unique()
        assert len(values) > 100
        assert not [value for value in values if value in stored], column
    assert "@" not in stored
