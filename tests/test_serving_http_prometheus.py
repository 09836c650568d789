"""Counters: what is counted, in series that callers cannot add to, and summed over workers."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from crm.errors import LedgerError
from crm.version import VERSION
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

LINE = re.compile(r'(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? (\S+)')


def values(text: str) -> dict[str, float]:
    """What an exposition says, after checking that Prometheus could read it."""
    found: dict[str, float] = {}
    typed: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            _, _, family, kind = line.split()
            assert family not in typed, "a family must stand in one place"
            typed.add(family)
            assert kind in ("counter", "gauge", "histogram")
        elif not line.startswith("#"):
            parsed = LINE.fullmatch(line)
            assert parsed, line
            name = re.sub("_(bucket|sum|count)$", "", parsed[1])
            assert name in typed or parsed[1] in typed, line
            assert line.rpartition(" ")[0] not in found, "a series must stand once"
            found[line.rpartition(" ")[0]] = float(parsed[3])
    return found


def test_requests_are_counted_and_timed_by_route_and_status() -> None:
    metrics = Metrics("1")
    for seconds in (0.0005, 0.001, 0.02, 99.0):
        metrics.count("/score", 200, seconds)
    metrics.count("/score", 422, 0.0001)
    found = values(exposition([metrics.series({})]))
    assert found['leadscore_requests_total{route="/score",status="200"}'] == 4
    assert found['leadscore_requests_total{route="/score",status="422"}'] == 1
    bucket = 'leadscore_request_seconds_bucket{{route="/score",le="{}"}}'.format
    assert [found[bucket(le)] for le in ("0.001", "0.01", "0.025", "10", "+Inf")] == [3, 3, 4, 4, 5]
    assert found['leadscore_request_seconds_count{route="/score"}'] == 5
    assert found['leadscore_request_seconds_sum{route="/score"}'] == pytest.approx(99.0216)
    assert sum(name.startswith("leadscore_request_seconds_bucket") for name in found) == 14
    assert len(BUCKETS) == 13


def test_scores_are_counted_by_grade() -> None:
    metrics = Metrics("1")
    for grade in "AAD":
        metrics.count_score(grade, [])
    samples = values(exposition([metrics.series({})]))
    assert samples['leadscore_scores_total{grade="A"}'] == 2
    assert samples['leadscore_scores_total{grade="D"}'] == 1


def test_warnings_are_counted_by_code() -> None:
    metrics = Metrics("1")
    metrics.count_score("A", ["unseen_value", "unknown_attribute"])
    metrics.count_score("D", ["unseen_value"])
    metrics.count_score("D", [])
    samples = values(exposition([metrics.series({})]))
    assert samples['leadscore_warnings_total{code="unseen_value"}'] == 2
    assert samples['leadscore_warnings_total{code="unknown_attribute"}'] == 1


def test_counters_are_summed_and_gauges_kept_per_worker() -> None:
    one, two = Metrics("1"), Metrics("2")
    one.count("/score", 200, 0.002)
    two.count("/score", 200, 0.02)
    two.count_event("leadscore_takeovers_total")
    series = [one.series({"leadscore_keys_fault": 0}), two.series({"leadscore_keys_fault": 1})]
    found = values(exposition(series))
    assert found['leadscore_requests_total{route="/score",status="200"}'] == 2
    assert found['leadscore_request_seconds_count{route="/score"}'] == 2
    assert found["leadscore_takeovers_total"] == 1
    assert found['leadscore_keys_fault{worker="1"}'] == 0
    assert found['leadscore_keys_fault{worker="2"}'] == 1


def test_dead_worker_keeps_its_counts_and_drops_its_queue(tmp_path: Path) -> None:
    code = """
import os, sys; from pathlib import Path
from serving.http.prometheus import Metrics, QueuedScores, publish
metrics = Metrics("1"); metrics.count("/score", 200, 0.002)
counts = {"leadscore_keys_fault": 1, "leadscore_scores_queued": 3,
          "leadscore_scores_written_total": 7, "leadscore_scores_dropped_total": 2}
