"""What the tests of faults need: a server with surroundings of its own, a proxy that holds or cuts a COMMIT, a fast client."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from threading import Event, Thread
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from django.db import connections

from orchestrator.identity import own_token
from tests.conftest import test_database_url

# --- a fault at the moment of the COMMIT ---------------------------------------------------------------


@dataclass
class Fault:
    """What becomes of one COMMIT: held before PostgreSQL hears it, or `after` it was done but before the site hears of it.

    It is held until `over` is set; then it goes on its way, or (`cut`) the connection is lost.
    """

    after: bool = False
    cut: bool = False
    reached: Event = field(default_factory=Event)
    over: Event = field(default_factory=Event)


class Proxy:
    """Stands between the site and PostgreSQL and passes everything on, until a COMMIT meets a fault."""

    def __init__(self, folder: Path) -> None:
        self.real = str(connections["default"].get_connection_params()["host"])
        self.url = test_database_url().replace(self.real, str(folder))
        self.faults: list[Fault] = []
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(str(folder / ".s.PGSQL.5432"))
        self.door.listen(50)
        Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def fault(self, **how: Any) -> Iterator[Fault]:
        """The next COMMIT meets it; over at the end of the block at the latest."""
        self.faults.append(fault := Fault(**how))
        try:
            yield fault
        finally:
            fault.over.set()

    def close(self) -> None:
        """Take no more connections."""
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()

    def _accept(self) -> None:
        while True:
            try:
                site, _ = self.door.accept()
            except OSError:
                return
            Thread(target=self._pass_on, args=[site], daemon=True).start()

    def _pass_on(self, site: socket.socket) -> None:
        with site, socket.socket(socket.AF_UNIX) as database:
            database.connect(f"{self.real}/.s.PGSQL.5432")
            try:
                while all(self._step(come, site, database) for come in select([site, database], [], [])[0]):
                    pass
            except OSError:
                return  # a killed worker's end of the line

    def _step(self, come: socket.socket, site: socket.socket, database: socket.socket) -> bool:
        """Pass one message on; False when the connection is over."""
        data = come.recv(65536)
        if come is site and b"COMMIT" in data and self.faults:
            return self._commit(self.faults.pop(0), data, site, database)
        (database if come is site else site).sendall(data)
        return bool(data)

    def _commit(self, fault: Fault, data: bytes, site: socket.socket, database: socket.socket) -> bool:
        if fault.after:
            database.sendall(data)
            data = database.recv(65536)  # "done": from here on it is in the database
        fault.reached.set()
        fault.over.wait(30)
        if not fault.cut:
            (site if fault.after else database).sendall(data)
        return not fault.cut


# --- thousands of calls in seconds ---------------------------------------------------------------------


class Reply(NamedTuple):
    """As much of a reply as counts."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One kept connection that posts a prepared body: ten times cheaper than a real client."""

    def __init__(
        self, server: str, path: str, body: bytes, name: str = "finance-agent", roles: tuple[str, ...] = ("finance", "agent")
    ) -> None:
        self.address = (urlsplit(server).hostname, urlsplit(server).port)
        token = own_token(name, list(roles), 3600)
        self.head = f"POST /api{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self.head += f"Content-Length: {len(body)}\r\nIdempotency-Key: "
        self.body = body
        self.socket: socket.socket | None = None

    def post(self, key: str | bytes) -> Reply:
        """Send it under this key; once more on a new connection if the kept one was closed for its idleness."""
        request = self.head.encode() + (key.encode() if isinstance(key, str) else key) + b"\r\n\r\n" + self.body
        try:
            return self._exchange(request)
        except ConnectionError:
            self.close()
            return self._exchange(request)

    def _exchange(self, request: bytes) -> Reply:
        if self.socket is None:
            self.socket = socket.create_connection(self.address, timeout=30)
        self.socket.sendall(request)
        head, body = self._head().split(b"\r\n\r\n", 1)
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        while len(body) < int(headers["content-length"]):
            body += self._more()
        return Reply(int(status.split()[1]), headers, body)

    def _head(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        return data

    def _more(self) -> bytes:
        assert self.socket
        if not (data := self.socket.recv(65536)):
            raise ConnectionResetError
        return data

    def close(self) -> None:
        """Give the connection back."""
        if self.socket:
            self.socket.close()
            self.socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
