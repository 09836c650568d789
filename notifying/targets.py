"""Reads the targets of a project's notifications: addresses and secrets, from the environment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from connectors.address import check_address
from connectors.signature import read_secrets
from crm.errors import ConfigError
from crm.project import Project, expand_variables

NAMES: Final = ("webhook", "slack", "teams")


@dataclass(frozen=True)
class Target:
    """Where messages are posted to.

    Attributes
    ----------
    name : str
        "webhook", "slack" or "teams".
    url : str
    secrets : tuple of bytes
        They sign a webhook; empty for the others.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def shown(self) -> str:
        """The name and the host. The rest of the address may be a secret."""
        return f"{self.name} ({urlsplit(self.url).hostname})"


def named_targets(project: Project) -> tuple[str, ...]:
    """Return the names of the targets that the project file contains."""
    return tuple(name for name in NAMES if getattr(project.notify, name) is not None)


def check_has_targets(project: Project) -> None:
    """Check that the project file names a target.

    Raises
    ------
    ConfigError
        If it names none.
    """
    if not named_targets(project):
        raise ConfigError(
            f"{project.path.name} names nobody to notify. Add `webhook`, `slack` or `teams` to "
            "[notify]: docs/notifications.md."
        )


def read_targets(project: Project) -> tuple[list[Target], list[str]]:
    """Read the targets, with the values of their environment variables.

    Returns
    -------
    list of Target
        Those that can be used.
    list of str
        A sentence about each of the others, without any part of an address or a secret.
    """
    targets, problems = [], []
    for name in named_targets(project):
        try:
            targets.append(_target(project, name))
        except ConfigError as error:
            problems.append(str(error))
    return targets, problems


def outbox_path(project: Project) -> Path:
    """Return the file that keeps what is not delivered yet.

    Raises
    ------
    ConfigError
        If its name contains a variable that is not set.
    """
    return project.folder / expand_variables(project.notify.outbox)


def _target(project: Project, name: str) -> Target:
    url = _value(project, name)
    try:
        check_address(url)
    except ValueError as error:
        raise ConfigError(f"{_key(project, name)}: {error}") from None
    if name != "webhook":
        return Target(name, url)
    secret = _value(project, "secret")
    try:
        secrets: Sequence[bytes] = read_secrets(secret)
    except ValueError as error:
        raise ConfigError(f"{_key(project, 'secret')}: {error}") from None
    return Target(name, url, tuple(secrets))


def _value(project: Project, name: str) -> str:
    try:
        return expand_variables(getattr(project.notify, name)).strip()
    except ConfigError as error:
        (unset, *_) = str(error).splitlines()
        raise ConfigError(f"{_key(project, name)}: {unset} Set the variable.") from None


def _key(project: Project, name: str) -> str:
    return f"{project.path.name}: `{name}` in [notify]"
