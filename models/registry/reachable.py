"""The address of MLflow: whether a server answers there, and how the address may be shown."""

import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from crm.errors import TrackingError

CHECK_SECONDS = 5
OWN_PAGES = "http://127.0.0.1:5000"  # where `mlflow ui` serves its pages
CHECK_ERRORS = (SQLAlchemyError, http.client.HTTPException, ImportError, OSError, ValueError)
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def shown(text: str) -> str:
    """Return a text with the passwords of its URIs masked, so that it may be shown and stored.

    Examples
    --------
    >>> shown('source = "postgresql://me:secret@db/mlflow"')
    'source = "postgresql://me:***@db/mlflow"'
    >>> shown("mysql://db/crm?user=me&password=secret&ssl=1")
    'mysql://db/crm?user=me&password=***&ssl=1'
    """
    text = re.sub(r"(://[^\s:/@]*):\S+@", r"\1:***@", text)
    return re.sub(r"([?&]\w*(?:password|passwd|pwd|secret|token)=)[^\s&\"']+", r"\1***", text)


def page_of_run(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the address of the page of a run, in the view for machine learning.

    Parameters
    ----------
    uri : str
        The tracking URI. Of a database, the page is that of `mlflow ui` at its default address.
    experiment_id, run_id : str

    Examples
    --------
    >>> page_of_run("http://me:secret@mlflow.example/", "1", "f00")
    'http://mlflow.example/#/experiments/1/runs/f00?workflowType=machine_learning'
    >>> page_of_run("sqlite:///mlflow.db", "1", "f00")
    'http://127.0.0.1:5000/#/experiments/1/runs/f00?workflowType=machine_learning'
    """
    server = OWN_PAGES
    if uri.startswith("http"):
        parts = urlsplit(uri)
        server = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    return f"{server}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def check_reachable(uri: str) -> None:
    """Check within seconds whether MLflow answers: MLflow itself would wait for minutes.

    Raises
    ------
    TrackingError
        If nothing answers, or the address is not a valid address of MLflow.
    """
    scheme = uri.partition(":")[0]
    try:
        if scheme in ("http", "https"):
            parts = urlsplit(uri)
            server = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            with urllib.request.urlopen(f"{server.rstrip('/')}/health", timeout=CHECK_SECONDS):
                return
        if scheme.split("+")[0] in DATABASES:
            url = sqlalchemy.make_url(uri)
            if url.get_backend_name() == "sqlite" and url.database:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            takes_timeout = url.get_backend_name() == "postgresql"
            engine = sqlalchemy.create_engine(
                url,
                poolclass=sqlalchemy.NullPool,
                connect_args={"connect_timeout": CHECK_SECONDS} if takes_timeout else {},
            )
            with engine.connect() as connection:
                sqlalchemy.inspect(connection).get_table_names()
            return
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return  # MLflow's client sends the credentials
        reason = f"it answered {error.code}"
    except CHECK_ERRORS as error:
        reason = str(getattr(error, "orig", None) or getattr(error, "reason", None) or error)
        reason = shown(reason.strip().partition("\n")[0])[:200] or type(error).__name__
    else:
        reason = f"`{scheme[:40]}` is neither http nor a database ({', '.join(DATABASES)})"
    raise TrackingError(
        f"MLflow cannot be reached at {shown(uri)}: {reason}. "
        "Start it, or correct MLFLOW_TRACKING_URI; without it a local SQLite file is used."
    )
