"""Compare reading a CSV file of leads with pyarrow, and time `leadscore init` on the file.

    python benchmarks/bench_reading.py [--rows 200000] [--runs 3]

pyarrow reads the file with `pyarrow.csv.read_csv` and converts it with `to_pandas`, both with their
default options. leadscore reads it with `crm.sources.source.read_table`, which also finds the
encoding, the delimiter and the header, and checks every row. Each method runs three times, in its
own process, on the same file and cores. The benchmark prints the median times and the peak memory
of the process, and their ratios to pyarrow. The time of `leadscore init` is that of the whole
command, with its start; it is compared with its limit.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv

LIMIT = 2.0  # times the time of pyarrow
INIT_LIMIT = 10.0  # seconds
FIGURES = {"seconds": "s", "cpu_seconds": "s of CPU", "peak_gb": "GB"}


def write_leads(rows: int, path: Path) -> None:
    """Write leads: an id, a time, an e-mail, 14 categories, 12 numbers and a status."""
    generator = np.random.default_rng(0)
    minutes = pd.to_timedelta(generator.integers(0, 1_000_000, rows), unit="m")
    columns = {
        "Lead ID": [f"L{i:07d}" for i in range(rows)],
        "Created At": (pd.Timestamp("2024-01-01") + minutes).strftime("%Y-%m-%dT%H:%M:00Z"),
        "E-mail": [f"p{i}@example{i % 1_000}.com" for i in range(rows)],
    }
    words = np.array(["Web", "Trade show", "Webinar", "Referral", ""])
    columns |= {f"Category {i}": generator.choice(words, rows) for i in range(14)}
    columns |= {f"Number {i}": generator.random(rows).round(4) * 1e5 for i in range(12)}
    columns["Status"] = generator.choice(["Won", "Lost", ""], rows)
    pyarrow.csv.write_csv(
        pyarrow.table(columns), path, pyarrow.csv.WriteOptions(quoting_style="needed")
    )


def read_with_leadscore(path: Path) -> int:
    from crm.project import TableKeys
    from crm.sources.source import read_table

    return len(read_table(TableKeys(source=path.name), path.parent))


def read_with_pyarrow(path: Path) -> int:
    return len(pyarrow.csv.read_csv(path).to_pandas())


METHODS = {"leadscore": read_with_leadscore, "pyarrow": read_with_pyarrow}


def run_method(method: str, path: Path) -> dict[str, float]:
    """Run one method in its own process; return seconds, rows and peak memory."""
    command = [sys.executable, __file__, "--method", method, "--file", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_measurement(method: str, path: Path) -> None:
    METHODS[method](write_sample(path))  # imports
    start, cpu_start = time.perf_counter(), time.process_time()
    rows = METHODS[method](path)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_gb": peak / 1e9}
    print(json.dumps({"rows": rows, **measured}))


def time_init(path: Path) -> float:
    """Write the draft of a project for a file with `leadscore init`; return the seconds."""
    command = [sys.executable, "-m", "leadscore", "init", str(path)]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        return time.perf_counter() - start


def write_sample(path: Path) -> Path:
    """Write the first 1,000 lines of a file to another file."""
    sample = path.with_name("sample.csv")
    with path.open("rb") as file:
        sample.write_bytes(b"".join(next(file) for _ in range(1_000)))
    return sample


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--method", choices=METHODS)
    arguments.add_argument("--file", type=Path)
    options = arguments.parse_args()
    if options.method:
        print_measurement(options.method, options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        write_leads(options.rows, path)
        size = path.stat().st_size / 1e6
        print(f"{options.rows:,} leads of 30 columns, {size:,.0f} MB of CSV")
        runs = {method: [] for method in METHODS}
        for _ in range(options.runs):
            for method, results in runs.items():
                results.append(run_method(method, path))
        init = statistics.median(time_init(path) for _ in range(options.runs))
    assert {run["rows"] for results in runs.values() for run in results} == {options.rows}
    median = {
        method: {key: statistics.median(run[key] for run in results) for key in FIGURES}
        for method, results in runs.items()
    }
    for method, figures in median.items():
        print(f"{method:10}", *(f"{figures[key]:8.2f} {unit}" for key, unit in FIGURES.items()))
    ratio = {key: median["leadscore"][key] / median["pyarrow"][key] for key in FIGURES}
    print(f"{'ratio':10}", *(f"{ratio[key]:8.2f} {' ' * len(FIGURES[key])}" for key in FIGURES))
    print(f"The limit is {LIMIT:.1f} times the time.")
    print(f"{'init':10}{init:9.2f} s, {init / INIT_LIMIT:.2f} of the limit of {INIT_LIMIT:.0f} s")
    sys.exit(ratio["seconds"] > LIMIT or init > INIT_LIMIT)


if __name__ == "__main__":
    main()
