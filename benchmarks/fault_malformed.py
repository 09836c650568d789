"""Send 100,000 malformed requests, and check that valid requests are as fast as before.

The script serves the demo's Bento (`make demo` builds it) on a free port of loopback and times
valid requests. Then it sends invalid HTTP, invalid JSON and truncated requests, and times valid
requests again.
"""

import contextlib
import http.client
import json
import os
import socket
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent.parent
CALLERS = 8
HEAD = b"POST /score HTTP/1.1\r\nHost: localhost\r\n"
MALFORMED = [
    b"\x00\x01\x02\r\n\r\n",
    b"POST /score HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    HEAD + b"Content-Length: -1\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    HEAD + b"Content-Length: 3\r\n\r\n{{{",
    HEAD + b"Content-Length: 900\r\n\r\n{",
    HEAD + b'Content-Length: 12\r\n\r\n{"leads": 1}',
    HEAD + b"Content-Length: 5000\r\n\r\n" + b"[" * 5_000,
    b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
]


def main(count: int = 100_000) -> None:
    os.environ.setdefault("BENTOML_HOME", str(HERE / "demo" / "bentoml"))
    from serving.bento.process import free_port, running_service
    from serving.bento.store import newest_bento

    tag, bento = newest_bento("demo")
    port = free_port("127.0.0.1")
    print(f"{tag}, {count:,} malformed requests from {CALLERS} callers")
    with running_service(bento, "127.0.0.1", port):
        before, memory = time_valid_requests(port), resident_memory()
        began = time.perf_counter()
        with ThreadPoolExecutor(CALLERS) as pool:
            answers = Counter(pool.map(lambda i: send_malformed(port, i), range(count)))
        seconds = time.perf_counter() - began
        after, growth = time_valid_requests(port), resident_memory() - memory
    print(f"sent in {seconds:.0f} s; answers by status: {dict(sorted(answers.items()))}")
    print(f"a valid request: median {before:.2f} ms before, {after:.2f} ms after")
    print(f"memory of the service: {growth / 2**20:+.0f} MB")


def send_malformed(port: int, i: int) -> str:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 30) as caller:
        caller.sendall(MALFORMED[i % len(MALFORMED)])
        caller.shutdown(socket.SHUT_WR)
        return caller.recv(12)[9:].decode("latin-1") or "closed"
    return "closed"


def time_valid_requests(port: int, times: int = 500) -> float:
    body = json.dumps({"leads": [{"lead_id": "L1", "attributes": {"budget_eur": 9_000}}]})
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        caller.request("POST", "/score", body)
        answer = caller.getresponse()
        answer.read()
        assert answer.status == 200
        taken.append(1_000 * (time.perf_counter() - began))
    caller.close()
    return statistics.median(taken)


def resident_memory() -> int:
    family = psutil.Process().children(recursive=True)
    return sum(process.memory_info().rss for process in family)


if __name__ == "__main__":
    main()
