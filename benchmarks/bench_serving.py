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
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from serving_load import BATCH, Server, compare
from serving_model import CATEGORICAL, LEADS, LEAVES, NUMERIC, TREES, make_models, save_for_mlflow
from serving_tables import WIDE, cpu_table, table, verdicts

from serving.bento.process import free_port, serve_command, serve_environment
from serving.bento.store import newest_bento, put_in_store

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
REASONS = str(HERE / "bench_reasons.py")
ALONE = str(HERE / "serving_alone.py")
BUILD = """
import sys
from pathlib import Path
from serving.bento.store import build_bento
build_bento(Path(sys.argv[1]), sys.argv[2])
"""


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


def run_with(root: Path, *arguments: str) -> str:
    """Run Python with the modules of a version, and return what it prints."""
    environment = dict(os.environ) | {"PYTHONPATH": str(root)}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout


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
    options = arguments.parse_args()
    if options.fast:
        options.seconds, options.rounds = 2.0, 1
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
            seconds = str(min(options.seconds, 4.0))
            alone[name] = json.loads(run_with(root, ALONE, str(folder), seconds))
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
