"""Leads that are drawn by known rules, to audit for leaks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from crm.arrays import Bools, Floats
from crm.formats.columns import column_formats
from crm.project import ColumnsKeys, LearnKeys, Project, TableKeys, load_project
from crm.reading import read_records
from crm.records import Records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from crm.times import TIME_DTYPE
from features.leaks.audit import AttributeAudit, Audit, audit
from features.leaks.check import Verdict
from features.moments import Moments, make_moments

START = pd.Timestamp("2024-01-01", tz="UTC")


class MadeUpLeads:
    """Leads with outcomes and two honest attributes. A test audits an attribute of its own.

    Parameters
    ----------
    n : int
        The number of leads.
    base : float
        The share of wins.
    timed : bool
        Whether leads have a creation, and a closing 5 to 60 days later.
    still_open : float
        The share of open leads.
    in_order : bool
        Whether the rows are in the order of time.
    """

    observed_days = 800.0  # from the first creation to the export

    def __init__(
        self,
        n: int = 2_000,
        base: float = 0.3,
        seed: int = 0,
        *,
        timed: bool = False,
        still_open: float = 0.0,
        in_order: bool = True,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.n, self.in_order, self.timed = n, in_order, timed
        self.won: Bools = self.rng.random(n) < base
        self.is_open: Bools = self.rng.random(n) < still_open
        self.won &= ~self.is_open
        self.lead_id = np.array([f"L{i}" for i in range(n)], dtype=object)
        self.leads = pd.DataFrame({"lead_id": self.lead_id})
        self.columns: dict[str, Any] = {}  # of the project
        if timed:
            self.created = START + pd.to_timedelta(np.arange(n) * 700 / n, unit="D")
            self.closed = self.created + pd.to_timedelta(self.rng.uniform(5, 60, n), unit="D")
            self.leads["created_at"] = self.created.astype(TIME_DTYPE)
        self.leads["visits"] = self.rng.poisson(3 + self.won)
        self.leads["source"] = self.pick(["web", "fair", "partner"], np.ones(n, dtype=bool))

    def pick(self, values: Any, is_filled: Bools) -> Any:
        """Draw one of the values for each lead that has the column filled."""
        drawn = self.rng.choice(np.array(list(values), dtype=object), self.n)
        drawn[~is_filled] = None
        return drawn

    def draw(self, if_won: float, if_lost: float, if_open: float = 0.0) -> Bools:
        """Draw which leads have a property, with a chance for each outcome."""
        chance = np.where(self.is_open, if_open, np.where(self.won, if_won, if_lost))
        return np.asarray(self.rng.random(self.n) < chance)

    def words(self, if_won: float, if_lost: float, if_open: float = 0.0) -> Any:
        """Draw a column of two words that is filled with a chance for each outcome."""
        return self.pick("xy", self.draw(if_won, if_lost, if_open))

    def numbers_of_auc(self, auc: float) -> Floats:
        """Draw numbers that rank this share of pairs correctly."""
        return self.rng.normal(self.won * np.sqrt(2) * norm.ppf(auc))

    def records(self, column: Any = None, name: str = "field") -> Records:
        """Return the records, with a further attribute if it is given."""
        leads = self.leads if column is None else self.leads.assign(**{name: column})
        closed = self.closed if self.timed else None
        outcomes = pd.DataFrame(
            {
                "lead_id": self.lead_id,
                "outcome": np.where(self.won, "won", "lost"),
                "closed_at": pd.Series(closed, index=range(self.n), dtype=TIME_DTYPE),
            }
        )[~self.is_open]
        until = START + pd.Timedelta(days=self.observed_days) if self.timed else None
        columns = [name for name in leads.columns if name not in ("lead_id", "created_at")]
        recognised = column_formats(leads, columns, declared={})
        return Records(
            leads,
            outcomes,
            observed_until=until,
            in_order=self.in_order,
            formats={name: form.notation for name, form in recognised.items() if form.notation},
        )

    def audit(self, column: Any = None, name: str = "field") -> Audit:
        """Audit all attributes, with a further one if it is given."""
        records = self.records(column, name)
        project = Project(
            Path("leadscore.toml"),
            "",
            "acme",
            False,
            TableKeys(source="leads.csv"),
            None,
            None,
            None,
            LearnKeys(won=["won"]),
            ColumnsKeys(**self.columns),
        )
        return audit(records, make_moments(records, project.learn), project)

    def audit_column(self, column: Any, name: str = "field") -> AttributeAudit:
        """Audit one further attribute, and check that the honest attributes are fine."""
        result = self.audit(column, name)
        assert alarms(result) <= {name}
        return next(audited for audited in result.attributes if audited.attribute == name)


def alarms(result: Audit) -> set[str]:
    """Return the attributes that are not fine."""
    return {
        audited.attribute for audited in result.attributes if audited.verdict is not Verdict.FINE
    }


def verdicts(audited: AttributeAudit) -> dict[str, Verdict]:
    """Return the verdict of each check that found something."""
    return {finding.number: finding.verdict for finding in audited.findings}


def simulate_crm(
    folder: Path, mode: str, seed: int, n_leads: int
) -> tuple[Records, Moments, Project]:
    """Simulate a CRM whose attribute `contract_type` leaks.

    Parameters
    ----------
    mode : str
        "times" keeps the times of leads; "rows" drops them and declares that rows are in order;
        "none" drops them.
    """
    simulate(Simulation(leads=n_leads, activities_per_lead=1, seed=seed), folder)
    file = folder / "leadscore.toml"
    text = file.read_text().replace('known_later = ["contract_type"]', "")
    if mode != "times":
        leads = pd.read_csv(folder / "leads.csv", dtype=str).sort_values("created_at")
        outcomes = pd.read_csv(folder / "outcomes.csv", dtype=str)[["lead_id", "outcome"]]
        leads = leads.merge(outcomes, how="left", on="lead_id").drop(columns="created_at")
        leads.to_csv(folder / "leads.csv", index=False)
        order = 'order = "rows"' if mode == "rows" else ""
        text = (
            '[project]\nname = "demo"\n[leads]\nsource = "leads.csv"\nlead_id = "lead_id"\n'
            f'outcome = "outcome"\n{order}\n[learn]\nwon = ["won"]\nlost = ["lost"]\n'
            + text[text.index("[columns]") :]
        )
    file.write_text(text)
    project = load_project(folder)
    records = read_records(project)
    return records, make_moments(records, project.learn), project
