"""Words that the pages share: comparisons, shares, kinds of leads, and days in sentences."""

import numpy as np

from crm.arrays import Floats, Ints
from models.evaluation.comparisons import FEWEST_LEADS, Contrast, Share
from reports.numbers import counted_share, percent, x_of_n
from reports.rows.rows import ReportRows

IN_SAMPLE = (  # of figures of leads that the model learned from
    "The model has learned from these leads, so the figures do not show how good it is on new "
    "ones: usually they look better, and if the leads have changed, they may look worse."
)
SMALL_RATIO = 1.05  # smaller ratios have two digits
MOST_DIGITS = 4  # of the ends of a ratio's interval
GRADES = "Grades, and the outcomes of leads that had them."  # what a model would show


def ratio_words(group: Contrast, than: str = "the average", did: str = "are won") -> str:
    r"""Format how often a group does something, compared with all leads, with the interval.

    If the comparison is with leads of the same time, the counts are in a sentence of their own,
    because they are of all times: their share is not the one that is compared.

    Parameters
    ----------
    group : Contrast
    than : str
        The words for all leads.
    did : str
        The words for what the group does.

    Examples
    --------
    >>> from models.evaluation.comparisons import contrast
    >>> ratio_words(contrast(wins=75, n=312, all_wins=1_000, all_n=10_000)).partition("(")[2]
    'between 2.0 and 2.9 times as often; 75 of 312 leads)'
    >>> ratio_words(contrast(wins=12, n=300, all_wins=1_000, all_n=10_000)).partition("(")[2]
    'between 0.23 and 0.69 times as often; 12 of 300 leads)'
    >>> none = contrast(wins=0, n=60, all_wins=1_000, all_n=10_000)
    >>> ratio_words(none).replace("\xa0", " ")
    'less often than the average: 0 % against 10 % (at most 0.60 times as often; 0 of 60 leads)'
    >>> from dataclasses import replace
    >>> group = contrast(wins=50, n=1_000, all_wins=1_000, all_n=10_000)
    >>> late = replace(group, ratio=0.8, ratio_low=0.7, ratio_high=0.9)
    >>> words = ratio_words(replace(late, time_value=0.16, time_average=0.2)).replace("\xa0", " ")
    >>> print(words.replace(" (b", "\n(b"))
    less often than the average at the same time: 16 % where the average is 20 %
    (between 0.70 and 0.90 times as often). Over all times, 5.0 % (50 of 1,000) are won
    >>> near = replace(group, ratio=1.143, ratio_low=1.138, ratio_high=1.148)
    >>> ratio_words(near).partition(":")[0], ratio_words(near).partition("(")[2][:21]
    ('1.14 times as often as the average', 'between 1.14 and 1.15')
    """
    interval = ratio_interval_words(group, "as often")
    finding = ratio_finding(group, than, _ratio_digits(group))
    if group.is_same_time:
        return f"{finding} ({interval}). Over all times, {of_words(group)} {did}"
    return f"{finding} ({interval}; {group.wins:,} of {group.n:,} leads)"


def counts_words(group: Contrast) -> str:
    """Format the counts of a group for a title, after `ratio_finding`."""
    counts = x_of_n(group.wins, group.n)
    return f"over all times {counts}" if group.is_same_time else counts


def ratio_finding(group: Contrast, than: str = "the average", digits: int | None = None) -> str:
    r"""Format how often a group does something, compared with all leads, without the interval.

    Parameters
    ----------
    group : Contrast
    than : str
        The words for all leads.
    digits : int, optional
        The decimals of the ratio; by default, those of `times_words`.

    Examples
    --------
    >>> from models.evaluation.comparisons import contrast
    >>> group = contrast(wins=75, n=312, all_wins=1_000, all_n=10_000)
    >>> ratio_finding(group).replace("\xa0", " ")
    '2.4 times as often as the average: 24 % against 10 %'
    >>> ratio_finding(contrast(wins=0, n=60, all_wins=12, all_n=10_000)).replace("\xa0", " ")
    'less often than the average: 0.0 % against 0.1 %'
    """
    value, average, against = group.time_value, group.time_average, "against"
    if value is None or average is None:
        value, average = group.value, _share_of_all(group)
    else:
        than, against = f"{than} at the same time", "where the average is"
    comparison = f"less often than {than}"
    if (group.ratio or 0.0) > 1:
        comparison = f"{times_words(group.ratio, digits)} times as often as {than}"
    return f"{comparison}: {two_percents(value, average, against)}"


def _share_of_all(group: Contrast) -> float:
    """Return the share of all leads that a group is compared with."""
    if group.ratio:
        return group.value / group.ratio
    if group.ratio_high:  # without wins, both ends are divided by that share
        return group.high / group.ratio_high
    return 0.0


