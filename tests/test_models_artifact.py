"""The artefact: what is saved is loaded unchanged, in the current format and in older ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from crm.errors import ArtifactError
from models import artifact
from models.artifact import FORMAT, MANIFEST, load_artifact, save_artifact
from models.estimator.blend import Blend
from models.scale import GRADES, Scale
from models.scorer import LeadCells, LeadScorer
from tests.made_artifacts import FILES, FORMATS, change_json, remove
from training.golden import N_GOLDEN


def test_loaded_model_equals_the_saved_one(scorers: Any, trained: Any, saved_model: Path) -> None:
    loaded, scorer = load_artifact(saved_model).scorer, scorers["blend 0.3"]
    assert loaded == scorer
    leads = trained.golden_leads
    assert loaded.score_leads(leads, n_reasons=99) == scorer.score_leads(leads, n_reasons=99)


def test_golden_leads_are_stored(trained: Any, saved_model: Path) -> None:
    golden = json.loads((saved_model / "golden.json").read_text())
    assert golden["as_of"] == trained.golden_as_of
    expected = json.loads(msgspec.json.encode(trained.golden_leads))
    assert [entry["lead"] for entry in golden["leads"]] == expected
    assert len(golden["leads"]) == N_GOLDEN + 4
    assert any(entry["lead"]["activities"] for entry in golden["leads"])


def test_golden_points_equal_the_points_of_the_reasons(
    scorers: Any, trained: Any, saved_model: Path
) -> None:
    scorer = scorers["blend 0.3"]
    golden = json.loads((saved_model / "golden.json").read_text())["leads"]
    scores = scorer.score_leads(trained.golden_leads, trained.golden_as_of, n_reasons=99)
    for entry, score in zip(golden, scores, strict=True):
        points = dict(zip(scorer.reasoner.signals, entry["points"], strict=True))
        assert {reason.signal: reason.points for reason in score.reasons} == points


def test_loaded_model_saves_to_the_same_bytes(
    trained: Any, saved_model: Path, tmp_path: Path
) -> None:
    loaded, folder = load_artifact(saved_model), tmp_path / "copy"
    digest = save_artifact(loaded.scorer, trained.golden_leads, folder, trained.golden_as_of)
    assert digest == loaded.digest
    for name in FILES:
        assert (folder / name).read_bytes() == (saved_model / name).read_bytes(), name


def test_digest_does_not_depend_on_the_golden_leads(
    scorers: Any, trained: Any, saved_model: Path, tmp_path: Path
) -> None:
    digest = load_artifact(saved_model).digest
    assert json.loads((saved_model / MANIFEST).read_text())["model"] == digest
    leads = trained.golden_leads[:3]
    assert save_artifact(scorers["blend 0.3"], leads, tmp_path / "model") == digest


def test_models_of_different_kinds_have_different_digests(
    scorers: Any, trained: Any, tmp_path: Path
) -> None:
    leads = trained.golden_leads[:2]
    digests = {save_artifact(scorer, leads, tmp_path / name) for name, scorer in scorers.items()}
    assert len(digests) == len(scorers) == 5


@pytest.mark.parametrize("name", ["base rate", "blend 0.0", "blend 0.3", "blend 0.5", "blend 1.0"])
def test_every_kind_of_model_can_be_saved_and_loaded(
    scorers: Any, trained: Any, tmp_path: Path, name: str
) -> None:
    scorer, leads, as_of = scorers[name], trained.golden_leads, trained.golden_as_of
    digest = save_artifact(scorer, leads, tmp_path / "model", as_of)
    loaded = load_artifact(tmp_path / "model")
    assert loaded.digest == digest
    assert loaded.scorer == scorer
    expected = scorer.score_leads(leads, as_of, n_reasons=99)
    assert loaded.scorer.score_leads(leads, as_of, n_reasons=99) == expected


@pytest.mark.parametrize(
    ("name", "kind", "has_trees"),
    [
        ("base rate", "base rate", False),
        ("blend 0.0", "blend", True),
        ("blend 0.3", "blend", True),
        ("blend 1.0", "blend", False),
    ],
)
def test_trees_have_a_file_of_their_own(
    scorers: Any, trained: Any, tmp_path: Path, name: str, kind: str, has_trees: bool
) -> None:
    save_artifact(scorers[name], trained.golden_leads[:2], tmp_path / "model")
    assert (tmp_path / "model" / "booster.txt").exists() == has_trees
    state = json.loads((tmp_path / "model" / "estimator.json").read_text())
    assert state["kind"] == kind
    assert "trees" not in state


def test_save_keeps_grades_and_base_odds(scorers: Any, trained: Any, tmp_path: Path) -> None:
    scorer, leads = scorers["blend 0.3"], trained.golden_leads
    scale = Scale(-1.25, (("A", 70), ("B", 55), ("C", 40), ("D", 20)))
    digest = save_artifact(replace(scorer, scale=scale), leads, tmp_path / "model")
    assert load_artifact(tmp_path / "model").scorer.scale == scale
    assert digest != save_artifact(scorer, leads[:1], tmp_path / "with another scale")


# -- saving


def test_saved_model_is_readable_by_other_users(saved_model: Path) -> None:
    assert saved_model.stat().st_mode & 0o777 == 0o755


def test_save_never_overwrites_a_folder(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(ArtifactError, match="already exists. Expected a new folder"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model")
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "mine"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_save_leaves_nothing(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    write = Path.write_bytes

    def fail_at_the_third_file(path: Path, content: bytes) -> int:
        if len(list(path.parent.iterdir())) == 2:
            raise failure
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail_at_the_third_file)
    expected = ArtifactError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="cannot be saved.*No space left|^$"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_save_refuses_a_folder_that_cannot_be_written(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ArtifactError, match="cannot be saved in .*: (Not a directory|File exists)"):
        save_artifact(trained.scorer, trained.golden_leads, tmp_path / "file" / "model")


def test_save_creates_parent_folders(trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "model"
    save_artifact(trained.scorer, trained.golden_leads, folder, trained.golden_as_of)
    assert load_artifact(folder).scorer == trained.scorer
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


# -- formats


OLD_FORMATS = ["1", "2"]


@pytest.fixture(scope="module", params=OLD_FORMATS)
def old_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def old(old_format: str) -> LeadScorer:
    """Load a model that was saved in an older format."""
    return load_artifact(FORMATS / old_format).scorer


@pytest.fixture(scope="module")
def format_1() -> LeadScorer:
    return load_artifact(FORMATS / "1").scorer


def golden_of(old_format: str) -> tuple[list[LeadCells], int, list[float]]:
    """Return the golden leads, their moment, and their probabilities."""
    golden = json.loads((FORMATS / old_format / "golden.json").read_text())
    leads = [msgspec.convert(entry["lead"], LeadCells) for entry in golden["leads"]]
    return leads, golden["as_of"], [entry["probability"] for entry in golden["leads"]]


def test_every_old_format_has_a_model() -> None:
    assert sorted(folder.name for folder in FORMATS.iterdir()) == OLD_FORMATS
    for name in OLD_FORMATS:
        assert str(json.loads((FORMATS / name / MANIFEST).read_text())["format"]) == name
    assert range(1, len(OLD_FORMATS) + 2) == artifact.READABLE


def test_format_1_has_no_estimator_file() -> None:
    manifest = json.loads((FORMATS / "1" / MANIFEST).read_text())
    assert manifest["format"] == 1
    assert "estimator.json" not in manifest["files"]


def test_format_1_model_is_trees_with_the_default_grades(format_1: LeadScorer) -> None:
    assert isinstance(format_1.estimator, Blend)
    assert format_1.estimator.logistic_weight == 0.0
    assert format_1.estimator.logistic is None
    assert format_1.scale.grades == GRADES


def test_format_2_model_has_lines_without_steps_and_no_interactions() -> None:
    scorer = load_artifact(FORMATS / "2").scorer
    state = json.loads((FORMATS / "2" / "estimator.json").read_text())
    assert "steps" not in state["logistic"]
    assert "interactions" not in json.loads((FORMATS / "2" / "features.json").read_text())
    assert isinstance(scorer.estimator, Blend)
    assert scorer.estimator.logistic is not None
    assert scorer.estimator.logistic.steps is None
    assert scorer.estimator.trees is not None
    assert scorer.pipeline.interactions == ()


def test_format_2_model_has_points_as_before() -> None:
    scorer = load_artifact(FORMATS / "2").scorer
    leads, as_of, _ = golden_of("2")
    golden = json.loads((FORMATS / "2" / "golden.json").read_text())["leads"]
    parts = scorer.reasoner.parts(scorer.features_of(leads, as_of))
    assert parts.of_signals == pytest.approx(
        np.array([entry["points"] for entry in golden]), rel=0, abs=1e-9
    )


def test_model_of_an_old_format_scores_as_before(old: LeadScorer, old_format: str) -> None:
    leads, as_of, expected = golden_of(old_format)
    scores = old.score_leads(leads, as_of)
    assert [score.probability for score in scores] == pytest.approx(expected, rel=0, abs=1e-12)
    assert len(expected) == N_GOLDEN + 4


def test_model_of_an_old_format_has_points_that_add_up(old: LeadScorer, old_format: str) -> None:
    leads, as_of, _ = golden_of(old_format)
    features = old.features_of(leads, as_of)
    parts = old.reasoner.parts(features)
    unrounded = old.scale.unrounded(old.log_odds_of(features))
    assert parts.start + parts.of_signals.sum(axis=1) == pytest.approx(unrounded, rel=0, abs=1e-9)


def test_model_of_an_old_format_has_reasons(old: LeadScorer, old_format: str) -> None:
    leads, as_of, _ = golden_of(old_format)
    scores = old.score_leads(leads, as_of, n_reasons=3)
    assert all(len(score.reasons) <= 3 for score in scores)
    assert {score.start for score in scores} == {old.reasoner.start}
    assert {reason.text for score in scores for reason in score.reasons}


def test_model_of_an_old_format_is_saved_in_the_current_one(
    old: LeadScorer, tmp_path: Path
) -> None:
    save_artifact(old, [LeadCells({})], tmp_path / "model")
    assert json.loads((tmp_path / "model" / MANIFEST).read_text())["format"] == FORMAT
    assert load_artifact(tmp_path / "model").scorer == old


def test_load_refuses_a_model_of_a_newer_format_that_claims_format_1(model_copy: Path) -> None:
    # Format 1 has no estimator file, so the loaded model would give other scores.
    remove(model_copy, "estimator.json")
    change_json(model_copy, MANIFEST, format=1)
    with pytest.raises(ArtifactError, match="does not score its golden leads"):
        load_artifact(model_copy)


def test_tests_cover_the_current_format() -> None:
    # If you raise FORMAT, keep the old reader, and put a model of the old format in tests/formats.
    assert FORMAT == 3
    assert FILES == [
        "booster.txt",
        "calibration.json",
        "card.json",
        "estimator.json",
        "features.json",
        "golden.json",
        "manifest.json",
    ]
