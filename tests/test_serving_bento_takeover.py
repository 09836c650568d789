"""Taking over a champion: when it is swapped in, when it is refused, and who named it."""

import asyncio
import datetime
import gc
import json
import os
import shutil
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crm.errors import ArtifactError, ServiceError
from crm.project import load_project
from crm.reading import read_records
from models.artifact import save_artifact
from models.calibration import Calibration
from models.registry.registry import ARTIFACT, Registry
from serving.bento import takeover as serving_takeover
from serving.bento.process import free_port
from serving.bento.store import champion_file, named_champion
from serving.bento.takeover import TakeOver
from training.tracking import track

HERE = Path(__file__).resolve().parent.parent


class Service:
    """A take-over with everything around it made up."""

    def __init__(self, current: str = "v1") -> None:
        self.named: Any = current
        self.broken: dict[str, Exception] = {}
        self.loaded: list[str] = []
        self.model: Any = current
        self.counts: list[str] = []
        self.takeover = TakeOver(self.name, self.load, self.swap, current, self.counts.append)

    def name(self) -> str | None:
        if isinstance(self.named, Exception):
            raise self.named
        return self.named

    def load(self, tag: str) -> Any:
        self.loaded.append(tag)
        if tag in self.broken:
            raise self.broken[tag]
        return SimpleNamespace(tag=tag, scorer=SimpleNamespace(score_leads=lambda *_: []))

    def swap(self, model: Any) -> None:
        self.model = model.tag

    def check(self) -> None:
        try:
            asyncio.run(self.takeover.check())
        finally:
            gc.unfreeze()


def test_new_champion_and_rollback_are_taken_over_once() -> None:
    service = Service()
    service.check()
    assert (service.model, service.loaded) == ("v1", [])
    for tag in ("v2", "v2", "v1"):
        service.named = tag
        service.check()
        assert service.model == tag
    assert service.loaded == ["v2", "v1"]
    assert service.counts == ["leadscore_takeovers_total"] * 2
    assert service.takeover.fault is None


def test_damaged_champion_is_refused_and_shown_as_a_fault() -> None:
    service = Service()
    service.named = "v2"
    service.broken["v2"] = ArtifactError("/secret/folder/booster.txt is altered")
    for _ in range(3):
        service.check()
    assert service.model == "v1"
    assert service.takeover.fault == (
        "v2 does not load and verify, so v1 still answers. The log says why."
    )
    assert service.counts == ["leadscore_takeover_faults_total"]
    assert service.loaded == ["v2"], "it is not tried again at every look"
    service.named = "v3"
    service.check()
    assert (service.model, service.takeover.fault) == ("v3", None)


def test_repaired_champion_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service()
    service.named = "v2"
    service.broken["v2"] = OSError("the disk was away")
    service.check()
    service.broken.clear()
    service.check()
    assert service.model == "v1"
    monkeypatch.setattr(serving_takeover, "RETRY_SECONDS", 0.0)
    service.takeover._retry_at = 0.0
    service.check()
    assert (service.model, service.takeover.fault) == ("v2", None)


def test_withdrawn_champion_leaves_no_fault() -> None:
    service = Service()
    service.named = "v2"
    service.broken["v2"] = ArtifactError("altered")
    service.check()
    service.named = "v1"
    service.check()
    assert (service.model, service.takeover.fault) == ("v1", None)


def test_unreadable_champion_file_changes_nothing() -> None:
    service = Service()
    service.named = ServiceError("cannot be read")
    service.check()
    assert service.model == "v1"
    assert service.takeover.fault is not None
    service.named = None
    service.check()
    assert service.takeover.fault is None


def test_old_model_is_freed_after_takeover(trained: Any, tmp_path: Path) -> None:
    from models.artifact import load_artifact
    from serving.served_model import ServedModel

    folder = tmp_path / "model"
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)

    def load(tag: str) -> ServedModel:
        loaded = load_artifact(folder)
        return ServedModel(loaded.scorer, tag, loaded.digest)

    answering: list[ServedModel] = [load("v1")]
    old = weakref.ref(answering[0].scorer)
    named = iter(["v2", "v3"])
    over = TakeOver(
        lambda: next(named),
        load,
        lambda model: answering.__setitem__(0, model),
        "v1",
        lambda _: None,
    )
    gc.collect()
    gc.freeze()
    try:
        for version in ("v2", "v3"):
            asyncio.run(over.check())
            assert answering[0].version == version
        assert old() is None, "what is frozen is freed all the same once nothing refers to it"
    finally:
        gc.unfreeze()


