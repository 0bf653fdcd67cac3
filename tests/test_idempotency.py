"""Same key, same answer: over HTTP, against two worker processes, with Redis and without it."""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django_redis import get_redis_connection

import audit.models
from audit.action import Key
from orchestrator.identity import _own_key, own_token
from sessions import actions
from tests.conftest import Door, Open, agent, served
from tests.evidence import NOBODYS, bare, count, incomplete, refused, rewrite, told

#: Each keyed route with a body that makes something (the task it asks about is made by the test), and its table.
ROUTES: dict[str, tuple[dict[str, Any], str]] = {
    "/sessions": ({"agent_role": "finance", "metadata": {"b": 1, "a": [1, {"y": 1, "x": 2}]}}, "sessions"),
    "/tasks/route": ({"target": "manager", "task": {"type": "budget_approval", "amount": 50000}}, "tasks"),
    "/approvals": ({"approver_role": "manager", "reason": "Over budget."}, "approvals"),
}
EVENT = {"source": "crm", "category": "customer", "action": "moved", "metadata": {"to": "Berlin"}}


def body_of(route: str, door: Door) -> dict[str, Any]:
    """A body that the route takes."""
    body = dict(ROUTES[route][0])
    if route == "/approvals":
        body["task_id"] = door.route().json()["task_id"]
    return body


def send(door: Door, route: str, body: Any, key: str) -> httpx.Response:
    """One keyed call."""
    return door.post(route, json=body, headers={"Idempotency-Key": key})


def same(first: httpx.Response, again: httpx.Response) -> bool:
    """Whether it is a replay, byte for byte."""
    return again.headers.get("Idempotent-Replayed") == "true" and all(
        getattr(first, part) == getattr(again, part) for part in ("status_code", "content")
    ) and all(first.headers[name] == again.headers[name] for name in ("Location", "ETag", "Content-Type"))  # fmt: skip


def forget() -> None:
    """Redis holds no copy any more; PostgreSQL must answer alone."""
    cache.clear()


def rows_and_events() -> tuple[int, ...]:
    """How much there is of everything."""
    return tuple(count(table) for table in ("sessions", "tasks", "approvals", "audit_events"))


@pytest.mark.parametrize("route", ROUTES)
def test_a_repeat_gets_the_same_bytes_and_makes_nothing_with_and_without_redis(finance_door: Door, maria_door: Door, route: str) -> None:
    body = body_of(route, finance_door)
    first = send(finance_door, route, body, "k-1")
    assert "Idempotent-Replayed" not in first.headers
    there = rows_and_events()
    for _ in range(2):
        assert same(first, send(finance_door, route, body, "k-1"))
        forget()
        assert same(first, send(finance_door, route, body, "k-1"))
    assert rows_and_events() == there
    assert incomplete() == []


def test_a_reply_is_replayed_as_it_was_whatever_became_of_the_object(finance_door: Door, maria_door: Door, manager_door: Door) -> None:
    session_id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    routing = {"target": "manager", "task": {"type": "x"}, "session_id": session_id}
    routed = send(finance_door, "/tasks/route", routing, "k")
    asking = {"task_id": routed.json()["task_id"], "approver_role": "manager"}
    asked = send(finance_door, "/approvals", asking, "k")
    notified = finance_door.route(task={"type": "notification"}).json()["task_id"]
    opening = {"agent_role": "finance", "task_id": notified}
    opened = send(finance_door, "/sessions", opening, "k")
    maria_door.post(f"/approvals/{asked.json()['approval_id']}/decision", json={"decision": "approved"})
    for status in ("active", "completed"):
        manager_door.put(f"/tasks/{routed.json()['task_id']}", json={"status": status})
    finance_door.put(f"/sessions/{opened.json()['session_id']}", json={"status": "expired"})
    for _ in range(2):
        assert same(routed, send(finance_door, "/tasks/route", routing, "k"))
        assert same(asked, send(finance_door, "/approvals", asking, "k"))
        assert same(opened, send(finance_door, "/sessions", opening, "k"))
        forget()


