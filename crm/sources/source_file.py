"""Declares `SourceFile`, a file that contains one table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class SourceFile:
    """A file with one table, unpacked if it was in an archive.

    Attributes
    ----------
    name : str
        The name of the file in messages.
    open : callable
        Opens the file from its beginning.
    """

    name: str
    open: Callable[[], BinaryIO]
