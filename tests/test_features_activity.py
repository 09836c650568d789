"""History at a moment: only what had happened, the same however it is brought and with whom."""

import datetime
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.times import DAY, HOUR, NOT_A_TIME, TIME_DTYPE
from features import events
from features.activity import (
    MAX_TYPES,
    MIN_LEADS_PER_VALUE,
    PACE_DAYS,
    WINDOWS_DAYS,
    ActivityFeatures,
    fit_activities,
)
from features.attributes.attribute import MISSING, UNSEEN
from features.attributes.date import DateAttribute
from features.fitting import fit_pipeline
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from features.stages import StageFeatures, fit_stages
from features.times import cell_time, time_text
from models.scorer import LeadCells, LeadScorer
from training.train import train

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


# -- worlds: leads with their histories, in microseconds


@dataclass(frozen=True)
class World:
    """The histories of some leads, as tables and as cells of requests."""

    created: list[int]
    asked: list[int]
    activities: list[list[dict[str, Any]]]
    stages: list[list[dict[str, Any]]]

    def __len__(self) -> int:
        return len(self.created)

    @property
    def cells(self) -> list[dict[str, Any]]:
        return [{"asked_at": time_text(at)} for at in self.asked]

    @property
    def records(self) -> Records:
        ids = [f"L{i}" for i in range(len(self))]
        return Records(
            leads=pd.DataFrame(
                {
                    "lead_id": ids,
                    "created_at": utc(self.created),
                    "asked_at": pd.Series([cell["asked_at"] for cell in self.cells], dtype="str"),
                }
            ),
            outcomes=pd.DataFrame(),
            activities=table(
                [{"lead_id": ids[i], **e} for i, es in enumerate(self.activities) for e in es],
                ["lead_id", "type", "occurred_at", "channel", "content"],
            ),
            stages=table(
                [{"lead_id": ids[i], **e} for i, es in enumerate(self.stages) for e in es],
                ["lead_id", "stage", "entered_at"],
            ),
        )


def utc(times: Any) -> pd.Series:
    return pd.Series(np.array(times, dtype="datetime64[us]")).dt.tz_localize("UTC")


