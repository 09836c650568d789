"""API keys: made, revoked and known by their hashes.

A key is 256 random bits, so its plain SHA-256 is stored: what slow, salted hashes are for,
guessing what a person might have chosen, cannot be done here, and would cost every request
a tenth of a second. The file holds no key, a name for each, and its role.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path

import filelock

from crm.errors import ConfigError
from crm.files import whole_file

KEY = re.compile(r"ls_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
ABSENT = "0" * 64
UNREADABLE = "The API keys have changed and cannot be read; those known before still hold."
GONE = "The file of API keys is gone: every key is refused."

log = logging.getLogger("leadscore")


class Role(IntEnum):
    """What a key may do; each role may do what those before it may."""

    SCORE = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True)
class ApiKey:
    """One key, as it is stored.

    Attributes
    ----------
    name : str
        Whose key it is; the log and the metrics name it.
    role : str
        `score`, `write` or `admin`.
    id : str
        The open part of the key, by which it is found.
    sha256 : str
        Of the whole key.
    created_at : str
        UTC, ISO 8601.
    """

    name: str
    role: str
    id: str
    sha256: str
    created_at: str


def read_keys(path: Path) -> list[ApiKey]:
    """Read the keys; a file that does not exist holds none.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no file of keys, or can be written by others.
    """
    try:
        mode = path.stat().st_mode
        stored = json.loads(path.read_text(encoding="utf-8"))["keys"]
        keys = [ApiKey(**{name: str(value) for name, value in key.items()}) for key in stored]
        for key in keys:
            Role[key.role.upper()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"The API keys in {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{path} is no file of API keys. Move it away and add them again with "
            "`leadscore keys add`."
        ) from None
    if mode & 0o022:
        raise ConfigError(f"{path} can be written by others, who could add keys: chmod 600 it.")
    return keys


def add_key(path: Path, name: str, role: str, created_at: str) -> str:
    """Make a key and store its hash.

    Returns
    -------
    str
        The key itself, which is stored nowhere.

    Raises
    ------
    ConfigError
        If the name is taken or not allowed, there is no such role, or the file is no file
        of keys.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "keys.json"
    ...     key = add_key(path, "crm", "score", "2026-01-01T00:00:00+00:00")
    ...     key in path.read_text(), KeyRing(path).owner(key).name, revoke_key(path, "crm")
    (False, 'crm', None)
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"A key cannot be named {name[:60]!r}. Expected 1 to 60 letters, digits and . _ -"
        )
    if role.upper() not in Role.__members__:
        raise ConfigError(f"There is no role {role[:60]!r}. Expected score, write or admin.")
    key_id = secrets.token_hex(4)
    key = f"ls_{key_id}_{secrets.token_urlsafe(32)}"
    with _changing(path) as keys:
        if any(known.name == name for known in keys):
            raise ConfigError(f"There is a key {name!r} already. Revoke it first, or name another.")
        keys.append(ApiKey(name, role.lower(), key_id, _sha256(key), created_at))
    return key


def revoke_key(path: Path, name: str) -> None:
    """Take a key's hash out of the file; the service refuses the key within a second.

    Raises
    ------
    ConfigError
        If there is no key of that name.
    """
    with _changing(path) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            there = ", ".join(key.name for key in keys) or "none"
            raise ConfigError(f"There is no key {name[:60]!r}. There are: {there}.")
        keys[:] = left


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[ApiKey]]:
    """Read the keys, let them be changed, and write them whole, one at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{path}.lock", mode=0o600):
            keys = read_keys(path)
            yield keys
            with whole_file(path, mode=0o600, is_synced=True) as work:
                work.write_text(json.dumps({"keys": [asdict(key) for key in keys]}, indent=1))
    except OSError as error:
        raise ConfigError(f"The API keys in {path} cannot be kept: {error.strerror}.") from None


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class KeyRing:
    """The keys as the service knows them, read again when their file has changed.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    is_needed : bool
        Whether callers need a key: there is a file of keys, or was when the service started.
    fault : str or None
        What is wrong with the keys, for everyone to see: the log says more.

    Raises
    ------
    ConfigError
        If the file is no file of keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._state()
        self.fault: str | None = None
        self.is_needed = self._seen is not None
        self._by_id = {key.id: key for key in read_keys(path)}

    def __len__(self) -> int:
        return len(self._by_id)

    def refresh(self) -> None:
        """Read the file again if it has changed; one that is gone leaves no valid key."""
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._by_id = {key.id: key for key in read_keys(self._path)}
        except ConfigError as error:
            self.fault = UNREADABLE
            log.error(UNREADABLE, extra={"fault": str(error)})
            return
        self.is_needed = self.is_needed or state is not None
        self.fault = GONE if state is None else None
        if self.fault:
            log.error(GONE, extra={"fault": f"There is no {self._path}."})

    def owner(self, key: str) -> ApiKey | None:
        """Find whose key this is, in a time that tells nothing of the keys."""
        form = KEY.fullmatch(key)
        known = self._by_id.get(form[1]) if form else None
        expected = known.sha256 if known else ABSENT
        is_same = hmac.compare_digest(_sha256(key), expected)
        return known if is_same else None

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
