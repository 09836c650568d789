"""The front door: the `leadscore` command. Assembles what `commands/` holds.

Heavy packages are imported by the command that needs them, so that `--help` is quick.
"""

import sys

import typer

from commands import keys, ledger, models
from commands.console import err, show_error
from commands.demo import demo
from commands.records import audit, init, simulate
from commands.report import report
from commands.score import features, score
from commands.serve import build, follow, serve
from commands.train import train
from crm.errors import LeadScoringError

app = typer.Typer(
    help="Lead scoring that marketing and sales can both believe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (init, simulate, train, audit, features, score, report, build, serve, follow, demo):
    app.command()(command)
for group, name in ((models.app, "models"), (keys.app, "keys"), (ledger.app, "ledger")):
    app.add_typer(group, name=name)


def main() -> None:
    """Run the command line; every refusal becomes one message and an exit code."""
    try:
        app()
    except LeadScoringError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(130)


if __name__ == "__main__":
    main()
