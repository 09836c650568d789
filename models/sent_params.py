"""Reads the params that a caller of MLflow sends with the leads, and the form of the answer.

Registered models import this module, so its path never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crm.errors import ConfigError
from crm.text import quote
from crm.times import NOT_A_TIME
from features.times import cell_time

MOST_REASONS = 1_000  # as in a request to the service
PARAMS: Mapping[str, tuple[str, Any]] = {"reasons": ("long", 0), "as_of": ("string", "")}
# MLflow logs these as params of the training's run, so their names say what they belong to.
CONFIG: Mapping[str, Any] = {"pyfunc.output": "scores", "pyfunc.threshold": 0.5}
OUTPUTS = ("scores", "won")


@dataclass(frozen=True)
class SentParams:
    """The params of a call.

    Attributes
    ----------
    reasons : int
        The number of columns of reasons.
    as_of : int
        The moment of scoring, microseconds since 1970 UTC; `NOT_A_TIME` without one.
    """

    reasons: int = 0
    as_of: int = NOT_A_TIME


def read_params(params: Mapping[str, Any] | None) -> SentParams:
    """Read the params of a call; those that are missing have the defaults of `PARAMS`.

    Raises
    ------
    ConfigError
        If a value is out of range, or is not a valid time.

    Examples
    --------
    >>> read_params({"reasons": 3, "as_of": "1970-01-02"})
    SentParams(reasons=3, as_of=86400000000)
    >>> read_params({"reasons": -1})
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: The param `reasons` is -1. Expected a number from 0 to 1,000.
    """
    sent = {name: default for name, (_, default) in PARAMS.items()} | dict(params or {})
    reasons, as_of = int(sent["reasons"]), sent["as_of"]
    if not 0 <= reasons <= MOST_REASONS:
        raise ConfigError(
            f"The param `reasons` is {reasons}. Expected a number from 0 to {MOST_REASONS:,}."
        )
    if not as_of:
        return SentParams(reasons)
    moment = cell_time(as_of)
    if moment == NOT_A_TIME:
        raise ConfigError(
            f"The param `as_of` is {quote(str(as_of))}, which is not a valid time. Expected a time "
            "such as 2025-03-01T08:00:00Z."
        )
    return SentParams(reasons, moment)


@dataclass(frozen=True)
class AnswerConfig:
    """How a model that was loaded through MLflow answers.

    Attributes
    ----------
    output : {"scores", "won"}
        "scores" for the table of scores; "won" for one class for each lead, which
        `mlflow.models.evaluate` needs.
    threshold : float
        The least probability of the class 1, for "won".
    """

    output: str
    threshold: float


def read_config(config: Mapping[str, Any] | None) -> AnswerConfig:
    """Read the `model_config` of a model; keys that are missing have the defaults of `CONFIG`.

    Raises
    ------
    ConfigError
        If a value is not allowed.

    Examples
    --------
    >>> read_config({"pyfunc.output": "won", "pyfunc.threshold": 0.2})
    AnswerConfig(output='won', threshold=0.2)
    >>> read_config({"pyfunc.output": "classes"})
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: `pyfunc.output` is "classes". Expected "scores" or "won".
    """
    values = {**CONFIG, **(config or {})}
    output, threshold = values["pyfunc.output"], values["pyfunc.threshold"]
    if output not in OUTPUTS:
        raise ConfigError(
            f"`pyfunc.output` is {quote(str(output))}. Expected {' or '.join(map(quote, OUTPUTS))}."
        )
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise ConfigError(f"`pyfunc.threshold` is {threshold!r}. Expected a number.")
    return AnswerConfig(output, float(threshold))
