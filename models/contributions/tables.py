"""Builds the tables of contributions that `models.contributions.tree_contributions` looks up.

Each block of `models.contributions.tree_blocks` has a table with a row for every pattern of its
bits. A block with too many bits for one table is a product of parts. Each part has its own table,
which contains the factor of the part at every quadrature node.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from crm.arrays import Bits, Floats, Indexes
from models.contributions.leaf_patterns import Leaves, fill_table
from models.contributions.tree_blocks import (
    PART_BITS,
    Bit,
    Block,
    Player,
    Tree,
    cut_tree,
    leaves_of,
)
from models.contributions.value_classes import FeatureClasses

MOST_BITS = 14  # of a block with a single table; fewer if all tables exceed LARGEST_TABLES
LARGEST_TABLES = 170_000_000  # bytes, approximately
SAMPLED_TREES = 50
FEW_BLOCKS = 250  # from this number of blocks on, tables of one more width cost less
LINE_BYTES = 64  # the length of a line of the processor's cache


@dataclass(frozen=True)
class Lookup:
    """The tables of one part of many blocks, stacked.

    Attributes
    ----------
    entries : ndarray of intp, shape (n_entries, n_blocks)
        The entries of a lead's bits that make the row number of each block.
    first_row : ndarray of intp, shape (n_blocks + 1,)
        The first row of each block; the last value is the number of rows.
    table : ndarray of float64
        Contributions, and in the last column the value of the leaf that is reached or 0, shape
        (n_rows, n_columns). For blocks of several parts: factors at the quadrature nodes, shape
        (n_rows, 1 + n_columns, n_nodes), of the part as a whole, and with one feature's
        contribution in place of its own factor.
    feature : ndarray of intp, shape (n_blocks, n_columns)
        The feature of each column; `n_features` for none, and `n_features + 1 +` the tree for the
        value of a leaf.
    n_used : ndarray of intp, shape (n_blocks,)
        The number of columns that belong to a feature; these come first.
    """

    entries: Indexes
    first_row: Indexes
    table: Floats
    feature: Indexes
    n_used: Indexes

    @property
    def n_blocks(self) -> int:
        """The number of blocks."""
        return len(self.feature)

    def rows(self, bits: Bits) -> Floats:
        """Look up the row of each block, shape (n · n_blocks, ...), for the bits of n leads."""
        row = np.bitwise_or.reduce(bits.take(self.entries, axis=1), axis=1)
        return self.table.take((self.first_row[:-1] + row).ravel(), axis=0)

    def table_of(self, block: int) -> Floats:
        """Return the rows of one block."""
        return self.table[self.first_row[block] : self.first_row[block + 1]]


def multiplied(parts: Sequence[Floats]) -> list[Floats]:
    """Compute the contributions of each part, shape (n, n_columns), from the rows of all parts.

    The rows of a single part are contributions. With several parts, the factors of all other
    parts are multiplied in at each quadrature node, and the nodes are summed.
    """
    if len(parts) == 1:
        return list(parts)
    contributions = []
    for i, rows in enumerate(parts):
        product, *factors = (part[:, 0] for j, part in enumerate(parts) if j != i)
        for factor in factors:
            product = product * factor
        contributions.append(np.einsum("ncq,nq->nc", rows[:, 1:], product))
    return contributions


@dataclass(frozen=True)
class Tables:
    """All tables that are looked up for a lead.

    Attributes
    ----------
    classes : dict of int to FeatureClasses
        The classes of each feature that at least one node tests, in order.
    bits : list of ndarray of uint16, shape (n_classes, n_entries)
        For each of these features, the bits of the blocks that each class sets.
    lookups : list of list of Lookup
        For each number of parts, the lookups of the blocks with that number of parts.
    of_stumps : ndarray of float64, shape (n_trees,)
        The output of trees without nodes; 0 for other trees.
    """

    classes: dict[int, FeatureClasses]
    bits: list[Bits]
    lookups: list[list[Lookup]]
    of_stumps: Floats

    @property
    def has_leaves(self) -> bool:
        """Whether the value of each leaf is in a table: no block has several parts."""
        return all(len(parts) == 1 for parts in self.lookups)


class _Entries:
    """The bits that each feature sets in the row number of each part.

    An entry is numbered within its feature until all entries are known.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        nodes_of: dict[int, tuple[list[int], list[float | frozenset[int]]]] = {}
        self._row_of: list[list[int]] = []
        for tree in trees:
            rows = []
            for node, feature in enumerate(tree.feature):
                decisions, thresholds = nodes_of.setdefault(feature, ([], []))
                rows.append(len(decisions))
                decisions.append(tree.decision[node])
                thresholds.append(tree.threshold[node])
            self._row_of.append(rows)
        self.classes = {
            feature: FeatureClasses.of_nodes(*nodes_of[feature]) for feature in sorted(nodes_of)
        }
        self._n = dict.fromkeys(self.classes, 0)
        self._tests: list[int] = []

    def add(self, tree: int, bits: Sequence[Bit]) -> dict[int, int]:
        """Add a part; return the entry of each of its features."""
        entry_of: dict[int, int] = {}
        for bit, (feature, tests) in enumerate(bits):
            if feature not in entry_of:
                entry_of[feature] = self._n[feature]
                self._n[feature] += 1
            for node, is_left in tests:
                row = self._row_of[tree][node]
                self._tests += (feature, entry_of[feature], bit, row, is_left)
        return entry_of

    def starts(self) -> dict[int, int]:
        """Return the number of entries before those of each feature."""
        return dict(zip(self._n, accumulate(self._n.values(), initial=0), strict=False))

    def n(self) -> int:
        """Return the number of entries."""
        return sum(self._n.values())

    def bits(self) -> list[Bits]:
        """Return for each feature the bits that its classes set, shape (n_classes, n_entries)."""
        tests = np.array(self._tests, dtype=np.intp).reshape(-1, 5).T
        feature_of, *columns = tests[:, np.lexsort(tests[2::-1])]
        bits_of_features = []
        for feature, classes in self.classes.items():
            entry, bit, node, is_left = (column[feature_of == feature] for column in columns)
            passed = classes.is_left[node] == (is_left[:, None] == 1)
            first = np.flatnonzero(np.diff(entry * 16 + bit, prepend=-1))
            passed = np.logical_and.reduceat(passed, first, axis=0)
            values = passed.astype(np.uint16) << bit[first, None].astype(np.uint16)
            first = np.flatnonzero(np.diff(entry[first], prepend=-1))
            bits = np.bitwise_or.reduceat(values, first, axis=0)
            bits_of_features.append(np.ascontiguousarray(bits.T))
        return bits_of_features


