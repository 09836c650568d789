"""`leadscore models …`: what it prints, its exit codes, and what it changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.console import command_line

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crm(run: Run, simulated_crm: Path, tmp_path: Path) -> Path:
    """Return a project with version 1, the champion, and the same model as version 2."""
    shutil.copytree(simulated_crm, tmp_path / "crm")
    for _ in range(2):
        run("train", "-p", tmp_path / "crm", "--json")
    _, out, _ = run("models", "list", "-p", tmp_path / "crm", "--json")
    if not any("champion" in row["aliases"] for row in json.loads(out)):
        run("models", "promote", 1, "-p", tmp_path / "crm", "--force", "--because", "a start")
    return tmp_path / "crm"


def test_challenger_is_promoted_and_rolled_back(run: Run, crm: Path) -> None:
    code, out, err = run("models", "promote", "challenger", "-p", crm, "--who", "ann", "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["event"]["version"] == "2"
    assert [gate["number"] for gate in facts["gates"]] == [f"LG10{i}" for i in range(1, 9)]
    assert facts["store_tag"].startswith("leadscore:demo-v2-")

    code, out, err = run("models", "rollback", "-p", crm, "--because", "sales [complained]")
    assert (code, err) == (0, "")
    assert "demo version 1 is the champion now (rolled back), instead of version 2." in out

    code, out, _ = run("models", "history", "-p", crm, "--json")
    last_events = json.loads(out)[-2:]
    assert [(event["what"], event["version"], event["because"]) for event in last_events] == [
        ("promoted", "2", ""),
        ("rolled back", "1", "sales [complained]"),
    ]
    assert last_events[0]["who"] == "ann"
    code, out, _ = run("models", "list", "-p", crm, "--json")
    assert [row["aliases"] for row in json.loads(out)] == [["champion"], []]


def test_refused_challenger_prints_every_gate_and_exits_1(run: Run, crm: Path) -> None:
    text = (crm / "leadscore.toml").read_text()
    declared = text.replace("known_later = [", 'known_later = ["budget_eur", ')
    assert declared != text
    (crm / "leadscore.toml").write_text(declared)
    code, out, err = run("models", "promote", "2", "-p", crm, "--json")
    assert code == 1
    assert "error: Version 2 of `demo` did not pass 1 of 8 gates: LG104 free of leaks." in err
    facts = json.loads(out)
    assert facts["event"] is None
    assert [gate["number"] for gate in facts["gates"] if not gate["passed"]] == ["LG104"]

    forced = f'models promote 2 --force --because "REASON" --project {crm}`'
    assert f"`{command_line('leadscore')} {forced}" in err
    code, _, err = run("models", "promote", "2", "-p", crm, "--force")
    assert code == 2
    assert "A forced promotion needs a reason" in err
    code, out, _ = run("models", "promote", "2", "-p", crm, "--force", "--because", "as agreed")
    assert code == 0
    assert "`budget_eur`: [columns] known_later names it" in " ".join(out.split())
    assert "demo version 2 is the champion now (forced)" in out


def test_models_list_and_compare_show_versions(run: Run, crm: Path) -> None:
    code, out, err = run("models", "compare", "champion", "2", "-p", crm, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["verdict"] == "judged"
    code, out, _ = run("models", "show", "challenger", "-p", crm)
    assert code == 0
    assert "demo version 2 (challenger)" in out
    assert "Not for: Decisions about credit" in out
    code, out, _ = run("models", "show", "1", "-p", crm, "--json")
    assert json.loads(out)["card"]["name"] == "demo"
    code, _, err = run("models", "show", "9", "-p", crm)
    assert code == 2
    assert "`demo` has no version '9'. There are: 1 (champion), 2" in err
