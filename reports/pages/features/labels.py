"""Names the columns of features by their labels, as a report shows them.

Reasons, the API and the model card keep the names that columns have in the CRM.
"""

import copy
import re
from dataclasses import replace

from features.feature import Feature, braced, shortened
from features.looked_up import looked_up_features
from models.reasons import Reasoner
from reports.text import column_label


def with_labels(reasoner: Reasoner) -> Reasoner:
    """Return a reasoner whose features, and whose signals of pairs, have labels."""
    labelled = copy.copy(reasoner)
    labelled.features = tuple(with_label(feature) for feature in reasoner.features)
    first = [labelled.features[members[0]] for members in reasoner.members]
    labelled.signals = tuple(
        feature.signal if feature.pair else signal
        for signal, feature in zip(reasoner.signals, first, strict=True)
    )
    return labelled


def with_label(feature: Feature) -> Feature:
    """Return a feature that names its column by the column's label.

    Examples
    --------
    >>> size = Feature("company_size", "leads", "company_size", "number",
    ...                "company_size is {value}")
    >>> with_label(size).say(12.0)
    'Company size is 12'
    """
    if feature.unseen:
        return _looked_up_with_labels(feature)
    if feature.table != "leads":
        return feature
    label = column_label(feature.column)

    def relabelled(text: str, name: str, new_name: str) -> str:
        whole_name = rf"(?<!\w){re.escape(name)}(?!\w)"
        return re.sub(whole_name, lambda _: new_name, text, count=1)

    name = shortened(feature.column)
    return replace(
        feature,
        column=label,
        sentence=relabelled(feature.sentence, braced(feature.column), braced(label)),
        absent=relabelled(feature.absent, name, shortened(label)),
        measure=relabelled(feature.measure, name, shortened(label)),
    )


def _looked_up_with_labels(feature: Feature) -> Feature:
    described = looked_up_features(*map(column_label, feature.attributes))
    (labelled,) = (new for new in described if new.unit == feature.unit)
    signal = labelled.signal if feature.pair else feature.signal
    return replace(labelled, name=feature.name, signal=signal)
