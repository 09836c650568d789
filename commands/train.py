"""`leadscore train`: read, learn, judge, track and register."""

import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from commands.console import (
    JsonOption,
    ProjectOption,
    command_line,
    err,
    leadscore_line,
    out,
    progress,
    show,
    show_commands,
)
from crm.project import PROJECT_FILE, Project, expand_variables, load_project

if TYPE_CHECKING:
    from training.tracking import TrackedModel
    from training.train import Trained


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
    opened = load_project(project)
    trained, tracked, store_tag = train_and_track(
        opened, quiet=json_, tune_minutes=tune, with_report=with_report
    )
    if json_:
        show(_facts(trained, tracked, store_tag), "", json_)
        return
    show_training(trained, tracked)
    show_commands("Next:", *_next_commands(project, opened, tracked))


def train_and_track(
    project: Project, quiet: bool, tune_minutes: float | None = None, with_report: bool = False
) -> "tuple[Trained, TrackedModel, str | None]":
    """Read, train, track, register; a new champion also goes into BentoML's store."""
    from crm.reading import read_records
    from models.artifact import save_artifact
    from models.registry.registry import ARTIFACT, Registry
    from serving.bento.store import promote_in_store
    from training.tracking import track
    from training.train import train as run

    registry = Registry(project)  # MLflow is asked first: a server that is down costs no training
    if not quiet:
        err.print(f"Reading the records of {project.name} …", soft_wrap=True)
    now = datetime.datetime.now(datetime.UTC)
    records = read_records(project, now)
    with progress("Learning", quiet=quiet) as told:
        trained = run(
            project,
            records,
            now=now,
            pinned=registry.pinned_scale(),
            tune_minutes=tune_minutes,
            on_share=lambda what, share: told(share, what),
        )
    with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
        artifact = Path(work) / ARTIFACT
        save_artifact(trained.scorer, trained.golden_leads, artifact, trained.golden_as_of)
        tracked_at = datetime.datetime.now(datetime.UTC)
        tracked = track(registry, project, records, trained, artifact, tracked_at, with_report)
        tag = None
        if tracked.is_champion:
            tag = promote_in_store(artifact, project.name, tracked.version)
    return trained, tracked, tag


def show_training(trained: "Trained", tracked: "TrackedModel") -> None:
    """Show what was learned, how good it is, and whether it is the champion."""
    from commands.terminal.training import training_summary

    out.print(training_summary(trained.scorer.card.to_json()), soft_wrap=True)
    out.print(_standing(tracked))


def _next_commands(path: Path, project: Project, tracked: "TrackedModel") -> Iterator[str]:
    """Format the commands that can be run after a training."""
    if tracked.champion not in (None, tracked.version):
        yield leadscore_line(path, "models", "compare", "champion", tracked.version)
        yield leadscore_line(path, "models", "changes", tracked.version)
        yield leadscore_line(path, "models", "promote", tracked.version)
    if tracked.champion is not None:
        leads = project.folder / Path(expand_variables(project.leads.source)).expanduser()
        if leads.is_file():
            yield leadscore_line(path, "score", leads, "-o", "scored.csv")
        yield f"{leadscore_line(path, 'build')} && {leadscore_line(path, 'serve')}"
    if not tracked.tracking_uri.startswith("http"):
        yield command_line("mlflow", "ui", "--backend-store-uri", tracked.tracking_uri)


def _facts(trained: "Trained", tracked: "TrackedModel", store_tag: str | None) -> dict[str, Any]:
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


def _standing(tracked: "TrackedModel") -> str:
    name = f"{tracked.name} version {tracked.version}"
    if tracked.is_champion:
        return f"{name} is the champion now."
    said = f"{name} is registered as the challenger; "
    if tracked.champion is None:
        failed = [gate for gate in tracked.gates if not gate.passed]
        reasons = "".join(f"\n  {gate.number} {gate.name}: {gate.evidence}" for gate in failed)
        said += f"there is no champion yet. {tracked.refusal}{reasons}"
    else:
        said += f"the champion is still version {tracked.champion}."
    return escape(said)
