"""The settings of a training as the params of its MLflow run.

Params are what a person sets; what a training finds is a metric, a tag or a table. So two runs
whose settings differ in one key differ in one param.
"""

import hashlib
import platform
from collections.abc import Mapping
from typing import Any

from crm.project import Project
from crm.version import VERSION
from models.registry.reachable import shown
from training.tracking.commit import Commit

LONGEST_PARAM = 6_000  # characters; MLflow would cut longer values without a trace
NONE = "none"  # MLflow shows an empty value as if there were no param


def settings_of(
    project: Project, commit: Commit | None, tune_minutes: float | None
) -> dict[str, str]:
    """Return the settings of a training by the names of their params.

    Keys of `[learn]` have their own names, those of other sections have the section before them,
    such as `columns.ignore`. The settings of `[learn.trees]` are not among them, because
    `trees_of` returns those that the model was fitted with.

    Parameters
    ----------
    project : Project
    commit : Commit or None
        The commit of the project's folder.
    tune_minutes : float or None
        How long to search for settings of the trees.

    Returns
    -------
    dict of str to str
        Lists are joined by commas. A value that is not set is `none`.
    """
    learn = {name: getattr(project.learn, name) for name in project.learn.__struct_fields__}
    del learn["trees"]
    sections = {"columns": project.columns, "scale": project.scale}
    settings = learn | {
        f"{section}.{name}": getattr(keys, name)
        for section, keys in sections.items()
        for name in keys.__struct_fields__
    }
    settings |= {
        "tune_minutes": tune_minutes,
        "leadscore": VERSION,
        "python": platform.python_version(),
        "git_commit": commit.digest if commit else None,
        "git_dirty": commit.is_dirty if commit else None,
    }
    return {name: as_param(value) for name, value in settings.items()}


def trees_of(estimator: Mapping[str, Any]) -> dict[str, str]:
    """Return LightGBM's parameters that a model was fitted with; none for a base rate.

    Parameters
    ----------
    estimator : mapping
        `estimator` of the model card.
    """
    parameters = estimator.get("parameters", {})
    return {
        f"trees.{name}": as_param(value) for name, value in parameters.items() if name != "seed"
    }


def as_param(value: Any) -> str:
    """Format a value as a param; one that is too long ends with a digest of all of it.

    Examples
    --------
    >>> as_param(["won", "signed"]), as_param([]), as_param(None), as_param(False), as_param(90.0)
    ('won, signed', 'none', 'none', 'false', '90.0')
    >>> as_param({"A": 65, "B": 50})
    'A = 65, B = 50'
    >>> as_param(["a" * 7_000])[-47:]
    'aaaa … (7,000 characters, SHA-256 e528b009df23)'
    """
    if isinstance(value, Mapping):
        value = [f"{name} = {inner}" for name, inner in value.items()]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, bool):
        value = str(value).lower()
    text = shown(str(value)) if value not in (None, "") else NONE
    if len(text) <= LONGEST_PARAM:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    end = f" … ({len(text):,} characters, SHA-256 {digest})"
    return text[: LONGEST_PARAM - len(end)] + end
