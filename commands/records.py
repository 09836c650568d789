"""`leadscore init`, `simulate` and `audit`: the records before there is a model."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.console import (
    JsonOption,
    ProjectOption,
    leadscore_line,
    out,
    progress_bar,
    show,
    show_commands,
)
from crm.errors import SourceError
from crm.project import PROJECT_FILE, load_project

if TYPE_CHECKING:
    from crm.simulation.world import Simulation


def init(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files from the CRM: CSV, .xlsx (or FILE.xlsx#SHEET), JSON Lines or Parquet."
        ),
    ],
    project: ProjectOption = Path(PROJECT_FILE),
    name: Annotated[str | None, typer.Option(help="The name of the model.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="The encoding of the files, such as cp1252.")
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(help="The column that shows how leads ended.")
    ] = None,
    won: Annotated[
        list[str] | None, typer.Option(help="A value of it that means won; repeatable.")
    ] = None,
    lost: Annotated[
        list[str] | None, typer.Option(help="A value of it that means lost; repeatable.")
    ] = None,
) -> None:
    """Write a first project file, with comments, from the data."""
    from commands.terminal.draft import outcome_table, outcome_title
    from drafting.draft import draft_with_values
    from drafting.outcome_column import Declared

    target = project / PROJECT_FILE if project.is_dir() else project
    if target.exists():
        raise SourceError(f"{target} exists already. Move it away, or name another --project.")
    now = datetime.datetime.now(datetime.UTC)
    declared = Declared(outcome, tuple(won or ()), tuple(lost or ()))
    folder = target.resolve().parent
    draft = draft_with_values(sources, folder, name, now, declared, encoding)
    target.write_text(draft.text, encoding="utf-8")
    out.print(outcome_title(draft), markup=False, soft_wrap=True)
    if draft.values:
        out.print(outcome_table(draft))
    for sentences in draft.not_used:
        out.print(f"note: {sentences}", markup=False, soft_wrap=True)
    show_commands(
        f"Wrote {target}. Read its comments, correct what is wrong, then:",
        leadscore_line(target, "check"),
        leadscore_line(target, "train"),
    )


def simulate(
    folder: Annotated[Path, typer.Argument(help="The folder for the tables.")],
    leads: Annotated[int, typer.Option(help="The number of leads.")] = 5_000,
    activities_per_lead: Annotated[
        float, typer.Option(help="The mean number of activities for each lead.")
    ] = 8.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes.")] = 0,
    start: Annotated[
        str, typer.Option(metavar="DAY", help="The first day on which leads are created.")
    ] = "2024-01-01",
    days: Annotated[int, typer.Option(help="The days on which leads are created.")] = 730,
    drift_at: Annotated[
        float,
        typer.Option(
            help="The share of the time after which some effects turn negative; 1: never."
        ),
    ] = 0.75,
    drift: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND@DAY[:STRENGTH]", help="What else changes, and when; repeatable."
        ),
    ] = None,
    seasonality: Annotated[
        float, typer.Option(help="The strength of a yearly cycle, which is not drift.")
    ] = 0.0,
    surge_at: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Paid search triples for 14 days, which is not drift."),
    ] = None,
    file_format: Annotated[str, typer.Option(help="csv or parquet.")] = "csv",
) -> None:
    """Write a SIMULATED B2B CRM whose true probabilities are known.

    KIND is one of:

    - covariate: more leads from paid search and cold lists, and from smaller companies
    - concept: fewer wins, and other effects of some sources and industries
    - label_delay: closings take twice as long
    - broken_feed: no email_open arrives
    - renamed_category: a source and a country have new names
    - dropped_column: budget_eur is empty

    STRENGTH scales the change: 1 if it is absent, and a share of the records for the last three.
    To test one kind of drift alone, pass `--drift-at 1` too.
    """
    from crm.simulation.drift import read_drift
    from crm.simulation.world import Simulation

    settings = Simulation(
        leads=leads,
        activities_per_lead=activities_per_lead,
        seed=seed,
        start=start,
        days=days,
        drift_at=drift_at,
        drifts=tuple(map(read_drift, drift or ())),
        seasonality=seasonality,
        surge_at=surge_at,
    )
    write_simulation(settings, folder, file_format)
    show_commands("Next:", leadscore_line(folder, "train"))


def audit(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """Audit the columns of the leads for leaks, and print the evidence.

    Columns that the project file keeps out of the model are not audited.
    """
    from commands.terminal.audit import audit_summary, audit_table
    from crm.left_out import left_out_rows
    from crm.reading import read_records
    from features.leaks.audit import audit as run
    from features.leaks.audit import unaudited_columns
    from features.moments import make_moments
    from models.fitting.leaving_out import with_costs

    opened = load_project(project)
    records = read_records(opened, datetime.datetime.now(datetime.UTC))
    moments = make_moments(records, opened.learn)
    audited = run(records, moments, opened)
    audited = with_costs(audited, records, moments, opened.columns, opened.leads.timezone)
    facts = audited.to_json() | {"left_out_rows": left_out_rows(records.left_out)}
    show(facts, audit_table(audited), json_)
    if json_:
        return
    for rows in records.left_out:
        out.print(f"note: {rows}", markup=False, soft_wrap=True)
    for line in audit_summary(audited, unaudited_columns(records, opened), opened):
        out.print(line, markup=False, soft_wrap=True)
    show_commands("Next:", leadscore_line(project, "train"))


def write_simulation(settings: "Simulation", folder: Path, file_format: str) -> None:
    """Write a simulated CRM, with a progress bar."""
    from crm.simulation.simulator import simulate as run

    with progress_bar("Simulating", quiet=False) as progress:
        run(
            settings,
            folder,
            file_format=file_format,  # type: ignore[arg-type]  # `run` checks it
            on_chunk=lambda n, total: progress(n / total),
        )
    text = f"Wrote a SIMULATED CRM of {settings.leads:,} leads to {folder}."
    out.print(text, markup=False, soft_wrap=True)
