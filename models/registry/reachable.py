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
