"""The `leadscore` command. Assembles the commands of `commands/`.

Heavy packages are imported by the command that needs them, so that `--help` is quick.
"""

import sys
from typing import Annotated

import typer

from commands import keys, ledger, models
from commands.backtest import backtest
from commands.check import check
from commands.console import err, resolve_bentoml_home, show_error, show_version
from commands.demo import demo
from commands.monitor import monitor
from commands.notify import notify
from commands.records import audit, init, simulate
from commands.report import report
from commands.retrain import retrain
from commands.score import features, score
from commands.serve import build, follow, serve
from commands.train import train
from crm.errors import LeadScoringError

app = typer.Typer(
    help="Rank sales leads by their chance to become customers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    init, simulate, check, train, backtest, audit, features, score, report, monitor, retrain,
    notify, build, serve, follow, demo,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
for group, name in ((models.app, "models"), (keys.app, "keys"), (ledger.app, "ledger")):
    app.add_typer(group, name=name)


@app.callback()
def read_options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Read the options that come before a command."""


def main() -> None:
    """Run the command line; print an expected error as one message, and exit with its code."""
    resolve_bentoml_home()
    try:
        app()
    except LeadScoringError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(130)
