"""Changes what a simulated CRM exports, by the drifts of records that are not drifts of the world.

The world is drawn before. So these drifts change neither true probabilities nor outcomes.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crm.arrays import Bools
from crm.simulation.drift import SHARED_KINDS, Kind
from crm.simulation.effects import BROKEN_TYPE, DROPPED, RENAMED
from crm.simulation.world import Simulation


def exported(
    seed: np.random.SeedSequence, settings: Simulation, tables: dict[str, Any]
) -> dict[str, Any]:
    """Return the tables as the CRM exports them.

    Parameters
    ----------
    seed : SeedSequence
        Each kind of drift draws from a child of its own, so one does not change another.
    settings : Simulation
    tables : dict of str to pyarrow.Table
        The tables of a chunk, as they would be without these drifts.
    """
    seeds = dict(zip(SHARED_KINDS, seed.spawn(len(SHARED_KINDS)), strict=True))

    def changes(kind: Kind, times: Any) -> Bools:
        at = times.cast(pa.int64()).to_numpy()
        chosen = np.random.default_rng(seeds[kind]).random(len(at))
        return np.asarray(chosen < settings.strength(kind, at))

    leads, activities = tables["leads"], tables["activities"]
    is_renamed = changes("renamed_category", leads["created_at"])
    for column, (name, new_name) in RENAMED.items():
        is_changed = pc.and_(pa.array(is_renamed), pc.equal(leads[column], name))
        leads = _with_column(leads, column, pc.if_else(is_changed, new_name, leads[column]))
    is_dropped = changes("dropped_column", leads["created_at"])
    empty = pa.scalar(None, leads[DROPPED].type)
    leads = _with_column(leads, DROPPED, pc.if_else(is_dropped, empty, leads[DROPPED]))
    is_broken = changes("broken_feed", activities["occurred_at"])
    is_lost = pc.and_(pa.array(is_broken), pc.equal(activities["type"], BROKEN_TYPE))
    return tables | {"leads": leads, "activities": activities.filter(pc.invert(is_lost))}


def _with_column(table: Any, name: str, column: Any) -> Any:
    return table.set_column(table.schema.get_field_index(name), name, column)
