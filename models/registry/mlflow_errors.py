"""The errors that MLflow and its stores raise.

MLflow is imported only when these functions are called, because the import takes seconds.
"""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")

T = TypeVar("T")


def error_types() -> tuple[type[Exception], ...]:
    """Return the types of errors that a call of MLflow may raise."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException

    return MlflowException, CommandError, SQLAlchemyError, OSError


def none_if_absent(call: Callable[[], T]) -> T | None:
    """Call MLflow; return None if what it asks for does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException as error:
        if error.error_code in ABSENT:
            return None
        raise
