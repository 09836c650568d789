"""Converts what a caller of MLflow sends into a table of leads.

Registered models import this module, so its path never changes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from crm.errors import SchemaError
from crm.text import listed
from features.attributes.choices import ChoiceAttribute
from models.scorer import LeadScorer


def sent_table(sent: Any, scorer: LeadScorer) -> pd.DataFrame:
    """Return what a caller of MLflow sends as a table of leads that a model can score.

    A dictionary of single cells is one lead, and a dictionary of lists has a column for each list.
    MLflow turns the latter into one row of lists if all cells are texts. Such a row is read as
    columns, unless the cells of all its columns were lists in training.

    Parameters
    ----------
    sent : DataFrame, mapping, sequence or ndarray
    scorer : LeadScorer

    Returns
    -------
    DataFrame, n rows

    Raises
    ------
    SchemaError
        If the model reads none of the columns.
    """
    if isinstance(sent, Mapping):
        is_one_lead = all(_length(cell) is None for cell in sent.values())
        leads = pd.DataFrame([sent] if is_one_lead else sent)
    else:
        leads = pd.DataFrame(sent)
    used = scorer.pipeline.columns
    used = [*used, scorer.roles["created_at"]] if scorer.pipeline.has_times else used
    columns = [str(column) for column in leads.columns]
    if used and not {*columns, *scorer.column_names.matches(columns).values()} & {*used}:
        has = f"It has {listed(columns)}" if columns else "It has no columns that the model knows"
        raise SchemaError(
            "The table of leads",
            [f"the model reads none of its columns. {has}; the model reads {listed(used)}."],
        )
    of_lists = {a.column for a in scorer.pipeline.attributes if isinstance(a, ChoiceAttribute)}
    if len(leads) != 1 or of_lists.issuperset(leads.columns):
        return leads
    row = {column: leads[column].iloc[0] for column in leads.columns}
    lengths = set(map(_length, row.values()))
    return pd.DataFrame(row) if len(lengths) == 1 and None not in lengths else leads


def _length(cell: Any) -> int | None:
    """Return the length of a list; None for a single cell."""
    is_list = isinstance(cell, list | tuple) or (isinstance(cell, np.ndarray) and cell.ndim > 0)
    return len(cell) if is_list else None
