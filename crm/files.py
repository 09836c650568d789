"""Writes files and folders whole or not at all.

The content is first written under a temporary name in the same folder. When it is complete, it
is moved to its place. If anything fails, the former files stay, and no temporary file is left.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(target: Path, *, mode: int | None = None, is_synced: bool = False) -> Iterator[Path]:
    """Provide a temporary file that replaces `target` when the block ends without an error.

    Parameters
    ----------
    target : Path
        Its folder must exist.
    mode : int, optional
        The permissions of the file. By default they are what the process's umask allows.
    is_synced : bool
        Whether the file must be on the disk before it replaces `target`, so that it survives a
        power cut.

    Yields
    ------
    Path
        The empty temporary file. The block writes it and closes it.

    Raises
    ------
    OSError
        If the file cannot be created or moved.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "keys.json", mode=0o600) as work:
    ...     _ = work.write_text("{}")
    >>> [path.name for path in folder.iterdir()]
    ['keys.json']
    """
    work = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    created = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(os.open(work, created, 0o666 if mode is None else 0o600))
    try:
        yield work
        if mode is not None:
            work.chmod(mode)
        if is_synced:
            with work.open("rb+") as file:
                os.fsync(file.fileno())
        work.replace(target)
    finally:
        work.unlink(missing_ok=True)


@contextmanager
def whole_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Provide a temporary folder whose files move to `folder` when the block ends without an error.

    The files move one after another. If the process ends between two moves, only the first files
    have moved. Order `names` so that the next run can notice this.

    Parameters
    ----------
    folder : Path
        It must exist.
    names : sequence of str
        The files that the block writes, in the order in which they are moved.

    Yields
    ------
    Path
        The empty temporary folder, inside `folder`.
    """
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as made:
        yield Path(made)
        for name in names:
            Path(made, name).replace(folder / name)


@contextmanager
def whole_folder(target: Path, *, replaces: bool = False) -> Iterator[Path]:
    """Provide a temporary folder that becomes `target` when the block ends without an error.

    Parameters
    ----------
    target : Path
        Its parent is created if it is absent.
    replaces : bool
        Whether an existing folder is replaced. Otherwise one that is not empty is an error. If the
        new folder cannot be moved there, the existing one is moved back.

    Yields
    ------
    Path
        The empty temporary folder.

    Raises
    ------
    OSError
        If a folder cannot be created or moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as made:
        new, old = Path(made, "new"), Path(made, "old")
        new.mkdir()
        yield new
        if replaces and target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
