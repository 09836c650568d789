"""How wins are attributed to activities, channels and contents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats
from models.evaluation.comparisons import FEWEST_LEADS
from reports.charts.groups import series_chart
from reports.content import Column, Figure, Section, TableRow, cells_of
from reports.metrics import DEFINITIONS
from reports.numbers import percent
from reports.pages.activities.looks import MOST_CONTENTS
from reports.pages.phrases import cut_words
from reports.rows.attribution import WAYS, Touches, share_out
from reports.rows.journeys import Log
from reports.text import quoted_name

NO_CONTENT = "(none)"
SAME = 0.0005  # shares that differ by less are written with the same percentage


@dataclass(frozen=True, kw_only=True)
class AttributionRow(TableRow):
    """The share of the wins of an activity, by each way in `WAYS`."""

    name: str
    shares: dict[str, float]
    n: int

    @property
    def disagreement(self) -> float:
        """The largest share minus the smallest one."""
        return max(self.shares.values()) - min(self.shares.values())

    def cells(self) -> dict[str, Any]:
        """Return the cells by column."""
        wins = {f"{way}_wins": self.n * share for way, share in self.shares.items()}
        return {
            "name": self.name,
            **self.shares,
            **wins,
            "n": self.n,
            "disagreement": self.disagreement,
        }


def attribution_section(log: Log, touched: Touches, is_touch: Bools, left_out: str) -> Section:
    """Build the section about wins divided among activities, channels and contents.

    Parameters
    ----------
    log : Log
    touched : Touches
    is_touch : ndarray of bool, shape (n_types,)
        True for the types of activity that can get a part.
    left_out : str
        A sentence that names the activities that get no part; empty if all do.
    """
    heading = "How wins are attributed"
    if not touched.n_wins:
        needs = "Wins divided among activities. No won lead has an activity before its closing."
        return Section(heading, needs=needs)
    figures = [
        _attribution_figure(name, label, share_out(touched, code, len(names)), names, touched, n)
        for name, label, code, names, n in (
            ("type", "Activity", log.type, log.types, int(is_touch.sum())),
            ("channel", "Channel", log.channel, log.channels, len(log.channels)),
            ("content", "Content", log.content, log.contents, len(log.contents)),
        )
        if names
    ]
    return Section(heading, (left_out,) if left_out else (), tuple(figures))


def _attribution_figure(
    name: str,
    label: str,
    shares: dict[str, Floats],
    names: Sequence[str],
    touched: Touches,
    n_listed: int,
) -> Figure:
    stacked = np.array([shares[way] for way in WAYS])
    order = np.argsort(-stacked.max(axis=0), kind="stable")[:MOST_CONTENTS]
    has_part = stacked.max(axis=0) > 0
    table = [
        AttributionRow(
            name=[*names, NO_CONTENT][i],
            shares=dict(zip(WAYS, map(float, stacked[:, i]), strict=True)),
            n=touched.n_wins,
        )
        for i in order
        if has_part[i]
    ]
    widest = max(table, key=lambda row: row.disagreement)
    titles = {way: DEFINITIONS[way].title for way in WAYS}
    of = {way: (f"{way}_wins", "n") for way in WAYS}
    finding = _finding(widest, titles)
    about = f"{touched.n_wins:,} won leads with an activity up to their closing"
    cells = cells_of(table)
    chart = series_chart(
        cells, finding, about, what="Share of the wins", series=list(titles.items()), of=of
    )
    return Figure(
        name=f"attribution-{name}",
        finding=finding,
        about=about,
        columns=(
            Column("name", label),
            *(Column(way, titles[way], "share", way, of[way]) for way in WAYS),
            Column("disagreement", "Disagreement", "share", "disagreement"),
        ),
        rows=cells,
        chart=chart,
        note=" ".join(
            filter(
                None,
                [
                    "These are four conventions. None of them shows what caused the wins. If they "
                    "disagree, none is the right one.",
                    cut_words(
                        len(table), int(has_part.sum()), "rows", "those with the largest shares"
                    ),
                    _without_part(n_listed - int(has_part[: len(names)].sum()), name),
                ],
            )
        ),
    )


def _without_part(n: int, name: str) -> str:
    """Format how many names have no row; empty if all have one."""
    if not n:
        return ""
    return f"Not shown: {n:,} {name}{'s' if n > 1 else ''} that no won lead had up to its closing."


def _finding(widest: AttributionRow, titles: Mapping[str, str]) -> str:
    """Format the title: how far the ways disagree about the row with the widest disagreement."""
    most = max(WAYS, key=lambda way: widest.shares[way])
    least = min(WAYS, key=lambda way: widest.shares[way])
    if widest.n < FEWEST_LEADS:
        return f"Too few won leads with an activity to compare the ways: {widest.n:,}"
    name, largest = quoted_name(widest.name), percent(widest.shares[most])
    if widest.disagreement < SAME:
        return f"All four ways agree: {name} gets {largest} of the {widest.n:,} wins"
    return (
        f"{name} gets {largest} of the {widest.n:,} wins by {titles[most].lower()}, "
        f"{percent(widest.shares[least])} by {titles[least].lower()}"
    )