publish(Path(sys.argv[1]), metrics.series(counts))
QueuedScores(Path(sys.argv[1])).write(5)
os.kill(os.getpid(), 9)
"""
    here = Path(__file__).resolve().parent.parent
    dead = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=here)
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # its parent has not looked yet
    own = Metrics("1")
    own.count("/score", 200, 0.002)
    publish(tmp_path, own.series({"leadscore_keys_fault": 0}))
    assert (tmp_path / f"{os.getpid()}.json").exists()
    found = values(exposition([own.series({}), *published(tmp_path)]))
    assert found['leadscore_requests_total{route="/score",status="200"}'] == 2
    assert found["leadscore_scores_written_total"] == 7
    assert found["leadscore_scores_dropped_total"] == 5 + 2
    assert not [name for name in found if "{worker" in name]
    assert dead.wait() == -9
    assert values(exposition([own.series({}), *published(tmp_path)])) == found


def ask(app: ScoringApp, method: str, path: str, **more: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


@pytest.fixture
def app() -> ScoringApp:
    made = ScoringApp(Settings())
    trained_at = "2026-01-01T00:00:00+00:00"
    card = SimpleNamespace(name='a "b"\\', trained_at=trained_at, simulated=False)
    scorer: Any = SimpleNamespace(card=card)
    made.model = ServedModel(scorer, version="7", digest="0123456789abcdef")
    return made


def test_unknown_paths_make_no_new_series(app: ScoringApp) -> None:
    for i in range(300):
        ask(app, "POST", f"/made-up-{i}")
        ask(app, "GET", f"/score/{i}?q={i}")
    found = values(ask(app, "GET", "/metrics").text)
    routes = {name for name in found if name.startswith("leadscore_requests_total")}
    assert routes == {'leadscore_requests_total{route="other",status="404"}'}
    assert found[routes.pop()] == 600


def test_metrics_contain_model_age_and_queue(app: ScoringApp) -> None:
    app.calls.score_writer = SimpleNamespace(  # type: ignore[assignment]
        written=12, dropped=3, queued=4
    )
    app.fault = "Version 8 does not verify."
    app.calls.ledger.faults.failed("written", LedgerError("/home/ada/ledger.db is full"))
    response = ask(app, "GET", "/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = values(response.text)
    info = 'leadscore_model_info{worker="1",name="a \\"b\\"\\\\",version="7",digest="0123456789ab"}'
    assert found[info] == 1
    build = f'leadscore_build_info{{worker="1",version="{VERSION}"}}'
    assert found[build] == 1
    assert found['leadscore_model_age_seconds{worker="1"}'] > 0
    assert found['leadscore_takeover_fault{worker="1"}'] == 1
    assert found["leadscore_scores_written_total"] == 12
    assert found["leadscore_scores_dropped_total"] == 3
    assert found['leadscore_scores_queued{worker="1"}'] == 4
    assert found['leadscore_ledger_fault{worker="1"}'] == 1
    ready = ask(app, "GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json()["fault"] == (
        "Version 8 does not verify. The ledger cannot be written; the log says why."
    )
    app.calls.ledger.faults.worked("written")
    assert values(ask(app, "GET", "/metrics").text)['leadscore_ledger_fault{worker="1"}'] == 0


def test_errors_are_counted_by_status(app: ScoringApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> dict[str, Any]:
        raise RequestError(422, "no")

    monkeypatch.setitem(app.calls.by_path, "/score", refuse)
    ask(app, "POST", "/score", content=json.dumps({}))
    found = values(ask(app, "GET", "/metrics").text)
    assert found['leadscore_requests_total{route="/score",status="422"}'] == 1


def test_every_metric_has_type_and_help() -> None:
    assert len(FAMILIES) == 17
    for family, (kind, meaning) in FAMILIES.items():
        assert family.startswith("leadscore_")
        assert family.endswith("_total") == (kind == "counter")
        assert meaning.endswith(".")
    documented = (Path(__file__).resolve().parent.parent / "docs" / "operations.md").read_text()
    assert [family for family in FAMILIES if family not in documented] == []
