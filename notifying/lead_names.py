"""Names leads in notifications: by their id if it cannot be personal, otherwise by a keyed hash.

An id can be anything: an e-mail address, a phone number, a name. So the forms that are sent as they
are form a short list, and everything else is hashed.
"""

import hmac
import re
from typing import Final

from crm.lead_ids import id_key

HASH_DIGITS: Final = 16  # 64 bits
_WORDS: Final = (
    "account|acct|case|client|co|company|contact|crm|customer|deal|id|lead|ld|ref|opp|opportunity"
    "|org|person|prospect|rec|record|request|ticket"
)
_SAFE: Final = re.compile(
    r"\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?"  # a GUID
    r"|[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}"  # hexadecimal ids and hashes
    r"|(?=[0-9]*[a-z])00[0-9a-z]{13}(?:[0-9a-z]{3})?",  # Salesforce
    re.IGNORECASE | re.ASCII,
)
# L-0001, lead_17, 42: words and signs that say nothing about a person, and a number.
_NUMBERED: Final = re.compile(
    rf"(?:(?:{_WORDS}|[a-z]{{1,2}})[-_:#/ ]?)?0*([0-9]+)(?:\.0+)?", re.IGNORECASE | re.ASCII
)
MOST_DIGITS: Final = 6  # without zeros in front; longer numbers may be phone numbers


def lead_name(lead_id: str, key: bytes, are_numbers_ids: bool = False) -> tuple[str, bool]:
    """Return the id of a lead if it cannot be personal, otherwise a keyed hash of it.

    Parameters
    ----------
    lead_id : str
    key : bytes
    are_numbers_ids : bool
        Whether numbers of 7 digits and more are ids. By default they may be phone numbers.

    Returns
    -------
    str
        The id, or `#` and 16 hexadecimal digits. All forms of an id (`crm.lead_ids.id_key`) have
        the same hash.
    bool
        Whether it is a hash.

    Examples
    --------
    >>> [lead_name(lead_id, bytes(32))[0] for lead_id in ("L-0001", "00Q5g000001AbCDEA0", "17")]
    ['L-0001', '00Q5g000001AbCDEA0', '17']
    >>> [lead_name(lead_id, bytes(32))[1] for lead_id in ("ada@acme.com", "Ada 1", "4930123456")]
    [True, True, True]
    >>> lead_name("4930123456", bytes(32), are_numbers_ids=True)
    ('4930123456', False)
    """
    numbered = _NUMBERED.fullmatch(lead_id)
    is_number = numbered is not None and (are_numbers_ids or len(numbered[1]) <= MOST_DIGITS)
    if is_number or _SAFE.fullmatch(lead_id):
        return lead_id, False
    return f"#{lead_hash(lead_id, key)[:HASH_DIGITS]}", True


def lead_hash(lead_id: str, key: bytes) -> str:
    """Return the keyed hash of a lead's id: HMAC-SHA256 of the form that all forms share."""
    content = id_key(lead_id).encode("utf-8", "surrogatepass")
    return hmac.new(key, content, "sha256").hexdigest()
