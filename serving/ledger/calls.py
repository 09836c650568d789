"""The calls that keep, show and erase: what the service answers of the ledger.

The database is asked in threads of its own, never on the event loop, so that one that is slow
or away holds up nothing else.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from crm.errors import LeadScoringError, LedgerError
from crm.ledger.ledger import GivenScore, Held, Ledger
from crm.ledger.trend import trend
from features.times import time_text
from serving.errors import CODES, RequestError
from serving.ledger.faults import LedgerFaults, Work
from serving.payloads.events import read_items, read_lead_id

THREADS: Final = 8  # as many as the ledger has connections
STATUSES: Final = ("accepted", "duplicate", "conflict", "erased", "invalid")

Found = TypeVar("Found")


class LedgerCalls:
    """Asks the ledger, and answers the calls about it.

    Parameters
    ----------
    ledger : Ledger or None
        None: every call says that there is none.

    Attributes
    ----------
    faults : LedgerFaults
        What the ledger cannot do at the moment.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        self.ledger = ledger
        self.faults = LedgerFaults()
        self._threads = anyio.CapacityLimiter(THREADS)
        self._asked: dict[str, None] = {}  # of which leads the next reading tells
        self._next_reading: asyncio.Task[dict[str, Held]] | None = None
        self._one_reading = asyncio.Lock()

    async def add(
        self, kind: str, body: bytes, now: int, outcome_words: Collection[str] = ()
    ) -> dict[str, Any]:
        """Keep activities, stages or outcomes: what became of each, in their order.

        An outcome that is none of `outcome_words`, folded, is kept with a warning; where there
        are none, nobody knows better.

        Raises
        ------
        RequestError
            422 if no item can be read; 503 if the ledger cannot take them now.
        """
        ledger = self._open()
        items = read_items(kind, body)
        rows = [item for item in items if not isinstance(item, RequestError)]
        first_error = next((item for item in items if isinstance(item, RequestError)), None)
        if not rows and first_error is not None:
            raise first_error
        added = iter(await self._ask(lambda: ledger.add(kind, rows, now), "written"))
        answers: list[dict[str, Any]] = []
        for item in items:
            if isinstance(item, RequestError):
                answers.append({"id": None, "status": "invalid", **item_error(item)})
            else:
                one = next(added)
                answers.append({"id": one.id, "status": one.status})
                word = item.get("outcome")
                if word is not None and outcome_words and word.casefold() not in outcome_words:
                    answers[-1]["warnings"] = [
                        f"`{word[:100]}` is no outcome that the model's project declares: training "
                        "leaves it out until it is put into won, lost or open"
                    ]
        counts = {status: sum(a["status"] == status for a in answers) for status in STATUSES}
        return {**counts, "items": answers}

    async def lead(self, body: bytes) -> dict[str, Any]:
        """Show what is held of a lead: last score and its reasons, trend, history, events.

        Raises
        ------
        RequestError
            404 if nothing is held; 503 if the ledger cannot be read now.
        """
        ledger = self._open()
        lead_id = read_lead_id(body)

        def read() -> tuple[Held, list[GivenScore], list[tuple[int, int]]]:
            held = ledger.held([lead_id], with_outcomes=True)[lead_id]
            return held, ledger.scores_of(lead_id), ledger.scores_by_day(lead_id)

        held, scores, by_day = await self._ask(read, "read")
        if held == Held() and not scores:
            raise RequestError(404, "The ledger holds nothing on this lead.", "lead_id")
        direction, points = trend(by_day)
        created_at = held.sent.created_at if held.sent else None
        return {
            "lead_id": lead_id,
            "created_at": None if created_at is None else time_text(created_at),
            "attributes": dict(held.sent.attributes) if held.sent else None,
            "last_score": _shown(scores[0]) | {"reasons": scores[0].reasons} if scores else None,
            "trend": {"direction": direction, "points": points},
            "history": [_shown(score) for score in scores],
            "activities": _counted(held.activities, "occurred_at"),
            "stages": _told(held.stages, "entered_at"),
            "outcomes": _told(held.outcomes, "closed_at"),
        }

    async def erase(self, body: bytes, now: int) -> dict[str, Any]:
        """Forget a lead; whether anything was held of it or not, nothing is from now on.

        Raises
        ------
        RequestError
            503 if the ledger cannot do it now.
        """
        ledger = self._open()
        lead_id = read_lead_id(body)
        deleted = await self._ask(lambda: ledger.forget(lead_id, now), "written")
        return {"lead_id": lead_id, "erased": True, "deleted": deleted}

    async def held(self, lead_ids: Sequence[str]) -> dict[str, Held] | None:
        """Read what is held of leads that are to be scored; None if it cannot be read now.

        Whoever asks while the ledger is being read is read with all others that do: of many
        leads it takes little longer than of one. So the answer may tell of more leads.
        """
        if self.ledger is None or not lead_ids:
            return {}
        self._asked |= dict.fromkeys(lead_ids)
        if self._next_reading is None:
            self._next_reading = asyncio.create_task(self._read_asked(self.ledger))
            self._next_reading.add_done_callback(_look_at_failure)
        try:
            held = await asyncio.shield(self._next_reading)
        except LeadScoringError as error:
            self.faults.failed("read", error)
            return None
        self.faults.worked("read")
        return held

    async def _read_asked(self, ledger: Ledger) -> dict[str, Held]:
        async with self._one_reading:
            lead_ids, self._asked, self._next_reading = list(self._asked), {}, None
            return await self._in_thread(lambda: ledger.held(lead_ids))

    def _open(self) -> Ledger:
        if self.ledger is None:
            raise RequestError(
                404, "This service keeps nothing: it has no ledger. Set LEADSCORE_LEDGER_URL."
            )
        return self.ledger

    async def _ask(self, ask: Callable[[], Found], work: Work) -> Found:
        try:
            found = await self._in_thread(ask)
        except LedgerError as error:
            if not error.is_passing:
                raise
            self.faults.failed(work, error)
            raise RequestError(
                503,
                "The ledger cannot answer now, so nothing of this request is acknowledged. "
                "Repeat it in a few seconds; what is stored already is not stored twice.",
            ) from error
        self.faults.worked(work)
        return found

    async def _in_thread(self, work: Callable[[], Found]) -> Found:
        return await anyio.to_thread.run_sync(work, limiter=self._threads, abandon_on_cancel=True)


def item_error(error: RequestError) -> dict[str, Any]:
    """Tell of one item what a failure tells of a whole request."""
    told = {"code": CODES[error.status], "message": error.message, "field": error.field}
    return {"error": told}


def _look_at_failure(reading: "asyncio.Task[dict[str, Held]]") -> None:
    """Take note of it even if all who asked have gone."""
    if not reading.cancelled():
        reading.exception()


def _shown(score: GivenScore) -> dict[str, Any]:
    return {
        "as_of": time_text(score.as_of),
        "probability": score.probability,
        "score": score.score,
        "grade": score.grade,
        "model_version": score.version,
    }


def _counted(rows: Sequence[dict[str, Any]], time: str) -> dict[str, Any]:
    times = [row[time] for row in rows]
    return {"count": len(times), "newest": time_text(max(times)) if times else None}


def _told(rows: Sequence[dict[str, Any]], time: str) -> list[dict[str, Any]]:
    ordered = sorted(rows, key=lambda row: row[time] or 0)
    return [
        {
            name: time_text(cell) if name == time and cell is not None else cell
            for name, cell in row.items()
            if name != "lead_id"
        }
        for row in ordered
    ]
