"""Which leads are qualified: those that entered the qualified stage."""

import re

import numpy as np

from crm.arrays import Bools
from crm.text import words_of
from reports.rows.rows import ReportRows

QUALIFIED = (r"\b(sales (qualified|accepted)|sql|sal)\b", r"\b(qualified|mql)\b")


def qualified_leads(rows: ReportRows) -> Bools | None:
    """Return which leads were qualified within the horizon; None if no stage says so."""
    stage = qualified_stage(rows)
    if rows.funnel is None or stage is None:
        return None
    at = rows.funnel.reached[:, rows.funnel.place(stage)]
    return np.asarray((at - rows.horizon <= rows.created) | rows.won)


def qualified_stage(rows: ReportRows) -> str | None:
    """Return the stage of qualified leads: the project's, or the one whose name says so.

    None without stages, or if no name says so.
    """
    if rows.funnel is None:
        return None
    stage_of_project = rows.project.report.qualified_stage
    if stage_of_project is not None:
        return rows.funnel.stages[rows.funnel.place(stage_of_project)]
    for pattern in QUALIFIED:
        for stage in rows.funnel.stages:
            if re.search(pattern, words_of(stage)):
                return stage
    return None
