"""Compare activity features with DuckDB: the same counts and recency, the same cores, one run.

    make bench            (or: python benchmarks/bench_features.py [--rows 5000000])

Each method runs three times, in its own process. The benchmark prints the median time and the
peak memory of the process as ratios to DuckDB. Then it times one lead, and draws how the cost
grows from 100,000 to 10 million activities.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from crm.times import DAY
from features.activity import WINDOWS_DAYS, ActivityFeatures, ActivityLog

TYPES = tuple("abcdefghij")
CHANNELS = tuple("wxyz")
AS_OF = 600 * DAY
RUNS = 3
PICTURE = Path(__file__).parent / "features.svg"


def make_activities(rows: int) -> ActivityLog:
    """Make activities of rows / 5 leads, in the order of an `ActivityLog`."""
    generator = np.random.default_rng(0)
    lead = generator.integers(0, rows // 5, rows)
    at = generator.integers(0, 700 * DAY, rows)
    order = np.lexsort((at, lead))
    return ActivityLog(
        lead[order],
        at[order],
        generator.integers(0, len(TYPES), rows),
        generator.integers(0, len(CHANNELS), rows),
        generator.integers(-1, 80, rows),
    )


def leadscore(log: ActivityLog, n_leads: int) -> tuple[float, int]:
    features = ActivityFeatures(TYPES, CHANNELS)
    start = time.perf_counter()
    values = features.compute(
        log, np.arange(n_leads), np.full(n_leads, AS_OF), np.zeros(n_leads, dtype=np.int64)
    )
    return time.perf_counter() - start, int(values[:, 0].sum())


def duckdb(log: ActivityLog, n_leads: int) -> tuple[float, int]:
    import duckdb

    table = pd.DataFrame(
        {
            "lead": log.lead,
            "time": log.at,
            "type": log.type,
            "channel": log.channel,
            "content": log.content,
        }
    )
    columns = []
    for activity_type in (None, *range(len(TYPES))):
        condition = "" if activity_type is None else f" AND type = {activity_type}"
        columns.append(f"count(*) FILTER (WHERE true{condition})")
        columns += [
            f"count(*) FILTER (WHERE time > {AS_OF - days * DAY}{condition})"
            for days in WINDOWS_DAYS
        ]
        columns += [
            f"max(time) FILTER (WHERE true{condition})",
            f"min(time) FILTER (WHERE true{condition})",
        ]
    columns += [
        "count(DISTINCT content) FILTER (WHERE content >= 0)",
        f"count(DISTINCT time // {DAY})",
    ]
    columns += [f"count(*) FILTER (WHERE channel = {i}) / count(*)" for i in range(len(CHANNELS))]
    listed = ", ".join(f"{column} AS f{i}" for i, column in enumerate(columns))
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.register("activities", table)
    start = time.perf_counter()
    result = connection.execute(
        f"SELECT lead, {listed} FROM activities WHERE time <= {AS_OF} GROUP BY lead"
    ).fetchnumpy()
    return time.perf_counter() - start, int(result["f0"].sum())


METHODS = {"leadscore": leadscore, "DuckDB": duckdb}


def run_method(method: str, rows: int) -> dict[str, float]:
    """Run one method in its own process; return seconds, checksum and peak memory."""
    command = [sys.executable, __file__, "--method", method, "--rows", str(rows)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_measurement(method: str, rows: int) -> None:
    log = make_activities(rows)
    seconds, checksum = METHODS[method](log, rows // 5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "checksum": checksum, "peak_gb": peak / 1e9}))


def time_one_lead() -> float:
    """Measure the milliseconds for one lead with 50 activities, from dicts to the row."""
    features = ActivityFeatures(TYPES, CHANNELS)
    events = [
        {"type": TYPES[i % 10], "occurred_at": i * DAY, "content": f"c{i % 7}", "channel": "w"}
        for i in range(50)
    ]
    lead, as_of, created = np.array([0]), np.array([AS_OF]), np.array([0])
    times = []
    for _ in range(500):
        start = time.perf_counter()
        features.compute(features.log_of_cells([events]), lead, as_of, created)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--method", choices=METHODS)
    options = arguments.parse_args()
    if options.method:
        print_measurement(options.method, options.rows)
        return
    n_features = len(ActivityFeatures(TYPES, CHANNELS).features)
    print(f"{n_features} features of {options.rows // 5:,} leads from {options.rows:,} activities")
    runs = {method: [run_method(method, options.rows) for _ in range(RUNS)] for method in METHODS}
    assert len({run["checksum"] for method_runs in runs.values() for run in method_runs}) == 1
    median = {
        method: statistics.median(run["seconds"] for run in method_runs)
        for method, method_runs in runs.items()
    }
    print("| method | seconds | ratio to DuckDB | peak GB, input included |\n|---|---|---|---|")
    for method, method_runs in runs.items():
        peak = max(run["peak_gb"] for run in method_runs)
        ratio = median[method] / median["DuckDB"]
        print(f"| {method} | {median[method]:.2f} | {ratio:.2f} | {peak:.2f} |")
    print(f"\none lead with 50 activities: {time_one_lead():.2f} ms (limit 1 ms)")
    growth = []
    for rows in (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000):
        seconds = statistics.median(run_method("leadscore", rows)["seconds"] for _ in range(RUNS))
        growth.append({"activities": rows, "seconds": seconds})
        print(f"{rows:>10,} activities: {seconds:.2f} s, {1e6 * seconds / rows:.2f} µs each")
    draw(growth)


def draw(growth: list[dict[str, float]]) -> None:
    import altair as alt

    base = alt.Chart(pd.DataFrame(growth))
    first, last = growth[0], growth[-1]
    power = np.log(last["seconds"] / first["seconds"]) / np.log(
        last["activities"] / first["activities"]
    )
    chart = base.mark_line(point=True).encode(
        x=alt.X("activities", scale=alt.Scale(type="log"), title="activities"),
        y=alt.Y("seconds", scale=alt.Scale(type="log"), title="seconds"),
    )
    chart.properties(title=f"Cost grows as activities to the power of {power:.2f}").save(PICTURE)
    print(f"power of growth: {power:.2f} (1 is linear); picture: {PICTURE.name}")


if __name__ == "__main__":
    main()
