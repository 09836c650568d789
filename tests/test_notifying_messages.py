"""Tests of messages: their forms, their schema, and what they never contain."""

import base64
import datetime
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors.signature import read_secrets, signed_headers
from crm.errors import SchemaError
from notifying.event import (
    Event,
    check_event,
    failed_event,
    promoted_event,
    refused_event,
    waiting_event,
)
from notifying.messages import Message, body, slack_message, teams_message
from notifying.notify import draft_of, notify
from tests.made_notifications import NOW, SECRET, SECRET_BYTES, event, notifying_project
from tests.made_receivers import receiver

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "notifications.md").read_text()
EVENTS = [
    check_event("LM201", "Are chances true?", "3", NOW, {"stated": 0.25, "n": 120, "x": None}),
    promoted_event("3", "2", "promoted", NOW),
    promoted_event("3", None, "first champion", NOW),
    refused_event("3", "2", ["LG101 ranking", "LG204 groups"], NOW),
    refused_event("3", None, [], NOW),
    waiting_event("3", "2", NOW),
    waiting_event("3", "2", NOW, in_shadow=True),
    failed_event("retrain", "train", SchemaError, NOW),
    Event("test", "test", NOW, "A test"),
]  # fmt: skip


def code_block(language: str, containing: str) -> str:
    """Return the block of a language on the page of notifications that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    (block,) = (block for block in blocks if containing in block)
    return str(block)


def message(**changes: Any) -> Message:
    made = Message(
        id="evt_1",
        type="promoted",
        timestamp="2026-03-02T09:30:00+00:00",
        project="acme",
        simulated=False,
        title="Version 3 scores leads now",
        text="It passed all gates.\nReally.",
        data={},
    )
    return Message(**{name: getattr(made, name) for name in made.__struct_fields__} | changes)


@pytest.mark.parametrize(
    "told", EVENTS, ids=lambda told: f"{told.kind} {told.facts.get('how', '')}"
)
def test_webhooks_fit_the_documented_schema(
    told: Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = json.loads(code_block("json", '"$schema"'))
    jsonschema.Draft202012Validator.check_schema(schema)
    project = notifying_project(tmp_path, monkeypatch)
    sent = json.loads(draft_of(project, told).message.encoded())
    jsonschema.validate(sent, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sent | {"data": {"unknown": 1}}, schema)


def test_the_receiver_of_the_page_accepts_real_webhooks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    exec(code_block("python", "def event_of"), names)  # the example of the page
    assert len([line for line in code_block("python", "def event_of").splitlines() if line]) <= 12
    event_of = names["event_of"]
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with receiver() as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        notify(project, [event()], datetime.datetime.now(datetime.UTC))
    (received,) = hook.received
    assert event_of(received.headers, received.body)["title"] == "Version 1 scores leads now"
    old = {**received.headers, "webhook-timestamp": str(int(time.time()) - 400)}
    other = {**received.headers, "webhook-id": "evt_2"}
    for headers, content in (
        (received.headers, received.body + b" "),
        (other, received.body),
        ({**received.headers, "webhook-signature": "v1,"}, received.body),
    ):
        with pytest.raises(ValueError, match="signature"):
            event_of(headers, content)
    signed = signed_headers("evt_1", int(old["webhook-timestamp"]), b"{}", [SECRET_BYTES])
    with pytest.raises(ValueError, match="old"):
        event_of(signed, b"{}")


def test_signature_follows_the_specification() -> None:
    headers = signed_headers("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1674087231, b'{"a":1}', [b"k" * 24])
    signed = b'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W.1674087231.{"a":1}'
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert headers == {
        "webhook-id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        "webhook-timestamp": "1674087231",
        "webhook-signature": f"v1,{expected}",
    }


def test_two_secrets_sign_while_one_is_replaced() -> None:
    new = "whsec_" + base64.b64encode(b"n" * 64).decode()
    old = base64.b64encode(b"o" * 25).decode().rstrip("=")
    secrets = read_secrets(f"{new}  {old}\n")
    assert secrets == (b"n" * 64, b"o" * 25)
    both = signed_headers("m", 1, b"", secrets)["webhook-signature"].split(" ")
    assert both == [
        signed_headers("m", 1, b"", [secret])["webhook-signature"] for secret in secrets
    ]


@pytest.mark.parametrize("n_bytes", [0, 23, 65])
def test_secrets_of_another_length_are_refused(n_bytes: int) -> None:
    written = "whsec_" + base64.b64encode(b"x" * n_bytes).decode()
    with pytest.raises(ValueError, match=rf"has {n_bytes} bytes"):
        read_secrets(written)


def test_timestamp_is_that_of_the_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = NOW + datetime.timedelta(hours=1)
    with receiver(404, 200) as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        notify(project, [event()], NOW)
        notify(project, [], later)
    stamps = [int(received.headers["webhook-timestamp"]) for received in hook.received]
    assert stamps[0] - int(NOW.timestamp()) in range(30)
    assert stamps[1] - int(later.timestamp()) in range(30)
    assert [body["timestamp"] for body in hook.bodies] == ["2026-03-02T09:30:00+00:00"] * 2


def test_slack_message_has_blocks_and_a_fallback() -> None:
    def plain(text: str) -> dict[str, Any]:
        return {"type": "plain_text", "text": text, "emoji": False}

    text = "It passed all gates.\nReally."
    context = "acme · 02 Mar 2026, 09:30 UTC · SIMULATED records"
    assert slack_message(message(simulated=True)) == {
        "text": f"Version 3 scores leads now\n{text}",
        "blocks": [
            {"type": "header", "text": plain("Version 3 scores leads now")},
            {"type": "section", "text": plain(text)},
            {"type": "context", "elements": [plain(context)]},
        ],
    }


def test_slack_message_without_text_has_no_empty_block() -> None:
    assert [block["type"] for block in slack_message(message(text=""))["blocks"]] == [
        "header",
        "context",
    ]


def test_slack_message_fits_the_limits_and_mentions_nobody() -> None:
    made = slack_message(message(title="<!channel> & <@U1> " + "t" * 200, text="<!here>" * 900))
    assert made["text"].startswith("&lt;!channel&gt; &amp; &lt;@U1&gt; t")
    assert "<" not in made["text"]
    header, section, _ = made["blocks"]
    assert len(header["text"]["text"]) == 150
    assert header["text"]["text"].endswith("…")
    assert len(section["text"]["text"]) <= 3_000
    assert {header["text"]["type"], section["text"]["type"]} == {"plain_text"}


def test_teams_message_is_an_adaptive_card() -> None:
    made = teams_message(message())
    (attachment,) = made["attachments"]
    assert (made["type"], attachment["contentType"]) == (
        "message",
        "application/vnd.microsoft.card.adaptive",
    )
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert [block["text"] for block in card["body"]] == [
        "Version 3 scores leads now",
        "It passed all gates.",
        "Really.",
        "acme · 02 Mar 2026, 09:30 UTC",
    ]
    assert all(block["type"] == "TextBlock" and block["wrap"] for block in card["body"])


def test_teams_message_escapes_markup_and_stays_small() -> None:
    made = message(
        title="[click](http://x) *b* <at>all</at>", text="1. one\n- two\n" + "x" * 90_000
    )
    card = teams_message(made)["attachments"][0]["content"]
    texts = [block["text"] for block in card["body"]]
    assert texts[0] == r"\[click\](http://x) \*b\* <at>all</at>"
    assert texts[1:3] == [r"1\. one", r"\- two"]
    assert len(body(made, "teams")) < 28_000


def test_webhook_is_the_message_itself() -> None:
    assert json.loads(body(message(), "webhook")) == {
        "id": "evt_1",
        "type": "promoted",
        "timestamp": "2026-03-02T09:30:00+00:00",
        "project": "acme",
        "simulated": False,
        "title": "Version 3 scores leads now",
        "text": "It passed all gates.\nReally.",
        "data": {},
    }


def test_events_never_contain_addresses_and_phone_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = "ada@acme.com +49 30 1234567"
    events = [
        check_event("LM301", hostile, hostile, NOW, {hostile: 1.0}),
        promoted_event(hostile, hostile, hostile, NOW),
        refused_event(hostile, hostile, [hostile], NOW),
        waiting_event(hostile, hostile, NOW),
        failed_event(hostile, hostile, ValueError, NOW),
        event(title=hostile, text=hostile, facts={hostile: [hostile, {"a": (hostile,)}]}),
    ]
    project = notifying_project(tmp_path, monkeypatch)
    for told in events:
        sent = draft_of(project, told).message
        for target in ("webhook", "slack", "teams"):
            text = body(sent, target).decode()
            assert "ada@" not in text
            assert "1234567" not in text


def test_failed_event_does_not_quote_the_error() -> None:
    told = failed_event("retrain", "read", SchemaError, NOW)
    assert told.text == (
        "The step that failed: read (SchemaError). The log of the run contains the reason."
    )
    assert told.facts == {"run": "retrain", "step": "read", "error": "SchemaError"}


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("promoted", "It passed all gates."),
        ("first champion", "It is the first one."),
        ("forced", "It did not pass all gates; a person overruled them."),
        ("rolled back", "It was the champion before."),
    ],
)
def test_promotions_are_told_in_words(how: str, text: str) -> None:
    told = promoted_event("3", "2", how, NOW)
    assert (told.title, told.text) == ("Version 3 scores leads now instead of version 2", text)


def test_refusals_name_the_gates() -> None:
    told = refused_event("3", "2", ["LG101 ranking", "LG204 groups"], NOW)
    assert told.text == (
        "It did not pass 2 gates: LG101 ranking, LG204 groups. Version 2 still scores leads."
    )
    assert refused_event("3", None, [], NOW).text == "No version scores leads."
