"""Finds the leads that reached the best grade, from the given scores of the ledger.

A look compares each lead's newest score with its newest score at the last look. The leads of a look
are one event. Leads in the control group are left out, because nobody is to work them first.
"""

import datetime
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crm.ledger.entries import GivenScore
from crm.ledger.ledger import Ledger
from crm.ledger.risen import Risen, newest_number, risen_leads
from crm.project import Project
from crm.text import counted
from crm.times import HOUR
from features.times import cell_time, time_text
from models.scale import GRADES
from models.score_change import ScoreParts, score_change, shown_points
from notifying.event import Event, name_of
from notifying.lead_names import lead_hash, lead_name
from notifying.notify import draft_of
from notifying.outbox import Looked, Outbox
from notifying.targets import named_targets

BEST: Final = GRADES[0][0]  # every scale begins with it
SHOWN_LEADS: Final = 10  # in the text, for people
LISTED_LEADS: Final = 50  # in the facts, for programs; a message stays small
SHOWN_SIGNALS: Final = 3
LISTED_SIGNALS: Final = 10
# Scores may be committed in another order than they are numbered. So a look begins where the last
# one ended that was made this long ago. No transaction that writes scores takes as long.
OVERLAP: Final = HOUR // 12
NEW_MODEL: Final = "the new model"


@dataclass(frozen=True)
class GradeLook:
    """What a look at the scores found.

    Attributes
    ----------
    n_leads : int
        The leads that are told.
    n_control : int
        The leads of the control group, which are not told.
    since : datetime or None
        The time of the last look; None if this is the first one, which tells nothing.
    """

    n_leads: int
    n_control: int
    since: datetime.datetime | None


def look_for_best_grade(
    project: Project, ledger: Ledger, outbox: Outbox, now: datetime.datetime
) -> GradeLook:
    """Look for leads that reached the best grade since the last look, and add them to the outbox.

    The first look only remembers where the scores end, so that the past is not told.

    Parameters
    ----------
    project : Project
    ledger : Ledger
    outbox : Outbox
    now : datetime, timezone-aware

    Raises
    ------
    LedgerError
        If the ledger cannot be read now.
    SourceError
        If the outbox cannot be written. Then the next look finds the same leads.
    """
    name = _name_of(ledger)
    while True:
        last = outbox.newest_look(name)
        newest = newest_number(ledger.database)
        if last is not None and newest < last.newest:  # the ledger was replaced
            outbox.restart_looks(name)
            last = None
        at = cell_time(now)
        if last is None:
            if outbox.add_look(name, None, Looked(at, newest), {}, [], []):
                return GradeLook(0, 0, None)
            continue
        base = outbox.look_before(name, at - OVERLAP) or last
        key = outbox.key
        risen = [
            lead
            for lead in risen_leads(ledger.database, BEST, base.newest, newest)
            if (outbox.told_lead(_told_key(lead, key, name)) or 0) <= base.newest
        ]
        told = [lead for lead in risen if lead.score.lane != "control"]
        since = datetime.datetime.fromisoformat(time_text(last.at))
        drafts = [draft_of(project, _event(project, told, key, now, since))] if told else []
        if "grade_a" not in project.notify.on:
            drafts = []
        numbers = {_told_key(lead, key, name): lead.number for lead in risen}
        look = Looked(at, newest)
        if outbox.add_look(name, last, look, numbers, drafts, named_targets(project)):
            return GradeLook(len(told), len(risen) - len(told), since)


def _told_key(lead: Risen, key: bytes, ledger: str) -> str:
    """Return the key of a lead that was told. The score that is told is its score before."""
    return lead_hash(lead.score.lead_id, key + ledger.encode())


def _name_of(ledger: Ledger) -> str:
    """Return a name of the ledger that contains no part of its address."""
    address = ledger.database.engine.url.set(password=None).render_as_string()
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def _event(
    project: Project,
    risen: Sequence[Risen],
    key: bytes,
    now: datetime.datetime,
    since: datetime.datetime,
) -> Event:
    best_first = sorted(risen, key=lambda lead: (-lead.score.score, lead.number))
    leads = [_facts_of(lead, key, project.notify.numeric_ids) for lead in best_first]
    n = len(leads)
    title = f"{counted(n, 'lead')} reached grade {BEST} since {_clock(since, now)}"
    lines = [_line(lead) for lead in leads[:SHOWN_LEADS]]
    if n > SHOWN_LEADS:
        lines.append(f"… and {counted(n - SHOWN_LEADS, 'more lead')}.")
    facts = {
        "grade": BEST,
        "count": n,
        "since": since.isoformat(timespec="seconds"),
        "leads": leads[:LISTED_LEADS],
    }
    return Event(
        "grade_a", f"grade {BEST} at {now.isoformat()}", now, title, "\n".join(lines), facts
    )


def _facts_of(lead: Risen, key: bytes, are_numbers_ids: bool) -> dict[str, Any]:
    """Return what is told about a lead: no value of an attribute."""
    name, is_hash = lead_name(lead.score.lead_id, key, are_numbers_ids)
    return {
        "lead": name,
        "is_hash": is_hash,
        **_score(lead.score),
        "before": None if lead.before is None else _score(lead.before),
        "changes": _changes(lead)[:LISTED_SIGNALS],
    }


def _score(given: GivenScore) -> dict[str, Any]:
    return {
        "score": given.score,
        "grade": given.grade,
        "version": name_of(given.version),
        "as_of": time_text(given.as_of),
    }


def _changes(lead: Risen) -> list[dict[str, Any]]:
    """Return the change in points of each signal, the most first.

    Of a first score, the points of the signals: what makes it differ from the average lead's.
    """
    later = _parts(lead.score)
    if later is None:
        return []
    earlier, is_new_model = ScoreParts(later.start, {}), False
    if lead.before is not None:
        parts = _parts(lead.before)
        if parts is None:
            return []
        earlier, is_new_model = parts, lead.before.digest != lead.score.digest
    changes = score_change(earlier, later, is_new_model=is_new_model).parts
    _, points = shown_points([change.points for change in changes])
    return [
        {"signal": NEW_MODEL if change.signal is None else name_of(change.signal), "points": shown}
        for change, shown in zip(changes, points, strict=True)
    ]


def _parts(given: GivenScore) -> ScoreParts | None:
    if given.start is None or given.points is None or not math.isfinite(given.start):
        return None
    return ScoreParts(given.start, given.points)


def _line(lead: Mapping[str, Any]) -> str:
    before = lead["before"]
    earlier = "first score" if before is None else f"before: {before['score']}, {before['grade']}"
    parts = [
        f"{change['signal']} {change['points']:+.0f}"
        for change in lead["changes"][:SHOWN_SIGNALS]
        if abs(change["points"]) >= 0.5
    ]
    why = f"; {', '.join(parts)}" if parts else ""
    return f"{lead['lead']}: score {lead['score']} ({earlier}){why}"


def _clock(since: datetime.datetime, now: datetime.datetime) -> str:
    """Write a time, with its day unless it is today."""
    is_today = since.date() == now.astimezone(datetime.UTC).date()
    return f"{since:%H:%M} UTC" if is_today else f"{since:%d %b, %H:%M} UTC"