def table(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    computed = pd.DataFrame(rows, columns=columns, dtype=object)
    for column in {"occurred_at", "entered_at"} & set(columns):
        computed[column] = utc(computed[column].to_numpy(dtype=np.int64)).astype(TIME_DTYPE)
    return computed


def moments_of(asked: list[tuple[int, int]]) -> Moments:
    lead, as_of = np.array(asked, dtype=np.int64).reshape(-1, 2).T
    label = np.zeros(len(lead), dtype=np.int8)
    return Moments(lead, as_of, label, as_of, np.ones(len(lead)), {})


# Ages at NOW: around the ends of each window, around midnight, and anywhere.
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
entries = st.fixed_dictionaries(
    {"stage": st.sampled_from(["New", "new ", "OFFER", "Signed", "Lost"]), "entered_at": times}
)
histories = st.tuples(
    times, times, st.lists(activities, max_size=10), st.lists(entries, max_size=5)
)
worlds = st.lists(histories, min_size=1, max_size=4).map(
    lambda rows: World(*map(list, zip(*rows, strict=True)))
)


@st.composite
def worlds_with_moments(draw: Any) -> tuple[World, Moments]:
    """Some moments of some leads, in any order; a lead may have several, or none."""
    world = draw(worlds)
    asked = st.tuples(st.integers(0, len(world) - 1), st.just(NOW) | times)
    return world, moments_of(draw(st.lists(asked, min_size=1, max_size=8)))


def same(computed: Any, expected: Any) -> None:
    np.testing.assert_array_equal(computed, expected)  # nan equals nan


def by_name(values: Any, features: Any = PIPELINE) -> dict[str, float]:
    return dict(zip([f.name for f in features.features], np.ravel(values).tolist(), strict=True))


# -- laws of every feature of a moment


@given(worlds_with_moments())
def test_events_after_as_of_change_nothing(drawn: Any) -> None:
    """A history cut at the moment gives the same features, whatever other moments are asked."""
    world, moments = drawn
    records = world.records
    together = PIPELINE.transform(records, moments.lead, moments.as_of)
    assert together.shape == (len(moments), len(PIPELINE.names))
    for row, as_of in enumerate(moments.as_of.tolist()):
        then = pd.Timestamp(as_of, unit="us", tz="UTC")
        was_asked = np.array(world.asked) <= as_of
        cut = replace(
            records,
            leads=records.leads.assign(asked_at=records.leads["asked_at"].where(was_asked)),
            activities=records.activities[records.activities["occurred_at"] <= then],
            stages=records.stages[records.stages["entered_at"] <= then],
        )
        same(PIPELINE.transform(cut, moments.lead[[row]], moments.as_of[[row]]), together[[row]])


@given(worlds_with_moments(), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(drawn: Any, random: Any) -> None:
    """The tables of activities and stages may be sorted anyhow, and are left as they were."""
    world, moments = drawn
    records = world.records
    kept = records.activities.copy(), records.stages.copy()
    turned = replace(
        records,
        activities=records.activities.sample(frac=1, random_state=random.randrange(2**31)),
        stages=records.stages.sample(frac=1, random_state=random.randrange(2**31)),
    )
    same(
        PIPELINE.transform(turned, moments.lead, moments.as_of),
        PIPELINE.transform(records, moments.lead, moments.as_of),
    )
    pd.testing.assert_frame_equal(records.activities, kept[0])
    pd.testing.assert_frame_equal(records.stages, kept[1])


@given(worlds_with_moments(), st.sampled_from(ZONES))
def test_time_zone_does_not_matter(drawn: Any, zone: Any) -> None:
    """The same instants, written in another zone, give the same features."""
    world, moments = drawn
    records = world.records
    there = [datetime.datetime.fromisoformat(cell["asked_at"]) for cell in world.cells]
    moved = replace(
        records,
        leads=records.leads.assign(
            created_at=records.leads["created_at"].dt.tz_convert(zone),
            asked_at=[at.astimezone(ZoneInfo(zone)).isoformat() for at in there],
        ),
        activities=records.activities.assign(
            occurred_at=records.activities["occurred_at"].dt.tz_convert(zone)
        ),
        stages=records.stages.assign(entered_at=records.stages["entered_at"].dt.tz_convert(zone)),
    )
    same(
        PIPELINE.transform(moved, moments.lead, moments.as_of),
        PIPELINE.transform(records, moments.lead, moments.as_of),
    )


@given(worlds_with_moments(), st.integers(1, 6))
def test_block_size_does_not_matter(drawn: Any, size: Any) -> None:
    """The size of blocks does not change the features."""
    world, moments = drawn
    whole = PIPELINE.transform(world.records, moments.lead, moments.as_of)
    with mock.patch.object(events, "BLOCK_EVENTS", size):
        same(PIPELINE.transform(world.records, moments.lead, moments.as_of), whole)


@given(worlds)
def test_one_lead_equals_the_same_lead_among_many_and_in_a_request(world: World) -> None:
    """Other leads do not matter, nor whether the records come in tables or with a request."""
    records = world.records
    among = PIPELINE.transform(records, np.arange(len(world)), np.full(len(world), NOW))
    sent = PIPELINE.history_of_cells(world.created, world.activities, world.stages)
    same(PIPELINE.rows(world.cells, sent, NOW), among)
    tables = (records.activities, records.stages)
    for i in range(len(world)):
        lead = records.leads.iloc[[i]].reset_index(drop=True)
        same(
            PIPELINE.transform(replace(records, leads=lead), np.array([0]), np.array([NOW])),
            among[[i]],
        )
        created = np.array(world.created[i : i + 1])
        history = PIPELINE.history_of_tables(lead["lead_id"], created, *tables)
        same(PIPELINE.matrix(lead, history, NOW), among[[i]])
        alone = PIPELINE.history_of_cells(
            world.created[i : i + 1], world.activities[i : i + 1], world.stages[i : i + 1]
        )
        same(PIPELINE.rows(world.cells[i : i + 1], alone, NOW), among[[i]])


@given(
    st.lists(activities, min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), times), max_size=6),
    st.randoms(use_true_random=False),
)
def test_repeated_activity_counts_once(sent: Any, again: Any, random: Any) -> None:
    """A repeated id is the activity that stood there first, in whatever order they are sent."""
    named = [{**event, "activity_id": i} for i, event in enumerate(sent)]
    copies = [
        {**named[i % len(named)], "activity_id": f" {i % len(named)} ", "occurred_at": at}
        for i, at in again
        if at > named[i % len(named)]["occurred_at"]
    ]
    mixed = [*named, *copies]
    random.shuffle(mixed)
    expected = compute(ACTIVITIES.log_of_cells([named]), [(0, NOW)])
    same(compute(ACTIVITIES.log_of_cells([mixed]), [(0, NOW)]), expected)


