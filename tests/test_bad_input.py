"""Hostile bodies, headers, paths and queries: always an answer with a reason, never a 5xx."""

import json
import socket
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals import actions as approvals
from approvals.models import Approval
from orchestrator.identity import own_token
from sessions import actions
from sessions.models import Session
from tests.conftest import Door, agent
from tests.evidence import NOBODYS, count, refused

MIB = 1024 * 1024
LISTS = ["/sessions", "/tasks", "/approvals", "/audit"]


@cache
def client() -> Client:
    """One for all: it loads the middleware once."""
    return Client(raise_request_exception=False, enforce_csrf_checks=True)


class Desk:
    """The API as a caller in this process sees it, with one of everything there."""

    def __init__(self) -> None:
        sender = agent("finance-agent", "finance")
        task = actions.route_task(actor=sender, target="manager", task_type="x").row
        approvals.ask(actor=sender, task_id=task.pk, approver_role="manager")
        self.client = client()
        everything = ["finance", "manager", "admin", "auditor"]
        self.said = {"Authorization": f"Bearer {own_token('everybody', everything, 3600)}"}
        self.ids = {"session": Session.objects.get().pk, "task": task.pk, "approval": Approval.objects.get().pk}
        self.routes = [
            ("POST", "/sessions"), ("PUT", f"/sessions/{self.ids['session']}"), ("POST", "/tasks/route"),
            ("PUT", f"/tasks/{self.ids['task']}"),
            ("POST", "/approvals"), ("POST", f"/approvals/{self.ids['approval']}/decision"),
            ("POST", f"/approvals/{self.ids['approval']}/cancel"), ("POST", "/audit/ingest"),
        ]  # fmt: skip

    def call(self, method: str, path: str, body: bytes = b"", kind: str = "application/json", headers: dict[str, str] | None = None) -> Any:
        """The answer; every error must be a problem of ours."""
        more = dict(headers or {})
        if method == "POST" and path.startswith("/tasks/route"):
            more.setdefault("Idempotency-Key", uuid4().hex)
        answer = self.client.generic(method, f"/api{path}", body, content_type=kind, headers={**self.said, **more})
        check(answer.status_code, answer.headers, answer.content if not answer.streaming else b"", method)
        return answer


def check(status: int, headers: Any, content: bytes, method: str = "GET") -> None:
    """No 5xx, and every error as the contract shapes it, with nothing of our insides."""
    assert status < 500, (status, content)
    assert headers["X-Trace-Id"]
    if status < 400:
        return
    assert headers["Content-Type"] == "application/problem+json", (status, content)
    if method == "HEAD":
        return
    said = json.loads(content)
    assert said["status"] == status and said["trace_id"] == headers["X-Trace-Id"]
    assert said["type"].startswith("urn:orchestrator:") and said["title"] and said["detail"]
    assert status != 422 or said["errors"]
    for inside in ("Traceback", "psycopg", "SELECT", "pydantic", "django", "line 1 of"):
        assert inside not in said["detail"]


@pytest.fixture
def desk(store: None) -> Desk:
    """The API in this process."""
    return Desk()


# --- bodies --------------------------------------------------------------------------------------------

NO_JSON = {
    "nothing at all": b" ", "half an object": b'{"a": ', "not a number": b'{"a": NaN}', "infinity": b'{"a": -Infinity}',
    "beyond all numbers": b'{"a": 1e400}', "400 digits": b'{"a": ' + b"9" * 400 + b"}", "5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "5000 arrays": b"[" * 5000 + b"]" * 5000, "5000 objects": b'{"a":' * 5000 + b"1" + b"}" * 5000, "100000 brackets": b"[" * 100_000,
    "65 levels": b'{"a":' * 65 + b"1" + b"}" * 65, "a member twice": b'{"a": 1, "a": 1}', "twice below": b'{"a": {"b": 1, "b": 2}}',
    "a NUL": rb'{"a": "\u0000"}', "a NUL as a name": rb'{"\u0000": 1}', "half a surrogate pair": rb'{"a": "\ud800"}',
    "surrogates the wrong way": rb'{"a": "\udc00\ud800"}', "a bare NUL": b'{"a": "\x00"}', "a bare control": b'{"a": "\x01"}',
    "latin-1": '{"a": "ä"}'.encode("latin-1"), "utf-16": '{"a": 1}'.encode("utf-16"), "utf-16 bare": '{"a": 1}'.encode("utf-16-le"),
    "a byte order mark": '{"a": 1}'.encode("utf-8-sig"), "overlong": b'{"a": "\xc0\x80"}', "a surrogate in utf-8": b'{"a": "\xed\xa0\x80"}',
    "two values": b"{}{}", "a comma too many": b'{"a": 1,}', "single quotes": b"{'a': 1}", "a comment": b"{/* */}", "xml": b"<a/>",
    "hexadecimal": b'{"a": 0x10}', "bytes": bytes(range(256)),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_JSON)
