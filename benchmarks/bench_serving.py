"""Compare the service with common alternatives: one run, one machine, one model.

    make bench-serving            (or: python benchmarks/bench_serving.py [--fast])
    python benchmarks/bench_serving.py --before ../leadscore-1.2      (a checkout to compare with)

The model has 300 trees with 31 leaves on 15 numbers and 12 categories. leadscore's model also has a
logistic regression, as after a training. Each server has one worker. wrk sends requests on
loopback to one server after the other, with 500 different leads in turn. Every server writes a log
file. The peers' access logs are off, and leadscore's is on. The benchmark ends only processes that
it started.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import psutil
from bench_card import bench_card
from bench_reasons import PARAMETERS, make_leads

from features.attributes.category import CategoryAttribute
from features.attributes.number import NumberAttribute
from features.pipeline import FeaturePipeline
from models.artifact import load_artifact, save_artifact
from models.calibration import Calibration
from models.estimator.blend import Blend
from models.estimator.trees import BoostedTrees
from models.fitting.logistic import fit_logistic
from models.scale import Scale
from models.scorer import LeadCells, LeadScorer
from serving.bento.process import free_port, serve_command, serve_environment
from serving.bento.store import newest_bento, put_in_store
from training.tracking import signature_of

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
NUMERIC, CATEGORICAL, TREES, LEAVES, ROWS = 15, 12, 300, 31, 40_000
LEADS = 500  # different leads that are sent in turn
BATCH = 100
CONNECTIONS = (1, 32)
HALF_LOAD_CONNECTIONS = 8
START_SECONDS = 120
SLOW_MS = 100.0
REASONS = str(HERE / "bench_reasons.py")
BUILD = """
import sys
from pathlib import Path
from serving.bento.store import build_bento
build_bento(Path(sys.argv[1]), sys.argv[2])
"""
WIDE = "750 trees x 15 leaves, 90 + 30 columns"  # of bench_reasons.py


# ---- the model


def make_models(folder: Path) -> list[dict[str, Any]]:
    """Write leadscore's and the peers' models into a folder; return leads to score."""
    features, label = make_leads(ROWS, NUMERIC, CATEGORICAL, seed=0)
    columns = [f"number {i}" for i in range(NUMERIC)]
    columns += [f"category {i}" for i in range(CATEGORICAL)]
    sizes = [int(np.nanmax(features[:, i])) + 1 for i in range(NUMERIC, len(columns))]
    words = [tuple(f"value {code}" for code in range(size)) for size in sizes]
    settings = PARAMETERS | {"num_leaves": LEAVES, "seed": 0}

    codes = features.copy()  # as the pipeline encodes: 0 is missing, 1 is unseen, then values
    codes[:, NUMERIC:] = np.nan_to_num(features[:, NUMERIC:] + 2)
    categorical = list(range(NUMERIC, len(columns)))
    booster = lightgbm.train(
        settings, lightgbm.Dataset(codes, label, categorical_feature=categorical), TREES
    )
    logistic = fit_logistic(codes[:8_000], label[:8_000], np.ones(8_000), categorical)
    numbers = [NumberAttribute(name, frozenset({"unknown"}), 0.0) for name in columns[:NUMERIC]]
    categories_of_pipeline = [
        CategoryAttribute(name, frozenset({"unknown"}), values)
        for name, values in zip(columns[NUMERIC:], words, strict=True)
    ]
    scorer = LeadScorer(
        FeaturePipeline((*numbers, *categories_of_pipeline), ()),
        Blend(0.5, logistic, BoostedTrees(booster.model_to_string())),
        Calibration(1.0, 0.0),
        Scale(-1.0),
        {"lead_id": "Record ID"},
        bench_card(columns),
    )

    def as_cells(rows: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                name: None
                if np.isnan(cell)
                else cell
                if i < NUMERIC
                else words[i - NUMERIC][min(int(cell), sizes[i - NUMERIC] - 1)]
                for i, (name, cell) in enumerate(zip(columns, row.tolist(), strict=True))
            }
            for row in rows
        ]

    leads = as_cells(make_leads(LEADS, NUMERIC, CATEGORICAL, seed=99)[0])
    save_artifact(scorer, [LeadCells(lead) for lead in leads[:24]], folder / "artifact")
    categories = dict.fromkeys(columns[:NUMERIC], np.dtype(float)) | {
        name: pd.CategoricalDtype(values)
        for name, values in zip(columns[NUMERIC:], words, strict=True)
    }
    frame = pd.DataFrame(as_cells(features), columns=columns).astype(categories)
    model = lightgbm.LGBMClassifier(n_estimators=TREES, n_jobs=1, **settings).fit(frame, label)
    saved = {"model": model, "columns": columns, "categories": categories}
    joblib.dump(saved, folder / "frame.joblib")
    return leads


# ---- the servers


@dataclass
class Server:
    """A server in the comparison: its command and its requests."""

    name: str
    url: str
    command: list[str]
    environment: dict[str, str]
    path: str
    bodies: dict[str, list[Any]]  # by row of the table
    results: dict[str, Any] = field(default_factory=dict)


def servers(folder: Path, leads: list[dict[str, Any]], roots: dict[str, Path]) -> list[Server]:
    """Return all servers. `roots` are the versions of leadscore: the names and folders."""
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1", "BENCH_FOLDER": str(folder)}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(HERE.parent)}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    batches = [[leads[(i + j) % LEADS] for j in range(BATCH)] for i in range(0, LEADS, 20)]
    ports = [free_port(HOST) for _ in range(8)]

    number = {id(lead): i for i, lead in enumerate(leads)}

    def leadscore_body(batch: list[dict[str, Any]], reasons: int) -> dict[str, Any]:
        sent = [{"lead_id": f"L{number[id(lead)]}", "attributes": lead} for lead in batch]
        return {"leads": sent, "reasons": reasons}

    def plain_body(batch: list[dict[str, Any]], reasons: int) -> dict[str, Any]:
        return {"leads": batch, "reasons": reasons}

    def records_body(batch: list[dict[str, Any]], _reasons: int) -> dict[str, Any]:
        return {"dataframe_records": batch}

    def bodies(body: Any, has_reasons: bool = True) -> dict[str, list[Any]]:
        rows = {
            "one lead, three reasons": [body([lead], 3) for lead in leads],
            "one lead": [body([lead], 0) for lead in leads],
            f"{BATCH} leads, three reasons": [body(batch, 3) for batch in batches],
            f"{BATCH} leads": [body(batch, 0) for batch in batches],
        }
        return {row: sent for row, sent in rows.items() if has_reasons or "reasons" not in row}

    def uvicorn(app: str, *options: str) -> list[str]:
        return [
            "-m",
            "uvicorn",
            f"serving_peers:{app}",
            "--app-dir",
            str(HERE),
            *options,
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--log-level",
            "warning",
        ]

    def peer(name: str, command: list[str], path: str, requests: dict[str, list[Any]]) -> Server:
        port = ports.pop()
        command = [sys.executable, *command, "--host", HOST, "--port", str(port)]
        return Server(name, f"http://{HOST}:{port}", command, environment, path, requests)

    def leadscore(name: str, bento: Path, requests: dict[str, list[Any]], **options: str) -> Server:
        port = ports.pop()
        settings = serve_environment(HOST, {"LEADSCORE_TAKEOVER": "off", **options})
        command = serve_command(bento, HOST, port)
        return Server(name, f"http://{HOST}:{port}", command, settings, "/score", requests)

    bentos = {}
    for version, (name, root) in enumerate(roots.items(), start=1):
        # The name of a Bento is that of its model, so each version gets a model of its own.
        tag = put_in_store(folder / "artifact", "bench", str(version))
        run_with(root, "-c", BUILD, str(root), tag)  # BentoML packs what a process has imported
        bentos[name] = newest_bento("bench")[1]
    with_ledger = {"one lead, three reasons": bodies(leadscore_body)["one lead, three reasons"]}
    mlflow = [
        "-m",
        "mlflow",
        "models",
        "serve",
        "--model-uri",
        str(save_for_mlflow(folder)),
        "--env-manager",
        "local",
        "--workers",
        "1",
    ]
    own = [
        server
        for i, (name, bento) in enumerate(bentos.items())
        for server in (
            leadscore(name, bento, bodies(leadscore_body)),
            leadscore(
                f"{name} with its ledger",
                bento,
                with_ledger,
                LEADSCORE_LEDGER_URL=f"sqlite:///{folder / f'ledger{i}.db'}",
            ),
        )
    ]
    return [
        *own,
        peer("bare echo", uvicorn("echo"), "/", {"one lead": bodies(leadscore_body)["one lead"]}),
        peer("FastAPI, same scorer", uvicorn("scorer", "--factory"), "/score", bodies(plain_body)),
        peer("FastAPI, frame", uvicorn("frame", "--factory"), "/score", bodies(plain_body, False)),
        peer("mlflow models serve", mlflow, "/invocations", bodies(records_body, False)),
    ]


def save_for_mlflow(folder: Path) -> Path:
    """Write the model as `leadscore train` registers it."""
    import mlflow

    scorer = load_artifact(folder / "artifact").scorer
    path = folder / "mlflow_model"
    mlflow.pyfunc.save_model(
        path,
        python_model=str(HERE.parent / "models" / "pyfunc.py"),
        artifacts={"scorer": str(folder / "artifact")},
        signature=signature_of(scorer),
        pip_requirements=[],
    )
    return path


@contextlib.contextmanager
def running(server: Server, log: Path) -> Iterator[psutil.Process]:
    """Run a server until the context ends; wait until it has scored a lead."""
    first = json.dumps(next(iter(server.bodies.values()))[0]).encode()
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command,
            env=server.environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not answers(server.url + server.path, first):
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                sys.exit(f"{server.name} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.02)
        server.results["start seconds"] = time.perf_counter() - started
        yield psutil.Process(process.pid)
    finally:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        _, alive = psutil.wait_procs(family, timeout=15)
        for member in alive:
            member.kill()
        process.wait()


def answers(url: str, body: bytes) -> bool:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return bool(response.read())
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answered {error.code}: {error.read()[:500]!r}")
    except OSError:
        return False


def memory(process: psutil.Process) -> float:
    """Return the megabytes of a server and its children; shared pages count once."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_full_info().pss for member in family) / 1e6


