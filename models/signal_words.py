"""Names of features and of their values, in words for tables and charts."""

import math

from features.feature import Feature, in_words, shortened

CODED = ("category", "yes/no", "weekday", "month")  # units whose values have no order
LOGARITHMS = ("log-odds", "log-count")  # units whose values are shown as shares and counts

FIRST_NAME = 2  # the codes below it mean: missing, rare or unseen


def measured(feature: Feature) -> str:
    """Return the name of what a feature measures, without a value.

    Examples
    --------
    >>> since = Feature("d", "activities", "type", "days", 'last "demo" {value} ago',
    ...                 measure='time since last "demo"')
    >>> size = Feature("size", "leads", "size", "number", "size is {value}")
    >>> measured(since), measured(size)
    ('time since last "demo"', 'size')
    """
    return feature.measure or shortened(feature.column)


def range_words(feature: Feature, low: float, high: float) -> str:
    """Format a range of values; if both ends have the same words, only one of them.

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
    """Format a value alone, where the name of its feature is shown elsewhere.

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
    """Describe the leads that have a value; names from data are in quotation marks.

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
    if feature.unit == "yes/no" and feature.values and not math.isnan(value):
        return feature.values[int(value)]
    is_name = feature.unit == "category" and value >= FIRST_NAME
    return f"{_quoted(feature)} {f'“{words}”' if is_name else words}"


def condition_above(feature: Feature, limit: float) -> str:
    """Describe the leads whose value is above a limit.

    Examples
    --------
    >>> size = Feature("size", "leads", "size", "number", "size is {value}")
    >>> demos = Feature("n", "activities", "type", "count", '{value} × "demo"',
    ...                 measure='number of "demo"')
    >>> condition_above(size, 4.0), condition_above(demos, 0.0)
    ('“size” above 4', 'number of "demo" at least 1')
    >>> seen = Feature("c", "leads", "city", "log-count", "seen {value}", measure="how often seen")
    >>> condition_above(seen, math.log1p(1.0))
    'how often seen: more than once'
    """
    if feature.unit == "log-count":
        return f"{_quoted(feature)}: more than {in_words(feature.unit, limit)}"
    if feature.unit == "count":
        return f"{_quoted(feature)} at least {limit + 1:,.0f}"
    return f"{_quoted(feature)} above {in_words(feature.unit, limit)}"


def _quoted(feature: Feature) -> str:
    """Return the name of what a feature measures, in quotation marks if it is a column's name."""
    name = measured(feature)
    return f"“{name}”" if name == shortened(feature.column) else name
