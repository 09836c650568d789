"""Activities and stages of leads up to a moment, as arrays."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from crm.arrays import Bools, Codes, Ints
from crm.errors import ConfigError
from crm.lead_ids import places
from crm.project import Project
from crm.records import Records
from crm.suggest import nearest
from crm.times import microseconds
from features.attributes.attribute import usual_spellings
from features.events import NEVER
from features.stages import StageFeatures, StageLog, fit_stages

ENDING = 0.95  # of a stage's entries are at the closing: the stage is the outcome itself
CLOSE = 60_000_000  # microseconds: two times that are the same in practice
MOST_NAMES_IN_A_MESSAGE = 12


@dataclass(frozen=True)
class Log:
    """Activities up to the moment, sorted by lead and, within a lead, by time.

    Attributes
    ----------
    lead : ndarray of int32, shape (n,)
        Rows of the report.
    at : ndarray of int64, shape (n,)
        Microseconds since 1970 UTC.
    type, content, channel : ndarray of int32, shape (n,)
        Positions in `types`, `contents` and `channels`; -1 for none.
    types, contents, channels : tuple of str
        The names in the CRM.
    """

    lead: Codes
    at: Ints
    type: Codes
    content: Codes
    channel: Codes
    types: tuple[str, ...]
    contents: tuple[str, ...]
    channels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.lead)

    def of(self, lead: Ints, n: int) -> "Log":
        """Return the activities of some of n leads, whose positions ascend."""
        position = np.full(n, -1, dtype=np.int32)
        position[lead] = np.arange(len(lead))
        kept = position[self.lead] >= 0
        return replace(
            self,
            lead=position[self.lead[kept]],
            at=self.at[kept],
            type=self.type[kept],
            content=self.content[kept],
            channel=self.channel[kept],
        )

    def counts(self, n: int) -> Ints:
        """Return the number of activities of each of n leads, shape (n,)."""
        return np.bincount(self.lead, minlength=n).astype(np.int64)

    def first_at(self, n: int) -> Ints:
        """Return the time of the first activity of n leads, shape (n,); `NEVER` without one."""
        first = np.full(n, NEVER)
        begins = np.flatnonzero(np.diff(self.lead, prepend=-1))
        first[self.lead[begins]] = self.at[begins]
        return first

    def last_at(self, n: int) -> Ints:
        """Return the time of the last activity of n leads, shape (n,); `NEVER` without one."""
        last = np.full(n, NEVER)
        ends = np.flatnonzero(np.diff(self.lead, append=-1))
        last[self.lead[ends]] = self.at[ends]
        return last


@dataclass(frozen=True)
class Funnel:
    """The stages that leads entered.

    Attributes
    ----------
    stages : tuple of str
        In the order of the funnel, without the stages that are the outcome itself.
    entered : ndarray of int64, shape (n_leads, n_stages)
        The time at which each lead first entered each stage, in microseconds; `NEVER` if it did
        not.
    endings : tuple of str
        Stages that are the outcome itself, such as "won".
    """

    stages: tuple[str, ...]
    entered: Ints
    endings: tuple[str, ...] = ()

    @cached_property
    def reached(self) -> Ints:
        """The time of each lead's first entry to each stage or a later one, as `entered`."""
        return np.minimum.accumulate(self.entered[:, ::-1], axis=1)[:, ::-1]

    @cached_property
    def furthest(self) -> Ints:
        """The furthest stage of each lead, shape (n_leads,); -1 if it entered none."""
        return (self.reached != NEVER).sum(axis=1) - 1

    @cached_property
    def current(self) -> Ints:
        """The stage that each lead entered last, shape (n_leads,); -1 if it entered none."""
        at = np.where(self.entered == NEVER, -1, self.entered)
        latest = at.shape[1] - 1 - np.argmax(at[:, ::-1], axis=1)
        return np.where(at.max(axis=1, initial=-1) < 0, -1, latest)

    def place(self, stage: str) -> int:
        """Return the position of a stage that the project file names.

        Raises
        ------
        ConfigError
            If there is no such stage.
        """
        folded = [name.casefold() for name in self.stages]
        if stage.casefold() not in folded:
            raise ConfigError(
                f"[report] qualified_stage: there is no stage `{stage}`. "
                f"{nearest(stage, self.stages[:MOST_NAMES_IN_A_MESSAGE])}"
            )
        return folded.index(stage.casefold())


def read_log(activities: pd.DataFrame | None, leads: pd.Index, as_of: int) -> Log | None:
    """Convert the activities of leads to arrays.

    Parameters
    ----------
    activities : DataFrame or None
        As `crm.reading` returns it.
    leads : Index of str, shape (n_leads,)
        Ids, in the order of the rows.
    as_of : int
        Microseconds; later activities do not count.

    Returns
    -------
    Log or None
        None without activities.
    """
    if activities is None or activities.empty:
        return None
    lead = places(activities["lead_id"], leads).astype(np.int32)
    at = microseconds(activities["occurred_at"])
    past = np.flatnonzero((lead >= 0) & (at <= as_of))
    order = past[np.argsort(lead[past], kind="stable")]  # those of one lead are in time order
    columns: dict[str, tuple[Codes, tuple[str, ...]]] = {}
    for name in ("type", "content", "channel"):
        if name in activities:
            code, names = _names(activities[name])
            columns[name] = code[order], names
        else:
            columns[name] = np.full(len(order), -1, dtype=np.int32), ()
    return Log(
        lead=lead[order],
        at=at[order],
        type=columns["type"][0],
        content=columns["content"][0],
        channel=columns["channel"][0],
        types=columns["type"][1],
        contents=columns["content"][1],
        channels=columns["channel"][1],
    )


