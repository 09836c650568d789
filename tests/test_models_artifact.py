"""The artefact: data only, loaded whole and unaltered or not at all."""

import datetime
import hashlib
import json
import os
import pickle
import pickletools
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import msgspec
import numpy as np
import pytest

from crm.errors import ArtifactError
from crm.project import load_project
from crm.reading import read_records
from models import artifact
from models.artifact import FORMAT, MANIFEST, MAX_BYTES, load_artifact, model_digest, save_artifact
from models.estimator.blend import Blend
from models.registry.registry import ARTIFACT, Registry
from models.scale import GRADES, Scale
from models.scorer import LeadCells, LeadScorer
from training.golden import N_GOLDEN
from training.tracking import track

FILES = sorted(MAX_BYTES)
FORMATS = Path(__file__).parent / "formats"
TO_CATEGORY = r"\nthreshold=\S+(.*\ndecision_type=)\S+"  # the first node of the first tree


@pytest.fixture(scope="module")
def scorer(scorers: Any) -> LeadScorer:
    """Give one that has everything that is ever saved."""
    return scorers["blend 0.3"]


@pytest.fixture(scope="module")
def saved(scorer: LeadScorer, trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "scorer"
    save_artifact(scorer, trained.golden_leads, folder, trained.golden_as_of)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    """Give a copy that may be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def reseal(folder: Path) -> None:
    """Make the manifest agree with the files, as somebody would who means to deceive."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["model"] = model_digest(folder)
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"bytes": len(content), "sha256": sha256}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def change(folder: Path, name: str, **entries: Any) -> None:
    state = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(state | entries))
    reseal(folder)


