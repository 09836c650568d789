"""Tests of taking over a champion: when it answers, when it is refused, and what names it."""

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
from models.artifact import load_artifact, save_artifact
from models.calibration import Calibration
from models.registry.registry import ARTIFACT, Registry
from serving.bento import store as serving_store
from serving.bento import takeover as serving_takeover
from serving.bento.process import free_port
from serving.bento.store import champion_file, named_champion, promote_in_store
from serving.bento.takeover import SHADOW, TakeOver
from serving.served_model import ServedModel
from tests.made_runs import track_training

HERE = Path(__file__).resolve().parent.parent


class Service:
    """A service of made-up models, which are called v1, v2 and v3. It starts with v1.

    Attributes
    ----------
    champion : str, Exception or None
        The tag of the champion, or the error of reading it.
    errors : dict
        The error of loading a model, by its tag.
    loaded : list of str
        The models that were loaded, in order.
    model : str
        The model that answers.
    counts : list of str
        The metrics that were counted.
    """

    def __init__(self) -> None:
        self.champion: str | Exception | None = "v1"
        self.errors: dict[str, Exception] = {}
        self.loaded: list[str] = []
        self.model = "v1"
        self.counts: list[str] = []
        self.takeover = TakeOver(self.champion_tag, self.load, self.swap, "v1", self.counts.append)

    def champion_tag(self) -> str | None:
        if isinstance(self.champion, Exception):
            raise self.champion
        return self.champion

    def load(self, tag: str) -> Any:
        self.loaded.append(tag)
        if tag in self.errors:
            raise self.errors[tag]
        counts = SimpleNamespace(clear=lambda: None)
        cell_checks = SimpleNamespace(counts=counts)
        scorer = SimpleNamespace(score_leads=lambda *_: [], cell_checks=cell_checks)
        return SimpleNamespace(tag=tag, scorer=scorer)

    def swap(self, model: Any) -> None:
        self.model = model.tag

    def check(self) -> None:
        try:
            asyncio.run(self.takeover.check())
        finally:
            gc.unfreeze()


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def service_with_damaged_champion(service: Service) -> Service:
    """Return a service that answers with v1 and has refused v2."""
    service.champion = "v2"
    service.errors["v2"] = ArtifactError("/secret/folder/booster.txt is altered")
    service.check()
    return service


def test_unchanged_champion_is_not_loaded(service: Service) -> None:
    service.check()
    assert (service.model, service.loaded) == ("v1", [])


def test_new_champion_and_rollback_are_taken_over_once(service: Service) -> None:
    for tag in ("v2", "v2", "v1"):
        service.champion = tag
        service.check()
        assert service.model == tag
    assert service.loaded == ["v2", "v1"]
    assert service.counts == ["leadscore_takeovers_total"] * 2
    assert service.takeover.fault is None


def test_damaged_champion_is_refused_and_shown_as_a_fault(
    service_with_damaged_champion: Service,
) -> None:
    service = service_with_damaged_champion
    assert service.model == "v1"
    assert service.takeover.fault == (
        "v2 does not load and verify, so v1 still answers. The log says why."
    )


def test_damaged_champion_is_loaded_and_counted_once(
    service_with_damaged_champion: Service,
) -> None:
    service = service_with_damaged_champion
    service.check()
    service.check()
    assert service.loaded == ["v2"]
    assert service.counts == ["leadscore_takeover_faults_total"]


def test_next_champion_ends_the_fault(service_with_damaged_champion: Service) -> None:
    service = service_with_damaged_champion
    service.champion = "v3"
    service.check()
    assert (service.model, service.takeover.fault) == ("v3", None)


