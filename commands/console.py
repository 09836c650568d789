"""What commands share: two options, where they print, and how they show progress."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from crm.version import VERSION

if TYPE_CHECKING:
    from rich.console import RenderableType

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="The project file, or the folder it is in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def show(facts: Any, page: "RenderableType", json_: bool) -> None:
    """Print one JSON object for machines, or a page for people."""
    if json_:
        print(json.dumps(facts))  # noqa: T201
    else:
        out.print(page, soft_wrap=isinstance(page, str))


def show_error(error: Exception) -> None:
    """Say on standard error what was refused, and why."""
    err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)


def show_version(is_wanted: bool) -> None:
    """Print the version of leadscore, and end the command."""
    if is_wanted:
        out.print(f"leadscore {VERSION}")
        raise typer.Exit


def resolve_bentoml_home() -> None:
    """Make a relative `BENTOML_HOME` absolute.

    BentoML changes into the folder of a Bento before it reads the variable, so a relative path
    would lead elsewhere.
    """
    home = os.environ.get("BENTOML_HOME")
    if home:
        os.environ["BENTOML_HOME"] = os.path.abspath(os.path.expanduser(home))


def as_typed(name: str = "leadscore") -> str:
    """Name a command of this environment as it can be typed where we are."""
    beside = Path(sys.executable).parent / name
    if os.environ.get("VIRTUAL_ENV") or not beside.is_relative_to(Path.cwd()):
        return name
    return str(beside.relative_to(Path.cwd()))


@contextmanager
def progress(what: str, *, quiet: bool, is_share: bool = True) -> Iterator[Callable[..., None]]:
    """Show a progress bar with an estimate on standard error; nothing for machines."""
    estimate = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    count = (TextColumn("{task.completed:,} rows"),)
    columns = (TextColumn("{task.description}"), *(estimate if is_share else count))
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(what, total=1.0 if is_share else None)

        def told(done: float, what: str | None = None) -> None:
            bar.update(task, completed=done, description=what)

        yield told
