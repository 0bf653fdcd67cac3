"""Many at once: exactly one winner, the others told who, and every object's events are the versions 1..version."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from django.db import connection

from approvals.actions import expire_due
from tests.conftest import Door, Open
from tests.evidence import bare, count, incomplete, lapse_approval, lapse_session, last_event, refused, rewrite, told


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls answer when they begin together."""
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        together.wait(10)
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    """How often each status came."""
    return Counter(answer.status_code for answer in answers)


@pytest.fixture
def task(finance_door: Door) -> str:
    """The id of a task that finance sent to manager."""
    return str(finance_door.route().json()["task_id"])


def test_of_twenty_people_one_decides_and_nineteen_learn_who(finance_door: Door, door: Open, task: str) -> None:
    approval = finance_door.ask(task).json()["approval_id"]
    managers = [door(f"manager-{n}", "manager") for n in range(20)]
    verdicts = [{"decision": "approved"} if n % 2 else {"decision": "rejected", "comments": "No."} for n in range(20)]
    answers = at_once(
        *[lambda m=m, v=v: m.post(f"/approvals/{approval}/decision", json=v) for m, v in zip(managers, verdicts, strict=True)]
    )
    assert statuses(answers) == {200: 1, 409: 19}
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    for late in answers:
        if late.status_code == 409:
            said = refused(late, 409, "already-decided")
            assert (said["decided_by"], said["decision"]) == (winner["decided_by"], winner["status"]) and said["decision_at"]
    assert told(approval) == ["approval.requested", f"approval.{winner['status']}"] and incomplete() == []


def test_of_twenty_agents_one_claims_and_nineteen_learn_who(door: Open, task: str) -> None:
    agents = [door(f"manager-agent-{n}", "manager", "agent") for n in range(20)]
    answers = at_once(*[lambda a=a: a.put(f"/tasks/{task}", json={"status": "active"}) for a in agents])
    assert statuses(answers) == {200: 1, 409: 19}
    (winner,) = [answer.json()["claimed_by"] for answer in answers if answer.status_code == 200]
    assert {refused(late, 409, "already-claimed")["claimed_by"] for late in answers if late.status_code == 409} == {winner}
    assert told(task) == ["task.routed", "task.claimed"] and incomplete() == []


def test_twenty_threads_put_a_member_each_and_all_are_there(finance_door: Door) -> None:
    id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    answers = at_once(*[lambda n=n: finance_door.put(f"/sessions/{id}", json={"metadata": {f"k{n}": n}}) for n in range(20)])
    assert statuses(answers) == {200: 20}
    assert finance_door.get(f"/sessions/{id}").json()["metadata"] == {f"k{n}": n for n in range(20)}
    assert len(told(id)) == 21 and incomplete() == []


def test_of_ten_changes_with_one_if_match_one_passes(finance_door: Door) -> None:
    id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    calls = [lambda n=n: finance_door.put(f"/sessions/{id}", json={"metadata": {"n": n}}, headers={"If-Match": '"1"'}) for n in range(10)]
    assert statuses(at_once(*calls)) == {200: 1, 412: 9}


def test_ten_who_ask_the_same_share_one_request(finance_door: Door, task: str) -> None:
    answers = at_once(*[lambda: finance_door.ask(task)] * 10)
    assert statuses(answers) == {202: 1, 200: 9} and len({answer.json()["approval_id"] for answer in answers}) == 1
    assert count("approvals") == 1 and incomplete() == []


def test_of_ten_routed_into_one_session_one_is_carried(finance_door: Door) -> None:
    id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    answers = at_once(*[lambda: finance_door.route(session_id=id)] * 10)
    assert statuses(answers) == {202: 1, 409: 9} and count("tasks") == 1 and incomplete() == []


