"""The artefact: a saved model as a folder of data files, verified when it is loaded.

    manifest.json      FORMAT, and size and SHA-256 of every other file
    card.json          ModelCard
    features.json      the fitted FeaturePipeline
    estimator.json     the base rate; or the blend's weight and its logistic regression
    booster.txt        the blend's trees, LightGBM's own model text; absent without trees
    calibration.json   calibration, scale and grades
    golden.json        made-up leads, with their probabilities and points

No file contains code, a class path or a pickle. Loading checks the format, the sizes and the
digests before anything is parsed, and checks the trees before LightGBM reads them. Then it
scores the golden leads again and refuses on any difference. So code that reads a model
differently never runs it unnoticed.

FORMAT is one number. Raise it if a file is added, removed or read differently; keep the old
reader, and keep an artefact of the old format in tests/formats. In format 1 every model was
boosted trees: there was no estimator.json, and the grades could not be set. In format 2 there were
no steps in the logistic regression, and no interactions of attributes.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from crm.errors import ArtifactError
from crm.files import whole_folder
from crm.times import NOT_A_TIME
from features.pipeline import FeaturePipeline
from models.calibration import Calibration
from models.card import ModelCard
from models.contributions.booster_text import check_booster_text
from models.estimator.blend import BaseRate, Blend
from models.estimator.logistic import Logistic
from models.estimator.trees import BoostedTrees
from models.scale import GRADES, Scale, read_grades
from models.scorer import LeadCells, LeadScorer

FORMAT = 3
READABLE = range(1, FORMAT + 1)
MANIFEST = "manifest.json"
MAX_BYTES = {
    MANIFEST: 1 << 16,
    "card.json": 1 << 23,
    "features.json": 1 << 27,
    "estimator.json": 1 << 25,
    "booster.txt": 1 << 28,
    "calibration.json": 1 << 16,
    "golden.json": 1 << 24,
}
# The files that determine the scores.
MODEL_FILES = ("features.json", "estimator.json", "booster.txt", "calibration.json")
OPTIONAL = "booster.txt"
NEW_IN_2 = "estimator.json"
SHOWN_DIGITS = 12  # of a digest, in messages
GOLDEN_TOLERANCE = 1e-12
POINTS_TOLERANCE = 1e-7
READING_ERRORS = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


@dataclass(frozen=True)
class LoadedModel:
    """A verified model and its identity.

    Attributes
    ----------
    scorer : LeadScorer
    digest : str
        SHA-256 of the files that determine a score: models with the same digest give the same
        scores.
    """

    scorer: LeadScorer
    digest: str

    def __repr__(self) -> str:
        return f"<LoadedModel {self.digest[:SHOWN_DIGITS]}: {self.scorer!r}>"


def save_artifact(
    scorer: LeadScorer, golden_leads: Sequence[LeadCells], folder: Path, as_of: int = NOT_A_TIME
) -> str:
    """Write a model to a new folder, whole or not at all.

    Parameters
    ----------
    scorer : LeadScorer
    golden_leads : sequence of LeadCells
        Made-up leads; they are stored with their scores.
    folder : Path
    as_of : int
        The moment at which the golden leads are scored, microseconds since 1970 UTC.

    Returns
    -------
    str
        The model's digest.

    Raises
    ------
    ArtifactError
        If the folder already exists, or cannot be written.
    """
    if folder.exists():
        raise ArtifactError(f"{folder} already exists. Expected a new folder for the model.")
    golden = _golden(scorer, golden_leads, as_of)
    contents = {
        "card.json": _dump(scorer.card.to_json()),
        "features.json": _dump(
            scorer.pipeline.to_json()
            | {
                "roles": dict(scorer.roles),
                "timezone": scorer.timezone,
                "time_format": scorer.time_format,
            }
        ),
        "estimator.json": _dump(_estimator_state(scorer.estimator)),
        "calibration.json": _dump(
            {
                "slope": scorer.calibration.slope,
                "intercept": scorer.calibration.intercept,
                "base_log_odds": scorer.scale.base_log_odds,
                "grades": [list(grade) for grade in scorer.scale.grades],
            }
        ),
        "golden.json": _dump(
            {
                "as_of": as_of,
                "leads": [
                    {
                        "lead": msgspec.to_builtins(lead),
                        "probability": probability,
                        "points": points,
                    }
                    for lead, probability, points in zip(golden_leads, *golden, strict=True)
                ],
            }
        ),
    }
    if isinstance(scorer.estimator, Blend) and scorer.estimator.trees is not None:
        contents["booster.txt"] = scorer.estimator.trees.text.encode()
    manifest = _manifest(contents, FORMAT)
    try:
        with whole_folder(folder) as work:
            for name, content in (contents | {MANIFEST: _dump(manifest)}).items():
                (work / name).write_bytes(content)
            work.chmod(0o755)
    except OSError as error:
        raise ArtifactError(f"The model cannot be saved in {folder}: {error.strerror}.") from None
    return str(manifest["model"])


def load_artifact(folder: Path, expected: Sequence[str] = ()) -> LoadedModel:
    """Load a saved model and verify it.

    Parameters
    ----------
    folder : Path
    expected : sequence of str
        Digests, or the first characters of digests, under which the model is stored. The digest
        of the files must agree with each of them.

    Raises
    ------
    ArtifactError
        If a file is missing, too large, altered or unreadable, if the format is unknown, if the
        files are those of another model than expected, or if a golden lead scores differently.
    """
    manifest = _parse(_read(folder, MANIFEST), MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ArtifactError(f"{folder.name}/{MANIFEST} is not the manifest of a leadscore model.")
    version = manifest.get("format")
    if not isinstance(version, int) or version not in READABLE:
        raise ArtifactError(
            f"The model in {folder.name} has format {version!r}; this leadscore reads formats "
            f"{READABLE[0]} to {FORMAT}. Use the leadscore that saved it, or train again."
        )
    present = {name for name in MAX_BYTES if name != OPTIONAL or name in manifest["files"]}
    present -= {NEW_IN_2} if version == 1 else set()
    contents = {name: _read(folder, name) for name in sorted(present - {MANIFEST})}
    expected_manifest = _manifest(contents, version)
    for name, facts in expected_manifest["files"].items():
        if manifest["files"].get(name) != facts:
            raise ArtifactError(
                f"{folder.name}/{name} is not the file that was saved: its size or digest differs "
                "from the manifest's. Fetch the model again from the registry."
            )
    if manifest != expected_manifest:
        raise ArtifactError(
            f"{folder.name}/{MANIFEST} is not the file that was saved: it does not match the "
            "other files. Fetch the model again from the registry."
        )
    digest = str(expected_manifest["model"])
    _check_digest(digest, expected, f"the files in {folder.name}")
    try:
        scorer = _build(contents, version)
        golden = _parse(contents["golden.json"], "golden.json")
        leads = [msgspec.convert(saved["lead"], LeadCells) for saved in golden["leads"]]
        scores, points = _golden(scorer, leads, int(golden["as_of"]))
        agree = bool(leads) and np.allclose(
            scores,
            [saved["probability"] for saved in golden["leads"]],
            rtol=0,
            atol=GOLDEN_TOLERANCE,
        )
        if version > 1:
            expected = [saved["points"] for saved in golden["leads"]]
            agree = agree and np.allclose(points, expected, rtol=0, atol=POINTS_TOLERANCE)
    except READING_ERRORS as error:
        raise ArtifactError(
            f"The model in {folder.name} cannot be read: {type(error).__name__}: {error}. "
            "Fetch it again from the registry, or train again."
        ) from None
    if not agree:
        raise ArtifactError(
            f"The model in {folder.name} does not score its golden leads as it did when it was "
            "saved. It needs the leadscore and LightGBM versions that its card names."
        )
    return LoadedModel(scorer=scorer, digest=digest)


def _check_digest(digest: str, expected: Sequence[str], where: str) -> None:
    """Check that the files of a model are those under whose digest the model is stored.

    Parameters
    ----------
    digest : str
        The digest of the files.
    expected : sequence of str
        Digests, or the first characters of digests.
    where : str
        The files, for the message.

    Raises
    ------
    ArtifactError
        If an expected digest is empty or differs.

    Examples
    --------
    >>> _check_digest("15847aa0d60b", ["15847a", "15847aa0d60b"], "the files in scorer")
    >>> _check_digest("15847aa0d60b", ["f00"], "the files in scorer")
    Traceback (most recent call last):
        ...
    crm.errors.ArtifactError: These are the files of another model: the files in scorer have the \
