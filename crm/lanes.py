"""The lanes of leads: some are not prioritised, so that the effect of scoring can be measured.

A keyed hash of a lead's id decides its lane. So a lead never changes lanes, whoever scores it, and
the lane depends on nothing else about the lead. If the share changes, only leads whose hash is
between the old and the new share change lanes.
"""

import hmac
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from crm.lead_ids import id_key

_RANGE: Final = 2**53  # whole numbers below this are exact as floats

Lane = Literal["control", "treated"]


class Draw(NamedTuple):
    """The lane of a lead, and its place among the leads that are not prioritised.

    Attributes
    ----------
    lane : {"control", "treated"}
    place : float
        A number in [0, 1) that depends on the id and the key alone. Over the leads it is
        distributed evenly, and independent of the lane.
    """

    lane: Lane
    place: float


@dataclass(frozen=True)
class Lanes:
    """Decides the lanes of leads.

    Attributes
    ----------
    key : bytes
        The ledger's key for this purpose.
    share : float
        The share of leads in the control group, 0 … 0.5.

    Examples
    --------
    >>> lanes = Lanes(bytes(32), 0.05)
    >>> lanes.of("00Q5g000001AbCDEA0") == lanes.of("00Q5g000001AbCD")
    True
    >>> sum(lanes.of(str(number)).lane == "control" for number in range(1_000))
    55
    """

    key: bytes = field(repr=False)
    share: float

    def of(self, lead_id: str) -> Draw:
        """Draw the lane and the place of a lead; all forms of an id have the same."""
        hashed = hmac.digest(self.key, id_key(lead_id).encode("utf-8", "surrogatepass"), "sha256")
        first, second = (
            int.from_bytes(hashed[start : start + 8]) % _RANGE / _RANGE for start in (0, 8)
        )
        return Draw("control" if first < self.share else "treated", second)
