"""Stores that go away: without Redis all works, without PostgreSQL the answer is 503 at once, and both come back by themselves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql import base

from orchestrator import embedded
from orchestrator.embedded.engine import Engine
from tests.conftest import Door, free_port, served, test_database_url
from tests.evidence import sql


class Site:
    """A server of its own with engines of its own, which may be stopped without hurting other tests."""

    def __init__(self, home: Path) -> None:
        self.engines = embedded.start(home)
        self.postgres, self.redis = self.engines.engines
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = {
            **os.environ, "DATABASE_URL": embedded.database_url(home), "REDIS_URL": embedded.redis_url(home),
            "SECRET_KEY": settings.SECRET_KEY, "PYTHONWARNINGS": "ignore",
        }  # fmt: skip

    def migrate(self) -> None:
        """Make the tables."""
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=self.environment, check=True, timeout=60)

    @contextmanager
    def served(self) -> Iterator[None]:
        """While the block runs."""
        with served("-w", "1", address=self.url[7:], **self.environment):
            yield

    def door(self) -> Door:
        """Finance's agent."""
        return Door(self.url, "finance-agent", "finance", "agent")


@pytest.fixture
def site(database: None, tmp_path: Path) -> Iterator[Site]:
    """One, stopped afterwards."""
    made = Site(tmp_path)
    try:
        yield made
    finally:
        made.engines.stop()


def test_without_redis_everything_works_and_health_says_degraded(site: Site) -> None:
    site.migrate()
    with site.served(), site.door() as door:
        first = door.route("before")
        site.redis.stop()
        again, fresh = door.route("before"), door.route("after")
        assert (again.status_code, again.content, again.headers["Idempotent-Replayed"]) == (202, first.content, "true")
        assert fresh.status_code == 202
        assert door.route("after").content == fresh.content
        assert door.get("/health").json() | {"version": ""} == {
            "status": "degraded", "version": "", "database": "connected", "redis": "disconnected",
        }  # fmt: skip
        site.engines.revive()
        assert door.route("before").content == first.content
        assert door.get("/health").json()["status"] == "healthy"


def test_without_postgresql_the_answer_is_503_at_once_and_the_next_one_after_its_return_works(site: Site) -> None:
    site.migrate()
    with site.served(), site.door() as door, httpx.Client(base_url=site.url) as browser:
        assert door.route("before").status_code == 202
        site.postgres.stop()
        began = time.monotonic()
        refused, page, health = door.route("during"), browser.get("/sign-in/"), browser.get("/health")
        assert time.monotonic() - began < 2
        assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
        assert int(refused.headers["Retry-After"]) > 0
        assert page.status_code in (200, 503)
        assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
        assert browser.get("/livez").status_code == 200
        assert browser.get("/").headers.get("Retry-After", "") or browser.get("/").status_code == 302
        site.engines.revive()
        assert door.route("during").status_code == 202
        assert browser.get("/health").json()["status"] == "healthy"


@pytest.mark.long
def test_a_frozen_postgresql_holds_nobody_for_longer_than_its_slowest_statement_may_take(site: Site) -> None:
    site.migrate()
    with site.served(), site.door() as door, ThreadPoolExecutor(6) as pool:
        opened = str(door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"])
        list(pool.map(lambda _: door.get(f"/sessions/{opened}"), range(30)))  # connections that are kept
        with frozen(site.postgres):
            waiting = [pool.submit(timed, door, f"/sessions/{opened}") for _ in range(5)]
            (lively, live), (asked, health) = timed(door, "/livez", site.url), timed(door, "/health")
            assert (live, health) == (200, 503) and lively < 1 and asked < 5
            answers = [each.result() for each in waiting]
        assert {status for _took, status in answers} == {503} and max(answers)[0] < settings.STATEMENT_SECONDS + 5
        assert door.get(f"/sessions/{opened}").status_code == 200 and door.get("/health").json()["status"] == "healthy"


def timed(door: Door, path: str, base: str = "") -> tuple[float, int]:
    """How long the answer took, and its status."""
    began = time.monotonic()
    answer = httpx.get(f"{base}{path}", timeout=30) if base else door.get(path, timeout=30)
    return time.monotonic() - began, answer.status_code


@contextmanager
def frozen(postgres: Engine) -> Iterator[None]:
    """The server and all of its children, while the block runs."""
    first = postgres.pid()
    assert first
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    pids = [first, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_signed_in_person_sees_a_page_that_says_so_while_postgresql_is_away(site: Site) -> None:
    site.migrate()
    with site.served(), httpx.Client(base_url=site.url, cookies={"sessionid": "a" * 32}) as browser:
        site.postgres.stop()
        page = browser.get("/")
        assert (page.status_code, page.headers["Retry-After"]) == (503, "2")
        assert "try again" in page.text.lower()
        assert "Traceback" not in page.text


def test_before_the_tables_are_there_the_answer_is_503_too(site: Site) -> None:
    with site.served(), site.door() as door:
        assert door.route().status_code == 503
        assert httpx.get(f"{site.url}/livez").status_code == 200
        site.migrate()
        assert door.route().status_code == 202


def test_a_connection_that_postgresql_ended_is_noticed_and_a_quiet_one_is_not_asked(store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = sql("SELECT pg_backend_pid()")[0][0]
    with monkeypatch.context() as quiet:
        quiet.setattr(base.DatabaseWrapper, "is_usable", lambda connection: pytest.fail("It was asked."))
        assert connection.is_usable()
    with psycopg.connect(test_database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 2000)", [ours])
    assert not connection.is_usable()
