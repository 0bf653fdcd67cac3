"""Writes the company's past: the only place where rows enter with moments of the past, each whole and with all its events."""

from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import TypeVar

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import connection, models, transaction

from approvals.models import Approval
from audit.models import AuditEvent
from orchestrator.demo import company
from orchestrator.demo.past import Past
from orchestrator.demo.story import Story
from sessions.models import Session, Task

Row = TypeVar("Row", bound=models.Model)
SEED = 20_261_121  # any number: the same past on every machine, but for the hour
BATCH = 500


@transaction.atomic
def seed() -> None:
    """People, their roles, and the stories of the last days; the caller has seen that the database is empty."""
    make_people()
    with connection.cursor() as cursor:
        cursor.execute("SELECT transaction_timestamp()")  # the clock that decides what is due and what is past
        now: datetime = cursor.fetchone()[0]
    write(Past(Random(SEED), now).stories())  # noqa: S311 - a made-up past needs no secrets


def make_people() -> None:
    """The accounts. One hash for all of them: computing it is slow on purpose, and the password is public."""
    password = make_password(company.PASSWORD)
    groups = {role: Group.objects.get_or_create(name=role)[0] for role in (*company.ROLES, "auditor", "admin")}
    for person in company.PEOPLE:
        admin = person.role == "admin"
        user = User.objects.create(
            username=person.name, first_name=person.first, last_name=person.last, email=f"{person.name}@example.com",
            password=password if person.purpose else make_password(None), is_staff=admin, is_superuser=admin,
        )  # fmt: skip
        user.groups.add(groups[person.role])


def write(stories: Sequence[Story]) -> None:
    """All of it in one transaction: the triggers check at its end that each row has exactly its events."""
    _insert(Task, [story.task for story in stories if story.task], lambda row: row.created_at)
    _insert(Session, [story.session for story in stories if story.session], lambda row: row.created_at)
    _insert(Approval, [approval for story in stories for approval in story.approvals], lambda row: row.created_at)
    # Oldest first, so that each digest finds the one before it.
    _insert(AuditEvent, [told for story in stories for told in story.events], lambda row: row.timestamp)


def _insert(model: type[Row], rows: list[Row], moment: Callable[[Row], datetime]) -> None:
    model._default_manager.bulk_create(sorted(rows, key=moment), batch_size=BATCH)
