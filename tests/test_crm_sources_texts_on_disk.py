"""Tests of tables whose texts are in temporary files."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest

from crm.errors import SourceError
from crm.project import TableKeys
from crm.sources import source
from crm.sources.source import read_table
from crm.sources.texts_on_disk import with_texts_on_disk


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that the test's temporary files go to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("name", ["events.csv", "events.parquet", "events.jsonl"])
@pytest.mark.parametrize("rows_in_memory", [0, 5])
def test_table_is_the_same_on_disk(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, name: str, rows_in_memory: int
) -> None:
    monkeypatch.setattr(source, "TABLE_CHUNK_ROWS", 3)
    table = pd.DataFrame(
        {
            "id": [f"Ä{i}" for i in range(10)],
            "text": ["a", None, "", "b c", "ß"] * 2,
            "n": range(10),
        }
    )
    path = temporary.parent / name
    if name.endswith("csv"):
        table.to_csv(path, index=False)
    elif name.endswith("parquet"):
        table.to_parquet(path, index=False)
    else:
        table.to_json(path, orient="records", lines=True)
    keys = TableKeys(source=name)
    expected = read_table(keys, path.parent)
    stored: list[int] = []

    def store(chunk: pd.DataFrame, of: str) -> pd.DataFrame:
        stored.append(len(chunk))
        return with_texts_on_disk(chunk, of)

    monkeypatch.setattr(source, "with_texts_on_disk", store)
    read = read_table(keys, path.parent, rows_in_memory=rows_in_memory)
    pd.testing.assert_frame_equal(read, expected)
    assert sum(stored) == (10 if rows_in_memory == 0 else 7)
    assert [*temporary.iterdir()] == []


def test_texts_stay_readable_when_the_file_is_gone(temporary: Path) -> None:
    table = pd.DataFrame({"text": [f"text {i}" for i in range(1_000)]})
    stored = with_texts_on_disk(table, "leads.csv")
    assert [*temporary.iterdir()] == []
    pd.testing.assert_frame_equal(stored, table)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_file_is_removed_if_it_cannot_be_written(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        assert len([*temporary.iterdir()]) == 1
        raise error

    monkeypatch.setattr("pyarrow.ipc.new_file", fail)
    expected = SourceError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="Set TMPDIR|^$"):
        with_texts_on_disk(pd.DataFrame({"text": ["a"]}), "leads.csv")
    assert [*temporary.iterdir()] == []
