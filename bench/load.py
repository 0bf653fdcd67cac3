"""The load generator, a process of its own (`python -m bench.load`): a job as JSON on stdin, what came of it on stdout.

Raw sockets that stay open, one request at a time on each, one thread for all of them: so that the clients take little
of the machine that they measure.
"""

import json
import re
import resource
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
PLACE = "@@@"  # in a job's request: where each value goes


@dataclass(frozen=True)
class Job:
    """What one process does: `request` is a whole HTTP request as text, sent with one of `values` after the other."""

    port: int
    connections: int
    request: str
    values: list[str]
    again: bool  #: begin anew when the values are used up; else stop then
    status: int  #: what every answer must be
    needs: str  #: what the head of every answer must hold
    begin: float  #: time.time() at which all processes begin
    seconds: float


@dataclass
class Told:
    """What came of it; `bad` is the beginning of the first answer that was not as it must be."""

    seconds: float = 0.0
    processor: float = 0.0  #: seconds of CPU time that this process took while it sent
    times: list[int] = field(default_factory=list)  #: microseconds, each from the request's first byte to the answer's last
    bad: str = ""


class Connection:
    """One client: its socket, and the request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0
        self.answer = b""

    def send(self, request: bytes) -> None:
        """The next request."""
        self.answer, self.sent = b"", time.perf_counter()
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Read what is there; whether the answer is whole now."""
        part = self.socket.recv(262_144)
        if not part:
            raise ConnectionError(f"The server closed a connection; it had said: {self.answer[:500]!r}")
        self.answer += part
        head, found, body = self.answer.partition(b"\r\n\r\n")
        return bool(found) and len(body) >= _length(head)


def _length(head: bytes) -> int:
    match = LENGTH.search(head)
    return int(match[1]) if match else 0


def run(job: Job) -> Told:
    """Send until the time is over, then wait for the answers that are under way."""
    values = cycle(job.values) if job.again else iter(job.values)
    requests = (job.request.replace(PLACE, value).encode() for value in values)
    clients = [Connection(job.port) for _ in range(job.connections)]
    time.sleep(max(job.begin - time.time(), 0))
    told, used, began = Told(), _processor(), time.perf_counter()
    _exchange(clients, requests, job, began + job.seconds, told)
    told.seconds, told.processor = time.perf_counter() - began, _processor() - used
    for client in clients:
        client.socket.close()
    return told


def _exchange(clients: list[Connection], requests: Iterator[bytes], job: Job, end: float, told: Told) -> None:
    with selectors.DefaultSelector() as selector:
        for client, request in zip(clients, islice(requests, len(clients)), strict=False):
            client.send(request)
            selector.register(client.socket, selectors.EVENT_READ, client)
        while selector.get_map():
            for ready, _ in selector.select(timeout=30) or _silence():
                client = ready.data
                if not client.is_answered():
                    continue
                now = time.perf_counter()
                _note(client, job, now, told)
                following = next(requests, None) if now < end else None
                if following is None:
                    selector.unregister(client.socket)
                else:
                    client.send(following)


def _note(client: Connection, job: Job, now: float, told: Told) -> None:
    told.times.append(int((now - client.sent) * 1_000_000))
    head = client.answer.partition(b"\r\n\r\n")[0]
    as_expected = head.startswith(f"HTTP/1.1 {job.status} ".encode()) and job.needs.encode() in head
    if not as_expected and not told.bad:
        told.bad = client.answer[:1000].decode(errors="replace")


def _silence() -> list[tuple[selectors.SelectorKey, int]]:
    raise TimeoutError("The server has not answered for 30 s.")


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    json.dump(asdict(run(Job(**json.load(sys.stdin)))), sys.stdout)
