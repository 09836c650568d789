"""Does the score work? Conversion by grade and score, predicted chances, gains, and inflation."""

from reports.content import Page, Section, Takeaway
from reports.pages.phrases import NO_MODEL
from reports.pages.score.back_test import back_test_section
from reports.pages.score.bands import bands_section
from reports.pages.score.hold_out import hold_out_section
from reports.pages.score.months import months_section
from reports.rows.rows import ReportRows

SLUG, TITLE = "score", "Does the score work?"
LEAD = "Do leads with better grades convert better, as often as predicted, and is that still so?"


def score_page(rows: ReportRows) -> Page:
    """Build the page about whether grades and probabilities come true."""
    if rows.scorer is None:
        section = Section("Grades", needs=NO_MODEL)
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,), keeps_leads=False)
    takeaways: list[Takeaway] = []
    sections: list[Section] = []
    for section, section_takeaways in (
        hold_out_section(rows.scorer.card, rows.is_part),
        back_test_section(rows, rows.scorer.card),
        (bands_section(rows), []),
        months_section(rows),
    ):
        sections.append(section)
        takeaways += section_takeaways
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=tuple(takeaways),
        sections=tuple(sections),
        keeps_leads=False,
    )
