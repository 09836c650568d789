"""Checks HubSpot's signatures, version 3, which prove that a call comes from HubSpot.

HubSpot signs method, address, body and time with the app's secret. The address is the one that
HubSpot called, so the service needs its public URL as a setting. Versions 1 and 2 do
not sign the time, so anyone who has seen such a call could repeat it. They are not accepted.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping

SIGNATURE = b"x-hubspot-signature-v3"
SENT_AT = b"x-hubspot-request-timestamp"
MAX_AGE_MS = 5 * 60 * 1_000
_decoded = re.compile(rb"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def is_signed(
    headers: Mapping[bytes, bytes], secret: str, method: str, uri: str, body: bytes, now_ms: int
) -> bool:
    """Check whether HubSpot signed this request within the last five minutes.

    Parameters
    ----------
    headers : mapping of bytes to bytes
        Names in lower case.
    secret : str
        The app's client secret.
    method, uri : str
        The method, and the whole URI that HubSpot called, with its query.
    body : bytes
    now_ms : int
        Milliseconds since 1970 UTC.

    Examples
    --------
    >>> headers = {SENT_AT: b"1693657560000",
    ...            SIGNATURE: b"K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="}
    >>> call = ("yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", "POST",
    ...         "https://www.example.com/webhook_uri", b"{'example_field':'example_value'}")
    >>> is_signed(headers, *call, now_ms=1693657560000)
    True
    >>> is_signed(headers, *call, now_ms=1693657560000 + MAX_AGE_MS + 1)
    False
    """
    sent_at = headers.get(SENT_AT, b"")
    if not (sent_at.isdigit() and len(sent_at) < 16 and abs(now_ms - int(sent_at)) <= MAX_AGE_MS):
        return False
    address = _decoded.sub(lambda match: binascii.unhexlify(match[1]), uri.encode())
    signed = method.encode() + address + body + sent_at
    expected = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256))
    return hmac.compare_digest(expected, headers.get(SIGNATURE, b""))
