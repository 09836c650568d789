"""The revenue of each source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crm.arrays import Bools, Floats, Ints
from features.attributes.attribute import MISSING_GROUP
from features.coverage import dominant_deal
from features.groups import Groups
from models.evaluation.comparisons import Contrast, corrected, mean_ratio
from models.evaluation.same_time_means import compare_mean_within
from reports.charts.groups import rates_chart
from reports.content import Column, Figure, Section, TableRow, Takeaway, cells_of
from reports.numbers import money
from reports.pages.averages import Average, average_of, has_value
from reports.pages.coverage import WITHOUT_LARGEST, revenue_sentences, with_currency
from reports.pages.groups import (
    compared_columns,
    interval_columns,
    same_time_note,
    strongest,
)
from reports.pages.phrases import (
    about_mature,
    mature_words,
    missing_rows_words,
    ratio_interval_words,
)
from reports.rows.coverage import Earned
from reports.rows.rows import ReportRows
from reports.text import quoted_name

MOST_REVENUE_TAKEAWAYS = 2


@dataclass(frozen=True, kw_only=True)
class RevenueRow(TableRow):
    """The revenue of a source; the value of `mean` is the revenue per lead.

    `all_wins` counts the wins with and without an amount, `all_n` all leads. `rest` is the revenue
    without the one deal that is most of it; None if no deal is.
    """

    name: str
    mean: Contrast
    all_wins: int
    revenue: float
    all_revenue: float
    revenue_share: float
    all_n: int
    lead_share: float
    rest: float | None


def revenue_section(rows: ReportRows, groups: Groups) -> tuple[Section, tuple[Takeaway, ...]]:
    """Build the section about revenue by source, with its takeaways."""
    heading = "Revenue by source"
    earned = rows.earned(rows.is_mature & rows.won)
    table = _revenue_rows(rows, groups) if earned.is_revenue else []
    if not table:
        needs = f"Revenue and revenue per lead of each source. {_why_unknown(rows, earned)}"
        return Section(heading, needs=needs), ()
    average = average_of(groups, rows.is_mature, rows.won)
    base = float(_earned(rows)[rows.is_mature & has_value(groups)].mean())
    takeaways = strongest(
        [(row.name, row.mean) for row in table],
        lambda name, mean: _revenue_sentence(name, mean, base, average, rows.currency),
        "revenue_per_lead",
        "sources-revenue",
        most=MOST_REVENUE_TAKEAWAYS,
    )
    finding = "Revenue per lead does not differ clearly between sources"
    means = {row.name: row.mean for row in table}
    if takeaways:
        name = takeaways[0].evidence["name"]
        finding = _revenue_finding(name, means[name], base, average, rows.currency)
    figure = _revenue_figure(rows, groups, table, finding, base, average)
    sentences = tuple(revenue_sentences(rows, earned))
    return Section(heading, sentences, figures=(figure,)), takeaways


def _revenue_figure(
    rows: ReportRows,
    groups: Groups,
    table: Sequence[RevenueRow],
    finding: str,
    base: float,
    average: Average,
) -> Figure:
    about = about_mature(rows) + average.about
    cells = cells_of(table)
    rest = (Column("rest", WITHOUT_LARGEST, "amount", "revenue"),)
    return Figure(
        name="sources-revenue",
        finding=finding,
        about=about,
        columns=(
            Column("name", "Source"),
            Column("n", "Leads", "count", "mature_leads"),
            Column("all_wins", "Wins", "count", "counted_wins"),
            Column("wins", "Wins with an amount", "count"),
            Column("revenue", with_currency(rows, "Revenue"), "amount", "revenue"),
            *(rest if any(row.rest is not None for row in table) else ()),
            Column(
                "revenue_share",
                "Of all revenue",
                "share",
                "revenue_share",
                ("revenue", "all_revenue"),
            ),
            Column("lead_share", "Of the leads", "share", "lead_share", ("n", "all_n")),
            Column("value", with_currency(rows, "Revenue per lead"), "amount", "revenue_per_lead"),
            *interval_columns("amount"),
            Column("ratio", "Against all", "ratio"),
            Column("verdict", "Result"),
            *compared_columns(cells, "Revenue per lead", "amount"),
        ),
        rows=cells,
        note=" ".join(
            filter(
                None,
                [
                    same_time_note(cells),
                    missing_rows_words(
                        len(groups.names) - len(table), "sources with fewer than two of these leads"
                    ),
                ],
            )
        ),
        chart=rates_chart(
            cells,
            finding,
            about,
            what="Revenue per lead",
            base=base,
            form=",.0f",
            base_name=average.words,
        ),
    )


def _why_unknown(rows: ReportRows, earned: Earned) -> str:
    """Explain why the revenue of sources is not shown."""
    if not earned.is_revenue:
        return " ".join(revenue_sentences(rows, earned))
    return f"No lead from a known source was won with an amount, among {mature_words(rows)}."


def _revenue_rows(rows: ReportRows, groups: Groups) -> list[RevenueRow]:
    mature = rows.is_mature
    earned, is_known = _earned(rows)[mature], has_value(groups)[mature]
    period = None if rows.period is None else rows.period[mature]
    code, total = groups.code[mature], float(earned.sum())
    if not earned[is_known].any():
        return []
    means = {
        i: mean
        for i, name in enumerate(groups.names)
        if (mean := _mean_of(name, earned, code == i, is_known, period)) is not None
    }
    table = []
    for i, mean in zip(means, corrected(list(means.values())), strict=True):
        of_source = rows.earned(mature & rows.won & (groups.code == i))
        table.append(
            RevenueRow(
                name=groups.names[i],
                mean=mean,
                all_wins=of_source.n_wins,
                revenue=of_source.total,
                all_revenue=total,
                revenue_share=of_source.total / total,
                all_n=len(earned),
                lead_share=mean.n / len(earned),
                rest=of_source.without_largest,
            )
        )
    return table


def _mean(earned: Floats, is_in: Bools, period: Ints | None) -> Contrast | None:
    """Compare the revenue per lead of a source with that of all leads.

    A source whose share of the leads changes over time is compared with leads of the same time.

    If one deal is most of the revenue of all leads or of the source, the difference has to be as
    clear, and in the same direction, without this deal.
    """
    mean = _ratio_of_means(earned, is_in, period)
    own = dominant_deal(np.where(is_in, earned, 0.0))
    largest = dominant_deal(earned) if own is None else own
    if mean is None or mean.p is None or largest is None:
        return mean
    rest = np.where(np.arange(len(earned)) == largest, 0.0, earned)
    without = _ratio_of_means(rest, is_in, period)
    if without is None or without.p is None:
        return replace(mean, p=None)
    same = ((mean.ratio or 0.0) > 1) == ((without.ratio or 0.0) > 1)
    return replace(mean, p=max(mean.p, without.p) if same else 1.0)


def _ratio_of_means(earned: Floats, is_in: Bools, period: Ints | None) -> Contrast | None:
    mean = mean_ratio(earned, is_in)
    if mean is None or period is None:
        return mean
    return compare_mean_within(mean, earned, is_in, period)


def _earned(rows: ReportRows) -> Floats:
    """Return the revenue of each lead within the horizon, shape (n_leads,)."""
    return np.where(rows.won, rows.amount, 0.0)


def _mean_of(
    name: str, earned: Floats, is_in: Bools, is_known: Bools, period: Ints | None
) -> Contrast | None:
    """Compare the mean of a source with that of all leads that have a source."""
    if name != MISSING_GROUP:
        return _mean(
            earned[is_known], is_in[is_known], None if period is None else period[is_known]
        )
    mean = mean_ratio(earned, is_in)
    if mean is None:
        return None
    return replace(mean, ratio=None, ratio_low=None, ratio_high=None, p=None, is_apart=True)


def _revenue_finding(
    name: str, mean: Contrast, base: float, average: Average, currency: str
) -> str:
    """Format the revenue per lead of a source, compared with that of all leads."""
    value, usual, than, against = mean.value, base, average.words, "against"
    if mean.time_value is not None and mean.time_average is not None:
        value, usual = mean.time_value, mean.time_average
        than, against = f"{than} at the same time", "where the average is"
    comparison = "more" if value > usual else "less"
    return (
        f"A lead from {quoted_name(name)} brings {comparison} revenue than {than}: "
        f"{money(value, currency)} {against} {money(usual, currency)}"
    )


def _revenue_sentence(
    name: str, mean: Contrast, base: float, average: Average, currency: str
) -> str:
    """Format the revenue per lead of a source with its interval and its leads."""
    finding = _revenue_finding(name, mean, base, average, currency)
    interval = ratio_interval_words(mean, "as much")
    if mean.is_same_time:
        over_all = f"Over all times, {mean.n:,} leads bring {money(mean.value, currency)} each."
        return f"{finding} ({interval}). {over_all}"
    return f"{finding} ({interval}; {mean.n:,} leads)."
