"""Finds rows that continue the row above, as exports write leads with several products or tags.

The first row of such a lead has all cells. The next rows have only the further values, so they lack
the id and the other cells that every lead has.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Bools
from crm.text import listed, quote

ALWAYS: Final = 0.95  # of the rows with an id, in a column that they always fill
FEWEST_LACKING: Final = 2  # columns that rows with an id always fill and the other rows lack
LACKING_SHARE: Final = 0.5  # the same, as a share of the columns that rows with an id always fill


@dataclass(frozen=True)
class ContinuedRows:
    """Rows that continue the row above.

    Attributes
    ----------
    rows : ndarray of bool, shape (n_rows,)
    id_name : str
        The column of ids, which these rows lack.
    filled : list of str
        The columns that some of these rows fill.
    """

    rows: Bools
    id_name: str
    filled: list[str]

    @property
    def reason(self) -> str:
        """Why the rows are left out, as the end of a sentence."""
        return (
            f"they have no {quote(self.id_name)} and only {listed(self.filled)}, so they belong to "
            "the lead above them. To use their values, export one row per lead"
        )


def continued_rows(table: pd.DataFrame, id_name: str) -> ContinuedRows | None:
    """Find the rows that continue the row above.

    Parameters
    ----------
    table : DataFrame, shape (n_rows, n_columns)
        Empty cells are missing.
    id_name : str
        The column of ids.

    Returns
    -------
    ContinuedRows or None
        The rows below a row with an id that lack the id, the first column, and at least two and
        half of the columns that rows with an id always fill. They fill only columns that the row
        with the id fills. None if no row is one of them.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["1", None], "day": ["1.1.", None], "won": ["no", None]})
    >>> continued_rows(table.assign(product=["A", "B"]), "id").rows
    array([False,  True])
    """
    is_filled = table.notna()
    has_id = is_filled[id_name].to_numpy(dtype=bool)
    lacks_first = ~is_filled.iloc[:, 0].to_numpy(dtype=bool)
    below = ~has_id & lacks_first & np.maximum.accumulate(has_id)
    if not below.any():
        return None
    others = is_filled.drop(columns=id_name)
    always = others.loc[:, others[has_id].mean() >= ALWAYS]
    main = always.loc[:, always[below].mean() <= 1 - ALWAYS]
    if main.shape[1] < max(FEWEST_LACKING, LACKING_SHARE * always.shape[1]):
        return None
    cells = others.to_numpy(dtype=bool)
    lead = np.maximum.accumulate(np.where(has_id, np.arange(len(table)), 0))
    is_part = ~(cells & ~cells[lead]).any(axis=1)
    rows = below & ~main.any(axis=1).to_numpy() & cells.any(axis=1) & is_part
    filled = [str(name) for name in others.columns if others.loc[rows, name].any()]
    return ContinuedRows(rows, id_name, filled) if rows.any() else None
