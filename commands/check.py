"""`leadscore check`: describes the records of a CRM's export, and asks about wrong ones."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.console import JsonOption, ProjectOption, err, out, progress_bar, show
from crm.errors import ConfigError, SourceError
from crm.files import whole_file
from crm.project import PROJECT_FILE, load_project

if TYPE_CHECKING:
    import pandas as pd

    from crm.formats.columns import ColumnFormat

PAGE = "check.html"


def check(
    project: ProjectOption = Path(PROJECT_FILE),
    html: Annotated[
        Path | None,
        typer.Option(help="The page to write. Default: `check.html` next to the project file."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Check the records: what each column contains, what is left out, and what looks wrong.

    The page is for the person who looks after the CRM. It contains no values of personal columns.
    Exit code 1 means that no model can be trained from the records yet.
    """
    from commands.terminal.check import check_summary
    from features.record_checks.run import check_records
    from reports.check.page import check_page

    if html is not None and html.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--html is {str(html)!r}. Expected a file that ends with .html.")
    opened = load_project(project)
    page = html or opened.folder / PAGE
    if not json_:
        err.print(f"Reading the records of {opened.name} …", soft_wrap=True)
    now = datetime.datetime.now(datetime.UTC)
    with progress_bar("Checking", quiet=json_) as progress:
        result = check_records(opened, now, private_reason, progress)
    _write_page(check_page(result), page)
    if json_:
        show({**result.to_json(), "page": str(page)}, "", json_)
    else:
        out.print(check_summary(result, page), soft_wrap=True)
    if result.problems or result.refusal:
        raise typer.Exit(1)


def _write_page(text: str, target: Path) -> None:
    try:
        with whole_file(target) as work:
            # Half of a surrogate pair, as in broken exports, becomes a question mark.
            work.write_bytes(text.encode("utf-8", errors="replace"))
    except OSError as error:
        raise SourceError(f"{target} cannot be written: {error.strerror}.") from None


def private_reason(cells: "pd.Series", form: "ColumnFormat") -> str | None:
    """Return why a column is personal data or describes the person; None if it does not."""
    from drafting.about_person import sensitive_reason
    from drafting.personal import personal_reason
    from drafting.samples import Column

    column = Column(cells, form)
    now = datetime.datetime.now(datetime.UTC)
    return personal_reason(column) or sensitive_reason(column, now=now)
