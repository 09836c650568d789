"""LeadScorer: features, estimator, calibration, scale and reasons as one model."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from scipy.special import expit

from crm.arrays import Floats, Ints
from crm.cells import cell_text, plain_column, text_column
from crm.formats.column_times import parse_times
from crm.lead_ids import id_keys
from crm.times import NOT_A_TIME, microseconds
from crm.totals import EventTotals
from features.cell_warnings import CellWarning, cell_warning
from features.history import EventLogs
from features.looked_up import CellOf, cells_of_table
from features.pipeline import FeaturePipeline
from features.times import cell_time
from models.attribute_changes import AttributeShare, read_shares
from models.calibration import Calibration
from models.card import ModelCard
from models.cell_checks import CellChecks, WarningCounts
from models.column_names import ColumnNames
from models.estimator.blend import BaseRate, Blend
from models.reasons import Parts, Reason, Reasoner
from models.reference import Reference
from models.scale import Scale


class LeadCells(msgspec.Struct, frozen=True):
    """One lead as a caller sends it.

    Attributes
    ----------
    cells : mapping of str to scalar
        Attributes under the CRM's own column names, and the lead's id under its column name.
    created_at : int
        Microseconds since 1970 UTC; if it is `NOT_A_TIME`, the time is read from the cells.
    activities, stages : sequence of mapping
        Events as for `ActivityFeatures.log_of_cells` and `StageFeatures.log_of_cells`.
    totals : EventTotals or None
        Further events of a lead that has very many, up to the moment of scoring.
    """

    cells: Mapping[str, Any]
    created_at: int = NOT_A_TIME
    activities: Sequence[Mapping[str, Any]] = ()
    stages: Sequence[Mapping[str, Any]] = ()
    totals: EventTotals | None = None


class Score(msgspec.Struct, frozen=True):
    """The score of one lead.

    Attributes
    ----------
    lead_id : str or None
        The id that the caller sent.
    probability : float
        The calibrated probability that the lead is won within the horizon.
    score : int
        From 1 to 99.
    grade : str
        A letter of the scale, by default A to D.
    warnings : list of CellWarning
        Warnings about the lead: first the names of its columns, then their cells.
    reasons : list of Reason
        The strongest reasons first, at most as many as requested.
    start : float or None
        The score of a lead whose every feature is average, if reasons were requested. It and
        the points of all signals add up to the score before it is rounded and clipped.
    points : list of float, or None
        The points of each signal in the order of `Reasoner.signals`, not rounded, if reasons were
        requested.
    """

    lead_id: str | None
    probability: float
    score: int
    grade: str
    warnings: list[CellWarning]
    reasons: list[Reason] = []  # each score has a list of its own
    start: float | None = None
    points: list[float] | None = None


@dataclass(frozen=True)
class LeadScorer:
    """Pipeline, estimator, calibration and scale, as one.

    Attributes
    ----------
    pipeline : FeaturePipeline
    estimator : BaseRate or Blend
    calibration : Calibration
    scale : Scale
    roles : mapping of str to str
        The columns of the CRM's leads table with a role, such as `lead_id` or `outcome`. They
        are not attributes.
    timezone, time_format : str, str or None
        The timezone and format of the times in the CRM's leads table.
    card : ModelCard
    """

    pipeline: FeaturePipeline
    estimator: BaseRate | Blend
    calibration: Calibration
    scale: Scale
    roles: Mapping[str, str]
    card: ModelCard
    timezone: str = "UTC"
    time_format: str | None = None

    def __repr__(self) -> str:
        estimator = type(self.estimator).__name__
        trained = f"trained at {self.card.trained_at}"
        return f"<LeadScorer {self.card.name!r}: {estimator} of {self.pipeline!r}, {trained}>"

    def log_odds_of(self, features: Floats) -> Floats:
        """Compute calibrated log-odds, shape (n,), from a feature matrix, shape (n, k)."""
        if len(features) == 0:
            return np.empty(0)
        return self.calibration.log_odds_of(self.estimator.log_odds_of(features))

    def probability(self, features: Floats) -> Floats:
        """Compute calibrated probabilities, shape (n,), from a feature matrix, shape (n, k)."""
        return np.asarray(expit(self.log_odds_of(features)))

    @cached_property
    def reasoner(self) -> Reasoner:
        """The reasoner that splits this scorer's scores into points."""
        return Reasoner(self.pipeline.features, self.estimator, self.calibration, self.scale)

    def score_table(
        self,
        leads: pd.DataFrame,
        *,
        activities: pd.DataFrame | None = None,
        stages: pd.DataFrame | None = None,
        as_of: datetime.datetime | Ints | None = None,
        n_reasons: int = 0,
    ) -> pd.DataFrame:
        """Score a table of leads under the CRM's own column names.

        Columns that the model does not know are ignored; names may differ as `ColumnNames`
        defines. Absent columns count as missing. `crm.cells` defines how cells are read, whatever
        their type. The input is not changed.

        Parameters
        ----------
        leads : DataFrame, n rows
        activities, stages : DataFrame, optional
            Events as `crm.reading` returns them; those after `as_of` are ignored.
        as_of : datetime, timezone-aware, or ndarray of int64, shape (n,), optional
            The moment of scoring; or the moment of each lead, microseconds since 1970 UTC.
            Without it, every feature that depends on time is missing.
        n_reasons : int
            The number of columns `reason_1` … to add: words and points, empty if a lead has
            fewer reasons.

        Returns
        -------
        DataFrame, n rows, index of `leads`
            `lead_id` (as in the table, None without such a column),
            `probability` (float64, 0 … 1), `score` (int64, 1 … 99), `grade` (text).
        """
        events = self.pipeline.event_logs([("activities", activities), ("stages", stages)])
        return self.score_with_events(leads, events, as_of=as_of, n_reasons=n_reasons)

    def score_with_events(
        self,
        leads: pd.DataFrame,
        events: EventLogs,
        *,
        as_of: datetime.datetime | Ints | None = None,
        n_reasons: int = 0,
        counts: WarningCounts | None = None,
    ) -> pd.DataFrame:
        """Score a table of leads, which may be a part of the leads with these events.

        Parameters
        ----------
        leads, as_of, n_reasons
            As for `score_table`.
        events : EventLogs
            Of `FeaturePipeline.event_logs` of this scorer's pipeline.
        counts : WarningCounts, optional
            Receives the warnings about the cells.

        Returns
        -------
        DataFrame
            As `score_table` returns it.
        """
        leads = self.column_names.of_table(leads).apply(plain_column)
        id_column = self.roles["lead_id"]
        ids = leads.get(id_column, pd.Series([None] * len(leads), dtype=object))
        keys = id_keys(pd.Series(text_column(ids), dtype="str"))
        history = events.history_of(keys, self.created_at(leads))
        if as_of is None or isinstance(as_of, datetime.datetime):
            as_of = np.full(len(leads), NOT_A_TIME if as_of is None else cell_time(as_of))
        features = self.pipeline.matrix(leads, history, as_of)
        if counts is not None:
            counts.add(self.cell_checks.of_table(leads, features, as_of))
            counts.attributes.add(features, leads)
        scored = self.score_features(features, n_reasons=n_reasons, leads=leads)
        scored = scored.set_axis(leads.index)
        scored.insert(0, "lead_id", leads[id_column] if id_column in leads.columns else None)
        return scored

    def score_features(
        self, features: Floats, *, n_reasons: int = 0, leads: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Score the rows of a feature matrix, such as that of moments.

        Parameters
        ----------
        features : ndarray of float64, shape (n, k)
            As `FeaturePipeline.transform` of this scorer's pipeline returns them.
        n_reasons : int
            The number of columns with reasons.
        leads : DataFrame, n rows, optional
            The lead of each row. Without them, reasons of rates of wins and of counts name the
            columns that these are about, but not the lead's values.

        Returns
        -------
        DataFrame, n rows
            As `score_table` returns it, without `lead_id`.
        """
        cell_of = None if leads is None else cells_of_table(leads)
        probability, reasons, _ = self._probability_and_reasons(features, n_reasons, cell_of)
        score = self.scale.score(probability)
        columns: dict[str, Any] = {
            "probability": probability,
            "score": score,
            "grade": self.scale.grade(score),
        }
        for i in range(n_reasons):
            columns[f"reason_{i + 1}"] = [str(r[i]) if i < len(r) else "" for r in reasons]
        return pd.DataFrame(columns)

    def created_at(self, leads: pd.DataFrame) -> Ints:
        """Read the creation time of each lead of a table, shape (n,), as `score_table` does.

        Microseconds since 1970 UTC; `NOT_A_TIME` where the table has none.
        """
        column = self.roles.get("created_at")
        if column is None or column not in leads.columns:
            return np.full(len(leads), NOT_A_TIME)
        times, _ = parse_times(leads[column], "leads", self.timezone, self.time_format)
        return microseconds(times)

    def score_leads(
        self,
        leads: Sequence[LeadCells],
        as_of: int | Ints = NOT_A_TIME,
        n_reasons: int = 0,
    ) -> list[Score]:
        """Score leads as a caller sends them, without building a DataFrame.

        The results equal those of `score_table` bit for bit.

        Parameters
        ----------
        leads : sequence of LeadCells
        as_of : int, or ndarray of int64, shape (n,)
            Microseconds since 1970 UTC; one moment for all leads, or one for each.
        n_reasons : int
            The largest number of reasons of a lead.

        Returns
        -------
        list of Score
        """
        names = [self._of_names(lead.cells) for lead in leads]
        leads = self._with_known_names(leads, names)
        features = self.features_of(leads, as_of)
        probability, reasons, parts = self._probability_and_reasons(
            features, n_reasons, lambda row, column: leads[row].cells.get(column)
        )
        moments = np.full(len(leads), as_of)
        of_cells = self.cell_checks.of_leads([lead.cells for lead in leads], features, moments)
        warnings = [[*of_lead, *of_cell] for of_lead, of_cell in zip(names, of_cells, strict=True)]
        score = self.scale.score(probability)
        grade = self.scale.grade(score)
        start = self.reasoner.start if n_reasons else None
        points = [None] * len(leads) if parts is None else parts.of_signals.tolist()
        rows = zip(
            leads,
            probability.tolist(),
            score.tolist(),
            grade.tolist(),
            warnings,
            reasons,
            points,
            strict=True,
        )
        return [
            Score(
                lead_id=cell_text(lead.cells.get(self.roles["lead_id"])),
                probability=probability_of_lead,
                score=score_of_lead,
                grade=grade_of_lead,
                warnings=warnings_of_lead,
                reasons=reasons_of_lead,
                start=start,
                points=points_of_lead,
            )
            for (
                lead,
                probability_of_lead,
                score_of_lead,
                grade_of_lead,
                warnings_of_lead,
                reasons_of_lead,
                points_of_lead,
            ) in rows
        ]

    def parts_of_leads(self, leads: Sequence[LeadCells], as_of: int | Ints = NOT_A_TIME) -> Parts:
        """Compute the points of leads, which `score_leads` returns with reasons, without reasons.

        Parameters
        ----------
        leads, as_of
            As for `score_leads`.

        Returns
        -------
        Parts
            Equal to those of `score_leads` bit for bit.
        """
        names = [self._of_names(lead.cells) for lead in leads]
        return self.reasoner.parts(self.features_of(self._with_known_names(leads, names), as_of))

    def _with_known_names(
        self, leads: Sequence[LeadCells], names: Sequence[list[CellWarning]]
    ) -> list[LeadCells]:
        """Rename the columns of leads that have warnings about names, as the model knows them."""
        return [
            msgspec.structs.replace(lead, cells=self.column_names.of_lead(lead.cells))
            if warnings
            else lead
            for lead, warnings in zip(leads, names, strict=True)
        ]

    def _probability_and_reasons(
        self, features: Floats, n_reasons: int, cell_of: CellOf | None
    ) -> tuple[Floats, list[list[Reason]], Parts | None]:
        """Compute probabilities, reasons and their points together, so that nothing is repeated."""
        if not n_reasons or len(features) == 0:
            return self.probability(features), [[]] * len(features), None
        raw, contributions = self.estimator.explained(features)
        probability = np.asarray(expit(self.calibration.log_odds_of(raw)))
        values_of = None if cell_of is None else self.pipeline.values_of(cell_of)
        parts = self.reasoner.parts_of(contributions)
        return probability, self.reasoner.reasons(features, n_reasons, parts, values_of), parts

    def features_of(self, leads: Sequence[LeadCells], as_of: int | Ints = NOT_A_TIME) -> Floats:
        """Compute the feature matrix of leads as a caller sends them, shape (n, k)."""
        history = None
        if self.pipeline.sees_history:
            history = self.pipeline.history_of_cells(
                [self.created_at_of(lead) for lead in leads],
                [lead.activities for lead in leads],
                [lead.stages for lead in leads],
                {i: lead.totals for i, lead in enumerate(leads) if lead.totals is not None},
            )
        return self.pipeline.rows([lead.cells for lead in leads], history, as_of)

    def created_at_of(self, lead: LeadCells) -> int:
        """Return the creation time that the caller sent, else the one in the lead's column."""
        if lead.created_at != NOT_A_TIME:
            return lead.created_at
        cell = lead.cells.get(self.roles.get("created_at", ""))
        return cell_time(cell, self.timezone, self.time_format)

    @cached_property
    def column_names(self) -> ColumnNames:
        """The columns that the model knows: attributes, roles, and those that were left out."""
        left_out = (left.column for left in self.pipeline.left_out)
        return ColumnNames([*self.pipeline.columns, *self.roles.values(), *left_out])

    @cached_property
    def learned_shares(self) -> list[AttributeShare]:
        """How often each column was missing or unseen in training; empty in older models."""
        return read_shares(self.card.attribute_shares)

    @cached_property
    def reference(self) -> Reference | None:
        """What the training moments looked like; None in older models."""
        return Reference.from_json(self.card.reference)

    @cached_property
    def cell_checks(self) -> CellChecks:
        """The checks of leads against what the model learned from."""
        created_at = self.roles.get("created_at", "created_at")
        return CellChecks(self.pipeline, created_at, self.time_format)

    def _of_names(self, lead: Mapping[str, Any]) -> list[CellWarning]:
        """Return the warnings about columns that the model knows under another name, or not."""
        if lead.keys() <= self.column_names.known:
            return []
        used = self.column_names.used_names(lead)
        warnings = []
        for name in lead:
            if name in self.column_names.known:
                continue
            column = self.column_names.column_of(name)
            if column is None:
                warnings.append(cell_warning("unknown_attribute", name))
            elif used.get(column) == name:
                warnings.append(cell_warning("renamed_attribute", name, f"`{column}`"))
            else:
                warnings.append(cell_warning("repeated_attribute", name, f"`{column}`"))
        return warnings
