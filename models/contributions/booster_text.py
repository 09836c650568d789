"""Checks LightGBM's model text before LightGBM reads it.

LightGBM trusts its own text: a node that points outside its tree ends the process, loops
forever, or reads foreign memory. So every number of a text that `models.artifact` loads is
checked against the grammar first.
"""

import re
from collections.abc import Mapping

HEADER = {
    "tree": "",
    "version": "v4",
    "num_class": "1",
    "num_tree_per_iteration": "1",
    "label_index": "0",
    "objective": "binary sigmoid:1",
}
COUNTED_HEADER = ("max_feature_idx", "feature_names", "feature_infos", "tree_sizes")
PER_LEAF = ("leaf_value", "leaf_weight", "leaf_count")
PER_NODE = (
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "internal_value",
    "internal_weight",
    "internal_count",
)
PER_CATEGORY = ("cat_boundaries", "cat_threshold")
SINGLE = ("num_leaves", "num_cat", "is_linear", "shrinkage")
MAX_LEAVES = 4096  # LightGBM walks a tree recursively
IS_CATEGORICAL = 1  # the first bit of a decision_type

_INTEGER = re.compile(r"-?[0-9]{1,10}")
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]{1,3})?|inf|nan)")


def check_booster_text(text: str, n_features: int) -> None:
    r"""Check that LightGBM can read a model text safely.

    Parameters
    ----------
    text : str
        The text that `lightgbm.Booster.model_to_string` writes.
    n_features : int
        The number of columns that the trees will get.

    Raises
    ------
    ValueError
        If the text is incomplete, malformed, or for another number of features.

    Examples
    --------
    >>> check_booster_text("tree\nversion=v4\n", n_features=2)
    Traceback (most recent call last):
        ...
    ValueError: the trees' text is cut short
    """
    head, separator, trees = text.partition("\n\nTree=0\n")
    if not separator or "\0" in text or not text.isascii():
        raise ValueError("the trees' text is cut short")
    header = _entries(head)
    if header.keys() != {*HEADER, *COUNTED_HEADER} or HEADER.items() - header.items():
        raise ValueError("the trees' text has a header that this leadscore does not write")
    expected = int(_numbers(header, "max_feature_idx", 1)[0]) + 1
    if expected != n_features:
        raise ValueError(f"the trees expect {expected} features, the pipeline makes {n_features}")
    trees = "Tree=0\n" + trees
    start = 0
    for i, size in enumerate(map(int, _numbers(header, "tree_sizes"))):
        block = trees[start : start + size]
        if size < 1 or not block.startswith(f"Tree={i}\n"):
            raise ValueError(f"tree {i} does not start where the header says")
        try:
            _check_tree(_entries(block.partition("\n")[2]), n_features)
        except (KeyError, ValueError) as error:
            raise ValueError(f"tree {i} is damaged: {error}") from None
        start += size
    if not trees.startswith("end of trees\n", start):
        raise ValueError("the trees' text does not end where the header says")


def _check_tree(tree: Mapping[str, str], n_features: int) -> None:
    n_leaves, n_categorical = (int(_numbers(tree, key, 1)[0]) for key in ("num_leaves", "num_cat"))
    n_nodes = n_leaves - 1
    if not 1 <= n_leaves <= MAX_LEAVES or tree["is_linear"] != "0":
        raise ValueError(f"it has {n_leaves} leaves, or is linear")
    keys = {*SINGLE, *PER_LEAF, *PER_NODE, *(PER_CATEGORY if n_categorical else ())}
    if tree.keys() - keys:
        raise ValueError("it has lines of an unknown kind")
    _numbers(tree, "shrinkage", 1)
    if n_nodes == 0:
        _numbers(tree, "leaf_value", 1)
        return
    for key in PER_LEAF:
        _numbers(tree, key, n_leaves)
    columns = {key: _numbers(tree, key, n_nodes) for key in PER_NODE}
    for i in range(n_nodes):
        # LightGBM numbers nodes as they are split: a child comes after its parent.
        for child in (int(columns["left_child"][i]), int(columns["right_child"][i])):
            if not (i < child < n_nodes or 0 <= ~child < n_leaves):
                raise ValueError(f"node {i} points outside the tree")
        if not 0 <= columns["split_feature"][i] < n_features:
            raise ValueError(f"node {i} tests a feature that does not exist")
        if int(columns["decision_type"][i]) & IS_CATEGORICAL and not (
            0 <= columns["threshold"][i] < n_categorical
        ):
            raise ValueError(f"node {i} tests categories that do not exist")
    if n_categorical:
        boundaries = _numbers(tree, "cat_boundaries", n_categorical + 1)
        if boundaries[0] != 0 or boundaries != sorted(boundaries):
            raise ValueError("its categories are out of order")
        _numbers(tree, "cat_threshold", int(boundaries[-1]))


def _entries(lines: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    for line in filter(None, lines.split("\n")):
        key, _, value = line.partition("=")
        if key in entries:
            raise ValueError(f"`{key[:30]}` occurs twice")
        entries[key] = value
    return entries


def _numbers(entries: Mapping[str, str], key: str, count: int | None = None) -> list[float]:
    """Read `count` numbers from a line; they must be integers if LightGBM reads integers."""
    is_float = key in ("split_gain", "threshold", "shrinkage") or key.endswith(("value", "weight"))
    tokens = entries[key].split(" ")
    form = _FLOAT if is_float else _INTEGER
    if not all(map(form.fullmatch, tokens)) or count not in (None, len(tokens)):
        raise ValueError(f"`{key}` must contain {count or 'only'} numbers")
    return [float(token) for token in tokens]
