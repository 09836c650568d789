"""`leadscore backtest`: evaluates the whole training at many cut-offs of the history."""

import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.console import JsonOption, ProjectOption, err, out, progress_bar, show
from crm.errors import SourceError
from crm.files import whole_files
from crm.project import PROJECT_FILE, load_project

if TYPE_CHECKING:
    import pandas as pd

    from training.backtest.backtest import Backtest

PAGE, RESULT, WORK = "backtest.html", "backtest.json", "work"
PICTURE_PPI = 144


def backtest(
    project: ProjectOption = Path(PROJECT_FILE),
    every: Annotated[
        int | None, typer.Option(min=1, help="Days between two cut-offs. Default: from the data.")
    ] = None,
    cut_offs: Annotated[
        int | None,
        typer.Option(min=2, max=200, help="The number of cut-offs. Default: 6 to 12."),
    ] = None,
    first: Annotated[
        datetime.datetime | None,
        typer.Option(
            "--from",
            formats=["%Y-%m-%d"],
            help="The first cut-off, UTC. Default: the day on which a quarter of the outcomes "
            "are known.",
        ),
    ] = None,
    last: Annotated[
        datetime.datetime | None,
        typer.Option(
            "--to",
            formats=["%Y-%m-%d"],
            help="The last cut-off at the latest, UTC. Default: one interval before the last lead "
            "with a certain outcome.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The number of processes. The result does not depend on it. Default: one for "
            "each core.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The folder to write. Default: `backtest` next to the project file."
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Show how good models would have been over the history, and how often to train a new one.

    At each cut-off the whole training is repeated with what was known then, and all later leads
    are scored. A backtest that was interrupted goes on where it was.
    """
    from commands.terminal.backtest import backtest_summary
    from crm.reading import read_records
    from models.registry.registry import Registry
    from training.backtest.backtest import backtest as run
    from training.backtest.plan import Options
    from training.tracking.backtests import track_backtest

    opened = load_project(project)
    registry = Registry(opened)  # first, so that it fails before the work
    now = datetime.datetime.now(datetime.UTC)
    folder = output or opened.folder / "backtest"
    if not json_:
        err.print(f"Reading the records of {opened.name} …", soft_wrap=True)
    records = read_records(opened, now)
    with progress_bar("Training", quiet=json_) as progress:
        result = run(
            opened,
            records,
            Options(every, cut_offs, _utc(first), _utc(last)),
            work=folder / WORK,
            workers=workers or os.cpu_count() or 1,
            on_share=progress,
        )
    files = _write(result, folder)
    run_page = track_backtest(registry, result, folder, files, now)
    facts: dict[str, Any] = {**result.to_json(), "folder": str(folder), "run_page": run_page}
    show(facts, backtest_summary(facts), json_)
    if not json_:
        page = f"Wrote the same as a page to {folder / PAGE}."
        for line in (page, f"The run in MLflow: {run_page}"):
            out.print(line, markup=False, soft_wrap=True)


def _write(result: "Backtest", folder: Path) -> tuple[str, ...]:
    """Write the page, the charts and the figures; return the names of the files."""
    from reports.backtest.page import CHARTS, backtest_charts, backtest_page

    facts = result.to_json()
    charts = backtest_charts(facts)
    files = (*(f"{name}.png" for name in charts), RESULT, PAGE)
    try:
        with whole_files(folder, files) as made:
            for name, chart in charts.items():
                chart.save(made / f"{name}.png", ppi=PICTURE_PPI)
            (made / RESULT).write_text(json.dumps(facts, indent=1), encoding="utf-8")
            (made / PAGE).write_text(backtest_page(facts), encoding="utf-8")
        for absent in {*CHARTS} - {*charts}:  # of an earlier backtest
            (folder / f"{absent}.png").unlink(missing_ok=True)
    except OSError as error:
        raise SourceError(f"{folder} cannot be written: {error.strerror}.") from None
    return files


def _utc(day: datetime.datetime | None) -> "pd.Timestamp | None":
    import pandas as pd

    return None if day is None else pd.Timestamp(day, tz="UTC")
