"""`leadscore monitor`: watches the champion, and says when it is wrong."""

import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.console import JsonOption, ProjectOption, err, show, utc_now
from commands.notify import tell
from crm.errors import ConfigError, SourceError
from crm.files import whole_file
from crm.project import PROJECT_FILE, Project, load_project

if TYPE_CHECKING:
    from crm.records import Records
    from models.registry.registry import Registry
    from monitoring.look import Look

EXIT_ACT = 3


def monitor(
    project: ProjectOption = Path(PROJECT_FILE),
    prometheus: Annotated[
        Path | None,
        typer.Option(help="Also write the look as a text file for Prometheus' node exporter."),
    ] = None,
    as_of: Annotated[
        datetime.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Look as of this day, UTC, with the records that were known then.",
        ),
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record/--no-record", help="Record the look as a run in MLflow."),
    ] = True,
    json_: JsonOption = False,
) -> None:
    """Watch the champion: whether its scores come true, and whether the leads have changed.

    Exit code 0: nothing to act on. Exit code 3: a check says act.
    """
    from commands.terminal.monitor import look_summary
    from crm.reading import read_records
    from models.registry.looks import record_look
    from models.registry.registry import Registry

    opened = load_project(project)
    registry = Registry(opened)
    now = utc_now()
    if not json_:
        err.print(f"Reading the records of {opened.name} …", soft_wrap=True)
    then = _past(as_of, now) if as_of is not None else None
    records = read_records(opened, now)
    if then is not None:
        now = then
        records = _known_at(records, opened, now)
    look = look_at_champion(opened, registry, records, now)
    if record:
        record_look(registry, look.to_json(), now)
    if prometheus is not None:
        _write(look, prometheus)
    show(look.to_json(), look_summary(look), json_)
    if then is None:  # a look at the past is news to nobody
        tell_of_look(opened, look, now)
    if look.should_act:
        raise typer.Exit(EXIT_ACT)


def _past(day: datetime.datetime, now: datetime.datetime) -> datetime.datetime:
    """Return the start of a day, UTC, which must not be later than `now`."""
    at = day.replace(tzinfo=datetime.UTC)
    if at > now:
        raise ConfigError(
            f"--as-of {day:%Y-%m-%d} is in the future. Give a day until {now:%Y-%m-%d}, or leave "
            "the option out to look as of now."
        )
    return at


def _known_at(records: "Records", project: Project, at: datetime.datetime) -> "Records":
    """Return the records as they were known at a time; they do not last longer because of it."""
    from features.times import cell_time
    from training.backtest.known_then import records_known_at

    if not records.has_times:
        raise ConfigError("--as-of needs leads with a time of creation: [leads] created_at.")
    until = min(cell_time(at), cell_time(records.observed_until))
    return records_known_at(records, project.learn, until)


def look_at_champion(
    project: Project, registry: "Registry", records: "Records", now: datetime.datetime
) -> "Look":
    """Look at the champion of a project, with the scores that the ledger stores."""
    from crm.ledger.records import project_ledger
    from monitoring.look import StoredScores, take_look

    model, version = registry.load_champion()
    with project_ledger(project) as ledger:
        stored = None
        if ledger is not None:
            stored = StoredScores(
                given=lambda: chain.from_iterable(ledger.rows("scores")),
                shadows=lambda: chain.from_iterable(ledger.rows("shadow_scores")),
            )
        return take_look(project, records, model.scorer, version, now, stored)


def tell_of_look(project: Project, look: "Look", now: datetime.datetime) -> None:
    """Notify of each check that says act, unless it was told and has not been fine since."""
    from monitoring.check import Verdict
    from notifying.event import check_event, check_id

    events = [
        check_event(check.number, check.question.text, look.version, now, check.figures)
        for check in look.with_verdict(Verdict.ACT)
    ]
    fine = [check_id(check.number, look.version) for check in look.with_verdict(Verdict.FINE)]
    tell(project, events, settled=fine)


def _write(look: "Look", target: Path) -> None:
    from monitoring.prometheus import exposition

    try:
        with whole_file(target) as work:
            work.write_text(exposition(look), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror}.") from None
