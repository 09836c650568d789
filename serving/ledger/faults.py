"""Faults of the ledger, for the log, `/readyz` and a metric."""

import logging
from collections.abc import Mapping
from typing import Final, Literal, get_args

from crm.errors import LeadScoringError, LedgerError

Work = Literal["opened", "read", "written", "erased"]
WORKS: Final[tuple[Work, ...]] = get_args(Work)

log = logging.getLogger("leadscore")


class LedgerFaults:
    """Remembers which work on the ledger failed at the last attempt, and logs each change.

    Reading may work while writing fails, for example when a disk is full or read only.

    Examples
    --------
    >>> faults = LedgerFaults()
    >>> faults.failed("written", LedgerError("The disk of db.example.com is full.", cause="full"))
    >>> faults.message
    'The ledger cannot be written (full); the log says why.'
    >>> faults.worked("written")
    >>> faults.message is None
    True
    """

    def __init__(self) -> None:
        self._causes: dict[Work, str] = {}
        self._logged: dict[Work, str] = {}

    @property
    def causes(self) -> Mapping[Work, str]:
        """The kind of the cause of each failing work: one of `crm.ledger.failures.Cause`."""
        return dict(self._causes)

    @property
    def message(self) -> str | None:
        """The problem with the ledger, without internals; None if everything works."""
        causes = self.causes  # a copy: the thread that writes may change them meanwhile
        by_cause: dict[str, list[str]] = {}
        for work in WORKS:
            if work in causes:
                by_cause.setdefault(causes[work], []).append(work)
        if not by_cause:
            return None
        parts = [f"{' or '.join(works)} ({cause})" for cause, works in by_cause.items()]
        return f"The ledger cannot be {', or '.join(parts)}; the log says why."

    def failed(self, work: Work, error: LeadScoringError) -> None:
        """Record a failure. A lasting cause is logged once; other missing rights are new ones."""
        cause = error.cause if isinstance(error, LedgerError) else "schema"
        self._causes[work] = cause
        logged = str(error) if cause == "missing_rights" else cause
        if self._logged.get(work) != logged:
            self._logged[work] = logged
            log.error("the ledger cannot be %s", work, extra={"cause": cause, "fault": str(error)})

    def worked(self, work: Work) -> None:
        """Record a success, which ends an outage."""
        if work in self._causes:
            self._causes.pop(work, None)
            self._logged.pop(work, None)
            log.info("the ledger can be %s again", work)
