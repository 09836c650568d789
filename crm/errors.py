"""Every error that leadscore raises on purpose.

All errors are one tree. The command line turns an error into an exit code, and the service turns
it into an HTTP status, each in one place.

- LeadScoringError
    - ConfigError    a key in `leadscore.toml`, an option or a setting is wrong      exit 2
    - SourceError    a file or database cannot be read, or written                   exit 2
    - SchemaError    a table or a request does not fit its contract         exit 2, HTTP 422
    - LearningError  the records contain nothing to learn from                       exit 1
    - ArtifactError  a saved model is incomplete, altered, or of another format      exit 1
    - GateError      a model did not pass its gates, which the error contains         exit 1
    - TrackingError  MLflow cannot be reached, or refuses a request                  exit 1
    - BusyError      another automatic retraining is running                        exit 6
    - ServiceError   the service or its package cannot be built or started           exit 1
    - LedgerError    the ledger cannot be read or written now        exit 1, HTTP 503

A message has at most three sentences: what is wrong, what was expected, what to do.
"""

from collections.abc import Sequence
from typing import Any


class LeadScoringError(Exception):
    """The root of all errors of leadscore."""

    exit_code = 1


class ConfigError(LeadScoringError, ValueError):
    """A key in the project file, an option or a setting is wrong."""

    exit_code = 2


class SourceError(LeadScoringError):
    """A file or a database cannot be read or written."""

    exit_code = 2


class SchemaError(LeadScoringError, ValueError):
    """A table or a request does not fit its contract.

    Parameters
    ----------
    subject : str
        The name of the table or the field.
    problems : sequence of str
        Every failure, one sentence each.

    Examples
    --------
    >>> raise SchemaError("leads", ["`lead_id` is missing in 2 of 9 rows: rows 3, 7."])
    Traceback (most recent call last):
        ...
    crm.errors.SchemaError: leads: `lead_id` is missing in 2 of 9 rows: rows 3, 7.
    """

    exit_code = 2

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            super().__init__(f"{subject}: {self.problems[0]}")
        else:
            lines = "\n".join(f"  - {problem}" for problem in self.problems)
            super().__init__(f"{subject}: {len(self.problems)} problems.\n{lines}")


class LearningError(LeadScoringError):
    """The records contain nothing to learn from, such as one outcome only."""


class ArtifactError(LeadScoringError):
    """A saved model is incomplete, altered, of another format, or scores differently."""


class GateError(LeadScoringError):
    """A model did not pass its gates, or its gates compared it with another champion.

    Parameters
    ----------
    message : str
    gates : sequence of models.registry.history.Gate
        All gates, including those that the model passed.
    """

    def __init__(self, message: str, gates: Sequence[Any] = ()) -> None:
        self.gates = tuple(gates)
        super().__init__(message)


class TrackingError(LeadScoringError):
    """MLflow cannot be reached, or refuses a request."""


class BusyError(LeadScoringError):
    """Another automatic retraining of the same model is running."""

    exit_code = 6


class ServiceError(LeadScoringError):
    """The service or its package cannot be built or started."""


class LedgerError(LeadScoringError):
    """The ledger cannot be read or written now: its database is unreachable, full or read-only.

    Parameters
    ----------
    message : str
        Contains no id of a lead and no row.
    is_passing : bool
        Whether the same request may succeed later.
    cause : str
        The kind of the cause, one of `crm.ledger.failures.Cause`.
    """

    def __init__(self, message: str, is_passing: bool = True, cause: str = "other") -> None:
        self.is_passing = is_passing
        self.cause = cause
        super().__init__(message)
