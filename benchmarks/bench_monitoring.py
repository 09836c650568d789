"""Measure how soon monitoring finds drift, how often it is wrong, and what retraining is worth.

    make bench-monitoring
    python benchmarks/bench_monitoring.py [--part delay|alarms|quality|estimates] [--seeds 2]
                                          [--years 12] [--made-years 100] [--world NAME]

There is no service. The records of a simulated CRM are cut at the time of each look, and a champion
that was trained once is looked at. Each part prints a table:

- delay: the days from the beginning of each kind of drift until the first watch and the first act
  of a check, in looks every week;
- alarms: in how many years without drift each check says watch or act, in a look every four weeks,
  with the evidence; also at made-up moments whose outcomes follow their probabilities;
- quality: the log loss of the leads of each month after a concept drift, of a champion that stays,
  of one that is trained again every month, and of the truth;
- estimates: the error of the estimates of quality that are made without outcomes, by month.
"""

import argparse
import datetime
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
from scipy.special import expit

from crm.arrays import Floats
from crm.project import Project, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.drift import KINDS, Drift
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.times import DAY, microseconds
from models.estimator.blend import Blend
from models.scorer import LeadScorer
from monitoring.champion import champion_moments
from monitoring.check import Verdict
from monitoring.estimated import METRICS, estimated_rows
from monitoring.look import Look, take_look
from monitoring.scored_moments import LeadOutcomes
from monitoring.truth import truth_checks
from tests.made_monitoring import PROMISE, scored_moments
from training.backtest.known_then import records_known_at
from training.train import train

START = datetime.date(2024, 1, 1)
RATES = (10, 30)  # leads a day
WEEKS = 26  # after a drift
HISTORY_DAYS = 366
SEASONS_DAYS = 731  # a season is known after it was seen twice
QUIET_RATE = 5  # leads a day
YEARS_AT_ONCE = 3  # after one training
LOOK_DAYS = 28
SECONDS: Callable[[], float] = time.process_time


@dataclass(frozen=True)
class RememberingBlend(Blend):
    """A blend that explains each row once, because the looks of a world share most rows."""

    known: dict[bytes, tuple[float, Floats]] = field(default_factory=dict, compare=False)

    def explained(self, features: Floats) -> tuple[Floats, Floats]:
        """Compute log-odds and contributions of rows that are not known yet."""
        keys = [row.tobytes() for row in features]
        new = {key: i for i, key in enumerate(keys) if key not in self.known}
        if new:
            log_odds, contributions = super().explained(features[list(new.values())])
            self.known.update(zip(new, zip(log_odds, contributions, strict=True), strict=True))
        if not keys:
            return super().explained(features)
        rows = [self.known[key] for key in keys]
        return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


class World(NamedTuple):
    """A simulated CRM with its project and the true probabilities by lead."""

    project: Project
    records: Records
    truth: pd.Series

    def at(self, day: datetime.date) -> Records:
        """Return what was known at midnight of a day."""
        return records_known_at(self.records, self.project.learn, _microseconds(day))

    def look(self, scorer: LeadScorer, day: datetime.date) -> Look:
        """Look at a model at midnight of a day."""
        return take_look(self.project, self.at(day), scorer, "1", _midnight(day))

    def train(self, day: datetime.date) -> LeadScorer:
        """Train a model at midnight of a day."""
        scorer = train(self.project, self.at(day), now=_midnight(day)).scorer
        blend = scorer.estimator
        if not isinstance(blend, Blend):
            return scorer
        remembering = RememberingBlend(blend.logistic_weight, blend.logistic, blend.trees)
        return replace(scorer, estimator=remembering)