def test_of_ten_sessions_that_take_one_task_one_gets_it(finance_door: Door) -> None:
    for _ in range(3):
        task = finance_door.route(task={"type": "notification"}).json()["task_id"]
        body = {"agent_role": "finance", "task_id": task}
        ids = [finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"] for _ in range(5)]
        answers = at_once(
            *[lambda id=id, task=task: finance_door.put(f"/sessions/{id}", json={"task_id": task}) for id in ids],
            *[lambda body=body: finance_door.post("/sessions", json=body)] * 5,
        )
        assert sum(answer.is_success for answer in answers) == 1 and statuses(answers)[409] == 9, statuses(answers)
    assert incomplete() == []


@pytest.mark.parametrize("round", range(3))
def test_the_sweep_and_a_decision_have_one_outcome(finance_door: Door, door: Open, round: int) -> None:
    managers = [door(f"manager-{n}", "manager") for n in range(4)]
    approvals = [finance_door.ask(finance_door.route().json()["task_id"]).json()["approval_id"] for _ in range(4)]
    for approval in approvals:
        rewrite("UPDATE approvals SET expires_at = now() + interval '40 milliseconds' WHERE id = %s", bare(approval))
    answers = at_once(
        *[
            lambda m=m, a=a: m.post(f"/approvals/{a}/decision", json={"decision": "approved"})
            for m, a in zip(managers, approvals, strict=True)
        ],
        *[lambda: [expire_due() for _ in range(10)]] * 2,
    )
    expire_due()
    for approval, answer in zip(approvals, answers[:4], strict=True):
        ended = "approved" if answer.status_code == 200 else "expired"
        assert answer.status_code in (200, 409), answer.text
        deadline = finance_door.get(f"/approvals/{approval}", params={"wait": 5}).json()
        assert deadline["status"] == ended
    expire_due()
    for approval in approvals:
        assert len(told(approval)) == 2
    assert incomplete() == []


def test_many_sweeps_at_once_expire_everything_once(finance_door: Door) -> None:
    tasks = [finance_door.route().json()["task_id"] for _ in range(8)]
    asked = [finance_door.ask(task).json()["approval_id"] for task in tasks]
    for task in tasks[:4]:
        lapse_session(finance_door.get(f"/tasks/{task}").json()["session_id"])
    for approval in asked[4:]:
        lapse_approval(approval)
    at_once(*[lambda: [expire_due(3) for _ in range(6)]] * 4)
    assert [told(task)[-1] for task in tasks] == ["task.cancelled"] * 4 + ["task.routed"] * 4
    assert [told(approval)[1:] for approval in asked] == [["approval.cancelled"]] * 4 + [["approval.expired"]] * 4
    assert incomplete() == [] and expire_due() == 0


@pytest.mark.parametrize("end", ["completed", "failed"])
def test_asking_while_the_task_ends_leaves_nothing_pending_for_ever(finance_door: Door, manager_door: Door, end: str) -> None:
    tasks = [finance_door.route().json()["task_id"] for _ in range(5)]
    for task in tasks:
        manager_door.put(f"/tasks/{task}", json={"status": "active"})
    calls = [
        call
        for task in tasks
        for call in (
            lambda task=task: manager_door.put(f"/tasks/{task}", json={"status": end}),
            lambda task=task: finance_door.ask(task),
            lambda task=task: finance_door.ask(task, approver_role="legal"),
        )
    ]
    assert statuses(at_once(*calls)).keys() <= {200, 202, 409}
    for task in tasks:
        read = finance_door.get(f"/tasks/{task}").json()
        assert read["status"] == "active" or not [approval for approval in read["approvals"] if approval["status"] == "pending"]
        assert finance_door.get(f"/sessions/{task}").json()["state"] == read["status"]
    assert incomplete() == []


def test_ending_session_and_task_and_deciding_all_at_once_deadlocks_nobody(
    finance_door: Door, manager_door: Door, maria_door: Door
) -> None:
    tasks = [finance_door.route().json()["task_id"] for _ in range(4)]
    asked = [finance_door.ask(task).json()["approval_id"] for task in tasks]
    sessions = [finance_door.get(f"/tasks/{task}").json()["session_id"] for task in tasks]
    for task in tasks:
        manager_door.put(f"/tasks/{task}", json={"status": "active"})
    calls = [
        call
        for task, approval, session in zip(tasks, asked, sessions, strict=True)
        for call in (
            lambda task=task: manager_door.put(f"/tasks/{task}", json={"status": "failed"}),
            lambda session=session: finance_door.put(f"/sessions/{session}", json={"status": "completed"}),
            lambda approval=approval: maria_door.post(f"/approvals/{approval}/decision", json={"decision": "approved"}),
            lambda approval=approval: finance_door.post(f"/approvals/{approval}/cancel"),
            lambda task=task: finance_door.put(f"/tasks/{task}", json={"status": "cancelled"}),
        )
    ]
    assert statuses(at_once(*calls)).keys() <= {200, 409}
    assert incomplete() == []
    for task, approval, session in zip(tasks, asked, sessions, strict=True):
        assert len([event for event in told(task) if event not in {"task.routed", "task.claimed"}]) == 1
        assert len(told(approval)) == 2 and len([event for event in told(session) if event != "session.opened"]) <= 1


def test_refusals_at_once_stand_in_one_chain(manager_door: Door, finance_door: Door, task: str) -> None:
    approval = finance_door.ask(task).json()["approval_id"]
    answers = at_once(*[lambda: manager_door.post(f"/approvals/{approval}/decision", json={"decision": "approved"})] * 10)
    assert statuses(answers) == {403: 10}
    assert told(approval) == ["approval.requested", *["approval.refused"] * 10]
    assert last_event(approval)["digest"]
