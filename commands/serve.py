"""`leadscore build`, `serve` and `follow`: pack the service, run it, update its champion."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from commands.console import (
    JsonOption,
    ProjectOption,
    command_line,
    leadscore_line,
    out,
    show,
    show_commands,
    show_error,
)
from crm.control_share import CONTROL_SHARE, check_has_ledger
from crm.errors import ArtifactError, ServiceError, TrackingError
from crm.project import PROJECT_FILE, Project, load_project

HERE = Path(__file__).resolve().parent.parent


def build(project: ProjectOption = Path(PROJECT_FILE), json_: JsonOption = False) -> None:
    """Pack the service and the champion into a Bento."""
    bento, model = pack(load_project(project))
    if json_:
        show({"bento": bento, "model": model}, "", json_)
        return
    show_commands(
        f"Built the Bento {bento}. Serve it with one of these commands:",
        leadscore_line(project, "serve"),
        f"BENTOML_DO_NOT_TRACK=True {command_line('bentoml', 'serve', bento)}",
    )


def pack(project: Project) -> tuple[str, str]:
    """Build a Bento of the service and the champion; return its tag and the model's tag."""
    from models.registry.registry import Registry
    from serving.bento.store import build_bento, put_in_store

    registry = Registry(project)
    version = registry.champion()
    with registry.fetched(version) as folder:
        model = put_in_store(folder, registry.service_name, version)
    return build_bento(HERE, model), model


def serve(
    project: ProjectOption = Path(PROJECT_FILE),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 3000,
    workers: Annotated[
        int | None, typer.Option(help="The number of worker processes.", min=1, max=64)
    ] = None,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="Keep the Bento's model after a promotion.")
    ] = False,
    shadow: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            help="Score leads with this version too, or with `challenger`, behind the answers.",
        ),
    ] = "",
) -> None:
    """Serve the newest Bento of the project, and each new champion, until stopped."""
    from crm.ledger.ledger import Ledger
    from models.registry.relocation import service_name
    from serving.bento.process import check_port, serve_command, serve_environment
    from serving.bento.store import newest_bento
    from serving.settings import check_shadow

    opened = load_project(project)
    tag, folder = newest_bento(service_name(opened.name, opened.folder))
    check_port(host, port)
    if shadow:
        check_shadow(shadow, opened.ledger_url)
        store_shadow(opened, shadow)
    out.print(f"Serving {tag} on http://{host}:{port} (Ctrl+C stops it)", soft_wrap=True)
    sys.stdout.flush()
    command = serve_command(folder, host, port)
    settings = {"LEADSCORE_TAKEOVER": "off"} if pinned else {}
    if opened.ledger_url:
        with Ledger(opened.ledger_url, opened.folder) as ledger:
            url = ledger.database.engine.url  # complete, so that it is valid in any folder
            settings["LEADSCORE_LEDGER_URL"] = url.render_as_string(hide_password=False)
    if opened.control_share:
        check_has_ledger(opened.control_share, opened.ledger_url)
        settings[CONTROL_SHARE] = str(opened.control_share)
    settings |= {"LEADSCORE_SHADOW": shadow} if shadow else {}
    settings |= {"LEADSCORE_WORKERS": str(workers)} if workers else {}
    os.execvpe(command[0], command, serve_environment(host, settings))


def store_shadow(project: Project, wanted: str) -> str:
    """Copy a version, or the challenger, to BentoML's store as a shadow; return its tag."""
    from models.registry.registry import Registry
    from serving.bento.store import shadow_in_store

    registry = Registry(project)
    version = registry.resolve(wanted).version
    with registry.fetched(version) as folder:
        return shadow_in_store(folder, registry.service_name, version, wanted)


def follow(
    project: ProjectOption = Path(PROJECT_FILE),
    every: Annotated[float, typer.Option(help="Seconds between two checks.", min=1)] = 10,
    once: Annotated[bool, typer.Option("--once", help="Check once, then exit.")] = False,
    challenger: Annotated[
        bool,
        typer.Option("--challenger", help="Copy each challenger too, as the shadow of services."),
    ] = False,
) -> None:
    """Copy each new champion from MLflow to the services on this machine."""
    from models.registry.registry import CHALLENGER, Registry
    from serving.bento.store import promote_in_store

    opened = load_project(project)
    served = shadowed = last_error = None
    while True:
        try:
            registry = Registry(opened)
            version = registry.champion()
            if version != served:
                with registry.fetched(version) as folder:
                    tag = promote_in_store(folder, registry.service_name, version)
                served = version
                out.print(f"{opened.name} version {version} is served from {tag}", soft_wrap=True)
            if challenger and shadowed != (newest := registry.find_challenger()):
                if newest is not None:
                    tag = store_shadow(opened, CHALLENGER)
                    out.print(f"{opened.name} version {newest} is the shadow {tag}", soft_wrap=True)
                shadowed = newest
        except (TrackingError, ArtifactError, ServiceError) as error:
            if once:
                raise
            if str(error) != last_error:  # a lasting error is printed once
                show_error(error)
            last_error = str(error)
        else:
            last_error = None
        if once:
            return
        sys.stdout.flush()
        time.sleep(every)
