"""Reasons: points that add up to the score and do not depend on the batch, and their words."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.arrays import Floats
from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from features.feature import Feature
from models.calibration import Calibration
from models.estimator.blend import BaseRate, Blend
from models.reasons import LEAST_POINTS, Reason, Reasoner
from models.scale import POINTS, Scale

KINDS = ("base rate", "blend 0.0", "blend 0.3", "blend 0.5", "blend 1.0")


@pytest.fixture(scope="module")
def records(simulated_crm: Path) -> Records:
    """Read the records of the simulated CRM."""
    return read_records(load_project(simulated_crm))


@pytest.fixture(scope="module")
def leads(records: Records, trained: Any, scorers: Any) -> Floats:
    """Return the feature matrix of all simulated moments."""
    moments = trained.moments
    matrix: Floats = scorers["blend 0.3"].pipeline.transform(records, moments.lead, moments.as_of)
    return matrix


def draw(pipeline: Any, n: int, seed: int = 0) -> Floats:
    """Draw unlikely leads: any number, any code, any cell missing."""
    generator = np.random.default_rng(seed)
    columns = []
    for feature in pipeline.features:
        if feature.unit in ("category", "weekday", "yes/no"):
            column = generator.integers(0, 14, n).astype(np.float64)
        else:
            column = generator.normal(size=n) * 10.0 ** generator.integers(-3, 9, n)
            column[generator.random(n) < 0.01] = 1e300
        column[generator.random(n) < 0.2] = np.nan
        columns.append(column)
    return np.column_stack(columns)


# -- points add up -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_unlikely", [False, True], ids=["simulated leads", "unlikely leads"])
@pytest.mark.parametrize("kind", KINDS)
def test_points_add_up_to_the_score_for_thousands_of_leads(
    scorers: Any, leads: Floats, kind: str, is_unlikely: bool
) -> None:
    scorer = scorers[kind]
    features = draw(scorer.pipeline, 4_000) if is_unlikely else leads
    parts = scorer.reasoner.parts(features)
    assert parts.of_signals.shape == (len(features), len(scorer.reasoner.signals))
    unrounded = scorer.scale.unrounded(scorer.log_odds_of(features))
    assert np.abs(parts.start + parts.of_signals.sum(axis=1) - unrounded).max() < 1e-9
    assert np.abs(parts.start + parts.of_features.sum(axis=1) - unrounded).max() < 1e-9
    scores = np.clip(np.rint(unrounded), 1, 99)
    assert scores.tolist() == scorer.scale.score(scorer.probability(features)).tolist()
    if kind != "base rate":
        assert len(np.unique(scores)) > 40


@pytest.mark.parametrize("kind", KINDS)
def test_returned_reasons_add_up_to_the_score(scorers: Any, trained: Any, kind: str) -> None:
    scorer = scorers[kind]
    scores = scorer.score_leads(trained.golden_leads, trained.golden_as_of, n_reasons=10**6)
    assert len(scores) > 20
    for score in scores:
        assert len(score.reasons) == len(scorer.reasoner.signals)
        total = score.start + sum(reason.points for reason in score.reasons)
        odds = score.probability / (1 - score.probability)
        assert total == pytest.approx(
            50 + 10 * (math.log2(odds) - scorer.scale.base_log_odds / math.log(2)), abs=1e-6
        )
        assert abs(total - score.score) <= 0.5 + 1e-6 or score.score in (1, 99)


def test_points_of_a_blend_are_the_weighted_points_of_its_parts(
    scorers: Any, leads: Floats
) -> None:
    scorer = scorers["blend 0.3"]
    blend, slope = scorer.estimator, POINTS * scorer.calibration.slope
    of_logistic = blend.logistic.contributions(leads)
    of_trees = blend.trees.contributions(leads)
    expected = slope * (0.3 * of_logistic + 0.7 * of_trees)
    assert np.abs(scorer.reasoner.parts(leads).of_features - expected).max() < 1e-9


def test_points_of_trees_equal_lightgbms_contributions(scorers: Any, leads: Floats) -> None:
    scorer = scorers["blend 0.0"]
    booster = lightgbm.Booster(model_str=scorer.estimator.trees.text)
    expected = np.asarray(booster.predict(leads, pred_contrib=True))
    parts = scorer.reasoner.parts(leads)
    slope = POINTS * scorer.calibration.slope
    assert np.abs(parts.of_features - slope * expected[:, :-1]).max() < 1e-7
    centre = scorer.calibration.log_odds_of(expected[:1, -1])
    assert parts.start == pytest.approx(scorer.scale.unrounded(centre)[0], abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_reasons_do_not_change_the_score(scorers: Any, trained: Any, kind: str) -> None:
    scorer = scorers[kind]
    leads, as_of = trained.golden_leads, trained.golden_as_of
    expected = [score.probability for score in scorer.score_leads(leads, as_of)]
    for n_reasons in (1, 3, 10**6):
        scores = scorer.score_leads(leads, as_of, n_reasons)
        assert [score.probability for score in scores] == expected
    alone = [scorer.score_leads([lead], as_of, 3)[0].probability for lead in leads]
    assert alone == expected


@pytest.mark.parametrize("kind", KINDS)
def test_explained_equals_margin_and_contributions(scorers: Any, kind: str) -> None:
    scorer = scorers[kind]
    features = draw(scorer.pipeline, 1_100, seed=6)
    for n in (1, 2, 40, 1_100):
        margin, contributions = scorer.estimator.explained(features[:n])
        assert margin.tobytes() == scorer.estimator.log_odds_of(features[:n]).tobytes()
        assert contributions.tobytes() == scorer.estimator.contributions(features[:n]).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_points_of_one_lead_do_not_depend_on_the_batch(scorers: Any, kind: str) -> None:
    scorer = scorers[kind]
    features = draw(scorer.pipeline, 1_000, seed=5)
    together = scorer.reasoner.parts(features)
    reversed_order = scorer.reasoner.parts(np.asfortranarray(features[::-1]))
    for row in range(0, 1_000, 7):
        alone = scorer.reasoner.parts(features[[row]])
        assert alone.of_signals.tobytes() == together.of_signals[[row]].tobytes()
        assert alone.of_features.tobytes() == together.of_features[[row]].tobytes()
        assert alone.of_signals.tobytes() == reversed_order.of_signals[[999 - row]].tobytes()
        assert alone.start == together.start


@pytest.mark.parametrize("kind", KINDS)
def test_reasons_do_not_depend_on_the_other_leads_of_a_table(
    scorers: Any, records: Records, kind: str
) -> None:
    scorer = scorers[kind]
    as_of = records.leads["created_at"].max().to_pydatetime()

    def reasons_of(table: pd.DataFrame) -> list[list[Any]]:
        scored = scorer.score_table(
            table, activities=records.activities, stages=records.stages, as_of=as_of, n_reasons=3
        )
        return scored[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist()

    table = records.leads.iloc[:300]
    reasons = reasons_of(table)
    assert reasons_of(table.iloc[::-40]) == reasons[::-40]
    assert any(all(row) for row in reasons) == (kind != "base rate")


@pytest.mark.parametrize("kind", KINDS)
def test_no_leads_have_no_reasons(scorers: Any, kind: str) -> None:
    reasoner = scorers[kind].reasoner
    no_leads = np.empty((0, len(scorers[kind].pipeline.features)))
    assert reasoner.reasons(no_leads, 3) == []
    assert reasoner.parts(no_leads).of_signals.shape == (0, len(reasoner.signals))
    assert scorers[kind].score_leads([], n_reasons=3) == []


# -- by hand ---------------------------------------------------------------------------------


FEATURES = (
    Feature("size", "leads", "size", "number", "size is {value}"),
    Feature(
        "demo.count",
        "activities",
        "type",
        "count",
        '{value} × "demo"',
        absent='no "demo" yet',
        signal="demos",
    ),
    Feature(
        "colour",
        "leads",
        "colour",
        "category",
        'colour is "{value}"',
        values=("", "a value that is rare or new", "red"),
    ),
    Feature(
        "demo.days",
        "activities",
        "type",
        "days",
        'last "demo" {value} ago',
        absent='no "demo" yet',
        signal="demos",
    ),
)
DOUBLING = math.log(2)  # the log-odds of ten points
ROW = np.array([[1.0, 3.0, 2.0, 4.0]])


@dataclass(frozen=True)
class GivenContributions:
    """An estimator with given contributions, which do not depend on the features."""

    constant: float
    rows: tuple[tuple[float, ...], ...]

    def contributions(self, features: Floats) -> Floats:
        return np.array(self.rows)


def make_reasoner(
    *contributions: tuple[float, ...],
    slope: float = 1.0,
    intercept: float = 0.0,
    base: float = 0.0,
) -> Reasoner:
    """Build a reasoner whose estimator has a constant of minus one doubling."""
    estimator = GivenContributions(-DOUBLING, contributions)
    return Reasoner(FEATURES, estimator, Calibration(slope, intercept), Scale(base))


def test_points_by_hand() -> None:
    reasoner = make_reasoner(
        (DOUBLING, 0.5 * DOUBLING, 0.0, 0.25 * DOUBLING),
        slope=2.0,
        intercept=DOUBLING,
        base=-DOUBLING,
    )
    # The calibrated constant is 2 · (−1) + 1 = −1 doubling, which equals the base.
    assert reasoner.start == pytest.approx(50)
    assert reasoner.signals == ("size", "demos", "colour")
    assert reasoner.members == [[0], [1, 3], [2]]
    parts = reasoner.parts(np.zeros((1, 4)))
    assert parts.of_features == pytest.approx(np.array([[20, 10, 0, 5]]))
    assert parts.of_signals == pytest.approx(np.array([[20, 15, 0]]))


def test_windows_of_an_activity_form_one_reason() -> None:
    reasoner = make_reasoner((0.0, 0.7 * DOUBLING, 0.0, 0.5 * DOUBLING))
    (reasons,) = reasoner.reasons(ROW, 9)
    assert [(reason.signal, round(reason.points, 9)) for reason in reasons] == [
        ("demos", 12.0),
        ("size", 0.0),
        ("colour", 0.0),
    ]
    assert str(reasons[0]) == '3 × "demo" (+12)'


@pytest.mark.parametrize(
    ("count", "days", "text"),
    [
        (0.7, 0.5, '3 × "demo"'),
        (0.5, 0.7, 'last "demo" 4 days ago'),
        (-0.7, -0.5, '3 × "demo"'),
        (-0.5, -0.7, 'last "demo" 4 days ago'),
        # The stronger feature moves the score against the signal as a whole, so the reason
        # describes the other feature.
        (-0.6, 0.7, 'last "demo" 4 days ago'),
        (0.6, -0.7, 'last "demo" 4 days ago'),
        (0.7, -0.6, '3 × "demo"'),
    ],
)
def test_reason_describes_the_strongest_feature_of_its_signal(
    count: float, days: float, text: str
) -> None:
    reasoner = make_reasoner((0.0, count * DOUBLING, 0.0, days * DOUBLING))
    (reasons,) = reasoner.reasons(ROW, 1)
    assert reasons[0].text == text
    assert reasons[0].points == pytest.approx(10 * (count + days))


def test_reasons_are_sorted_by_absolute_points() -> None:
    reasoner = make_reasoner((0.2 * DOUBLING, -0.5 * DOUBLING, 0.3 * DOUBLING, 0.1 * DOUBLING))
    (reasons,) = reasoner.reasons(ROW, 3)
    assert [reason.signal for reason in reasons] == ["demos", "colour", "size"]
    assert [str(reason) for reason in reasons] == [
        '3 × "demo" (-4)',
        'colour is "red" (+3)',
        "size is 1 (+2)",
    ]


@pytest.mark.parametrize("at_most", [0, 1, 2, 3, 4, 10**9])
def test_number_of_reasons_is_limited(at_most: int) -> None:
    reasoner = make_reasoner((0.2 * DOUBLING, -0.5 * DOUBLING, 0.3 * DOUBLING, 0.1 * DOUBLING))
    (reasons,) = reasoner.reasons(ROW, at_most)
    assert len(reasons) == min(at_most, 3)
    assert [reason.signal for reason in reasons] == ["demos", "colour", "size"][:at_most]


def test_reasons_of_zero_points_are_returned_only_with_all_reasons() -> None:
    small = 0.1 * (LEAST_POINTS - 0.01) * DOUBLING
    reasoner = make_reasoner((small, DOUBLING, -small, 0.0))
    (two_reasons,) = reasoner.reasons(ROW, 2)
    assert [reason.signal for reason in two_reasons] == ["demos"]
    (all_reasons,) = reasoner.reasons(ROW, 3)
    assert len(all_reasons) == 3


def test_reasons_describe_each_lead() -> None:
    reasoner = make_reasoner(
        (DOUBLING, 0.0, 0.0, 0.0), (0.0, -DOUBLING, 0.0, 0.0), (0.0, 0.0, DOUBLING, 0.0)
    )
    rows = np.array([[1.0, 3.0, 2.0, 4.0], [1.0, 0.0, 2.0, np.nan], [1.0, 3.0, 1.0, 4.0]])
    texts = [str(reason) for (reason,) in reasoner.reasons(rows, 1)]
    assert texts == [
        "size is 1 (+10)",
        'no "demo" yet (-10)',
        "colour is a value that is rare or new (+10)",
    ]


def test_base_rate_has_a_start_and_no_reasons() -> None:
    reasoner = Reasoner(FEATURES, BaseRate(-DOUBLING), Calibration(1.0, 0.0), Scale(0.0))
    rows = np.zeros((2, 4))
    assert reasoner.start == pytest.approx(40)
    assert reasoner.reasons(rows, 2) == [[], []]
    points = [[reason.points for reason in reasons] for reasons in reasoner.reasons(rows, 3)]
    assert points == [[0.0] * 3] * 2


@settings(max_examples=60)
@given(
    signals=st.lists(st.sampled_from("abcd"), min_size=1, max_size=9),
    n=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_points_add_up_for_any_signals_in_any_order(signals: list[str], n: int, seed: int) -> None:
    contributions = np.random.default_rng(seed).normal(size=(n, len(signals)))
    features = [
        Feature(f"f{i}", "leads", "x", "number", "x is {value}", signal=signal)
        for i, signal in enumerate(signals)
    ]
    estimator = GivenContributions(0.3, tuple(map(tuple, contributions.tolist())))
    reasoner = Reasoner(features, estimator, Calibration(1.3, -0.2), Scale(-1.0))
    parts = reasoner.parts(np.zeros(contributions.shape))
    assert reasoner.signals == tuple(dict.fromkeys(signals))
    for i, signal in enumerate(reasoner.signals):
        members = [j for j, name in enumerate(signals) if name == signal]
        assert reasoner.members[i] == members
        expected = 1.3 * POINTS * contributions[:, members].sum(axis=1)
        assert parts.of_signals[:, i] == pytest.approx(expected, abs=1e-9)
    log_odds = Calibration(1.3, -0.2).log_odds_of(0.3 + contributions.sum(axis=1))
    unrounded = Scale(-1.0).unrounded(log_odds)
    assert parts.start + parts.of_signals.sum(axis=1) == pytest.approx(unrounded, abs=1e-9)


@pytest.mark.parametrize(
    ("points", "text"), [(12.4, "(+12)"), (-3.6, "(-4)"), (0.4, "(+0)"), (-0.4, "(-0)")]
)
def test_points_are_rounded_and_signed(points: float, text: str) -> None:
    assert str(Reason("a", points, "seen")) == f"seen {text}"


# -- in words, on the simulated CRM --------------------------------------------------------------


def test_features_of_a_signal_read_the_same_table(scorers: Any) -> None:
    reasoner = scorers["blend 0.3"].reasoner
    assert len(reasoner.signals) < len(reasoner.features)
    assert sorted(sum(reasoner.members, [])) == list(range(len(reasoner.features)))
    for members in reasoner.members:
        sources = {(reasoner.features[j].table, reasoner.features[j].signal_name) for j in members}
        assert len(sources) == 1
    assert max(map(len, reasoner.members)) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_reasons_of_simulated_leads_are_the_strongest(
    scorers: Any, leads: Floats, kind: str
) -> None:
    reasons_of_leads = scorers[kind].reasoner.reasons(leads, 5)
    for reasons in reasons_of_leads:
        assert len(reasons) <= 5
        strengths = [abs(reason.points) for reason in reasons]
        assert strengths == sorted(strengths, reverse=True)
        assert all(strength >= LEAST_POINTS for strength in strengths)
    assert (sum(map(len, reasons_of_leads)) > 3_000) == (kind != "base rate")


@pytest.mark.parametrize("kind", KINDS)
def test_reason_states_the_points_and_the_value_of_its_signal(
    scorers: Any, leads: Floats, kind: str
) -> None:
    reasoner = scorers[kind].reasoner
    parts = reasoner.parts(leads)
    place = {signal: i for i, signal in enumerate(reasoner.signals)}
    for row, reasons in enumerate(reasoner.reasons(leads, 5)):
        for reason in reasons:
            members = reasoner.members[place[reason.signal]]
            assert reason.points == parts.of_signals[row, place[reason.signal]]
            in_direction = np.sign(reason.points) * parts.of_features[row, members]
            mover = members[int(in_direction.argmax())]
            assert reason.text == reasoner.features[mover].say(leads[row, mover])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_blend_of_a_single_part_has_the_points_of_that_part(
    scorers: Any, leads: Floats, weight: float
) -> None:
    scorer = scorers["blend 0.5"]
    logistic, trees = scorer.estimator.logistic, scorer.estimator.trees
    blend = Blend(1.0, logistic, None) if weight else Blend(0.0, None, trees)
    reasoner = Reasoner(scorer.pipeline.features, blend, Calibration(1.0, 0.0), Scale(-1.0))
    contributions = (logistic if weight else trees).contributions(leads)
    assert reasoner.parts(leads).of_features == pytest.approx(POINTS * contributions, abs=1e-9)
