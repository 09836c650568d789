"""Measures how long each phase of a training takes."""

import time
from collections.abc import Callable, Mapping

OnPhase = Callable[[str], None]  # called with the name of the phase that begins


class Phases:
    """Measures phases that follow each other.

    Examples
    --------
    >>> phases = Phases()
    >>> phases.begin("read")
    >>> phases.begin("fit")
    >>> phases.end()
    >>> list(phases.seconds)
    ['read', 'fit']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._phase: str | None = None
        self._began = 0.0

    def begin(self, phase: str) -> None:
        """End the present phase, and begin another. A phase may begin several times."""
        self.end()
        self._phase, self._began = phase, time.perf_counter()

    def end(self) -> None:
        """End the present phase, if there is one."""
        if self._phase is not None:
            lasted = time.perf_counter() - self._began
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + lasted
        self._phase = None

    @property
    def seconds(self) -> Mapping[str, float]:
        """The duration of each phase that has ended, in the order in which the phases began."""
        return self._seconds
