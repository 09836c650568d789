"""Reads which activities, columns and values are retired, by the section `[monitor]`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Objects
from crm.cells import cell_text, text_column
from crm.project import MonitorKeys
from crm.records import Records
from crm.suggest import nearest
from crm.text import quote
from features.activity import signal_of_type
from features.attributes.attribute import MISSING_GROUP, UNSEEN, Attribute, spellings
from features.attributes.choices import ChoiceAttribute
from features.feature import Feature
from features.pipeline import FeaturePipeline
from monitoring.check import Check, Verdict

ACTIVITIES, COLUMNS, VALUES = "retired_activities", "retired_columns", "retired_values"
MOST_KNOWN = 1_000  # values of a column that a misspelled one is compared with


@dataclass(frozen=True)
class Retired:
    """The names that are retired, without differences in case.

    Attributes
    ----------
    activities : mapping of str to str
        The types of activities as the project file writes them, by their case-folded form.
    columns : tuple of str
    values : mapping of str to mapping of str to str
        For each column, its values as `activities` has the types.
    """

    activities: Mapping[str, str]
    columns: tuple[str, ...]
    values: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, keys: MonitorKeys) -> "Retired":
        """Return the names of the project file.

        Examples
        --------
        >>> retired = Retired.of(MonitorKeys(retired_values={"source": ["Trade fair", 2023]}))
        >>> retired.values
        {'source': {'trade fair': 'Trade fair', '2023': '2023'}}
        """
        return cls(
            _by_folded(keys.retired_activities),
            tuple(keys.retired_columns),
            {column: _by_folded(values) for column, values in keys.retired_values.items()},
        )

    def has_gone(self, feature: Feature, attribute: Attribute | None) -> bool:
        """Check whether a feature describes only what is retired.

        Parameters
        ----------
        feature : Feature
        attribute : Attribute or None
            The attribute of the feature; None if it is not one of an attribute.
        """
        if set(feature.attributes) & set(self.columns):
            return True
        if isinstance(attribute, ChoiceAttribute):
            return attribute.value.casefold() in self.values.get(attribute.column, {})
        signals = {signal_of_type(name).casefold() for name in self.activities}
        return feature.table == "activities" and feature.signal.casefold() in signals

    def codes(self, feature: Feature) -> list[float]:
        """Return the codes of the retired values of a category."""
        if feature.unit != "category":
            return []
        retired = self.values.get(feature.column, {})
        return [float(i) for i, text in enumerate(feature.values) if text.casefold() in retired]


def _by_folded(names: Iterable[Any]) -> dict[str, str]:
    texts = [text for text in map(cell_text, names) if text is not None]
    return {text.casefold(): text for text in texts}


def rows_of(texts: Objects, names: Iterable[str]) -> Bools:
    """Select the texts that are one of some case-folded names, shape (n,).

    Examples
    --------
    >>> rows_of(np.array(["Fax", None, "call"], dtype=object), ["fax"]).tolist()
    [True, False, False]
    """
    codes, distinct = pd.factorize(texts, use_na_sentinel=True)
    wanted = set(names)
    is_named = np.array([text.casefold() in wanted for text in distinct] + [False], dtype=bool)
    return np.asarray(is_named[codes])


def rows_with_value(records: Records, pipeline: FeaturePipeline, column: str, name: str) -> Bools:
    """Select the leads that have a value in a column, shape (n_leads,).

    Parameters
    ----------
    records : Records
    pipeline : FeaturePipeline
        It knows which columns contain several values in a cell.
    column : str
    name : str
        The value, case-folded.
    """
    if column not in records.leads:
        return np.zeros(len(records.leads), dtype=bool)
    cells = records.leads[column]
    for choice in (a for a in pipeline.attributes if isinstance(a, ChoiceAttribute)):
        if choice.column == column and choice.value.casefold() == name:
            return np.asarray(choice.encode_column(cells) == 1)
    return rows_of(text_column(cells), [name])


def rows_filled(records: Records, column: str, nothing: frozenset[str]) -> Bools:
    """Select the leads that have any value in a column, shape (n_leads,)."""
    if column not in records.leads:
        return np.zeros(len(records.leads), dtype=bool)
    return np.asarray(spellings(records.leads[column], nothing) != MISSING_GROUP)


def not_expected(key: str, names: Sequence[str]) -> str:
    """Return a sentence about names that a check leaves out; "" without names.

    Examples
    --------
    >>> not_expected("retired_activities", ['"fax"'])
    '"fax" is not expected: [monitor] retired_activities names it.'
    >>> not_expected("retired_columns", ["`fax`", "`telex`"])
    '`fax` and `telex` are not expected: [monitor] retired_columns names them.'
    """
    if not names:
        return ""
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    verb, pronoun = ("is", "it") if len(names) == 1 else ("are", "them")
    return f"{listed} {verb} not expected: [monitor] {key} names {pronoun}."


def value_name(column: str, value: str) -> str:
    """Name a value and its column in a sentence."""
    return f'"{value}" of `{column}`'


def with_retired(check: Check, left_out: str, back: Sequence[str]) -> Check:
    """Add to a check what it leaves out as retired, and say watch if that arrives again.

    Parameters
    ----------
    check : Check
    left_out : str
        A sentence; "" if nothing is left out.
    back : sequence of str
        The sentences of `back_again`.
    """
    arriving = [sentence for sentence in back if sentence]
    evidence = " ".join(filter(None, [check.evidence, left_out, *arriving]))
    if not arriving:
        return replace(check, evidence=evidence)
    step = (
        "CRM admin: find out why it is used again. If that is right, remove it from the section "
        "[monitor] of the project file."
    )
    verdict = max(check.verdict, Verdict.WATCH, key=lambda v: v.rank)
    next_step = " ".join(filter(None, [check.next_step, step]))
    return replace(check, verdict=verdict, evidence=evidence, next_step=next_step)


def retire_list(key: str, retired: Iterable[str], gone: Sequence[str]) -> str:
    """Return what to write if names are gone on purpose, besides those that are retired.

    Examples
    --------
    >>> print(retire_list("retired_activities", ["telex"], ["fax"]))
     If they are gone on purpose, write `retired_activities = ["telex", "fax"]` in the section \
