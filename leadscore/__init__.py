"""Rank sales leads by their chance to become customers: the package for notebooks and scripts.

`leadscore.api` lists the names that this package offers; [docs/api.md](../docs/api.md) describes
them. They are imported when the first of them is used, so that the command line, which uses none,
starts quickly.

Examples
--------
>>> import leadscore
>>> leadscore.Moments.__module__
'features.moments'
"""

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leadscore.api import *  # noqa: F403  # the names are those of its __all__

# OpenMP reads this when it is loaded, with LightGBM. Threads that spin while they wait for a busy
# core cost several times as much CPU time as the work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main() -> None:
    """Run the command line; the entry point of the command `leadscore`."""
    from leadscore import command

    command.main()


def __getattr__(name: str) -> Any:
    """Return a name of `leadscore.api`, or its list of names."""
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module 'leadscore' has no attribute {name!r}")
    try:
        api = importlib.import_module("leadscore.api")  # `from leadscore import` would ask here
    except ModuleNotFoundError as error:
        _check_for_other_package(str(error.name))
        raise
    if name != "__all__" and name not in api.__all__:
        raise AttributeError(f"leadscore has no {name!r}. It has: {', '.join(api.__all__)}.")
    return getattr(api, name)


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))


def _check_for_other_package(missing: str) -> None:
    """Raise an error if a package of the caller hides one of ours, such as `models`."""
    root = missing.partition(".")[0]
    found = getattr(sys.modules.get(root), "__file__", None)
    if found and Path(found).resolve().parents[1] != Path(__file__).resolve().parents[1]:
        raise ImportError(
            f"leadscore needs its own package {root!r}, but Python found another one at {found}. "
            "Start Python in another folder, or rename that package."
        ) from None
