"""How long leads stay in each stage."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.times import DAY
from features.events import NEVER
from models.evaluation.comparisons import FEWEST_LEADS
from models.evaluation.intervals import MedianInterval, median_interval
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.numbers import duration
from reports.pages.groups import interval_columns
from reports.pages.phrases import finite, mature_words
from reports.rows.journeys import Funnel
from reports.rows.rows import ReportRows
from reports.text import quoted_name


@dataclass(frozen=True, kw_only=True)
class StayRow(TableRow):
    """How long leads stayed in a stage, and how long the open ones have been in it."""

    name: str
    n: int
    stay: MedianInterval | None
    open: int
    open_days: float | None

    def cells(self) -> dict[str, Any]:
        """Return the cells by column; those of a stage that no lead has left are None."""
        stay = self.stay
        return {
            "name": self.name,
            "n": self.n,
            "value": None if stay is None else stay.value,
            "low": None if stay is None else finite(stay.low),
            "high": None if stay is None else finite(stay.high),
            "late": None if stay is None else stay.late,
            "open": self.open,
            "open_days": self.open_days,
        }


def _stay_rows(rows: ReportRows, funnel: Funnel) -> list[StayRow]:
    following = np.column_stack([funnel.entered, rows.closed])
    table = []
    for k, name in enumerate(funnel.stages):
        here = funnel.entered[:, k]
        later = np.where(following > here[:, None], following, NEVER).min(axis=1)
        ended = rows.is_mature & (here != NEVER) & (later != NEVER)
        waiting = rows.is_open & (funnel.current == k)
        age = median_interval((rows.as_of - here[waiting]) / DAY)
        table.append(
            StayRow(
                name=name,
                n=int(ended.sum()),
                stay=median_interval((later[ended] - here[ended]) / DAY),
                open=int(waiting.sum()),
                open_days=None if age is None else age.value,
            )
        )
    return table


def stays_section(rows: ReportRows, funnel: Funnel) -> tuple[Section, list[Takeaway]]:
    """Show how long leads stay in each stage, and in which stages the open leads are."""
    table = _stay_rows(rows, funnel)
    stays = [(row.name, row.stay) for row in table if row.stay is not None]
    ranked = sorted(
        ((name, stay) for name, stay in stays if stay.n >= FEWEST_LEADS),
        key=lambda item: -item[1].value,
    )
    finding, takeaways = "No stage has clearly the longest stays", []
    if len(ranked) > 1 and ranked[0][1].low > ranked[1][1].high:
        (slowest, stay), (next_slowest, next_stay) = ranked[:2]
        finding = (
            f"Leads stay longest in {quoted_name(slowest)}: half of them for more than "
            f"{duration(stay.value)}"
        )
        takeaways.append(
            Takeaway(
                f"{finding} (between {duration(stay.low)} and {duration(stay.high)}; "
                f"{stay.n:,} leads), one in ten for more than {duration(stay.late)}. The next "
                f"longest stay is in {quoted_name(next_slowest)}, with "
                f"{duration(next_stay.value)}.",
                {
                    "name": slowest,
                    "value": stay.value,
                    "low": stay.low,
                    "high": stay.high,
                    "n": stay.n,
                },
                "stage_days",
                "funnel-stays",
            )
        )
    about = f"{sum(row.n for row in table):,} stays that have ended, of {mature_words(rows)}"
    cells = cells_of(table)
    drawn = [row for row in cells if row["value"] is not None]
    chart = rates_chart(drawn, finding, about, what="Days, half of the leads", base=None, form=",")
    figure = Figure(
        name="funnel-stays",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Stage"),
            Column("n", "Stays that ended", "count"),
            Column("value", "Half stay at most", "days", "stage_days"),
            *interval_columns("days"),
            Column("late", "Nine of ten at most", "days", "nine_of_ten"),
            Column("open", "Open leads in it now", "count", "open_leads"),
            Column("open_days", "Half of these so far", "days", "open_days"),
        ),
        rows=cells,
        chart=chart if drawn else None,
        note="Only stays that have ended are counted. A stage that many leads are still in takes "
        "longer than shown.",
    )
    return Section("Time in stage", figures=(figure,)), takeaways
