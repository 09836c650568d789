"""`FeaturePipeline`: the only path from records to a matrix, for one lead or ten million."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from crm.arrays import Floats, Ints
from crm.records import Records
from crm.times import DAY, HOUR, NOT_A_TIME, microseconds
from crm.totals import EventTotals
from features.activity import ActivityFeatures
from features.attributes.attribute import Attribute, LeftOut, WordAttribute
from features.attributes.kinds import KINDS
from features.attributes.target import TargetAttribute
from features.feature import Feature
from features.frame import feature_frame
from features.history import EventLogs, History
from features.interactions import KINDS as INTERACTION_KINDS
from features.interactions import AttributePair, ValueCount
from features.looked_up import CellOf, Lookup, ValuesOf
from features.stages import StageFeatures
from features.words import Words, no_words, read_words

GROWING = ("days", "hours", "count", "ratio")
MANY_LEADS = 12  # from this number on, reading by columns is faster than reading by leads
LEAD_TIMES = (
    Feature(
        name="lead.age_days",
        table="leads",
        column="created_at",
        unit="days",
        sentence="created {value} ago",
        absent="created at an unknown time",
        signal="age of the lead",
        measure="time since creation",
    ),
    Feature(
        name="lead.created_weekday",
        table="leads",
        column="created_at",
        unit="weekday",
        sentence="created on a {value}",
        absent="created at an unknown time",
        signal="age of the lead",
        measure="weekday of creation",
    ),
    Feature(
        name="lead.created_hour",
        table="leads",
        column="created_at",
        unit="number",
        sentence="created at {value}:00 UTC",
        absent="created at an unknown time",
        signal="age of the lead",
        measure="hour of creation, UTC",
    ),
)


@dataclass(frozen=True)
class FeaturePipeline:
    """The fitted state that turns leads at moments into rows of numbers.

    Attributes
    ----------
    attributes : tuple of Attribute
        The attributes, in the order of the matrix's columns.
    left_out : tuple of LeftOut
        The columns of the leads table that are not features, with reasons.
    has_times : bool
        True if the age of the lead is a feature.
    activities : ActivityFeatures or None
    stages : StageFeatures or None
    age_days : tuple of two floats, or None
        The ages of the youngest and the oldest lead among the training moments, in days; None
        without times, and in models that were saved without it.
    interactions : tuple of AttributePair or ValueCount
        Pairs of attributes and counts of values. Their features are the last columns of the
        matrix. None in models that were saved without them.
    """

    attributes: tuple[Attribute, ...]
    left_out: tuple[LeftOut, ...]
    has_times: bool = False
    activities: ActivityFeatures | None = None
    stages: StageFeatures | None = None
    age_days: tuple[float, float] | None = None
    interactions: tuple[AttributePair | ValueCount, ...] = ()

    def __repr__(self) -> str:
        tables = [name for name in ("activities", "stages") if getattr(self, name)]
        sources = ", ".join([f"{len(self.columns)} attributes", *tables])
        left_out = f"; {len(self.left_out)} columns left out" if self.left_out else ""
        return f"<FeaturePipeline: {len(self.features)} features of {sources}{left_out}>"

    @cached_property
    def features(self) -> list[Feature]:
        """The descriptions of the matrix's columns, in their order."""
        features = [attribute.feature for attribute in self.attributes]
        if self.has_times:
            features += LEAD_TIMES
        if self.activities:
            features += self.activities.features
        if self.stages:
            features += self.stages.features
        for interaction in self.interactions:
            features += interaction.features
        return features

    @cached_property
    def names(self) -> list[str]:
        """The features' names, in the order of the matrix's columns."""
        return [feature.name for feature in self.features]

    @cached_property
    def columns(self) -> list[str]:
        """The columns of the leads table that are read, without repetition."""
        return list(dict.fromkeys(attribute.column for attribute in self.attributes))

    @cached_property
    def categorical(self) -> list[int]:
        """The positions of the matrix's columns that contain category codes."""
        return [i for i, feature in enumerate(self.features) if feature.unit == "category"]

    @cached_property
    def of_interactions(self) -> list[int]:
        """The positions of the matrix's columns that belong to interactions."""
        n = sum(interaction.n_features for interaction in self.interactions)
        return list(range(len(self.features) - n, len(self.features)))

    @cached_property
    def growing(self) -> list[int]:
        """The positions of the matrix's columns that grow as time passes."""
        return [i for i, feature in enumerate(self.features) if feature.unit in GROWING]

    def transform(self, records: Records, lead: Ints, as_of: Ints) -> Floats:
        """Compute the features of moments.

        Parameters
        ----------
        records : Records
        lead : ndarray of int64, shape (n,)
            The position of each moment's lead in `records.leads`.
        as_of : ndarray of int64, shape (n,)
            Microseconds since 1970 UTC; `NOT_A_TIME` if the records have no times.

        Returns
        -------
        ndarray of float64, shape (n, n_features), Fortran order
            The features; nan if a number is missing.
        """
        created = (
            microseconds(records.leads["created_at"])
            if records.has_times
            else np.full(len(records.leads), NOT_A_TIME)
        )
        history = replace(self.no_history(0), position=records.lead_position, created_at=created)
        if self.activities and records.activity_events is not None:
            log = self.activities.log_of_events(records.activity_events)
            history = replace(history, activities=log)
        if self.stages and records.stage_events is not None:
            history = replace(history, stages=self.stages.log_of_events(records.stage_events))
        # The matrix is the largest array of a training. Each column is written in its place.
        values = np.empty((len(lead), len(self.features)), order="F")
        self._write_table(values, records.leads, lead)
        return self._complete(values, history, lead, as_of)

    def matrix(
        self, leads: pd.DataFrame, history: History | None = None, as_of: int | Ints = NOT_A_TIME
    ) -> Floats:
        """Compute the features of many leads, shape (n_leads, n_features).

        `as_of` is one time for all leads, or an array with the time of each. The cells of an
        absent column count as missing. Without a history the leads have no activities and stages.
        """
        lead = np.arange(len(leads))
        values = np.empty((len(leads), len(self.features)))
        self._write_table(values, leads, slice(None))
        return self._complete(values, history, lead, np.full(len(leads), as_of))

    def rows(
        self,
        leads: Sequence[Mapping[str, Any]],
        history: History | None = None,
        as_of: int | Ints = NOT_A_TIME,
    ) -> Floats:
        """Compute the features of leads as a caller sends them, equal to their rows of `matrix`.

        `as_of` is one time for all leads, or an array with the time of each.
        """
        values = np.empty((len(leads), len(self.features)))
        if 0 < len(leads) < MANY_LEADS:
            for row, lead in zip(values[:, : len(self.attributes)], leads, strict=True):
                row[:] = [read(lead.get(column)) for column, read in self._readers]
        else:
            for i, attribute in enumerate(self.attributes):
                values[:, i] = attribute.encode_cells(
                    [lead.get(attribute.column) for lead in leads]
                )
        if self.interactions:
            values[:, self.of_interactions] = self._interactions_of_cells(leads)
        lead_of_row = np.arange(len(leads))
        return self._complete(values, history, lead_of_row, np.full(len(leads), as_of))

    def to_frame(self, matrix: Floats, index: pd.Index | None = None) -> pd.DataFrame:
        """Return a matrix of this pipeline as a table, with words instead of category codes.

        `features.frame.feature_frame` describes the parameters and the table.
        """
        return feature_frame(self.features, matrix, index)

    def values_of(self, cell_of: CellOf) -> ValuesOf:
        """Return a function that reads the values by which a feature of a lead is looked up.

        It reads only what it is asked for, because few features become reasons.
        """
        return lambda row, feature: self._lookups[feature].values(row, cell_of)

    @cached_property
    def _lookups(self) -> dict[int, Lookup]:
        """The lookup of each feature that has one, by its position in the matrix."""
        lookups = {
            i: Lookup((attribute,), attribute.has_seen)
            for i, attribute in enumerate(self.attributes)
            if isinstance(attribute, TargetAttribute)
        }
        place = len(self.features) - sum(kind.n_features for kind in self.interactions)
        for interaction in self.interactions:
            read = tuple(self.word_attributes[column] for column in interaction.columns)
            for _ in range(interaction.n_features):
                lookups[place] = Lookup(read, interaction.has_seen)
                place += 1
        return lookups

    def words_of_table(self, leads: pd.DataFrame, columns: Iterable[str]) -> dict[str, Words]:
        """Read the words of columns that can be in interactions, as they are counted."""
        return {
            column: read_words(leads[column], self.word_attributes[column].word)
            if column in leads.columns
            else no_words(len(leads))
            for column in columns
        }

    @cached_property
    def word_attributes(self) -> dict[str, WordAttribute]:
        """The attributes that can be in interactions, by column."""
        return {
            attribute.column: attribute
            for attribute in self.attributes
            if isinstance(attribute, WordAttribute)
        }

    @cached_property
    def interaction_columns(self) -> list[str]:
        """The columns that interactions read, without repetition."""
        columns = (column for interaction in self.interactions for column in interaction.columns)
        return list(dict.fromkeys(columns))

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], float]]]:
        return [(attribute.column, attribute.encode) for attribute in self.attributes]

    @cached_property
    def _dependent_on_moment(self) -> list[tuple[int, Attribute]]:
        numbered = enumerate(self.attributes)
        return [(i, attribute) for i, attribute in numbered if attribute.depends_on_moment]

    @cached_property
    def sees_history(self) -> bool:
        """True if the history of a lead is used, and not only its attributes."""
        return self.has_times or bool(self.activities) or bool(self.stages)

    def no_history(self, n_leads: int) -> History:
        """Return the history of leads of which only attributes are known."""
        return self.history_of_cells([NOT_A_TIME] * n_leads, [()] * n_leads, [()] * n_leads)

    def event_logs(self, tables: Iterable[tuple[str, pd.DataFrame | None]]) -> EventLogs:
        """Convert the tables of events of many leads; `EventLogs` describes `tables`."""
        return EventLogs(self.activities, self.stages, tables)

    def history_of_cells(
        self,
        created_at: Sequence[int],
        activities: Sequence[Sequence[Mapping[str, Any]]],
        stages: Sequence[Sequence[Mapping[str, Any]]],
        totals: Mapping[int, EventTotals] | None = None,
    ) -> History:
        """Convert the history that a caller sends to arrays; times are microseconds.

        `totals` are those of further events, for leads that have too many to list, by position.
        """
        return History(
            np.arange(len(created_at)),
            np.array(created_at, dtype=np.int64),
            (self.activities or ActivityFeatures((), ())).log_of_cells(activities),
            (self.stages or StageFeatures(())).log_of_cells(stages),
            totals or {},
        )

    def _write_table(self, values: Floats, leads: pd.DataFrame, rows: Ints | slice) -> None:
        """Write the attributes and the interactions of the leads at `rows` into a matrix."""
        for i, attribute in enumerate(self.attributes):
            if attribute.column in leads.columns:
                values[:, i] = attribute.encode_column(leads[attribute.column])[rows]
            else:
                values[:, i] = attribute.encode(None)
        words = self.words_of_table(leads, self.interaction_columns)
        end = len(self.features) - len(self.of_interactions)
        for interaction in self.interactions:
            begin, end = end, end + interaction.n_features
            of_leads = interaction.of_words([words[column] for column in interaction.columns])
            values[:, begin:end] = of_leads[rows]

    def _interactions_of_cells(self, leads: Sequence[Mapping[str, Any]]) -> Floats:
        values = np.empty((len(leads), len(self.of_interactions)))
        for row, lead in zip(values, leads, strict=True):
            words = {column: word(lead.get(column)) for column, word in self._word_readers}
            row[:] = [
                value
                for interaction in self.interactions
                for value in interaction.row([words[column] for column in interaction.columns])
            ]
        return values

    @cached_property
    def _word_readers(self) -> list[tuple[str, Callable[[Any], str]]]:
        return [(column, self.word_attributes[column].word) for column in self.interaction_columns]

    def _complete(self, values: Floats, history: History | None, lead: Ints, as_of: Ints) -> Floats:
        """Write what depends on the moment into a matrix, shape (n, n_features), and return it.

        The attributes and the interactions are already in it.
        """
        if not self._dependent_on_moment and not self.sees_history:
            return values
        days = np.where(as_of != NOT_A_TIME, as_of / DAY, np.nan)
        for i, attribute in self._dependent_on_moment:
            values[:, i] = attribute.as_of(values[:, i], days)
        history = history or self.no_history(len(values))
        created = history.created_at[lead]
        end = len(self.attributes)
        if self.has_times:
            begin, end = end, end + len(LEAD_TIMES)
            values[:, begin:end] = _lead_times(created, days)
        if self.activities:
            begin, end = end, end + len(self.activities.features)
            self.activities.compute(
                history.activities,
                history.position[lead],
                as_of,
                created,
                {lead: total.activities for lead, total in history.totals.items()},
                out=values[:, begin:end],
            )
        if self.stages:
            begin, end = end, end + len(self.stages.features)
            older = {lead: total.n_stages for lead, total in history.totals.items()}
            values[:, begin:end] = self.stages.compute(
                history.stages, history.position[lead], as_of, older
            )
        return values

    def to_json(self) -> dict[str, Any]:
        """Return the fitted state as plain data."""
        state = {
            "attributes": [
                {"kind": attribute.kind, **_plain(attribute)} for attribute in self.attributes
            ],
            "left_out": [_plain(left) for left in self.left_out],
            "has_times": self.has_times,
            "activities": _plain(self.activities) if self.activities else None,
            "stages": _plain(self.stages) if self.stages else None,
            "age_days": self.age_days,
        }
        if self.interactions:
            state["interactions"] = [
                {"kind": interaction.kind, **_plain(interaction)}
                for interaction in self.interactions
            ]
        return state

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "FeaturePipeline":
        """Rebuild the fitted state from `to_json`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the data does not describe a pipeline.
        """
        pipeline = cls(
            attributes=tuple(_of_kind(attribute, KINDS) for attribute in state["attributes"]),
            left_out=msgspec.convert(state["left_out"], tuple[LeftOut, ...]),
            has_times=bool(state["has_times"]),
            activities=msgspec.convert(state["activities"], ActivityFeatures | None),
            stages=msgspec.convert(state["stages"], StageFeatures | None),
            age_days=msgspec.convert(state.get("age_days"), tuple[float, float] | None),
            interactions=tuple(
                _of_kind(interaction, INTERACTION_KINDS)
                for interaction in state.get("interactions", ())
            ),
        )
        if unknown := set(pipeline.interaction_columns) - set(pipeline.word_attributes):
            raise ValueError(f"interactions read columns that have no words: {sorted(unknown)}")
        return pipeline


def _lead_times(created: Ints, as_of_days: Floats) -> Floats:
    is_known = created != NOT_A_TIME
    created_days = np.where(is_known, created / DAY, np.nan)
    hour = np.where(is_known, created // HOUR % 24, np.nan)
    return np.column_stack([as_of_days - created_days, np.floor(created_days + 3) % 7, hour])


def _of_kind(state: Mapping[str, Any], kinds: Mapping[str, type[Any]]) -> Any:
    return msgspec.convert(
        {key: value for key, value in state.items() if key != "kind"}, kinds[state["kind"]]
    )


def _plain(fitted: Any) -> dict[str, Any]:
    state = msgspec.to_builtins(fitted)
    return {k: sorted(v) if k == "nothing" else v for k, v in state.items()}
