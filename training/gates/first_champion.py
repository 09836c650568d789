"""Makes the first version that passes its gates the champion."""

import datetime
from dataclasses import dataclass

from crm.errors import GateError
from crm.project import Project
from models.registry.history import Gate
from models.registry.promotion import promote, user_name
from models.registry.registry import Registry
from training.gates.gates import GateInputs, run_gates
from training.tracking.log import TrackedModel
from training.tracking.run import version_deleted_on_failure

FIRST = "There was no champion."


@dataclass(frozen=True)
class Standing:
    """Whether a new version is the champion, and why not.

    Attributes
    ----------
    is_champion : bool
        True if it became the champion: there was none and it passed its gates.
    champion : str or None
        The champion's version now; None if there is none and the new version did not pass.
    gates : tuple of Gate
        The results of its gates; empty if there was a champion, because then no gate is run.
    refusal : str
        Why it did not become the first champion; empty if there was a champion or it did.
    """

    is_champion: bool
    champion: str | None
    gates: tuple[Gate, ...] = ()
    refusal: str = ""


def promote_first(
    registry: Registry,
    project: Project,
    inputs: GateInputs,
    tracked: TrackedModel,
    at: datetime.datetime,
) -> Standing:
    """Run the gates for a new version if there is no champion, and promote it if it passes.

    The version is compared with the base rate. If it does not pass, it stays the challenger, and
    the history says why. If the gates or the promotion raise another error, the version is
    deleted, and `training_run` deletes the model.

    Parameters
    ----------
    registry : Registry
    project : Project
    inputs : GateInputs
        The records that the version was trained on.
    tracked : TrackedModel
    at : datetime, timezone-aware
        Now, for the history.

    Returns
    -------
    Standing

    Raises
    ------
    TrackingError
        If MLflow refuses.
    """
    with (
        registry.errors(),
        version_deleted_on_failure(registry, tracked.version),
    ):
        champion = registry.find_champion()
        if champion is not None:
            return Standing(champion == tracked.version, champion)
        results = run_gates(registry, project, inputs, tracked.version)
        try:
            promote(registry, results, who=user_name(), at=at, because=FIRST)
        except GateError as error:
            # Another version may have become the first champion meanwhile.
            return Standing(False, registry.find_champion(), results.gates, str(error))
        return Standing(True, tracked.version, results.gates)
