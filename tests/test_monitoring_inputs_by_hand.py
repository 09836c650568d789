from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from crm.project import MonitorKeys
from features.feature import Feature
from models.reference import (
    FIRST_BIN,
    MISSING_BIN,
    UNSEEN_BIN,
    FeatureBins,
    FeatureCounts,
    Reference,
)
from models.scorer import LeadScorer
from monitoring.check import Verdict
from monitoring.inputs import (
    FeatureDrift,
    _check,
    _distribution,
    _kind,
    _label,
    _recent,
    _wasserstein,
    input_checks,
)
from monitoring.retired import Retired
from monitoring.sequential import ACT_DAYS, WATCH_DAYS, Detection
from monitoring.shares import ShareChange
from tests.made_monitoring import champion_of, scored_moments

SIZE = Feature("size", "leads", "size", "number", "size is {value}", absent="no size")
SOURCE = Feature(
    "source",
    "leads",
    "source",
    "category",
    'source is "{value}"',
    values=("", "rare", "Web", "Fair"),
)


def drift(
    name: str = "size",
    *,
    kind: str = "shares",
    days: float = 2.0 * ACT_DAYS,
    points: float = 0.0,
    importance: float = 0.0,
    signal: str = "",
) -> FeatureDrift:
    """Return a drift since day 7, of a value whose share rises from 10 to 40 %."""
    return FeatureDrift(
        feature=replace(SIZE, name=name, column=name, signal=signal),
        kind=kind,
        change=ShareChange(Detection(days, 7, None), MISSING_BIN, True),
        label="is missing",
        vanished="",
        share=0.4,
        earlier_share=0.1,
        missing=0.4,
        earlier_missing=0.1,
        unseen=0.0,
        earlier_unseen=0.0,
        psi=0.0,
        js=0.0,
        wasserstein=0.0,
        points=points,
        importance=importance,
    )


@pytest.mark.parametrize(("n", "verdict"), [(29, Verdict.UNKNOWN), (30, Verdict.FINE)])
def test_thirty_new_leads_are_compared(n: int, verdict: Verdict) -> None:
    champion = champion_of(scored_moments(n))
    nothing = SimpleNamespace(attributes=(), of_interactions=(), names=(), features=())
    scorer = SimpleNamespace(
        reference=Reference([""], [], {}),
        pipeline=nothing,
        reasoner=SimpleNamespace(signals=(), members=()),
        card=SimpleNamespace(importance=()),
    )
    checks = input_checks(cast("LeadScorer", scorer), champion, Retired.of(MonitorKeys()))
    assert {check.verdict for check in checks} == {verdict}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (drift(points=1.0), Verdict.ACT),
        (drift(points=-1.0), Verdict.ACT),
        (drift(points=0.9), Verdict.WATCH),
        (drift(importance=1.0), Verdict.WATCH),
        (drift(kind="filled", importance=0.01), Verdict.ACT),
        (drift(kind="values", importance=0.009), Verdict.WATCH),
        (drift(points=9.0, days=WATCH_DAYS), Verdict.WATCH),
        (drift(points=9.0, days=WATCH_DAYS - 1), Verdict.FINE),
    ],
)
def test_change_that_moves_scores_or_takes_away_what_moves_them_needs_an_act(
    found: FeatureDrift, verdict: Verdict
) -> None:
    assert found.verdict is verdict


def test_sentence_names_the_shares_and_the_points() -> None:
    begin = "Since 1970-01-08, `size` is missing for 40 % of the leads, instead of 10 %"
    assert drift(points=-3.2).sentence() == f"{begin}, which moves scores by -3 points."
    assert drift(points=0.4).sentence() == f"{begin}."


def test_lost_and_new_values_are_those_of_the_column() -> None:
    """A feature may measure how often leads with the same page are won; the page is what is new."""
    for kind, named in [("values", "`page`"), ("filled", "`page`"), ("shares", "wins by page")]:
        found = drift("page", kind=kind)
        found = replace(found, feature=replace(found.feature, measure="wins by page"))
        assert found.sentence().startswith(f"Since 1970-01-08, {named} is missing for 40 %")


def test_changes_are_listed_by_verdict_importance_and_points() -> None:
    drifts = [
        drift("fine", days=1.0, importance=1.0),
        drift("watched", points=0.5, importance=0.9),
        drift("few", points=1.5, importance=0.1),
        drift("many", points=-2.5, importance=0.1),
        drift("important", points=1.0, importance=0.2),
    ]
    check = _check("LM303", drifts, "All fine.", "Do something.")
    names = [row["feature"] for row in check.rows]
    assert names == ["important", "many", "few", "watched"]
    assert (check.verdict, check.next_step) == (Verdict.ACT, "Do something.")
    assert check.figures["changed"] == 4
    positions = [check.evidence.index(f"`{name}`") for name in names]
    assert positions == sorted(positions)


