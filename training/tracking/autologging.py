"""Keeps MLflow's autologging out of a training.

In a process that has called `mlflow.autolog()`, MLflow logs every model that scikit-learn or
LightGBM fits. A training fits many, which are parts of its one model.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def autologging_disabled() -> Iterator[None]:
    """Disable MLflow's autologging within the context, and restore it afterwards.

    Without autologging, nothing happens; MLflow is not imported, because that takes seconds. The
    context is also a decorator.

    Examples
    --------
    >>> @autologging_disabled()
    ... def fit():
    ...     return "fitted"
    >>> fit()
    'fitted'
    """
    if "mlflow" not in sys.modules:
        yield
        return
    from mlflow.utils import autologging_utils

    # MLflow's context would enable it at the end, also if the caller had disabled it.
    if autologging_utils._AUTOLOGGING_GLOBALLY_DISABLED:
        yield
        return
    with autologging_utils.disable_autologging():
        yield
