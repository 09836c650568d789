"""What a new version would change for the leads that are open now."""

import datetime
from dataclasses import replace

import numpy as np
import pytest

from crm.project import load_project
from crm.reading import read_records
from models.scale import Scale
from training.changes import MOST, find_changes

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def records(simulated_crm):
    return read_records(load_project(simulated_crm))


def test_same_version_changes_nothing(trained, records) -> None:
    found = find_changes(trained.scorer, trained.scorer, records, NOW)
    ended = records.leads["lead_id"].isin(records.outcomes["lead_id"])
    assert found.n == int((~ended).sum()) > 100
    assert (found.n_changed, found.moves, found.largest) == (0, [], [])


def test_changes_are_counted_and_the_largest_explained(trained, records) -> None:
    scorer = trained.scorer
    # Everybody gains ten points: where every lead starts is the only thing that differs.
    moved = replace(scorer, scale=Scale(scorer.scale.base_log_odds - np.log(2)))
    found = find_changes(scorer, moved, records, NOW)
    assert sum(row["n"] for row in found.moves) == found.n_changed > 0
    assert all(row["after"] < row["before"] for row in found.moves)  # A is better than B
    assert [row["n"] for row in found.moves] == sorted((r["n"] for r in found.moves), reverse=True)
    assert 0 < len(found.largest) <= MOST
    for row in found.largest:
        assert row["score_after"] - row["score_before"] in (9, 10, 11)
        (why,) = row["why"]
        assert why.startswith("where every lead starts: ")
    before, after = (
        int(part.split(" ")[0])
        for part in why.removeprefix("where every lead starts: ").split(", ")
    )
    assert after - before == pytest.approx(10, abs=1)


def test_leads_that_change_grade_are_sorted_by_change(trained, records) -> None:
    scorer = trained.scorer
    steeper = replace(scorer, calibration=replace(scorer.calibration, slope=1.9))
    found = find_changes(scorer, steeper, records, NOW)
    distances = [abs(row["score_after"] - row["score_before"]) for row in found.largest]
    assert all(row["before"] != row["after"] for row in found.largest)
    assert all(one >= other - 1 for one, other in zip(distances, distances[1:], strict=False))
    assert all(len(row["why"]) <= 2 for row in found.largest)


def test_small_change_has_a_reason(trained, records) -> None:
    scorer = trained.scorer
    moved = replace(scorer, scale=Scale(scorer.scale.base_log_odds - 0.05 * np.log(2)))
    found = find_changes(scorer, moved, records, NOW)
    assert found.largest
    for row in found.largest:  # half a point
        (why,) = row["why"]
        assert why.startswith("where every lead starts: ")
        before, after = (float(part.split(" ")[0]) for part in why.partition(": ")[2].split(", "))
        assert after - before == pytest.approx(0.5, abs=0.011)


def test_moved_grade_thresholds_are_the_reason(trained, records) -> None:
    scorer = trained.scorer
    stricter = (("A", 66), ("B", 51), ("C", 36))
    found = find_changes(
        scorer, replace(scorer, scale=replace(scorer.scale, grades=stricter)), records, NOW
    )
    assert found.largest
    assert {why for row in found.largest for why in row["why"]} == {
        "every signal gives the same points: grades begin at other scores"
    }


def test_missing_column_is_warned_of(trained, records) -> None:
    scorer = trained.scorer
    assert find_changes(scorer, scorer, records, NOW).warnings == []
    gone = replace(records, leads=records.leads.drop(columns="budget_eur"), stages=None)
    one, other = find_changes(scorer, scorer, gone, NOW).warnings
    assert one.startswith("The champion learned from `budget_eur`, the table stages, which today's")
    assert other.startswith("The other version learned from `budget_eur`")


def test_different_questions_are_warned_of(trained, records) -> None:
    scorer = trained.scorer
    label = dict(scorer.card.question) | {"horizon_days": 14.0}
    other = replace(scorer, card=replace(scorer.card, question=label))
    (said,) = find_changes(scorer, other, records, NOW).warnings
    assert "The champion answers won within 90 days, the other version won within 14 days" in said


def test_no_open_leads_have_no_changes(trained, records) -> None:
    ended = records.leads["lead_id"].isin(records.outcomes["lead_id"])
    closed = replace(records, leads=records.leads[ended].reset_index(drop=True))
    found = find_changes(trained.scorer, trained.scorer, closed, NOW)
    assert found.to_json() == {"n": 0, "n_changed": 0, "moves": [], "largest": [], "warnings": []}
