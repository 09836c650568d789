"""The artefact: data only, loaded whole and unaltered or not at all."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from crm.errors import ArtifactError
from models import artifact
from models.artifact import FORMAT, MANIFEST, MAX_BYTES, load_artifact, save_artifact
from models.scorer import LeadScorer
from training.golden import N_GOLDEN

FILES = sorted(MAX_BYTES)
TO_CATEGORY = r"\nthreshold=\S+(.*\ndecision_type=)\S+"  # the first node of the first tree


@pytest.fixture(scope="module")
def scorer(scorers) -> LeadScorer:
    """Give one that has everything that is ever saved."""
    return scorers["blend 0.3"]


@pytest.fixture(scope="module")
def saved(scorer, trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "scorer"
    save_artifact(scorer, trained.golden_leads, folder, trained.golden_as_of)
    return folder


@pytest.fixture
def model(saved, tmp_path) -> Path:
    """Give a copy that may be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def reseal(folder: Path) -> None:
    """Make the manifest agree with the files, as somebody would who means to deceive."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"bytes": len(content), "sha256": sha256}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def change(folder: Path, name: str, **entries) -> None:
    state = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(state | entries))
    reseal(folder)


def test_a_loaded_model_is_the_saved_one(scorer, trained, saved) -> None:
    loaded = load_artifact(saved)
    assert loaded.scorer == scorer
    leads = trained.golden_leads
    assert loaded.scorer.score_leads(leads, n_reasons=99) == scorer.score_leads(leads, n_reasons=99)
    golden = json.loads((saved / "golden.json").read_text())
    assert golden["as_of"] == trained.golden_as_of
    given = json.loads(msgspec.json.encode(trained.golden_leads))
    assert [made["lead"] for made in golden["leads"]] == given
    assert len(golden["leads"]) == N_GOLDEN + 4
    assert any(made["lead"]["activities"] for made in golden["leads"])


def test_a_loaded_model_saves_to_the_same_bytes(trained, saved, tmp_path) -> None:
    loaded = load_artifact(saved)
    leads, as_of = trained.golden_leads, trained.golden_as_of
    digest = save_artifact(loaded.scorer, leads, tmp_path / "again", as_of)
    assert digest == loaded.digest
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes(), name


def test_the_digest_is_of_what_decides_a_score(scorer, trained, saved, tmp_path) -> None:
    digest = load_artifact(saved).digest
    assert json.loads((saved / MANIFEST).read_text())["model"] == digest
    fewer = save_artifact(scorer, trained.golden_leads[:3], tmp_path / "fewer")
    assert fewer == digest


def test_the_folder_holds_data_only(saved) -> None:
    assert sorted(path.name for path in saved.iterdir()) == FILES
    for path in saved.iterdir():
        assert path.suffix in (".json", ".txt")
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK", b"\x93NUMPY", b"(", b"c"))
        text = content.decode("ascii")
        assert "\0" not in text
        assert not re.search(r"__reduce__|builtins|pickle|module|class_name|import ", text)


def test_a_saved_model_can_be_read_by_others(saved) -> None:
    assert saved.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_found(model, name: str) -> None:
    content = bytearray((model / name).read_bytes())
    at = content.index(b"sha256") + 12 if name == MANIFEST else len(content) // 2
    content[at] ^= 1
    (model / name).write_bytes(content)
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        load_artifact(model)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(model, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ArtifactError, match=f"no complete model: {re.escape(name)} is missing"):
        load_artifact(model)


def test_a_folder_that_is_not_there_holds_no_model(tmp_path) -> None:
    with pytest.raises(ArtifactError, match="no complete model: manifest.json is missing"):
        load_artifact(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_not_waited_for(model, name: str) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    with pytest.raises(ArtifactError, match=f"{re.escape(name)} is missing"):
        load_artifact(model)


@pytest.mark.parametrize("name", FILES)
def test_an_oversized_file_is_not_read(model, name: str) -> None:
    os.truncate(model / name, MAX_BYTES[name] + 1)
    with pytest.raises(ArtifactError, match=rf"has [\d,]+ bytes; at most {MAX_BYTES[name]:,} are"):
        load_artifact(model)


@pytest.mark.parametrize("name", FILES)
def test_five_gigabytes_are_not_read(model, name: str, monkeypatch) -> None:
    os.truncate(model / name, 5_000_000_000)  # a hole: it takes no room on the disk
    reads: list[str] = []
    open_file = Path.open

    def spy(path: Path, *rest, **more):
        reads.append(path.name)
        return open_file(path, *rest, **more)

    monkeypatch.setattr(Path, "open", spy)
    with pytest.raises(ArtifactError, match=rf"{re.escape(name)} has 5,000,000,000 bytes; at most"):
        load_artifact(model)
    assert name not in reads


@pytest.mark.parametrize("found", [FORMAT + 1, 10**30, 0, -1, "2", None, [2]])
def test_another_format_is_refused_by_number(model, found) -> None:
    change(model, MANIFEST, format=found)
    match = rf"has format {re.escape(repr(found))}; this leadscore reads formats 1 to {FORMAT}\."
    with pytest.raises(ArtifactError, match=match):
        load_artifact(model)


@pytest.mark.parametrize("content", ["[]", '{"format": 1}', '{"format": 1, "files": []}', '"x"'])
def test_a_manifest_of_something_else_is_refused(model, content: str) -> None:
    (model / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError, match="is no manifest of a leadscore model"):
        load_artifact(model)


def test_a_file_that_the_manifest_does_not_name_is_refused(model) -> None:
    change(model, MANIFEST, files={})
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        load_artifact(model)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_broken_json_is_named(model, name: str, content: bytes) -> None:
    (model / name).write_bytes(content[: MAX_BYTES[name]])
    if name != MANIFEST:
        reseal(model)
    with pytest.raises(ArtifactError, match=f"{re.escape(name)} is not valid JSON"):
        load_artifact(model)


@pytest.mark.parametrize("name", [name for name in FILES if name not in (MANIFEST, "booster.txt")])
@pytest.mark.parametrize("content", ["[]", "{}", "null", "3", '"text"', '[[1, "a"]]', '[{"a": 1}]'])
def test_json_of_another_shape_is_refused(model, name: str, content: str) -> None:
    (model / name).write_text(content)
    reseal(model)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(model)


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("calibration.json", {"slope": None}),
        ("calibration.json", {"slope": "steep"}),
        ("calibration.json", {"slope": 10**400}),
        ("calibration.json", {"intercept": float("nan")}),
        ("calibration.json", {"base_log_odds": float("inf")}),
        ("calibration.json", {"grades": [["A", 40], ["B", 50]]}),
        ("calibration.json", {"grades": []}),
        ("calibration.json", {"grades": {"A": 65}}),
        ("calibration.json", {"grades": [["A", "65"]]}),
        ("features.json", {"roles": ["lead_id"]}),
        ("features.json", {"attributes": [{"column": "a", "kind": "code", "nothing": []}]}),
        ("features.json", {"attributes": [{"column": "a", "kind": "number", "nothing": []}]}),
        ("features.json", {"attributes": []}),
        ("features.json", {"left_out": [{"column": "a", "why": "b"}]}),
    ],
)
def test_values_of_another_kind_are_refused(model, name: str, entries) -> None:
    change(model, name, **entries)
    with pytest.raises(ArtifactError, match="cannot be read: .* train again"):
        load_artifact(model)


@pytest.mark.parametrize("shift", [1e-9, -0.2])
def test_a_golden_lead_that_scores_differently_is_refused(model, shift: float) -> None:
    golden = json.loads((model / "golden.json").read_text())
    golden["leads"][3]["probability"] += shift
    (model / "golden.json").write_text(json.dumps(golden))
    reseal(model)
    with pytest.raises(ArtifactError, match="does not score its golden leads as it did"):
        load_artifact(model)


@pytest.mark.parametrize("probability", [None, "0.1", [0.1, 0.2], float("nan")])
def test_a_golden_probability_that_is_none_is_refused(model, probability) -> None:
    golden = json.loads((model / "golden.json").read_text())
    golden["leads"][0]["probability"] = probability if probability != "0.1" else "0.123456"
    (model / "golden.json").write_text(json.dumps(golden))
    reseal(model)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(model)


def test_a_model_without_golden_leads_is_refused(model) -> None:
    (model / "golden.json").write_text('{"as_of": 0, "leads": []}')
    reseal(model)
    with pytest.raises(ArtifactError, match="does not score its golden leads"):
        load_artifact(model)


@pytest.mark.parametrize("name", ["features.json", "calibration.json", "booster.txt"])
def test_another_models_file_is_found_by_its_scores(trained, model, name: str) -> None:
    text = (model / name).read_text()
    if name == "features.json":
        text = text.replace('"Partner"', '"Elsewhere"').replace('"Webinar"', '"Partner"')
    elif name == "calibration.json":
        text = re.sub(r'("intercept": -?)(\d)', r"\g<1>1\2", text)
    else:
        text = _with_its_sizes(re.sub(r"leaf_value=\S+", "leaf_value=0.5", text), "leaf_value")
    assert text != (model / name).read_text()
    (model / name).write_text(text)
    reseal(model)
    with pytest.raises(ArtifactError, match="does not score its golden leads"):
        load_artifact(model)


def test_trees_for_other_features_are_refused(model) -> None:
    n = len(load_artifact(model).scorer.pipeline.names)
    attributes = json.loads((model / "features.json").read_text())["attributes"]
    change(model, "features.json", attributes=attributes[:-1])
    with pytest.raises(
        ArtifactError, match=f"the trees expect {n} features, the pipeline makes {n - 1}"
    ):
        load_artifact(model)


@pytest.mark.parametrize(
    ("pattern", "replacement", "match"),
    [
        (r"version=v4", "version=v9", "header that this leadscore does not write"),
        (r"objective=.*", "objective=regression", "header that this leadscore does not write"),
        (r"num_class=1", "num_class=3", "header that this leadscore does not write"),
        (r"label_index=0", "label_index=0\naverage_output=", "header that this leadscore"),
        (r"label_index=0", "label_index=0\nlabel_index=0", "`label_index` stands there twice"),
        (r"tree_sizes=\d+", "tree_sizes=77", "tree 0 is damaged"),
        (r"tree_sizes=.*", "tree_sizes=", "`tree_sizes` does not hold only numbers"),
        (r"Tree=1\n", "Tree=2\n", "tree 1 does not stand where the header says"),
        (r"num_leaves=\d+", "num_leaves=4000", "tree 0 is damaged"),
        (r"num_leaves=\d+", "num_leaves=1000000000", "tree 0 is damaged: it has 1000000000 leaves"),
        (r"num_leaves=\d+", "num_leaves=0", "tree 0 is damaged"),
        (r"num_leaves=\d+", "num_leaves=-7", "tree 0 is damaged"),
        (r"num_cat=\d+", "num_cat=99", "tree 0 is damaged"),
        (r"left_child=\S+", "left_child=0", "node 0 points out of the tree"),
        (r"left_child=\S+", "left_child=-900", "node 0 points out of the tree"),
        (r"right_child=\S+", "right_child=90000", "node 0 points out of the tree"),
        (r"left_child=.*", "left_child=0 0 0", "`left_child` does not hold"),
        (r"split_feature=\S+", "split_feature=9999", "asks for a feature that is not there"),
        (r"split_feature=\S+", "split_feature=-1", "asks for a feature that is not there"),
        (TO_CATEGORY, r"\nthreshold=99\g<1>1", "asks for categories that are not there"),
        (TO_CATEGORY, r"\nthreshold=-1\g<1>1", "asks for categories that are not there"),
        (r"cat_boundaries=.*", "cat_boundaries=0 99999999", "tree \\d+ is damaged"),
        (r"cat_threshold=.*", "cat_threshold=1", "`cat_threshold` does not hold"),
        (r"is_linear=0", "is_linear=1", "tree 0 is damaged: .* is linear"),
        (r"is_linear=0", "is_linear=0\nnum_features=3", "lines of an unknown kind"),
        (r"leaf_value=\S+", "leaf_value=1_000", "`leaf_value` does not hold"),
        (r"leaf_value=\S+", "leaf_value=٣", "cut short|stand where"),
        (r"threshold=\S+", "threshold=\0", "cut short"),
        (r"leaf_count=\S+ ", "leaf_count=", "`leaf_count` does not hold"),
        (r"end of trees", "more trees", "does not end where the header says"),
    ],
)
def test_damaged_trees_never_reach_lightgbm(
    model, monkeypatch, pattern: str, replacement: str, match: str
) -> None:
    text = (model / "booster.txt").read_text()
    damaged = _with_its_sizes(re.sub(pattern, replacement, text, count=1), pattern)
    assert damaged != text
    (model / "booster.txt").write_text(damaged)
    reseal(model)
    monkeypatch.setattr("models.artifact.BoostedTrees", _reached)
    with pytest.raises(ArtifactError, match=match):
        load_artifact(model)


def _reached(text: str):
    raise AssertionError("LightGBM was asked")


def _with_its_sizes(text: str, changed: str) -> str:
    """State the trees' true sizes, so that the damage lies where it was meant to lie."""
    if changed.startswith(("tree_sizes", "Tree=", "end")):
        return text
    trees = re.findall(r"Tree=\d+\n.*?(?=Tree=|end of trees)", text, flags=re.DOTALL)
    sizes = " ".join(str(len(tree.encode())) for tree in trees)
    return re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", text)


