"""The names of BentoML that its documentation does not list, in one module.

docs/upgrading-bentoml-and-uvicorn.md says what to do when BentoML changes them.
"""

from _bentoml_sdk import Service
from bentoml._internal.utils.analytics.usage_stats import do_not_track

__all__ = ["Service", "forget_tracking_choice"]


def forget_tracking_choice() -> None:
    """Have BentoML read `BENTOML_DO_NOT_TRACK` again; it caches the first answer."""
    do_not_track.cache_clear()
