"""The order of leads in a CRM's worklist: by score, or neutral for the control group."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from crm.lanes import Lane, Lanes
from models.card import ModelCard
from models.scale import Scale

LOWEST: Final = 1.0
HIGHEST: Final = 99.0


class Position(NamedTuple):
    """The position of a lead in a worklist.

    Attributes
    ----------
    lane : {"control", "treated"} or None
        None if the lead has no id, or if the key of the lanes could not be read.
    order : int
        From 1 to 99; leads with the highest number come first.
    """

    lane: Lane | None
    order: int


@dataclass(frozen=True)
class NeutralOrders:
    """The scores of other leads, by which leads of the control group are ordered.

    If control leads had evenly distributed numbers, more of them than of the other leads would be
    at the top of a worklist. So they get numbers that are distributed like a model's scores.

    Attributes
    ----------
    shares : tuple of float
        Growing, from 0 to 1.
    scores : tuple of float
        The score that this share of the leads does not exceed, from 1 to 99.
    """

    shares: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def of_model(cls, card: ModelCard, scale: Scale) -> "NeutralOrders":
        """Read the distribution of the scores of held-out leads from a model's card.

        If the card has none, all numbers are equally frequent.
        """
        bins = sorted(card.test.get("reliability", ()), key=lambda row: float(row["stated"]))
        total = sum(float(row["n"]) for row in bins)
        middles, below = [], 0.0
        for row in bins:
            middles.append((below + float(row["n"]) / 2) / total)
            below += float(row["n"])
        scores = scale.score(np.array([float(row["stated"]) for row in bins]))
        return cls((0.0, *middles, 1.0), (LOWEST, *map(float, scores), HIGHEST))

    def at(self, place: float) -> int:
        """Return the score at a place among all leads, 0 for the lowest and 1 for the highest.

        Examples
        --------
        >>> orders = NeutralOrders((0.0, 0.5, 1.0), (1, 40, 99))
        >>> [orders.at(place) for place in (0, 0.25, 0.5, 0.999)]
        [1, 20, 40, 99]
        """
        i = min(bisect_right(self.shares, place), len(self.shares) - 1)
        low, high = self.shares[i - 1 : i + 1]
        worst, best = self.scores[i - 1 : i + 1]
        return round(worst + (best - worst) * (place - low) / (high - low))


def position(
    lanes: Lanes | None, orders: NeutralOrders, lead_id: str | None, score: int
) -> Position:
    """Return the position of a lead: its score orders it, unless it is in the control group.

    Parameters
    ----------
    lanes : Lanes or None
        None if the key of the lanes could not be read.
    orders : NeutralOrders
    lead_id : str or None
    score : int

    Examples
    --------
    >>> orders = NeutralOrders((0.0, 1.0), (1, 99))
    >>> position(Lanes(bytes(32), 0.0), orders, "L1", 70)
    Position(lane='treated', order=70)
    >>> position(Lanes(bytes(32), 0.5), orders, None, 70)
    Position(lane=None, order=70)
    """
    if lanes is None or lead_id is None:
        return Position(None, score)
    lane, place = lanes.of(lead_id)
    return Position(lane, orders.at(place) if lane == "control" else score)


def with_positions(
    scores: pd.DataFrame, lanes: Lanes, orders: NeutralOrders, *, has_ids: bool
) -> pd.DataFrame:
    """Add the columns `lane` and `order` behind the grade.

    Parameters
    ----------
    scores : DataFrame, n rows
        With `lead_id`, which may be missing, `score` and `grade`.
    lanes : Lanes
    orders : NeutralOrders
    has_ids : bool
        Whether the ids are those of leads. Leads whose rows are only numbered have no lane.

    Returns
    -------
    DataFrame, n rows
        `lane` is missing for leads without an id.
    """
    ids = scores["lead_id"] if has_ids else [None] * len(scores)
    positions = [
        position(lanes, orders, None if pd.isna(lead_id) else str(lead_id), score)
        for lead_id, score in zip(ids, scores["score"].tolist(), strict=True)
    ]
    added = pd.DataFrame(
        {
            "lane": pd.Series([place.lane for place in positions], dtype=object),
            "order": pd.Series([place.order for place in positions], dtype="int64"),
        }
    ).set_axis(scores.index)
    before = [*scores.columns].index("grade") + 1
    return pd.concat([scores.iloc[:, :before], added, scores.iloc[:, before:]], axis=1)
