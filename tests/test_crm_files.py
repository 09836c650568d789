"""Writing files and folders whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from crm.files import whole_file, whole_files, whole_folder


class InterruptedWrite(Exception):
    pass


def write_half(path: Path) -> None:
    path.write_text("half")
    raise InterruptedWrite


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_whole_file_replaces_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    target.write_text("old")
    with whole_file(target) as work:
        work.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names_in(tmp_path) == ["scores.csv"]


def test_whole_file_keeps_the_old_file_if_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "scores.csv"
    target.write_text("old")
    with pytest.raises(InterruptedWrite), whole_file(target) as work:
        write_half(work)
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["scores.csv"]


@pytest.mark.parametrize("step", ["replace", "chmod"])
def test_whole_file_leaves_nothing_if_a_later_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object) -> None:
        raise InterruptedWrite

    monkeypatch.setattr(Path, step, refuse)
    with pytest.raises(InterruptedWrite), whole_file(tmp_path / "keys.json", mode=0o600) as work:
        work.write_text("{}")
    assert names_in(tmp_path) == []


def test_whole_file_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "absent" / "scores.csv"):
        pass


def test_whole_file_has_the_given_mode_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        with whole_file(tmp_path / "champion.json", mode=0o644) as work:
            work.write_text("{}")
    finally:
        os.umask(umask)
    assert mode_of(tmp_path / "champion.json") == 0o644


def test_whole_file_is_private_from_the_start_if_its_mode_is_given(tmp_path: Path) -> None:
    with whole_file(tmp_path / "keys.json", mode=0o600) as work:
        assert mode_of(work) == 0o600
    assert mode_of(tmp_path / "keys.json") == 0o600


def test_whole_file_has_the_mode_of_the_umask_by_default(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        with whole_file(tmp_path / "leads.csv") as work:
            work.write_text("lead_id")
    finally:
        os.umask(umask)
    assert mode_of(tmp_path / "leads.csv") == 0o640


@pytest.mark.parametrize("is_synced", [True, False])
def test_whole_file_is_synced_before_it_replaces_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_synced: bool
) -> None:
    target, sizes = tmp_path / "keys.json", []
    sync = os.fsync

    def record(file: int) -> None:
        sizes.append((os.fstat(file).st_size, target.exists()))
        sync(file)

    monkeypatch.setattr(os, "fsync", record)
    with whole_file(target, is_synced=is_synced) as work:
        work.write_text("{}")
    assert sizes == ([(2, False)] if is_synced else [])


def test_whole_files_move_in_the_given_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, moved = Path.replace, []

    def record(work: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(work, target)

    monkeypatch.setattr(Path, "replace", record)
    with whole_files(tmp_path, ["README.txt", "a.csv"]) as work:
        (work / "a.csv").write_text("a")
        (work / "README.txt").write_text("read")
        assert moved == []
    assert moved == ["README.txt", "a.csv"]
    assert names_in(tmp_path) == ["README.txt", "a.csv"]


def test_whole_files_keep_the_old_files_if_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(InterruptedWrite), whole_files(tmp_path, ["a.csv", "b.csv"]) as work:
        write_half(work / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "old"
    assert names_in(tmp_path) == ["a.csv"]


def test_whole_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "models" / "champion"
    with whole_folder(target) as work:
        (work / "card.json").write_text("{}")
        assert not target.exists()
    assert names_in(target) == ["card.json"]
    assert names_in(target.parent) == ["champion"]


def test_whole_folder_leaves_nothing_if_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(InterruptedWrite), whole_folder(tmp_path / "champion") as work:
        write_half(work / "card.json")
    assert names_in(tmp_path) == []


def test_whole_folder_keeps_an_existing_folder_unless_it_replaces_it(tmp_path: Path) -> None:
    target = tmp_path / "champion"
    target.mkdir()
    (target / "card.json").write_text("old")
    with pytest.raises(OSError, match="not empty"), whole_folder(target) as work:
        (work / "card.json").write_text("new")
    assert (target / "card.json").read_text() == "old"
    assert names_in(tmp_path) == ["champion"]


def test_whole_folder_replaces_every_file_of_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.mkdir()
    (target / "old.html").write_text("old")
    with whole_folder(target, replaces=True) as work:
        (work / "index.html").write_text("new")
    assert names_in(target) == ["index.html"]
    assert names_in(tmp_path) == ["report"]


def test_whole_folder_moves_the_old_folder_back_if_the_new_one_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report"
    target.mkdir()
    (target / "index.html").write_text("old")
    rename = Path.rename

    def refuse_new(path: Path, new_path: Path) -> Path:
        if path.name == "new":
            raise OSError(13, "Permission denied")
        return rename(path, new_path)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(OSError, match="Permission denied"), whole_folder(target, replaces=True):
        pass
    assert (target / "index.html").read_text() == "old"
    assert names_in(tmp_path) == ["report"]
