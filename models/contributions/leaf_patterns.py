"""The contributions of one leaf to the features on its path, for every pattern of tests passed.

The contribution of a feature at a leaf is an integral over the share t of the other features that
are known. The integrand is a product over these features. The factor of a known feature is 1 if it
lets the lead pass, else 0. The factor of an unknown feature is the share of training rows that
pass. The integrand is a polynomial of t, so a few nodes of Gauss-Legendre quadrature give the
integral exactly.
"""

from dataclasses import dataclass, field

import numpy as np

from crm.arrays import Bits, Floats

NUMBERS_AT_ONCE = 100_000  # more do not fit into the cache of a core


@dataclass
class Leaves:
    """Leaves with the same number of players, in parts with the same number of bits.

    A player is a feature on the path to a leaf. It is stored as four numbers: its column, the bits
    that matter, their required values, and its share. All players are in one flat list, because
    many small objects slow down the garbage collector.
    """

    first_row: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    players: list[float] = field(default_factory=list)


def fill_table(table: Floats, leaves: Leaves, n_bits: int, n_nodes: int, *, is_last: bool) -> None:
    """Add leaves to the tables of their parts; the last part includes the quadrature's weights.

    Without quadrature nodes the table's last column is the value of the leaf that is reached.
    """
    n_leaves = len(leaves.value)
    players = np.array(leaves.players).reshape(n_leaves, -1, 4)
    n_players = players.shape[1]
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes or max(1, -(-n_players // 2)))
    nodes = (nodes + 1) / 2
    weights = weights / 2 if is_last else np.ones(len(nodes))
    at_once = max(1, NUMBERS_AT_ONCE // (max(1, n_players * n_nodes) << n_bits))
    for start in range(0, n_leaves, at_once):
        chunk = slice(start, start + at_once)
        column, need, want = np.moveaxis(players[chunk, :, :3].astype(np.uint16), 2, 0)
        product = np.array(leaves.value[chunk])[:, None, None] * weights
        rows = _leaf_rows(product, players[chunk, :, 3], nodes, is_summed=n_nodes == 0)
        if n_nodes:
            column = np.concatenate([np.zeros_like(column[:, :1]), column + 1], axis=1)
        pattern = _patterns(need, want, n_bits)
        for i, first in enumerate(leaves.first_row[chunk]):
            table[first : first + (1 << n_bits), column[i]] += rows[i].take(pattern[i], axis=0)
            if not n_nodes:
                is_reached = pattern[i] == (1 << n_players) - 1
                table[first + np.flatnonzero(is_reached), -1] = leaves.value[start + i]


def _patterns(need: Bits, want: Bits, n_bits: int) -> Bits:
    """Return which players let a lead pass, as bits, shape (n_leaves, 2 ** n_bits), by its row.

    >>> _patterns(np.array([[1, 2]], np.uint16), np.array([[1, 0]], np.uint16), n_bits=2)
    array([[2, 3, 0, 1]], dtype=uint16)
    """
    row = np.arange(1 << n_bits, dtype=np.uint16)
    pattern = np.zeros((len(need), 1 << n_bits), dtype=np.uint16)
    for i in range(need.shape[1]):
        passes = (row ^ want[:, i, None]) & need[:, i, None] == 0
        pattern |= passes.astype(np.uint16) << np.uint16(i)
    return pattern


def _leaf_rows(product: Floats, share: Floats, nodes: Floats, *, is_summed: bool) -> Floats:
    """Compute the rows of leaves, one for each pattern.

    Parameters
    ----------
    product : ndarray of float64, shape (n_leaves, 1, n_nodes)
        The first factor of the product over the players.
    share : ndarray of float64, shape (n_leaves, n_players)
    nodes : ndarray of float64, shape (n_nodes,)
    is_summed : bool
        Whether to sum over the nodes. Otherwise the nodes are kept, and the product itself comes
        first.
    """
    n_players = share.shape[1]
    # At a node t the factor of a player is t times 1 or 0, plus 1 - t times its share. The
    # contribution of a player is the product divided by its factor, times 1 or 0 minus its share.
    through = share[:, :, None] + (1 - share[:, :, None]) * nodes
    stopped = share[:, :, None] * (1 - nodes)
    for i in range(n_players):
        halves = [product * factor[:, i, None, :] for factor in (stopped, through)]
        product = np.concatenate(halves, axis=1)
    gain = (1 - share[:, :, None]) / through
    loss = -1 / (1 - nodes)
    passes = np.arange(1 << n_players)[:, None] >> np.arange(n_players) & 1 == 1
    if is_summed:
        return np.where(passes, product @ gain.transpose(0, 2, 1), (product @ loss)[:, :, None])
    replaced = np.where(passes[:, :, None], gain[:, None], loss) * product[:, :, None]
    return np.concatenate([product[:, :, None], replaced], axis=2)