def test_what_is_no_strict_json_is_400_on_every_route(desk: Desk, case: str) -> None:
    events = count("audit_events")
    for method, path in desk.routes:
        answer = desk.call(method, path, NO_JSON[case])
        assert answer.status_code == 400, (path, answer.content)
    assert count("audit_events") == events


@pytest.mark.parametrize("body", ["[]", "[1]", "1", "0", "-1.5", '""', '"x"', "true", "false", "null", "[{}]"])
def test_what_is_no_object_is_422_on_every_route(desk: Desk, body: str) -> None:
    for method, path in desk.routes:
        answer = desk.call(method, path, body.encode())
        if not (body == "null" and path.endswith("/cancel")):
            assert answer.status_code == 422, (path, answer.content)


def test_an_empty_body_is_a_refusal_except_where_none_is_needed(desk: Desk) -> None:
    for method, path in desk.routes:
        answer = desk.call(method, path)
        assert answer.status_code == (200 if path.endswith("/cancel") else 422), (path, answer.content)


KINDS = [
    "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin-1",
    "application/json; charset=utf-16", "application/jsonp", "application/json, text/plain", "json", "text/json",
    "application/problem+json",
    "application/json;" * 50,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_is_not_said_to_be_json_is_415_on_every_route(desk: Desk, kind: str) -> None:
    for method, path in desk.routes:
        assert desk.call(method, path, b"{}", kind).status_code == 415, path


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"']
)
def test_json_is_json_however_its_type_is_written(desk: Desk, kind: str) -> None:
    assert desk.call("POST", "/sessions", b'{"agent_role": "finance"}', kind).status_code == 201


def test_a_compressed_body_is_415(desk: Desk) -> None:
    assert desk.call("POST", "/sessions", b"{}", headers={"Content-Encoding": "gzip"}).status_code == 415


def test_a_get_may_carry_a_content_type_without_a_body(desk: Desk) -> None:
    for kind in ("application/json", "text/plain", ""):
        assert desk.call("GET", "/sessions", kind=kind).status_code == 200


def test_whatever_can_be_kept_comes_back_as_it_was(desk: Desk) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    kept = {
        "": "", "\u2028": "\uffff \U0001f600 \x7f\x01", "big": 10**300, "small": -0.1, "deep": deep, "null": None, "__proto__": {"a": []},
        "$where": "1; DROP TABLE sessions", "e": 1e-300, "max": 2**63, "x" * 10_000: "y",
    }  # fmt: skip
    opened = desk.call("POST", "/sessions", json.dumps({"agent_role": "finance", "metadata": kept}).encode())
    assert opened.status_code == 201, opened.content
    assert desk.call("GET", f"/sessions/{opened.json()['session_id']}").json()["metadata"] == kept


def test_a_million_bytes_of_different_words_are_no_reason_to_break_down(desk: Desk) -> None:
    """The text search has limits of its own."""
    words = " ".join(f"{n:x}" for n in range(160_000))
    id = desk.ids["session"]
    for body in ({"metadata": {"a": words}}, {"metadata": {"a": words[::-1]}}, {"metadata": {"b": "x" * 1_000_000}}):
        answer = desk.call("PUT", f"/sessions/{id}", json.dumps(body).encode())
        assert answer.status_code in (200, 413, 422), answer.content
    assert desk.call("GET", f"/sessions/{id}").status_code == 200


