"""Turns a feature matrix into a table that people and other packages can read."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crm.arrays import Floats
from crm.times import MONTHS
from features.feature import RARE, WEEKDAYS, Feature


def feature_frame(
    features: Sequence[Feature], matrix: Floats, index: pd.Index | None = None
) -> pd.DataFrame:
    """Return a feature matrix as a table, with the words of categories instead of their codes.

    Parameters
    ----------
    features : sequence of Feature
        The columns of the matrix.
    matrix : ndarray of float64, shape (n, n_features)
    index : Index, optional
        The index of the table; 0 … n - 1 without it.

    Returns
    -------
    DataFrame, n rows, one column per feature, named after it
        Categories, weekdays and months are categorical, and missing if the code means a missing
        value; weekdays and months are in their order. All other columns are float64: of yes/no, 1
        means yes.

    Examples
    --------
    >>> words = ("", "rare", "Web")
    >>> source = Feature("source", "leads", "source", "category", "{value}", values=words)
    >>> visits = Feature("visits", "leads", "visits", "number", "{value}")
    >>> feature_frame([source, visits], np.array([[2.0, 3.0], [0.0, np.nan], [7.0, 1.0]]))
      source  visits
    0    Web     3.0
    1    NaN     NaN
    2   rare     1.0
    """
    columns = {feature.name: _column(feature, matrix[:, i]) for i, feature in enumerate(features)}
    frame = pd.DataFrame(columns)
    return frame if index is None else frame.set_axis(index, axis="index")


def _column(feature: Feature, values: Floats) -> "Floats | pd.Categorical[str]":
    if feature.unit == "category":
        unseen = values >= len(feature.values)
        return _categorical(feature.values[1:], np.where(unseen, RARE, values) - 1)
    if feature.unit == "weekday":
        return _categorical(WEEKDAYS, values, ordered=True)
    if feature.unit == "month":
        return _categorical(MONTHS, values - 1, ordered=True)
    return values


def _categorical(
    words: Sequence[str], code: Floats, ordered: bool = False
) -> "pd.Categorical[str]":
    """Return the words of codes from 0; a code that is negative or nan is missing."""
    codes = np.where(np.isnan(code), -1, code).astype(np.int64)
    return pd.Categorical.from_codes(codes, categories=pd.Index(words), ordered=ordered)
