"""Expires what ran out of time: once, or in a loop until it is told to stop."""

import argparse
import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from approvals.actions import expire_due

BATCH = 500


class Command(BaseCommand):
    """`manage.py expire`, or `--loop SECONDS`."""

    help = "Expire sessions and approval requests whose time is over."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How often."""
        parser.add_argument("--loop", type=float, metavar="SECONDS", help="repeat until stopped, with this pause")

    def handle(self, *args: Any, loop: float | None, **options: Any) -> None:
        """Sweep; in a loop, an outage is waited out."""
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            self._sweep(stop, patient=loop is not None)
            if loop is None:
                return
            stop.wait(loop)

    def _sweep(self, stop: Event, patient: bool) -> None:
        total = 0
        try:
            while not stop.is_set() and (expired := expire_due(BATCH)):
                total += expired
                if self.stdout.isatty():
                    self.stdout.write(f"{total} expired so far")
        except (DatabaseError, InterfaceError) as error:
            if not patient:
                raise
            connection.close()
            self.stderr.write(f"The database did not answer ({type(error).__name__}); trying again.")
        if total or not patient:
            self.stdout.write(f"Expired: {total}")
