"""`make screenshots`: every page of a seeded product, wide and narrow, light and dark, into docs/screenshots/ as small WebP files."""

import os
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from playwright.sync_api import Browser, Page, sync_playwright

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.settings")
django.setup()  # what the tests share imports models

from tests.browser.conftest import FLAGS, MISSING, installed  # noqa: E402
from tests.conftest import free_port, wait_for  # noqa: E402

INTO = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
PASSWORD = "welcome-to-the-desk"  # the demo's, printed at each start
QUALITY = 55  # text stays sharp; a page takes about 30 KB
SIZES: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
#: Name, who looks, where; "path > selector" follows a link of that page.
PAGES = [
    ("sign-in", "", "/sign-in/"),
    ("dashboard", "maria", "/"),
    ("inbox", "maria", "/approvals/"),
    ("request", "maria", "/approvals/ > #rows a.what"),
    ("decided", "maria", "/approvals/?tab=decided > #rows a.what"),
    ("sessions", "maria", "/sessions/"),
    ("work", "maria", "/sessions/?task=waiting > .ledger a"),
    ("session", "ada", "/sessions/?state=completed > .ledger a"),
    ("audit", "ada", "/audit/"),
    ("trace", "ada", "/audit/?type=approval.rejected > td a[href^='?trace=']"),
    ("nothing-found", "felix", "/sessions/?q=nothing-like-this"),
    ("not-found", "maria", "/nowhere"),
    ("forbidden", "maria", "/audit/"),
    ("password", "maria", "/password/"),
    ("admin", "admin", "/admin/"),
    ("admin-approvals", "admin", "/admin/approvals/approval/"),
    ("api-docs", "maria", "/api/docs"),
]


@contextmanager
def product() -> Iterator[str]:
    """The address of a product of its own, seeded; stopped and forgotten afterwards."""
    with tempfile.TemporaryDirectory() as home:
        port = str(free_port())
        environment = {**os.environ, "ORCHESTRATOR_HOME": home, "PORT": port}
        process = subprocess.Popen([sys.executable, "manage.py", "serve"], cwd=INTO.parent.parent, env=environment)
        try:
            wait_for(f"http://127.0.0.1:{port}/livez", 60)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def signed_in(browser: Browser, address: str, name: str) -> Any:
    """What a browser keeps of somebody's sign-in; nothing for nobody."""
    if not name:
        return None
    page = browser.new_page()
    page.goto(f"{address}/sign-in/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{address}/")
    state = page.context.storage_state()
    page.close()
    return state


def show(page: Page, address: str, where: str) -> None:
    """Go there, by a link where one is named."""
    path, _arrow, link = where.partition(" > ")
    page.goto(f"{address}{path}", wait_until="networkidle")
    if link:
        page.goto(page.locator(link).first.evaluate("link => link.href"), wait_until="networkidle")


def keep(page: Page, name: str) -> int:
    """What is in sight, as WebP, which Playwright's own screenshots know nothing of; its size in bytes."""
    answer = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    return (INTO / f"{name}.webp").write_bytes(b64decode(answer["data"]))


def main() -> None:
    """All of them."""
    INTO.mkdir(parents=True, exist_ok=True)
    path = installed() or sys.exit(MISSING)
    with product() as address, sync_playwright() as playwright:
        browser, total = playwright.chromium.launch(executable_path=path, args=FLAGS), 0
        states = {who: signed_in(browser, address, who) for who in {who for _name, who, _where in PAGES}}
        for name, who, where in PAGES:
            for size, options in SIZES.items():
                for look in ("light", "dark"):
                    context = browser.new_context(storage_state=states[who], color_scheme=look, timezone_id="Europe/Berlin", **options)
                    show(page := context.new_page(), address, where)
                    total += keep(page, f"{name}-{size}-{look}")
                    context.close()
        browser.close()
    sys.stdout.write(f"{len(PAGES) * 4} screenshots, {total // 1024} KB, in {INTO}\n")


if __name__ == "__main__":
    main()
