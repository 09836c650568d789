"""Sources: which bring leads that are qualified and won, how much revenue, and how fast."""

from reports.content import Page, Section
from reports.pages.averages import average_of
from reports.pages.groups import (
    RatesLabels,
    contrast_rows,
    empty_words,
    finding_of,
    rates_figure,
    strongest,
)
from reports.pages.not_compared import not_compared_section
from reports.pages.phrases import about_mature, ratio_words
from reports.pages.sources.revenue import revenue_section
from reports.pages.sources.speed import speed_section
from reports.pages.sources.way import source_contrasts, way_section
from reports.rows.rows import ReportRows
from reports.text import quoted_column, quoted_name

SLUG, TITLE = "sources", "Sources"
LEAD = "Which sources bring leads that are qualified and won, how much, and how fast?"
NAME_IT = 'Name a column with [report] source = "…" in the project file.'
MOST_WON_TAKEAWAYS = 4


def sources_page(rows: ReportRows) -> Page:
    """Build the page about the way from lead to qualified to won for each source."""
    groups = rows.source
    not_compared = not_compared_section(rows.columns.not_source)
    if groups is None:
        needs = "Conversion, revenue, time to win and average score by source. " + (
            f"The column of sources is not compared; the reason is below. {NAME_IT}"
            if not_compared
            else f"No column of the leads looks like a source. {NAME_IT}"
        )
        section = Section("By source", needs=needs)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section, *not_compared))
    families = source_contrasts(rows, groups)
    average = average_of(groups, rows.is_mature, rows.won)
    takeaways = strongest(
        zip(groups.names, families.won, strict=True),
        lambda name, group: (
            f"Leads from {quoted_name(name)} are won {ratio_words(group, average.words)}."
        ),
        "won_ratio",
        "sources-won",
        most=MOST_WON_TAKEAWAYS,
    )
    figure = rates_figure(
        "sources-won",
        finding_of("Leads from", groups.names, families.won, average.share, than=average.words),
        about_mature(rows) + average.about,
        contrast_rows(groups.names, families.won),
        RatesLabels(
            group="Source", value="Conversion", metric="won_share", ratio_metric="won_ratio"
        ),
        base=average.share.value,
        base_name=average.words,
        note=empty_words(families.won, "sources"),
    )
    origin = f"The source of a lead is the value of its column {quoted_column(groups.column)}."
    revenue, revenue_takeaways = revenue_section(rows, groups)
    speed, speed_takeaways = speed_section(rows, groups)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *revenue_takeaways, *speed_takeaways),
        sections=(
            Section("Conversion by source", (origin,), (figure,)),
            way_section(rows, groups, families),
            revenue,
            speed,
            *not_compared,
        ),
    )
