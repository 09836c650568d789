"""A new kind of attribute needs one class and one entry of the registry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import pytest

from crm.cells import cell_text
from crm.project import load_project
from crm.reading import read_records
from features.attributes.attribute import Attribute, UndeclaredColumn
from features.attributes.kinds import KINDS
from features.cell_warnings import CellWarning, cell_warning
from features.dictionary import data_dictionary
from features.feature import Feature
from features.fitting import fit_pipeline
from features.moments import make_moments
from features.pipeline import FeaturePipeline
from serving.contract.flat_fields import FlatField, flat_fields
from training.golden import golden_leads

SIZES = {"small": 1.0, "medium": 2.0, "large": 3.0}


@dataclass(frozen=True)
class SizeAttribute(Attribute):
    """A size as a number: small is 1, medium 2, large 3."""

    kind: ClassVar[str] = "size"
    note: ClassVar[str] = "small, medium or large as 1, 2 or 3"
    json_type: ClassVar[Literal["number", "string"]] = "string"

    @classmethod
    def recognise(cls, column: UndeclaredColumn) -> Sequence[Self]:
        is_size = column.values and column.values <= SIZES.keys()
        return [cls(column.name, column.nothing)] if is_size else ()

    @classmethod
    def examples(cls) -> Sequence[Self]:
        return [cls("COLUMN", frozenset())]

    @property
    def feature(self) -> Feature:
        return Feature(
            name=f"{self.column}.size",
            table="leads",
            column=self.column,
            unit="number",
            sentence="size is {value}",
        )

    def encode(self, cell: Any) -> float:
        return SIZES.get((cell_text(cell) or "").casefold(), math.nan)

    def warning(self, cell: Any) -> CellWarning | None:
        is_odd = cell is not None and math.isnan(self.encode(cell))
        return cell_warning("unseen_value", self.column) if is_odd else None

    def typical_cells(self, column: pd.Series, as_of: int) -> Sequence[Any]:
        return list(SIZES)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeaturePipeline:
    """Fit a pipeline on leads with a column of the made-up kind."""
    monkeypatch.setitem(KINDS, "size", SizeAttribute)
    sizes = ["Small", "medium", "LARGE", None] * 50
    leads = pd.DataFrame({"lead_id": range(200), "company": sizes, "won": [True, False] * 100})
    leads.to_csv(tmp_path / "leads.csv", index=False)
    (tmp_path / "leadscore.toml").write_text(
        'project.name = "acme"\n'
        'leads = {source = "leads.csv", outcome = "won"}\n'
        "learn = {won = [true], lost = [false]}\n"
    )
    project = load_project(tmp_path)
    records = read_records(project)
    return fit_pipeline(records, make_moments(records, project.learn), project)


def test_a_made_up_kind_is_recognised(pipeline: FeaturePipeline) -> None:
    assert pipeline.attributes == (SizeAttribute("company", frozenset()),)
    assert pipeline.names == ["company.size"]


def test_a_made_up_kind_is_transformed(pipeline: FeaturePipeline) -> None:
    cells, expected = ["large", "tiny", "SMALL"], [3.0, math.nan, 1.0]
    matrix = pipeline.matrix(pd.DataFrame({"company": cells}))
    rows = pipeline.rows([{"company": cell} for cell in cells])
    np.testing.assert_array_equal(matrix[:, 0], expected)
    np.testing.assert_array_equal(rows[:, 0], expected)


def test_a_made_up_kind_is_saved_and_loaded(pipeline: FeaturePipeline) -> None:
    state = pipeline.to_json()
    assert state["attributes"] == [{"kind": "size", "column": "company", "nothing": []}]
    assert FeaturePipeline.from_json(state) == pipeline


def test_a_made_up_kind_is_in_the_data_dictionary(pipeline: FeaturePipeline) -> None:
    assert "| `COLUMN.size` | leads | `COLUMN` | all | number | small, medium" in data_dictionary()


def test_golden_leads_have_cells_of_a_made_up_kind(pipeline: FeaturePipeline) -> None:
    leads = golden_leads(pipeline, pd.DataFrame({"company": ["small"]}), as_of=0, seed=0)
    cells = {lead.cells.get("company") for lead in leads}
    assert set(SIZES) < cells


def test_the_contract_has_the_type_of_a_made_up_kind(pipeline: FeaturePipeline) -> None:
    model: Any = SimpleNamespace(
        names_by_identifier={"company": "company"}, scorer=SimpleNamespace(pipeline=pipeline)
    )
    assert flat_fields(model) == {"company": FlatField("company", "string")}


def test_every_kind_has_its_own_name_and_note() -> None:
    assert {name: kind.kind for name, kind in KINDS.items()} == {name: name for name in KINDS}
    assert len({kind.note for kind in KINDS.values()}) == len(KINDS)
