"""The page "Is the score still right?"."""

import pytest

from reports.pages.monitoring import _when


@pytest.mark.parametrize(("leads", "shown"), [(1, "1 lead that"), (1_200, "1,200 leads that")])
def test_leads_of_the_look_are_counted(leads: int, shown: str) -> None:
    look = {"version": "3", "at": "2026-03-02T04:00:00", "until": "2026-03-01", "leads": leads}
    assert _when(look) == (
        "Version 3 was looked at on 2026-03-02, with records until 2026-03-01 and "
        f"{shown} it has not learned from."
    )
