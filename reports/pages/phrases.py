"""Shared by the pages: figures from comparisons, takeaways, and numbers in words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crm.arrays import Floats, Ints
from features.groups import NOT_ALIKE
from models.evaluation.comparisons import FEWEST_LEADS, Contrast, Share, corrected
from reports.charts.report import rates_chart
from reports.content import Column, Figure, Row, Takeaway
from reports.numbers import counted_share, percent, x_of_n
from reports.rows.rows import ReportRows
from reports.text import quoted_name

MOST_TAKEAWAYS = 5
MOST_NAMES = 5  # in a note
CHANCE_TITLE = "Could be chance (p)"
GRADES = "Grades, and the outcomes of leads that had them."  # what a model would show


def ratio_words(group: Contrast, than: str = "the average") -> str:
    """Format how often a group does something, compared with all leads, with the interval.

    Examples
    --------
    >>> from models.evaluation.comparisons import contrast
    >>> ratio_words(contrast(wins=75, n=312, all_wins=1_000, all_n=10_000)).partition("(")[2]
    'between 2.0 and 2.9 times; 75 of 312 leads)'
    >>> ratio_words(contrast(wins=12, n=300, all_wins=1_000, all_n=10_000)).partition("(")[2]
    '0.23 to 0.69 times as often; 12 of 300 leads)'
    >>> ratio_words(contrast(wins=0, n=60, all_wins=1_000, all_n=10_000))
    'less often than the average: 0 of 100 against 10 (at most 0.60 times as often; 0 of 60 leads)'
    """
    low, high = times_words(group.ratio_low), times_words(group.ratio_high)
    interval = f"{low} to {high} times as often"
    if not group.wins:
        interval = f"at most {high} times as often"
    elif (group.ratio or 0.0) > 1:
        interval = ratio_interval_words(group)
    return f"{ratio_finding(group, than)} ({interval}; {group.wins:,} of {group.n:,} leads)"


def ratio_finding(group: Contrast, than: str = "the average") -> str:
    """Format how often a group does something, compared with all leads, without the interval.

    Examples
    --------
    >>> from models.evaluation.comparisons import contrast
    >>> ratio_finding(contrast(wins=75, n=312, all_wins=1_000, all_n=10_000))
    '2.4 times as often as the average: 24 of 100 against 10'
    >>> ratio_finding(contrast(wins=0, n=60, all_wins=12, all_n=10_000))
    'less often than the average: 0 of 1,000 against 1'
    """
    value, average = group.time_value, group.time_average
    if value is None or average is None:
        value, average = group.value, _share_of_all(group)
    else:
        than += " at the same time"
    comparison = f"less often than {than}"
    if (group.ratio or 0.0) > 1:
        comparison = f"{times_words(group.ratio)} times as often as {than}"
    return f"{comparison}: {of_100(value, average)}"


def _share_of_all(group: Contrast) -> float:
    """Return the share of all leads that a group is compared with."""
    if group.ratio:
        return group.value / group.ratio
    if group.ratio_high:  # without wins, both ends are divided by that share
        return group.high / group.ratio_high
    return 0.0


def ratio_interval_words(group: Contrast) -> str:
    """Format the interval of a ratio."""
    return f"between {times_words(group.ratio_low)} and {times_words(group.ratio_high)} times"


def times_words(ratio: float | None) -> str:
    """Format a ratio for a sentence.

    Examples
    --------
    >>> times_words(0.456), times_words(2.345), times_words(None)
    ('0.46', '2.3', '–')
    """
    if ratio is None:
        return "–"
    return f"{ratio:.2f}" if ratio < 1.05 else f"{ratio:.1f}"


def of_100(share: float, other: float) -> str:
    """Format two shares as counts of 100 leads, or of more if one of the counts is below 1.

    Examples
    --------
    >>> of_100(0.41, 0.05), of_100(0.004, 0.155), of_100(0.0, 0.0002)
    ('41 of 100 against 5', '4 of 1,000 against 155', '0 of 10,000 against 2')
    """
    smallest = min((value for value in (share, other) if value > 0), default=1.0)
    of = next((of for of in (100, 1_000, 10_000) if of * smallest >= 1), 100_000)
    return f"{of * share:,.0f} of {of:,} against {of * other:,.0f}"


def share_words(share: Share) -> str:
    r"""Format a share with its counts and its interval.

    Examples
    --------
    >>> share_words(Share(n=1_000, wins=250, value=0.25, low=0.2, high=0.3)).replace("\xa0", " ")
    '25.0 % (250 of 1,000 leads; between 20.0 and 30.0 %)'
    """
    return (
        f"{percent(share.value)} ({share.wins:,} of {share.n:,} leads; "
        f"{interval_words(share.low, share.high)})"
    )


def of_words(share: Share, digits: int = 1) -> str:
    r"""Format a share with its counts; the counts alone if they are too few for a share.

    Examples
    --------
    >>> of_words(Share(n=1_000, wins=250, value=0.25, low=0.2, high=0.3)).replace("\xa0", " ")
    '25.0 % (250 of 1,000)'
    >>> of_words(Share(n=4, wins=1, value=0.25, low=0.0, high=0.7))
    '1 of 4'
    """
    if share.n < FEWEST_LEADS:
        return x_of_n(share.wins, share.n)
    return counted_share(share.value, share.wins, share.n, digits)


def interval_words(low: float, high: float) -> str:
    r"""Format the interval of a share.

    Examples
    --------
    >>> interval_words(0.2, 0.3).replace("\xa0", " ")
    'between 20.0 and 30.0 %'
    """
    return f"between {100 * low:.1f} and {percent(high)}"


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


def contrast_rows(names: Sequence[str], groups: Sequence[Contrast]) -> tuple[dict[str, Any], ...]:
    """Build the rows of a table of groups, without groups that have no leads."""
    return tuple(
        {"name": name, **group.cells()}
        for name, group in zip(names, groups, strict=True)
        if group.n
    )


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


def compared_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Describe the columns of groups that are compared with leads of the same time, if any are."""
    if not any(row.get("compared") for row in rows):
        return ()
    return (
        Column("compared", "Compared with"),
        Column("time_value", "Share, at the times of the others", "share", "same_time"),
        Column("time_average", "Average of the same time", "share", "same_time"),
    )


