"""Writes the rows of a figure as CSV, complete and without formulas."""

import csv
import io

from crm.cells import harmless
from reports.content import Figure
from reports.forms.cells import plain


def csv_of(figure: Figure) -> str:
    r"""Write all rows of a figure; the header contains the keys of its columns and counts.

    Texts are not cut. A text that a spreadsheet would read as a formula gets an apostrophe in
    front; a missing cell is empty.

    Returns
    -------
    str
        The lines end with CR LF, as RFC 4180 requires.

    Examples
    --------
    >>> from reports.content import Column
    >>> columns = (Column("source", "Source"), Column("leads", "Leads", "count"))
    >>> rows = ({"source": "=1+1", "leads": 3}, {"source": 'a "b", c', "leads": None})
    >>> csv_of(Figure("sources", "", "", columns, rows))
    'source,leads\r\n\'=1+1,3\r\n"a ""b"", c",\r\n'
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    keys = figure.keys
    writer.writerow([harmless(key) for key in keys])
    writer.writerows([harmless(plain(row.get(key))) for key in keys] for row in figure.rows)
    return file.getvalue()
