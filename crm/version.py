"""The version of leadscore: declared here, and read from here by everything that shows it.

`pyproject.toml` reads it when a distribution is built. The service reads it inside a Bento, where
leadscore is not installed as a distribution. CONTRIBUTING.md describes the version scheme.
"""

from typing import Final

VERSION: Final = "0.2.0.dev0"
