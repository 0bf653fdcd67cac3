"""What the tests share: the same people, a clean database, a real server on loopback."""

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker

from audit.actor import Actor, Kind
from orchestrator.identity import own_token
from tests.described import look

# Or each test client would walk through all static files to start with.
settings.WHITENOISE_AUTOREFRESH = True

TABLES = ["approvals", "sessions", "tasks", "audit_events", "django_session", "django_admin_log"]
TABLES += ["auth_user_groups", "auth_user_user_permissions", "auth_group_permissions", "auth_user", "auth_group"]


def person(name: str, *roles: str) -> Actor:
    """A person of that name, as the actions see them."""
    return Actor(principal=f"local|{name}", name=name, kind=Kind.PERSON, roles=frozenset(roles))


def agent(name: str, *roles: str) -> Actor:
    """An agent of that name."""
    return Actor(principal=f"local|{name}", name=name, kind=Kind.AGENT, roles=frozenset({*roles, "agent"}))


@pytest.fixture
def maria() -> Actor:
    """A manager."""
    return person("maria", "manager")


@pytest.fixture
def felix() -> Actor:
    """Somebody in finance."""
    return person("felix", "finance")


@pytest.fixture
def ada() -> Actor:
    """The auditor."""
    return person("ada", "auditor")


@pytest.fixture
def finance() -> Actor:
    """Finance's agent."""
    return agent("finance-agent", "finance")


@pytest.fixture(scope="session")
def database(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database made by the migrations, and the static files under their hashed names, for the whole run."""
    call_command("collectstatic", interactive=False, verbosity=0)
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
        connection.close()
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(scope="session")
def django_db_setup(database: None) -> None:
    """The same for the fixtures of pytest-django, which would make a second database and turn every later test to it."""


@pytest.fixture
def store(database: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The real database, committed to, and emptied afterwards; triggers refuse DELETE, so only here they are off."""
    with django_db_blocker.unblock():
        yield
        for each in connections.all():
            each.close()
        empty()
        connection.close()
        cache.clear()


def empty() -> None:
    """No rows any more, in one round trip; for a few rows DELETE is faster than TRUNCATE."""
    statements = ["SET session_replication_role = replica", *(f"DELETE FROM {table}" for table in TABLES)]
    with connection.cursor() as cursor:
        cursor.execute("; ".join([*statements, "SET session_replication_role = origin"]))


#: Ports of this process alone, below those that the system gives to outgoing connections: nobody else listens there by chance.
PORTS = itertools.count(12_000 + 5_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) + os.getpid() % 4_000)


def free_port() -> int:
    """A port that nobody listens on, another one each time."""
    for port in PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable")


def signed_in(name: str, *roles: str) -> Client:
    """A browser in which somebody with these roles is signed in."""
    chief = "admin" in roles
    user, _new = User.objects.get_or_create(username=name, defaults={"is_staff": chief, "is_superuser": chief})
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


Enter = Callable[..., Client]


@pytest.fixture
def enter(store: None) -> Enter:
    """Signs somebody in: `enter("maria", "manager")`."""
    return signed_in


def test_database_url() -> str:
    """Where the tests' own database is, for processes beside the tests."""
    given = connections["default"].get_connection_params()
    return f"postgresql://{given.get('user', '')}:{given.get('password', '')}@/{given['dbname']}?host={given['host']}"


test_database_url.__test__ = False  # type: ignore[attr-defined]


@dataclass
class Served:
    """A running gunicorn."""

    url: str
    process: subprocess.Popen[bytes]

    def workers(self) -> list[int]:
        """The numbers of its worker processes."""
        return [int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]


@contextmanager
def served(*arguments: str, address: str = "", **environment: str) -> Iterator[Served]:
    """A real server, two worker processes, on the tests' database and Redis, unless the arguments or the environment say otherwise."""
    address = address or f"127.0.0.1:{free_port()}"
    own = {"DATABASE_URL": test_database_url(), "REDIS_URL": str(settings.CACHES["default"]["LOCATION"]), "SECRET_KEY": settings.SECRET_KEY}
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:orchestrator.gunicorn", "-w", "2", "-b", address, *arguments]
    surroundings = {**os.environ, **own, "PYTHONWARNINGS": "default", **environment}
    process = subprocess.Popen([*gunicorn, "orchestrator.wsgi:application"], env=surroundings)
    try:
        wait_for(f"http://{address}/livez")
        yield Served(f"http://{address}", process)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def server(database: None) -> Iterator[str]:
    """The address of a real server on the tests' database."""
    with served() as running:
        yield running.url


def wait_for(url: str, seconds: float = 20) -> None:
    """Until it answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=2)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(url)


class Door(httpx.Client):
    """The JSON API as one caller sees it: adds the token, and an Idempotency-Key where none is said."""

    def __init__(self, server: str, name: str, *roles: str) -> None:
        said = {"Authorization": f"Bearer {own_token(name, list(roles), 3600)}"}
        hooks = {"response": [look]}  # no answer that the API does not describe
        super().__init__(
            base_url=f"{server}/api", headers=said, timeout=60, verify=False, event_hooks=hooks
        )  # plain HTTP: load no certificates

    def route(self, key: str | None = None, **body: Any) -> httpx.Response:
        """Hand over a budget approval to manager, unless the body says otherwise."""
        body = {"target": "manager", "task": {"type": "budget_approval", "amount": 50000}, **body}
        return self.post("/tasks/route", json=body, headers={"Idempotency-Key": key or uuid4().hex})

    def ask(self, task_id: str, **body: Any) -> httpx.Response:
        """Ask manager, unless the body says otherwise."""
        return self.post("/approvals", json={"task_id": task_id, "approver_role": "manager", **body})


@pytest.fixture
def finance_door(store: None, server: str) -> Iterator[Door]:
    """Finance's agent at the API."""
    with Door(server, "finance-agent", "finance", "agent") as door:
        yield door


@pytest.fixture
def maria_door(store: None, server: str) -> Iterator[Door]:
    """Maria, manager, at the API."""
    with Door(server, "maria", "manager") as door:
        yield door


@pytest.fixture
def manager_door(store: None, server: str) -> Iterator[Door]:
    """The manager's agent at the API."""
    with Door(server, "manager-agent", "manager", "agent") as door:
        yield door


Open = Callable[..., Door]


@pytest.fixture
def door(store: None, server: str) -> Iterator[Open]:
    """Opens the API for a caller: `door("legal-agent", "legal", "agent")`; all are closed in the end."""
    opened: list[Door] = []

    def open_door(name: str, *roles: str) -> Door:
        opened.append(Door(server, name, *roles))
        return opened[-1]

    yield open_door
    for each in opened:
        each.close()


@pytest.fixture
def felix_door(door: Open) -> Door:
    """Felix, in finance, at the API."""
    return door("felix", "finance")


@pytest.fixture
def ada_door(door: Open) -> Door:
    """Ada, the auditor, at the API."""
    return door("ada", "auditor")


@pytest.fixture
def support_door(door: Open) -> Door:
    """An agent that has nothing to do with finance's work."""
    return door("support-agent", "support", "agent")