def test_a_body_beyond_one_mebibyte_is_413(desk: Desk) -> None:
    fits = b'{"agent_role": "finance", "metadata": {"a": "' + b"x" * (MIB - 48) + b'"}}'
    assert len(fits) == MIB
    assert desk.call("POST", "/sessions", fits).status_code == 201
    for method, path in desk.routes:
        assert desk.call(method, path, fits + b" ").status_code == 413


def raw(server: str, head: str, body: bytes = b"", parts: int = 1) -> bytes:
    """What comes back for these very bytes."""
    address = urlsplit(server)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as wire:
        wire.sendall(head.encode("latin-1") + b"\r\n\r\n")
        try:
            for _ in range(parts):
                wire.sendall(body)
        except OSError:  # it answered before it had read everything
            pass
        answer = b""
        try:
            while piece := wire.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def test_a_chunked_body_counts_as_any_other(finance_door: Door, server: str) -> None:
    def pieces(size: int) -> Iterator[bytes]:
        yield b'{"agent_role": "finance", "metadata": {"a": "'
        for _ in range(size // 4096):
            yield b"x" * 4096
        yield b'"}}'

    said = {"Content-Type": "application/json"}
    assert finance_door.post("/sessions", content=pieces(8192), headers=said).status_code == 201
    assert finance_door.post("/sessions", content=pieces(3 * MIB), headers=said).status_code == 413
    assert finance_door.post("/sessions", content=iter([b""]), headers=said).status_code == 422
    assert finance_door.post("/sessions", content=pieces(8192), headers={"Content-Type": "text/plain"}).status_code == 415
    assert count("sessions") == 1


def test_three_mebibytes_in_one_piece_are_413(finance_door: Door) -> None:
    answer = finance_door.post("/sessions", content=b"x" * 3 * MIB, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    check(413, answer.headers, answer.content)


@pytest.mark.parametrize("length", ["-1", "x", "1.5", "99999999999999999999", "+5", "1_0"])
def test_a_length_that_is_none_breaks_nothing(server: str, finance_door: Door, length: str) -> None:
    bearer = finance_door.headers["Authorization"]
    head = f"POST /api/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: {bearer}\r\nContent-Length: {length}"
    answer = raw(server, head, b"{}")
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]


# --- what hypothesis thinks of -------------------------------------------------------------------------

TEXT = st.text(max_size=30) | st.sampled_from(
    ["", " ", "\0", "finance", "manager", "admin", "active", "approved", "rejected", "x" * 60, "İ", "\u017f"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**320), 10**320) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
MEMBERS = [
    "agent_role", "task_id", "metadata", "status", "target", "task", "task_type", "type", "data", "context", "session_id", "from_role",
    "result", "approver_role", "reason", "comments", "expires_in", "decision", "source", "category", "action", "subject", "traceId",
    "timestamp", "content", "description",
]  # fmt: skip
MANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@settings(MANY, max_examples=150)
@given(route=st.integers(0, 7), given=st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=6), own=st.booleans())
def test_whatever_json_comes_no_route_breaks_down(desk: Desk, route: int, given: dict[str, Any], own: bool) -> None:
    method, path = desk.routes[route]
    rights: dict[str, dict[str, Any]] = {
        "/sessions": {"agent_role": "finance"},
        "/tasks/route": {"target": "manager", "from_role": "finance", "task": {"type": "x", **given}},
        "/approvals": {"task_id": str(desk.ids["task"]), "approver_role": "legal"},
        "/audit/ingest": {"source": "x", "category": "x", "action": "x"},
    }
    change: dict[str, Any] = {"status": "active", "decision": "approved"}
    right = rights.get(path, change)
    desk.call(method, path, json.dumps({**right, **given} if own else given).encode())


@settings(MANY, max_examples=40)
@given(route=st.integers(0, 7), body=st.binary(max_size=80))
def test_whatever_bytes_come_no_route_breaks_down(desk: Desk, route: int, body: bytes) -> None:
    desk.call(*desk.routes[route], body)


