"""What `manage.py demo` does to the database: seed an empty one, top up the demo's, leave any other alone."""

from dataclasses import replace
from random import Random
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from approvals.actions import ask
from approvals.models import Approval
from audit.models import AuditEvent
from orchestrator.demo import catalogue, company
from orchestrator.demo.company import BY_NAME, agent
from orchestrator.demo.seed import seed
from orchestrator.demo.texts import fill, lifetime
from sessions.actions import route_task
from sessions.models import Session, Task

LOCK = 0x64656D6F  # any number, the same in all processes
ENOUGH = 10  # requests that wait for manager


class NotOurs(Exception):
    """The demo leaves this database alone; the text says why."""


@transaction.atomic
def prepare() -> str:
    """Seed or top up, one process at a time; says what there is now. Raises NotOurs for a database with other data."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if settings.ORG_ROLES and (strange := set(company.ROLES) - set(settings.ORG_ROLES)):
        raise NotOurs(f"The demo's company has roles that ORG_ROLES does not name ({', '.join(sorted(strange))}); nothing was written.")
    if is_empty():
        seed()
        return f"The demo is ready: {Session.objects.count()} sessions of the last days, {waiting()} requests wait for manager."
    if not is_demo():
        raise NotOurs("This database holds work or accounts that are not the demo's; the demo leaves it alone.")
    new = top_up()
    return f"The demo is ready: {waiting()} requests wait for manager{f', {new} of them new' if new else ''}."


def is_empty() -> bool:
    """Nothing has happened here, and nobody has an account."""
    return not any(model._default_manager.exists() for model in (AuditEvent, Session, Task, Approval, User))


def is_demo() -> bool:
    """Only an empty database is seeded, so the demo's own past is the oldest there is."""
    first = AuditEvent.objects.order_by("timestamp", "id").first()
    return bool(first and first.metadata.get("demo") is True)


def waiting() -> int:
    """How many requests a manager may decide now: the inbox's own query."""
    return Approval.objects.waiting_for(BY_NAME["maria"].actor()).count()


def top_up() -> int:
    """New requests, asked now through the actions, until enough wait; returns how many."""
    missing = max(ENOUGH - waiting(), 0)
    rng = Random()  # noqa: S311 - a made-up request needs no secrets
    for request in rng.sample(catalogue.FOR_MANAGER, missing):
        filled = fill(request, rng, timezone.now())
        # Each piece of work is a trace of its own; its requests carry it along.
        sender = replace(agent(request.sender), request_trace=uuid4())
        task = route_task(actor=sender, target=request.to, task_type=request.kind, description=filled.title, data=filled.data).row
        ask(actor=sender, task_id=task.pk, approver_role="manager", reason=filled.reason, expires_in=lifetime(request, rng))
    return missing
