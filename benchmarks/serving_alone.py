"""Print how fast the scorer is without a server, for bench_serving.py.

    PYTHONPATH=VERSION python benchmarks/serving_alone.py FOLDER SECONDS

It runs with the modules of the version that it measures. FOLDER has `leads.json` and the model.
"""

import json
import sys
import time
from pathlib import Path

from serving_load import BATCH

from models.artifact import load_artifact
from models.scorer import LeadCells


def measure(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Measure the scorer in this process, for each row of the table."""
    scorer = load_artifact(folder / "artifact").scorer
    cells = [LeadCells(lead) for lead in json.loads((folder / "leads.json").read_text())]
    rates = {}
    for n, name in ((1, "one lead"), (BATCH, f"{BATCH} leads")):
        for n_reasons, ending in ((3, ", three reasons"), (0, "")):
            calls, end = 0, time.perf_counter() + seconds
            begun, spent = time.perf_counter(), time.process_time()
            while time.perf_counter() < end:
                start = calls * n % (len(cells) - n + 1)
                scorer.score_leads(cells[start : start + n], time.time_ns() // 1_000, n_reasons)
                calls += 1
            rates[name + ending] = {
                "per second": calls / (time.perf_counter() - begun),
                "cpu ms": 1_000 * (time.process_time() - spent) / calls,
            }
    return rates


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), float(sys.argv[2]))))
