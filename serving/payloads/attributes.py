"""Checks the attributes of a lead: their names and the length of their texts."""

from collections.abc import Mapping
from typing import Any

from crm.sources.checks import MAX_NAME_CHARACTERS, column_name
from serving.errors import RequestError
from serving.payloads.json_errors import field_path


def by_column_name(cells: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the attributes by valid names of columns, so that the ledger can be exported.

    Raises
    ------
    RequestError
        422 if a name is blank or too long, or if two names differ in white space only.

    Examples
    --------
    >>> by_column_name({" size": 3}, "leads[0].attributes")
    {'size': 3}
    """
    by_name: dict[str, Any] = {}
    for sent_name, cell in cells.items():
        name = column_name(sent_name)
        if not name:
            raise RequestError(
                422,
                f"The name of an attribute is blank: {sent_name[:100]!r}. Send the CRM's name.",
                field_path(where, sent_name),
            )
        if len(name) > MAX_NAME_CHARACTERS:
            raise RequestError(
                422,
                f"The name `{name[:100]}` has {len(name):,} characters. "
                f"Expected at most {MAX_NAME_CHARACTERS:,}.",
                field_path(where, sent_name),
            )
        if name in by_name:
            raise RequestError(
                422,
                f"`{name[:100]}` is sent twice: the names differ in white space only. "
                "Send it once.",
                field_path(where, sent_name),
            )
        by_name[name] = cell
    return by_name


def long_text_error(
    cells: Mapping[str, Any], where: str, max_characters: int
) -> RequestError | None:
    """Return an error that names an attribute whose name or text is too long, if there is one."""
    for name, cell in cells.items():
        items = cell if isinstance(cell, list) else [cell]
        longest = max([len(name), *(len(item) for item in items if isinstance(item, str))])
        if longest > max_characters:
            return RequestError(
                422,
                f"The text of `{name[:100]}` has {longest:,} characters. "
                f"Expected at most {max_characters:,}.",
                field_path(where, name),
            )
    return None