@dataclass
class _Draft:
    """The contents of a lookup, collected block by block."""

    tree_of: list[int] = field(default_factory=list)
    entry_of: list[dict[int, int]] = field(default_factory=list)
    first_row: list[int] = field(default_factory=lambda: [0])
    leaves: dict[int, dict[int, Leaves]] = field(default_factory=dict)

    def add(
        self,
        tree: int,
        entry_of: dict[int, int],
        leaves: Sequence[tuple[float, dict[int, Player]]],
        low: int,
        n_bits: int,
    ) -> None:
        """Add the part of a tree's block that has `n_bits` bits from the bit `low` on."""
        column_of = {feature: column for column, feature in enumerate(entry_of)}
        of_size = self.leaves.setdefault(n_bits, {})
        for value, players in leaves:
            tested = column_of.keys() & players.keys()
            group = of_size.setdefault(len(tested), Leaves())
            group.first_row.append(self.first_row[-1])
            group.value.append(value)
            for feature in tested:
                need, want, share = players[feature]
                group.players += (column_of[feature], need >> low, want >> low, share)
        self.tree_of.append(tree)
        self.entry_of.append(entry_of)
        self.first_row.append(self.first_row[-1] + (1 << n_bits))


def make_tables(trees: Sequence[Tree], n_features: int) -> Tables:
    """Build the tables of all trees.

    Parameters
    ----------
    trees : sequence of Tree
    n_features : int

    Returns
    -------
    Tables
    """
    most_bits = _most_bits(trees)
    entries = _Entries(trees)
    drafts: dict[tuple[int, int], list[_Draft]] = {}
    blocks = [(i, block) for i, tree in enumerate(trees) for block in cut_tree(tree, most_bits)]
    widths = _widths(Counter(_n_columns(b) for _, b in blocks if len(b.bits) <= most_bits))
    for i, block in blocks:
        ends = _ends(block, most_bits)
        leaves_of_block = list(leaves_of(trees[i], block))
        width = widths[_n_columns(block)] if len(ends) == 1 else 0
        parts = drafts.setdefault((len(ends), width), [_Draft() for _ in ends])
        for part, low, high in zip(parts, [0, *ends[:-1]], ends, strict=True):
            # All leaves of a block test the bits of the earlier parts in the same way.
            is_last = part is parts[-1]
            leaves = leaves_of_block if is_last else [(1.0, leaves_of_block[0][1])]
            part.add(i, entries.add(i, block.bits[low:high]), leaves, low, high - low)
    lookups = [_lookups(drafts[kind], kind[1], entries, n_features) for kind in sorted(drafts)]
    of_stumps = np.array([0.0 if tree.feature else tree.leaf_value[0] for tree in trees])
    return Tables(entries.classes, entries.bits(), lookups, of_stumps)


