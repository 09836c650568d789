"""Changes that a new version would make for the leads that are open now."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crm.project import load_project
from crm.reading import read_records
from crm.records import Records
from features.fitting import fit_pipeline
from features.interactions import Interactions
from features.times import cell_time
from models.estimator.blend import BaseRate
from models.scale import Scale
from training.changes import MOST, Changes, _OpenLeads, find_changes
from training.train import Trained

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
START = "the points that every lead starts with: "


@pytest.fixture(scope="module")
def records(simulated_crm: Path) -> Records:
    return read_records(load_project(simulated_crm))


def moved(trained: Trained, records: Records, points: float) -> Changes:
    """Return the changes if the start of every lead gives more points."""
    scorer = trained.scorer
    scale = Scale(scorer.scale.base_log_odds - points / 10 * np.log(2))
    return find_changes(scorer, replace(scorer, scale=scale), records, NOW)


def points_of_start(why: str) -> tuple[float, float]:
    """Return the points before and now from a sentence on the start."""
    before, now = (float(part.split(" ")[0]) for part in why.removeprefix(START).split(", "))
    return before, now


def test_changes_between_equal_versions_are_none(trained: Trained, records: Records) -> None:
    changes = find_changes(trained.scorer, trained.scorer, records, NOW)
    ended = records.leads["lead_id"].isin(records.outcomes["lead_id"])
    assert changes.n == int((~ended).sum()) > 100
    assert (changes.n_changed, changes.moves, changes.largest) == (0, [], [])


def test_changes_count_the_moves_between_grades(trained: Trained, records: Records) -> None:
    changes = moved(trained, records, points=10)
    assert sum(move.n for move in changes.moves) == changes.n_changed > 0
    assert all(move.after < move.before for move in changes.moves)  # A is better than B
    counts = [move.n for move in changes.moves]
    assert counts == sorted(counts, reverse=True)


def test_changes_explain_the_largest(trained: Trained, records: Records) -> None:
    changes = moved(trained, records, points=10)
    assert 0 < len(changes.largest) <= MOST
    for lead in changes.largest:
        assert lead.score_after - lead.score_before in (9, 10, 11)
        (why,) = lead.why
        assert why.startswith(START)
        before, now = points_of_start(why)
        assert now - before == pytest.approx(10, abs=1)


def test_changes_list_only_leads_that_change_grade_the_largest_first(
    trained: Trained, records: Records
) -> None:
    scorer = trained.scorer
    steeper = replace(scorer, calibration=replace(scorer.calibration, slope=1.9))
    changes = find_changes(scorer, steeper, records, NOW)
    distances = [abs(lead.score_after - lead.score_before) for lead in changes.largest]
    assert all(lead.before != lead.after for lead in changes.largest)
    pairs = zip(distances, distances[1:], strict=False)
    assert all(larger >= smaller - 1 for larger, smaller in pairs)  # scores are rounded
    assert all(len(lead.why) <= 2 for lead in changes.largest)


def test_changes_explain_half_a_point(trained: Trained, records: Records) -> None:
    changes = moved(trained, records, points=0.5)
    assert changes.largest
    for lead in changes.largest:
        (why,) = lead.why
        assert why.startswith(START)
        before, now = points_of_start(why)
        assert now - before == pytest.approx(0.5, abs=0.011)


def test_changes_by_other_grades_are_explained_by_the_grades(
    trained: Trained, records: Records
) -> None:
    scorer = trained.scorer
    stricter = (("A", 66), ("B", 51), ("C", 36))
    challenger = replace(scorer, scale=replace(scorer.scale, grades=stricter))
    changes = find_changes(scorer, challenger, records, NOW)
    assert changes.largest
    assert {why for lead in changes.largest for why in lead.why} == {
        "all signals give the same points, but the grades start at other scores"
    }


def test_changes_warn_of_missing_inputs(trained: Trained, records: Records) -> None:
    scorer = trained.scorer
    assert find_changes(scorer, scorer, records, NOW).warnings == []
    incomplete = replace(records, leads=records.leads.drop(columns="budget_eur"), stages=None)
    champion, challenger = find_changes(scorer, scorer, incomplete, NOW).warnings
    assert champion.startswith("The champion learned from `budget_eur`, the table stages, which")
    assert challenger.startswith("The challenger learned from `budget_eur`")


def test_changes_warn_of_different_predictions(trained: Trained, records: Records) -> None:
    scorer = trained.scorer
    question = dict(scorer.card.question) | {"horizon_days": 14.0}
    challenger = replace(scorer, card=replace(scorer.card, question=question))
    (warning,) = find_changes(scorer, challenger, records, NOW).warnings
    expected = "The champion predicts won within 90 days, the challenger won within 14 days"
    assert warning.startswith(expected)


def test_changes_without_open_leads_are_none(trained: Trained, records: Records) -> None:
    ended = records.leads["lead_id"].isin(records.outcomes["lead_id"])
    closed = replace(records, leads=records.leads[ended].reset_index(drop=True))
    changes = find_changes(trained.scorer, trained.scorer, closed, NOW)
    assert changes.to_json() == {
        "n": 0,
        "n_changed": 0,
        "moves": [],
        "largest": [],
        "warnings": [],
    }


def test_reasons_of_changes_name_the_values_of_pairs(
    trained: Trained, records: Records, simulated_crm: Path
) -> None:
    project = load_project(simulated_crm)
    pair = Interactions(pairs=(("industry", "region"),))
    pipeline = fit_pipeline(records, trained.moments, project, None, pair)
    scorer = replace(trained.scorer, pipeline=pipeline, estimator=BaseRate(0.0))
    lead = np.flatnonzero((records.leads["industry"] != "unknown").to_numpy())[:2]
    leads = _OpenLeads(scorer, records, lead, np.full(2, cell_time(NOW)))
    for row, position in enumerate(lead):
        _, words = leads.points(row)["industry with region"]
        cells = records.leads.iloc[position]
        assert words.startswith(
            f'industry is "{cells["industry"]}" and region is "{cells["region"]}": '
        )
