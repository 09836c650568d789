"""A figure's rows as CSV, whole and harmless."""

import csv
import io

from crm.cells import harmless
from reports.content import Figure
from reports.forms.cells import plain


def csv_of(figure: Figure) -> str:
    r"""Write all rows of a figure; the header holds the keys of its columns.

    Texts are not cut. One that a spreadsheet would take for a formula begins with an
    apostrophe; a missing cell is empty.

    Returns
    -------
    str
        Lines end as RFC 4180 has it.

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
    keys = [column.key for column in figure.columns]
    writer.writerow([harmless(key) for key in keys])
    writer.writerows([harmless(plain(row.get(key))) for key in keys] for row in figure.rows)
    return file.getvalue()
