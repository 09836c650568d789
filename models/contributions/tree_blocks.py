"""Cuts the trees of a LightGBM model text into blocks of leaves that are explained together.

A *block* is a node with some of the nodes below it, and the leaves of these nodes. A few bits
describe the path of a lead through the block: one for each feature above the block (does the lead
pass every test of this feature on the path?) and one for each node of the block (does the lead go
to the left?).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crm.arrays import Bools, Floats
from models.contributions.booster_text import IS_CATEGORICAL

IS_DEFAULT_LEFT = 2  # the second bit of a decision_type; the next two are the type of missing
MISSING_ZERO, MISSING_NAN = 1, 2
ZERO = float(np.float32(1e-35))  # LightGBM counts numbers up to this as 0
GROWN_BITS = 9  # a block takes in leaves up to this many bits: each bit doubles its table
PART_BITS = 6  # of each table of a block that is too deep for a single table


@dataclass(frozen=True)
class Tree:
    """The nodes and leaves of one tree, in LightGBM's numbers.

    Attributes
    ----------
    feature, decision : list of int, length n_nodes
        The column that each node tests, and its `decision_type`.
    threshold : list of float or frozenset of int, length n_nodes
        The largest number that goes to the left, or the codes that go to the left.
    children : list of (int, int), length n_nodes
        The left and right child; a leaf is the bitwise complement of its number.
    leaf_value : list of float, length n_leaves
    share : dict of int to float
        The share of the parent's training rows that reach each child.
    expected : float
        The mean output over the training rows.
    """

    feature: list[int]
    decision: list[int]
    threshold: list[float | frozenset[int]]
    children: list[tuple[int, int]]
    leaf_value: list[float]
    share: dict[int, float]
    expected: float


class Step(NamedTuple):
    """A node of a tree, and whether a lead passes it by going to the left."""

    node: int
    is_left: bool


class Bit(NamedTuple):
    """The meaning of one bit of a block: the lead passes all these tests of one feature."""

    feature: int
    tests: tuple[Step, ...]


class Player(NamedTuple):
    """The tests of one feature on the path to one leaf.

    Attributes
    ----------
    need, want : int
        The bits of the block that matter, and their required values.
    share : float
        The share of training rows that pass all nodes of this feature on the path.
    """

    need: int
    want: int
    share: float


class Block(NamedTuple):
    """Connected nodes of a tree.

    Attributes
    ----------
    nodes : list of int
        The first is the root of the block.
    bits : list of Bit
        The lowest bit first.
    n_above : int
        The number of bits, from the lowest, that belong to the path to the block.
    n_common : int
        The number of these whose feature no node of the block tests again.
    """

    nodes: list[int]
    bits: list[Bit]
    n_above: int
    n_common: int


def goes_left(decision: int, threshold: Floats, values: Floats) -> Bools:
    """Return which values a numeric node sends to the left, as LightGBM does.

    Parameters
    ----------
    decision : int
        The node's `decision_type`.
    threshold, values : ndarray of float64
        Their shapes must broadcast. Values may be missing.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> missing_goes_left = IS_DEFAULT_LEFT | MISSING_NAN << 2
    >>> goes_left(missing_goes_left, np.array(1.5), np.array([1.5, 2.0, np.nan]))
    array([ True, False,  True])
    """
    is_missing = np.isnan(values)
    missing_type = decision >> 2 & 3
    if missing_type != MISSING_NAN:
        values = np.where(is_missing, 0.0, values)
        is_missing = (np.abs(values) <= ZERO) & (missing_type == MISSING_ZERO)
    return np.where(is_missing, bool(decision & IS_DEFAULT_LEFT), values <= threshold)


def read_trees(text: str) -> list[Tree]:
    """Read the trees of a model text that has passed `check_booster_text`.

    Raises
    ------
    ValueError
        If a node has several parents, or no training row reached a node.
    """
    return [_read_tree(part) for part in text.partition("\nend of trees\n")[0].split("\nTree=")[1:]]


def _read_tree(text: str) -> Tree:
    lines = dict(line.partition("=")[::2] for line in text.split("\n"))

    def integers(key: str) -> list[int]:
        return list(map(int, lines[key].split()))

    values = list(map(float, lines["leaf_value"].split()))
    if len(values) == 1:
        return Tree([], [], [], [], values, {}, values[0])
    children = list(zip(integers("left_child"), integers("right_child"), strict=True))
    if sorted(child for pair in children for child in pair) != [
        *range(-len(values), 0),
        *range(1, len(children)),
    ]:
        raise ValueError("a node of a tree has several parents; expected one")
    leaf_count, count = integers("leaf_count"), integers("internal_count")
    if min(count) < 1 or min(leaf_count) < 0:
        raise ValueError("no training row reached a node of a tree; its mean output is unknown")
    decision = integers("decision_type")
    threshold: list[float | frozenset[int]] = list(map(float, lines["threshold"].split()))
    if lines["num_cat"] != "0":
        starts, words = integers("cat_boundaries"), integers("cat_threshold")
        for node, number in enumerate(map(float, lines["threshold"].split())):
            if decision[node] & IS_CATEGORICAL:
                threshold[node] = _codes(words[starts[int(number)] : starts[int(number) + 1]])
    return Tree(
        feature=integers("split_feature"),
        decision=decision,
        threshold=threshold,
        children=children,
        leaf_value=values,
        share={
            child: (count[child] if child >= 0 else leaf_count[~child]) / count[node]
            for node, pair in enumerate(children)
            for child in pair
        },
        expected=sum(n / count[0] * v for n, v in zip(leaf_count, values, strict=True)),
    )


def _codes(words: list[int]) -> frozenset[int]:
    """Return the codes whose bits are set; each word has 32 bits."""
    return frozenset(
        32 * i + bit for i, word in enumerate(words) if word for bit in range(32) if word >> bit & 1
    )


def cut_tree(tree: Tree, most_bits: int) -> list[Block]:
    """Cut a tree into blocks; each leaf is in one block.

    From the leaves up, a node takes in the blocks of its children as long as the block has few
    bits. If `most_bits` or more features are above a node, its block has several tables. Then
    only the bits of the last table count, which belong to the features that the block tests.

    Parameters
    ----------
    tree : Tree
    most_bits : int
        The largest number of bits of a block with a single table.

    Returns
    -------
    list of Block
    """
    paths: list[dict[int, Bit]] = [{} for _ in tree.feature]
    for node, pair in enumerate(tree.children):
        feature, path = tree.feature[node], paths[node]
        for child, is_left in zip(pair, (True, False), strict=True):
            if child >= 0:
                tests = path[feature].tests if feature in path else ()
                bit = Bit(feature, (*tests, Step(node, is_left)))
                paths[child] = path | {feature: bit}
    grown: dict[int, list[int]] = {}
    cut = []
    for node in reversed(range(len(tree.feature))):
        nodes, path = [node], paths[node]
        inner = [child for child in tree.children[node] if child >= 0]
        for child in sorted(inner, key=lambda child: len(grown[child])):
            child_nodes = grown.pop(child)
            if len(path) < most_bits:
                fits = len(path) + len(nodes) + len(child_nodes) <= min(GROWN_BITS, most_bits)
            else:
                tested_again = path.keys() & {tree.feature[n] for n in (*nodes, *child_nodes)}
                fits = len(tested_again) + len(nodes) + len(child_nodes) <= PART_BITS
            if fits:
                nodes += child_nodes
            else:
                cut.append(child_nodes)
        grown[node] = nodes
    cut += grown.values()
    return [
        _block(tree, nodes, paths[nodes[0]])
        for nodes in cut
        if any(child < 0 for node in nodes for child in tree.children[node])
    ]


def _block(tree: Tree, nodes: list[int], path: dict[int, Bit]) -> Block:
    tested = {tree.feature[node] for node in nodes}
    bits = [bit for bit in path.values() if bit.feature not in tested]
    n_common = len(bits)
    bits += [bit for bit in path.values() if bit.feature in tested]
    bits += [Bit(tree.feature[node], (Step(node, True),)) for node in nodes]
    return Block(nodes, bits, len(path), n_common)


def leaves_of(tree: Tree, block: Block) -> Iterator[tuple[float, dict[int, Player]]]:
    """Yield the value of each leaf of a block, and its players by feature."""
    bit_of = {node: 1 << block.n_above + i for i, node in enumerate(block.nodes)}
    common = {}
    for i, (feature, tests) in enumerate(block.bits[: block.n_above]):
        share = 1.0
        for node, is_left in tests:
            share *= tree.share[tree.children[node][not is_left]]
        common[feature] = Player(1 << i, 1 << i, share)
    open_paths = [(block.nodes[0], common)]
    while open_paths:
        node, players = open_paths.pop()
        feature, bit = tree.feature[node], bit_of[node]
        need, want, share = players.get(feature, (0, 0, 1.0))
        for child, bit_of_child in zip(tree.children[node], (bit, 0), strict=True):
            if child >= 0 and child not in bit_of:
                continue
            player = Player(need | bit, want | bit_of_child, share * tree.share[child])
            if child < 0:
                yield tree.leaf_value[~child], players | {feature: player}
            else:
                open_paths.append((child, players | {feature: player}))
