"""Loaded before the settings: the tests have a home and engines of their own, so that they never touch a running product."""

import os
from pathlib import Path

import pytest

# TEST_HOME: several runs side by side, each with engines of its own.
HOME = Path(os.environ.get("TEST_HOME") or Path(__file__).resolve().parent.parent / "var" / "test")
HOME /= os.environ.get("PYTEST_XDIST_WORKER", "")  # the same for the parts of one run
os.environ["ORCHESTRATOR_HOME"] = str(HOME)
# The tests are one caller in a great hurry; tests/test_limits.py sets its own.
os.environ["RATE_LIMIT"] = os.environ["SIGN_IN_LIMIT"] = "1000000000"

import psycopg  # noqa: E402

from orchestrator import embedded  # noqa: E402 - after the home is named

engines: list[embedded.Engines] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start what the environment does not give; the process that only hands tests out needs nothing."""
    if session.config.getoption("numprocesses", 0):
        return
    wanted = {"postgres": not os.environ.get("DATABASE_URL"), "redis": not os.environ.get("REDIS_URL")}
    if any(wanted.values()):
        engines.append(embedded.start(HOME, **wanted))
    if wanted["postgres"]:
        _log_what_takes_long()


def _log_what_takes_long() -> None:
    """Into postgres.log, for whoever wonders why a test was slow."""
    with psycopg.connect(embedded.database_url(HOME), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_min_duration_statement = '400ms'")
        connection.execute("SELECT pg_reload_conf()")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop what was started."""
    for started in engines:
        started.stop()
