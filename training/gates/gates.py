"""The gates: what a challenger must pass to become champion.

| gate | passed if |
|---|---|
| LG101 log loss | not worse: the 95 % interval of the paired difference reaches 0, or the difference is below 0.001 |
| LG102 PR AUC | the same way |
| LG103 calibration | stated and true shares differ by 0.05 at most, or by what chance makes of so few leads, or not more than the champion's beyond chance |
| LG104 free of leaks | the leak audit of today's records finds no leak among the fields it looks at |
| LG105 segments | for no value of a category is it worse than the champion or than the base rate, beyond chance and by more than a little |
| LG106 loads and answers | it comes out of MLflow, verifies, and scores its golden leads as when it was saved |
| LG107 same scale | its base odds and grades are the pinned ones, and it answers the champion's question: what counts as won, within how many days |

Both sides of LG101, LG102, LG103 and LG105 are judged on the same newest leads, by margins that
neither learned from (`training.comparison.comparison`). Where there is no champion yet, the base rate of the
challenger's own training moments stands in. With fewer than ten leads of the rarer outcome there
is nothing to judge by, and these four are not passed; nor are they where the comparison would not
be fair, because one side is judged by labels of another question, nobody can tell which leads it
knows, a column that it learned from is gone, or the champion is damaged.
"""  # noqa: E501  # a table is no table if it is wrapped

import datetime
from dataclasses import dataclass

import numpy as np

from crm.errors import ArtifactError, ConfigError, TrackingError
from crm.project import Project
from crm.reading import read_records
from crm.records import Records
from features.leaks.audit import Audit, audit
from features.moments import Moments, make_moments
from models.estimator.blend import BaseRate
from models.evaluation.metrics import FEWEST_TO_JUDGE
from models.registry.history import Gate, GateResults
from models.registry.registry import Registry
from training.comparison.comparison import (
    Contest,
    JudgedTable,
    Side,
    differences,
    honest_margins,
    why_unfair,
)
from training.gates.checks import (
    GATES,
    RELATIVE,
    calibrated,
    free_of_leaks,
    gate_of,
    loads_and_answers,
    no_segment_collapses,
    not_worse,
    same_scale,
    segments,
    too_few,
    unfair,
)


@dataclass(frozen=True)
class Grounds:
    """What a judgement stands on: the records as they are now.

    Attributes
    ----------
    records : Records
    moments : Moments
        All mature ones of these records.
    audit : Audit
        Of these records.
    """

    records: Records
    moments: Moments
    audit: Audit

    @classmethod
    def read(cls, project: Project, now: datetime.datetime) -> "Grounds":
        """Read a project's records, list their moments and audit them."""
        records = read_records(project, now)
        moments = make_moments(records, project.learn)
        return cls(records, moments, audit(records, moments, project))


def judge(registry: Registry, project: Project, grounds: Grounds, version: str) -> GateResults:
    """Put a version through all gates, against the champion or, without one, the base rate.

    Without a champion the alternative is no score at all. So a first version with too few
    outcomes to be judged passes, and its card says that nobody can tell how good it is; and
    one that tells leads apart better than the base rate need not be as well calibrated.

    Parameters
    ----------
    registry : Registry
    project : Project
    grounds : Grounds
    version : str

    Returns
    -------
    GateResults
        With one gate for each of `GATES`, in their order.

    Raises
    ------
    ConfigError
        If the version is the champion.
    TrackingError
        If MLflow refuses.
    """
    with registry.errors():
        champion = registry.find_champion()
    if champion == version:
        raise ConfigError(
            f"Version {version} of `{registry.name}` is the champion already. "
            "Name a challenger; `leadscore models list` shows them."
        )
    loads, loaded = loads_and_answers(registry, version)
    if loaded is None:
        unknown = "Not judged, because the version does not load."
        gates = [Gate(number, name, False, unknown) for number, name in GATES.items()]
        gates[list(GATES).index("LG106")] = loads
        return GateResults(version, champion, tuple(gates), None)
    scorer = loaded.scorer
    challenger = Side.read(registry, version, loaded)
    rival, lost = _champion(registry, champion)
    reasons = [
        *lost,
        *(
            why
            for side in (challenger, rival)
            if side
            for why in why_unfair(side, grounds.records, project)
        ),
    ]
    against = f"version {champion}" if champion else "the base rate"
    asked = rival.scorer.card.question if rival else None
    gates = [
        *(
            unfair(reasons, against)
            if reasons
            else _relative_gates(challenger, rival, against, grounds, project)
        ),
        free_of_leaks(scorer, grounds.audit, project),
        loads,
        same_scale(scorer.scale, registry.pinned_scale(), scorer.card.question, asked),
    ]
    gates.sort(key=lambda gate: gate.number)
    return GateResults(version, champion, tuple(gates), scorer.scale)


def judge_return(registry: Registry, version: str) -> GateResults:
    """Ask of a version that is to come back only that it loads and answers."""
    with registry.errors():
        champion = registry.find_champion()
    loads, loaded = loads_and_answers(registry, version)
    return GateResults(version, champion, (loads,), loaded.scorer.scale if loaded else None)


def base_rate(judged: JudgedTable | None) -> BaseRate:
    """Learn the base rate from the training moments of a judged table."""
    if judged is None:
        return BaseRate(0.0)
    label = judged.label[judged.role == "train"]
    return BaseRate.fit(label, np.ones(len(label)))


def _champion(registry: Registry, version: str | None) -> tuple[Side | None, list[str]]:
    """Fetch the champion, if there is one; if it is damaged, say so."""
    if version is None:
        return None, []
    try:
        return Side.read(registry, version), []
    except (ArtifactError, TrackingError) as error:
        return None, [
            f"The champion cannot be judged: {error} Or make an earlier one the champion with "
            "`leadscore models rollback`, and judge again."
        ]


def _relative_gates(
    challenger: Side, rival: Side | None, against: str, grounds: Grounds, project: Project
) -> list[Gate]:
    is_first = rival is None
    contest = _contest(challenger, rival, grounds, project)
    if contest.rarer < FEWEST_TO_JUDGE:
        said = too_few(contest, against, is_first)
        return [gate_of(number, is_first, said) for number in RELATIVE]
    seed = project.learn.seed
    found = differences(contest, seed)
    is_useful = is_first and found["log_loss"].high < 0
    return [
        not_worse("LG101", found["log_loss"], contest, against),
        not_worse("LG102", found["pr_auc"], contest, against),
        calibrated(found["ece"], contest, against, seed, is_useful=is_useful),
        no_segment_collapses(
            contest,
            segments(challenger.scorer, grounds.records, contest.moments),
            base_rate(challenger.judged),
            against,
        ),
    ]


def _contest(challenger: Side, rival: Side | None, grounds: Grounds, project: Project) -> Contest:
    moments = grounds.moments
    ours = honest_margins(challenger, grounds.records, moments, project.name)
    if rival is None:
        theirs = np.full(len(moments), base_rate(challenger.judged).log_odds)
    else:
        theirs = honest_margins(rival, grounds.records, moments, project.name)
    return Contest.of(moments, ours, theirs)
