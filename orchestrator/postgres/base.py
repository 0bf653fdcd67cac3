"""The backend's connection; Django looks for it under this name."""

from collections.abc import Iterator
from contextlib import contextmanager
from select import POLLIN, poll
from types import SimpleNamespace
from typing import Any

import psycopg
from django.db import connection
from django.db.backends.postgresql import base
from psycopg.errors import _WaitTimeout


class Connection(psycopg.Connection[Any]):
    """A frozen server keeps none of its own time-outs: `patience` seconds without a word end the connection (None: for ever)."""

    patience: float | None = None  #: the web server has some (orchestrator/wsgi.py); a migration may take its time

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Raises OperationalError, and is of no use any more, when the server says nothing for too long."""
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError("the database server does not answer") from error


class DatabaseWrapper(base.DatabaseWrapper):
    """Kept connections, checked without a round trip."""

    Database: Any = SimpleNamespace(**{**vars(psycopg), "connect": Connection.connect})  # the driver, with our connections

    def is_usable(self) -> bool:
        """Whether the connection stands, asked before a request's first query (`CONN_HEALTH_CHECKS`).

        A server that ends a connection says so on its socket: while nothing stands there, `SELECT 1` would only cost a round trip.
        """
        if self.connection is None or self.connection.closed:
            return False
        heard = poll()
        heard.register(self.connection.fileno(), POLLIN)
        return not heard.poll(0) or super().is_usable()


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """For what must be said soon, whatever the server does. Raises OperationalError when no connection can be made."""
    connection.ensure_connection()
    kept = connection.connection
    kept.patience = seconds
    try:
        yield
    finally:
        del kept.patience
