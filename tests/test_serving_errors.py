"""Tests of the codes of failures: each kind has its own, which the docs and the contract list."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from serving.contract.openapi import contracts
from serving.errors import CODES, MESSAGES, Code, RequestError
from serving.payloads.score import read_score_request
from serving.settings import Settings
from tests.made_connections import answers

DOCS = Path(__file__).resolve().parent.parent / "docs" / "connect-your-crm.md"
HOST = b"Host: x\r\n"
POST = b"POST /score HTTP/1.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED: dict[str, tuple[bytes, int]] = {  # a request and its status, by code
    "bad_request": (b"\x00\x01\r\n\r\n", 400),
    "bad_chunk": (POST + HOST + CHUNKED + b"zz\r\n", 400),
    "bad_transfer_encoding": (
        POST + HOST + b"Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        400,
    ),
    "incomplete_request": (POST + HOST + b"Content-Length: 5\r\n\r\n{", 400),
    "missing_host": (POST + b"Connection: close\r\n\r\n", 400),
    "repeated_host": (POST + HOST + HOST + b"Connection: close\r\n\r\n", 400),
    "not_found": (b"GET /none HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n", 404),
    "method_not_allowed": (b"CONNECT x:1 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "head_too_large": (POST + b"X: " + b"x" * 90_000, 431),
    "too_large": (POST + HOST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", 413),
}


@pytest.mark.parametrize("code", REFUSED)
def test_each_kind_of_invalid_request_has_its_own_code(port: int, code: str) -> None:
    request, status = REFUSED[code]
    (answer,) = answers(port, request, ends=True)
    assert (answer.status, answer.body["error"]["code"]) == (status, code)


@pytest.mark.parametrize("coding", [b"identity", b"gzip", b"xchunked", b"chunked;q=1"])
def test_each_unsupported_coding_has_the_same_code(port: int, coding: bytes) -> None:
    request = POST + HOST + b"Transfer-Encoding: " + coding + b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    (answer,) = answers(port, request, ends=True)
    assert (answer.status, answer.body["error"]["code"]) == (400, "bad_transfer_encoding")


@pytest.mark.parametrize("body", [b"", b"{", b"a=b", b"\xff", b'{"leads":' + b"[" * 60_000])
def test_body_that_is_not_json_keeps_its_code(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        read_score_request(body, Settings())
    assert (caught.value.status, caught.value.code) == (400, "bad_json")


def test_documentation_lists_every_code_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", DOCS.read_text(), re.MULTILINE)
    assert [code for code, _ in rows] == [*get_args(Code)]
    statuses = {code: int(status) for code, status in rows}
    assert {code: statuses[code] for code in CODES.values()} == {
        code: status for status, code in CODES.items()
    }
    assert statuses | {code: status for code, (_, status) in REFUSED.items()} == statuses


@pytest.mark.parametrize("document", [0, 1])
def test_contract_lists_the_codes_as_an_open_list(document: int) -> None:
    contract = json.loads(contracts(Settings(), {})[document])
    schemas = contract["components"]["schemas"] if document == 0 else contract["definitions"]
    for name in ("FailureDetail", "ItemError"):
        code = schemas[name]["properties"]["code"]
        assert (code["type"], "enum" in code) == ("string", False)
        assert code["description"].startswith("One of these, or a later code: bad_chunk, bad_json,")
        assert all(listed in code["description"] for listed in get_args(Code))


def test_every_status_has_a_message_unless_each_failure_has_its_own() -> None:
    assert CODES.keys() - MESSAGES.keys() == {400, 413, 422, 431}


def test_contract_documents_every_status_that_a_caller_can_get() -> None:
    responses = json.loads(contracts(Settings(), {})[0])["components"]["responses"]
    statuses = {int(name.removeprefix("Failure")) for name in responses}
    assert statuses == CODES.keys() - {405, 431}  # clients made from it send neither