@pytest.mark.parametrize(
    "content", [b"", b"tree\n", b"garbage" * 999, b"\xff\xfe" * 99, b"\x80\x04"]
)
def test_garbage_for_trees_is_refused(model, content: bytes) -> None:
    (model / "booster.txt").write_bytes(content)
    reseal(model)
    with pytest.raises(ArtifactError, match="cannot be read: (ValueError|UnicodeDecodeError)"):
        load_artifact(model)


def test_trees_that_were_cut_anywhere_are_refused(model) -> None:
    content = (model / "booster.txt").read_bytes()
    end = content.index(b"end of trees")
    cuts = np.linspace(0, end, 30, dtype=int)
    for cut in cuts.tolist():
        (model / "booster.txt").write_bytes(content[:cut])
        reseal(model)
        with pytest.raises(ArtifactError, match="cannot be read: ValueError"):
            load_artifact(model)
    assert len(cuts) == 30


def test_altered_trees_load_or_are_refused_but_never_end_the_process(model) -> None:
    # In a process of its own: what goes wrong inside LightGBM would end this one.
    program = """
import json, random, sys
from pathlib import Path
import msgspec
from models.artifact import READING_ERRORS, _build
from models.scorer import LeadCells
contents = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
made = json.loads(contents["golden.json"])["leads"]
golden = [msgspec.convert(each["lead"], LeadCells) for each in made]
content, generator = contents["booster.txt"], random.Random(0)
found = {"loaded": 0, "refused": 0}
for _ in range(150):
    altered = bytearray(content)
    altered[generator.randrange(len(content))] = generator.choice(b"0123456789- =\\nxT")
    try:
        _build(contents | {"booster.txt": bytes(altered)}, 2).score_leads(golden, n_reasons=3)
        found["loaded"] += 1
    except READING_ERRORS:
        found["refused"] += 1
print(json.dumps(found))
"""
    command = [sys.executable, "-c", program, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum(found.values()) == 150
    assert min(found.values()) > 15


def test_nothing_in_an_artefact_is_executed(model, tmp_path) -> None:
    trace = tmp_path / "executed"
    attack = f"__import__('os').system('touch {trace}')"
    payload = b"cos\nsystem\n(S'touch " + str(trace).encode() + b"'\ntR."
    for name in (name for name in FILES if name != MANIFEST):
        for content in (attack.encode(), payload, json.dumps({"py/object": attack}).encode()):
            damaged = Path(shutil.copytree(model, tmp_path / "damaged"))
            (damaged / name).write_bytes(content)
            reseal(damaged)
            with pytest.raises(ArtifactError, match="cannot be read|not valid JSON"):
                load_artifact(damaged)
            shutil.rmtree(damaged)
    assert not trace.exists()


def test_an_existing_folder_is_not_overwritten(trained, tmp_path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(ArtifactError, match="exists already. Expected a new folder"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model")
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "mine"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_nothing(
    trained, tmp_path, monkeypatch, failure: BaseException
) -> None:
    write = Path.write_bytes

    def fail_on_the_third(path: Path, content: bytes) -> int:
        if len(list(path.parent.iterdir())) == 2:
            raise failure
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail_on_the_third)
    expected = ArtifactError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="cannot be saved.*No space left|^$"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(trained, tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ArtifactError, match="cannot be saved in .*: (Not a directory|File exists)"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "file" / "model")


def test_folders_on_the_way_are_made(trained, tmp_path) -> None:
    folder = tmp_path / "a" / "b" / "model"
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)
    assert load_artifact(folder).scorer == trained.scorer
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_this_test_knows_the_format() -> None:
    # Raise FORMAT together with a reader of the old one, and keep an old artefact here.
    assert FORMAT == 2
    assert artifact.READABLE == (1, 2)
    assert FILES == [
        "booster.txt",
        "calibration.json",
        "card.json",
        "estimator.json",
        "features.json",
        "golden.json",
        "manifest.json",
    ]