def simulated(settings: Simulation, remedies: bool = False) -> World:
    """Simulate a CRM, and read it."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        files = simulate(settings, folder, file_format="parquet")
        project = load_project(folder)
        learn = msgspec.structs.replace(project.learn, moments_days=[0], remedies=remedies)
        project = replace(project, learn=learn)
        truth = pd.read_parquet(files["truth"]).set_index("lead_id")["true_probability"]
        return World(project, read_records(project), truth)


def world_of(days: int, per_day: int, seed: int, **more: Any) -> World:
    settings = Simulation(
        leads=days * per_day,
        activities_per_lead=2,
        seed=seed,
        start=START,
        days=days,
        drift_at=1,
        **more,
    )
    return simulated(settings)


def delays(seeds: int) -> None:
    """Print the days until each kind of drift is found."""
    trained_on = START + datetime.timedelta(days=HISTORY_DAYS)
    begins = trained_on + datetime.timedelta(days=60)
    days = HISTORY_DAYS + 60 + 7 * WEEKS + 1
    print(f"\nDays until a drift is found, of {seeds} seeds; champion trained 60 days before")
    print(f"{'drift':18}{'leads a day':>12}  first watch, by          first act, by")
    for per_day in RATES:
        champions = [world_of(days, per_day, seed).train(trained_on) for seed in range(seeds)]
        for kind in KINDS:
            firsts: dict[Verdict, list[tuple[int, list[str]]]] = {
                Verdict.WATCH: [],
                Verdict.ACT: [],
            }
            for seed, scorer in enumerate(champions):
                world = world_of(days, per_day, seed, drifts=(Drift(kind, begins),))
                before = _noticed(world.look(scorer, begins), Verdict.WATCH)
                waited_for = dict.fromkeys(firsts, True)
                for week in range(1, WEEKS + 1):
                    look = world.look(scorer, begins + datetime.timedelta(weeks=week))
                    for verdict in firsts:
                        new = _noticed(look, verdict) - before
                        if waited_for[verdict] and new:
                            firsts[verdict].append((7 * week, sorted(new)))
                            waited_for[verdict] = False
                    if not waited_for[Verdict.ACT]:
                        break
            row = [_days_and_checks(firsts[v], seeds) for v in (Verdict.WATCH, Verdict.ACT)]
            print(f"{kind:18}{per_day:>12}  {row[0]:25}{row[1]}", flush=True)


def _noticed(look: Look, least: Verdict) -> set[str]:
    return {check.number for check in look.checks if check.verdict.rank >= least.rank}


def _days_and_checks(found: list[tuple[int, list[str]]], seeds: int) -> str:
    if not found:
        return f"never in {7 * WEEKS}"
    days = ", ".join(str(days) for days, _ in found)
    missed = "" if len(found) == seeds else f", {seeds - len(found)} never"
    return f"{days}{missed} ({' '.join(sorted({n for _, names in found for n in names}))})"


class QuietWorld(NamedTuple):
    """A world without drift."""

    name: str
    history_days: int = SEASONS_DAYS
    seasonality: float = 0.0
    has_surge: bool = False


QUIET_WORLDS = (
    QuietWorld("plain"),
    QuietWorld("season", seasonality=1.0),
    QuietWorld("surge", has_surge=True),
    QuietWorld("season, 1 year known", HISTORY_DAYS, seasonality=1.0),
)


def alarms(years: int, made_years: int, names: list[str]) -> None:
    """Print how often checks say watch and act in years without drift."""
    print(
        f"\nYears without drift, {QUIET_RATE} leads a day, {years} years in each world, "
        f"{YEARS_AT_ONCE} years with each champion, a look every {LOOK_DAYS} days"
    )
    for world in QUIET_WORLDS:
        if not names or world.name in names:
            _print_alarms(world, years)
    _made_alarms(made_years)


def _print_alarms(world: QuietWorld, years: int) -> None:
    """Print the years in which each check says act, or watch at most, with the first evidence."""
    verdicts: dict[str, dict[tuple[int, int], Verdict]] = defaultdict(dict)
    first: dict[tuple[str, int], str] = {}
    n_looks = 0
    for seed, year, look in _quiet_looks(world, years):
        n_looks += 1
        for check in look.checks:
            if check.verdict.rank < Verdict.WATCH.rank:
                continue
            of_check = verdicts[check.number]
            before = of_check.get((seed, year), check.verdict)
            of_check[seed, year] = max(before, check.verdict, key=lambda v: v.rank)
            if check.verdict is Verdict.ACT:
                first.setdefault((check.number, seed), f"{look.at[:10]} {check.evidence}")
    acting = {
        at for of in verdicts.values() for at, verdict in of.items() if verdict is Verdict.ACT
    }
    noticed = {at for of_check in verdicts.values() for at in of_check}
    print(
        f"{world.name}: {n_looks:,} looks; {len(acting)} years with an act, "
        f"{len(noticed - acting)} more with a watch"
    )
    for number, of_check in sorted(verdicts.items()):
        n_act = sum(verdict is Verdict.ACT for verdict in of_check.values())
        print(f"  {number}: act in {n_act} years, watch in {len(of_check) - n_act} more")
    for (number, seed), evidence in sorted(first.items()):
        print(f"    {number}, seed {seed}, {evidence}", flush=True)


def _quiet_looks(world: QuietWorld, years: int) -> Iterator[tuple[int, int, Look]]:
    """Look at champions that stay for several years; yield the seed, the year and the look."""
    trained_on = START + datetime.timedelta(days=world.history_days)
    more: dict[str, Any] = {"seasonality": world.seasonality}
    if world.has_surge:
        more["surge_at"] = trained_on + datetime.timedelta(days=120)
    days = world.history_days + 365 * YEARS_AT_ONCE + 1
    for seed in range(100, 100 + -(-years // YEARS_AT_ONCE)):
        simulated_world = world_of(days, QUIET_RATE, seed, **more)
        scorer = simulated_world.train(trained_on)
        for day in range(LOOK_DAYS, 365 * YEARS_AT_ONCE + 1, LOOK_DAYS):
            year = day // 365
            if YEARS_AT_ONCE * (seed - 100) + year < years:
                at = trained_on + datetime.timedelta(days=day)
                yield seed, year, simulated_world.look(scorer, at)


def _made_alarms(years: int) -> None:
    """Look at moments that follow their probabilities, every four weeks of several years."""
    per_day, at_once = 5, 2
    found: Counter[str] = Counter()
    n_looks = 0
    for seed in range(years // at_once):
        scored = scored_moments(365 * at_once * per_day, per_day=per_day, seed=seed)
        for day in range(97, 365 * at_once, 28):
            known = replace(
                scored, label=np.where(scored.known_at <= day * DAY, scored.label, np.nan)
            ).take(scored.as_of <= day * DAY)
            n_looks += 1
            for check in truth_checks("LM2", known, PROMISE, "the champion"):
                if check.verdict in (Verdict.ACT, Verdict.WATCH):
                    found[f"{check.number} {check.verdict}"] += 1
    shown = ", ".join(f"{key}: {n}" for key, n in found.most_common()) or "none"
    print(f"Made-up moments, LM201 to LM203: {years} years, {n_looks:,} looks: {shown}")


def quality() -> None:
    """Print the log loss of each month after a concept drift."""
    begins = START + datetime.timedelta(days=HISTORY_DAYS + 60)
    settings = Simulation(
        leads=20 * 760,
        activities_per_lead=2,
        seed=7,
        start=START,
        days=760,
        drift_at=1,
        drifts=(Drift("concept", begins),),
    )
    world = simulated(settings, remedies=True)
    first = world.train(START + datetime.timedelta(days=HISTORY_DAYS))
    print("\nLog loss of the leads of each 30 days after a concept drift, 20 leads a day")
    print(
        f"{'days after':>10}{'leads':>7}  against the truth: {'stays':>8}{'trained':>9}{'truth':>8}"
        f"   against outcomes: {'stays':>8}{'trained':>9}"
    )
    for month in range(9):
        from_day = begins + datetime.timedelta(days=30 * month)
        again = first if month == 0 else world.train(from_day)
        _print_quality(world, from_day, (first, again), month)


def _print_quality(
    world: World, from_day: datetime.date, scorers: tuple[LeadScorer, LeadScorer], month: int
) -> None:
    created = microseconds(world.records.leads["created_at"])
    begin = _microseconds(from_day)
    lead = np.flatnonzero((created >= begin) & (created < begin + 30 * DAY))
    true = world.truth.loc[world.records.leads["lead_id"].iloc[lead]].to_numpy()
    outcomes = LeadOutcomes.of(world.records, world.project.learn)
    won = outcomes.won_at[lead] <= created[lead] + outcomes.horizon
    figures = []
    for label in (true, won.astype(np.float64)):
        for scorer in scorers:
            matrix = scorer.pipeline.transform(world.records, lead, created[lead])
            figures.append(_log_loss(label, expit(scorer.log_odds_of(matrix))))
    stays, again, stays_out, again_out = figures
    print(
        f"{30 * month:>10}{len(lead):>7}  {'':19}{stays:>8.4f}{again:>9.4f}"
        f"{_log_loss(true, true):>8.4f}   {'':18}{stays_out:>8.4f}{again_out:>9.4f}",
        flush=True,
    )


def _log_loss(label: Any, probability: Any) -> float:
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    return float(-(label * np.log(clipped) + (1 - label) * np.log1p(-clipped)).mean())


def estimates() -> None:
    """Print the mean absolute error of the estimates of months, against what came true."""
    print("\nEstimates without outcomes, by month: mean absolute error (estimated and true mean)")
    print(f"{'records':16}{'months':>7}{'ROC AUC':>24}{'log loss':>24}{'conversion':>24}")
    world = world_of(HISTORY_DAYS + 365, 20, 3)
    _print_estimates("simulated", world, START + datetime.timedelta(days=HISTORY_DAYS))
    if not os.environ.get("LEADSCORE_PUBLIC_DATA"):
        print("LEADSCORE_PUBLIC_DATA does not name the folder of the public data sets")
        return
    project = load_project(Path(__file__).parent.parent / "examples" / "bpic2012.toml")
    records = read_records(project)
    world = World(project, records, pd.Series(dtype=float))
    _print_estimates("bpic2012", world, datetime.date(2011, 12, 20))


def _print_estimates(name: str, world: World, trained_on: datetime.date) -> None:
    scorer = world.train(trained_on)
    outcomes = LeadOutcomes.of(world.records, world.project.learn)
    champion = champion_moments(scorer, "1", world.records, world.project.learn, outcomes)
    rows = [row for row in estimated_rows(champion.moments) if row["roc_auc_true"] is not None]
    cells = []
    for metric in (*METRICS, "won"):
        stated = np.array([row[metric] for row in rows])
        true = np.array([row[f"{metric}_true"] for row in rows])
        error = np.abs(stated - true).mean()
        cells.append(f"{error:>8.3f} ({stated.mean():.3f}, {true.mean():.3f})")
    print(f"{name:16}{len(rows):>7}{''.join(f'{cell:>24}' for cell in cells)}", flush=True)


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)


def _microseconds(day: datetime.date) -> int:
    return int(_midnight(day).timestamp()) * 1_000_000


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["delay", "alarms", "quality", "estimates"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--years", type=int, default=12)
    parser.add_argument("--made-years", type=int, default=100)
    parser.add_argument("--world", action="append", choices=[w.name for w in QUIET_WORLDS])
    options = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "delay": lambda: delays(options.seeds),
        "alarms": lambda: alarms(options.years, options.made_years, options.world or []),
        "quality": quality,
        "estimates": estimates,
    }
    for name, run in parts.items():
        if options.part in (None, name):
            begun = SECONDS()
            run()
            print(f"{name}: {SECONDS() - begun:.0f} CPU seconds", flush=True)


if __name__ == "__main__":
    main()
