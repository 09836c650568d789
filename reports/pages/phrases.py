"""What the pages share: figures from comparisons, and takeaways in words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from crm.arrays import Bools, Floats, Ints
from features.groups import NOT_ALIKE, Groups
from features.intervals import wilson
from models.evaluation.comparisons import Contrast, contrast, corrected
from reports.charts.report import rates_chart
from reports.content import Column, Figure, Takeaway
from reports.numbers import percent
from reports.rows.rows import ReportRows
from reports.text import NO_BREAK, quoted_name

MOST_TAKEAWAYS = 5


def ratio_words(found: Contrast) -> str:
    """Say how a share stands to that of all, with n and the interval of the ratio.

    Examples
    --------
    >>> found = contrast(wins=75, n=312, all_wins=1_000, all_n=10_000)
    >>> ratio_words(found).replace(NO_BREAK, " ")
    '2.4× the average (n = 312, 2.0 to 2.9×)'
    """
    return (
        f"{_times(found.ratio)} the average (n{NO_BREAK}={NO_BREAK}{found.n:,}, "
        f"{_times(found.ratio_low, '')} to {_times(found.ratio_high)})"
    )


def _times(ratio: float | None, sign: str = "×") -> str:
    if ratio is None:
        return "–"
    return f"{ratio:.2f}{sign}" if ratio < 1.05 else f"{ratio:.1f}{sign}"


def share_words(value: float, low: float, high: float, n: int) -> str:
    """Say a share with its interval and n.

    Examples
    --------
    >>> share_words(0.25, 0.2, 0.3, 1_000).replace(NO_BREAK, " ")
    '25.0 % (n = 1,000, 20.0 to 30.0 %)'
    """
    return f"{percent(value)} (n{NO_BREAK}={NO_BREAK}{n:,}, {100 * low:.1f} to {percent(high)})"


def evidence_of(found: Contrast, **more: Any) -> dict[str, Any]:
    """Give the numbers behind a sentence about a contrast."""
    return {**found.row(), **more}


def strongest(
    items: Iterable[tuple[str, Contrast]],
    sentence: Any,
    metric: str,
    figure: str,
    most: int = MOST_TAKEAWAYS,
) -> tuple[Takeaway, ...]:
    """Make takeaways of the contrasts that hold, the surest ones first.

    How sure one can be is the ratio's interval: its end nearest to 1 counts, not the ratio.

    Parameters
    ----------
    items : iterable of (str, Contrast)
        Names from data, and their corrected contrasts.
    sentence : callable
        Makes the words of a name and a contrast.
    """
    held = [
        (name, found)
        for name, found in items
        if found.holds and name not in NOT_ALIKE and found.ratio_low is not None
    ]
    held.sort(key=lambda pair: -_surely(pair[1]))
    return tuple(
        Takeaway(sentence(name, found), evidence_of(found, name=name), metric, figure)
        for name, found in held[:most]
    )


def _surely(found: Contrast) -> float:
    """How far the ratio surely is from 1, on the log scale."""
    low, high = found.ratio_low or 1e-9, found.ratio_high or 1e-9
    return max(np.log(max(low, 1e-9)), -np.log(max(high, 1e-9)), 0.0) + 1e-6 * np.sqrt(found.n)


def group_contrasts(groups: Groups, of: Bools, did: Bools) -> list[Contrast]:
    """Compare the groups of some leads with each other, without correction.

    Parameters
    ----------
    groups : Groups
    of : ndarray of bool, shape (n_leads,)
        Whose share is looked at.
    did : ndarray of bool, shape (n_leads,)
        Who did it.

    Returns
    -------
    list of Contrast
        One per name; a group without leads has an n of 0 and no value.
    """
    k = len(groups.names)
    n = np.bincount(groups.code[of], minlength=k)
    wins = np.bincount(groups.code[of & did], minlength=k)
    return [
        one_contrast(int(w), int(m), int(wins.sum()), int(n.sum()))
        for w, m in zip(wins, n, strict=True)
    ]


def one_contrast(wins: int, n: int, all_wins: int, all_n: int) -> Contrast:
    """Compare a group that may have no leads at all."""
    return contrast(wins, n, all_wins, all_n) if n else Contrast(0, 0, np.nan, np.nan, np.nan)


def correct_families(families: Sequence[list[Contrast]]) -> list[list[Contrast]]:
    """Correct several lists of contrasts that one page looks at together."""
    flat = corrected([each for family in families for each in family])
    ends = np.cumsum([0, *map(len, families)])
    return [flat[a:b] for a, b in zip(ends, ends[1:], strict=False)]


def contrast_rows(names: Sequence[str], found: Sequence[Contrast]) -> tuple[dict[str, Any], ...]:
    """Make rows of a table of groups, without groups that have no leads."""
    return tuple(
        {"name": name, **each.row()} for name, each in zip(names, found, strict=True) if each.n
    )


def rate_columns(label: str, metric: str, ratio: str = "", value: str = "") -> tuple[Column, ...]:
    """Describe the columns of `contrast_rows`."""
    return (
        Column("name", label),
        Column("n", "Leads", "count", "mature_leads"),
        Column("wins", "Of them", "count"),
        Column("value", value or "Share", "share", metric),
        Column("low", "from (95 %)", "share"),
        Column("high", "to (95 %)", "share"),
        Column("ratio", "Against all", "ratio", ratio),
        Column("ratio_low", "from (95 %)", "ratio"),
        Column("ratio_high", "to (95 %)", "ratio"),
        Column("p", "p, corrected", "ratio", "chance"),
        Column("verdict", "Verdict"),
    )


def rates_figure(
    name: str,
    finding: str,
    about: str,
    rows: tuple[dict[str, Any], ...],
    *,
    label: str,
    metric: str,
    base: float,
    what: str,
    ratio: str = "",
    note: str = "",
) -> Figure:
    """Make a figure of groups beside all leads."""
    chart = rates_chart(rows, finding, about, what=what, base=base) if rows else None
    columns = rate_columns(label, metric, ratio, what)
    return Figure(name, finding, about, columns, rows, chart, note)


def finding_of(names: Sequence[str], found: Sequence[Contrast], what: str, base: float) -> str:
    """Say in a title what a figure of groups shows: the surest difference, or that there is none.

    Examples
    --------
    >>> fair, mail = contrast(150, 1_000, 1_000, 10_000), contrast(98, 1_000, 1_000, 10_000)
    >>> groups = corrected([fair, mail])
    >>> finding_of(["Fair", "Mail"], groups, "convert", 0.1).replace(NO_BREAK, " ")
    '“Fair” leads convert 1.5× the average of 10.0 %'
    """
    held = [
        (name, each)
        for name, each in zip(names, found, strict=True)
        if each.holds and name not in NOT_ALIKE
    ]
    if not held:
        return f"No group differs from the average of {percent(base)} by more than chance"
    name, best = max(held, key=lambda pair: _surely(pair[1]))
    return f"{quoted_name(name)} leads {what} {_times(best.ratio)} the average of {percent(base)}"


def about_mature(rows: ReportRows) -> str:
    """Say whose leads a figure of mature leads is about."""
    n = int(rows.is_mature.sum())
    if not rows.has_times:
        return f"leads with an outcome, n = {n:,}; they have no times"
    young = len(rows) - n
    return (
        f"mature leads (created {rows.horizon_days:g} days or longer ago), n = {n:,}; "
        f"{young:,} younger ones not counted"
    )


def interval_row(name: str, wins: int, n: int, **more: Any) -> dict[str, Any]:
    """Make a row of a share with its interval."""
    low, high = wilson(wins / n, n) if n else (None, None)
    value = wins / n if n else None
    return {"name": name, "n": n, "wins": wins, "value": value, "low": low, "high": high, **more}


def months_of(times: Ints) -> Ints:
    """Give the calendar month, UTC, of times in microseconds: months since 1970."""
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


def month_name(month: int) -> str:
    """Write a month.

    Examples
    --------
    >>> month_name(0)
    '1970-01'
    """
    return str(np.datetime64(int(month), "M"))


def day_name(at: int) -> str:
    """Write the day, UTC, of a time in microseconds.

    Examples
    --------
    >>> day_name(0)
    '1970-01-01'
    """
    return str(np.datetime64(int(at), "us").astype("datetime64[D]"))


def days_words(days: float) -> str:
    """Write a time span as people say it.

    Examples
    --------
    >>> [days_words(d).replace(NO_BREAK, " ") for d in (0.0002, 0.02, 0.5, 3.04, 41.2)]
    ['17 seconds', '29 minutes', '12 hours', '3.0 days', '41 days']
    """
    if not np.isfinite(days):
        return "not yet"
    for limit, unit, per_day in (
        (1 / 1440, "seconds", 86_400),
        (1 / 24, "minutes", 1_440),
        (1.5, "hours", 24),
    ):
        if days < limit:
            return f"{days * per_day:.0f}{NO_BREAK}{unit}"
    return f"{days:.1f}{NO_BREAK}days" if days < 10 else f"{days:.0f}{NO_BREAK}days"


def finite(value: float) -> float | None:
    """Give a number as a cell: None where there is none."""
    return float(value) if np.isfinite(value) else None


def means_by(code: Ints, values: Floats, k: int) -> Mapping[str, Floats]:
    """Sum values by groups: `n`, `sum` and `mean`, each of shape (k,)."""
    n = np.bincount(code, minlength=k).astype(np.float64)
    total = np.bincount(code, values, minlength=k)
    mean = np.divide(total, n, out=np.full(k, np.nan), where=n > 0)
    return {"n": n, "sum": total, "mean": mean}
