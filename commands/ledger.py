"""`leadscore ledger …`: the data that the service stores."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from commands.console import JsonOption, ProjectOption, show
from crm.errors import ConfigError
from crm.project import LEDGER_URL, PROJECT_FILE, Project, load_project
from crm.suggest import nearest

if TYPE_CHECKING:
    from crm.ledger.ledger import Ledger

app = typer.Typer(
    help="Export or migrate the leads, events and scores that the service stores.",
    no_args_is_help=True,
)


@app.command("export")
def export_ledger(
    folder: Annotated[
        Path, typer.Argument(help="The folder to write. Each table becomes one file.")
    ],
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", help="A table to export. Repeat the option for more tables."),
    ] = None,
    file_format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Write the tables of the ledger as files that `train` and `score` can read."""
    from crm.ledger.export import TABLES, export_table
    from crm.project import role_columns

    for name in tables or ():
        if name not in TABLES:
            raise ConfigError(f"The ledger has no table `{name}`. {nearest(name, list(TABLES))}")
    opened = load_project(project)
    roles = role_columns(opened)
    names = {role: roles[role] for role in roles if role in ("lead_id", "created_at")}
    folder.mkdir(parents=True, exist_ok=True)
    with _ledger(opened) as ledger:
        facts = {
            name: export_table(ledger, name, folder / f"{name}.{file_format}", names)
            for name in tables or TABLES
        }
    lines = [
        f"Wrote {rows:,} {name} to {folder / name}.{file_format}" for name, rows in facts.items()
    ]
    show({"rows": facts, "folder": str(folder)}, "\n".join(map(escape, lines)), json_)


@app.command("migrate")
def migrate_ledger(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """Migrate the ledger to the schema of this version; opening it does the same."""
    from crm.ledger.schema import SCHEMA_VERSION

    with _ledger(load_project(project)) as ledger:
        ledger.database.prepare()
    show({"schema": SCHEMA_VERSION}, f"The ledger has schema {SCHEMA_VERSION}.", json_)


@contextmanager
def _ledger(project: Project) -> Iterator["Ledger"]:
    from crm.ledger.records import project_ledger

    with project_ledger(project) as ledger:
        if ledger is None:
            raise ConfigError(
                f"{project.path.name} does not name a ledger. Add [ledger] url, or set "
                f"{LEDGER_URL}."
            )
        yield ledger
