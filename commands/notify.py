"""`leadscore notify`: tells people of leads with the best grade, and sends what waits."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from commands.console import (
    JsonOption,
    ProjectOption,
    err,
    every_seconds,
    out,
    show_error,
    utc_now,
)
from crm.errors import LeadScoringError
from crm.project import PROJECT_FILE, Project, load_project
from crm.text import counted, is_or_are

if TYPE_CHECKING:
    from notifying.best_grade import GradeLook
    from notifying.delivery import Delivery
    from notifying.event import Event


def notify(
    project: ProjectOption = Path(PROJECT_FILE),
    every: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Repeat after this time, such as 1m or 1h, until stopped. Default: once.",
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test message to each target, and nothing else.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Notify of leads that reached the best grade since the last run, and send what waits.

    Exit code 1: with --test, a target did not accept the message.
    """
    from notifying.targets import check_has_targets

    opened = load_project(project)
    check_has_targets(opened)
    if test:
        _send_test(opened, json_)
        return
    if every is None:
        _show(*_run_once(opened), json_)
        return
    pause, last_error = every_seconds(every), None
    while True:
        began = time.monotonic()
        try:
            _show(*_run_once(opened), json_, is_repeated=True)
            last_error = None
        except LeadScoringError as error:
            if str(error) != last_error:  # a lasting error is printed once
                show_error(error)
            last_error = str(error)
        sys.stdout.flush()
        time.sleep(max(0.0, pause - (time.monotonic() - began)))


def tell(project: Project, events: Sequence["Event"], settled: Iterable[str] = ()) -> None:
    """Notify of events; print on standard error what was sent, and warnings."""
    from notifying.notify import notify as send

    delivery = send(project, events, utc_now(), settled=settled)
    for target, n in delivery.sent.items():
        err.print(f"Sent {counted(n, 'notification')} to {target}.", markup=False, soft_wrap=True)
    _warn(delivery)


def _run_once(project: Project) -> tuple["GradeLook | None", "Delivery"]:
    """Look at the scores of the ledger if there is one, and deliver what waits."""
    from crm.ledger.records import project_ledger
    from notifying.best_grade import look_for_best_grade
    from notifying.notify import notify as send
    from notifying.outbox import Outbox
    from notifying.targets import outbox_path

    now = utc_now()
    look, failure = None, None
    try:
        with project_ledger(project) as ledger:
            if ledger is not None and "grade_a" in project.notify.on:
                with Outbox(outbox_path(project)) as outbox:
                    look = look_for_best_grade(project, ledger, outbox, now)
    except LeadScoringError as error:  # what waits is sent also if the ledger cannot be read
        failure = error
    delivery = send(project, [], now)
    if failure is not None:
        _warn(delivery)
        raise failure
    return look, delivery


def _show(
    look: "GradeLook | None", delivery: "Delivery", json_: bool, is_repeated: bool = False
) -> None:
    """Print a run. A repeated one prints nothing as text if nothing happened."""
    if json_:
        facts = {
            "looked": look is not None,
            "leads": look.n_leads if look else 0,
            "leads_in_control_group": look.n_control if look else 0,
            "since": look.since.isoformat() if look and look.since else None,
            "sent": delivery.sent,
            "waiting": delivery.waiting,
            "problems": list(delivery.problems),
        }
        print(json.dumps(facts))  # noqa: T201
        return
    happened = delivery.sent or delivery.waiting or (look and (look.n_leads or not look.since))
    if happened or not is_repeated:
        out.print("\n".join(_lines(look, delivery)), markup=False, soft_wrap=True)
    _warn(delivery)


def _lines(look: "GradeLook | None", delivery: "Delivery") -> list[str]:
    lines = []
    if look is None:
        lines.append("Leads were not looked for: there is no ledger, or `on` has no `grade_a`.")
    elif look.since is None:
        lines.append("Leads that reach grade A are told from now on.")
    else:
        since = f"{look.since:%d %b, %H:%M} UTC"
        lines.append(f"{counted(look.n_leads, 'lead')} reached grade A since {since}.")
        if look.n_control:
            lines.append(
                f"{counted(look.n_control, 'lead')} of the control group did too, and "
                f"{is_or_are(look.n_control)} not told."
            )
    sent = [f"{counted(n, 'message')} to {target}" for target, n in delivery.sent.items()]
    lines.append(f"Sent {', '.join(sent)}." if sent else "Nothing was sent.")
    waiting = [f"{counted(n, 'message')} for {target}" for target, n in delivery.waiting.items()]
    if waiting:
        lines.append(f"Waiting: {', '.join(waiting)}.")
    return lines


def _send_test(project: Project, json_: bool) -> None:
    from notifying.notify import send_test

    answers, problems = send_test(project, utc_now())
    facts: list[dict[str, Any]] = [
        {"target": target.name, "delivered": answer.result == "delivered", "answer": answer.said}
        for target, answer in answers.items()
    ]
    if json_:
        print(json.dumps({"answers": facts, "problems": problems}))  # noqa: T201
    else:
        for target, answer in answers.items():
            word = "delivered" if answer.result == "delivered" else "NOT DELIVERED"
            out.print(f"{target.shown}: {word}; {answer.said}", markup=False, soft_wrap=True)
        for problem in problems:
            err.print(f"[bold red]error:[/] {escape(problem)}", soft_wrap=True)
    if problems or not all(fact["delivered"] for fact in facts):
        raise typer.Exit(1)


def _warn(delivery: "Delivery") -> None:
    for problem in delivery.problems:
        err.print(f"[bold yellow]warning:[/] {escape(problem)}", soft_wrap=True)
