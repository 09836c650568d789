"""Writes a report as Markdown for a wiki or git: a file for each page, and an index."""

import re
from collections.abc import Mapping, Sequence

from reports.content import Column, Figure, Page, Report, Section, Takeaway
from reports.forms.about import about_of, notes_of, part_of, stamp_of
from reports.forms.cells import WORDS, cell_of, sentence
from reports.forms.drawings import Drawing
from reports.text import MOST_PROSE, printable

MOST_ROWS = 30  # of a table in a file; the CSV file contains all
INDEX = "README.md"
DEFINITIONS = "definitions.md"

_MARKS = re.compile(r"[\\`*_{}\[\]#|~$]")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_ADDRESS = re.compile(r"(?i)\b(www(?=\.)|[a-z][a-z0-9+]*(?=:\S))")
_LINE_START = re.compile(r"^(?:([-+=])|(\d+)([.)])(?=\s))")


def escaped(text: object, most: int = MOST_PROSE) -> str:
    r"""Escape a text for Markdown: one line, cut, without markup, HTML and addresses.

    Invisible characters are removed, marks of the direction of writing too.

    Examples
    --------
    >>> print(escaped("<b>[x](javascript:alert(1))</b> | `y`"))
    &lt;b&gt;\[x\](javascript&#58;alert(1))&lt;/b&gt; \| \`y\`
    >>> print(escaped("1. www.evil.example &amp; 2 * 3"))
    1\. www&#46;evil.example &amp;amp; 2 \* 3
    """
    line = _ENTITY.sub("&amp;", printable(text, most))
    line = _MARKS.sub(lambda mark: "\\" + mark[0], line)
    line = line.replace("<", "&lt;").replace(">", "&gt;")
    line = _ADDRESS.sub(lambda address: address[1] + "\0", line)
    line = line.replace("\0.", "&#46;").replace("\0:", "&#58;")
    return _LINE_START.sub(
        lambda start: f"\\{start[1]}" if start[1] else f"{start[2]}\\{start[3]}", line
    )


def pages_of(report: Report, drawings: Mapping[str, Drawing]) -> dict[str, str]:
    """Return the texts of a report's files, by name; pictures are in `pictures/`, rows in `csv/`.

    Parameters
    ----------
    report : Report
    drawings : mapping of str to Drawing
        By the figure's name.
    """
    defined = {str(metric["name"]) for metric in report.metrics}
    files = {INDEX: _index(report)}
    for page in report.pages:
        files[f"{page.slug}.md"] = _page(page, report, drawings, defined)
    files[DEFINITIONS] = _definitions(report)
    return files


def takeaway_lines(takeaways: Sequence[Takeaway]) -> list[str]:
    """Format takeaways as a list without links, for a page outside the report."""
    return [f"- {escaped(takeaway.sentence)}" for takeaway in takeaways]


def _index(report: Report) -> str:
    lines = [f"# {escaped(report.name)}", "", *_stamp(report), ""]
    for page in report.pages:
        lines.append(f"- [{escaped(page.title)}]({page.slug}.md): {escaped(page.lead)}")
    lines += [f"- [Definitions]({DEFINITIONS}): how each number is counted", ""]
    lines += [*(f"- {k}: {escaped(text)}" for k, text in about_of(report.about).items()), ""]
    lines += [*(f"- {escaped(note)}" for note in notes_of(report.about)), ""]
    if report.pages and report.pages[0].takeaways:
        lines += ["## In short", "", *takeaway_lines(report.pages[0].takeaways), ""]
    return "\n".join(lines)


def _stamp(report: Report) -> list[str]:
    stamp = [escaped(stamp_of(report))]
    part = part_of(report.about)
    if part:
        stamp += ["", escaped(part)]
    if not report.about.get("simulated"):
        return stamp
    return ["**Simulated: made-up records. No figure here is about real leads.**", "", *stamp]


def _page(page: Page, report: Report, drawings: Mapping[str, Drawing], defined: set[str]) -> str:
    lines = [f"# {escaped(page.title)}", "", escaped(page.lead), "", *_stamp(report), ""]
    for takeaway in page.takeaways:
        link = (
            f" ([definition]({DEFINITIONS}#{_anchor(takeaway.metric)}))"
            if takeaway.metric in defined
            else ""
        )
        lines.append(f"- {escaped(takeaway.sentence)}{link}")
    if page.takeaways:
        lines.append("")
    for section in page.sections:
        lines += _section(section, drawings, defined)
    if page.changed:
        lines += ["## Since the last report", ""]
        lines += [*(f"- {escaped(note.sentence)}" for note in page.changed), ""]
    lines += [f"[All pages]({INDEX})", ""]
    return "\n".join(lines)


def _section(section: Section, drawings: Mapping[str, Drawing], defined: set[str]) -> list[str]:
    lines = [f"## {escaped(section.heading)}", ""]
    for text in section.paragraphs:
        lines += [escaped(text), ""]
    if section.needs:
        lines += [f"> {escaped(section.needs)}", ""]
    for figure in section.figures:
        lines += _figure(figure, figure.name in drawings, defined)
    return lines


def _figure(figure: Figure, is_drawn: bool, defined: set[str]) -> list[str]:
    """Return the lines of a figure; of leads that the model learned from, without its numbers."""
    lines = [f"### {escaped(figure.finding, 300)}", "", escaped(figure.about, 300), ""]
    if is_drawn and not figure.learned_from:
        alt = escaped(f"{figure.finding}. {figure.about}", 300)
        lines += [f"![{alt}](pictures/{figure.name}.png)", ""]
    if figure.note:
        lines += [escaped(figure.note), ""]
    if figure.learned_from:
        return [*lines, f"As a file: [{figure.name}.csv](csv/{figure.name}.csv)", ""]
    return lines + _table(figure, defined)


def _table(figure: Figure, defined: set[str]) -> list[str]:
    n_more = len(figure.rows) - MOST_ROWS
    rows = [
        "| " + " | ".join(escaped(cell_of(figure, row, column)) for column in figure.columns) + " |"
        for row in figure.rows[:MOST_ROWS]
    ]
    sides = ["---" if column.form in WORDS else "---:" for column in figure.columns]
    return [
        "| " + " | ".join(_heading(column, defined) for column in figure.columns) + " |",
        "| " + " | ".join(sides) + " |",
        *rows,
        "",
        f"{f'{n_more:,} more rows are in ' if n_more > 0 else 'As a file: '}"
        f"[{figure.name}.csv](csv/{figure.name}.csv)",
        "",
    ]


def _heading(column: Column, defined: set[str]) -> str:
    title = escaped(column.title, 80)
    if column.metric not in defined:
        return title
    return f"[{title}]({DEFINITIONS}#{_anchor(column.metric)})"


def _definitions(report: Report) -> str:
    lines = ["# Definitions", "", "How each number is counted, the same on every page.", ""]
    lines += [*_stamp(report), ""]
    for metric in report.metrics:
        name = str(metric["name"])
        lines += [f'## <a id="{_anchor(name)}"></a>{escaped(metric["title"])}', ""]
        lines += [escaped(sentence(metric["definition"])), ""]
        for key, label in (
            ("denominator", "Of"),
            ("window", "Window"),
            ("maturity", "Counted when"),
        ):
            if metric.get(key):
                lines.append(f"- {label}: {escaped(sentence(metric[key]))}")
        lines.append("")
    lines += [f"[All pages]({INDEX})", ""]
    return "\n".join(lines)


def _anchor(metric: str) -> str:
    return "metric-" + re.sub(r"[^a-z0-9]+", "-", metric.casefold()).strip("-")
