"""The lanes of leads: constant for each lead, and independent of everything else."""

import numpy as np
import pytest

from crm.control_share import check_has_ledger
from crm.errors import ConfigError
from crm.lanes import Lanes
from crm.ledger.ledger import Ledger

KEY = bytes(range(32))
IDS = [f"lead {number}" for number in range(20_000)]
GUID = "7d2c1e0a-5b1f-4c7a-9a3e-0c1d2e3f4a5b"


def control(share: float, key: bytes = KEY) -> set[str]:
    """Return the leads of the control group."""
    lanes = Lanes(key, share)
    return {lead_id for lead_id in IDS if lanes.of(lead_id).lane == "control"}


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_control_group_has_its_share(share: float) -> None:
    deviation = (share * (1 - share) / len(IDS)) ** 0.5
    assert len(control(share)) / len(IDS) == pytest.approx(share, abs=3 * deviation)


@pytest.mark.parametrize(
    ("lead_id", "lane", "place"),
    [
        ("L1", "control", 0.8705821644207289),
        ("L2", "treated", 0.23150584468716673),
        ("00Q5g000001AbCDEA0", "control", 0.6680392620118216),
    ],
)
def test_later_versions_draw_the_same(lead_id: str, lane: str, place: float) -> None:
    assert Lanes(KEY, 0.5).of(lead_id) == (lane, place)


def test_share_of_zero_has_no_control_group() -> None:
    assert control(0.0) == set()


def test_larger_share_moves_only_leads_into_the_control_group() -> None:
    small, large = control(0.05), control(0.2)
    assert small < large


def test_another_key_draws_other_leads() -> None:
    first, second = control(0.5), control(0.5, bytes(32))
    assert len(first & second) / len(IDS) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    "forms",
    [
        ["100", "100.0"],
        ["00Q5g000001AbCD", "00Q5g000001AbCDEA0"],
        [GUID, f"{{{GUID.upper()}}}"],
        ["Ann@x.de", "ann@X.DE"],
    ],
)
def test_all_forms_of_an_id_have_one_draw(forms: list[str]) -> None:
    lanes = Lanes(KEY, 0.5)
    assert len({lanes.of(form) for form in forms}) == 1


def test_place_is_even_and_independent_of_the_lane() -> None:
    draws = [Lanes(KEY, 0.5).of(lead_id) for lead_id in IDS]
    places = np.array([draw.place for draw in draws])
    assert 0 <= places.min() < 0.001
    assert 0.999 < places.max() < 1
    shares, _ = np.histogram(places, bins=10, range=(0, 1))
    assert shares / len(IDS) == pytest.approx(np.full(10, 0.1), abs=0.01)
    is_control = np.array([draw.lane == "control" for draw in draws])
    assert abs(np.corrcoef(is_control, places)[0, 1]) < 0.03


def test_lanes_of_a_ledger_stay_the_same(ledger_url: str) -> None:
    draws = []
    for _ in range(2):
        with Ledger(ledger_url) as ledger:
            draws.append([ledger.lanes(0.3).of(lead_id) for lead_id in IDS[:100]])
    assert draws[0] == draws[1]
    assert {draw.lane for draw in draws[0]} == {"control", "treated"}


def test_control_group_without_a_ledger_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"share of 0\.1, but there is no ledger"):
        check_has_ledger(0.1, None)
    check_has_ledger(0.0, None)
