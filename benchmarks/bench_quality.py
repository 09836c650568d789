"""How good the scores are beside named peers: the newest fifth of public data, one table each.

    make bench-quality    (or: python benchmarks/bench_quality.py [--fast] [--sets bpic2012])

Every model learns from the same moments and the same columns: leaks, suspects and sensitive
columns are left out for all, and the peers get categories as words, numbers as numbers, and
what leadscore's pipeline computes of activities, stages and times. One evaluation judges
all. The peers run one after the other, each in a process of .venv-bench (benchmarks/peers.py).

`--sizes` learns from the newest leads with 25, 100, 400 and all outcomes of the rarer kind
instead, and is judged by the same test leads.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit, logit

from crm.cells import text_column
from crm.errors import LeadScoringError
from crm.project import Project, load_project
from crm.records import Records, read_records
from features.attributes.attribute import CategoryAttribute
from features.attributes.kinds import TargetAttribute
from features.fitting import fit_pipeline
from features.leaks.audit import audit
from features.moments import Moments, make_moments
from features.pipeline import FeaturePipeline
from models.evaluation.intervals import percentiles, resamples
from models.evaluation.metrics import Evaluation, evaluate, measure
from training.fit import fit
from training.split import Split, split_newest
from training.train import known_later, tuned_parameters

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
}
OUR_MODELS = ("leadscore", "leadscore_tuned")
SIZES = (25, 100, 400)
CERTAIN = 1e-7  # no probability is nearer to 0 or 1: one sure error must not decide a mean
HOLDS = 1.25  # the base rate holds if it changes by no more than this factor
CALIBRATION_GOAL = 0.03
CHANCES = 100


@dataclass(frozen=True)
class Contest:
    """What one set's models learn from and are judged by."""

    name: str
    project: Project
    records: Records
    split: Split
    known_later: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What one model said of the test moments: log-odds, shape (len(split.test),)."""

    margin: np.ndarray = field(repr=False)
    fit_seconds: float
    about: str = ""
    logistic_weight: float | None = None


@dataclass(frozen=True)
class Row:
    """One model, what it answered, and what came of it."""

    model: str
    answer: Answer
    test: Evaluation


# ---- leadscore: the product's own path, and the only place that knows it


def read_contest(name: str) -> Contest:
    path = Path(name) if name.endswith(".toml") else HERE.parent / "examples" / f"{name}.toml"
    project = load_project(path)
    records = read_records(project)
    moments = make_moments(records, project.learn)
    later = known_later(audit(records, moments, project))
    split = split_newest(records, moments, project.learn.test_share, project.learn.seed)
    return Contest(project.name, project, records, split, later)


def leadscore_margin(
    project: Project,
    records: Records,
    split: Split,
    later: Mapping[str, str],
    tune_minutes: float,
) -> Answer:
    """Fit as `train` does before it judges; the search for settings counts as fitting."""
    start = time.perf_counter()
    parameters, trials = tuned_parameters(records, split, project, later, tune_minutes or None)
    judged = fit(records, split.train, project, later, tree_parameters=parameters)
    fit_seconds = time.perf_counter() - start
    margin = judged.margin(judged.pipeline.transform(records, split.test))
    weight = judged.settings.logistic_weight if judged.settings else None
    return Answer(margin, fit_seconds, f"{len(trials)} trials" if trials else "", weight)


# ---- the peers


def peers_frame(pipeline: FeaturePipeline, records: Records, moments: Moments) -> pd.DataFrame:
    """What the pipeline's matrix knows, with words where it has codes or learned numbers."""
    matrix = pipeline.transform(records, moments)
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


def write_frames(contest: Contest, folder: Path) -> None:
    records, split = contest.records, contest.split
    pipeline = fit_pipeline(records, split.train, contest.project, contest.known_later)
    train = peers_frame(pipeline, records, split.train).assign(outcome=split.train.label)
    train.to_parquet(folder / "train.parquet")
    peers_frame(pipeline, records, split.test).to_parquet(folder / "test.parquet")


