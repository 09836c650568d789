"""Runs the gates of `training.gates.checks` for a version.

LG101, LG102, LG103 and LG105 compare the challenger with the champion on the same leads, which
neither has learned from (`training.comparison`). LG101 and LG102 use all cut-offs, and the newest
leads alone; LG103 and LG105 use the newest leads alone. Without a champion, the base rate of the
challenger's training moments takes the champion's place, on the newest leads alone. If fewer than
ten of these have the rarer outcome, these four gates fail; without a champion they pass. They also
fail if the comparison would not be fair: a version predicts something else, the leads that it has
seen cannot be recognised, a column that it learned from is gone, or the champion is damaged.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crm.errors import ArtifactError, ConfigError, LeadScoringError, TrackingError
from crm.project import Project
from crm.reading import read_records
from crm.records import Records
from features.leaks.audit import Audit, audit
from features.moments import Moments, make_moments
from models.artifact import LoadedModel
from models.estimator.blend import BaseRate
from models.evaluation.metrics import FEWEST_TO_JUDGE
from models.registry.history import Gate, GateResults
from models.registry.registry import Registry
from training.comparison.comparison import SharedMoments, differences
from training.comparison.fairness import unfair_reasons
from training.comparison.held_out import Contender, HeldOut, held_out_log_odds
from training.comparison.stored_moments import StoredMoments
from training.gates.checks import (
    GATES,
    Compared,
    has_same_scale,
    holds_on_its_newest_leads,
    is_calibrated,
    is_free_of_leaks,
    loads_and_answers,
    log_loss_is_not_worse,
    no_segment_collapses,
    pr_auc_is_not_worse,
    segments,
)
from training.gates.shadow import is_same_model, shadow_gate


@dataclass(frozen=True)
class GateInputs:
    """Today's records, which the gates check a version on.

    Attributes
    ----------
    records : Records
    moments : Moments
        All mature moments of these records.
    audit : Audit
        The leak audit of these records.
    """

    records: Records
    moments: Moments
    audit: Audit

    @classmethod
    def read(cls, project: Project, now: datetime.datetime) -> "GateInputs":
        """Read a project's records, list their moments and audit them."""
        records = read_records(project, now)
        moments = make_moments(records, project.learn)
        return cls(records, moments, audit(records, moments, project))


def run_gates(
    registry: Registry, project: Project, inputs: GateInputs, version: str
) -> GateResults:
    """Run all gates for a version, against the champion or, without one, the base rate.

    Without a champion the alternative is to have no scores. So a first version with too few
    outcomes to evaluate passes, and its card says that its quality is unknown. A first version
    whose log loss is better than the base rate's passes the gate of calibration too.

    Parameters
    ----------
    registry : Registry
    project : Project
    inputs : GateInputs
    version : str

    Returns
    -------
    GateResults
        One result for each of `GATES`, in their order; then, if the project asks for a shadow
        period and there is a champion, that of LG109.

    Raises
    ------
    ConfigError
        If the version is the champion.
    TrackingError
        If MLflow refuses.
    """
    with registry.errors():
        champion_version = registry.find_champion()
    if champion_version == version:
        raise ConfigError(
            f"Version {version} of `{registry.name}` is the champion already. "
            "Name a challenger; `leadscore models list` shows them."
        )
    loaded = _load(registry, version)
    loads = loads_and_answers(loaded)
    if isinstance(loaded, LeadScoringError):
        return GateResults(version, champion_version, _not_loaded(loads), None)
    scorer = loaded.scorer
    challenger = Contender.read(registry, version, loaded)
    champion, reasons = _read_champion(registry, champion_version)
    contenders = [challenger] if champion is None else [challenger, champion]
    for contender in contenders:
        reasons += unfair_reasons(contender, inputs.records, project)
    opponent = f"version {champion_version}" if champion_version else "the base rate"
    if reasons:
        relative = _failrelative_gates(reasons, opponent)
    else:
        relative = relative_gates(challenger, champion, opponent, inputs, project)
    gates = [
        *relative,
        is_free_of_leaks(scorer, inputs.audit, project),
        loads,
        has_same_scale(
            scorer.scale,
            registry.pinned_scale(),
            scorer.card.question,
            champion.scorer.card.question if champion else None,
        ),
        holds_on_its_newest_leads(scorer.card.estimator),
    ]
    if champion_version is not None:
        is_same = is_same_model(registry, version, champion_version)
        in_shadow = shadow_gate(project, inputs.records, version, is_same=is_same)
        gates += [] if in_shadow is None else [in_shadow]
    gates.sort(key=lambda gate: gate.number)
    return GateResults(version, champion_version, tuple(gates), scorer.scale)


def run_rollback_gate(registry: Registry, version: str) -> GateResults:
    """Run the only gate of a rollback: the earlier champion loads and answers."""
    with registry.errors():
        champion = registry.find_champion()
    loaded = _load(registry, version)
    scale = None if isinstance(loaded, LeadScoringError) else loaded.scorer.scale
    return GateResults(version, champion, (loads_and_answers(loaded),), scale)