def _same_time_note(rows: Sequence[Row]) -> str:
    """Say which groups are compared with leads of the same time; empty if none is."""
    names = [quoted_name(row["name"]) for row in rows if row.get("compared")]
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (
        f"The share of {', '.join(names[:MOST_NAMES])}{more} in the leads changes over time. So "
        "the comparison is with leads of the same time, not with all leads."
    )


def rates_figure(
    name: str,
    finding: str,
    about: str,
    rows: tuple[dict[str, Any], ...],
    labels: RatesLabels,
    *,
    base: float,
    base_name: str = "all leads",
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
        note=" ".join(filter(None, [note, _same_time_note(rows)])),
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
    >>> finding_of("From", ["Fair", "Mail"], corrected([fair, mail]), base)
    'From “Fair” are won 1.5 times as often as the average: 15 of 100 against 10 (150 of 1,000)'
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
        return f"{none} differs clearly from {than}: {of_words(base)}"
    name, best = max(significant, key=lambda item: _certain_distance(item[1]))
    counts = x_of_n(best.wins, best.n)
    return f"{subject} {quoted_name(name)} are won {ratio_finding(best, than)} ({counts})"


def mature_words(rows: ReportRows) -> str:
    """Describe mature leads: by their age, or by their outcome if there are no times."""
    if not rows.has_times:
        return "leads with an outcome"
    return f"leads older than {rows.horizon_days:g} days"


def about_mature(rows: ReportRows) -> str:
    """Describe the leads of a figure of mature leads."""
    n = int(rows.is_mature.sum())
    if not rows.has_times:
        return f"{n:,} {mature_words(rows)}; they have no times"
    is_known = rows.has_known_outcome
    young = int((is_known & ~rows.is_old).sum())
    if is_known.all():
        return f"{n:,} {mature_words(rows)}; {young:,} younger ones are not counted"
    begin = day_name(rows.coverage.outcomes_from)
    unknown = f"{int((~is_known).sum()):,} created before {begin}, when outcomes begin"
    younger = f"{young:,} younger ones, " if young else ""
    return f"{n:,} {mature_words(rows)}; not counted: {younger}{unknown}"


def months_of(times: Ints) -> Ints:
    """Return the calendar month, UTC, of times in microseconds: months since 1970."""
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def month_name(month: int) -> str:
    """Format a month.

    Examples
    --------
    >>> month_name(0)
    '1970-01'
    """
    return str(np.datetime64(int(month), "M"))


def day_name(at: int) -> str:
    """Format the day, UTC, of a time in microseconds.

    Examples
    --------
    >>> day_name(0)
    '1970-01-01'
    """
    return str(np.datetime64(int(at), "us").astype("datetime64[D]"))


def finite(value: float) -> float | None:
    """Return a number as a cell: None if it is not finite."""
    return float(value) if np.isfinite(value) else None


def means_by(code: Ints, values: Floats, k: int) -> Floats:
    """Compute the mean of values by group, shape (k,); nan for groups without values."""
    n = np.bincount(code, minlength=k).astype(np.float64)
    total = np.bincount(code, values, minlength=k)
    return np.divide(total, n, out=np.full(k, np.nan), where=n > 0)
