"""Writes a report into one folder, whole or not at all."""

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm.errors import SourceError
from crm.files import whole_folder
from crm.report_folder import FOLDERS, PAGE, PICTURES, RECORD, TABLES
from reports.content import Report
from reports.forms.csv import csv_of
from reports.forms.drawings import draw
from reports.forms.html import SHEET, html_of, sheet_of
from reports.forms.json import FORMAT, json_of
from reports.forms.markdown import DEFINITIONS, INDEX, pages_of

KIND = FORMAT.rstrip("0123456789")  # reports of other formats are replaced too

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Written:
    """Where a report went.

    Attributes
    ----------
    folder : Path
    files : mapping of str to int
        Bytes of each file, by its path within the folder.
    """

    folder: Path
    files: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return sum(self.files.values())


def write_report(report: Report, folder: Path, *, at: datetime.datetime) -> Written:
    """Write a report in all its forms.

    `index.html` holds all pages and opens from disk; beside it lie a Markdown file a page
    with `README.md` as their index, `pictures/` and `csv/` with a file for each figure,
    `report.json`, and `service-levels.html`, if the report has that page.

    A report that is in the folder already is replaced at once, when the new one is whole.

    Parameters
    ----------
    report : Report
    folder : Path
        Made if it is not there; may be empty or hold an earlier report, nothing else.
    at : datetime, timezone-aware
        Now.

    Returns
    -------
    Written

    Raises
    ------
    SourceError
        If the folder holds something else, or cannot be written.
    ValueError
        If a slug or a figure's name is not fit for a file, or is there twice.
    """
    _check_names(report)
    check_folder(folder)
    folder = folder.resolve()
    try:
        with whole_folder(folder, replaces=True) as made:
            _write_all(report, made, at.isoformat(timespec="seconds"))
            files = {
                path.relative_to(made).as_posix(): path.stat().st_size
                for path in sorted(made.rglob("*"))
                if path.is_file()
            }
    except OSError as error:
        raise SourceError(
            f"The report cannot be written to {folder}: {error.strerror or error}."
        ) from None
    return Written(folder, files)


def read_previous(folder: Path) -> dict[str, Any] | None:
    """Read the report that is in a folder, for the next one to tell what changed.

    Returns
    -------
    dict or None
        What `reports.forms.json` wrote; None if there is none, or one of another format.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    try:
        found = json.loads((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        raise SourceError(
            f"{folder / RECORD} cannot be read. Move it away, or write to another folder."
        ) from None
    is_ours = isinstance(found, dict) and found.get("format") == FORMAT
    return found if is_ours else None


def check_folder(folder: Path) -> None:
    """See that a report may be written there.

    Raises
    ------
    SourceError
        If it is a file, or a folder that holds anything but a report.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise SourceError(f"{folder} is no folder. Name another with --out.")
    known = _files_of_report(folder)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in known and not (name in FOLDERS and path.is_dir()):
            raise SourceError(
                f"{folder} holds {name[:80]!r}, which is no part of a report, so nothing was "
                "written there. Name an empty folder, or one of an earlier report, with --out."
            )


def _files_of_report(folder: Path) -> set[str]:
    """Name the files that the report in a folder consists of, by its record; none without one."""
    try:
        found = json.loads((folder / RECORD).read_bytes())
        if not str(found["format"]).startswith(KIND):
            return set()
        slugs = [page["slug"] for page in found["pages"]]
        parts = [section for page in found["pages"] for section in page["sections"]]
        figures = [figure["name"] for section in parts for figure in section["figures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {
        PAGE,
        RECORD,
        INDEX,
        DEFINITIONS,
        f"{SHEET}.html",
        *(f"{slug}.md" for slug in slugs),
        *(f"{TABLES}/{name}.csv" for name in figures),
        *(f"{PICTURES}/{name}.png" for name in figures),
    }


def _write_all(report: Report, folder: Path, at: str) -> None:
    drawings = draw(report)
    texts = {
        PAGE: html_of(report, drawings),
        RECORD: json_of(report, at),
        **pages_of(report, drawings),
    }
    for page in report.pages:
        if page.slug == SHEET:
            texts[f"{SHEET}.html"] = sheet_of(report, page)
        for section in page.sections:
            for figure in section.figures:
                texts[f"{TABLES}/{figure.name}.csv"] = csv_of(figure)
    for part in FOLDERS:
        (folder / part).mkdir()
    for name, text in texts.items():
        # A half of a surrogate pair, as broken exports have it, becomes a question mark.
        (folder / name).write_bytes(text.encode("utf-8", errors="replace"))
    for name, drawing in drawings.items():
        (folder / PICTURES / f"{name}.png").write_bytes(drawing.png)


def _check_names(report: Report) -> None:
    figures = [f.name for page in report.pages for part in page.sections for f in part.figures]
    for names in ([page.slug for page in report.pages], figures):
        for name in names:
            if not _NAME.fullmatch(name) or len(name) > 80 or names.count(name) > 1:
                raise ValueError(f"{name[:90]!r} is no name of a file, or is there twice.")
