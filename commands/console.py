"""Options, output and progress that the commands share."""

import datetime
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from crm.errors import ConfigError
from crm.project import PROJECT_FILE
from crm.version import VERSION

if TYPE_CHECKING:
    from rich.console import RenderableType

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="The project file, or the folder it is in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]

UNITS = {"m": 60, "h": 3_600, "d": 86_400}  # seconds
WITHOUT_PROJECT = ("init", "simulate", "demo", "keys")  # commands without the option

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def utc_now() -> datetime.datetime:
    """Return the time of the machine's clock."""
    return datetime.datetime.now(datetime.UTC)


def every_seconds(text: str) -> float:
    """Read the time of `--every`, such as 1m, 12h or 1d, in seconds.

    Raises
    ------
    ConfigError
        If it is not a time, or is shorter than a minute.

    Examples
    --------
    >>> every_seconds("1m"), every_seconds("1.5 h")
    (60.0, 5400.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhd])", text.strip())
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if seconds < UNITS["m"]:
        raise ConfigError(
            f"--every is {text!r}. Expected a time of at least a minute, such as 30m, 12h or 1d."
        )
    return seconds


def show(facts: Any, page: "RenderableType", json_: bool) -> None:
    """Print facts as one JSON object, or the page for people."""
    if json_:
        print(json.dumps(facts))  # noqa: T201
    else:
        out.print(page, soft_wrap=isinstance(page, str))


def show_error(error: Exception) -> None:
    """Print an error on standard error, with commands that can be run as printed."""
    err.print(f"[bold red]error:[/] {escape(with_runnable_commands(str(error)))}", soft_wrap=True)


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


def command_line(program: str, *arguments: object) -> str:
    """Format a command, quoted, so that it can be run in the current folder.

    Parameters
    ----------
    program : str
        `leadscore`, or a program that is installed next to it, such as `mlflow`.
    *arguments : object
        The words of the command. A path below the current folder is printed relative to it.
    """
    here = Path.cwd()
    installed = Path(sys.executable).absolute().parent / program
    on_path = shutil.which(program)
    if on_path is None or Path(on_path).absolute() != installed:
        program = str(installed)
        if installed.is_relative_to(here) and installed.parent != here:
            program = str(installed.relative_to(here))
    words = [program]
    for argument in arguments:
        is_below = isinstance(argument, Path) and argument.is_relative_to(here)
        words.append(os.path.relpath(str(argument)) if is_below else str(argument))
    return shlex.join(words)


def with_runnable_commands(text: str, project: Path | None = None) -> str:
    """Return a text in which each `leadscore` command, between backticks, can be run as printed.

    Parameters
    ----------
    text : str
    project : Path, optional
        The project for the commands. By default it is the project of the running command.
    """
    if project is None and Path(sys.argv[0]).stem == "leadscore":
        project = named_project(sys.argv[1:])

    def runnable(command: re.Match[str]) -> str:
        words = command[1]
        is_of_project = words.split()[0] not in WITHOUT_PROJECT and "--project" not in words
        named = f" --project {shlex.quote(str(project))}" if project and is_of_project else ""
        return f"`{command_line('leadscore')} {words}{named}`"

    return re.sub(r"`leadscore ([^`]+)`", runnable, text)


def named_project(arguments: Sequence[str]) -> Path | None:
    """Return the project that the arguments of a command name; None without `--project`.

    Examples
    --------
    >>> named_project(["score", "new.csv", "-p", "my proj"]).name, named_project(["train"])
    ('my proj', None)
    """
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument in ("-p", "--project"):
            return Path(following)
        for start in ("--project=", "-p"):
            if argument.startswith(start):
                return Path(argument.removeprefix(start))
    return None


def leadscore_line(project: Path, *arguments: object) -> str:
    """Format a `leadscore` command for a project; `--project` is left out for the default file."""
    named = () if project == Path(PROJECT_FILE) else ("--project", project)
    return command_line("leadscore", *arguments, *named)


def mlflow_line(tracking_uri: str) -> str:
    """Format the command that shows a database in MLflow's pages; one worker starts fastest.

    An address with a password is not printed, but read from the variable that contains it.
    """
    from models.registry.reachable import shown  # it imports SQLAlchemy

    options = ("ui", "--workers", 1, "--backend-store-uri")
    if shown(tracking_uri) != tracking_uri:
        return command_line("mlflow", *options) + ' "$MLFLOW_TRACKING_URI"'
    return command_line("mlflow", *options, tracking_uri)


def show_commands(heading: str, *commands: str) -> None:
    """Print commands that can be run next, one line each, under a heading."""
    out.print(heading, soft_wrap=True, markup=False)
    for command in commands:
        out.print(f"  {command}", soft_wrap=True, markup=False)


@contextmanager
def progress_bar(what: str, *, quiet: bool, is_share: bool = True) -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error, if that is a terminal and `quiet` is false.

    Parameters
    ----------
    what : str
        The activity, for the text before the bar.
    quiet : bool
        True to show no bar.
    is_share : bool
        True if progress is a share of the whole, 0 … 1; False if it is a number of rows.

    Yields
    ------
    callable
        The function that updates the bar. It takes the progress and, if it changes, the activity.
    """
    estimate = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    count = (TextColumn("{task.completed:,} rows"),)
    columns = (TextColumn("{task.description}"), *(estimate if is_share else count))
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(what, total=1.0 if is_share else None)

        def update(done: float, what: str | None = None) -> None:
            bar.update(task, completed=done, description=what)

        yield update