@pytest.mark.parametrize("route", ROUTES)
def test_another_body_is_422_and_the_original_still_replays(finance_door: Door, route: str) -> None:
    body = body_of(route, finance_door)
    first = send(finance_door, route, body, "k")
    more = "metadata" if route == "/sessions" else "context" if route == "/tasks/route" else "comments"
    for other in ({**body, more: {"n": 1} if more != "comments" else "n"}, {**body, more: {"n": True} if more != "comments" else "m"}):
        refused(send(finance_door, route, other, "k"), 422, "idempotency-key-reused")
        forget()
        refused(send(finance_door, route, other, "k"), 422, "idempotency-key-reused")
    assert same(first, send(finance_door, route, body, "k"))


def test_key_order_and_whitespace_of_the_body_do_not_matter(finance_door: Door) -> None:
    def post(text: str) -> httpx.Response:
        return finance_door.post("/sessions", content=text, headers={"Idempotency-Key": "k", "Content-Type": "application/json"})

    first = post('{"agent_role": "finance", "metadata": {"a": 1, "b": "\\u00e4"}}')
    assert same(first, post('\n{"metadata":\t{"b": "ä", "a":1} , "agent_role":"finance"}'))
    refused(post('{"agent_role": "finance", "metadata": {"a": "1", "b": "ä"}}'), 422, "idempotency-key-reused")


def test_another_caller_or_route_has_its_own_keys(finance_door: Door, felix_door: Door) -> None:
    body = {"agent_role": "finance"}
    first, theirs = send(finance_door, "/sessions", body, "k"), send(felix_door, "/sessions", body, "k")
    assert theirs.status_code == 201 and "Idempotent-Replayed" not in theirs.headers
    assert first.json()["session_id"] not in theirs.text
    routed = finance_door.route(key="k")
    assert routed.status_code == 202 and "Idempotent-Replayed" not in routed.headers
    assert (count("sessions"), count("tasks")) == (3, 1)


def test_a_refreshed_token_is_the_same_caller(finance_door: Door, door: Open) -> None:
    first = send(finance_door, "/sessions", {"agent_role": "finance"}, "k")
    refreshed = door("finance-agent", "agent", "finance", "support")
    assert same(first, send(refreshed, "/sessions", {"agent_role": "finance"}, "k"))


def test_an_expired_token_is_401_and_a_lost_role_403_never_the_stored_reply(finance_door: Door, door: Open) -> None:
    bodies = {route: body_of(route, finance_door) for route in ROUTES}
    session_id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    into = {**bodies["/tasks/route"], "session_id": session_id, "from_role": "finance"}
    for route, body in [*bodies.items(), ("/tasks/route", into)]:
        key = f"k{len(body)}"
        assert send(finance_door, route, body, key).is_success
        old = {"iss": "local", "sub": "finance-agent", "aud": settings.OIDC_AUDIENCE, "typ": "Bearer", "iat": 1, "exp": 2}
        expired = jwt.encode(old, _own_key(), "RS256")
        late = finance_door.post(route, json=body, headers={"Idempotency-Key": key, "Authorization": f"Bearer {expired}"})
        refused(late, 401)
        without = door("finance-agent", "agent")
        refused(send(without, route, body, key), 403)
        if route != "/approvals":
            moved = door("finance-agent", "support", "agent")
            if route == "/sessions" or "from_role" in body:
                refused(send(moved, route, body, key), 403)


MALFORMED = [
    "",
    " ",
    "x" * 129,
    "x" * 8000,
    "a b",
    "a,b",
    "a/b",
    "ä",
    "é",
    "a\tb",
    '"',
    '""',
    '"a',
    'a"',
    "'a'",
    '"a";p=1',
    "a\x7f",
    "a\x00",
    "a\\b",
]


