"""Generates, compiles and runs a client in each language, and prints a table: `make clients`.

A model is trained on a simulated CRM, and a service with API keys and a ledger runs on loopback. If
the compiler of a language is not installed, the table names what installs it.
"""

import datetime
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from crm.project import load_project
from crm.reading import read_records
from crm.simulation.simulator import simulate
from crm.simulation.world import Simulation
from models.artifact import save_artifact
from serving.bento.process import free_port, running_service
from serving.bento.store import build_bento, newest_bento, promote_in_store
from serving.http.keys import add_key
from tests.clients.languages import LANGUAGES, ClientError, answered, differences
from training.train import train

HOST = "127.0.0.1"
CONTRACT = "/contract/openapi-3.0.json"


def make_bento(folder: Path, now: datetime.datetime) -> Path:
    """Train a model on a simulated CRM, and build a Bento with it; return the Bento's folder."""
    simulate(Simulation(leads=1_500, activities_per_lead=2, seed=1), folder)
    project = load_project(folder)
    trained = train(project, read_records(project), now=now)
    save_artifact(trained.scorer, trained.golden_leads, folder / "model", trained.golden_as_of)
    name = trained.scorer.card.name
    build_bento(Path.cwd(), promote_in_store(folder / "model", name, "1"))
    return newest_bento(name)[1]


def check(name: str, contract: Path, folder: Path, url: str, key: str, lead_id: str) -> str:
    """Generate, compile and run the client of a language; return the result as a text."""
    language = LANGUAGES[name]
    if missing := language.missing():
        return f"not installed: {', '.join(missing)}"
    folder.mkdir()
    try:
        seen = answered(language, contract, folder, url, key, lead_id)
    except ClientError as error:
        return f"FAILED: {error}"
    if wrong := differences(seen, lead_id):
        return f"FAILED: {'; '.join(wrong)}"
    return f"amount {seen['amount']!r}, id {seen['lead_id']}, number {seen['number']!r}"


def main() -> int:
    """Run all languages, and return 1 if one of them failed."""
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    with tempfile.TemporaryDirectory(prefix="leadscore-clients-") as work:
        folder = Path(work)
        key = add_key(folder / "keys.json", "clients", "write", now.isoformat())
        settings = {
            "LEADSCORE_KEYS_FILE": str(folder / "keys.json"),
            "LEADSCORE_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        }
        (folder / "crm").mkdir()
        bento = make_bento(folder / "crm", now)
        results = {}
        with running_service(bento, HOST, free_port(HOST), settings) as url:
            contract = folder / "contract.json"
            contract.write_bytes(urllib.request.urlopen(url + CONTRACT).read())
            for number, name in enumerate(LANGUAGES):
                started = time.perf_counter()
                place = folder / f"client{number}"
                results[name] = check(name, contract, place, url, key, str(3_000_000_000 + number))
                seconds = time.perf_counter() - started
                print(f"{name:<12}{seconds:6.1f} s  {results[name]}", flush=True)
    return int(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
