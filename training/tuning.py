"""Searches settings of the trees within a time budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes
    ----------
    number : int
        From 0, in the order they were tried.
    parameters : mapping of str to number
        What differs from the defaults.
    log_loss : float or None
        On the newest part of the training data; None if it was given up early.
    state : {"complete", "pruned", "failed"}
    seconds : float
        What it took.
    """

    number: int
    parameters: Mapping[str, Any]
    log_loss: float | None
    state: str
    seconds: float