@pytest.mark.parametrize("route", [*ROUTES, "/audit/ingest"])
def test_a_malformed_key_is_400_whatever_it_came_with(store: None, route: str) -> None:
    said = {"Authorization": f"Bearer {own_token('finance-agent', ['finance', 'agent'], 60)}"}
    client = Client()
    for key in MALFORMED:
        for body in (EVENT if route == "/audit/ingest" else ROUTES[route][0], {"nothing": "right"}, 7):
            answer = client.post(f"/api{route}", body, content_type="application/json", headers={**said, "Idempotency-Key": key})
            assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json"), (key, answer.text)
            assert answer.json()["type"] == "urn:orchestrator:bad-idempotency-key"
    assert rows_and_events() == (0, 0, 0, 0)


@pytest.mark.parametrize("key", ["a", "x" * 128, "A-Z_0.9:z", NOBODYS])
def test_a_key_is_the_same_bare_and_quoted(finance_door: Door, key: str) -> None:
    first = send(finance_door, "/sessions", {"agent_role": "finance"}, f'"{key}"')
    assert first.status_code == 201
    assert same(first, send(finance_door, "/sessions", {"agent_role": "finance"}, key))


def test_a_key_is_required_for_routing_alone(finance_door: Door) -> None:
    refused(finance_door.post("/tasks/route", json={"target": "manager", "task": {"type": "x"}}), 400)
    assert [finance_door.post("/sessions", json={"agent_role": "finance"}).status_code for _ in range(2)] == [201, 201]
    assert count("sessions") == 2


def test_where_no_key_is_honoured_it_is_not_even_read(finance_door: Door) -> None:
    id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    for status in ("active", "completed"):
        answer = finance_door.put(f"/sessions/{id}", json={"status": status}, headers={"Idempotency-Key": "no good"})
        assert answer.json()["state"] == status


# --- at the same time ----------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
def test_twenty_threads_with_one_key_make_one_row_and_one_event(finance_door: Door, route: str) -> None:
    body = body_of(route, finance_door)
    before = rows_and_events()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: send(finance_door, route, body, "k"), range(20)))
    assert {answer.status_code for answer in answers} <= {201, 202, 409}
    for answer in answers:
        assert answer.status_code != 409 or int(answer.headers["Retry-After"]) >= 1
    assert len({answer.content for answer in answers if answer.is_success}) == 1
    assert sum(answer.is_success and "Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert count(ROUTES[route][1]) == before[list(ROUTES).index(route)] + 1
    assert incomplete() == [] and len(told(answers[0].headers.get("Location", "").rsplit("/")[-1])) <= 1


def test_fifty_duplicates_of_each_of_ten_keys_make_ten_tasks(finance_door: Door, server: str) -> None:
    calls = [f"key-{n % 10}" for n in range(500)]
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda key: (key, finance_door.route(key=key)), calls))
    assert Counter(answer.status_code for _, answer in answers).keys() <= {202, 409}
    for key in set(calls):
        assert len({answer.content for name, answer in answers if name == key and answer.status_code == 202}) == 1
    assert (count("tasks"), count("sessions"), count("audit_events")) == (10, 10, 20)


def test_while_the_first_call_still_runs_a_duplicate_is_told_to_come_back(finance_door: Door, database: None) -> None:
    """The first one is held open in a transaction of this process, as a stuck worker would hold it."""
    done, held = threading.Event(), threading.Event()
    body = {"agent_role": "finance"}
    digest = hashlib.sha256(b'{"agent_role":"finance"}').hexdigest()

    def stuck() -> None:
        with transaction.atomic():
            actions.open_session(actor=agent("finance-agent", "finance"), role="finance", key=Key("k", digest))
            held.set()
            done.wait(10)
        connection.close()

    with ThreadPoolExecutor() as pool:
        first = pool.submit(stuck)
        assert held.wait(5)
        began = time.monotonic()
        duplicate = send(finance_door, "/sessions", body, "k")
        assert time.monotonic() - began < 2
        refused(duplicate, 409)
        assert duplicate.headers["Retry-After"] == "1"
        done.set()
        first.result()
    replay = send(finance_door, "/sessions", body, "k")
    assert replay.status_code == 201 and replay.headers["Idempotent-Replayed"] == "true"
    assert count("sessions") == count("audit_events") == 1


