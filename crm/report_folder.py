"""The names of the files in a report's folder. `reports/` writes them, `serving/` reads them."""

from typing import Final

RECORD: Final = "report.json"  # every report's folder contains it
PAGE: Final = "index.html"
TABLES: Final = "csv"
PICTURES: Final = "pictures"
FOLDERS: Final = (TABLES, PICTURES)
