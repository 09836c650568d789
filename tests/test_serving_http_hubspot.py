"""Tests of HubSpot's signatures, with HubSpot's own example and through the application."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm.errors import ConfigError
from serving.http.hubspot import MAX_AGE_MS, is_signed
from serving.settings import read_settings
from tests.made_keys import HUBSPOT_SECRET, Post, poster, service_with_keys

SENT_AT = 1693657560000
SIGNED = ("POST", "https://www.example.com/webhook_uri", b"{'example_field':'example_value'}")
HEADERS = {
    b"x-hubspot-request-timestamp": str(SENT_AT).encode(),
    b"x-hubspot-signature-v3": b"K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
}


def test_hubspots_own_example_is_signed() -> None:
    assert is_signed(HEADERS, HUBSPOT_SECRET, *SIGNED, now_ms=SENT_AT)
    later = HEADERS | {
        b"x-hubspot-request-timestamp": b"1700000300000",
        b"x-hubspot-signature-v3": b"RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw=",
    }
    assert is_signed(later, HUBSPOT_SECRET, *SIGNED, now_ms=1700000300000)


def test_signature_is_valid_for_five_minutes() -> None:
    assert is_signed(HEADERS, HUBSPOT_SECRET, *SIGNED, now_ms=SENT_AT + MAX_AGE_MS)
    assert not is_signed(HEADERS, HUBSPOT_SECRET, *SIGNED, now_ms=SENT_AT + MAX_AGE_MS + 1)


def test_signature_from_the_future_is_refused() -> None:
    assert is_signed(HEADERS, HUBSPOT_SECRET, *SIGNED, now_ms=SENT_AT - MAX_AGE_MS)
    assert not is_signed(HEADERS, HUBSPOT_SECRET, *SIGNED, now_ms=SENT_AT - MAX_AGE_MS - 1)


def test_altered_request_is_not_signed() -> None:
    method, uri, body = SIGNED
    assert not is_signed(HEADERS, HUBSPOT_SECRET[:-1], *SIGNED, now_ms=SENT_AT)
    assert not is_signed(HEADERS, HUBSPOT_SECRET, "PUT", uri, body, now_ms=SENT_AT)
    assert not is_signed(HEADERS, HUBSPOT_SECRET, method, uri + "?a=1", body, now_ms=SENT_AT)
    assert not is_signed(HEADERS, HUBSPOT_SECRET, method, uri, body + b" ", now_ms=SENT_AT)


@pytest.mark.parametrize("sent_at", [b"", b"now", b"-1", b"1e12", b"9" * 40])
def test_invalid_timestamp_is_refused(sent_at: bytes) -> None:
    headers = HEADERS | {b"x-hubspot-request-timestamp": sent_at}
    assert not is_signed(headers, HUBSPOT_SECRET, *SIGNED, now_ms=SENT_AT)


def test_address_is_decoded_as_hubspot_signs_it() -> None:
    signed = b"POSThttps://x.example/a:b?c=%20d/e" + b"{}" + b"1"
    signature = base64.b64encode(hmac.digest(b"s", signed, hashlib.sha256))
    headers = {b"x-hubspot-request-timestamp": b"1", b"x-hubspot-signature-v3": signature}
    assert is_signed(headers, "s", "POST", "https://x.example/a%3Ab?c=%20d%2fe", b"{}", 1)


def test_secret_needs_the_public_url() -> None:
    with pytest.raises(ConfigError, match="LEADSCORE_PUBLIC_URL"):
        read_settings({"LEADSCORE_HUBSPOT_SECRET": "s"})


def test_secret_is_not_shown() -> None:
    environ = {"LEADSCORE_HUBSPOT_SECRET": "s3cret", "LEADSCORE_PUBLIC_URL": "https://x.example"}
    assert "s3cret" not in repr(read_settings(environ))


@pytest.fixture
def post(keys_file: Path, keys: dict[str, str], tmp_path: Path) -> Iterator[Post]:
    """Return a function that posts to a service with keys and HubSpot's secret."""
    with (tmp_path / "access.log").open("wb") as log:
        yield poster(service_with_keys(keys_file, log))


def status_of_signed_call(post: Post, path: str, secret: str = HUBSPOT_SECRET) -> int:
    now = str(int(time.time() * 1_000))
    signed = f"POSThttps://www.example.com{path}{{}}{now}".encode()
    signature = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
    headers = {"x_hubspot_signature_v3": signature, "x_hubspot_request_timestamp": now}
    return post(path, b"{}", **headers).status_code


def test_signed_call_needs_no_key(post: Post) -> None:
    assert status_of_signed_call(post, "/model") == 200


def test_call_with_a_wrong_signature_is_refused(post: Post) -> None:
    assert status_of_signed_call(post, "/model", HUBSPOT_SECRET[:-1]) == 401
    assert status_of_signed_call(post, "/model?a=1%2F2") == 401  # HubSpot decodes %2F, then signs


def test_signed_call_may_not_erase(post: Post) -> None:
    assert status_of_signed_call(post, "/erase") == 403
