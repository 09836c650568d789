"""Tables and summaries of models in the terminal."""

import datetime
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console, RenderableType

from commands.terminal.models import (
    changes_table,
    comparison_table,
    gates_table,
    history_table,
    versions_table,
)
from crm.times import DAY, NOT_A_TIME
from features.moments import Moments
from models.registry.history import Event, Gate
from models.registry.registry import Version
from tests.made_comparisons import one_cut_off
from training.changes import Changes, GradeMove, LeadChange
from training.comparison.comparison import Comparison, Difference, SharedMoments

AT = datetime.datetime(2026, 3, 1, 12, 5, 30, tzinfo=datetime.UTC)
EVENT = Event(
    what="promoted",
    version="2",
    previous="1",
    who="ann",
    because="newer [b]",
    at=AT,
    failed=(),
    forced=False,
    said="",
    run_id="r",
)
REFUSED = replace(EVENT, what="refused", failed=("LG101 log loss",), said="Did not pass.")


def shown(page: RenderableType, width: int = 200) -> str:
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(page)
    return text.getvalue()


# -- comparisons ---------------------------------------------------------------------------


def shared_moments(n_leads: int, won: int) -> SharedMoments:
    """Return two moments for each lead."""
    lead = np.repeat(np.arange(n_leads), 2)
    label = (lead < won).astype(np.int8)
    at = np.zeros(len(lead), dtype=np.int64)
    moments = Moments(lead, at, label, at, np.ones(len(lead)), {})
    return one_cut_off(moments, np.zeros(len(lead)), np.zeros(len(lead)))


def comparison(metric: str, low: float, high: float, *warnings: str) -> str:
    difference = Difference(metric, challenger=0.5, champion=0.4, low=low, high=high)
    shared = shared_moments(n_leads=600, won=150)
    return shown(comparison_table(Comparison("3", "1", shared, {metric: difference}, warnings)))


@pytest.mark.parametrize(
    ("metric", "low", "high", "verdict"),
    [
        ("log_loss", 0.05, 0.15, "1 is better"),
        ("log_loss", -0.15, -0.05, "3 is better"),
        ("pr_auc", 0.05, 0.15, "3 is better"),
        ("pr_auc", -0.15, -0.05, "1 is better"),
        ("pr_auc", -0.05, 0.15, "even"),
        ("log_loss", 0.0, 0.15, "even"),
    ],
)
def test_comparison_names_the_better_version(
    metric: str, low: float, high: float, verdict: str
) -> None:
    assert verdict in comparison(metric, low, high)


def test_difference_that_is_only_rounding_is_even() -> None:
    difference = Difference("log_loss", 0.4 - 2e-9, 0.4, low=-3e-9, high=-1e-9)
    shared = shared_moments(n_leads=600, won=150)
    page = shown(comparison_table(Comparison("3", "1", shared, {"log_loss": difference}, ())))
    assert re.search(r"\+0\.0000 +\+0\.0000 to \+0\.0000 +even", page), page
    assert "is better" not in page


def test_comparison_that_is_not_fair_has_no_better_version() -> None:
    page = comparison("log_loss", 0.05, 0.15, "Version 1 [x] predicts something else.")
    assert "warning: Version 1 [x] predicts something else." in page
    assert "is better" not in page


def test_comparison_that_is_impossible_shows_the_reason() -> None:
    nothing = shared_moments(n_leads=0, won=0)
    page = shown(comparison_table(Comparison("3", "1", nothing, {}, ("They have no id.",))))
    assert "warning: They have no id." in page
    assert "Versions 3 and 1 cannot be compared." in page


def test_comparison_shows_the_moments_and_the_interval() -> None:
    page = comparison("pr_auc", 0.05, 0.15)
    assert (
        "On moments of 600 leads that neither version has learned from; 25.0\u00a0% (300 of 1,200) "
        "of the moments were won:"
    ) in page
    assert "+0.0500 to +0.1500" in page


