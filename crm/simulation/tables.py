"""Draws the records of a simulated CRM about leads whose end is known, as tables."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crm.simulation.effects import (
    AGES,
    CAMPAIGNS,
    CHANNELS,
    CHOICES,
    CONTENT_COUNT,
    CONTENT_NAMES,
    CONTENT_START,
    CONTRACTS,
    DISPOSABLE_MAIL,
    FREE_MAIL,
    LEGAL_FORMS,
    NAMES,
    REASONS,
    REGIONS,
    SPELLED,
    STAGES,
    TITLES,
    TYPE_CDF,
    TYPE_NAMES,
    USUAL_VALUE,
)
from crm.simulation.traits import Arrays, have
from crm.simulation.world import Simulation
from crm.times import SECONDS_PER_DAY

_TIME = pa.timestamp("s", tz="UTC")


def labels(letter: str, numbers: NDArray[Any]) -> Any:
    """Return a letter and 8 digits for each number, shape (n,).

    Examples
    --------
    >>> labels("L", np.array([7])).to_pylist()
    ['L00000007']
    """
    return _join(letter, pc.utf8_lpad(_text(numbers), 8, "0"))


def draw_leads(
    rng: np.random.Generator, lead_id: Any, created: NDArray[Any], traits: Arrays, fate: Arrays
) -> Any:
    """Draw the attributes that have no effect, and return the table of leads."""
    n, account = len(created), traits["account"]
    columns = {name: _take(choice.names, traits[name]) for name, choice in CHOICES.items()}
    spelling = rng.choice(4, n, p=[0.86, 0.05, 0.04, 0.05])
    spelling = np.where(have(traits, "industry", None), rng.integers(4, size=n), spelling)
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


def draw_activities(
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
            "activity_id": labels("A", serial + 1),
            "lead_id": lead_id.take(pa.array(owner[rows])),
            "type": _take(TYPE_NAMES, kind[rows]),
            "occurred_at": _times(at[rows]),
            "content": _take(CONTENT_NAMES, content[rows]),
            "channel": _take(CHANNELS, kind[rows]),
            "value": pa.array(value[rows], from_pandas=True),
        }
    )


def draw_stages(
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


def draw_outcomes(rng: np.random.Generator, lead_id: Any, traits: Arrays, fate: Arrays) -> Any:
    """Draw the amounts and reasons of the outcomes that are recorded."""
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


def _join(*parts: Any) -> Any:
    return pc.binary_join_element_wise(*parts, "")


def _whole(numbers: NDArray[Any]) -> Any:
    return pc.cast(pa.array(numbers, from_pandas=True), pa.int64())


def _times(seconds: NDArray[Any]) -> Any:
    return pa.array(seconds, pa.int64()).cast(_TIME)
