"""`leadscore models …`: versions, their cards, comparisons, and the champion."""

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from commands.console import (
    JsonOption,
    ProjectOption,
    err,
    leadscore_line,
    out,
    show,
    show_commands,
)
from commands.notify import tell
from crm.errors import GateError, SourceError
from crm.project import PROJECT_FILE, Project, load_project

if TYPE_CHECKING:
    from models.card import ModelCard
    from models.registry.history import Event, GateResults
    from models.registry.registry import Registry

VersionArgument = Annotated[
    str, typer.Argument(help="The number of a version, `champion` or `challenger`.")
]
BecauseOption = Annotated[str, typer.Option(help="The reason, for the history.")]
WhoOption = Annotated[
    str | None, typer.Option(help="Who decides. Default: the user who is logged in.")
]

app = typer.Typer(
    help="List, show and compare versions; change the champion.", no_args_is_help=True
)


@app.command("list")
def list_models(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """List the versions: alias, time, quality on their own test leads, digest."""
    from commands.terminal.models import versions_table
    from models.registry.registry import Registry

    versions = Registry(load_project(project)).versions()
    show([version.to_json() for version in versions], versions_table(versions), json_)
    if len(versions) > 1 and not json_:
        newest = [version.version for version in (versions[-1], versions[-2])]
        show_commands(
            "To compare two versions on the same leads:",
            leadscore_line(project, "models", "compare", *newest),
        )


@app.command("show")
def show_model(
    version: VersionArgument,
    html: Annotated[Path | None, typer.Option(help="Write the card as one HTML file.")] = None,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Show the card of a version: its data, its quality, the columns it leaves out."""
    from commands.terminal.models import card_summary
    from models.registry.registry import Registry

    registry = Registry(load_project(project))
    resolved = registry.resolve(version)
    card = registry.load(resolved.version).scorer.card
    if html is not None:
        _write_page(card, html)
    facts = {"version": resolved.to_json(), "card": card.facts()}
    show(facts, card_summary(resolved, card), json_)


def _write_page(card: "ModelCard", target: Path) -> None:
    from reports.card.page import card_page
    from reports.card.pictures import card_pictures

    try:
        target.write_text(card_page(card, pictures=card_pictures(card)), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror}.") from None
    err.print(f"Wrote {target}.", markup=False, soft_wrap=True)


@app.command("compare")
def compare_models(
    challenger: VersionArgument,
    champion: VersionArgument,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Compare two versions on the same leads, which neither has learned from."""
    from commands.terminal.models import comparison_table
    from crm.reading import read_records
    from models.registry.registry import Registry
    from training.comparison.comparison import compare

    opened = load_project(project)
    registry = Registry(opened)
    versions = [registry.resolve(named).version for named in (challenger, champion)]
    records = read_records(opened, datetime.datetime.now(datetime.UTC))
    comparison = compare(registry, opened, records, *versions)
    show(comparison.to_json(), comparison_table(comparison), json_)


@app.command("changes")
def show_changes(
    version: VersionArgument = "challenger",
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Show which open leads would change grade if a version became champion, and why."""
    from commands.terminal.models import changes_table
    from crm.reading import read_records
    from models.registry.registry import Registry
    from training.changes import find_changes

    opened = load_project(project)
    registry = Registry(opened)
    challenger = registry.load(registry.resolve(version).version).scorer
    champion = registry.load(registry.champion()).scorer
    now = datetime.datetime.now(datetime.UTC)
    changes = find_changes(champion, challenger, read_records(opened, now), now)
    show(changes.to_json(), changes_table(changes), json_)


@app.command("history")
def show_history(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """List promotions, refusals and rollbacks: when, by whom, and why."""
    from commands.terminal.models import history_table
    from models.registry.history import history
    from models.registry.registry import Registry

    events = history(Registry(load_project(project)))
    show([event.to_json() for event in events], history_table(events), json_)


@app.command("promote")
def promote_model(
    version: VersionArgument,
    because: BecauseOption = "",
    force: Annotated[
        bool, typer.Option("--force", help="Promote although gates failed; needs --because.")
    ] = False,
    who: WhoOption = None,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Check a challenger against the gates; make it champion if it passes all."""
    from commands.terminal.models import gates_table
    from models.registry.promotion import check_reason, promote, user_name
    from models.registry.registry import Registry
    from notifying.event import refused_event
    from training.gates.gates import GateInputs, run_gates

    check_reason(force, because)
    opened = load_project(project)
    registry = Registry(opened)
    named = registry.resolve(version).version
    inputs = GateInputs.read(opened, datetime.datetime.now(datetime.UTC))
    results = run_gates(registry, opened, inputs, named)
    if not json_:
        out.print(gates_table(results.gates))
    try:
        event = promote(
            registry,
            results,
            who=who or user_name(),
            at=datetime.datetime.now(datetime.UTC),
            because=because,
            forced=force,
        )
    except GateError:
        failed = [f"{gate.number} {gate.name}" for gate in results.failed]
        at = datetime.datetime.now(datetime.UTC)
        tell(opened, [refused_event(named, results.against, failed, at)])
        if json_:
            gates = [gate.to_json() for gate in results.gates]
            print(json.dumps({"event": None, "gates": gates}))  # noqa: T201
        raise
    _hand_over(opened, registry, event, results, json_)


@app.command("rollback")
def rollback_model(
    to: Annotated[
        str | None, typer.Option(help="An earlier champion. Default: the one before the champion.")
    ] = None,
    because: BecauseOption = "",
    who: WhoOption = None,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Make an earlier champion the champion again, if it loads and answers."""
    from models.registry.history import previous_champion
    from models.registry.promotion import rollback, user_name
    from models.registry.registry import Registry
    from training.gates.gates import run_rollback_gate

    opened = load_project(project)
    registry = Registry(opened)
    version = registry.resolve(to).version if to else previous_champion(registry)
    results = run_rollback_gate(registry, version)
    event = rollback(
        registry,
        results,
        who=who or user_name(),
        at=datetime.datetime.now(datetime.UTC),
        because=because,
    )
    _hand_over(opened, registry, event, results, json_)


def _hand_over(
    project: Project, registry: "Registry", event: "Event", results: "GateResults", json_: bool
) -> None:
    """Copy a new champion to BentoML's store, print what happened, and notify of it."""
    from notifying.event import promoted_event
    from serving.bento.store import promote_in_store

    with registry.fetched(event.version) as folder:
        tag = promote_in_store(folder, registry.service_name, event.version)
    gates = [gate.to_json() for gate in results.gates]
    instead = f", instead of version {event.previous}" if event.previous else ""
    summary = (
        f"{registry.name} version {event.version} is the champion now ({event.what}){instead}."
    )
    page = escape(f"{summary} {event.said}".strip()) + f"\nIn BentoML's store: {tag}"
    show({"event": event.to_json(), "gates": gates, "store_tag": tag}, page, json_)
    tell(project, [promoted_event(event.version, event.previous, event.what, event.at)])
