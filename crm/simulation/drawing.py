"""Draws the tables of a simulated CRM, chunk by chunk.

The truth is exact. Without drift, `true_probability` is a logistic function of what the leads
table records at creation (a missing value has its own effect) and of the date. Whether a lead
is won within 90 days is drawn from it first. Engagement, activities, stages and closing
times are then drawn given that outcome. All of them are after creation, except the stage
`new` and rare earlier page views, and these two do not depend on the outcome. So at creation
no record predicts better than `true_probability`, and later records predict better and better.

With drift the truth is exact too. Drift of the world changes what the outcome is drawn from: the
mix of leads, the effects, or the times to closing, whose distribution is known. Drift of the
records changes the tables after everything is drawn, so that they may contain less than
`true_probability` depends on. Leads that are created before a drift are the same as without it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from crm.simulation.arrivals import arrivals
from crm.simulation.export import exported
from crm.simulation.fate import draw_fate, log_odds, on_time_share
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
    arrived = arrivals(settings)
    for number, (first, seed) in enumerate(zip(starts, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        lead = np.arange(first, min(first + size, settings.leads))
        at = np.interp((lead + rng.random(len(lead))) / settings.leads, *arrived)
        created = int(settings.opens_at.timestamp()) + at.astype(np.int64)
        covariate_seed, export_seed = seed.spawn(2)
        small = np.random.default_rng(covariate_seed)
        traits = draw_traits(rng, small, settings, accounts, created)
        chance = 1 / (1 + np.exp(-log_odds(settings, traits, created)))
        fate = draw_fate(rng, settings, created, chance)
        probability = chance * on_time_share(settings, created)
        lead_id = labels("L", lead + 1)
        tables = {
            "leads": draw_leads(rng, lead_id, created, traits, fate),
            "activities": draw_activities(rng, settings, lead_id, created, traits, fate, number),
            "stages": draw_stages(rng, settings, lead_id, created, fate),
            "outcomes": draw_outcomes(rng, lead_id, traits, fate),
            "truth": pa.table({"lead_id": lead_id, "true_probability": probability.round(6)}),
        }
        yield int(lead[-1]) + 1, exported(export_seed, settings, tables)
