"""Finds the git commit of a project's folder."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

GIT_SECONDS = 10  # a repository on a slow network drive must not delay the training


@dataclass(frozen=True)
class Commit:
    """The commit that is checked out where a project file is.

    Attributes
    ----------
    digest : str
        The digest of the commit.
    is_dirty : bool
        Whether files of the folder differ from the commit, or the project file is not part of it.
    """

    digest: str
    is_dirty: bool


def commit_of(project_file: Path) -> Commit | None:
    """Return the commit of a project file's folder; None without git or a commit.

    Files that git does not track do not count as differences, apart from the project file: MLflow's
    store, for example, may be in the same folder.
    """
    folder = project_file.parent
    head = _git(folder, "rev-parse", "--verify", "HEAD")
    if head is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    is_tracked = _git(folder, "ls-files", "--error-unmatch", "--", project_file.name) is not None
    return Commit(head, is_dirty=changes != "" or not is_tracked)


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints; None if it fails or is not installed."""
    # A program that git runs, such as a hook, has variables that name another repository.
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None
