"""The laws of a scorer, as a library.

Each check states one law in its docstring and raises AssertionError if a scorer breaks it.
`tests/test_models_laws.py` crosses every kind of scorer with every check.
"""

import copy
import datetime
import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.cells import cell_text
from crm.times import NOT_A_TIME
from features.times import cell_time
from models.artifact import load_artifact, model_digest, save_artifact
from models.scale import POINTS
from models.scorer import LeadCells, LeadScorer, Score
from training.golden import golden_leads

ODD_TABLES = 8  # drawn for each check
ALL_REASONS = 10**6
EVENT_TIMES = {"activities": "occurred_at", "stages": "entered_at"}

Row = tuple[float, int, str]  # probability, score, grade


@dataclass(frozen=True)
class Subject:
    """A fitted scorer, with leads to score.

    Attributes
    ----------
    scorer : LeadScorer
    fit_again : callable
        Fit a second scorer to the same data with the same seed.
    leads : DataFrame
        Leads of the CRM.
    activities, stages : DataFrame or None
        The history of these leads.
    as_of : datetime or None
        The moment of scoring.
    """

    scorer: LeadScorer
    fit_again: Callable[[], LeadScorer]
    leads: pd.DataFrame
    activities: pd.DataFrame | None
    stages: pd.DataFrame | None
    as_of: datetime.datetime | None

    @property
    def moment(self) -> int:
        """The moment of scoring in microseconds."""
        return NOT_A_TIME if self.as_of is None else cell_time(self.as_of)

    def score_table(self, leads: pd.DataFrame, n_reasons: int = 0) -> pd.DataFrame:
        """Score a table of leads with their history."""
        return self.scorer.score_table(
            leads,
            activities=self.activities,
            stages=self.stages,
            as_of=self.as_of,
            n_reasons=n_reasons,
        )

    def cells(self, leads: pd.DataFrame) -> list[LeadCells]:
        """Return the leads as a caller of the service sends them, with their history."""
        return [
            LeadCells(
                {str(name): cell for name, cell in row.items()},
                activities=self._events("activities", row.get("lead_id")),
                stages=self._events("stages", row.get("lead_id")),
            )
            for row in leads.astype(object).to_dict("records")
        ]

    def score_cells(self, cells: list[LeadCells], n_reasons: int = 0) -> list[Score]:
        """Score leads as a caller of the service sends them."""
        return self.scorer.score_leads(cells, self.moment, n_reasons)

    def _events(self, table: str, lead_id: Any) -> list[dict[str, Any]]:
        return self._events_by_lead[table].get(cell_text(lead_id) or "", [])

    @functools.cached_property
    def _events_by_lead(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        events: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for table, time in EVENT_TIMES.items():
            by_lead = events.setdefault(table, {})
            rows = getattr(self, table)
            for row in [] if rows is None else rows.astype(object).to_dict("records"):
                by_lead.setdefault(row["lead_id"], []).append({**row, time: cell_time(row[time])})
        return events


Check = Callable[[Subject], None]


def yield_checks(*, has_history: bool) -> Iterator[Check]:
    """Yield the checks that apply to a scorer."""
    yield check_row_order_does_not_matter
    yield check_column_order_does_not_matter
    yield check_one_lead_equals_the_same_lead_in_a_batch
    yield check_one_lead_has_its_reasons_of_a_batch
    yield check_inputs_are_not_modified
    yield check_probabilities_are_between_0_and_1
    yield check_an_unseen_category_has_a_finite_probability
    yield check_an_all_missing_lead_has_a_finite_probability
    yield check_reasons_add_up_to_the_unrounded_score
    yield check_a_loaded_scorer_scores_like_the_saved_one
    yield check_the_same_seed_gives_the_same_digest
    if has_history:
        yield check_events_after_the_moment_do_not_count


def rows_of(scores: pd.DataFrame | list[Score]) -> list[Row]:
    """Return probability, score and grade of each lead."""
    if isinstance(scores, pd.DataFrame):
        rows = scores[["probability", "score", "grade"]].itertuples(index=False)
        return [(float(p), int(s), str(g)) for p, s, g in rows]
    return [(score.probability, score.score, score.grade) for score in scores]


# -- odd leads -----------------------------------------------------------------------------

TEXTS = st.sampled_from(
    ["Partner", " partner ", "WEBINAR", "Trade  fair", "DE", "yes", "no", "phone", "unknown", "-"]
)
ODD_TEXTS = st.text(max_size=12) | st.sampled_from(["", "  ", "inf", "nan", "None", "1e999", "ſ"])
NUMBERS = st.integers(-(10**6), 10**7) | st.floats(allow_nan=True, allow_infinity=True)
# What a column of a frame can contain without a change of its type.
COLUMNS_OF_CELLS = st.sampled_from(
    [
        TEXTS | ODD_TEXTS | st.none(),
        NUMBERS | st.none(),
        st.integers(0, 500).map(str) | st.none(),
        st.booleans(),
        st.none(),
    ]
)


@st.composite
def odd_tables(draw: st.DrawFn, scorer: LeadScorer) -> pd.DataFrame:
    """Draw a few leads with some of the columns, in any order, and one unknown column."""
    names = draw(
        st.lists(
            st.sampled_from([*scorer.pipeline.columns, "lead_id", "an unknown column"]),
            unique=True,
            max_size=8,
        )
    )
    n = draw(st.integers(1, 8))
    columns = {
        name: pd.Series(
            draw(st.lists(draw(COLUMNS_OF_CELLS), min_size=n, max_size=n)), dtype=object
        )
        for name in names
    }
    return pd.DataFrame(columns, index=range(n))


def on_real_and_odd_leads(law: Callable[[Subject, pd.DataFrame], None]) -> Check:
    """Turn a law about a table of leads into a check on real leads and on drawn odd ones."""

    @functools.wraps(law)
    def check(subject: Subject) -> None:
        law(subject, subject.leads)

        @settings(max_examples=ODD_TABLES, suppress_health_check=[HealthCheck.too_slow])
        @given(table=odd_tables(subject.scorer))
        def on_odd_leads(table: pd.DataFrame) -> None:
            law(subject, table)

        on_odd_leads()

    return check


# -- the laws ------------------------------------------------------------------------------


@on_real_and_odd_leads
def check_row_order_does_not_matter(subject: Subject, leads: pd.DataFrame) -> None:
    """A lead scores the same wherever its row is in the table."""
    shuffled = leads.sample(frac=1, random_state=4)
    scores = subject.score_table(shuffled)
    assert list(scores.index) == list(shuffled.index)
    assert rows_of(scores.loc[leads.index]) == rows_of(subject.score_table(leads))


@on_real_and_odd_leads
def check_column_order_does_not_matter(subject: Subject, leads: pd.DataFrame) -> None:
    """A lead scores the same in any order of the columns."""
    expected = rows_of(subject.score_table(leads))
    shuffled = leads.sample(frac=1, axis=1, random_state=4)
    for columns in (list(leads.columns)[::-1], list(shuffled.columns)):
        assert rows_of(subject.score_table(leads[columns])) == expected


@on_real_and_odd_leads
def check_one_lead_equals_the_same_lead_in_a_batch(subject: Subject, leads: pd.DataFrame) -> None:
    """One lead gets the score that it gets in a batch, from a table and from a request."""
    batch = rows_of(subject.score_table(leads))
    assert rows_of(subject.score_table(leads.infer_objects())) == batch
    cells = subject.cells(leads)
    assert rows_of(subject.score_cells(cells)) == batch
    for i in range(0, len(leads), 1 + len(leads) // 20):
        assert rows_of(subject.score_cells([cells[i]])) == [batch[i]]
    for i in range(0, len(leads), 1 + len(leads) // 2):  # a table of one lead takes longer
        assert rows_of(subject.score_table(leads.iloc[[i]])) == [batch[i]]


@on_real_and_odd_leads
def check_one_lead_has_its_reasons_of_a_batch(subject: Subject, leads: pd.DataFrame) -> None:
    """One lead gets the reasons that it gets in a batch, from a table and from a request."""
    batch = subject.score_table(leads, n_reasons=6).filter(like="reason_").to_numpy().tolist()
    cells = subject.cells(leads)
    together = subject.score_cells(cells, n_reasons=6)
    for i, score in enumerate(together):
        assert [*map(str, score.reasons)] == [text for text in batch[i] if text]
    for i in range(0, len(leads), 1 + len(leads) // 20):
        assert subject.score_cells([cells[i]], n_reasons=6) == [together[i]]


@on_real_and_odd_leads
def check_inputs_are_not_modified(subject: Subject, leads: pd.DataFrame) -> None:
    """Scoring changes neither the tables nor the cells that it is given."""
    names = [name for name in EVENT_TIMES if getattr(subject, name) is not None]
    events_before = {name: getattr(subject, name).copy(deep=True) for name in names}
    leads_before = leads.copy(deep=True)
    cells = subject.cells(leads)
    cells_before = copy.deepcopy(cells)
    subject.score_table(leads, n_reasons=3)
    subject.score_cells(cells, n_reasons=3)
    pd.testing.assert_frame_equal(leads, leads_before)
    assert repr(cells) == repr(cells_before)
    for name in names:
        pd.testing.assert_frame_equal(getattr(subject, name), events_before[name])


@on_real_and_odd_leads
def check_probabilities_are_between_0_and_1(subject: Subject, leads: pd.DataFrame) -> None:
    """Every lead gets a probability from 0 to 1, a score from 1 to 99 and a grade of the scale."""
    grades = {*(letter for letter, _ in subject.scorer.scale.grades), subject.scorer.scale.lowest}
    for probability, score, grade in rows_of(subject.score_table(leads)):
        assert 0 <= probability <= 1
        assert 1 <= score <= 99
        assert grade in grades


def check_an_unseen_category_has_a_finite_probability(subject: Subject) -> None:
    """A lead with an unseen value in every column gets a probability between 0 and 1."""
    columns = subject.scorer.pipeline.columns
    _check_finite(subject, pd.DataFrame([dict.fromkeys(columns, "a value that no lead has")]))


def check_an_all_missing_lead_has_a_finite_probability(subject: Subject) -> None:
    """A lead without values gets a probability between 0 and 1, if cells are missing or absent."""
    missing = pd.DataFrame([dict.fromkeys(subject.scorer.pipeline.columns)], dtype=object)
    _check_finite(subject, missing)
    absent = pd.DataFrame(index=[0])
    assert rows_of(subject.score_table(absent)) == rows_of(subject.score_table(missing))


def _check_finite(subject: Subject, leads: pd.DataFrame) -> None:
    for scores in (subject.score_table(leads), subject.score_cells(subject.cells(leads))):
        ((probability, score, _),) = rows_of(scores)
        assert 0 < probability < 1
        assert 1 <= score <= 99


@on_real_and_odd_leads
def check_reasons_add_up_to_the_unrounded_score(subject: Subject, leads: pd.DataFrame) -> None:
    """The start and the points of all reasons add up to the score before it is rounded."""
    scorer, cells = subject.scorer, subject.cells(leads)
    margin = scorer.log_odds_of(scorer.features_of(cells, subject.moment))
    unrounded = scorer.scale.unrounded(margin)
    for score, expected in zip(subject.score_cells(cells, ALL_REASONS), unrounded, strict=True):
        assert score.start is not None
        total = score.start + sum(reason.points for reason in score.reasons)
        assert total == pytest.approx(expected, abs=1e-9 * POINTS, rel=1e-9)
        assert score.score == min(99, max(1, round(expected)))


def check_a_loaded_scorer_scores_like_the_saved_one(subject: Subject) -> None:
    """A scorer that was saved and loaded gives equal scores and equal reasons."""
    with tempfile.TemporaryDirectory() as folder:
        digest = _save(subject, subject.scorer, Path(folder) / "model")
        loaded = load_artifact(Path(folder) / "model")
    assert loaded.digest == digest
    loaded_subject = replace(subject, scorer=loaded.scorer)
    pd.testing.assert_frame_equal(
        loaded_subject.score_table(subject.leads, n_reasons=3),
        subject.score_table(subject.leads, n_reasons=3),
        check_exact=True,
    )


def check_the_same_seed_gives_the_same_digest(subject: Subject) -> None:
    """Two fits to the same data with the same seed save the same model."""
    with tempfile.TemporaryDirectory() as folder:
        digests = {
            _save(subject, scorer, Path(folder) / name)
            for name, scorer in (("first", subject.scorer), ("second", subject.fit_again()))
        }
        digests.add(model_digest(Path(folder) / "second"))
    assert len(digests) == 1


def _save(subject: Subject, scorer: LeadScorer, folder: Path) -> str:
    golden = golden_leads(scorer.pipeline, subject.leads, subject.moment, seed=0)
    return save_artifact(scorer, golden, folder, subject.moment)


def check_events_after_the_moment_do_not_count(subject: Subject) -> None:
    """A score as of an earlier moment ignores every event that was recorded later."""
    assert subject.as_of is not None
    earlier = replace(subject, as_of=subject.as_of - datetime.timedelta(days=45))
    earlier_events = {}
    for name, time in EVENT_TIMES.items():
        events = getattr(subject, name)
        earlier_events[name] = events[events[time] <= earlier.as_of]
        assert 0 < len(earlier_events[name]) < len(events)
    with_all = rows_of(earlier.score_table(subject.leads))
    assert rows_of(replace(earlier, **earlier_events).score_table(subject.leads)) == with_all
    assert rows_of(earlier.score_cells(earlier.cells(subject.leads))) == with_all
    if not np.ptp([probability for probability, _, _ in with_all]):
        return  # the base rate
    none = {name: events.iloc[:0] for name, events in earlier_events.items()}
    assert rows_of(replace(earlier, **none).score_table(subject.leads)) != with_all
