"""The example notebook: it is stored without outputs, and its cells do what its texts say."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent.parent
NOTEBOOK = HERE / "examples" / "notebook.ipynb"
NUMBER = r"([+-]?\d+\.\d+)"


def read_notebook() -> Any:
    return nbformat.reads(NOTEBOOK.read_text(), as_version=4)  # type: ignore[no-untyped-call]


def test_notebook_is_stored_without_outputs() -> None:
    cells = [cell for cell in read_notebook().cells if cell.cell_type == "code"]
    assert len(cells) > 8
    assert [cell for cell in cells if cell.outputs or cell.execution_count is not None] == []


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the notebook; return the output of each cell of code, as text, by its first line."""
    notebook = read_notebook()
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        patch.setenv("IPYTHONDIR", str(folder))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
        patch.setenv("TMPDIR", str(folder))
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    return {
        cell.source.partition("\n")[0]: "".join(
            output.text if output.output_type == "stream" else output.data["text/plain"]
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def output_after(outputs: dict[str, str], start: str) -> str:
    """Return the output of the only cell that starts with a text."""
    (text,) = (text for line, text in outputs.items() if line.startswith(start))
    return text


def test_every_object_is_shown_in_few_characters(outputs: dict[str, str]) -> None:
    assert len(outputs) > 8
    assert {line: len(text) for line, text in outputs.items() if not 0 < len(text) < 3_000} == {}


def test_comparison_agrees_with_the_difference(outputs: dict[str, str]) -> None:
    table = output_after(outputs, "comparison = ")
    losses = {
        name: float(loss)
        for name, loss in re.findall(rf"(?s)(leadscore|own) .*?log_loss +{NUMBER}", table)
    }
    text = output_after(outputs, "difference, low, high")
    difference, low, high = (float(number) for number in re.findall(NUMBER, text))
    assert difference == pytest.approx(losses["leadscore"] - losses["own"], abs=1e-4)
    assert low < difference < high
    assert ("more than chance." in text) is (low > 0 or high < 0)


def test_models_are_better_than_the_base_rate(outputs: dict[str, str]) -> None:
    table = output_after(outputs, "comparison = ")
    aucs = {
        name: float(auc)
        for name, auc in re.findall(rf"(leadscore|own|base rate) +roc_auc +{NUMBER}", table)
    }
    assert aucs["base rate"] == 0.5
    assert min(aucs["leadscore"], aucs["own"]) > 0.7


def test_scores_have_reasons(outputs: dict[str, str]) -> None:
    text = output_after(outputs, "scorer = ")
    assert re.search(r"reason_1", text)
    assert len(re.findall(r"\([+-]\d+\)", text)) >= 5


def test_saved_model_is_loaded(outputs: dict[str, str]) -> None:
    assert output_after(outputs, "digest = ").startswith("<LoadedModel ")
