"""Tells a project's targets of events: `notify` is the one way to do so."""

import datetime
import numbers
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.post import Answer, post_once
from connectors.retry import ATTEMPT_SECONDS
from crm.errors import ConfigError, SourceError
from crm.project import Project
from features.record_checks.masking import masked
from features.times import cell_time
from notifying.delivery import MOST_SECONDS, Delivery, deliver, request_for
from notifying.event import TEST, Event, kinds_of
from notifying.messages import Message
from notifying.outbox import Draft, Outbox, message_id
from notifying.targets import Target, named_targets, outbox_path, read_targets


def notify(
    project: Project,
    events: Sequence[Event],
    now: datetime.datetime,
    *,
    settled: Iterable[str] = (),
    seconds: float = MOST_SECONDS,
) -> Delivery:
    """Tell the project's targets of events, and of what earlier runs could not deliver.

    Nothing that a target, the network or the disk does raises an error. If the outbox cannot be
    used, the events are sent once without it.

    Parameters
    ----------
    project : Project
    events : sequence of Event
        An event that was told before is not told again; a check that says act is, after 30 days.
    now : datetime, timezone-aware
    settled : iterable of str
        Ids of events that are over, such as checks that are fine. They are told again if they
        occur again.
    seconds : float
        The longest time that the call takes.

    Returns
    -------
    Delivery
    """
    names = named_targets(project)
    if not names:
        return Delivery()
    end = time.monotonic() + seconds
    targets, problems = read_targets(project)
    drafts = [draft_of(project, event) for event in kinds_of(events, project.notify.on)]
    at = cell_time(now)
    try:
        outbox = _filled_outbox(project, drafts, at, settled)
    except (SourceError, ConfigError) as error:
        problems.append(str(error))
        return _sent_once(drafts, targets, at, seconds, problems)
    with outbox:
        try:
            delivery = deliver(outbox, targets, at, end - time.monotonic())
        except SourceError as error:  # what was added stays there
            return Delivery(problems=(*problems, str(error)))
    return Delivery(delivery.sent, delivery.waiting, (*problems, *delivery.problems))


def send_test(project: Project, now: datetime.datetime) -> tuple[dict[Target, Answer], list[str]]:
    """Send a test message to each target, once; return the answers, and problems with targets."""
    targets, problems = read_targets(project)
    at = cell_time(now)
    event = Event(TEST, f"test at {at}", now, "A test message of leadscore", "It needs no action.")
    message = draft_of(project, event).message
    return {
        target: post_once(request_for(target, message, at, time.monotonic()), ATTEMPT_SECONDS)
        for target in targets
    }, problems


def draft_of(project: Project, event: Event) -> Draft:
    """Return the message about an event, without e-mail addresses and phone numbers.

    The leads of a `grade_a` event are named by `notifying.lead_names`, and their ids stay as they
    are.
    """
    at = event.at.astimezone(datetime.UTC).isoformat(timespec="seconds")
    is_clean = event.kind == "grade_a"
    message = Message(
        id=message_id(f"{project.name}\n{event.id}", event.at.isoformat()),
        type=event.kind,
        timestamp=at,
        project=project.name,
        simulated=project.simulated,
        title=event.title if is_clean else masked(event.title),
        text=event.text if is_clean else masked(event.text),
        data=event.facts if is_clean else _plain(event.facts),
    )
    return Draft(event.id, message)


def _filled_outbox(
    project: Project, drafts: Sequence[Draft], at: int, settled: Iterable[str]
) -> Outbox:
    outbox = Outbox(outbox_path(project))
    try:
        outbox.add(drafts, named_targets(project), at, settled)
    except BaseException:
        outbox.close()
        raise
    return outbox


def _sent_once(
    drafts: Sequence[Draft],
    targets: Sequence[Target],
    at: int,
    seconds: float,
    problems: Sequence[str],
) -> Delivery:
    """Send events without an outbox on the disk."""
    with Outbox(None) as outbox:
        outbox.add(drafts, [target.name for target in targets], at)
        delivery = deliver(outbox, targets, at, seconds)
    lost = [
        f"{target}: {n} of these notifications could not be kept, and are lost."
        for target, n in delivery.waiting.items()
    ]
    return Delivery(delivery.sent, {}, (*problems, *delivery.problems, *lost))


def _plain(fact: Any) -> Any:
    """Return a fact as plain data, with masked texts; numbers may be those of NumPy."""
    if isinstance(fact, str):
        return masked(fact)
    if isinstance(fact, Mapping):
        return {masked(name): _plain(part) for name, part in fact.items()}
    if isinstance(fact, list | tuple):
        return [_plain(part) for part in fact]
    if fact is None or isinstance(fact, bool):
        return fact
    return int(fact) if isinstance(fact, numbers.Integral) else float(fact)
