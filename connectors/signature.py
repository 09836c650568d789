"""Signs webhooks as the Standard Webhooks specification describes, version 1.0.0.

The signature is an HMAC-SHA256 over the id, the time of the attempt and the body. Libraries of many
languages verify it: https://www.standardwebhooks.com.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
LEAST_BYTES: Final = 24
MOST_BYTES: Final = 64


def read_secrets(text: str) -> tuple[bytes, ...]:
    """Read the secrets of a webhook, separated by white space.

    A secret is `whsec_` and 24 to 64 random bytes in Base64. While a secret is replaced, two are in
    use: each message is signed with both.

    Raises
    ------
    ValueError
        If a secret is not valid, or there is none. The message does not contain it.

    Examples
    --------
    >>> read_secrets("whsec_" + base64.b64encode(bytes(24)).decode()) == (bytes(24),)
    True
    >>> read_secrets("whsec_c2hvcnQ=")
    Traceback (most recent call last):
        ...
    ValueError: The secret has 5 bytes. Expected `whsec_` and 24 to 64 random bytes in Base64.
    """
    expected = f"Expected `{PREFIX}` and {LEAST_BYTES} to {MOST_BYTES} random bytes in Base64."
    if not text.split():
        raise ValueError(f"The secret is empty. {expected}")
    secrets = []
    for written in text.split():
        encoded = written.removeprefix(PREFIX).rstrip("=")
        try:
            secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"The secret is not in Base64. {expected}") from None
        if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
            raise ValueError(f"The secret has {len(secret)} bytes. {expected}")
        secrets.append(secret)
    return tuple(secrets)


def signed_headers(
    message_id: str, timestamp: int, body: bytes, secrets: Sequence[bytes]
) -> dict[str, str]:
    """Return the headers that identify and sign a webhook.

    Parameters
    ----------
    message_id : str
        The id of the message, the same at every attempt; without a full stop.
    timestamp : int
        The time of the attempt, in seconds since 1970 UTC.
    body : bytes
        What is sent, byte for byte.
    secrets : sequence of bytes

    Examples
    --------
    >>> signed_headers("msg_1", 1674087231, b"{}", [bytes(24)])["webhook-signature"]
    'v1,uG34EZimU3gLfAAHUU/ZZD18ztMwLodeY5h1Ti5ZO9M='
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = (hmac.digest(secret, content, "sha256") for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }
