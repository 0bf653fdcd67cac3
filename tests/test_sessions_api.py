"""`/api/sessions`: opening, reading, moving, merging, adopting a task, lists and cursors."""

import time
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Door, Open
from tests.evidence import NOBODYS, count, fields, incomplete, lapse_session, last_event, refused, sql, told

SHAPE = ["session_id", "agent_role", "state", "task_id", "metadata", "trace_id", "created_at", "updated_at"]
STATES = ["pending", "active", "completed", "failed", "expired"]
MOVES = {"pending": {"active", "expired"}, "active": {"completed", "failed", "expired"}}


def opened(door: Door, **body: Any) -> str:
    """The id of a new session of finance."""
    answer = door.post("/sessions", json={"agent_role": "finance", **body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


def opened_in(door: Door, state: str) -> str:
    """The id of a session in that state."""
    id = opened(door)
    for step in {"pending": [], "active": ["active"], "expired": ["expired"]}.get(state, ["active", state]):
        assert door.put(f"/sessions/{id}", json={"status": step}).status_code == 200
    return id


def notified(door: Door) -> str:
    """The id of a task that no session carries."""
    return str(door.route(task={"task_type": "notification", "description": "The books are closed."}).json()["task_id"])


# --- opening -------------------------------------------------------------------------------------------


def test_opening_answers_201_with_the_id_the_first_status_and_where_it_is(finance_door: Door) -> None:
    answer = finance_door.post("/sessions", json={"agent_role": " Finance ", "metadata": {"goal": "close the books"}})
    assert answer.status_code == 201
    assert list(answer.json()) == ["session_id", "status"] and answer.json()["status"] == "pending"
    id = answer.json()["session_id"]
    assert UUID(id).version == 7
    assert answer.headers["Location"] == f"/api/sessions/{id}" and answer.headers["ETag"] == '"1"'
    read = finance_door.get(f"/sessions/{id}")
    assert list(read.json()) == SHAPE and read.headers["ETag"] == '"1"'
    assert (read.json()["agent_role"], read.json()["state"], read.json()["task_id"]) == ("finance", "pending", None)
    assert read.json()["metadata"] == {"goal": "close the books"}
    assert told(id) == ["session.opened"]


@pytest.mark.parametrize("write", ["{}", "session-{}", "SESSION-{}", " session-{} "])
def test_an_id_is_taken_with_or_without_prefix_in_any_case(finance_door: Door, write: str) -> None:
    id = opened(finance_door)
    for text in (write.format(id), write.format(id.upper())):
        assert finance_door.get(f"/sessions/{text}").json()["session_id"] == id


@pytest.mark.parametrize("id", ["x", "task", NOBODYS[:-1], f"approval-{NOBODYS}", NOBODYS.replace("-", ""), "{" + NOBODYS + "}"])
def test_a_malformed_id_or_another_kinds_is_404_in_a_path(finance_door: Door, id: str) -> None:
    refused(finance_door.get(f"/sessions/{id}"), 404, "not-found")


def test_one_opens_a_session_only_in_a_role_of_ones_own(finance_door: Door) -> None:
    refused(finance_door.post("/sessions", json={"agent_role": "manager"}), 403, "not-allowed")
    assert count("sessions") == count("audit_events") == 0


@pytest.mark.parametrize("role", ["agent", "auditor", "admin", "ADMIN", "", "  ", "9lives", "two words", "x" * 51, 7, None])
def test_what_is_no_place_on_the_org_chart_is_422(door: Open, role: Any) -> None:
    everything = door("root", "admin", "agent", "auditor", "finance")
    assert fields(refused(everything.post("/sessions", json={"agent_role": role}), 422)) == ["agent_role"]


def test_unknown_members_and_parameters_are_422_and_named(finance_door: Door) -> None:
    body = {"agent_role": "finance", "metdata": {}, "state": "active"}
    assert fields(refused(finance_door.post("/sessions", json=body), 422)) == ["metdata", "state"]
    answer = finance_door.get("/sessions", params={"stauts": "active"})
    assert fields(refused(answer, 422)) == ["stauts"]
    assert fields(refused(finance_door.post("/sessions?dry=1", json={"agent_role": "finance"}), 422)) == ["dry"]


def test_null_for_an_optional_member_means_left_out(finance_door: Door) -> None:
    id = opened(finance_door, metadata=None, task_id=None)
    assert finance_door.put(f"/sessions/{id}", json={"status": None, "metadata": None, "task_id": None}).status_code == 200
    assert told(id) == ["session.opened"]


@pytest.mark.parametrize("metadata", [[], "x", 1, True])
def test_metadata_is_an_object(finance_door: Door, metadata: Any) -> None:
    body = {"agent_role": "finance", "metadata": metadata}
    assert fields(refused(finance_door.post("/sessions", json=body), 422)) == ["metadata"]


# --- trace ---------------------------------------------------------------------------------------------


def test_the_request_that_opens_the_session_gives_its_trace_id(finance_door: Door) -> None:
    trace, other = str(uuid4()), str(uuid4())
    traceparent = f"00-{UUID(other).hex}-00f067aa0ba902b7-01"
    both = finance_door.post("/sessions", json={"agent_role": "finance"}, headers={"X-Trace-Id": trace.upper(), "traceparent": traceparent})
    w3c = finance_door.post("/sessions", json={"agent_role": "finance"}, headers={"traceparent": traceparent})
    assert (both.headers["X-Trace-Id"], w3c.headers["X-Trace-Id"]) == (trace, other)
    assert finance_door.get(both.headers["Location"].removeprefix("/api")).json()["trace_id"] == trace
    assert finance_door.get(w3c.headers["Location"].removeprefix("/api")).json()["trace_id"] == other


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Trace-Id": "42"}, {"X-Trace-Id": "z" * 36}, {"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"},
        {"traceparent": "00-" + "a" * 32 + "-" + "0" * 16 + "-01"}, {"traceparent": "ff-" + "a" * 32 + "-00f067aa0ba902b7-01"},
        {"traceparent": "00-" + "A" * 32 + "-00f067aa0ba902b7-01"}, {"traceparent": "x" * 5000},
    ],
)  # fmt: skip
def test_a_malformed_trace_is_ignored(finance_door: Door, headers: dict[str, str]) -> None:
    answer = finance_door.get("/sessions", headers=headers)
    assert answer.status_code == 200
    assert UUID(answer.headers["X-Trace-Id"]).hex not in {"a" * 32, "0" * 32}


