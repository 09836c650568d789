"""The scoring service in BentoML's clothes; what it answers is in `serving.app`.

A Bento is pinned to the model that was found when it was built: the one named by
`bentoml build --arg model=TAG`, or the newest of the store. Outside a Bento the newest is
served. The supervisor loads the model once before the
service binds its port, so that a model which does not verify ends the start with one
message.
"""

import gc
import os
from pathlib import Path
from typing import Any

import bentoml
import pydantic
from _bentoml_sdk import Service
from bentoml.exceptions import BentoMLException
from bentoml.models import BentoModel

from crm.errors import LeadScoringError
from models.artifact import load_artifact
from serving.app import OneErrorShape, ScoringApp
from serving.calls import ServedModel
from serving.settings import Settings, read_settings
from serving.store import STORE_NAME

TIMEOUT_SECONDS = 5  # BentoML holds every request in memory this long: docs/decisions/0003


class BuildArguments(pydantic.BaseModel):
    """What `bentoml build --arg` may set."""

    model: str = f"{STORE_NAME}:latest"


class ShapedService(Service[Any]):  # type: ignore[misc]
    """A BentoML service whose outermost layer is ours."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Wrap everything that BentoML answers."""
        return OneErrorShape(super().to_asgi(is_main=is_main))


arguments = bentoml.use_arguments(BuildArguments)
scoring = ScoringApp(Settings())


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Take all paths; BentoML would let a Starlette application have only its own."""
    await scoring(scope, receive, send)


@bentoml.service(
    name=STORE_NAME,
    service_class=ShapedService,
    workers=1,
    traffic={"timeout": TIMEOUT_SECONDS, "max_concurrency": 256},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(application, path="/")
class Leadscore:
    """Scores leads by how likely they are to convert."""

    model = BentoModel(arguments.model)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def check() -> None:
        """Refuse to start, once and with one message, if the model does not verify."""
        try:
            read_settings(os.environ)
            load_artifact(Path(_pinned_model().path))
        except LeadScoringError as error:
            raise BentoMLException(f"leadscore refuses to start: {error}") from None

    def __init__(self) -> None:
        """Load the model in the worker."""
        model = _pinned_model()
        loaded = load_artifact(Path(model.path))
        facts = model.info.metadata
        served = ServedModel(loaded.scorer, str(facts["version"]), loaded.digest)
        scoring.start(read_settings(os.environ), served)
        gc.collect()
        gc.freeze()

    def __is_ready__(self) -> bool:
        """Tell BentoML's /readyz."""
        return scoring.model is not None


def _pinned_model() -> bentoml.Model:
    """Find the model that this Bento was built with: BentoML itself would take the newest."""
    service: Any = Leadscore
    if service.bento is None:
        return service.inner.model.resolve()
    tags = [model.tag for model in service.bento.info.all_models]
    return bentoml.models.get(next(tag for tag in tags if tag.name == STORE_NAME))
