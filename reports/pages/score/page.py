"""Does the score work? Conversion by grade and score, predicted chances, gains, and inflation."""

from reports.content import Page, Section, Takeaway
from reports.pages.phrases import GRADES
from reports.pages.score.back_test import back_test_section
from reports.pages.score.bands import bands_section
from reports.pages.score.hold_out import hold_out_section
from reports.pages.score.months import months_section
from reports.rows.rows import ReportRows

SLUG, TITLE = "score", "Does the score work?"
VERDICT = "The verdict about the model"
LEAD = "Do leads with better grades convert better, as often as predicted, and is that still so?"


def score_page(rows: ReportRows) -> Page:
    """Build the page about whether grades and probabilities come true."""
    if rows.scorer is None:
        section = Section("Grades", rows.verdict.reasons, needs=rows.verdict.needs(GRADES))
        return Page(slug=SLUG, title=TITLE, lead=LEAD, sections=(section,), keeps_leads=False)
    takeaways: list[Takeaway] = []
    verdict = Section(VERDICT, (rows.verdict.sentence, *rows.verdict.reasons))
    sections = [verdict]
    for section, section_takeaways in (
        hold_out_section(rows.scorer.card, rows.is_part),
        back_test_section(rows, rows.scorer.card),
        (bands_section(rows, rows.scorer.card), []),
        months_section(rows, rows.scorer.card),
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
