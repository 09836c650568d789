"""The front door: the `leadscore` command. Parses, calls, prints.

Heavy packages are imported by the command that needs them, so that `--help` is quick.
"""

import datetime
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import rich.box
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from crm.errors import (
    ArtifactError,
    ConfigError,
    GateError,
    LeadScoringError,
    ServiceError,
    SourceError,
    TrackingError,
)
from crm.project import LEDGER_URL, PROJECT_FILE, Project, TableKeys, load_project, nearest

if TYPE_CHECKING:
    from rich.console import RenderableType

    from crm.ledger import Ledger
    from crm.simulated_world import Simulation
    from models.card import ModelCard
    from models.history import Event
    from models.registry import Registry
    from training.tracking import TrackedModel
    from training.train import Trained

HERE = Path(__file__).resolve().parent


app = typer.Typer(
    help="Lead scoring that marketing and sales can both believe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="The project file, or the folder it is in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
HostOption = Annotated[str, typer.Option(help="The address to listen on.")]
VersionArgument = Annotated[str, typer.Argument(help="A version's number, champion or challenger.")]
BecauseOption = Annotated[str, typer.Option(help="Why; the history keeps it.")]
WhoOption = Annotated[
    str | None, typer.Option(help="Who decides; without it, the user who is logged in.")
]

models_app = typer.Typer(
    help="What was trained, who is champion, and how it came to be.", no_args_is_help=True
)
app.add_typer(models_app, name="models")
keys_app = typer.Typer(help="Who may call the service.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
ledger_app = typer.Typer(
    help="What the service keeps: leads, activities, stages, outcomes, scores.",
    no_args_is_help=True,
)
app.add_typer(ledger_app, name="ledger")


def main() -> None:
    """Run the command line; every refusal becomes one message and an exit code."""
    try:
        app()
    except LeadScoringError as error:
        err.print(f"[bold red]error:[/] {_plain(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("stopped")
        sys.exit(130)


@app.command()
def init(
    sources: Annotated[list[str], typer.Argument(help="CSV or Parquet files of the CRM.")],
    project: ProjectOption = Path(PROJECT_FILE),
    name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
) -> None:
    """Write a first, commented project file from the data."""
    from crm.drafting import draft_project

    target = project / PROJECT_FILE if project.is_dir() else project
    if target.exists():
        raise SourceError(f"{target} exists already. Move it away, or name another --project.")
    text = draft_project(sources, target.resolve().parent, name)
    target.write_text(text, encoding="utf-8")
    out.print(f"Wrote {target}. Read its comments, change what is wrong, then:")
    out.print(f"  {_command()} train --project {target}", soft_wrap=True)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Where to write the tables.")],
    leads: Annotated[int, typer.Option(help="How many leads.")] = 5_000,
    activities_per_lead: Annotated[float, typer.Option(help="Mean per lead.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    drift_at: Annotated[
        float, typer.Option(help="Share of the time after which the world changes; 1: never.")
    ] = 0.75,
    file_format: Annotated[str, typer.Option(help="csv or parquet.")] = "csv",
) -> None:
    """Write a SIMULATED B2B CRM with a known truth."""
    from crm.simulated_world import Simulation

    settings = Simulation(
        leads=leads, activities_per_lead=activities_per_lead, seed=seed, drift_at=drift_at
    )
    _simulate(settings, folder, file_format)
    out.print(f"Next:\n  {_command()} train --project {folder}", soft_wrap=True)


@app.command()
def train(
    project: ProjectOption = Path(PROJECT_FILE),
    tune: Annotated[
        float | None,
        typer.Option(help="Minutes to search for better settings.", min=0.01, max=1440),
    ] = None,
    with_report: Annotated[
        bool, typer.Option("--report", help="Keep the report with the run in MLflow as well.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Train a model, judge it on the newest leads, track and register it."""
    from reports.terminal_training import training_summary

    trained, tracked, store_tag = _train(
        load_project(project), quiet=json_, tune_minutes=tune, with_report=with_report
    )
    if json_:
        print(json.dumps(_train_facts(trained, tracked, store_tag)))  # noqa: T201
        return
    out.print(training_summary(trained.scorer.card.to_json()), soft_wrap=True)
    out.print(_state(tracked))
    out.print(
        f"Next:\n"
        f"  {_command()} score leads.csv -o scored.csv --project {project}\n"
        f"  {_command()} build --project {project} && {_command()} serve --project {project}\n"
        f"  {_command('mlflow')} ui --backend-store-uri {tracked.tracking_uri}",
        soft_wrap=True,
    )


@app.command()
def audit(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """Judge every field of the leads: leak, suspect or fine, with the evidence."""
    from crm.records import read_records
    from features.audit import Verdict
    from features.audit import audit as run
    from features.moments import make_moments

    opened = load_project(project)
    records = read_records(opened, datetime.datetime.now(datetime.UTC))
    found = run(records, make_moments(records, opened.learn), opened)
    if json_:
        print(json.dumps(found.to_json()))  # noqa: T201
        return
    table = Table(box=rich.box.SIMPLE, pad_edge=False)
    for heading in ("field", "verdict", "evidence"):
        table.add_column(heading)
    for field in sorted(found.fields, key=lambda field: list(Verdict).index(field.verdict)):
        evidence = "\n".join(f"{check.number} {check.evidence}" for check in field.checks)
        table.add_row(_plain(field.field[:60]), field.verdict.value, _plain(evidence))
    out.print(table)
    lines = [field.line for field in found.fields if field.line]
    if lines:
        out.print("Leaks and suspects are left out of the model. To settle them for good, put into")
        out.print(f"[columns] of {_plain(str(opened.path.name))}:", markup=False)
        for line in lines:
            out.print(f"  {line}", markup=False, soft_wrap=True)


@app.command()
def features(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """List what the champion looks at: source, window and unit of every feature."""
    from models.registry import Registry

    loaded, version = Registry(load_project(project)).load_champion()
    rows = loaded.scorer.pipeline.features
    if json_:
        print(json.dumps([msgspec.to_builtins(row) for row in rows]))  # noqa: T201
        return
    table = Table(box=rich.box.SIMPLE, pad_edge=False)
    for heading in ("feature", "from", "window", "unit", "in words"):
        table.add_column(heading)
    for row in rows:
        window = f"{row.window_days:g} days" if row.window_days else ""
        source = f"{row.table}: {row.column}"
        table.add_row(*map(_plain, (row.name, source, window, row.unit, row.sentence)))
    out.print(f"{loaded.scorer.card.name} {version} looks at {len(rows)} features:")
    out.print(table)


@app.command()
def score(
    leads: Annotated[Path, typer.Argument(help="The leads, CSV or Parquet.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV or Parquet to write.")],
    project: ProjectOption = Path(PROJECT_FILE),
    model: Annotated[
        Path | None, typer.Option(help="A saved model's folder, instead of the champion.")
    ] = None,
    as_of: Annotated[
        datetime.datetime | None, typer.Option(help="The moment of scoring, UTC; now by default.")
    ] = None,
    reasons: Annotated[
        int, typer.Option(help="How many reasons to write beside each score.", min=0, max=20)
    ] = 0,
    json_: JsonOption = False,
) -> None:
    """Score a file of leads with the champion, as of now or of the moment named."""
    from crm.records import read_events
    from models.artifact import load_artifact
    from models.batch import score_file
    from models.registry import Registry

    table = TableKeys(source=str(leads))
    moment = (as_of or datetime.datetime.now(datetime.UTC)).replace(tzinfo=datetime.UTC)
    events: dict[str, Any] = {}
    if model is not None:
        loaded, version = load_artifact(model), model.name
    else:
        opened = load_project(project)
        table = msgspec.structs.replace(
            opened.leads, source=str(leads), table=None, query=None, order=None
        )
        loaded, version = Registry(opened).load_champion()
        events = read_events(opened, notes=[])
    with _progress(f"Scoring {leads.name}", quiet=json_, is_share=False) as told:
        summary = score_file(
            loaded.scorer, table, output, as_of=moment, n_reasons=reasons, on_rows=told, **events
        )
    card = loaded.scorer.card
    facts = {
        "rows": summary.rows,
        "output": str(output),
        "as_of": moment.isoformat(timespec="seconds"),
        "model": {"name": card.name, "version": version, "digest": loaded.digest[:12]},
        "absent": summary.absent,
        "unknown": summary.unknown,
    }
    if json_:
        print(json.dumps(facts))  # noqa: T201
        return
    out.print(
        f"Scored {summary.rows:,} leads with {card.name} {version} into {output}.", soft_wrap=True
    )
    for what, columns in (
        ("absent, so they counted as missing", summary.absent),
        ("unknown to the model and ignored", summary.unknown),
    ):
        if columns:
            out.print(f"Columns {what}: {_plain(', '.join(columns))}", soft_wrap=True)


@app.command()
def report(
    project: ProjectOption = Path(PROJECT_FILE),
    output: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to write; `report` beside the project file."),
    ] = None,
    since: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only leads created on this day or later, UTC."),
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Only leads with this value, such as industry=Software.")
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(help="Who shares it: put the takeaways on a page of today for both teams."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Write the report: a page that opens from disk, Markdown with pictures, CSV and JSON."""
    opened = load_project(project)
    facts, page = _report(
        opened,
        output or opened.folder / "report",
        quiet=json_,
        since=None if since is None else since.replace(tzinfo=datetime.UTC),
        segment=None if segment is None else _column_and_value(segment),
        share=share,
    )
    _show(facts, page, json_)


def _report(
    project: Project,
    folder: Path,
    *,
    quiet: bool,
    since: datetime.datetime | None = None,
    segment: tuple[str, str] | None = None,
    share: str | None = None,
) -> "tuple[dict[str, Any], RenderableType]":
    """Write a report; give the facts for machines, and what to tell people."""
    from crm.records import read_records
    from models.registry import Registry
    from reports.report import build_report
    from reports.takeaways import FOLDER
    from reports.takeaways import share as share_takeaways
    from reports.terminal import report_summary
    from reports.write import check_folder, read_previous, write_report

    check_folder(folder)
    previous = read_previous(folder)
    now = datetime.datetime.now(datetime.UTC)
    registry = Registry(project)
    champion = registry.find_champion()
    scorer = None if champion is None else registry.load(champion).scorer
    if not quiet:
        err.print(f"Reading the records of {project.name} …", soft_wrap=True)
    records = read_records(project, now)
    with _progress("Counting", quiet=quiet) as told:
        content = build_report(
            project, records, now, scorer, since=since, segment=segment, previous=previous
        )
        told(0.5, "Drawing")
        written = write_report(content, folder, at=now)
    page = None
    if share is not None:
        page = share_takeaways(content, written.folder.parent / FOLDER, share, now)
    facts: dict[str, Any] = {
        "folder": str(written.folder),
        "as_of": content.as_of,
        "model": champion,
        "files": dict(written.files),
        "takeaways": None if page is None else str(page),
    }
    first = next(iter(content.pages), None)
    sentences = [takeaway.sentence for takeaway in first.takeaways] if first else []
    return facts, report_summary(facts, sentences, written.total_bytes)


def _column_and_value(segment: str) -> tuple[str, str]:
    column, equals, value = segment.partition("=")
    if not (column.strip() and equals):
        raise ConfigError(
            f"--segment is {segment[:60]!r}. Expected a column and its value, such as "
            "industry=Software."
        )
    return column.strip(), value.strip()


@app.command()
def build(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """Pack the service and the champion into a Bento."""
    from models.registry import Registry
    from serving.store import build_bento, put_in_store

    opened = load_project(project)
    registry = Registry(opened)
    version = registry.champion()
    with registry.fetched(version) as folder:
        tag = put_in_store(folder, opened.name, version)
    bento = build_bento(HERE, tag)
    if json_:
        print(json.dumps({"bento": bento, "model": tag}))  # noqa: T201
        return
    out.print(f"Built the Bento {bento}. Serve it:", soft_wrap=True)
    out.print(f"  {_command()} serve --project {project}", soft_wrap=True)
    out.print(f"  {_command('bentoml')} serve {bento}", soft_wrap=True)


@app.command()
def serve(
    project: ProjectOption = Path(PROJECT_FILE),
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 3000,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer.", min=1, max=64)
    ] = None,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="Stay with the Bento's model after a promotion.")
    ] = False,
) -> None:
    """Serve the newest Bento of the project, and each new champion, until it is stopped."""
    from crm.ledger import Ledger
    from serving.process import check_port, serve_command, serve_environment
    from serving.store import newest_bento

    opened = load_project(project)
    tag, folder = newest_bento(opened.name)
    check_port(host, port)
    out.print(f"Serving {tag} on http://{host}:{port} (Ctrl+C stops it)", soft_wrap=True)
    sys.stdout.flush()
    command = serve_command(folder, host, port)
    settings = {"LEADSCORE_TAKEOVER": "off"} if pinned else {}
    if opened.ledger_url:
        with Ledger(opened.ledger_url, opened.folder) as ledger:
            url = ledger.database.engine.url  # whole, wherever the service runs
            settings["LEADSCORE_LEDGER_URL"] = url.render_as_string(hide_password=False)
    settings |= {"LEADSCORE_WORKERS": str(workers)} if workers else {}
    os.execvpe(command[0], command, serve_environment(host, settings))


@app.command()
def follow(
    project: ProjectOption = Path(PROJECT_FILE),
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=1)] = 10,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
) -> None:
    """Bring the champion from MLflow's registry to the services on this machine."""
    from models.registry import Registry
    from serving.store import promote_in_store

    opened = load_project(project)
    seen: str | None = None
    while True:
        try:
            registry = Registry(opened)
            version = registry.champion()
            if version != seen:
                with registry.fetched(version) as folder:
                    tag = promote_in_store(folder, opened.name, version)
                seen = version
                out.print(f"{opened.name} version {version} is served from {tag}", soft_wrap=True)
        except (TrackingError, ArtifactError, ServiceError) as error:
            if once:
                raise
            err.print(f"[bold red]error:[/] {_plain(str(error))}", soft_wrap=True)
        if once:
            return
        sys.stdout.flush()
        time.sleep(every)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    leads: Annotated[int, typer.Option(help="How many simulated leads.")] = 5_000,
    keep_serving: Annotated[bool, typer.Option(help="Leave the service running.")] = False,
) -> None:
    """Run the whole thing on a SIMULATED CRM: train, track, pack, serve, score over HTTP."""
    os.environ["BENTOML_HOME"] = str(folder.resolve() / "bentoml")
    (folder / "bentoml").mkdir(parents=True, exist_ok=True)
    from crm.simulated_world import Simulation
    from reports.terminal_training import scores_table, training_summary

    out.rule("1  a simulated CRM", align="left")
    _simulate(Simulation(leads=leads, drift_at=1.0), folder / "crm", "csv")
    opened = load_project(folder / "crm")
    out.rule("2  learn, judge on the newest leads, track in MLflow", align="left")
    trained, tracked, _ = _train(opened, quiet=False)
    out.print(training_summary(trained.scorer.card.to_json()), soft_wrap=True)
    out.print(_state(tracked))
    out.rule("3  the report for marketing and sales", align="left")
    _, said = _report(opened, folder / "report", quiet=False)
    out.print(said, soft_wrap=True)
    out.rule("4  pack a Bento, serve it, score over HTTP", align="left")

    from models.registry import Registry
    from serving.process import check_port, free_port, running_service
    from serving.store import build_bento, newest_bento, put_in_store

    registry = Registry(opened)
    version = registry.champion()
    with registry.fetched(version) as artifact:
        tag = put_in_store(artifact, opened.name, version)
    bento = build_bento(HERE, tag)
    out.print(f"Built the Bento {bento}; starting it …", soft_wrap=True)
    body = _demo_request(opened)
    (folder / "leads.json").write_text(body)
    host, port = "127.0.0.1", 3000
    try:
        check_port(host, port)
    except LeadScoringError:
        port = free_port(host)
    with running_service(newest_bento(opened.name)[1], host, port) as url:
        answer = _post(f"{url}/score", body)
        out.print(scores_table(answer))
        out.rule("All of this is SIMULATED. Where to look", align="left")
        where = {
            "tables": folder / "crm",
            "MLflow": f"{_command('mlflow')} ui --backend-store-uri {tracked.tracking_uri}",
            "report": folder / "report" / "index.html",
            "artefact": tracked.artifact_uri.removeprefix("file://"),
            "service": f"BENTOML_HOME={folder / 'bentoml'} {_command()} serve "
            f"--project {folder / 'crm'} --port {port}",
            "then try": f"curl -s http://{host}:{port}/score -d @{folder / 'leads.json'}",
        }
        for what, place in where.items():
            out.print(f"  {what:<9} {place}", soft_wrap=True)
        if keep_serving:
            out.print(f"The service is running on {url}; Ctrl+C stops it.")
            _wait_for_interrupt()


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Whose key it is; logs name it.")],
    role: Annotated[
        str,
        typer.Option(
            help="score: scores and looks up; write: also sends activities, stages and outcomes; "
            "admin: also erases, and reads the metrics."
        ),
    ] = "score",
    json_: JsonOption = False,
) -> None:
    """Make a key and show it, once: only its hash is kept."""
    from serving.keys import add_key as run
    from serving.settings import keys_file, read_settings

    path = keys_file(read_settings(os.environ))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    key = run(path, name, role, now)
    if json_:
        print(json.dumps({"name": name, "role": role, "key": key}))  # noqa: T201
        return
    print(key)  # noqa: T201
    err.print(f"Keep it now: it is not shown again. Its hash is in {path}.", soft_wrap=True)


@keys_app.command("list")
def list_keys(json_: JsonOption = False) -> None:
    """List the keys: name, role, and since when."""
    from serving.keys import read_keys
    from serving.settings import keys_file, read_settings

    keys = read_keys(keys_file(read_settings(os.environ)))
    rows = [{"name": key.name, "role": key.role, "created_at": key.created_at} for key in keys]
    table = Table(box=rich.box.SIMPLE, pad_edge=False)
    for heading in ("name", "role", "since"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*map(_plain, row.values()))
    _show(rows, table, json_)


@keys_app.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="Whose key.")]) -> None:
    """Take a key away; running services refuse it within a second."""
    from serving.keys import revoke_key as run
    from serving.settings import keys_file, read_settings

    run(keys_file(read_settings(os.environ)), name)
    out.print(f"The key of {_plain(name)} is revoked.")


@models_app.command("list")
def list_models(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """List the versions: alias, when, how good on their own test leads, digest."""
    from models.registry import Registry
    from reports.terminal import versions_table

    rows = [version.to_json() for version in Registry(load_project(project)).versions()]
    _show(rows, versions_table(rows), json_)


@models_app.command("show")
def show_model(
    version: VersionArgument,
    html: Annotated[
        Path | None, typer.Option(help="Write the card as a page that stands alone.")
    ] = None,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Show a version's card: what it learned from, how good it is, what it leaves out."""
    from models.registry import Registry
    from reports.terminal import card_summary

    registry = Registry(load_project(project))
    found = registry.resolve(version)
    card = registry.load(found.version).scorer.card
    if html is not None:
        _write_page(card, html)
    facts, plain = found.to_json(), card.to_json()
    _show({"version": facts, "card": plain}, card_summary(facts, plain), json_)


def _write_page(card: "ModelCard", target: Path) -> None:
    from reports.card_page import card_page
    from reports.card_pictures import card_pictures

    try:
        target.write_text(card_page(card, pictures=card_pictures(card)), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror}.") from None
    err.print(f"Wrote {target}.", soft_wrap=True)


@models_app.command("compare")
def compare_models(
    one: VersionArgument,
    other: VersionArgument,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Compare two versions on the same newest leads, which neither of them learned from."""
    from crm.records import read_records
    from models.registry import Registry
    from reports.terminal import comparison_table
    from training.judging import compare

    opened = load_project(project)
    registry = Registry(opened)
    versions = [registry.resolve(named).version for named in (one, other)]
    records = read_records(opened, datetime.datetime.now(datetime.UTC))
    found = compare(registry, opened, records, *versions).to_json()
    _show(found, comparison_table(found), json_)


@models_app.command("changes")
def show_changes(
    version: VersionArgument = "challenger",
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Show which open leads would change grade if a version became champion, and why."""
    from crm.records import read_records
    from models.registry import Registry
    from reports.terminal import changes_table
    from training.changes import find_changes

    opened = load_project(project)
    registry = Registry(opened)
    after = registry.load(registry.resolve(version).version).scorer
    before = registry.load(registry.champion()).scorer
    now = datetime.datetime.now(datetime.UTC)
    found = find_changes(before, after, read_records(opened, now), now).to_json()
    _show(found, changes_table(found), json_)


@models_app.command("history")
def show_history(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """List what was promoted, refused or rolled back: when, by whom, and why."""
    from models.history import history
    from models.registry import Registry
    from reports.terminal import history_table

    rows = [event.to_json() for event in history(Registry(load_project(project)))]
    _show(rows, history_table(rows), json_)


@models_app.command("promote")
def promote_model(
    version: VersionArgument,
    because: BecauseOption = "",
    force: Annotated[
        bool, typer.Option("--force", help="In spite of failed gates; needs --because.")
    ] = False,
    who: WhoOption = None,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Put a challenger through its gates; if it passes all, it is the champion."""
    from models.promotion import check_reason, promote, user_name
    from models.registry import Registry
    from reports.terminal import gates_table
    from training.gate import Grounds, judge

    check_reason(force, because)
    opened = load_project(project)
    registry = Registry(opened)
    named = registry.resolve(version).version
    grounds = Grounds.read(opened, datetime.datetime.now(datetime.UTC))
    judgement = judge(registry, opened, grounds, named)
    gates = [gate.to_json() for gate in judgement.gates]
    if not json_:
        out.print(gates_table(gates))
    try:
        event = promote(
            registry,
            judgement,
            who=who or user_name(),
            at=datetime.datetime.now(datetime.UTC),
            because=because,
            forced=force,
        )
    except GateError:
        if json_:
            print(json.dumps({"event": None, "gates": gates}))  # noqa: T201
        raise
    _crown(registry, event, gates, json_)


@models_app.command("rollback")
def rollback_model(
    to: Annotated[
        str | None, typer.Option(help="A version; without it, the champion before this one.")
    ] = None,
    because: BecauseOption = "",
    who: WhoOption = None,
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Make an earlier champion the champion again, if it loads and answers."""
    from models.history import previous_champion
    from models.promotion import rollback, user_name
    from models.registry import Registry
    from training.gate import judge_return

    registry = Registry(load_project(project))
    version = registry.resolve(to).version if to else previous_champion(registry)
    judgement = judge_return(registry, version)
    event = rollback(
        registry,
        judgement,
        who=who or user_name(),
        at=datetime.datetime.now(datetime.UTC),
        because=because,
    )
    _crown(registry, event, [gate.to_json() for gate in judgement.gates], json_)


@ledger_app.command("export")
def export_ledger(
    folder: Annotated[Path, typer.Argument(help="Where to write one file for each table.")],
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="Which tables; without it, all.")
    ] = None,
    file_format: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    project: ProjectOption = Path(PROJECT_FILE),
    json_: JsonOption = False,
) -> None:
    """Write the ledger's tables as files that `train` and `score` can read."""
    from crm.ledger_export import TABLES, export_table
    from features.fitting import role_columns

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
    _show({"rows": facts, "folder": str(folder)}, "\n".join(map(_plain, lines)), json_)


@ledger_app.command("migrate")
def migrate_ledger(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """Bring the ledger's tables to this leadscore's schema; whatever opens it does so too."""
    from crm.ledger_schema import SCHEMA_VERSION

    with _ledger(load_project(project)) as ledger:
        ledger.database.prepare()
    _show({"schema": SCHEMA_VERSION}, f"The ledger has schema {SCHEMA_VERSION}.", json_)


@contextmanager
def _ledger(project: Project) -> Iterator["Ledger"]:
    from crm.ledger_records import project_ledger

    with project_ledger(project) as ledger:
        if ledger is None:
            raise ConfigError(
                f"{project.path.name} names no ledger. Add [ledger] url, or set {LEDGER_URL}."
            )
        yield ledger


def _crown(registry: "Registry", event: "Event", gates: list[Any], json_: bool) -> None:
    """Hand a new champion to BentoML's store, and say so."""
    from serving.store import promote_in_store

    with registry.fetched(event.version) as folder:
        tag = promote_in_store(folder, registry.name, event.version)
    was = f", instead of version {event.previous}" if event.previous else ""
    said = f"{registry.name} version {event.version} is the champion now ({event.what}){was}."
    page = _plain(f"{said} {event.said}".strip()) + f"\nIn BentoML's store: {tag}"
    _show({"event": event.to_json(), "gates": gates, "store_tag": tag}, page, json_)


def _show(facts: Any, page: "RenderableType", json_: bool) -> None:
    """Print one JSON object for machines, or a page for people."""
    if json_:
        print(json.dumps(facts))  # noqa: T201
    else:
        out.print(page, soft_wrap=isinstance(page, str))


def _simulate(settings: "Simulation", folder: Path, file_format: str) -> None:
    from crm.simulator import simulate as run

    with _progress("Simulating", quiet=False) as told:
        run(settings, folder, file_format=file_format, on_chunk=lambda n, total: told(n / total))  # type: ignore[arg-type]
    out.print(f"Wrote a SIMULATED CRM of {settings.leads:,} leads to {folder}.", soft_wrap=True)


def _command(name: str = "leadscore") -> str:
    """Name a command of this environment as it can be typed where we are."""
    beside = Path(sys.executable).parent / name
    if os.environ.get("VIRTUAL_ENV") or not beside.is_relative_to(Path.cwd()):
        return name
    return str(beside.relative_to(Path.cwd()))


def _train(
    project: Project, quiet: bool, tune_minutes: float | None = None, with_report: bool = False
) -> "tuple[Trained, TrackedModel, str | None]":
    """Read, train, track, register; a new champion also goes into BentoML's store."""
    from crm.records import read_records
    from models.artifact import save_artifact
    from models.registry import ARTIFACT, Registry
    from serving.store import promote_in_store
    from training.tracking import track
    from training.train import train as run

    registry = Registry(project)  # MLflow is asked first: a server that is down costs no training
    if not quiet:
        err.print(f"Reading the records of {project.name} …", soft_wrap=True)
    now = datetime.datetime.now(datetime.UTC)
    records = read_records(project, now)
    with _progress("Learning", quiet=quiet) as told:
        trained = run(
            project, records, now=now, pinned=registry.pinned_scale(), tune_minutes=tune_minutes,
            on_share=lambda what, share: told(share, what),
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
        artifact = Path(work) / ARTIFACT
        save_artifact(trained.scorer, trained.golden_leads, artifact, trained.golden_as_of)
        tracked_at = datetime.datetime.now(datetime.UTC)
        tracked = track(registry, project, records, trained, artifact, tracked_at, with_report)
        tag = None
        if tracked.is_champion:
            tag = promote_in_store(artifact, project.name, tracked.version)
    return trained, tracked, tag


def _train_facts(
    trained: "Trained", tracked: "TrackedModel", store_tag: str | None
) -> dict[str, Any]:
    card = trained.scorer.card
    return {
        "model": {
            "name": card.name,
            "version": tracked.version,
            "digest": tracked.digest,
            "is_champion": tracked.is_champion,
            "run_id": tracked.run_id,
            "tracking_uri": tracked.tracking_uri,
            "artifact_uri": tracked.artifact_uri,
            "store_tag": store_tag,
            "simulated": card.simulated,
        },
        "test": card.test,
        "baselines": card.baselines,
        "readiness": card.readiness,
        "estimator": card.estimator,
        "learned_from": card.learned_from,
        "left_out": card.left_out,
        "notes": card.notes,
    }


def _state(tracked: "TrackedModel") -> str:
    name = f"{tracked.name} version {tracked.version}"
    if tracked.is_champion:
        return f"{name} is the champion now."
    said = f"{name} is registered as the challenger; "
    if tracked.champion is None:
        failed = [gate for gate in tracked.gates if not gate.passed]
        reasons = "".join(f"\n  {gate.number} {gate.name}: {gate.evidence}" for gate in failed)
        said += f"there is no champion yet. {tracked.refusal}{reasons}"
    else:
        said += (
            f"the champion is still version {tracked.champion}.\n"
            f"  {_command()} models compare champion {tracked.version}\n"
            f"  {_command()} models changes {tracked.version}\n"
            f"  {_command()} models promote {tracked.version}"
        )
    return _plain(said)


def _demo_request(project: Project) -> str:
    """Write the five newest simulated leads as a CRM would send them."""
    from crm.records import read_records

    records = read_records(project)
    newest = records.leads.tail(5)
    attributes = newest.drop(columns=["lead_id", "created_at"]).astype(object)
    rows = attributes.where(attributes.notna(), None).to_dict("records")
    leads = [
        {"lead_id": lead_id, "created_at": created.isoformat(), "attributes": row}
        for lead_id, created, row in zip(newest["lead_id"], newest["created_at"], rows, strict=True)
    ]
    return json.dumps({"leads": leads}, indent=1)


def _post(url: str, body: str) -> Any:
    request = urllib.request.Request(url, data=body.encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


@contextmanager
def _progress(what: str, *, quiet: bool, is_share: bool = True) -> Iterator[Callable[..., None]]:
    """Show a progress bar with an estimate on standard error; nothing for machines."""
    estimate = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    count = (TextColumn("{task.completed:,} rows"),)
    columns = (TextColumn("{task.description}"), *(estimate if is_share else count))
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as progress:
        task = progress.add_task(what, total=1.0 if is_share else None)

        def told(done: float, what: str | None = None) -> None:
            progress.update(task, completed=done, description=what)

        yield told


def _wait_for_interrupt() -> None:
    import signal

    signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _plain(text: str) -> str:
    """Escape text from data, so that rich does not read its brackets as style."""
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()