# --- what consumes no key ------------------------------------------------------------------------------


def test_a_refused_call_consumes_no_key(finance_door: Door) -> None:
    refused(send(finance_door, "/sessions", {"agent_role": "finance", "metadata": 1}, "k"), 422)
    refused(send(finance_door, "/sessions", {"agent_role": "manager"}, "k"), 403)
    refused(send(finance_door, "/sessions", {"agent_role": "finance", "task_id": str(uuid4())}, "k"), 404)
    assert send(finance_door, "/sessions", {"agent_role": "finance"}, "k").status_code == 201
    session_id = finance_door.get(f"/sessions/{finance_door.route().json()['task_id']}").json()["session_id"]
    refused(finance_door.route(key="r", session_id=session_id), 409)
    assert finance_door.route(key="r").status_code == 202


def test_a_call_that_broke_down_consumes_no_key(store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    said = {"Authorization": f"Bearer {own_token('finance-agent', ['finance', 'agent'], 60)}", "Idempotency-Key": "k"}
    body = {"target": "manager", "task": {"type": "x"}}

    def post() -> Any:
        return client.post("/api/tasks/route", body, content_type="application/json", headers=said)

    real = audit.models.insert

    def broken(row: Any, verb: str, **details: Any) -> None:
        real(row, verb, **details)
        if verb == "routed":
            raise ZeroDivisionError

    monkeypatch.setattr(actions, "insert", broken)
    failed = post()
    assert failed.status_code == 500 and failed["Content-Type"] == "application/problem+json" and "Zero" not in failed.text
    assert rows_and_events() == (0, 0, 0, 0)
    monkeypatch.setattr(actions, "insert", real)
    assert post().status_code == 202 and count("tasks") == 1


@pytest.mark.parametrize("route", ROUTES)
def test_a_key_past_its_time_is_free_again(finance_door: Door, route: str) -> None:
    body, table = body_of(route, finance_door), ROUTES[route][1]
    first = send(finance_door, route, body, "k")
    id = bare(first.headers["Location"].rsplit("/")[-1])
    rewrite(f"UPDATE {table} SET created_at = now() - interval '86401 seconds' WHERE id = %s", id)
    forget()
    if route == "/approvals":  # while it is open it would be found
        rewrite("UPDATE approvals SET expires_at = now() - interval '1 second' WHERE id = %s", id)
    second = send(finance_door, route, body, "k")
    assert second.status_code == first.status_code and "Idempotent-Replayed" not in second.headers
    assert second.content != first.content
    forget()
    assert same(second, send(finance_door, route, body, "k"))
    assert count(table) == 2 and incomplete() == []


def test_a_key_within_its_time_is_held_though_nobody_has_a_copy(finance_door: Door) -> None:
    first = finance_door.route(key="k")
    rewrite("UPDATE tasks SET created_at = now() - interval '86300 seconds' WHERE id = %s", bare(first.json()["task_id"]))
    forget()
    assert same(first, finance_door.route(key="k"))


# --- events that callers report ------------------------------------------------------------------------


def test_a_reported_event_is_taken_once_per_key_for_good(finance_door: Door, felix_door: Door) -> None:
    first = send(finance_door, "/audit/ingest", EVENT, "k")
    assert first.status_code == 202 and list(first.json()) == ["event_id"]
    for _ in range(2):
        again = send(finance_door, "/audit/ingest", EVENT, '"k"')
        assert (again.status_code, again.content) == (202, first.content) and again.headers["Idempotent-Replayed"] == "true"
        forget()
    refused(send(finance_door, "/audit/ingest", {**EVENT, "source": "erp"}, "k"), 422, "idempotency-key-reused")
    assert send(felix_door, "/audit/ingest", EVENT, "k").json() != first.json()
    assert finance_door.post("/audit/ingest", json=EVENT).json() != first.json()
    assert count("audit_events") == 3


def test_twenty_threads_report_one_event(finance_door: Door) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: send(finance_door, "/audit/ingest", EVENT, "k"), range(20)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert count("audit_events") == 1


# --- Redis ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"\xff\xfe", b"null", b"[1]", b'{"digest": 1}', b'{"digest": "x", "body": "{}", "location": "/"}']
)
def test_garbage_in_redis_changes_no_answer(finance_door: Door, garbage: bytes) -> None:
    first = finance_door.route(key="k")
    redis = get_redis_connection()
    names = [name for name in redis.keys("*") if redis.type(name) == b"string"]
    assert names
    for name in names:
        redis.set(name, garbage)
    assert same(first, finance_door.route(key="k"))
    refused(finance_door.route(key="k", context={"other": 1}), 422, "idempotency-key-reused")


