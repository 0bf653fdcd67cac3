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
OIDC = {
    **DEPLOYMENT, "OIDC_ISSUER_URL": "https://id.example.com/realms/dev", "OIDC_CLIENT_ID": "orchestrator", "OIDC_CLIENT_SECRET": "x" * 32,
    "PUBLIC_URL": "https://desk.example.com", "ALLOWED_HOSTS": "desk.example.com",
}  # fmt: skip


def check(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` under this environment alone."""
    clean = {"PATH": os.environ["PATH"], "ORCHESTRATOR_HOME": str(home), **environment}
    return subprocess.run([sys.executable, "manage.py", "check", *arguments], env=clean, capture_output=True, text=True, timeout=60)


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
        ("OIDC_CLIENT_ID", {**OIDC, "OIDC_CLIENT_ID": ""}),
        ("OIDC_CLIENT_SECRET", {**OIDC, "OIDC_CLIENT_SECRET": ""}),
        ("OIDC_CLIENT_SECRET_FILE", {**OIDC, "OIDC_CLIENT_SECRET_FILE": "/nowhere/at/all"}),
        ("PUBLIC_URL", {**OIDC, "PUBLIC_URL": ""}),
        ("PUBLIC_URL", {**OIDC, "PUBLIC_URL": "http://desk.example.com"}),
        ("PUBLIC_URL", {"PUBLIC_URL": "http://127.evil.example.com"}),
        ("OIDC_ISSUER_URL", {"OIDC_CLIENT_ID": "orchestrator"}),
        ("OIDC_INTERNAL_URL", {**OIDC, "OIDC_INTERNAL_URL": "keycloak:8080"}),
        ("SECRET_KEY", {**OIDC, "SECRET_KEY": f"demo-only-{DEPLOYMENT['SECRET_KEY']}"}),
        ("OIDC_CLIENT_SECRET", {**OIDC, "OIDC_CLIENT_SECRET": "demo-only-client-secret"}),
        ("TRUSTED_PROXY", {"TRUSTED_PROXY": "proxy"}),
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


def test_a_deployment_under_https_is_clean_by_djangos_own_list(tmp_path: Path) -> None:
    checked = check(tmp_path, "--deploy", "--fail-level", "WARNING", **OIDC)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("public", ["http://localhost:8088", "http://127.0.0.1:8088", "http://[::1]:8088"])
def test_plain_http_is_for_this_machine_alone(tmp_path: Path, public: str) -> None:
    assert check(tmp_path, **{**OIDC, "PUBLIC_URL": public}).returncode == 0


COOKIES = """
import django; django.setup()
from django.conf import settings
from django.test import Client
site = Client(headers={"host": "127.0.0.1"})
page, plain = site.get("/livez", secure=SECURE), site.get("/status")
print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
      settings.SESSION_COOKIE_SAMESITE, page.get("Strict-Transport-Security"), plain.status_code)
"""


@pytest.mark.parametrize(
    ("public", "said"),
    [
        ("https://127.0.0.1", "__Host-sessionid __Host-csrftoken True True Lax max-age=31536000 301"),
        ("http://127.0.0.1:8088", "sessionid csrftoken False True Lax None 200"),
    ],
)
def test_the_public_address_decides_about_cookies_and_https(tmp_path: Path, public: str, said: str) -> None:
    environment = {**OIDC, "PUBLIC_URL": public, "ALLOWED_HOSTS": "127.0.0.1", "DJANGO_SETTINGS_MODULE": "orchestrator.settings"}
    environment |= {"PATH": os.environ["PATH"], "ORCHESTRATOR_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    program = COOKIES.replace("SECURE", str(public.startswith("https")), 1)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == said, done.stderr
