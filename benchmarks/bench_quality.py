"""Compare the quality of scores with named peers, on the newest fifth of public data sets.

    make bench-quality    (or: python benchmarks/bench_quality.py [--fast] [--sets bpic2012])

Every model is trained on the same moments and the same columns. Leaks, suspects and sensitive
columns are left out for all models. The peers get categories as words, numbers as numbers, and the
features that leadscore's pipeline computes from activities, stages and times. All models get the
same evaluation. The peers run one after the other, each in a process of .venv-bench
(benchmarks/peers.py).

With `--sizes`, the models are trained on the newest leads with 25, 100, 400 and all outcomes of the
rarer class, and evaluated on the same test leads.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from own_process import used, used_since
from scipy.special import expit, log_expit, logit

from crm.cells import text_column
from crm.errors import LeadScoringError
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from features.attributes.category import CategoryAttribute
from features.attributes.target import TargetAttribute
from features.fitting import fit_pipeline
from features.leaks.audit import audit
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from models.evaluation.intervals import percentiles, resamples
from models.evaluation.metrics import Evaluation, evaluate, measure
from models.fitting.split import Split, split_newest
from training.procedure import Procedure
from training.train import known_later, train

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
SETS = ("xeducation", "bank_marketing", "bpic2012")
PEERS = {
    "logistic": "logistic, L2, one-hot",
    "lightgbm": "LightGBM defaults",
    "catboost": "CatBoost defaults",
    "autogluon": "AutoGluon medium quality",
}
MODELS = {
    "base_rate": "base rate",
    **PEERS,
    "leadscore": "leadscore",
    "leadscore_tuned": "leadscore tuned",
    "deployed": "leadscore, deployed",
}
OUR_MODELS = ("leadscore", "leadscore_tuned", "deployed")
SIZES = (25, 100, 400)
CERTAIN = 1e-7  # probabilities are clipped here, so that one error cannot decide a mean
STABLE = 1.25  # the base rate is stable if it changes by at most this factor
CALIBRATION_GOAL = 0.03
CHANCES = 100


@dataclass(frozen=True)
class DataSet:
    """A data set, split into training and test moments."""

    name: str
    project: Project
    records: Records
    split: Split
    known_later: dict[str, str]


@dataclass(frozen=True)
class Prediction:
    """The log-odds that a model predicts for the test moments, shape (len(split.test),)."""

    margin: np.ndarray = field(repr=False)
    cpu_seconds: float
    about: str = ""
    logistic_weight: float | None = None


@dataclass(frozen=True)
class Row:
    """A model, its prediction and the evaluation."""

    model: str
    prediction: Prediction
    test: Evaluation


# ---- leadscore: the only section that imports the product's training


def read_data_set(name: str) -> DataSet:
    path = Path(name) if name.endswith(".toml") else HERE.parent / "examples" / f"{name}.toml"
    project = load_project(path)
    records = read_records(project)
    moments = make_moments(records, project.learn)
    later = known_later(audit(records, moments, project))
    split = split_newest(records, moments, project.learn.test_share, project.learn.seed)
    return DataSet(project.name, project, records, split, later)


def leadscore_margin(
    project: Project,
    records: Records,
    split: Split,
    later: Mapping[str, str],
    tune_minutes: float,
) -> Prediction:
    """Fit as `train` does for its evaluation; the search for settings counts as fitting."""
    start = used()
    learned = Procedure(project, records, later, tune_minutes or None).learn(split.train)
    fitted, trials = learned.fitted, learned.trials
    cpu_seconds = used_since(start)["cpu_seconds"]
    margin = fitted.log_odds_of(
        fitted.pipeline.transform(records, split.test.lead, split.test.as_of)
    )
    weight = fitted.settings.logistic_weight if fitted.settings else None
    return Prediction(margin, cpu_seconds, f"{len(trials)} trials" if trials else "", weight)


def deployed_margin(data_set: DataSet) -> Prediction:
    """Train as the command `train` does on the day the test begins, and score the test moments.

    The training reads only leads that were created before that day, and what was known then. It
    holds out its own newest leads, and its final model scores the test.
    """
    project, records, test = data_set.project, data_set.records, data_set.split.test
    start = used()
    trained = train(project, _known_before(records, test), now=datetime.now(UTC))
    cpu_seconds = used_since(start)["cpu_seconds"]
    scorer = trained.scorer
    features = scorer.pipeline.transform(records, test.lead, test.as_of)
    margin = scorer.calibration.log_odds_of(scorer.estimator.log_odds_of(features))
    weight = scorer.card.estimator.get("logistic_weight")
    return Prediction(margin, cpu_seconds, "", weight)


def _known_before(records: Records, test: Moments) -> Records:
    """Return the records as they were when the test began, without the test's leads."""
    is_test = np.zeros(len(records.leads), dtype=bool)
    is_test[test.lead] = True
    if not test.has_times:
        leads = records.leads[~is_test].reset_index(drop=True)
        return replace(records, leads=leads, outcomes=_of(records.outcomes, leads))
    began = pd.Timestamp(int(test.as_of.min()), unit="us", tz="UTC")
    is_old = ~is_test & (records.leads["created_at"] < began).to_numpy()
    leads = records.leads[is_old].reset_index(drop=True)
    tables = {
        name: None if table is None else _of(table[table[time_of] <= began], leads)
        for name, table, time_of in (
            ("activities", records.activities, "occurred_at"),
            ("stages", records.stages, "entered_at"),
            ("outcomes", records.outcomes, "closed_at"),
        )
    }
    return replace(records, leads=leads, observed_until=began, **tables)


