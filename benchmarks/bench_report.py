"""Compare a report of a million leads with its limits: 2 minutes, 4 GB, a page of 3 MB.

    make bench-report     (or: python benchmarks/bench_report.py [--leads 1000000] [--runs 3])

The benchmark simulates a CRM with five activities for each lead, and trains a champion on another
simulated CRM with a twentieth of the leads, so that every page has content. Then it runs
`leadscore report` as a user would, each time in its own process. It prints the medians of wall
time, CPU time and peak memory of the whole process as ratios to the limits. On a busy machine, CPU
time is more reliable than wall time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMITS = {"wall_s": 120, "peak_gb": 4.0, "page_mb": 3.0}
WORDS = {"wall_s": "wall time, s", "peak_gb": "peak memory, GB", "page_mb": "index.html, MB"}
ACTIVITIES_PER_LEAD = 5
LEARNED_FROM = 20  # a twentieth of the leads
LEADSCORE = [sys.executable, "-c", "from leadscore import main; main()"]
NEED_A_CHAMPION = ("features", "score", "capacity")


def run(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a command to its end; return its time and peak memory."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*LEADSCORE, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"leadscore {' '.join(command)} failed:\n{output}")
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_gb": used.ru_maxrss * 1024 / 1e9,
    }


def simulate(folder: Path, leads: int, seed: int, environment: dict[str, str]) -> Path:
    number = ["--leads", str(leads), "--activities-per-lead", str(ACTIVITIES_PER_LEAD)]
    run(["simulate", str(folder), *number, "--seed", str(seed)], environment)
    return folder


def rows_of(table: Path) -> int:
    with table.open("rb") as lines:
        return sum(1 for _ in lines) - 1


def check(report: dict[str, Any], leads: int) -> None:
    """Check that the measured report is complete."""
    assert report["about"]["leads"] == leads
    assert report["about"]["model"] is not None
    pages = {page["slug"]: page for page in report["pages"]}
    for slug in NEED_A_CHAMPION:
        assert any(section["figures"] for section in pages[slug]["sections"]), slug


def measure(folder: Path, leads: int, runs: int) -> None:
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "BENTOML_HOME": str(folder / "bentoml"),
    }
    learned_from = simulate(folder / "learned_from", leads // LEARNED_FROM, 1, environment)
    trained = run(["train", "--project", str(learned_from)], environment)
    crm = simulate(folder / "crm", leads, 0, environment)
    activities = rows_of(crm / "activities.csv")
    print(
        f"{leads:,} leads, {activities:,} activities; champion of {leads // LEARNED_FROM:,} leads "
        f"({trained['cpu_s']:.0f} CPU s to train)",
        flush=True,
    )
    measurements = []
    for i in range(runs):
        written = folder / f"report-{i}"
        measurements.append(
            run(["report", "--project", str(crm), "--out", str(written)], environment)
        )
        check(json.loads((written / "report.json").read_bytes()), leads)
        measurements[-1]["page_mb"] = (written / "index.html").stat().st_size / 1e6
    print("| | median | limit | ratio |\n|---|---|---|---|")
    for name, limit in LIMITS.items():
        median = statistics.median(measured[name] for measured in measurements)
        print(f"| {WORDS[name]} | {median:.2f} | {limit:g} | {median / limit:.2f} |")
    cpu = statistics.median(measured["cpu_s"] for measured in measurements)
    print(f"| CPU time, s | {cpu:.2f} | | |")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--leads", type=int, default=1_000_000)
    arguments.add_argument("--runs", type=int, default=3)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.leads, options.runs)


if __name__ == "__main__":
    main()
