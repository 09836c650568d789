"""A company that lives with leadscore: a CRM, the service, the ledger, and a retraining at times.

The CRM is simulated, so what changes, when, and the true probabilities are known. Everything else
is real: `ScoringApp` answers over ASGI, a ledger on SQLite stores what is sent, `retrain_once` runs
on it, and the service takes over the champion from BentoML's store.
"""

import asyncio
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import httpx
import numpy as np
import pandas as pd
import pytest

from commands.retrain import Result, retrain_once
from crm.arrays import Floats
from crm.ledger.ledger import Ledger
from crm.project import Project, load_project
from crm.simulation.days import SimulatedDay, days
from crm.simulation.drift import Drift
from crm.simulation.fate import on_time_share
from crm.simulation.world import HORIZON_DAYS as SIMULATED_DAYS
from crm.simulation.world import Simulation
from models.registry.registry import Registry
from serving.app import ScoringApp
from serving.bento.store import load_from_store, named_champion
from serving.bento.takeover import TakeOver
from serving.served_model import ServedModel
from serving.settings import Settings
from tests.made_calls import written
from tests.made_service import LOCAL

HORIZON_DAYS = 60
LAST_SECOND = datetime.time(23, 59, 59)
PROJECT = f"""\
[project]
name = "demo"
simulated = true
[ledger]
url = "sqlite:///ledger.db"
[leads]
source = "leads.csv"
lead_id = "lead_id"
created_at = "created_at"
[activities]
source = "activities.csv"
lead_id = "lead_id"
type = "type"
occurred_at = "occurred_at"
activity_id = "activity_id"
content = "content"
channel = "channel"
value = "value"
[stages]
source = "stages.csv"
lead_id = "lead_id"
stage = "stage"
entered_at = "entered_at"
[outcomes]
source = "outcomes.csv"
lead_id = "lead_id"
outcome = "outcome"
closed_at = "closed_at"
amount = "amount"
reason = "reason"
[learn]
won = ["won"]
lost = ["lost"]
horizon_days = {HORIZON_DAYS}
remedies = false
test_share = 0.1
[learn.trees]
learning_rate = 0.2
num_leaves = 4
[columns]
nothing = ["unknown", "-", "Select"]
ignore = ["email", "company_name"]
known_later = ["contract_type"]
sensitive = ["age_band"]
[retrain]
"""


class Clock:
    """The clock of the service and of the retraining."""

    def __init__(self) -> None:
        self.at = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.at

    def now(self, zone: datetime.tzinfo) -> datetime.datetime:
        """Return the time as `datetime.datetime.now` does."""
        return self.at.astimezone(zone)


@dataclass
class Company:
    """Lives day by day.

    Parameters
    ----------
    folder : Path
        Gets the project, the ledger, and MLflow's database.
    settings : Simulation
        The CRM.
    policy : str
        The keys of `[retrain]`.
    patch : MonkeyPatch
        Moves the clock of the service, and replaces the report, which has tests of its own.

    Attributes
    ----------
    results : list of (date, Result)
        The retrainings so far, with the last day that each of them knew.
    scores : list of dict
        The first score of each lead, as the service answered.
    truth, created : dict
        The true probability of each lead, for the horizon of the simulator, and its day.
    """

    folder: Path
    settings: Simulation
    policy: str
    patch: pytest.MonkeyPatch
    results: list[tuple[datetime.date, Result]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    truth: dict[str, float] = field(default_factory=dict)
    created: dict[str, datetime.date] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "leadscore.toml").write_text(PROJECT + self.policy, encoding="utf-8")
        self.patch.setenv("BENTOML_HOME", str(self.folder / "bentoml"))
        (self.folder / "bentoml").mkdir()
        self.clock = Clock()
        clock_of_service = SimpleNamespace(datetime=self.clock, UTC=datetime.UTC)
        self.patch.setattr("serving.app.datetime", clock_of_service)
        self.patch.setattr("commands.report.make_report", _no_report)
        self.app = ScoringApp(Settings())
        self.app.calls.use_ledger(Ledger("sqlite:///ledger.db", self.folder))
        self.days = days(self.settings)
        self.registry = Registry(load_project(self.folder))
        self.counts: list[str] = []
        self.takeover = TakeOver(
            lambda: named_champion(self.registry.service_name),
            load_from_store,
            self._answer_with,
            "",
            self.counts.append,
        )

    def __enter__(self) -> Self:
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=self.app)
        self.client = httpx.AsyncClient(transport=transport, base_url=LOCAL)
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()
        self.app.calls.close()

    def begin(self, n_days: int) -> None:
        """Export the first days to files, before there is a service, and train the first model."""
        history = [self._next_day() for _ in range(n_days)]
        leads = {
            lead["lead_id"]: {"lead_id": lead["lead_id"], "created_at": lead["created_at"]}
            | lead["attributes"]
            for day in history
            for lead in [*day.new_leads, *day.changed_leads]
        }
        tables = {"leads": list(leads.values())} | {
            name: [row for day in history for row in getattr(day, name)]
            for name in ("activities", "stages", "outcomes")
        }
        for name, rows in tables.items():
            pd.DataFrame(rows).to_csv(self.folder / f"{name}.csv", index=False)
        self.retrain()

    def retrain(self) -> Result:
        """Retrain once at the end of the day, and let the service take over a new champion."""
        written(self.app.calls)
        result = retrain_once(load_project(self.folder), quiet=True, clock=self.clock)
        self.results.append((self.clock.at.date(), result))
        self.runner.run(self.takeover.check())
        assert self.takeover.fault is None
        return result

    def live(self, n_days: int) -> Iterator[datetime.date]:
        """Yield each day after the service has received what the CRM sends on it."""
        for _ in range(n_days):
            day = self._next_day()
            self._post("activities", day.activities)
            self._post("stages", day.stages)
            if day.new_leads:
                self.scores += self._post("score", day.new_leads)["scores"]
            self._post("outcomes", day.outcomes)
            self._post("score", day.changed_leads)
            yield day.day

    def truth_of(self, lead_ids: Sequence[str]) -> Floats:
        """Return the true probabilities of a win within `HORIZON_DAYS`, shape (n,).

        A win within the simulator's 90 days comes within 60 of them with the probability with which
        it stays within 90 days if closings take 90 / 60 times as long.
        """
        slower = Drift("label_delay", "2024-01-01", SIMULATED_DAYS / HORIZON_DAYS - 1)
        within = float(on_time_share(Simulation(drifts=(slower,)), np.array([2**31]))[0])
        return within * np.array([self.truth[lead_id] for lead_id in lead_ids])

    def _next_day(self) -> SimulatedDay:
        day = next(self.days)
        self.clock.at = datetime.datetime.combine(day.day, LAST_SECOND, tzinfo=datetime.UTC)
        self.truth |= day.truth
        self.created |= dict.fromkeys(day.truth, day.day)
        return day

    def _post(self, call: str, rows: list[dict[str, Any]]) -> Any:
        if not rows:
            return None
        name = "leads" if call == "score" else call
        answer = self.runner.run(self.client.post(f"/{call}", json={name: rows}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _answer_with(self, model: ServedModel) -> None:
        self.app.model = model


def _no_report(project: Project, folder: Path, **_: Any) -> tuple[dict[str, Any], None]:
    return {"folder": folder}, None
