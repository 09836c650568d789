"""Reads each table of a project from its source once, for several readers."""

from typing import Final

import pandas as pd

from crm.left_out import LeftOutRows
from crm.project import Project, TableKeys
from crm.sources.source import read_table

ROWS_IN_MEMORY: Final = 2_000_000


class SourceTables:
    """The tables of a project as their sources contain them.

    Parameters
    ----------
    project : Project
    is_kept : bool
        Whether a table is kept for further readers. Otherwise the next one reads the source again,
        and the texts of a large table are on the disk.
    """

    def __init__(self, project: Project, *, is_kept: bool = True) -> None:
        self._project = project
        self._is_kept = is_kept
        self._read: dict[str, tuple[pd.DataFrame, list[LeftOutRows], list[str]]] = {}

    def read(self, name: str, left_out: list[LeftOutRows], notes: list[str]) -> pd.DataFrame:
        """Return a table; if tables are kept, its source is read only the first time.

        Parameters
        ----------
        name : str
            "leads", "activities", "stages" or "outcomes". The project must have this table, in a
            file or a database.
        left_out : list of LeftOutRows
            Receives the rows that are not part of the table, in every call.
        notes : list of str
            Receives sentences about rows that are repaired, in every call.

        Returns
        -------
        DataFrame
            As `crm.sources.source.read_table` returns it. It must not be changed.

        Raises
        ------
        SourceError, SchemaError, ConfigError
            As `crm.sources.source.read_table` does.
        """
        if name in self._read:
            table, own_rows, own_notes = self._read[name]
        else:
            keys: TableKeys = getattr(self._project, name)
            own_rows, own_notes = [], []
            most = None if self._is_kept else ROWS_IN_MEMORY
            table = read_table(keys, self._project.folder, own_rows, own_notes, name, most)
            if self._is_kept:
                self._read[name] = table, own_rows, own_notes
        left_out += own_rows
        notes += own_notes
        return table