def test_activities_without_ids_are_distinct() -> None:
    event = {"type": "call", "occurred_at": NOW}
    log = ACTIVITIES.log_of_cells([[event, event, {**event, "activity_id": ""}]])
    assert by_name(compute(log, [(0, NOW)]), ACTIVITIES)["activity[call].count"] == 3


def test_same_activity_id_of_another_lead_is_distinct() -> None:
    event = {"type": "call", "occurred_at": NOW, "activity_id": "a"}
    computed = compute(ACTIVITIES.log_of_cells([[event], [event]]), [(0, NOW), (1, NOW)])
    assert [by_name(row, ACTIVITIES)["activity.count"] for row in computed] == [1, 1]


def test_features_of_a_lead_without_activities() -> None:
    world = World([NOW - 3 * DAY], [NOW + 1], [[]], [[]])
    busy = World([NOW], [NOW], [[{"type": "call", "occurred_at": NOW}]], [[]])
    both = World(*(getattr(world, f) + getattr(busy, f) for f in vars(world)))
    for leads in (world, both):
        computed = by_name(PIPELINE.transform(leads.records, np.array([0]), np.array([NOW])))
        assert computed.pop("lead.age_days") == 3
        assert computed.pop("lead.created_weekday") == 6  # the Sunday before 1 January 2025
        assert computed.pop("lead.created_hour") == 8
        assert computed.pop("stage.current") == MISSING
        nothing = {name for name, value in computed.items() if np.isnan(value)}
        assert nothing == {
            "asked_at.age_days",
            "asked_at.weekday",
            "stage.days_in",
            "activity.pace_7d_to_30d",
            "activity.first_response_hours",
            *(
                f"{stem}.days_since_{end}"
                for end in ("last", "first")
                for stem in ("activity", "activity[call]", "activity[E-Mail]")
            ),
        }
        assert {computed[name] for name in computed.keys() - nothing} == {0.0}


@given(worlds)
def test_missing_as_of_has_no_events(world: World) -> None:
    """Scored without a time, leads have no history: it could be of any time."""
    sent = PIPELINE.history_of_cells(world.created, world.activities, world.stages)
    bare = PIPELINE.history_of_cells(world.created, [()] * len(world), [()] * len(world))
    same(PIPELINE.rows(world.cells, sent), PIPELINE.rows(world.cells, bare))


def test_leads_without_an_id_have_no_history() -> None:
    activities = table(
        [{"lead_id": name, "type": "call", "occurred_at": NOW} for name in ("0", "1", "A")],
        ["lead_id", "type", "occurred_at"],
    )
    ids = pd.Series([None, "A", None], dtype=object)
    history = PIPELINE.history_of_tables(ids, np.full(3, NOW), activities, None)
    leads = pd.DataFrame({"asked_at": ["2024-12-31", None, None]})
    computed = PIPELINE.matrix(leads, history, NOW)
    assert [by_name(row)["activity.count"] for row in computed] == [0, 1, 0]


