"""Draws the companies, leads and outcomes of a simulated CRM, chunk by chunk.

The truth is exact. `true_probability` is a logistic function of what the leads table
records at creation (a missing value has its own effect) and of the date. Whether a lead
is won within 90 days is drawn from it first. Engagement, activities, stages and closing
times are then drawn given that outcome. All of them are after creation, except the stage
`new` and rare earlier page views, and these two do not depend on the outcome. So at creation
no record predicts better than `true_probability`, and later records predict better and better.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from numbers import Integral, Real
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crm.arrays import Bools
from crm.errors import ConfigError
from crm.simulation.effects import (
    AGES,
    CAMPAIGN_EFFECTS,
    CAMPAIGNS,
    CHANNELS,
    CHOICES,
    CONTENT_COUNT,
    CONTENT_NAMES,
    CONTENT_START,
    CONTRACTS,
    DISPOSABLE_MAIL,
    DRIFT,
    FREE_MAIL,
    FUNCTIONS,
    INTERCEPT,
    LEGAL_FORMS,
    LEVELS,
    MONTH_EFFECTS,
    NAMES,
    REASONS,
    REGIONS,
    SPELLED,
    STAGES,
    TITLE_EFFECTS,
    TITLES,
    TYPE_CDF,
    TYPE_NAMES,
    USUAL_VALUE,
)
from crm.times import SECONDS_PER_DAY

HORIZON_DAYS = 90
_CHUNK_LEADS, _CHUNK_ACTIVITIES = 20_000, 200_000  # what is in memory at a time
_LIMITS: dict[str, tuple[Any, float, float]] = {
    "leads": (Integral, 500, 50_000_000),
    "activities_per_lead": (Real, 1, 400),
    "seed": (Integral, 0, 2**63),
    "days": (Integral, 120, 10_000),
    "drift_at": (Real, 0, 1),
}
_TIME = pa.timestamp("s", tz="UTC")
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Simulation:
    """Settings of a simulated CRM.

    Parameters
    ----------
    leads : int
        The number of leads, 500 or more.
    activities_per_lead : float
        The approximate mean number of activities per lead; a short window has fewer.
    seed : int
        The same settings give the same bytes.
    start : date or str
        The first day on which leads are created, UTC; a string is ISO, such as "2024-01-01".
    days : int
        The length of the window in which leads are created. The export is made at its end.
    drift_at : float
        The share of the window after which the effects change, 0 to 1; with 1 they never change.

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
        """The time of the export: no table contains anything later."""
        return self.opens_at + timedelta(days=self.days)


