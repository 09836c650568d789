"""Features of activities: counts, recency, pace and variety.

The events are arrays sorted by lead and time. They are read in blocks of leads, so that memory
stays bounded. One lead in a request is a block of one: the service runs the same lines as a
training on millions of leads.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Codes, Floats, Indexes, Ints
from crm.cells import cell_text, text_column
from crm.event_arrays import EventArrays
from crm.times import DAY, HOUR, NOT_A_TIME
from crm.totals import ActivityTotals
from features.events import NEVER, blocks, since
from features.feature import Feature, braced, shortened

WINDOWS_DAYS = (90, 30, 7, 1)  # in descending order: every window is inside the one before it
PACE_DAYS = (7, 30)
MAX_TYPES = 24
MAX_CHANNELS = 8
MIN_LEADS_PER_VALUE = 20


def signal_of_type(activity_type: str) -> str:
    """Return the name of the signal of a type of activity."""
    return f"activity: {activity_type}"


@dataclass(frozen=True)
class ActivityLog:
    """Activities as arrays, sorted by lead and, within a lead, by time.

    Attributes
    ----------
    lead : ndarray of int64, shape (n,)
        The position of the lead.
    at : ndarray of int64, shape (n,)
        The time in microseconds since 1970 UTC.
    type, channel : ndarray of int64 or int32, shape (n,)
        Codes of `ActivityFeatures`; the last code means every other value.
    content : ndarray of int64 or int32, shape (n,)
        The same number for the same content; -1 if there is none.
    """

    lead: Ints
    at: Ints
    type: Ints | Codes
    channel: Ints | Codes
    content: Ints | Codes

    def __len__(self) -> int:
        return len(self.lead)

    def take(self, lead: Ints, rows: Indexes) -> "ActivityLog":
        """Return some activities, with other positions of their leads."""
        return ActivityLog(
            lead, self.at[rows], self.type[rows], self.channel[rows], self.content[rows]
        )


NOTHING_DONE = ActivityLog(*np.empty((5, 0), dtype=np.int64))
NO_TOTALS: Mapping[int, ActivityTotals] = {}


@dataclass(frozen=True)
class ActivityFeatures:
    """Features of activities, fitted to the types and channels that a CRM uses.

    Attributes
    ----------
    types : tuple of str
        Types with features of their own, the most common first; other types count in totals only.
    channels : tuple of str
        Channels with a share of their own.
    """

    types: tuple[str, ...]
    channels: tuple[str, ...]

    @cached_property
    def features(self) -> list[Feature]:
        """The descriptions of the columns that `compute` returns, in their order."""
        features = []
        for activity_type in (None, *self.types):
            stem = "activity" if activity_type is None else f"activity[{activity_type}]"
            signal = "activities" if activity_type is None else signal_of_type(activity_type)
            what = (
                "activities: {value}"
                if activity_type is None
                else f'{{value}} × "{braced(activity_type)}"'
            )
            quoted = "activity" if activity_type is None else f'"{braced(activity_type)}"'
            number = (
                "activities" if activity_type is None else f'number of "{shortened(activity_type)}"'
            )
            event = "activity" if activity_type is None else f'"{shortened(activity_type)}"'
            column = "occurred_at" if activity_type is None else "type, occurred_at"
            never = (
                "no activity yet"
                if activity_type is None
                else f'no "{shortened(activity_type)}" yet'
            )
            features.append(
                Feature(
                    name=f"{stem}.count",
                    table="activities",
                    column=column,
                    unit="count",
                    sentence=what,
                    absent=never,
                    signal=signal,
                    measure=number,
                )
            )
            features += [
                Feature(
                    name=f"{stem}.count_{days}d",
                    table="activities",
                    column=column,
                    unit="count",
                    sentence=f"{what} in the last {_days(days)}",
                    window_days=days,
                    absent=f"{never.removesuffix(' yet')} in the last {_days(days)}",
                    signal=signal,
                    measure=f"{number} in the last {_days(days)}",
                )
                for days in WINDOWS_DAYS
            ]
            features += [
                Feature(
                    name=f"{stem}.days_since_{end}",
                    table="activities",
                    column=column,
                    unit="days",
                    sentence=f"{end} {quoted} {{value}} ago",
                    absent=never,
                    signal=signal,
                    measure=f"time since {end} {event}",
                )
                for end in ("last", "first")
            ]
        features += [
            Feature(
                name="activity.contents_count",
                table="activities",
                column="content",
                unit="count",
                sentence="different contents seen: {value}",
                absent="no content seen yet",
                signal="activities",
                measure="different contents seen",
            ),
            Feature(
                name="activity.active_days_count",
                table="activities",
                column="occurred_at",
                unit="count",
                sentence="days with an activity: {value}",
                absent="no activity yet",
                signal="activities",
                measure="days with an activity",
            ),
            Feature(
                name="activity.pace_7d_to_30d",
                table="activities",
                column="occurred_at",
                unit="ratio",
                sentence="{value} times the usual pace in the last 7 days",
                window_days=30,
                absent="no activity in the last 30 days",
                signal="activities",
                measure="pace, as a multiple of the usual, in the last 7 days",
            ),
            Feature(
                name="activity.first_response_hours",
                table="activities",
                column="occurred_at",
                unit="hours",
                sentence="first activity {value} after creation",
                absent="no activity yet",
                signal="activities",
                measure="time from creation to first activity",
            ),
        ]
        features += [
            Feature(
                name=f"activity.channel[{channel}].share",
                table="activities",
                column="channel",
                unit="share",
                sentence=f'{{value}} of activities by "{braced(channel)}"',
                absent=f'no activity by "{shortened(channel)}" yet',
                signal="channels of activities",
                measure=f'share of activities by "{shortened(channel)}"',
            )
            for channel in self.channels
        ]
        return features

    def compute(
        self,
        log: ActivityLog,
        lead: Ints,
        as_of: Ints,
        created: Ints,
        totals: Mapping[int, ActivityTotals] = NO_TOTALS,
        out: Floats | None = None,
    ) -> Floats:
        """Compute the features of moments.

        An activity counts at a moment if it occurred at or before the moment, and counts in a
        window of d days if it occurred after `as_of - d`. If there are no activities, counts
        and shares are 0, and times since an activity are nan.

        Parameters
        ----------
        log : ActivityLog
        lead : ndarray of int64, shape (n,)
            The position of each moment's lead, as in `log.lead`. A lead may have several moments.
        as_of : ndarray of int64, shape (n,)
            Microseconds since 1970 UTC.
        created : ndarray of int64, shape (n,)
            The creation of each moment's lead; `NOT_A_TIME` if it is not known.
        totals : mapping of int to ActivityTotals
            Activities that count besides those of the log, by the position of their lead.
        out : ndarray of float64, shape (n, len(features)), optional
            The array to write to, and to return; without it a new one.

        Returns
        -------
        ndarray of float64, shape (n, len(features))

        Raises
        ------
        ValueError
            If totals are of another moment or another time of creation.

        Examples
        --------
        >>> day = DAY
        >>> features = ActivityFeatures(types=("call",), channels=())
        >>> log = features.log_of_cells([[{"type": "call", "occurred_at": 3 * day}]])
        >>> values = features.compute(log, np.array([0]), np.array([5 * day]), np.array([0]))
        >>> row = dict(zip([f.name for f in features.features], values[0].tolist()))
        >>> row["activity[call].count_7d"], row["activity[call].days_since_last"]
        (1.0, 2.0)
        """
        values = np.empty((len(lead), len(self.features))) if out is None else out
        if len(log) == 0 and not totals:
            values[:] = self._of_nothing
            return values
        for rows, events in blocks(log.lead, lead):
            values[rows] = self._block(log, events, lead[rows], as_of[rows], created[rows], totals)
        return values

    @cached_property
    def _of_nothing(self) -> Floats:
        """The features of a lead without activities, at any moment; shape (1, n_features)."""
        zero = np.zeros(1, dtype=np.int64)
        return self._block(NOTHING_DONE, slice(0, 0), zero, zero, zero, NO_TOTALS)

    def _block(
        self,
        log: ActivityLog,
        events: slice,
        lead: Ints,
        as_of: Ints,
        created: Ints,
        totals: Mapping[int, ActivityTotals],
    ) -> Floats:
        """Compute the features of one moment for each lead; leads are in ascending order."""
        n, n_types = len(lead), len(self.types) + 1
        of_event = np.searchsorted(lead, log.lead[events])
        of_event = np.minimum(of_event, n - 1)
        at = log.at[events]
        is_seen = (at <= as_of[of_event]) & (lead[of_event] == log.lead[events])
        of_event, at = of_event[is_seen], at[is_seen]
        age = as_of[of_event] - at
        code = of_event * n_types + log.type[events][is_seen]

        first, last = np.full(n * n_types, NEVER), np.full(n * n_types, NOT_A_TIME)
        last[code] = at  # the last of equal codes stays, and events are in order of time
        first[code[::-1]] = at[::-1]
        first_by_type, last_by_type = first.reshape(n, n_types), last.reshape(n, n_types)

        counts = [np.bincount(code, minlength=n * n_types).reshape(n, n_types)]
        for days in WINDOWS_DAYS:
            inside = age < days * DAY
            code, age = code[inside], age[inside]
            counts.append(np.bincount(code, minlength=n * n_types).reshape(n, n_types))
        n_contents = np.bincount(of_event[_first_of_content(log, events, is_seen)], minlength=n)
        n_days = np.bincount(of_event[_first_of_day(of_event, at)], minlength=n)
        responded = self._first_since_creation(of_event, at, created)
        n_channels = len(self.channels) + 1
        by_channel = np.bincount(
            of_event * n_channels + log.channel[events][is_seen], minlength=n * n_channels
        ).reshape(n, n_channels)

        for row, total in _of_rows(totals, lead, as_of, created):
            for group in total.groups:
                of_type = _code(group.type, self._type_codes)
                first_by_type[row, of_type] = min(first_by_type[row, of_type], group.first)
                last_by_type[row, of_type] = max(last_by_type[row, of_type], group.last)
                for count, n_of_group in zip(counts, group.counts, strict=True):
                    count[row, of_type] += n_of_group
                by_channel[row, _code(group.channel, self._channel_codes)] += group.counts[0]
            n_contents[row] += total.n_contents
            n_days[row] += total.n_days
            if total.first_since_creation is not None:
                responded[row] = min(responded[row], total.first_since_creation)

        first_of_all, last_of_all = first_by_type.min(axis=1), last_by_type.max(axis=1)
        sums = [count.sum(axis=1) for count in counts]
        of_types = np.empty(
            (n, n_types, len(counts) + 2)
        )  # all activities, then one type after another
        for i, (of_all, count) in enumerate(zip(sums, counts, strict=True)):
            of_types[:, 0, i], of_types[:, 1:, i] = of_all, count[:, :-1]
        for i, (all_at, type_at) in enumerate(
            ((last_of_all, last_by_type), (first_of_all, first_by_type)), start=len(counts)
        ):
            of_types[:, 0, i] = since(as_of, all_at, DAY)
            of_types[:, 1:, i] = since(as_of[:, None], type_at[:, :-1], DAY)
        by_window = dict(zip((None, *WINDOWS_DAYS), sums, strict=True))
        short, long = (by_window[days] for days in PACE_DAYS)
        columns: list[Any] = [
            of_types.reshape(n, -1),
            n_contents,
            n_days,
            np.divide(
                short * PACE_DAYS[1], long * PACE_DAYS[0], out=np.full(n, np.nan), where=long > 0
            ),
            -since(created, responded, HOUR),
            *(by_channel / np.maximum(sums[0], 1)[:, None]).T[:-1],
        ]
        return np.column_stack(columns)

    def _first_since_creation(self, of_event: Ints, at: Ints, created: Ints) -> Ints:
        after = (at >= created[of_event]) & (created[of_event] != NOT_A_TIME)
        first = np.full(len(created), NEVER)
        first[of_event[after][::-1]] = at[after][::-1]
        return first

    def log_of_events(self, events: EventArrays) -> ActivityLog:
        """Return the log of activities; only the codes depend on what was fitted.

        Examples
        --------
        >>> times = pd.to_datetime([0, 1], utc=True)
        >>> table = pd.DataFrame({"type": ["call", "chat"], "occurred_at": times})
        >>> events = EventArrays.of_table(table, "activities", np.array([0, 0]))
        >>> ActivityFeatures(types=("Call",), channels=()).log_of_events(events).type.tolist()
        [0, 1]
        """
        return ActivityLog(
            lead=events.lead,
            at=events.at,
            type=_codes(events, "type", self._type_codes),
            channel=_codes(events, "channel", self._channel_codes),
            content=events.codes("content"),
        )

    def log_of_cells(self, activities: Sequence[Sequence[Mapping[str, Any]]]) -> ActivityLog:
        """Convert the activities of leads, as a caller sends them, to arrays.

        Parameters
        ----------
        activities : sequence of sequence of mapping
            The activities of each lead: `type`, `occurred_at` (microseconds since 1970 UTC),
            and optionally `channel`, `content`, `activity_id`. If activities of one lead have
            the same id, only the earliest counts.

        Returns
        -------
        ActivityLog
        """
        if not any(activities):
            return NOTHING_DONE
        contents: dict[str, int] = {}
        rows = []
        for lead, events in enumerate(activities):
            ids: set[str] = set()
            for event in sorted(events, key=lambda event: event["occurred_at"]):
                name = cell_text(event.get("activity_id"))
                if name is not None and name in ids:
                    continue
                if name is not None:
                    ids.add(name)
                content = cell_text(event.get("content"))
                rows.append(
                    (
                        lead,
                        event["occurred_at"],
                        _code(event["type"], self._type_codes),
                        _code(event.get("channel"), self._channel_codes),
                        -1 if content is None else contents.setdefault(content, len(contents)),
                    )
                )
        table = np.array(rows, dtype=np.int64).reshape(len(rows), 5)
        table = table[np.lexsort((table[:, 1], table[:, 0]))]
        return ActivityLog(*table.T)

    @cached_property
    def _type_codes(self) -> dict[str, int]:
        return {name.casefold(): code for code, name in enumerate(self.types)}

    @cached_property
    def _channel_codes(self) -> dict[str, int]:
        return {channel.casefold(): code for code, channel in enumerate(self.channels)}


def fit_activities(activities: pd.DataFrame) -> ActivityFeatures:
    """Fit the types and channels that a CRM uses, from the activities of training leads.

    Parameters
    ----------
    activities : DataFrame
        As `crm.reading` returns it: only of training leads, and up to their last moment.

    Returns
    -------
    ActivityFeatures
    """
    return ActivityFeatures(
        types=_common(activities, "type", MAX_TYPES),
        channels=_common(activities, "channel", MAX_CHANNELS),
    )


def _common(activities: pd.DataFrame, column: str, at_most: int) -> tuple[str, ...]:
    """Return the values that enough leads have, the most common first, in their usual spelling."""
    if column not in activities:
        return ()
    text = pd.Series(text_column(activities[column]), index=activities.index, dtype=object)
    used = pd.DataFrame({"lead": activities["lead_id"], "value": text}).dropna()
    used["folded"] = used["value"].str.casefold()
    leads = used.drop_duplicates(["lead", "folded"])["folded"].value_counts()
    spelling = used.groupby("folded")["value"].agg(lambda values: values.mode().iloc[0])
    chosen = sorted(
        leads[leads >= MIN_LEADS_PER_VALUE].items(), key=lambda item: (-item[1], item[0])
    )
    usual = spelling.to_dict()
    return tuple(str(usual[value]) for value, _ in chosen[:at_most])


def _days(days: int) -> str:
    return "day" if days == 1 else f"{days} days"


def _of_rows(
    totals: Mapping[int, ActivityTotals], lead: Ints, as_of: Ints, created: Ints
) -> Iterator[tuple[int, ActivityTotals]]:
    """Yield the totals of the leads of a block, each with the row of its moment."""
    for position, total in totals.items():
        for row in np.flatnonzero(lead == position).tolist():
            if (total.as_of, total.created_at) != (as_of[row], created[row]):
                raise ValueError(
                    "the totals of a lead are of another moment or another time of creation"
                )
            yield row, total


def _first_of_content(log: ActivityLog, events: slice, is_seen: Bools) -> Ints:
    """Return the positions of the seen events that are the first of a lead with their content."""
    content, lead = log.content[events][is_seen], log.lead[events][is_seen]
    has_content = np.flatnonzero(content >= 0)
    if len(has_content) == 0:
        return has_content
    lead = lead - lead[0]
    key = lead[has_content] * (int(content.max()) + 1) + content[has_content]
    _, first = np.unique(key, return_index=True)
    return has_content[first]


def _first_of_day(of_event: Ints, at: Ints) -> Bools:
    """Return which events are the first of their lead on a day in UTC."""
    day = at // DAY
    is_first = np.ones(len(at), dtype=bool)
    is_first[1:] = (of_event[1:] != of_event[:-1]) | (day[1:] != day[:-1])
    return is_first


def _codes(events: EventArrays, column: str, codes: Mapping[str, int]) -> Codes:
    code_of_text = [_code(text, codes) for text in events.distinct_texts(column)]
    return np.array([*code_of_text, len(codes)], dtype=np.int32)[events.codes(column)]


def _code(cell: Any, codes: Mapping[str, int]) -> int:
    text = cell_text(cell)
    return len(codes) if text is None else codes.get(text.casefold(), len(codes))