def test_repaired_champion_is_tried_again_after_a_while(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.champion = "v2"
    service.errors["v2"] = OSError("the disk was unavailable")
    service.check()
    service.errors.clear()
    service.check()
    assert service.model == "v1"
    monkeypatch.setattr(serving_takeover, "RETRY_SECONDS", 0.0)
    service.takeover._retry_at = 0.0
    service.check()
    assert (service.model, service.takeover.fault) == ("v2", None)


def test_withdrawn_champion_leaves_no_fault(service_with_damaged_champion: Service) -> None:
    service = service_with_damaged_champion
    service.champion = "v1"
    service.check()
    assert (service.model, service.takeover.fault) == ("v1", None)


def test_unreadable_champion_file_is_a_fault_and_changes_nothing(service: Service) -> None:
    service.champion = ServiceError("cannot be read")
    service.check()
    assert service.model == "v1"
    assert service.takeover.fault is not None


def test_missing_champion_file_ends_the_fault(service: Service) -> None:
    service.champion = ServiceError("cannot be read")
    service.check()
    service.champion = None
    service.check()
    assert service.takeover.fault is None


def test_shadow_has_metrics_and_words_of_its_own(service: Service) -> None:
    service.takeover = TakeOver(
        service.champion_tag, service.load, service.swap, "", service.counts.append, SHADOW
    )
    service.champion = ServiceError("the store has no shadow")
    service.check()
    service.check()
    assert service.takeover.fault == (
        "The shadow model does not load and verify, so it scores no leads. The log says why."
    )
    service.champion = "v2"
    service.check()
    assert service.model == "v2"
    assert service.counts == ["leadscore_shadow_faults_total", "leadscore_shadow_takeovers_total"]


def test_old_model_is_freed_after_takeover(trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)

    def load(tag: str) -> ServedModel:
        loaded = load_artifact(folder)
        return ServedModel(loaded.scorer, tag, loaded.digest)

    models: list[ServedModel] = [load("v1")]  # the model that answers
    old_scorer = weakref.ref(models[0].scorer)
    champions = iter(["v2", "v3"])

    def swap(model: ServedModel) -> None:
        models[0] = model

    takeover = TakeOver(lambda: next(champions), load, swap, "v1", lambda _: None)
    gc.collect()
    gc.freeze()
    try:
        for version in ("v2", "v3"):
            asyncio.run(takeover.check())
            assert models[0].version == version
        assert old_scorer() is None, "gc.freeze must not keep a model that nothing refers to"
    finally:
        gc.unfreeze()


@pytest.fixture
def pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the file that names the champion of `acme`; its folder exists."""
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    path = champion_file("acme")
    path.parent.mkdir(parents=True)
    return path


def test_champion_file_is_in_the_home_of_bentoml(pointer: Path, tmp_path: Path) -> None:
    assert pointer == tmp_path / "leadscore" / "champions" / "acme.json"
    assert champion_file("../acme/x").parent == pointer.parent


def test_missing_champion_file_names_no_champion(pointer: Path) -> None:
    assert named_champion("acme") is None


def test_champion_file_names_a_tag(pointer: Path) -> None:
    pointer.write_text(json.dumps({"tag": "leadscore:acme-v1-0"}))
    assert named_champion("acme") == "leadscore:acme-v1-0"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_invalid_champion_file_is_refused(pointer: Path, text: str) -> None:
    pointer.write_text(text)
    with pytest.raises(ServiceError, match="cannot be read"):
        named_champion("acme")


def test_champion_file_that_cannot_be_written_is_an_error_with_a_remedy(
    pointer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving_store, "put_in_store", lambda *_: "leadscore:acme-v1-0")
    pointer.mkdir()
    with pytest.raises(ServiceError, match="repair this, and run `leadscore follow --once`"):
        promote_in_store(tmp_path, "acme", "1")


# Runs `leadscore follow`. Instead of sleeping, prints the version that services should load,
# and then takes the next step.
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
undamaged = Path(booster).read_bytes()
unreachable = f"http://127.0.0.1:{closed_port}"
steps = iter([
    lambda: os.environ.pop("MLFLOW_TRACKING_URI"),
    lambda: registry.make_champion("1"),
    lambda: (registry.make_champion("2"), Path(booster).write_bytes(altered.encode())),
    lambda: None,
    lambda: Path(booster).write_bytes(undamaged),
    lambda: os.environ.update(MLFLOW_TRACKING_URI=unreachable),
    lambda: (os.environ.pop("MLFLOW_TRACKING_URI"), registry.make_champion("1")),
    sys.exit,
])

def sleep(seconds):
    print("champion", json.loads(pointer.read_text())["version"] if pointer.is_file() else None)
    next(steps)()

commands.serve.time = SimpleNamespace(sleep=sleep)
os.environ["MLFLOW_TRACKING_URI"] = unreachable
commands.serve.follow(folder, every=5, once=False)
"""


@pytest.fixture
def booster_of_version_2(
    trained: Any, simulated_crm: Path, empty_mlflow: Path, tmp_path: Path
) -> Path:
    """Register versions 1 and 2 of a project in `tmp_path`, without a champion.

    Returns the trees of version 2 in the artifacts of MLflow.
    """
    shutil.copy(simulated_crm / "leadscore.toml", tmp_path)
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    project = load_project(tmp_path)
    registry = Registry(project)
    records = read_records(load_project(simulated_crm))
    for version in ("1", "2"):
        artifact = tmp_path / version / ARTIFACT
        calibration = Calibration(float(version), 0.0)  # so that the versions differ
        scorer = replace(trained.scorer, calibration=calibration)
        save_artifact(scorer, trained.golden_leads, artifact, trained.golden_as_of)
        now = datetime.datetime(2026, 3, int(version), tzinfo=datetime.UTC)
        assert track_training(registry, project, records, trained, artifact, now).version == version
    registry.make_champion(None)
    boosters = (tmp_path / "mlartifacts").rglob("booster.txt")
    return max(boosters, key=lambda path: path.stat().st_mtime)


def run_python(home: Path, code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own, with a home of BentoML."""
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"BENTOML_HOME": str(home), "COLUMNS": "500"},
        cwd=HERE,
        text=True,
        capture_output=True,
        timeout=300,
    )


def test_follow_survives_mlflows_absence_and_a_damaged_champion(
    booster_of_version_2: Path, tmp_path: Path
) -> None:
    port = free_port("127.0.0.1")
    process = run_python(tmp_path / "home", FOLLOW, tmp_path, port, booster_of_version_2, "altered")
    assert process.returncode == 0, process.stderr
    lines = [line for line in process.stdout.splitlines() if line.startswith("champion")]
    assert lines == [f"champion {version}" for version in (None, None, 1, 1, 1, 2, 2, 1)]
    errors = [line for line in process.stderr.splitlines() if line.startswith("error:")]
    assert [line.split(":", 1)[1][:30].strip() for line in errors] == [
        "MLflow cannot be reached at h",
        "`demo` has no champion in MLf",
        "Version 2 of `demo` is not th",
        "MLflow cannot be reached at h",
    ], errors


REPAIR = """
import os, sys
from pathlib import Path
from commands.serve import follow
from crm.errors import ArtifactError
from crm.project import load_project
from models.registry.registry import Registry
from serving.bento.store import load_from_store, named_champion

folder = Path(sys.argv[1])
Registry(load_project(folder)).make_champion("1")
follow(folder, every=5, once=True)
tag = named_champion("demo")
(Path(os.environ["BENTOML_HOME"]) / "models" / tag.replace(":", "/") / "booster.txt").unlink()
try:
    load_from_store(tag)
except ArtifactError as error:
    print("damaged:", error)
follow(folder, every=5, once=True)
print("repaired:", load_from_store(tag).version)
"""


def test_follow_repairs_the_copy_of_the_champion(
    booster_of_version_2: Path, tmp_path: Path
) -> None:
    process = run_python(tmp_path / "home", REPAIR, tmp_path)
    assert process.returncode == 0, process.stderr
    assert "damaged: leadscore:demo-v1-" in process.stdout
    assert process.stdout.splitlines()[-1] == "repaired: 1"


SHADOWS = """
import os, sys
from pathlib import Path
import bentoml
import commands.serve
from crm.project import load_project
from models.registry.registry import Registry
from serving.bento import store

folder = Path(sys.argv[1])
with (folder / "leadscore.toml").open("a") as file:
    file.write('[ledger]\\nurl = "sqlite:///ledger.db"\\n')
registry = Registry(load_project(folder))
registry.make_champion("1")
commands.serve.follow(folder, every=5, once=True, challenger=True)
registry.make_challenger("2")
commands.serve.follow(folder, every=5, once=True, challenger=True)
tag = store.named_shadow("demo", "challenger")
print("follow:", tag, store.load_from_store(tag).version)
store.newest_bento = lambda name: ("demo:1", folder)
os.execvpe = lambda *command: print("serve:", command[2]["LEADSCORE_SHADOW"])
commands.serve.serve(folder, port=0, shadow="2")
print("named:", store.named_shadow("demo", "2"))
print("champion:", store.named_champion("demo"), bentoml.models.get("leadscore:latest").tag)
"""


def test_shadows_are_copied_and_never_taken_for_champions(
    booster_of_version_2: Path, tmp_path: Path
) -> None:
    process = run_python(tmp_path / "home", SHADOWS, tmp_path)
    assert process.returncode == 0, process.stderr
    lines = dict(line.split(": ", 1) for line in process.stdout.splitlines() if ": " in line)
    shadow, version = lines["follow"].split()
    assert shadow.startswith("leadscore_shadow:demo-v2-")
    assert version == "2"
    assert (lines["serve"], lines["named"]) == ("2", shadow)
    champion, latest = lines["champion"].split()
    assert champion == latest
    assert champion.startswith("leadscore:demo-v1-")


PROMOTE = """
import sys; from pathlib import Path; from serving.bento.store import promote_in_store
print(promote_in_store(Path(sys.argv[1]), "demo", sys.argv[2]))
"""


def test_promoting_again_repairs_the_store(trained: Any, tmp_path: Path) -> None:
    artifact = tmp_path / "scorer"
    save_artifact(trained.scorer, trained.golden_leads, artifact, trained.golden_as_of)
    home = tmp_path / "home"

    def promote(version: str, returncode: int = 0) -> str:
        process = run_python(home, PROMOTE, artifact, version)
        assert process.returncode == returncode, process.stderr
        return process.stdout.strip()

    def champion() -> str:
        return str(json.loads((home / "leadscore/champions/demo.json").read_text())["tag"])

    tag_1, tag_2 = promote("1"), promote("2")
    assert champion() == tag_2
    assert promote("1") == tag_1 == champion()
    stored = home / "models" / "leadscore" / tag_1.partition(":")[2]
    (stored / "booster.txt").write_text("altered")
    assert promote("1") == tag_1
    assert (stored / "booster.txt").read_bytes() == (artifact / "booster.txt").read_bytes()
    shutil.copy(artifact / "card.json", artifact / "booster.txt")
    promote("3", returncode=1)
    assert champion() == tag_1


EXCHANGE = """
import os, shutil, sys
from pathlib import Path
from crm.errors import ArtifactError
from serving.bento.store import load_from_store, promote_in_store

artifacts = list(map(Path, sys.argv[1:]))
tags = [promote_in_store(path, "demo", str(i)) for i, path in enumerate(artifacts, start=1)]
store = Path(os.environ["BENTOML_HOME"]) / "models"
first, second = (store / tag.replace(":", "/") for tag in tags)

def load():
    try:
        return load_from_store(tags[1]).digest[:12]
    except ArtifactError as error:
        return str(error)

print(*tags, sep="\\n")
print(load())
for path in artifacts[0].iterdir():
    shutil.copy(path, second)
print(load())
shutil.copy(first / "model.yaml", second)
print(load())
assert promote_in_store(artifacts[1], "demo", "2") == tags[1]
print(load())
facts = (second / "model.yaml").read_text()
(second / "model.yaml").write_text(facts.replace("  digest: ", "  checksum: "))
print(load())
tags[1] = tags[0][:-1]
print(load())
"""


def test_files_of_another_model_under_a_tag_are_refused(trained: Any, tmp_path: Path) -> None:
    artifacts = [tmp_path / "1", tmp_path / "2"]
    for slope, artifact in enumerate(artifacts, start=1):
        scorer = replace(trained.scorer, calibration=Calibration(slope, 0.0))
        save_artifact(scorer, trained.golden_leads, artifact, trained.golden_as_of)
    process = run_python(tmp_path / "home", EXCHANGE, *artifacts)
    assert process.returncode == 0, process.stderr
    tag_1, tag_2, intact, exchanged, *others = process.stdout.splitlines()
    with_metadata, repaired, nameless, beginning = others
    assert intact == repaired == tag_2[-12:]
    assert exchanged.startswith(f"{tag_2}: These are the files of another model: ")
    assert f"have the digest {tag_1[-12:]}" in exchanged
    assert f"under this name has {tag_2[-12:]}. Restore" in exchanged
    assert with_metadata.startswith(f"BentoML's store has the files of {tag_1} in demo-v2-")
    assert beginning == f"BentoML's store has no model {tag_1[:-1]}."
    assert nameless.startswith(f"{tag_2} of BentoML's store was not stored by leadscore: it lacks")