def chunks(settings: Simulation) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of leads so far and the five tables, chunk by chunk in order of time."""
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
    """Draw the companies of leads: most have about three leads, some many more."""
    return {
        "industry": CHOICES["industry"].draw(rng, count),
        "employees": np.ceil(rng.lognormal(4.6, 1.5, count)).clip(1, 200_000),
        "country": CHOICES["country"].draw(rng, count),
        "region": rng.integers(len(REGIONS), size=count),
    }


def _arrivals(settings: Simulation) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the share of leads created by each hour of the window, and the hours in seconds.

    Most leads are created in office hours, few at weekends.
    """
    hours = np.arange(settings.days * 24)
    weekend = (settings.opens_at.weekday() + hours // 24) % 7 >= 5
    office = (hours % 24 >= 7) & (hours % 24 < 18)
    cumulative = np.cumsum(np.where(office, 1.0, 0.15) * np.where(weekend, 0.3, 1.0))
    return np.append(0, cumulative / cumulative[-1]), np.append(0, hours + 1) * 3600


def _traits(rng: np.random.Generator, accounts: Arrays, lead: NDArray[Any]) -> Arrays:
    """Draw the attributes that each lead has at creation; a missing number is NaN."""
    n = len(lead)
    traits = {name: choice.draw(rng, n) for name, choice in CHOICES.items()}
    traits["account"] = account = (len(accounts["region"]) * rng.random(n) ** 1.5).astype(np.int64)
    traits.update({name: values[account] for name, values in accounts.items()})
    traits["level"] = level = LEVELS.draw(rng, n)
    source, size = traits["source"], traits["employees"]
    title = level * len(FUNCTIONS.names) + FUNCTIONS.draw(rng, n)
    traits["title"] = np.where(rng.random(n) < 0.06, len(TITLES) - 1, title)
    traits["campaign"] = np.where(rng.random(n) < 0.1, 64, source + 8 * rng.integers(8, size=n))
    traits["visits"] = np.floor(rng.lognormal(0.7, 1.2, n)).clip(0, 2_000)
    # Juniors and cold leads state a budget less often. Larger companies state a larger budget.
    reserved = (level > 7) | _are(traits, "source", "Cold list")
    states_budget = rng.random(n) < np.where(reserved, 0.2, 0.6)
    budget = np.ceil(rng.lognormal(np.log(9 * size**0.7), 0.8)) * 100
    traits["budget"] = np.where(states_budget, budget, np.nan)
    traits["industry"] = np.where(rng.random(n) < 0.08, 10, traits["industry"])  # 10: None
    traits["employees"] = np.where(rng.random(n) < 0.18, np.nan, size)
    return traits


def _log_odds(settings: Simulation, traits: Arrays, created: NDArray[Any]) -> NDArray[Any]:
    """Compute the true log-odds of a win within 90 days, from recorded values and the date."""
    opened = settings.opens_at.timestamp()
    drifted = created >= opened + settings.drift_at * settings.days * SECONDS_PER_DAY
    month = created.astype("datetime64[s]").astype("datetime64[M]").astype(int) % 12
    effects = INTERCEPT + MONTH_EFFECTS[month] + drifted * DRIFT["base"]
    effects += CAMPAIGN_EFFECTS[traits["campaign"]] + TITLE_EFFECTS[traits["title"]]
    for name, choice in CHOICES.items():
        effects += choice.effects[traits[name]]
    # Mid-sized companies buy most often. Each further visit or euro of budget helps less.
    size = np.log10(traits["employees"])
    effects += np.where(np.isnan(size), -0.3, 0.5 - 0.6 * (size - 2.3) ** 2).clip(-1.5)
    effects += 0.35 * np.log1p(traits["visits"].clip(0, 50))
    budget = 0.4 * np.log2(traits["budget"] / 20_000)
    effects += np.where(np.isnan(budget), -0.7, 0.2 + budget.clip(-1, 1))
    # Interactions: a referred decision maker, a software firm at a webinar, a large firm on a
    # cold list.
    decides = traits["title"] < 4 * len(FUNCTIONS.names)
    effects += 0.8 * (_are(traits, "source", "Referral") & decides)
    effects += 0.9 * (_are(traits, "source", "Webinar") & _are(traits, "industry", "Software"))
    effects -= 1.0 * (_are(traits, "source", "Cold list") & (size > 3))
    effects += DRIFT["Paid search"] * (_are(traits, "source", "Paid search") & drifted)
    effects += DRIFT["Manufacturing"] * (_are(traits, "industry", "Manufacturing") & drifted)
    return np.asarray(effects)


def _are(traits: Arrays, column: str, value: str | None) -> Bools:
    return np.equal(traits[column], CHOICES[column].names.index(value))


def _fate(
    rng: np.random.Generator, settings: Simulation, created: NDArray[Any], chance: NDArray[Any]
) -> Arrays:
    """Draw how each lead ends, and the seconds until it is closed or has no more activities."""
    n = len(created)
    in_time = rng.random(n) < chance
    late = ~in_time & (rng.random(n) < 0.3 * chance)
    won = in_time | late
    lost = ~won & (rng.random(n) < 0.6)
    days = np.clip(rng.exponential(60, n), 1, 400)  # open leads are never closed
    days = np.where(lost, 5 + 195 * rng.beta(1.2, 2.6, n), days)
    days = np.where(late, 91 + 170 * rng.beta(1.0, 2.0, n), days)
    days = np.where(in_time, 3 + (HORIZON_DAYS - 3.1) * rng.beta(1.7, 1.9, n), days)
    life = (days * SECONDS_PER_DAY).astype(np.int64)
    recorded = (won | lost) & (created + life <= settings.as_of.timestamp())
    engagement = rng.normal(0.9 * in_time + 0.6 * late - 0.1 * lost, 1.0)
    return {
        "won": won,
        "lost": lost,
        "life": life,
        "closed": created + life,
        "recorded": recorded,
        "engagement": engagement,
    }


def _leads(
    rng: np.random.Generator, lead_id: Any, created: NDArray[Any], traits: Arrays, fate: Arrays
) -> Any:
    n, account = len(created), traits["account"]
    columns = {name: _take(choice.names, traits[name]) for name, choice in CHOICES.items()}
    spelling = rng.choice(4, n, p=[0.86, 0.05, 0.04, 0.05])
    spelling = np.where(_are(traits, "industry", None), rng.integers(4, size=n), spelling)
    columns["industry"] = _take(SPELLED, traits["industry"] * 4 + spelling)
    word, number = _take(NAMES, account % len(NAMES)), _text(account + 1)
    legal_form = _take(LEGAL_FORMS, account % len(LEGAL_FORMS))
    # The kind of e-mail depends on the size only: small companies use free mail more often.
    private = rng.random(n) < np.where(traits["employees"] < 20, 0.5, 0.15)
    free = _take(FREE_MAIL, rng.integers(len(FREE_MAIL), size=n))
    disposable = _take(DISPOSABLE_MAIL, rng.integers(len(DISPOSABLE_MAIL), size=n))
    domain = pc.if_else(private, free, _join(pc.utf8_lower(word), number, ".example"))
    domain = pc.if_else(rng.random(n) < 0.02, disposable, domain)
    # Older people have higher levels; age itself has no effect on the outcome.
    age = np.rint(rng.normal(2.6 - 0.2 * traits["level"], 0.9)).clip(0, 4).astype(int)
    age = np.where(rng.random(n) < 0.12, 5, age)
    # The planted leak: sales fills in the contract type once a deal is won.
    leak = np.where(fate["won"], 0.97, 0.01) * fate["recorded"]
    contract = np.where(rng.random(n) < leak, rng.integers(4, size=n), 4)
    return pa.table(
        {
            "lead_id": lead_id,
            "created_at": _times(created),
            "email": _join("simulated.", pc.utf8_lower(lead_id), "@", domain),
            "company_name": _join("Example ", word, " ", number, " ", legal_form),
            **columns,
            "region": _join(columns["country"], " ", _take(REGIONS, traits["region"])),
            "employees": _whole(traits["employees"]),
            "campaign": _take(CAMPAIGNS, traits["campaign"]),
            "job_title": _take(TITLES, traits["title"]),
            "website_visits_before": _whole(traits["visits"]),
            "budget_eur": _whole(traits["budget"]),
            "age_band": _take(AGES, age),
            "contract_type": _take(CONTRACTS, contract),
        }
    )


def _activities(
    rng: np.random.Generator,
    settings: Simulation,
    lead_id: Any,
    created: NDArray[Any],
    traits: Arrays,
    fate: Arrays,
    number: int,
) -> Any:
    """Draw activities between creation and closing, and a few before and after."""
    rate = settings.activities_per_lead * 0.78 * np.exp(0.6 * fate["engagement"])
    owner = np.repeat(np.arange(len(created)), rng.poisson(rate))
    share, winner = rng.random(len(owner)), fate["won"][owner]
    share = np.where(winner, share, share**1.7)  # other leads become less active
    life = fate["life"][owner]
    at = created[owner] + np.clip((share * life).astype(np.int64), 1, life - 1)
    phase = winner.astype(int) + (winner & (share > 0.7))
    kind = (rng.random(len(owner))[:, None] > TYPE_CDF[phase]).sum(axis=1)
    # Rare: a page view up to two weeks before creation. It does not depend on the outcome.
    early = np.flatnonzero((rng.random(len(created)) < 0.04) & (traits["visits"] > 0))
    early_at = created[early] - rng.integers(60, 14 * SECONDS_PER_DAY, len(early))
    # Service: an onboarding call up to a month after most wins.
    served = np.flatnonzero(fate["won"] & (rng.random(len(created)) < 0.7))
    waits = rng.integers(SECONDS_PER_DAY, 30 * SECONDS_PER_DAY, len(served))
    served_at = fate["closed"][served] + waits
    outside = [TYPE_NAMES.index("page_view"), TYPE_NAMES.index("call")]
    owner = np.concatenate([owner, early, served])
    at = np.concatenate([at, early_at, served_at])
    kind = np.concatenate([kind, np.repeat(outside, [len(early), len(served)])])
    favoured = rng.random(len(kind)) ** 1.5
    content = CONTENT_START[kind] + (CONTENT_COUNT[kind] * favoured).astype(int)
    content[len(content) - len(served) :] = CONTENT_NAMES.index("onboarding call")
    value = np.round(USUAL_VALUE[kind] * rng.lognormal(0, 0.6, len(kind)), 1)
    value = np.where(rng.random(len(kind)) < 0.6, value, np.nan)
    rows = np.argsort(at, kind="stable")
    rows = rows[at[rows] <= settings.as_of.timestamp()]
    serial = np.arange(len(rows)) + number * 10_000_000
    with_repeats = np.repeat(np.arange(len(rows)), 1 + (rng.random(len(rows)) < 0.005))
    rows, serial = rows[with_repeats], serial[with_repeats]
    return pa.table(
        {
            "activity_id": _label("A", serial + 1),
            "lead_id": lead_id.take(pa.array(owner[rows])),
            "type": _take(TYPE_NAMES, kind[rows]),
            "occurred_at": _times(at[rows]),
            "content": _take(CONTENT_NAMES, content[rows]),
            "channel": _take(CHANNELS, kind[rows]),
            "value": pa.array(value[rows], from_pandas=True),
        }
    )


def _stages(
    rng: np.random.Generator,
    settings: Simulation,
    lead_id: Any,
    created: NDArray[Any],
    fate: Arrays,
) -> Any:
    """Draw the stages: `new` at creation, up to three stages, and the closing."""
    n, life, won = len(created), fate["life"][:, None], fate["won"]
    depth = np.where(
        fate["lost"],
        rng.choice(4, n, p=[0.25, 0.35, 0.25, 0.15]),
        rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05]),
    )
    depth = np.where(won, 3, depth)
    share = np.sort(rng.random((n, 3)) ** 1.3, axis=1)
    between = created[:, None] + (share * (life - 5)).astype(np.int64) + [1, 2, 3]
    at = np.column_stack([created, between, fate["closed"]])
    stage = np.tile(np.arange(5), (n, 1))
    stage[:, 4] += won
    entered = np.column_stack(
        [
            np.ones(n, bool),
            (depth[:, None] > [0, 1, 2]) & (rng.random((n, 3)) < 0.97),
            won | fate["lost"],
        ]
    )
    lead, step = np.nonzero(entered & (at <= settings.as_of.timestamp()))
    return pa.table(
        {
            "lead_id": lead_id.take(pa.array(lead)),
            "stage": _take(STAGES, stage[lead, step]),
            "entered_at": _times(at[lead, step]),
        }
    )


def _outcomes(rng: np.random.Generator, lead_id: Any, traits: Arrays, fate: Arrays) -> Any:
    rows = np.flatnonzero(fate["recorded"])
    won = fate["won"][rows]
    size = np.nan_to_num(traits["employees"][rows], nan=100.0)
    amount = np.round(rng.lognormal(np.log(1_500 * size**0.4), 0.7), 2)
    reason = np.where(won, len(REASONS) - 1, rng.integers(len(REASONS), size=len(rows)))
    return pa.table(
        {
            "lead_id": lead_id.take(pa.array(rows)),
            "outcome": _take(["lost", "won"], won.astype(int)),
            "closed_at": _times(fate["closed"][rows]),
            "amount": pa.array(np.where(won, amount, np.nan), from_pandas=True),
            "reason": _take(REASONS, reason),
        }
    )


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