def _of(table: pd.DataFrame, leads: pd.DataFrame) -> pd.DataFrame:
    return table[table["lead_id"].isin(leads["lead_id"])].reset_index(drop=True)


# ---- the peers


def peers_frame(pipeline: FeaturePipeline, records: Records, moments: Moments) -> pd.DataFrame:
    """Build the pipeline's matrix with words in place of codes and encoded numbers."""
    matrix = pipeline.transform(records, moments.lead, moments.as_of)
    columns: dict[str, Any] = {}
    for i, feature in enumerate(pipeline.features):
        attribute = pipeline.attributes[i] if i < len(pipeline.attributes) else None
        if isinstance(attribute, CategoryAttribute | TargetAttribute):
            cells = records.leads[attribute.column].iloc[moments.lead]
            words = pd.Series(text_column(cells), dtype="string")
            columns[f"x{i:03d}"] = words.mask(words.str.casefold().isin(list(attribute.nothing)))
        elif feature.unit == "category":
            columns[f"x{i:03d}"] = pd.Series(matrix[:, i].astype(int)).astype("string")
        else:
            columns[f"x{i:03d}"] = matrix[:, i]
    return pd.DataFrame(columns)


def write_frames(data_set: DataSet, folder: Path) -> None:
    records, split = data_set.records, data_set.split
    pipeline = fit_pipeline(records, split.train, data_set.project, data_set.known_later)
    train = peers_frame(pipeline, records, split.train).assign(outcome=split.train.label)
    train.to_parquet(folder / "train.parquet")
    peers_frame(pipeline, records, split.test).to_parquet(folder / "test.parquet")


