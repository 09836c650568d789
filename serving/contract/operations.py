"""The calls as the contract describes them: names, texts and examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from serving.contract.flat_fields import FlatField
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
class Operation:
    """One call as the contract describes it.

    Attributes
    ----------
    operation_id : str
        The name of the call. It has letters and digits only.
    summary, description : str
    request : type of Struct or None
        The body. None means a flat lead, whose fields depend on the model.
    answer : type of Struct
    request_example : dict
        Without the attributes of a lead to score: `request_examples` adds those of the model.
    answer_example : dict
    """

    operation_id: str
    summary: str
    description: str
    request: type[Struct] | None
    answer: type[Struct]
    request_example: dict[str, Any]
    answer_example: dict[str, Any]


NAME = "leadscore"  # generators name the class of the calls after it
EXAMPLE_CELLS: dict[str, Any] = {"number": 250, "string": "Webinar"}
UNKNOWN: dict[str, Any] = {"Lead_Source": "Webinar"}  # any lead to score needs an attribute
MODEL = {"name": "acme", "version": "3", "digest": "15847aa0d60b"}
REQUEST_ID = "5f0c2d1e9b7a4c3f8e6d5c4b3a291807"
AS_OF = "2025-03-01T08:00:00+00:00"
LEAD = {
    "lead_id": "00Q5e00000AbCdE",
    "created_at": "2025-02-20T09:30:00Z",
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
    "lane": "",
    "order": 68,
    "reason_1": "Lead Source is Webinar (+8)",
    "reason_2": "",
    "reason_3": "",
    "warnings": "",
    "used_activities": 1,
    "newest_activity": "2025-02-28T10:00:00+00:00",
    "used_stages": 0,
    "as_of": AS_OF,
    "model": "acme",
    "model_version": "3",
    "request_id": REQUEST_ID,
    "model_name": "acme",
}
ANSWERED_BY = {"request_id": REQUEST_ID, "model": MODEL}
STORED = {
    "accepted": 1,
    "duplicate": 0,
    "conflict": 0,
    "erased": 0,
    "invalid": 0,
    "items": [{"id": "E1", "status": "accepted"}],
    **ANSWERED_BY,
}
CHANGE = {
    "since": "2025-02-20T08:00:00+00:00",
    "points": 11.25,
    "score_change": 11,
    "parts": [
        {
            "signal": "activity: demo",
            "points": 14.25,
            "text": 'last "demo" 2 days ago (before: no "demo" yet)',
        },
        {
            "signal": "age of the lead",
            "points": -3.0,
            "text": "created 12 days ago (before: created 3 days ago)",
        },
    ],
    "model_changed": False,
}
PAST_SCORE = {"as_of": AS_OF, "probability": 0.31, "score": 68, "grade": "A", "model_version": "3"}
STORING = (
    " An item that is sent again with the same id is not stored twice. The answer is sent when "
    "the items are on the disk. An invalid item does not affect the others."
)

CALLS = {
    "/score": Operation(
        operation_id="scoreLeads",
        summary="Score leads",
        description="Scores 1 to 1,000 leads as of now, or as of the time `as_of`. An "
        "invalid lead does not affect the others.",
        request=ScoreRequest,
        answer=ScoreAnswer,
        request_example={"leads": [LEAD], "reasons": 3},
        answer_example={"as_of": AS_OF, "scores": [SCORED], **ANSWERED_BY},
    ),
    "/score_lead": Operation(
        operation_id="scoreLead",
        summary="Score one lead",
        description="Scores one lead. The request and the answer are flat objects. All fields "
        "except lead_id, created_at and as_of are attributes.",
        request=None,
        answer=FlatAnswer,
        request_example={"lead_id": LEAD["lead_id"], "created_at": LEAD["created_at"]},
        answer_example=FLAT,
    ),
    "/activities": Operation(
        operation_id="keepActivities",
        summary="Store activities",
        description="Stores activities of leads." + STORING,
        request=ActivitiesRequest,
        answer=StoredAnswer,
        request_example={
            "activities": [
                {
                    "lead_id": "00Q5e00000AbCdE",
                    "activity_id": "E1",
                    "type": "page view",
                    "occurred_at": "2025-02-28T10:00:00Z",
                }
            ]
        },
        answer_example=STORED,
    ),
    "/stages": Operation(
        operation_id="keepStages",
        summary="Store stages",
        description="Stores the stages that leads entered, with the time." + STORING,
        request=StagesRequest,
        answer=StoredAnswer,
        request_example={
            "stages": [
                {
                    "lead_id": "00Q5e00000AbCdE",
                    "stage_id": "E1",
                    "stage": "Qualified",
                    "entered_at": "2025-02-28T10:00:00Z",
                }
            ]
        },
        answer_example=STORED,
    ),
    "/outcomes": Operation(
        operation_id="keepOutcomes",
        summary="Store outcomes",
        description="Stores outcomes: whether leads were won or lost, and when." + STORING,
        request=OutcomesRequest,
        answer=StoredAnswer,
        request_example={
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
        answer_example=STORED,
    ),
    "/lead": Operation(
        operation_id="showLead",
        summary="Show a lead",
        description="Returns everything stored about a lead: its last score with the reasons, "
        "the trend, why the score changed, the history and the events.",
        request=LeadRequest,
        answer=LeadAnswer,
        request_example={"lead_id": "00Q5e00000AbCdE"},
        answer_example={
            "lead_id": "00Q5e00000AbCdE",
            "created_at": None,
            "attributes": None,
            "last_score": PAST_SCORE,
            "trend": {"direction": "steady", "points": 0.5},
            "change": CHANGE,
            "history": [PAST_SCORE],
            "activities": {"count": 0, "newest": None},
            "stages": [],
            "stages_count": 0,
            "outcomes": [],
            "outcomes_count": 0,
            "warnings": [],
            **ANSWERED_BY,
        },
    ),
    "/erase": Operation(
        operation_id="eraseLead",
        summary="Erase a lead",
        description="Erases all that is stored about a lead; the next training leaves the lead "
        "out. Items about it that are sent later are not stored.",
        request=LeadRequest,
        answer=ErasedAnswer,
        request_example={"lead_id": "00Q5e00000AbCdE"},
        answer_example={
            "lead_id": "00Q5e00000AbCdE",
            "erased": True,
            "deleted": {"activities": 1},
            **ANSWERED_BY,
        },
    ),
    "/model": Operation(
        operation_id="describeModel",
        summary="Describe the model",
        description="Returns the card of the model that answers: what it was trained on, how good "
        "it is, and which columns it leaves out.",
        request=NoFields,
        answer=ModelAnswer,
        request_example={},
        answer_example={"card": {"name": "acme"}, **ANSWERED_BY},
    ),
}
DECODED_ONE_BY_ONE: dict[type[Struct], tuple[str, type[Struct]]] = {
    ScoreRequest: ("leads", LeadPayload),
    ActivitiesRequest: ("activities", ActivityItem),
    StagesRequest: ("stages", StageItem),
    OutcomesRequest: ("outcomes", OutcomeItem),
}  # fields whose items are decoded one by one


def request_examples(fields: Mapping[str, FlatField]) -> dict[str, dict[str, Any]]:
    """Return an example body for each call, which the service answers with 200.

    The leads to score have an attribute of each type, under its name in the model.
    """
    names: dict[str, str] = {}
    for name, field in fields.items():
        names.setdefault(field.json_type, name)
    flat = {name: EXAMPLE_CELLS[json_type] for json_type, name in names.items()} or UNKNOWN
    own = {fields[name].column if name in fields else name: cell for name, cell in flat.items()}
    examples = {path: call.request_example for path, call in CALLS.items()}
    leads = [lead | {"attributes": own} for lead in examples["/score"]["leads"]]
    return examples | {
        "/score": examples["/score"] | {"leads": leads},
        "/score_lead": examples["/score_lead"] | flat,
    }
