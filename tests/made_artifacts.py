"""Changes of saved models, as damage or an attacker might make them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.artifact import MANIFEST, MAX_BYTES, model_digest

FILES = sorted(MAX_BYTES)
FORMATS = Path(__file__).parent / "formats"


def reseal(folder: Path) -> None:
    """Make the manifest agree with the files, as an attacker would."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["model"] = model_digest(folder)
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"bytes": len(content), "sha256": sha256}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def edit_json(folder: Path, name: str, edit: Callable[[Any], object]) -> None:
    """Edit the content of a JSON file, and reseal the folder."""
    state = json.loads((folder / name).read_text())
    edit(state)
    (folder / name).write_text(json.dumps(state))
    reseal(folder)


def change_json(folder: Path, name: str, **entries: Any) -> None:
    """Change entries of a JSON file, and reseal the folder."""
    edit_json(folder, name, lambda state: state.update(entries))


def remove(folder: Path, name: str) -> None:
    """Remove a file and its entry in the manifest, and reseal the folder."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"][name]
    (folder / name).unlink()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    reseal(folder)
