"""Common ways to serve the same model, for bench_serving.py; uvicorn runs them.

    BENCH_FOLDER=… python -m uvicorn serving_peers:echo      (or: frame, scorer)

`echo` returns the request. `frame` is the common solution: a data frame of the request and
`predict_proba`. `scorer` is leadscore's scorer behind plain FastAPI.
"""

import os
import time
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["BENCH_FOLDER"])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def frame() -> Any:
    import joblib
    import pandas as pd
    from fastapi import FastAPI
    from pydantic import BaseModel

    saved = joblib.load(FOLDER / "frame.joblib")
    model, columns, categories = saved["model"], saved["columns"], saved["categories"]

    class Request(BaseModel):
        leads: list[dict[str, str | float | None]]

    app = FastAPI()

    @app.post("/score")
    def score(request: Request) -> dict[str, list[float]]:
        leads = pd.DataFrame(request.leads, columns=columns).astype(categories)
        return {"probabilities": model.predict_proba(leads)[:, 1].tolist()}

    return app


def scorer() -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    from models.artifact import load_artifact
    from models.scorer import LeadCells

    model = load_artifact(FOLDER / "artifact").scorer

    class Request(BaseModel):
        leads: list[dict[str, str | float | None]]
        reasons: int = 0

    app = FastAPI()

    @app.post("/score")
    async def score(request: Request) -> dict[str, list[dict[str, Any]]]:
        leads = [LeadCells(lead) for lead in request.leads]
        scores = model.score_leads(leads, time.time_ns() // 1_000, request.reasons)
        return {
            "scores": [
                {
                    "probability": score.probability,
                    "score": score.score,
                    "grade": score.grade,
                    "reasons": [str(reason) for reason in score.reasons],
                }
                for score in scores
            ]
        }

    return app
