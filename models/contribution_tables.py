"""Makes the tables of contributions that `models.contributions` looks up.

Each block of `models.tree_blocks` has a table with a row for all that a lead can do in it. A
block with too many bits for that is a product of parts, each with a table of its own that
holds the part's factor at every node of quadrature.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from operator import sub

import numpy as np
from numpy.typing import NDArray

from models.leaf_patterns import Leaves, fill_table
from models.tree_blocks import (
    PART_BITS,
    Bit,
    Block,
    Player,
    Tree,
    cut_tree,
    leaves_of,
)
from models.value_classes import FeatureClasses

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bits = NDArray[np.uint16]

MOST_BITS = 12  # of a block with a single table, or fewer:
LARGEST_TABLES = 128_000_000  # bytes of all these
LEAST_COLUMNS = 4


@dataclass(frozen=True)
class Lookup:
    """The tables of one part of many blocks, one below the other.

    Attributes
    ----------
    entries : ndarray of intp, shape (n_columns, n_blocks)
        Which of a lead's bits make the row of a block.
    first_row : ndarray of intp, shape (n_blocks + 1,)
        The last is the number of rows.
    table : ndarray of float64
        Contributions, shape (n_rows, n_columns). Or, where a block has several parts, factors
        at the nodes of quadrature, shape (n_rows, 1 + n_columns, n_nodes): of the part as a
        whole, and with one feature's contribution in place of what it lets through.
    feature : ndarray of intp, shape (n_blocks, n_columns)
        Which feature a column is of; `n_features` where it is of none.
    n_used : ndarray of intp, shape (n_blocks,)
        How many columns are of a feature; these come first.
    """

    entries: Ints
    first_row: Ints
    table: Floats
    feature: Ints
    n_used: Ints

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return len(self.feature)

    def rows(self, bits: Bits) -> Floats:
        """Look up the row of each block, shape (n_blocks, ...), for one lead's bits."""
        row = np.bitwise_or.reduce(bits.take(self.entries), axis=0)
        return self.table.take(self.first_row[:-1] + row, axis=0)

    def table_of(self, block: int) -> Floats:
        """Give the rows of one block."""
        return self.table[self.first_row[block] : self.first_row[block + 1]]


def multiplied(parts: Sequence[Floats]) -> list[Floats]:
    """Give the contributions, shape (n, n_columns) of each part, from rows of all parts.

    Rows of a single part are contributions. Of several, the factor of all others is
    multiplied in at each node of quadrature, and these are added.
    """
    if len(parts) == 1:
        return list(parts)
    given = []
    for i, rows in enumerate(parts):
        first, *others = (other[:, 0] for j, other in enumerate(parts) if j != i)
        for other in others:
            first = first * other
        given.append(np.einsum("ncq,nq->nc", rows[:, 1:], first))
    return given


@dataclass(frozen=True)
class Tables:
    """All that is looked up for a lead.

    Attributes
    ----------
    classes : dict of int to FeatureClasses
        Of each feature that some node asks for, in order.
    bits : list of ndarray of uint16, shape (n_classes, n_entries)
        What each class of these features says of the blocks.
    lookups : list of list of Lookup
        The parts of blocks that have equally many.
    """

    classes: dict[int, FeatureClasses]
    bits: list[Bits]
    lookups: list[list[Lookup]]


