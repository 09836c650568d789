"""Kills `leadscore retrain` at each of its steps, resumes it, and checks that nothing is half.

    python -m benchmarks.fault_retrain [--times 20]

Each time, a retraining of a small simulated CRM is killed with SIGKILL before or after a step is
recorded, or at a random time. Then it is resumed. Afterwards there must be one version, one
promotion, one finished training, one finished retraining, and whole files.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crm.project import load_project
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from models.registry.history import history
from models.registry.registry import RUN_KIND, Registry
from models.registry.retraining import last_retrainings
from tests.made_retrainings import KILLED

STEPS = ("decision", "train", "judge", "hand_over", "rescore", "report")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    plans = [(step, when) for step in STEPS for when in ("before", "after")]
    plans += [("", f"{random.Random(i).uniform(3, 25):.1f}") for i in range(times - len(plans))]
    faults = 0
    with tempfile.TemporaryDirectory(prefix="leadscore-") as folder:
        source = Path(folder) / "crm"
        simulate(Simulation(leads=600, activities_per_lead=1, seed=3, drift_at=1), source)
        project = source / "leadscore.toml"
        text = project.read_text().replace("moments_days = [0, 7, 30]", "moments_days = [0]")
        project.write_text(text.replace("test_share = 0.2", "test_share = 0.2\nremedies = false"))
        for number, (step, when) in enumerate(plans[:times]):
            crm = Path(folder) / f"crm{number}"
            shutil.copytree(source, crm)
            problems = run(crm, step, when)
            faults += bool(problems)
            at = f"{when} {step}" if step else f"after {when} s"
            print(f"{number + 1:>3} killed {at:<18} {'; '.join(problems) or 'whole'}", flush=True)
            shutil.rmtree(crm)
    print(f"{faults} of {times} left something half or twice")
    sys.exit(1 if faults else 0)


def run(crm: Path, step: str, when: str) -> list[str]:
    """Kill a retraining and resume it; return what is wrong afterwards."""
    environment = {**os.environ, "BENTOML_HOME": str(crm / "bentoml"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, step, when, str(crm)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if not step:
        time.sleep(float(when))
        process.kill()
    if process.wait() not in (-signal.SIGKILL, 0):
        return [f"the first run ended with {process.returncode}"]
    resumed = subprocess.run(
        [sys.executable, "-c", KILLED, "", "", str(crm)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if resumed.returncode:
        return [f"the second run ended with {resumed.returncode}: {resumed.stderr[-300:]}"]
    registry = Registry(load_project(crm))
    trainings = [
        run.info.status
        for run in registry.client.search_runs([str(registry.find_experiment())])
        if run.data.tags.get(RUN_KIND) == "training"
    ]
    facts = {
        "versions": ([version.version for version in registry.versions()], ["1"]),
        "champion": (registry.find_champion(), "1"),
        "events": ([event.what for event in history(registry)], ["first champion"]),
        "trainings": (trainings, ["FINISHED"]),
        "unfinished": ([r for r in last_retrainings(registry) if r["status"] != "FINISHED"], []),
        "report": ((crm / "report" / "index.html").exists(), True),
        "open leads": ((crm / "open-leads.csv").exists(), True),
        "temporary": ([p.name for p in crm.glob(".*") if p.is_file()], []),
    }
    return [f"{name}: {found}" for name, (found, wanted) in facts.items() if found != wanted]


if __name__ == "__main__":
    main()
