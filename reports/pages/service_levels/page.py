"""Service levels: what marketing hands over and how sales works it, by grade and week."""

from reports.content import Page, Section, Takeaway
from reports.pages.coverage import newest_lead_words
from reports.pages.phrases import day_name
from reports.pages.service_levels.grades import basis_sentences, best_grade_takeaway, grades_figure
from reports.pages.service_levels.handovers import (
    ALL,
    MONDAY,
    QUIET,
    WEEK,
    Handovers,
    coverage_sentences,
    grades_at_handover,
    handover_times,
    window_words,
)
from reports.pages.service_levels.promises import promises_section
from reports.pages.service_levels.weeks import weeks_section
from reports.pages.sources.qualified import qualified_stage
from reports.rows.rows import ReportRows

SLUG, TITLE = "service-levels", "Service levels"
LEAD = (
    "How many leads are handed over, how fast and how many of them does sales work, and is that "
    "what both teams promised?"
)


def _known_from(rows: ReportRows) -> int:
    """Return the time from which handovers are known: the first lead, or the first stage."""
    known_from = rows.coverage.leads_from
    if qualified_stage(rows) is not None:
        known_from = max(known_from, rows.coverage.stages_from)
    return known_from


def service_page(rows: ReportRows) -> Page:
    """Build the page about leads handed over, worked and won in the last complete weeks."""
    heading = "By grade"
    if not rows.has_times:
        needs = (
            "Leads handed over per grade and week, hours to the first sales activity, share "
            "worked, converted, and revenue. This needs the time at which each lead was created."
        )
        return _page(Section(heading, needs=needs))
    at, basis = handover_times(rows)
    end = min(rows.as_of, rows.leads_until + QUIET)
    last = (end - MONDAY) // WEEK * WEEK + MONDAY
    if end < rows.as_of:
        basis += (
            f" {newest_lead_words(rows)}; other records go on to "
            f"{day_name(rows.as_of)}. Weeks are shown up to the newest lead."
        )
    handovers = Handovers(
        rows=rows,
        at=at,
        last=last,
        known_from=_known_from(rows),
        grade=grades_at_handover(rows, at, last),
    )
    if not handovers.within(handovers.first, last).any():
        needs = f"Leads handed over in the {window_words(handovers)}; there are none. {basis}"
        return _page(Section(heading, needs=needs))
    grades = [*handovers.grades, ALL] if handovers.has_grades else [ALL]
    table = [handovers.row(grade, handovers.first, last) for grade in grades]
    promises, promise_takeaways = promises_section(handovers, table)
    return _page(
        Section(
            heading,
            (*basis_sentences(handovers, table[-1], basis), *coverage_sentences(handovers)),
            (grades_figure(handovers, table),),
        ),
        promises,
        weeks_section(handovers),
        takeaways=(*best_grade_takeaway(handovers), *promise_takeaways),
    )


def _page(*sections: Section, takeaways: tuple[Takeaway, ...] = ()) -> Page:
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=takeaways,
        sections=sections,
        keeps_leads=False,
        is_sheet=True,
    )
