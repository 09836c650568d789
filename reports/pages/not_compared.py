"""The section that names the columns whose values a page does not compare, each with the reason."""

from collections.abc import Mapping

from features.groups import FEWEST_LEADS, OTHERS, Groups
from reports.content import Section
from reports.text import quoted_column


def reason_of_alike(groups: Groups) -> str:
    """Return why the groups of a column are not compared, if it has only one."""
    if OTHERS in groups.names:
        return f"None of its values is shared by {FEWEST_LEADS} leads or more."
    return "All leads of this report have the same value in it, or none."


def not_compared_section(reasons: Mapping[str, str]) -> tuple[Section, ...]:
    """Return a section with a paragraph for each column; none if every column is compared.

    Parameters
    ----------
    reasons : mapping of str to str
        Columns, each with the reason as a sentence.
    """
    if not reasons:
        return ()
    paragraphs = tuple(
        f"{quoted_column(column)} is not compared. {reason}" for column, reason in reasons.items()
    )
    return (Section("Columns that are not compared", paragraphs),)
