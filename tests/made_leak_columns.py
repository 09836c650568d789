"""Columns of a made-up CRM that are honest or leak, to count false alarms and missed leaks.

Each column is drawn by the rule that its name describes. The names that the audit sees say nothing,
so that only the data are judged; names are judged in `tests/test_features_leaks_checks_names.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from crm.arrays import Bools, Floats
from crm.times import TIME_DTYPE
from tests.made_leaks import START, MadeUpLeads

DAYS = 700.0  # from the first creation to the export
WORLDS = ("times", "rare wins", "no closing times", "rows")


class WorkedLeads(MadeUpLeads):
    """Leads that are worked on until they are closed, and an export that finds the newest open.

    Leads come through three channels that convert differently well. The share of wins rises.

    Parameters
    ----------
    world : str
        "times" has times of creation and of closing; "rare wins" has them too, and few wins; "no
        closing times" lacks those of closing; "rows" has leads in the order of time, without
        times, and calls open leads lost.
    """

    observed_days = DAYS

    def __init__(self, world: str, seed: int, n: int = 3_000) -> None:
        base = 0.06 if world == "rare wins" else 0.3
        super().__init__(n=n, base=base, seed=seed, timed=world != "rows")
        rng = self.rng
        self.world = world
        self.day = np.sort(DAYS * np.sqrt(rng.random(n)))  # the number of leads grows
        self.channel = rng.choice(["web", "fair", "partner"], n, p=[0.5, 0.2, 0.3])
        odds = base / (1 - base) * np.exp(0.8 * (self.day / DAYS - 0.5))
        odds *= pd.Series(self.channel).map({"web": 0.6, "fair": 1.2, "partner": 2.0}).to_numpy()
        will_win = rng.random(n) < odds / (1 + odds)
        self.life: Floats = rng.lognormal(
            np.where(will_win, 3.4, 3.0), 0.8, n
        )  # about 20 to 30 days
        self.age: Floats = DAYS - self.day  # at the export
        self.is_open = self.life > self.age
        self.won = will_win & ~self.is_open
        self.leads = pd.DataFrame({"lead_id": self.lead_id})
        if self.timed:
            self.created = START + pd.to_timedelta(self.day, unit="D")
            self.closed = self.created + pd.to_timedelta(self.life, unit="D")
            self.leads["created_at"] = self.created.astype(TIME_DTYPE)
        self.leads["visits"] = rng.poisson(3 + self.won)
        self.leads["channel"] = self.channel

    def records(self, column: Any = None, name: str = "field") -> Any:
        """Return the records, as the world has them."""
        is_open = self.is_open
        if self.world == "rows":
            self.is_open = np.zeros(self.n, dtype=bool)
        records = super().records(column, name)
        self.is_open = is_open
        if self.world == "no closing times":
            records.outcomes["closed_at"] = pd.Series(
                pd.NaT, index=records.outcomes.index, dtype=TIME_DTYPE
            )
        return records

    def from_day(self, first: float, last: float = DAYS) -> Bools:
        """Return which leads were created between two days."""
        return np.asarray((self.day >= first) & (self.day < last))

    def chance(self, chance: Any) -> Bools:
        """Draw which leads have a property."""
        return np.asarray(self.rng.random(self.n) < chance)

    def rising(self, first: float, last: float) -> Floats:
        """Return a share that rises from 0 to 1 between two days."""
        return np.clip((self.day - first) / (last - first), 0, 1)

    def worked_until(self) -> Floats:
        """Return the days from the creation to the closing, or to the export."""
        return np.minimum(self.life, self.age)


Draw = Callable[[WorkedLeads], Any]


def _filled(rule: Callable[[WorkedLeads], Bools]) -> Draw:
    return lambda leads: leads.pick("xyz", rule(leads))


def _waves(leads: WorkedLeads) -> Bools:
    return np.asarray((leads.day // 100 % 2 == 0) & leads.chance(0.95))


def _from_partners(leads: WorkedLeads) -> Bools:
    return np.asarray(leads.channel == "partner")


HONEST: dict[str, Draw] = {
    # A question that a form began or ceased to ask on some day.
    "began early": _filled(lambda leads: leads.from_day(150)),
    "began late": _filled(lambda leads: leads.from_day(640)),
    "ceased early": _filled(lambda leads: ~leads.from_day(200)),
    "ceased": _filled(lambda leads: ~leads.from_day(420)),
    "ceased late": _filled(lambda leads: ~leads.from_day(620)),
    "ceased just before the export": _filled(lambda leads: ~leads.from_day(670)),
    "ceased, and was optional": _filled(lambda leads: ~leads.from_day(420) & leads.chance(0.7)),
    "ceased late, and was optional": _filled(
        lambda leads: ~leads.from_day(640) & leads.chance(0.7)
    ),
    "asked for some months": _filled(lambda leads: leads.from_day(250, 430)),
    "not asked for some months": _filled(lambda leads: ~leads.from_day(250, 430)),
    "asked in waves": _filled(_waves),
    # A question that fewer forms asked step by step, or more.
    "ceased in steps": _filled(
        lambda leads: leads.chance(np.select([leads.day < 250, leads.day < 450], [0.95, 0.5], 0.02))
    ),
    "began in steps": _filled(
        lambda leads: leads.chance(np.select([leads.day < 250, leads.day < 450], [0.0, 0.5], 0.98))
    ),
    "ceased gradually": _filled(lambda leads: leads.chance(1 - leads.rising(150, 600))),
    "ceased gradually at the end": _filled(lambda leads: leads.chance(1 - leads.rising(550, 700))),
    "began gradually": _filled(lambda leads: leads.chance(leads.rising(100, 650))),
    "began and ceased gradually": _filled(
        lambda leads: leads.chance(leads.rising(100, 350) * (1 - leads.rising(350, 600)))
    ),
    # Several forms: that of partners, whose leads are won more often, asked something else.
    "ceased, on one form": _filled(lambda leads: ~leads.from_day(420) & (leads.channel == "web")),
    "ceased, on the form of partners": _filled(
        lambda leads: ~leads.from_day(500) & _from_partners(leads)
    ),
    "ceased first on the web": _filled(
        lambda leads: leads.day < np.where(leads.channel == "web", 250, 550)
    ),
    "ceased first for partners": _filled(
        lambda leads: leads.day < np.where(_from_partners(leads), 250, 550)
    ),
    "began on the web, went on elsewhere": _filled(
        lambda leads: np.where(leads.channel == "web", leads.from_day(200), leads.from_day(500))
    ),
    "moved from the web to partners": _filled(
        lambda leads: np.where(_from_partners(leads), leads.from_day(400), ~leads.from_day(400))
    ),
    "ceased gradually, first on the web": _filled(
        lambda leads: leads.chance(
            1 - np.where(leads.channel == "web", leads.rising(100, 400), leads.rising(400, 650))
        )
    ),
    # Values that changed on some day, in a column that is always filled.
    "source renamed": lambda leads: np.where(
        leads.from_day(350), leads.channel, np.char.upper(leads.channel.astype(str)) + " old"
    ),
    "source renamed just before the export": lambda leads: np.where(
        leads.from_day(650), leads.channel, np.char.upper(leads.channel.astype(str)) + " old"
    ),
    "sources split in two": lambda leads: np.where(
        leads.from_day(450) & leads.chance(0.5),
        np.char.add(leads.channel.astype(str), " 2"),
        leads.channel,
    ),
    "number asked until some day": lambda leads: np.where(
        leads.from_day(420), np.nan, leads.rng.lognormal(3, 1, leads.n).round()
    ),
    # Numbers near amounts of time that are known in time.
    "company age in days": lambda leads: leads.rng.integers(30, 9_000, leads.n),
    "contract length wanted": lambda leads: leads.rng.choice([30, 60, 90, 365], leads.n),
    "serial number": lambda leads: np.arange(leads.n) + 1_000,
    "days to the end of the campaign": lambda leads: (DAYS + 200 - leads.day).round(),
    "days to the end of the quarter": lambda leads: (90 - leads.day % 90).round(),
    "size, which slows deals down": lambda leads: (
        leads.life**0.4 * leads.rng.lognormal(2, 0.5, leads.n)
    ).round(),
    "visits before": lambda leads: leads.rng.poisson(3, leads.n),
    "minutes on the first visit": lambda leads: leads.rng.exponential(5, leads.n).round(1),
}


def _closed(leads: WorkedLeads, share: float = 0.95) -> Bools:
    return ~leads.is_open & leads.chance(share)


def _after(leads: WorkedLeads, days: float) -> Bools:
    """Return which leads are closed, or open and older than some days."""
    return np.asarray(~leads.is_open | (leads.age > days))


FILLED_LATE: dict[str, Draw] = {
    # Filled on winning, or more often then, also if this began or ceased on some day.
    "filled on winning": _filled(lambda leads: leads.won & leads.chance(0.9)),
    "filled on winning, and at times by mistake": _filled(
        lambda leads: leads.chance(np.where(leads.won, 0.9, 0.02))
    ),
    "filled on winning, since some day": _filled(
        lambda leads: leads.won & leads.from_day(300) & leads.chance(0.95)
    ),
    "filled on winning, until some day": _filled(
        lambda leads: leads.won & ~leads.from_day(400) & leads.chance(0.95)
    ),
    "filled in talks": _filled(lambda leads: leads.chance(np.where(leads.won, 0.85, 0.35))),
    "filled in talks, until some day": _filled(
        lambda leads: leads.chance(np.where(leads.won, 0.95, 0.45)) & ~leads.from_day(450)
    ),
    "filled in talks that young leads have not had": _filled(
        lambda leads: leads.chance(np.where(leads.won, 0.9, 0.4) * (1 - leads.rising(500, 690)))
    ),
    "filled in talks, gradually by more people": _filled(
        lambda leads: leads.chance(np.where(leads.won, 0.95, 0.35) * leads.rising(0, 500))
    ),
}
FILLED_AT_CLOSING: dict[str, Draw] = {
    # Filled on closing, for won and lost leads alike.
    "filled on closing": _filled(_closed),
    "filled on closing, since some day": _filled(
        lambda leads: _closed(leads) & (leads.day + leads.life > 350)
    ),
    "filled on closing, until some day": _filled(
        lambda leads: _closed(leads) & (leads.day + leads.life < 500)
    ),
    "filled within weeks, for half of the closed leads more": _filled(
        lambda leads: leads.chance(np.where(leads.is_open, 0.3, 0.95))
    ),
    "emptied on closing": _filled(lambda leads: leads.is_open & leads.chance(0.95)),
}


def _units(leads: WorkedLeads, days: Floats, per_day: float) -> Floats:
    return np.asarray((days * per_day).round())


DURATIONS: dict[str, Draw] = {
    # How long the lead was worked on, in several units and with several kinds of noise.
    "days to closing, or to the export": lambda leads: leads.worked_until().round(),
    "days to closing": lambda leads: np.where(leads.is_open, np.nan, leads.life.round()),
    "hours to closing, or to the export": lambda leads: _units(leads, leads.worked_until(), 24),
    "minutes to closing": lambda leads: np.where(
        leads.is_open, np.nan, _units(leads, leads.life, 1440)
    ),
    "weeks to closing, or to the export": lambda leads: _units(leads, leads.worked_until(), 1 / 7),
    "working days to closing, or to the export": lambda leads: _units(
        leads, leads.worked_until(), 5 / 7
    ),
    "days to the last change": lambda leads: np.minimum(
        leads.worked_until() + leads.rng.exponential(3, leads.n), leads.age
    ).round(),
    "days to the last activity": lambda leads: (
        leads.worked_until() * leads.rng.uniform(0.7, 1, leads.n)
    ).round(),
    "days to closing, for a third of the leads": lambda leads: np.where(
        leads.chance(0.33), leads.worked_until().round(), np.nan
    ),
    "days to closing, sometimes wrong": lambda leads: np.where(
        leads.chance(0.85), leads.worked_until(), leads.rng.uniform(0, 300, leads.n)
    ).round(),
    "a text with the days to closing": lambda leads: np.array(
        [f"{days:.0f} days" for days in leads.worked_until()], dtype=object
    ),
    "a text with days and hours to closing": lambda leads: np.array(
        [str(pd.Timedelta(round(hours), unit="h")) for hours in leads.worked_until() * 24],
        dtype=object,
    ),
}
AGES: dict[str, Draw] = {
    # How old the lead is at the export, closed or open.
    "days since the creation": lambda leads: leads.age.round(),
    "hours since the creation": lambda leads: _units(leads, leads.age, 24),
    "months since the creation": lambda leads: _units(leads, leads.age, 12 / 365.25),
    "days since the creation, for open leads": lambda leads: np.where(
        leads.is_open, leads.age.round(), np.nan
    ),
}


def leaks_of(world: str) -> dict[str, Draw]:
    """Return the columns that leak and that the data of a world can show.

    Without times, an open lead counts as lost, so a column that is filled on closing for won and
    lost leads alike looks like one that a form ceased to ask, and a duration like any number.
    Without times of closing, a field that is no longer filled on closing looks the same.
    """
    if world == "rows":
        return FILLED_LATE
    if world == "no closing times":
        at_closing = {
            name: draw
            for name, draw in FILLED_AT_CLOSING.items()
            if name != "filled on closing, until some day"
        }
        return FILLED_LATE | at_closing | DURATIONS | AGES
    return FILLED_LATE | FILLED_AT_CLOSING | DURATIONS | AGES
