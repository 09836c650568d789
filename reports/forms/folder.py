"""Writes a report into one folder, completely or not at all."""

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
from reports.forms.html import html_of, sheet_of
from reports.forms.json import FORMAT, json_of
from reports.forms.markdown import DEFINITIONS, INDEX, pages_of

KIND = FORMAT.rstrip("0123456789")  # a report of an older format may be replaced too

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Written:
    """The files of a report that was written.

    Attributes
    ----------
    folder : Path
    files : mapping of str to int
        The size of each file in bytes, by its path within the folder.
    """

    folder: Path
    files: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        """The size of all files together."""
        return sum(self.files.values())


def write_report(report: Report, folder: Path, *, at: datetime.datetime) -> Written:
    """Write a report in all its forms.

    `index.html` contains all pages and opens from disk. The folder also contains a Markdown file
    for each page with `README.md` as their index, `pictures/` and `csv/` with a file for each
    figure, `report.json`, and `service-levels.html` if the report has that page.

    An earlier report in the folder is replaced at once, when the new one is complete.

    Parameters
    ----------
    report : Report
    folder : Path
        Created if it does not exist; it may be empty or contain an earlier report.
    at : datetime, timezone-aware
        Now.

    Returns
    -------
    Written

    Raises
    ------
    SourceError
        If the folder contains anything else, or cannot be written.
    ValueError
        If a slug or the name of a figure is not a valid file name, or is used twice.
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
    """Read the report in a folder, so that the next one can be compared with it.

    Returns
    -------
    dict or None
        What `reports.forms.json` wrote; None if there is no report, or one of another format.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        raise SourceError(
            f"{folder / RECORD} cannot be read. Move it away, or write to another folder."
        ) from None
    is_report = isinstance(record, dict) and record.get("format") == FORMAT
    return record if is_report else None


def check_folder(folder: Path) -> None:
    """Check that a report may be written to a folder.

    Raises
    ------
    SourceError
        If it is a file, or a folder that contains anything but a report.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise SourceError(f"{folder} is not a folder. Name another with --out.")
    report_files = _files_of_report(folder)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in report_files and not (name in FOLDERS and path.is_dir()):
            raise SourceError(
                f"{folder} contains {name[:80]!r}, which is not part of a report, so nothing was "
                "written. Name an empty folder, or one with an earlier report, with --out."
            )


def _files_of_report(folder: Path) -> set[str]:
    """Return the files of the report in a folder, by its record; none if there is no record."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        if not str(record["format"]).startswith(KIND):
            return set()
        slugs = [page["slug"] for page in record["pages"]]
        parts = [section for page in record["pages"] for section in page["sections"]]
        figures = [figure["name"] for section in parts for figure in section["figures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {
        PAGE,
        RECORD,
        INDEX,
        DEFINITIONS,
        *(f"{slug}.{ending}" for slug in slugs for ending in ("md", "html")),
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
        if page.is_sheet:
            texts[f"{page.slug}.html"] = sheet_of(report, page)
        for section in page.sections:
            for figure in section.figures:
                texts[f"{TABLES}/{figure.name}.csv"] = csv_of(figure)
    for part in FOLDERS:
        (folder / part).mkdir()
    for name, text in texts.items():
        # Half of a surrogate pair, as in broken exports, becomes a question mark.
        (folder / name).write_bytes(text.encode("utf-8", errors="replace"))
    for name, drawing in drawings.items():
        (folder / PICTURES / f"{name}.png").write_bytes(drawing.png)


def _check_names(report: Report) -> None:
    figures = [f.name for page in report.pages for part in page.sections for f in part.figures]
    for names in ([page.slug for page in report.pages], figures):
        for name in names:
            if not _NAME.fullmatch(name) or len(name) > 80 or names.count(name) > 1:
                raise ValueError(f"{name[:90]!r} is not a valid file name, or is used twice.")
