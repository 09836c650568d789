"""Finds the leads whose newest score reached a grade, from the given scores of a ledger.

Each statement reads little, so that a service that writes at the same time is not delayed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from crm.lead_ids import id_forms, id_key
from crm.ledger.database import LedgerDatabase
from crm.ledger.entries import GivenScore
from crm.ledger.reading import pieces, plain_row
from crm.ledger.schema import scores
from crm.times import DAY

ROWS_AT_ONCE: Final = 5_000
FORMS_AT_ONCE: Final = 1_000  # leads; each has a few forms of its id
# A score as of a moment that was long past when it was given is not news.
IS_CURRENT: Final = scores.c.as_of >= scores.c.recorded_at - DAY


class Risen(NamedTuple):
    """A lead whose newest score reached a grade.

    Attributes
    ----------
    number : int
        The number of the newest score among all scores of the ledger.
    score : GivenScore
        The newest score.
    before : GivenScore or None
        The newest score before the look; None if the lead had none.
    """

    number: int
    score: GivenScore
    before: GivenScore | None


def newest_number(database: LedgerDatabase) -> int:
    """Return the number of the newest score; 0 if there is none."""
    newest = database.read(
        lambda connection: connection.scalar(sa.select(sa.func.max(scores.c.seq)))
    )
    return int(newest or 0)


def risen_leads(database: LedgerDatabase, grade: str, after: int, until: int) -> list[Risen]:
    """Find the leads whose newest score has a grade, and whose score before had another, or none.

    Parameters
    ----------
    database : LedgerDatabase
    grade : str
    after, until : int
        Numbers of scores: the newest score is after the first and not after the second; the score
        before is not after the first. Scores of past moments do not count.

    Returns
    -------
    list of Risen
        In order of their scores' arrival.

    Raises
    ------
    LedgerError
        If the database cannot be read now.
    """
    newest = _newest_of_leads(database, after, until)
    reached = sorted(number for number, its_grade in newest.values() if its_grade == grade)
    found: list[Risen] = []
    for piece in pieces(reached):
        rows = _rows(database, piece)
        for some in (piece[i : i + FORMS_AT_ONCE] for i in range(0, len(piece), FORMS_AT_ONCE)):
            before = _scores_before(database, [rows[number].lead_id for number in some], after)
            for number in some:
                earlier = before.get(id_key(rows[number].lead_id))
                if earlier is None or earlier.grade != grade:
                    found.append(Risen(number, rows[number], earlier))
    return found


def _newest_of_leads(
    database: LedgerDatabase, after: int, until: int
) -> dict[str, tuple[int, str]]:
    """Return the number and the grade of the newest score of each lead, by the key of its id."""
    newest: dict[str, tuple[int, str]] = {}
    while True:
        statement = (
            sa.select(scores.c.seq, scores.c.lead_id, scores.c.grade)
            .where(scores.c.seq > after, scores.c.seq <= until, IS_CURRENT)
            .order_by(scores.c.seq)
            .limit(ROWS_AT_ONCE)
        )
        rows = database.read(partial(_read_all, statement=statement))
        newest.update((id_key(row.lead_id), (row.seq, row.grade)) for row in rows)
        if len(rows) < ROWS_AT_ONCE:
            return newest
        after = rows[-1].seq


def _rows(database: LedgerDatabase, numbers: Sequence[int]) -> dict[int, GivenScore]:
    statement = sa.select(scores).where(scores.c.seq.in_(numbers))
    rows = database.read(lambda connection: connection.execute(statement).mappings().all())
    return {row["seq"]: GivenScore(**plain_row(row)) for row in rows}


def _scores_before(
    database: LedgerDatabase, lead_ids: Sequence[str], until: int
) -> dict[str, GivenScore]:
    """Return the newest score of each lead up to a number, by the key of its id."""
    forms = sorted({form for lead_id in lead_ids for form in id_forms(lead_id)})
    last = (
        sa.select(sa.func.max(scores.c.seq))
        .where(scores.c.lead_id.in_(forms), scores.c.seq <= until, IS_CURRENT)
        .group_by(scores.c.lead_id)
    )
    statement = sa.select(scores).where(scores.c.seq.in_(last)).order_by(scores.c.seq)
    rows = database.read(lambda connection: connection.execute(statement).mappings().all())
    return {id_key(row["lead_id"]): GivenScore(**plain_row(row)) for row in rows}


def _read_all(connection: sa.Connection, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    return connection.execute(statement).all()
