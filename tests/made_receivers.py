"""A real HTTP server on loopback that answers, fails, waits or closes, as a test says."""

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENDLESS = 30.0  # seconds; the limit of each wait, so that a broken test ends


@dataclass(frozen=True)
class Reply:
    """An answer: a status with headers and a body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


CLOSE, HANG, DRIP_HEAD, DRIP_BODY = "close", "hang", "drip head", "drip body"
Answering = int | str | Reply | Callable[["Received"], "int | str | Reply"]


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """What a server received, and its answers in order; the last one is repeated."""

    def __init__(self, answers: Sequence[Answering]) -> None:
        self.answers = list(answers)
        self.received: list[Received] = []
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.url = ""

    def next_answer(self, received: Received) -> int | str | Reply:
        with self.lock:
            self.received.append(received)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(received) if callable(answer) else answer

    @property
    def bodies(self) -> list[Any]:
        return [received.json for received in self.received]


@contextmanager
def receiver(*answers: Answering, certificate: Path | None = None) -> Iterator[Receiver]:
    """Run a server for the length of the context; without answers it answers 200."""
    state = Receiver(answers or (200,))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = state.next_answer(Received(self.path, headers, body))
            if answer == CLOSE:
                self.close_connection = True
            elif answer == HANG:
                state.stopped.wait(ENDLESS)
                self.close_connection = True
            elif answer == DRIP_HEAD:
                self._drip(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_000)
            elif answer == DRIP_BODY:
                self._drip(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
            else:
                self._reply(Reply(answer) if isinstance(answer, int) else answer)

        def _reply(self, reply: Any) -> None:
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def _drip(self, content: bytes, first: bytes = b"") -> None:
            self.close_connection = True
            try:
                self.wfile.write(first)
                for byte in content or bytes(5_000):
                    self.wfile.write(bytes([byte]))
                    if state.stopped.wait(0.05):
                        return
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that gave up
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"{scheme}://localhost:{server.server_address[1]}/hook/SECRET-PART-OF-PATH"
    try:
        yield state
    finally:
        state.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
