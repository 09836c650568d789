"""PgBouncer with transaction pooling, as companies run it between programs and PostgreSQL."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import sqlalchemy as sa

PASSWORD = "right"
START_SECONDS = 20


@dataclass
class PgBouncer:
    """A PgBouncer on loopback, in front of a PostgreSQL server.

    Attributes
    ----------
    folder : Path
        Contains its configuration, its users and its log.
    server : str
        The URL of the PostgreSQL server.
    port : int
    options : mapping of str to object
        Settings of PgBouncer beside the usual ones.
    """

    folder: Path
    server: str
    port: int
    options: Mapping[str, object]
    _process: "subprocess.Popen[bytes] | None" = None

    def url(self, database: str, password: str = PASSWORD) -> str:
        """Return the URL of a database of the server, through PgBouncer."""
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start PgBouncer, and wait until it accepts connections."""
        server = sa.make_url(self.server)
        host = server.query["host"]
        lines = [
            "[databases]",
            f"* = host={host} port={server.port or 5432} user={server.username}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in self._settings().items()),
        ]
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        (self.folder / "users.txt").write_text(f'"postgres" "{PASSWORD}"\n')
        user = None
        if os.geteuid() == 0:  # it does not run as root, and must find the server's socket
            user = pwd.getpwuid(os.stat(str(host)).st_uid).pw_name
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, user)
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(self.folder / "pgbouncer.ini")], user=user, stdout=log, stderr=log
            )
        for _ in range(10 * START_SECONDS):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2_000:]
            time.sleep(0.1)
        raise TimeoutError("PgBouncer does not accept connections")

    def stop(self) -> None:
        """End PgBouncer at once, with all its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End PgBouncer at once, and start it again."""
        self.stop()
        self.start()

    def _settings(self) -> dict[str, object]:
        return {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "plain",
            "auth_file": self.folder / "users.txt",
            "pool_mode": "transaction",
            "default_pool_size": 10,
            "max_client_conn": 200,
            "server_login_retry": 0.1,
        } | dict(self.options)


@contextlib.contextmanager
def running_pgbouncer(
    folder: Path, server: str, port: int, options: Mapping[str, object] = MappingProxyType({})
) -> Iterator[PgBouncer]:
    """Run PgBouncer with these settings beside the usual ones until the context ends."""
    bouncer = PgBouncer(folder, server, port, options)
    bouncer.start()
    try:
        yield bouncer
    finally:
        bouncer.stop()
