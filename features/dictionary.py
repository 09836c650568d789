"""Writes the data dictionary: every kind of feature, from the descriptions that reasons use."""

from features.activity import ActivityFeatures
from features.attributes.kinds import KINDS
from features.feature import Feature
from features.looked_up import looked_up_features
from features.pipeline import LEAD_TIMES
from features.stages import StageFeatures

HEAD = """# Data dictionary

Every feature that leadscore can compute, with its source, window and unit. `make docs` generates
this page from the code. `leadscore features` lists the features of a trained model.

A feature at a moment uses only what was recorded at or before the moment. A window of d days
contains what happened after `as_of - d days`, up to and including `as_of`. If nothing happened,
counts and shares are 0, and times since an event are missing.
"""

INTERACTIONS = """These features are added only if they were seen to improve predictions. They are
looked up by the values of the lead: a missing value is a value, and values that were not seen in
training have the average log-odds and the count 0. Log-odds are smoothed, a log count is
`log(1 + n)` of the training moments, and both are learned out of fold. A reason names the values.
"""


def data_dictionary() -> str:
    """Write the dictionary as Markdown.

    `COLUMN`, `TYPE` and `CHANNEL` are placeholders for the names that a CRM uses.

    Returns
    -------
    str
    """
    attributes = [attribute for kind in KINDS.values() for attribute in kind.examples()]
    notes = [(attribute.feature, attribute.note) for attribute in attributes]
    parts = [HEAD, "## Attributes of the leads\n", _table(notes, "what is read")]
    _, count = looked_up_features("COLUMN")
    found = [*looked_up_features("COLUMN", "OTHER"), count]
    parts += [
        "\n## Pairs of attributes, and counts of values\n",
        INTERACTIONS,
        _table([(feature, feature.template) for feature in found], "in words"),
    ]
    activities = ActivityFeatures(types=("TYPE",), channels=("CHANNEL",)).features
    for heading, features in (
        ("The lead's own time", list(LEAD_TIMES)),
        ("Activities", activities),
        ("Stages", StageFeatures(()).features),
    ):
        parts += [
            f"\n## {heading}\n",
            _table([(feature, feature.template) for feature in features], "in words"),
        ]
    return "\n".join(parts)


def _table(rows: list[tuple[Feature, str]], last: str) -> str:
    lines = [f"| feature | table | columns | window | unit | {last} |", "|---|---|---|---|---|---|"]
    for feature, text in rows:
        lines.append(
            f"| `{feature.name}` | {feature.table} | `{feature.column}` "
            f"| {feature.window or 'all'} | {feature.unit} | {text} |"
        )
    return "\n".join(lines) + "\n"
