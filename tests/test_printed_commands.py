"""Every command that the documentation or the program prints can be run as it is printed.

The commands run in a fresh clone, each in a shell of its own. Two groups run at the same time, each
in a network of its own, which has loopback and nothing else, if the system allows it.
"""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer

from leadscore.command import app
from tests.conftest import OURS

HERE = Path(__file__).resolve().parent.parent
SECONDS = 1_800  # far more than any command takes on a machine that does nothing else
READY_SECONDS = 600

NOT_RUN = {
    "make test": "it runs this test",
    "make check": "CI runs it, and it takes minutes",
    "make coverage": "it runs this test",
    "make bench": "a benchmark",
    "make bench-batch": "a benchmark",
    "make bench-quality": "a benchmark, and it installs packages",
    "make bench-report": "a benchmark",
    "make bench-training": "a benchmark",
    "make bench-long-history": "a benchmark",
    "make bench-serving": "a benchmark",
    "make bench-gates": "a benchmark",
    "make bench-monitoring": "a benchmark",
    "make bench-shadow": "a benchmark",
    "make bench-points": "a benchmark",
    "make fuzz": "it takes minutes",
    "make lock": "it needs a package index",
    "make client-tools": "it installs packages; CI runs it",
    "make clients": "it installs packages, and takes minutes",
    "make check-web": "it installs packages; `make check` runs it in CI",
    "make picture": "it needs Chromium, and runs the demo a second time",
}
NOT_RUN_PAGES = {
    "docs/commands.md": "Typer generates these usage lines; tests/test_house.py compares them",
}
NOT_RUN_PARTS = (
    "https://scores.example.com",  # tests/test_serving_contract.py makes these calls
)

BLOCK = re.compile(r"(?ms)^```(sh|bash|console)\n(.*?)^```$")
TARGET = re.compile(r"(?m)^([a-z-]+):.*  ## ")
HINT = re.compile(
    r"(?m)^  (?:[A-Za-z][A-Za-z ]{0,8} +)?"
    r"((?:[A-Z_]+=\S+ )*(?:\S*/)?(?:(?:leadscore|mlflow|bentoml) [a-z]|curl -).*?)\s*$"
)
SERVER = re.compile(r"\bmake serve\b|\bserve\b(?! --help)|\bmlflow ui\b|\bfollow\b(?!.*--once)")
LOOPBACK = """
import fcntl, socket, struct, time
interface = struct.pack("16sH14s", b"lo", 1, b"")  # 1: up
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, interface)
print("up", flush=True)
time.sleep(7200)
"""


@dataclass
class Ran:
    """One command that ran."""

    origin: str
    command: str
    problem: str | None  # why it counts as failed
    seconds: float


