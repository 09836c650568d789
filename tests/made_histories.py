"""Leads with histories of activities and stages, as tables and as cells of requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from crm.arrays import Floats, Ints
from crm.records import Records
from crm.times import DAY, TIME_DTYPE
from features.activity import WINDOWS_DAYS, ActivityFeatures
from features.attributes.date import DateAttribute
from features.feature import Feature
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.stages import StageFeatures
from features.times import cell_time, time_text

NOW = cell_time("2025-01-01T08:30:00Z")
ACTIVITIES = ActivityFeatures(types=("call", "E-Mail"), channels=("web", "Phone"))
STAGES = StageFeatures(("New", "Offer", "Signed"))
PIPELINE = FeaturePipeline(
    attributes=(
        DateAttribute("asked_at", frozenset(), "age_days"),
        DateAttribute("asked_at", frozenset(), "weekday"),
    ),
    left_out=(),
    has_times=True,
    activities=ACTIVITIES,
    stages=STAGES,
)
ZONES = ("Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati", "Europe/Berlin")

Event = dict[str, Any]


@dataclass(frozen=True)
class Histories:
    """The histories of some leads; times are microseconds since 1970 UTC.

    Attributes
    ----------
    created, asked : list of int
        When each lead was created, and the value of its attribute `asked_at`.
    activities, stages : list of list of dict
        The events of each lead.
    """

    created: list[int]
    asked: list[int]
    activities: list[list[Event]]
    stages: list[list[Event]]

    def __len__(self) -> int:
        return len(self.created)

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The attributes of each lead, as a request has them."""
        return [{"asked_at": time_text(at)} for at in self.asked]

    @property
    def records(self) -> Records:
        """The same histories as tables."""
        ids = [f"L{i}" for i in range(len(self))]
        asked_at = pd.Series([cell["asked_at"] for cell in self.cells], dtype="str")
        return Records(
            leads=pd.DataFrame(
                {"lead_id": ids, "created_at": utc(self.created), "asked_at": asked_at}
            ),
            outcomes=pd.DataFrame(),
            activities=events_table(
                ids, self.activities, ["type", "occurred_at", "channel", "content"]
            ),
            stages=events_table(ids, self.stages, ["stage", "entered_at"]),
        )


def utc(times: Any) -> pd.Series:
    """Convert microseconds since 1970 to a column of times in UTC."""
    return pd.Series(np.array(times, dtype="datetime64[us]")).dt.tz_localize("UTC")


def events_table(
    ids: Sequence[str], events: Sequence[Sequence[Event]], columns: list[str]
) -> pd.DataFrame:
    """Build the table of the events of leads."""
    rows = [
        {"lead_id": lead_id, **event}
        for lead_id, events_of_lead in zip(ids, events, strict=True)
        for event in events_of_lead
    ]
    table = pd.DataFrame(rows, columns=["lead_id", *columns], dtype=object)
    for column in {"occurred_at", "entered_at"} & set(columns):
        table[column] = utc(table[column].to_numpy(dtype=np.int64)).astype(TIME_DTYPE)
    return table


def event_tables(records: Records) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of activities and of stages, which must exist."""
    assert records.activities is not None
    assert records.stages is not None
    return records.activities, records.stages


def moments_of(pairs: Sequence[tuple[int, int]]) -> Moments:
    """Return moments from pairs of the position of a lead and a time."""
    lead, as_of = lead_and_time(pairs)
    label = np.zeros(len(lead), dtype=np.int8)
    return Moments(lead, as_of, label, as_of, np.ones(len(lead)), {})


def lead_and_time(pairs: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    lead, as_of = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return lead, as_of


class HasFeatures(Protocol):
    """A pipeline, or a part of one."""

    @property
    def features(self) -> Sequence[Feature]: ...


def by_name(values: Any, described: HasFeatures = PIPELINE) -> dict[str, float]:
    """Return one row of features by name."""
    names = [feature.name for feature in described.features]
    return dict(zip(names, np.ravel(values).tolist(), strict=True))


def assert_equal(computed: Floats, expected: Floats) -> None:
    """Check that two matrices are equal; nan equals nan."""
    np.testing.assert_array_equal(computed, expected)


# Ages at NOW: around the ends of each window, around midnight, and any.
EDGES = [days * DAY + step for days in (0, *WINDOWS_DAYS) for step in (-1, 0, 1)]
EDGES += [NOW % DAY + step for step in (-1, 0, 1)]
times = (st.sampled_from(EDGES) | st.integers(-40 * DAY, 120 * DAY)).map(lambda age: NOW - age)
activities = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["call", " CALL", "e-mail", "E-Mail ", "visit"]),
        "occurred_at": times,
        "channel": st.sampled_from([None, "web", "Web", "phone", "fax"]),
        "content": st.sampled_from([None, "", "guide", " guide ", "price list"]),
    }
)
stages = st.fixed_dictionaries(
    {"stage": st.sampled_from(["New", "new ", "OFFER", "Signed", "Lost"]), "entered_at": times}
)
histories = st.lists(
    st.tuples(times, times, st.lists(activities, max_size=10), st.lists(stages, max_size=5)),
    min_size=1,
    max_size=4,
).map(lambda rows: Histories(*map(list, zip(*rows, strict=True))))


@st.composite
def histories_with_moments(draw: Callable[..., Any]) -> tuple[Histories, Moments]:
    """Draw moments of some leads, in any order; a lead may have several moments, or none."""
    drawn = draw(histories)
    pairs = st.tuples(st.integers(0, len(drawn) - 1), st.just(NOW) | times)
    return drawn, moments_of(draw(st.lists(pairs, min_size=1, max_size=8)))
