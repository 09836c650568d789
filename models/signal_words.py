"""What a feature measures and where its values lie, in words for tables and charts."""

import math

from features.feature import Feature, in_words, shortened

CODED = ("category", "yes/no", "weekday", "month")  # units whose values have no more or less

FIRST_NAME = 2  # codes below are of what is missing, rare or new
_HOLE = "\0"


def measured(feature: Feature) -> str:
    """Name what a feature measures, without a value.

    Examples
    --------
    >>> pages = Feature("n", "activities", "type", "count", '{value} × "demo" in the last 7 days')
    >>> since = Feature("d", "activities", "type", "days", 'last "demo" {value} ago')
    >>> size = Feature("size", "leads", "size", "number", "size is {value}")
    >>> measured(pages), measured(since), measured(size)
    ('number of "demo" in the last 7 days', 'time since last "demo"', 'size')
    """
    said = feature.sentence.format(value=_HOLE)
    if feature.unit == "log-odds":
        return f"how often leads with the same {feature.column} are won"
    if feature.unit in ("weekday", "month"):
        named = said.removesuffix(f" on a {_HOLE}").removesuffix(f" in {_HOLE}")
        return f"{feature.unit} of {_event(named)}"
    for template, name in (
        (f"{_HOLE} × ", "number of "),
        (f"{_HOLE} of activities", "share of activities"),
        (f"{_HOLE} times the usual pace", "pace, as a multiple of the usual,"),
        (f"{_HOLE} in its stage", "time in its stage"),
        (f"{_HOLE} e-mail", "kind of e-mail"),
    ):
        if said.startswith(template):
            return name + said.removeprefix(template)
    if said.endswith(f" {_HOLE} ago"):
        return f"time since {_event(said.removesuffix(f' {_HOLE} ago'))}"
    if said.endswith(f" {_HOLE} after creation"):
        return f"time from creation to {said.removesuffix(f' {_HOLE} after creation')}"
    for end in (f' is "{_HOLE}"', f" is {_HOLE}", f' "{_HOLE}"'):
        said = said.removesuffix(end)
    return said.replace(f": {_HOLE}", "").replace(f"created at {_HOLE}:00", "hour of creation,")


def _event(said: str) -> str:
    return "creation" if said == "created" else said


def range_words(feature: Feature, low: float, high: float) -> str:
    """Write a range of values; one value where people could not tell both ends apart.

    Examples
    --------
    >>> since = Feature("d", "activities", "type", "days", 'last "demo" {value} ago')
    >>> range_words(since, 5.02, 6.3), range_words(since, 6.9, 7.0), range_words(since, 0.1, 2.0)
    ('5 to 6 days', '7 days', '2 hours to 2 days')
    """
    first, last = in_words(feature.unit, low), in_words(feature.unit, high)
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    if unit and unit.removesuffix("s") == last.partition(" ")[2].removesuffix("s"):
        first = number
    return f"{first} to {last}"


def value_words(feature: Feature, value: float) -> str:
    """Write a value alone, beside the name of what it is a value of.

    Examples
    --------
    >>> source = Feature("source", "leads", "source", "category", 'source is "{value}"',
    ...                  values=("", "a rare value", "Web"))
    >>> value_words(source, 2.0), value_words(source, 0.0), value_words(source, math.nan)
    ('Web', 'not known', 'not known')
    """
    if math.isnan(value):
        return feature.absent or "not known"
    if feature.unit != "category":
        return in_words(feature.unit, value)
    label = feature.values[int(value)] if value < len(feature.values) else ""
    return shortened(label) or feature.absent or "not known"


def condition(feature: Feature, value: float) -> str:
    """Say of which leads a value is true, with names from data in quotation marks.

    Examples
    --------
    >>> source = Feature("source", "leads", "source", "category", 'source is "{value}"',
    ...                  values=("", "a rare value", "Web"))
    >>> condition(source, 2.0), condition(source, 0.0)
    ('“source” “Web”', '“source” not known')
    """
    words = value_words(feature, value)
    if words == feature.absent:
        return words
    is_name = feature.unit == "category" and value >= FIRST_NAME
    return f"{_named(feature)} {f'“{words}”' if is_name else words}"


def condition_above(feature: Feature, limit: float) -> str:
    """Say that a value is above a limit.

    Examples
    --------
    >>> size = Feature("size", "leads", "size", "number", "size is {value}")
    >>> demos = Feature("n", "activities", "type", "count", '{value} × "demo"')
    >>> condition_above(size, 4.0), condition_above(demos, 0.0)
    ('“size” above 4', 'number of "demo" at least 1')
    """
    if feature.unit == "count":
        return f"{_named(feature)} at least {limit + 1:,.0f}"
    return f"{_named(feature)} above {in_words(feature.unit, limit)}"


def _named(feature: Feature) -> str:
    name = measured(feature)
    return f"“{name}”" if name == feature.column else name