# -- windows, against SQL


def compute(log: Any, asked: Any, created: Any = None) -> Any:
    lead, as_of = np.array(asked, dtype=np.int64).reshape(-1, 2).T
    created = np.full(len(lead), NOT_A_TIME) if created is None else np.array(created)
    return ACTIVITIES.compute(log, lead, as_of, created)


def in_sql() -> str:
    """Return the query that computes the same features in SQL."""
    columns = []
    for kind in (None, *ACTIVITIES.types):
        of_kind = "true" if kind is None else f"lower(trim(a.type)) = '{kind.lower()}'"
        columns.append(f"count(a.at) filter ({of_kind})")
        columns += [
            f"count(a.at) filter ({of_kind} and a.at > m.as_of - {days * DAY})"
            for days in WINDOWS_DAYS
        ]
        columns += [
            f"(any_value(m.as_of) - {end}(a.at) filter ({of_kind})) / {DAY}::double"
            for end in ("max", "min")
        ]
    short, long = (f"count(a.at) filter (a.at > m.as_of - {days * DAY})" for days in PACE_DAYS)
    columns += [
        "count(distinct nullif(trim(a.content), ''))",
        "count(distinct make_timestamp(a.at)::date)",
        f"({short} / {PACE_DAYS[0]}.0) / nullif({long} / {PACE_DAYS[1]}.0, 0)",
        f"min(a.at - m.created) filter (a.at >= m.created) / {HOUR}::double",
    ]
    columns += [
        f"coalesce(count(a.at) filter (lower(a.channel) = '{channel.lower()}')"
        " / nullif(count(a.at), 0), 0)"
        for channel in ACTIVITIES.channels
    ]
    return (
        f"select {', '.join(f'({column})::double' for column in columns)} from moments m "
        "left join activities a on a.lead = m.lead and a.at <= m.as_of group by m.n order by m.n"
    )


def test_features_equal_those_of_sql() -> None:
    """Counts, recency, variety, pace and shares are what DuckDB makes of the same records."""
    query = in_sql()
    met: Counter[str | int] = Counter()

    @settings(max_examples=200)
    @given(worlds_with_moments(), st.booleans())
    def agree(drawn: Any, is_created: bool) -> None:
        world, moments = drawn
        rows = [{"lead": i, **e} for i, es in enumerate(world.activities) for e in es]
        told = pd.DataFrame(rows, columns=["lead", "type", "occurred_at", "channel", "content"])
        told = told.astype({"lead": "int64", "occurred_at": "int64"})
        told = told.rename(columns={"occurred_at": "at"})
        created = np.array(world.created)[moments.lead]
        asked = {"n": range(len(moments)), "lead": moments.lead, "as_of": moments.as_of}
        asked["created"] = pd.array(created if is_created else [pd.NA] * len(created), "Int64")
        with duckdb.connect() as database:
            database.register("activities", told)
            database.register("moments", pd.DataFrame(asked))
            expected = np.array(database.execute(query).fetchall(), dtype=np.float64)
        created = created if is_created else np.full(len(created), NOT_A_TIME)
        log = ACTIVITIES.log_of_cells(world.activities)
        computed = ACTIVITIES.compute(log, moments.lead, moments.as_of, created)
        np.testing.assert_allclose(computed, expected, rtol=1e-12, atol=0)
        names = [feature.name for feature in ACTIVITIES.features]
        met.update(
            name for row in computed for name, value in zip(names, row, strict=True) if value
        )
        met["at the moment"] += int((told["at"] == NOW).any())
        met.update({d: int((told["at"] == NOW - d * DAY).any()) for d in WINDOWS_DAYS})

    agree()
    assert met.keys() >= {f.name for f in ACTIVITIES.features} | {*WINDOWS_DAYS, "at the moment"}
    assert min(met.values()) >= 3, met