def settle(process: psutil.Process) -> None:
    """Wait until a server has finished its earlier requests."""
    spent = -1.0
    for _ in range(100):
        before, spent = spent, cpu_seconds(process)
        if spent - before < 0.02 and before >= 0:
            return
        time.sleep(0.2)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a server and its children."""
    family = [process, *process.children(recursive=True)]
    return float(sum(sum(member.cpu_times()[:2]) for member in family))


# ---- the load


def load(
    process: psutil.Process,
    server: Server,
    row: str,
    folder: Path,
    connections: int,
    seconds: float,
    delay_ms: float = 0.0,
) -> dict[str, Any]:
    settle(process)
    file = folder / "bodies.txt"
    file.write_text("\n".join(json.dumps(body) for body in server.bodies[row]) + "\n")
    command = [
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(connections),
        "--duration",
        f"{seconds:.0f}s",
        "--timeout",
        "30s",
        "--script",
        str(HERE / "wrk_bodies.lua"),
        server.url,
        "--",
        str(file),
        server.path,
        f"{delay_ms:.3f}",
    ]
    spent = cpu_seconds(process)
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90)
    settle(process)  # wrk has not counted requests that still wait, but the server processes them
    spent = cpu_seconds(process) - spent
    line = next((ln for ln in done.stdout.splitlines() if ln.startswith("RESULT ")), None)
    if line is None:
        sys.exit(f"wrk failed: {done.stdout}{done.stderr}")
    result = json.loads(line.removeprefix("RESULT "))
    milliseconds = {key: result[key] / 1_000 for key in ("p50", "p99", "p999", "max")}
    return milliseconds | {
        "per second": result["requests"] / (result["microseconds"] / 1e6),
        "requests": result["requests"],
        "cpu ms": 1_000 * spent / max(result["requests"] + connections, 1),
        "failed": result["refused"] + result["broken"],
    }


def compare(compared: list[Server], options: argparse.Namespace, folder: Path) -> None:
    """Start all servers, then load them in turn, so that other work affects all of them alike."""
    with contextlib.ExitStack() as stack:
        started = []
        for server in compared:
            print(f"… {server.name}", file=sys.stderr, flush=True)
            log = folder / f"{server.name}.log"
            process = stack.enter_context(running(server, log))
            for row in server.bodies:  # warm up every row before the measurement
                load(process, server, row, folder, 4, 2)
            server.results["memory"] = memory(process)
            started.append((server, process))
        rows = list(compared[0].bodies)
        tries: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for number in range(options.rounds):
            print(f"… round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for row in rows:
                for connections in CONNECTIONS:
                    for server, process in started:
                        if row in server.bodies:
                            result = load(
                                process, server, row, folder, connections, options.seconds
                            )
                            key = (server.name, f"{row}, {connections}")
                            tries.setdefault(key, []).append(result)
        for server, process in started:
            for (name, figure), results in tries.items():
                if name == server.name:
                    results.sort(key=lambda result: result["per second"])
                    server.results[figure] = results[len(results) // 2]
            if server.name == "leadscore" and not options.fast:
                half = server.results[f"{rows[0]}, {CONNECTIONS[-1]}"]["per second"] / 2
                delay_ms = 1_000 * HALF_LOAD_CONNECTIONS / half
                server.results["half load"] = load(
                    process,
                    server,
                    rows[0],
                    folder,
                    HALF_LOAD_CONNECTIONS,
                    options.half_load,
                    delay_ms,
                )
                server.results["soak"] = soak(process, server, rows[0], folder, options.soak)


def soak(
    process: psutil.Process, server: Server, row: str, folder: Path, requests: int
) -> list[tuple[int, float]]:
    """Measure the memory at ten points during `requests` requests."""
    sent, points = 0, [(0, memory(process))]
    rate = server.results[f"{row}, {CONNECTIONS[-1]}"]["per second"]
    while sent < requests:
        seconds = max(1.0, min(requests / 10, requests - sent) / rate)
        sent += load(process, server, row, folder, CONNECTIONS[-1], seconds)["requests"]
        points.append((sent, memory(process)))
    return points


def measure_scorer_alone(
    folder: Path, leads: list[dict[str, Any]], seconds: float
) -> dict[str, dict[str, float]]:
    """Measure the scorer alone in one process, for each row of the table."""
    scorer = load_artifact(folder / "artifact").scorer
    cells = [LeadCells(lead) for lead in leads]
    rates = {}
    for n, name in ((1, "one lead"), (BATCH, f"{BATCH} leads")):
        for n_reasons, ending in ((3, ", three reasons"), (0, "")):
            calls, end = 0, time.perf_counter() + seconds
            begun, spent = time.perf_counter(), time.process_time()
            while time.perf_counter() < end:
                start = calls * n % (LEADS - n + 1)
                scorer.score_leads(cells[start : start + n], time.time_ns() // 1_000, n_reasons)
                calls += 1
            rates[name + ending] = {
                "per second": calls / (time.perf_counter() - begun),
                "cpu ms": 1_000 * (time.process_time() - spent) / calls,
            }
    return rates


# ---- what is printed


def table(compared: list[Server], alone: dict[str, dict[str, float]]) -> str:
    rows = list(compared[0].bodies)
    heads = [f"{row}: req/s (p50, p99 ms)" for row in rows]
    lines = [
        "| server | connections | " + " | ".join(heads) + " | start s | memory MB |",
        "|" + "---|" * (len(rows) + 4),
    ]
    for server in compared:
        for connections in CONNECTIONS:
            cells = [_cell(server.results.get(f"{row}, {connections}")) for row in rows]
            facts = [f"{server.results['start seconds']:.1f}", f"{server.results['memory']:.0f}"]
            lines.append(
                f"| {server.name} | {connections} | " + " | ".join([*cells, *facts]) + " |"
            )
    cells = [f"{alone[row]['per second']:,.0f}" for row in rows]
    lines.append("| the scorer alone, no HTTP | – | " + " | ".join([*cells, "–", "–"]) + " |")
    return "\n".join(lines)


def cpu_table(compared: list[Server], alone: dict[str, dict[str, float]]) -> str:
    """Format the CPU time of a request, which depends less on other work on the machine."""
    rows = list(compared[0].bodies)
    lines = [
        "| CPU ms a request, 32 connections | " + " | ".join(rows) + " |",
        "|" + "---|" * (len(rows) + 1),
    ]
    for server in compared:
        results = [server.results.get(f"{row}, {CONNECTIONS[-1]}") for row in rows]
        cells = [f"{result['cpu ms']:.2f}" if result else "–" for result in results]
        lines.append(f"| {server.name} | " + " | ".join(cells) + " |")
    cells = [f"{alone[row]['cpu ms']:.2f}" for row in rows]
    lines.append("| the scorer alone, no HTTP | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def run_with(root: Path, *arguments: str) -> str:
    """Run Python with the modules of a version, and return what it prints."""
    environment = dict(os.environ) | {"PYTHONPATH": str(root)}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout


def _cell(result: dict[str, Any] | None) -> str:
    if result is None:
        return "–"
    failed = f", **{result['failed']} failed**" if result["failed"] else ""
    return f"{result['per second']:,.0f} ({result['p50']:.2f}, {result['p99']:.2f}{failed})"


def verdicts(
    compared: list[Server],
    alone: dict[str, dict[str, float]],
    times_pred_contrib: float,
    version: str,
) -> list[tuple[str, str, bool]]:
    """Return each goal, the measured value of a version, and whether it meets the goal."""
    by_name = {server.name: server.results for server in compared}
    own = by_name[version]
    with_reasons, without_reasons = "one lead, three reasons", "one lead"
    many = f"{BATCH} leads"
    goals: list[tuple[str, str, bool]] = []

    def goal(
        sentence: str, value: float, least: float | None = None, most: float | None = None
    ) -> None:
        is_met = value >= least if least is not None else value <= (most or 0.0)
        goals.append((sentence, f"{value:,.2f}", is_met))

    for name, times in (("FastAPI, frame", 5), ("mlflow models serve", 10)):
        for connections in CONNECTIONS:
            if name in by_name:
                peer_rate = by_name[name][f"{without_reasons}, {connections}"]["per second"]
                own_rate = own[f"{with_reasons}, {connections}"]["per second"]
                goal(
                    f"with reasons, times {name} without, {connections} conn.: ≥ {times}",
                    own_rate / peer_rate,
                    least=times,
                )
    for connections in CONNECTIONS:
        peer_rate = by_name["FastAPI, same scorer"][f"{without_reasons}, {connections}"][
            "per second"
        ]
        own_rate = own[f"{without_reasons}, {connections}"]["per second"]
        goal(
            f"without reasons, times the same scorer behind FastAPI, {connections} conn.: ≥ 1",
            own_rate / peer_rate,
            least=1,
        )
    for connections, most in zip(CONNECTIONS, (2.0, 25.0), strict=True):
        goal(
            f"p99 with reasons at {connections} conn., ms: ≤ {most:.0f}",
            own[f"{with_reasons}, {connections}"]["p99"],
            most=most,
        )
    for row in (f"{many}, three reasons", many):
        best = max(own[f"{row}, {connections}"]["per second"] for connections in CONNECTIONS)
        goal(
            f"{row} in one request, of what the scorer alone does: ≥ 0.8",
            best / alone[row]["per second"],
            least=0.8,
        )
    goal(
        f"exact reasons of one lead, {WIDE}, times pred_contrib: ≥ 10", times_pred_contrib, least=10
    )
    goal("start to ready, s: ≤ 6", own["start seconds"], most=6)
    if "half load" in own:
        half = own["half load"]
        how = f"slowest of {half['requests']:,} requests at half load ({half['per second']:,.0f}/s)"
        goal(f"{how}, ms: ≤ {SLOW_MS:.0f}", half["max"], most=SLOW_MS)
        first, (sent, last) = own["soak"][1][1], own["soak"][-1]
        goal(
            f"memory after {sent:,} requests, of that after a tenth of them: ≤ 1.02",
            last / first,
            most=1.02,
        )
    return goals


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--fast", action="store_true", help="one round of 2 s only")
    arguments.add_argument("--seconds", type=float, default=4.0, help="of load for each figure")
    arguments.add_argument("--rounds", type=int, default=3, help="the median counts")
    arguments.add_argument("--half-load", type=float, default=60.0, metavar="SECONDS")
    arguments.add_argument("--soak", type=int, default=50_000, metavar="REQUESTS")
    arguments.add_argument("--servers", nargs="+", metavar="NAME", help="only these")
    arguments.add_argument("--json", type=Path, metavar="FILE")
    arguments.add_argument("--before", type=Path, metavar="FOLDER", help="an earlier version")
    arguments.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.fast:
        options.seconds, options.rounds = 2.0, 1
    if options.alone:
        leads = json.loads((options.alone / "leads.json").read_text())
        print(json.dumps(measure_scorer_alone(options.alone, leads, min(options.seconds, 4.0))))
        return
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed. On Debian: apt-get install wrk.")
    with tempfile.TemporaryDirectory(prefix="bench_serving.") as name:
        folder = Path(name)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")
        leads = make_models(folder)
        (folder / "leads.json").write_text(json.dumps(leads))
        roots = {"leadscore": HERE.parent}
        if options.before:
            roots["leadscore before"] = options.before.resolve()
        compared = servers(folder, leads, roots)
        if options.servers:
            compared = [server for server in compared if server.name in options.servers]
        compare(compared, options, folder)
        alone, times_faster = {}, {}
        for name, root in roots.items():
            seconds = ["--alone", str(folder), "--seconds", str(options.seconds)]
            alone[name] = json.loads(run_with(root, str(HERE / "bench_serving.py"), *seconds))
            times_faster[name] = float(run_with(root, REASONS, "--one-lead", WIDE))
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"\n{TREES} trees × {LEAVES} leaves, {NUMERIC} numbers and {CATEGORICAL} categories")
    print(
        f"{options.rounds} rounds of {options.seconds:.0f} s; {os.cpu_count()} cores, load {busy}"
    )
    own_alone = alone["leadscore"]
    print("\n" + table(compared, own_alone) + "\n\n" + cpu_table(compared, own_alone))
    goals: list[tuple[str, str, bool]] = []
    if not options.servers:
        of_versions = {
            name: verdicts(compared, alone[name], times_faster[name], name) for name in roots
        }
        goals = of_versions["leadscore"]
        before = {sentence: value for sentence, value, _ in of_versions.get("leadscore before", ())}
        print("\n| goal | before | measured | |\n|---|---|---|---|")
        for sentence, value, is_met in goals:
            verdict = "met" if is_met else "**not met**"
            print(f"| {sentence} | {before.get(sentence, '–')} | {value} | {verdict} |")
    if options.json:
        facts = {server.name: server.results for server in compared}
        results = {"servers": facts, "scorer alone": alone, "goals": goals}
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
