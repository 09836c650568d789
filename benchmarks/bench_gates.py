"""Measure how often the gates refuse a version that is better, and pass one that is worse.

    make bench-gates
    python benchmarks/bench_gates.py [--seeds 2] [--kinds none,concept] [--days 30,90,150,210]

The leads of a simulated CRM change on a day, or do not. A champion was trained 60 days before. On
several days after its training, challengers are trained with the newer records: one in the same
way, one that does not read the sources, and one that does not read four columns. The gates that
compare judge them, with the records of that day. Who is right shows on the leads of the next 60
days: the log loss of the registered models against the true probabilities.
"""

import argparse
import datetime
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
from bench_monitoring import HISTORY_DAYS, START, World, world_of
from scipy.special import expit

from crm.simulation.drift import Drift
from crm.times import DAY, microseconds
from features.leaks.audit import audit
from features.moments import make_moments
from models.registry.history import Gate
from models.scorer import LeadScorer
from training.comparison.held_out import Contender
from training.comparison.stored_moments import StoredMoments
from training.gates.gates import GateInputs, relative_gates
from training.train import train

DRIFT_AFTER = 60  # days after the champion was trained
NEXT_DAYS = 60
CHALLENGERS: dict[str, Sequence[str]] = {
    "again": (),
    "without source": ("source",),
    "fewer columns": ("source", "industry", "budget_eur", "job_title"),
}
SAME = 0.001  # of log loss; too small to call a version better or worse


class Trained(NamedTuple):
    """A version as the gates need it, and the time until which it had learned."""

    contender: Contender
    until: int


def trained(world: World, day: datetime.date, version: str, champion: Trained | None) -> Trained:
    """Train at midnight of a day, and keep what a training stores."""
    records = world.at(day)
    now = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    result = train(world.project, records, now=now, champion_until=champion and champion.until)
    stored = StoredMoments.of_training(
        world.project.name,
        records,
        result.moments,
        result.split,
        result.test_margin,
        result.rolling.cut_offs[1:],
        result.immature,
        result.later,
    )
    until = int(result.moments.known_at.max())
    return Trained(Contender(version, result.scorer, stored), until)


def judged(world: World, day: datetime.date, version: Trained, champion: Trained) -> list[Gate]:
    """Run the gates that compare, with the records of a day."""
    records = world.at(day)
    moments = make_moments(records, world.project.learn)
    inputs = GateInputs(records, moments, audit(records, moments, world.project))
    return relative_gates(
        version.contender, champion.contender, "the champion", inputs, world.project
    )


def future_loss(world: World, day: datetime.date, scorer: LeadScorer) -> float:
    """Return the log loss of the leads after a day, against the truth."""
    created = microseconds(world.records.leads["created_at"])
    begin = int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()) * 10**6
    lead = np.flatnonzero((created >= begin) & (created < begin + NEXT_DAYS * DAY))
    true = world.truth.loc[world.records.leads["lead_id"].iloc[lead]].to_numpy()
    matrix = scorer.pipeline.transform(world.records, lead, created[lead])
    p = np.clip(expit(scorer.log_odds_of(matrix)), 1e-9, 1 - 1e-9)
    return float(-(true * np.log(p) + (1 - true) * np.log1p(-p)).mean())


def without(world: World, unread: Sequence[str]) -> World:
    """Return the world with a project that does not read some columns."""
    columns = world.project.columns
    ignore = [*columns.ignore, *unread]
    return world._replace(
        project=replace(world.project, columns=msgspec.structs.replace(columns, ignore=ignore))
    )


def main() -> None:
    """Print what the gates say, and what is true."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--kinds", default="none,concept,covariate,label_delay")
    parser.add_argument("--days", default="30,90,150,210")
    parser.add_argument("--per-day", type=int, default=20)
    options = parser.parse_args()
    ages = [int(age) for age in options.days.split(",")]
    begun = time.process_time()
    trained_on = START + datetime.timedelta(days=HISTORY_DAYS)
    counts: dict[str, Counter[str]] = {name: Counter() for name in CHALLENGERS}
    print(f"{options.per_day} leads a day; log loss of the next {NEXT_DAYS} days against the truth")
    print(f"{'drift':12}{'seed':>5}{'days':>5}  {'challenger':15}{'champion':>9}{'own':>8}  failed")
    for kind in options.kinds.split(","):
        at = trained_on + datetime.timedelta(days=DRIFT_AFTER)
        drifts = () if kind == "none" else (Drift(kind, at),)
        n_days = HISTORY_DAYS + max(ages) + NEXT_DAYS + 1
        for seed in range(options.seeds):
            world = world_of(n_days, options.per_day, seed, drifts=drifts)
            champion = trained(world, trained_on, "1", None)
            for age in ages:
                day = trained_on + datetime.timedelta(days=age)
                before = future_loss(world, day, champion.contender.scorer)
                for name, unread in CHALLENGERS.items():
                    version = trained(without(world, unread), day, "2", champion)
                    own = future_loss(world, day, version.contender.scorer)
                    gates = judged(world, day, version, champion)
                    failed = [gate.number for gate in gates if not gate.passed]
                    truth = "better" if own < before - SAME else "same"
                    truth = "worse" if own > before + SAME else truth
                    counts[name][f"{truth}, {'refused' if failed else 'passed'}"] += 1
                    print(
                        f"{kind:12}{seed:>5}{age:>5}  {name:15}{before:>9.4f}{own:>8.4f}  "
                        f"{' '.join(failed)}",
                        flush=True,
                    )
    for name, counted in counts.items():
        shown = "; ".join(f"{key}: {n}" for key, n in sorted(counted.items()))
        print(f"{name}: {shown}")
    print(f"{time.process_time() - begun:.0f} CPU seconds")


if __name__ == "__main__":
    main()
