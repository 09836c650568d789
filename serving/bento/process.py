"""Runs a built Bento as a process of its own, and ends it with all its children."""

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
GRACE_SECONDS = 30  # after the draining, for callers that do not read their answer


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
    """Give the environment of a served Bento.

    Parameters
    ----------
    host : str
        The address it listens on, so that it can refuse to be open to the network.
    settings : mapping of str to str
        Hold whatever the caller's environment says.

    Returns
    -------
    dict of str to str
        The caller's environment and these, with nothing phoning home; new champions are
        taken over unless either says otherwise.
    """
    quiet = {"BENTOML_DO_NOT_TRACK": "True", "OTEL_SDK_DISABLED": "true"}
    told = {"LEADSCORE_TAKEOVER": "on", **os.environ, **settings}
    return told | quiet | {"LEADSCORE_HOST": host}


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken, before anything is started on it.

    Raises
    ------
    ServiceError
        If nothing can listen there.
    """
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServiceError(
            f"Port {port} on {host} cannot be used: {reason}. Choose another one with --port, "
            "or stop what listens there."
        ) from None


def free_port(host: str) -> int:
    """Find a port that nothing listens on."""
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
    """Serve a Bento while the context lasts; nobody else relies on it, so it ends at once.

    Parameters
    ----------
    bento : Path
    host : str
    port : int
    settings : mapping of str to str
        Hold whatever the caller's environment says.
    log : Path, optional
        The file that its log is written to.

    Yields
    ------
    str
        The service's URL; it is ready.

    Raises
    ------
    ServiceError
        If the port is taken, or the service ends or does not get ready.
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
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            last = said.splitlines()[-1] if said else "it said nothing"
            raise ServiceError(f"The service ended at its start: {last}")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServiceError(f"The service was not ready within {START_SECONDS} seconds.")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the service to end, and its workers, which are in sessions of their own."""
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
