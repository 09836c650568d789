"""Why leads are lost."""

import numpy as np
import pandas as pd

from features.attributes.attribute import spellings
from models.evaluation.comparisons import CHANCE, share_of
from models.evaluation.differences import counts_differ
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Section, ShareRow, cells_of
from reports.pages.groups import share_columns
from reports.pages.phrases import cut_words, of_words
from reports.rows.rows import ReportRows
from reports.text import quoted_name

MOST_REASONS = 15


def reasons_section(rows: ReportRows) -> Section:
    """Show how often each reason is given.

    The first reason is called the most frequent only if a binomial test shows that it differs
    from the second. This one test is enough for any number of reasons.

    References
    ----------
    Hung and Fithian, "Rank Verification for Exponential Families", 2019.
    """
    heading = "Why leads are lost"
    reasons = np.array(
        [reason for reason in rows.reason[rows.is_lost] if reason is not None], object
    )
    if not len(reasons):
        needs = "The reasons of lost leads. The outcomes have none: map [outcomes] reason."
        return Section(heading, needs=needs)
    spelled = spellings(pd.Series(reasons), frozenset())
    names, counts = np.unique(spelled.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_REASONS]
    table = [
        ShareRow(name=str(names[i]), share=share_of(int(counts[i]), len(reasons))) for i in order
    ]
    most = f"{quoted_name(table[0].name)} for {of_words(table[0].share)} of the lost leads"
    finding = f"The most frequent reason is {most} with a reason"
    if len(table) > 1 and counts_differ(table[0].share.wins, table[1].share.wins) >= CHANCE:
        second = f"{quoted_name(table[1].name)} for {of_words(table[1].share)}"
        finding = f"No reason is clearly the most frequent: {most}, {second}"
    about = f"{len(reasons):,} of {int(rows.is_lost.sum()):,} lost leads, those with a reason"
    cells = cells_of(table)
    figure = Figure(
        name="funnel-reasons",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Reason"),
            Column("wins", "Lost leads", "count"),
            *share_columns("Share", "lost_reason_share"),
        ),
        rows=cells,
        chart=rates_chart(cells, finding, about, what="Share of lost leads", base=None),
        note=cut_words(len(table), len(names), "reasons"),
    )
    return Section(heading, figures=(figure,))
