"""The section `[columns]` of a draft."""

from pathlib import Path

import numpy as np
import pytest

from drafting.draft import draft_project
from features.fitting import fit_pipeline
from features.moments import make_moments
from tests.made_drafts import N_LEADS, draft_of, flat_leads, without_line_breaks, yes_or_no


def test_column_with_several_values_in_a_cell_is_named(tmp_path: Path) -> None:
    cells = [("Demo", "Demo;Email", "Email;Price", "Price")[i % 4] for i in range(200)]
    rows = "".join(f"{i},{cell},{i % 3 == 0}\n" for i, cell in enumerate(cells))
    (tmp_path / "leads.csv").write_text(f"id,Interests,won\n{rows}")
    draft = draft_project([str(tmp_path / "leads.csv")], tmp_path)
    text = " ".join(line.removeprefix("# ") for line in draft.splitlines())
    assert (
        '"Interests" contains several values in a cell, separated by ";": "Demo", "Email", "Price".'
    ) in text


def test_attributes_that_training_leaves_out_are_named(tmp_path: Path) -> None:
    columns = {
        "Ticket": [f"T-{i:x}-{i * 7919 % 1000}" for i in range(N_LEADS)],
        "Version": ["v2"] * N_LEADS,
        "Unused": [None] * N_LEADS,
        "Kind": yes_or_no(),
    }
    text, project, records = draft_of(tmp_path, flat_leads(**columns))
    pipeline = fit_pipeline(records, make_moments(records, project.learn), project)
    reasons = {left.column: left.reason for left in pipeline.left_out}
    assert [*reasons] == ["Ticket", "Version", "Unused"]
    named = "; ".join(f'"{name}", because {reason}' for name, reason in reasons.items())
    assert f"`leadscore train` leaves out: {named}." in without_line_breaks(text)


@pytest.mark.parametrize(("n", "words"), [(10, "is empty."), (13, "is empty; and 3 more.")])
def test_ten_attributes_that_are_left_out_are_named(tmp_path: Path, n: int, words: str) -> None:
    empty = {f"unused {i}": [None] * N_LEADS for i in range(n)}
    text = without_line_breaks(draft_of(tmp_path, flat_leads(kind=yes_or_no(), **empty)).text)
    assert text.count("because it is empty") == 10
    assert words in text


def test_list_of_options_with_several_words_is_not_free_text(tmp_path: Path) -> None:
    options = [f"Product line {chr(65 + i)} with support" for i in range(12)]
    random = np.random.default_rng(0)
    chosen = [random.permutation(options)[: random.integers(1, 6)] for _ in range(N_LEADS)]
    cells = [";".join(picked) for picked in chosen]
    text, project, _ = draft_of(tmp_path, flat_leads(Interests=cells))
    assert project.columns.ignore == []
    assert '"Interests" contains several values in a cell' in without_line_breaks(text)
