"""Compare the service with and without a shadow model, in pairs: what a shadow costs the answers.

    python benchmarks/bench_shadow.py [--seconds 40]

Both services run at once, each with one worker and a ledger on SQLite. Requests with one lead and
three reasons go to them in turn, in blocks of a second, so that other work on the machine affects
both alike. The shadow has as many trees as the model that answers.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_serving import BUILD, run_with
from serving_model import make_models

from models.artifact import load_artifact, save_artifact
from models.calibration import Calibration
from models.scorer import LeadCells
from serving.bento.process import free_port, running_service
from serving.bento.store import newest_bento, put_in_store, shadow_in_store

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
BLOCK_SECONDS = 1.0  # of requests to one service before those to the other
PAUSE_SECONDS = 1.0  # the shadow finishes its leads, so that it is not busy in the other's block


def prepare(folder: Path) -> tuple[Path, list[bytes]]:
    """Store a model and another one as its shadow; return the Bento and the requests."""
    leads = make_models(folder)
    tag = put_in_store(folder / "artifact", "bench", "1")
    run_with(ROOT, "-c", BUILD, str(ROOT), tag)
    scorer = load_artifact(folder / "artifact").scorer
    other = replace(scorer, calibration=Calibration(0.9, 0.1))
    save_artifact(other, [LeadCells(lead) for lead in leads[:24]], folder / "other")
    shadow_in_store(folder / "other", "bench", "2", "2")
    bodies = [
        json.dumps({"leads": [{"lead_id": f"L{i}", "attributes": lead}], "reasons": 3}).encode()
        for i, lead in enumerate(leads)
    ]
    return newest_bento("bench")[1], bodies


def block(
    connection: http.client.HTTPConnection, bodies: Iterator[bytes], gap: float, seconds: float
) -> list[float]:
    """Send requests for some seconds; return the milliseconds of each."""
    taken = []
    connection.close()  # the service may have ended it in the pause
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        connection.request("POST", "/score", next(bodies))
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        taken.append(1_000 * (time.perf_counter() - began))
        if gap:
            time.sleep(max(0.0, gap - taken[-1] / 1_000))
    return taken


def measure(urls: dict[str, str], bodies: Iterator[bytes], gap: float, seconds: float) -> None:
    """Print the ratios of pairs of blocks, the service with a shadow to the one without."""
    connections = {
        name: http.client.HTTPConnection(*url.removeprefix("http://").split(":"), timeout=60)
        for name, url in urls.items()
    }
    for connection in connections.values():
        block(connection, bodies, gap, 1.0)  # warm up
    pairs: list[dict[str, list[float]]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pair = {}
        for name in random.sample(list(connections), 2):
            time.sleep(PAUSE_SECONDS)
            pair[name] = block(connections[name], bodies, gap, BLOCK_SECONDS)
        pairs.append(pair)
    rate = "one after the other" if not gap else f"{1 / gap:.0f} a second"
    for figure, of_block in (
        ("lower quartile", lambda block: float(np.quantile(block, 0.25))),
        ("median", statistics.median),
        ("mean", statistics.fmean),
        ("p99", lambda block: float(np.quantile(block, 0.99))),
    ):
        without, with_shadow = (
            np.array([of_block(pair[name]) for pair in pairs]) for name in ("without", "with")
        )
        ratios = with_shadow / without
        draws = np.random.default_rng(0).choice(ratios, (2_000, len(ratios)))
        low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
        print(
            f"{rate}, {figure}: {np.median(without):.3f} ms without, {np.median(with_shadow):.3f} "
            f"with, ratio {np.median(ratios):.3f} ({low:.3f} to {high:.3f}), {len(pairs)} pairs"
        )
    metrics = http.client.HTTPConnection(*urls["with"].removeprefix("http://").split(":"))
    time.sleep(1)
    metrics.request("GET", "/metrics")
    text = metrics.getresponse().read().decode()
    counts: dict[str, Any] = dict(re.findall(r"(?m)^leadscore_(shadow_scores\S*) (\S+)$", text))
    print("counts since the start:", counts)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=40.0, help="of load for each rate")
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench_shadow.") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")
        bento, bodies = prepare(folder)
        urls = {}
        for service, shadow in (("without", {}), ("with", {"LEADSCORE_SHADOW": "2"})):
            settings = {
                "LEADSCORE_LEDGER_URL": f"sqlite:///{folder / service}.db",
                "LEADSCORE_REQUESTS_PER_SECOND": "100000",
                **shadow,
            }
            urls[service] = stack.enter_context(
                running_service(bento, HOST, free_port(HOST), settings, folder / f"{service}.log")
            )
        for gap in (0.01, 0.0):
            measure(urls, itertools.cycle(bodies), gap, options.seconds)


if __name__ == "__main__":
    main()
