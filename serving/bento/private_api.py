"""Uses the names of BentoML that its documentation does not cover. No other module uses them.

docs/upgrading-bentoml-and-uvicorn.md says what to do when BentoML changes them.
"""

from typing import Any

import bentoml
from _bentoml_sdk import Service
from bentoml._internal.utils.analytics.usage_stats import do_not_track

from serving.bento.store import STORE_NAME

__all__ = ["Service", "forget_tracking_choice", "pinned_model"]


def forget_tracking_choice() -> None:
    """Make BentoML read `BENTOML_DO_NOT_TRACK` again, because it caches the first value."""
    do_not_track.cache_clear()


def pinned_model(service: Any) -> bentoml.Model:
    """Return the model that a service's Bento was built with. BentoML would return the newest.

    Outside a Bento, return the model that the service's attribute `model` resolves to.
    """
    if service.bento is None:
        return service.inner.model.resolve()
    tags = [model.tag for model in service.bento.info.all_models]
    return bentoml.models.get(next(tag for tag in tags if tag.name == STORE_NAME))
