"""`leadscore report`: the report for marketing and sales."""

import datetime
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.console import JsonOption, ProjectOption, err, progress_bar, show, utc_now
from crm.errors import ConfigError
from crm.project import PROJECT_FILE, Project, load_project

if TYPE_CHECKING:
    from crm.records import Records
    from models.registry.registry import Registry
    from reports.model_verdict import RefusedModel
    from reports.rows.score_changes import LeadChange


def report(
    project: ProjectOption = Path(PROJECT_FILE),
    output: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The folder to write. Default: `report` next to the project file."
        ),
    ] = None,
    since: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only leads created on this day or later, UTC."),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(
            help="Only leads with this value, or in this group of the report, such as "
            "industry=Software or 'employees=100 to 253'."
        ),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(
            help="The person who shares the report. Its takeaways go to a page for both teams."
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Write the report: an HTML page, Markdown with pictures, CSV and JSON."""
    if share is not None and not share.strip():
        raise ConfigError("--share is empty. Name who shares the report, such as --share Ada.")
    opened = load_project(project)
    facts, page = make_report(
        opened,
        output or opened.folder / "report",
        quiet=json_,
        since=None if since is None else since.replace(tzinfo=datetime.UTC),
        segment=None if segment is None else _column_and_value(segment),
        share=share,
    )
    show(facts, page, json_)


def make_report(
    project: Project,
    folder: Path,
    *,
    quiet: bool,
    since: datetime.datetime | None = None,
    segment: tuple[str, str] | None = None,
    share: str | None = None,
    clock: Callable[[], datetime.datetime] = utc_now,
) -> tuple[dict[str, Any], str]:
    """Write a report, and return its facts and a summary for the terminal."""
    from commands.terminal.report import report_summary
    from crm.left_out import left_out_rows
    from crm.reading import read_records
    from models.registry.looks import newest_look
    from models.registry.registry import Registry
    from reports.forms.about import part_of, stamp_of
    from reports.forms.folder import check_folder, read_previous, write_report
    from reports.forms.wiki_diary import FOLDER
    from reports.forms.wiki_diary import share as share_takeaways
    from reports.report import build_report

    check_folder(folder)
    previous = read_previous(folder)
    now = clock()
    registry = Registry(project)
    champion = registry.find_champion()
    scorer = None if champion is None else registry.load(champion).scorer
    refused = None if champion is not None else refused_model(registry)
    if not quiet:
        err.print(f"Reading the records of {project.name} …", soft_wrap=True)
    records = read_records(project, now)
    with progress_bar("Counting", quiet=quiet) as progress:
        content = build_report(
            project,
            records,
            now,
            scorer,
            since=since,
            segment=segment,
            previous=previous,
            refused=refused,
            look=newest_look(registry),
            changes=_score_changes(project, records, now),
        )
        progress(0.5, "Drawing")
        written = write_report(content, folder, at=now)
    page = None
    if share is not None:
        page = share_takeaways(content, written.folder.parent / FOLDER, share, now)
    facts: dict[str, Any] = {
        "folder": str(written.folder),
        "as_of": content.as_of,
        "since": content.about["since"],
        "segment": content.about["segment"],
        "model": champion,
        "files": dict(written.files),
        "takeaways": None if page is None else str(page),
        "left_out_rows": left_out_rows(records.left_out),
    }
    first = next(iter(content.pages), None)
    sentences = [takeaway.sentence for takeaway in first.takeaways] if first else []
    verdict = str(content.about["verdict"]["sentence"])
    summary = report_summary(
        written,
        sentences,
        verdict,
        stamp_of(content),
        part_of(content.about),
        page,
        records.left_out,
    )
    return facts, summary


def _score_changes(
    project: Project, records: "Records", now: datetime.datetime
) -> "list[LeadChange]":
    """Return the newest changes of scores that the ledger stores; none without a ledger."""
    from crm.ledger.records import project_ledger
    from features.times import cell_time
    from reports.rows.score_changes import recent_changes

    with project_ledger(project) as ledger:
        if ledger is None:
            return []
        until = now if records.observed_until is None else min(now, records.observed_until)
        return recent_changes(chain.from_iterable(ledger.rows("scores")), cell_time(until))


def refused_model(registry: "Registry") -> "RefusedModel | None":
    """Return the newest trained model of a registry without a champion; None if it is empty."""
    from crm.errors import ArtifactError
    from models.registry.history import REFUSED, history
    from reports.model_verdict import RefusedModel

    versions = registry.versions()
    if not versions:
        return None
    version = versions[-1].version
    refusals = [e for e in history(registry) if e.what == REFUSED and e.version == version]
    try:
        card = registry.load(version).scorer.card
    except ArtifactError:
        card = None
    return RefusedModel(version, refusals[-1].failed if refusals else (), card)


def _column_and_value(segment: str) -> tuple[str, str]:
    column, equals, value = segment.partition("=")
    if not (column.strip() and equals):
        raise ConfigError(
            f"--segment is {segment[:60]!r}. Expected a column and its value, such as "
            "industry=Software."
        )
    return column.strip(), value.strip()
