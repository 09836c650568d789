"""Finds the time zone that the name of a column contains, such as "Created (America/New_York)"."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from crm.formats.times import zone_offset
from crm.text import listed, quote
from crm.times import HOUR
from drafting.samples import Column

EARLIEST, LATEST = -12, 14  # the hours of the zones Etc/GMT+12 and Etc/GMT-14
_BRACKETS: Final = re.compile(r"[(\[]\s*([^()\[\]]+?)\s*[)\]]")
_AT_END: Final = re.compile(
    r"(?:^|[\s_.:,-]|(?<=[a-z]))((?:UTC|GMT|(?<=[_ ])(?:utc|gmt))"
    r"(?: ?[+-]\d{1,2}(?::?\d{2})?)?)\W*$"
)
_PLACE: Final = re.compile("[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_]+)+")
_OFFSET: Final = re.compile(r"[+-]\d{1,2}(?::?\d{2})?")
_ABBREVIATION: Final = re.compile("[A-Z]{1,4}T")  # PT, ET, SAST


class HeaderZone(NamedTuple):
    """The zone of some columns of times.

    Attributes
    ----------
    name : str
        The name of the zone, for `timezone` of a table.
    note : str
        The evidence, or what to check.
    """

    name: str
    note: str


def header_zone(columns: Sequence[Column]) -> HeaderZone | None:
    """Return the zone that the names of some columns contain; None if they contain none.

    Parameters
    ----------
    columns : sequence of Column
        Columns whose times have no zone.

    Examples
    --------
    >>> import pandas as pd
    >>> header_zone([Column(pd.Series(["2025-01-31"], name="Created (Europe/Berlin)"))])
    HeaderZone(name='Europe/Berlin', note='from the name "Created (Europe/Berlin)"')
    """
    texts = {column.name: text for column in columns if (text := _zone_text(column.name))}
    if not texts:
        return None
    zones = {name: zone_name(text) for name, text in texts.items()}
    named = listed(zones)
    if len(set(zones.values())) > 1:
        return HeaderZone(
            "UTC",
            f"CHECK: the names of {named} contain different zones, but a table has one. Export all "
            "times in one zone",
        )
    name, text = next(iter(texts.items()))
    zone = zones[name]
    others = [column.name for column in columns if column.name not in texts]
    also = f"; CHECK: the times of {listed(others)} are read in this zone too" if others else ""
    if not zone:
        return HeaderZone(
            "UTC",
            f"CHECK: the name of {named} contains {quote(text)}, which several zones or none have. "
            "Write the name of the zone here, such as America/Los_Angeles or Asia/Kolkata",
        )
    if zone.startswith("Etc/"):
        sign = "+" if "GMT-" in zone else "-"
        also = (
            f" (always UTC{sign}{zone[8:]}). CHECK: if its clocks change in summer, write a name "
            f"such as Europe/Berlin or America/Los_Angeles{also}"
        )
    return HeaderZone(zone, f"from the name {named}{also}")


def zone_name(text: str) -> str:
    """Return the name of the zone that a text means; "" if it has no name or no one meaning.

    Examples
    --------
    >>> zone_name("Asia/Tokyo"), zone_name("GMT"), zone_name("UTC+2"), zone_name("PT")
    ('Asia/Tokyo', 'UTC', 'Etc/GMT-2', '')
    """
    offset = zone_offset("".join(text.split()) if _AT_END.fullmatch(text) else text)
    if offset is None or isinstance(offset, str):
        return offset or ""
    hours, rest = divmod(offset, HOUR)
    if rest or not EARLIEST <= hours <= LATEST:
        return ""
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def _zone_text(name: str) -> str:
    """Return the text in a name that means a zone, or may mean one; "" without such text."""
    for text in _BRACKETS.findall(name):
        place = _PLACE.search(text)
        if place is not None and zone_offset(place[0]) is not None:
            return place[0]
        is_zone = text.isupper() or text.casefold().endswith(" time") or _OFFSET.fullmatch(text)
        if is_zone and (zone_offset(text) is not None or _ABBREVIATION.fullmatch(text)):
            return str(text)
    match = _AT_END.search(name)
    if match is None:
        match = _AT_END.search(_BRACKETS.sub(lambda part: f" {part[1]}", name))
    return match[1] if match is not None else ""