[monitor] of the project file.
    >>> retire_list("retired_activities", ["telex"], [])
    ''
    """
    names = ", ".join(map(quote, _distinct(retired, gone)))
    return _if_on_purpose(f"{key} = [{names}]") if gone else ""


def _if_on_purpose(line: str) -> str:
    return (
        f" If they are gone on purpose, write `{line}` in the section [monitor] of the project "
        "file."
    )


def retire_values(retired: Retired, gone: Sequence[tuple[str, str]]) -> str:
    """Return what to write if values are gone on purpose, pairs of a column and a value.

    Examples
    --------
    >>> retired = Retired.of(MonitorKeys(retired_values={"source": ["Fax"]}))
    >>> print(retire_values(retired, [("source", "Trade fair"), ("City", "Bonn")]))
     If they are gone on purpose, write `retired_values = {"source" = ["Fax", "Trade fair"], \
"City" = ["Bonn"]}` in the section [monitor] of the project file.
    """
    if not gone:
        return ""
    columns = _distinct(retired.values, [column for column, _ in gone])
    lists = {
        column: _distinct(
            retired.values.get(column, {}).values(), [value for of, value in gone if of == column]
        )
        for column in columns
    }
    tables = [
        f"{quote(column)} = [{', '.join(map(quote, values))}]" for column, values in lists.items()
    ]
    return _if_on_purpose(f"{VALUES} = {{{', '.join(tables)}}}")


def _distinct(first: Iterable[str], then: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *then]))


def known_retired(
    keys: MonitorKeys, records: Records, pipeline: FeaturePipeline
) -> tuple[Retired, list[str]]:
    """Return what is retired, and a sentence for each name that is left out.

    A name is left out if neither the records nor the model know it. A retired name disappears from
    the records one day, so this is not an error.

    Parameters
    ----------
    keys : MonitorKeys
    records : Records
    pipeline : FeaturePipeline
        That of the champion. It knows names that the records do not contain any more.
    """
    retired = Retired.of(keys)
    advice = "Correct the name, or remove it."
    types = _distinct(
        [] if records.activities is None else _frequent(records.activities["type"]),
        pipeline.activities.types if pipeline.activities else (),
    )
    columns = _distinct(pipeline.columns, map(str, records.leads.columns))
    sentences = [
        f"[monitor] {ACTIVITIES}: there is no activity of type `{name}`. "
        f"{nearest(name, types)} {advice}"
        for name in _unknown(retired.activities, types)
    ]
    sentences += [
        f"[monitor] {key}: there is no column `{name}`. {nearest(name, columns)} {advice}"
        for key, names in ((COLUMNS, retired.columns), (VALUES, retired.values))
        for name in names
        if name not in columns
    ]
    values = {}
    for column in (name for name in retired.values if name in columns):
        of_column, known = retired.values[column], _known_values(column, records, pipeline)
        values[column] = _known(of_column, known)
        sentences += [
            f"[monitor] {VALUES}: no lead has `{name}` in `{column}`. "
            f"{nearest(name, known[:MOST_KNOWN])} {advice}"
            for name in _unknown(of_column, known)
        ]
    used = Retired(
        _known(retired.activities, types),
        tuple(name for name in retired.columns if name in columns),
        values,
    )
    return used, sentences


def _known(names: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    folded = {name.casefold() for name in known}
    return {key: name for key, name in names.items() if key in folded}


def _unknown(names: Mapping[str, str], known: Iterable[str]) -> list[str]:
    return [name for key, name in names.items() if key not in _known(names, known)]


def _known_values(column: str, records: Records, pipeline: FeaturePipeline) -> list[str]:
    """Return the values of a column in the records and in the model, the most frequent first."""
    in_model: list[str] = []
    for attribute in pipeline.attributes:
        if attribute.column == column and isinstance(attribute, ChoiceAttribute):
            in_model.append(attribute.value)
        elif attribute.column == column and attribute.feature.unit == "category":
            in_model += attribute.feature.values[UNSEEN + 1 :]
    in_records = _frequent(records.leads[column]) if column in records.leads else []
    return _distinct([name for name in in_model if name], in_records)


def _frequent(column: pd.Series) -> list[str]:
    return list(pd.Series(text_column(column)).value_counts().index)
