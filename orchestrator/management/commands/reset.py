"""`manage.py reset`: empty the embedded engines, after asking."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from orchestrator import embedded


class Command(BaseCommand):
    """Delete what the embedded engines keep; a database that DATABASE_URL names is never touched."""

    help = "Delete the data of the embedded PostgreSQL and Valkey; the next start begins afresh."
    requires_system_checks = ()  # it must also work when the data are what is wrong

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One switch for scripts."""
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, yes: bool, **options: Any) -> None:
        """Refuse, ask, delete."""
        if not settings.EMBEDDED_DATABASE:
            raise CommandError("DATABASE_URL is set: reset deletes the embedded data only.")
        if not (yes or self.agreed()):
            return self.stdout.write("Nothing was deleted.")
        try:
            embedded.erase(settings.ORCHESTRATOR_HOME)
        except embedded.EngineError as error:
            raise CommandError(str(error)) from None
        return self.stdout.write("The embedded data are deleted; the next start begins afresh.")

    def agreed(self) -> bool:
        """Whether a person says yes."""
        question = f"Delete all data under {settings.ORCHESTRATOR_HOME / 'engines'}? [y/N] "
        try:
            return input(question).strip().lower() in {"y", "yes"}
        except EOFError:
            raise CommandError("Nothing was deleted: nobody is there to ask. --yes does it all the same.") from None