def test_five_changes_are_described_one_of_each_signal() -> None:
    drifts = [drift(f"f{i}", points=9.0 - i) for i in range(6)]
    again = drift("again", points=8.5, signal="f0")
    check = _check("LM303", [*drifts, again], "All fine.", "Do something.")
    assert check.evidence.count("Since") == 5
    assert check.evidence.endswith(" 1 more signals changed.")
    assert "`again`" not in check.evidence
    assert check.figures["changed"] == 6
    five = _check("LM303", drifts[:5], "All fine.", "Do something.")
    assert "more signals" not in five.evidence


def test_without_changes_the_clearest_ones_are_listed() -> None:
    drifts = [drift(f"f{i}", days=1.0) for i in range(6)]
    check = _check("LM303", drifts, "All fine.", "Do something.")
    assert (check.verdict, check.evidence, check.next_step) == (Verdict.FINE, "All fine.", "")
    assert [row["feature"] for row in check.rows] == ["f0", "f1", "f2", "f3", "f4"]
    assert check.figures["changed"] == 0
    assert _check("LM303", [], "All fine.", "").figures["days"] == 0.0


def test_recent_moments_are_those_of_a_month_or_all() -> None:
    """The last 30 days have at least 100 moments, or older ones count too."""
    many = np.repeat([0, 69, 70, 100], [50, 50, 50, 50])
    assert _recent(many, None).tolist() == [False] * 100 + [True] * 100
    few = np.repeat([0, 69, 70, 100], [50, 50, 50, 49])
    assert _recent(few, None).all()
    assert _recent(few, 70).sum() == 99


def test_distributions_have_no_zero() -> None:
    now, before = _distribution(
        np.array([0, 0, 3]), np.array([1.0, 1.0, 0.5]), np.array([8.0, 0, 0, 0])
    )
    # Each of four bins counts an eighth more.
    assert now.tolist() == pytest.approx([2.125 / 3, 0.125 / 3, 0.125 / 3, 0.625 / 3])
    assert before.tolist() == pytest.approx([8.125 / 8.5, *[0.125 / 8.5] * 3])


WEB_AND_FAIR = FeatureCounts(FeatureBins("source", [], [2.0, 3.0], 0.0, 1.0), [[0] * 5])
NUMBERS = FeatureCounts(FeatureBins("size", [10.0, 20.0], []), [[0] * 5])


@pytest.mark.parametrize(
    ("counted", "place", "rises", "share", "kind"),
    [
        (WEB_AND_FAIR, MISSING_BIN, False, 0.1, "filled"),
        (WEB_AND_FAIR, UNSEEN_BIN, True, 0.1, "values"),
        (WEB_AND_FAIR, FIRST_BIN + 1, False, 0.079, "values"),
        (WEB_AND_FAIR, FIRST_BIN + 1, False, 0.081, "shares"),
        (WEB_AND_FAIR, FIRST_BIN + 1, True, 0.079, "shares"),
        (WEB_AND_FAIR, FIRST_BIN + 2, False, 0.0, "shares"),  # all other values together
        (NUMBERS, FIRST_BIN, False, 0.0, "shares"),
    ],
)
def test_value_has_vanished_below_a_fifth_of_its_share(
    counted: FeatureCounts, place: int, rises: bool, share: float, kind: str
) -> None:
    change = ShareChange(Detection(0.0, None, None), place, rises)
    now, before = np.full(5, share), np.full(5, 0.4)
    assert _kind(change, now, before, counted) == kind


def test_bins_in_words() -> None:
    of_source = [_label(SOURCE, WEB_AND_FAIR, place) for place in range(5)]
    assert of_source == [
        "is missing", "is rare or unseen", 'is "Web"', 'is "Fair"', "has another value",
    ]  # fmt: skip
    of_size = [_label(SIZE, NUMBERS, place) for place in range(2, 5)]
    assert of_size == ["is at most 10", "is between 10 and 20", "is above 20"]
    nothing = FeatureCounts(FeatureBins("size", [], []), [[0] * 3])
    assert _label(SIZE, nothing, FIRST_BIN) == "has a value"


def test_distance_of_numbers_leaves_out_missing_values() -> None:
    # Of the leads with a value, a quarter moves from the first of two even bins to the last, by
    # half of the ranks.
    now, before = np.array([0.6, 0.0, 0.1, 0.3]), np.array([0.2, 0.0, 0.4, 0.4])
    counted = FeatureCounts(FeatureBins("size", [10.0], []), [[0] * 4])
    assert _wasserstein(now, before, counted) == pytest.approx(0.25 * 0.5)
    assert _wasserstein(np.full(5, 0.2), np.full(5, 0.2), WEB_AND_FAIR) == 0.0
