"""Builds the section `[columns]` of a draft: words for "no value", and rules for attributes."""

from collections.abc import Mapping, Sequence

from tomlkit.items import Table as TomlTable

from crm.text import listed, quote
from drafting.column_rules import ColumnRules
from drafting.samples import Column
from drafting.toml_text import add_comment, new_section, noted_list
from features.attributes.attribute import UndeclaredColumn
from features.attributes.choices import LIST, ChoiceAttribute
from features.leaks.check import MIN_OUTCOMES

COLUMNS_HEADING = "Rules for the attributes, which are the other columns of the leads table."
IGNORE_HEADING = "Never read: personal data, names, free text."
KNOWN_LATER_HEADING = (
    "Never used by the model, because the column may be filled in or changed after the moment "
    "of scoring: a model that uses it looks perfect and is useless on new leads. If you know that "
    "a column is filled before the moment of scoring and never changed, move it to a list "
    "`known_in_time`."
)
COST_HINT = (
    " The cost of leaving a column out is measured with a quick model. A leak looks useful as "
    "well, so a high cost does not show that a column is known in time."
)
SENSITIVE_HEADING = "Never used by the model, only to compare how it treats groups of people."
CATEGORY_HEADING = (
    "Columns of numbers that are read as text, because they also contain text or are codes. If the "
    "text means nothing, list the column under `number` instead."
)
MOST_NAMED = 10  # the most attributes in the comment about attributes that training leaves out
FEW_OUTCOMES = (
    f" Of the leads from which training can learn so far, fewer than {MIN_OUTCOMES} were won, or "
    f"fewer than {MIN_OUTCOMES} were not won, so the columns could not be compared with outcomes. "
    "Check yourself whether further columns belong in this list."
)


def columns_section(
    nothing: Mapping[str, tuple[str, list[str]]],
    in_doubt: Mapping[str, tuple[str, list[str]]],
    rules: ColumnRules,
    attributes: Sequence[Column],
) -> TomlTable:
    """Build the section `[columns]`.

    Parameters
    ----------
    nothing, in_doubt : mapping of str to (str, list of str)
        The words that mean "no value", and those that may mean it, from `nothing_words`.
    rules : ColumnRules
    attributes : sequence of Column

    Returns
    -------
    Table
        A TOML table with a comment for each choice.
    """
    section = new_section(COLUMNS_HEADING)
    places = {word: f"in {listed(columns)}" for word, columns in nothing.values()}
    add_comment(section, "Words that mean an empty cell. Check each of them.")
    section["nothing"] = noted_list(places)
    for word, columns in in_doubt.values():
        add_comment(
            section,
            f"CHECK: {quote(word)} is not in the list, because it may be a value in "
            f"{listed(columns)}. If it means an empty cell, add it.",
        )
    hint = FEW_OUTCOMES if rules.by_name_only else COST_HINT if rules.has_costs else ""
    for key, heading, reasons in (
        ("ignore", IGNORE_HEADING, rules.ignore),
        ("known_later", KNOWN_LATER_HEADING + hint, rules.known_later),
        ("sensitive", SENSITIVE_HEADING, rules.sensitive),
    ):
        add_comment(section, heading)
        section[key] = noted_list(reasons)
    if rules.category:
        add_comment(section, CATEGORY_HEADING)
        section["category"] = noted_list(rules.category)
    _add_choices(section, attributes, frozenset(nothing))
    _add_left_out(section, rules)
    return section


def _add_left_out(section: TomlTable, rules: ColumnRules) -> None:
    """Add a comment with the attributes that training will leave out, and the reasons."""
    named = list(rules.left_out.items())[:MOST_NAMED]
    if not named:
        return
    columns = "; ".join(f"{quote(name)}, because {reason}" for name, reason in named)
    others = len(rules.left_out) - len(named)
    more = f"; and {others:,} more" if others else ""
    add_comment(section, f"`leadscore train` leaves out: {columns}{more}.")


def _add_choices(section: TomlTable, attributes: Sequence[Column], nothing: frozenset[str]) -> None:
    """Add a comment with the values of each column whose cells contain several values."""
    kept_out = {name for key in ("ignore", "known_later", "sensitive") for name in section[key]}
    for column in attributes:
        if column.name in kept_out:
            continue
        choices = ChoiceAttribute.recognise(UndeclaredColumn(column.cells, nothing))
        if choices:
            values, separator = choices[0].values, choices[0].separator
            form = "as JSON lists" if separator == LIST else f"separated by {quote(separator)}"
            more = f" and {len(values) - 5} more" if len(values) > 5 else ""
            add_comment(
                section,
                f"{quote(column.name)} contains several values in a cell, {form}: "
                f"{listed(values[:5])}{more}. Each becomes a feature of its own. List the column "
                "under `category` to read each combination as one value.",
            )
