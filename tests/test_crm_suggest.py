"""Suggestions of names for a name that does not exist."""

import pytest

from crm.suggest import nearest


@pytest.mark.parametrize(
    ("name", "names", "hint"),
    [
        ("lead source", ["Lead Source", "City"], "Did you mean `Lead Source`?"),
        ("zzz", ["Lead Source", "City"], "Expected one of: Lead Source, City."),
        ("zzz", [f"c{i}" for i in range(12)], "c10, c11."),
        ("zzz", [f"c{i}" for i in range(13)], ", c11, …."),
        ("zzz", [], "There are none."),
    ],
)
def test_nearest_suggests_one_name_or_lists_all(name: str, names: list[str], hint: str) -> None:
    assert nearest(name, names).endswith(hint)
