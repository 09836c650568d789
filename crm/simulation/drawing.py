"""Draws the tables of a simulated CRM, chunk by chunk.

The truth is exact. `true_probability` is a logistic function of what the leads table
records at creation (a missing value has its own effect) and of the date. Whether a lead
is won within 90 days is drawn from it first. Engagement, activities, stages and closing
times are then drawn given that outcome. All of them are after creation, except the stage
`new` and rare earlier page views, and these two do not depend on the outcome. So at creation
no record predicts better than `true_probability`, and later records predict better and better.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crm.simulation.fate import draw_fate, log_odds
from crm.simulation.tables import (
    draw_activities,
    draw_leads,
    draw_outcomes,
    draw_stages,
    labels,
)
from crm.simulation.traits import draw_accounts, draw_traits
from crm.simulation.world import Simulation

_CHUNK_LEADS, _CHUNK_ACTIVITIES = 20_000, 200_000  # what is in memory at a time


def chunks(settings: Simulation) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of leads so far and the five tables, chunk by chunk in order of time."""
    size = int(min(_CHUNK_LEADS, _CHUNK_ACTIVITIES // settings.activities_per_lead))
    starts = range(0, settings.leads, size)
    account_seed, *seeds = np.random.SeedSequence(settings.seed).spawn(1 + len(starts))
    accounts = draw_accounts(np.random.default_rng(account_seed), settings.leads // 3)
    arrivals = _arrivals(settings)
    for number, (first, seed) in enumerate(zip(starts, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        lead = np.arange(first, min(first + size, settings.leads))
        at = np.interp((lead + rng.random(len(lead))) / settings.leads, *arrivals)
        created = int(settings.opens_at.timestamp()) + at.astype(np.int64)
        traits = draw_traits(rng, accounts, lead)
        probability = 1 / (1 + np.exp(-log_odds(settings, traits, created)))
        fate = draw_fate(rng, settings, created, probability)
        lead_id = labels("L", lead + 1)
        tables = {
            "leads": draw_leads(rng, lead_id, created, traits, fate),
            "activities": draw_activities(rng, settings, lead_id, created, traits, fate, number),
            "stages": draw_stages(rng, settings, lead_id, created, fate),
            "outcomes": draw_outcomes(rng, lead_id, traits, fate),
            "truth": pa.table({"lead_id": lead_id, "true_probability": probability.round(6)}),
        }
        yield int(lead[-1]) + 1, tables


def _arrivals(settings: Simulation) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the share of leads created by each hour of the window, and the hours in seconds.

    Most leads are created in office hours, few at weekends.
    """
    hours = np.arange(settings.days * 24)
    weekend = (settings.opens_at.weekday() + hours // 24) % 7 >= 5
    office = (hours % 24 >= 7) & (hours % 24 < 18)
    cumulative = np.cumsum(np.where(office, 1.0, 0.15) * np.where(weekend, 0.3, 1.0))
    return np.append(0, cumulative / cumulative[-1]), np.append(0, hours + 1) * 3600