@pytest.mark.parametrize("days", WINDOWS_DAYS)
@pytest.mark.parametrize(("step", "counts"), [(-1, 1), (0, 0), (1, 0)])
def test_window_excludes_its_far_end(days: int, step: int, counts: int) -> None:
    log = ACTIVITIES.log_of_cells([[{"type": "call", "occurred_at": NOW - days * DAY - step}]])
    computed = by_name(compute(log, [(0, NOW)]), ACTIVITIES)
    assert (
        computed[f"activity.count_{days}d"] == computed[f"activity[call].count_{days}d"] == counts
    )
    assert computed["activity.count"] == 1


@pytest.mark.parametrize(("step", "counts"), [(-1, 1), (0, 1), (1, 0)])
def test_event_at_as_of_counts(step: int, counts: int) -> None:
    log = ACTIVITIES.log_of_cells([[{"type": "call", "occurred_at": NOW + step}]])
    computed = by_name(compute(log, [(0, NOW)]), ACTIVITIES)
    assert computed["activity.count"] == computed["activity.count_1d"] == counts


def test_history_by_hand() -> None:
    told = [
        ("call", -100, "phone", "guide"),
        ("E-mail", -20, "web", "guide"),
        ("e-mail", -6, None, ""),
        ("visit", -2.5, "web", "prices"),
        ("CALL", -2.4, "fax", None),
        ("call", 0.1, "web", "x"),
    ]
    log = ACTIVITIES.log_of_cells(
        [
            [
                {"type": kind, "occurred_at": NOW + int(days * DAY), "channel": by, "content": what}
                for kind, days, by, what in told
            ]
        ]
    )
    computed = by_name(compute(log, [(0, NOW)], [NOW - 21 * DAY]), ACTIVITIES)
    expected = {
        "activity.count": 5,
        "activity.count_90d": 4,
        "activity.count_30d": 4,
        "activity.count_7d": 3,
        "activity.count_1d": 0,
        "activity.days_since_last": 2.4,
        "activity.days_since_first": 100,
        "activity[call].count": 2,
        "activity[call].count_90d": 1,
        "activity[call].count_30d": 1,
        "activity[call].count_7d": 1,
        "activity[call].count_1d": 0,
        "activity[call].days_since_last": 2.4,
        "activity[call].days_since_first": 100,
        "activity[E-Mail].count": 2,
        "activity[E-Mail].count_90d": 2,
        "activity[E-Mail].count_30d": 2,
        "activity[E-Mail].count_7d": 1,
        "activity[E-Mail].count_1d": 0,
        "activity[E-Mail].days_since_last": 6,
        "activity[E-Mail].days_since_first": 20,
        "activity.contents_count": 2,
        "activity.active_days_count": 4,
        "activity.pace_7d_to_30d": (3 / 7) / (4 / 30),
        "activity.first_response_hours": 24,
        "activity.channel[web].share": 0.4,
        "activity.channel[Phone].share": 0.2,
    }
    assert computed == pytest.approx(expected)


def test_times_before_1970_are_valid() -> None:
    log = ACTIVITIES.log_of_cells([[{"type": "call", "occurred_at": at} for at in (-1, -DAY, 0)]])
    computed = by_name(compute(log, [(0, 0)]), ACTIVITIES)
    assert (computed["activity.count"], computed["activity.count_1d"]) == (3, 2)
    assert computed["activity.active_days_count"] == 2


# -- what is fitted


def told_by(*values: tuple[str | None, int], column: str = "type") -> pd.DataFrame:
    """A table in which so many leads have each value."""
    rows = [{"lead_id": f"L{i}", column: value} for value, n in values for i in range(n)]
    return pd.DataFrame(rows).reindex(columns=["lead_id", "type", "channel"])


