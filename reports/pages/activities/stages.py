"""The activities of leads in their first days in each stage."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.comparisons import Contrast
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.pages.activities.looks import Look, Reported, twins
from reports.pages.groups import (
    CHANCE_TITLE,
    compared_columns,
    empty_words,
    interval_columns,
    n_compared,
    share_columns,
    strongest,
)
from reports.pages.phrases import ratio_words
from reports.text import quoted_name

MOST_STAGE_TAKEAWAYS = 2


@dataclass(frozen=True, kw_only=True)
class StageActivityRow(TableRow):
    """Leads with an activity in a stage, compared with all leads in that stage."""

    share: Contrast
    name: str
    stage: str

    @property
    def order(self) -> float:
        """The key that sorts clear differences first, by their size."""
        if self.share.is_significant and self.share.ratio:
            return -abs(float(np.log(self.share.ratio)))
        return 0.0


def stages_section(
    stages: Sequence[str],
    names: Sequence[str],
    looks: Sequence[Look],
    reported: Reported,
    days: float,
) -> tuple[Section, list[Takeaway]]:
    """Build the section about activities in each stage, with its takeaways."""
    places = {
        f"{stage}: {name}": (k, i)
        for k, stage in enumerate(stages)
        for i, name in enumerate(names)
        if looks[k].contrasts[i].n
    }
    table = [
        StageActivityRow(name=name, share=looks[k].contrasts[i], stage=stages[k])
        for name, (k, i) in places.items()
    ]

    def sentence(name: str, group: Contrast) -> str:
        k, i = places[name]
        return (
            f"In the first {days:g} days in {quoted_name(stages[k])}, leads with "
            f"{twins(names, looks[k].had, i)} are won "
            f"{ratio_words(group, 'the average in that stage')}."
        )

    items = [(row.name, row.share) for row in table]
    ranked = strongest(items, sentence, "activity_ratio", "activities-stages", most=len(items))
    takeaways: list[Takeaway] = []
    types_reported: set[int] = set()
    for takeaway in ranked:
        k, i = places[takeaway.evidence["name"]]
        if i not in types_reported and reported.is_news(looks[k].had[i]):
            types_reported.add(i)
            takeaways.append(takeaway)
    n_clear = sum(row.share.is_significant for row in table)
    table.sort(key=lambda row: row.order)
    figure = Figure(
        name="activities-stages",
        finding=_finding(n_clear, [row.share for row in table]),
        about=f"leads still open {days:g} days after entering the stage, compared on that day by "
        "what they had done since entering it",
        columns=(
            Column("name", "Stage and activity"),
            Column("n", "Leads with it", "count"),
            Column("wins", "Won", "count"),
            *share_columns("Conversion with it", "with_activity_share"),
            Column("ratio", "Against all in the stage", "ratio", "activity_ratio"),
            *interval_columns("ratio", "ratio_"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            Column("verdict", "Result"),
            *compared_columns(cells_of(table)),
        ),
        rows=cells_of(table),
        note=empty_words(
            [group for look in looks for group in look.contrasts],
            "pairs of a stage and an activity",
        ),
    )
    return Section("At which stage", figures=(figure,)), takeaways[:MOST_STAGE_TAKEAWAYS]


def _finding(n_clear: int, groups: Sequence[Contrast]) -> str:
    """Format the title: in how many stages an activity makes a clear difference."""
    if not n_clear:
        return "No activity is clearly followed by more or fewer wins than the average in its stage"
    return (
        f"In {n_clear:,} of {n_compared(groups):,} comparisons of an activity in a stage, leads "
        "with the activity are clearly won more often, or less often, than the average in that "
        "stage"
    )
