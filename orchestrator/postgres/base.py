"""The backend's connection; Django looks for it under this name."""

from select import POLLIN, poll

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A server that ends a connection says so on its socket: while nothing stands there, `SELECT 1` would only cost a round trip."""

    def is_usable(self) -> bool:
        """Whether the connection stands, asked before a request's first query (`CONN_HEALTH_CHECKS`)."""
        if self.connection is None or self.connection.closed:
            return False
        heard = poll()
        heard.register(self.connection.fileno(), POLLIN)
        return not heard.poll(0) or super().is_usable()
