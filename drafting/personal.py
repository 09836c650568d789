"""Recognises columns of personal data, free text, and columns about the person."""

import re

import numpy as np

from drafting.samples import Column

ABOUT_THE_PERSON = re.compile(
    r"(?<!lead )(?<!account )(?<!domain )(?<!company )\bage\b(?! (in )?days)|"
    r"\b(gender|sex|sexual|marital|married|nationality|citizenship|religio\w+|ethnic\w*|race|"
    r"birth\w*|born|dob|disab\w+|pregnan\w+|political|health)\b"
)
PERSON_NAME = re.compile(
    r"\b(first|last|middle|full|given|family|contact|person|customer|client|lead|user|company|"
    r"account)s? ?name\b|^((sur)?name|company)$|\b(street|address)\b"
)
PHONE_NAME = re.compile(r"\b(tele)?(phone|mobile|fax|cell|whatsapp)\b")
TEXT_NAME = re.compile(r"\b(comments?|notes?|remarks?|messages?|descriptions?|feedback)\b")
PERSONAL_CELLS = {
    "e-mail addresses": r"\S+@\S+\.\S+",
    "web addresses": r"(https?://|www\.)\S+",
    "IP addresses": r"\d{1,3}(\.\d{1,3}){3}",
    "phone numbers": r"\+\d[\d ()/.-]{6,18}",
}


def is_sensitive(column: Column) -> bool:
    """Check by the column's name whether it describes the person, such as their age."""
    return ABOUT_THE_PERSON.search(column.words) is not None


def personal_reason(column: Column) -> str | None:
    """Return why a column is personal data or free text; None if it is neither."""
    for kind, pattern in PERSONAL_CELLS.items():
        if column.share(pattern) >= 0.3:
            return f"{kind}: personal data"
    filled, values = int(column.counts.sum()), column.counts.index
    if PHONE_NAME.search(column.words) and column.share(r"(\D*\d){6,16}\D*") >= 0.5:
        return "phone numbers: personal data"
    is_varied = len(values) >= min(20, 0.5 * filled) and not column.is_number
    if PERSON_NAME.search(column.words) and is_varied:
        return "names or addresses: personal data"
    mean_words = float(np.mean([value.count(" ") + 1 for value in values])) if filled else 0.0
    is_note = TEXT_NAME.search(column.words) and mean_words >= 2 and len(values) >= 0.2 * filled
    if is_varied and (is_note or (mean_words >= 6 and len(values) >= 0.5 * filled)):
        return "free text: may contain anything, also personal data"
    return None
