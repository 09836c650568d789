"""Writes a look as metrics in Prometheus' text format, for its collector of text files."""

from collections.abc import Iterator

from features.times import cell_time
from monitoring.check import Verdict
from monitoring.look import Look

FAMILIES = {
    "leadscore_monitor_verdict": "1 for the worst verdict of the last look.",
    "leadscore_monitor_check": "1 for the verdict of each check.",
    "leadscore_monitor_figure": "A figure of a check.",
    "leadscore_monitor_leads": "Leads that the champion has not learned from.",
    "leadscore_monitor_time_seconds": "The time of the last look, in seconds since 1970.",
}


def exposition(look: Look) -> str:
    """Write a look in Prometheus' text format.

    Examples
    --------
    >>> from monitoring.check import Check
    >>> check = Check("LM202", Verdict.FINE, "", figures={"roc_auc": 0.81})
    >>> look = Look("demo", "3", "2026-01-01T00:00:00+00:00", "", (check,), (), (), 7, False)
    >>> print(exposition(look).splitlines()[3])
    leadscore_monitor_verdict{model="demo",version="3",verdict="fine"} 1
    """
    lines: list[str] = []
    for family, text in FAMILIES.items():
        lines += [f"# HELP {family} {text}", f"# TYPE {family} gauge"]
        lines += _samples(family, look)
    return "\n".join(lines) + "\n"


def _samples(family: str, look: Look) -> Iterator[str]:
    model = f'model="{look.name}",version="{look.version}"'
    if family == "leadscore_monitor_verdict":
        for verdict in Verdict:
            yield f'{family}{{{model},verdict="{verdict}"}} {int(verdict is look.verdict)}'
    elif family == "leadscore_monitor_check":
        for check in look.checks:
            yield f'{family}{{{model},check="{check.number}",verdict="{check.verdict}"}} 1'
    elif family == "leadscore_monitor_figure":
        for check in look.checks:
            for name, value in check.figures.items():
                if value is not None:
                    labels = f'check="{check.number}",figure="{name}"'
                    yield f"{family}{{{model},{labels}}} {value:.10g}"
    elif family == "leadscore_monitor_leads":
        yield f"{family}{{{model}}} {look.leads}"
    else:
        yield f"{family}{{{model}}} {cell_time(look.at) / 1e6:.0f}"