def test_types_and_channels_need_enough_leads() -> None:
    enough = MIN_LEADS_PER_VALUE
    computed = fit_activities(told_by(("mail", enough), ("Call", enough + 1), ("rare", enough - 1)))
    assert computed == ActivityFeatures(types=("Call", "mail"), channels=())
    same_lead = pd.DataFrame({"lead_id": ["L1"] * 99, "type": "call", "channel": None})
    assert fit_activities(same_lead) == ActivityFeatures((), ())
    channels = told_by(("Web", enough), ("web", enough + 5), (None, 50), column="channel")
    assert fit_activities(channels).channels == ("web",)
    many = [(f"t{i:02}", enough + i) for i in range(MAX_TYPES + 6)]
    types = fit_activities(told_by(*many)).types
    assert types == tuple(name for name, _ in many[:5:-1])
    assert len(types) == MAX_TYPES


def test_features_have_unique_names_and_windows() -> None:
    assert len(PIPELINE.names) == len(set(PIPELINE.names)) == 2 + 3 + 3 * 7 + 4 + 2 + 3
    windows = {feature.window_days for feature in ACTIVITIES.features if feature.unit == "count"}
    assert windows == {None, *WINDOWS_DAYS}
    for feature in PIPELINE.features:
        assert feature.sentence.format(value=1.0)


# -- stages


def stage_of(*entries: tuple[str, float]) -> dict[str, float]:
    sent = [{"stage": name, "entered_at": NOW + int(days * DAY)} for name, days in entries]
    computed = STAGES.compute(STAGES.log_of_cells([sent]), np.array([0]), np.array([NOW]))
    return by_name(computed, STAGES)


NEW, OFFER, SIGNED = 2, 3, 4


@pytest.mark.parametrize(
    ("entries", "current", "days_in", "count"),
    [
        ([], MISSING, np.nan, 0),
        ([("New", -4)], NEW, 4, 1),
        ([("New", -4), ("Offer", -1.5)], OFFER, 1.5, 2),
        ([("Offer", -1.5), ("New", -4)], OFFER, 1.5, 2),
        ([("Offer", -4), ("New", -1)], NEW, 1, 2),
        ([("New", -4), ("New", -1)], NEW, 1, 2),
        ([("New", -4), ("Offer", 0)], OFFER, 0, 2),
        ([("New", -4), ("Offer", 0.001)], NEW, 4, 1),
        ([("Signed", 3)], MISSING, np.nan, 0),
        ([(" new ", -4)], NEW, 4, 1),
        ([("Elsewhere", -2)], UNSEEN, 2, 1),
        ([("New", -4), ("Elsewhere", -2)], UNSEEN, 2, 2),
        ([("Signed", -2), ("New", -2), ("Offer", -2)], SIGNED, 2, 3),
        ([("Elsewhere", -2), ("New", -2)], NEW, 2, 2),
    ],
)
def test_current_stage_is_the_last_entered(
    entries: Any, current: Any, days_in: Any, count: Any
) -> None:
    expected = {"stage.current": current, "stage.days_in": days_in, "stage.count": count}
    assert stage_of(*entries) == pytest.approx(expected, nan_ok=True)


def test_stages_are_ordered_by_entry() -> None:
    rows = [(f"L{i}", stage) for i in range(9) for stage in ("Offer", "Won")[: 1 + i % 2]]
    rows += [("L9", "new"), ("L9", "OFFER"), *((f"L{i}", "New") for i in range(10, 13))]
    stages = pd.DataFrame(rows, columns=["lead_id", "stage"])
    assert fit_stages(stages) == StageFeatures(("New", "Offer", "Won"))


# -- from files and from requests

PROJECT = """
project.name = "acme"
[leads]
source = "{at}/leads.csv"
outcome = "won"
closed_at = "closed_at"
{zone}
[activities]
source = "{at}/activities.csv"
{zone}
[stages]
source = "{at}/stages.csv"
{zone}
[learn]
won = ["yes"]
lost = ["no"]
horizon_days = 10
moments_days = [0, 0.5, 3.25]
observed_until = "2025-05-01"
"""
TIMES = ("created_at", "closed_at", "asked_at", "occurred_at", "entered_at")


