"""Finds leads of several pipelines, such as new business and renewals, in one table.

Customers who renew a contract are not leads. The words, in several languages, are listed in
pipelines.toml.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from crm.text import quote
from drafting.name_lists import NameLists
from drafting.outcome_column import OutcomeChoice
from drafting.samples import Column

MOST_PIPELINES: Final = 8
FEWEST_ROWS: Final = 30  # of each pipeline, to compare shares of wins
CLEAR_DIFFERENCE: Final = 0.3  # between the highest and the lowest share of wins


class _Pipeline(NamedTuple):
    name: str
    rows: int
    won: float


def about_pipelines(columns: Sequence[Column], outcome: OutcomeChoice) -> str:
    """Return a CHECK about pipelines whose records may not be leads.

    The name of such a pipeline means renewals or other business with customers. Pipelines whose
    shares of wins differ clearly are asked about, too.

    Parameters
    ----------
    columns : sequence of Column
        The columns of the table that contains the outcomes.
    outcome : OutcomeChoice

    Returns
    -------
    str
        Empty if no column shows such pipelines.
    """
    for column in columns:
        is_pipeline = _NAMES.has("pipelines", column.name)
        if column is outcome.column or not (is_pipeline or _NAMES.has("types", column.name)):
            continue
        if not 2 <= len(column.counts) <= MOST_PIPELINES:
            continue
        pipelines = _pipelines(column, outcome)
        existing = [quote(p.name) for p in pipelines if _NAMES.has("existing", p.name)]
        shares = [p.won for p in pipelines if p.rows >= FEWEST_ROWS]
        differ = is_pipeline and len(shares) > 1 and max(shares) - min(shares) >= CLEAR_DIFFERENCE
        if differ or 0 < len(existing) < len(pipelines):
            counted = ", ".join(
                f"{quote(p.name)} ({p.rows:,} rows, {p.won:.0%} won)" for p in pipelines
            )
            which = " and ".join(existing) if existing else "one of them"
            return (
                f"CHECK: {quote(column.name)} has several kinds of business: {counted}. Renewals "
                f"of customers are not leads. If {which} is not about leads, leave it out of the "
                "export."
            )
    return ""


def _pipelines(column: Column, outcome: OutcomeChoice) -> list[_Pipeline]:
    is_won = np.isin(outcome.column.texts, list(outcome.words.won))
    of_rows = {
        str(name): np.array([text == name for text in column.texts]) for name in column.counts.index
    }
    return [
        _Pipeline(name, int(rows.sum()), float(is_won[rows].mean()))
        for name, rows in of_rows.items()
    ]


_LISTED: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_NAMES: Final = NameLists(_LISTED)