def base_rate(stored: StoredMoments | None) -> BaseRate:
    """Fit the base rate to the training moments that a training stored."""
    if stored is None:
        return BaseRate(0.0)
    label = stored.label[stored.role == "train"]
    return BaseRate.fit(label, np.ones(len(label)))


def _load(registry: Registry, version: str) -> LoadedModel | LeadScoringError:
    """Load a version; return the error if it does not load."""
    try:
        return registry.load(version)
    except (ArtifactError, TrackingError) as error:
        return error


def _not_loaded(loads: Gate) -> tuple[Gate, ...]:
    """Fail every gate, because the version does not load."""
    return tuple(
        loads
        if kind.number == loads.number
        else kind.result(False, "Not checked, because the version does not load.")
        for kind in GATES.values()
    )


def _read_champion(registry: Registry, version: str | None) -> tuple[Contender | None, list[str]]:
    """Load the champion, if there is one; if it is damaged, return the reason instead."""
    if version is None:
        return None, []
    try:
        return Contender.read(registry, version), []
    except (ArtifactError, TrackingError) as error:
        return None, [
            f"The champion cannot be evaluated: {error} Or make an earlier version the champion "
            "with `leadscore models rollback`, and try again."
        ]


def relative_gates(
    challenger: Contender,
    champion: Contender | None,
    opponent: str,
    inputs: GateInputs,
    project: Project,
) -> list[Gate]:
    """Compare the challenger with the champion or, without one, the base rate."""
    is_first = champion is None
    base = base_rate(challenger.stored)
    newest, rolling = _shared_moments(challenger, champion, base, inputs, project)
    if newest.rarer < FEWEST_TO_JUDGE:
        return _too_few_outcomes(newest, opponent, is_first=is_first)
    seed = project.learn.seed
    on_newest = differences(newest, seed)
    over_cut_offs = None if rolling is None else differences(rolling, seed)

    def compared(metric: str) -> tuple[Compared, str, Compared | None]:
        """Return the arguments of a gate that compares a metric."""
        of_newest = Compared(on_newest[metric], newest)
        if rolling is None or over_cut_offs is None:
            return of_newest, opponent, None
        return Compared(over_cut_offs[metric], rolling), opponent, of_newest

    return [
        log_loss_is_not_worse(*compared("log_loss")),
        pr_auc_is_not_worse(*compared("pr_auc")),
        is_calibrated(
            on_newest["ece"],
            newest,
            opponent,
            seed,
            beats_base_rate=is_first and on_newest["log_loss"].high < 0,
        ),
        no_segment_collapses(
            newest,
            segments(challenger.scorer, inputs.records, newest.moments),
            base,
            opponent,
        ),
    ]


def _shared_moments(
    challenger: Contender,
    champion: Contender | None,
    base: BaseRate,
    inputs: GateInputs,
    project: Project,
) -> tuple[SharedMoments, SharedMoments | None]:
    """Return the newest moments, and those of all cut-offs if there are earlier ones.

    The base rate has no earlier cut-offs: it is that of all training moments.
    """
    records, moments = inputs.records, inputs.moments
    own = held_out_log_odds(challenger, records, moments, project.name)
    if champion is None:
        alternative = HeldOut.constant(len(moments), base.log_odds)
        return SharedMoments.of(moments, own.newest, alternative), None
    other = held_out_log_odds(champion, records, moments, project.name)
    newest = SharedMoments.of(moments, own.newest, other.newest)
    rolling = SharedMoments.of(moments, own, other)
    return newest, rolling if len(rolling.moments) > len(newest.moments) else None


# -- one result for all gates that compare -------------------------------------------------


def _failrelative_gates(reasons: Sequence[str], opponent: str) -> list[Gate]:
    """Fail every gate that compares, because the comparison would not be fair."""
    return _same_result(False, f"It cannot be compared fairly with {opponent}. {' '.join(reasons)}")


def _too_few_outcomes(shared: SharedMoments, opponent: str, *, is_first: bool) -> list[Gate]:
    """Return the result of every gate that compares if there are too few outcomes to compare.

    A first version passes, because there is no champion that it could be worse than.
    """
    if is_first:
        return _same_result(
            True,
            f"Too few outcomes to judge: {shared.rarer} leads have the rarer outcome, at least "
            f"{FEWEST_TO_JUDGE} are needed. It passes because there is no champion yet.",
        )
    return _same_result(
        False,
        f"Too few outcomes to judge: neither this version nor {opponent} has learned from "
        f"{len(shared.moments):,} of the moments; {shared.rarer} of their leads have the rarer "
        f"outcome, at least {FEWEST_TO_JUDGE} are needed. "
        + (f"{shared.knowledge} " if shared.knowledge else "")
        + "Wait for more outcomes, or train again to hold out newer leads.",
    )


def _same_result(passed: bool, reason: str) -> list[Gate]:
    """Return one result for all gates that compare; only the first repeats the reason."""
    first, *rest = (kind for kind in GATES.values() if kind.is_relative)
    verb = "Passed" if passed else "Not passed"
    return [
        first.result(passed, reason),
        *(kind.result(passed, f"{verb} for the reason given at {first.number}.") for kind in rest),
    ]
