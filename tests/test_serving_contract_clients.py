"""Tests of the contract with linters and generated clients. `make clients` compiles all six."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.languages import LANGUAGES, NODE_MODULES, TOOLS_HINT, answered, differences
from tests.conftest import skip

CLIENTS = Path(__file__).resolve().parent / "clients"
IN_CI = ("Python", "TypeScript")
DOCUMENTS = ("openapi-3.0", "swagger-2.0")


def need(missing: list[str]) -> None:
    if missing:
        skip(f"needs {', '.join(missing)}")


@pytest.fixture(scope="module")
def contracts(served: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write both documents of the running service; return their files by name."""
    folder = tmp_path_factory.mktemp("contracts")
    files = {}
    for name in DOCUMENTS:
        files[name] = folder / f"{name}.json"
        files[name].write_bytes(httpx.get(f"{served}/contract/{name}.json").content)
    return files


def lint(linter: str, *files: Path) -> tuple[int, str]:
    need([] if (NODE_MODULES / ".bin" / linter).exists() else [TOOLS_HINT])
    process = subprocess.run(
        ["npm", "run", "--silent", linter, "--", *files],
        cwd=CLIENTS,
        env=os.environ | {"REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "REDOCLY_TELEMETRY": "off"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return process.returncode, process.stdout + process.stderr


@pytest.mark.parametrize("linter", ["redocly", "spectral"])
def test_linters_find_neither_errors_nor_warnings(linter: str, contracts: dict[str, Path]) -> None:
    code, output = lint(linter, *contracts.values())
    assert code == 0, output
    assert "warning" not in output.lower().replace("deprecation warning", "")


def test_linter_finds_a_nullable_without_a_type(contracts: dict[str, Path], tmp_path: Path) -> None:
    document: dict[str, Any] = json.loads(contracts["openapi-3.0"].read_text())
    card = document["components"]["schemas"]["ModelAnswer"]["properties"]
    card["card"] = {"nullable": True}
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    code, output = lint("redocly", tmp_path / "openapi.json")
    assert code == 1
    assert "nullable" in output


@pytest.mark.parametrize("name", IN_CI)
def test_generated_client_keeps_numbers_and_ids(
    name: str, served: str, contracts: dict[str, Path], tmp_path: Path
) -> None:
    need(LANGUAGES[name].missing())
    lead_id = str(3_000_000_000 + IN_CI.index(name))
    seen = answered(LANGUAGES[name], contracts["openapi-3.0"], tmp_path, served, "none", lead_id)
    assert differences(seen, lead_id) == []


def test_every_language_has_a_program() -> None:
    folders = {folder.name for folder in CLIENTS.iterdir() if list(folder.glob("[Mm]ain.*"))}
    assert folders == {name.lower().replace("#", "sharp") for name in LANGUAGES}
