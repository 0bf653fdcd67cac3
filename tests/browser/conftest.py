"""A real browser: found by itself; its console must stay clean."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.conftest import signed_in

# Playwright's synchronous API runs an event loop in this thread; Django would refuse to be asked for anything here.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

USUAL = ("/usr/bin/chromium", "/usr/bin/google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
MISSING = "No browser: install one (Debian: apt-get install chromium), or name one with CHROMIUM=/path/to/it."

Enter = Callable[..., Page]


@cache
def installed() -> str | None:
    """The browser's path: CHROMIUM, the usual places, Playwright's own (fetched once if need be)."""
    for path in filter(None, [os.environ.get("CHROMIUM"), *USUAL]):
        if Path(path).is_file():
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    if not Path(own).is_file():
        fetch()
    return own if Path(own).is_file() else None


def fetch() -> None:
    """Playwright's own browser, if it comes within two minutes."""
    try:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], timeout=120, check=False, capture_output=True)
    except subprocess.TimeoutExpired:
        return


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser for the whole run."""
    path = installed()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


class Watch:
    """What a browser complains about: its console, its content policy, failed requests, errors in scripts."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected: set[int] = set()  #: answers that a test provokes; the browser notes each in its console

    def page(self, page: Page) -> None:
        """From now on."""
        page.on("console", self.console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self.failed)

    def console(self, message: ConsoleMessage) -> None:
        """Only what is worth a look."""
        said = ("the server responded with a status of", "Response Status Error Code")  # the browser's words, and htmx's
        provoked = any(f"{words} {status}" in message.text for words in said for status in self.expected)
        if message.type in {"error", "warning"} and not provoked:
            self.complaints.append(message.text)

    def failed(self, request: Request) -> None:
        """A request that is given up because the page is left is no failure."""
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url}: {request.failure}")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """The browser's complaints; there must be none in the end."""
    watching = Watch()
    yield watching
    assert watching.complaints == []


@pytest.fixture
def context(browser: Browser, store: None, server: str, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """A fresh profile: `context(java_script_enabled=False)`; Playwright's options. Without motion: colours are there at once."""
    opened: list[BrowserContext] = []

    def fresh(**options: Any) -> BrowserContext:
        usual = {"viewport": {"width": 1440, "height": 900}, "timezone_id": "Europe/Berlin", "reduced_motion": "reduce"}
        profile = browser.new_context(base_url=server, **{**usual, **options})
        profile.set_default_timeout(10_000)
        profile.on("page", watch.page)
        opened.append(profile)
        return profile

    yield fresh
    for profile in opened:
        profile.close()


@pytest.fixture
def enter(context: Callable[..., BrowserContext], server: str) -> Enter:
    """Somebody signed in: `enter("maria", "manager", java_script_enabled=False)`; the page is the inbox then.

    The form itself has tests of its own; to go through it each time would be one password after another.
    """

    def sign_in(name: str, role: str, **options: Any) -> Page:
        profile = context(**options)
        profile.add_cookies([{"name": "sessionid", "value": signed_in(name, role).cookies["sessionid"].value, "url": server}])
        page = profile.new_page()
        page.goto("/approvals/")
        return page

    return sign_in


@pytest.fixture
def page(enter: Enter) -> Page:
    """Maria, manager, in her inbox."""
    return enter("maria", "manager")


def faults(page: Page) -> list[str]:
    """What axe-core calls serious or critical: rule, and where."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]