def ratio_interval_words(group: Contrast, times_as: str) -> str:
    """Format the interval of a ratio, with enough digits that its ends differ.

    Parameters
    ----------
    group : Contrast
    times_as : str
        What is compared: "as often" or "as much".

    Examples
    --------
    >>> from models.evaluation.comparisons import Contrast
    >>> ends = [(1.6, 3.14), (1.044, 1.12), (1.051, 1.063), (0.29, 0.62), (1.0412, 1.0414)]
    >>> for low, high in ends:
    ...     group = Contrast(n=9, wins=9, value=1, low=0, high=1, ratio_low=low, ratio_high=high)
    ...     print(ratio_interval_words(group, "as often"))
    between 1.6 and 3.1 times as often
    between 1.04 and 1.12 times as often
    between 1.05 and 1.06 times as often
    between 0.29 and 0.62 times as often
    between 1.0412 and 1.0414 times as often
    """
    low, high = group.ratio_low, group.ratio_high
    if low is None or high is None:
        return "without an interval"
    if not group.wins:
        return f"at most {times_words(high)} times {times_as}"
    digits = _ratio_digits(group)
    return f"between {low:.{digits}f} and {high:.{digits}f} times {times_as}"


def _ratio_digits(group: Contrast) -> int | None:
    """Return so many decimals that the ends of a ratio's interval differ; None without an end."""
    low, high = group.ratio_low, group.ratio_high
    if low is None or high is None or not group.wins:
        return None
    digits = 1 if low >= SMALL_RATIO else 2
    while digits < MOST_DIGITS and f"{low:.{digits}f}" == f"{high:.{digits}f}":
        digits += 1
    return digits


def times_words(ratio: float | None, digits: int | None = None) -> str:
    """Format a ratio for a sentence; without `digits`, with one decimal or two.

    Examples
    --------
    >>> times_words(0.456), times_words(2.345), times_words(None), times_words(1.1432, 2)
    ('0.46', '2.3', '–', '1.14')
    """
    if ratio is None:
        return "–"
    if digits is None:
        digits = 2 if ratio < SMALL_RATIO else 1
    return f"{ratio:.{digits}f}"


def two_percents(share: float, other: float, against: str = "against") -> str:
    r"""Format two shares, with so many digits that the smaller one is not written as 0.

    Examples
    --------
    >>> two_percents(0.41, 0.05).replace("\xa0", " ")
    '41 % against 5 %'
    >>> two_percents(0.004, 0.155, "where the average is").replace("\xa0", " ")
    '0.4 % where the average is 15.5 %'
    >>> two_percents(0.0, 0.0002).replace("\xa0", " ")
    '0.00 % against 0.02 %'
    """
    smallest = min((value for value in (share, other) if value > 0), default=1.0)
    digits = next((n for n in range(3) if 100 * 10**n * smallest >= 1), 3)
    return f"{percent(share, digits)} {against} {percent(other, digits)}"


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


def cut_words(shown: int, of: int, kind: str, which: str = "the most frequent ones") -> str:
    """Format how many rows of a list are left out; empty if no row is.

    Examples
    --------
    >>> cut_words(40, 79, "contents"), cut_words(12, 12, "contents")
    ('40 of 79 contents are shown, the most frequent ones; 39 are left out.', '')
    """
    if shown >= of:
        return ""
    are = "is" if of - shown == 1 else "are"
    return f"{shown:,} of {of:,} {kind} are shown, {which}; {of - shown:,} {are} left out."


def missing_rows_words(n: int, kind: str) -> str:
    """Format how many rows a table does not have, and why; empty if it has all.

    Examples
    --------
    >>> missing_rows_words(2, "sources without a win"), missing_rows_words(0, "sources")
    ('Not shown: sources without a win (2).', '')
    """
    return f"Not shown: {kind} ({n:,})." if n else ""


def interval_words(low: float, high: float) -> str:
    r"""Format the interval of a share.

    Examples
    --------
    >>> interval_words(0.2, 0.3).replace("\xa0", " ")
    'between 20.0 and 30.0 %'
    """
    return f"between {100 * low:.1f} and {percent(high)}"


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
    is_known, is_early = rows.has_known_outcome, rows.is_closed_early
    young = int((is_known & ~is_early & ~rows.is_old).sum())
    n_unknown, n_early = int((~is_known).sum()), int((is_known & is_early).sum())
    if not n_unknown and not n_early:
        return f"{n:,} {mature_words(rows)}; {young:,} younger ones are not counted"
    left_out = [f"{young:,} younger ones"] if young else []
    if n_unknown:
        begin = day_name(rows.coverage.outcomes_from)
        left_out.append(f"{n_unknown:,} created before {begin}, when outcomes begin")
    if n_early:
        left_out.append(f"{n_early:,} already won or lost when created")
    return f"{n:,} {mature_words(rows)}; not counted: {', '.join(left_out)}"


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