@pytest.fixture(scope="module")
def export() -> dict[str, pd.DataFrame]:
    """An export of 80 leads; its times are microseconds."""
    generator = np.random.default_rng(8)
    created = NOW + np.sort(generator.integers(0, 90 * DAY, 80))
    ids = [f"L{i}" for i in range(80)]
    leads = pd.DataFrame(
        {
            "lead_id": ids,
            "created_at": created,
            "closed_at": created + 4 * DAY,
            "won": generator.choice(["yes", "no"], 80),
            "asked_at": created + generator.integers(-9 * DAY, 2 * DAY, 80),
        }
    )

    def some(n: int, time: str) -> pd.DataFrame:
        lead = generator.integers(0, 70, n)
        at = created[lead] + generator.integers(-2 * DAY, 6 * DAY, n)
        return pd.DataFrame({"lead_id": np.array(ids)[lead], time: at})

    activities = some(900, "occurred_at").assign(
        activity_id=[f"A{i}" for i in range(900)],
        type=generator.choice(["call", "mail", "visit"], 900),
        channel=generator.choice(np.array(["web", "phone", None], dtype=object), 900),
        content=generator.choice(np.array(["guide", "prices", None], dtype=object), 900),
    )
    stages = some(200, "entered_at").assign(stage=generator.choice(["New", "Offer"], 200))
    return {"leads": leads, "activities": activities, "stages": stages}


def features_of(
    export: Any, folder: Path, write: Any, zone: str = "", known_as: str = "export"
) -> Any:
    """Write the export, each time as `write` says, and compute all features of its moments."""
    (folder / known_as).mkdir()
    for name, rows in export.items():
        written = {
            column: [
                write(i, datetime.datetime.fromisoformat(time_text(at)))
                for i, at in enumerate(rows[column].tolist())
            ]
            for column in TIMES
            if column in rows
        }
        rows.assign(**written).to_csv(folder / known_as / f"{name}.csv", index=False)
    path = folder / f"{known_as}.toml"
    path.write_text(PROJECT.format(at=known_as, zone=f'timezone = "{zone}"' if zone else ""))
    project = load_project(path)
    records = read_records(project)
    moments = make_moments(records, project.learn)
    pipeline = fit_pipeline(records, moments, project)
    return pipeline, moments, pipeline.transform(records, moments.lead, moments.as_of)


def test_export_may_have_any_zone_order_and_repeats(export: Any, tmp_path: Path) -> None:
    pipeline, moments, expected = features_of(export, tmp_path, lambda i, at: at.isoformat())
    assert len(moments) == 240
    assert set(np.unique(moments.lead, return_counts=True)[1]) == {3}
    assert {"call", "mail", "visit"} == set(pipeline.activities.types)
    used = dict(zip(pipeline.names, expected.T, strict=True))
    for name in ("activity.count", "activity[call].count_1d", "stage.days_in", "asked_at.age_days"):
        assert len(np.unique(used[name])) > 3
    zones = [ZoneInfo(zone) for zone in ZONES]
    mixed = lambda i, at: at.astimezone(zones[i % len(zones)]).isoformat()  # noqa: E731
    again = {name: rows.sample(frac=1, random_state=3) for name, rows in export.items()}
    late = again["activities"].head(50).assign(occurred_at=lambda a: a["occurred_at"] + 1)
    again["activities"] = pd.concat([late, again["activities"]])
    for known_as, told in (("mixed", export), ("again", again)):
        computed = features_of(told, tmp_path, mixed, known_as=known_as)
        assert computed[0] == pipeline
        same(computed[2], expected)
    dateless = {
        name: rows.drop(columns="asked_at", errors="ignore") for name, rows in export.items()
    }
    plain = features_of(dateless, tmp_path, lambda i, at: at.isoformat(), known_as="dateless")
    tokyo = lambda i, at: at.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%Y-%m-%d %H:%M:%S.%f")  # noqa: E731
    there = features_of(dateless, tmp_path, tokyo, "Asia/Tokyo", "tokyo")
    same(there[2], plain[2])


