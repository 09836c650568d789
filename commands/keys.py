"""`leadscore keys …`: the keys of the callers of the service."""

import datetime
import json
import os
from typing import Annotated

import typer
from rich.markup import escape

from commands.console import JsonOption, err, out, show
from commands.terminal.tables import new_table

app = typer.Typer(
    help="Add, list and revoke the keys that callers of the service use.", no_args_is_help=True
)


@app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="The name of the caller, as logs show it.")],
    role: Annotated[
        str,
        typer.Option(
            help="score: may score and look up leads; write: may also send activities, stages and "
            "outcomes; admin: may also erase leads and read the metrics."
        ),
    ] = "score",
    json_: JsonOption = False,
) -> None:
    """Create a key and print it once; only its hash is stored."""
    from serving.http.keys import add_key as run
    from serving.settings import keys_file, read_settings

    path = keys_file(read_settings(os.environ))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    key = run(path, name, role, now)
    if json_:
        print(json.dumps({"name": name, "role": role, "key": key}))  # noqa: T201
        return
    print(key)  # noqa: T201
    text = f"Copy the key now: it is not shown again. Its hash is in {path}."
    err.print(text, markup=False, soft_wrap=True)


@app.command("list")
def list_keys(json_: JsonOption = False) -> None:
    """List the keys: name, role and creation time."""
    from serving.http.keys import read_keys
    from serving.settings import keys_file, read_settings

    keys = read_keys(keys_file(read_settings(os.environ)))
    rows = [{"name": key.name, "role": key.role, "created_at": key.created_at} for key in keys]
    table = new_table("name", "role", "since")
    for row in rows:
        table.add_row(*map(escape, row.values()))
    show(rows, table, json_)


@app.command("revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(help="The caller whose key is revoked.")],
) -> None:
    """Revoke a key; running services refuse it within a second."""
    from serving.http.keys import revoke_key as run
    from serving.settings import keys_file, read_settings

    run(keys_file(read_settings(os.environ)), name)
    out.print(f"The key of {escape(name)} is revoked.")
