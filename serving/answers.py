"""What the calls take and give, for the contract: structs of the answers, words and examples.

The service writes its answers without these structs; tests/test_contract.py holds one to the
other.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct

from serving.payloads import LeadPayload, ScoreRequest


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


class ScoredLead(Struct):
    """One lead's result; if it could not be scored, only `error` is there."""

    lead_id: str | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] | None = None
    score: Annotated[int, Meta(ge=1, le=99)] | None = None
    grade: str | None = None
    reasons: list[ReasonAnswer] = []
    start: float | None = None
    warnings: list[str] = []
    error: ItemError | None = None


class ScoreAnswer(Struct):
    """A result or an error for each lead, in the order in which they were sent."""

    as_of: str
    scores: list[ScoredLead]
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


class NoFields(Struct, forbid_unknown_fields=True):
    """An empty object."""


@dataclass(frozen=True)
class Described:
    """One call as the contract tells it.

    Attributes
    ----------
    operation : str
        Its name: letters and digits.
    summary, description : str
    takes, gives : type of Struct
    asked, answered : dict
        An example of each.
    """

    operation: str
    summary: str
    description: str
    takes: type[Struct]
    gives: type[Struct]
    asked: dict[str, Any]
    answered: dict[str, Any]


MODEL = {"name": "acme", "version": "3", "digest": "15847aa0d60b"}
REQUEST_ID = "5f0c2d1e9b7a4c3f8e6d5c4b3a291807"
AS_OF = "2025-03-01T08:00:00+00:00"
LEAD = {
    "lead_id": "00Q5e00000AbCdE",
    "created_at": "2025-02-20T09:30:00Z",
    "attributes": {"Lead Source": "Webinar", "Employees": 250, "Country": "DE"},
    "activities": [{"type": "page view", "occurred_at": "2025-02-28T10:00:00Z"}],
}
SCORED = {
    "lead_id": "00Q5e00000AbCdE",
    "probability": 0.31,
    "score": 68,
    "grade": "A",
    "reasons": [{"signal": "Lead Source", "points": 7.5, "text": "Lead Source is Webinar (+8)"}],
    "start": 48.2,
    "warnings": [],
}

CALLS = {
    "/score": Described(
        operation="scoreLeads",
        summary="Score leads",
        description="Scores 1 to 1,000 leads as of now, or of the moment named. One lead that "
        "cannot be read spoils no other.",
        takes=ScoreRequest,
        gives=ScoreAnswer,
        asked={"leads": [LEAD], "reasons": 3},
        answered={
            "as_of": AS_OF, "scores": [SCORED], "model": MODEL, "request_id": REQUEST_ID,
        },
    ),
    "/model": Described(
        operation="describeModel",
        summary="Describe the model",
        description="Gives the card of the model that answers: what it learned from, how good it "
        "is, what it leaves out.",
        takes=NoFields,
        gives=ModelAnswer,
        asked={},
        answered={"card": {"name": "acme"}, "model": MODEL, "request_id": REQUEST_ID},
    ),
}  # fmt: skip
READ_ONE_BY_ONE: dict[type[Struct], tuple[str, type[Struct]]] = {
    ScoreRequest: ("leads", LeadPayload),
}  # fields whose items are read each on its own
