"""Names of pairs of attributes in reports: both columns by their labels."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from features.attributes.category import CategoryAttribute
from features.feature import LeadValues
from features.interactions import AttributePair, ValueCount
from features.pipeline import FeaturePipeline
from models.calibration import Calibration
from models.reasons import Reasoner
from models.scale import Scale
from models.signal_words import range_words
from reports.pages.features.curves import curve_figures
from reports.pages.features.drivers import _filled_on_closing
from reports.pages.features.labels import with_labels
from reports.pages.features.left_out import columns_used

PIPELINE = FeaturePipeline(
    attributes=tuple(
        CategoryAttribute(name, frozenset(), ("a", "b")) for name in ("deal_type", "crm_region")
    ),
    left_out=(),
    interactions=(
        AttributePair(("deal_type", "crm_region"), {}, 0.0),
        ValueCount(("deal_type",), {}),
    ),
)
PAIR = "Deal type with CRM region"


class Added:
    """An estimator that adds up the numbers of its features."""

    constant = 0.0

    def contributions(self, features: Any) -> Any:
        return np.nan_to_num(features)


REASONER = with_labels(Reasoner(PIPELINE.features, Added(), Calibration(1.0, 0.0), Scale(0.0)))


def test_a_pair_is_named_by_both_labels() -> None:
    assert REASONER.signals == ("deal_type", "crm_region", PAIR)
    rate, count = (REASONER.features[j] for j in REASONER.members[2])
    assert rate.say(math.log(0.25 / 0.75)) == (
        "this Deal type and this CRM region: such leads are won in 25% of cases"
    )
    assert count.say(math.log(8), LeadValues(("a", "b"), is_seen=True)) == (
        'Deal type is "a" and CRM region is "b": such leads were seen 7 times in training'
    )
    assert rate.measure == "how often leads with the same Deal type and CRM region are won"
    assert [feature.name for feature in REASONER.features] == PIPELINE.names


def test_a_count_is_of_the_signal_of_its_column() -> None:
    count = REASONER.features[-1]
    assert REASONER.members[0] == [0, 4]
    assert count.say(math.log(2)) == "this Deal type: such leads were seen once in training"
    assert count.signal_name == "deal_type"
    assert count.measure == "how often leads with the same Deal type were seen"


def test_ranges_of_counts_are_in_words() -> None:
    count = REASONER.features[-1]
    assert range_words(count, math.log1p(5.0), math.log1p(20.0)) == "5 to 20 times"
    assert range_words(count, math.log1p(1.0), math.log1p(20.0)) == "once to 20 times"


def test_points_of_a_count_are_shown_by_counts() -> None:
    features = np.zeros((400, 5))
    features[:, 4] = np.log1p(np.repeat([0, 1, 9, 30], 100))
    (figure,) = curve_figures(REASONER, features, REASONER.parts(features), ["deal_type"], "all")
    names = [row["name"] for row in figure.rows]
    assert names == ["0 times", "once", "9 times", "30 times"]


def test_a_pair_with_a_column_that_is_filled_on_closing_is_not_shown() -> None:
    finding = SimpleNamespace(number="LS101", evidence="It is filled later.")

    class Rows(list[int]):
        audited = SimpleNamespace(at_closing={"crm_region": finding})

    rows: Any = Rows(range(9))
    signals, (takeaway,) = _filled_on_closing(rows, REASONER)
    assert signals == ["crm_region", PAIR]
    assert "“CRM region”" in takeaway.sentence


def test_columns_of_a_pair_are_used() -> None:
    reasoner = Reasoner(PIPELINE.features[2:4], Added(), Calibration(1.0, 0.0), Scale(0.0))
    scorer: Any = SimpleNamespace(reasoner=reasoner)
    assert columns_used(scorer) == {"deal_type", "crm_region"}
