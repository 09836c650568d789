"""Conversion by score."""

import numpy as np

from crm.arrays import Bools
from models.card import ModelCard
from models.evaluation.comparisons import FEWEST_LEADS, share_of
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Section, ShareRow, cells_of
from reports.pages.groups import share_columns
from reports.pages.phrases import IN_SAMPLE, mature_words, of_words
from reports.rows.rows import ReportRows
from reports.rows.scored import Scored, has_enough, not_learned_from

BAND = 10
UNSEEN = "The model has not learned from these leads."


def at_creation(rows: ReportRows) -> tuple[Scored | None, Bools, Bools]:
    """Return the scores at creation, which of the leads are mature, and which were won."""
    scored = rows.arrival
    if scored is None:
        return None, np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    return scored, rows.is_mature[scored.lead], rows.won[scored.lead]


def bands_section(rows: ReportRows, card: ModelCard) -> Section:
    """Build the section about conversion by ranges of scores.

    Only leads that the model has not learned from are shown, if enough of them have an outcome.
    """
    heading = "By score"
    scored, mature, won = at_creation(rows)
    if scored is None or not mature.any():
        return Section(heading, needs="Leads whose outcome is certain.")
    unseen = mature & not_learned_from(rows.created[scored.lead], card)
    is_learned = not has_enough(won[unseen])
    if not is_learned:
        mature = unseen
    band = scored.score // BAND
    table = [
        ShareRow(
            name=f"{max(b * BAND, 1)} to {b * BAND + BAND - 1}",
            share=share_of(
                int((won & mature & (band == b)).sum()), int((mature & (band == b)).sum())
            ),
        )
        for b in np.unique(band[mature])[::-1]
    ]
    moment = "as of their creation" if rows.has_times else "by the table as it is now"
    about = f"{int(mature.sum()):,} {mature_words(rows)}, scored {moment}"
    if scored.is_sample:
        about += f", a random sample of all {scored.of:,} leads"
    enough = [row for row in table if row.share.n >= FEWEST_LEADS]
    finding = f"Too few leads to tell: no range of scores has {FEWEST_LEADS} leads or more"
    if enough:
        best, worst = enough[0], enough[-1]
        finding = f"{of_words(best.share)} of the leads that score {best.name} are won"
        if len(enough) > 1:
            finding += f", {of_words(worst.share)} of those that score {worst.name}"
    cells = cells_of(table)
    figure = Figure(
        name="score-bands",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Score"),
            Column("n", "Leads", "count"),
            Column("wins", "Won", "count"),
            *share_columns("Conversion", "grade_won_share"),
        ),
        rows=cells,
        chart=rates_chart(cells, finding, about, what="Conversion", base=float(won[mature].mean())),
        note=IN_SAMPLE if is_learned else UNSEEN,
        learned_from=is_learned,
    )
    return Section(heading, figures=(figure,))
