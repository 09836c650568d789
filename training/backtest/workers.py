"""Trains at several cut-offs at the same time, each in a process of its own.

Each process uses one thread, and the results do not depend on the number of processes. A process
gets the records once, then one cut-off after the other. It ends when the main process closes the
connection, also if the main process is killed.
"""

import multiprocessing
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, cast

from threadpoolctl import threadpool_limits

from crm.arrays import Ints
from crm.errors import ConfigError, LeadScoringError
from crm.project import Project, load_project
from crm.records import Records
from features.moments import Moments
from training.backtest.cut_off import CutOffModel, train_at

Task = tuple[int, Ints]  # the cut-off, and the positions of the moments to score


def train_all(
    project: Project,
    records: Records,
    moments: Moments,
    tasks: Sequence[Task],
    workers: int,
) -> Iterator[CutOffModel]:
    """Train at each cut-off, and yield the models as they are finished.

    Parameters
    ----------
    project : Project
        Other processes read its file again.
    records, moments
        As for `training.backtest.cut_off.train_at`.
    tasks : sequence of (int, ndarray of int64)
        The cut-offs, and the positions of the moments that each scores.
    workers : int
        The number of processes; with 1 this process does the work.

    Yields
    ------
    CutOffModel

    Raises
    ------
    LeadScoringError
        If a process ends before its cut-off is finished, or a training is refused for a reason
        that is not one of a cut-off.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        for at, rows in tasks:
            with threadpool_limits(1):
                model = train_at(project, records, moments, rows, at)
            yield model
        return
    open_tasks = list(reversed(tasks))
    with _processes((project.path, project.text, records, moments), workers) as processes:
        for connection in processes:
            _send(connection, open_tasks.pop())
        while processes:
            for ready in wait(list(processes)):
                connection = cast(Connection, ready)
                model = _received(connection, processes[connection])
                if open_tasks:
                    _send(connection, open_tasks.pop())
                else:
                    del processes[connection]
                    connection.close()
                yield model


@contextmanager
def _processes(inputs: tuple[Any, ...], workers: int) -> Iterator[dict[Connection, SpawnProcess]]:
    """Start processes, yield them by their connections, and end them with the context."""
    context = multiprocessing.get_context("spawn")
    started: list[tuple[Connection, SpawnProcess]] = []
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, *inputs), daemon=True)
            process.start()
            theirs.close()
            started.append((ours, process))
        yield dict(started)
    finally:
        for connection, process in started:
            connection.close()
            process.terminate()
            process.join()


def _send(connection: Connection, task: Task) -> None:
    """Send a cut-off to a process; if it has ended, `_received` raises the error."""
    with suppress(ConnectionError):
        connection.send(task)


def _received(connection: Connection, process: SpawnProcess) -> CutOffModel:
    """Receive the model of a finished cut-off, or raise the error of its process."""
    try:
        result = connection.recv()
    except (EOFError, ConnectionError):
        process.join()
        raise LeadScoringError(
            f"A process that trained ended with the code {process.exitcode}; perhaps the memory "
            "did not suffice. The finished cut-offs are kept. Run the command again, with fewer "
            "--workers."
        ) from None
    if isinstance(result, Exception):
        raise result
    assert isinstance(result, CutOffModel)
    return result


def _work(
    connection: Connection, path: Path, text: str, records: Records, moments: Moments
) -> None:
    """Train at the cut-offs that arrive, until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends this one
    with suppress(EOFError, OSError), threadpool_limits(1):
        while True:
            at, rows = connection.recv()
            try:
                project = load_project(path)
                if project.text != text:
                    raise ConfigError(f"{path} has changed during the backtest. Run it again.")
                model = train_at(project, records, moments, rows, at)
            except LeadScoringError as error:  # some kinds cannot be sent
                connection.send(LeadScoringError(str(error)))
            except Exception:
                connection.send(RuntimeError(traceback.format_exc()))
            else:
                connection.send(model)
