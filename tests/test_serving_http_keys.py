"""Tests of API keys: how they are stored, recognised and revoked."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crm.errors import ConfigError
from leadscore.command import app
from serving.http.keys import KeyRing, add_key, read_keys
from serving.settings import Settings, check_keys_file, read_settings
from tests.made_keys import CREATED_AT


def test_key_is_stored_as_a_hash(keys_file: Path) -> None:
    key = add_key(keys_file, "crm", "score", CREATED_AT)
    assert len(key) == 3 + 8 + 1 + 43
    assert key not in keys_file.read_text()
    assert key[-43:] not in keys_file.read_text()
    (stored,) = read_keys(keys_file)
    assert (stored.name, stored.role, stored.created_at) == ("crm", "score", CREATED_AT)


def test_only_the_owner_can_read_and_write_the_keys_file(keys_file: Path) -> None:
    add_key(keys_file, "crm", "score", CREATED_AT)
    assert keys_file.stat().st_mode & 0o777 == 0o600
    names = [path.name for path in keys_file.parent.iterdir()]
    assert [name for name in names if not name.endswith(".lock")] == ["keys.json"]


def test_key_is_valid_for_its_own_name(keys_file: Path) -> None:
    keys = {name: add_key(keys_file, name, "score", CREATED_AT) for name in ("crm", "website")}
    ring = KeyRing(keys_file)
    owners = {name: ring.owner(key) for name, key in keys.items()}
    assert {name: owner and owner.name for name, owner in owners.items()} == {
        "crm": "crm",
        "website": "website",
    }


def test_altered_and_partial_keys_are_invalid(keys_file: Path) -> None:
    key = add_key(keys_file, "crm", "score", CREATED_AT)
    second_key = add_key(keys_file, "website", "score", CREATED_AT)
    ring = KeyRing(keys_file)
    invalid = [
        key[:-1],
        key + "a",
        key[:-1] + ("a" if key[-1] != "a" else "b"),
        key.upper(),
        key[:12] + second_key[12:],
        "",
        "ls_",
        key[3:11],
        "é" * 55,
        " " + key,
    ]
    assert [text for text in invalid if ring.owner(text)] == []


@pytest.mark.parametrize(
    ("name", "role", "message"),
    [
        ("a b", "score", "letters, digits"),
        ("", "score", "letters, digits"),
        ("x" * 61, "score", "letters, digits"),
        ("crm", "owner", "Expected score, write or admin"),
        ("the-score", "score", "A key named 'the-score' exists"),
    ],
)
def test_invalid_names_and_roles_are_refused(
    keys_file: Path, keys: dict[str, str], name: str, role: str, message: str
) -> None:
    before = keys_file.read_text()
    with pytest.raises(ConfigError, match=message):
        add_key(keys_file, name, role, CREATED_AT)
    assert keys_file.read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"keys": 3}',
        '{"keys": [{"name": "x"}]}',
        '{"keys": [{"name":"a","role":"root","id":"1","sha256":"2","created_at":"3"}]}',
    ],
)
def test_file_that_contains_no_keys_is_refused_and_not_overwritten(
    keys_file: Path, text: str
) -> None:
    keys_file.parent.mkdir()
    keys_file.write_text(text)
    keys_file.chmod(0o600)
    with pytest.raises(ConfigError, match="not a file of API keys"):
        KeyRing(keys_file)
    with pytest.raises(ConfigError, match="not a file of API keys"):
        add_key(keys_file, "crm", "score", CREATED_AT)
    assert keys_file.read_text() == text


def test_keys_file_that_other_users_can_write_is_refused(
    keys_file: Path, keys: dict[str, str]
) -> None:
    keys_file.chmod(0o620)
    with pytest.raises(ConfigError, match="can be written by other users"):
        KeyRing(keys_file)


def test_keys_file_that_other_users_can_read_is_accepted(
    keys_file: Path, keys: dict[str, str]
) -> None:
    keys_file.chmod(0o644)  # it contains hashes only
    assert len(KeyRing(keys_file)) == 3


def test_concurrent_additions_lose_no_key(keys_file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: add_key(keys_file, f"k{i}", "score", CREATED_AT), range(24)))
    assert len(read_keys(keys_file)) == 24


def test_commands_add_list_and_revoke_keys(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADSCORE_KEYS_FILE", str(keys_file))
    run = CliRunner().invoke
    key = run(app, ["keys", "add", "crm", "--role", "write"]).stdout.strip()
    assert KeyRing(keys_file).owner(key)
    rows = json.loads(run(app, ["keys", "list", "--json"]).stdout)
    assert [(row["name"], row["role"]) for row in rows] == [("crm", "write")]
    assert "crm" in run(app, ["keys", "list"]).stdout
    assert run(app, ["keys", "revoke", "crm"]).exit_code == 0
    assert KeyRing(keys_file).owner(key) is None


def test_revoking_an_unknown_key_is_refused(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADSCORE_KEYS_FILE", str(keys_file))
    result = CliRunner().invoke(app, ["keys", "revoke", "crm"])
    assert isinstance(result.exception, ConfigError)


def test_unreadable_file_leaves_the_keys_valid(keys_file: Path, keys: dict[str, str]) -> None:
    ring = KeyRing(keys_file)
    keys_file.write_text("{")
    ring.refresh()
    assert "cannot be read" in str(ring.fault)
    assert ring.owner(keys["score"]) is not None


def test_deleted_file_revokes_every_key(keys_file: Path, keys: dict[str, str]) -> None:
    ring = KeyRing(keys_file)
    keys_file.unlink()
    for _ in range(3):
        ring.refresh()
        assert "is gone" in str(ring.fault)
        assert ring.owner(keys["score"]) is None
        assert ring.is_needed


def make_unreadable(path: Path, kind: str) -> None:
    """Put something in place of the file of keys that cannot be read as one."""
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    else:
        path.write_text(kind)
        path.chmod(0o600)


@pytest.mark.parametrize("kind", ["folder", "pipe", "", "{"])
@pytest.mark.parametrize("before", ["deleted", "all revoked"])
def test_unreadable_file_keeps_refused_keys_refused_and_names_the_fault(
    keys_file: Path, keys: dict[str, str], before: str, kind: str
) -> None:
    ring = KeyRing(keys_file)
    if before == "deleted":
        keys_file.unlink()
    else:
        keys_file.write_text('{"keys": []}')
    ring.refresh()
    make_unreadable(keys_file, kind)
    for _ in range(2):
        ring.refresh()
        assert [ring.owner(key) for key in keys.values()] == [None] * 3
        assert ring.is_needed
        assert "every key is refused" in str(ring.fault)
        assert "valid before" in str(ring.fault)
        assert "remain valid" not in str(ring.fault)


@pytest.mark.parametrize("kind", ["folder", "pipe", "", "{"])
def test_file_that_is_exchanged_at_once_leaves_the_keys_valid(
    keys_file: Path, keys: dict[str, str], kind: str
) -> None:
    ring = KeyRing(keys_file)
    make_unreadable(keys_file, kind)
    ring.refresh()
    assert "the earlier keys remain valid" in str(ring.fault)
    assert all(ring.owner(key) for key in keys.values())


def test_restored_file_makes_keys_valid_again(keys_file: Path, keys: dict[str, str]) -> None:
    text = keys_file.read_text()
    ring = KeyRing(keys_file)
    keys_file.unlink()
    ring.refresh()
    keys_file.write_text(text)
    ring.refresh()
    assert ring.fault is None
    assert ring.owner(keys["score"]) is not None


def test_only_the_log_names_the_path_of_a_faulty_file(
    keys_file: Path, keys: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(keys_file)
    keys_file.write_text("{")
    ring.refresh()
    assert str(keys_file) not in str(ring.fault)
    keys_file.unlink()
    ring.refresh()
    assert str(keys_file) not in str(ring.fault)
    causes = [vars(record)["fault"] for record in caplog.records]
    assert [str(keys_file) in cause for cause in causes] == [True, True]


def test_named_file_must_exist(keys_file: Path, tmp_path: Path) -> None:
    check_keys_file(Settings())
    with pytest.raises(ConfigError, match="absolute path of a file of API keys that exists"):
        check_keys_file(Settings(keys_file=str(keys_file)))
    (tmp_path / "link").symlink_to(keys_file)
    for wrong in (tmp_path / "link", keys_file / "below", "relative.json", " "):
        with pytest.raises(ConfigError, match="LEADSCORE_KEYS_FILE is "):
            check_keys_file(Settings(keys_file=str(wrong)))
    add_key(keys_file, "crm", "score", CREATED_AT)
    check_keys_file(Settings(keys_file=str(keys_file)))


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_name_of_the_file_must_not_be_empty(text: str) -> None:
    with pytest.raises(ConfigError, match="LEADSCORE_KEYS_FILE is empty"):
        read_settings({"LEADSCORE_KEYS_FILE": text})


def test_file_that_is_not_a_regular_file_is_refused(keys_file: Path) -> None:
    keys_file.parent.mkdir()
    os.mkfifo(keys_file, 0o600)
    for path in (keys_file, keys_file.parent):
        with pytest.raises(ConfigError, match="not a regular file"):
            KeyRing(path)
        with pytest.raises(ConfigError, match="not a regular file"):
            add_key(path, "crm", "score", CREATED_AT)


def deny(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("is_fault_of_the_file", [False, True])
def test_unreadable_file_is_refused(
    keys_file: Path,
    keys: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    is_fault_of_the_file: bool,
) -> None:
    monkeypatch.setattr(Path, "read_text" if is_fault_of_the_file else "stat", deny)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        KeyRing(keys_file)


def test_folder_that_cannot_be_read_any_more_leaves_the_keys_valid(
    keys_file: Path, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(keys_file)

    monkeypatch.setattr(Path, "stat", deny)
    ring.refresh()
    assert "cannot be read" in str(ring.fault)
    assert ring.owner(keys["score"]) is not None


def test_folder_that_may_contain_keys_and_cannot_be_read_opens_nothing(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(keys_file)

    monkeypatch.setattr(Path, "stat", deny)
    ring.refresh()
    assert (ring.is_needed, "cannot be read" in str(ring.fault)) == (True, True)


def test_without_the_named_file_no_key_is_valid(keys_file: Path) -> None:
    ring = KeyRing(keys_file, is_needed=True)
    assert ring.is_needed
    assert "is gone" in str(ring.fault)
    key = add_key(keys_file, "crm", "score", CREATED_AT)
    ring.refresh()
    assert (ring.fault, ring.owner(key) is not None) == (None, True)


def test_worker_that_starts_after_the_file_is_gone_needs_keys(
    keys_file: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "keys-needed"
    earlier = KeyRing(keys_file, marker=marker)
    assert (earlier.is_needed, marker.exists()) == (False, False)
    assert not KeyRing(keys_file, marker=marker).is_needed
    add_key(keys_file, "crm", "score", CREATED_AT)
    earlier.refresh()
    keys_file.unlink()
    later = KeyRing(keys_file, marker=marker)
    assert (later.is_needed, "is gone" in str(later.fault)) == (True, True)


def test_file_of_keys_that_appears_and_cannot_be_read_opens_nothing(keys_file: Path) -> None:
    ring = KeyRing(keys_file)
    keys_file.parent.mkdir()
    keys_file.write_text("{")
    ring.refresh()
    assert (ring.is_needed, "cannot be read" in str(ring.fault)) == (True, True)
