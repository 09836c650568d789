"""Checks the addresses that messages are posted to. No message about one contains the address."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

EXPECTED: Final = "Expected https://HOST/PATH, or http:// on this machine alone."
LEAST_SECRET: Final = 6  # characters of a part of an address that may be secret
MOST_SHOWN: Final = 120  # characters of an answer


def check_address(url: str) -> None:
    """Check that messages can be posted to an address: https, or http on this machine alone.

    Parameters
    ----------
    url : str

    Raises
    ------
    ValueError
        If they cannot. The message does not contain the address, because it may be a secret.

    Examples
    --------
    >>> check_address("https://hooks.example.com/services/T0")
    >>> check_address("http://127.0.0.1:8080/")
    >>> check_address("http://hooks.example.com/services/T0")
    Traceback (most recent call last):
        ...
    ValueError: The address is not encrypted. Expected https://HOST/PATH, or http:// on this \
machine alone.
    """
    if re.search(r"[^\x21-\x7e]", url):
        raise ValueError(f"The address has a space or a character that is not in ASCII. {EXPECTED}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"The address is not valid. {EXPECTED}") from None
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise ValueError(f"The address is not valid. {EXPECTED}")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"The address is not encrypted. {EXPECTED}")


def is_loopback(host: str) -> bool:
    """Check whether a host is this machine.

    Examples
    --------
    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("127.1.2.3")
    (True, True, True)
    >>> is_loopback("localhost.example.com"), is_loopback("10.0.0.1")
    (False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def without_secrets(text: str, url: str) -> str:
    r"""Return the beginning of an answer on one line, without any part of the address.

    Parameters
    ----------
    text : str
        What a server answered.
    url : str
        The address that was asked. Every part of it except the host may be a secret.

    Examples
    --------
    >>> without_secrets("no service T0123456\n", "https://example.com/services/T0123456")
    'no service …'
    """
    parts = urlsplit(url)
    target = url.partition("://")[2].partition("/")[2]
    known = {f"/{target}", target, parts.path, parts.query, parts.fragment}
    known |= {parts.username or "", parts.password or ""}
    known |= set(re.split(r"[/?&=#]", target))
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= LEAST_SECRET:
            text = text.replace(secret, "…")
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= MOST_SHOWN else shown[: MOST_SHOWN - 1] + "…"
