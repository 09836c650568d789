"""Decides which ids of two tables are the same lead.

An id is text: `10.001` and `007` stay as they are. Exports of one CRM write the same id in a few
forms, and `id_key` is the form that they share.
"""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Bools, Ints
from crm.cells import is_among

_SALESFORCE: Final = re.compile("[0-9A-Za-z]{15}[A-Za-z0-5]{3}")
_SALESFORCE_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SALESFORCE_KEY: Final = re.compile("[0-9A-Za-z]{15}")
EXCEL_DIGITS: Final = 15  # the digits of a number that Excel keeps
FLOAT_DIGITS: Final = 17  # the digits of a number that 64 bits keep
SHORTENED: Final = r"\+?\d(?:[.,]\d+)?[eE]\+?\d{2,3}"  # matches an id that became 9.19E+11
_LONG: Final = re.compile(rf"[0-9]{{{EXCEL_DIGITS},}}0")
_DIGITS: Final = re.compile("[0-9]+")
_WITH_DECIMALS: Final = re.compile(r"[0-9]+\.0+")
_GROUPED: Final = re.compile("[0-9]{1,3}(,[0-9]{3})+")
_GUID: Final = re.compile(r"\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
# Matches every id whose key may be another text. It is quick to test, in Arrow.
_MAY_DIFFER: Final = r"^[0-9]+\.0+$|^[0-9A-Za-z]{18}$|^\{?[0-9A-Fa-f]{8}-|@"


def has_lost_digits(text: str) -> bool:
    """Check whether a whole number may have lost its last digits, because a program rounded it.

    Excel keeps 15 digits of a number. Other programs keep 16 or 17, as 64 bits do. The other digits
    are zeros. One number in ten ends in a zero anyway, so the caller counts such numbers.

    Examples
    --------
    >>> has_lost_digits("1234567890123450"), has_lost_digits("1234567890123457000")
    (True, True)
    >>> has_lost_digits("1234567890123456"), has_lost_digits("1234567890"), has_lost_digits("A70")
    (False, False, False)
    """
    return _LONG.fullmatch(text) is not None and len(text.rstrip("0")) <= FLOAT_DIGITS


def id_key(lead_id: str) -> str:
    """Return the text that all forms of an id share. Other ids are returned as they are.

    - A whole number loses the ".0" or ".00" that programs append.
    - Salesforce's ids of 18 characters begin with the 15 characters of the same id. The last three
      are a checksum of the case. Ids of 15 characters that differ in case are different leads.
    - A GUID, as in Dataverse, has no braces and is in lower case.
    - An e-mail address is in lower case.

    Parameters
    ----------
    lead_id : str
        As `crm.cells.cell_text` returns it.

    Examples
    --------
    >>> id_key("100.0"), id_key("10.001"), id_key("007")
    ('100', '10.001', '007')
    >>> id_key("00Q5g000001AbCDEA0"), id_key("00Q5g000001AbCD")
    ('00Q5g000001AbCD', '00Q5g000001AbCD')
    >>> id_key("{7D2C1E0A-5B1F-4C7A-9A3E-0C1D2E3F4A5B}")
    '7d2c1e0a-5b1f-4c7a-9a3e-0c1d2e3f4a5b'
    """
    if _WITH_DECIMALS.fullmatch(lead_id):
        return lead_id.partition(".")[0]
    if _SALESFORCE.fullmatch(lead_id):
        return _salesforce_key(lead_id)
    if _GUID.fullmatch(lead_id):
        return lead_id.strip("{}").lower()
    return lead_id.lower() if _EMAIL.fullmatch(lead_id) else lead_id


def bare_id(lead_id: str) -> str:
    """Return the text that an id shares with its forms that a spreadsheet has damaged.

    A number loses the zeros at its beginning and its thousands separators, every id an apostrophe
    before it. Ids with the same bare form are not always the same lead.

    Parameters
    ----------
    lead_id : str
        As `id_key` returns it.

    Examples
    --------
    >>> bare_id("007"), bare_id("1,007"), bare_id("'A07"), bare_id("000")
    ('7', '1007', 'A07', '0')
    """
    text = lead_id.removeprefix("'")
    number = text.replace(",", "") if _GROUPED.fullmatch(text) else id_key(text)
    return number.lstrip("0") or "0" if _DIGITS.fullmatch(number) else text


def id_forms(lead_id: str) -> list[str]:
    """Return an id and the other forms in which programs usually write it, without repeats.

    All forms have the same key. An e-mail address in mixed case is not among the forms of another.

    Examples
    --------
    >>> id_forms("100.0"), id_forms("A7")
    (['100.0', '100'], ['A7'])
    >>> id_forms("00Q5g000001AbCD")
    ['00Q5g000001AbCD', '00Q5g000001AbCDEA0']
    """
    key = id_key(lead_id)
    forms = [lead_id, key]
    if _DIGITS.fullmatch(key):
        forms.append(f"{key}.0")
    if _SALESFORCE_KEY.fullmatch(key):
        forms.append(key + _salesforce_suffix(key))
    if _GUID.fullmatch(key):
        forms += [key.upper(), f"{{{key}}}", f"{{{key.upper()}}}"]
    return [form for form in dict.fromkeys(forms) if id_key(form) == key]


def id_keys(ids: pd.Series) -> pd.Series:
    """Return the key of each id of a column; missing ids stay missing.

    Parameters
    ----------
    ids : Series of str, shape (n,)

    Returns
    -------
    Series of str, shape (n,), with the index of `ids`

    Examples
    --------
    >>> id_keys(pd.Series(["100.0", "A7", None], dtype="str")).tolist()
    ['100', 'A7', nan]
    """
    text = pa.array(ids.array, pa.large_string())
    may_differ = pc.match_substring_regex(text, _MAY_DIFFER).fill_null(False)
    places = np.flatnonzero(may_differ.to_numpy(zero_copy_only=False))
    if not len(places):
        return ids
    codes, distinct = pd.factorize(ids.iloc[places])
    keys = np.array([id_key(lead_id) for lead_id in distinct], dtype=object)
    result = ids.copy()
    result.iloc[places] = keys[codes]
    return result


def has_lead(ids: Iterable[str], lead_ids: Iterable[str]) -> Bools:
    """Return which ids of another table are ids of leads, shape (n,).

    Examples
    --------
    >>> has_lead(["00Q5g000001AbCDEA0", "7"], ["00Q5g000001AbCD", "8"]).tolist()
    [True, False]
    """
    keys = id_keys(pd.Series(list(ids), dtype="str"))
    return is_among(keys, id_keys(pd.Series(list(lead_ids), dtype="str")))


def as_lead_ids(ids: pd.Series, lead_ids: pd.Series) -> pd.Series:
    """Return the ids of another table as the leads table writes them.

    Parameters
    ----------
    ids : Series of str, shape (n,)
        No id is missing.
    lead_ids : Series of str, shape (n_leads,)
        The ids of the leads; their keys differ.

    Returns
    -------
    Series of str, shape (n,), with the index of `ids`
        Ids of unknown leads stay as they are.

    Examples
    --------
    >>> ids = pd.Series(["00Q5g000001AbCDEA0", "7.0", "9"], dtype="str")
    >>> as_lead_ids(ids, pd.Series(["00Q5g000001AbCD", "7"], dtype="str")).tolist()
    ['00Q5g000001AbCD', '7', '9']
    """
    unknown = ~is_among(ids, lead_ids)
    if not unknown.any():
        return ids
    of_key = dict(zip(id_keys(lead_ids), lead_ids, strict=True))
    matched = ids.copy()
    others = ids[unknown]
    matched[unknown] = [
        of_key.get(key, lead_id) for key, lead_id in zip(id_keys(others), others, strict=True)
    ]
    return matched


def places(ids: pd.Series, leads: pd.Index | pd.Series) -> Ints:
    """Return the positions of ids in a list of distinct lead ids; -1 if an id is not in it.

    Examples
    --------
    >>> places(pd.Series(["L2", "L9", "L1"]), pd.Series(["L1", "L2"])).tolist()
    [1, -1, 0]
    """
    # Arrow's look-up of text takes a tenth of the time of pandas' look-up.
    text = pa.large_string()
    positions = pc.index_in(pa.array(ids.array, text), value_set=pa.array(leads.array, text))
    return positions.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _salesforce_suffix(key: str) -> str:
    """Return the last three characters of an id of 18, which encode the case of the first 15."""
    bits = [sum(key[start + i].isupper() << i for i in range(5)) for start in (0, 5, 10)]
    return "".join(_SALESFORCE_SUFFIX[number] for number in bits)


def _salesforce_key(lead_id: str) -> str:
    """Return the 15 characters of an id of 18, in the case that its last three encode.

    Programs that ignore the case may have changed all letters to one case. If the last three
    characters do not fit, it is another kind of id.
    """
    letters, suffix = lead_id[:15], lead_id[15:].upper()
    upper = [
        _SALESFORCE_SUFFIX.index(suffix[place // 5]) >> place % 5 & 1 == 1 for place in range(15)
    ]
    restored = "".join(
        letter.upper() if is_upper else letter.lower()
        for letter, is_upper in zip(letters, upper, strict=True)
    )
    is_possible = all(
        letter.isalpha() for letter, is_upper in zip(letters, upper, strict=True) if is_upper
    )
    lost_its_case = lead_id in (lead_id.lower(), lead_id.upper())
    return restored if is_possible and (restored == letters or lost_its_case) else lead_id