def test_fit_ignores_events_after_the_moments(export: Any, tmp_path: Path) -> None:
    later = pd.DataFrame(
        {
            "lead_id": export["leads"]["lead_id"],
            "occurred_at": export["leads"]["created_at"] + 5 * DAY,
            "type": "invoice",
            "channel": "post",
        }
    )
    entered = later.rename(columns={"occurred_at": "entered_at", "type": "stage"})
    told = {
        **export,
        "activities": pd.concat([export["activities"], later]),
        "stages": pd.concat([export["stages"], entered.drop(columns="channel")]),
    }
    write = lambda i, at: at.isoformat()  # noqa: E731
    plain, _, expected = features_of(export, tmp_path, write, known_as="plain")
    computed, _, matrix = features_of(told, tmp_path, write, known_as="later")
    assert computed == plain
    same(matrix, expected)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("crm")
    simulate(Simulation(leads=1_000, activities_per_lead=8, seed=1), folder)
    text = (folder / "leadscore.toml").read_text()
    changed = text.replace("moments_days = [0, 7, 30]", "moments_days = [0, 7.5, 21]")
    assert changed != text
    (folder / "leadscore.toml").write_text(changed)
    return load_project(folder)


@pytest.fixture(scope="module")
def crm(project: Project) -> Records:
    return read_records(project)


@pytest.fixture(scope="module")
def scorer(project: Project, crm: Any) -> LeadScorer:
    """A model that learned from leads at several ages, so that their history counts."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return train(project, crm, now=now).scorer


def test_request_equals_the_table(scorer: Any, crm: Any) -> None:
    records, leads = crm, crm.leads.iloc[-150:]
    as_of = records.observed_until - pd.Timedelta(days=20)
    table = scorer.score_table(
        leads,
        activities=records.activities,
        stages=records.stages,
        as_of=as_of.tz_convert("Asia/Tokyo"),
    )
    histories = {
        name: dict(list(events.groupby("lead_id")))
        for name, events in (("activities", records.activities), ("stages", records.stages))
    }

    def sent(name: str, lead_id: str, time: str) -> list[dict[str, Any]]:
        if lead_id not in histories[name]:
            return []
        rows = histories[name][lead_id].astype(object).to_dict("records")
        return [{**row, time: cell_time(row[time])} for row in rows]

    requests = [
        LeadCells(
            lead,
            cell_time(lead["created_at"]),
            sent("activities", lead["lead_id"], "occurred_at"),
            sent("stages", lead["lead_id"], "entered_at"),
        )
        for lead in leads.astype(object).to_dict("records")
    ]
    assert sum(len(lead.activities) for lead in requests) > 100
    assert sum(len(lead.stages) for lead in requests) > 100
    scores = scorer.score_leads(requests, cell_time(as_of))
    assert [score.probability for score in scores] == table["probability"].tolist()
    assert [score.lead_id for score in scores] == leads["lead_id"].tolist()
    alone = [scorer.score_leads([lead], cell_time(as_of))[0] for lead in requests[:40]]
    assert alone == scores[:40]
    bare = scorer.score_table(leads, as_of=as_of)["probability"]
    assert (bare.to_numpy() != table["probability"].to_numpy()).mean() > 0.5


def test_table_without_ids_has_no_history(scorer: Any, crm: Any) -> None:
    records, as_of = crm, crm.observed_until
    leads = records.leads.tail(50).drop(columns="lead_id")
    numbered = records.activities.assign(
        lead_id=[str(i % 50) for i in range(len(records.activities))]
    )
    computed = scorer.score_table(leads, activities=numbered, as_of=as_of)
    pd.testing.assert_frame_equal(computed, scorer.score_table(leads, as_of=as_of))
    named = leads.assign(lead_id=[str(i) for i in range(50)])
    told = scorer.score_table(named, activities=numbered, as_of=as_of)
    assert (told["probability"] != computed["probability"]).any()
