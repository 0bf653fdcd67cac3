"""What the measurements run on: engines of their own, three databases, and a server of two workers on each."""

import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg

from bench import seed
from orchestrator import embedded

if TYPE_CHECKING:
    from orchestrator.children import Child

WORKERS = 2
WORK = "bench_work"  # made anew in each run: requests write to it
SMALL, LARGE = "bench_small", "bench_large"
PASSWORD = secrets.token_urlsafe()
#: Whatever else these settings are in the environment, they are not those of the measurement.
OTHERS = ("DATABASE_URL_FILE", "REDIS_URL_FILE", "SECRET_KEY_FILE", "OIDC_ISSUER_URL", "PUBLIC_URL", "ORG_ROLES", "DEBUG", "ALLOWED_HOSTS",
          "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_CLIENT_SECRET_FILE",
          "SESSION_RETENTION_DAYS", "IDEMPOTENCY_TTL_SECONDS", "TOKEN_MAX_AGE", "GUNICORN_CMD_ARGS")  # fmt: skip
#: What must not be switched off for speed.
HONEST = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True)
class Sizes:
    """How many sessions and pending requests each database holds."""

    work: tuple[int, int] = (20_000, 20_000)
    small: tuple[int, int] = (1_000, 50)
    large: tuple[int, int] = (1_000_000, 100_000)


@dataclass(frozen=True)
class Stage:
    """Where everything is."""

    url: str  #: of the PostgreSQL server; the database's name comes after it
    ports: dict[str, int]  #: of the servers: by database, and "bare"


def settle(home: Path) -> str:
    """Say in the environment what the settings will read: this process and its children use the measurement's own home."""
    url = embedded.database_url(home).rpartition("/")[0]
    for name in OTHERS:
        os.environ.pop(name, None)
    os.environ |= {
        "ORCHESTRATOR_HOME": str(home), "DATABASE_URL": f"{url}/{WORK}", "REDIS_URL": embedded.redis_url(home),
        "SECRET_KEY": secrets.token_urlsafe(50), "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
        "RATE_LIMIT": "1000000000",  # two callers ask for everything; the limit is counted, but never reached
    }  # fmt: skip
    return url


def build(url: str, sizes: Sizes, held: ExitStack, say: Callable[[str], None]) -> Stage:
    """Databases and servers on running engines; `held` stops the servers."""
    seed.remake(url, WORK)
    _migrate()
    for name, size in ((SMALL, sizes.small), (LARGE, sizes.large)):
        seed.sown(url, name, WORK, *size, say)
        _let_in(f"{url}/{name}")
    seed.fill(f"{url}/{WORK}", *sizes.work)
    say("the servers start")
    servers = {name: _serve(held, DATABASE_URL=f"{url}/{name}") for name in (WORK, SMALL, LARGE)}
    servers["bare"] = _serve(held, DJANGO_SETTINGS_MODULE="bench.bare")
    return Stage(url, {name: _answering(*server) for name, server in servers.items()})


def _migrate() -> None:
    """Tables for the first database, from which the others are copied; and the files that pages name."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    connection.close()  # nobody may be connected to what is copied


def _let_in(url: str) -> None:
    """An account for maria, a manager, with this run's password."""
    from django.contrib.auth.hashers import make_password

    with psycopg.connect(url) as connection:
        connection.execute(
            """
            WITH who AS (INSERT INTO auth_user
                  (username, password, is_superuser, is_staff, is_active, first_name, last_name, email, date_joined)
                VALUES ('maria', %(password)s, false, false, true, '', '', '', now())
                ON CONFLICT (username) DO UPDATE SET password = excluded.password RETURNING id),
              what AS (INSERT INTO auth_group (name) VALUES ('manager') ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id)
            INSERT INTO auth_user_groups (user_id, group_id) SELECT who.id, what.id FROM who, what ON CONFLICT DO NOTHING
            """,
            {"password": make_password(PASSWORD)},
        )


def _serve(held: ExitStack, **environment: str) -> tuple["Child", int]:
    """A server as the product runs it, but for its address; and its port."""
    from orchestrator.children import Child

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    where = ("--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}")
    child = Child("-m", "gunicorn", "-c", "python:orchestrator.gunicorn", *where, "orchestrator.wsgi:application", **environment)
    held.callback(child.stop)
    child.start()
    return child, port


def _answering(child: "Child", port: int) -> int:
    """The port, as soon as somebody answers there."""
    deadline = time.monotonic() + 30
    while child.status() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/livez", timeout=2)
            return port
        except httpx.TransportError:
            time.sleep(0.1)
    raise embedded.EngineError("A server does not start; its reason stands above.")


def cookie(port: int) -> str:
    """Sign in as maria, as a browser does; the Cookie header from then on."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as browser:
        form = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/sign-in/").text)
        assert form, "the sign-in page has no form"
        said = {"csrfmiddlewaretoken": form[1], "username": "maria", "password": PASSWORD}
        browser.post("/sign-in/", data=said)
        assert "sessionid" in browser.cookies, "maria cannot sign in"
        return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def durability(url: str) -> dict[str, str]:
    """What the database does for safety; raises RuntimeError when any of it is off."""
    with psycopg.connect(f"{url}/{WORK}") as connection:
        said = {name: str(connection.execute(f"SHOW {name}").fetchone()[0]) for name in HONEST}  # type: ignore[index]
        unlogged = connection.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 'u'").fetchone()
    if set(said.values()) != {"on"} or unlogged != (0,):
        raise RuntimeError(f"The database is not as safe as a product's must be: {said}, unlogged tables: {unlogged}")
    return said


engines = partial(embedded.start, postgres=True, redis=True)
