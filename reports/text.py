"""Texts from data, as a report may show them."""

import unicodedata

NO_BREAK = "\u00a0"
MOST_CHARACTERS = 200  # of a text from data
MOST_PROSE = 1_000  # characters of any text
MOST_IN_SENTENCE = 60  # characters of a name from data in a sentence
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")  # control, format, surrogate, private and unassigned


def printable(text: object, most: int = MOST_CHARACTERS) -> str:
    r"""Format a text from data for display: on one line, cut, without invisible characters.

    Marks that turn the direction of writing are removed: they would turn the rest of the
    page as well.

    Examples
    --------
    >>> printable("Paid\nsearch \u202eevil", most=12)
    'Paid search…'
    """
    start = str(text)[: 4 * most]  # so that a text of megabytes costs nothing
    line = " ".join(filter(None, visible(start).split(" ")))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def visible(text: str) -> str:
    """Remove invisible characters; every white space but the no-break space becomes a space."""
    return "".join(
        character if character == NO_BREAK else " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in UNSEEN
    )


def column_label(name: str) -> str:
    """Format the name of a column for a heading or a sentence.

    Examples
    --------
    >>> column_label("job_title")
    'job title'
    """
    return name.replace("_", " ")


def quoted_name(name: object) -> str:
    """Format a name from data for a sentence: cut, and in quotation marks."""
    return f"“{printable(name, MOST_IN_SENTENCE)}”"


def quoted_column(name: str) -> str:
    """Format the name of a column for a sentence, in quotation marks."""
    return quoted_name(column_label(name))
