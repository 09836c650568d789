"""Tests of the metrics: what is counted, by which labels, and summed over workers."""

import asyncio
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from crm.errors import LedgerError
from crm.version import VERSION
from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.pipeline import FeaturePipeline
from models.attribute_changes import AttributeShare
from models.attribute_counts import AttributeCounts
from models.cell_checks import CellChecks
from serving.app import ScoringApp
from serving.errors import RequestError
from serving.http.prometheus import (
    BUCKETS,
    FAMILIES,
    Metrics,
    exposition,
    publish,
    published,
)
from serving.served_model import ServedModel
from serving.settings import Settings

HERE = Path(__file__).resolve().parent.parent
LINE = re.compile(r'(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (\S+)')


def values(text: str) -> dict[str, float]:
    """Return the value of each series, after checking that Prometheus could read the text."""
    samples: dict[str, float] = {}
    families: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            _, _, family, kind = line.split()
            assert family not in families, "a family must be declared once"
            families.add(family)
            assert kind in ("counter", "gauge", "histogram")
        elif not line.startswith("#"):
            parsed = LINE.fullmatch(line)
            assert parsed, line
            family = re.sub("_(bucket|sum|count)$", "", parsed[1])
            assert family in families or parsed[1] in families, line
            series = line.rpartition(" ")[0]
            assert series not in samples, "a series must have one value"
            samples[series] = float(parsed[3])
    return samples


def test_requests_are_counted_and_timed_by_route_and_status() -> None:
    metrics = Metrics("1")
    for seconds in (0.0005, 0.001, 0.02, 99.0):
        metrics.count("/score", 200, seconds)
    metrics.count("/score", 422, 0.0001)
    samples = values(exposition([metrics.series({})]))
    assert samples['leadscore_requests_total{route="/score",status="200"}'] == 4
    assert samples['leadscore_requests_total{route="/score",status="422"}'] == 1
    bucket = 'leadscore_request_seconds_bucket{{route="/score",le="{}"}}'.format
    counts = [samples[bucket(bound)] for bound in ("0.001", "0.01", "0.025", "10", "+Inf")]
    assert counts == [3, 3, 4, 4, 5]
    assert samples['leadscore_request_seconds_count{route="/score"}'] == 5
    assert samples['leadscore_request_seconds_sum{route="/score"}'] == pytest.approx(99.0216)
    assert sum(name.startswith("leadscore_request_seconds_bucket") for name in samples) == 14
    assert len(BUCKETS) == 13


def test_scores_are_counted_by_grade() -> None:
    metrics = Metrics("1")
    metrics.count_scores(["A", "D"], [])
    metrics.count_scores(["A"], [])
    samples = values(exposition([metrics.series({})]))
    assert samples['leadscore_scores_total{grade="A"}'] == 2
    assert samples['leadscore_scores_total{grade="D"}'] == 1


def test_warnings_are_counted_by_code_and_attribute() -> None:
    metrics = Metrics("1")
    metrics.count_scores(["A"], [("unseen_value", "City"), ("unknown_attribute", "")])
    metrics.count_scores(["D", "D"], [("unseen_value", "City"), ("unseen_value", 'a "b"')])
    samples = values(exposition([metrics.series({})]))
    name = 'leadscore_warnings_total{{code="{}",attribute="{}"}}'.format
    assert samples[name("unseen_value", "City")] == 2
    assert samples[name("unseen_value", 'a \\"b\\"')] == 1
    assert samples[name("unknown_attribute", "")] == 1


def test_counters_are_summed_and_gauges_kept_per_worker() -> None:
    first, second = Metrics("1"), Metrics("2")
    first.count("/score", 200, 0.002)
    second.count("/score", 200, 0.02)
    second.count_event("leadscore_takeovers_total")
    series = [first.series({"leadscore_keys_fault": 0}), second.series({"leadscore_keys_fault": 1})]
    samples = values(exposition(series))
    assert samples['leadscore_requests_total{route="/score",status="200"}'] == 2
    assert samples['leadscore_request_seconds_count{route="/score"}'] == 2
    assert samples["leadscore_takeovers_total"] == 1
    assert samples['leadscore_keys_fault{worker="1"}'] == 0
    assert samples['leadscore_keys_fault{worker="2"}'] == 1


