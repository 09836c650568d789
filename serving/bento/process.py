"""Runs a built Bento in its own process, and ends it with all its children."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import psutil

from crm.errors import ServiceError

START_SECONDS = 90
GRACE_SECONDS = 30  # after draining, for callers that do not read their answer


def serve_command(bento: Path, host: str, port: int) -> list[str]:
    """Build the command that serves a Bento."""
    return [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        str(bento),
        "--host",
        host,
        "--port",
        str(port),
        "--timeout-graceful-shutdown",
        str(GRACE_SECONDS),
        "--quiet",
    ]


def serve_environment(host: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Build the environment of a served Bento.

    Parameters
    ----------
    host : str
        The address to listen on. Without API keys, the service refuses an address that other
        machines can reach.
    settings : mapping of str to str
        Variables that replace those of the caller's environment.

    Returns
    -------
    dict of str to str
        The caller's environment with the settings. Reports to BentoML are off. New champions are
        taken over, unless the environment or the settings turn that off.
    """
    no_tracking = {"BENTOML_DO_NOT_TRACK": "True", "OTEL_SDK_DISABLED": "true"}
    variables = {"LEADSCORE_TAKEOVER": "on", **os.environ, **settings}
    return variables | no_tracking | {"LEADSCORE_HOST": host}


def check_port(host: str, port: int) -> None:
    """Check that a port is free, before anything is started on it.

    Raises
    ------
    ServiceError
        If the port cannot be used.
    """
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServiceError(
            f"Port {port} on {host} cannot be used: {reason}. Choose another one with --port, "
            "or stop the program that uses it."
        ) from None


def free_port(host: str) -> int:
    """Find a free port."""
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running_service(
    bento: Path,
    host: str,
    port: int,
    settings: Mapping[str, str] = MappingProxyType({}),
    log: Path | None = None,
) -> Iterator[str]:
    """Serve a Bento while the context lasts. It ends at once, without draining.

    Parameters
    ----------
    bento : Path
    host : str
    port : int
    settings : mapping of str to str
        Variables that replace those of the caller's environment.
    log : Path, optional
        The file for the service's log.

    Yields
    ------
    str
        The URL of the service, which is ready.

    Raises
    ------
    ServiceError
        If the port is taken, or the service ends or is not ready in time.
    """
    check_port(host, port)
    with tempfile.TemporaryDirectory(prefix="leadscore-") as work:
        log = log or Path(work) / "log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                serve_command(bento, host, port),
                env=serve_environment(host, {"LEADSCORE_DRAIN_SECONDS": "0", **settings}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        url = f"http://{host}:{port}"
        try:
            _wait_until_ready(process, url, log)
            yield url
        finally:
            _end(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            output = log.read_text(encoding="utf-8", errors="replace").strip()
            last_line = output.splitlines()[-1] if output else "its log is empty"
            raise ServiceError(f"The service ended at its start: {last_line}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServiceError(f"The service was not ready within {START_SECONDS} seconds.")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the service and its workers, which are in sessions of their own."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=2)
    for child in alive:
        child.kill()