@dataclass(frozen=True)
class _Placed:
    """A block of a tree, and where each of its parts ends, counted in bits."""

    tree: int
    block: Block
    ends: list[int]

    @classmethod
    def of(cls, tree: int, block: Block, most_bits: int) -> "_Placed":
        """Cut the bits of a block; what its leaves do not all ask alike stays in the last part."""
        n_bits = len(block.bits)
        if n_bits <= most_bits:
            return cls(tree, block, [n_bits])
        before = min(block.n_common, n_bits - n_bits // -(-n_bits // PART_BITS))
        n_before = -(-before // PART_BITS)
        return cls(tree, block, [*(before * i // n_before for i in range(1, n_before + 1)), n_bits])

    @cached_property
    def features(self) -> list[list[int]]:
        """The features of each part."""
        return [
            list(dict.fromkeys(feature for feature, _ in self.block.bits[start:end]))
            for start, end in pairwise([0, *self.ends])
        ]

    @property
    def kind(self) -> tuple[int, int]:
        """How many parts, and columns if it is one: even ones, since each width costs calls."""
        widths = list(map(len, self.features))
        if len(widths) > 1:
            return len(widths), 0
        return 1, max(widths[0] + widths[0] % 2, LEAST_COLUMNS)

    @property
    def size(self) -> int:
        """Bytes of the tables, at most."""
        n_bits = self.ends[-1]
        if len(self.ends) == 1:
            return 8 * n_bits << n_bits
        return sum(4 * (n_bits + 1) * (1 + n) << n for n in map(sub, self.ends, [0, *self.ends]))


class _Entries:
    """What each feature says of each part: some bits of the number of its row."""

    def __init__(self, trees: Sequence[Tree], placed: Sequence[_Placed], n_features: int) -> None:
        asked: dict[int, tuple[list[int], list[float | frozenset[int]]]] = {}
        self._row_of: list[list[int]] = []
        for tree in trees:
            rows = []
            for node, feature in enumerate(tree.feature):
                decisions, thresholds = asked.setdefault(feature, ([], []))
                rows.append(len(decisions))
                decisions.append(tree.decision[node])
                thresholds.append(tree.threshold[node])
            self._row_of.append(rows)
        self.classes = {each: FeatureClasses.of_nodes(*asked[each]) for each in sorted(asked)}
        counts = Counter(f for each in placed for part in each.features for f in part)
        ends = np.cumsum([counts[feature] for feature in range(n_features)]).tolist()
        self._next = [0, *ends[:-1]]
        self.none = ends[-1]
        self._tests: list[tuple[int, int, int, int, bool]] = []

    def add(self, tree: int, bits: Sequence[Bit]) -> dict[int, int]:
        """Add a part; give the entry of each of its features."""
        entry_of: dict[int, int] = {}
        for bit, (feature, tests) in enumerate(bits):
            if feature not in entry_of:
                entry_of[feature] = self._next[feature]
                self._next[feature] += 1
            for node, is_left in tests:
                row = self._row_of[tree][node]
                self._tests.append((feature, entry_of[feature], bit, row, is_left))
        return entry_of

    def bits(self) -> list[Bits]:
        """Give the bits that each class of a feature sets, shape (n_classes, n_entries) each."""
        feature_of, *rest = np.array(sorted(self._tests)).reshape(-1, 5).T
        found = []
        for feature, classes in self.classes.items():
            entry, bit, node, is_left = (each[feature_of == feature] for each in rest)
            passed = classes.is_left[node] == (is_left[:, None] == 1)
            first = np.flatnonzero(np.diff(entry * 16 + bit, prepend=-1))
            passed = np.logical_and.reduceat(passed, first, axis=0)
            values = passed.astype(np.uint16) << bit[first, None].astype(np.uint16)
            first = np.flatnonzero(np.diff(entry[first], prepend=-1))
            found.append(np.ascontiguousarray(np.bitwise_or.reduceat(values, first, axis=0).T))
        return found


def make_tables(trees: Sequence[Tree], n_features: int) -> Tables:
    """Make the tables of all trees, of as many bits as `LARGEST_TABLES` allows.

    Parameters
    ----------
    trees : sequence of Tree
    n_features : int

    Returns
    -------
    Tables
    """
    placed = _place(trees, MOST_BITS)
    sizes = np.zeros(MOST_BITS + 1)
    for each in placed:
        sizes[min(each.ends[-1], MOST_BITS)] += each.size
    most_bits = max(int(np.sum(sizes.cumsum() <= LARGEST_TABLES)) - 1, PART_BITS)
    if most_bits < MOST_BITS:
        placed = _place(trees, most_bits)
    entries = _Entries(trees, placed, n_features)
    groups = defaultdict(list)
    for each in placed:
        groups[each.kind].append(each)
    made = [_lookups(trees, groups[kind], entries, n_features) for kind in sorted(groups)]
    return Tables(entries.classes, entries.bits(), made)


def _place(trees: Sequence[Tree], most_bits: int) -> list[_Placed]:
    return [
        _Placed.of(i, block, most_bits)
        for i, tree in enumerate(trees)
        for block in cut_tree(tree, most_bits)
    ]


def _lookups(
    trees: Sequence[Tree], placed: Sequence[_Placed], entries: _Entries, n_features: int
) -> list[Lookup]:
    """Make the lookups of blocks of one kind, one for each of their parts."""
    (n_parts, width), n_nodes = placed[0].kind, 0
    if n_parts > 1:
        width = max(len(features) for each in placed for features in each.features)
        n_nodes = -(-max(sum(map(len, each.features)) for each in placed) // 2)
    drafts = [_Draft() for _ in range(n_parts)]
    for each in placed:
        found = list(leaves_of(trees[each.tree], each.block))
        for draft, low, high in zip(drafts, [0, *each.ends[:-1]], each.ends, strict=True):
            entry_of = entries.add(each.tree, each.block.bits[low:high])
            # What is below the last part's bits, all leaves ask alike.
            leaves = found if draft is drafts[-1] else [(1.0, found[0][1])]
            draft.add(entry_of, leaves, low, high - low)
    return [
        draft.lookup(width, n_nodes, entries.none, n_features, is_last=draft is drafts[-1])
        for draft in drafts
    ]


@dataclass
class _Draft:
    """What a lookup is made of, gathered block by block."""

    entry_of: list[dict[int, int]] = field(default_factory=list)
    first_row: list[int] = field(default_factory=lambda: [0])
    leaves: dict[int, dict[int, Leaves]] = field(default_factory=dict)

    def add(
        self,
        entry_of: dict[int, int],
        leaves: Sequence[tuple[float, dict[int, Player]]],
        low: int,
        n_bits: int,
    ) -> None:
        """Add the part of a block that has `n_bits` bits from the bit `low` on."""
        column_of = {feature: column for column, feature in enumerate(entry_of)}
        of_size = self.leaves.setdefault(n_bits, {})
        for value, players in leaves:
            asked = [
                (column_of[feature], need >> low, want >> low, share)
                for feature, (need, want, share) in players.items()
                if feature in column_of
            ]
            group = of_size.setdefault(len(asked), Leaves())
            group.first_row.append(self.first_row[-1])
            group.value.append(value)
            group.players += asked
        self.entry_of.append(entry_of)
        self.first_row.append(self.first_row[-1] + (1 << n_bits))

    def lookup(
        self, width: int, n_nodes: int, no_entry: int, n_features: int, *, is_last: bool
    ) -> Lookup:
        """Make the lookup; of parts at the nodes of quadrature, if there are nodes."""
        entries = np.full((width, len(self.entry_of)), no_entry, dtype=np.intp)
        feature = np.full((len(self.entry_of), width), n_features, dtype=np.intp)
        for block, entry_of in enumerate(self.entry_of):
            entries[: len(entry_of), block] = list(entry_of.values())
            feature[block, : len(entry_of)] = list(entry_of)
        shape = (1 + width, n_nodes) if n_nodes else (width,)
        table = np.zeros((self.first_row[-1], *shape))
        for n_bits, of_size in self.leaves.items():
            for leaves in of_size.values():
                fill_table(table, leaves, n_bits, n_nodes, is_last=is_last)
        n_used = np.array(list(map(len, self.entry_of)), dtype=np.intp)
        return Lookup(entries, np.array(self.first_row, dtype=np.intp), table, feature, n_used)
