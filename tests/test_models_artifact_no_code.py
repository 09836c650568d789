"""The artefact is data: it contains no pickle and no code, and loading executes nothing."""

import datetime
import json
import pickle
import pickletools
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import pytest

from crm.errors import ArtifactError
from crm.project import load_project
from crm.reading import read_records
from models.artifact import MANIFEST, load_artifact, save_artifact
from models.registry.registry import ARTIFACT, Registry
from tests.made_artifacts import FILES, FORMATS, reseal
from tests.made_runs import track_training


def test_saved_folder_contains_data_only(saved_model: Path) -> None:
    assert sorted(path.name for path in saved_model.iterdir()) == FILES
    for path in saved_model.iterdir():
        assert path.suffix in (".json", ".txt")
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK", b"\x93NUMPY", b"(", b"c"))
        text = content.decode("ascii")
        assert "\0" not in text
        assert not re.search(r"__reduce__|builtins|pickle|module|class_name|import ", text)


ZLIB = (b"x\x01", b"x^", b"x\x9c", b"x\xda")
COMPRESSED = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7z", b"]\0\0", b"\x28\xb5\x2f\xfd", *ZLIB)


def may_be_pickle(content: bytes) -> bool:
    """Return whether pickle can read the content to its end, or it is compressed."""
    if content.startswith(COMPRESSED):
        return True
    try:
        with warnings.catch_warnings(action="ignore"):  # warnings about invalid escapes in text
            *_, (stop, _, at) = pickletools.genops(content)
    except Exception:
        return False
    return stop.name == "STOP" and at == len(content) - 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_recognised(protocol: int) -> None:
    assert may_be_pickle(pickle.dumps({"a": [1, object]}, protocol))


@pytest.mark.parametrize("compress", [0, 1, 3, 9, ("gzip", 3), ("bz2", 3), ("lzma", 3)], ids=str)
def test_pickles_of_joblib_are_recognised(tmp_path: Path, compress: Any) -> None:
    joblib.dump({"a": 1}, tmp_path / "dumped", compress=compress)
    assert may_be_pickle((tmp_path / "dumped").read_bytes())


def test_pickles_of_cloudpickle_are_recognised() -> None:
    assert may_be_pickle(cloudpickle.dumps(lambda: 1))


@pytest.mark.parametrize("content", [b'{"a": 1}', b"share,lift\n0.1,2.5\n"])
def test_text_is_not_recognised_as_pickle(content: bytes) -> None:
    assert not may_be_pickle(content)


@pytest.mark.parametrize("name", ["base rate", "blend 0.0", "blend 0.3", "blend 1.0"])
def test_saved_model_contains_no_pickle(
    scorers: Any, trained: Any, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    save_artifact(scorers[name], trained.golden_leads, folder, trained.golden_as_of)
    files = list(folder.iterdir())
    assert len(files) >= 6
    assert [path.name for path in files if may_be_pickle(path.read_bytes())] == []


def test_save_and_load_never_call_pickle(
    scorers: Any, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise AssertionError("something was pickled")

    for module in (pickle, cloudpickle, joblib):
        for function in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
            if hasattr(module, function):
                monkeypatch.setattr(module, function, fail)
    with pytest.raises(AssertionError, match="something was pickled"):
        joblib.load("model")
    save_artifact(
        scorers["blend 0.3"], trained.golden_leads, tmp_path / "model", trained.golden_as_of
    )
    loaded = load_artifact(tmp_path / "model").scorer
    assert loaded.score_leads(trained.golden_leads, n_reasons=3)
    load_artifact(FORMATS / "1")


def test_mlflow_run_contains_no_pickle(
    simulated_crm: Path, trained: Any, empty_mlflow: Path, tmp_path: Path
) -> None:
    text = (simulated_crm / "leadscore.toml").read_text()
    (tmp_path / "leadscore.toml").write_text(text)
    shutil.copy(empty_mlflow, tmp_path)
    project = load_project(tmp_path)
    records = read_records(load_project(simulated_crm))
    registry = Registry(project)
    save_artifact(trained.scorer, trained.golden_leads, tmp_path / ARTIFACT, trained.golden_as_of)
    now = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    track_training(registry, project, records, trained, tmp_path / ARTIFACT, now)
    files = [path for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert {"MLmodel", "booster.txt" if trained.scorer.estimator.trees else "estimator.json"} <= {
        path.name for path in files
    }
    assert [path.name for path in files if may_be_pickle(path.read_bytes())] == []


def test_load_executes_nothing_from_the_artefact(model_copy: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    attack = f"__import__('os').system('touch {trace}')"
    payload = b"cos\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR."
    for name in (name for name in FILES if name != MANIFEST):
        for content in (attack.encode(), payload, json.dumps({"py/object": attack}).encode()):
            damaged = Path(shutil.copytree(model_copy, tmp_path / "damaged"))
            (damaged / name).write_bytes(content)
            reseal(damaged)
            with pytest.raises(ArtifactError, match="cannot be read|not valid JSON"):
                load_artifact(damaged)
            shutil.rmtree(damaged)
    assert not trace.exists()
