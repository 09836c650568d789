"""Why the last score of a lead differs from the one before, from what the ledger stores."""

from collections.abc import Sequence
from typing import Final

from crm.ledger.entries import GivenScore
from crm.ledger.ledger import Ledger
from features.times import time_text
from models.change_words import ComparedMoments, compare_moments
from models.score_change import ScoreParts, score_change, shown_points
from models.scorer import LeadCells
from serving.ledger.joining import as_stored
from serving.payloads.answers import ChangeAnswer, ChangePartAnswer
from serving.served_model import ServedModel

# With these warnings, a score was not computed from all that the ledger had.
INCOMPLETE: Final = ("ledger_unavailable", "not_yet_written", "approximate_history")


def change_answer(
    model: ServedModel, ledger: Ledger, lead_id: str, scores: Sequence[GivenScore]
) -> ChangeAnswer | None:
    """Explain the difference between the last score of a lead and the one before.

    If the served model gave the last score, it scores the lead again, as of both moments, from
    what was recorded by then. This gives the words, and what a new model did.

    Parameters
    ----------
    model : ServedModel
    ledger : Ledger
    lead_id : str
    scores : sequence of GivenScore
        The newest first.

    Returns
    -------
    ChangeAnswer or None
        None if no earlier score exists, or one of the two was stored without its points.

    Raises
    ------
    LedgerError
        If the ledger cannot be read now.
    """
    if not scores:
        return None
    later = scores[0]
    earlier = next((score for score in scores[1:] if score.as_of < later.as_of), None)
    if earlier is None:
        return None
    earlier_parts, later_parts = _parts(earlier), _parts(later)
    if earlier_parts is None or later_parts is None:
        return None
    is_new_model = earlier.digest != later.digest
    compared = _compared(model, ledger, lead_id, earlier, later)
    change = score_change(
        earlier_parts,
        later_parts,
        is_new_model=is_new_model,
        earlier_in_new_model=compared.earlier if compared and is_new_model else None,
    )
    points, shown = shown_points([part.points for part in change.parts])
    texts = _reason_texts(earlier) | _reason_texts(later) | (compared.texts if compared else {})
    new_model = f"new model (version {later.version} instead of {earlier.version})"
    if compared is None:
        new_model += ", with everything else that has changed since"
    return ChangeAnswer(
        since=time_text(earlier.as_of),
        points=points,
        score_change=later.score - earlier.score,
        parts=[
            ChangePartAnswer(
                part.signal,
                part_points,
                new_model if part.signal is None else texts.get(part.signal, part.signal),
            )
            for part, part_points in zip(change.parts, shown, strict=True)
            if part_points or part.signal is None
        ],
        model_changed=is_new_model,
    )


def _parts(score: GivenScore) -> ScoreParts | None:
    if score.start is None or score.points is None:
        return None
    return ScoreParts(score.start, score.points)


def _compared(
    model: ServedModel, ledger: Ledger, lead_id: str, earlier: GivenScore, later: GivenScore
) -> ComparedMoments | None:
    """Score the lead as of both moments; None if the ledger or the model cannot repeat them."""
    if later.digest != model.short_digest:
        return None
    leads: list[LeadCells] = []
    for score in (earlier, later):
        if any(warning["code"] in INCOMPLETE for warning in score.warnings or ()):
            return None
        stored = ledger.lead_as_recorded(lead_id, score.recorded_at)
        if stored.sent is None or stored.is_long:
            return None
        leads.append(as_stored(stored.sent, stored, model.scorer.roles["lead_id"]))
    return compare_moments(model.scorer, leads, [earlier.as_of, later.as_of])


def _reason_texts(score: GivenScore) -> dict[str, str]:
    return {reason["signal"]: reason["text"] for reason in score.reasons}
