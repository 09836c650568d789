"""A simulated B2B CRM with a known truth, for the demo, the tests and the benchmarks.

Nothing here is real: no company, no person, no result. Every table is drawn from the
effects written below, so a model can be held against the probability it tries to find.

The truth is exact. `true_probability` is a logistic function of what the leads table
records at creation (a missing value has its own effect) and of the date. Whether a lead
is won within 90 days is drawn from it first. Engagement, activities, stages and closing
times are then drawn given that outcome, all but two after creation: the stage `new`, and
rare earlier page views, which depend on no outcome. So at creation nothing says more than
`true_probability`, while everything that happens later says more and more.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from crm.errors import ConfigError

HORIZON_DAYS = 90
_MARK = "SIMULATED by leadscore: no company, person or result in this folder is real."
_DAY = 86_400
_CHUNK_LEADS, _CHUNK_ACTIVITIES = 20_000, 200_000  # what is in memory at a time
_LIMITS: dict[str, tuple[Any, float, float]] = {
    "leads": (Integral, 500, 50_000_000),
    "activities_per_lead": (Real, 1, 400),
    "seed": (Integral, 0, 2**63),
    "days": (Integral, 120, 10_000),
    "drift_at": (Real, 0, 1),
}
_TABLES = ("leads", "activities", "stages", "outcomes", "truth")
_TIME = pa.timestamp("s", tz="UTC")
Arrays = dict[str, NDArray[Any]]


class _Choice:
    """Values that are drawn by weight and move the log-odds; None is a missing value."""

    def __init__(self, table: Mapping[Any, tuple[float, float]]) -> None:
        self.names = list(table)
        weights, effects = np.array(list(table.values())).T
        self.shares, self.effects = weights / weights.sum(), effects

    def draw(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        return rng.choice(len(self.names), size, p=self.shares)


# The world: value: (weight, effect on the log-odds of a win within 90 days).
_INTERCEPT = -3.15
_CHOICES = {
    "source": _Choice({
        "Webinar": (14, 0.5), "Organic search": (20, 0.2), "Paid search": (18, 0.5),
        "Referral": (8, 1.1), "Partner": (8, 0.8), "Trade fair": (9, 0.1),
        "Cold list": (11, -1.2), "Content download": (12, -0.5),
    }),
    "industry": _Choice({
        "Manufacturing": (20, 0.8), "Software": (14, 0.6), "Retail": (12, -0.4),
        "Healthcare": (10, 0.1), "Finance": (9, 0.3), "Logistics": (9, 0.2),
        "Construction": (8, -0.3), "Education": (6, -0.9), "Energy": (6, 0.5),
        "Public sector": (6, -0.8), None: (0, -0.5),
    }),
    "country": _Choice({
        "DE": (40, 0.1), "AT": (10, 0.2), "CH": (10, 0.3), "FR": (10, -0.2),
        "NL": (8, 0.0), "GB": (8, -0.1), "PL": (7, -0.2), "US": (7, -0.5),
    }),
    "preferred_channel": _Choice({
        "email": (50, 0.0), "phone": (18, 0.4), "none": (14, -0.5), None: (18, -0.1),
    }),
    "email_opt_in": _Choice({"yes": (52, 0.25), "no": (28, -0.35), None: (20, 0.0)}),
    "phone_opt_in": _Choice({"yes": (22, 0.5), "no": (48, -0.15), None: (30, 0.0)}),
}  # fmt: skip
_REGIONS = ["North", "Middle", "South"]
# A job title is a level of a function: 12 x 25 titles.
_LEVELS = _Choice({
    "Director {}": (5, 0.8), "VP {}": (3, 0.8), "Head of {}": (12, 0.9),
    "Senior Manager {}": (8, 0.6), "Manager {}": (16, 0.4), "Team Lead {}": (12, 0.2),
    "{} Specialist": (14, -0.1), "{} Consultant": (6, -0.4), "{} Analyst": (8, -0.3),
    "{} Assistant": (7, -0.6), "{} Intern": (4, -1.2), "{} Student": (3, -1.5),
})  # fmt: skip
_FUNCTIONS = _Choice({
    "Purchasing": (8, 0.4), "Marketing": (9, 0.3), "Sales": (9, 0.4), "IT": (9, 0.2),
    "Operations": (7, 0.2), "Finance": (5, 0.0), "HR": (4, -0.5), "Logistics": (4, 0.1),
    "Quality": (3, 0.0), "Production": (4, 0.2), "Engineering": (5, 0.0), "Legal": (2, -0.6),
    "Controlling": (3, 0.1), "Service": (4, 0.1), "Research": (2, -0.5), "Data": (3, 0.3),
    "Security": (2, 0.0), "Facility": (2, -0.3), "Supply Chain": (3, 0.2), "Product": (3, 0.2),
    "E-Commerce": (3, 0.4), "Communications": (2, -0.2), "Training": (1, -0.4),
    "Strategy": (2, 0.1), "Maintenance": (1, -0.1),
})  # fmt: skip
_TITLES = [level.format(name) for level in _LEVELS.names for name in _FUNCTIONS.names] + [None]
_TITLE_EFFECTS = np.append(np.add.outer(_LEVELS.effects, _FUNCTIONS.effects), -0.4)
# Eight campaigns of each source, with fixed effects; the last is missing.
_CAMPAIGNS = [f"{s} {n:02d}" for n in range(1, 9) for s in _CHOICES["source"].names] + [None]
_CAMPAIGN_EFFECTS = np.append(np.random.default_rng(60).normal(0, 0.25, 64), 0.0)
_MONTH_EFFECTS = np.array([0.2, 0.2, 0.3, 0.1, 0, -0.1, -0.4, -0.5, 0.1, 0.2, 0.1, -0.4])
# After the drift: paid search goes bad, the base rate falls, manufacturing's effect flips.
_DRIFT = {"base": -0.25, "Paid search": -1.6, "Manufacturing": -1.6}
# No effect on the outcome: contract types (the planted leak), ages (sensitive), reasons, mail.
_CONTRACTS = ["Standard 12 months", "Standard 24 months", "Framework", "Pilot", None]
_AGES = ["under 30", "30-39", "40-49", "50-59", "60 and over", None]
_REASONS = ["no budget", "competitor", "no answer", "bad timing", "not a fit", None]
_FREE_MAIL = ["gmail.com", "outlook.com", "gmx.de", "yahoo.com"]
_DISPOSABLE_MAIL = ["throwaway.example", "ten-minutes.example"]
_NAMES = ["Nordwerk", "Alpina", "Rheintal", "Hansa", "Lumen", "Kestrel", "Orbis", "Talwind"]
_LEGAL_FORMS = ["GmbH", "AG", "Ltd", "SA", "BV"]
# Four spellings of each industry, then four ways to say nothing.
_SPELLED = [s for i in _CHOICES["industry"].names[:-1] for s in (i, i.lower(), i.upper(), i + "  ")]
_SPELLED += ["unknown", "-", "Select", None]

_CONTENTS = {
    "mail": [f"Newsletter {n:02d}" for n in range(1, 31)],
    "page": ["/pricing", "/demo", "/cases", "/blog", *(f"/product/{n:02d}" for n in range(1, 17))],
    "webinar": [f"Webinar {n:02d}" for n in range(1, 13)],
    "file": [f"White paper {n:02d}" for n in range(1, 13)],
    "talk": ["first call", "follow-up call", "question", "video meeting", "visit"],
    "service": [_ONBOARDING := "onboarding call"],
}
# type: channel, contents, weight (for most, for winners, for winners near closing), usual value.
_TYPES: dict[str, tuple[str, str, tuple[float, float, float], float]] = {
    "email_open": ("email", "mail", (34, 26, 16), np.nan),
    "email_click": ("email", "mail", (12, 14, 10), np.nan),
    "page_view": ("web", "page", (30, 28, 24), 45.0),  # seconds
    "form_submit": ("web", "page", (4, 5, 5), np.nan),
    "webinar_attended": ("event", "webinar", (3, 5, 4), 40.0),  # minutes
    "call": ("phone", "talk", (7, 9, 15), 8.0),  # minutes
    "meeting": ("event", "talk", (1.5, 4, 12), 45.0),  # minutes
    "demo_request": ("web", "page", (1, 3, 8), np.nan),
    "content_download": ("web", "file", (5, 5.5, 5.5), np.nan),
    "unsubscribe": ("email", "mail", (2.5, 0.5, 0.5), np.nan),
}
_TYPE_NAMES = list(_TYPES)
_CHANNELS = [row[0] for row in _TYPES.values()]
_TYPE_CDF = np.cumsum([row[2] for row in _TYPES.values()], axis=0).T
_TYPE_CDF /= _TYPE_CDF[:, -1:]
_CONTENT_NAMES = list(itertools.chain.from_iterable(_CONTENTS.values()))
_CONTENT_START = np.array([_CONTENT_NAMES.index(_CONTENTS[row[1]][0]) for row in _TYPES.values()])
_CONTENT_COUNT = np.array([len(_CONTENTS[row[1]]) for row in _TYPES.values()])
_USUAL_VALUE = np.array([row[3] for row in _TYPES.values()])
_STAGES = ["new", "marketing_qualified", "sales_accepted", "opportunity", "lost", "won"]


@dataclass(frozen=True)
class Simulation:
    """Settings of a simulated CRM.

    Parameters
    ----------
    leads : int
        How many leads, 500 or more.
    activities_per_lead : float
        Activities per lead, on average and roughly: in a short window the export cuts more off.
    seed : int
        The same settings give the same bytes.
    start : date or str
        First day on which leads are created, UTC; a string is ISO, such as "2024-01-01".
    days : int
        Length of the window in which leads are created; the export is taken at its end.
    drift_at : float
        Share of the window after which the world changes, 0 to 1; at 1 it never does.

    Raises
    ------
    ConfigError
        If a setting is of the wrong type or out of range.

    Examples
    --------
    >>> Simulation(days=365).as_of
    datetime.datetime(2024, 12, 31, 0, 0, tzinfo=datetime.timezone.utc)
    >>> Simulation(leads=10)
    Traceback (most recent call last):
        ...
    crm.errors.ConfigError: `leads` is 10. Expected a whole number from 500 to 50000000. Pass one.
    """

    leads: int = 5_000
    activities_per_lead: float = 8.0
    seed: int = 0
    start: str | date = date(2024, 1, 1)
    days: int = 730
    drift_at: float = 0.75

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, (kind, low, high) in _LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
                expected = "a whole number" if kind is Integral else "a number"
                raise ConfigError(
                    f"`{name}` is {value!r}. Expected {expected} from {low} to {high}. Pass one."
                )
        try:
            year = self.opens_at.year
        except ValueError:
            year = 0
        if not 1970 <= year <= 2200:
            raise ConfigError(
                f"`start` is {self.start!r}. Expected a day from 1970 to 2200. "
                'Write it as "2024-01-01".'
            )

    @property
    def opens_at(self) -> datetime:
        """Midnight UTC of the first day."""
        day = date.fromisoformat(str(self.start))
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    @property
    def as_of(self) -> datetime:
        """The moment of the export: nothing later is in any table."""
        return self.opens_at + timedelta(days=self.days)


def simulate(
    settings: Simulation,
    folder: Path,
    *,
    file_format: Literal["csv", "parquet"] = "csv",
    on_chunk: Callable[[int, int], None] | None = None,
) -> dict[str, Path]:
    """Write a simulated CRM: five tables, a README.txt and a leadscore.toml.

    Tables are drawn and written some thousand leads at a time, so memory stays small
    however many there are. Files appear in `folder` once all are complete; a break
    leaves what was there before. The clock is that of the settings, never the machine's.

    Parameters
    ----------
    settings : Simulation
        What to simulate.
    folder : Path
        Where to write; made if absent. A former simulation in it is replaced.
    file_format : {"csv", "parquet"}
        Format of the tables.
    on_chunk : callable, optional
        Called as `on_chunk(leads_done, leads_in_all)` after each chunk.

    Returns
    -------
    dict of str to Path
        The files of leads, activities, stages, outcomes and truth (`lead_id` and
        `true_probability`, the probability at creation of a win within 90 days).

    Raises
    ------
    ConfigError
        If the format is unknown, or `folder` holds files of these names that no
        simulation wrote.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = simulate(Simulation(leads=500), Path(folder))
    ...     header = files["truth"].read_text().splitlines()[0]
    >>> list(files), header
    (['leads', 'activities', 'stages', 'outcomes', 'truth'], 'lead_id,true_probability')
    """
    if file_format not in ("csv", "parquet"):
        raise ConfigError(
            f"`file_format` is {file_format!r}. Expected 'csv' or 'parquet'. Pass one."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file. Expected a folder. Choose another name.")
    files = {table: f"{table}.{file_format}" for table in _TABLES}
    # README.txt goes first and the project file last: half a move can be told, and repeated.
    names = ["README.txt", *files.values(), "leadscore.toml"]
    former = _former_simulation(folder)
    foreign = [name for name in names if (folder / name).exists() and name not in former]
    if foreign:
        raise ConfigError(
            f"{folder} already holds {', '.join(foreign)}, not written by a simulation. "
            "Expected an empty folder or a former simulation. Choose another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".simulating-", dir=folder) as made:
        paths = {table: Path(made, name) for table, name in files.items()}
        _write_tables(settings, paths, on_chunk or (lambda done, total: None))
        Path(made, "README.txt").write_text(_readme(settings, names), encoding="utf-8")
        project = _PROJECT.format(mark=_MARK, ext=file_format)
        Path(made, "leadscore.toml").write_text(project, encoding="utf-8")
        for name in names:
            Path(made, name).replace(folder / name)
    for name in former - set(names):
        (folder / name).unlink(missing_ok=True)
    return {table: folder / name for table, name in files.items()}


def _former_simulation(folder: Path) -> set[str]:
    """Names of the files that an earlier simulation wrote into this folder."""
    readme = folder / "README.txt"
    if not readme.is_file():
        return set()
    first, *lines = readme.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    if first != _MARK:
        return set()
    ours = {"README.txt", "leadscore.toml"}
    ours |= {f"{table}.{ending}" for table in _TABLES for ending in ("csv", "parquet")}
    return {name for name in ours if f"- {name}" in lines}


def _write_tables(
    settings: Simulation, paths: dict[str, Path], on_chunk: Callable[[int, int], None]
) -> None:
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        for done, chunk in _chunks(settings):
            for table, path in paths.items():
                if table not in writers:
                    writers[table] = stack.enter_context(_writer(path, chunk[table].schema))
                writers[table].write_table(chunk[table])
            on_chunk(done, settings.leads)


def _writer(path: Path, schema: Any) -> Any:
    if path.suffix == ".parquet":
        return pq.ParquetWriter(path, schema)
    unquoted = pa_csv.WriteOptions(quoting_style="none", quoting_header="none")
    return pa_csv.CSVWriter(path, schema, write_options=unquoted)


def _chunks(settings: Simulation) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of leads done and the five tables, chunk by chunk in order of time."""
    size = int(min(_CHUNK_LEADS, _CHUNK_ACTIVITIES // settings.activities_per_lead))
    starts = range(0, settings.leads, size)
    account_seed, *seeds = np.random.SeedSequence(settings.seed).spawn(1 + len(starts))
    accounts = _accounts(np.random.default_rng(account_seed), settings.leads // 3)
    arrivals = _arrivals(settings)
    for number, (first, seed) in enumerate(zip(starts, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        lead = np.arange(first, min(first + size, settings.leads))
        at = np.interp((lead + rng.random(len(lead))) / settings.leads, *arrivals)
        created = int(settings.opens_at.timestamp()) + at.astype(np.int64)
        traits = _traits(rng, accounts, lead)
        probability = 1 / (1 + np.exp(-_log_odds(settings, traits, created)))
        fate = _fate(rng, settings, created, probability)
        lead_id = _label("L", lead + 1)
        tables = {
            "leads": _leads(rng, lead_id, created, traits, fate),
            "activities": _activities(rng, settings, lead_id, created, traits, fate, number),
            "stages": _stages(rng, settings, lead_id, created, fate),
            "outcomes": _outcomes(rng, lead_id, traits, fate),
            "truth": pa.table({"lead_id": lead_id, "true_probability": probability.round(6)}),
        }
        yield int(lead[-1]) + 1, tables


def _accounts(rng: np.random.Generator, count: int) -> Arrays:
    """Draw the companies that leads belong to: about three leads each, some many more."""
    return {
        "industry": _CHOICES["industry"].draw(rng, count),
        "employees": np.ceil(rng.lognormal(4.6, 1.5, count)).clip(1, 200_000),
        "country": _CHOICES["country"].draw(rng, count),
        "region": rng.integers(len(_REGIONS), size=count),
    }


def _arrivals(settings: Simulation) -> tuple[NDArray[Any], NDArray[Any]]:
    """Share of leads that came by each hour of the window: office hours, few at weekends."""
    hours = np.arange(settings.days * 24)
    weekend = (settings.opens_at.weekday() + hours // 24) % 7 >= 5
    office = (hours % 24 >= 7) & (hours % 24 < 18)
    cumulative = np.cumsum(np.where(office, 1.0, 0.15) * np.where(weekend, 0.3, 1.0))
    return np.append(0, cumulative / cumulative[-1]), np.append(0, hours + 1) * 3600


def _traits(rng: np.random.Generator, accounts: Arrays, lead: NDArray[Any]) -> Arrays:
    """Draw what is recorded of each lead at creation; a missing number is NaN."""
    n = len(lead)
    traits = {name: choice.draw(rng, n) for name, choice in _CHOICES.items()}
    traits["account"] = account = (len(accounts["region"]) * rng.random(n) ** 1.5).astype(np.int64)
    traits.update({name: values[account] for name, values in accounts.items()})
    traits["level"] = level = _LEVELS.draw(rng, n)
    source, size = traits["source"], traits["employees"]
    title = level * len(_FUNCTIONS.names) + _FUNCTIONS.draw(rng, n)
    traits["title"] = np.where(rng.random(n) < 0.06, len(_TITLES) - 1, title)
    traits["campaign"] = np.where(rng.random(n) < 0.1, 64, source + 8 * rng.integers(8, size=n))
    traits["visits"] = np.floor(rng.lognormal(0.7, 1.2, n)).clip(0, 2_000)
    # Juniors and cold leads state a budget less often, larger companies a larger one.
    reserved = (level > 7) | _are(traits, "source", "Cold list")
    states_budget = rng.random(n) < np.where(reserved, 0.2, 0.6)
    budget = np.ceil(rng.lognormal(np.log(9 * size**0.7), 0.8)) * 100
    traits["budget"] = np.where(states_budget, budget, np.nan)
    traits["industry"] = np.where(rng.random(n) < 0.08, 10, traits["industry"])  # 10: None
    traits["employees"] = np.where(rng.random(n) < 0.18, np.nan, size)
    return traits


def _log_odds(settings: Simulation, traits: Arrays, created: NDArray[Any]) -> NDArray[Any]:
    """Log-odds of a win within 90 days: the truth, from recorded values and the date alone."""
    drifted = created >= settings.opens_at.timestamp() + settings.drift_at * settings.days * _DAY
    month = created.astype("datetime64[s]").astype("datetime64[M]").astype(int) % 12
    effects = _INTERCEPT + _MONTH_EFFECTS[month] + drifted * _DRIFT["base"]
    effects += _CAMPAIGN_EFFECTS[traits["campaign"]] + _TITLE_EFFECTS[traits["title"]]
    for name, choice in _CHOICES.items():
        effects += choice.effects[traits[name]]
    # Mid-sized companies buy best; visits and budgets help with falling returns.
    size = np.log10(traits["employees"])
    effects += np.where(np.isnan(size), -0.3, 0.5 - 0.6 * (size - 2.3) ** 2).clip(-1.5)
    effects += 0.35 * np.log1p(traits["visits"].clip(0, 50))
    budget = 0.4 * np.log2(traits["budget"] / 20_000)
    effects += np.where(np.isnan(budget), -0.7, 0.2 + budget.clip(-1, 1))
    # Interactions: a referred decision maker, software at a webinar, a large firm called cold.
    decides = traits["title"] < 4 * len(_FUNCTIONS.names)
    effects += 0.8 * (_are(traits, "source", "Referral") & decides)
    effects += 0.9 * (_are(traits, "source", "Webinar") & _are(traits, "industry", "Software"))
    effects -= 1.0 * (_are(traits, "source", "Cold list") & (size > 3))
    effects += _DRIFT["Paid search"] * (_are(traits, "source", "Paid search") & drifted)
    effects += _DRIFT["Manufacturing"] * (_are(traits, "industry", "Manufacturing") & drifted)
    return np.asarray(effects)


def _are(traits: Arrays, column: str, value: str | None) -> NDArray[np.bool_]:
    return np.equal(traits[column], _CHOICES[column].names.index(value))


def _fate(
    rng: np.random.Generator, settings: Simulation, created: NDArray[Any], chance: NDArray[Any]
) -> Arrays:
    """Draw how each lead ends, and how long it lives: the seconds until closing or silence."""
    n = len(created)
    in_time = rng.random(n) < chance
    late = ~in_time & (rng.random(n) < 0.3 * chance)
    won = in_time | late
    lost = ~won & (rng.random(n) < 0.6)
    days = np.clip(rng.exponential(60, n), 1, 400)  # open: nobody ever closes it
    days = np.where(lost, 5 + 195 * rng.beta(1.2, 2.6, n), days)
    days = np.where(late, 91 + 170 * rng.beta(1.0, 2.0, n), days)
    days = np.where(in_time, 3 + (HORIZON_DAYS - 3.1) * rng.beta(1.7, 1.9, n), days)
    life = (days * _DAY).astype(np.int64)
    recorded = (won | lost) & (created + life <= settings.as_of.timestamp())
    engagement = rng.normal(0.9 * in_time + 0.6 * late - 0.1 * lost, 1.0)
    return {
        "won": won, "lost": lost, "life": life, "closed": created + life, "recorded": recorded,
        "engagement": engagement,
    }  # fmt: skip


def _leads(
    rng: np.random.Generator, lead_id: Any, created: NDArray[Any], traits: Arrays, fate: Arrays
) -> Any:
    n, account = len(created), traits["account"]
    columns = {name: _take(choice.names, traits[name]) for name, choice in _CHOICES.items()}
    spelling = rng.choice(4, n, p=[0.86, 0.05, 0.04, 0.05])
    spelling = np.where(_are(traits, "industry", None), rng.integers(4, size=n), spelling)
    columns["industry"] = _take(_SPELLED, traits["industry"] * 4 + spelling)
    word, number = _take(_NAMES, account % len(_NAMES)), _text(account + 1)
    legal_form = _take(_LEGAL_FORMS, account % len(_LEGAL_FORMS))
    # Mail tells no more than size does: small companies use free mail more often.
    private = rng.random(n) < np.where(traits["employees"] < 20, 0.5, 0.15)
    free = _take(_FREE_MAIL, rng.integers(len(_FREE_MAIL), size=n))
    disposable = _take(_DISPOSABLE_MAIL, rng.integers(len(_DISPOSABLE_MAIL), size=n))
    domain = pc.if_else(private, free, _join(pc.utf8_lower(word), number, ".example"))
    domain = pc.if_else(rng.random(n) < 0.02, disposable, domain)
    # The older, the higher; age has no effect of its own on the outcome.
    age = np.rint(rng.normal(2.6 - 0.2 * traits["level"], 0.9)).clip(0, 4).astype(int)
    age = np.where(rng.random(n) < 0.12, 5, age)
    # The planted leak: sales writes it down once a deal is won.
    leak = np.where(fate["won"], 0.97, 0.01) * fate["recorded"]
    contract = np.where(rng.random(n) < leak, rng.integers(4, size=n), 4)
    return pa.table({
        "lead_id": lead_id,
        "created_at": _times(created),
        "email": _join("simulated.", pc.utf8_lower(lead_id), "@", domain),
        "company_name": _join("Example ", word, " ", number, " ", legal_form),
        **columns,
        "region": _join(columns["country"], " ", _take(_REGIONS, traits["region"])),
        "employees": _whole(traits["employees"]),
        "campaign": _take(_CAMPAIGNS, traits["campaign"]),
        "job_title": _take(_TITLES, traits["title"]),
        "website_visits_before": _whole(traits["visits"]),
        "budget_eur": _whole(traits["budget"]),
        "age_band": _take(_AGES, age),
        "contract_type": _take(_CONTRACTS, contract),
    })  # fmt: skip


def _activities(
    rng: np.random.Generator, settings: Simulation, lead_id: Any, created: NDArray[Any],
    traits: Arrays, fate: Arrays, number: int,
) -> Any:  # fmt: skip
    """Draw activities between creation and closing, and the few that lie outside."""
    rate = settings.activities_per_lead * 0.78 * np.exp(0.6 * fate["engagement"])
    owner = np.repeat(np.arange(len(created)), rng.poisson(rate))
    share, winner = rng.random(len(owner)), fate["won"][owner]
    share = np.where(winner, share, share**1.7)  # the others cool down
    life = fate["life"][owner]
    at = created[owner] + np.clip((share * life).astype(np.int64), 1, life - 1)
    phase = winner.astype(int) + (winner & (share > 0.7))
    kind = (rng.random(len(owner))[:, None] > _TYPE_CDF[phase]).sum(axis=1)
    # Rare: a page view up to two weeks before creation. It depends on no outcome.
    early = np.flatnonzero((rng.random(len(created)) < 0.04) & (traits["visits"] > 0))
    early_at = created[early] - rng.integers(60, 14 * _DAY, len(early))
    # Service: an onboarding call up to a month after most wins.
    served = np.flatnonzero(fate["won"] & (rng.random(len(created)) < 0.7))
    served_at = fate["closed"][served] + rng.integers(_DAY, 30 * _DAY, len(served))
    outside = [_TYPE_NAMES.index("page_view"), _TYPE_NAMES.index("call")]
    owner = np.concatenate([owner, early, served])
    at = np.concatenate([at, early_at, served_at])
    kind = np.concatenate([kind, np.repeat(outside, [len(early), len(served)])])
    favoured = rng.random(len(kind)) ** 1.5
    content = _CONTENT_START[kind] + (_CONTENT_COUNT[kind] * favoured).astype(int)
    content[len(content) - len(served) :] = _CONTENT_NAMES.index(_ONBOARDING)
    value = np.round(_USUAL_VALUE[kind] * rng.lognormal(0, 0.6, len(kind)), 1)
    value = np.where(rng.random(len(kind)) < 0.6, value, np.nan)
    rows = np.argsort(at, kind="stable")
    rows = rows[at[rows] <= settings.as_of.timestamp()]
    serial = np.arange(len(rows)) + number * 10_000_000
    twice = np.repeat(np.arange(len(rows)), 1 + (rng.random(len(rows)) < 0.005))
    rows, serial = rows[twice], serial[twice]
    return pa.table({
        "activity_id": _label("A", serial + 1),
        "lead_id": lead_id.take(pa.array(owner[rows])),
        "type": _take(_TYPE_NAMES, kind[rows]),
        "occurred_at": _times(at[rows]),
        "content": _take(_CONTENT_NAMES, content[rows]),
        "channel": _take(_CHANNELS, kind[rows]),
        "value": pa.array(value[rows], from_pandas=True),
    })  # fmt: skip


def _stages(
    rng: np.random.Generator, settings: Simulation, lead_id: Any, created: NDArray[Any],
    fate: Arrays,
) -> Any:  # fmt: skip
    """Draw the way through the funnel: `new` at creation, up to three stages, the closing."""
    n, life, won = len(created), fate["life"][:, None], fate["won"]
    depth = np.where(fate["lost"], rng.choice(4, n, p=[0.25, 0.35, 0.25, 0.15]),
                     rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05]))  # fmt: skip
    depth = np.where(won, 3, depth)
    share = np.sort(rng.random((n, 3)) ** 1.3, axis=1)
    between = created[:, None] + (share * (life - 5)).astype(np.int64) + [1, 2, 3]
    at = np.column_stack([created, between, fate["closed"]])
    stage = np.tile(np.arange(5), (n, 1))
    stage[:, 4] += won
    entered = np.column_stack([
        np.ones(n, bool), (depth[:, None] > [0, 1, 2]) & (rng.random((n, 3)) < 0.97),
        won | fate["lost"],
    ])  # fmt: skip
    lead, step = np.nonzero(entered & (at <= settings.as_of.timestamp()))
    return pa.table({
        "lead_id": lead_id.take(pa.array(lead)),
        "stage": _take(_STAGES, stage[lead, step]),
        "entered_at": _times(at[lead, step]),
    })  # fmt: skip


def _outcomes(rng: np.random.Generator, lead_id: Any, traits: Arrays, fate: Arrays) -> Any:
    rows = np.flatnonzero(fate["recorded"])
    won = fate["won"][rows]
    size = np.nan_to_num(traits["employees"][rows], nan=100.0)
    amount = np.round(rng.lognormal(np.log(1_500 * size**0.4), 0.7), 2)
    reason = np.where(won, len(_REASONS) - 1, rng.integers(len(_REASONS), size=len(rows)))
    return pa.table({
        "lead_id": lead_id.take(pa.array(rows)),
        "outcome": _take(["lost", "won"], won.astype(int)),
        "closed_at": _times(fate["closed"][rows]),
        "amount": pa.array(np.where(won, amount, np.nan), from_pandas=True),
        "reason": _take(_REASONS, reason),
    })  # fmt: skip


def _take(names: list[Any], codes: NDArray[Any]) -> Any:
    return pa.array(names, pa.string()).take(pa.array(codes))


def _text(numbers: NDArray[Any]) -> Any:
    return pc.cast(pa.array(numbers), pa.string())


def _label(letter: str, numbers: NDArray[Any]) -> Any:
    return _join(letter, pc.utf8_lpad(_text(numbers), 8, "0"))


def _join(*parts: Any) -> Any:
    return pc.binary_join_element_wise(*parts, "")


def _whole(numbers: NDArray[Any]) -> Any:
    return pc.cast(pa.array(numbers, from_pandas=True), pa.int64())


def _times(seconds: NDArray[Any]) -> Any:
    return pa.array(seconds, pa.int64()).cast(_TIME)


def _readme(settings: Simulation, names: list[str]) -> str:
    chosen = "\n".join(f"  {f.name} = {getattr(settings, f.name)}" for f in fields(settings))
    listed = "\n".join(f"- {name}" for name in names)
    return (
        f"{_MARK}\n\nA CRM export as of {settings.as_of:%Y-%m-%d %H:%M} UTC, drawn with:\n"
        f"{chosen}\n\n"
        "The truth table holds what no CRM knows: the probability, at a lead's creation, of a\n"
        f"win within {HORIZON_DAYS} days. It is for checking a model, never for training one.\n\n"
        f"Files:\n{listed}\n"
    )


_PROJECT = """\
# {mark}
# How leadscore reads this export: which table is where, and which column plays which role.

[project]
name = "demo"
simulated = true

# One row per lead. Columns not named here are attributes: what a lead says of itself.
[leads]
source = "leads.{ext}"
lead_id = "lead_id"
created_at = "created_at"

# What leads did, and when: mails opened, pages seen, calls, meetings.
[activities]
source = "activities.{ext}"
lead_id = "lead_id"
type = "type"
occurred_at = "occurred_at"
activity_id = "activity_id"
content = "content"
channel = "channel"
value = "value"

# The way through the funnel.
[stages]
source = "stages.{ext}"
lead_id = "lead_id"
stage = "stage"
entered_at = "entered_at"

# How leads ended. A lead without a row is still open.
[outcomes]
source = "outcomes.{ext}"
lead_id = "lead_id"
outcome = "outcome"
closed_at = "closed_at"
amount = "amount"
reason = "reason"

# What is learned: the chance of a win within 90 days, judged on the newest fifth of the leads.
[learn]
won = ["won"]
lost = ["lost"]
horizon_days = 90
moments_days = [0]
test_share = 0.2
seed = 0

[columns]
# Words that people type when they know nothing.
nothing = ["unknown", "-", "Select"]
# Personal data and names: no features.
ignore = ["email", "company_name"]
# Sales fills contract_type once a deal is won. A model that sees it would look perfect and be
# useless on new leads, where it is always empty. It was planted here to show just that.
known_later = ["contract_type"]
# Not a feature; used to compare how the model treats groups of people.
sensitive = ["age_band"]
"""
