"""What the ledger cannot do at the moment: told in the log, in `/readyz` and in a metric."""

import logging
from typing import Final, Literal

from crm.errors import LeadScoringError

Work = Literal["read", "written"]
WORKS: Final[tuple[Work, ...]] = ("read", "written")

log = logging.getLogger("leadscore")


class LedgerFaults:
    """Remembers which work on the ledger failed when it was last tried, and logs each change.

    Reading may go on while nothing can be written: a disk is full or read only.

    Examples
    --------
    >>> faults = LedgerFaults()
    >>> faults.failed("written", LeadScoringError("The disk is full."))
    >>> faults.told
    'The ledger cannot be written; the log says why.'
    >>> faults.worked("written")
    >>> faults.told is None
    True
    """

    def __init__(self) -> None:
        self._causes: dict[Work, str] = {}

    @property
    def told(self) -> str | None:
        """What cannot be done, for everyone to see; None if all is well."""
        failing = [work for work in WORKS if work in self._causes]
        return (
            f"The ledger cannot be {' or '.join(failing)}; the log says why." if failing else None
        )

    def failed(self, work: Work, error: LeadScoringError) -> None:
        """Take note of a failure; the log hears of each cause once, however long it lasts."""
        cause = str(error)
        if self._causes.get(work) != cause:
            self._causes[work] = cause
            log.error("the ledger cannot be %s", work, extra={"fault": cause})

    def worked(self, work: Work) -> None:
        """Take note of a success, which ends an outage."""
        if work in self._causes:
            self._causes.pop(work, None)
            log.info("the ledger can be %s again", work)
