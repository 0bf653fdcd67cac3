"""A wrong configuration stops the start, and says which setting it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOYMENT = {
    "DATABASE_URL": "postgresql://somebody@127.0.0.1/somewhere",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "kT4-9sQx7_uWv2Lz8mNp3RcYb6HdJf5gAeXi1oZqE0tVjUwBnKa",
}
OIDC = {**DEPLOYMENT, "OIDC_ISSUER_URL": "https://id.example.com/realms/dev"}


def check(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` under this environment alone."""
    clean = {"PATH": os.environ["PATH"], "ORCHESTRATOR_HOME": str(home), **environment}
    return subprocess.run([sys.executable, "manage.py", "check"], env=clean, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("setting", "environment"),
    [
        ("DATABASE_URL", {"DATABASE_URL": "mysql://somewhere/else"}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql://x@127.0.0.1:notaport/y"}),
        ("REDIS_URL", {"REDIS_URL": "memcached://somewhere"}),
        ("DEBUG", {**OIDC, "DEBUG": "true"}),
        ("DEBUG", {"DEBUG": "perhaps"}),
        ("SECRET_KEY", {**OIDC, "SECRET_KEY": ""}),
        ("SECRET_KEY", {**DEPLOYMENT, "SECRET_KEY": ""}),
        ("SECRET_KEY", {**DEPLOYMENT, "SECRET_KEY": "short"}),
        ("SECRET_KEY_FILE", {"SECRET_KEY_FILE": "/nowhere/at/all"}),
        ("DATABASE_URL", {**OIDC, "DATABASE_URL": ""}),
        ("REDIS_URL", {**OIDC, "REDIS_URL": ""}),
        ("APPROVAL_TTL_SECONDS", {"APPROVAL_TTL_SECONDS": "0"}),
        ("APPROVAL_TTL_SECONDS", {"APPROVAL_TTL_SECONDS": "-5"}),
        ("IDEMPOTENCY_TTL_SECONDS", {"IDEMPOTENCY_TTL_SECONDS": "a day"}),
        ("SESSION_RETENTION_DAYS", {"SESSION_RETENTION_DAYS": "1.5"}),
        ("PORT", {"PORT": "70000"}),
        ("ORG_ROLES", {"ORG_ROLES": "finance,Big Boss"}),
        ("ORG_ROLES", {"ORG_ROLES": "finance,admin"}),
    ],
)
def test_a_wrong_setting_stops_the_start_by_its_name(tmp_path: Path, setting: str, environment: dict[str, str]) -> None:
    stopped = check(tmp_path, **environment)
    assert stopped.returncode != 0
    assert setting in stopped.stderr
    assert "Traceback" not in stopped.stderr


@pytest.mark.parametrize("environment", [{}, DEPLOYMENT, OIDC])
def test_a_whole_configuration_starts(tmp_path: Path, environment: dict[str, str]) -> None:
    started = check(tmp_path, **environment)
    assert started.returncode == 0, started.stderr


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(DEPLOYMENT["SECRET_KEY"] + "\n")
    environment = {name: value for name, value in DEPLOYMENT.items() if name != "SECRET_KEY"}
    assert check(tmp_path, **environment, SECRET_KEY_FILE=str(tmp_path / "key")).returncode == 0


def test_a_development_machine_keeps_its_own_secret_for_itself(tmp_path: Path) -> None:
    check(tmp_path)
    made = (tmp_path / "secret.key").read_text()
    check(tmp_path)
    assert (tmp_path / "secret.key").read_text() == made
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_settings_of_the_predecessor_are_named_in_one_warning(tmp_path: Path) -> None:
    started = check(tmp_path, GUARD_ENABLED="true", CONTROLLER_PORT="", IDEMPOTENCY_ENABLED="false")
    assert started.returncode == 0
    (line,) = [line for line in started.stderr.splitlines() if "W001" in line]
    assert line.endswith("Without effect here: CONTROLLER_PORT, GUARD_ENABLED, IDEMPOTENCY_ENABLED.")
    assert "W001" not in check(tmp_path, PORT="8099").stderr
