"""`leadscore score` and `leadscore features`: the champion's scores and features."""

import dataclasses
import datetime
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from rich.console import Group
from rich.markup import escape

from commands.console import JsonOption, ProjectOption, progress_bar, show
from commands.terminal.batch import batch_lines
from commands.terminal.tables import new_table
from crm.control_share import check_has_ledger
from crm.errors import ConfigError, LeadScoringError
from crm.project import PROJECT_FILE, TableKeys, load_project
from crm.text import counted

if TYPE_CHECKING:
    from crm.left_out import LeftOutRows


def score(
    leads: Annotated[
        Path,
        typer.Argument(
            help="The file with the leads: CSV, .xlsx (or FILE.xlsx#SHEET), JSON Lines or Parquet."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The file to write, CSV or Parquet.")
    ],
    project: ProjectOption = Path(PROJECT_FILE),
    model: Annotated[
        Path | None, typer.Option(help="The folder of a saved model, instead of the champion.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="The moment of scoring, ISO 8601, UTC if it has no zone; or `created`: each lead "
            "as of its creation. Default: now.",
        ),
    ] = None,
    reasons: Annotated[
        int, typer.Option(help="The number of reasons to write with each score.", min=0, max=20)
    ] = 0,
    json_: JsonOption = False,
) -> None:
    """Score a file of leads with the champion, as of now or of a given moment."""
    from crm.ledger.records import project_ledger
    from crm.left_out import left_out_rows
    from crm.reading_events import read_closings, read_events
    from crm.reading_notes import ReadingNotes
    from crm.sources.source import split_sheet
    from models.artifact import load_artifact
    from models.batch import score_file
    from models.registry.registry import Registry

    source, sheet = split_sheet(str(leads))
    table = TableKeys(source=source, sheet=sheet)
    moment = _moment(as_of)
    known: dict[str, Any] = {}  # about the leads, from the project
    opened = None
    tables_left_out: list[LeftOutRows] = []
    sentences: list[str] = []
    if model is not None:
        loaded, version = load_artifact(model), model.name
    else:
        opened = load_project(project)
        table = msgspec.structs.replace(
            opened.leads,
            source=source,
            sheet=sheet or opened.leads.sheet,
            table=None,
            query=None,
            order=None,
        )
        loaded, version = Registry(opened).load_champion()
        notes = ReadingNotes.of_project(opened)
        read = read_events(opened, notes)
        known["events"] = loaded.scorer.pipeline.event_logs(read)
        try:
            known["closings"] = read_closings(opened, notes)
        except LeadScoringError as error:
            sentences.append(
                "Leads that have ended are not counted, because the table of outcomes cannot be "
                f"used: {error}"
            )
        tables_left_out = notes.left_out
    with ExitStack() as stack:
        ledger = None if opened is None else stack.enter_context(project_ledger(opened))
        if ledger is not None:
            known["erased"] = ledger.erased
        if opened is not None and opened.control_share:
            check_has_ledger(opened.control_share, opened.ledger_url)
            known["lanes"] = None if ledger is None else ledger.lanes(opened.control_share)
        progress = stack.enter_context(
            progress_bar(f"Scoring {leads.name}", quiet=json_, is_share=False)
        )
        summary = score_file(
            loaded.scorer,
            table,
            output,
            as_of=moment,
            n_reasons=reasons,
            on_rows=progress,
            **known,
        )
    card, has_times = loaded.scorer.card, loaded.scorer.pipeline.has_times
    created_at = loaded.scorer.roles["created_at"] if has_times else None
    left_out = [*summary.left_out, *tables_left_out]
    sentences += summary.notes
    facts = {
        "rows": summary.rows,
        "erased": summary.erased,
        "output": str(output),
        "as_of": moment if isinstance(moment, str) else moment.isoformat(),
        "model": {"name": card.name, "version": version, "digest": loaded.digest[:12]},
        "absent": summary.absent,
        "unknown": summary.unknown,
        "renamed": summary.renamed,
        "warnings": [dataclasses.asdict(warning) for warning in summary.warnings],
        "attributes": [dataclasses.asdict(use) for use in summary.attributes],
        "changes": [dataclasses.asdict(change) for change in summary.changes],
        "ended": summary.ended,
        "older_than_learned": summary.leads_with("older_than_learned", created_at),
        "unreadable_created_at": summary.leads_with("unreadable_time", created_at),
        "undated": summary.undated,
        "without_created_at": summary.without_created_at,
        "without_id": summary.without_id,
        "numbered": summary.is_numbered,
        "repeated_ids": summary.repeated_ids,
        "other_formats": [found._asdict() for found in summary.other_formats],
        "with_events": summary.with_events,
        "left_out_rows": left_out_rows(left_out),
        "notes": sentences,
    }
    heading = f"Scored {counted(summary.rows, 'lead')} with {card.name} {version} into {output}."
    lines = batch_lines(summary, created_at, moment)
    lines += [escape(f"note: {note}") for note in (*left_out, *sentences)]
    show(facts, "\n".join([heading, *lines]), json_)


def _moment(text: str | None) -> datetime.datetime | Literal["created"]:
    """Read `--as-of` as the service reads `as_of`, so that its scores can be reproduced."""
    from features.times import cell_time, time_text

    if text is None:
        return datetime.datetime.now(datetime.UTC)
    if text.strip().casefold() == "created":
        return "created"
    try:
        return datetime.datetime.fromisoformat(time_text(cell_time(text)))
    except OverflowError:  # not a time, or a year out of range
        raise ConfigError(
            f"--as-of is {text[:60]!r}. Expected a time, ISO 8601 such as 2025-03-01T08:00:00Z, or "
            "created."
        ) from None


def features(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """List the features of the champion: source, window and unit."""
    from models.registry.registry import Registry

    loaded, version = Registry(load_project(project)).load_champion()
    rows = loaded.scorer.pipeline.features
    table = new_table("feature", "from", "window", "unit", "in words")
    for row in rows:
        source = f"{row.table}: {row.column}"
        table.add_row(*map(escape, (row.name, source, row.window, row.unit, row.template)))
    heading = f"{loaded.scorer.card.name} {version} has {len(rows)} features:"
    described = [msgspec.to_builtins(row) | {"sentence": row.template} for row in rows]
    show(described, Group(heading, table), json_)
