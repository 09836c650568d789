"""Reasons: points that add up to the score, to the last bit the same in any company, and words."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.project import load_project
from crm.reading import read_records
from features.feature import Feature
from models.calibration import Calibration
from models.estimator.blend import BaseRate, Blend
from models.reasons import LEAST_POINTS, Reason, Reasoner
from models.scale import POINTS, Scale

KINDS = ("base rate", "blend 0.0", "blend 0.3", "blend 0.5", "blend 1.0")


@pytest.fixture(scope="module")
def simulated(simulated_crm: Path, trained: Any) -> Any:
    """Every moment of the simulated leads, as the matrix has them, and when."""
    records = read_records(load_project(simulated_crm))
    return records, trained.moments


@pytest.fixture(scope="module")
def leads(simulated: Any, scorers: Any) -> Any:
    records, moments = simulated
    return scorers["blend 0.3"].pipeline.transform(records, moments.lead, moments.as_of)


def draw(pipeline: Any, n: int, seed: int = 0) -> np.ndarray:
    """Give leads that no CRM ever held: any number, any code, anything missing."""
    generator = np.random.default_rng(seed)
    columns = []
    for each in pipeline.features:
        if each.unit in ("category", "weekday", "yes/no"):
            column = generator.integers(0, 14, n).astype(np.float64)
        else:
            column = generator.normal(size=n) * 10.0 ** generator.integers(-3, 9, n)
            column[generator.random(n) < 0.01] = 1e300
        column[generator.random(n) < 0.2] = np.nan
        columns.append(column)
    return np.column_stack(columns)


# -- points add up -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_points_add_up_to_the_score_for_thousands_of_leads(
    scorers: Any, leads: Any, kind: str
) -> None:
    scorer = scorers[kind]
    for features in (leads, draw(scorer.pipeline, 4_000)):
        parts = scorer.reasoner.parts(features)
        assert parts.of_signals.shape == (len(features), len(scorer.reasoner.signals))
        unrounded = scorer.scale.unrounded(scorer.log_odds_of(features))
        total = parts.start + parts.of_signals.sum(axis=1)
        assert np.abs(total - unrounded).max() < 1e-9
        assert np.abs(parts.start + parts.of_features.sum(axis=1) - unrounded).max() < 1e-9
        held = np.clip(np.rint(unrounded), 1, 99)
        assert held.tolist() == scorer.scale.score(scorer.probability(features)).tolist()
        if kind != "base rate":
            assert len(np.unique(held)) > 40


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


def test_points_of_a_blend_are_the_weighted_points_of_its_parts(scorers: Any, leads: Any) -> None:
    scorer = scorers["blend 0.3"]
    blend, slope = scorer.estimator, POINTS * scorer.calibration.slope
    linear, grown = blend.logistic.contributions(leads), blend.trees.contributions(leads)
    expected = slope * (0.3 * linear + 0.7 * grown)
    assert np.abs(scorer.reasoner.parts(leads).of_features - expected).max() < 1e-9


def test_points_of_trees_equal_lightgbms_contributions(scorers: Any, leads: Any) -> None:
    scorer = scorers["blend 0.0"]
    booster = lightgbm.Booster(model_str=scorer.estimator.trees.text)
    expected = booster.predict(leads, pred_contrib=True)
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
        told = scorer.score_leads(leads, as_of, n_reasons)
        assert [score.probability for score in told] == expected
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
    turned = scorer.reasoner.parts(np.asfortranarray(features[::-1]))
    for row in range(0, 1_000, 7):
        alone = scorer.reasoner.parts(features[[row]])
        assert alone.of_signals.tobytes() == together.of_signals[[row]].tobytes()
        assert alone.of_features.tobytes() == together.of_features[[row]].tobytes()
        assert alone.of_signals.tobytes() == turned.of_signals[[999 - row]].tobytes()
        assert alone.start == together.start


@pytest.mark.parametrize("kind", KINDS)
def test_reasons_are_equal_alone_in_a_batch_and_in_a_table(
    scorers: Any, simulated_crm: Path, simulated: Any, kind: str
) -> None:
    scorer = scorers[kind]
    records, _ = simulated
    table = records.leads.iloc[:300]
    as_of = records.leads["created_at"].max().to_pydatetime()
    scored = scorer.score_table(
        table, activities=records.activities, stages=records.stages, as_of=as_of, n_reasons=3
    )
    said = scored[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist()
    some = scorer.score_table(
        table.iloc[::-40],
        activities=records.activities,
        stages=records.stages,
        as_of=as_of,
        n_reasons=3,
    )
    assert some[["reason_1", "reason_2", "reason_3"]].to_numpy().tolist() == said[::-40]
    assert any(all(row) for row in said) == (kind != "base rate")


def test_no_leads_have_no_reasons(scorers: Any) -> None:
    for kind in KINDS:
        reasoner = scorers[kind].reasoner
        none = np.empty((0, len(scorers[kind].pipeline.features)))
        assert reasoner.reasons(none, 3) == []
        assert reasoner.parts(none).of_signals.shape == (0, len(reasoner.signals))
        assert scorers[kind].score_leads([], n_reasons=3) == []


# -- by hand ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """An estimator whose contributions are told."""

    constant: float
    given: tuple[tuple[float, ...], ...]

    def log_odds_of(self, features: Any) -> Any:
        return self.constant + np.array(self.given).sum(axis=1)

    def contributions(self, features: Any) -> Any:
        return np.array(self.given)


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
DOUBLING = math.log(2)  # in log-odds: ten points


def reasoner(
    *given: Any, slope: float = 1.0, intercept: float = 0.0, base: float = 0.0
) -> Reasoner:
    told = Told(-DOUBLING, tuple(given))
    return Reasoner(FEATURES, told, Calibration(slope, intercept), Scale(base))


def test_points_by_hand() -> None:
    result = reasoner(
        (DOUBLING, 0.5 * DOUBLING, 0.0, 0.25 * DOUBLING),
        slope=2.0,
        intercept=DOUBLING,
        base=-DOUBLING,
    )
    # The constant: 2 · (−1) + 1 = −1 doubling, which is the base.
    assert result.start == pytest.approx(50)
    assert result.signals == ("size", "demos", "colour")
    assert result.members == [[0], [1, 3], [2]]
    parts = result.parts(np.zeros((1, 4)))
    assert parts.of_features == pytest.approx(np.array([[20, 10, 0, 5]]))
    assert parts.of_signals == pytest.approx(np.array([[20, 15, 0]]))


def test_windows_of_an_activity_form_one_reason() -> None:
    given = (0.0, 0.7 * DOUBLING, 0.0, 0.5 * DOUBLING)
    (reasons,) = reasoner(given).reasons(np.array([[1.0, 3.0, 2.0, 4.0]]), 9)
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
        # The larger part speaks against the signal's own direction, so the other one speaks.
        (-0.6, 0.7, 'last "demo" 4 days ago'),
        (0.6, -0.7, 'last "demo" 4 days ago'),
        (0.7, -0.6, '3 × "demo"'),
    ],
)
def test_reason_describes_the_strongest_feature_of_its_signal(
    count: float, days: float, text: str
) -> None:
    given = (0.0, count * DOUBLING, 0.0, days * DOUBLING)
    (reasons,) = reasoner(given).reasons(np.array([[1.0, 3.0, 2.0, 4.0]]), 1)
    assert reasons[0].text == text
    assert reasons[0].points == pytest.approx(10 * (count + days))


def test_reasons_are_sorted_by_absolute_points() -> None:
    given = (0.2 * DOUBLING, -0.5 * DOUBLING, 0.3 * DOUBLING, 0.1 * DOUBLING)
    row = np.array([[1.0, 3.0, 2.0, 4.0]])
    (reasons,) = reasoner(given).reasons(row, 3)
    assert [reason.signal for reason in reasons] == ["demos", "colour", "size"]
    assert [str(reason) for reason in reasons] == [
        '3 × "demo" (-4)',
        'colour is "red" (+3)',
        "size is 1 (+2)",
    ]


@pytest.mark.parametrize("at_most", [0, 1, 2, 3, 4, 10**9])
def test_number_of_reasons_is_limited(at_most: int) -> None:
    given = (0.2 * DOUBLING, -0.5 * DOUBLING, 0.3 * DOUBLING, 0.1 * DOUBLING)
    (reasons,) = reasoner(given).reasons(np.array([[1.0, 3.0, 2.0, 4.0]]), at_most)
    assert len(reasons) == min(at_most, 3)
    assert [r.signal for r in reasons] == ["demos", "colour", "size"][:at_most]


def test_reasons_of_zero_points_need_a_request_for_all() -> None:
    small = 0.1 * (LEAST_POINTS - 0.01) * DOUBLING
    given = (small, DOUBLING, -small, 0.0)
    row = np.array([[1.0, 3.0, 2.0, 4.0]])
    assert [r.signal for r in reasoner(given).reasons(row, 2)[0]] == ["demos"]
    assert len(reasoner(given).reasons(row, 3)[0]) == 3


def test_reasons_describe_each_lead() -> None:
    given = ((DOUBLING, 0.0, 0.0, 0.0), (0.0, -DOUBLING, 0.0, 0.0), (0.0, 0.0, DOUBLING, 0.0))
    rows = np.array([[1.0, 3.0, 2.0, 4.0], [1.0, 0.0, 2.0, np.nan], [1.0, 3.0, 1.0, 4.0]])
    said = [str(reason) for (reason,) in reasoner(*given).reasons(rows, 1)]
    assert said == [
        "size is 1 (+10)",
        'no "demo" yet (-10)',
        'colour is "a value that is rare or new" (+10)',
    ]


def test_base_rate_has_a_start_and_no_reasons() -> None:
    result = Reasoner(FEATURES, BaseRate(-DOUBLING), Calibration(1.0, 0.0), Scale(0.0))
    rows = np.zeros((2, 4))
    assert result.start == pytest.approx(40)
    assert result.reasons(rows, 2) == [[], []]
    assert [[reason.points for reason in of] for of in result.reasons(rows, 3)] == [[0.0] * 3] * 2


@settings(max_examples=60)
@given(
    signals=st.lists(st.sampled_from("abcd"), min_size=1, max_size=9),
    n=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_points_add_up_for_any_signals_in_any_order(signals: Any, n: int, seed: int) -> None:
    given = np.random.default_rng(seed).normal(size=(n, len(signals)))
    features = [
        Feature(f"f{i}", "leads", "x", "number", "x is {value}", signal=signal)
        for i, signal in enumerate(signals)
    ]
    told = Told(0.3, tuple(map(tuple, given.tolist())))
    result = Reasoner(features, told, Calibration(1.3, -0.2), Scale(-1.0))
    parts = result.parts(np.zeros(given.shape))
    assert result.signals == tuple(dict.fromkeys(signals))
    for i, signal in enumerate(result.signals):
        mine = [j for j, each in enumerate(signals) if each == signal]
        assert result.members[i] == mine
        expected = 1.3 * POINTS * given[:, mine].sum(axis=1)
        assert parts.of_signals[:, i] == pytest.approx(expected, abs=1e-9)
    unrounded = Scale(-1.0).unrounded(Calibration(1.3, -0.2).log_odds_of(told.log_odds_of(given)))
    assert parts.start + parts.of_signals.sum(axis=1) == pytest.approx(unrounded, abs=1e-9)


@pytest.mark.parametrize(
    ("points", "shown"), [(12.4, "(+12)"), (-3.6, "(-4)"), (0.4, "(+0)"), (-0.4, "(-0)")]
)
def test_points_are_rounded_and_signed(points: float, shown: str) -> None:
    assert str(Reason("a", points, "seen")) == f"seen {shown}"


# -- in words, on the simulated CRM --------------------------------------------------------------


def test_windows_of_an_activity_are_one_signal(scorers: Any) -> None:
    reasoner = scorers["blend 0.3"].reasoner
    assert len(reasoner.signals) < len(reasoner.features)
    assert sorted(sum(reasoner.members, [])) == list(range(len(reasoner.features)))
    for members in reasoner.members:
        sources = {(reasoner.features[j].table, reasoner.features[j].signal_name) for j in members}
        assert len(sources) == 1
    assert max(map(len, reasoner.members)) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_reason_states_the_value_of_the_lead(scorers: Any, leads: Any, kind: str) -> None:
    reasoner = scorers[kind].reasoner
    parts = reasoner.parts(leads)
    place = {signal: i for i, signal in enumerate(reasoner.signals)}
    n = 0
    for row, reasons in enumerate(reasoner.reasons(leads, 5)):
        assert len(reasons) <= 5
        strengths = [abs(reason.points) for reason in reasons]
        assert strengths == sorted(strengths, reverse=True)
        assert all(strength >= LEAST_POINTS for strength in strengths)
        for reason in reasons:
            members = reasoner.members[place[reason.signal]]
            assert reason.points == parts.of_signals[row, place[reason.signal]]
            toward = np.sign(reason.points) * parts.of_features[row, members]
            mover = members[int(toward.argmax())]
            assert reason.text == reasoner.features[mover].say(leads[row, mover])
            n += 1
    assert (n > 3_000) == (kind != "base rate")


def test_blend_of_weight_one_has_the_reasons_of_that_part(scorers: Any, leads: Any) -> None:
    blend = scorers["blend 0.5"].estimator
    features, scale = scorers["blend 0.5"].pipeline.features, Scale(-1.0)
    as_it_is = Calibration(1.0, 0.0)
    for alone in (Blend(1.0, blend.logistic, None), Blend(0.0, None, blend.trees)):
        half = blend.logistic if alone.logistic else blend.trees
        mine = Reasoner(features, alone, as_it_is, scale).parts(leads)
        assert mine.of_features == pytest.approx(POINTS * half.contributions(leads), abs=1e-9)
