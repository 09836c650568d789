"""The history that both teams write on: a dated page of takeaways, and an index of them."""

import datetime
import hashlib
import itertools
import json
import re
from pathlib import Path

from crm.errors import SourceError
from crm.files import whole_file
from reports.content import Report
from reports.forms.about import about_of
from reports.forms.cells import written
from reports.forms.markdown import INDEX, escaped, takeaway_lines

BEGIN = b"<!-- leadscore: begin%s. What stands up to the next mark is written anew. -->"
END = b"<!-- leadscore: end. Everything else is yours and stays as it is. -->"
FOLDER = "takeaways"

_BEGINS, _ENDS = b"<!-- leadscore: begin", b"<!-- leadscore: end"
_OF = re.compile(re.escape(_BEGINS) + rb" of ([0-9a-f]{8})\.")
_PAGE = re.compile(r"\d{4}-\d{2}-\d{2}(-\d+)?\.md")
_NOTES = b"""
## Notes of marketing


## Notes of sales


## What we agreed, who does it, until when

"""


def share(report: Report, folder: Path, who: str, at: datetime.datetime) -> Path:
    """Write the takeaways of a report on the page of its day, with space for notes.

    What leadscore writes stands between two marks; a later run of the day writes that part
    anew and leaves every other byte as people left it. A report of another project, or of other
    leads, gets a page of its own: `2026-11-24-2.md`. The index, `README.md`, lists the pages in
    the same way.

    Parameters
    ----------
    report : Report
    folder : Path
        Made if it is not there.
    who : str
        Who shares it.
    at : datetime, timezone-aware
        Now; its date begins the page's name.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    SourceError
        If a page has lost one of its marks, or cannot be written; nothing is changed then.
    """
    of = _identity(report)
    try:
        page = _page_of(folder, at, of)
        days = {found.name for found in folder.glob("*.md") if _PAGE.fullmatch(found.name)}
        text = _renewed(page, BEGIN % (b" of " + of), _page(report, who, at), _NOTES)
        texts = {page: text, folder / INDEX: b""}
        listed = {
            name: texts.get(folder / name) or (folder / name).read_bytes()
            for name in sorted({*days, page.name}, reverse=True)
        }
        texts[folder / INDEX] = _renewed(folder / INDEX, BEGIN % b"", _index(listed), b"")
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in texts.items():
            with whole_file(path) as work:
                work.write_bytes(content)
    except OSError as error:
        raise SourceError(
            f"The takeaways cannot be written to {folder}: {error.strerror or error}."
        ) from None
    return page


def _identity(report: Report) -> bytes:
    """Tell apart the reports of projects, and of other leads of the same project."""
    whose = [report.name, report.about.get("since"), report.about.get("segment")]
    return hashlib.sha256(json.dumps(whose).encode()).hexdigest()[:8].encode()


def _page_of(folder: Path, at: datetime.datetime, of: bytes) -> Path:
    """Find the day's page of a report: the first that is not the page of another one."""
    for i in itertools.count(1):
        page = folder / (f"{at:%Y-%m-%d}.md" if i == 1 else f"{at:%Y-%m-%d}-{i}.md")
        theirs = _OF.search(page.read_bytes()) if page.exists() else None
        if theirs is None or theirs[1] == of:
            break
    return page


def _renewed(path: Path, begins: bytes, ours: list[str], notes: bytes) -> bytes:
    """Put our part into a file: between its marks, at its end if it has none, or into a new one."""
    part = begins + b"\n" + "\n".join(ours).encode(errors="replace") + b"\n" + END
    if not path.exists():
        return part + b"\n" + notes
    text = path.read_bytes()
    if _BEGINS not in text and _ENDS not in text:
        return text.rstrip(b"\n") + b"\n\n" + part + b"\n" + notes
    begin, end = text.find(_BEGINS), text.find(_ENDS)
    close = text.find(b"-->", end)
    if text.count(_BEGINS) != 1 or text.count(_ENDS) != 1 or not 0 <= begin < end < close:
        raise SourceError(
            f"{path} has lost one of the marks that leadscore writes between, or has one twice, "
            "so it was left as it is. Put the marks back, or move the page away."
        )
    return text[:begin] + part + text[close + len(b"-->") :]


def _page(report: Report, who: str, at: datetime.datetime) -> list[str]:
    of = ", ".join(escaped(text, 150) for text in (report.name, _only(report)) if text)
    lines = [f"# Takeaways of {at:%Y-%m-%d}: {of}", ""]
    if report.about.get("simulated"):
        lines += ["**Simulated: made-up records. No figure here is about real leads.**", ""]
    as_of = escaped(written(report.as_of, "time"))
    shared = f"shared by {escaped(who, 80)} at {at:%H:%M} UTC"
    lines += [f"As of {as_of} UTC, {shared}.", ""]
    said: set[str] = set()
    for page in report.pages:
        found = [line for line in takeaway_lines(page.takeaways) if line not in said]
        said.update(found)
        if found:
            lines += [f"## {escaped(page.title, 120)}", "", *found, ""]
    if not said:
        lines += ["No finding holds up yet: too few leads, or no difference beyond chance.", ""]
    changed = [text for page in report.pages for text in page.changed]
    if changed:
        lines += ["## Since the last report", ""]
        lines += [*(f"- {escaped(text)}" for text in dict.fromkeys(changed)), ""]
    return lines


def _only(report: Report) -> str:
    return about_of(report.about).get("Only", "")


def _index(pages: dict[str, bytes]) -> list[str]:
    lines = ["# Takeaways", "", "The newest first; each page has space for notes.", ""]
    for name, text in pages.items():
        inside = text.partition(_BEGINS)[2].partition(_ENDS)[0].decode(errors="replace")
        title = next((line for line in inside.splitlines() if line.startswith("# ")), "")
        first = next((line for line in inside.splitlines() if line.startswith("- ")), "- ")
        of = title.partition(": ")[2]
        said = [f"[{name.removesuffix('.md')}]({name})", of, first[2:]]
        lines.append(f"- {': '.join(text for text in said if text)}")
    return [*lines, ""]