def test_champion_file_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    assert named_champion("acme") is None
    path = champion_file("acme")
    assert path == tmp_path / "leadscore" / "champions" / "acme.json"
    assert champion_file("../acme/x").parent == path.parent
    path.parent.mkdir(parents=True)
    for text in ("", "{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(ServiceError, match="cannot be read"):
            named_champion("acme")
    path.write_text(json.dumps({"tag": "leadscore:acme-v1-0"}))
    assert named_champion("acme") == "leadscore:acme-v1-0"


# Follows the registry; instead of waiting for the next look it changes the world, and says what
# is named to the services.
FOLLOW = """
import json, os, sys
from pathlib import Path
from types import SimpleNamespace
import commands.serve
from crm.project import load_project
from models.registry.registry import Registry

folder, closed_port, (booster, altered) = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
pointer = Path(os.environ["BENTOML_HOME"], "leadscore", "champions", "demo.json")
registry = Registry(load_project(folder))
whole = Path(booster).read_bytes()
away = f"http://127.0.0.1:{closed_port}"
steps = iter([
    lambda: os.environ.pop("MLFLOW_TRACKING_URI"),
    lambda: registry.make_champion("1"),
    lambda: (registry.make_champion("2"), Path(booster).write_bytes(altered.encode())),
    lambda: None,
    lambda: Path(booster).write_bytes(whole),
    lambda: os.environ.update(MLFLOW_TRACKING_URI=away),
    lambda: (os.environ.pop("MLFLOW_TRACKING_URI"), registry.make_champion("1")),
    sys.exit,
])

def sleep(seconds):
    print("named", json.loads(pointer.read_text())["version"] if pointer.is_file() else None)
    next(steps)()

commands.serve.time = SimpleNamespace(sleep=sleep)
os.environ["MLFLOW_TRACKING_URI"] = away
commands.serve.follow(folder, every=5, once=False)
"""


def test_follow_survives_a_champion_that_fails_verification(
    trained: Any, simulated_crm: Path, empty_mlflow: Path, tmp_path: Path
) -> None:
    shutil.copy(simulated_crm / "leadscore.toml", tmp_path)
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    project = load_project(tmp_path)
    registry = Registry(project)
    records = read_records(load_project(simulated_crm))
    for version in ("1", "2"):
        artifact = tmp_path / version / ARTIFACT
        slope = Calibration(float(version), 0.0)  # so that they differ
        scorer = replace(trained.scorer, calibration=slope)
        save_artifact(scorer, trained.golden_leads, artifact, trained.golden_as_of)
        now = datetime.datetime(2026, 3, int(version), tzinfo=datetime.UTC)
        assert track(registry, project, records, trained, artifact, now).version == version
    registry.make_champion(None)
    boosters = (tmp_path / "mlartifacts").rglob("booster.txt")
    newest = max(boosters, key=lambda path: path.stat().st_mtime)
    home = tmp_path / "home"
    home.mkdir()
    port = free_port("127.0.0.1")
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW, tmp_path, str(port), newest, "altered"],
        env=os.environ | {"BENTOML_HOME": str(home), "COLUMNS": "500"},
        cwd=HERE,
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("named")]
    assert said == [f"named {version}" for version in (None, None, 1, 1, 1, 2, 2, 1)]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert [line.split(":", 1)[1][:30].strip() for line in errors] == [
        "MLflow cannot be reached at h",
        "`demo` has no champion in MLf",
        "Version 2 of `demo` is not th",
        "MLflow cannot be reached at h",
    ], errors


def test_promoting_again_repairs_the_store(trained: Any, tmp_path: Path) -> None:
    artifact = tmp_path / "scorer"
    save_artifact(trained.scorer, trained.golden_leads, artifact, trained.golden_as_of)
    home = tmp_path / "home"
    home.mkdir()

    def promote(version: str, expect: int = 0) -> str:
        code = (
            "import sys; from pathlib import Path;"
            "from serving.bento.store import promote_in_store;"
            "print(promote_in_store(Path(sys.argv[1]), 'demo', sys.argv[2]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, artifact, version],
            env=os.environ | {"BENTOML_HOME": str(home)},
            cwd=HERE,
            text=True,
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout.strip()

    def named() -> str:
        return str(json.loads((home / "leadscore/champions/demo.json").read_text())["tag"])

    one, two = promote("1"), promote("2")
    assert named() == two
    assert promote("1") == one == named()
    stored = home / "models" / "leadscore" / one.partition(":")[2]
    (stored / "booster.txt").write_text("altered")
    assert promote("1") == one
    assert (stored / "booster.txt").read_bytes() == (artifact / "booster.txt").read_bytes()
    shutil.copy(artifact / "card.json", artifact / "booster.txt")
    promote("3", expect=1)
    assert named() == one
