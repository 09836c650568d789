"""Projects that notify receivers on loopback."""

import base64
import datetime
from pathlib import Path
from typing import Any

import pytest

from crm.project import Project, load_project
from notifying.event import Event
from tests.made_projects import LEDGER, LEDGER_ALONE, WON_AND_LOST
from tests.made_receivers import Receiver

NOW = datetime.datetime(2026, 3, 2, 9, 30, tzinfo=datetime.UTC)
SECRET_BYTES = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(SECRET_BYTES).decode()
VARIABLES = {"webhook": "HOOK_URL", "slack": "SLACK_URL", "teams": "TEAMS_URL"}


def notify_section(*targets: str, more: str = "") -> str:
    """Return the section of a project file that names these targets."""
    lines = [f'{target} = "${{{VARIABLES[target]}}}"' for target in targets]
    if "webhook" in targets:
        lines.append('secret = "${HOOK_SECRET}"')
    return "\n".join(["[notify]", *lines, more, ""])


def project_file(folder: Path, *targets: str, more: str = "", ledger: bool = True) -> Path:
    """Write a project file that notifies these targets."""
    path = folder / "leadscore.toml"
    text = LEDGER_ALONE + LEDGER + WON_AND_LOST
    if not ledger:
        text = text.replace(LEDGER, "").replace(
            'source = "ledger"', 'source = "leads.csv"\noutcome = "Status"'
        )
    path.write_text(text + notify_section(*targets, more=more))
    return path


def notifying_project(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: str = "",
    ledger: bool = True,
    **receivers: Receiver,
) -> Project:
    """Return a project that notifies these receivers, with its variables set."""
    set_variables(monkeypatch, **receivers)
    return load_project(project_file(folder, *receivers, more=more, ledger=ledger))


def set_variables(monkeypatch: pytest.MonkeyPatch, **receivers: Receiver) -> None:
    """Set the environment variables that contain the addresses and the secret."""
    for target, receiver in receivers.items():
        monkeypatch.setenv(VARIABLES[target], receiver.url)
    monkeypatch.setenv("HOOK_SECRET", SECRET)


def event(number: int = 1, **changes: Any) -> Event:
    """Return an event: a version was promoted."""
    made: dict[str, Any] = {
        "kind": "promoted",
        "id": f"promoted {number}",
        "at": NOW,
        "title": f"Version {number} scores leads now",
        "text": "It passed all gates.",
        "facts": {"version": str(number)},
    }
    return Event(**made | changes)
