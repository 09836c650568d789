"""Recognises the format of the times of a column from its cells."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from crm.errors import ConfigError
from crm.formats.column_times import iso_text, time_formats
from crm.formats.times import (
    EXCEL_DAYS,
    JOINED,
    UNIX_MICROSECONDS,
    UNIX_NANOSECONDS,
    UNIX_SECONDS,
    excel_number,
    month_of,
    time_text,
    zone_offset,
)
from crm.formats.written import plain_text
from crm.text import listed
from crm.times import DAY, MILLISECONDS, NOT_A_TIME

SHAPES_FROM: Final = 60  # cells whose shapes suggest formats
SAMPLE: Final = 4_000  # distinct cells that must fit the format
MOSTLY: Final = 0.99  # the least share of cells that fit
TIMES: Final = 0.85  # the same, if the other cells are not times in any format
LOOKED_AT: Final = 200  # texts from which the calendar is recognised
YEAR: Final = 365 * DAY
_BETWEEN: Final = r"[-/., ]+|[-/. ]*(?:\b(?:de|del|of|den|d')\b)?[-/. ]+"
_NAME: Final = r"[^\W\d_]{3,12}\.?"
_OF_YEAR: Final = (
    r"(?: ?(?:г\.?|года|r\.?|roku|р\.?|року)(?![^\W\d_]))?"  # Russian, Polish, Ukrainian
)
_DAY: Final = r"\d{1,2}(?:st|nd|rd|th|er|º)?"
# Dates: the named parts become directives, and the text between them stays as it is.
_DATES: Final = (
    r"(?P<Y>\d{4})(?:[-/.]|\. |年 ?)(?P<m>\d{1,2})(?:[-/.]|\. |月 ?)(?P<d>\d{1,2})(?:日|\.)?",
    r"(?P<x>\d{1,2})(?:[-/.]|\. ?| )(?P<y>\d{1,2})(?:[-/.]|\. ?| )(?P<Y>\d{4}|\d{2})\.?" + _OF_YEAR,
    rf"(?P<d>{_DAY})(?:{_BETWEEN})(?P<b>{_NAME})(?:{_BETWEEN})(?P<Y>\d{{4}}|\d{{2}}){_OF_YEAR}",
    rf"(?P<b>{_NAME})[ -](?P<d>{_DAY})(?:, ?| |-)(?P<Y>\d{{4}}|\d{{2}})",
    rf"(?P<Y>\d{{4}})[- /](?P<b>{_NAME})[- /](?P<d>{_DAY})",
)
_CLOCK: Final = (
    r"(?P<p1>(?:午前|午後|上午|下午|오전|오후) ?)?(?P<H>\d{1,2})(?P<c>[:.h時点])(?P<M>\d{2})分?"
    r"(?:[:.]?(?P<S>\d{2}(?:[.,]\d{1,9})?)秒?)?(?: ?(?:Uhr|h|hrs|Hrs)\b)?"
    r"(?: ?(?P<p>[aApP]\.? ?[mM]\.?))?"
)
_ZONE: Final = (
    r" ?(?P<z>Z|(?:GMT|UTC)?[+-]\d{1,2}:?\d{2}|[A-Z]{2,5}|[A-Z][A-Za-z]+(?:/[A-Za-z_]+)+"
    r"|(?:[A-Z][a-z]+ )+Time)"
)
_JOIN: Final = (
    r"(?:T|,? ?(?:- |at |um |à |às |a las |alle |ore |kl\.? |o |om |klo |u |w |o godz\. |в )?)"
)
_WEEKDAY: Final = rf"(?P<a>{_NAME}),? (?!\d{{1,2}}[ :]\d{{2}})"
_SHAPES: Final = tuple(
    re.compile(rf"(?:{_WEEKDAY})?{date}(?:{_JOIN}{_CLOCK})?(?:{_ZONE})?") for date in _DATES
)
_INSIDE: Final = tuple(  # dates with other text around them, with and without a clock
    re.compile(rf"(?:.*?(?<!\w))?{date}(?!\d){clock}.*")
    for clock in (rf"(?:.*?(?<![\d:])){_CLOCK}(?![\d:])", "")
    for date in _DATES
)
_WHOLE: Final = (  # formats whose clock is in the middle or in front
    "%a %b %d %H:%M:%S %Z %Y",
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%H:%M %d/%m/%Y",
    "%H:%M %m/%d/%Y",
    "%H:%M %d.%m.%Y",
    "%H:%M:%S %d/%m/%Y",
    "%H:%M:%S %d.%m.%Y",
)
_NUMBERS: Final = (  # formats, and the numbers that are times: from 2001 to 2038, or 1990 to 2063
    (UNIX_SECONDS, 9.5e8, 2.2e9),
    (UNIX_MICROSECONDS, 9.5e14, 2.2e15),
    (UNIX_NANOSECONDS, 9.5e17, 2.2e18),
    (EXCEL_DAYS, 32_874, 60_000),
)
_COMPACT: Final = {"%Y%m%d%H%M%S": 14, "%Y%m%d%H%M": 12}  # and the number of digits
_WITHOUT_MARKS: Final = ("%d%m%Y", "%m%d%Y", "%d%m%Y%H%M%S", "%m%d%Y%H%M%S")  # not recognised
_FIRST_COMPACT, _LAST_COMPACT = 20 * YEAR, 130 * YEAR  # the years 1990 to 2100
_ORDERS: Final = {"d": "day first", "m": "month first", "Y": "year first", "y": "year first"}


class RecognisedTimes(NamedTuple):
    """The format of a column, and its evidence.

    Attributes
    ----------
    notation : str or None
        The format as the project file has it; None is ISO 8601, or milliseconds of 13 digits.
    doubt : str
        A sentence about cells that can be read in two ways; empty if there is no doubt.
    doubtful_as : str
        The other format; empty if there is no doubt.
    unread : tuple of str
        Cells that do not fit the format, at most five.
    """

    notation: str | None
    doubt: str = ""
    doubtful_as: str = ""
    unread: tuple[str, ...] = ()

    @property
    def order(self) -> str:
        """The first directive of the date: "d", "m", "Y", "y", or "" if there is none."""
        match = re.search("%([dmYyb])", self.notation or "")
        return match[1] if match and match[1] != "b" else ""


def recognise_times(
    texts: Sequence[str], may_be_numbers: bool = False, order: str = ""
) -> RecognisedTimes | None:
    """Recognise the format of the times among some texts.

    Parameters
    ----------
    texts : sequence of str
        Distinct cells of one column.
    may_be_numbers : bool
        Whether numbers count as times: seconds, microseconds and nanoseconds since 1970, days of a
        spreadsheet, and compact times such as 20240131101700. Other numbers may look the same, so
        the name of the column must mean a time.
    order : {"d", "m", ""}
        The order of other dates in the table, for dates that can be read in two ways.

    Returns
    -------
    RecognisedTimes or None
        None if fewer than 85 of 100 texts are times, or if more than 1 of 100 is a time in another
        format.

    Examples
    --------
    >>> recognise_times(["01/02/2024 10:17 AM", "01/13/2024 07:34 PM"]).notation
    '%m/%d/%Y %I:%M %p'
    >>> recognise_times(["01/02/2024", "03/04/2024"]).doubt
    '"01/02/2024", "03/04/2024" can be read with the day first or with the month first'
    >>> recognise_times(["2024-01-02 10:17:00 UTC"])
    RecognisedTimes(notation=None, doubt='', doubtful_as='', unread=())
    """
    sample = [text for text in texts[:SAMPLE] if text.strip()]
    if not sample:
        return None
    is_iso = [_is_iso(text) for text in sample]
    if sum(is_iso) >= MOSTLY * len(sample):
        if not are_of_our_era(sample, None):
            return None
        return RecognisedTimes(None, unread=_first(sample, is_iso))
    if may_be_numbers and (numeric := _numeric(sample)) is not None:
        return numeric
    notations = _candidates(sample)
    fits = {notation: _fits(notation, sample) for notation in notations}
    fits = {form: fit for form, fit in fits.items() if are_of_our_era(sample, form)}
    best = max(map(sum, fits.values()), default=0)
    if best < MOSTLY * len(sample):
        joined = _joined(sample, fits)
        if joined is not None:
            return joined
        if _are_words_beside(sample, is_iso, fits.values()):
            return RecognisedTimes(None, unread=_first(sample, is_iso))
        first = next((fit for fit in fits.values() if sum(fit) == best), is_iso)
        if not _are_words_beside(sample, first, [*fits.values(), is_iso]):
            return None
    tied = [notation for notation in notations if sum(fits[notation]) == best]
    notation, doubt, other = _choose(tied, sample, order)
    return RecognisedTimes(notation, doubt, other, _first(sample, fits[notation]))


def mixed_notation(texts: Sequence[str]) -> str:
    """Return the two formats of texts that mix ISO 8601 with one other format; otherwise "".

    The order of day and month in the other format must be clear, as from a day above 12.

    Examples
    --------
    >>> mixed_notation(["2026-12-31", "2026-11-30", "15/07/2026"])
    '%Y-%m-%d or %d/%m/%Y'
    >>> mixed_notation(["2026-12-31", "2026-11-30", "05/07/2026"])
    ''
    """
    sample = [text for text in texts[:SAMPLE] if text.strip()]
    iso = [text for text in sample if _time("%Y-%m-%d", text) != NOT_A_TIME]
    others = [text for text in sample if not _is_iso(text)]
    if not iso or not others:
        return ""
    found = recognise_times(others)
    if found is None or found.notation is None or found.doubt or JOINED in found.notation:
        return ""
    notation = f"%Y-%m-%d{JOINED}{found.notation}"
    is_known = sum(_fits(notation, sample)) >= MOSTLY * len(sample)
    return notation if is_known else ""


def likely_notation(texts: Sequence[str]) -> str:
    """Return a format of texts that are not recognised as times, if one fits them all.

    Text around the date and the clock becomes a part of the format. It is empty if no format fits,
    or if the order of day and month is not clear.

    Examples
    --------
    >>> likely_notation(["created 13 May 2024, 18:27 h ET", "created 9 June 2024, 9:05 h ET"])
    'created %d %b %Y, %H:%M h ET'
    >>> likely_notation(["Ann May 13, 2024", "Bob May 14, 2024"]), likely_notation(["3 days ago"])
    ('', '')
    """
    sample = [text for text in texts[:LOOKED_AT] if text.strip()]
    counts: Counter[str] = Counter()
    for text in sample[:SHAPES_FROM]:
        plain = time_text(text)
        matches = [match for shape in _INSIDE if (match := shape.fullmatch(plain)) is not None]
        counts.update({notation for match in matches for notation in _notations(plain, match)})
        counts.update(_WITHOUT_MARKS if plain.isdigit() else ())
    best, tied = 1, list[str]()
    for notation, _ in counts.most_common(24):
        n_read = sum(_fits(notation, sample))
        if n_read >= MOSTLY * len(sample) and n_read >= best:
            tied = [*(tied if n_read == best else []), notation]
            best = n_read
    clocks = [notation for notation in tied if re.search("%[HI]", notation)]
    if not tied:
        return ""
    notation, doubt, _ = _choose(clocks or tied, sample, "")
    return "" if doubt else notation


def _are_words_beside(
    sample: Sequence[str], fit: Sequence[bool], fits: Iterable[Sequence[bool]]
) -> bool:
    """Check that most cells fit a format, and that the other cells do not fit any format.

    Whole numbers do not count, because they may be something else, such as ids.
    """
    dates = [text for text, is_read in zip(sample, fit, strict=True) if is_read]
    if len(dates) < TIMES * len(sample) or any(text.isdigit() for text in dates):
        return False
    others = list(fits)
    return not any(
        any(other[i] for other in others) for i, is_read in enumerate(fit) if not is_read
    )


def _is_iso(text: str) -> bool:
    return MILLISECONDS.fullmatch(plain_text(text)) is not None or iso_text(text) is not None


def are_of_our_era(sample: Sequence[str], notation: str | None) -> bool:
    """Check that most times of a sample are between 1900 and 2100.

    Other years are usually from another calendar, such as 1404 in Iran and 2568 in Thailand.

    Parameters
    ----------
    sample : sequence of str
    notation : str or None
        The format of the times; None for ISO 8601. Texts in other formats do not count.

    Examples
    --------
    >>> are_of_our_era(["31/12/2568"], "%d/%m/%Y"), are_of_our_era(["31/12/2025"], "%d/%m/%Y")
    (False, True)
    """
    if notation is None:
        years = [int(iso[:4]) for text in sample[:LOOKED_AT] if (iso := iso_text(text))]
    else:
        times = [_time(notation, text) for text in sample[:LOOKED_AT]]
        years = [1970 + time // YEAR for time in times if time != NOT_A_TIME]
    return sum(1900 <= year <= 2100 for year in years) >= 0.5 * len(years)


def _time(notation: str, text: str) -> int:
    try:
        times = (form.read(text, "UTC") for form in time_formats(notation))
    except ConfigError:
        return NOT_A_TIME
    return next((time for time in times if time != NOT_A_TIME), NOT_A_TIME)


def _first(sample: Sequence[str], fits: Sequence[bool]) -> tuple[str, ...]:
    unread = [text for text, is_read in zip(sample, fits, strict=True) if not is_read]
    return tuple(unread[:5])


def _numeric(sample: Sequence[str]) -> RecognisedTimes | None:
    """Recognise numbers since 1970 from 2001 to 2038, days of a spreadsheet, and 20240131101700."""
    texts = [plain_text(text) for text in sample]
    numbers = [excel_number(text) for text in texts]
    for notation, low, high in _NUMBERS:
        fits = [low <= number <= high for number in numbers]
        if sum(fits) >= MOSTLY * len(sample):
            return RecognisedTimes(notation, unread=_first(sample, fits))
    for notation, digits in _COMPACT.items():
        if sum(len(text) == digits and text.isdigit() for text in texts) < MOSTLY * len(sample):
            continue
        times = [_time(notation, text) for text in texts]
        fits = [_FIRST_COMPACT <= time < _LAST_COMPACT for time in times]
        if sum(fits) >= MOSTLY * len(sample):
            return RecognisedTimes(notation, unread=_first(sample, fits))
    return None


def _candidates(sample: Sequence[str]) -> list[str]:
    """Return the formats that the shapes of some cells suggest, the most frequent first."""
    step = max(1, len(sample) // SHAPES_FROM)
    counts: Counter[str] = Counter()
    for text in sample[::step][:SHAPES_FROM]:
        counts.update(set(_suggested(time_text(text))))
    return sorted(counts, key=lambda notation: (-counts[notation], notation))[:24]


def _suggested(text: str) -> Iterator[str]:
    for shape in _SHAPES:
        if (match := shape.fullmatch(text)) is not None:
            yield from _notations(text, match)
    for notation in _WHOLE:
        if time_formats(notation)[0].read(text, "UTC") != NOT_A_TIME:
            yield notation


def _notations(text: str, match: re.Match[str]) -> Iterator[str]:
    """Replace the parts of a text by directives: one format for each possible order of the date."""
    groups = match.groupdict()
    if groups.get("b") and not month_of(str(groups["b"])):
        return
    if groups.get("z") and zone_offset(str(groups["z"])) is None:
        return
    year = "%Y" if len(str(groups["Y"])) == 4 else "%y"
    has_half = groups.get("p") or groups.get("p1")
    directives = {
        "a": "%a", "Y": year, "m": "%m", "d": "%d", "b": "%b", "M": "%M", "S": "%S",
        "H": "%I" if has_half else "%H", "p": "%p", "z": _zone_directive(str(groups.get("z"))),
    }  # fmt: skip
    if groups.get("p1"):
        directives["p1"] = "%p" + (" " if str(groups["p1"]).endswith(" ") else "")
    if "x" not in groups:
        yield _replaced(text, match, directives)
        return
    for first, second, third in (("%d", "%m", year), ("%m", "%d", year), ("%y", "%m", "%d")):
        if third == year or year == "%y":
            order = {"x": first, "y": second, "Y": third}
            yield _replaced(text, match, directives | order)


def _zone_directive(zone: str) -> str:
    return "%z" if zone[0] in "+-" or zone == "Z" else "%Z"


def _replaced(text: str, match: re.Match[str], directives: dict[str, str]) -> str:
    groups = match.groupdict()
    spans = sorted((match.span(name), by) for name, by in directives.items() if groups.get(name))
    result, end = "", 0
    for (start, stop), directive in spans:
        result += text[end:start].replace("%", "") + directive
        end = stop
    return result + text[end:].replace("%", "")


def _fits(notation: str, sample: Sequence[str]) -> list[bool]:
    return [_time(notation, text) != NOT_A_TIME for text in sample]


def _joined(sample: Sequence[str], fits: dict[str, list[bool]]) -> RecognisedTimes | None:
    """Recognise a column that mixes two formats of one order, such as with and without a clock."""
    ranked = sorted(fits, key=lambda notation: -sum(fits[notation]))[:12]
    for i, first in enumerate(ranked):
        for second in ranked[i + 1 :]:
            both = [a or b for a, b in zip(fits[first], fits[second], strict=True)]
            same = RecognisedTimes(first).order == RecognisedTimes(second).order
            if same and sum(both) >= MOSTLY * len(sample):
                return RecognisedTimes(first + JOINED + second, unread=_first(sample, both))
    return None


def _choose(tied: list[str], sample: Sequence[str], order: str) -> tuple[str, str, str]:
    """Choose one of the formats that fit equally well; also return the doubt and the other one."""
    by_order: dict[str, str] = {}
    for notation in tied:
        by_order.setdefault(RecognisedTimes(notation).order, notation)
    if len(by_order) == 1:
        return tied[0], "", ""
    years = {first: _years(notation, sample) for first, notation in by_order.items()}
    fewest = min(years.values())
    likely = {first: by_order[first] for first in by_order if years[first] <= 2 * fewest}
    if len(likely) == 1:  # 25-01-24 and 26-01-24 are days of one year, not of two
        return next(iter(likely.values())), "", ""
    if order in likely:
        return likely[order], "", ""
    if "d" in likely and "." in re.sub("%[A-Za-z]", "", likely["d"].split("%H")[0]):
        return likely["d"], "", ""
    chosen = "m" if "m" in likely and "%p" in likely["m"] else min(likely, key="dmyY".index)
    other = next(first for first in likely if first != chosen)
    doubt = f"{listed(sample[:2])} can be read with the {_ORDERS[min(chosen, other)]}"
    return likely[chosen], f"{doubt} or with the {_ORDERS[max(chosen, other)]}", likely[other]


def _years(notation: str, sample: Sequence[str]) -> int:
    """Count the years in which the times of a sample are, in one reading."""
    form = time_formats(notation)[0]
    return len({form.read(text, "UTC") // YEAR for text in sample[:500]})
