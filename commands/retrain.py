"""`leadscore retrain`: watches, trains if it is time, judges, promotes and reports, by itself."""

import datetime
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from commands.console import (
    JsonOption,
    ProjectOption,
    err,
    every_seconds,
    show,
    show_error,
    utc_now,
    with_runnable_commands,
)
from commands.notify import tell
from crm.errors import BusyError, GateError, LeadScoringError
from crm.project import PROJECT_FILE, Project, load_project

if TYPE_CHECKING:
    from crm.records import Records
    from models.registry.registry import Registry
    from models.registry.retraining import Retraining
    from monitoring.look import Look

OPEN_LEADS = "open-leads.csv"
EXIT_WAITS, EXIT_REFUSED = 4, 5
BUSY_SECONDS = 300.0  # with --every: when to ask again while another retraining is running
CODES = {"nothing": 0, "promoted": 0, "waits": EXIT_WAITS, "refused": EXIT_REFUSED}
BECAUSE = "leadscore retrain"
Clock = Callable[[], datetime.datetime]


@dataclass
class Result:
    """The result of one retraining.

    Attributes
    ----------
    status : str
        "nothing" (no training was due), "promoted", "waits" (a challenger waits for a decision) or
        "refused" (a challenger did not pass its gates).
    sentence : str
    look : mapping or None
        The look at the champion, `Look.to_json`; None without a champion.
    reasons : tuple of str
        Why a training was due, or not.
    version : str or None
        The version that was trained.
    gates : list of mapping
        The results of its gates.
    is_resumed : bool
    files : dict of str to str
        The files that were written.
    """

    status: str = "nothing"
    sentence: str = ""
    look: dict[str, Any] | None = None
    reasons: tuple[str, ...] = ()
    version: str | None = None
    gates: list[dict[str, Any]] = field(default_factory=list)
    is_resumed: bool = False
    files: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {
            "status": self.status,
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "version": self.version,
            "gates": self.gates,
            "resumed": self.is_resumed,
            "files": self.files,
            "look": self.look,
        }


