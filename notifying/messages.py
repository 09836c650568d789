"""Writes the bodies of messages: JSON for webhooks, blocks for Slack, a card for Teams.

Names may come from a company's records. So no text is read as markup, except by Teams, where the
characters of markup are escaped.
"""

import datetime
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

MOST_OF_TITLE: Final = 150  # characters of a Slack header
MOST_OF_TEXT: Final = 2_900  # Slack allows 3,000 characters in a section; Teams 28 KB in a message
SIMULATED: Final = "SIMULATED records"


class Message(msgspec.Struct, frozen=True):
    """An event as it is kept in the outbox and sent.

    Attributes
    ----------
    id : str
        The same at every attempt.
    type : str
        The kind of the event.
    timestamp : str
        When it happened, ISO 8601 UTC.
    project : str
    simulated : bool
        Whether the records of the project are simulated.
    title, text : str
    data : mapping
        The facts.
    """

    id: str
    type: str
    timestamp: str
    project: str
    simulated: bool
    title: str
    text: str
    data: Mapping[str, Any]

    def encoded(self) -> bytes:
        """Return the message as JSON; this is the body of a webhook."""
        return msgspec.json.encode(self)

    @classmethod
    def decoded(cls, content: bytes) -> "Message":
        """Read a message from JSON."""
        return msgspec.json.decode(content, type=cls)

    @property
    def context(self) -> str:
        """The project and the time, for the last line of a message."""
        at = datetime.datetime.fromisoformat(self.timestamp)
        simulated = f" · {SIMULATED}" if self.simulated else ""
        return f"{self.project} · {at:%d %b %Y, %H:%M} UTC{simulated}"


def body(message: Message, target: str) -> bytes:
    """Return the body of a message for "webhook", "slack" or "teams"."""
    if target == "slack":
        return msgspec.json.encode(slack_message(message))
    if target == "teams":
        return msgspec.json.encode(teams_message(message))
    return message.encoded()


def slack_message(message: Message) -> dict[str, Any]:
    """Return a message for an incoming webhook of Slack: blocks, and plain text as fallback.

    Blocks of plain text are not read as markup. The fallback is, so that `&`, `<` and `>` are
    escaped: a name such as `<!channel>` must not notify everybody.
    """
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(_cut(message.title, MOST_OF_TITLE))}
    ]
    if message.text:
        blocks.append({"type": "section", "text": _plain(_cut(message.text, MOST_OF_TEXT))})
    blocks.append({"type": "context", "elements": [_plain(message.context)]})
    fallback = _cut(f"{message.title}\n{message.text}".strip(), MOST_OF_TEXT)
    return {"text": _escaped_for_slack(fallback), "blocks": blocks}


def teams_message(message: Message) -> dict[str, Any]:
    """Return a message for a workflow of Teams: an Adaptive Card.

    Workflows do not accept the cards of the Office 365 connectors, which are retired.
    """
    lines = _cut(message.text, MOST_OF_TEXT).splitlines()
    texts: list[dict[str, Any]] = [
        {"text": message.title, "weight": "Bolder", "size": "Medium"},
        *({"text": line, "spacing": "Small"} for line in lines if line),
        {"text": message.context, "isSubtle": True, "size": "Small"},
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "wrap": True, **text, "text": _escaped_for_teams(text["text"])}
            for text in texts
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _escaped_for_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escaped_for_teams(text: str) -> str:
    """Escape the characters of the Markdown that cards have: emphasis, links and lists."""
    escaped = re.sub(r"([\\*_\[\]])", r"\\\1", text)
    return re.sub(r"^(\d+)\.", r"\1\\.", re.sub(r"^([-+])", r"\\\1", escaped))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
