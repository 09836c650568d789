"""API keys: create them, revoke them, and recognise them by their hashes.

A key is 256 random bits, so its plain SHA-256 is stored. Slow, salted hashes protect passwords
that a person chose and that can be guessed; a random key cannot be guessed, and a slow hash would
cost every request a tenth of a second. The file contains no key, only its hash, name and role.
"""

import contextlib
import errno
import hashlib
import hmac
import json
import logging
import re
import secrets
import stat
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
UNREADABLE = "The API keys have changed and cannot be read, so the earlier keys remain valid."
NONE_VALID = (
    "The file of API keys cannot be read, and no key was valid before, so every key is refused. "
    "Restore the file, or move it away and add keys again."
)
GONE = "The file of API keys is gone, so every key is refused. Restore it, or add keys again."

log = logging.getLogger("leadscore")


class KeyRole(IntEnum):
    """The rights of a key. Each role includes those before it."""

    SCORE = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True)
class ApiKey:
    """A key as it is stored.

    Attributes
    ----------
    name : str
        The name of the key's owner, which the log shows.
    role : str
        `score`, `write` or `admin`.
    id : str
        The part of the key that is not secret. It identifies the key.
    sha256 : str
        The hash of the whole key.
    created_at : str
        UTC, ISO 8601.
    """

    name: str
    role: str
    id: str
    sha256: str
    created_at: str


def read_keys(path: Path) -> list[ApiKey]:
    """Read the keys. A file that does not exist has none.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not a file of keys, or can be written by other users.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # reading a pipe would block
            raise OSError(errno.EINVAL, "it is not a regular file")
        stored = json.loads(path.read_text(encoding="utf-8"))["keys"]
        keys = [ApiKey(**{name: str(value) for name, value in key.items()}) for key in stored]
        for key in keys:
            KeyRole[key.role.upper()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"The API keys in {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{path} is not a file of API keys. Move it away and add the keys again with "
            "`leadscore keys add`."
        ) from None
    if mode & 0o022:
        raise ConfigError(
            f"{path} can be written by other users, who could add keys. Run: chmod 600 {path}"
        )
    return keys


def add_key(path: Path, name: str, role: str, created_at: str) -> str:
    """Create a key and store its hash.

    Returns
    -------
    str
        The key itself, which is not stored.

    Raises
    ------
    ConfigError
        If the name is taken or not allowed, the role does not exist, or the file is not a
        file of keys.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "keys.json"
    ...     key = add_key(path, "crm", "score", "2026-01-01T00:00:00+00:00")
    ...     key in path.read_text(), KeyRing(path).owner(key).name, revoke_key(path, "crm")
    (False, 'crm', None)
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:60]!r} is not a valid name. Expected 1 to 60 letters, digits and . _ -"
        )
    if role.upper() not in KeyRole.__members__:
        raise ConfigError(f"{role[:60]!r} is not a role. Expected score, write or admin.")
    key_id = secrets.token_hex(4)
    key = f"ls_{key_id}_{secrets.token_urlsafe(32)}"
    with _changing(path) as keys:
        if any(stored.name == name for stored in keys):
            raise ConfigError(
                f"A key named {name!r} exists. Revoke it first, or choose another name."
            )
        keys.append(ApiKey(name, role.lower(), key_id, _sha256(key), created_at))
    return key


def revoke_key(path: Path, name: str) -> None:
    """Remove a key's hash from the file. The service refuses the key within a second.

    Raises
    ------
    ConfigError
        If no key has this name.
    """
    with _changing(path) as keys:
        remaining = [key for key in keys if key.name != name]
        if len(remaining) == len(keys):
            names = ", ".join(key.name for key in keys) or "none"
            raise ConfigError(f"No key is named {name[:60]!r}. Existing keys: {names}.")
        keys[:] = remaining


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[list[ApiKey]]:
    """Yield the keys to be changed, then replace their file. Only one process does so at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{path}.lock", mode=0o600):
            keys = read_keys(path)
            yield keys
            with whole_file(path, mode=0o600, is_synced=True) as work:
                work.write_text(json.dumps({"keys": [asdict(key) for key in keys]}, indent=1))
    except OSError as error:
        raise ConfigError(f"The API keys in {path} cannot be stored: {error.strerror}.") from None


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class KeyRing:
    """The keys that the service accepts, read again when their file changes.

    Parameters
    ----------
    path : Path
    is_needed : bool
        Whether callers need a key even if there is no file of keys. Then no key is valid.
    marker : Path, optional
        An empty file that exists once keys are needed. All workers of a service share it, so that
        a worker that starts after the file of keys is gone still needs keys.

    Attributes
    ----------
    is_needed : bool
        Whether callers need a key. From the moment at which the file exists, they do.
    fault : str or None
        What is wrong with the keys, without internals; the log contains the cause.

    Raises
    ------
    ConfigError
        If the file is not a file of keys.
    """

    def __init__(self, path: Path, is_needed: bool = False, marker: Path | None = None) -> None:
        self._path = path
        self._marker = marker
        self._seen = self._state()
        self._by_id = {key.id: key for key in read_keys(path)}
        self.fault: str | None = None
        self.is_needed = False
        if is_needed or self._seen is not None or (marker is not None and marker.exists()):
            self._need_keys()
        if self.is_needed and self._seen is None:
            self._note_loss()

    def __len__(self) -> int:
        return len(self._by_id)

    def refresh(self) -> None:
        """Read the file again if it has changed.

        If it is gone, no key is valid. If it cannot be read, the keys stay those that were valid
        just before: none, if it was gone before.
        """
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        self._need_keys()  # there is a file, or there was one
        try:
            self._by_id = {key.id: key for key in read_keys(self._path)}
        except ConfigError as error:
            self.fault = UNREADABLE if self._by_id else NONE_VALID
            log.error(self.fault, extra={"fault": str(error)})
            return
        self.fault = None
        if state is None:
            self._note_loss()

    def owner(self, key: str) -> ApiKey | None:
        """Return the owner of a key, in a time that does not depend on the stored keys."""
        match = KEY.fullmatch(key)
        stored = self._by_id.get(match[1]) if match else None
        expected = stored.sha256 if stored else ABSENT
        is_same = hmac.compare_digest(_sha256(key), expected)
        return stored if is_same else None

    def _need_keys(self) -> None:
        self.is_needed = True
        if self._marker is not None:
            self._marker.touch()

    def _note_loss(self) -> None:
        self.fault = GONE
        log.error(GONE, extra={"fault": f"{self._path} does not exist."})

    def _state(self) -> tuple[int, ...] | None:
        """Return what changes with the file; None if there is no file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError:  # there may be a file, and `read_keys` says why it cannot be read
            return ()
        return found.st_mtime_ns, found.st_ino, found.st_size