def test_a_later_requests_trace_stays_in_the_event_and_the_objects_trace_stays_its_own(finance_door: Door) -> None:
    own, later = str(uuid4()), str(uuid4())
    answer = finance_door.post("/sessions", json={"agent_role": "finance"}, headers={"X-Trace-Id": own})
    id = answer.json()["session_id"]
    changed = finance_door.put(f"/sessions/{id}", json={"status": "active"}, headers={"X-Trace-Id": later})
    assert (changed.headers["X-Trace-Id"], changed.json()["trace_id"]) == (later, own)
    event = last_event(id)
    assert str(event["trace_id"]) == own and later in event["metadata"]
    assert "request_trace_id" not in sql("SELECT metadata FROM audit_events WHERE subject_id = %s AND version = 1", id)[0][0]


# --- reading and writing -------------------------------------------------------------------------------


def test_who_may_not_read_it_hears_404_and_who_may_not_write_it_403(
    finance_door: Door, felix_door: Door, support_door: Door, ada_door: Door, door: Open
) -> None:
    id = opened(finance_door)
    refused(support_door.get(f"/sessions/{id}"), 404, "not-found")
    refused(support_door.put(f"/sessions/{id}", json={"status": "active"}), 404)
    refused(support_door.post(f"/sessions/{id}/heartbeat"), 404)
    assert ada_door.get(f"/sessions/{id}").status_code == 200
    refused(ada_door.put(f"/sessions/{id}", json={"status": "active"}), 403, "not-allowed")
    colleague = door("other-agent", "finance", "agent")
    assert colleague.get(f"/sessions/{id}").status_code == 200
    refused(colleague.put(f"/sessions/{id}", json={"status": "active"}), 403)
    refused(colleague.post(f"/sessions/{id}/heartbeat"), 403)
    assert felix_door.put(f"/sessions/{id}", json={"metadata": {"seen": True}}).status_code == 200
    assert door("root", "admin").put(f"/sessions/{id}", json={"status": "active"}).status_code == 200
    assert last_event(id)["role"] == "admin"