def peer_prediction(model: str, folder: Path) -> Prediction:
    command = [str(PEERS_PYTHON), str(HERE / "peers.py"), model, str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{model} failed:\n{done.stderr[-3000:]}")
    result = json.loads((folder / f"{model}.json").read_text())
    margin = logit(np.clip(result["probability"], CERTAIN, 1 - CERTAIN))
    return Prediction(margin, result["cpu_seconds"], result["about"])


# ---- one data set


def compete(data_set: DataSet, models: Iterable[str], tune_minutes: float) -> list[Row]:
    """Fit each model and evaluate it on the test moments."""
    split, seed = data_set.split, data_set.project.learn.seed
    test = split.test
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench_quality.") as name:
        folder = Path(name)
        write_frames(data_set, folder)
        for model in models:
            print(f"… {data_set.name}: {MODELS[model]}", file=sys.stderr, flush=True)
            prediction = _predict(data_set, model, folder, tune_minutes)
            if prediction is None:
                continue
            evaluation = evaluate(prediction.margin, test.label, test.weight, test.lead, seed)
            rows.append(Row(model, prediction, evaluation))
    return rows


def _predict(data_set: DataSet, model: str, folder: Path, tune_minutes: float) -> Prediction | None:
    if model == "base_rate":
        train = data_set.split.train
        share = (float(train.weight @ train.label) + 0.5) / (float(train.weight.sum()) + 1)
        return Prediction(np.full(len(data_set.split.test), logit(share)), 0.0)
    if model in PEERS:
        return peer_prediction(model, folder)
    if model == "deployed":
        return deployed_margin(data_set)
    return leadscore_margin(
        data_set.project,
        data_set.records,
        data_set.split,
        data_set.known_later,
        tune_minutes if model == "leadscore_tuned" else 0.0,
    )


def difference(row: Row, peer: Row, moments: Moments) -> tuple[float, float, float]:
    """Compute the log loss of `row` minus that of `peer`, with a 95 % bootstrap interval."""
    losses = [
        -np.where(
            moments.label == 1,
            log_expit(model.prediction.margin),
            log_expit(-model.prediction.margin),
        )
        for model in (row, peer)
    ]
    excess = moments.weight * (losses[0] - losses[1])
    draws = [times @ excess / (times @ moments.weight) for times in resamples(moments.lead, seed=0)]
    return float(excess.sum() / moments.weight.sum()), *percentiles(draws)


def error_by_chance(margin: np.ndarray, moments: Moments) -> float:
    """Compute the mean calibration error by chance, if the stated probabilities were true."""
    generator = np.random.default_rng(0)
    labels = (generator.random((CHANCES, len(margin))) < expit(margin)).astype(np.int8)
    return float(np.mean([measure(margin, label, moments.weight)["ece"] for label in labels]))


# ---- what is printed


def table(rows: list[Row]) -> str:
    lines = [
        "| model | ROC AUC | PR AUC | log loss (95 %) | calibration error | top-decile lift "
        "| fit CPU s |\n|---|---|---|---|---|---|---|"
    ]
    for row in rows:
        value, (low, high) = row.test.values, row.test.intervals["log_loss"]
        lines.append(
            f"| {MODELS[row.model]} | {value['roc_auc']:.3f} | {value['pr_auc']:.3f} "
            f"| {value['log_loss']:.3f} ({low:.3f} … {high:.3f}) | {value['ece']:.3f} "
            f"| {value['lift_at_10']:.2f} | {row.prediction.cpu_seconds:.1f} |"
        )
    return "\n".join(lines)


def verdicts(data_set: DataSet, rows: list[Row]) -> list[dict[str, Any]]:
    """Compare each leadscore model with the best peer, the calibration goal and the time goal."""
    by_model = {row.model: row for row in rows}
    peers = [row for row in rows if row.model in PEERS]
    all_verdicts = []
    for ours in (by_model[model] for model in OUR_MODELS if model in by_model):
        verdict: dict[str, Any] = {"model": ours.model}
        if peers:
            best = min(peers, key=lambda row: row.test.values["log_loss"])
            verdict["best_peer"] = best.model
            verdict["difference"] = difference(ours, best, data_set.split.test)
        trained, tested = data_set.split.train.label.mean(), data_set.split.test.label.mean()
        verdict["base_rate"] = (float(trained), float(tested))
        verdict["is_stable"] = bool(1 / STABLE <= tested / trained <= STABLE)
        if verdict["is_stable"]:
            verdict["calibration_goal"] = CALIBRATION_GOAL
        elif "lightgbm" in by_model:
            verdict["calibration_goal"] = by_model["lightgbm"].test.values["ece"] / 2
        if "autogluon" in by_model:
            verdict["of_autogluons_time"] = (
                ours.prediction.cpu_seconds / by_model["autogluon"].prediction.cpu_seconds
            )
        verdict["calibration_error"] = ours.test.values["ece"]
        verdict["by_chance"] = error_by_chance(ours.prediction.margin, data_set.split.test)
        all_verdicts.append(verdict)
    return all_verdicts


def in_words(verdict: dict[str, Any]) -> str:
    sentences = []
    if "difference" in verdict:
        gap, low, high = verdict["difference"]
        comparison = (
            "not worse" if gap <= 0 else "worse, but within chance" if low <= 0 else "WORSE"
        )
        sentences.append(
            f"log loss less the best peer's ({MODELS[verdict['best_peer']]}) "
            f"{gap:+.4f} ({low:+.4f} … {high:+.4f}): {comparison}"
        )
    trained, tested = verdict["base_rate"]
    goal = verdict.get("calibration_goal")
    sentences.append(
        f"base rate {trained:.3f} → {tested:.3f} "
        f"({'stable' if verdict['is_stable'] else 'drifts'}), "
        f"calibration error {verdict['calibration_error']:.3f} "
        f"({verdict['by_chance']:.3f} by chance alone)"
        + (
            ""
            if goal is None
            else f", goal {goal:.3f}: "
            + ("met" if verdict["calibration_error"] <= goal else "NOT MET")
        )
    )
    if "of_autogluons_time" in verdict:
        sentences.append(f"fit time {verdict['of_autogluons_time']:.2f} of AutoGluon's, goal 0.10")
    return f"{MODELS[verdict['model']]}: " + "; ".join(sentences) + "."


def evaluate_set(data_set: DataSet, models: Iterable[str], tune_minutes: float) -> dict[str, Any]:
    split = data_set.split
    rows = compete(data_set, models, tune_minutes)
    print(
        f"\n## {data_set.name}: trained on {len(split.train):,} moments, evaluated on "
        f"{len(split.test):,} ({split.how}; {split.embargoed:,} embargoed)\n"
    )
    print(table(rows) + "\n")
    compared = verdicts(data_set, rows)
    print(*map(in_words, compared), sep="\n")
    print(
        "Peers: " + "; ".join(row.prediction.about for row in rows if row.prediction.about) + ".",
        flush=True,
    )
    return {"set": data_set.name, "rows": [_plain(row) for row in rows], "verdicts": compared}


def evaluate_sizes(data_set: DataSet, sizes: Iterable[int]) -> dict[str, Any]:
    """Train on more and more of the newest leads; evaluate on the same test leads."""
    models = ("base_rate", "logistic", "lightgbm", "leadscore")
    print(f"\n## {data_set.name}: log loss by outcomes of the rarer class\n")
    print(
        "| outcomes | leads | logistic's weight | leadscore | "
        + " | ".join(MODELS[model] for model in models[:-1])
        + " |\n|"
        + "---|" * 7
    )
    by_size = []
    for size in (*sizes, None):
        train = data_set.split.train if size is None else _newest(data_set.split.train, size)
        smaller = replace(data_set, split=replace(data_set.split, train=train))
        rows = compete(smaller, models, 0.0)
        won, n_leads = int(train.label.sum()), len(np.unique(train.lead))
        loss = {row.model: f"{row.test.values['log_loss']:.3f}" for row in rows}
        weight = rows[-1].prediction.logistic_weight
        rarer = min(won, len(train) - won)
        print(
            f"| {'all, ' if size is None else ''}{rarer:,} | {n_leads:,} "
            f"| {'–' if weight is None else f'{weight:.2f}'} | {loss['leadscore']} | "
            + " | ".join(loss[model] for model in models[:-1])
            + " |",
            flush=True,
        )
        by_size.append({"outcomes": rarer, "leads": n_leads, "rows": [_plain(row) for row in rows]})
    return {"set": data_set.name, "sizes": by_size}


def _newest(moments: Moments, outcomes: int) -> Moments:
    """Return the moments of the newest leads, with this many leads of the rarer outcome."""
    leads = np.unique(moments.lead)[::-1]  # positions grow with time
    won = np.isin(leads, moments.lead[moments.label == 1])
    enough = np.minimum(np.cumsum(won), np.cumsum(~won)) >= outcomes
    if not enough.any():
        return moments
    return moments.take(np.isin(moments.lead, leads[: int(np.argmax(enough)) + 1]))


def _plain(row: Row) -> dict[str, Any]:
    prediction = asdict(row.prediction)
    del prediction["margin"]
    return {"model": row.model, **prediction, **row.test.to_json()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--sets",
        nargs="+",
        default=SETS,
        metavar="SET",
        help="names in examples/, or paths of project files",
    )
    arguments.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    arguments.add_argument("--fast", action="store_true", help="without AutoGluon")
    arguments.add_argument("--tune", type=float, default=5.0, metavar="MINUTES")
    arguments.add_argument("--sizes", action="store_true", help="train on few leads, then on more")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    options = arguments.parse_args()
    if not PEERS_PYTHON.exists():
        sys.exit("The peers are not installed. Run `make bench-quality` (a few minutes).")
    models = [m for m in options.models if not (options.fast and m == "autogluon")]
    results = []
    for name in options.sets:
        try:
            data_set = read_data_set(name)
        except LeadScoringError as error:
            sys.exit(f"{name}: {error}")
        results.append(
            evaluate_sizes(data_set, SIZES)
            if options.sizes
            else evaluate_set(data_set, models, options.tune)
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
