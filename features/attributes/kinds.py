"""The registry of the kinds of attributes.

The code that recognises columns, loads saved models and writes the data dictionary reads it. A
new kind is one module of this folder and one entry here.
"""

from features.attributes.attribute import Attribute
from features.attributes.category import CategoryAttribute
from features.attributes.choices import ChoiceAttribute
from features.attributes.date import DateAttribute
from features.attributes.email import EmailAttribute
from features.attributes.flag import FlagAttribute
from features.attributes.number import NumberAttribute
from features.attributes.target import TargetAttribute

KINDS: dict[str, type[Attribute]] = {
    kind.kind: kind
    for kind in (
        NumberAttribute,
        CategoryAttribute,
        FlagAttribute,
        DateAttribute,
        EmailAttribute,
        ChoiceAttribute,
        TargetAttribute,
    )
}
