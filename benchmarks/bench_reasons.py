"""Compare contributions with LightGBM's pred_contrib: the same leads, the same run.

    make bench            (or: python benchmarks/bench_reasons.py [--leads 10000])

leadscore runs on one thread. LightGBM runs with its defaults, and for one lead also on one
thread; the faster of both counts. For one lead, the benchmark prints medians over 200 leads. For
many leads it prints the median of three runs. LightGBM explains only a tenth of them, because its
cost is proportional. Before the timing, both results must agree to 1e-9.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import lightgbm
import numpy as np

from models.contributions.tree_contributions import TreeContributions

LIMIT = 10  # the goal: this many times faster than LightGBM
RUNS = 3
SINGLES = 200
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


def seconds(work: Callable[[np.ndarray], np.ndarray], batches: list[np.ndarray]) -> float:
    """Measure the median time of one batch."""
    times = []
    for batch in batches:
        start = time.perf_counter()
        work(batch)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(name: str, n: int) -> None:
    numeric, categorical, *_ = MODELS[name]
    booster = fit_booster(*MODELS[name])
    text = booster.model_to_string()
    start = time.perf_counter()
    tables = TreeContributions.from_text(text, numeric + categorical)
    loading = time.perf_counter() - start
    table_mb = sum(part.table.nbytes for parts in tables._tables.lookups for part in parts) / 1e6
    leads, _ = make_leads(n, numeric, categorical, seed=99)

    def lightgbm_default(rows: np.ndarray) -> np.ndarray:
        return booster.predict(rows, pred_contrib=True)

    def lightgbm_on_one_thread(rows: np.ndarray) -> np.ndarray:
        return booster.predict(rows, pred_contrib=True, num_threads=1)

    tenth = leads[: n // 10]
    gap = float(np.abs(tables.contributions(tenth) - lightgbm_default(tenth)).max())
    assert gap < 1e-9, gap
    singles = [leads[i : i + 1] for i in range(SINGLES)]
    one_lead = seconds(tables.contributions, singles)
    one_lead_lightgbm = min(
        seconds(lightgbm_default, singles), seconds(lightgbm_on_one_thread, singles)
    )
    all_leads = seconds(tables.contributions, [leads] * RUNS)
    all_leads_lightgbm = 10 * seconds(lightgbm_default, [tenth] * RUNS)
    print(
        f"| {name} | {1e3 * one_lead:.2f} | {1e3 * one_lead_lightgbm:.2f} "
        f"| {one_lead_lightgbm / one_lead:.1f} "
        f"| {all_leads:.2f} | {all_leads_lightgbm:.1f} | {all_leads_lightgbm / all_leads:.1f} "
        f"| {loading:.2f} | {table_mb:.0f} | {gap:.0e} |",
        flush=True,
    )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--leads", type=int, default=10_000)
    n = arguments.parse_args().leads
    print(f"contributions of one lead (ms) and of {n:,} (s), against LightGBM's pred_contrib")
    print(
        "| model | one: leadscore | LightGBM | times faster "
        "| many: leadscore | LightGBM | times faster "
        "| loading, s | tables, MB | largest gap |\n" + 10 * "|---" + "|"
    )
    for name in MODELS:
        measure(name, n)
    print(f"limit: {LIMIT} times faster")


if __name__ == "__main__":
    main()
