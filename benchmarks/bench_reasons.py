"""Compare contributions with LightGBM's pred_contrib: the same leads, the same run.

    make bench            (or: python benchmarks/bench_reasons.py [--leads 10000])

The goal is ten times LightGBM's speed, for one lead and for many. The last table shows whether it
is reached.

leadscore runs on one thread. LightGBM runs with its defaults, and for one lead also on one
thread; the faster of both counts. For one lead, the benchmark prints medians over 200 leads. For
many leads it prints the median of three runs. LightGBM explains only a tenth of them, because its
cost is proportional. Before the timing, both results must agree to 1e-9.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import lightgbm
import numpy as np

from models.contributions.tree_contributions import TreeContributions

Explain = Callable[[np.ndarray], np.ndarray]

GOAL = 10  # this many times faster than LightGBM
RUNS = 3
SINGLES = 200
SLOW_SINGLES, TURNS = 40, 5
MISSING = 0.15
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.04,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "cat_smooth": 10.0,
    "max_cat_to_onehot": 8,
    "verbosity": -1,
}


def make_leads(n: int, numeric: int, categorical: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make leads with numbers, skewed counts, codes and missing values; return them with labels."""
    truth, generator = np.random.default_rng(7), np.random.default_rng(seed)
    sizes = truth.integers(3, 30, categorical)
    features = generator.normal(size=(n, numeric + categorical))
    counts = features[:, : numeric // 3]
    counts[:] = np.floor(np.exp(1.2 * counts))
    margin = features[:, :numeric] @ truth.normal(size=numeric) * 0.15 - 1
    margin += 0.3 * np.sin(features[:, 0]) * features[:, 1]
    for column, size in enumerate(sizes, numeric):
        codes = generator.geometric(min(0.9, 3 / size), n).clip(max=size) - 1
        features[:, column] = codes
        margin += (truth.normal(size=size) * 0.5)[codes]
    label = generator.random(n) < 1 / (1 + np.exp(-margin))
    features[generator.random(features.shape) < MISSING] = np.nan
    return features, label.astype(np.int8)


def fit_booster(
    numeric: int, categorical: int, trees: int, leaves: int, rows: int
) -> lightgbm.Booster:
    features, label = make_leads(rows, numeric, categorical, seed=0)
    codes = list(range(numeric, numeric + categorical))
    parameters = PARAMETERS | {"num_leaves": leaves}
    booster = lightgbm.train(
        parameters, lightgbm.Dataset(features, label, categorical_feature=codes), trees
    )
    return lightgbm.Booster(model_str=booster.model_to_string())


MODELS = {
    "400 trees x 47 leaves, 15 + 12 columns": (15, 12, 400, 47, 40_000),
    "750 trees x 15 leaves, 23 + 7 columns": (23, 7, 750, 15, 12_000),
    "750 trees x 15 leaves, 90 + 30 columns": (90, 30, 750, 15, 12_000),
}


def seconds(work: Explain, batches: list[np.ndarray]) -> float:
    """Measure the median time of one batch."""
    times = []
    for batch in batches:
        start = time.perf_counter()
        work(batch)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ways_of_lightgbm(booster: lightgbm.Booster) -> tuple[Explain, Explain]:
    """Return LightGBM's `pred_contrib` with its default number of threads, and with one."""
    explain = partial(booster.predict, pred_contrib=True)
    return explain, partial(explain, num_threads=1)


def measure(name: str, n: int) -> tuple[float, float]:
    """Measure one model, and return how many times faster one lead and many leads are."""
    numeric, categorical, *_ = MODELS[name]
    booster = fit_booster(*MODELS[name])
    text = booster.model_to_string()
    start = time.perf_counter()
    tables = TreeContributions.from_text(text, numeric + categorical)
    loading = time.perf_counter() - start
    table_mb = sum(part.table.nbytes for parts in tables._tables.lookups for part in parts) / 1e6
    leads, _ = make_leads(n, numeric, categorical, seed=99)

    default, on_one_thread = ways_of_lightgbm(booster)
    tenth = leads[: n // 10]
    gap = float(np.abs(tables.contributions(tenth) - default(tenth)).max())
    assert gap < 1e-9, gap
    singles = [leads[i : i + 1] for i in range(SINGLES)]
    one_lead = seconds(tables.contributions, singles)
    one_lead_lightgbm = min(seconds(default, singles), seconds(on_one_thread, singles))
    all_leads = seconds(tables.contributions, [leads] * RUNS)
    all_leads_lightgbm = 10 * seconds(default, [tenth] * RUNS)
    print(
        f"| {name} | {1e3 * one_lead:.2f} | {1e3 * one_lead_lightgbm:.2f} "
        f"| {one_lead_lightgbm / one_lead:.1f} "
        f"| {all_leads:.2f} | {all_leads_lightgbm:.1f} | {all_leads_lightgbm / all_leads:.1f} "
        f"| {loading:.2f} | {table_mb:.0f} | {gap:.0e} |",
        flush=True,
    )
    return one_lead_lightgbm / one_lead, all_leads_lightgbm / all_leads


def times_faster_for_one_lead(name: str) -> float:
    """Measure one lead alone, in turns with LightGBM; return the median of the ratios."""
    numeric, categorical, *_ = MODELS[name]
    booster = fit_booster(*MODELS[name])
    tables = TreeContributions.from_text(booster.model_to_string(), numeric + categorical)
    leads, _ = make_leads(SINGLES, numeric, categorical, seed=99)
    singles = [leads[i : i + 1] for i in range(SINGLES)]

    ways = ways_of_lightgbm(booster)
    ratios = [
        min(seconds(way, singles[:SLOW_SINGLES]) for way in ways)
        / seconds(tables.contributions, singles)
        for _ in range(TURNS)
    ]
    return statistics.median(ratios)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--leads", type=int, default=10_000)
    arguments.add_argument("--one-lead", metavar="MODEL", choices=MODELS, help="only the ratio")
    options = arguments.parse_args()
    if options.one_lead:
        print(times_faster_for_one_lead(options.one_lead))
        return
    n = options.leads
    print(f"contributions of one lead (ms) and of {n:,} (s), against LightGBM's pred_contrib")
    print(
        "| model | one: leadscore | LightGBM | times faster "
        "| many: leadscore | LightGBM | times faster "
        "| loading, s | tables, MB | largest gap |\n" + 10 * "|---" + "|"
    )
    measured = {name: measure(name, n) for name in MODELS}
    print("\n| goal | measured | |\n|---|---|---|")
    for name, ratios in measured.items():
        for what, ratio in zip(("one lead", f"{n:,} leads"), ratios, strict=True):
            verdict = "met" if ratio >= GOAL else "**not met**"
            print(f"| {name}, {what}: ≥ {GOAL} times pred_contrib | {ratio:.1f} | {verdict} |")


if __name__ == "__main__":
    main()
