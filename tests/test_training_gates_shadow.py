from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crm.ledger.entries import Batch, GivenScore, ShadowScore
from crm.ledger.ledger import Ledger
from crm.project import Project, RetrainKeys
from crm.records import Records
from crm.times import DAY
from models.registry.history import Gate
from tests.made_runs import Work
from tests.test_monitoring_control import company
from training.gates.shadow import is_only_early, is_same_model, shadow_gate


@pytest.fixture
def project(work: Work, tmp_path: Path) -> Project:
    return replace(
        work.project,
        ledger_url=f"sqlite:///{tmp_path}/ledger.db",
        retrain=RetrainKeys(shadow_days=14),
    )


def store(project: Project, rows: list[dict[str, Any]], worse: float = 0.0) -> None:
    """Store given scores, and those of a shadow with noise in its log-odds."""
    rng = np.random.default_rng(0)
    scores, shadows = [], []
    for row in rows:
        odds = row["probability"] / (1 - row["probability"])
        odds *= np.exp(worse * rng.normal())
        common = {
            "lead_id": row["lead_id"], "score_id": row["score_id"], "as_of": row["as_of"],
            "score": 50, "grade": row["grade"], "model": "demo",
            "recorded_at": row["as_of"] + 100 * DAY,
        }  # fmt: skip
        scores.append(
            GivenScore(
                **common,
                probability=row["probability"],
                version="1",
                digest="d1",
                reasons=[],
                request_id="r",
            )  # fmt: skip
        )
        shadows.append(
            ShadowScore(**common, probability=odds / (1 + odds), version="2", digest="d2")
        )
    assert project.ledger_url is not None
    with Ledger(project.ledger_url) as ledger:
        ledger.add_batch(Batch(scores=scores, shadow_scores=shadows), 0)


@pytest.fixture
def seen(work: Work) -> tuple[Records, list[dict[str, Any]]]:
    records, rows, _ = company(work.project, leads=1_500)
    return records, rows


def test_without_shadow_days_there_is_no_gate(work: Work) -> None:
    assert shadow_gate(work.project, work.records, "2") is None


def test_model_of_the_champion_needs_no_shadow(project: Project, work: Work) -> None:
    gate = shadow_gate(project, work.records, "2", is_same=True)
    assert gate is not None
    assert (gate.passed, gate.evidence) == (True, "It is the same model as the champion.")


@pytest.mark.parametrize(
    ("digests", "same"),
    [({"1": "d", "2": "d"}, True), ({"1": "d", "2": "e"}, False), ({"1": "", "2": ""}, False)],
)
def test_models_are_the_same_if_their_digests_are(digests: dict[str, str], same: bool) -> None:
    versions = [SimpleNamespace(version=v, digest=d) for v, d in digests.items()]
    registry: Any = SimpleNamespace(versions=lambda: versions)
    assert is_same_model(registry, "2", "1") is same


def test_short_shadow_does_not_pass(
    project: Project, seen: tuple[Records, list[dict[str, Any]]]
) -> None:
    records, rows = seen
    store(project, [row for row in rows if row["as_of"] <= 7 * DAY])
    gate = shadow_gate(project, records, "2")
    assert gate is not None
    assert (gate.number, gate.passed) == ("LG109", False)
    assert "It has scored 120 leads in the shadow, over 7.0 days" in gate.evidence
    none = shadow_gate(project, records, "3")
    assert none is not None
    assert "scored 0 leads in the shadow, over 0.0 days" in none.evidence


@pytest.mark.parametrize(("n_leads", "passes"), [(99, False), (100, True)])
def test_hundred_leads_over_the_days_are_enough(
    project: Project, seen: tuple[Records, list[dict[str, Any]]], n_leads: int, passes: bool
) -> None:
    records, rows = seen
    # 60 leads come in a week; those of the first and of the third one are 14 days apart.
    first, third = ([row for row in rows if row["as_of"] == day * DAY] for day in (0, 14))
    store(project, [*first, *third][-n_leads:])
    gate = shadow_gate(project, records, "2")
    assert gate is not None
    assert gate.passed is passes
    needed = f"It has scored {n_leads} leads in the shadow, over 14.0 days; 100 leads and 14 days"
    assert gate.evidence.startswith(needed) is not passes


def test_shadow_that_is_not_worse_passes(
    project: Project, seen: tuple[Records, list[dict[str, Any]]]
) -> None:
    records, rows = seen
    store(project, rows)
    gate = shadow_gate(project, records, "2")
    assert gate is not None
    assert gate.passed
    assert gate.evidence.startswith("Version 2 has scored 1,500 leads")


def test_shadow_that_is_clearly_worse_does_not_pass(
    project: Project, seen: tuple[Records, list[dict[str, Any]]]
) -> None:
    records, rows = seen
    store(project, rows, worse=2.0)
    gate = shadow_gate(project, records, "2")
    assert gate is not None
    assert not gate.passed
    assert "clearly worse" in gate.evidence


def test_shadow_needs_a_ledger(project: Project, work: Work) -> None:
    gate = shadow_gate(replace(project, ledger_url=None), work.records, "2")
    assert gate is not None
    assert "There is no ledger" in gate.evidence


def test_only_the_period_is_missing() -> None:
    shadow, other = Gate("LG109", "x", False, ""), Gate("LG101", "x", False, "")
    assert is_only_early((shadow,))
    assert not is_only_early((shadow, other))
    assert not is_only_early(())
