"""Prints a bearer token that the product signs itself, for a shell beside a running `make run`."""

import argparse
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from audit.actor import ROLE
from orchestrator.identity import own_token


class Command(BaseCommand):
    """`manage.py token finance-agent --role finance --role agent`."""

    help = "Print a bearer token for NAME; --role agent marks a service account, without it the caller is a person."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Who, as what, for how long."""
        parser.add_argument(
            "name", metavar="NAME", help="who: an agent's or a person's name; a local account of that name is the same person"
        )
        parser.add_argument("--role", action="append", default=[], dest="roles", metavar="ROLE", help="a role held; give it again for more")
        parser.add_argument(
            "--ttl", type=int, default=settings.TOKEN_MAX_AGE, metavar="SECONDS", help="how long it counts (default: %(default)s)"
        )

    def handle(self, *args: Any, name: str, roles: list[str], ttl: int, **options: Any) -> None:
        """Print the token and nothing else."""
        if settings.OIDC_ISSUER_URL:
            raise CommandError("OIDC_ISSUER_URL is set: tokens come from there, and such as this one are refused.")
        if wrong := [role for role in roles if not ROLE.fullmatch(role.lower())]:
            raise CommandError(f"--role {wrong[0]!r} is no role: a letter first, then letters, digits, _ and -, at most 50.")
        if not 1 <= ttl <= settings.TOKEN_MAX_AGE:
            raise CommandError(f"--ttl must be from 1 to {settings.TOKEN_MAX_AGE} seconds (TOKEN_MAX_AGE).")
        if not (name.strip() and name.isprintable() and len(name) <= 150):
            raise CommandError("NAME must be 1 to 150 printable characters.")
        self.stdout.write(own_token(name.strip(), [role.lower() for role in roles], ttl, full_name(name.strip())))


def full_name(name: str) -> str:
    """As the local account of that name has it: one person, one name at every door. Nothing while there is no database."""
    try:
        account = User.objects.filter(username=name).first()
    except DatabaseError:
        return ""
    return account.get_full_name() if account else ""
