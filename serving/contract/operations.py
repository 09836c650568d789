"""The calls as the contract tells them: names, words and examples."""

from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from serving.payloads.answers import (
    ErasedAnswer,
    FlatAnswer,
    LeadAnswer,
    ModelAnswer,
    ScoreAnswer,
    StoredAnswer,
)
from serving.payloads.events import (
    ActivitiesRequest,
    ActivityItem,
    LeadRequest,
    OutcomeItem,
    OutcomesRequest,
    StageItem,
    StagesRequest,
)
from serving.payloads.score import LeadPayload, NoFields, ScoreRequest


@dataclass(frozen=True)
class Described:
    """One call as the contract tells it.

    Attributes
    ----------
    operation : str
        Its name: letters and digits.
    summary, description : str
    takes : type of Struct or None
        None: a flat lead, whose fields are the model's own.
    gives : type of Struct
    asked, answered : dict
        An example of each.
    """

    operation: str
    summary: str
    description: str
    takes: type[Struct] | None
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
    "reasons": [{"signal": "Lead Source", "points": 7.5, "text": "Lead Source is Webinar"}],
    "start": 48.2,
    "warnings": [],
    "used": {"activities": 1, "newest": "2025-02-28T10:00:00+00:00", "stages": 0},
}
FLAT = {
    "lead_id": "00Q5e00000AbCdE",
    "probability": 0.31,
    "score": 68,
    "grade": "A",
    "reason_1": "Lead Source is Webinar (+8)",
    "reason_2": "",
    "reason_3": "",
    "warnings": "",
    "used_activities": 1,
    "newest_activity": "2025-02-28T10:00:00+00:00",
    "used_stages": 0,
    "as_of": AS_OF,
    "model_name": "acme",
    "model_version": "3",
    "request_id": REQUEST_ID,
}
BY = {"model": MODEL, "request_id": REQUEST_ID}
KEPT = {
    "accepted": 1,
    "duplicate": 0,
    "conflict": 0,
    "erased": 0,
    "invalid": 0,
    "items": [{"id": "E1", "status": "accepted"}],
    **BY,
}
GIVEN = {"as_of": AS_OF, "probability": 0.31, "score": 68, "grade": "A", "model_version": "3"}
KEEPING = (
    " is kept once, by its id, however often it is sent; the answer comes when it is on the disk. "
    "An item that cannot be read spoils no other."
)

CALLS = {
    "/score": Described(
        operation="scoreLeads",
        summary="Score leads",
        description="Scores 1 to 1,000 leads as of now, or of the moment named. One lead that "
        "cannot be read spoils no other.",
        takes=ScoreRequest,
        gives=ScoreAnswer,
        asked={"leads": [LEAD], "reasons": 3},
        answered={"as_of": AS_OF, "scores": [SCORED], **BY},
    ),
    "/score_lead": Described(
        operation="scoreLead",
        summary="Score one lead",
        description="Scores one lead: a flat object in, a flat object out. Beside lead_id, "
        "created_at and as_of every field is an attribute.",
        takes=None,
        gives=FlatAnswer,
        asked={"lead_id": "00Q5e00000AbCdE"},
        answered=FLAT,
    ),
    "/activities": Described(
        operation="keepActivities",
        summary="Keep activities",
        description="What a lead did" + KEEPING,
        takes=ActivitiesRequest,
        gives=StoredAnswer,
        asked={
            "activities": [
                {
                    "lead_id": "00Q5e00000AbCdE",
                    "activity_id": "E1",
                    "type": "page view",
                    "occurred_at": "2025-02-28T10:00:00Z",
                }
            ]
        },
        answered=KEPT,
    ),
    "/stages": Described(
        operation="keepStages",
        summary="Keep stages",
        description="When a lead entered a stage" + KEEPING,
        takes=StagesRequest,
        gives=StoredAnswer,
        asked={
            "stages": [
                {
                    "lead_id": "00Q5e00000AbCdE",
                    "stage_id": "E1",
                    "stage": "Qualified",
                    "entered_at": "2025-02-28T10:00:00Z",
                }
            ]
        },
        answered=KEPT,
    ),
    "/outcomes": Described(
        operation="keepOutcomes",
        summary="Keep outcomes",
        description="How a lead ended" + KEEPING,
        takes=OutcomesRequest,
        gives=StoredAnswer,
        asked={
            "outcomes": [
                {
                    "lead_id": "00Q5e00000AbCdE",
                    "outcome_id": "E1",
                    "outcome": "Closed Won",
                    "closed_at": "2025-02-28T10:00:00Z",
                    "amount": 12000,
                }
            ]
        },
        answered=KEPT,
    ),
    "/lead": Described(
        operation="showLead",
        summary="Show a lead",
        description="What is held of a lead: its last score and why, trend, history, events.",
        takes=LeadRequest,
        gives=LeadAnswer,
        asked={"lead_id": "00Q5e00000AbCdE"},
        answered={
            "lead_id": "00Q5e00000AbCdE",
            "created_at": None,
            "attributes": None,
            "last_score": GIVEN,
            "trend": {"direction": "steady", "points": 0.5},
            "history": [GIVEN],
            "activities": {"count": 0, "newest": None},
            "stages": [],
            "outcomes": [],
            **BY,
        },
    ),
    "/erase": Described(
        operation="eraseLead",
        summary="Erase a lead",
        description="Forgets a lead, here and in the next training. What comes of it later is "
        "not kept.",
        takes=LeadRequest,
        gives=ErasedAnswer,
        asked={"lead_id": "00Q5e00000AbCdE"},
        answered={
            "lead_id": "00Q5e00000AbCdE",
            "erased": True,
            "deleted": {"activities": 1},
            **BY,
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
        answered={"card": {"name": "acme"}, **BY},
    ),
}
READ_ONE_BY_ONE: dict[type[Struct], tuple[str, type[Struct]]] = {
    ScoreRequest: ("leads", LeadPayload),
    ActivitiesRequest: ("activities", ActivityItem),
    StagesRequest: ("stages", StageItem),
    OutcomesRequest: ("outcomes", OutcomeItem),
}  # fields whose items are read each on its own
