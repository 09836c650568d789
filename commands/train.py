"""`leadscore train`: train, evaluate, log and register a model."""

import datetime
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from commands.console import (
    JsonOption,
    ProjectOption,
    err,
    leadscore_line,
    mlflow_line,
    out,
    progress_bar,
    show,
    show_commands,
    utc_now,
    with_runnable_commands,
)
from commands.notify import tell
from crm.project import PROJECT_FILE, Project, expand_variables, load_project

if TYPE_CHECKING:
    from features.record_checks.result import RecordWarning
    from training.gates.first_champion import Standing
    from training.tracking.log import TrackedModel
    from training.train import Trained


@dataclass(frozen=True)
class Outcome:
    """The result of `leadscore train`.

    Attributes
    ----------
    trained : Trained
    tracked : TrackedModel
    standing : Standing
    store_tag : str or None
        The tag of the model in BentoML's store; None unless it is the champion.
    warnings : tuple of RecordWarning
        The questions about the records, as `leadscore check` shows them.
    seconds : mapping of str to float
        The duration of each phase.
    """

    trained: "Trained"
    tracked: "TrackedModel"
    standing: "Standing"
    store_tag: str | None
    warnings: "tuple[RecordWarning, ...]"
    seconds: Mapping[str, float]


def train(
    project: ProjectOption = Path(PROJECT_FILE),
    tune: Annotated[
        float | None,
        typer.Option(
            help="Minutes to search for better settings of the trees: half for the model that is "
            "evaluated, half for the final one.",
            min=0.01,
            max=1440,
        ),
    ] = None,
    with_report: Annotated[
        bool, typer.Option("--report", help="Also store the report with the run in MLflow.")
    ] = False,
    keep_tables: Annotated[
        bool,
        typer.Option(
            "--keep-tables",
            help="Also store the tables as read, with personal data, with the run in MLflow.",
        ),
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Train a model, evaluate it on the newest leads, and register it in MLflow."""
    opened = load_project(project)
    outcome = train_and_track(
        opened,
        quiet=json_,
        tune_minutes=tune,
        with_report=with_report,
        keep_tables=keep_tables,
    )
    if json_:
        show(_facts(outcome), "", json_)
    else:
        show_training(outcome)
        show_questions(outcome, leadscore_line(project, "check"))
        show_commands("Next:", *_next_commands(project, opened, outcome))
        out.print(f"The run in MLflow: {outcome.tracked.page}", markup=False, soft_wrap=True)
    _tell(opened, outcome)


def train_and_track(
    project: Project,
    quiet: bool,
    tune_minutes: float | None = None,
    with_report: bool = False,
    keep_tables: bool = False,
    tags: Mapping[str, str] | None = None,
    clock: Callable[[], datetime.datetime] = utc_now,
) -> Outcome:
    """Train a model, log and register it; copy a new champion to BentoML's store.

    `tags` are further tags of the MLflow run.
    """
    from commands.check import private_reason
    from crm.reading import read_records
    from crm.source_tables import SourceTables
    from features.record_checks.run import find_warnings
    from models.registry.registry import ARTIFACT, Registry
    from serving.bento.store import promote_in_store
    from training.comparison.stored_moments import champion_until
    from training.gates.first_champion import promote_first
    from training.gates.gates import GateInputs
    from training.tracking.log import track
    from training.tracking.run import training_run
    from training.train import train as fit

    registry = Registry(project)  # first, so that it fails before the training
    now = clock()
    with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
        artifact = Path(work) / ARTIFACT
        with training_run(registry, project, now, tune_minutes, tags) as run:
            if not quiet:
                err.print(f"Reading the records of {project.name} …", soft_wrap=True)
            with run.reading():
                sources = SourceTables(project)
                records = read_records(project, now, sources)
            run.phases.begin("check")
            warnings = find_warnings(project, sources, now, private_reason)
            del sources  # the tables as they were read may need as much memory as the records
            with progress_bar("Learning", quiet=quiet) as progress:
                trained = fit(
                    project,
                    records,
                    now=now,
                    pinned=registry.pinned_scale(),
                    champion_until=champion_until(registry, project.learn),
                    tune_minutes=tune_minutes,
                    progress=lambda what, share: progress(share, what),
                    on_phase=run.phases.begin,
                )
            run.phases.begin("log")
            trained.save(artifact)
            trained_at = clock()
            tracked = track(run, records, trained, artifact, trained_at, with_report, keep_tables)
            run.phases.begin("promote")
            inputs = GateInputs(records, trained.moments, trained.audit)
            standing = promote_first(registry, project, inputs, tracked, trained_at)
        tag = None
        if standing.is_champion:
            tag = promote_in_store(artifact, registry.service_name, tracked.version)
    return Outcome(trained, tracked, standing, tag, warnings, run.phases.seconds)


def _tell(project: Project, outcome: Outcome) -> None:
    """Notify of a new champion, or of a challenger that waits."""
    from notifying.event import promoted_event, waiting_event

    now = datetime.datetime.now(datetime.UTC)
    version, champion = outcome.tracked.version, outcome.standing.champion
    if outcome.standing.is_champion:
        tell(project, [promoted_event(version, None, "first champion", now)])
    else:
        tell(project, [waiting_event(version, champion, now)])


def show_training(outcome: Outcome) -> None:
    """Print what was learned, how good the model is, and whether it is the champion."""
    from commands.terminal.training import training_summary, tuned_settings

    out.print(training_summary(outcome.trained.scorer.card), soft_wrap=True)
    settings = tuned_settings(outcome.trained.trials)
    if settings:
        out.print("To train with these settings again, write them into the project file:")
        out.print(f"\n{settings}\n", markup=False, soft_wrap=True)
    out.print(_standing(outcome.tracked, outcome.standing), soft_wrap=True)


def show_questions(outcome: Outcome, command: str) -> None:
    """Print the first questions about the records, and the command that shows all."""
    from commands.terminal.check import first_questions

    for line in first_questions(outcome.warnings, command):
        out.print(line, soft_wrap=True)


def _next_commands(path: Path, project: Project, outcome: Outcome) -> Iterator[str]:
    """Format the commands that can be run after a training."""
    version, champion = outcome.tracked.version, outcome.standing.champion
    if champion not in (None, version):
        yield leadscore_line(path, "models", "compare", version, "champion")
        yield leadscore_line(path, "models", "changes", version)
        yield leadscore_line(path, "models", "promote", version)
    if champion is not None:
        leads = project.folder / Path(expand_variables(project.leads.source)).expanduser()
        if leads.is_file():
            yield leadscore_line(path, "score", leads, "-o", "scored.csv")
        yield f"{leadscore_line(path, 'build')} && {leadscore_line(path, 'serve')}"
    uri = outcome.tracked.tracking_uri
    if not uri.startswith("http"):
        yield mlflow_line(uri)


def _facts(outcome: Outcome) -> dict[str, Any]:
    card, tracked = outcome.trained.scorer.card, outcome.tracked
    return {
        "model": {
            "name": card.name,
            "version": tracked.version,
            "digest": tracked.digest,
            "is_champion": outcome.standing.is_champion,
            "run_id": tracked.run_id,
            "tracking_uri": tracked.tracking_uri,
            "artifact_uri": tracked.artifact_uri,
            "page": tracked.page,
            "store_tag": outcome.store_tag,
            "simulated": card.simulated,
        },
        "test": card.test,
        "baselines": card.baselines,
        "readiness": card.readiness,
        "estimator": card.estimator,
        "learned_from": card.learned_from,
        "left_out": card.left_out,
        "left_out_rows": card.left_out_rows,
        "notes": card.notes,
        "seconds": {phase: round(value, 3) for phase, value in outcome.seconds.items()},
        "questions": [
            {"number": warning.number, "question": warning.question} for warning in outcome.warnings
        ],
    }


def _standing(tracked: "TrackedModel", standing: "Standing") -> str:
    name = f"{tracked.name} version {tracked.version}"
    if standing.is_champion:
        return escape(f"{name} is the champion now.")
    lines = [f"{name} is registered as the challenger."]
    if standing.champion is None:
        lines.append(f"There is no champion yet. {standing.refusal}")
        lines += [
            f"  {gate.number} {gate.name}: {gate.evidence}"
            for gate in standing.gates
            if not gate.passed
        ]
    else:
        lines.append(f"The champion is still version {standing.champion}.")
    return escape(with_runnable_commands("\n".join(lines)))
