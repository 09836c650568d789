"""The section `[columns]` of a draft."""

from pathlib import Path

from drafting.draft import draft_project


def test_column_with_several_values_in_a_cell_is_named(tmp_path: Path) -> None:
    cells = [("Demo", "Demo;Email", "Email;Price", "Price")[i % 4] for i in range(200)]
    rows = "".join(f"{i},{cell},{i % 3 == 0}\n" for i, cell in enumerate(cells))
    (tmp_path / "leads.csv").write_text(f"id,Interests,won\n{rows}")
    draft = draft_project([str(tmp_path / "leads.csv")], tmp_path)
    text = " ".join(line.removeprefix("# ") for line in draft.splitlines())
    assert (
        '"Interests" holds several values in a cell, separated by ";": "Demo", "Email", "Price".'
    ) in text
