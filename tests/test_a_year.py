"""Two years with the service, the ledger and `leadscore retrain`: one with drift, one without.

A year is lived day by day (`tests.made_year`): leads are scored over ASGI, activities, stages and
outcomes are sent, and every `LOOK_DAYS` a retraining looks, decides, trains, judges and promotes.
"""

import datetime
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from scipy.special import expit

from commands.retrain import Result
from crm.arrays import Floats
from crm.project import load_project
from crm.reading import read_records
from crm.simulation.drift import Drift
from crm.simulation.world import Simulation
from crm.times import microseconds
from models.registry.history import history
from models.scorer import LeadScorer
from monitoring.champion import learned_until
from tests.made_year import Company

BEGINS: Final = datetime.date(2024, 1, 1)
HISTORY_DAYS, YEAR_DAYS, LEADS_A_DAY, LOOK_DAYS = 366, 365, 20, 14
QUIET_LOOK_DAYS: Final = 28
# By the checks too, there would be a training after most looks, which takes too long for a test.
POLICY: Final = 'every_days = 95\nwhen = "schedule"\n'
# From the delay of closings on, the truth changes faster than outcomes can show.
DELAYED_FROM: Final = (
    int(datetime.datetime(2025, 10, 15, tzinfo=datetime.UTC).timestamp()) * 1_000_000
)
FEWEST_NEW: Final = 500
CLOSE_TO_TRUTH: Final = 0.032  # measured: 0.029; the first model: 0.034


@dataclass(frozen=True)
class Expected:
    """A drift, the checks of which one has to say act, and the most days until it does.

    Looks are `LOOK_DAYS` apart. `most_days` is the measured time and one look more.
    """

    drift: Drift
    checks: tuple[str, ...]
    most_days: int


EXPECTED: Final = (
    Expected(Drift("concept", "2025-03-01"), ("LM101", "LM201", "LM204"), 136),
    Expected(Drift("covariate", "2025-05-01"), ("LM303",), 47),
    Expected(Drift("broken_feed", "2025-07-01"), ("LM305",), 28),
    Expected(Drift("dropped_column", "2025-08-01"), ("LM301",), 25),
    Expected(Drift("renamed_category", "2025-09-01"), ("LM302",), 22),
    Expected(Drift("label_delay", "2025-10-15", 2.0), ("LM306",), 62),
)


@pytest.fixture
def folder(tmp_path: Path, empty_mlflow: Path) -> Path:
    """Return the folder of a company, with an empty MLflow database."""
    shutil.copy(empty_mlflow, tmp_path)
    return tmp_path


def simulation(**world: Any) -> Simulation:
    n_days = HISTORY_DAYS + YEAR_DAYS
    return Simulation(
        leads=LEADS_A_DAY * n_days,
        activities_per_lead=2,
        seed=11,
        start=BEGINS,
        days=n_days,
        drift_at=1,
        **world,
    )


def live(company: Company, look_days: int) -> None:
    """Train on the history, and live a year with a retraining every `look_days`."""
    company.begin(HISTORY_DAYS)
    for number, _ in enumerate(company.live(YEAR_DAYS), start=1):
        if number % look_days == 0:
            company.retrain()


def acting(result: Result) -> set[str]:
    """Return the numbers of the checks that say act."""
    checks = result.look["checks"] if result.look else []
    return {check["number"] for check in checks if check["verdict"] == "act"}


def days_until_found(company: Company, expected: Expected) -> int | None:
    """Return the days from a drift to the first look in which its check says act."""
    begins = expected.drift.begins_at.date()
    for day, result in company.results:
        if day >= begins and acting(result) & set(expected.checks):
            return (day - begins).days
    return None


def excess_log_loss(company: Company, scorers: Sequence[LeadScorer], since: int) -> list[float]:
    """Return by how much each log loss is above that of the truth, for leads created since."""
    records = read_records(load_project(company.folder), company.clock())
    created = microseconds(records.leads["created_at"])
    lead = np.flatnonzero((created > since) & (created < DELAYED_FROM))
    assert len(lead) > FEWEST_NEW
    truth = company.truth_of(records.leads["lead_id"].iloc[lead].astype(str).tolist())

    def log_loss(probability: Floats) -> float:
        logs = truth * np.log(probability) + (1 - truth) * np.log1p(-probability)
        return float(-logs.mean())

    matrices = [scorer.pipeline.transform(records, lead, created[lead]) for scorer in scorers]
    losses = [
        log_loss(expit(scorer.log_odds_of(matrix)))
        for scorer, matrix in zip(scorers, matrices, strict=True)
    ]
    return [loss - log_loss(truth) for loss in losses]


def test_year_with_drift(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = simulation(drifts=tuple(expected.drift for expected in EXPECTED))
    with Company(folder, settings, POLICY, monkeypatch) as company:
        live(company, LOOK_DAYS)

        # Nothing is found before it happens, and each kind of drift is found in time.
        first_drift = EXPECTED[0].drift.begins_at.date()
        assert [acting(result) for day, result in company.results if day < first_drift] == [
            set()
        ] * sum(day < first_drift for day, _ in company.results)
        found = {str(e.drift): days_until_found(company, e) for e in EXPECTED}
        late = {
            str(e.drift): found[str(e.drift)]
            for e in EXPECTED
            if (days := found[str(e.drift)]) is None or days > e.most_days
        }
        assert not late, found
        for expected in EXPECTED:
            begins = expected.drift.begins_at.date()
            before = [acting(result) for day, result in company.results if day < begins]
            assert not set().union(*before) & set(expected.checks), str(expected.drift)

        # The champion was promoted by gates, answers, and is the better one.
        registry = company.registry
        champion, version = registry.load_champion()
        assert company.app.model is not None
        assert company.app.model.version == version
        promotions = {e.version: e for e in history(registry) if e.what == "promoted"}
        assert not promotions[version].failed
        assert not promotions[version].forced
        first = registry.load("1").scorer
        since = learned_until(champion.scorer)
        of_champion, of_first = excess_log_loss(company, [champion.scorer, first], since)
        assert of_champion < of_first
        assert of_champion < CLOSE_TO_TRUTH


def test_year_without_drift(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With seasonality=1.0 half as many leads win in autumn as in spring. A model that has seen one
    # year does not know this, so its chances are wrong then, and the checks say so.
    settings = simulation(seasonality=0.3)
    with Company(folder, settings, POLICY, monkeypatch) as company:
        live(company, QUIET_LOOK_DAYS)
        assert {str(day): sorted(acting(result)) for day, result in company.results} == {
            str(day): [] for day, _ in company.results
        }
        assert company.app.model is not None
        assert company.app.model.version == company.registry.find_champion()
