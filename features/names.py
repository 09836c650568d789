"""Feature: what a column of the matrix is, so that a reason can speak."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """One column of the matrix.

    Attributes
    ----------
    name : str
        Unique among the features of a pipeline.
    table, column : str
        Where it comes from; `column` names several where several are read.
    unit : str
        "count", "days", "hours", "share", "ratio", "number", "yes/no", "category",
        "log-odds".
    sentence : str
        Template for a reason, with `{value}`.
    window_days : float or None
        Only what happened in the last so many days counts.
    """

    name: str
    table: str
    column: str
    unit: str
    sentence: str
    window_days: float | None = None
