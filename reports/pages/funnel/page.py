"""Funnel: how far leads come, how long it takes, and where they leave."""

from reports.content import Page, Section, Takeaway
from reports.pages.funnel.reasons import reasons_section
from reports.pages.funnel.stays import stays_section
from reports.pages.funnel.way import STEPS_HEADING, steps_section
from reports.rows.rows import ReportRows

SLUG, TITLE = "funnel", "Funnel"
LEAD = "How far do leads come, how long does it take, and where do they leave?"


def funnel_page(rows: ReportRows) -> Page:
    """Build the page about the way of leads through the stages, and why they are lost."""
    sections: list[Section] = []
    takeaways: list[Takeaway] = []
    if rows.funnel is None or not rows.funnel.stages:
        sections.append(Section(STEPS_HEADING, needs=_stages_needed(rows)))
    else:
        for section, section_takeaways in (
            steps_section(rows, rows.funnel),
            stays_section(rows, rows.funnel),
        ):
            sections.append(section)
            takeaways += section_takeaways
    sections.append(reasons_section(rows))
    return Page(
        slug=SLUG, title=TITLE, lead=LEAD, takeaways=tuple(takeaways), sections=tuple(sections)
    )


def _stages_needed(rows: ReportRows) -> str:
    needs = (
        "Conversion from stage to stage, time in each, and where leads leave. This needs a table "
        "[stages] with lead_id, stage and entered_at"
    )
    if rows.log is not None:
        return (
            f"{needs}; or, if some types of activity are the stages, [report] stage_activities = "
            '["…"] in the order of the funnel. Nothing is inferred from other activities.'
        )
    if not rows.has_times:
        return f"{needs}. It also needs the time at which each lead was created."
    return f"{needs}."
