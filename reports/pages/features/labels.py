"""Names the columns of features by their labels, as a report shows them.

Reasons, the API and the model card keep the names that columns have in the CRM.
"""

import copy
import re
from collections.abc import Iterable
from dataclasses import replace

from features.feature import Feature, braced, shortened
from models.reasons import Reasoner
from models.signal_words import measured
from reports.text import column_label, quoted_name


def with_labels(reasoner: Reasoner) -> Reasoner:
    """Return a reasoner whose features have labels; its points and signals are the same."""
    labelled = copy.copy(reasoner)
    labelled.features = tuple(with_label(feature) for feature in reasoner.features)
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


def labelled_condition(words: str, features: Iterable[Feature]) -> str:
    """Return a condition of `models.signal_words` with the column's label.

    Parameters
    ----------
    words : str
        A condition about one of the features.
    features : iterable of Feature
        The features of the signal, without labels.

    Examples
    --------
    >>> budget = Feature("budget_eur", "leads", "budget_eur", "number", "budget_eur is {value}")
    >>> labelled_condition("“budget_eur” above 9,200", [budget])
    '“Budget (EUR)” above 9,200'
    """
    for feature in features:
        labelled = with_label(feature)
        if words == feature.absent:
            return labelled.absent
        before, after = measure_in_sentence(feature), measure_in_sentence(labelled)
        if words.startswith(before):
            return after + words.removeprefix(before)
    return words


def measure_in_sentence(feature: Feature) -> str:
    """Return what a feature measures; the name of a column is in quotation marks."""
    name = measured(feature)
    return quoted_name(name) if name == shortened(feature.column) else name
