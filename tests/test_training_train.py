"""Training: quality, repeatability, the card, the scale and tuning."""

import datetime
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss, roc_auc_score

import training.fit
import training.train
from crm.errors import ConfigError, LearningError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from features.fitting import fit_pipeline
from features.intervals import wilson
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from models.artifact import load_artifact, save_artifact
from models.calibration import Calibration
from models.card import ModelCard
from models.estimator.blend import BaseRate, Blend
from models.evaluation.metrics import MODEL_METRICS
from models.fitting.blend import FEWEST_OUTCOMES
from models.fitting.trees import TREE_PARAMETERS
from models.scale import Scale
from models.scorer import LeadCells
from reports.card.page import card_page
from reports.card.pictures import card_pictures
from training.comparison.comparison import SharedMoments, differences
from training.golden import N_GOLDEN
from training.split import split_newest
from training.train import Trained, train
from training.tuning import Trial

NOW = datetime.datetime(2026, 1, 1, 12, 30, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Session:
    """A training on the simulator, with the truth of its test leads."""

    project: Project
    records: Records
    trained: Trained
    progress: list[tuple[str, float]]
    truth: np.ndarray
    label: np.ndarray


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("crm")
    # The world does not change, so older leads teach what is true of newer ones.
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


def flat(
    folder: Path, leads: pd.DataFrame, vouched: tuple[str, ...] = (), **learn: Any
) -> tuple[Project, Records]:
    """Write a flat export, and return its project and records."""
    leads.to_csv(folder / "leads.csv", index=False)
    named = [
        f"{role} = {json.dumps(column)}"
        for role, column in (
            ("outcome", "outcome"),
            ("created_at", "created_at"),
            ("closed_at", "closed_at"),
        )
        if column in leads
    ]
    order = [] if "created_at" in leads else ['order = "rows"']
    keys = {"won": ["yes"], "lost": ["no"], **learn}
    text = [
        "[project]",
        'name = "flat"',
        "[leads]",
        'source = "leads.csv"',
        *named,
        *order,
        "[learn]",
        *(f"{key} = {json.dumps(value)}" for key, value in keys.items()),
    ]
    if vouched:
        text += ["[columns]", f"known_in_time = {json.dumps(list(vouched))}"]
    (folder / "leadscore.toml").write_text("\n".join(text))
    project = load_project(folder)
    return project, read_records(project)


def small(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return leads whose size and colour have a weak effect."""
    generator = np.random.default_rng(seed)
    size = generator.integers(1, 100, n)
    colour = generator.choice(["red", "green", "blue"], n)
    won = generator.random(n) < 0.15 + 0.004 * size + 0.2 * (colour == "red")
    return pd.DataFrame({"size": size, "colour": colour, "outcome": np.where(won, "yes", "no")})


# -- how good it is ------------------------------------------------------------------------

# What the session's model must reach on its newest leads, and why.
QUALITY = {
    # of the distance in log loss from the base rate to the oracle, which knows the truth:
    "log loss gained": (0.50, 1.00),
    # the same for a logistic regression alone, which the blend has to beat:
    "log loss gained on the logistic": (0.08, 1.00),
    # below the oracle's ROC AUC of 0.84: twelve columns, 3,000 leads, an eighth of them won
    "auc behind the oracle": (0.00, 0.09),
    "auc": (0.73, 0.84),
    "lift in the top tenth": (2.5, 6.0),
    "calibration error": (0.00, 0.05),
}


def test_quality_is_within_the_expected_range(session: Session) -> None:
    values = session.trained.evaluated_model.test.values
    base, logistic = (
        session.trained.evaluated_model.baselines[name].values["log_loss"]
        for name in ("base_rate", "logistic")
    )
    oracle = log_loss(session.label, session.truth)
    reached = {
        "log loss gained": (base - values["log_loss"]) / (base - oracle),
        "log loss gained on the logistic": (logistic - values["log_loss"]) / (base - oracle),
        "auc behind the oracle": roc_auc_score(session.label, session.truth) - values["roc_auc"],
        "auc": values["roc_auc"],
        "lift in the top tenth": values["lift_at_10"],
        "calibration error": values["ece"],
    }
    assert reached.keys() == QUALITY.keys()
    for name, (at_least, at_most) in QUALITY.items():
        assert at_least <= reached[name] <= at_most, (name, reached)


def test_model_beats_the_base_rate_beyond_chance(session: Session) -> None:
    judged = session.trained.evaluated_model
    _, high = judged.test.intervals["roc_auc"]
    low, _ = judged.test.intervals["roc_auc"]
    assert low > 0.5
    assert high < 1
    assert judged.baselines["base_rate"].values["roc_auc"] == 0.5
    assert judged.test.values["log_loss"] < judged.baselines["base_rate"].values["log_loss"]
    assert judged.baselines.keys() == {"base_rate", "logistic"}


def test_card_compares_losses_like_the_gates(session: Session) -> None:
    trained, split = session.trained, session.trained.split
    base = BaseRate.fit(split.train.label, split.train.weight).log_odds
    shared = SharedMoments(split.test, trained.test_margin, np.full(len(split.test), base))
    gate = differences(shared, session.project.learn.seed)["log_loss"]
    gained = trained.evaluated_model.gained["base_rate"]
    assert gained == pytest.approx((gate.value, gate.low, gate.high), abs=1e-12)
    said = f"a difference of {gate.value:+.4f} ({gate.low:+.4f} to {gate.high:+.4f})"
    assert any(said in reason for reason in trained.scorer.card.readiness["reasons"])


def test_final_model_is_fitted_to_the_newest_leads(session: Session) -> None:
    scored = session.trained.scorer.score_table(session.records.leads)
    newest = scored["probability"].iloc[-800:]
    assert newest.nunique() > 300
    assert scored["probability"].mean() == pytest.approx(
        session.trained.scorer.card.learned_from["base_rate"], abs=0.02
    )


def test_columns_known_later_are_not_used(session: Session) -> None:
    # contract_type is filled for won deals only: with it the AUC would be nearly 1.
    leads = session.records.leads
    assert leads["contract_type"].notna().sum() > 100
    trained = session.trained
    assert "contract_type" not in trained.scorer.pipeline.names
    assert {
        "column": "contract_type",
        "reason": "it is known later than the moment of scoring",
    } in (trained.scorer.card.left_out)
    assert trained.evaluated_model.test.values["roc_auc"] < 0.84
    with_it = trained.scorer.score_table(leads.assign(contract_type="Standard"))
    without = trained.scorer.score_table(leads.drop(columns="contract_type"))
    assert with_it["probability"].equals(without["probability"])


def test_nearly_perfect_column_is_detected(tmp_path: Path) -> None:
    leads = small(600, seed=3)
    leads["hint"] = np.where(leads["outcome"] == "yes", 1.0, 0.0)
    leads.loc[::7, "hint"] = 0.5
    trained = train(*flat(tmp_path, leads, vouched=("hint",)), now=NOW)
    assert trained.evaluated_model.test.values["roc_auc"] > 0.9


def test_nearly_perfect_column_is_a_leak_unless_vouched_for(tmp_path: Path) -> None:
    leads = small(600, seed=3)
    leads["hint"] = np.where(leads["outcome"] == "yes", 1.0, 0.0)
    leads.loc[::7, "hint"] = 0.5
    trained = train(*flat(tmp_path, leads), now=NOW)
    assert "hint" not in trained.scorer.pipeline.columns
    (left,) = [left for left in trained.scorer.card.left_out if left["column"] == "hint"]
    assert left["reason"].startswith("the leak audit calls it a leak: LS104")


# -- that it repeats itself ----------------------------------------------------------------


def test_digest_depends_on_data_and_seed_only(session: Session, tmp_path: Path) -> None:
    digests = []
    for i, (seed, now) in enumerate([(0, NOW), (0, NOW + datetime.timedelta(days=9)), (1, NOW)]):
        (tmp_path / str(i)).mkdir()
        trained = train(*flat(tmp_path / str(i), small(), seed=seed), now=now)
        digests.append(
            save_artifact(
                trained.scorer,
                trained.golden_leads,
                tmp_path / str(i) / "model",
                trained.golden_as_of,
            )
        )
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
    first, second = (tmp_path / str(i) / "model" / "golden.json" for i in (0, 1))
    assert first.read_bytes() == second.read_bytes()


def test_row_order_of_a_dated_export_does_not_matter(tmp_path: Path) -> None:
    days = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(200), unit="D")
    leads = small().assign(lead_id=[f"L{i:03}" for i in range(200)], created_at=days.astype(str))
    digests = set()
    for i, table in enumerate([leads, leads.sample(frac=1, random_state=4)]):
        (tmp_path / str(i)).mkdir()
        known = {"observed_until": "2026-01-01", "horizon_days": 5}
        project, records = flat(tmp_path / str(i), table, **known)
        trained = train(project, records, now=NOW)
        digests.add(
            save_artifact(
                trained.scorer, trained.golden_leads, tmp_path / str(i) / "m", trained.golden_as_of
            )
        )
    assert len(digests) == 1


def test_training_does_not_change_the_records(tmp_path: Path) -> None:
    project, records = flat(tmp_path, small())
    kept = records.leads.copy(deep=True), records.outcomes.copy(deep=True)
    train(project, records, now=NOW)
    pd.testing.assert_frame_equal(records.leads, kept[0])
    pd.testing.assert_frame_equal(records.outcomes, kept[1])


def test_progress_rises_to_one(session: Session) -> None:
    shares = [share for _, share in session.progress]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.01
    assert shares[-1] == 1.0
    steps = list(dict.fromkeys(what for what, _ in session.progress))
    assert steps == [
        "Auditing for leaks",
        "Learning",
        "Evaluating on the newest leads",
        "Learning from all leads",
    ]


# -- what the card says --------------------------------------------------------------------


def test_counts_of_a_dated_export_add_up(session: Session) -> None:
    facts = session.trained.scorer.card.learned_from
    ages = len(session.project.learn.moments_days)
    assert facts["leads"] == len(session.records.leads) == 4_000
    accounted = facts["moments"] + facts["not_mature"] + facts["closed_before_the_moment"]
    assert accounted == ages * facts["leads"]
    assert facts["train_moments"] + facts["test_moments"] + facts["embargoed"] == facts["moments"]
    assert facts["learned_leads"] == len(np.unique(session.trained.moments.lead)) < 4_000
    assert 0 < facts["won"] < facts["moments"]
    assert facts["base_rate"] == pytest.approx(facts["won"] / facts["moments"])
    assert facts["test_moments"] == len(session.label)
    times = [pd.Timestamp(facts[key]) for key in ("from", "test_from", "to", "observed_until")]
    assert times == sorted(times)
    horizon = pd.Timedelta(days=session.project.learn.horizon_days)
    assert times[2] + horizon <= times[3]


def test_counts_of_an_undated_export_add_up(tmp_path: Path) -> None:
    leads = small()
    leads.loc[5:14, "outcome"] = None
    trained = train(*flat(tmp_path, leads), now=NOW)
    facts = trained.scorer.card.learned_from
    assert (facts["leads"], facts["moments"], facts["without_outcome"]) == (200, 190, 10)
    assert facts["train_moments"] + facts["test_moments"] + facts["embargoed"] == 190
    assert facts["embargoed"] == 0
    label = {"won": ["yes"], "lost": ["no"], "open": [], "horizon_days": None}
    assert trained.scorer.card.question == label
    assert any("no creation time" in note for note in trained.scorer.card.notes)


def test_card_agrees_with_the_evaluation(session: Session) -> None:
    card, trained = session.trained.scorer.card, session.trained
    assert card.trained_at == "2026-01-01T12:30:00+00:00"
    assert (card.name, card.simulated) == ("demo", True)
    assert card.features == trained.scorer.pipeline.names
    columns = {*trained.scorer.pipeline.columns, *(left["column"] for left in card.left_out)}
    roles = {"lead_id", "created_at"}
    assert columns | roles == set(session.records.leads.columns)
    assert [row["age_days"] for row in card.test["by_age"]] == session.project.learn.moments_days
    rows = {name: card.test[name] for name in ("by_age", "by_grade", "reliability", "gains")}
    assert card.test == {
        **trained.evaluated_model.test.to_json(),
        "how": "newest 20% of leads",
        **rows,
    }
    assert card.baselines == {n: e.to_json() for n, e in trained.evaluated_model.baselines.items()}
    assert card.test["n"] == card.learned_from["test_moments"]
    assert card.digests == session.records.digests
    assert card.digests.keys() == {"leads", "activities", "stages", "outcomes"}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in card.digests.values())
    assert card.versions.keys() == {
        "python",
        "leadscore",
        "lightgbm",
        "numpy",
        "pandas",
        "scikit-learn",
        "scipy",
    }
    for metric in MODEL_METRICS:
        low, high = card.test["intervals"][metric]
        assert low < high


def test_card_survives_json(session: Session) -> None:
    card = session.trained.scorer.card
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json(), allow_nan=False))) == card


def test_card_rows_describe_the_test_moments(session: Session) -> None:
    card, trained = session.trained.scorer.card, session.trained
    rows = card.test["reliability"]
    gap = sum(row["n"] * abs(row["stated"] - row["won"]) for row in rows)
    assert gap / sum(row["n"] for row in rows) == pytest.approx(
        trained.evaluated_model.test.values["ece"]
    )
    assert card.test["gains"][0]["lift"] == pytest.approx(
        trained.evaluated_model.test.values["lift_at_10"]
    )
    by_grade = card.test["by_grade"]
    assert [row["grade"] for row in by_grade] == ["A", "B", "C", "D"]
    scores = trained.scorer.scale.score(expit(trained.test_margin))
    grades = trained.scorer.scale.grade(scores)
    assert [row["n"] for row in by_grade] == [(grades == letter).sum() for letter in "ABCD"]


def test_card_describes_the_estimator(session: Session) -> None:
    card, scorer = session.trained.scorer.card, session.trained.scorer
    blend = scorer.estimator
    assert isinstance(blend, Blend)
    estimator = card.estimator
    assert estimator["logistic_weight"] == blend.logistic_weight
    assert (
        dict(estimator["weights_tried"])[blend.logistic_weight]
        <= dict(estimator["weights_tried"])[0.5]
    )
    assert estimator["why"].startswith("chosen on the newest ")
    assert estimator["logistic_reach"] == blend.logistic.terms.reach
    assert estimator["logistic_strength"] > 0
    assert estimator["parameters"]["seed"] == session.project.learn.seed
    assert "settings_tried" not in estimator
    assert estimator["calibration_slope"] == scorer.calibration.slope
    assert estimator["calibration_intercept"] == scorer.calibration.intercept


def test_card_describes_scale_and_audit(session: Session) -> None:
    card, scorer = session.trained.scorer.card, session.trained.scorer
    base_rate = BaseRate.fit(session.trained.moments.label, session.trained.moments.weight)
    assert scorer.scale.base_log_odds == base_rate.log_odds
    assert card.scale == {
        "base_rate": pytest.approx(expit(base_rate.log_odds)),
        "grades": [["A", 65], ["B", 50], ["C", 35]],
        "pinned_by": "nothing yet",
    }
    assert {row["field"]: row["verdict"] for row in card.audit} == {
        audited.attribute: audited.verdict for audited in session.trained.audit.attributes
    }
    assert card.readiness["verdict"] in ("ready", "usable", "not ready")
    assert card.readiness["reasons"]
    assert sum(row["share"] for row in card.importance) == pytest.approx(1.0)
    assert len(card.segments) > 5
    assert len(card.fairness) > 1  # age_band is sensitive


def test_final_model_has_the_settings_of_the_judged_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []

    def spy(learning_set: Any, *arguments: Any, **options: Any) -> Any:
        fits.append((learning_set.moments, fit(learning_set, *arguments, **options)))
        return fits[-1][1]

    fit = training.train.fit
    monkeypatch.setattr(training.train, "fit", spy)
    trained = train(*flat(tmp_path, small(400)), now=NOW)
    (seen, judged), (everything, final) = fits
    assert seen.lead.tolist() == trained.split.train.lead.tolist()
    assert everything.lead.tolist() == trained.moments.lead.tolist()
    assert final.settings is judged.settings is not None
    assert trained.scorer.estimator is final.estimator
    assert final.estimator.logistic_weight == judged.settings.logistic_weight
    assert final.estimator != judged.estimator
    margin = judged.log_odds_of(
        judged.pipeline.transform(
            read_records(load_project(tmp_path)), trained.split.test.lead, trained.split.test.as_of
        )
    )
    assert trained.test_margin.tobytes() == margin.tobytes()


# -- golden leads --------------------------------------------------------------------------


def test_golden_leads_are_not_real_leads(session: Session) -> None:
    trained = session.trained
    pipeline = trained.scorer.pipeline
    assert len(trained.golden_leads) == N_GOLDEN + 4
    matrix = pipeline.matrix(session.records.leads)
    real = {tuple(np.nan_to_num(row, nan=-1)) for row in matrix}
    made = [
        tuple(np.nan_to_num(pipeline.rows([lead.cells])[0], nan=-1))
        for lead in trained.golden_leads[:N_GOLDEN]
    ]
    assert len(set(made)) == N_GOLDEN
    assert real.isdisjoint(made)
    assert all(set(lead.cells) <= set(pipeline.columns) for lead in trained.golden_leads)
    assert LeadCells({}) in trained.golden_leads


def test_artefact_contains_no_id_name_or_address(session: Session, tmp_path: Path) -> None:
    trained = session.trained
    save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model", trained.golden_as_of)
    stored = "".join(path.read_text() for path in (tmp_path / "model").iterdir())
    leads = session.records.leads
    for column in ("lead_id", "email", "company_name"):
        values = leads[column].dropna().unique()
        assert len(values) > 100
        assert not [value for value in values if value in stored], column
    assert "@" not in stored


def test_golden_leads_can_be_made_from_one_column(tmp_path: Path) -> None:
    trained = train(*flat(tmp_path, small()[["size", "outcome"]]), now=NOW)
    save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model", trained.golden_as_of)
    assert load_artifact(tmp_path / "model").scorer == trained.scorer


# -- what cannot be learned ----------------------------------------------------------------


def _dated(n: int, *, days: float) -> pd.DataFrame:
    created = pd.Timestamp("2025-01-01", tz="UTC") + pd.to_timedelta(
        np.linspace(0, days, n), unit="D"
    )
    return small(n).assign(created_at=created.astype(str))


UNLEARNABLE = {
    "only wins": (
        small().assign(outcome="yes"),
        {},
        r"All 200 leads with a certain outcome are won\. Both kinds are needed",
    ),
    "only losses": (
        small().assign(outcome="no"),
        {},
        r"All 200 leads with a certain outcome are lost or unwon\. Both kinds are needed",
    ),
    "no outcomes": (
        small().assign(outcome=["open"] * 200),
        {"open": ["open"]},
        r"None of the 200 leads has a known outcome\. Check \[learn\] won and lost",
    ),
    "none mature": (
        _dated(100, days=10),
        {"observed_until": "2025-01-20", "horizon_days": 90},
        r"None of the 100 leads is old enough to learn from: each needs 90 days",
    ),
    "no attributes": (
        small()[["outcome"]],
        {},
        r"No column of the leads is left to learn from\. There are no columns\.",
    ),
    "constant attributes": (
        small().assign(size=3, colour="red"),
        {},
        r"No column of the leads is left to learn from\. `size`: it is always '3'; `colour`",
    ),
}


@pytest.mark.parametrize("case", UNLEARNABLE)
def test_records_without_anything_to_learn_are_refused(case: str, tmp_path: Path) -> None:
    leads, learn, match = UNLEARNABLE[case]
    project, records = flat(tmp_path, leads, **learn)
    with pytest.raises(LearningError, match=match):
        train(project, records, now=NOW)


UNJUDGEABLE = {
    "too few": (
        small(12, seed=1),
        {},
        r"Only 12 leads have a certain outcome; at least 20 are needed",
    ),
    "wins among the oldest only": (
        small().assign(outcome=["yes", "no"] * 50 + ["no"] * 100),
        {},
        r"All 40 test leads are not won, .* change test_share",
    ),
    "wins among the newest only": (
        small().assign(outcome=["no"] * 170 + ["yes"] * 30),
        {},
        r"All 160 training leads are not won, .* change test_share",
    ),
    "five wins, all old": (
        small(400).assign(
            outcome=["yes" if i in (5, 50, 100, 150, 200) else "no" for i in range(400)]
        ),
        {},
        r"All 80 test leads are not won, .* change test_share",
    ),
    "older leads that are all alike": (
        small().assign(colour="red", size=lambda t: t["size"].where(t.index >= 160, 3)),
        {},
        r"The training leads alone teach nothing: No column of the leads is left",
    ),
    "all embargoed": (
        _dated(100, days=10),
        {"observed_until": "2026-01-01", "horizon_days": 90},
        r"No training leads remain: the labels of all 80 were not yet known when .* horizon_days",
    ),
}


@pytest.mark.parametrize("case", UNJUDGEABLE)
def test_records_without_a_usable_test_are_still_learned_from(case: str, tmp_path: Path) -> None:
    leads, learn, why = UNJUDGEABLE[case]
    trained = train(*flat(tmp_path, leads, **learn), now=NOW)
    assert trained.evaluated_model is None
    card = trained.scorer.card
    assert re.search(why, card.test["not_judged"])
    assert card.readiness["verdict"] == "not ready"
    assert card.readiness["reasons"][0].endswith(card.test["not_judged"])
    enough = trained.moments.rarer >= FEWEST_OUTCOMES
    assert isinstance(trained.scorer.estimator, Blend if enough else BaseRate)
    share = trained.moments.label.mean()
    if not enough:
        assert card.estimator["low"] < share < card.estimator["high"]
    found = trained.scorer.score_table(leads)["probability"]
    assert found.mean() == pytest.approx(share, abs=0.05)
    assert card_page(card, pictures=card_pictures(card))
    assert json.dumps(card.to_json(), allow_nan=False)


def test_zero_leads_are_refused(session: Session) -> None:
    records = session.records
    none = Records(
        leads=records.leads.iloc[:0],
        outcomes=records.outcomes.iloc[:0],
        observed_until=records.observed_until,
        in_order=True,
    )
    with pytest.raises(LearningError, match="None of the 0 leads has a known outcome"):
        train(session.project, none, now=NOW)


def test_unevaluated_model_is_kept_and_marked(tmp_path: Path) -> None:
    # 130 days of leads are mature; as the test began, the outcome was known of 14 days.
    leads = _dated(600, days=200).assign(outcome="no")
    won = np.random.default_rng(4).random(600) < 0.1 + 0.002 * leads["size"]
    leads.loc[won, "outcome"] = "yes"
    leads["closed_at"] = (pd.to_datetime(leads["created_at"]) + pd.Timedelta(days=5)).astype(str)
    known = {"observed_until": "2025-08-09", "horizon_days": 90}
    project, records = flat(tmp_path, leads, **known)
    trained = train(project, records, now=NOW)
    card = trained.scorer.card
    assert trained.evaluated_model is None
    assert split_newest(records, trained.moments, 0.2, 0).train.rarer < FEWEST_OUTCOMES
    assert isinstance(trained.scorer.estimator, Blend)
    high, low = (trained.scorer.score_table(leads.assign(size=s))["probability"] for s in (95, 5))
    assert high.mean() > low.mean() + 0.02
    assert card.test.keys() == {"not_judged"}
    assert card.readiness["verdict"] == "not ready"
    reason = card.readiness["reasons"][0]
    assert reason.startswith("Its quality is unknown. When the test period began, only ")
    n, won = len(trained.moments), trained.moments.rarer
    assert f"learned from all {n} leads, {won} of them with the rarer outcome" in reason
    assert "It was not evaluated:" in card_page(card, pictures=card_pictures(card))
    save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model", trained.golden_as_of)
    assert load_artifact(tmp_path / "model").scorer == trained.scorer


def test_twenty_leads_are_enough(tmp_path: Path) -> None:
    leads = small(20, seed=2).assign(outcome=["yes", "no"] * 10)
    trained = train(*flat(tmp_path, leads), now=NOW)
    assert trained.scorer.card.learned_from["moments"] == 20
    assert trained.scorer.score_table(leads)["probability"].between(0.2, 0.8).all()
    save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model", trained.golden_as_of)
    assert load_artifact(tmp_path / "model").scorer == trained.scorer


def test_one_win_in_a_hundred_gives_a_low_finite_probability(tmp_path: Path) -> None:
    outcome = ["no"] * 300
    for won in (40, 160, 290):
        outcome[won] = "yes"
    trained = train(*flat(tmp_path, small(300).assign(outcome=outcome)), now=NOW)
    probability = trained.scorer.score_table(small(300))["probability"]
    assert probability.between(0.0, 0.1).all()
    assert json.dumps(trained.scorer.card.to_json(), allow_nan=False)


def with_wins(n: int, every: int) -> pd.DataFrame:
    """Return leads of which one in `every` is won: the largest of each group."""
    leads = small(n)
    lots = leads["size"].to_numpy().reshape(-1, every)
    won = (lots == lots.max(axis=1, keepdims=True)) & (
        np.cumsum(lots == lots.max(axis=1, keepdims=True), axis=1) == 1
    )
    return leads.assign(outcome=np.where(won.ravel(), "yes", "no"))


def test_fewer_than_twenty_outcomes_give_the_base_rate_with_its_interval(tmp_path: Path) -> None:
    trained = train(*flat(tmp_path, with_wins(300, every=20)), now=NOW)
    scorer, card = trained.scorer, trained.scorer.card
    assert isinstance(scorer.estimator, BaseRate)
    assert scorer.calibration == Calibration(1.0, 0.0)
    estimator = card.estimator
    assert estimator["kind"] == "base rate"
    assert estimator["low"] < 15 / 300 < estimator["high"]
    assert (estimator["low"], estimator["high"]) == pytest.approx(wilson(15 / 300, 300))
    assert estimator["why"].startswith("There are fewer than 20 training leads with the rarer ")
    assert f"between {100 * estimator['low']:.1f} % and " in estimator["why"]
    probability = scorer.score_table(small(300))["probability"]
    assert probability.nunique() == 1
    assert probability[0] == pytest.approx(15.5 / 301)
    assert card.importance == []
    save_artifact(scorer, trained.golden_leads, tmp_path / "model", trained.golden_as_of)
    assert load_artifact(tmp_path / "model").scorer == scorer


@pytest.mark.parametrize("turned", [False, True], ids=["wins are rare", "losses are rare"])
def test_twenty_five_outcomes_give_a_blend(tmp_path: Path, turned: bool) -> None:
    leads = with_wins(500, every=20)
    if turned:
        leads["outcome"] = np.where(leads["outcome"] == "yes", "no", "yes")
    trained = train(*flat(tmp_path, leads), now=NOW)
    assert isinstance(trained.scorer.estimator, Blend)
    estimator = trained.scorer.card.estimator
    assert estimator["logistic_weight"] == 0.5
    assert estimator["why"].startswith(
        "even, because there are too few outcomes among the newest leads"
    )
    probability = trained.scorer.score_table(leads)["probability"]
    won = (leads["outcome"] == "yes").to_numpy()
    assert probability[won].mean() > probability[~won].mean()
    assert probability.mean() == pytest.approx(won.mean(), abs=0.03)


# -- the scale -----------------------------------------------------------------------------


def test_pinned_scale_is_kept(tmp_path: Path) -> None:
    pinned = Scale(-2.5, (("A", 80), ("B", 60)))
    project, records = flat(tmp_path, small())
    trained = train(project, records, now=NOW, pinned=pinned)
    assert trained.scorer.scale == pinned
    assert trained.scorer.card.scale == {
        "base_rate": pytest.approx(expit(-2.5)),
        "grades": [["A", 80], ["B", 60]],
        "pinned_by": "the first promotion",
    }
    own = train(project, records, now=NOW)
    assert own.scorer.estimator == trained.scorer.estimator
    scores = [each.scorer.scale.unrounded(np.zeros(1))[0] for each in (own, trained)]
    shift = (own.scorer.scale.base_log_odds + 2.5) * 10 / np.log(2)
    assert scores[1] - scores[0] == pytest.approx(shift)


@pytest.mark.parametrize(
    ("keys", "base_rate", "grades", "pinned_by"),
    [
        ("base_rate = 0.25", 0.25, [["A", 80], ["B", 60]], "the project file"),
        (
            "grades = {A = 70, B = 40, C = 20}",
            float(expit(-2.5)),
            [["A", 70], ["B", 40], ["C", 20]],
            "the first promotion",
        ),
        ("base_rate = 0.1\ngrades = {A = 51}", 0.1, [["A", 51]], "the project file"),
    ],
)
def test_project_file_overrides_the_pinned_scale(
    tmp_path: Path, keys: str, base_rate: float, grades: Any, pinned_by: str
) -> None:
    project, _ = flat(tmp_path, small())
    project.path.write_text(project.path.read_text() + f"\n[scale]\n{keys}\n")
    project = load_project(tmp_path)
    pinned = Scale(-2.5, (("A", 80), ("B", 60)))
    trained = train(project, read_records(project), now=NOW, pinned=pinned)
    assert trained.scorer.card.scale == {
        "base_rate": pytest.approx(base_rate),
        "grades": grades,
        "pinned_by": pinned_by,
    }
    assert [list(each) for each in trained.scorer.scale.grades] == grades
    assert trained.scorer.scale.base_log_odds == pytest.approx(logit(base_rate))


def test_rising_grades_are_refused_before_training(tmp_path: Path) -> None:
    project, _ = flat(tmp_path, small())
    project.path.write_text(project.path.read_text() + "\n[scale]\ngrades = {A = 40, B = 50}\n")
    project = load_project(tmp_path)
    steps: list[str] = []
    with pytest.raises(ConfigError, match=r"grades are .*Expected A, B, C"):
        train(project, read_records(project), now=NOW, progress=lambda what, _: steps.append(what))
    assert steps == []


# -- what the project file says of learning --------------------------------------------------


def test_directions_hold_in_the_final_model(tmp_path: Path) -> None:
    # Larger leads are truly won more often.
    trained = train(*flat(tmp_path, small(400), falling=["size"]), now=NOW)
    leads = small(60, seed=7)
    scanned = [
        trained.scorer.score_table(leads.assign(size=size))["probability"]
        for size in range(-50, 300, 25)
    ]
    assert (np.diff(scanned, axis=0) <= 1e-12).all()
    free = train(*flat(tmp_path, small(400)), now=NOW).scorer
    low, high = (free.score_table(leads.assign(size=s))["probability"].mean() for s in (5, 95))
    assert high > low + 0.1


def test_directions_hold_after_saving_and_loading(tmp_path: Path) -> None:
    leads = small(400).assign(age=np.random.default_rng(5).integers(18, 70, 400))
    trained = train(*flat(tmp_path, leads, rising=["size"], falling=["age"]), now=NOW)
    assert trained.scorer.estimator.trees is not None
    folder = tmp_path / "scorer"
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)
    loaded = load_artifact(folder).scorer
    assert loaded == trained.scorer
    for column, direction in (("size", 1), ("age", -1)):
        scanned = [
            loaded.score_table(leads.head(60).assign(**{column: value}))["probability"]
            for value in range(-50, 300, 25)
        ]
        assert (direction * np.diff(scanned, axis=0) >= -1e-12).all()


@pytest.mark.parametrize("key", ["rising", "falling"])
@pytest.mark.parametrize(
    ("name", "match"), [("sise", r"Did you mean `size`\?"), ("colour", "which is a category")]
)
def test_direction_of_an_unknown_feature_is_refused(
    tmp_path: Path, key: str, name: str, match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        train(*flat(tmp_path, small(), **{key: [name]}), now=NOW)


def test_half_life_without_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="half_life_days needs the creation time of each lead"):
        train(*flat(tmp_path, small(), half_life_days=30), now=NOW)


def test_half_life_changes_the_model_and_not_the_test(tmp_path: Path) -> None:
    found = []
    for learn in ({}, {"half_life_days": 60}):
        known = {"observed_until": "2026-06-01", "horizon_days": 5, **learn}
        found.append(train(*flat(tmp_path, _dated(400, days=400), **known), now=NOW))
    plain, recent = found
    assert recent.scorer.estimator != plain.scorer.estimator
    assert recent.evaluated_model.test.n == plain.evaluated_model.test.n
    assert recent.evaluated_model.test.base_rate == plain.evaluated_model.test.base_rate
    assert recent.moments.weight.tolist() == [1.0] * len(recent.moments)


# -- tuning ----------------------------------------------------------------------------------


def test_tuning_without_time_tries_the_defaults(tmp_path: Path) -> None:
    project, records = flat(tmp_path, small(300))
    tuned = train(project, records, now=NOW, tune_minutes=1e-9)
    (trial,) = tuned.trials
    assert (trial.number, dict(trial.parameters), trial.state) == (0, {}, "complete")
    plain = train(project, records, now=NOW)
    assert plain.trials == ()
    assert tuned.scorer.estimator == plain.scorer.estimator
    estimator = tuned.scorer.card.estimator
    assert estimator["settings_tried"] == 1
    assert (
        estimator["log_loss_of_the_best"] == estimator["log_loss_of_the_defaults"] == trial.log_loss
    )


def test_model_uses_the_best_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = {"num_leaves": 2, "learning_rate": 0.1}
    trials = (Trial(0, {}, 0.6, "complete", 1.0), Trial(1, best, 0.5, "complete", 1.0))
    sides = []

    def tune(older: Any, newer: Any, *, minutes: Any, seed: Any, on_trial: Any) -> Any:
        sides.append((older, newer, minutes))
        for trial in trials:
            on_trial(trial, (trial.number + 1) / 2)
        return best, trials

    monkeypatch.setattr(training.train, "tune", tune)
    progress: list[tuple[str, float]] = []
    trained = train(
        *flat(tmp_path, small(300)),
        now=NOW,
        tune_minutes=3,
        progress=lambda *call: progress.append(call),
    )
    assert trained.trials == trials
    card = trained.scorer.card.estimator
    assert card["settings_tried"] == 2
    assert (card["log_loss_of_the_best"], card["log_loss_of_the_defaults"]) == (0.5, 0.6)
    assert card["parameters"] == TREE_PARAMETERS | best | {"seed": 0}
    leaves = set(re.findall(r"num_leaves=(\d+)", trained.scorer.estimator.trees.text))
    assert leaves <= {"1", "2"}
    ((older, newer, minutes),) = sides
    assert minutes == 3
    # The test leads have no say in the search.
    assert {*older.lead, *newer.lead}.isdisjoint(trained.split.test.lead)
    shares = [share for _, share in progress]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert sum("Tuning" in what for what, _ in progress) == 2


# -- how often pipelines are fitted ----------------------------------------------------------


@pytest.fixture
def fitted_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Return a list that collects the leads of each pipeline that is fitted."""
    leads: list[tuple[int, ...]] = []

    def counted(records: Records, moments: Moments, *args: Any, **kwargs: Any) -> FeaturePipeline:
        leads.append(tuple(moments.lead.tolist()))
        return fit_pipeline(records, moments, *args, **kwargs)

    for module in (training.train, training.fit):
        monkeypatch.setattr(module, "fit_pipeline", counted)
    return leads


@pytest.mark.parametrize("tune_minutes", [None, 1e-9], ids=["untuned", "tuned"])
@pytest.mark.parametrize("learn", [{}, {"rising": ["size"]}], ids=["free", "with a direction"])
def test_training_fits_one_pipeline_to_each_set_of_leads(
    tmp_path: Path,
    fitted_on: list[tuple[int, ...]],
    learn: dict[str, list[str]],
    tune_minutes: float | None,
) -> None:
    project, records = flat(tmp_path, small(300), **learn)
    train(project, records, now=NOW, tune_minutes=tune_minutes)
    # All leads, the older leads, and the older part of these.
    assert [len(leads) for leads in fitted_on] == [300, 204, 240]
    assert len(set(fitted_on)) == len(fitted_on)


def test_training_without_a_test_fits_two_pipelines(
    tmp_path: Path, fitted_on: list[tuple[int, ...]]
) -> None:
    # 24 wins in all are enough for a blend, 19 among the older leads are not.
    trained = train(*flat(tmp_path, with_wins(312, every=13)), now=NOW)
    assert trained.evaluated_model is None
    assert [len(leads) for leads in fitted_on] == [312, 265]


def test_training_of_a_base_rate_selects_no_settings(
    tmp_path: Path, fitted_on: list[tuple[int, ...]]
) -> None:
    train(*flat(tmp_path, with_wins(300, every=20)), now=NOW)
    assert [len(leads) for leads in fitted_on] == [300, 240]


def test_base_rate_is_not_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.train, "tune", None)
    trained = train(*flat(tmp_path, with_wins(300, every=20)), now=NOW, tune_minutes=60)
    assert trained.trials == ()
    assert isinstance(trained.scorer.estimator, BaseRate)
    (note,) = [note for note in trained.scorer.card.notes if "Tuning" in note]
    assert note.startswith("Tuning was requested but not possible: with fewer than 20 leads")


def test_leads_without_order_are_held_out_at_random(tmp_path: Path) -> None:
    project, records = flat(tmp_path, small())
    text = project.path.read_text().replace('order = "rows"\n', "")
    project.path.write_text(text)
    project = load_project(tmp_path)
    trained = train(project, read_records(project), now=NOW)
    card = trained.scorer.card
    assert card.test["how"] == ("random 20% of leads, because the project names no time or order")
    assert any("expect worse figures for newer leads" in note for note in card.notes)
    assert card.test["base_rate"] == pytest.approx(card.learned_from["base_rate"], abs=0.02)
