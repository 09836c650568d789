"""Compare scoring a file of leads with LightGBM's own prediction on the ready matrix.

    make bench-batch
    python benchmarks/bench_batch.py [--leads 1000000] [--activities-per-lead 5] [--threads 1]
                                     [--train-leads 20000] [--model FOLDER] [--reasons 3]

The benchmark simulates a CRM as Parquet files, trains a model on a smaller one, and scores the
leads from Parquet to Parquet as `leadscore score` does, with their activities, stages and outcomes.
The same model's trees predict the same leads with `lightgbm.Booster.predict` on the finished matrix
of features in memory. Both run in processes of their own, with the same number of threads. The
benchmark prints the rows a second by the clock and by the CPU, the peak memory, and the ratios to
LightGBM alone. On a machine that does other work too, only the ratio of CPU times is comparable.
"""

import argparse
import datetime
import json
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet
from own_process import run_in_own_process, used, used_since

from crm.project import Project, load_project
from crm.reading_events import read_closings, read_events
from crm.reading_notes import ReadingNotes
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.sources.source import iter_table
from models.artifact import LoadedModel, load_artifact, save_artifact
from models.batch import CHUNK_ROWS, score_file

GOAL = 0.5  # of LightGBM's own rate
MAX_GB = 1.5


def train_model(folder: Path, n_leads: int, target: Path) -> None:
    """Train a model on a simulated CRM, and save it."""
    from crm.reading import read_records
    from training.train import train

    simulate(Simulation(leads=n_leads), folder, file_format="parquet")
    project = load_project(folder)
    trained = train(project, read_records(project), now=datetime.datetime.now(datetime.UTC))
    save_artifact(trained.scorer, trained.golden_leads, target, trained.golden_as_of)


def newest(folder: Path) -> datetime.datetime:
    """Return the newest time of creation, which is the moment of scoring."""
    column = pyarrow.parquet.read_table(folder / "leads.parquet", columns=["created_at"])[0]
    return max(column.to_pylist()).astimezone(datetime.UTC)


def score(folder: Path, loaded: LoadedModel, n_reasons: int, target: Path) -> int:
    """Score the leads as `leadscore score` does; return their number."""
    project = load_project(folder)
    notes = ReadingNotes.of_project(project)
    table = msgspec.structs.replace(project.leads, source=str(folder / "leads.parquet"))
    summary = score_file(
        loaded.scorer,
        table,
        target,
        as_of=newest(folder),
        n_reasons=n_reasons,
        events=loaded.scorer.pipeline.event_logs(read_events(project, notes)),
        closings=read_closings(project, notes),
    )
    return summary.rows


def write_matrix(folder: Path, loaded: LoadedModel, target: Path) -> None:
    """Write the features of the leads, in the order of the file."""
    project: Project = load_project(folder)
    scorer = loaded.scorer
    events = scorer.pipeline.event_logs(read_events(project, ReadingNotes.of_project(project)))
    n_rows = pyarrow.parquet.read_metadata(folder / "leads.parquet").num_rows
    as_of = np.int64(newest(folder).timestamp() * 1e6)
    width = len(scorer.pipeline.features)
    matrix = np.lib.format.open_memmap(target, "w+", np.float64, (n_rows, width))
    start = 0
    for leads in iter_table(project.leads, folder, CHUNK_ROWS):
        history = events.history_of(leads["lead_id"], scorer.created_at(leads))
        matrix[start : start + len(leads)] = scorer.pipeline.matrix(leads, history, as_of)
        start += len(leads)
    matrix.flush()


def predict(matrix: Path, loaded: LoadedModel, threads: int) -> None:
    """Predict the ready matrix with LightGBM, and print the measurement."""
    import lightgbm

    booster = lightgbm.Booster(model_str=loaded.scorer.estimator.trees.text)
    features = np.load(matrix)
    start = used()
    n_rows = len(booster.predict(features, raw_score=True, num_threads=threads))
    print(json.dumps({"rows": n_rows} | used_since(start)))


def run_method(method: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one method in its own process; return rows, seconds, CPU seconds and peak memory."""
    arguments = ["--method", method, "--folder", str(options.folder)]
    arguments += ["--model", str(options.model), "--threads", str(options.threads)]
    arguments += ["--reasons", str(options.reasons)]
    return run_in_own_process(__file__, arguments, options.threads)


def measure(options: argparse.Namespace) -> None:
    """Run one method in this process."""
    folder, loaded = options.folder, load_artifact(options.model)
    if options.method == "matrix":
        write_matrix(folder, loaded, folder / "matrix.npy")
    elif options.method == "LightGBM alone":
        predict(folder / "matrix.npy", loaded, options.threads)
    else:
        n_reasons = options.reasons if options.method == "with reasons" else 0
        start = used()
        rows = score(folder, loaded, n_reasons, folder / "scores.parquet")
        print(json.dumps({"rows": rows} | used_since(start)))


def print_row(method: str, run: dict[str, float], alone: dict[str, float]) -> None:
    """Print the rates of one method, and their ratios to those of LightGBM alone."""
    rates = [run["rows"] / run[key] for key in ("seconds", "cpu_seconds")]
    ratios = [alone[key] / run[key] for key in ("seconds", "cpu_seconds")]
    cells = [f"{rate:,.0f} | {ratio:.2f}" for rate, ratio in zip(rates, ratios, strict=True)]
    print(f"| {method} | {' | '.join(cells)} | {run['peak_gb']:.2f} |", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--leads", type=int, default=1_000_000)
    arguments.add_argument("--activities-per-lead", type=float, default=5.0)
    arguments.add_argument("--train-leads", type=int, default=20_000)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--reasons", type=int, default=3)
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--method")
    arguments.add_argument("--folder", type=Path)
    options = arguments.parse_args()
    if options.method:
        measure(options)
        return
    with tempfile.TemporaryDirectory() as work:
        if options.model is None:
            options.model = Path(work) / "model"
            train_model(Path(work) / "learned", options.train_leads, options.model)
        options.folder = Path(work) / "scored"
        simulated = Simulation(options.leads, activities_per_lead=options.activities_per_lead)
        simulate(simulated, options.folder, file_format="parquet")
        run_method("matrix", options)
        methods = ["LightGBM alone", "without reasons"]
        methods += ["with reasons"] if options.reasons else []
        print(f"{options.leads:,} leads, {options.threads} thread(s) of LightGBM")
        print("| | rows/s | ratio | rows per CPU second | ratio | peak GB |")
        print("|---|---|---|---|---|---|")
        runs: dict[str, dict[str, float]] = {}
        for method in methods:
            runs[method] = run_method(method, options)
            print_row(method, runs[method], runs["LightGBM alone"])
    alone = runs["LightGBM alone"]
    reached = alone["cpu_seconds"] / runs["without reasons"]["cpu_seconds"]
    peak = runs["without reasons"]["peak_gb"]
    print(f"Goals: at least {GOAL} of LightGBM's rate by the CPU, and at most {MAX_GB} GB.")
    print(f"Without reasons: {reached:.2f} of LightGBM's rate, and {peak:.2f} GB.")
    sys.exit(reached < GOAL or peak > MAX_GB)


if __name__ == "__main__":
    main()
