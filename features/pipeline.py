"""FeaturePipeline: the one path from records to a matrix, for one lead and for ten million."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crm.errors import LearningError
from crm.project import Project
from crm.records import CONTRACTS, Records
from features.attributes import (
    Attribute,
    CategoryAttribute,
    LeftOut,
    NumberAttribute,
    fit_attribute,
)
from features.moments import Moments


@dataclass(frozen=True)
class FeaturePipeline:
    """Fitted state that turns leads into rows of numbers.

    Attributes
    ----------
    attributes : tuple of Attribute
        In the order of the matrix's columns.
    left_out : tuple of LeftOut
        Columns of the leads table that are no features, each with its reason.
    """

    attributes: tuple[Attribute, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def names(self) -> list[str]:
        """The features' names, in the order of the matrix's columns."""
        return [attribute.column for attribute in self.attributes]

    @property
    def categorical(self) -> list[int]:
        """Positions of the matrix's columns that hold category codes."""
        return [i for i, attribute in enumerate(self.attributes) if attribute.kind == "category"]

    def transform(self, records: Records, moments: Moments) -> NDArray[np.float64]:
        """Compute the features of moments.

        Parameters
        ----------
        records : Records
        moments : Moments, length n
            Positions refer to `records.leads`.

        Returns
        -------
        ndarray of float64, shape (n, n_features), Fortran order
            nan where a number is missing.
        """
        return np.asfortranarray(self.matrix(records.leads)[moments.lead])

    def matrix(self, leads: pd.DataFrame) -> NDArray[np.float64]:
        """Compute the features of many leads; a column that is absent is missing.

        Returns
        -------
        ndarray of float64, shape (n_leads, n_features), Fortran order
        """
        values = np.empty((len(leads), len(self.attributes)), order="F")
        for i, attribute in enumerate(self.attributes):
            if attribute.column in leads.columns:
                values[:, i] = attribute.encode_column(leads[attribute.column])
            else:
                values[:, i] = attribute.encode(None)
        return values

    def row(self, lead: Mapping[str, Any]) -> list[float]:
        """Compute the features of one lead; equals the lead's row of `matrix`."""
        return [attribute.encode(lead.get(attribute.column)) for attribute in self.attributes]

    def to_json(self) -> dict[str, Any]:
        """Describe the fitted state as plain data."""
        features = []
        for attribute in self.attributes:
            state: dict[str, Any] = {
                "column": attribute.column,
                "kind": attribute.kind,
                "nothing": sorted(attribute.nothing),
            }
            if isinstance(attribute, CategoryAttribute):
                state["vocabulary"] = list(attribute.vocabulary)
            else:
                state["median"] = attribute.median
            features.append(state)
        left_out = [{"column": left.column, "reason": left.reason} for left in self.left_out]
        return {"features": features, "left_out": left_out}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "FeaturePipeline":
        """Rebuild the fitted state from `to_json`."""
        attributes: list[Attribute] = []
        for feature in state["features"]:
            column, nothing = str(feature["column"]), frozenset(map(str, feature["nothing"]))
            if feature["kind"] == "category":
                vocabulary = tuple(map(str, feature["vocabulary"]))
                attributes.append(CategoryAttribute(column, nothing, vocabulary))
            elif feature["kind"] == "number":
                attributes.append(NumberAttribute(column, nothing, float(feature["median"])))
            else:
                raise ValueError(f"unknown kind of feature: {feature['kind']!r}")
        left_out = tuple(LeftOut(**left) for left in state["left_out"])
        return cls(tuple(attributes), left_out)


def fit_pipeline(records: Records, moments: Moments, project: Project) -> FeaturePipeline:
    """Learn from the leads of some moments how to turn leads into numbers.

    Only the leads that the moments name are looked at, so a pipeline fitted on
    training moments has seen nothing of the test leads.

    Raises
    ------
    LearningError
        If no column is left to learn from.
    """
    leads = records.leads.iloc[np.unique(moments.lead)]
    rules = project.columns
    excluded = _excluded(project)
    attributes: list[Attribute] = []
    left_out: list[LeftOut] = []
    for column in _attribute_columns(leads, project):
        if column in excluded:
            left_out.append(LeftOut(column, excluded[column]))
            continue
        fitted = fit_attribute(
            leads[column],
            nothing=rules.nothing,
            kind="number" if column in rules.number
            else "category" if column in rules.category
            else None,
        )
        if isinstance(fitted, LeftOut):
            left_out.append(fitted)
        else:
            attributes.append(fitted)
    if not attributes:
        reasons = "; ".join(f"`{left.column}`: {left.reason}" for left in left_out[:8])
        raise LearningError(
            f"No column of the leads is left to learn from. {reasons or 'There is none'}. "
            "Export attributes with the leads, or loosen [columns]."
        )
    return FeaturePipeline(tuple(attributes), tuple(left_out))


def role_columns(project: Project) -> dict[str, str]:
    """Columns of the leads table that play a role and so are no attributes, by role.

    Named as the CRM names them, which is how a caller or a file to be scored has them.
    """
    keys = project.leads
    named = {
        "lead_id": keys.lead_id or "lead_id",
        "created_at": keys.created_at or "created_at",
        "order": None if keys.order == "rows" else keys.order,
        "outcome": keys.outcome,
        "closed_at": keys.closed_at,
        "amount": keys.amount,
        "reason": keys.reason,
    }
    return {role: column for role, column in named.items() if column is not None}


def _attribute_columns(leads: pd.DataFrame, project: Project) -> Sequence[str]:
    roles = {*role_columns(project).values(), *(role.name for role in CONTRACTS["leads"])}
    return [column for column in leads.columns if column not in roles]


def _excluded(project: Project) -> dict[str, str]:
    rules = project.columns
    excluded = dict.fromkeys(rules.ignore, "the project ignores it")
    excluded |= {
        column: "it is sensitive, and the project does not allow it as a feature"
        for column in rules.sensitive
        if column not in rules.allow_sensitive
    }
    excluded |= dict.fromkeys(rules.known_later, "it is known later than the moment of scoring")
    return excluded