def _names(column: pd.Series) -> tuple[Codes, tuple[str, ...]]:
    """Return the position of each cell's name, -1 for none, and the names as most cells have them.

    Names that differ in case only are one name.
    """
    code, cells = pd.factorize(column, use_na_sentinel=True)
    counts = np.bincount(code[code >= 0], minlength=len(cells))
    name_of_cell, names = pd.factorize(usual_spellings(list(map(str, cells)), counts))
    return np.append(name_of_cell, -1)[code].astype(np.int32), tuple(map(str, names))


def read_funnel(
    records: Records,
    log: Log | None,
    project: Project,
    leads: pd.Index,
    closed: tuple[Ints, Ints],
    as_of: int,
) -> Funnel | None:
    """Read the funnel, and the time at which each lead entered each of its stages.

    The stages are those of the stages table, else the activities that the project names as stages,
    in that order. Nothing is inferred from other activities. A stage is the outcome itself, not a
    step on the way to it, if nearly all of its entries are at the closing.

    Parameters
    ----------
    records : Records
    log : Log or None
    project : Project
    leads : Index of str, shape (n_leads,)
    closed : tuple of two ndarrays of int64, shape (n_leads,)
        The first and the last moment at which each lead may have closed; `NEVER` if it has not.
    as_of : int

    Returns
    -------
    Funnel or None
        None if there are no stages.

    Raises
    ------
    ConfigError
        If the project names activities as stages that do not occur.
    """
    events = records.stage_events
    if records.stages is not None and events is not None and len(events.at):
        at = microseconds(records.stages["entered_at"])
        table = records.stages if (at <= as_of).all() else records.stages[at <= as_of]
        fitted = fit_stages(table)
        entries = fitted.log_of_events(events)
    elif project.report.stage_activities and log is not None:
        fitted, entries = _stages_of_activities(log, project.report.stage_activities)
    else:
        return None
    is_past = entries.at <= as_of
    lead, at = entries.lead[is_past], entries.at[is_past]
    stage = entries.stage[is_past] - 2
    steps: list[int] = []
    endings: list[int] = []
    for code in range(len(fitted.stages)):
        entry = stage == code
        first, last = (moments[lead[entry]] for moments in closed)
        if _is_ending(at[entry], first, last):
            endings.append(code)
        else:
            steps.append(code)
    entered = np.full((len(leads), len(steps)), NEVER)
    for column, code in enumerate(steps):
        entry = np.flatnonzero(stage == code)  # those of one lead are in time order
        first = entry[np.flatnonzero(np.diff(lead[entry], prepend=-1))]
        entered[lead[first], column] = at[first]
    names = fitted.stages
    return Funnel(
        stages=tuple(names[code] for code in steps),
        entered=entered,
        endings=tuple(names[code] for code in endings),
    )


def is_at_closing(at: Ints, closed: Ints, closed_by: Ints) -> Bools:
    """Return which times are at a closing, shape (n,).

    Parameters
    ----------
    at : ndarray of int64, shape (n,)
    closed, closed_by : ndarray of int64, shape (n,)
        The first and the last moment at which the lead of each time may have closed.

    Examples
    --------
    >>> is_at_closing(np.array([5, 2 * CLOSE]), np.array([0, 0]), np.array([9, 9])).tolist()
    [True, False]
    """
    return np.asarray((at >= closed - CLOSE) & (at - CLOSE <= closed_by), dtype=bool)


def _is_ending(entered: Ints, closed: Ints, closed_by: Ints) -> bool:
    """Return True if nearly all entries of a stage are at the closing of their lead."""
    is_closed = closed != NEVER
    at_closing = is_at_closing(entered[is_closed], closed[is_closed], closed_by[is_closed])
    return bool(is_closed.any() and is_closed.mean() >= ENDING and at_closing.mean() >= ENDING)


def _stages_of_activities(log: Log, wanted: list[str]) -> tuple[StageFeatures, StageLog]:
    """Read the stages from the activities whose types the project names as stages."""
    code = {name.casefold(): i for i, name in enumerate(log.types)}
    absent = [name for name in wanted if name.casefold() not in code]
    if absent:
        raise ConfigError(
            f"[report] stage_activities: there is no activity of type `{absent[0]}`. "
            f"{nearest(absent[0], log.types)}"
        )
    stage_of_type = np.full(len(log.types), -1)
    for i, name in enumerate(wanted):
        stage_of_type[code[name.casefold()]] = i + 2
    names = tuple(log.types[code[name.casefold()]] for name in wanted)
    stage = stage_of_type[log.type]
    entry = np.flatnonzero(stage >= 0)
    entries = StageLog(log.lead[entry].astype(np.int64), log.at[entry], stage[entry])
    return StageFeatures(names), entries