PARAMETERS = [
    "page", "page_size", "cursor", "since", "until", "status", "q", "agent_role", "target", "task_type", "task_id", "approver_role",
    "subject", "event_type", "role", "actor", "trace_id", "wait",
]  # fmt: skip
VALUES = [
    "", "0", "-1", "1e3", "1.0", "٣", "\uff19", "1" * 400, "nan", "inf", "-inf", "true", "0x10", " 1 ", "+1", "1_000", "\0", "%", "%00",
    "\ud7ff", "\uffff",
    "0001-01-01T00:00:00+14:00", "0001-01-01", "9999-12-31T23:59:59.999999-14:00", "10000-01-01", "2026-02-30", "2026-01-01T25:00:00",
    "2026-01-01T00:00:00+99:99", "-1", "-62135596801", "253402300800", "1e30", "1e400", "P1D", "now", "yesterday", "' OR 1=1 --",
    "a & | ! :* <->",
    "\\", "(((", "x" * 5000, "[]", "{}", "null", "session-", NOBODYS, f"task-{NOBODYS}", "zz:zz:zz", ".eJw:1:1", "é", "İ",
]  # fmt: skip


@pytest.mark.parametrize("path", [*LISTS, "/audit/export"])
def test_whatever_a_query_says_no_list_breaks_down(desk: Desk, path: str) -> None:
    for name, value in product(PARAMETERS, VALUES):
        desk.call("GET", f"{path}?{name}={quote(value, errors='surrogatepass')}")


@settings(MANY, max_examples=60)
@given(path=st.sampled_from(LISTS), query=st.dictionaries(st.sampled_from([*PARAMETERS, "x", ""]), st.text(max_size=20), max_size=4))
def test_whatever_parameters_come_no_list_breaks_down(desk: Desk, path: str, query: dict[str, str]) -> None:
    pairs = "&".join(f"{quote(name)}={quote(value)}" for name, value in query.items())
    desk.call("GET", f"{path}?{pairs}")


@pytest.mark.parametrize("query", ["page=%00", "q=%00", "%00=1", "q=a%00b", "cursor=%00"])
def test_a_nul_in_the_query_is_refused(desk: Desk, query: str) -> None:
    assert desk.call("GET", f"/sessions?{query}").status_code in (400, 422)


@pytest.mark.parametrize("query", ["%ff=1", "q=%ff%fe", "&&&", "=", "page", "page=1&page=2", "q=%ed%a0%80", "?", "a[]=1", ";", "%"])
def test_a_query_that_cannot_be_read_breaks_nothing(desk: Desk, query: str) -> None:
    desk.call("GET", f"/sessions?{query}")


# --- paths, methods, headers ---------------------------------------------------------------------------

