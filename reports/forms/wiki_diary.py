"""Writes the diary that both teams share: one page of takeaways per day, and an index."""

import datetime
import hashlib
import itertools
import json
import re
from pathlib import Path

from crm.errors import SourceError
from crm.files import whole_file
from reports.content import ChangeKind, Report
from reports.forms.about import about_of, stamp_of
from reports.forms.markdown import INDEX, escaped, takeaway_lines

BEGIN = b"<!-- leadscore: begin%s. The text up to the next mark is rewritten. -->"
END = b"<!-- leadscore: end. Everything else is yours and is never changed. -->"
FOLDER = "takeaways"

_BEGINS, _ENDS = b"<!-- leadscore: begin", b"<!-- leadscore: end"
_REPORT_ID = re.compile(re.escape(_BEGINS) + rb" of ([0-9a-f]{8})\.")
_PAGE = re.compile(r"\d{4}-\d{2}-\d{2}(-\d+)?\.md")
_NOTES = b"""
## Notes of marketing


## Notes of sales


## What we agreed, who does it, until when

"""


def share(report: Report, folder: Path, who: str, at: datetime.datetime) -> Path:
    """Write the takeaways of a report on the page of its day, with space for notes.

    leadscore writes between two marks. A later run on the same day rewrites that part and changes
    no other byte. A report of another project, or of other leads, gets its own page:
    `2026-11-24-2.md`. The index, `README.md`, lists the pages; its list is between two marks too.

    Parameters
    ----------
    report : Report
    folder : Path
        Created if it does not exist.
    who : str
        The person who shares the report.
    at : datetime, timezone-aware
        Now; the name of the page begins with its date.

    Returns
    -------
    Path
        The path of the page.

    Raises
    ------
    SourceError
        If a page has lost one of its marks, or cannot be written. Nothing is changed then.
    """
    report_id = _report_id(report)
    try:
        page = _page_of(folder, at, report_id)
        days = {path.name for path in folder.glob("*.md") if _PAGE.fullmatch(path.name)}
        text = _rewritten(page, BEGIN % (b" of " + report_id), _page(report, who, at), _NOTES)
        texts = {page: text, folder / INDEX: b""}
        listed = {
            name: texts.get(folder / name) or (folder / name).read_bytes()
            for name in sorted({*days, page.name}, reverse=True)
        }
        texts[folder / INDEX] = _rewritten(folder / INDEX, BEGIN % b"", _index(listed), b"")
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in texts.items():
            with whole_file(path) as work:
                work.write_bytes(content)
    except OSError as error:
        raise SourceError(
            f"The takeaways cannot be written to {folder}: {error.strerror or error}."
        ) from None
    return page


def _report_id(report: Report) -> bytes:
    """Return an id that differs between projects, and between selections of leads."""
    selection = [report.name, report.about.get("since"), report.about.get("segment")]
    return hashlib.sha256(json.dumps(selection).encode()).hexdigest()[:8].encode()


def _page_of(folder: Path, at: datetime.datetime, report_id: bytes) -> Path:
    """Return the day's page of a report: the first that no other report has taken."""
    for i in itertools.count(1):
        page = folder / (f"{at:%Y-%m-%d}.md" if i == 1 else f"{at:%Y-%m-%d}-{i}.md")
        owner = _REPORT_ID.search(page.read_bytes()) if page.exists() else None
        if owner is None or owner[1] == report_id:
            break
    return page


def _rewritten(path: Path, begins: bytes, lines: list[str], notes: bytes) -> bytes:
    """Return the content of a file with a new part between its marks.

    A file without marks gets the part at its end. A file that does not exist yet consists of the
    part and `notes`.
    """
    part = begins + b"\n" + "\n".join(lines).encode(errors="replace") + b"\n" + END
    if not path.exists():
        return part + b"\n" + notes
    text = path.read_bytes()
    if _BEGINS not in text and _ENDS not in text:
        return text.rstrip(b"\n") + b"\n\n" + part + b"\n" + notes
    begin, end = text.find(_BEGINS), text.find(_ENDS)
    close = text.find(b"-->", end)
    if text.count(_BEGINS) != 1 or text.count(_ENDS) != 1 or not 0 <= begin < end < close:
        raise SourceError(
            f"{path} lacks one of leadscore's marks or contains one twice, so it was not changed. "
            "Put the marks back, or move the page away."
        )
    return text[:begin] + part + text[close + len(b"-->") :]


def _page(report: Report, who: str, at: datetime.datetime) -> list[str]:
    subject = ", ".join(escaped(text, 150) for text in (report.name, _filters(report)) if text)
    lines = [f"# Takeaways of {at:%Y-%m-%d}: {subject}", ""]
    if report.about.get("simulated"):
        lines += ["**Simulated: made-up records. No figure here is about real leads.**", ""]
    lines += [
        f"{escaped(stamp_of(report))} This page was shared by {escaped(who, 80)} at "
        f"{at:%H:%M} UTC.",
        "",
    ]
    written_lines: set[str] = set()
    for page in report.pages:
        takeaways = [line for line in takeaway_lines(page.takeaways) if line not in written_lines]
        written_lines.update(takeaways)
        if takeaways:
            lines += [f"## {escaped(page.title, 120)}", "", *takeaways, ""]
    if not written_lines:
        lines += [
            "No finding is certain yet: too few leads, or differences that may be chance.",
            "",
        ]
    notes = [note for page in report.pages for note in page.changed]
    shown = (ChangeKind.COUNTED, ChangeKind.CHANGED)
    changes = [note.sentence for note in notes if note.kind in shown]
    if changes:
        lines += ["## Since the last report", ""]
        lines += [*(f"- {escaped(change)}" for change in dict.fromkeys(changes)), ""]
    return lines


def _filters(report: Report) -> str:
    return about_of(report.about).get("Only", "")


def _index(pages: dict[str, bytes]) -> list[str]:
    lines = ["# Takeaways", "", "The newest first; each page has space for notes.", ""]
    for name, text in pages.items():
        inside = text.partition(_BEGINS)[2].partition(_ENDS)[0].decode(errors="replace")
        title = next((line for line in inside.splitlines() if line.startswith("# ")), "")
        first = next((line for line in inside.splitlines() if line.startswith("- ")), "- ")
        subject = title.partition(": ")[2]
        parts = [f"[{name.removesuffix('.md')}]({name})", subject, first[2:]]
        lines.append(f"- {': '.join(text for text in parts if text)}")
    return [*lines, ""]
