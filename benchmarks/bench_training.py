"""Compare a training with one plain bag of LightGBM models on the same matrix.

    make bench-training
    python benchmarks/bench_training.py [--leads 1000000] [--ages 0 | --ages 0,30,60]
                                        [--activities-per-lead 5] [--threads 1]
                                        [--folder FOLDER]

The benchmark simulates a CRM as Parquet files, reads it, and trains a model in a process of its own
as `training.train.train` does. It prints the CPU time, the wall time and the peak memory of each
phase, and of each fit of the estimator. The peer fits LightGBM to the matrix that the final model
learned from, also in a process of its own: five folds, the same parameters, each booster stops
early on its held-out fold, and each fold has a data set of its own.

A training fits the estimator twice: once to be evaluated, and once to all leads. So the goal for
CPU time is for the final fit alone, from its matrix on, with the choice of its settings. On a
machine that does other work too, only CPU times are comparable. A named folder is kept, and its
tables are used again.
"""

import argparse
import datetime
import json
import sys
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from own_process import Used, run_in_own_process, used, used_since

from crm.project import load_project
from crm.reading import read_records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from features.fitting import N_FOLDS, folds, training_matrix
from models.fitting.blend import BlendClassifier
from models.fitting.trees import MAX_ROUNDS, PATIENCE, TREE_PARAMETERS
from training.fit import Chosen
from training.train import train

MOST_TIMES_PEER = 1.5  # CPU time of the final fit of the estimator
MAX_GB = 8.0
PEER = "LightGBM alone"
METHODS = ("training", PEER)


def measured_training(folder: Path, ages: list[float]) -> dict[str, Any]:
    """Train on the simulated CRM; return the measurements, and write the final matrix."""
    project = load_project(folder)
    learn = msgspec.structs.replace(project.learn, moments_days=ages)
    project = replace(project, learn=learn)
    begun: list[tuple[str, Used]] = [("read", used())]
    records = read_records(project)
    choices = measured_calls(Chosen, "on")
    fits = measured_calls(BlendClassifier, "fit")
    begun.append(("moments", used()))
    trained = train(
        project,
        records,
        now=datetime.datetime.now(datetime.UTC),
        on_phase=lambda phase: begun.append((phase, used())),
    )
    begun.append(("end", used()))
    phases = [(phase, used_since(start, end)) for (phase, start), (_, end) in pairwise(begun)]
    pipeline, moments = trained.scorer.pipeline, trained.moments
    matrix = training_matrix(pipeline, records, moments, project.learn.seed)
    fold_of = folds(moments.label, moments.lead, project.learn.seed, N_FOLDS)
    np.save(folder / "matrix.npy", matrix)
    np.savez(
        folder / "rows.npz", label=moments.label, fold_of=fold_of, categorical=pipeline.categorical
    )
    return {
        "rows": len(moments),
        "features": matrix.shape[1],
        "trees": trained.scorer.card.estimator["rounds"],
        "phases": phases,
        # That of the final model is the last one.
        "final": {key: choices[-1][key] + fits[-1][key] for key in ("seconds", "cpu_seconds")}
        | {"peak_gb": fits[-1]["peak_gb"]},
    }


def measured_calls(owner: type, name: str) -> list[dict[str, float]]:
    """Measure all later calls of a method; return the list to which they are added."""
    measured: list[dict[str, float]] = []
    method = getattr(owner, name)

    def call(*arguments: Any, **named: Any) -> Any:
        start = used()
        result = method(*arguments, **named)
        measured.append(used_since(start))
        return result

    setattr(owner, name, call)
    return measured


def measured_peer(folder: Path) -> dict[str, Any]:
    """Fit the peer to the final matrix; return the measurement."""
    import lightgbm

    features, rows = np.load(folder / "matrix.npy"), np.load(folder / "rows.npz")
    label, fold_of, categorical = rows["label"], rows["fold_of"], rows["categorical"].tolist()
    start, trees = used(), []
    for fold in range(N_FOLDS):
        held_out = fold_of == fold
        settings = TREE_PARAMETERS | {"seed": fold}
        training = lightgbm.Dataset(
            features[~held_out], label[~held_out], categorical_feature=categorical, params=settings
        )
        booster = lightgbm.train(
            settings,
            training,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[training.create_valid(features[held_out], label[held_out])],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        trees.append(booster.best_iteration)
    return used_since(start) | {"trees": trees}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--leads", type=int, default=1_000_000)
    arguments.add_argument("--ages", default="0")
    arguments.add_argument("--activities-per-lead", type=float, default=5.0)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--method", choices=METHODS)
    arguments.add_argument("--folder", type=Path)
    options = arguments.parse_args()
    ages = [float(age) for age in options.ages.split(",")]
    if options.method == "training":
        print(json.dumps(measured_training(options.folder, ages)))
        return
    if options.method == PEER:
        print(json.dumps(measured_peer(options.folder)))
        return
    with tempfile.TemporaryDirectory() as work:
        folder = options.folder or Path(work)
        if not (folder / "leads.parquet").exists():
            simulated = Simulation(options.leads, activities_per_lead=options.activities_per_lead)
            simulate(simulated, folder, file_format="parquet")
        passed = ["--folder", str(folder), "--ages", options.ages]
        training, peer = (
            run_in_own_process(__file__, [*passed, "--method", method], options.threads)
            for method in METHODS
        )
    report(options, training, peer)


def report(options: argparse.Namespace, training: dict[str, Any], peer: dict[str, Any]) -> None:
    """Print the measurements and the goals, and end the process."""
    print(
        f"{options.leads:,} leads at the ages {options.ages}: {training['rows']:,} moments, "
        f"{training['features']} features, {options.threads} thread(s)"
    )
    print("| | CPU s | s | peak GB so far |\n|---|---|---|---|")
    phases = [measured for name, measured in training["phases"] if name != "read"]
    for name, measured in training["phases"]:
        print_row(name, measured)
    whole = {key: sum(phase[key] for phase in phases) for key in ("seconds", "cpu_seconds")}
    whole["peak_gb"] = phases[-1]["peak_gb"]
    print_row("the whole training, without reading", whole)
    print_row("fit of the final estimator, with its settings", training["final"])
    print_row(PEER, peer)
    final = training["final"]["cpu_seconds"] / peer["cpu_seconds"]
    of_whole = whole["cpu_seconds"] / peer["cpu_seconds"]
    print(f"Trees of each booster: {training['trees']}; of {PEER}: {peer['trees']}.")
    print(
        f"Goals: at most {MOST_TIMES_PEER} x the CPU time of {PEER} for the final fit, {MAX_GB} GB."
    )
    print(
        f"Final fit: {final:.2f} x. The whole training: {of_whole:.2f} x, "
        f"{whole['peak_gb']:.2f} GB."
    )
    sys.exit(final > MOST_TIMES_PEER or whole["peak_gb"] > MAX_GB)


def print_row(name: str, measured: dict[str, float]) -> None:
    cells = (f"{measured[key]:,.1f}" for key in ("cpu_seconds", "seconds"))
    print(f"| {name} | {' | '.join(cells)} | {measured['peak_gb']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
