"""Ledgers for tests: empty databases, writers that can be killed, and what is stored."""

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crm.ledger.ledger import Ledger

HERE = Path(__file__).resolve().parent.parent
PER_BATCH = 5
_numbers = itertools.count()

# Adds a batch of activities and an outcome for each number, and prints the number when both are
# acknowledged, with the counts of accepted and of duplicate rows.
WRITER = f"""
import sys
from crm.ledger.ledger import Ledger
url, first, last, prefix = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with Ledger(url) as ledger:
    for number in range(first, last):
        rows = [
            {{"lead_id": f"L{{number % 7}}", "type": "call", "occurred_at": number,
              "activity_id": f"{{prefix}}-{{number}}-{{i}}"}}
            for i in range({PER_BATCH})
        ]
        outcome = {{"lead_id": f"L{{number % 7}}", "outcome": "won", "closed_at": number}}
        statuses = [added.status for added in ledger.add("activities", rows, 0)]
        statuses += [added.status for added in ledger.add("outcomes", [outcome], 0)]
        print(number, statuses.count("accepted"), statuses.count("duplicate"), flush=True)
"""


def new_database(server: str) -> str:
    """Create an empty database on a PostgreSQL server; return its URL."""
    name = f"ledger{next(_numbers)}"
    on_server(server, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def on_server(server: str, *statements: str) -> None:
    """Execute statements on a PostgreSQL server, outside a transaction."""
    address = server.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def call(number: int, lead_id: str = "L1") -> dict[str, Any]:
    return {"lead_id": lead_id, "type": "call", "occurred_at": number, "activity_id": str(number)}


def stored(ledger: Ledger, table: str, column: str) -> Counter[Any]:
    """Count the rows of a table by the value of a column."""
    return Counter(row[column] for rows in ledger.rows(table) for row in rows)


def stored_ids(ledger: Ledger) -> Counter[str]:
    """Count the stored activities by their id."""
    return stored(ledger, "activities", "activity_id")


def ids_of_batches(numbers: Iterable[int], prefix: str = "a") -> set[str]:
    """Return the ids of all activities that a writer adds for these numbers."""
    return {f"{prefix}-{number}-{i}" for number in numbers for i in range(PER_BATCH)}


def start_writer(url: str, first: int, last: int, prefix: str = "a", **options: Any) -> Any:
    command = [sys.executable, "-c", WRITER, url, str(first), str(last), prefix]
    return subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
