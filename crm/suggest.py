"""Suggests the known name that a misspelled one may mean."""

import difflib
from collections.abc import Sequence

MOST_NAMES = 12


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a sentence with the known name most like `name`, or with the first known names.

    Examples
    --------
    >>> nearest("LeadSource", ["Lead Source", "City"])
    'Did you mean `Lead Source`?'
    >>> nearest("zzz", ["Lead Source", "City"])
    'Expected one of: Lead Source, City.'
    """
    folded = {candidate.casefold(): candidate for candidate in known}
    match = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if match:
        return f"Did you mean `{folded[match[0]]}`?"
    if not known:
        return "There are none."
    listed = ", ".join(known[:MOST_NAMES])
    if len(known) > MOST_NAMES:
        listed += ", …"
    return f"Expected one of: {listed}."
