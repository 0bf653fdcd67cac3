"""How much one caller may ask in a minute: over all processes, for each caller alone, and also while Redis is away."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from orchestrator.limits import Limit, TooMany
from tests.conftest import Door, served
from tests.evidence import refused

LIMIT = 40


def limited_site(**environment: str) -> Iterator[str]:
    """A server with a small limit."""
    with served(RATE_LIMIT=str(LIMIT), SIGN_IN_LIMIT="5", **environment) as running:
        yield running.url


@pytest.fixture
def site(store: None) -> Iterator[str]:
    yield from limited_site()


@pytest.fixture
def site_without_redis(store: None) -> Iterator[str]:
    yield from limited_site(REDIS_URL="redis://127.0.0.1:1/0")


def begin_of_a_minute() -> None:
    """So that the minute does not turn within the test."""
    if (left := 60 - time.time() % 60) < 6:
        time.sleep(left)


def send(site: str, name: str, times: int) -> Counter[int]:
    """The statuses of as many requests at once."""
    with Door(site, name, "finance", "agent") as door, ThreadPoolExecutor(8) as pool:
        return Counter(answer.status_code for answer in pool.map(lambda _: door.get("/me"), range(times)))


def test_one_caller_gets_so_many_requests_a_minute_and_nobody_elses_are_counted(site: str) -> None:
    begin_of_a_minute()
    assert send(site, "greedy", LIMIT + 20) == {200: LIMIT, 429: 20}
    assert send(site, "modest", 5) == {200: 5}
    with Door(site, "greedy", "finance", "agent") as door:
        answer = door.route()
    assert "minute" in refused(answer, 429, "too-many-requests")["detail"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_without_redis_each_process_holds_to_the_limit_also_for_decisions(site_without_redis: str) -> None:
    begin_of_a_minute()
    statuses = send(site_without_redis, "greedy", 3 * LIMIT)
    assert set(statuses) == {200, 429} and LIMIT <= statuses[200] <= 2 * LIMIT
    with Door(site_without_redis, "jonas", "manager") as door:
        path = "/approvals/01a1fbb1-3662-762a-badf-a2a9cb622447/decision"
        decisions = Counter(door.post(path, json={"decision": "approved"}).status_code for _ in range(3 * LIMIT))
    assert set(decisions) == {404, 429} and decisions[404] <= 2 * LIMIT


@pytest.mark.parametrize("where", ["site", pytest.param("site_without_redis", marks=pytest.mark.long)])
def test_a_password_is_not_guessed_quickly_and_guessing_locks_nobody_else_out(where: str, request: pytest.FixtureRequest) -> None:
    site = request.getfixturevalue(where)
    begin_of_a_minute()
    with httpx.Client(base_url=site) as browser:
        token = browser.get("/sign-in/").cookies["csrftoken"]

        def attempt(name: str) -> httpx.Response:
            return browser.post("/sign-in/", data={"username": name, "password": "guess", "csrfmiddlewaretoken": token})

        answers = [attempt("maria") for _ in range(12)]
        assert Counter(answer.status_code for answer in answers)[429] >= 2
        assert answers[-1].status_code == 429 and "Retry-After" in answers[-1].headers and "minute" in answers[-1].text
        assert attempt("Maria").status_code == 429
        assert attempt("jonas").status_code == 200


def test_a_signed_in_person_is_told_on_a_page(site: str) -> None:
    begin_of_a_minute()
    client = Client()
    client.force_login(User.objects.create_user("maria"))
    with httpx.Client(base_url=site, cookies={"sessionid": client.cookies["sessionid"].value}) as browser:
        answers = [browser.get("/approvals/") for _ in range(LIMIT + 2)]
    assert [answer.status_code for answer in answers[-2:]] == [429, 429]
    assert "Too much at once" in answers[-1].text and int(answers[-1].headers["Retry-After"]) >= 1


def test_the_next_minute_begins_anew(store: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RATE_LIMIT = 3
    now = [6_000.0]
    monkeypatch.setattr("orchestrator.limits.time.time", lambda: now[0])
    limit = Limit("RATE_LIMIT")
    for _ in range(3):
        limit.spend("somebody")
    with pytest.raises(TooMany) as told:
        limit.spend("somebody")
    assert told.value.retry_after == 60
    now[0] += 60
    limit.spend("somebody")
