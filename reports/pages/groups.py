"""Figures, titles and takeaways of groups that are compared with all leads, for every page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.groups import NOT_ALIKE
from models.evaluation.comparisons import FEWEST_LEADS, Contrast, Share, corrected
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Row, Takeaway
from reports.pages.phrases import counts_words, missing_rows_words, of_words, ratio_finding
from reports.text import quoted_name

MOST_TAKEAWAYS = 5
MOST_NAMES = 5  # in a note
CHANCE_TITLE = "Could be chance (p)"


def share_columns(
    value_title: str, metric: str, of: tuple[str, str] = ("wins", "n")
) -> tuple[Column, ...]:
    """Describe the columns of a share and its interval; `of` are the keys of its counts."""
    return Column("value", value_title, "share", metric, of), *interval_columns("share")


def interval_columns(form: str, prefix: str = "") -> tuple[Column, ...]:
    """Describe the columns of an interval's ends."""
    return (
        Column(f"{prefix}low", "from (95 %)", form),
        Column(f"{prefix}high", "to (95 %)", form),
    )


def evidence_of(group: Contrast, **further: Any) -> dict[str, Any]:
    """Return the numbers behind a sentence about a contrast."""
    return {**group.cells(), **further}


def strongest(
    items: Iterable[tuple[str, Contrast]],
    sentence: Callable[[str, Contrast], str],
    metric: str,
    figure: str,
    most: int = MOST_TAKEAWAYS,
) -> tuple[Takeaway, ...]:
    """Build takeaways from the significant contrasts, the most certain differences first.

    The order follows the end of the ratio's interval that is nearest to 1, not the ratio.

    Parameters
    ----------
    items : iterable of (str, Contrast)
        Names from data, and their corrected contrasts.
    sentence : callable
        Formats a name and a contrast as a sentence.
    metric, figure : str
        The definition, and the figure that shows it.
    most : int
    """
    significant = [
        (name, group)
        for name, group in items
        if group.is_significant and name not in NOT_ALIKE and group.ratio_low is not None
    ]
    significant.sort(key=lambda item: -_certain_distance(item[1]))
    return tuple(
        Takeaway(sentence(name, group), evidence_of(group, name=name), metric, figure)
        for name, group in significant[:most]
    )


def _certain_distance(group: Contrast) -> float:
    """Return the distance of the ratio's interval from 1, on the log scale."""
    low, high = group.ratio_low or 1e-9, group.ratio_high or 1e-9
    return max(np.log(max(low, 1e-9)), -np.log(max(high, 1e-9)), 0.0) + 1e-6 * np.sqrt(group.n)


def correct_families(families: Sequence[list[Contrast]]) -> list[list[Contrast]]:
    """Correct several lists of contrasts that one page makes together."""
    flat = corrected([group for family in families for group in family])
    ends = np.cumsum([0, *map(len, families)])
    return [flat[a:b] for a, b in zip(ends, ends[1:], strict=False)]


def n_compared(groups: Iterable[Contrast]) -> int:
    """Count the groups that are compared; groups with too few leads are not.

    Examples
    --------
    >>> from models.evaluation.comparisons import contrast
    >>> few, enough = contrast(1, 9, 40, 400), contrast(10, 100, 40, 400)
    >>> n_compared([few, enough, enough])
    2
    """
    return sum(group.verdict.is_judged for group in groups)


def contrast_rows(names: Sequence[str], groups: Sequence[Contrast]) -> tuple[dict[str, Any], ...]:
    """Build the rows of a table of groups, without groups that have no leads."""
    return tuple(
        {"name": name, **group.cells()}
        for name, group in zip(names, groups, strict=True)
        if group.n
    )


def empty_words(groups: Iterable[Contrast], kind: str) -> str:
    """Format how many groups have no leads to compare, and so no row; empty if all have."""
    n = sum(not group.n for group in groups)
    return missing_rows_words(n, f"{kind} without any of these leads")


@dataclass(frozen=True, kw_only=True)
class RatesLabels:
    """The labels of a figure of groups.

    Attributes
    ----------
    group : str
        The heading of the names.
    value : str
        The heading of the share.
    metric, ratio_metric : str
        The definitions of the share and of its ratio. An empty one means the definition that all
        tables share.
    """

    group: str
    value: str
    metric: str
    ratio_metric: str = ""

    def columns(self, rows: Sequence[Row]) -> tuple[Column, ...]:
        """Describe the columns of `contrast_rows`."""
        return (
            Column("name", self.group),
            Column("n", "Leads", "count", "mature_leads"),
            Column("wins", "Of them", "count"),
            *share_columns(self.value, self.metric),
            Column("ratio", "Against all", "ratio", self.ratio_metric),
            *interval_columns("ratio", "ratio_"),
            Column("p", CHANCE_TITLE, "ratio", "chance"),
            Column("verdict", "Result"),
            *compared_columns(rows),
        )


