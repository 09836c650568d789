"""Compare answers without reasons, with and without the points that are stored behind them.

    python benchmarks/bench_points.py [--seconds 20]

One process scores one lead after the other, with a ledger on SQLite. Blocks of half a second with
and without points follow each other in random order, so that other work on the machine affects
both alike. The first lines compare points before the answer, which decision 0037 rejects.
"""

import argparse
import asyncio
import datetime
import json
import random
import statistics
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
from serving_model import make_models

from crm.arrays import Floats
from crm.ledger.ledger import Ledger
from models.artifact import load_artifact
from models.scorer import LeadCells, LeadScorer
from serving.calls import Calls
from serving.ledger.later_points import LaterPoints
from serving.served_model import ServedModel
from serving.settings import Settings

BLOCK_SECONDS = 0.5
PAUSE_SECONDS = 0.5  # the writer finishes, so that it is not busy in the next block
GAPS = (0.0, 0.01)  # seconds between requests
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def ratio_text(ratios: list[float]) -> str:
    """Return the median of ratios with an interval of 95 % from drawing them again."""
    draws = np.random.default_rng(0).choice(ratios, (2_000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return f"ratio {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"


def compare_before_answers(scorer: LeadScorer, leads: list[LeadCells], seconds: float) -> None:
    """Print what points cost if they are computed with the score."""

    plain = LeadScorer.log_odds_of

    def with_points(self: LeadScorer, features: Floats) -> Floats:
        log_odds, contributions = self.estimator.explained(features)
        self.reasoner.parts_of(contributions).of_signals.tolist()
        return self.calibration.log_odds_of(log_odds)

    for size in (1, 16):
        batches = cycle([leads[i : i + size] for i in range(0, len(leads) - size, size)])
        ratios = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            batch = next(batches)
            taken = {}
            scorer.score_leads(batch, 0)
            for way in random.sample([plain, with_points], 2):
                LeadScorer.log_odds_of = way  # type: ignore[method-assign]
                began = time.perf_counter()
                scorer.score_leads(batch, 0)
                taken[way] = time.perf_counter() - began
            ratios.append(taken[with_points] / taken[plain])
        LeadScorer.log_odds_of = plain  # type: ignore[method-assign]
        print(f"before the answer, {size} at once: {ratio_text(ratios)}, {len(ratios):,} pairs")


async def block(calls: Calls, model: ServedModel, bodies: "cycle[bytes]", gap: float) -> float:
    """Score leads for a while; return the median time of an answer."""
    taken = []
    end = time.perf_counter() + BLOCK_SECONDS
    while (began := time.perf_counter()) < end:
        await calls.score(model, next(bodies), NOW, "r")
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(max(0.0, gap - taken[-1]) if gap else 0.0)
    return statistics.median(taken)


async def compare_behind_answers(
    model: ServedModel, ledger: Ledger, bodies: "cycle[bytes]", seconds: float
) -> None:
    """Print what points cost the answers if they are computed behind them."""
    compute = LaterPoints.compute
    ways = {"with": compute, "without": lambda *_: None}
    for gap in GAPS:
        calls = Calls(Settings(), ledger)
        await block(calls, model, bodies, gap)
        pairs: list[dict[str, float]] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pair = {}
            for name in random.sample(list(ways), 2):
                await asyncio.sleep(PAUSE_SECONDS)
                LaterPoints.compute = ways[name]  # type: ignore[assignment, method-assign]
                pair[name] = await block(calls, model, bodies, gap)
            pairs.append(pair)
        LaterPoints.compute = compute  # type: ignore[method-assign]
        calls.close()
        medians = {name: 1e3 * statistics.median(pair[name] for pair in pairs) for name in ways}
        rate = "one after the other" if not gap else f"{1 / gap:.0f} a second"
        print(
            f"behind the answer, {rate}: {medians['without']:.3f} ms without, "
            f"{medians['with']:.3f} with, "
            f"{ratio_text([pair['with'] / pair['without'] for pair in pairs])}, {len(pairs)} pairs"
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=20.0, help="of each comparison")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        leads = make_models(folder)
        scorer = load_artifact(folder / "artifact").scorer
        compare_before_answers(scorer, [LeadCells(lead) for lead in leads], options.seconds / 4)
        bodies = cycle(
            json.dumps({"leads": [{"lead_id": f"L{i}", "attributes": lead}], "reasons": 0}).encode()
            for i, lead in enumerate(leads)
        )
        with Ledger(f"sqlite:///{folder}/ledger.db") as ledger:
            model = ServedModel(scorer, "1", "0123456789abcdef")
            asyncio.run(compare_behind_answers(model, ledger, bodies, options.seconds))


if __name__ == "__main__":
    main()
