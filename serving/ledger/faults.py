"""Faults of the ledger, for the log, `/readyz` and a metric."""

import logging
from typing import Final, Literal

from crm.errors import LeadScoringError

Work = Literal["read", "written"]
WORKS: Final[tuple[Work, ...]] = ("read", "written")

log = logging.getLogger("leadscore")


class LedgerFaults:
    """Remembers which work on the ledger failed at the last attempt, and logs each change.

    Reading may work while writing fails, for example when a disk is full or read only.

    Examples
    --------
    >>> faults = LedgerFaults()
    >>> faults.failed("written", LeadScoringError("The disk is full."))
    >>> faults.message
    'The ledger cannot be written; the log says why.'
    >>> faults.worked("written")
    >>> faults.message is None
    True
    """

    def __init__(self) -> None:
        self._causes: dict[Work, str] = {}

    @property
    def message(self) -> str | None:
        """The problem with the ledger, without internals; None if everything works."""
        failing = [work for work in WORKS if work in self._causes]
        if not failing:
            return None
        return f"The ledger cannot be {' or '.join(failing)}; the log says why."

    def failed(self, work: Work, error: LeadScoringError) -> None:
        """Record a failure. A lasting cause is logged once."""
        cause = str(error)
        if self._causes.get(work) != cause:
            self._causes[work] = cause
            log.error("the ledger cannot be %s", work, extra={"fault": cause})

    def worked(self, work: Work) -> None:
        """Record a success, which ends an outage."""
        if work in self._causes:
            self._causes.pop(work, None)
            log.info("the ledger can be %s again", work)
