"""`manage.py serve`: all that one machine needs until Ctrl-C: engines, schema, demo, expiry loop, web server."""

import errno
import http.client
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import OperationalError, connection, connections
from django.db.backends.utils import CursorWrapper

from orchestrator import embedded
from orchestrator.children import Backoff, Child

WEB = ("-m", "gunicorn", "-c", "python:orchestrator.gunicorn", "orchestrator.wsgi:application")
EXPIRY = ("manage.py", "expire", "--loop", "15", "--skip-checks")  # `serve` itself has warned
MIGRATION_LOCK = 0x6F7267  # any number, the same in all replicas
WEB_SECONDS = 20  # to answer for the first time


class Stop(BaseException):
    """SIGINT or SIGTERM has come; a BaseException, so that no `except Exception` swallows it."""


class Command(BaseCommand):
    """Serve, and supervise what serves."""

    help = "Start what is needed (embedded engines, migrations, demo, expiry loop) and serve the site until Ctrl-C."

    def handle(self, **options: Any) -> None:
        """The address comes first: a second start by mistake must touch nothing."""
        refuse_taken_address()
        self.engines = embedded.Engines(settings.ORCHESTRATOR_HOME)
        self.web, self.expiry = Child(*WEB), Child(*EXPIRY)
        self.database = Backoff(first=0.5, most=10)
        self.stopping = self.held = False
        self.listen()
        try:
            self.run()
        except Stop:
            pass
        except embedded.EngineError as error:
            raise CommandError(str(error)) from None
        finally:
            self.held = True  # a second Ctrl-C changes nothing
            for part in (self.web, self.expiry, self.engines):
                part.stop()

    def run(self) -> None:
        """Start everything, then watch it."""
        with self.undisturbed():
            if settings.EMBEDDED_DATABASE or settings.EMBEDDED_REDIS:
                self.engines.start(settings.EMBEDDED_DATABASE, settings.EMBEDDED_REDIS)
        collect_static_files()
        prepared = self.prepare()
        with self.undisturbed():
            self.web.start()
        self.await_first_answer("/health" if prepared else "/livez")
        self.stdout.write(f"Ready: {settings.PUBLIC_URL or address()} (Ctrl-C stops it)")
        while True:
            self.watch_web()
            self.watch_engines()
            prepared = prepared or (self.database.due() and self.prepare())
            if prepared:
                self.watch_expiry()
            time.sleep(0.2)

    # --- the database -------------------------------------------------------------------------------------

    def prepare(self) -> bool:
        """Bring the database up to date; False while it cannot be reached: the site answers 503 until it can."""
        try:
            connection.ensure_connection()
            with migrating_alone():
                call_command("migrate", interactive=False, verbosity=0)
            if settings.DEMO:
                call_command("demo", stdout=self.stdout, stderr=self.stderr)
        except Exception as error:
            if reachable():
                raise CommandError(f"The database could not be brought up to date: {error}") from error
            self.say_away(error)
            return False
        finally:
            connections.close_all()
        return True

    def say_away(self, error: Exception) -> None:
        """Once; libpq names host and user in its reason, never the password."""
        if not self.database.failures:
            self.stderr.write(f"The database cannot be reached; trying until it can. {error}".strip())
        self.database.failed()

    # --- the processes ------------------------------------------------------------------------------------

    def await_first_answer(self, path: str) -> None:
        """Return when the site answers, and with its database if that is there."""
        deadline = time.monotonic() + WEB_SECONDS
        while (status := answer(path)) in (None, 503):
            self.watch_web()
            if time.monotonic() > deadline:
                if status:
                    return  # it serves; the database has gone again
                raise CommandError(f"The web server does not answer at {address()}.")
            time.sleep(0.05)

    def watch_web(self) -> None:
        """Without the web server there is nothing to supervise."""
        if (status := self.web.status()) is not None:
            raise CommandError(f"The web server ended by itself (status {status}); everything is stopped.")

    def watch_engines(self) -> None:
        """Until one that was killed is back, the site answers 503."""
        with self.undisturbed():
            for name in self.engines.revive():
                self.stderr.write(f"{name} ended by itself; it has been started again.")

    def watch_expiry(self) -> None:
        """Start the expiry loop, again and again if it must be."""
        if self.expiry.status() is not None:
            self.stderr.write(f"The expiry loop ended by itself (status {self.expiry.status()}); starting it again.")
            self.expiry.forget()
        if not self.expiry.process and self.expiry.again.due():
            with self.undisturbed():
                self.expiry.start()

    # --- signals ------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """From here on a signal is for us; what we start has a session of its own and hears none from the terminal."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.on_stop)
        signal.signal(signal.SIGHUP, self.on_hangup)

    def on_stop(self, number: int, frame: FrameType | None) -> None:
        """Leave wherever we are, or as soon as we may."""
        self.stopping = True
        if not self.held:
            raise Stop

    def on_hangup(self, number: int, frame: FrameType | None) -> None:
        """From an operator: load the code anew, worker by worker. From a terminal that was closed: stop."""
        if terminal_is_gone():
            self.on_stop(number, frame)
        self.web.send(signal.SIGHUP)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Between the birth of a process and the note of its number no signal may take us away."""
        self.held = True
        yield
        self.held = False
        if self.stopping:
            raise Stop


def collect_static_files() -> None:
    """Put them where they are served from; an image with a read-only file system holds them already."""
    try:
        call_command("collectstatic", interactive=False, verbosity=0)
    except OSError as error:
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError(f"The static files cannot be written to {settings.STATIC_ROOT}: {error.strerror}.") from None


def address() -> str:
    """Where a browser on this machine finds the site."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{settings.PORT}" if ":" in host else f"http://{host}:{settings.PORT}"


def refuse_taken_address() -> None:
    """Say now what gunicorn would repeat for five seconds."""
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    try:
        socket.create_server((settings.HOST, settings.PORT), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {settings.PORT} is taken: stop what uses it, or set PORT to another.") from None
        raise CommandError(f"Cannot listen on {settings.HOST} port {settings.PORT}: {error.strerror}.") from None


def answer(path: str) -> int | None:
    """The status that the site answers, whatever it is, or None."""
    host = next((name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"), "localhost")
    site = http.client.HTTPConnection(address().removeprefix("http://"), timeout=3)
    try:
        site.request("GET", path, headers={"Host": host})
        return site.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        site.close()


@contextmanager
def migrating_alone() -> Iterator[None]:
    """Of several replicas that start at once one migrates; closing the connection gives the lock back."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # a migration may take its time
        while not _locked(cursor):
            time.sleep(0.5)
        yield


def _locked(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATION_LOCK])
    return bool(cursor.fetchone()[0])


def reachable() -> bool:
    """Whether a new connection to the database works."""
    connection.close()
    try:
        connection.ensure_connection()
    except OperationalError:
        return False
    return True


def terminal_is_gone() -> bool:
    """Whether our standard input was a terminal that has been closed."""
    try:
        os.tcgetpgrp(0)
    except OSError as error:
        return error.errno == errno.EIO
    return False