def test_comparison_shows_each_cut_off() -> None:
    shared = shared_moments(n_leads=600, won=0)
    number = np.repeat([0, 1], 600)
    label = (np.arange(1_200) % 4 == 0).astype(np.int8)
    moments = replace(shared.moments, label=label, as_of=number * 40 * DAY)
    shared = replace(shared, moments=moments, cut_off=number, champion=shared.champion - 1)
    difference = Difference("log_loss", challenger=0.5, champion=0.4, low=0.05, high=0.15)
    page = shown(comparison_table(Comparison("3", "1", shared, {"log_loss": difference}, ())))
    assert "has learned from, as the mean over 2 cut-offs; 25.0" in page
    rows = [line.split() for line in page.splitlines() if line.startswith(("1970", " 1970"))]
    figures = ["300", "25.0", "%", "0.6931", "0.5633", "0.5000", "0.5000"]
    assert rows == [
        ["1970-01-01", "to", "1970-01-01", *figures],
        ["1970-02-10", "to", "1970-02-10", *figures],
    ]
    both = comparison_table(Comparison("30", "10", shared, {"log_loss": difference}, ()))
    narrow = shown(both, width=80)
    assert "Versions 30 and 10 at each cut-off:" in narrow
    assert "…" not in narrow
    assert [line.split() for line in narrow.splitlines() if line.startswith("1970")] == rows
    timeless = replace(moments, as_of=np.full(1_200, NOT_A_TIME))
    shared = replace(shared, moments=timeless)
    page = shown(comparison_table(Comparison("3", "1", shared, {"log_loss": difference}, ())))
    rows = [line.split() for line in page.splitlines() if "cut-off " in line]
    assert rows == [["cut-off", "1", *figures], ["cut-off", "2", *figures]]


def test_comparison_with_too_few_outcomes_says_what_to_do() -> None:
    few = shared_moments(n_leads=6, won=2)
    page = shown(comparison_table(Comparison("3", "1", few, {}, ())))
    assert "Too few outcomes to compare: 12 moments of 6 leads are new to versions 3 and 1" in page
    assert "with 2 leads of the rarer outcome; at least 10 are needed" in page
    assert "Wait for more outcomes" in page


# -- history, gates, versions --------------------------------------------------------------


def test_history_shows_time_and_reason() -> None:
    page = shown(history_table([EVENT]))
    assert "newer [b]" in page
    assert "2026-03-01 12:05" in page


def test_history_names_failed_gates_once() -> None:
    page = shown(history_table([REFUSED]))
    assert "LG101" in page
    assert "Did not pass" not in page


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (replace(EVENT, what="refused", said="Bob was first."), "Bob was first."),
        (replace(EVENT, what="forced", said="The scale moved."), "The scale moved."),
        (replace(REFUSED, forced=True), "refused, though forced"),
        (replace(REFUSED, forced=True, said="Bob was first."), "Bob was first."),
    ],
)
def test_history_shows_what_else_happened(event: Event, text: str) -> None:
    assert text in shown(history_table([event]))


def test_gates_table_escapes_evidence() -> None:
    gate = Gate(number="LG105", name="segments", passed=False, evidence="x = '[red]'")
    assert "x = '[red]'" in shown(gates_table([gate]))


def test_empty_lists_are_named() -> None:
    assert "There is no version yet" in shown(versions_table([]))
    assert "The history is empty" in shown(history_table([]))


def test_versions_table_shows_alias_metrics_and_short_digest() -> None:
    version = Version(
        version="1",
        aliases=("champion",),
        registered_at=AT,
        digest="0123456789abcdef",
        run_id="r",
        metrics={"test.log_loss": 0.3},
    )
    page = shown(versions_table([version]))
    assert "champion" in page
    assert "0.3000" in page
    assert re.search(r"0123456789ab\b", page)


# -- changes -------------------------------------------------------------------------------


def test_changes_table_shows_moves_and_reasons() -> None:
    lead = LeadChange("L[7]", "B", "A", 60, 71, ["visits: +2 before, +13 now"])
    changes = Changes(100, 3, [GradeMove("B", "A", 3)], [lead], ["The champion [x] lacks it."])
    page = shown(changes_table(changes))
    assert "warning: The champion [x] lacks it." in page
    assert "3 of 100 open leads change grade (B to A: 3)." in page
    assert "L[7]" in page
    assert "B → A" in page
    assert "60 → 71" in page
    assert "visits: +2 before, +13 now" in page


def test_changes_table_without_changes_is_one_sentence() -> None:
    assert "0 of 100 open leads change grade." in shown(changes_table(Changes(100, 0, [], [], [])))
    assert "There are no open leads" in shown(changes_table(Changes(0, 0, [], [], [])))
