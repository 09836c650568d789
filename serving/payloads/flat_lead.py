"""`POST /score_lead`: one lead as a flat object, for CRM flows that cannot nest.

All fields except `lead_id`, `created_at` and `as_of` are attributes. Flows that allow only
letters, digits and _ in names write `Lead_Source` for `Lead Source`. An attribute with one of the
three names is sent with the prefix `attribute_`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from features.times import time_text
from models.scorer import Score
from models.worklist import Position
from serving.errors import RequestError
from serving.payloads.answers import FlatAnswer, ItemWarning, ModelIdentity, Used
from serving.payloads.attributes import by_column_name, long_text_error
from serving.payloads.fields import read_optional_time
from serving.payloads.json_body import nul_error, read_body
from serving.payloads.json_errors import (
    attribute_error,
    nested_cell_error,
    validation_error,
)
from serving.payloads.score import LeadPayload
from serving.settings import Settings

RESERVED: Final = ("lead_id", "created_at", "as_of")
PREFIX: Final = "attribute_"
MAX_REASONS: Final = 3


def names_by_identifier(columns: Collection[str]) -> dict[str, str]:
    """Map the names that a flow can write to the CRM's names.

    If two columns would share a name, it is left out.

    Examples
    --------
    >>> names_by_identifier(["Lead Source", "a b", "a-b"])
    {'Lead_Source': 'Lead Source', 'Lead Source': 'Lead Source', 'a b': 'a b', 'a-b': 'a-b'}
    """
    by_identifier: dict[str, list[str]] = {}
    for column in columns:
        by_identifier.setdefault(re.sub(r"\W+", "_", column), []).append(column)
    unique = {name: matches[0] for name, matches in by_identifier.items() if len(matches) == 1}
    return unique | {column: column for column in columns}


def read_flat(body: bytes, settings: Settings, names: Mapping[str, str]) -> tuple[LeadPayload, int]:
    """Read the body of `POST /score_lead`.

    A null counts as missing, and so does an empty text in one of the three fields. If two fields
    are one column, its own name is read, or else the first; the other keeps its name.

    Parameters
    ----------
    body : bytes
    settings : Settings
    names : mapping of str to str
        From `names_by_identifier`.

    Returns
    -------
    LeadPayload
        Without attributes if no field is an attribute.
    int
        The moment of scoring in microseconds since 1970 UTC; `NOT_A_TIME` if none is sent.

    Raises
    ------
    RequestError
        400 if the body is not JSON; 422 if it is invalid.

    Examples
    --------
    >>> names = names_by_identifier(["Lead Source"])
    >>> lead, as_of = read_flat(b'{"lead_id": 7, "Lead_Source": "Web"}', Settings(), names)
    >>> lead.lead_id, lead.attributes, as_of == read_optional_time(None, "as_of")
    (7, {'Lead Source': 'Web'}, True)
    """
    fields, has_nul = _read_fields(body)
    if has_nul and (problem := nul_error(fields, "")):
        raise problem
    reserved = {name: fields.pop(name, None) for name in RESERVED}
    if not fields.keys() <= names.keys():
        fields = by_column_name(fields, "")
    if problem := nested_cell_error(fields, ""):
        raise problem
    attributes: dict[str, Any] = {}
    for name, cell in fields.items():
        bare = name.removeprefix(PREFIX)
        column = names.get(name) or names.get(bare) or name
        is_repeated = column != name and (column in fields or column in attributes)
        attributes[name if is_repeated else column] = cell
    if problem := long_text_error(fields, "", settings.max_string_characters):
        raise problem
    sent = {name: cell for name, cell in reserved.items() if cell not in (None, "")}
    as_of = sent.pop("as_of", None)
    if isinstance(as_of, bool) or not isinstance(as_of, str | int | None):
        raise RequestError(
            422, "`as_of` is not text. Expected a time such as 2025-03-01T08:00:00Z.", "as_of"
        )
    try:
        lead = msgspec.convert(sent | {"attributes": attributes or None}, LeadPayload)
    except msgspec.ValidationError as error:
        problem = attribute_error(fields, "")
        message = str(error).replace("`$.attributes`", "`$`")  # the body has no such field
        raise problem or validation_error(message, "", LeadPayload) from None
    return lead, read_optional_time(as_of, "as_of")


def _read_fields(body: bytes) -> tuple[dict[str, Any], bool]:
    try:
        return read_body(body, dict[str, Any])
    except RequestError as error:
        if error.status != 422:
            raise
        raws, _ = read_body(body, dict[str, msgspec.Raw])  # fails too if the body is no object
        raise attribute_error(raws, "") or error from None


def flat_answer(
    score: Score,
    used: Used,
    warnings: Sequence[ItemWarning],
    position: Position | None,
    moment: int,
    model: ModelIdentity,
    request_id: str,
) -> FlatAnswer:
    """Build the answer for one scored lead. Every field is always present, "" if it is empty."""
    reasons = [str(reason) for reason in score.reasons[:MAX_REASONS]]
    reasons += [""] * (MAX_REASONS - len(reasons))
    return FlatAnswer(
        lead_id=score.lead_id or "",
        probability=score.probability,
        score=score.score,
        grade=score.grade,
        lane=(position and position.lane) or "",
        order=position.order if position else score.score,
        reason_1=reasons[0],
        reason_2=reasons[1],
        reason_3=reasons[2],
        warnings="; ".join(warning.message for warning in warnings),
        used_activities=used.activities,
        newest_activity=used.newest or "",
        used_stages=used.stages,
        as_of=time_text(moment),
        model=model.name,
        model_version=model.version,
        request_id=request_id,
        model_name=model.name,
    )