def compared_columns(
    rows: Sequence[Row], value: str = "Share", form: str = "share"
) -> tuple[Column, ...]:
    """Describe the columns of groups that are compared with leads of the same time, if any are.

    Parameters
    ----------
    rows : sequence of Row
    value : str
        What is compared.
    form : str
        Its format.
    """
    if not any(row.get("compared") for row in rows):
        return ()
    return (
        Column("compared", "Compared with"),
        Column("time_value", f"{value}, at the times of the others", form, "same_time"),
        Column("time_average", "Average of the same time", form, "same_time"),
    )


def same_time_note(rows: Sequence[Row]) -> str:
    """Name the groups that are compared with leads of the same time; empty if none is."""
    names = [quoted_name(row["name"]) for row in rows if row.get("compared")]
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (
        f"The share of {', '.join(names[:MOST_NAMES])}{more} in the leads changes over time. So "
        "the comparison is with leads of the same time, not with leads of all times."
    )


def rates_figure(
    name: str,
    finding: str,
    about: str,
    rows: tuple[dict[str, Any], ...],
    labels: RatesLabels,
    *,
    base: float,
    base_name: str = "the average",
    note: str = "",
) -> Figure:
    """Build a figure of groups compared with all leads, or those of `base_name`.

    Their share is `base`.
    """
    chart = None
    if rows:
        chart = rates_chart(rows, finding, about, what=labels.value, base=base, base_name=base_name)
    return Figure(
        name=name,
        finding=finding,
        about=about,
        columns=labels.columns(rows),
        rows=rows,
        chart=chart,
        note=" ".join(filter(None, [note, same_time_note(rows)])),
    )


def finding_of(
    subject: str,
    names: Sequence[str],
    groups: Sequence[Contrast],
    base: Share,
    none: str = "No group",
    than: str = "the average",
) -> str:
    r"""Format the title of a figure of groups: the most certain difference, or why there is none.

    Parameters
    ----------
    subject : str
        The words before a name: "Leads from".
    names : sequence of str
    groups : sequence of Contrast
    base : Share
        The share of all leads that the groups are compared with.
    none : str
        The first words of the title if no difference is clear.
    than : str
        The words for all leads that the groups are compared with.

    Examples
    --------
    >>> from models.evaluation.comparisons import contrast
    >>> fair, mail = contrast(150, 1_000, 1_000, 10_000), contrast(98, 1_000, 1_000, 10_000)
    >>> base = Share(n=10_000, wins=1_000, value=0.1, low=0.09, high=0.11)
    >>> finding_of("From", ["Fair", "Mail"], corrected([fair, mail]), base).replace("\xa0", " ")
    'From “Fair” are won 1.5 times as often as the average: 15 % against 10 % (150 of 1,000)'
    >>> finding_of("From", ["Mail"], corrected([mail]), base).replace("\xa0", " ")
    'No group differs clearly from the average: 10.0 % (1,000 of 10,000)'
    """
    significant = [
        (name, group)
        for name, group in zip(names, groups, strict=True)
        if group.is_significant and name not in NOT_ALIKE
    ]
    if base.n < FEWEST_LEADS:
        return f"Too few leads to compare: {base.n:,}"
    if not base.wins:
        return f"None of the {base.n:,} leads is won"
    if all(group.p is None for group in groups):
        return "There is nothing to compare: no two groups have enough leads"
    if not significant:
        n_same_time = sum(group.is_same_time for group in groups)
        if not n_same_time:
            return f"{none} differs clearly from {than}: {of_words(base)}"
        are_compared = "1 group is" if n_same_time == 1 else f"{n_same_time:,} groups are"
        return (
            f"{none} differs clearly from {than}, {of_words(base)}; {are_compared} compared with "
            "leads of the same time"
        )
    name, best = max(significant, key=lambda item: _certain_distance(item[1]))
    words = f"{ratio_finding(best, than)} ({counts_words(best)})"
    return f"{subject} {quoted_name(name)} are won {words}"