PATHS = [
    "", "/", "/nothing", "/sessions/", "/sessions//", "//sessions", "/sessions/x/y/z", "/sessions/..%2f..%2fetc", "/tasks/route/",
    "/Sessions",
    "/approvals/x/decision/", "/api/sessions", "/profiles/manager", "/audit/", "/health/", "/sessions/x/heartbeats",
]  # fmt: skip
IDS = [
    "%ff",
    "%ed%a0%80",
    "a" * 5000,
    "%e2%80%8b",
    "%F0%9F%98%80",
    "'%20OR%201=1",
    "..",
    "%2e%2e",
    "-",
    "session-",
    "task-",
    NOBODYS + "%0a",
]


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_path_is_a_404_problem_whatever_the_method(desk: Desk, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        answer = desk.call(method, path, b"" if method == "GET" else b"{}")
        assert answer.status_code == 404, (method, answer.content)
        assert "Location" not in answer.headers


@pytest.mark.parametrize("id", IDS)
def test_an_id_that_is_none_is_a_404_problem(desk: Desk, id: str) -> None:
    for path in (f"/sessions/{id}", f"/tasks/{id}", f"/approvals/{id}"):
        assert desk.call("GET", path).status_code == 404, path
    assert desk.call("POST", f"/approvals/{id}/decision", b'{"decision": "approved"}').status_code == 404
    assert desk.call("PUT", f"/tasks/{id}", b'{"status": "active"}').status_code == 404
    assert desk.call("POST", f"/sessions/{id}/heartbeat").status_code == 404


def test_a_nul_in_the_path_is_refused(desk: Desk) -> None:
    for path in ("/%00", "/sessions/%00", f"/sessions/{desk.ids['session']}%00"):
        assert desk.call("GET", path).status_code in (400, 404)


def test_an_unknown_path_is_404_without_a_token_too(server: str, store: None) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = httpx.request(method, f"{server}/api/nothing")
        assert answer.status_code == 404
        check(404, answer.headers, answer.content)


def test_a_known_path_says_which_methods_it_takes(desk: Desk) -> None:
    taken = {
        "/sessions": {"GET", "POST"},
        f"/sessions/{uuid4()}": {"GET", "PUT"},
        "/tasks/route": {"POST"},
        "/tasks": {"GET"},
        "/health": {"GET"},
    }
    for path, methods in taken.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - methods:
            if path == "/tasks/route" and method in {"GET", "PUT"}:
                continue  # there it is a task's id
            answer = desk.call(method, path)
            assert answer.status_code == 405, (method, path, answer.content)
            assert methods <= {allowed.strip() for allowed in answer["Allow"].split(",")}


def test_head_answers_as_get_without_a_body_and_keeps_the_connection(finance_door: Door, server: str) -> None:
    for _ in range(3):
        head, get = finance_door.head("/sessions"), finance_door.get("/sessions")
        assert (head.status_code, head.content) == (get.status_code, b"") == (200, b"")
        assert finance_door.head("/nothing").status_code == 404
    bearer = finance_door.headers["Authorization"]
    answer = raw(server, f"HEAD /api/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: {bearer}")
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml", "nonsense"])
def test_who_accepts_no_json_is_406(desk: Desk, accept: str) -> None:
    assert desk.call("GET", "/sessions", headers={"Accept": accept}).status_code == 406


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/*",
        "application/json",
        "application/json; charset=utf-8",
        "text/html, application/json;q=0.1",
        "application/problem+json",
    ],
)
def test_who_accepts_json_gets_it(desk: Desk, accept: str) -> None:
    assert desk.call("GET", "/sessions", headers={"Accept": accept}).status_code == 200


HEADERS = [
    "If-Match",
    "Idempotency-Key",
    "X-Trace-Id",
    "traceparent",
    "Accept",
    "Content-Type",
    "Accept-Language",
    "Range",
    "If-None-Match",
    "Cookie",
]


@pytest.mark.parametrize("name", HEADERS)
def test_no_headers_value_breaks_anything_down(desk: Desk, name: str) -> None:
    id = desk.ids["session"]
    for value in [
        "",
        " ",
        '"',
        '"x',
        "*, *",
        ",,,",
        '"' + "9" * 400 + '"',
        '"-1"',
        "é",
        "\x00",
        "\x7f",
        "x" * 7000,
        "W/",
        "0" * 32,
        "application/",
    ]:
        kind = value if name == "Content-Type" else "application/json"
        headers = {} if name == "Content-Type" else {name: value}
        desk.call("PUT", f"/sessions/{id}", b'{"status": "active"}', kind, headers)
        desk.call("POST", "/tasks/route", b'{"target": "manager", "from_role": "finance", "task": {"type": "x"}}', kind, headers)
        desk.call("GET", f"/sessions/{id}", kind=kind, headers=headers)


@pytest.mark.parametrize(
    "bearer", ["", "Bearer", "Bearer ", "Bearer  ", "Basic eDp5", "Bearer a.b.c", "Bearer é.ü.ß", "Bearer " + "x" * 7000, "bearer\tx", "x"]
)
def test_whatever_stands_for_a_token_is_401_and_says_bearer(desk: Desk, bearer: str) -> None:
    for path in (*LISTS, "/me", "/roles"):
        answer = desk.call("GET", path, headers={"Authorization": bearer})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith('Bearer error="')


# --- outside /api --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sessions", "/tasks/route", "/approvals", "/sessions/", "/audit/ingest", "/nothing", "/", "/approvals/"])
def test_an_api_request_outside_of_it_is_a_404_that_names_it(finance_door: Door, server: str, path: str) -> None:
    bearer = {"Authorization": str(finance_door.headers["Authorization"])}
    answers = [
        httpx.get(f"{server}{path}", headers=bearer),
        httpx.post(f"{server}{path}", headers=bearer, json={}),
        httpx.post(f"{server}{path}", json={"target": "manager"}),
        httpx.put(f"{server}{path}", content=b"{}", headers={"Content-Type": "application/json; charset=utf-8"}),
        httpx.get(f"{server}{path}", headers={"Authorization": bearer["Authorization"].replace("Bearer", "bearer")}),
    ]
    for answer in answers:
        assert answer.status_code == 404
        check(404, answer.headers, answer.content)
        assert "/api" in answer.json()["detail"]


def test_probes_answer_whatever_the_request_carries(finance_door: Door, server: str) -> None:
    bearer = {"Authorization": str(finance_door.headers["Authorization"]), "Content-Type": "application/json"}
    for path in ("/health", "/livez", "/status", "/api/health", "/api/status"):
        assert httpx.get(f"{server}{path}", headers=bearer).status_code == 200
        assert httpx.get(f"{server}{path}").status_code == 200


def test_a_login_cookie_opens_no_door_of_the_api(store: None) -> None:
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    for path in LISTS:
        assert client.get(f"/api{path}").status_code == 401


def test_a_host_that_is_not_ours_is_refused(desk: Desk) -> None:
    assert desk.call("GET", "/nothing", headers={"Host": "evil.example"}).status_code in (400, 404)
    assert desk.call("GET", "/sessions", headers={"Host": "evil.example"}).status_code == 400


def cut(server: str, path: str, bearer: str, body: bytes, announced: int) -> bytes:
    """What is answered to a body that ends before its announced length."""
    head = (
        f"POST /api{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\n"
    )
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(head.encode() + f"Content-Length: {announced}\r\n\r\n".encode() + body)
        wire.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: wire.recv(65536), b""))


def test_a_body_that_ends_too_early_changes_nothing(finance_door: Door, server: str) -> None:
    bearer = finance_door.headers["Authorization"]
    answer = cut(server, "/sessions", bearer, b'{"agent_role":"finance"}', 100)
    assert answer.startswith(b"HTTP/1.1 400") and b"ended before" in answer
    assert count("sessions") == 0
    assert cut(server, "/sessions", bearer, b'{"agent_role":"finance"}', 24).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("charset", ["hex", "rot13", "zlib", "utf-7", "undefined", "idna", "utf-16", "nonsense"])
@pytest.mark.parametrize("path", ["/api/me?x=1", "/health?x=1", "/sign-in/?next=%2B2AA-", "/static/nothing?x=%2BAAA-"])
def test_no_charset_changes_how_an_address_is_read(finance_door: Door, server: str, charset: str, path: str) -> None:
    answer = httpx.get(server + path, headers={"Content-Type": f"text/plain; charset={charset}"})
    assert answer.status_code < 500 and "X-Trace-Id" in answer.headers
    listed = finance_door.get("/sessions?agent_role=%2BAAA-", headers={"Content-Type": f"application/json; charset={charset}"})
    assert (listed.status_code, listed.json()["sessions"]) == (200, [])


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [("Cookie", 'sessionid="\\000aaaaaaaa"', "/"), ("SCRIPT_NAME", "/foo", "/api/me"), ("SCRIPT_NAME", "/api", "/")],
)
def test_odd_headers_break_nothing(store: None, server: str, name: str, value: str, path: str) -> None:
    answer = httpx.get(server + path, headers={name: value})
    assert answer.status_code in (302, 400, 401)


def test_a_too_large_body_leaves_the_connection_in_order(finance_door: Door) -> None:
    said = {"Content-Type": "application/json"}
    for _ in range(5):
        assert finance_door.post("/sessions", content=b"x" * 3 * MIB, headers=said).status_code == 413
        assert finance_door.get("/me").status_code == 200


def test_a_heartbeat_takes_no_body(finance_door: Door) -> None:
    session = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    refused(finance_door.post(f"/sessions/{session}/heartbeat", json={"x": 1}), 422)
    assert finance_door.post(f"/sessions/{session}/heartbeat").status_code == 204


def test_only_ascii_letters_fold(finance_door: Door) -> None:
    refused(finance_door.route(target="ban\u212a"), 422)
    assert finance_door.route(target=" BANK ").status_code == 202
