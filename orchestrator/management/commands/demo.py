"""`manage.py demo`: a made-up company to look at; `--live` plays its agents through the JSON API."""

import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from orchestrator.demo import company
from orchestrator.demo.live import NoServer, Play
from orchestrator.demo.start import NotOurs, prepare
from orchestrator.management.commands.serve import address

CURL = """\
Hand over a task as finance's agent (it then asks for approval with POST /api/approvals; see /api/docs):
  curl {address}/api/tasks/route -H "Idempotency-Key: $(date +%s)" -H "Content-Type: application/json" \\
    -H "Authorization: Bearer $(.venv/bin/python manage.py token finance-agent --role finance --role agent)" \\
    -d '{{"target": "manager", "task": {{"type": "budget_approval", "description": "Team day", "amount": 1800, "currency": "EUR"}}}}'"""


class Command(BaseCommand):
    """Seed an empty database, top up the demo's requests, or play the agents."""

    help = "Fill an empty database with a made-up company; later starts see to it that some requests wait. --live plays its agents."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do."""
        parser.add_argument("--live", action="store_true", help="play the agents against the running server until Ctrl-C")
        parser.add_argument("--speed", type=float, default=1.0, help="with --live: 2 is twice as fast")
        parser.add_argument("--seconds", type=float, help="with --live: stop after that time")
        parser.add_argument("--yes", action="store_true", help="also where DATABASE_URL or OIDC_ISSUER_URL is set")

    def handle(self, *, live: bool, speed: float, seconds: float | None, yes: bool, **options: Any) -> None:
        """Refuse where nobody wants made-up people, then do it."""
        if settings.DEPLOYMENT and not yes:
            raise CommandError(
                "This is a deployment (DATABASE_URL or OIDC_ISSUER_URL is set): the demo brings made-up work and accounts whose "
                "password is public. --yes does it all the same."
            )
        if live:
            return self.play(speed, seconds)
        try:
            self.stdout.write(prepare())
        except NotOurs as why:
            self.stdout.write(str(why))  # no error: `serve` goes on
            return None
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(f"The database is not there or not migrated: `make run` sees to both. {error}".strip()) from error
        return self.introduce()

    def introduce(self) -> None:
        """Where to look, as whom, and what an agent says."""
        if settings.OIDC_ISSUER_URL:
            return  # neither these accounts nor such tokens count there
        site = settings.PUBLIC_URL or address()
        self.stdout.write(f"  {site}   the password of these accounts is {company.PASSWORD}")
        for person in company.PEOPLE:
            if person.purpose:
                self.stdout.write(f"  {person.name:<7}{person.role:<9}{person.purpose}")
        self.stdout.write(CURL.format(address=site))

    def play(self, speed: float, seconds: float | None) -> None:
        """The agents at work, until a signal or the time's end."""
        if settings.OIDC_ISSUER_URL:
            raise CommandError("OIDC_ISSUER_URL is set: its tokens count here, and the demo's agents have none of them.")
        if not 0 < speed <= 100:
            raise CommandError("--speed must be more than 0 and at most 100.")
        stop = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        try:
            Play(address(), speed=speed, stop=stop, say=self.say).run(seconds)
        except NoServer as why:
            raise CommandError(str(why)) from None

    def say(self, line: str) -> None:
        """At once, also into a pipe."""
        self.stdout.write(line)
        self.stdout.flush()
