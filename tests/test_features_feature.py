"""Values of features in words, for every unit, value and name."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.activity import ActivityFeatures
from features.attributes.category import CategoryAttribute
from features.attributes.date import DateAttribute
from features.attributes.email import EmailAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute
from features.feature import MOST_CHARACTERS, Feature, braced
from features.interactions import AttributePair, ValueCount
from features.pipeline import LEAD_TIMES, FeaturePipeline
from features.stages import StageFeatures

UNITS = (
    "count",
    "days",
    "hours",
    "share",
    "ratio",
    "number",
    "yes/no",
    "category",
    "log-odds",
    "log-count",
    "weekday",
    "month",
)
NAN = math.nan


def feature(unit: str, **attributes: Any) -> Feature:
    return Feature("f", "leads", "size", unit, "it is {value}", **attributes)


@pytest.mark.parametrize(
    ("unit", "value", "words"),
    [
        ("number", 3.0, "it is 3"),
        ("number", -0.0, "it is 0"),
        ("number", -7.0, "it is -7"),
        ("number", 2.5, "it is 2.5"),
        ("number", 0.12345, "it is 0.1235"),
        ("number", 48_213.6, "it is 48,214"),
        ("number", 1_234_567.0, "it is 1,234,567"),
        ("number", 1e300, "it is 1e+300"),
        ("number", -math.inf, "it is -inf"),
        ("count", 1.0, "it is 1"),
        ("count", 1_200.0, "it is 1,200"),
        ("days", 0.0, "it is less than a minute"),
        ("days", 1 / 1440, "it is 1 minute"),
        ("days", 0.02, "it is 29 minutes"),
        ("days", 1 / 24, "it is 1 hour"),
        ("days", 0.4, "it is 10 hours"),
        ("days", 1.0, "it is 1 day"),
        ("days", 1.4, "it is 1 day"),
        ("days", 400.0, "it is 400 days"),
        ("hours", 0.5, "it is 30 minutes"),
        ("hours", 1.0, "it is 1 hour"),
        ("hours", 50.0, "it is 2 days"),
        ("share", 0.25, "it is 25%"),
        ("share", 1.0, "it is 100%"),
        ("ratio", 2.345, "it is 2.3"),
        ("ratio", 0.0, "it is 0.0"),
        ("yes/no", 1.0, "it is yes"),
        ("yes/no", 0.0, "it is no"),
        ("log-odds", 0.0, "it is 50%"),
        ("log-odds", -math.log(4), "it is 20%"),
        ("log-odds", -1e308, "it is 0%"),
        ("log-odds", 1e308, "it is 100%"),
        ("log-count", math.log(2), "it is once"),
        ("log-count", math.log1p(1.25), "it is once"),
        ("log-count", math.log1p(1_250.0), "it is 1,250 times"),
        ("log-count", 1e308, "it is 1.01e+304 times"),
        ("weekday", 0.0, "it is Monday"),
        ("weekday", 6.0, "it is Sunday"),
        ("month", 1.0, "it is January"),
        ("month", 12.0, "it is December"),
    ],
)
def test_value_in_words(unit: str, value: float, words: str) -> None:
    assert feature(unit).say(value) == words


@pytest.mark.parametrize("unit", UNITS)
def test_missing_value_in_words(unit: str) -> None:
    assert feature(unit).say(NAN) == "size is not known"
    assert feature(unit, absent="none yet").say(NAN) == "none yet"


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("count", "none yet"),
        ("share", "none yet"),
        ("number", "it is 0"),
        ("ratio", "it is 0.0"),
        ("days", "it is less than a minute"),
        ("yes/no", "it is no"),
        ("weekday", "it is Monday"),
    ],
)
def test_zero_count_is_described_as_absence(unit: str, words: str) -> None:
    assert feature(unit, absent="none yet").say(0.0) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0.0, "no source"),
        (1.0, "it is a value that is rare or new"),
        (2.0, "it is Web"),
        (3.0, "no source"),  # a code that no training saw
        (400.0, "no source"),
        (NAN, "no source"),
    ],
)
def test_category_in_words(code: float, words: str) -> None:
    values = ("", "a value that is rare or new", "Web")
    assert feature("category", absent="no source", values=values).say(code) == words


def test_signal_defaults_to_the_column() -> None:
    assert feature("number").signal_name == "f"
    assert feature("number", signal="mails").signal_name == "mails"


@pytest.mark.parametrize(
    ("name", "prepared"),
    [("a", "a"), ("{0}", "{{0}}"), ("{", "{{"), ("a}b{c", "a}}b{{c"), ("{value}", "{{value}}")],
)
def test_braces_in_names_are_escaped(name: str, prepared: str) -> None:
    assert braced(name) == prepared
    assert f"{braced(name)} is {{value}}".format(value=3) == f"{name} is 3"


def test_long_names_are_shortened() -> None:
    assert braced("x" * MOST_CHARACTERS) == "x" * MOST_CHARACTERS
    assert braced("x" * 10_000) == "x" * (MOST_CHARACTERS - 1) + "…"
    assert braced("{" * 10_000) == "{{" * (MOST_CHARACTERS - 1) + "…"


# -- every feature that leadscore makes ------------------------------------------------------

STRANGE = ["{value}", "{0.__class__}", '"', "'", "%s", "}{", "<b>", "\n", "名前", "", "x" * 10_000]


def pipeline_of(name: str) -> FeaturePipeline:
    """Return a pipeline all of whose names are this one."""
    none: frozenset[str] = frozenset()
    return FeaturePipeline(
        attributes=(
            NumberAttribute(name, none, 1.0),
            CategoryAttribute(name, none, (name,)),
            FlagAttribute(name, none),
            DateAttribute(name, none, "age_days"),
            DateAttribute(name, none, "weekday"),
            DateAttribute(name, none, "month"),
            EmailAttribute(name, none),
            TargetAttribute(name, none, {name: -1.0}, -2.0),
        ),
        left_out=(),
        has_times=True,
        activities=ActivityFeatures((name,), (name,)),
        stages=StageFeatures((name,)),
        interactions=(AttributePair((name, name), {}, 0.0), ValueCount((name,), {})),
    )


def of_unit(unit: str) -> list[float]:
    codes = {"weekday": range(7), "month": range(1, 13), "yes/no": (0, 1), "category": range(9)}
    return [NAN, *map(float, codes.get(unit, (0, 1e-9, 0.3, 1, 2.5, 1e6, 1e15)))]


@pytest.mark.parametrize("name", STRANGE, ids=lambda name: ascii(name)[:20])
def test_every_feature_has_words_for_any_name(name: str) -> None:
    features = pipeline_of(name).features
    assert len(features) > 25
    assert {feature.unit for feature in features} == set(UNITS)
    for feature in features:
        for value in of_unit(feature.unit):
            words = feature.say(value)
            assert words
            assert len(words) < 250, (feature.name[:40], len(words))
            assert "{{" not in words
            assert "}}" not in words
            assert words.count("{") <= 2 * name.count("{")


def test_names_are_kept_in_words() -> None:
    features = {feature.name: feature for feature in pipeline_of('a "{b}"').features}
    assert features['activity[a "{b}"].count'].say(0.0) == 'no "a "{b}"" yet'
    assert '"a "{b}""' in features['activity[a "{b}"].count'].say(3.0)
    assert features['activity.channel[a "{b}"].share'].say(0.5) == (
        '50% of activities by "a "{b}""'
    )


def test_every_sentence_has_one_placeholder() -> None:
    features = pipeline_of("x").features
    assert len(features) > 25
    for feature in features:
        assert re.findall(r"\{[^}]*\}", feature.sentence) == ["{value}"], feature.name
        assert "{" not in feature.absent, feature.name


def test_windows_of_an_activity_type_are_one_signal() -> None:
    features = ActivityFeatures(("demo", "mail"), ("web",)).features
    by_signal: dict[str, list[str]] = {}
    for feature in features:
        by_signal.setdefault(feature.signal_name, []).append(feature.name)
    of_demo = [names for names in by_signal.values() if "activity[demo].count" in names]
    assert of_demo == [[feature.name for feature in features if "[demo]" in feature.name]]
    assert len(by_signal) == 4  # all activities, demos, mails, channels


def test_creation_time_features_are_one_signal() -> None:
    assert len({feature.signal_name for feature in LEAD_TIMES}) == 1
    assert len({feature.signal_name for feature in StageFeatures(("new",)).features}) == 1


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_is_formatted_briefly(value: float) -> None:
    for unit in ("number", "count", "share", "ratio", "log-odds", "log-count"):
        if unit in ("share", "ratio") and abs(value) > 1e15:
            continue  # neither can be
        assert 0 < len(feature(unit).say(value)) < 60


@pytest.mark.parametrize(("days", "words"), [(None, ""), (1.0, "1 day"), (30.0, "30 days")])
def test_window_is_in_words(days: float | None, words: str) -> None:
    assert replace(feature("count"), window_days=days).window == words
