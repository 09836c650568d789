"""The artefact: damaged trees are refused before LightGBM reads them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crm.errors import ArtifactError
from models.artifact import load_artifact
from tests.made_artifacts import change_json, reseal

TO_CATEGORY = r"\nthreshold=\S+(.*\ndecision_type=)\S+"  # the first node of the first tree


def test_load_refuses_trees_for_other_features(model_copy: Path) -> None:
    n = len(load_artifact(model_copy).scorer.pipeline.names)
    attributes = json.loads((model_copy / "features.json").read_text())["attributes"]
    change_json(model_copy, "features.json", attributes=attributes[:-1])
    with pytest.raises(
        ArtifactError, match=f"the trees expect {n} features, the pipeline makes {n - 1}"
    ):
        load_artifact(model_copy)


@pytest.mark.parametrize(
    ("pattern", "replacement", "match"),
    [
        (r"version=v4", "version=v9", "header that this leadscore does not write"),
        (r"objective=.*", "objective=regression", "header that this leadscore does not write"),
        (r"num_class=1", "num_class=3", "header that this leadscore does not write"),
        (r"label_index=0", "label_index=0\naverage_output=", "header that this leadscore"),
        (r"label_index=0", "label_index=0\nlabel_index=0", "`label_index` occurs twice"),
        (r"tree_sizes=\d+", "tree_sizes=77", "tree 0 is damaged"),
        (r"tree_sizes=.*", "tree_sizes=", "`tree_sizes` must contain only numbers"),
        (r"Tree=1\n", "Tree=2\n", "tree 1 does not start where the header says"),
        (r"num_leaves=\d+", "num_leaves=4000", "tree 0 is damaged"),
        (r"num_leaves=\d+", "num_leaves=1000000000", "tree 0 is damaged: it has 1000000000 leaves"),
        (r"num_leaves=\d+", "num_leaves=0", "tree 0 is damaged"),
        (r"num_leaves=\d+", "num_leaves=-7", "tree 0 is damaged"),
        (r"num_cat=\d+", "num_cat=99", "tree 0 is damaged"),
        (r"left_child=\S+", "left_child=0", "node 0 points outside the tree"),
        (r"left_child=\S+", "left_child=-900", "node 0 points outside the tree"),
        (r"right_child=\S+", "right_child=90000", "node 0 points outside the tree"),
        (r"left_child=.*", "left_child=0 0 0", "`left_child` must contain"),
        (r"split_feature=\S+", "split_feature=9999", "tests a feature that does not exist"),
        (r"split_feature=\S+", "split_feature=-1", "tests a feature that does not exist"),
        (TO_CATEGORY, r"\nthreshold=99\g<1>1", "tests categories that do not exist"),
        (TO_CATEGORY, r"\nthreshold=-1\g<1>1", "tests categories that do not exist"),
        (r"cat_boundaries=.*", "cat_boundaries=0 99999999", "tree \\d+ is damaged"),
        (r"cat_threshold=.*", "cat_threshold=1", "`cat_threshold` must contain"),
        (r"is_linear=0", "is_linear=1", "tree 0 is damaged: .* is linear"),
        (r"is_linear=0", "is_linear=0\nnum_features=3", "lines of an unknown kind"),
        (r"leaf_value=\S+", "leaf_value=1_000", "`leaf_value` must contain"),
        (r"leaf_value=\S+", "leaf_value=٣", "cut short|start where"),
        (r"threshold=\S+", "threshold=\0", "cut short"),
        (r"leaf_count=\S+ ", "leaf_count=", "`leaf_count` must contain"),
        (r"end of trees", "more trees", "does not end where the header says"),
    ],
)
def test_damaged_trees_never_reach_lightgbm(
    model_copy: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, replacement: str, match: str
) -> None:
    text = (model_copy / "booster.txt").read_text()
    damaged = re.sub(pattern, replacement, text, count=1)
    if not pattern.startswith(("tree_sizes", "Tree=", "end")):
        damaged = with_true_sizes(damaged)
    assert damaged != text
    (model_copy / "booster.txt").write_text(damaged)
    reseal(model_copy)
    monkeypatch.setattr("models.artifact.BoostedTrees", fail_if_called)
    with pytest.raises(ArtifactError, match=match):
        load_artifact(model_copy)


def fail_if_called(text: str) -> None:
    raise AssertionError("LightGBM read damaged trees")


def with_true_sizes(text: str) -> str:
    """Write the true sizes of the trees into the header, so that only the damage is wrong."""
    trees = re.findall(r"Tree=\d+\n.*?(?=Tree=|end of trees)", text, flags=re.DOTALL)
    sizes = " ".join(str(len(tree.encode())) for tree in trees)
    return re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", text)


@pytest.mark.parametrize(
    "content", [b"", b"tree\n", b"garbage" * 999, b"\xff\xfe" * 99, b"\x80\x04"]
)
def test_load_refuses_text_that_is_not_a_model(model_copy: Path, content: bytes) -> None:
    (model_copy / "booster.txt").write_bytes(content)
    reseal(model_copy)
    with pytest.raises(ArtifactError, match="cannot be read: (ValueError|UnicodeDecodeError)"):
        load_artifact(model_copy)


def test_load_refuses_trees_truncated_anywhere(model_copy: Path) -> None:
    content = (model_copy / "booster.txt").read_bytes()
    end = content.index(b"end of trees")
    cuts = np.linspace(0, end, 30, dtype=int)
    for cut in cuts.tolist():
        (model_copy / "booster.txt").write_bytes(content[:cut])
        reseal(model_copy)
        with pytest.raises(ArtifactError, match="cannot be read: ValueError"):
            load_artifact(model_copy)
    assert len(cuts) == 30


def test_altered_trees_never_crash_the_process(model_copy: Path) -> None:
    # A failure inside LightGBM would end this process, so the trees are read in another one.
    program = """
import json, random, sys
from pathlib import Path
import msgspec
from models.artifact import READING_ERRORS, _build
from models.scorer import LeadCells
contents = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
entries = json.loads(contents["golden.json"])["leads"]
golden = [msgspec.convert(entry["lead"], LeadCells) for entry in entries]
content, generator = contents["booster.txt"], random.Random(0)
counts = {"loaded": 0, "refused": 0}
for _ in range(150):
    altered = bytearray(content)
    altered[generator.randrange(len(content))] = generator.choice(b"0123456789- =\\nxT")
    try:
        _build(contents | {"booster.txt": bytes(altered)}, 2).score_leads(golden, n_reasons=3)
        counts["loaded"] += 1
    except READING_ERRORS:
        counts["refused"] += 1
print(json.dumps(counts))
"""
    command = [sys.executable, "-c", program, str(model_copy)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr[-500:]
    counts = json.loads(process.stdout.splitlines()[-1])
    assert sum(counts.values()) == 150
    assert min(counts.values()) > 15


def test_golden_scores_reveal_trees_with_other_leaves(model_copy: Path) -> None:
    text = (model_copy / "booster.txt").read_text()
    (model_copy / "booster.txt").write_text(
        with_true_sizes(re.sub(r"leaf_value=\S+", "leaf_value=0.5", text))
    )
    reseal(model_copy)
    with pytest.raises(ArtifactError, match="does not score its golden leads"):
        load_artifact(model_copy)