def test_an_auditor_without_an_org_role_changes_nothing_though_the_session_was_opened_by_them(door: Open) -> None:
    id = opened(door("ada", "auditor", "finance"))
    now_only_auditor = door("ada", "auditor")
    refused(now_only_auditor.put(f"/sessions/{id}", json={"status": "active"}), 403, "not-allowed")
    refused(now_only_auditor.post(f"/sessions/{id}/heartbeat"), 403)


def test_the_session_that_carries_a_task_is_found_by_the_tasks_id(finance_door: Door, manager_door: Door, support_door: Door) -> None:
    task = finance_door.route().json()["task_id"]
    for door in (finance_door, manager_door):
        for text in (task, task.upper(), task.removeprefix("task-")):
            assert door.get(f"/sessions/{text}").json()["task_id"] == task
    refused(support_door.get(f"/sessions/{task}"), 404)
    refused(finance_door.get(f"/sessions/{notified(finance_door)}"), 404)


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
def test_every_pair_of_states(finance_door: Door, before: str, after: str) -> None:
    id = opened_in(finance_door, before)
    events = told(id)
    answer = finance_door.put(f"/sessions/{id}", json={"status": f" {after.upper()} "})
    if after == before:
        assert answer.status_code == 200 and told(id) == events
    elif after in MOVES.get(before, set()):
        assert answer.status_code == 200
        assert told(id) == [*events, "session.updated" if after == "active" else f"session.{after}"]
    else:
        assert set(refused(answer, 409, "move-not-allowed")["allowed"]) == MOVES.get(before, set())
        assert finance_door.get(f"/sessions/{id}").json()["state"] == before and told(id) == events
        return
    assert answer.json()["state"] == after and answer.headers["ETag"] == f'"{len(told(id))}"'


def test_the_same_state_again_leaves_an_ended_session_as_it_is(finance_door: Door) -> None:
    id = opened_in(finance_door, "completed")
    before = finance_door.get(f"/sessions/{id}")
    again = finance_door.put(f"/sessions/{id}", json={"status": "completed"})
    assert (again.json(), again.headers["ETag"]) == (before.json(), before.headers["ETag"])


@pytest.mark.parametrize("number", [6.02214076e23, 1e22, 1.5e300, 0.1, 10**20])
def test_a_number_that_the_database_writes_another_way_is_the_same_number(finance_door: Door, number: float) -> None:
    id = opened(finance_door)
    tags = [finance_door.put(f"/sessions/{id}", json={"metadata": {"x": number}}).headers["ETag"] for _ in range(3)]
    assert tags == ['"2"'] * 3
    assert finance_door.put(f"/sessions/{id}", json={"metadata": {"x": True}}).headers["ETag"] == '"3"'


