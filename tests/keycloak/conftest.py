"""A real Keycloak with deploy/keycloak/realm.json, a server of ours that trusts it, and a browser to sign in with."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Browser, Page

from orchestrator.oidc import LOGIN
from tests.browser.conftest import browser  # noqa: F401 - a fixture
from tests.conftest import free_port, served, wait_for
from tests.plugin import HOME

REALM = Path(__file__).resolve().parents[2] / "deploy" / "keycloak" / "realm.json"
PASSWORD = "a long enough one"
ROOT = "only-for-this-run"


class Keycloak:
    """The running one, and its administration."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, desk: str) -> None:
        self.process, self.url, self.desk, self.issuer = process, url, desk, f"{url}/realms/dev"

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the administration of the realm."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "root", "password": ROOT}
        token = httpx.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form, timeout=30).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(method, f"{self.url}/admin/realms/dev{path}", json=body, headers=headers, timeout=30)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def person(self, *roles: str) -> str:
        """A new account; its name."""
        name = f"p{uuid4().hex[:8]}"
        said = {"username": name, "enabled": True, "firstName": "Petra", "lastName": name, "email": f"{name}@example.com"}
        self.admin("POST", "/users", {**said, "credentials": [{"type": "password", "value": PASSWORD}]})
        for role in roles:
            self.role("POST", name, role)
        return name

    def id(self, name: str) -> str:
        """The account's id: the tokens' `sub`."""
        return str(self.admin("GET", f"/users?username={name}&exact=true")[0]["id"])

    def role(self, method: str, name: str, role: str) -> None:
        """POST gives it, DELETE takes it."""
        self.admin(method, f"/users/{self.id(name)}/role-mappings/realm", [self.admin("GET", f"/roles/{role}")])

    def agent_token(self, client: str = "finance-agent") -> str:
        """By client credentials."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": "demo-only-agent-secret"}
        answer = httpx.post(f"{self.issuer}/protocol/openid-connect/token", data=form, timeout=30)
        return str(answer.json()["access_token"])

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections and answers nothing: the worst way of being away."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)


def prepared() -> Path:
    """A copy of KEYCLOAK_HOME in the tests' own folder, kept: its first start builds it. Its data are of this run."""
    given = os.environ.get("KEYCLOAK_HOME")
    if not given or not (Path(given) / "bin" / "kc.sh").is_file():
        pytest.fail("No Keycloak: `make test-keycloak` fetches one, KEYCLOAK_HOME names one that is already there.")
    home = HOME / "keycloak"
    if not (home / "bin").exists():
        shutil.copytree(given, home)
    shutil.rmtree(home / "data", ignore_errors=True)
    (home / "data" / "import").mkdir(parents=True)
    shutil.copy(REALM, home / "data" / "import")
    return home


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    """Started, the realm imported; stopped in the end."""
    home, port, desk = prepared(), free_port(), f"http://127.0.0.1:{free_port()}"
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ, "KC_BOOTSTRAP_ADMIN_USERNAME": "root", "KC_BOOTSTRAP_ADMIN_PASSWORD": ROOT, "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx512m",
        "KC_PROXY_HEADERS": "xforwarded", "DESK_PUBLIC_URL": desk, "DESK_INTERNAL_URL": desk,
    }  # fmt: skip
    start = ["bash", str(home / "bin" / "kc.sh"), "start", "--db=dev-file", "--import-realm", "--http-enabled=true"]
    start += ["--hostname-strict=false", "--http-host=127.0.0.1", f"--http-port={port}"]
    with (home / "data" / "log").open("wb") as log:
        process = subprocess.Popen(start, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"{url}/realms/dev", 300)
        yield Keycloak(process, url, desk)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def desk(keycloak: Keycloak, database: None) -> Iterator[str]:
    """A server of ours that trusts it."""
    trust = {"PUBLIC_URL": keycloak.desk, "OIDC_ISSUER_URL": keycloak.issuer, "OIDC_CLIENT_ID": "orchestrator"}
    secret = {"OIDC_CLIENT_SECRET": "demo-only-client-secret"}
    with served("-w", "1", address=keycloak.desk.removeprefix("http://"), **trust, **secret) as running:
        yield running.url


Enter = Callable[..., Page]


@pytest.fixture
def enter(browser: Browser, store: None, desk: str) -> Iterator[Enter]:  # noqa: F811
    """Sign in as that account in a fresh profile: `enter(name, "/sessions/")`."""
    profiles = []

    def sign_in(name: str, path: str = "/approvals/", password: str = PASSWORD) -> Page:
        profiles.append(browser.new_context(base_url=desk))
        profiles[-1].set_default_timeout(30_000)
        page = profiles[-1].new_page()
        page.goto(path)
        page.locator("#username").fill(name)
        page.locator("#password").fill(password)
        page.locator("#kc-login").click()
        return page

    yield sign_in
    for profile in profiles:
        profile.close()


def session_of(page: Page) -> SessionStore:
    """The login behind the page's cookie."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    return SessionStore(cookies["sessionid"])


def let_a_minute_pass(page: Page) -> None:
    """Since the login was last asked for."""
    session = session_of(page)
    session[LOGIN] = {**session[LOGIN], "checked": time.time() - 61}
    session.save()
