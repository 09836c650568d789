"""Taking over a new champion while requests are answered."""

import gc
import logging
import time
from collections.abc import Callable

import anyio.to_thread

from crm.errors import LeadScoringError
from crm.times import NOT_A_TIME
from models.scorer import LeadCells
from serving.served_model import ServedModel

RETRY_SECONDS = 30.0

log = logging.getLogger("leadscore")


class TakeOver:
    """Looks which model is the champion, and swaps it in when it has proven itself.

    A champion is loaded, verified and warmed up in a thread; requests go on with the model
    they began with, and the old one goes when the last of them is done.

    Parameters
    ----------
    named : callable
        Gives the tag of the champion, or None.
    load : callable
        Loads and verifies the model of a tag.
    swap : callable
        Takes the new model.
    current : str
        The tag of the model that answers now.
    count : callable
        Counts a take-over and a fault, by the metric's name.

    Attributes
    ----------
    fault : str or None
        Why the champion is not the model that answers, for everyone to read.
    """

    def __init__(
        self,
        named: Callable[[], str | None],
        load: Callable[[str], ServedModel],
        swap: Callable[[ServedModel], None],
        current: str,
        count: Callable[[str], None],
    ) -> None:
        self._named = named
        self._load = load
        self._swap = swap
        self._current = current
        self._count = count
        self._refused: str | None = None
        self._again_at = 0.0
        self.fault: str | None = None

    async def look(self) -> None:
        """Look once; take a new champion over, or note why not."""
        wanted: str | None = None
        try:
            wanted = self._named()
            if wanted in (None, self._current):
                self._refused = self.fault = None
                return
            if wanted == self._refused and time.monotonic() < self._again_at:
                return
            model = await anyio.to_thread.run_sync(self._prepared, wanted)
        except Exception as error:
            self._refuse(wanted, error)
            return
        self._swap(model)
        self._current = wanted
        self._refused = self.fault = None
        self._count("leadscore_takeovers_total")
        log.info("took over a new champion", extra={"model": wanted})

    def _prepared(self, tag: str) -> ServedModel:
        """Load a model and let it score once, so that the first caller does not wait for it."""
        model = self._load(tag)
        model.scorer.score_leads([LeadCells({})], NOT_A_TIME, 3)
        gc.collect()  # what was frozen before is not looked at, so this is quick
        gc.freeze()
        return model

    def _refuse(self, wanted: str | None, error: Exception) -> None:
        is_ours = isinstance(error, LeadScoringError)
        said = str(error) if is_ours else type(error).__name__
        if self._refused != wanted or self.fault is None:
            log.error("refused a new champion", extra={"model": wanted, "fault": said})
            self._count("leadscore_takeover_faults_total")
        self._refused = wanted
        self._again_at = time.monotonic() + RETRY_SECONDS
        self.fault = (
            f"{wanted or 'The champion'} does not load and verify; {self._current} answers on. "
            "The log says why."
        )
