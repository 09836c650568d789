"""Records which leads have entries that wait to be written, in all workers of this service.

Scores, and what was sent with them, are written in the background. A request about such a lead can
wait until they are written. Each worker has a table in a file that all workers map into memory: it
contains the number of the last batch about each lead, and the number of the last written batch.
Leads share the places of the table by a hash, so a request may wait for another lead's entries.
"""

import asyncio
import mmap
import os
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from crm.files import whole_file
from crm.lead_ids import id_key
from crm.ledger.entries import Batch
from serving.processes import is_alive

SCORES, ATTRIBUTES, EVENTS = range(3)
EVERYTHING: Final = (SCORES, ATTRIBUTES, EVENTS)
PLACES: Final = 65_536  # for each kind of entry; few of 1,000 waiting leads share one
SIZE: Final = 8 * (1 + len(EVERYTHING) * PLACES)
SUFFIX: Final = ".pending"
WAIT_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.005


class PendingWrites:
    """The entries that wait to be written, by lead.

    Parameters
    ----------
    folder : Path, optional
        The folder that the workers share; without it there is only this worker.
    process : int, optional
        The id of this worker's process, which is the name of its file.

    Attributes
    ----------
    hurry : callable
        Makes this worker write its entries at once.

    Examples
    --------
    >>> pending = PendingWrites()
    >>> number = pending.add(Batch(stages=[{"lead_id": "L1", "stage": "new", "entered_at": 0}]))
    >>> pending.is_waiting("L1", [EVENTS]), pending.is_waiting("L1", [SCORES])
    (True, False)
    >>> pending.written(number)
    >>> pending.is_waiting("L1", [EVENTS])
    False
    """

    def __init__(self, folder: Path | None = None, process: int | None = None) -> None:
        self.hurry: Callable[[], None] = lambda: None
        self._folder = folder
        self._process = os.getpid() if process is None else process
        path = None if folder is None else folder / f"{self._process}{SUFFIX}"
        if path is not None:
            with whole_file(path) as work:  # replaces the table of a dead worker with the same id
                work.write_bytes(bytes(SIZE))
        self._own = _table(path)
        self._others: dict[int, memoryview] = {}
        self._last = 0

    def add(self, batch: Batch) -> int:
        """Record a batch that waits from now on, and return its number."""
        self._last += 1
        for kind, lead_ids in (
            (SCORES, [score.lead_id for score in batch.scores]),
            (ATTRIBUTES, [lead.lead_id for lead, _ in batch.leads]),
            (EVENTS, {row["lead_id"] for row in (*batch.activities, *batch.stages)}),
        ):
            for lead_id in lead_ids:
                self._own[_place(lead_id, kind)] = self._last
        return self._last

    def written(self, number: int) -> None:
        """Record that the batches up to this number no longer wait."""
        self._own[0] = number

    def find_others(self) -> None:
        """Find the tables of the other workers that are alive."""
        if self._folder is None:
            return
        paths = {int(path.stem): path for path in self._folder.glob(f"*{SUFFIX}")}
        alive = {pid for pid in paths if pid != self._process and is_alive(pid)}
        known = {pid: table for pid, table in self._others.items() if pid in alive}
        self._others = known | {pid: _table(paths[pid]) for pid in alive - known.keys()}

    def is_waiting(self, lead_id: str, kinds: Iterable[int]) -> bool:
        """Check whether entries of these kinds about a lead wait in some worker."""
        return bool(self._unwritten([lead_id], kinds))

    async def wait_until_written(
        self, lead_ids: Sequence[str], kinds: Iterable[int], seconds: float = WAIT_SECONDS
    ) -> bool:
        """Wait until the entries about leads that wait now are written.

        Returns
        -------
        bool
            Whether they are written; if not, `seconds` have passed.
        """
        unwritten = self._unwritten(lead_ids, kinds)
        if not unwritten:
            return True
        self.hurry()
        give_up = time.monotonic() + seconds
        while unwritten and time.monotonic() < give_up:
            await asyncio.sleep(POLL_SECONDS)
            unwritten = [(table, number) for table, number in unwritten if table[0] < number]
        return not unwritten

    def _unwritten(
        self, lead_ids: Sequence[str], kinds: Iterable[int]
    ) -> list[tuple[memoryview, int]]:
        """Return the tables of workers where entries wait, with the number of the last batch."""
        places = [_place(lead_id, kind) for lead_id in lead_ids for kind in kinds]
        unwritten = []
        for table in (self._own, *self._others.values()):
            number = max((table[place] for place in places), default=0)
            if number > table[0]:
                unwritten.append((table, number))
        return unwritten


def _place(lead_id: str, kind: int) -> int:
    key = id_key(lead_id).encode("utf-8", "surrogatepass")
    return 1 + kind * PLACES + zlib.crc32(key) % PLACES


def _table(path: Path | None) -> memoryview:
    """Map a worker's table into memory; without a path, an empty table of this process alone."""
    if path is None:
        return memoryview(mmap.mmap(-1, SIZE)).cast("Q")
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), SIZE)).cast("Q")
