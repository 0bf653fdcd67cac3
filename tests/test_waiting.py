"""`GET /api/approvals/{id}?wait=`: the answer as soon as there is one, and no place lost while there is none."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import Door, served
from tests.evidence import fields, lapse_approval, refused, rewrite


@pytest.fixture
def approval(finance_door: Door) -> str:
    """The id of a request that waits for manager."""
    return str(finance_door.ask(finance_door.route().json()["task_id"]).json()["approval_id"])


def wait(door: Door, approval: str, seconds: Any) -> tuple[httpx.Response, float]:
    """The answer, and when it came."""
    answer = door.get(f"/approvals/{approval}", params={"wait": seconds})
    return answer, time.monotonic()


def test_it_is_still_pending_after_the_wait_and_says_when_to_ask_again(finance_door: Door, approval: str) -> None:
    began = time.monotonic()
    answer, ended = wait(finance_door, approval, 1)
    assert 0.9 <= ended - began < 2.5
    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert int(answer.headers["Retry-After"]) >= 1 and answer.headers["ETag"] == '"1"'


def test_without_a_wait_it_answers_at_once(finance_door: Door, approval: str) -> None:
    for params in ({}, {"wait": 0}):
        began = time.monotonic()
        answer = finance_door.get(f"/approvals/{approval}", params=params)
        assert answer.json()["status"] == "pending" and "Retry-After" not in answer.headers
        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("end", ["approved", "rejected", "cancelled", "expired"])
def test_the_waiting_agent_learns_the_end_within_a_second(finance_door: Door, maria_door: Door, approval: str, end: str) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait, finance_door, approval, 20)
        time.sleep(0.3)
        if end == "cancelled":
            finance_door.post(f"/approvals/{approval}/cancel")
        elif end == "expired":
            lapse_approval(approval)
        else:
            maria_door.post(f"/approvals/{approval}/decision", json={"decision": end, "comments": "So be it."})
        decided = time.monotonic()
        answer, ended = waiting.result()
    assert answer.json()["status"] == end and "Retry-After" not in answer.headers
    assert ended - decided < 1


def test_it_ends_when_the_time_of_the_request_is_over(finance_door: Door, approval: str) -> None:
    rewrite("UPDATE approvals SET expires_at = now() + interval '1 second' WHERE id = %s", approval.removeprefix("approval-"))
    began = time.monotonic()
    answer, ended = wait(finance_door, approval, 20)
    assert answer.json()["status"] == "expired" and ended - began < 2


def test_what_is_decided_already_is_answered_at_once(finance_door: Door, maria_door: Door, approval: str) -> None:
    maria_door.post(f"/approvals/{approval}/decision", json={"decision": "approved"})
    began = time.monotonic()
    answer, ended = wait(finance_door, approval, 55)
    assert answer.json()["status"] == "approved" and ended - began < 0.5


@pytest.mark.parametrize("seconds", [-1, 56, "x", "1.5", "", "٣", 10**30])
def test_a_wait_is_0_to_55_seconds(finance_door: Door, approval: str, seconds: Any) -> None:
    assert fields(refused(wait(finance_door, approval, seconds)[0], 422)) == ["wait"]


def test_who_may_not_read_it_waits_for_nothing(support_door: Door, approval: str) -> None:
    refused(wait(support_door, approval, 5)[0], 404)


def test_more_waiters_than_places_leave_room_for_everybody_else(finance_door: Door, maria_door: Door, approval: str) -> None:
    """40 waiters for 2 x 16 threads: whoever finds no place is answered at once and told when to come back."""
    with ThreadPoolExecutor(40) as pool:
        waiters = [pool.submit(wait, finance_door, approval, 6) for _ in range(40)]
        time.sleep(1)
        began = time.monotonic()
        assert maria_door.get("/health").status_code == 200
        assert maria_door.post(f"/approvals/{approval}/decision", json={"decision": "approved"}).status_code == 200
        assert time.monotonic() - began < 1
        answers = [waiter.result()[0] for waiter in waiters]
    assert {answer.status_code for answer in answers} == {200}
    for answer in answers:
        assert answer.json()["status"] == "approved" or "Retry-After" in answer.headers


def test_a_shutdown_answers_the_waiting_with_the_pending_request(finance_door: Door, approval: str) -> None:
    with served("-w", "1", "--graceful-timeout", "4") as running, ThreadPoolExecutor() as pool:
        said = {"Authorization": finance_door.headers["Authorization"]}
        waiting = pool.submit(httpx.get, f"{running.url}/api/approvals/{approval}?wait=30", headers=said, timeout=40)
        time.sleep(0.7)
        running.process.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        answer = waiting.result()
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
        assert "Retry-After" in answer.headers and time.monotonic() - stopped < 3
