"""`leadscore demo`: every step, on a simulated CRM."""

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.console import command_line, mlflow_line, out
from commands.records import write_simulation
from commands.report import make_report
from commands.serve import pack
from commands.train import show_training, train_and_track
from crm.errors import LeadScoringError
from crm.project import Project, load_project

if TYPE_CHECKING:
    from training.tracking.log import TrackedModel


def demo(
    folder: Annotated[Path, typer.Option(help="The folder for all files.")] = Path("demo"),
    leads: Annotated[int, typer.Option(help="The number of simulated leads.")] = 5_000,
    keep_serving: Annotated[bool, typer.Option(help="Leave the service running.")] = False,
) -> None:
    """Run every step on a SIMULATED CRM: train, register, report, serve, score over HTTP."""
    os.environ["BENTOML_HOME"] = str(folder.resolve() / "bentoml")
    (folder / "bentoml").mkdir(parents=True, exist_ok=True)
    from commands.terminal.training import scores_table
    from crm.simulation.world import Simulation

    out.rule("1  a simulated CRM", align="left")
    write_simulation(Simulation(leads=leads, drift_at=1.0), folder / "crm", "csv")
    opened = load_project(folder / "crm")
    out.rule("2  train, evaluate on the newest leads, register in MLflow", align="left")
    outcome = train_and_track(opened, quiet=False)
    show_training(outcome)
    out.rule("3  the report for marketing and sales", align="left")
    _, summary = make_report(opened, folder / "report", quiet=False)
    out.print(summary, soft_wrap=True)
    out.rule("4  pack a Bento, serve it, score over HTTP", align="left")
    from models.registry.relocation import service_name
    from serving.bento.process import check_port, free_port, running_service
    from serving.bento.store import newest_bento

    bento, _ = pack(opened)
    out.print(f"Built the Bento {bento}; starting it …", soft_wrap=True)
    body = _newest_leads(opened)
    (folder / "leads.json").write_text(body)
    host, port = "127.0.0.1", 3000
    try:
        check_port(host, port)
    except LeadScoringError:
        port = free_port(host)
    _, bento_folder = newest_bento(service_name(opened.name, opened.folder))
    with running_service(bento_folder, host, port) as url:
        answer = _post(f"{url}/score", body)
        out.print(scores_table(answer))
        out.rule("All of this is SIMULATED. Where to look", align="left")
        where = {
            "tables": folder / "crm",
            **_mlflow(outcome.tracked),
            "report": folder / "report" / "index.html",
            "artefact": outcome.tracked.artifact_uri.removeprefix("file://"),
            "service": f"BENTOML_HOME={shlex.quote(str(folder / 'bentoml'))} "
            + command_line("leadscore", "serve", "--project", folder / "crm", "--port", port),
            "then try": shlex.join(
                ["curl", "-s", f"http://{host}:{port}/score", "-d", f"@{folder / 'leads.json'}"]
            ),
        }
        for what, place in where.items():
            out.print(f"  {what:<9} {place}", soft_wrap=True, markup=False)
        if keep_serving:
            out.print(f"The service is running on {url}; Ctrl+C stops it.")
            _wait_for_interrupt()


def _mlflow(tracked: "TrackedModel") -> dict[str, str]:
    """Return the command that shows the training in MLflow, unless a server does, and its page."""
    is_server = tracked.tracking_uri.startswith("http")
    command = {} if is_server else {"MLflow": mlflow_line(tracked.tracking_uri)}
    return command | {"its page": tracked.page}


def _newest_leads(project: Project) -> str:
    """Return the five newest simulated leads as a CRM sends them."""
    from crm.reading import read_records

    records = read_records(project)
    newest = records.leads.tail(5)
    attributes = newest.drop(columns=["lead_id", "created_at"]).astype(object)
    rows = attributes.where(attributes.notna(), None).to_dict("records")
    leads = [
        {"lead_id": lead_id, "created_at": created.isoformat(), "attributes": row}
        for lead_id, created, row in zip(newest["lead_id"], newest["created_at"], rows, strict=True)
    ]
    return json.dumps({"leads": leads}, indent=1)


def _post(url: str, body: str) -> Any:
    import urllib.request

    request = urllib.request.Request(url, data=body.encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def _wait_for_interrupt() -> None:
    import signal

    signal.sigwait({signal.SIGINT, signal.SIGTERM})
