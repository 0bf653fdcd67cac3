"""People and agents of a real Keycloak: signing in and out, roles gained and lost, keys rotated, Keycloak away."""

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from approvals.actions import ask
from approvals.models import Approval
from audit.actor import Actor
from sessions.actions import route_task
from tests.keycloak.conftest import Enter, Keycloak, let_a_minute_pass

pytestmark = [pytest.mark.keycloak, pytest.mark.timeout(420)]


@pytest.fixture
def waiting(store: None, finance: Actor) -> Approval:
    """A request to manager."""
    task = route_task(actor=finance, target="manager", task_type="budget_approval", from_role="finance").row
    return ask(actor=finance, task_id=task.pk, approver_role="manager").row


def status(approval: Approval) -> str:
    approval.refresh_from_db()
    return approval.status


def api(desk: str, token: str, path: str = "/me") -> httpx.Response:
    return httpx.get(f"{desk}/api{path}", headers={"Authorization": f"Bearer {token}"}, timeout=30)


def within(seconds: float, happens: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := bool(happens())) and time.monotonic() < deadline:
        time.sleep(1)
    return found


def test_a_demo_person_must_change_the_password_then_decides_and_signs_out_at_keycloak_too(
    keycloak: Keycloak, enter: Enter, desk: str, waiting: Approval
) -> None:
    page = enter("maria", f"/approvals/{waiting.pk}/", "welcome-to-the-desk")
    page.locator("#password-new").fill("another long enough one")
    page.locator("#password-confirm").fill("another long enough one")
    page.locator("[type=submit]").first.click()
    expect(page).to_have_url(f"{desk}/approvals/{waiting.pk}/")
    page.get_by_role("button", name=re.compile("^Approve")).first.click()
    expect(page.locator(".outcome")).to_contain_text("Maria Lindqvist (you)")
    assert within(5, lambda: status(waiting) == "approved")
    assert waiting.decided_by == f"{keycloak.issuer}|{keycloak.id('maria')}"
    page.goto("/")
    page.locator("details.account summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{desk}/signed-out/")
    page.get_by_role("link", name="Sign in").click()
    expect(page.locator("#username")).to_be_visible()  # Keycloak asks again: its own login has ended too


def test_roles_gained_and_lost_count_within_a_minute_also_on_an_open_page(
    keycloak: Keycloak, enter: Enter, desk: str, waiting: Approval
) -> None:
    name = keycloak.person("manager")
    page = enter(name, f"/approvals/{waiting.pk}/")
    button = page.get_by_role("button", name=re.compile("^Approve")).first
    expect(button).to_be_visible()
    keycloak.role("DELETE", name, "manager")
    keycloak.role("POST", name, "support")
    let_a_minute_pass(page)
    with page.expect_response(lambda answer: "/decide/" in answer.url) as heard:
        button.click()
    assert heard.value.status in (403, 404) and status(waiting) == "pending"
    user = User.objects.get(email=f"{name}@example.com")
    assert set(user.groups.values_list("name", flat=True)) == {"support"}
    keycloak.role("POST", name, "manager")
    let_a_minute_pass(page)
    button.click()  # the page is still open
    assert within(10, lambda: status(waiting) == "approved")


def test_a_disabled_person_cannot_decide_and_is_signed_out(keycloak: Keycloak, enter: Enter, waiting: Approval) -> None:
    name = keycloak.person("manager")
    page = enter(name, f"/approvals/{waiting.pk}/")
    button = page.get_by_role("button", name=re.compile("^Approve")).first
    expect(button).to_be_visible()
    keycloak.admin("PUT", f"/users/{keycloak.id(name)}", {"enabled": False})
    let_a_minute_pass(page)
    button.click()
    expect(page.locator("#username")).to_be_visible()
    assert status(waiting) == "pending"


def test_who_is_signed_out_at_keycloak_is_signed_out_here_at_once(keycloak: Keycloak, enter: Enter, desk: str) -> None:
    name = keycloak.person("manager")
    page = enter(name)
    expect(page).to_have_url(f"{desk}/approvals/")
    keycloak.admin("POST", f"/users/{keycloak.id(name)}/logout")
    page.goto("/")
    expect(page.locator("#username")).to_be_visible()


def test_an_agent_works_with_a_token_by_client_credentials(keycloak: Keycloak, store: None, desk: str) -> None:
    said = api(desk, keycloak.agent_token()).json()
    assert (said["kind"], said["roles"]) == ("agent", ["agent", "finance"])
    assert said["principal"] == f"{keycloak.issuer}|{keycloak.id('service-account-finance-agent')}"


def test_a_token_without_the_audience_does_not_count(keycloak: Keycloak, store: None, desk: str) -> None:
    form = {"grant_type": "password", "client_id": "admin-cli", "username": keycloak.person("manager"), "password": "a long enough one"}
    token = httpx.post(f"{keycloak.issuer}/protocol/openid-connect/token", data=form, timeout=30).json()["access_token"]
    assert api(desk, token).status_code == 401


def test_rotated_keys_count_without_a_restart_and_withdrawn_ones_do_not(keycloak: Keycloak, store: None, desk: str) -> None:
    before = keycloak.agent_token()
    assert api(desk, before).status_code == 200
    realm = keycloak.admin("GET", "")["id"]
    config = {"priority": ["200"], "algorithm": ["RS256"], "keySize": ["2048"]}
    keys = {"name": "new", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider", "parentId": realm}
    old = keycloak.admin("GET", "/components?type=org.keycloak.keys.KeyProvider")
    keycloak.admin("POST", "/components", {**keys, "config": config})
    after = keycloak.agent_token()
    assert within(40, lambda: api(desk, after).status_code == 200)
    assert api(desk, before).status_code == 200
    for each in (key for key in old if key["providerId"] == "rsa-generated"):
        keycloak.admin("DELETE", f"/components/{each['id']}")
    keycloak.admin("POST", "/components", {**keys, "name": "newest", "config": {**config, "priority": ["300"]}})
    assert within(40, lambda: api(desk, keycloak.agent_token()).status_code == 200)
    assert api(desk, before).status_code == 401


def test_while_keycloak_is_stopped_agents_work_people_read_and_a_note_is_kept(
    keycloak: Keycloak, enter: Enter, desk: str, waiting: Approval
) -> None:
    token = keycloak.agent_token()
    assert api(desk, token).status_code == 200
    page = enter(keycloak.person("manager"), f"/approvals/{waiting.pk}/")
    note = page.locator("textarea[name=note]").first
    note.fill("Written in vain?")
    with keycloak.stopped():
        let_a_minute_pass(page)
        with page.expect_response(lambda answer: "/decide/" in answer.url) as heard:
            page.get_by_role("button", name=re.compile("^Approve")).first.click()
        assert heard.value.status == 503
        expect(note).to_have_value("Written in vain?")
        expect(page.locator("#notice")).to_contain_text("What you typed is still here")
        assert api(desk, token).status_code == 200
        began = time.monotonic()
        assert httpx.get(f"{desk}/approvals/{waiting.pk}/", cookies=cookies(page), timeout=30).status_code == 200
        assert httpx.get(f"{desk}/sign-in/start/", timeout=30).status_code in (302, 503)
        assert time.monotonic() - began < 5
    assert within(30, lambda: httpx.get(f"{keycloak.issuer}", timeout=30).status_code == 200)
    time.sleep(6)
    page.get_by_role("button", name=re.compile("^Approve")).first.click()
    assert within(10, lambda: status(waiting) == "approved")


def cookies(page: Any) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
