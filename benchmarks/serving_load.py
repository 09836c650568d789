"""Servers that bench_serving.py starts, and the load on them.

wrk sends the requests. Only processes that this module started are ended.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
BATCH = 100  # leads in one request
CONNECTIONS = (1, 32)
HALF_LOAD_CONNECTIONS = 8
START_SECONDS = 120


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
