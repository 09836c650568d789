"""Formats what `leadscore report` wrote."""

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from crm.left_out import LeftOutRows
from reports.forms.folder import Written


def report_summary(
    written: Written,
    sentences: Sequence[str],
    verdict: str,
    stamp: str,
    part: str,
    takeaways: Path | None,
    left_out: Sequence[LeftOutRows] = (),
) -> str:
    """Format the takeaways of a report, and where its parts are.

    Parameters
    ----------
    written : Written
    sentences : sequence of str
        The takeaways of the first page.
    verdict : str
        How good the model is whose scores the report shows, or why it shows none.
    stamp : str
        The moment of the report.
    part : str
        Which part of the leads the report is about; empty if it is about all.
    takeaways : Path or None
        The shared page with the takeaways, if one was written.
    left_out : sequence of LeftOutRows
        Rows that were left out while reading.
    """
    lines = [f"[yellow]note:[/] {escape(str(rows))}" for rows in left_out]
    lines += [escape(text) for text in (stamp, part) if text]
    lines += [f"- {escape(sentence)}" for sentence in sentences]
    lines.append(escape(verdict))
    size = f"{len(written.files)} files, {written.total_bytes / 1_000_000:.1f} MB"
    lines.append(f"Wrote {size}:")
    places = {
        "pages": written.folder / "index.html",
        "wiki": written.folder / "README.md",
        "numbers": written.folder / "csv",
        "takeaways": takeaways,
    }
    lines += [f"  {name:<9} {escape(str(place))}" for name, place in places.items() if place]
    return "\n".join(lines)
