"""A lock between processes: a name in MLflow's registry.

MLflow lets only one caller register a name, in every kind of store. The caller that registers
the name holds the lock until it deletes the name.
"""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from models.registry.mlflow_errors import error_types, none_if_absent

ABANDONED_AFTER = datetime.timedelta(minutes=5)  # a promotion holds the lock for seconds
WHO, TOKEN = "leadscore.who", "leadscore.token"  # tags of a name that is a lock


class LockedError(Exception):
    """Another caller holds the lock.

    Attributes
    ----------
    who : str
        The holder.
    since : datetime, UTC
        When the holder took the lock.
    """

    def __init__(self, who: str, since: datetime.datetime) -> None:
        super().__init__(f"{who} has held the lock since {since:%Y-%m-%d %H:%M:%S} UTC")
        self.who = who
        self.since = since


def register_name(client: Any, name: str, tags: Mapping[str, str]) -> bool:
    """Register a name; return False if the name is taken.

    Parameters
    ----------
    client : MlflowClient
    name : str
    tags : mapping of str to str
        The tags of the name, if it is registered now.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, tags=dict(tags))
    except MlflowException as error:
        # The second code: the name was taken, and its holder deleted it in the meantime.
        if error.error_code in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
            return False
        raise
    return True


def find_name(client: Any, name: str) -> Any:
    """Return MLflow's entry for a registered name, or None if the name is not registered."""
    return none_if_absent(lambda: client.get_registered_model(name))


def delete_name(client: Any, name: str) -> None:
    """Delete a registered name; do nothing if it does not exist."""
    none_if_absent(lambda: client.delete_registered_model(name))


@contextmanager
def hold_lock(client: Any, name: str, who: str, at: datetime.datetime) -> Iterator[None]:
    """Take the lock of this name, and release it at the end of the context.

    A lock that is older than `ABANDONED_AFTER` is taken over: its holder has died. The
    takeover has a lock of its own, named after the dead holder, so that two callers cannot
    take the lock over from each other.

    Parameters
    ----------
    client : MlflowClient
    name : str
    who : str
        The person who takes the lock, for those who have to wait.
    at : datetime, timezone-aware
        Now.

    Raises
    ------
    LockedError
        If another caller holds the lock.
    """
    token = uuid.uuid4().hex[:12]
    while not register_name(client, name, {WHO: who, TOKEN: token}):
        holder = find_name(client, name)
        if holder is None:
            continue  # the lock was released just now
        holder_token = holder.tags.get(TOKEN, "")
        if holder_token == token:
            break  # this caller's own request, sent twice over a failing connection
        since = datetime.datetime.fromtimestamp(holder.creation_timestamp / 1000, datetime.UTC)
        if at - since < ABANDONED_AFTER:
            raise LockedError(holder.tags.get(WHO, "Somebody"), since)
        with hold_lock(client, f"{name}.{holder_token}", who, at):
            if _token_of(client, name) == holder_token:
                delete_name(client, name)
    try:
        yield
    finally:
        with suppress(*error_types()):  # a name that stays is taken over after a while
            if _token_of(client, name) == token:  # another caller may have taken the lock over
                delete_name(client, name)


def _token_of(client: Any, name: str) -> str | None:
    holder = find_name(client, name)
    return None if holder is None else holder.tags.get(TOKEN)
