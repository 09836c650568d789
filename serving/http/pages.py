"""The pages about the service: health, readiness and metrics."""

from collections.abc import Iterable

from crm.version import VERSION
from serving.http.prometheus import Series, exposition
from serving.http.response import Response, json_response
from serving.served_model import ServedModel

HEALTH = frozenset({"/livez", "/healthz", "/readyz"})
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