# Publishes the counts of a worker with five queued scores, and dies.
DYING_WORKER = """
import os, sys; from pathlib import Path
from serving.http.prometheus import Metrics, QueuedScores, publish
metrics = Metrics("1"); metrics.count("/score", 200, 0.002)
counts = {"leadscore_keys_fault": 1, "leadscore_scores_queued": 3,
          "leadscore_scores_written_total": 7, "leadscore_scores_dropped_total": 2}
publish(Path(sys.argv[1]), metrics.series(counts))
QueuedScores(Path(sys.argv[1])).write(5)
os.kill(os.getpid(), 9)
"""


def test_dead_worker_keeps_its_counts_and_drops_its_queue(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", DYING_WORKER, tmp_path], cwd=HERE)
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie until `wait`
    own = Metrics("1")
    own.count("/score", 200, 0.002)
    publish(tmp_path, own.series({"leadscore_keys_fault": 0}))
    assert (tmp_path / f"{os.getpid()}.json").exists()
    samples = values(exposition([own.series({}), *published(tmp_path)]))
    assert samples['leadscore_requests_total{route="/score",status="200"}'] == 2
    assert samples["leadscore_scores_written_total"] == 7
    assert samples["leadscore_scores_dropped_total"] == 5 + 2
    assert not [name for name in samples if "{worker" in name]
    assert dead.wait() == -9
    assert values(exposition([own.series({}), *published(tmp_path)])) == samples


def request(app: ScoringApp, method: str, path: str, body: bytes = b"") -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, content=body)

    return asyncio.run(send())


@pytest.fixture
def app() -> ScoringApp:
    """Return an application with a model whose name has to be escaped."""
    app = ScoringApp(Settings())
    trained_at = "2026-01-01T00:00:00+00:00"
    card = SimpleNamespace(name='a "b"\\', trained_at=trained_at, simulated=False)
    pipeline = FeaturePipeline(
        (NumberAttribute("Size", frozenset(), 1.0), CategoryAttribute("City", frozenset(), ("A",))),
        left_out=(),
    )
    scorer: Any = SimpleNamespace(
        card=card,
        cell_checks=CellChecks(pipeline, "Created"),
        learned_shares=[
            AttributeShare("Size", 1_000, missing=0.1, unseen=0.0),
            AttributeShare("City", 1_000, missing=0.0, unseen=0.02),
        ],
    )
    app.model = ServedModel(scorer, version="7", digest="0123456789abcdef")
    return app


def test_missing_and_unseen_values_are_counted_by_attribute(app: ScoringApp) -> None:
    counts = app.model.scorer.cell_checks.counts  # type: ignore[union-attr]
    counts.add(np.array([[math.nan, 1.0], [7.0, 2.0], [math.nan, 0.0]]), [])
    samples = values(request(app, "GET", "/metrics").text)
    assert samples['leadscore_missing_total{attribute="Size"}'] == 2
    assert samples['leadscore_missing_total{attribute="City"}'] == 1
    assert samples['leadscore_unseen_total{attribute="Size"}'] == 0
    assert samples['leadscore_unseen_total{attribute="City"}'] == 1
    assert samples['leadscore_training_missing_share{worker="1",attribute="Size"}'] == 0.1
    assert samples['leadscore_training_unseen_share{worker="1",attribute="City"}'] == 0.02
    assert not [name for name in samples if name.startswith("leadscore_attribute_change")]


def test_vanished_attribute_is_a_change(app: ScoringApp) -> None:
    counts = app.model.scorer.cell_checks.counts  # type: ignore[union-attr]
    counts.add(np.tile([math.nan, 2.0], (40, 1)), [])
    samples = values(request(app, "GET", "/metrics").text)
    changes = {name for name in samples if name.startswith("leadscore_attribute_change")}
    assert changes == {'leadscore_attribute_change{worker="1",attribute="Size",state="missing"}'}