def test_a_copy_of_another_type_in_redis_changes_no_answer(finance_door: Door) -> None:
    first = finance_door.route(key="k")
    redis = get_redis_connection()
    for name in redis.keys("*"):
        redis.delete(name)
        redis.lpush(name, "x")
    assert same(first, finance_door.route(key="k"))


@pytest.fixture(scope="module")
def without_redis(database: None) -> Iterator[str]:
    """The address of a server that finds nobody at REDIS_URL."""
    with served(REDIS_URL="unix:///nowhere/redis.sock?db=0") as running:
        yield running.url


def test_without_redis_all_answers_are_the_same(store: None, without_redis: str) -> None:
    with Door(without_redis, "finance-agent", "finance", "agent") as door:
        assert httpx.get(f"{without_redis}/health").json()["status"] == "degraded"
        first = door.route(key="k")
        assert first.status_code == 202 and same(first, door.route(key="k"))
        refused(door.route(key="k", context={"other": 1}), 422, "idempotency-key-reused")
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: door.route(key=f"k{n % 20}"), range(200)))
        assert {answer.status_code for answer in answers} <= {202, 409}
    assert count("tasks") == 21 and incomplete() == []


def test_a_replay_is_found_on_the_server_without_redis_and_back(finance_door: Door, without_redis: str) -> None:
    with Door(without_redis, "finance-agent", "finance", "agent") as door:
        first = door.route(key="k")
        assert same(first, finance_door.route(key="k"))
        second = finance_door.route(key="k2")
        assert same(second, door.route(key="k2"))


def test_no_reply_about_a_request_is_replayed_without_the_role(door: Open) -> None:
    before, after = door("rolex", "finance"), door("rolex", "legal")
    task = before.route().json()["task_id"]
    body = {"task_id": task, "approver_role": "manager"}
    assert send(before, "/approvals", body, "k").status_code == 202
    refused(send(after, "/approvals", body, "k"), 403)
    assert send(before, "/approvals", body, "k").headers["Idempotent-Replayed"] == "true"


def test_in_which_role_it_was_asked_stays_whatever_becomes_of_the_task(door: Open) -> None:
    both, one, other = door("rolex", "finance", "legal"), door("rolex", "finance"), door("rolex", "legal")
    task = both.route(target="legal", from_role="finance").json()["task_id"]
    body = {"task_id": task, "approver_role": "manager"}
    assert send(both, "/approvals", body, "k").status_code == 202
    assert both.put(f"/tasks/{task}", json={"status": "active"}).status_code == 200
    for _ in range(2):
        refused(send(other, "/approvals", body, "k"), 403)
        assert send(one, "/approvals", body, "k").headers["Idempotent-Replayed"] == "true"
        cache.clear()
