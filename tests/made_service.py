"""A service with a small model, and calls to it, for the tests of its answers."""

import asyncio
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import numpy as np

from features.attributes.attribute import LeftOut
from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.pipeline import FeaturePipeline
from models.calibration import Calibration
from models.estimator.blend import Blend
from models.fitting.trees import fit_trees
from models.scale import Scale
from models.scorer import LeadScorer
from serving.app import ScoringApp
from serving.errors import CODES
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_cards import made_card

Post = Callable[..., httpx.Response]
LOCAL = "http://127.0.0.1"
ONE_LEAD = {"leads": [{"lead_id": "L1", "attributes": {"visits": 3, "source": "Web"}}]}


@cache
def small_scorer() -> LeadScorer:
    """Return a scorer with the attributes `visits` and `source`; it leaves out `tags`."""
    random = np.random.default_rng(0)
    features = np.column_stack(
        [random.integers(0, 9, 400).astype(float), random.integers(0, 4, 400).astype(float)]
    )
    label = (random.random(400) < features[:, 0] / 10).astype(np.int8)
    trees = fit_trees(features, label, np.ones(400), np.arange(400), [1], seed=0).trees
    card = made_card("acme", ["visits", "source"])
    pipeline = FeaturePipeline(
        (
            NumberAttribute("visits", frozenset({"select"}), 4.0),
            CategoryAttribute("source", frozenset({"select"}), ("Web", "Fair")),
        ),
        (LeftOut("tags", "it is known later than the moment of scoring"),),
    )
    roles = {"lead_id": "Prospect ID", "outcome": "Converted"}
    return LeadScorer(
        pipeline, Blend(0.0, None, trees), Calibration(1.0, 0.0), Scale(-1.0), roles, card
    )


def small_service() -> ScoringApp:
    """Return the application with version 7 of the model and small limits."""
    app = ScoringApp(Settings(max_body_bytes=100_000, max_leads=50, max_string_characters=200))
    app.model = ServedModel(small_scorer(), "7", "0123456789abcdef")
    return app


def poster(service: ScoringApp) -> Post:
    """Return a function that sends one request."""

    def send(path: str, body: Any = None, method: str = "POST", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=service)
            async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(call())

    return send


async def send_body(service: ScoringApp, content: Any) -> httpx.Response:
    """Send a body to `/score`; it may be an iterator of its parts."""
    transport = httpx.ASGITransport(app=service)
    async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
        return await client.post("/score", content=content)


def only_score(response: httpx.Response) -> dict[str, Any]:
    """Return the score of an answer about one lead."""
    (score,) = response.json()["scores"]
    return dict(score)


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the error of an answer, after checking that it has the common format."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "field", "request_id"}
    code = CODES[response.status_code]
    assert body["error"]["code"] == ("bad_json" if response.status_code == 400 else code)
    assert body["error"]["message"]
    assert response.headers["x-request-id"] == body["error"]["request_id"]
    return dict(body["error"])
