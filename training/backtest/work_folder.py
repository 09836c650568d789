"""Keeps the result of each cut-off in a folder, so that a backtest that ended early goes on.

    work/KEY/2026-03-01.npz    the model of one cut-off, `training.backtest.cut_off.CutOffModel`

KEY is a digest of the records, the settings and the version of leadscore. So a backtest of other
records or settings starts anew. The files contain no personal data: positions, log-odds, counts,
and the names of columns.
"""

import dataclasses
import hashlib
import io
import json
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.errors import SourceError
from crm.files import whole_file
from crm.project import Project, role_columns
from crm.records import Records
from crm.version import VERSION
from training.backtest.cut_off import CutOffModel

ARRAYS = ("rows", "log_odds")


def key_of(project: Project, records: Records) -> str:
    """Compute the digest of all that the results of a backtest depend on.

    Comments of the project file, and the sections of the report, the scale and MLflow, are not
    part of it.
    """
    facts = {
        "version": VERSION,
        "tables": records.digests,
        "observed_until": str(records.observed_until),
        "closing_zone": records.closing_zone,
        "formats": dict(records.formats),
        "roles": role_columns(project),
        "timezone": project.leads.timezone,
        "learn": msgspec.to_builtins(project.learn),
        "columns": msgspec.to_builtins(project.columns),
    }
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class WorkFolder:
    """The folder with the finished cut-offs of a backtest.

    Parameters
    ----------
    parent : Path
        The folder that contains one folder for each key. It is created if it is absent.
    key : str
        The result of `key_of`.

    Raises
    ------
    SourceError
        If the folder cannot be created.
    """

    def __init__(self, parent: Path, key: str) -> None:
        self._parent = parent
        self.folder = parent / key[:16]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def read(self, at: int, rows: Ints) -> CutOffModel | None:
        """Return the finished model of a cut-off, or None if there is none.

        A file that cannot be read, or has scored other moments, counts as none.

        Parameters
        ----------
        at : int
            The cut-off, in microseconds since 1970 UTC.
        rows : ndarray of int64, shape (n,)
            The positions of the moments that it must have scored.
        """
        with suppress(OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            content = io.BytesIO(self._file(at).read_bytes())
            with np.load(content, allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                facts["left_out"] = tuple(facts["left_out"])
                model = CutOffModel(**facts, **{name: stored[name] for name in ARRAYS})
            if model.at == at and (model.why_not or np.array_equal(model.rows, rows)):
                return model
        return None

    def write(self, model: CutOffModel) -> None:
        """Write the model of a cut-off, whole or not at all.

        Raises
        ------
        SourceError
            If the file cannot be written.
        """
        names = (field.name for field in dataclasses.fields(model))
        facts = {name: getattr(model, name) for name in names if name not in ARRAYS}
        arrays = {name: getattr(model, name) for name in ARRAYS}
        target = self._file(model.at)
        try:
            with whole_file(target) as work, work.open("wb") as file:
                np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
        except OSError as error:
            raise _unwritable(target, error) from None

    def remove_others(self) -> None:
        """Remove the folders of other records, settings and versions."""
        for other in self._parent.iterdir():
            if other.is_dir() and other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def _file(self, at: int) -> Path:
        return self.folder / f"{pd.Timestamp(at, unit='us'):%Y-%m-%d}.npz"


def _unwritable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{path} cannot be written: {error.strerror}.")
