"""Plays a simulated CRM day by day: what it would send to the service on each day."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Ints
from crm.errors import ConfigError
from crm.simulation.drawing import chunks
from crm.simulation.drift import check_day, midnight
from crm.simulation.world import Simulation
from crm.times import SECONDS_PER_DAY

_KNOWN_LATER = "contract_type"
_Record = dict[str, Any]


@dataclass(frozen=True)
class SimulatedDay:
    """The records that became known on one day. Each list is in the order of time.

    A missing value is None, and times are ISO 8601 in UTC. `/score`, `/activities`, `/stages` and
    `/outcomes` take at most 1,000 records in one call.

    Parameters
    ----------
    day : date
        From midnight UTC to midnight UTC.
    new_leads : list of dict
        The leads created on this day, for `leads` of `/score`: `lead_id`, `created_at` and
        `attributes`, without the planted leak `contract_type`, which no CRM knows at creation.
    changed_leads : list of dict
        The leads closed on this day whose `contract_type` was filled in, with all attributes.
    activities : list of dict
        For `/activities`. A page view before the creation of its lead becomes known with the lead.
        A few are sent twice, as the table contains them twice.
    stages : list of dict
        For `/stages`, with a `stage_id`.
    outcomes : list of dict
        For `/outcomes`, with an `outcome_id`.
    truth : dict of str to float
        The true probability of each new lead, which no CRM knows. Never send it.
    """

    day: date
    new_leads: list[_Record]
    changed_leads: list[_Record]
    activities: list[_Record]
    stages: list[_Record]
    outcomes: list[_Record]
    truth: dict[str, float]


def days(
    settings: Simulation, first: str | date | None = None, last: str | date | None = None
) -> Iterator[SimulatedDay]:
    """Yield each day of a simulation, also days on which nothing happens.

    All days together contain what `simulate` writes for the same settings. Only what happens after
    the day that is yielded is kept in memory.

    Parameters
    ----------
    settings : Simulation
    first, last : date or str, optional
        The first and the last day, both included; a string is ISO. Without them, those of the
        window in which leads are created.

    Raises
    ------
    ConfigError
        If one of them is not a day of the window, or `last` is before `first`.

    Examples
    --------
    >>> settings = Simulation(leads=500, days=200)
    >>> (monday,) = days(settings, "2024-03-04", "2024-03-04")
    >>> monday.new_leads[0]["created_at"], monday.new_leads[0]["attributes"]["source"]
    ('2024-03-04T00:31:34Z', 'Partner')
    """
    ends = {"first": settings.opens_at, "last": settings.as_of - timedelta(days=1)}
    numbers = {}
    for name, day in (("first", first), ("last", last)):
        begins_at = ends[name] if day is None else _day_of_window(day, name, ends)
        numbers[name] = (begins_at - settings.opens_at).days
    if numbers["last"] < numbers["first"]:
        raise ConfigError(
            f"`last` is {last} and before `first`, which is {first}. "
            "Expected the same day or a later one. Exchange them."
        )
    return _days(settings, numbers["first"], numbers["last"])


def _day_of_window(day: str | date, name: str, ends: dict[str, datetime]) -> datetime:
    check_day(day, f"`{name}`")
    begins_at = midnight(day)
    if not ends["first"] <= begins_at <= ends["last"]:
        raise ConfigError(
            f"`{name}` is {begins_at.date()}, outside the window. Expected a day from "
            f"{ends['first'].date()} to {ends['last'].date()}. Choose one."
        )
    return begins_at


def _days(settings: Simulation, first: int, last: int) -> Iterator[SimulatedDay]:
    """Yield days by their numbers; day 0 is the first of the window."""
    waiting: defaultdict[int, defaultdict[str, list[Any]]]
    waiting = defaultdict(lambda: defaultdict(list))
    opens = int(settings.opens_at.timestamp())
    due = first
    for done, tables in chunks(settings):
        for name, (table, known_at) in _when_known(tables).items():
            # What happens at the very moment of the export belongs to the last day.
            number = ((known_at - opens) // SECONDS_PER_DAY).clip(max=settings.days - 1)
            for day, rows in _by_day(table, number, known_at):
                if due <= day <= last:
                    waiting[day][name].append(rows)
        # Later chunks may have leads that are created on the day of the last lead.
        newest = (int(_seconds(tables["leads"]["created_at"])[-1]) - opens) // SECONDS_PER_DAY
        n_complete = settings.days if done == settings.leads else newest
        while due < n_complete and due <= last:
            yield _day(settings, due, waiting.pop(due, {}))
            due += 1
        if due > last:
            return


def _when_known(tables: dict[str, Any]) -> dict[str, tuple[Any, Ints]]:
    """Return the rows of each list of a day, and the seconds since 1970 at which each is known."""
    leads, outcomes = tables["leads"], tables["outcomes"]
    created = _seconds(leads["created_at"])

    def position(events: Any) -> Ints:
        return pc.index_in(events["lead_id"], value_set=leads["lead_id"]).to_numpy()

    def known(events: Any, time: str) -> Ints:
        return np.maximum(_seconds(events[time]), created[position(events)])

    is_filled = leads[_KNOWN_LATER].is_valid()
    closed = np.zeros(len(leads), np.int64)
    closed[position(outcomes)] = _seconds(outcomes["closed_at"])
    return {
        "new_leads": (leads.drop_columns([_KNOWN_LATER]), created),
        "changed_leads": (leads.filter(is_filled), closed[is_filled.to_numpy()]),
        "activities": (tables["activities"], known(tables["activities"], "occurred_at")),
        "stages": (tables["stages"], known(tables["stages"], "entered_at")),
        "outcomes": (outcomes, known(outcomes, "closed_at")),
        "truth": (tables["truth"], created),
    }


def _by_day(table: Any, number: Ints, known_at: Ints) -> Iterator[tuple[int, Any]]:
    """Yield the rows of each day, with the number of the day; `known_at` becomes a column."""
    order = np.argsort(number, kind="stable")
    table = table.append_column("known_at", pa.array(known_at)).take(pa.array(order))
    numbers, starts, counts = np.unique(number[order], return_index=True, return_counts=True)
    for day, start, count in zip(numbers, starts, counts, strict=True):
        yield int(day), table.slice(start, count)


def _day(settings: Simulation, number: int, rows: dict[str, list[Any]]) -> SimulatedDay:
    def records(name: str) -> list[_Record]:
        if name not in rows:
            return []
        return _records(pa.concat_tables(rows[name]).sort_by("known_at"))

    return SimulatedDay(
        day=(settings.opens_at + timedelta(days=number)).date(),
        new_leads=[_lead(record) for record in records("new_leads")],
        changed_leads=[_lead(record) for record in records("changed_leads")],
        activities=records("activities"),
        stages=[{**r, "stage_id": f"{r['lead_id']}-{r['stage']}"} for r in records("stages")],
        outcomes=[{**r, "outcome_id": f"{r['lead_id']}-end"} for r in records("outcomes")],
        truth={record["lead_id"]: record["true_probability"] for record in records("truth")},
    )


def _lead(record: _Record) -> _Record:
    attributes = dict(record)
    return {name: attributes.pop(name) for name in ("lead_id", "created_at")} | {
        "attributes": attributes
    }


def _records(table: Any) -> list[_Record]:
    table = table.drop_columns(["known_at"])
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            texts = pc.strftime(table[field.name], format="%Y-%m-%dT%H:%M:%SZ")
            table = table.set_column(position, field.name, texts)
    return table.to_pylist()


def _seconds(times: Any) -> Ints:
    return times.cast(pa.int64()).to_numpy()