def _n_columns(block: Block) -> int:
    """Return the number of columns of a block's table: one for each feature, and the leaf's."""
    return len({bit.feature for bit in block.bits}) + 1


def _widths(n_blocks: Counter[int]) -> dict[int, int]:
    """Choose the width of the table for each number of columns.

    Widths are even. The lookup of one more width costs more than the unused columns of a few
    blocks, so fewer than `FEW_BLOCKS` blocks share the tables of the next width.

    Parameters
    ----------
    n_blocks : Counter
        For each number of columns, the number of blocks that have it.

    Returns
    -------
    dict of int to int
        The width for each number of columns.

    Examples
    --------
    >>> _widths(Counter({2: 10, 3: 20, 5: 300, 7: 400, 9: 5}))
    {2: 6, 3: 6, 5: 6, 7: 8, 9: 10}
    """
    widths: dict[int, int] = {}
    waiting: list[int] = []
    for n_columns in sorted(n_blocks):
        waiting.append(n_columns)
        is_last = n_columns == max(n_blocks)
        has_next = n_columns % 2 == 1 and n_columns + 1 in n_blocks
        is_many = sum(n_blocks[n] for n in waiting) >= FEW_BLOCKS
        if is_last or (is_many and not has_next):
            widths |= dict.fromkeys(waiting, n_columns + n_columns % 2)
            waiting = []
    return widths


def _most_bits(trees: Sequence[Tree]) -> int:
    """Compute how many bits a single table may have, from a sample of the trees."""
    step = max(1, len(trees) // SAMPLED_TREES)
    sizes = np.zeros(MOST_BITS + 1)
    for tree in trees[::step]:
        for block in cut_tree(tree, MOST_BITS):
            n_bits = len(block.bits)
            n_players = len({bit.feature for bit in block.bits})
            sizes[min(n_bits, MOST_BITS)] += step * 8 * (n_players + 1) << min(n_bits, MOST_BITS)
    return max(int(np.sum(sizes.cumsum() <= LARGEST_TABLES)) - 1, PART_BITS)


def _ends(block: Block, most_bits: int) -> list[int]:
    """Return the end of each part of a block; leaves differ only in the bits of the last part."""
    n_bits = len(block.bits)
    if n_bits <= most_bits:
        return [n_bits]
    before = min(block.n_common, n_bits - n_bits // -(-n_bits // PART_BITS))
    n_before = -(-before // PART_BITS)
    return [*(before * i // n_before for i in range(1, n_before + 1)), n_bits]


def _lookups(
    parts: Sequence[_Draft], width: int, entries: _Entries, n_features: int
) -> list[Lookup]:
    """Build the lookups of blocks of one kind; several parts are stored at quadrature nodes."""
    n_used = [np.array(list(map(len, part.entry_of)), dtype=np.intp) for part in parts]
    n_nodes = 0
    if len(parts) > 1:
        width = max(int(used.max()) for used in n_used)
        n_nodes = -(-int(np.sum(n_used, axis=0).max()) // 2)
    starts = entries.starts()
    lookups = []
    for part, used in zip(parts, n_used, strict=True):
        entry = np.full((int(used.max()), len(used)), entries.n(), dtype=np.intp)
        feature = np.full((len(used), width), n_features, dtype=np.intp)
        for block, entry_of in enumerate(part.entry_of):
            entry[: len(entry_of), block] = [starts[f] + n for f, n in entry_of.items()]
            feature[block, : len(entry_of)] = list(entry_of)
        if not n_nodes:
            feature[:, -1] = n_features + 1 + np.array(part.tree_of)
        shape = (1 + width, n_nodes) if n_nodes else (width,)
        table = _zeros((part.first_row[-1], *shape))
        for n_bits, of_size in part.leaves.items():
            for leaves in of_size.values():
                fill_table(table, leaves, n_bits, n_nodes, is_last=part is parts[-1])
        first_row = np.array(part.first_row, dtype=np.intp)
        lookups.append(
            Lookup(entries=entry, first_row=first_row, table=table, feature=feature, n_used=used)
        )
    return lookups


def _zeros(shape: tuple[int, ...]) -> Floats:
    """Create a table that starts at a line of the cache, so that rows cross fewer lines."""
    n_bytes = 8 * math.prod(shape)
    memory = np.zeros(n_bytes + LINE_BYTES, dtype=np.uint8)
    begin = -memory.ctypes.data % LINE_BYTES
    return memory[begin : begin + n_bytes].view(np.float64).reshape(shape)
