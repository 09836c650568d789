"""Features: what drives the score, in which direction, and which columns are not used."""

from reports.content import Page, Section, Takeaway
from reports.pages.features.drivers import DRIVERS, drivers_sections
from reports.pages.features.filled import filled_section
from reports.pages.features.left_out import left_out_section
from reports.pages.phrases import GRADES
from reports.rows.rows import ReportRows

SLUG, TITLE = "features", "Features"
LEAD = (
    "What drives the score and in which direction, how do signals combine, and which columns are "
    "not used, and why?"
)


def features_page(rows: ReportRows) -> Page:
    """Build the page about what the model looks at, and how each column is filled."""
    sections, takeaways = [Section(DRIVERS, needs=rows.verdict.needs(GRADES))], list[Takeaway]()
    if rows.scorer is not None:
        sections, takeaways = drivers_sections(rows, rows.scorer)
    filled, filled_takeaways = filled_section(rows)
    return Page(
        slug=SLUG,
        title=TITLE,
        lead=LEAD,
        takeaways=(*takeaways, *filled_takeaways),
        sections=(*sections, filled, left_out_section(rows)),
    )
