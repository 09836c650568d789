"""Replaces the model by a new champion, or the shadow, while requests are answered."""

import gc
import logging
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import anyio.to_thread

from crm.errors import LeadScoringError
from crm.times import NOT_A_TIME
from models.scorer import LeadCells
from serving.served_model import ServedModel

RETRY_SECONDS = 30.0

log = logging.getLogger("leadscore")


class Role(NamedTuple):
    """What a model is taken over as: its name, its metrics, and the effect of a fault."""

    name: str
    taken_over: str
    refused: str
    effect: str


CHAMPION: Final = Role(
    "champion",
    "leadscore_takeovers_total",
    "leadscore_takeover_faults_total",
    "{current} still answers",
)
SHADOW: Final = Role(
    "shadow model",
    "leadscore_shadow_takeovers_total",
    "leadscore_shadow_faults_total",
    "it scores no leads",
)


class TakeOver:
    """Checks which model is the champion, and loads it if it is new and verifies.

    A champion is loaded, verified and warmed up in a thread. Requests keep the model that they
    began with, and the old model is freed when the last of them is answered. The shadow is taken
    over in the same way.

    Parameters
    ----------
    champion_tag : callable
        Returns the tag of the champion, or None.
    load : callable
        Loads and verifies the model of a tag.
    swap : callable
        Called with the new model.
    current_tag : str
        The tag of the model that answers now.
    count : callable
        Counts a take-over or a fault, by the metric's name.
    role : Role
        `CHAMPION` or `SHADOW`.

    Attributes
    ----------
    fault : str or None
        Why the champion is not the model that answers, without internals.
    """

    def __init__(
        self,
        champion_tag: Callable[[], str | None],
        load: Callable[[str], ServedModel],
        swap: Callable[[ServedModel], None],
        current_tag: str,
        count: Callable[[str], None],
        role: Role = CHAMPION,
    ) -> None:
        self._role = role
        self._champion_tag = champion_tag
        self._load = load
        self._swap = swap
        self._current_tag = current_tag
        self._count = count
        self._refused_tag: str | None = None
        self._retry_at = 0.0
        self.fault: str | None = None

    async def check(self) -> None:
        """Check once. Load a new champion and answer with it, or note why that is not possible."""
        tag: str | None = None
        try:
            tag = self._champion_tag()
            if tag in (None, self._current_tag):
                self._refused_tag = self.fault = None
                return
            if tag == self._refused_tag and time.monotonic() < self._retry_at:
                return
            model = await anyio.to_thread.run_sync(self._load_and_warm_up, tag)
        except Exception as error:
            self._refuse(tag, error)
            return
        self._swap(model)
        self._current_tag = tag
        self._refused_tag = self.fault = None
        self._count(self._role.taken_over)
        log.info("took over a new %s", self._role.name, extra={"model": tag})

    def _load_and_warm_up(self, tag: str) -> ServedModel:
        """Load a model and score once, so that the first caller does not wait for it."""
        model = self._load(tag)
        model.scorer.score_leads([LeadCells({})], NOT_A_TIME, 3)
        model.scorer.cell_checks.counts.clear()  # a caller did not send this lead
        gc.collect()  # skips the objects that were frozen before, so this is quick
        gc.freeze()
        return model

    def _refuse(self, tag: str | None, error: Exception) -> None:
        cause = str(error) if isinstance(error, LeadScoringError) else type(error).__name__
        if self._refused_tag != tag or self.fault is None:
            extra = {"model": tag, "fault": cause}
            log.error("refused a new %s", self._role.name, extra=extra)
            self._count(self._role.refused)
        self._refused_tag = tag
        self._retry_at = time.monotonic() + RETRY_SECONDS
        effect = self._role.effect.format(current=self._current_tag)
        self.fault = (
            f"{tag or f'The {self._role.name}'} does not load and verify, so {effect}. "
            "The log says why."
        )
