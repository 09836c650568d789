"""Uses the names of BentoML that its documentation does not cover. No other module uses them.

docs/upgrading-bentoml-and-uvicorn.md says what to do when BentoML changes them.
"""

from pathlib import Path
from typing import Any

import bentoml
from _bentoml_sdk import Service
from bentoml._internal.utils.analytics.usage_stats import do_not_track

from serving.bento.store import STORE_NAME

__all__ = ["Service", "forget_tracking_choice", "pinned_tag"]


def forget_tracking_choice() -> None:
    """Make BentoML read `BENTOML_DO_NOT_TRACK` again, because it caches the first value."""
    do_not_track.cache_clear()


def pinned_tag(service: Any) -> str:
    """Return the tag of the model that a service's Bento names, not that of the newest model.

    Outside a Bento, return the tag of the folder that the service's attribute `model` resolves to.
    The tag in the stored model's own metadata is not used: the file may be that of another model.
    """
    if service.bento is None:
        reference = service.inner.model
        folder = Path(reference.resolve().path)
        return str(bentoml.Tag(reference.tag.name, folder.name))
    tags = [model.tag for model in service.bento.info.all_models]
    return str(next(tag for tag in tags if tag.name == STORE_NAME))