def test_counts_go_on_with_a_new_champion_and_over_workers(app: ScoringApp) -> None:
    first, second = (AttributeCounts(app.model.scorer.cell_checks.pipeline) for _ in range(2))  # type: ignore[union-attr]
    metrics = Metrics("1")
    first.add(np.array([[math.nan, 1.0]]), [])
    metrics.count_attributes(first)
    metrics.count_attributes(first)
    second.add(np.array([[math.nan, 2.0]]), [])
    metrics.count_attributes(second)
    other = Metrics("2")
    other.count_attributes(first)
    samples = values(exposition([metrics.series({}), other.series({})]))
    assert samples['leadscore_missing_total{attribute="Size"}'] == 3
    assert samples['leadscore_unseen_total{attribute="City"}'] == 2


def test_unknown_paths_make_no_new_series(app: ScoringApp) -> None:
    for i in range(300):
        request(app, "POST", f"/made-up-{i}")
        request(app, "GET", f"/score/{i}?q={i}")
    samples = values(request(app, "GET", "/metrics").text)
    routes = {name for name in samples if name.startswith("leadscore_requests_total")}
    assert routes == {'leadscore_requests_total{route="other",status="404"}'}
    assert samples[routes.pop()] == 600


def test_metrics_have_the_content_type_of_prometheus(app: ScoringApp) -> None:
    response = request(app, "GET", "/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_metrics_name_the_model_and_the_version_of_leadscore(app: ScoringApp) -> None:
    samples = values(request(app, "GET", "/metrics").text)
    info = 'leadscore_model_info{worker="1",name="a \\"b\\"\\\\",version="7",digest="0123456789ab"}'
    assert samples[info] == 1
    assert samples['leadscore_model_age_seconds{worker="1"}'] > 0
    assert samples[f'leadscore_build_info{{worker="1",version="{VERSION}"}}'] == 1


@pytest.fixture
def app_with_faults(app: ScoringApp) -> ScoringApp:
    """Return an application with queued scores, a refused champion and a full ledger."""
    writer: Any = SimpleNamespace(written=12, dropped=3, queued=4)
    app.calls.score_writer = writer
    app.fault = "Version 8 does not verify."
    app.calls.ledger.faults.failed(
        "written", LedgerError("/home/ada/ledger.db is full", cause="full")
    )
    return app


def test_metrics_contain_the_queue_and_the_faults(app_with_faults: ScoringApp) -> None:
    samples = values(request(app_with_faults, "GET", "/metrics").text)
    assert samples["leadscore_scores_written_total"] == 12
    assert samples["leadscore_scores_dropped_total"] == 3
    assert samples['leadscore_scores_queued{worker="1"}'] == 4
    assert samples['leadscore_takeover_fault{worker="1"}'] == 1
    assert samples['leadscore_ledger_fault{worker="1"}'] == 1
    cause = 'leadscore_ledger_fault_cause{worker="1",work="written",cause="full"}'
    assert samples[cause] == 1


def test_metrics_show_the_end_of_a_fault(app_with_faults: ScoringApp) -> None:
    app_with_faults.calls.ledger.faults.worked("written")
    samples = values(request(app_with_faults, "GET", "/metrics").text)
    assert samples['leadscore_ledger_fault{worker="1"}'] == 0


def test_readyz_names_all_faults_without_paths(app_with_faults: ScoringApp) -> None:
    response = request(app_with_faults, "GET", "/readyz")
    assert response.status_code == 200
    assert response.json()["fault"] == (
        "Version 8 does not verify. The ledger cannot be written (full); the log says why."
    )


def test_errors_are_counted_by_status(app: ScoringApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> dict[str, Any]:
        raise RequestError(422, "no")

    monkeypatch.setitem(app.calls.by_path, "/score", refuse)
    request(app, "POST", "/score", b"{}")
    samples = values(request(app, "GET", "/metrics").text)
    assert samples['leadscore_requests_total{route="/score",status="422"}'] == 1


def test_every_metric_has_type_and_help() -> None:
    assert len(FAMILIES) == 29
    for family, (kind, meaning) in FAMILIES.items():
        assert family.startswith("leadscore_")
        assert family.endswith("_total") == (kind == "counter")
        assert meaning.endswith(".")


def test_every_metric_is_documented() -> None:
    page = (HERE / "docs" / "operations.md").read_text()
    assert [family for family in FAMILIES if family not in page] == []