def forget(folder: Path, name: str) -> None:
    """Leave a file out, and let the manifest know nothing of it."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"][name]
    (folder / name).unlink()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    reseal(folder)


def test_a_loaded_model_is_the_saved_one(scorer: LeadScorer, trained: Any, saved: Path) -> None:
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


def test_a_loaded_model_saves_to_the_same_bytes(trained: Any, saved: Path, tmp_path: Path) -> None:
    loaded = load_artifact(saved)
    leads, as_of = trained.golden_leads, trained.golden_as_of
    digest = save_artifact(loaded.scorer, leads, tmp_path / "again", as_of)
    assert digest == loaded.digest
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes(), name


def test_digest_covers_everything_that_decides_a_score(
    scorer: LeadScorer, trained: Any, saved: Path, tmp_path: Path
) -> None:
    digest = load_artifact(saved).digest
    assert json.loads((saved / MANIFEST).read_text())["model"] == digest
    fewer = save_artifact(scorer, trained.golden_leads[:3], tmp_path / "fewer")
    assert fewer == digest


def test_saved_folder_contains_data_only(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == FILES
    for path in saved.iterdir():
        assert path.suffix in (".json", ".txt")
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK", b"\x93NUMPY", b"(", b"c"))
        text = content.decode("ascii")
        assert "\0" not in text
        assert not re.search(r"__reduce__|builtins|pickle|module|class_name|import ", text)


def test_saved_model_is_readable_by_other_users(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", FILES)
def test_load_refuses_a_flipped_byte(model: Path, name: str) -> None:
    content = bytearray((model / name).read_bytes())
    at = content.index(b"sha256") + 12 if name == MANIFEST else len(content) // 2
    content[at] ^= 1
    (model / name).write_bytes(content)
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        load_artifact(model)


def test_load_refuses_any_flipped_byte_in_the_manifest(model: Path) -> None:
    content = (model / MANIFEST).read_bytes()
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        (model / MANIFEST).write_bytes(flipped)
        with pytest.raises(ArtifactError):
            load_artifact(model)


@pytest.mark.parametrize("name", FILES)
def test_load_names_a_missing_file(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(
        ArtifactError, match=f"not contain a complete model: {re.escape(name)} is missing"
    ):
        load_artifact(model)


def test_load_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactError, match="not contain a complete model: manifest.json is missing"
    ):
        load_artifact(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
def test_load_refuses_special_files_without_waiting(model: Path, name: str) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    with pytest.raises(ArtifactError, match=f"{re.escape(name)} is missing"):
        load_artifact(model)


@pytest.mark.parametrize("name", FILES)
def test_load_refuses_an_oversized_file(model: Path, name: str) -> None:
    os.truncate(model / name, MAX_BYTES[name] + 1)
    with pytest.raises(ArtifactError, match=rf"has [\d,]+ bytes; at most {MAX_BYTES[name]:,} are"):
        load_artifact(model)


@pytest.mark.parametrize("name", FILES)
def test_load_never_reads_five_gigabytes(
    model: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(model / name, 5_000_000_000)  # a hole: it takes no room on the disk
    reads: list[str] = []
    open_file = Path.open

    def spy(path: Path, *rest: Any, **more: Any) -> Any:
        reads.append(path.name)
        return open_file(path, *rest, **more)

    monkeypatch.setattr(Path, "open", spy)
    with pytest.raises(ArtifactError, match=rf"{re.escape(name)} has 5,000,000,000 bytes; at most"):
        load_artifact(model)
    assert name not in reads


@pytest.mark.parametrize("format_", [FORMAT + 1, 10**30, 0, -1, "2", None, [2]])
def test_load_names_an_unknown_format(model: Path, format_: Any) -> None:
    change(model, MANIFEST, format=format_)
    match = rf"has format {re.escape(repr(format_))}; this leadscore reads formats 1 to {FORMAT}\."
    with pytest.raises(ArtifactError, match=match):
        load_artifact(model)


@pytest.mark.parametrize("content", ["[]", '{"format": 1}', '{"format": 1, "files": []}', '"x"'])
def test_load_refuses_a_foreign_manifest(model: Path, content: str) -> None:
    (model / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError, match="is not the manifest of a leadscore model"):
        load_artifact(model)


def test_load_refuses_a_file_missing_from_the_manifest(model: Path) -> None:
    change(model, MANIFEST, files={})
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        load_artifact(model)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_load_names_the_file_with_invalid_json(model: Path, name: str, content: bytes) -> None:
    (model / name).write_bytes(content[: MAX_BYTES[name]])
    if name != MANIFEST:
        reseal(model)
    with pytest.raises(ArtifactError, match=f"{re.escape(name)} is not valid JSON"):
        load_artifact(model)


@pytest.mark.parametrize("name", [name for name in FILES if name not in (MANIFEST, "booster.txt")])
@pytest.mark.parametrize("content", ["[]", "{}", "null", "3", '"text"', '[[1, "a"]]', '[{"a": 1}]'])
def test_load_refuses_json_of_another_shape(model: Path, name: str, content: str) -> None:
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
def test_load_refuses_values_of_another_type(model: Path, name: str, entries: Any) -> None:
    change(model, name, **entries)
    with pytest.raises(ArtifactError, match="cannot be read: .* train again"):
        load_artifact(model)


@pytest.mark.parametrize("shift", [1e-9, -0.2])
def test_load_refuses_a_golden_lead_with_another_score(model: Path, shift: float) -> None:
    golden = json.loads((model / "golden.json").read_text())
    golden["leads"][3]["probability"] += shift
    (model / "golden.json").write_text(json.dumps(golden))
    reseal(model)
    with pytest.raises(ArtifactError, match="does not score its golden leads as it did"):
        load_artifact(model)


@pytest.mark.parametrize("shift", [1e-6, -3.0])
@pytest.mark.parametrize("signal", [0, -1])
def test_load_refuses_golden_points_that_differ(model: Path, shift: float, signal: int) -> None:
    golden = json.loads((model / "golden.json").read_text())
    golden["leads"][3]["points"][signal] += shift
    (model / "golden.json").write_text(json.dumps(golden))
    reseal(model)
    with pytest.raises(ArtifactError, match="does not score its golden leads as it did"):
        load_artifact(model)


def test_golden_points_equal_the_points_of_the_reasons(
    scorer: LeadScorer, trained: Any, saved: Path
) -> None:
    golden = json.loads((saved / "golden.json").read_text())["leads"]
    leads, as_of = trained.golden_leads, trained.golden_as_of
    for made, score in zip(golden, scorer.score_leads(leads, as_of, n_reasons=99), strict=True):
        points = dict(zip(scorer.reasoner.signals, made["points"], strict=True))
        assert {reason.signal: reason.points for reason in score.reasons} == points


GOLDEN_POINTS = {
    "missing": lambda made: made.pop("points"),
    "none": lambda made: made.update(points=None),
    "too few": lambda made: made["points"].pop(),
    "words": lambda made: made.update(points=["many"] * len(made["points"])),
    "not numbers": lambda made: made.update(points=[float("nan")] * len(made["points"])),
    "no list": lambda made: made.update(points=3.0),
}


@pytest.mark.parametrize("alter", GOLDEN_POINTS.values(), ids=GOLDEN_POINTS)
@pytest.mark.parametrize("which", ["one lead", "all leads"])
def test_load_refuses_invalid_golden_points(model: Path, alter: Any, which: str) -> None:
    golden = json.loads((model / "golden.json").read_text())
    for made in golden["leads"][: 1 if which == "one lead" else None]:
        alter(made)
    (model / "golden.json").write_text(json.dumps(golden))
    reseal(model)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(model)


@pytest.mark.parametrize("probability", [None, "0.1", [0.1, 0.2], float("nan")])
def test_load_refuses_an_invalid_golden_probability(model: Path, probability: Any) -> None:
    golden = json.loads((model / "golden.json").read_text())
    golden["leads"][0]["probability"] = probability if probability != "0.1" else "0.123456"
    (model / "golden.json").write_text(json.dumps(golden))
    reseal(model)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(model)


def test_load_refuses_a_model_without_golden_leads(model: Path) -> None:
    (model / "golden.json").write_text('{"as_of": 0, "leads": []}')
    reseal(model)
    with pytest.raises(ArtifactError, match="does not score its golden leads"):
        load_artifact(model)


@pytest.mark.parametrize("name", ["features.json", "calibration.json", "booster.txt"])
def test_golden_scores_reveal_a_file_of_another_model(trained: Any, model: Path, name: str) -> None:
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


def test_load_refuses_trees_for_other_features(model: Path) -> None:
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
    model: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, replacement: str, match: str
) -> None:
    text = (model / "booster.txt").read_text()
    damaged = _with_its_sizes(re.sub(pattern, replacement, text, count=1), pattern)
    assert damaged != text
    (model / "booster.txt").write_text(damaged)
    reseal(model)
    monkeypatch.setattr("models.artifact.BoostedTrees", _reached)
    with pytest.raises(ArtifactError, match=match):
        load_artifact(model)


def _reached(text: str) -> None:
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
def test_load_refuses_trees_that_are_not_a_model(model: Path, content: bytes) -> None:
    (model / "booster.txt").write_bytes(content)
    reseal(model)
    with pytest.raises(ArtifactError, match="cannot be read: (ValueError|UnicodeDecodeError)"):
        load_artifact(model)


def test_load_refuses_trees_truncated_anywhere(model: Path) -> None:
    content = (model / "booster.txt").read_bytes()
    end = content.index(b"end of trees")
    cuts = np.linspace(0, end, 30, dtype=int)
    for cut in cuts.tolist():
        (model / "booster.txt").write_bytes(content[:cut])
        reseal(model)
        with pytest.raises(ArtifactError, match="cannot be read: ValueError"):
            load_artifact(model)
    assert len(cuts) == 30


def test_altered_trees_never_crash_the_process(model: Path) -> None:
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
result = {"loaded": 0, "refused": 0}
for _ in range(150):
    altered = bytearray(content)
    altered[generator.randrange(len(content))] = generator.choice(b"0123456789- =\\nxT")
    try:
        _build(contents | {"booster.txt": bytes(altered)}, 2).score_leads(golden, n_reasons=3)
        result["loaded"] += 1
    except READING_ERRORS:
        result["refused"] += 1
print(json.dumps(result))
"""
    command = [sys.executable, "-c", program, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert sum(result.values()) == 150
    assert min(result.values()) > 15


# -- the estimator -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["base rate", "blend 0.0", "blend 0.3", "blend 0.5", "blend 1.0"])
def test_every_kind_of_model_can_be_saved_and_loaded(
    scorers: Any, trained: Any, tmp_path: Path, name: str
) -> None:
    scorer, leads, as_of = scorers[name], trained.golden_leads, trained.golden_as_of
    digest = save_artifact(scorer, leads, tmp_path / "model", as_of)
    loaded = load_artifact(tmp_path / "model")
    assert loaded.digest == digest
    assert loaded.scorer == scorer
    assert loaded.scorer.score_leads(leads, as_of, n_reasons=99) == scorer.score_leads(
        leads, as_of, n_reasons=99
    )
    has_trees = name not in ("base rate", "blend 1.0")
    assert (tmp_path / "model" / "booster.txt").exists() == has_trees
    state = json.loads((tmp_path / "model" / "estimator.json").read_text())
    assert state["kind"] == name.rpartition(" ")[0] if name != "base rate" else "base rate"
    assert "trees" not in state


def test_models_of_different_kinds_have_different_digests(
    scorers: Any, trained: Any, tmp_path: Path
) -> None:
    digests = {
        save_artifact(scorer, trained.golden_leads[:2], tmp_path / name)
        for name, scorer in scorers.items()
    }
    assert len(digests) == len(scorers) == 5


def test_save_keeps_grades_and_base_odds(scorer: LeadScorer, trained: Any, tmp_path: Path) -> None:
    scale = Scale(-1.25, (("A", 70), ("B", 55), ("C", 40), ("D", 20)))
    other = replace(scorer, scale=scale)
    digest = save_artifact(other, trained.golden_leads, tmp_path / "model", trained.golden_as_of)
    loaded = load_artifact(tmp_path / "model")
    assert loaded.scorer.scale == scale
    assert digest != save_artifact(scorer, trained.golden_leads[:1], tmp_path / "other")


ALTERED = {
    "another kind": lambda state: state.update(kind="oracle"),
    "no kind": lambda state: state.pop("kind"),
    "a kind that is a list": lambda state: state.update(kind=["blend"]),
    "a base rate with trees": lambda state: state.update(kind="base rate", log_odds=-1.0),
    "no weight": lambda state: state.pop("logistic_weight"),
    "a weight in words": lambda state: state.update(logistic_weight="half"),
    "a weight that is none": lambda state: state.update(logistic_weight=float("nan")),
    "a weight above all": lambda state: state.update(logistic_weight=1.5),
    "a weight below nothing": lambda state: state.update(logistic_weight=-0.5),
    "a weight that leaves the trees none": lambda state: state.update(logistic_weight=1.0),
    "a weight that leaves the logistic none": lambda state: state.update(logistic_weight=0.0),
    "another weight": lambda state: state.update(logistic_weight=0.30001),
    "no logistic": lambda state: state.update(logistic=None),
    "a logistic that is none": lambda state: state.update(logistic="strong"),
    "a logistic without terms": lambda state: state["logistic"].pop("terms"),
    "another intercept": lambda state: state["logistic"].update(intercept=0.0),
    "an endless intercept": lambda state: state["logistic"].update(intercept=float("inf")),
    "an intercept in words": lambda state: state["logistic"].update(intercept="0.1"),
    "a coefficient too few": lambda state: state["logistic"]["coefficients"].pop(),
    "a coefficient that is none": lambda state: state["logistic"]["coefficients"].__setitem__(
        0, float("nan")
    ),
    "another coefficient": lambda state: state["logistic"]["coefficients"].__setitem__(0, 0.5),
    "a centre too many": lambda state: state["logistic"]["centre"].append(0.0),
    "another centre": lambda state: state["logistic"]["centre"].__setitem__(0, 0.5),
    "a column that is not there": lambda state: _terms(state)["numeric"].__setitem__(0, 10**6),
    "a column before the first": lambda state: _terms(state)["numeric"].__setitem__(0, -1),
    "a column too few": lambda state: _terms(state)["categorical"].pop(),
    "a column in half": lambda state: _terms(state)["numeric"].__setitem__(0, 0.5),
    "a scale of nothing": lambda state: _terms(state)["scale"].__setitem__(0, 0.0),
    "a range that is none": lambda state: _terms(state)["low"].__setitem__(0, 2e100),
    "codes out of order": lambda state: _terms(state)["codes"][0].reverse(),
    "codes in words": lambda state: _terms(state)["codes"].__setitem__(0, ["a", "b"]),
    "a number beyond all numbers": lambda state: _terms(state)["mean"].__setitem__(0, 10**400),
}


def _terms(state: Any) -> Any:
    return state["logistic"]["terms"]


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_load_refuses_an_altered_estimator(model: Path, alter: Any) -> None:
    state = json.loads((model / "estimator.json").read_text())
    alter(state)
    (model / "estimator.json").write_text(json.dumps(state))
    reseal(model)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(model)


@pytest.mark.parametrize("log_odds", [None, "-1", float("inf"), float("nan"), -1.0])
def test_load_refuses_an_altered_base_rate(
    scorers: Any, trained: Any, tmp_path: Path, log_odds: Any
) -> None:
    leads = trained.golden_leads
    save_artifact(scorers["base rate"], leads, tmp_path / "model", trained.golden_as_of)
    change(tmp_path / "model", "estimator.json", log_odds=log_odds)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(tmp_path / "model")


def test_load_refuses_a_blend_whose_trees_are_not_in_the_manifest(model: Path) -> None:
    forget(model, "booster.txt")
    with pytest.raises(ArtifactError, match="a part of the blend is missing, or has no weight"):
        load_artifact(model)


@pytest.mark.parametrize(
    ("name", "match"),
    [("base rate", "has no trees"), ("blend 1.0", "a part of the blend is missing, or has no")],
)
def test_load_refuses_trees_that_the_estimator_does_not_use(
    scorers: Any, trained: Any, saved: Path, tmp_path: Path, name: str, match: str
) -> None:
    folder = tmp_path / "model"
    save_artifact(scorers[name], trained.golden_leads, folder, trained.golden_as_of)
    shutil.copy(saved / "booster.txt", folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["booster.txt"] = {}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    reseal(folder)
    with pytest.raises(ArtifactError, match=match):
        load_artifact(folder)


def test_load_refuses_a_manifest_without_the_estimator(model: Path) -> None:
    manifest = json.loads((model / MANIFEST).read_text())
    del manifest["files"]["estimator.json"]
    (model / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"estimator\.json is not the file that was saved"):
        load_artifact(model)
    (model / "estimator.json").unlink()
    with pytest.raises(
        ArtifactError, match=r"not contain a complete model: estimator\.json is missing"
    ):
        load_artifact(model)


# -- the format before -------------------------------------------------------------------------


def test_format_1_model_scores_as_before() -> None:
    loaded = load_artifact(FORMATS / "1")
    manifest = json.loads((FORMATS / "1" / MANIFEST).read_text())
    assert manifest["format"] == 1
    assert "estimator.json" not in manifest["files"]
    scorer = loaded.scorer
    assert isinstance(scorer.estimator, Blend)
    assert scorer.estimator.logistic_weight == 0.0
    assert scorer.estimator.logistic is None
    assert scorer.scale.grades == GRADES
    golden = json.loads((FORMATS / "1" / "golden.json").read_text())
    leads = [msgspec.convert(made["lead"], LeadCells) for made in golden["leads"]]
    scores = scorer.score_leads(leads, golden["as_of"])
    expected = [made["probability"] for made in golden["leads"]]
    assert [score.probability for score in scores] == pytest.approx(expected, rel=0, abs=1e-12)
    assert len(expected) == N_GOLDEN + 4


def test_format_1_model_has_reasons_that_add_up() -> None:
    scorer = load_artifact(FORMATS / "1").scorer
    golden = json.loads((FORMATS / "1" / "golden.json").read_text())
    leads = [msgspec.convert(made["lead"], LeadCells) for made in golden["leads"]]
    features = scorer.features_of(leads, golden["as_of"])
    parts = scorer.reasoner.parts(features)
    unrounded = scorer.scale.unrounded(scorer.log_odds_of(features))
    assert parts.start + parts.of_signals.sum(axis=1) == pytest.approx(unrounded, rel=0, abs=1e-9)
    scores = scorer.score_leads(leads, golden["as_of"], n_reasons=3)
    assert all(len(score.reasons) <= 3 and score.start == parts.start for score in scores)
    assert {reason.text for score in scores for reason in score.reasons}


def test_format_1_model_is_saved_in_the_current_format(tmp_path: Path) -> None:
    scorer = load_artifact(FORMATS / "1").scorer
    save_artifact(scorer, [LeadCells({})], tmp_path / "model")
    assert json.loads((tmp_path / "model" / MANIFEST).read_text())["format"] == FORMAT
    assert load_artifact(tmp_path / "model").scorer == scorer


def test_format_1_has_no_estimator_file(model: Path, tmp_path: Path) -> None:
    # Who names an older format gets what that format holds, and so other scores.
    forget(model, "estimator.json")
    change(model, MANIFEST, format=1)
    with pytest.raises(ArtifactError, match="does not score its golden leads"):
        load_artifact(model)


# -- nothing is executed -----------------------------------------------------------------------


def is_pickle(content: bytes) -> bool:
    """Whether pickle would read it to its end; or it is packed, and could hold one."""
    if content.startswith(PACKED):
        return True
    try:
        with warnings.catch_warnings(action="ignore"):  # what reads text as escapes
            *_, (stop, _, at) = pickletools.genops(content)
    except Exception:
        return False
    return stop.name == "STOP" and at == len(content) - 1


ZLIB = (b"x\x01", b"x^", b"x\x9c", b"x\xda")
PACKED = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7z", b"]\0\0", b"\x28\xb5\x2f\xfd", *ZLIB)


def test_pickle_detector_recognises_pickles(tmp_path: Path) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert is_pickle(pickle.dumps({"a": [1, object]}, protocol))
    for pack in (0, 1, 3, 9, ("gzip", 3), ("bz2", 3), ("lzma", 3)):
        joblib.dump({"a": 1}, tmp_path / "dumped", compress=pack)
        assert is_pickle((tmp_path / "dumped").read_bytes())
    assert is_pickle(cloudpickle.dumps(lambda: 1))
    assert not is_pickle(b'{"a": 1}')
    assert not is_pickle(b"share,lift\n0.1,2.5\n")


@pytest.mark.parametrize("name", ["base rate", "blend 0.0", "blend 0.3", "blend 1.0"])
def test_saved_model_contains_no_pickle(
    scorers: Any, trained: Any, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    save_artifact(scorers[name], trained.golden_leads, folder, trained.golden_as_of)
    files = list(folder.iterdir())
    assert len(files) >= 6
    assert [path.name for path in files if is_pickle(path.read_bytes())] == []


def test_save_and_load_never_call_pickle(
    scorer: LeadScorer, trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: Any, **more: Any) -> None:
        raise AssertionError("something was pickled")

    for module in (pickle, cloudpickle, joblib):
        for function in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
            if hasattr(module, function):
                monkeypatch.setattr(module, function, never)
    with pytest.raises(AssertionError, match="something was pickled"):
        joblib.load("model")
    save_artifact(scorer, trained.golden_leads, tmp_path / "model", trained.golden_as_of)
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
    track(registry, project, records, trained, tmp_path / ARTIFACT, now)
    files = [path for path in (tmp_path / "mlartifacts").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert {"MLmodel", "booster.txt" if trained.scorer.estimator.trees else "estimator.json"} <= {
        path.name for path in files
    }
    assert [path.name for path in files if is_pickle(path.read_bytes())] == []


def test_load_executes_nothing_from_the_artefact(model: Path, tmp_path: Path) -> None:
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


def test_save_never_overwrites_a_folder(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(ArtifactError, match="already exists. Expected a new folder"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model")
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "mine"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_save_leaves_nothing(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
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


def test_save_refuses_a_folder_that_cannot_be_written(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ArtifactError, match="cannot be saved in .*: (Not a directory|File exists)"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "file" / "model")


def test_save_creates_parent_folders(trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "model"
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)
    assert load_artifact(folder).scorer == trained.scorer
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_tests_cover_the_current_format() -> None:
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
