"""The section that names the columns whose values a page does not compare, each with the reason."""

from collections.abc import Mapping

import numpy as np

from crm.arrays import Bools
from features.attributes.attribute import MISSING_GROUP
from features.groups import FEWEST_LEADS, NOT_ALIKE, Groups
from reports.content import Section
from reports.text import quoted_column


def values_of(groups: Groups, of: Bools) -> set[str]:
    """Return the names of the groups that contain counted leads, without that of missing values.

    Parameters
    ----------
    groups : Groups
    of : ndarray of bool, shape (n_leads,)
        True for the leads that count.
    """
    return {groups.names[code] for code in np.unique(groups.code[of])} - {MISSING_GROUP}


def reason_of_alike(groups: Groups, of: Bools) -> str:
    """Return why the groups of a column are not compared, if the counted leads are all in one."""
    if not of.any():
        return "The outcome of these leads is not certain yet."
    if set(groups.names) <= {*NOT_ALIKE}:
        return f"None of its values is shared by {FEWEST_LEADS} leads or more."
    return "The leads with a certain outcome all have the same value in this column, or no value."


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
