"""Entries that callers store in the ledger, and records that are read from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Added:
    """The result of adding one event.

    Attributes
    ----------
    id : str
        The caller's id, or `sha256:…` of the content.
    status : str
        "accepted"; "duplicate" if the event was stored before; "conflict" if its id was stored
        with another content, which stays; "erased" if its lead was erased. Only an accepted
        event is stored.
    """

    id: str
    status: str


@dataclass(frozen=True)
class SentLead:
    """A lead as it was sent for scoring: `created_at` in microseconds, or None."""

    lead_id: str
    created_at: int | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class StoredScore:
    """The columns that every stored score has. Times are in microseconds since 1970 UTC.

    Attributes
    ----------
    score_id : str
        Unique; a shadow score has that of the given score of the same lead and moment.
    model, version, digest : str
        The model that gave it.
    """

    lead_id: str
    score_id: str
    as_of: int
    probability: float
    score: int
    grade: str
    model: str
    version: str
    digest: str
    recorded_at: int


@dataclass(frozen=True)
class GivenScore(StoredScore):
    """A score that an answer contained.

    Attributes
    ----------
    reasons : sequence of mapping
        The reasons of the answer as plain data.
    lane : str or None
        "control" or "treated"; None if there was no control group.
    start : float or None
    points : mapping of str to float, or None
        The points of each signal, not rounded; signals of 0 points are absent. They and `start`
        add up to the score before it is rounded and clipped. Both are None in rows of older
        versions, and if there was no time to compute them.
    warnings : sequence of mapping, or None
        `code` and `column` of each warning of the answer; None in rows of older versions.
    """

    reasons: Sequence[Mapping[str, Any]]
    request_id: str
    lane: str | None = None
    start: float | None = None
    points: Mapping[str, float] | None = None
    warnings: Sequence[Mapping[str, str | None]] | None = None


@dataclass(frozen=True)
class ShadowScore(StoredScore):
    """A score of a shadow model, which no answer contained."""


@dataclass(frozen=True)
class StoredLead:
    """The stored rows of one lead, with the columns of `EVENTS`, in order of arrival.

    `sent` is the lead as it was sent last; None if it was never sent. If the lead has too many
    activities or stages to read, `is_long` is true and both lists are empty.
    """

    sent: SentLead | None = None
    activities: list[dict[str, Any]] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    is_long: bool = False


@dataclass(frozen=True)
class NewestEvents:
    """The number of events of a lead in one table, and the newest of them in order of time."""

    count: int
    rows: Sequence[Row]


@dataclass(frozen=True)
class LeadOverview:
    """The stored records of one lead. `sent` is the lead as it was sent last, or None."""

    sent: SentLead | None
    activities: NewestEvents
    stages: NewestEvents
    outcomes: NewestEvents

    @property
    def is_empty(self) -> bool:
        """Whether nothing is stored."""
        counts = (self.activities.count, self.stages.count, self.outcomes.count)
        return self.sent is None and not any(counts)


@dataclass(frozen=True)
class Batch:
    """Rows that are written together, after the answers that contain them.

    The answers do not promise that the rows are stored.
    """

    scores: Sequence[GivenScore] = ()
    leads: Sequence[tuple[SentLead, int]] = ()  # each with the time at which it was sent
    activities: Sequence[Row] = ()
    stages: Sequence[Row] = ()
    shadow_scores: Sequence[ShadowScore] = ()

    def __len__(self) -> int:
        events = len(self.activities) + len(self.stages)
        return len(self.scores) + len(self.shadow_scores) + len(self.leads) + events