@pytest.mark.parametrize("word", ["done", "cancelled", "in progress"])
def test_an_unknown_status_is_400_on_put_and_422_in_the_list(finance_door: Door, word: str) -> None:
    id = opened(finance_door)
    refused(finance_door.put(f"/sessions/{id}", json={"status": word}), 400)
    assert fields(refused(finance_door.get("/sessions", params={"status": word}), 422)) == ["status"]


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": True}, {"a": True}),
        ({"a": 0}, {"a": False}, {"a": False}),
        ({"a": [{"b": 0}]}, {"a": [{"b": False}]}, {"a": [{"b": False}]}),
        ({}, {"a": 1e22, "b": 1e-7, "c": [2.0]}, {"a": 10**22, "b": 1e-7, "c": [2.0]}),
        ({"a": "x"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_metadata_is_merged_as_rfc_7396_says(finance_door: Door, before: Any, patch: Any, after: Any) -> None:
    id = opened(finance_door, metadata=before)
    merged = finance_door.put(f"/sessions/{id}", json={"metadata": patch}).json()["metadata"]
    assert repr(sorted(merged.items())) == repr(sorted(after.items()))
    assert told(id) == ["session.opened", "session.updated"]
    finance_door.put(f"/sessions/{id}", json={"metadata": patch})
    assert told(id) == ["session.opened", "session.updated"]


def test_a_stale_if_match_is_412_and_a_fresh_one_passes(finance_door: Door) -> None:
    id = opened(finance_door)
    tag = finance_door.get(f"/sessions/{id}").headers["ETag"]
    changed = finance_door.put(f"/sessions/{id}", json={"status": "active"}, headers={"If-Match": tag})
    assert changed.status_code == 200 and changed.headers["ETag"] == '"2"'
    for stale in (tag, 'W/"2"', '"7", "9"', "2", "nonsense", ""):
        refused(finance_door.put(f"/sessions/{id}", json={"metadata": {"a": 1}}, headers={"If-Match": stale}), 412, "precondition-failed")
    for fresh in ('"1", "2"', "*"):
        assert finance_door.put(f"/sessions/{id}", json={"status": "active"}, headers={"If-Match": fresh}).status_code == 200
    assert told(id) == ["session.opened", "session.updated"]


# --- adoption ------------------------------------------------------------------------------------------


def test_a_session_may_be_opened_with_a_task_that_its_caller_sent_and_nobody_carries(finance_door: Door) -> None:
    task = notified(finance_door)
    answer = finance_door.post("/sessions", json={"agent_role": "finance", "task_id": task.upper()})
    assert answer.status_code == 201
    read = finance_door.get(f"/sessions/{answer.json()['session_id']}")
    assert read.json()["task_id"] == task
    assert read.headers["ETag"] == answer.headers["ETag"]
    assert finance_door.get(f"/tasks/{task}").json()["session_id"] == read.json()["session_id"]
    assert incomplete() == []


def test_a_session_takes_a_task_by_put_and_again_changes_nothing(finance_door: Door) -> None:
    task, id = notified(finance_door), opened(finance_door)
    for _ in range(2):
        assert finance_door.put(f"/sessions/{id}", json={"task_id": task.removeprefix("task-")}).json()["task_id"] == task
    assert told(id) == ["session.opened", "session.updated"]
    assert finance_door.get(f"/tasks/{task}").json()["trace_id"] == finance_door.get(f"/sessions/{id}").json()["trace_id"]


def test_a_task_that_another_session_carries_is_409_and_names_it(finance_door: Door) -> None:
    routed = finance_door.route().json()["task_id"]
    carrier = finance_door.get(f"/tasks/{routed}").json()["session_id"]
    said = refused(finance_door.post("/sessions", json={"agent_role": "finance", "task_id": routed}), 409)
    assert carrier in repr(said)
    assert carrier in repr(refused(finance_door.put(f"/sessions/{opened(finance_door)}", json={"task_id": routed}), 409))
    assert count("sessions") == 2


def test_a_session_takes_one_task_in_its_life(finance_door: Door) -> None:
    id = opened(finance_door)
    first = finance_door.route(session_id=id).json()["task_id"]
    assert finance_door.put(f"/tasks/{first}", json={"status": "cancelled"}).status_code == 200
    refused(finance_door.put(f"/sessions/{id}", json={"task_id": notified(finance_door)}), 409)
    refused(finance_door.route(session_id=id), 409)


def test_a_task_of_somebody_else_or_of_nobody_is_404_and_a_malformed_one_422(finance_door: Door, felix_door: Door) -> None:
    for task in (notified(felix_door), f"task-{uuid4()}", str(uuid4())):
        refused(finance_door.post("/sessions", json={"agent_role": "finance", "task_id": task}), 404)
        refused(finance_door.put(f"/sessions/{opened(finance_door)}", json={"task_id": task}), 404)
    malformed: list[Any] = ["42", f"session-{uuid4()}", f"approval-{uuid4()}", "", 7]
    for wrong in malformed:
        assert fields(refused(finance_door.post("/sessions", json={"agent_role": "finance", "task_id": wrong}), 422)) == ["task_id"]


# --- ending and time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["completed", "failed", "expired"])
def test_ending_a_session_cancels_its_open_task_and_the_pending_approvals(finance_door: Door, end: str) -> None:
    task = finance_door.route().json()["task_id"]
    asked = [finance_door.ask(task, approver_role=role).json()["approval_id"] for role in ("manager", "legal")]
    session = finance_door.get(f"/sessions/{task}").json()["session_id"]
    assert finance_door.put(f"/sessions/{session}", json={"status": end}).status_code == 200
    read = finance_door.get(f"/tasks/{task}").json()
    assert read["status"] == "cancelled"
    assert [(approval["approval_id"], approval["status"]) for approval in read["approvals"]] == [(id, "cancelled") for id in asked]
    assert told(session)[-1] == f"session.{end}" and told(task)[-1] == "task.cancelled" and told(asked[1])[-1] == "approval.cancelled"
    assert incomplete() == []


def test_a_lapsed_session_reads_expired_at_once_everywhere(finance_door: Door) -> None:
    id = opened_in(finance_door, "active")
    tag = finance_door.get(f"/sessions/{id}").headers["ETag"]
    lapse_session(id)
    read = finance_door.get(f"/sessions/{id}")
    assert read.json()["state"] == "expired" and read.headers["ETag"] != tag

    def listed(status: str) -> list[str]:
        return [session["session_id"] for session in finance_door.get("/sessions", params={"status": status}).json()["sessions"]]

    assert listed("expired") == [id] and listed("active") == []
    assert sql("SELECT status FROM sessions")[0] == ("active",)
    refused(finance_door.put(f"/sessions/{id}", json={"status": "completed"}), 409)
    assert told(id)[-1] == "session.expired" and last_event(id)["role"] == "system"


def test_a_heartbeat_is_activity_without_a_version_or_an_event(finance_door: Door) -> None:
    id = opened(finance_door)
    before = finance_door.get(f"/sessions/{id}")
    answer = finance_door.post(f"/sessions/SESSION-{id}/heartbeat")
    assert answer.status_code == 204 and answer.content == b""
    after = finance_door.get(f"/sessions/{id}")
    assert after.json()["updated_at"] > before.json()["updated_at"]
    assert after.headers["ETag"] == before.headers["ETag"] and told(id) == ["session.opened"]


def test_a_heartbeat_wakes_no_session_that_has_ended_or_lapsed(finance_door: Door) -> None:
    refused(finance_door.post(f"/sessions/{opened_in(finance_door, 'failed')}/heartbeat"), 409)
    lapsed = opened(finance_door)
    lapse_session(lapsed)
    refused(finance_door.post(f"/sessions/{lapsed}/heartbeat"), 409)
    assert finance_door.get(f"/sessions/{lapsed}").json()["state"] == "expired"


# --- lists ---------------------------------------------------------------------------------------------


def test_a_list_holds_the_sessions_of_ones_roles_newest_first(finance_door: Door, support_door: Door, ada_door: Door) -> None:
    ids = [opened(finance_door) for _ in range(3)]
    answer = finance_door.get("/sessions").json()
    assert [session["session_id"] for session in answer["sessions"]] == ids[::-1]
    assert {name: answer[name] for name in ("total", "page", "page_size", "next_cursor")} == {
        "total": 3, "page": 1, "page_size": 20, "next_cursor": None,
    }  # fmt: skip
    assert list(answer["sessions"][0]) == SHAPE
    assert support_door.get("/sessions").json()["sessions"] == []
    assert ada_door.get("/sessions").json()["total"] == 3


def test_pages_are_clamped_and_end_empty(finance_door: Door) -> None:
    ids = [opened(finance_door) for _ in range(3)]

    def page(**params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = finance_door.get("/sessions", params=params).json()
        return {**answer, "sessions": [session["session_id"] for session in answer["sessions"]]}

    assert page(page=2, page_size=2)["sessions"] == [ids[0]]
    assert page(page=-4, page_size=0) == {**page(page=1, page_size=1), "page": 1, "page_size": 1}
    assert page(page_size=5000)["page_size"] == 100
    assert page(page=50)["sessions"] == [] and page(page=50)["total"] == 3
    for far in (5_001, 10**12, 10**30):
        assert fields(refused(finance_door.get("/sessions", params={"page": far}), 422)) == ["cursor"]
    for wrong in ("x", "1.5", "", "٣"):
        assert fields(refused(finance_door.get("/sessions", params={"page": wrong}), 422)) == ["page"]


def test_a_cursor_walks_the_whole_list_once_while_new_rows_come_in(finance_door: Door) -> None:
    ids = [opened(finance_door) for _ in range(5)]
    seen: list[str] = []
    params: dict[str, Any] = {"page_size": 2}
    while True:
        answer = finance_door.get("/sessions", params=params).json()
        seen += [session["session_id"] for session in answer["sessions"]]
        opened(finance_door)
        if not answer["next_cursor"]:
            break
        params["cursor"] = answer["next_cursor"]
    assert seen == ids[::-1]


def test_a_cursor_is_bound_to_route_filters_and_caller(finance_door: Door, felix_door: Door) -> None:
    for _ in range(2):
        opened(finance_door)
        finance_door.route()
    cursor = finance_door.get("/sessions", params={"page_size": 1}).json()["next_cursor"]
    assert finance_door.get("/sessions", params={"page_size": 3, "cursor": cursor}).status_code == 200
    foreign = [
        felix_door.get("/sessions", params={"cursor": cursor}),
        finance_door.get("/tasks", params={"cursor": cursor}),
        finance_door.get("/sessions", params={"cursor": cursor, "status": "pending"}),
        finance_door.get("/sessions", params={"cursor": cursor, "q": "None"}),
        finance_door.get("/sessions", params={"cursor": cursor[:-1] + ("A" if cursor[-1] != "A" else "B")}),
        *[finance_door.get("/sessions", params={"cursor": broken}) for broken in ("x", "a:b:c", ".é:ü", "::::")],
    ]
    for answer in foreign:
        assert fields(refused(answer, 422)) == ["cursor"]


def test_a_list_is_filtered_by_role_status_time_and_words(finance_door: Door, door: Open) -> None:
    both = door("both-agent", "finance", "support", "agent")
    wanted = opened(both, metadata={"customer": "Zebra GmbH"})
    other = opened(both, agent_role="support", metadata={"zebra": "a member's name is no word of it"})
    both.put(f"/sessions/{other}", json={"status": "active"})

    def found(**params: str) -> set[str]:
        return {session["session_id"] for session in both.get("/sessions", params=params).json()["sessions"]}

    assert found(agent_role="FINANCE") == {wanted} and found(status="Active") == {other}
    assert found(q="zebra gmbh") == {wanted} and found(q="unheard") == set()
    at = both.get(f"/sessions/{other}").json()["created_at"]
    assert found(since=at) == {other} and found(until=at) == {wanted}
    assert found(since="2000-01-01", until="2000-01-02") == set()


def test_a_total_beyond_ten_thousand_is_said_not_to_be_exact(finance_door: Door) -> None:
    opened(finance_door)
    sql("SET session_replication_role = replica")
    sql(
        """INSERT INTO sessions (id, version, role, status, metadata, trace_id, created_by, created_by_name)
        SELECT gen_random_uuid(), 1, 'finance', 'pending', '{}', gen_random_uuid(), 'x', 'x' FROM generate_series(1, 10000)"""
    )
    sql("SET session_replication_role = origin")
    answer = finance_door.get("/sessions", params={"page_size": 1}).json()
    assert (answer["total"], answer["total_is_exact"]) == (10_000, False)
    following = finance_door.get("/sessions", params={"page_size": 1, "cursor": answer["next_cursor"]}).json()
    assert (following["total"], following["total_is_exact"]) == (10_000, False)
    assert following["sessions"][0]["session_id"] != answer["sessions"][0]["session_id"]


def test_many_small_changes_do_not_grow_the_metadata_without_end(finance_door: Door) -> None:
    session = finance_door.post("/sessions", json={"agent_role": "finance", "metadata": {"a": "x" * 600_000}}).json()["session_id"]
    answer = finance_door.put(f"/sessions/{session}", json={"metadata": {"b": "x" * 600_000}})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "metadata"
    assert finance_door.put(f"/sessions/{session}", json={"metadata": {"a": None, "b": "x" * 600_000}}).status_code == 200


def test_heavy_texts_of_others_do_not_slow_a_search(felix_door: Door, ada_door: Door, door: Open) -> None:
    opened(felix_door)
    sql("VACUUM FULL sessions")
    sql("ANALYZE sessions")  # from now on the planner believes that the table is small
    hogs = door("hog", "hogs", "agent")
    for _ in range(40):
        assert hogs.route(task={"type": "hog", "title": "z " * 500_000}).status_code == 202
        assert hogs.post("/sessions", json={"agent_role": "hogs", "metadata": {"a": "b " * 200_000}}).status_code == 201
    for reader in (felix_door, ada_door, hogs):
        assert min(seconds_to_find_nothing(reader) for _ in range(3)) < 0.5  # reading all of it took several


def seconds_to_find_nothing(reader: Door) -> float:
    began = time.monotonic()
    assert reader.get("/sessions", params={"q": "zzzzq"}).json()["sessions"] == []
    return time.monotonic() - began