digest 15847aa0d60b, and the model that is stored under this name has f00. Restore its files.
    """
    for stored in expected:
        if not stored or not digest.startswith(stored):
            raise ArtifactError(
                f"These are the files of another model: {where} have the digest "
                f"{digest[:SHOWN_DIGITS]}, and the model that is stored under this name has "
                f"{stored[:SHOWN_DIGITS] or 'none'}. Restore its files."
            )


def model_digest(folder: Path) -> str:
    """Compute the digest of a saved model from its files, without parsing them."""
    present = [name for name in MODEL_FILES if (folder / name).is_file()]
    return _model_digest({name: _sha256(_read(folder, name)) for name in present})


def _golden(
    scorer: LeadScorer, leads: Sequence[LeadCells], as_of: int
) -> tuple[list[float], list[list[float]]]:
    """Return the probability of each lead and the points of its signals."""
    features = scorer.features_of(leads, as_of)
    probability = [float(p) for p in scorer.probability(features)]
    return probability, scorer.reasoner.parts(features).of_signals.tolist()


def _build(contents: Mapping[str, bytes], version: int) -> LeadScorer:
    features = _parse(contents["features.json"], "features.json")
    numbers = _parse(contents["calibration.json"], "calibration.json")
    slope, intercept, base = (float(numbers[k]) for k in ("slope", "intercept", "base_log_odds"))
    if not all(map(math.isfinite, (slope, intercept, base))):
        raise ValueError("calibration.json contains a number that is not finite")
    pipeline = FeaturePipeline.from_json(features)
    n_linear = len(pipeline.names) - len(pipeline.of_interactions)
    trees = None
    if "booster.txt" in contents:
        text = contents["booster.txt"].decode("utf-8")
        check_booster_text(text, len(pipeline.names))
        trees = BoostedTrees(text)
    grades = GRADES if version == 1 else msgspec.convert(numbers["grades"], list[tuple[str, int]])
    return LeadScorer(
        pipeline=pipeline,
        estimator=_estimator(contents, trees, n_linear),
        calibration=Calibration(slope, intercept),
        scale=Scale(base, read_grades(dict(grades))),
        roles={str(role): str(column) for role, column in features["roles"].items()},
        timezone=str(features["timezone"]),
        time_format=features["time_format"],
        card=ModelCard.from_json(_parse(contents["card.json"], "card.json")),
    )


def _estimator_state(estimator: BaseRate | Blend) -> dict[str, Any]:
    kind = "base rate" if isinstance(estimator, BaseRate) else "blend"
    state = msgspec.to_builtins(estimator)
    return {"kind": kind} | {name: value for name, value in state.items() if name != "trees"}


def _estimator(
    contents: Mapping[str, bytes], trees: BoostedTrees | None, n_linear: int
) -> BaseRate | Blend:
    if NEW_IN_2 not in contents:
        return Blend(0.0, None, trees)
    state = _parse(contents["estimator.json"], "estimator.json")
    kind = state.pop("kind")
    if kind == "base rate":
        base_rate = msgspec.convert(state, BaseRate)
        if trees is not None or not math.isfinite(base_rate.log_odds):
            raise ValueError("a base rate must be one finite number, and has no trees")
        return base_rate
    if kind != "blend":
        raise ValueError(f"estimator.json contains an estimator of an unknown kind: {kind!r}")
    logistic = msgspec.convert(state["logistic"], Logistic | None)
    if logistic is not None:
        logistic.check(n_linear)
    return Blend(float(state["logistic_weight"]), logistic, trees)


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise ArtifactError(
            f"{folder} does not contain a complete model: {name} is missing. "
            "Fetch the model again from the registry."
        )
    try:
        size = path.stat().st_size
        if size > MAX_BYTES[name]:
            raise ArtifactError(
                f"{folder.name}/{name} has {size:,} bytes; at most {MAX_BYTES[name]:,} are read."
            )
        with path.open("rb") as file:
            return file.read(MAX_BYTES[name])
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.") from None


def _parse(content: bytes, name: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ArtifactError(f"{name} is not valid JSON. Fetch the model again.") from None


def _dump(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _manifest(contents: Mapping[str, bytes], version: int) -> dict[str, Any]:
    """Compute the manifest of these files."""
    digests = {name: _sha256(content) for name, content in contents.items()}
    files = {
        name: {"bytes": len(content), "sha256": digests[name]} for name, content in contents.items()
    }
    return {"format": version, "model": _model_digest(digests), "files": files}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _model_digest(digests: Mapping[str, str]) -> str:
    joined = "\n".join(f"{name} {digests[name]}" for name in MODEL_FILES if name in digests)
    return hashlib.sha256(joined.encode()).hexdigest()