@dataclass
class Group:
    """Commands that run one after another, with a home folder and a network of their own."""

    clone: Path
    home: Path
    network: Sequence[str]
    ran: list[Ran] = field(default_factory=list)

    def run(self, origin: str, command: str) -> list[str]:
        """Run a command, and return the commands that it prints."""
        start = time.monotonic()
        try:
            process = self._shell(command)
        except subprocess.TimeoutExpired:
            self.ran.append(Ran(origin, command, "it took too long", SECONDS))
            return []
        output = process.stdout + process.stderr
        failures = ("Traceback", '"error":{', '"error_code":')  # the last one is MLflow's
        is_refused = any(failure in output for failure in failures)
        problem = f"exit code {process.returncode}:\n{output[-3000:]}"
        has_failed = process.returncode != 0 or is_refused
        seconds = time.monotonic() - start
        self.ran.append(Ran(origin, command, problem if has_failed else None, seconds))
        return HINT.findall(output)

    @contextmanager
    def serve(self, origin: str, command: str) -> Iterator[None]:
        """Start a server, wait until it answers, and end it and its children by their ids."""
        log, start = self.home / "server.log", time.monotonic()
        with log.open("w") as output:
            process = subprocess.Popen(
                [*self.network, "bash", "-c", command],
                cwd=self.clone,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            problem = self._wait_until_ready(process, command, log)
            self.ran.append(Ran(origin, command, problem, time.monotonic() - start))
            yield
        finally:
            end(process)

    def run_page(self, origin: str, commands: Sequence[str]) -> None:
        """Run the commands of a page in order, and then those that they print."""
        hints = self._run_in_order([(origin, command) for command in commands])
        while hints:
            already_run = {shape_of(ran.command) for ran in self.ran}
            new: dict[str, str] = {}
            for source, command in hints:
                if shape_of(command) not in already_run:
                    already_run.add(shape_of(command))
                    new[command] = source
            hints = self._run_in_order([(source, command) for command, source in new.items()])

    def _run_in_order(self, commands: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        queue, hints = list(commands), []
        while queue:
            origin, command = queue.pop(0)
            if not SERVER.search(command):
                printed = self.run(origin, command)
                hints += [(f"printed by `{command}`", hint) for hint in printed]
                continue
            with self.serve(origin, command):
                while queue and queue[0][1].startswith("curl "):
                    self.run(*queue.pop(0))
        return hints

    def _wait_until_ready(
        self, process: "subprocess.Popen[bytes]", command: str, log: Path
    ) -> str | None:
        page = "5000/health" if "mlflow ui" in command else "3000/readyz"
        if port := re.search(r"--port (\d+)", command):
            page = f"{port[1]}/{'ping' if 'mlflow models' in command else 'readyz'}"
        give_up = time.monotonic() + READY_SECONDS
        while time.monotonic() < give_up and process.poll() is None:
            if "follow" in command:
                if re.search(r"version \d", log.read_text()):
                    return None
            elif self._shell(f"curl -sf http://127.0.0.1:{page}").returncode == 0:
                return None
            time.sleep(0.3)
        return f"the server did not become ready:\n{log.read_text()[-3000:]}"

    def _shell(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.network, "bash", "-c", command],
            cwd=self.clone,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def _environment(self) -> dict[str, str]:
        """Build the environment of a user who has not activated any virtual environment."""
        own = Path(sys.executable).parent
        path = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != own]
        left_out = (*OURS, "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS", "COV_CORE", "PYTEST")
        variables = {name: v for name, v in os.environ.items() if not name.startswith(left_out)}
        return variables | {"HOME": str(self.home), "PATH": os.pathsep.join(path), "TERM": "dumb"}


def shape_of(command: str) -> str:
    """Return a command with one name for the two projects; the same one runs once."""
    return re.sub(r"demo/crm\b|simulated\b", "PROJECT", command)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all its children."""
    try:
        family = [process.pid, *(c.pid for c in psutil.Process(process.pid).children(True))]
    except psutil.NoSuchProcess:
        family = []
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=60)


def clone_repository(target: Path) -> None:
    """Clone the repository, with a virtual environment that has the packages of this one."""
    subprocess.run(["git", "clone", "--quiet", HERE, target], check=True)
    environment = target / ".venv"
    venv.EnvBuilder(symlinks=True).create(environment)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "clone.pth").write_text(f"{target}\n{sysconfig.get_path('purelib')}\n")
    for program in Path(sys.executable).parent.iterdir():
        copy = environment / "bin" / program.name
        if copy.exists() or not program.is_file() or not os.access(program, os.X_OK):
            continue
        content = program.read_bytes()
        if content.startswith(b"#!") and b"python" in content.partition(b"\n")[0]:
            python = f"#!{environment / 'bin' / 'python'}\n".encode()
            copy.write_bytes(python + content.partition(b"\n")[2])
            copy.chmod(copy.stat().st_mode | stat.S_IXUSR)
        else:
            copy.symlink_to(program)
    (environment / "ready").touch()  # newer than the files that make compares it with


@contextmanager
def network() -> Iterator[Sequence[str]]:
    """Make a network with loopback only; yield the prefix of a command that runs in it.

    The prefix is empty if the system does not allow it.
    """
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-c", LOOPBACK]
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        yield ()
        return
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        is_up = holder.stdout is not None and holder.stdout.readline() == "up\n"
        enter = ["nsenter", f"--target={holder.pid}", "--user", "--net", "--preserve-credentials"]
        yield enter if is_up else ()
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()


def commands_of(page: str) -> list[str]:
    """Read the commands of the shell blocks of a page, in order."""
    commands: list[str] = []
    for language, block in BLOCK.findall((HERE / page).read_text(encoding="utf-8")):
        lines = block.replace("\\\n", " ").splitlines()
        if language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        commands += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [re.sub(r"\s{2,}# .*", "", command) for command in commands]


def pages() -> list[str]:
    """List the pages with commands, sorted by name; the pages run in this order."""
    files = sorted(
        [*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md"), *HERE.glob("examples/*.md")]
    )
    names = [str(path.relative_to(HERE)) for path in files]
    return [name for name in names if commands_of(name) and name not in NOT_RUN_PAGES]


def can_run(command: str) -> bool:
    return command not in NOT_RUN and not any(part in command for part in NOT_RUN_PARTS)


def make_targets() -> list[str]:
    return [f"make {target}" for target in TARGET.findall((HERE / "Makefile").read_text())]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[Ran]:
    """Run all commands: those of the README in one group, all others in another."""
    folder = tmp_path_factory.mktemp("fresh")
    clone = folder / "clone"
    clone_repository(clone)
    with network() as first, network() as second:
        readme = Group(clone, folder / "home-1", first)
        others = Group(clone, folder / "home-2", second)
        readme.home.mkdir()
        others.home.mkdir()
        demo = others.run("README.md", "make demo")
        readme_commands = [command for command in commands_of("README.md") if can_run(command)]
        readme_commands.remove("make demo")
        with ThreadPoolExecutor(2 if first and second else 1) as pool:
            page_runs = [
                pool.submit(readme.run_page, "README.md", readme_commands),
                pool.submit(run_others, others, demo),
            ]
        for page_run in page_runs:
            page_run.result()
    return [*readme.ran, *others.ran]


def run_others(group: Group, printed_by_the_demo: Sequence[str]) -> None:
    group.run_page("printed by `make demo`", printed_by_the_demo)
    targets = [target for target in make_targets() if can_run(target) and target != "make demo"]
    group.run_page("Makefile", targets)
    for page in pages():
        if page != "README.md":
            group.run_page(page, [command for command in commands_of(page) if can_run(command)])


def test_every_printed_command_runs(ran: list[Ran]) -> None:
    (HERE / "build").mkdir(exist_ok=True)
    lines = [f"{result.seconds:6.1f} s  {result.origin}: {result.command}\n" for result in ran]
    (HERE / "build" / "printed-commands.txt").write_text("".join(lines))
    problems = [
        f"{result.origin}: {result.command}\n{result.problem}" for result in ran if result.problem
    ]
    assert not problems, "\n\n".join(problems)


def test_the_demo_prints_commands_for_mlflow_the_service_and_a_call(ran: list[Ran]) -> None:
    printed = [result.command for result in ran if result.origin == "printed by `make demo`"]
    programs = [re.split(r"[ /]", command.partition(" ui")[0])[-1] for command in printed]
    assert len(printed) == 3
    assert programs[0] == "mlflow"
    assert printed[1].startswith("BENTOML_HOME=")
    assert printed[2].startswith("curl ")


def test_the_server_of_mlflow_scores_a_lead(ran: list[Ran]) -> None:
    """The call comes after the server, and neither is left out."""
    commands = [result.command for result in ran if result.origin == "docs/operations.md"]
    (server,) = [i for i, command in enumerate(commands) if "mlflow models serve" in command]
    assert ":5001/invocations" in commands[server + 1]


def test_every_command_of_the_program_ran(ran: list[Ran]) -> None:
    def paths(command: Any, path: str) -> Iterator[str]:
        nested = getattr(command, "commands", {})
        if not nested:
            yield path
        for name, subcommand in nested.items():
            yield from paths(subcommand, f"{path} {name}")

    all_ran = "\n".join(result.command for result in ran)
    expected = set(paths(typer.main.get_command(app), "leadscore")) - {"leadscore demo"}
    assert {path for path in expected if path not in all_ran} == set()


def test_every_command_that_does_not_run_is_printed_somewhere() -> None:
    printed = {command for page in pages() for command in commands_of(page)} | set(make_targets())
    assert set(NOT_RUN) <= printed
    assert all((HERE / page).exists() for page in NOT_RUN_PAGES)


def test_pages_have_commands() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/operations.md"} <= set(pages())
    assert len(make_targets()) > 10
