"""The pages that are read with GET: health, readiness, metrics and the contract."""

from collections.abc import Iterable

from crm.version import VERSION
from serving.contract.flat_fields import flat_fields
from serving.contract.openapi import contracts
from serving.http.prometheus import Series, exposition
from serving.http.response import JSON, Response, json_response
from serving.served_model import ServedModel
from serving.settings import Settings

HEALTH = frozenset({"/livez", "/healthz", "/readyz"})
OPENAPI, SWAGGER = "/contract/openapi-3.0.json", "/contract/swagger-2.0.json"
METRICS = "/metrics"


def liveness() -> Response:
    """Answer that the worker is alive."""
    return json_response({"alive": True})


def readiness(
    model: ServedModel | None, is_draining: bool, faults: Iterable[str | None]
) -> Response:
    """Answer whether callers may be sent here, with the model that answers and what is wrong."""
    is_ready = model is not None and not is_draining
    content = {
        "ready": is_ready,
        "draining": is_draining,
        "leadscore": VERSION,
        "model": model.identity if model else None,
        "fault": " ".join(filter(None, faults)) or None,
    }
    return json_response(content, status=200 if is_ready else 503)


def metrics_page(workers: Iterable[Series]) -> Response:
    """Answer the counts of all workers, added up."""
    return Response(200, b"text/plain; version=0.0.4; charset=utf-8", exposition(workers).encode())


class ContractPages:
    """The contract in both forms, with the fields of the model that answers.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._documents: dict[str, bytes] = {}
        self._model: ServedModel | None = None

    def page(self, path: str, model: ServedModel | None) -> Response:
        """Answer one of the two documents; both are built once for each model."""
        if not self._documents or self._model is not model:
            self._model = model
            openapi, swagger = contracts(self._settings, flat_fields(model) if model else {})
            self._documents = {OPENAPI: openapi, SWAGGER: swagger}
        return Response(200, JSON, self._documents[path])
