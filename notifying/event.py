"""What can be told: events. They are built from names, versions and figures alone.

An event never contains a value of a lead's attribute. Names may come from a company's records, such
as the name of a column, so e-mail addresses and phone numbers in them are masked.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from crm.project_keys import NotificationKind
from crm.text import counted
from features.record_checks.masking import masked

MOST_CHARACTERS: Final = 80  # of a name
TEST: Final = "test"


@dataclass(frozen=True)
class Event:
    """Something that happened once.

    Attributes
    ----------
    kind : str
        A kind of `[notify] on`, or "test".
    id : str
        Names the occurrence: an event with the same id is told once. A check has the same id until
        it is fine again.
    at : datetime, timezone-aware
        When it happened.
    title : str
        One sentence in plain words.
    text : str
        More sentences, on any number of lines; may be empty.
    facts : mapping
        The same for programs: texts, numbers, lists and mappings of them.
    """

    kind: NotificationKind | Literal["test"]
    id: str
    at: datetime.datetime
    title: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def check_id(number: str, version: str) -> str:
    """Return the id of the event that a check says act about a version."""
    return f"check {number} of version {version}"


def check_event(
    number: str,
    question: str,
    version: str,
    at: datetime.datetime,
    figures: Mapping[str, float | int | None],
) -> Event:
    """Return the event that a monitoring check says act.

    Parameters
    ----------
    number, question : str
        The check, such as "LM201", and what it asks.
    version : str
        The model that was looked at.
    at : datetime, timezone-aware
        The time of the look.
    figures : mapping of str to number
        The figures of the check.
    """
    return Event(
        "check",
        check_id(number, version),
        at,
        f"Monitoring says act: {number} of version {version}",
        f"The check asks: {name_of(question)}\n`leadscore monitor` shows the figures and what to "
        "do.",
        {
            "check": number,
            "question": name_of(question),
            "version": version,
            "figures": {name_of(name): figure for name, figure in figures.items()},
        },
    )


def promoted_event(version: str, previous: str | None, how: str, at: datetime.datetime) -> Event:
    """Return the event that a version is the champion now.

    Parameters
    ----------
    version : str
    previous : str or None
        The champion before.
    how : str
        "first champion", "promoted", "forced" or "rolled back".
    at : datetime, timezone-aware
    """
    instead = f" instead of version {previous}" if previous else ""
    said = {
        "first champion": "It is the first one.",
        "forced": "It did not pass all gates; a person overruled them.",
        "rolled back": "It was the champion before.",
    }.get(how, "It passed all gates.")
    return Event(
        "promoted",
        f"promoted {version} at {at.isoformat()}",
        at,
        f"Version {version} scores leads now{instead}",
        said,
        {"version": version, "previous": previous, "how": how},
    )


def refused_event(
    version: str, champion: str | None, failed: Sequence[str], at: datetime.datetime
) -> Event:
    """Return the event that a version did not become the champion.

    Parameters
    ----------
    version : str
    champion : str or None
        The version that scores leads.
    failed : sequence of str
        The gates that the version did not pass, by number and name; empty if something else
        prevented the promotion.
    at : datetime, timezone-aware
    """
    gates = [name_of(gate) for gate in failed]
    stays = f"Version {champion} still scores leads." if champion else "No version scores leads."
    reason = f"It did not pass {counted(len(gates), 'gate')}: {', '.join(gates)}. " if gates else ""
    return Event(
        "refused",
        f"refused {version} at {at.isoformat()}",
        at,
        f"Version {version} was not promoted",
        f"{reason}{stays}",
        {"version": version, "champion": champion, "failed_gates": gates},
    )


def waiting_event(
    version: str, champion: str | None, at: datetime.datetime, *, in_shadow: bool = False
) -> Event:
    """Return the event that a challenger waits for the decision of a person.

    It is told once for each challenger and champion.

    Parameters
    ----------
    version : str
        The challenger.
    champion : str or None
    at : datetime, timezone-aware
    in_shadow : bool
        True if it waits for the end of its shadow period, which a gate asks for.
    """
    title = f"Version {version} waits for your decision"
    text = f"`leadscore models promote {version}` checks its gates and makes it the champion."
    if in_shadow:
        title = f"Version {version} waits for its shadow period"
        text = (
            "It has passed all other gates. `leadscore serve --shadow challenger` scores leads "
            "with it behind the answers; `leadscore retrain` judges it when the period is over."
        )
    return Event(
        "waiting",
        f"waiting {version} for {champion}",
        at,
        title,
        text,
        {"version": version, "champion": champion},
    )


def failed_event(run: str, step: str, error: type[BaseException], at: datetime.datetime) -> Event:
    """Return the event that an automatic run failed.

    The message of the error is not part of it, because it may quote records.

    Parameters
    ----------
    run : str
        What ran, such as "retrain".
    step : str
        The step that failed.
    error : type of exception
    at : datetime, timezone-aware
        When the run failed.
    """
    return Event(
        "failed",
        f"failed {run} at {at.isoformat()}",
        at,
        f"`leadscore {name_of(run)}` failed",
        f"The step that failed: {name_of(step)} ({error.__name__}). "
        "The log of the run contains the reason.",
        {"run": name_of(run), "step": name_of(step), "error": error.__name__},
    )


def name_of(text: str) -> str:
    r"""Return a name on one line, shortened, without e-mail addresses and phone numbers.

    Examples
    --------
    >>> name_of("activity: call\n+49 30 1234567")
    'activity: call (phone number)'
    """
    line = masked(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


def kinds_of(events: Iterable[Event], kinds: Iterable[str]) -> list[Event]:
    """Return the events whose kind is one of these."""
    wanted = set(kinds)
    return [event for event in events if event.kind in wanted]
