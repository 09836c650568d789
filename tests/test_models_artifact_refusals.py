"""The artefact: a damaged, incomplete or altered model is never loaded."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm.errors import ArtifactError
from models.artifact import FORMAT, MANIFEST, MAX_BYTES, load_artifact, save_artifact
from tests.made_artifacts import FILES, change_json, edit_json, remove, reseal

# -- files and manifest


@pytest.mark.parametrize("name", FILES)
def test_load_refuses_a_flipped_byte(model_copy: Path, name: str) -> None:
    content = bytearray((model_copy / name).read_bytes())
    at = content.index(b"sha256") + 12 if name == MANIFEST else len(content) // 2
    content[at] ^= 1
    (model_copy / name).write_bytes(content)
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        load_artifact(model_copy)


def test_load_refuses_any_flipped_byte_in_the_manifest(model_copy: Path) -> None:
    content = (model_copy / MANIFEST).read_bytes()
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        (model_copy / MANIFEST).write_bytes(flipped)
        with pytest.raises(ArtifactError):
            load_artifact(model_copy)


@pytest.mark.parametrize("name", FILES)
def test_load_names_a_missing_file(model_copy: Path, name: str) -> None:
    (model_copy / name).unlink()
    with pytest.raises(
        ArtifactError, match=f"not contain a complete model: {re.escape(name)} is missing"
    ):
        load_artifact(model_copy)


def test_load_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactError, match="not contain a complete model: manifest.json is missing"
    ):
        load_artifact(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES)
def test_load_refuses_special_files_without_waiting(model_copy: Path, name: str) -> None:
    (model_copy / name).unlink()
    os.mkfifo(model_copy / name)
    with pytest.raises(ArtifactError, match=f"{re.escape(name)} is missing"):
        load_artifact(model_copy)


@pytest.mark.parametrize("name", FILES)
def test_load_refuses_an_oversized_file(model_copy: Path, name: str) -> None:
    os.truncate(model_copy / name, MAX_BYTES[name] + 1)
    with pytest.raises(ArtifactError, match=rf"has [\d,]+ bytes; at most {MAX_BYTES[name]:,} are"):
        load_artifact(model_copy)


@pytest.mark.parametrize("name", FILES)
def test_load_does_not_read_an_oversized_file(
    model_copy: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(model_copy / name, 5_000_000_000)  # a sparse file, which takes no space
    reads: list[str] = []
    open_file = Path.open

    def record(path: Path, *arguments: Any, **options: Any) -> Any:
        reads.append(path.name)
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", record)
    with pytest.raises(ArtifactError, match=rf"{re.escape(name)} has 5,000,000,000 bytes; at most"):
        load_artifact(model_copy)
    assert name not in reads


@pytest.mark.parametrize("format_", [FORMAT + 1, 10**30, 0, -1, "2", None, [2]])
def test_load_names_an_unknown_format(model_copy: Path, format_: Any) -> None:
    change_json(model_copy, MANIFEST, format=format_)
    match = rf"has format {re.escape(repr(format_))}; this leadscore reads formats 1 to {FORMAT}\."
    with pytest.raises(ArtifactError, match=match):
        load_artifact(model_copy)


@pytest.mark.parametrize("content", ["[]", '{"format": 1}', '{"format": 1, "files": []}', '"x"'])
def test_load_refuses_a_foreign_manifest(model_copy: Path, content: str) -> None:
    (model_copy / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError, match="is not the manifest of a leadscore model"):
        load_artifact(model_copy)


def test_load_refuses_a_file_missing_from_the_manifest(model_copy: Path) -> None:
    change_json(model_copy, MANIFEST, files={})
    with pytest.raises(ArtifactError, match="is not the file that was saved"):
        load_artifact(model_copy)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_load_names_the_file_with_invalid_json(model_copy: Path, name: str, content: bytes) -> None:
    (model_copy / name).write_bytes(content[: MAX_BYTES[name]])
    if name != MANIFEST:
        reseal(model_copy)
    with pytest.raises(ArtifactError, match=f"{re.escape(name)} is not valid JSON"):
        load_artifact(model_copy)


@pytest.mark.parametrize("name", [name for name in FILES if name not in (MANIFEST, "booster.txt")])
@pytest.mark.parametrize("content", ["[]", "{}", "null", "3", '"text"', '[[1, "a"]]', '[{"a": 1}]'])
def test_load_refuses_json_of_another_shape(model_copy: Path, name: str, content: str) -> None:
    (model_copy / name).write_text(content)
    reseal(model_copy)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(model_copy)


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("calibration.json", {"slope": None}),
        ("calibration.json", {"slope": "steep"}),
        ("calibration.json", {"slope": 10**400}),
        ("calibration.json", {"intercept": float("nan")}),
        ("calibration.json", {"base_log_odds": float("inf")}),
        ("calibration.json", {"grades": [["A", 40], ["B", 50]]}),
        ("calibration.json", {"grades": []}),
        ("calibration.json", {"grades": {"A": 65}}),
        ("calibration.json", {"grades": [["A", "65"]]}),
        ("features.json", {"roles": ["lead_id"]}),
        ("features.json", {"attributes": [{"column": "a", "kind": "code", "nothing": []}]}),
        ("features.json", {"attributes": [{"column": "a", "kind": "number", "nothing": []}]}),
        ("features.json", {"attributes": []}),
        ("features.json", {"left_out": [{"column": "a", "why": "b"}]}),
    ],
)
def test_load_refuses_values_of_another_type(model_copy: Path, name: str, entries: Any) -> None:
    change_json(model_copy, name, **entries)
    with pytest.raises(ArtifactError, match="cannot be read: .* train again"):
        load_artifact(model_copy)


def test_load_refuses_a_manifest_without_the_estimator(model_copy: Path) -> None:
    manifest = json.loads((model_copy / MANIFEST).read_text())
    del manifest["files"]["estimator.json"]
    (model_copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"estimator\.json is not the file that was saved"):
        load_artifact(model_copy)


def test_load_refuses_a_model_without_its_estimator(model_copy: Path) -> None:
    manifest = json.loads((model_copy / MANIFEST).read_text())
    del manifest["files"]["estimator.json"]
    (model_copy / MANIFEST).write_text(json.dumps(manifest))
    (model_copy / "estimator.json").unlink()
    with pytest.raises(
        ArtifactError, match=r"not contain a complete model: estimator\.json is missing"
    ):
        load_artifact(model_copy)


# -- golden leads

ANOTHER_SCORE = "does not score its golden leads as it did"


@pytest.mark.parametrize("shift", [1e-9, -0.2])
def test_load_refuses_a_golden_lead_with_another_probability(
    model_copy: Path, shift: float
) -> None:
    def shift_probability(golden: Any) -> None:
        golden["leads"][3]["probability"] += shift

    edit_json(model_copy, "golden.json", shift_probability)
    with pytest.raises(ArtifactError, match=ANOTHER_SCORE):
        load_artifact(model_copy)


@pytest.mark.parametrize("shift", [1e-6, -3.0])
@pytest.mark.parametrize("signal", [0, -1])
def test_load_refuses_a_golden_lead_with_other_points(
    model_copy: Path, shift: float, signal: int
) -> None:
    def shift_points(golden: Any) -> None:
        golden["leads"][3]["points"][signal] += shift

    edit_json(model_copy, "golden.json", shift_points)
    with pytest.raises(ArtifactError, match=ANOTHER_SCORE):
        load_artifact(model_copy)


INVALID_POINTS: dict[str, Callable[[Any], object]] = {
    "absent": lambda lead: lead.pop("points"),
    "null": lambda lead: lead.update(points=None),
    "too few": lambda lead: lead["points"].pop(),
    "words": lambda lead: lead.update(points=["many"] * len(lead["points"])),
    "nan": lambda lead: lead.update(points=[float("nan")] * len(lead["points"])),
    "a number": lambda lead: lead.update(points=3.0),
}


@pytest.mark.parametrize("invalidate", INVALID_POINTS.values(), ids=INVALID_POINTS)
@pytest.mark.parametrize("n_leads", [1, None], ids=["one lead", "all leads"])
def test_load_refuses_invalid_golden_points(
    model_copy: Path, invalidate: Callable[[Any], object], n_leads: int | None
) -> None:
    def invalidate_leads(golden: Any) -> None:
        for lead in golden["leads"][:n_leads]:
            invalidate(lead)

    edit_json(model_copy, "golden.json", invalidate_leads)
    with pytest.raises(ArtifactError, match=f"cannot be read|{ANOTHER_SCORE}"):
        load_artifact(model_copy)


@pytest.mark.parametrize("probability", [None, "0.123456", [0.1, 0.2], float("nan")])
def test_load_refuses_an_invalid_golden_probability(model_copy: Path, probability: Any) -> None:
    edit_json(
        model_copy,
        "golden.json",
        lambda golden: golden["leads"][0].update(probability=probability),
    )
    with pytest.raises(ArtifactError, match=f"cannot be read|{ANOTHER_SCORE}"):
        load_artifact(model_copy)


def test_load_refuses_a_model_without_golden_leads(model_copy: Path) -> None:
    (model_copy / "golden.json").write_text('{"as_of": 0, "leads": []}')
    reseal(model_copy)
    with pytest.raises(ArtifactError, match=ANOTHER_SCORE):
        load_artifact(model_copy)


OF_ANOTHER_MODEL: dict[str, Callable[[str], str]] = {
    "features.json": lambda text: text.replace('"Partner"', '"Elsewhere"').replace(
        '"Webinar"', '"Partner"'
    ),
    "calibration.json": lambda text: re.sub(r'("intercept": -?)(\d)', r"\g<1>1\2", text),
}


@pytest.mark.parametrize("name", OF_ANOTHER_MODEL)
def test_golden_scores_reveal_a_file_of_another_model(model_copy: Path, name: str) -> None:
    text = (model_copy / name).read_text()
    altered = OF_ANOTHER_MODEL[name](text)
    assert altered != text
    (model_copy / name).write_text(altered)
    reseal(model_copy)
    with pytest.raises(ArtifactError, match=ANOTHER_SCORE):
        load_artifact(model_copy)


# -- the estimator

ALTERED: dict[str, Callable[[Any], object]] = {
    "another kind": lambda state: state.update(kind="oracle"),
    "no kind": lambda state: state.pop("kind"),
    "a kind that is a list": lambda state: state.update(kind=["blend"]),
    "a base rate with trees": lambda state: state.update(kind="base rate", log_odds=-1.0),
    "no weight": lambda state: state.pop("logistic_weight"),
    "a weight in words": lambda state: state.update(logistic_weight="half"),
    "a missing weight": lambda state: state.update(logistic_weight=float("nan")),
    "a weight above 1": lambda state: state.update(logistic_weight=1.5),
    "a negative weight": lambda state: state.update(logistic_weight=-0.5),
    "no weight for the trees": lambda state: state.update(logistic_weight=1.0),
    "no weight for the logistic": lambda state: state.update(logistic_weight=0.0),
    "another weight": lambda state: state.update(logistic_weight=0.30001),
    "no logistic": lambda state: state.update(logistic=None),
    "a logistic in words": lambda state: state.update(logistic="strong"),
    "a logistic without terms": lambda state: state["logistic"].pop("terms"),
    "another intercept": lambda state: state["logistic"].update(intercept=0.0),
    "an infinite intercept": lambda state: state["logistic"].update(intercept=float("inf")),
    "an intercept in words": lambda state: state["logistic"].update(intercept="0.1"),
    "too few coefficients": lambda state: state["logistic"]["coefficients"].pop(),
    "a missing coefficient": lambda state: state["logistic"]["coefficients"].__setitem__(
        0, float("nan")
    ),
    "another coefficient": lambda state: state["logistic"]["coefficients"].__setitem__(0, 0.5),
    "too many centres": lambda state: state["logistic"]["centre"].append(0.0),
    "another centre": lambda state: state["logistic"]["centre"].__setitem__(0, 0.5),
    "a column that does not exist": lambda state: _terms(state)["numeric"].__setitem__(0, 10**6),
    "a negative column": lambda state: _terms(state)["numeric"].__setitem__(0, -1),
    "too few columns": lambda state: _terms(state)["categorical"].pop(),
    "half a column": lambda state: _terms(state)["numeric"].__setitem__(0, 0.5),
    "a scale of zero": lambda state: _terms(state)["scale"].__setitem__(0, 0.0),
    "a range without values": lambda state: _terms(state)["low"].__setitem__(0, 2e100),
    "a column that has no terms": lambda state: _terms(state)["numeric"].pop(),
    "codes out of order": lambda state: _terms(state)["codes"][0].reverse(),
    "codes in words": lambda state: _terms(state)["codes"].__setitem__(0, ["a", "b"]),
    "steps in words": lambda state: state["logistic"].update(steps="steep"),
    "no steps": lambda state: state["logistic"].update(steps=None),
    "steps left out": lambda state: state["logistic"].pop("steps"),
    "steps without cuts": lambda state: _steps(state).pop("cuts"),
    "steps without an average": lambda state: _steps(state).pop("average"),
    "a column without cuts": lambda state: _steps(state)["cuts"].pop(),
    "too few averages": lambda state: _steps(state)["average"].pop(),
    "another average": lambda state: _steps(state)["average"].__setitem__(0, 0.5),
    "a cut too few": lambda state: _steps(state)["cuts"][_stepped(state)].pop(),
    "a level too many": lambda state: _steps(state)["levels"][_stepped(state)].append(0.0),
    "other levels": lambda state: _steps(state)["levels"].__setitem__(
        _stepped(state), [level + 0.5 for level in _steps(state)["levels"][_stepped(state)]]
    ),
    "a missing level": lambda state: _steps(state)["levels"][_stepped(state)].__setitem__(
        0, float("nan")
    ),
    "a cut in words": lambda state: _steps(state)["cuts"][_stepped(state)].__setitem__(0, "low"),
    "cuts out of order": lambda state: _steps(state)["cuts"][_stepped(state)].reverse(),
    "an infinite cut": lambda state: _steps(state)["cuts"][_stepped(state)].__setitem__(
        -1, float("inf")
    ),
    "a number that is too large": lambda state: _terms(state)["mean"].__setitem__(0, 10**400),
}


def _terms(state: Any) -> Any:
    return state["logistic"]["terms"]


def _steps(state: Any) -> Any:
    return state["logistic"]["steps"]


def _stepped(state: Any) -> int:
    """Return the position of a number with several cuts."""
    return max(range(len(_steps(state)["cuts"])), key=lambda i: len(_steps(state)["cuts"][i]))


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_load_refuses_an_altered_estimator(
    model_copy: Path, alter: Callable[[Any], object]
) -> None:
    edit_json(model_copy, "estimator.json", alter)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(model_copy)


@pytest.mark.parametrize("log_odds", [None, "-1", float("inf"), float("nan"), -1.0])
def test_load_refuses_an_altered_base_rate(
    scorers: Any, trained: Any, tmp_path: Path, log_odds: Any
) -> None:
    leads = trained.golden_leads
    save_artifact(scorers["base rate"], leads, tmp_path / "model", trained.golden_as_of)
    change_json(tmp_path / "model", "estimator.json", log_odds=log_odds)
    with pytest.raises(ArtifactError, match="cannot be read|does not score its golden leads"):
        load_artifact(tmp_path / "model")


def test_load_refuses_a_blend_whose_trees_are_not_in_the_manifest(model_copy: Path) -> None:
    remove(model_copy, "booster.txt")
    with pytest.raises(ArtifactError, match="a part of the blend is missing, or has no weight"):
        load_artifact(model_copy)


@pytest.mark.parametrize(
    ("name", "match"),
    [("base rate", "has no trees"), ("blend 1.0", "a part of the blend is missing, or has no")],
)
def test_load_refuses_trees_that_the_estimator_does_not_use(
    scorers: Any, trained: Any, saved_model: Path, tmp_path: Path, name: str, match: str
) -> None:
    folder = tmp_path / "model"
    save_artifact(scorers[name], trained.golden_leads, folder, trained.golden_as_of)
    shutil.copy(saved_model / "booster.txt", folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["booster.txt"] = {}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    reseal(folder)
    with pytest.raises(ArtifactError, match=match):
        load_artifact(folder)