def retrain(
    project: ProjectOption = Path(PROJECT_FILE),
    every: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Repeat after this time, such as 1d or 12h, until stopped. Default: once.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train now, whatever the schedule and the checks say.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Look at the champion, train if it is time, and promote what passes its gates.

    The section `retrain` of the project file says when. Exit code 0: nothing was due, or there is a
    new champion. 4: a challenger waits for a decision. 5: a challenger was refused by its gates.
    6: another retraining is running.
    """
    seconds = None if every is None else every_seconds(every)
    while True:
        try:
            result = retrain_once(load_project(project), force=force, quiet=json_)
        except LeadScoringError as error:
            if seconds is None:
                raise
            show_error(error)  # the next time it is resumed
            # A container that was restarted finds a retraining that was killed a moment ago.
            pause = min(seconds, BUSY_SECONDS) if isinstance(error, BusyError) else seconds
        else:
            show(result.to_json(), escape(with_runnable_commands(_text(result))), json_)
            if seconds is None:
                if code := CODES[result.status]:
                    raise typer.Exit(code)
                return
            pause = seconds
        time.sleep(pause)


def retrain_once(
    project: Project, *, force: bool = False, quiet: bool = False, clock: Clock = utc_now
) -> Result:
    """Retrain once, or resume a retraining whose process died; each step is done once."""
    from models.registry.registry import Registry
    from models.registry.retraining import retraining
    from notifying.event import failed_event

    done: Mapping[str, str] = {}
    try:
        registry = Registry(project)
        settings = hashlib.sha256(project.text.encode()).hexdigest()
        with retraining(registry, clock, settings, force=force) as run:
            done = run.steps
            if run.given_up and not quiet:
                err.print(run.given_up, soft_wrap=True)
            if run.is_resumed and not quiet:
                err.print(f"Resuming the retraining that began at {run.at:%Y-%m-%d %H:%M} UTC …")
            steps = _Steps(project, registry, run, Result(is_resumed=run.is_resumed), quiet, clock)
            result = steps.take(force)
            _tell(project, result, run.at)
            run.end(result.sentence, {"status": float(CODES[result.status])})
    except BusyError:
        raise
    except Exception as error:
        tell(project, [failed_event("retrain", _next_step(done), type(error), clock())])
        raise
    return result


def _tell(project: Project, result: Result, at: datetime.datetime) -> None:
    """Notify of the result, once: a retraining that is resumed has the same `at`."""
    from notifying.event import promoted_event, refused_event, waiting_event

    version, champion = str(result.version), result.look["version"] if result.look else None
    failed = [f"{gate['number']} {gate['name']}" for gate in result.gates if not gate["passed"]]
    events = {
        "promoted": promoted_event(
            version, champion, "promoted" if champion else "first champion", at
        ),
        # With `promote = "auto"`, a version waits only for its shadow period.
        "waits": waiting_event(
            version, champion, at, in_shadow=bool(failed) or project.retrain.promote == "auto"
        ),
        "refused": refused_event(version, champion, failed, at),
    }
    tell(project, [events[result.status]] if result.status in events else [])


def _next_step(done: Mapping[str, str]) -> str:
    """Return the step that was to be done.

    Examples
    --------
    >>> _next_step({}), _next_step({"decision": "train: It is due.", "train": "2"})
    ('decision', 'judge')
    >>> _next_step({"decision": "wait: It is not due."})
    'report'
    """
    steps = ["decision"]
    if done.get("decision", "").startswith("train"):
        steps += ["train", "judge"]
    if done.get("judge") == "promoted":
        steps += ["hand_over", "rescore"]
    return next((step for step in [*steps, "report"] if step not in done), "end")


@dataclass(frozen=True)
class _Steps:
    """The steps of a retraining, in their order; those that are done already are not repeated."""

    project: Project
    registry: "Registry"
    run: "Retraining"
    result: Result
    quiet: bool
    clock: Clock

    def take(self, force: bool) -> Result:
        """Take all steps, and return the result."""
        result = self.result
        self._decide(force)
        if self.run.steps["decision"].startswith("train"):
            result.version = self._once("train", self._train)
        elif self.project.retrain.shadow_days:
            result.version = self._once("shadow", self._out_of_shadow) or None
        if result.version is not None:
            self._judge(result.version)
            if result.status == "promoted":
                self._once("hand_over", self._hand_over)
                result.files["open_leads"] = self._once("rescore", self._rescore)
        result.files["report"] = self._once("report", self._report)
        result.sentence = _sentence(self.project, result)
        return result

    def _once(self, name: str, work: Callable[[], str]) -> str:
        """Do a step, unless it is done, and record its result."""
        if name not in self.run.steps:
            self.run.done(name, work())
        return self.run.steps[name]

    def _decide(self, force: bool) -> None:
        """Look at the champion, and decide whether to train; both are one step of the record."""
        from commands.monitor import tell_of_look
        from crm.reading import read_records
        from models.registry.history import refused_since_promotion
        from models.registry.looks import newest_look, record_look
        from training.loop.decision import Decision, State, decide

        if "decision" in self.run.steps:
            self.result.reasons = (self.run.steps["decision"].partition(": ")[2],)
            self.result.look = newest_look(self.registry)
            return
        if not self.quiet:
            err.print(f"Reading the records of {self.project.name} …", soft_wrap=True)
        now = self.clock()
        records = read_records(self.project, now)
        look = self._look(records, now)
        if look is not None:
            self.result.look = look.to_json()
            record_look(self.registry, self.result.look, now)
            tell_of_look(self.project, look, now)
        versions = self.registry.versions()
        card = self.registry.load(versions[-1].version).scorer.card if versions else None
        if force:
            decision = Decision(True, ("A training was requested.",))
        else:
            state = State(
                now,
                None if card is None else datetime.datetime.fromisoformat(card.trained_at),
                look,
                card is None or dict(card.digests) != records.digests,
                refused_since_promotion(self.registry),
            )
            decision = decide(self.project.retrain, state)
        self.result.reasons = decision.reasons
        what = "train" if decision.trains else "wait"
        self.run.done("decision", f"{what}: {' '.join(decision.reasons)}")

    def _look(self, records: "Records", now: datetime.datetime) -> "Look | None":
        from commands.monitor import look_at_champion

        if self.registry.find_champion() is None or not records.has_times:
            return None
        return look_at_champion(self.project, self.registry, records, now)

    def _train(self) -> str:
        from commands.train import train_and_track
        from models.registry.retraining import RETRAIN_TAG

        trained = self.run.version_trained()
        if trained is not None:
            return trained
        outcome = train_and_track(
            self.project,
            quiet=self.quiet,
            tune_minutes=self.project.retrain.tune_minutes,
            tags={RETRAIN_TAG: self.run.run_id},
            clock=self.clock,
        )
        return outcome.tracked.version

    def _out_of_shadow(self) -> str:
        """Return the challenger that waited for its shadow period, if that is over; else ""."""
        from crm.reading import read_records
        from models.registry.history import REFUSED, history
        from models.registry.registry import CHALLENGER
        from training.gates.shadow import is_same_model, shadow_gate

        with self.registry.errors():
            challenger = self.registry.find_alias(CHALLENGER)
            champion = self.registry.find_champion()
        if challenger is None or champion is None or self.project.retrain.promote != "auto":
            return ""
        if any(e.what == REFUSED and e.version == challenger for e in history(self.registry)):
            return ""
        is_same = is_same_model(self.registry, challenger, champion)
        records = read_records(self.project, self.clock())
        gate = shadow_gate(self.project, records, challenger, is_same=is_same)
        return challenger if gate is not None and gate.passed else ""

    def _judge(self, version: str) -> None:
        """Run the gates of the new version; promote it if it passes and the policy allows it."""
        from models.registry.promotion import promote, user_name
        from training.gates.gates import GateInputs, run_gates
        from training.gates.shadow import is_only_early

        result, registry = self.result, self.registry
        with registry.errors():
            champion = registry.find_champion()
        if champion == version:  # the first champion, or promoted before the process died
            result.status = self._once("judge", lambda: "promoted")
            return
        if "judge" in self.run.steps:
            result.status = self.run.steps["judge"]
            return
        now = self.clock()
        gates = run_gates(registry, self.project, GateInputs.read(self.project, now), version)
        result.gates = [gate.to_json() for gate in gates.gates]
        is_early = is_only_early(gates.failed)
        result.status = "refused" if gates.failed and not is_early else "waits"
        if self.project.retrain.promote == "auto" and not is_early:
            try:
                promote(registry, gates, who=user_name(), at=now, because=BECAUSE)
            except GateError:  # the history says why
                result.status = "refused"
            else:
                result.status = "promoted"
        self.run.done("judge", result.status)

    def _hand_over(self) -> str:
        from serving.bento.store import promote_in_store

        version = str(self.result.version)
        with self.registry.fetched(version) as folder:
            return promote_in_store(folder, self.registry.service_name, version)

    def _rescore(self) -> str:
        from crm.reading import read_records
        from crm.times import NOT_A_TIME
        from features.times import cell_time
        from training.loop.open_leads import score_open_leads

        model, _ = self.registry.load_champion()
        records = read_records(self.project, self.clock())
        # The records know nothing of the time after their newest entry.
        until = records.observed_until
        as_of = NOT_A_TIME if until is None or not records.has_times else cell_time(until)
        target = self.project.folder / OPEN_LEADS
        score_open_leads(model.scorer, records, as_of, target)
        return str(target)

    def _report(self) -> str:
        from commands.report import make_report

        folder = self.project.folder / "report"
        facts, _ = make_report(self.project, folder, quiet=True, clock=self.clock)
        return str(facts["folder"])


def _sentence(project: Project, result: Result) -> str:
    version = f"{project.name} version {result.version}"
    if result.status == "nothing":
        return f"No training: {' '.join(result.reasons)}"
    because = " ".join(result.reasons)
    if result.status == "promoted":
        before = result.look["version"] if result.look is not None else None
        if before in (None, result.version):
            return f"{version} is the champion now. {because}"
        return (
            f"{version} is the champion now, instead of version {before}. {because} "
            "`leadscore models rollback` takes it back."
        )
    failed = [
        f"{gate['number']} {gate['name']}: {gate['evidence']}"
        for gate in result.gates
        if not gate["passed"]
    ]
    if result.status == "waits" and failed:
        return f"{version} waits for the end of its shadow period. {' '.join(failed)}"
    if result.status == "waits":
        return (
            f"{version} passed its gates and waits for a decision. {because} Promote it with "
            f"`leadscore models promote {result.version}`."
        )
    return f"{version} did not pass its gates, and the champion stays. {' '.join(failed)}"


def _look_lines(look: Mapping[str, Any]) -> list[str]:
    """Sum up a look, with the questions of the checks that say act."""
    acting = [check for check in look["checks"] if check["verdict"] == "act"]
    return [
        f"The champion was version {look['version']}: {look['sentence']}",
        *(f"  {check['number']} {check['question']}" for check in acting),
        *(["What to do: see the report, or run `leadscore monitor`."] if acting else []),
    ]


def _text(result: Result) -> str:
    lines = [result.sentence]
    if result.look is not None:
        lines = [*_look_lines(result.look), *lines]
    lines += [f"  {name.replace('_', ' ')}: {path}" for name, path in result.files.items()]
    return "\n".join(lines)
