"""The attributes of a model as fields of a flat lead, under names that generated clients can use.

Generators write a name in the style of their language, so `Lead_Source` and `LeadSource` become one
name. They add methods of their own to the class of a lead, and a field with the same name breaks
the class. Such an attribute has the prefix `attribute_`, which `/score_lead` reads anyway.
"""

import re
from typing import Final, NamedTuple

from pydantic import BaseModel

from serving.payloads.flat_lead import PREFIX, RESERVED
from serving.served_model import ServedModel

ACCESSORS: Final = ("get", "has", "set", "unset")  # Go has such a method for each field


class FlatField(NamedTuple):
    """An attribute of the model as a field of a flat lead.

    Attributes
    ----------
    column : str
        The CRM's name of the attribute.
    json_type : {"number", "string"}
    """

    column: str
    json_type: str


def squeezed(name: str) -> str:
    """Return the part of a name that is the same in the styles of all languages.

    Examples
    --------
    >>> squeezed("Lead_Source"), squeezed("leadSource"), squeezed("Größe")
    ('leadsource', 'leadsource', 'gre')
    """
    return re.sub("[^a-z0-9]", "", name.lower())


# Names that objects, or the classes that generators write, already have in a language.
METHODS: Final = {squeezed(name) for name in dir(BaseModel) if not name.startswith("_")} | {
    *("constructor", "hasownproperty", "isprototypeof", "propertyisenumerable"),  # TypeScript
    *("proto", "tojson", "tolocalestring", "valueof"),  # TypeScript
    *("equals", "gethashcode", "gettype", "memberwiseclone", "tostring"),  # C#
    *("clone", "finalize", "hashcode", "notify", "notifyall", "wait"),  # Java
    *("marshaljson", "tomap", "unmarshaljson"),  # Go
    *("cls", "fromdict", "fromjson", "self", "todict", "tostr"),  # Python
    *("getters", "jsonserialize", "modelname", "openapiformats", "openapitypes", "setters"),  # PHP
    *("additionalproperties", "false", "flatlead", "null", "this", "true"),
}


def flat_fields(model: ServedModel) -> dict[str, FlatField]:
    """Return the attributes of a model by the names that a flow can write.

    An attribute is left out if its name with the prefix is taken too.
    """
    by_column = {column: name for name, column in reversed(model.names_by_identifier.items())}
    attributes = [entry for entry in model.scorer.pipeline.attributes if entry.column in by_column]
    own = {squeezed(by_column[entry.column]) for entry in attributes}
    accessors = {accessor + name for accessor in ACCESSORS for name in own}
    taken = METHODS | accessors | {squeezed(name) for name in RESERVED}
    fields: dict[str, FlatField] = {}
    for attribute in attributes:
        name = by_column[attribute.column]
        for candidate in (name, PREFIX + name):
            if re.match("[A-Za-z]", candidate) and squeezed(candidate) not in taken:
                taken.add(squeezed(candidate))
                fields[candidate] = FlatField(attribute.column, attribute.json_type)
                break
    return fields