def peer_answer(model: str, folder: Path) -> Answer:
    command = [str(PEERS_PYTHON), str(HERE / "peers.py"), model, str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{model} failed:\n{done.stderr[-3000:]}")
    found = json.loads((folder / f"{model}.json").read_text())
    margin = logit(np.clip(found["probability"], CERTAIN, 1 - CERTAIN))
    return Answer(margin, found["fit_seconds"], found["about"])


# ---- one contest


def compete(contest: Contest, models: Iterable[str], tune_minutes: float) -> list[Row]:
    """Fit each model and judge it on the test moments."""
    split, seed = contest.split, contest.project.learn.seed
    test = split.test
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench_quality.") as name:
        folder = Path(name)
        write_frames(contest, folder)
        for model in models:
            print(f"… {contest.name}: {MODELS[model]}", file=sys.stderr, flush=True)
            answer = _answer(contest, model, folder, tune_minutes)
            if answer is None:
                continue
            found = evaluate(answer.margin, test.label, test.weight, test.lead, seed)
            rows.append(Row(model, answer, found))
    return rows


def _answer(contest: Contest, model: str, folder: Path, tune_minutes: float) -> Answer | None:
    if model == "base_rate":
        train = contest.split.train
        share = (float(train.weight @ train.label) + 0.5) / (float(train.weight.sum()) + 1)
        return Answer(np.full(len(contest.split.test), logit(share)), 0.0)
    if model in PEERS:
        return peer_answer(model, folder)
    return leadscore_margin(
        contest.project,
        contest.records,
        contest.split,
        contest.known_later,
        tune_minutes if model == "leadscore_tuned" else 0.0,
    )


def difference(ours: Row, other: Row, moments: Moments) -> tuple[float, float, float]:
    """Log loss of one less that of another, with the 95 % interval over draws of leads."""
    losses = [
        -np.where(moments.label == 1, log_expit(row.answer.margin), log_expit(-row.answer.margin))
        for row in (ours, other)
    ]
    more = moments.weight * (losses[0] - losses[1])
    draws = [times @ more / (times @ moments.weight) for times in resamples(moments.lead, seed=0)]
    return float(more.sum() / moments.weight.sum()), *percentiles(draws)


def error_by_chance(margin: np.ndarray, moments: Moments) -> float:
    """The mean calibration error of a model whose probabilities are true, on so few moments."""
    generator = np.random.default_rng(0)
    labels = (generator.random((CHANCES, len(margin))) < expit(margin)).astype(np.int8)
    return float(np.mean([measure(margin, each, moments.weight)["ece"] for each in labels]))


# ---- what is printed


def table(rows: list[Row]) -> str:
    lines = [
        "| model | ROC AUC | PR AUC | log loss (95 %) | calibration error | top-decile lift "
        "| fit s |\n|---|---|---|---|---|---|---|"
    ]
    for row in rows:
        value, (low, high) = row.test.values, row.test.intervals["log_loss"]
        lines.append(
            f"| {MODELS[row.model]} | {value['roc_auc']:.3f} | {value['pr_auc']:.3f} "
            f"| {value['log_loss']:.3f} ({low:.3f} … {high:.3f}) | {value['ece']:.3f} "
            f"| {value['lift_at_10']:.2f} | {row.answer.fit_seconds:.1f} |"
        )
    return "\n".join(lines)


def verdicts(contest: Contest, rows: list[Row]) -> list[dict[str, Any]]:
    """For each model of ours: against the best peer, calibrated or not, and how fast."""
    by_model = {row.model: row for row in rows}
    peers = [row for row in rows if row.model in PEERS]
    found = []
    for ours in (by_model[model] for model in OUR_MODELS if model in by_model):
        verdict: dict[str, Any] = {"model": ours.model}
        if peers:
            best = min(peers, key=lambda row: row.test.values["log_loss"])
            verdict["best_peer"] = best.model
            verdict["difference"] = difference(ours, best, contest.split.test)
        trained, tested = contest.split.train.label.mean(), contest.split.test.label.mean()
        verdict["base_rate"] = (float(trained), float(tested))
        verdict["holds"] = bool(1 / HOLDS <= tested / trained <= HOLDS)
        if verdict["holds"]:
            verdict["calibration_goal"] = CALIBRATION_GOAL
        elif "lightgbm" in by_model:
            verdict["calibration_goal"] = by_model["lightgbm"].test.values["ece"] / 2
        if "autogluon" in by_model:
            verdict["of_autogluons_time"] = (
                ours.answer.fit_seconds / by_model["autogluon"].answer.fit_seconds
            )
        verdict["calibration_error"] = ours.test.values["ece"]
        verdict["by_chance"] = error_by_chance(ours.answer.margin, contest.split.test)
        found.append(verdict)
    return found


def in_words(verdict: dict[str, Any]) -> str:
    said = []
    if "difference" in verdict:
        gap, low, high = verdict["difference"]
        judged = "not worse" if gap <= 0 else "worse, by less than chance" if low <= 0 else "WORSE"
        said.append(
            f"log loss less the best peer's ({MODELS[verdict['best_peer']]}) "
            f"{gap:+.4f} ({low:+.4f} … {high:+.4f}): {judged}"
        )
    trained, tested = verdict["base_rate"]
    goal = verdict.get("calibration_goal")
    said.append(
        f"base rate {trained:.3f} → {tested:.3f} ({'holds' if verdict['holds'] else 'drifts'}), "
        f"calibration error {verdict['calibration_error']:.3f} "
        f"({verdict['by_chance']:.3f} if all were true)"
        + (
            ""
            if goal is None
            else f", goal {goal:.3f}: "
            + ("met" if verdict["calibration_error"] <= goal else "NOT MET")
        )
    )
    if "of_autogluons_time" in verdict:
        said.append(f"fit time {verdict['of_autogluons_time']:.2f} of AutoGluon's, goal 0.10")
    return f"{MODELS[verdict['model']]}: " + "; ".join(said) + "."


def judge_set(contest: Contest, models: Iterable[str], tune_minutes: float) -> dict[str, Any]:
    split = contest.split
    rows = compete(contest, models, tune_minutes)
    print(
        f"\n## {contest.name}: learned from {len(split.train):,} moments, judged by "
        f"{len(split.test):,} ({split.how}; {split.embargoed:,} embargoed)\n"
    )
    print(table(rows) + "\n")
    found = verdicts(contest, rows)
    print(*map(in_words, found), sep="\n")
    print(
        "Peers: " + "; ".join(row.answer.about for row in rows if row.answer.about) + ".",
        flush=True,
    )
    return {"set": contest.name, "rows": [_plain(row) for row in rows], "verdicts": found}


def judge_sizes(contest: Contest, sizes: Iterable[int]) -> dict[str, Any]:
    """Learn from ever more of the newest training leads, judged by the same test leads."""
    models = ("base_rate", "logistic", "lightgbm", "leadscore")
    print(f"\n## {contest.name}: log loss by outcomes of the rarer kind\n")
    print(
        "| outcomes | leads | logistic's weight | leadscore | "
        + " | ".join(MODELS[model] for model in models[:-1])
        + " |\n|"
        + "---|" * 7
    )
    found = []
    for size in (*sizes, None):
        train = contest.split.train if size is None else _newest(contest.split.train, size)
        cut = replace(contest, split=replace(contest.split, train=train))
        rows = compete(cut, models, 0.0)
        won, n_leads = int(train.label.sum()), len(np.unique(train.lead))
        loss = {row.model: f"{row.test.values['log_loss']:.3f}" for row in rows}
        weight = rows[-1].answer.logistic_weight
        rarer = min(won, len(train) - won)
        print(
            f"| {'all, ' if size is None else ''}{rarer:,} | {n_leads:,} "
            f"| {'–' if weight is None else f'{weight:.2f}'} | {loss['leadscore']} | "
            + " | ".join(loss[model] for model in models[:-1])
            + " |",
            flush=True,
        )
        found.append({"outcomes": rarer, "leads": n_leads, "rows": [_plain(row) for row in rows]})
    return {"set": contest.name, "sizes": found}


def _newest(moments: Moments, outcomes: int) -> Moments:
    """The newest leads' moments, with that many leads of the rarer kind of outcome."""
    leads = np.unique(moments.lead)[::-1]  # positions grow with time
    won = np.isin(leads, moments.lead[moments.label == 1])
    enough = np.minimum(np.cumsum(won), np.cumsum(~won)) >= outcomes
    if not enough.any():
        return moments
    return moments.take(np.isin(moments.lead, leads[: int(np.argmax(enough)) + 1]))


def _plain(row: Row) -> dict[str, Any]:
    answer = asdict(row.answer)
    del answer["margin"]
    return {"model": row.model, **answer, **row.test.to_json()}


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
    arguments.add_argument("--sizes", action="store_true", help="learn from few leads, then more")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    given = arguments.parse_args()
    if not PEERS_PYTHON.exists():
        sys.exit("The peers are not installed. `make bench-quality` does it (a few minutes).")
    models = [m for m in given.models if not (given.fast and m == "autogluon")]
    found = []
    for name in given.sets:
        try:
            contest = read_contest(name)
        except LeadScoringError as error:
            sys.exit(f"{name}: {error}")
        found.append(
            judge_sizes(contest, SIZES) if given.sizes else judge_set(contest, models, given.tune)
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
