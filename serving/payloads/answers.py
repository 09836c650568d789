"""The answers of the calls. The service encodes these structs, and the contract describes them.

Fields are encoded in the order in which they are declared. A field that is `UNSET` is left out.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from features.cell_warnings import CellWarning, CellWarningCode
from models.reasons import Reason
from models.scorer import Score
from models.worklist import Position
from serving.errors import Code, RequestError
from serving.payloads.columns import HIDDEN, Cell, StoredOutcome, StoredStage, TimeText

WarningCode = Literal[
    CellWarningCode,
    "approximate_history",
    "ledger_unavailable",
    "not_yet_written",
    "undeclared_outcome",
    "negative_amount",
    "long_before_creation",
]
Probability = Annotated[float, Meta(ge=0, le=1)]
ScorePoints = Annotated[int, Meta(ge=1, le=99)]


class ModelIdentity(Struct, frozen=True, omit_defaults=True):
    """The model that answered. `simulated` is true if it was trained on simulated leads."""

    name: str
    version: str
    digest: str
    simulated: bool = False


class ReasonAnswer(Struct, frozen=True):
    """One reason of a score: a signal, the points that it adds or takes, and a text."""

    signal: str
    points: float
    text: str


class ItemWarning(Struct, frozen=True):
    """A warning about one item. Programs read `code`; the text of `message` may change."""

    code: WarningCode
    column: str | None
    message: str


class ItemError(Struct, frozen=True):
    """The reason why one item of several could not be used."""

    code: Code
    message: str
    field: str | None


class Used(Struct, frozen=True):
    """The activities and stages, sent or stored, that the score used."""

    activities: int
    newest: TimeText | None
    stages: int


class ScoredLead(Struct, frozen=True):
    """The result for one lead. If it could not be scored, only `error` is present.

    `lane` and `order` are present if the service has a control group. `lane` is "control" or
    "treated", and null for a lead without an id. Sort worklists by `order`, the highest first.
    """

    lead_id: str | None | UnsetType = UNSET
    probability: Probability | UnsetType = UNSET
    score: ScorePoints | UnsetType = UNSET
    grade: str | UnsetType = UNSET
    lane: str | None | UnsetType = UNSET
    order: ScorePoints | UnsetType = UNSET
    reasons: list[ReasonAnswer] | UnsetType = UNSET
    start: float | None | UnsetType = UNSET
    warnings: list[ItemWarning] | UnsetType = UNSET
    used: Used | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class ScoreAnswer(Struct, frozen=True):
    """A result or an error for each lead, in the order in which the leads were sent."""

    as_of: TimeText
    scores: list[ScoredLead]
    request_id: str
    model: ModelIdentity


class FlatAnswer(Struct, frozen=True):
    """One scored lead as a flat object. A text without a value is empty.

    Sort worklists by `order`, the highest first: it is the score, or neutral in the control group.
    `model_name` is the earlier name of `model`. PHP clients cannot have a field of this name.
    """

    lead_id: str
    probability: Probability
    score: ScorePoints
    grade: str
    lane: str
    order: ScorePoints
    reason_1: str
    reason_2: str
    reason_3: str
    warnings: str
    used_activities: int
    newest_activity: str
    used_stages: int
    as_of: TimeText
    model: str
    model_version: str
    request_id: str
    model_name: Annotated[str, Meta(extra_json_schema={HIDDEN: True})]


class StoredItem(Struct, frozen=True):
    """The result for one item. `id` is null if the item could not be read."""

    id: str | None
    status: str
    warnings: list[ItemWarning] | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class StoredAnswer(Struct, frozen=True):
    """The number of items by status, and each item in the order in which they were sent."""

    accepted: int
    duplicate: int
    conflict: int
    erased: int
    invalid: int
    items: list[StoredItem]
    request_id: str
    model: ModelIdentity


class PastScore(Struct, frozen=True):
    """A score that an earlier answer contained. Only the last one has its reasons."""

    as_of: TimeText
    probability: Probability
    score: ScorePoints
    grade: str
    model_version: str
    reasons: list[ReasonAnswer] | UnsetType = UNSET


class Trend(Struct, frozen=True):
    """The direction of a lead's scores: improving, steady, declining or too little to say."""

    direction: str
    points: float | None


class ChangePartAnswer(Struct, frozen=True):
    """What one signal added to the change of a score; `signal` is null for a new model."""

    signal: str | None
    points: float
    text: str


class ChangeAnswer(Struct, frozen=True):
    """Why the last score differs from the one before: parts in points, which add up to `points`.

    `points` is the difference before rounding, `score_change` that of the scores as answered.
    """

    since: TimeText
    points: float
    score_change: int
    parts: list[ChangePartAnswer]
    model_changed: bool


class ActivityCount(Struct, frozen=True):
    """The number of activities, and the time of the newest."""

    count: int
    newest: TimeText | None


class LeadAnswer(Struct, frozen=True):
    """What the ledger stores about a lead.

    The answer contains the newest 50 scores, the newest 100 stages and the newest 100 outcomes, and
    the numbers of all stages and outcomes.
    """

    lead_id: str
    created_at: TimeText | None
    attributes: dict[str, Cell] | None
    last_score: PastScore | None
    trend: Trend
    change: ChangeAnswer | None
    history: list[PastScore]
    activities: ActivityCount
    stages: list[StoredStage]
    stages_count: int
    outcomes: list[StoredOutcome]
    outcomes_count: int
    warnings: list[ItemWarning]
    request_id: str
    model: ModelIdentity


class ErasedAnswer(Struct, frozen=True):
    """Confirms that a lead was erased, with the number of deleted rows by table."""

    lead_id: str
    erased: bool
    deleted: dict[str, int]
    request_id: str
    model: ModelIdentity


class ModelAnswer(Struct, frozen=True):
    """The card of the model that answers."""

    card: dict[str, Any]
    request_id: str
    model: ModelIdentity


def scored_lead(
    score: Score, used: Used, warnings: list[ItemWarning], position: Position | None
) -> ScoredLead:
    """Build the result for one scored lead; `position` is None without a control group."""
    return ScoredLead(
        lead_id=score.lead_id,
        probability=score.probability,
        score=score.score,
        grade=score.grade,
        lane=UNSET if position is None else position.lane,
        order=UNSET if position is None else position.order,
        reasons=[reason_answer(reason) for reason in score.reasons],
        start=None if score.start is None else round(score.start, 2),
        warnings=warnings,
        used=used,
    )


def reason_answer(reason: Reason) -> ReasonAnswer:
    """Build one reason, its points rounded to two decimals."""
    return ReasonAnswer(reason.signal, round(reason.points, 2), reason.text)


def item_warning(warning: CellWarning) -> ItemWarning:
    """Build the answer's warning from the scorer's."""
    return ItemWarning(warning.code, warning.column, warning.message)


def item_error(error: RequestError) -> ItemError:
    """Build the error of one item from the error that would refuse a whole request."""
    return ItemError(error.code, error.message, error.field)
