"""The gate that asks for a shadow period: LG109. It is run only if the project asks for it."""

from typing import Final

from crm.ledger.records import project_ledger
from crm.project import Project
from crm.records import Records
from crm.times import DAY
from models.registry.history import Gate
from models.registry.registry import Registry
from monitoring.scored_moments import LeadOutcomes
from monitoring.shadow import shadow_check
from training.gates.checks import GateKind

SHADOW_GATE: Final = GateKind("LG109", "shadow period", is_relative=False)
FEWEST_LEADS: Final = 100


def is_same_model(registry: Registry, version: str, other: str) -> bool:
    """Return whether two versions give the same scores, because their artefacts are the same."""
    digests = {of.version: of.digest for of in registry.versions()}
    return bool(digests.get(version)) and digests.get(version) == digests.get(other)


def shadow_gate(
    project: Project, records: Records, version: str, *, is_same: bool = False
) -> Gate | None:
    """Check that a version has scored leads in the shadow for long enough, and not worse.

    Parameters
    ----------
    project : Project
        `[retrain] shadow_days` is the number of days; with 0 there is no gate.
    records : Records
        Today's records, with the outcomes of the leads.
    version : str
    is_same : bool
        Whether the version is the same model as the champion; then there is nothing to wait for.

    Returns
    -------
    Gate or None
        Passed if it is the same model, or if the shadow has scored at least `FEWEST_LEADS` leads,
        over at least this number of days, and does not predict the outcomes that have come
        clearly worse than the given scores.
    """
    days = project.retrain.shadow_days
    if not days:
        return None
    if is_same:
        return SHADOW_GATE.result(True, "It is the same model as the champion.")
    with project_ledger(project) as ledger:
        if ledger is None or not records.has_times:
            return SHADOW_GATE.result(
                False, "There is no ledger, which would store the scores of a shadow."
            )
        pieces = ledger.rows("shadow_scores")
        shadows = [row for piece in pieces for row in piece if row["version"] == version]
        wanted = {row["score_id"] for row in shadows}
        pieces = ledger.rows("scores")
        given = [row for piece in pieces for row in piece if row["score_id"] in wanted]
    times = [row["recorded_at"] for row in shadows]
    span = (max(times) - min(times)) / DAY if times else 0.0
    n_leads = len({row["lead_id"] for row in shadows})
    if span < days or n_leads < FEWEST_LEADS:
        return SHADOW_GATE.result(
            False,
            f"It has scored {n_leads:,} leads in the shadow, over {span:.1f} days; {FEWEST_LEADS} "
            f"leads and {days:g} days are needed. Serve it with `leadscore serve --shadow "
            "challenger`.",
        )
    check = shadow_check(given, shadows, records, LeadOutcomes.of(records, project.learn))
    low = check.figures.get("low")
    return SHADOW_GATE.result(low is None or low <= 0, check.evidence)


def is_only_early(failed: tuple[Gate, ...]) -> bool:
    """Return whether the shadow period is the only gate that failed."""
    return [gate.number for gate in failed] == [SHADOW_GATE.number]
