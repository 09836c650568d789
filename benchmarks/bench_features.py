"""Activity features against DuckDB: the same counts and recency, the same cores, one run.

    make bench            (or: python benchmarks/bench_features.py [--rows 5000000])

Each way runs in a process of its own, three times; the median time and the peak memory of
the process are told, as ratios to DuckDB. Then one lead alone, and the growth of the cost
from 100,000 to 10 million activities, with a picture.
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


def made_up(rows: int) -> ActivityLog:
    """Activities of rows / 5 leads, sorted as `log_of_table` leaves them."""
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


def ours(log: ActivityLog, n_leads: int) -> tuple[float, int]:
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
    for kind in (None, *range(len(TYPES))):
        of_kind = "" if kind is None else f" AND type = {kind}"
        columns.append(f"count(*) FILTER (WHERE true{of_kind})")
        columns += [
            f"count(*) FILTER (WHERE time > {AS_OF - days * DAY}{of_kind})" for days in WINDOWS_DAYS
        ]
        columns += [
            f"max(time) FILTER (WHERE true{of_kind})",
            f"min(time) FILTER (WHERE true{of_kind})",
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
    found = connection.execute(
        f"SELECT lead, {listed} FROM activities WHERE time <= {AS_OF} GROUP BY lead"
    ).fetchnumpy()
    return time.perf_counter() - start, int(found["f0"].sum())


WAYS = {"leadscore": ours, "DuckDB": duckdb}


def measured(way: str, rows: int) -> dict[str, float]:
    """Run one way in a process of its own; seconds, checksum, and memory beyond the input."""
    command = [sys.executable, __file__, "--way", way, "--rows", str(rows)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def one_way(way: str, rows: int) -> None:
    log = made_up(rows)
    seconds, checksum = WAYS[way](log, rows // 5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "checksum": checksum, "peak_gb": peak / 1e9}))


def one_lead() -> float:
    """Milliseconds for one lead with 50 activities, from a caller's dicts to the row."""
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
    arguments.add_argument("--way", choices=WAYS)
    given = arguments.parse_args()
    if given.way:
        one_way(given.way, given.rows)
        return
    n_features = len(ActivityFeatures(TYPES, CHANNELS).features)
    print(f"{n_features} features of {given.rows // 5:,} leads from {given.rows:,} activities")
    runs = {way: [measured(way, given.rows) for _ in range(RUNS)] for way in WAYS}
    assert len({run["checksum"] for found in runs.values() for run in found}) == 1
    median = {w: statistics.median(run["seconds"] for run in found) for w, found in runs.items()}
    print("| way | seconds | ratio to DuckDB | peak GB, input included |\n|---|---|---|---|")
    for way, found in runs.items():
        peak = max(run["peak_gb"] for run in found)
        print(f"| {way} | {median[way]:.2f} | {median[way] / median['DuckDB']:.2f} | {peak:.2f} |")
    print(f"\none lead with 50 activities: {one_lead():.2f} ms (limit 1 ms)")
    growth = []
    for rows in (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000):
        seconds = statistics.median(measured("leadscore", rows)["seconds"] for _ in range(RUNS))
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
