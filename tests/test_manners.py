"""How pages behave towards people: errors that know them, a password that says what is wrong with it, words that follow a change."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from approvals.actions import ask
from audit.actor import Actor
from sessions.actions import route_task
from tests.conftest import Enter
from tests.test_pages import inline, text

OLD, NEW = "a long enough one", "another long enough one"


@pytest.fixture
def maria_enters(enter: Enter, finance: Actor) -> Client:
    """Maria, for whom one request waits."""
    task = route_task(actor=finance, target="manager", task_type="budget").row
    ask(actor=finance, task_id=task.pk, approver_role="manager")
    user = User.objects.create_user("maria", password=OLD, first_name="Maria", last_name="Lindqvist")
    client = enter("maria", "manager")
    client.force_login(user)
    return client


def change(client: Client, old: str = OLD, new: str = NEW, again: str = NEW) -> Any:
    """Send the form."""
    return client.post("/password/", {"old_password": old, "new_password1": new, "new_password2": again}, follow=True)


@pytest.mark.parametrize("path", ["/nowhere", "/audit/", "/sessions/00000000-0000-7000-8000-000000000000/"])
def test_an_error_page_knows_who_is_signed_in_and_how_much_waits(maria_enters: Client, path: str) -> None:
    page = text(maria_enters.get(path))
    assert ">ML</summary>" in page and '<span class="count" id="waiting">1</span>' in page and "Maria Lindqvist" in page


def test_an_error_page_for_a_stranger_names_nobody(store: None) -> None:
    page = text(Client().get("/nowhere"))
    assert "may be mistyped" in page and 'class="account"' not in page


def test_a_stale_form_is_told_in_the_same_frame(maria_enters: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = maria_enters.cookies
    answer = strict.post("/password/", {})
    assert answer.status_code == 403 and "out of date" in text(answer) and ">ML</summary>" in text(answer) and inline(answer) == []


def test_a_changed_password_is_said_once(maria_enters: Client) -> None:
    assert "Your password is changed." in text(change(maria_enters))
    assert "Your password is changed." not in text(maria_enters.get("/"))
    assert User.objects.get(username="maria").check_password(NEW)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"old": "wrong"}, "id_old_password", "incorrect"), ({"new": "short", "again": "short"}, "id_new_password1", "too short"),
        ({"again": "something else"}, "id_new_password2", "match"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_password_is_told_at_its_field(maria_enters: Client, given: dict[str, str], field: str, said: str) -> None:
    page = text(change(maria_enters, **given))
    wrong = page.partition(f'id="{field}_error"')[2].partition("</div>")[0]
    assert said in wrong and page.count('class="wrong"') == 1 and page.count(f"{field}_error") == 2  # the field names it
    assert User.objects.get(username="maria").check_password(OLD)
