"""An unchanged list is told by its tag alone, without being read; and every change of it is noticed."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.actions import decide
from approvals.listing import Listing
from approvals.models import Approval
from audit.actor import Actor
from tests.conftest import Enter
from tests.evidence import lapse_approval
from tests.test_inbox import ROWS, request_of

WITHOUT_READING = 4  # login, person, roles, events


@pytest.fixture
def maria_client(enter: Enter) -> Client:
    return enter("maria", "manager")


def look(client: Client, tag: str = "", address: str = "/approvals/") -> Any:
    return client.get(address, headers={**ROWS, "If-None-Match": tag})


def is_read(client: Client, tag: str) -> bool:
    with CaptureQueriesContext(connection) as asked:
        assert look(client, tag).status_code == 304
    return len(asked) > WITHOUT_READING


def run_out(tag: str) -> str:
    """The tag as it is after its minute."""
    return re.sub(r'-[0-9]+"$', '-1"', tag)


def test_an_unchanged_list_is_not_read_again(maria_client: Client, finance: Actor) -> None:
    request_of(finance)
    tag = look(maria_client)["ETag"]
    assert not is_read(maria_client, tag) and not is_read(maria_client, f"W/{tag}")
    assert look(maria_client, tag)["ETag"] == tag


def test_after_a_minute_it_is_read_again_and_the_new_tag_spares_the_next_reading(maria_client: Client, finance: Actor) -> None:
    request_of(finance)
    old = run_out(look(maria_client)["ETag"])
    assert is_read(maria_client, old)
    assert not is_read(maria_client, look(maria_client, old)["ETag"])


def test_what_happens_to_others_requests_changes_nothing_here(maria_client: Client, finance: Actor, enter: Enter) -> None:
    request_of(finance)
    support = enter("tom", "support")
    tags = look(maria_client)["ETag"], look(support)["ETag"]
    request_of(finance)
    assert look(maria_client, tags[0]).status_code == 200
    assert is_read(support, tags[1])


def test_a_verdict_is_noticed(maria_client: Client, finance: Actor, maria: Actor) -> None:
    approval = request_of(finance)
    tag = look(maria_client)["ETag"]
    decide(actor=maria, approval_id=approval.pk, verdict="approved")
    assert look(maria_client, tag).status_code == 200


def test_what_began_before_the_list_was_read_and_ended_after_it_is_noticed(maria_client: Client, finance: Actor) -> None:
    begun, was_read = Event(), Event()

    def ask_slowly() -> None:
        with transaction.atomic():
            connection.cursor().execute("SELECT now()")
            begun.set()
            assert was_read.wait(20)
            request_of(finance, title="Slow")
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask_slowly)
        assert begun.wait(20)
        tag = look(maria_client)["ETag"]
        was_read.set()
        slow.result()
    changed = look(maria_client, tag)
    assert changed.status_code == 200 and "Slow" in changed.content.decode()


def test_a_list_is_read_again_when_a_deadline_comes_near_or_passes(store: None, finance: Actor, maria: Actor) -> None:
    soon, hour = (Approval.objects.get(pk=request_of(finance).pk) for _ in range(2))
    noon = soon.created_at.replace(hour=12, minute=0, second=0) + timedelta(days=1)
    soon.expires_at, hour.expires_at = noon + timedelta(seconds=65), noon + timedelta(seconds=3610)
    for now, turns_at in ((noon, hour.expires_at - timedelta(hours=1)), (noon + timedelta(seconds=30), soon.expires_at)):
        listing = Listing(maria, now=now)
        listing.__dict__["rows"] = [soon, hour]
        assert listing.turns_at == turns_at


def test_what_lapsed_is_noticed(maria_client: Client, finance: Actor) -> None:
    approval = request_of(finance)
    tag = look(maria_client)["ETag"]
    lapse_approval(str(approval.pk))
    assert look(maria_client, run_out(tag)).status_code == 200


def test_nobody_elses_tag_and_no_other_lists_counts(maria_client: Client, finance: Actor, enter: Enter) -> None:
    request_of(finance)
    tag = look(maria_client)["ETag"]
    assert look(enter("jonas", "manager"), tag).status_code == 200
    assert look(maria_client, tag, "/approvals/?tab=decided").status_code == 200


@pytest.mark.parametrize("tag", ['"x"', "x", '"', '"00-00-0-0-0"', f'"{"0" * 32}-{"0" * 16}-9999999999-1-9999999999"', f'"{"0" * 40000}"'])
def test_a_tag_that_is_none_shows_the_list(maria_client: Client, finance: Actor, tag: str) -> None:
    request_of(finance)
    assert look(maria_client, tag).status_code == 200


def test_what_lapses_in_another_tab_is_noticed_at_once(store: None, finance: Actor, maria: Actor) -> None:
    approval = Approval.objects.get(pk=request_of(finance, expires_in=60).pk)
    for tab in ("mine", "decided", "asked"):
        assert Listing(maria, tab, now=approval.created_at).turns_at <= approval.expires_at


def test_the_last_hour_is_counted_down_in_the_page(maria_client: Client, finance: Actor) -> None:
    request_of(finance, expires_in=1500)
    request_of(finance, expires_in=8000)
    assert look(maria_client).content.decode().count("data-until=") == 1
