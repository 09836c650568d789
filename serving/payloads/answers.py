"""What the calls give, as structs, for the contract.

The service writes its answers without these structs; tests/test_serving_contract.py holds
one to the other.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from serving.payloads.score import Cell


class ModelIdentity(Struct):
    """The model that answered."""

    name: str
    version: str
    digest: str
    simulated: bool = False


class ReasonAnswer(Struct):
    """Why a lead has its score: a signal, the points it gives or takes, and words for it."""

    signal: str
    points: float
    text: str


class ItemError(Struct):
    """Why one lead of several was not scored."""

    code: str
    message: str
    field: str | None = None


class Used(Struct):
    """Which activities and stages, sent or held, the score looked at."""

    activities: int
    newest: str | None
    stages: int


class ScoredLead(Struct):
    """One lead's result; if it could not be scored, only `error` is there."""

    lead_id: str | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] | None = None
    score: Annotated[int, Meta(ge=1, le=99)] | None = None
    grade: str | None = None
    reasons: list[ReasonAnswer] = []
    start: float | None = None
    warnings: list[str] = []
    used: Used | None = None
    error: ItemError | None = None


class ScoreAnswer(Struct):
    """A result or an error for each lead, in the order in which they were sent."""

    as_of: str
    scores: list[ScoredLead]
    model: ModelIdentity
    request_id: str


class FlatAnswer(Struct):
    """One scored lead, flat; what is empty is an empty text."""

    lead_id: str
    probability: Annotated[float, Meta(ge=0, le=1)]
    score: Annotated[int, Meta(ge=1, le=99)]
    grade: str
    reason_1: str
    reason_2: str
    reason_3: str
    warnings: str
    used_activities: int
    newest_activity: str
    used_stages: int
    as_of: str
    model_name: str
    model_version: str
    request_id: str


class Kept(Struct):
    """What became of one item."""

    status: str
    id: str | None = None
    warnings: list[str] = []
    error: ItemError | None = None


class KeptAnswer(Struct):
    """How many items were kept, or why not, and each one in the order they were sent."""

    accepted: int
    duplicate: int
    conflict: int
    erased: int
    invalid: int
    items: list[Kept]
    model: ModelIdentity
    request_id: str


class GivenAnswer(Struct):
    """A score that the lead was given."""

    as_of: str
    probability: Annotated[float, Meta(ge=0, le=1)]
    score: Annotated[int, Meta(ge=1, le=99)]
    grade: str
    model_version: str
    reasons: list[ReasonAnswer] = []


class Trend(Struct):
    """Where the scores of a lead are going: improving, steady, declining, or too little to say."""

    direction: str
    points: float | None = None


class Counted(Struct):
    """How many there are, and when the newest was."""

    count: int
    newest: str | None = None


class LeadAnswer(Struct):
    """What is held of a lead."""

    lead_id: str
    created_at: str | None
    attributes: dict[str, Cell] | None
    last_score: GivenAnswer | None
    trend: Trend
    history: list[GivenAnswer]
    activities: Counted
    stages: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]
    model: ModelIdentity
    request_id: str


class ErasedAnswer(Struct):
    """A lead was forgotten, and how many rows of each kind were deleted."""

    lead_id: str
    erased: bool
    deleted: dict[str, int]
    model: ModelIdentity
    request_id: str


class ModelAnswer(Struct):
    """The card of the model that answers."""

    card: dict[str, Any]
    model: ModelIdentity
    request_id: str


class FailureDetail(Struct):
    """What is wrong, what was expected, what to do."""

    code: str
    message: str
    request_id: str
    field: str | None = None


class Failure(Struct):
    """The one shape of every failure."""

    error: FailureDetail
