"""The tables of bench_serving.py, and its goals."""

from typing import Any

from serving_load import BATCH, CONNECTIONS, Server

SLOW_MS = 100.0
WIDE = "750 trees x 15 leaves, 90 + 30 columns"  # of bench_reasons.py


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
